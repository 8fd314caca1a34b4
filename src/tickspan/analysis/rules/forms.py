"""The form: how a value of a rule file is written, and what it is read as.

Values are text, as YAML files give them, or typed, as TOML and code do. Both are read by the same forms.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

from tickspan.analysis.rules import units
from tickspan.analysis.rules.model import Condition, Matcher, NoData, Owner, Scope, Severity, Stat, StatName
from tickspan.analysis.rules.problems import Misread, hint, shown, written

__all__ = [
    "ATTRIBUTES",
    "CONDITION",
    "COUNT",
    "DURATION",
    "LABELS",
    "NAME",
    "NAMES",
    "NO_DATA",
    "NUMBER",
    "OWNER",
    "POSITIVE",
    "SCOPE",
    "SEVERITY",
    "STAT",
    "TEXT",
    "TEXTS",
    "WHERE",
    "Form",
    "Twice",
    "choice",
    "items_of",
    "list_of",
]

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)

_MAX_ITEMS: Final = 1000
_MAX_TEXT: Final = 4096
_MAX_COUNT: Final = 10**12
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_WHOLE: Final = re.compile(r"[0-9]{1,12}")
_QUANTILE: Final = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,6})?)")


@dataclass(frozen=True, slots=True)
class Twice:
    """Stands for the value of a key that a document gives more than once.

    Attributes:
        first_line: of the two.
        second_line: of the two.
    """

    first_line: int
    second_line: int


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """How a value is written.

    Attributes:
        told: for the reference, such as "duration".
        read: gives the value; raises `Misread` with what was expected and what came.
    """

    told: str
    read: Callable[[object], T]


def items_of(raw: object, expected: str) -> Mapping[str, Any]:
    """The entries of a mapping. Raises `Misread` where it is none, or has a key twice."""
    if not isinstance(raw, Mapping):
        raise Misread(f"expected {expected}, got {shown(raw)}")
    for key, value in raw.items():
        if not isinstance(key, str):
            raise Misread(f"expected text as keys, got {shown(key)}")
        if isinstance(value, Twice):
            raise Misread(
                f"expected each key once, got {shown(key)} on lines {value.first_line}"
                f" and {value.second_line}"
            )
    return raw


def _text(raw: object) -> str:
    text = "true" if raw is True else "false" if raw is False else written(raw)
    if not text:
        raise Misread(f"expected a text, got {shown(raw)}")
    if len(text) > _MAX_TEXT:
        raise Misread(f"expected a text of at most {_MAX_TEXT} letters, got {len(text)}")
    return text


def _name(raw: object) -> str:
    text = written(raw)
    if not text or not _NAME.fullmatch(text):
        raise Misread(f"expected a name of letters, digits, '_', '-' and '.', got {shown(raw)}")
    return text


def _choice(kind: type[E], told: str, raw: object) -> E:
    text = written(raw) or ""
    known = [str(one.value) for one in kind]
    if text not in known:
        nearest = hint(text, known)
        raise Misread(f"expected {told}, got {shown(raw)}{nearest if nearest.startswith('; did') else ''}")
    return kind(text)


def choice(kind: type[E]) -> Form[E]:
    """One of the values of an enumeration of texts."""
    told = _or([str(one.value) for one in kind])
    return Form(told, partial(_choice, kind, told))


def _or(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _severity(raw: object) -> Severity:
    text = written(raw) or ""
    words = [str(one) for one in Severity]
    if text not in words:
        nearest = hint(text, words)
        raise Misread(
            f"expected {_or(words)}, got {shown(raw)}{nearest if nearest.startswith('; did') else ''}"
        )
    return Severity.of(text)


def _stat(raw: object) -> Stat:
    text = written(raw) or ""
    quantile = _QUANTILE.fullmatch(text)
    if quantile is not None:
        return Stat(StatName.QUANTILE, float(f"{float(quantile[1]) / 100:.12g}"))
    names = [str(name.value) for name in StatName if name is not StatName.QUANTILE]
    if text not in names:
        raise Misread(f"expected {', '.join(names)} or a quantile like 'p95', got {shown(raw)}")
    return Stat(StatName(text))


def _count(raw: object) -> int:
    text = written(raw) or ""
    if not _WHOLE.fullmatch(text) or int(text) > _MAX_COUNT:
        raise Misread(f"expected a whole number, got {shown(raw)}")
    return int(text)


def _positive(raw: object) -> int:
    number = _count(raw)
    if number < 1:
        raise Misread(f"expected a whole number from 1 on, got {shown(raw)}")
    return number


def _number(raw: object) -> object:
    """Only whether it is a scalar: what it means depends on the unit of the value."""
    if not written(raw):
        raise Misread(f"expected a number, with a unit where it has one, got {shown(raw)}")
    return raw


def _listed(one: Callable[[object], T], told: str, raw: object) -> tuple[T, ...]:
    if isinstance(raw, Mapping) or raw is None or raw == "":
        raise Misread(f"expected {told}, got {shown(raw)}")
    given: list[object] = list(raw) if isinstance(raw, list | tuple) else [raw]
    if len(given) > _MAX_ITEMS:
        raise Misread(f"expected {told}, at most {_MAX_ITEMS}, got {len(given)}")
    return tuple(one(item) for item in given)


def list_of(form: Form[T], told: str) -> Form[tuple[T, ...]]:
    """A list of what the form reads; one alone is a list of one."""
    return Form(told, partial(_listed, form.read, told))


def _where(raw: object) -> tuple[Matcher, ...]:
    entries = items_of(raw, "a mapping of attributes to values")
    return tuple(_matcher(attribute, value) for attribute, value in entries.items())


def _matcher(attribute: str, raw: object) -> Matcher:
    if isinstance(raw, Mapping):
        entries = items_of(raw, "'not'")
        if set(entries) != {"not"}:
            raise Misread(f"expected a value, a list of values, or 'not' with one of them, of '{attribute}'")
        return Matcher(attribute, TEXTS.read(entries["not"]), is_negated=True)
    return Matcher(attribute, TEXTS.read(raw))


def _labels(raw: object) -> Mapping[str, str]:
    entries = items_of(raw, "a mapping of names to texts")
    for name in entries:
        if not _LABEL.fullmatch(name):
            raise Misread(f"expected names of letters, digits and '_', got {shown(name)}")
    return {name: _text(value) for name, value in entries.items()}


TEXT: Final = Form("text", _text)
NAME: Final = Form("name", _name)
TEXTS: Final = list_of(TEXT, "a text or a list of texts")
NAMES: Final = list_of(NAME, "a name or a list of names")
ATTRIBUTES: Final = list_of(NAME, "an attribute or a list of attributes")
DURATION: Final = Form("duration", units.duration_s)
COUNT: Final = Form("whole number", _count)
POSITIVE: Final = Form("whole number from 1 on", _positive)
NUMBER: Final[Form[object]] = Form("number, with a unit where it has one", _number)
STAT: Final = Form("last, avg, min, max, rate, increase, count or pNN", _stat)
CONDITION: Final = choice(Condition)
SCOPE: Final = choice(Scope)
OWNER: Final = choice(Owner)
NO_DATA: Final = choice(NoData)
SEVERITY: Final = Form(_or([str(one) for one in Severity]), _severity)
WHERE: Final = Form("mapping of attributes to a value, a list, or `{not: …}`", _where)
LABELS: Final = Form("mapping of names to texts", _labels)
