"""The rule problem: what is wrong in a rule file, where, and what was expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from typing import Final, TypeAlias

__all__ = ["Misread", "Place", "Problems", "RuleProblem", "hint", "shown", "told_place", "written"]

Place: TypeAlias = tuple[str | int, ...]
"""Keys and indexes that lead to a value of the document."""

_PLAIN: Final = re.compile(r"[A-Za-z_][\w-]*")
_SHOWN: Final = 60
_MAX_PROBLEMS: Final = 200


class Misread(ValueError):  # noqa: N818  # not an error of a program: it becomes a problem
    """A value that is not what was expected. Its text says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """One thing that is wrong.

    Attributes:
        file: as it was named; "" for rules that come from code.
        line: counted from 1; None where it is not known, as in TOML.
        path: `rules[2].window`; "" for the whole file.
        message: what was expected and what came.
    """

    file: str
    line: int | None
    path: str
    message: str

    def __str__(self) -> str:
        """`alerts.yaml:14 rules[2].window: expected a duration like '5s', got '5'`."""
        line = "" if self.line is None else f":{self.line}"
        place = " ".join(part for part in (f"{self.file}{line}", self.path) if part)
        return f"{place}: {self.message}" if place else self.message


def told_place(place: Place) -> str:
    """`rules[2].where["trading.venue.name"]`."""
    text = ""
    for key in place:
        if isinstance(key, str) and _PLAIN.fullmatch(key):
            text += f".{key}" if text else key
        else:
            text += f"[{key}]" if isinstance(key, int) else f'["{_cut(key)}"]'
    return text


def shown(raw: object) -> str:
    """A value for people: text in quotes, cut; of what holds more, only its kind."""
    match raw:
        case None | "":
            told = "nothing"
        case str():
            told = f"'{_cut(raw)}'"
        case bool():
            told = str(raw).lower()
        case int() | float():
            told = written(raw) or "a huge number"
        case Mapping():
            told = "a mapping"
        case list() | tuple():
            told = "a list"
        case _:
            told = _cut(str(raw))
    return told


def written(raw: object) -> str | None:
    """A scalar as text, without blanks around it; None for what is no text, number, date or time.

    Numbers of more digits than any value of a rule has are None too: writing them out would take long.
    """
    match raw:
        case str():
            return raw.strip()
        case bool():
            return None
        case int():
            return str(raw) if abs(raw) < _HUGE else None
        case float():
            return repr(raw).removesuffix(".0")
        case date() | time():
            return str(raw)
        case _:
            return None


_HUGE: Final = 10**30


def _cut(text: str) -> str:
    flat = "".join(letter if letter.isprintable() else "?" for letter in text[: _SHOWN + 1])
    return flat if len(flat) <= _SHOWN else f"{flat[:_SHOWN]}…"


def hint(name: str, known: Iterable[str]) -> str:
    """The nearest known name, or all of them where they are few."""
    names = sorted(set(known))
    nearest = difflib.get_close_matches(name[:_SHOWN], names, n=1)
    if nearest:
        return f"; did you mean '{nearest[0]}'?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= _FEW else ""


_FEW: Final = 40


@dataclass(slots=True)
class Problems:
    """The problems of one document, in the order in which they were found.

    Attributes:
        file: that it came from.
        lines: of its values, as far as they are known.
        found: at most 200; what comes after is left out.
        count: of all.
    """

    file: str = ""
    lines: Mapping[Place, int] = field(default_factory=dict[Place, int])
    found: list[RuleProblem] = field(default_factory=list[RuleProblem])
    count: int = 0

    def add(self, place: Place, message: str) -> None:
        """Note one. Its line is that of the nearest value above it that has one."""
        self.count += 1
        if len(self.found) < _MAX_PROBLEMS:
            self.found.append(RuleProblem(self.file, self.line_of(place), told_place(place), message))

    def line_of(self, place: Place) -> int | None:
        """The line on which a value stands."""
        for end in range(len(place), -1, -1):
            line = self.lines.get(place[:end])
            if line is not None:
                return line
        return None
