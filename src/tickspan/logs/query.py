"""Query: what a search asks for, as conditions on lines, and which bytes a line must hold to meet them. Pure.

`level>=WARNING symbol=AAPL "rejected by"`: conditions that all hold. `=`, `!=`, `<`, `<=`, `>`, `>=` compare
a part of the line or a field; anything else is a text that the line holds. Quotes keep blanks together.
"""

from __future__ import annotations

import json
import logging
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tickspan.logs.archive import Frame, is_word_key, number_word, words_of
from tickspan.logs.literals import literal_of

__all__ = ["Condition", "Probe", "Query", "QueryError"]

_HEAD: Final = re.compile(r"(?P<key>[A-Za-z_][\w.\-]*)(?P<op>!=|<=|>=|=|<|>)")
_OPERATORS: Final = "=!<>~"
_KNOWN_OPERATORS: Final = "=, !=, <, <=, > or >="
_GLUE: Final = frozenset({"and", "or", "not", "&&", "||"})
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_PARTS: Final = frozenset(
    {
        "time",
        "level",
        "severity",
        "category",
        "logger",
        "service",
        "pid",
        "event",
        "message",
        "template",
        "uid",
    }
)
_SEVERITIES: Final = {
    "TRACE": 1,
    "DEBUG": 5,
    "INFO": 9,
    "WARN": 13,
    "WARNING": 13,
    "ERROR": 17,
    "FATAL": 21,
    "CRITICAL": 21,
}
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_HIGHEST: Final = 24
_OUTSIDE: Final = frozenset({"code", "exception", "audit"})
"""Parts of a line that hold others, beside `fields`."""


class QueryError(ValueError):
    """A query that cannot be understood; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison with a part of the line or a field."""

    key: str
    op: str
    value: str

    def holds(self, line: Mapping[str, Any]) -> bool:
        """Whether a line meets it. A field that is not there meets `!=` only."""
        if self.key == "level":
            return _compared(int(line.get("severity", 0)), self.op, _severity(self.value), is_level=True)
        found = _found(line, self.key)
        if found is None:
            return self.op == "!="
        if isinstance(found, bool):
            return _compared(json.dumps(found), self.op, self.value.lower())
        if isinstance(found, int | float):
            number = _number(self.value)
            if number is not None:
                return _compared(found, self.op, number)
        return _compared(str(found), self.op, self.value)

    @property
    def last_part(self) -> bytes:
        """What stands behind the name of the field, or of its last part, in each line that has it."""
        return f'{_quoted(self.key.rpartition(".")[2])}":'.encode()

    def probe(self) -> Probe | None:
        """Numbers that lines must have to meet it; None where that cannot be told from a number alone."""
        if self.key == "level":
            wanted = _severity(self.value)
            return Probe(b'"severity":', lambda found: _compared(found, self.op, wanted, is_level=True))
        number = _number(self.value)
        if number is None or self.op == "!=":
            return None
        compare = _COMPARISONS[self.op]
        return Probe(self.last_part, lambda found: compare(found, number))


@dataclass(frozen=True, slots=True)
class Probe:
    """A look at a line before it is parsed.

    Attributes:
        needle: that stands in front of the number.
        holds: whether a number may be the one. What is no number may always be.
    """

    needle: bytes
    holds: Callable[[int | float], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """What a search asks for.

    Attributes:
        conditions: that all hold.
        texts: that the line holds.
        since: as `line.time_text`; "" is any.
        until: the same; lines of that very time are not in it.
        trace: id of a trace; "" is any.
        order: a value that some field has; "" is any.
        grep: an expression that the line's text holds.
    """

    conditions: tuple[Condition, ...] = ()
    texts: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    trace: str = ""
    order: str = ""
    grep: re.Pattern[str] | None = None
    needles: tuple[bytes, ...] = field(default=(), init=False)
    """Bytes that a line which meets the query holds."""
    rare: bytes = field(default=b"", init=False)
    """The one of them that a file is searched for; empty where each line would hold it."""
    probe: Probe | None = field(default=None, init=False)
    """What lines are looked at for where there is no such."""

    def __post_init__(self) -> None:
        needles = tuple(dict.fromkeys(self._needles()))
        object.__setattr__(self, "needles", needles)
        object.__setattr__(self, "rare", max(needles, key=len, default=b""))
        probes = [probe for condition in self.conditions if (probe := condition.probe()) is not None]
        by_number = [probe for probe in probes if probe.needle != b'"severity":']
        object.__setattr__(self, "probe", next(iter([*by_number, *probes]), None))

    @staticmethod
    def of(
        text: str = "",
        *,
        since: str = "",
        until: str = "",
        trace: str = "",
        order: str = "",
        grep: str = "",
    ) -> Query:
        """Read a query.

        Raises:
            QueryError: a part of it cannot be understood.
        """
        conditions: list[Condition] = []
        texts: list[str] = []
        for word in _words(text):
            condition = word.condition()
            if condition is None:
                texts.append(word.text)
            else:
                conditions.append(condition)
        if trace and not _TRACE_ID.fullmatch(trace.lower()):
            raise QueryError(f"expected a trace id of 32 hexadecimal digits, got {trace!r}")
        try:
            pattern = re.compile(grep) if grep else None
        except re.error as error:
            where = "" if error.pos is None else f" at position {error.pos + 1}"
            raise QueryError(f"expected a regular expression, got {grep!r}: {error.msg}{where}") from None
        return Query(tuple(conditions), tuple(texts), since, until, trace.lower(), order, pattern)

    def holds(self, line: Mapping[str, Any], text: str) -> bool:
        """Whether a line, parsed and as it is written, meets all of it."""
        time = str(line.get("time", ""))
        if (self.since and time < self.since) or (self.until and time >= self.until):
            return False
        if self.trace and line.get("trace_id") != self.trace:
            return False
        if self.order and self.order not in words_of(line):
            return False
        if self.grep is not None and not self.grep.search(text):
            return False
        return all(word in text for word in map(_quoted, self.texts)) and all(
            condition.holds(line) for condition in self.conditions
        )

    def may_be_in(self, frame: Frame) -> bool:
        """False only where no line of the frame meets the query, as far as the index tells."""
        if (self.since and frame.last < self.since) or (self.until and frame.first >= self.until):
            return False
        if self.trace and not frame.may_hold(self.trace):
            return False
        if self.order and not frame.may_hold(self.order):
            return False
        return all(_may_hold(frame, condition) for condition in self.conditions)

    def _needles(self) -> Iterator[bytes]:
        if self.trace:
            yield f'"trace_id":"{self.trace}"'.encode()
        if self.order:
            yield _quoted(self.order).encode()
        for condition in self.conditions:
            is_equal = condition.op == "=" and condition.key != "level"
            if is_equal and condition.value and not _is_number(condition.value):
                yield _quoted(condition.value).encode()
        for word in self.texts:
            yield _quoted(word).encode()
        if self.grep is not None:
            yield literal_of(self.grep.pattern).encode()


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a query: its text without quotes, what of it stands before any quote, and where."""

    text: str
    bare: str
    position: int

    def condition(self) -> Condition | None:
        """None for a text. Raises `QueryError`."""
        if self.bare == self.text and self.bare.lower() in _GLUE:
            raise QueryError(
                f"expected a condition at position {self.position}, got {self.text!r}: all conditions hold, "
                'and nothing joins them; quotes make it a text ("and")'
            )
        if self.bare[:1] in set(_OPERATORS):
            raise QueryError(
                f"expected a name before {self.bare[:1]!r} at position {self.position}, as in symbol=AAPL,"
                " without blanks; quotes make it a text"
            )
        head = _HEAD.match(self.bare)
        if head is None:
            return None
        at = self.position + head.end()
        value, bare_value = self.text[head.end() :], self.bare[head.end() :]
        if bare_value[:1] in set(_OPERATORS):
            got = f"{head['op']}{bare_value[:1]}"
            raise QueryError(
                f"expected {_KNOWN_OPERATORS} at position {at - len(head['op'])}, got {got!r}"
                + ("; --grep takes regular expressions" if "~" in got else "")
            )
        if not value and self.bare == self.text:
            raise QueryError(f'expected a value at position {at}, after {head[0]!r}; "" is an empty one')
        if head["key"] == "level" and not _is_severity(value):
            raise QueryError(f"expected a level such as WARNING at position {at}, got {value!r}")
        return Condition(head["key"], head["op"], value)


def _words(text: str) -> Iterator[_Word]:
    """Words between blanks; quotes keep blanks, and in double quotes a backslash keeps the next character."""
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        start, parts, bare = at, list[str](), None
        while at < len(text) and not text[at].isspace():
            if text[at] in "\"'":
                bare = "".join(parts) if bare is None else bare
                quoted, at = _within_quotes(text, at)
                parts.append(quoted)
            else:
                parts.append(text[at])
                at += 1
        joined = "".join(parts)
        is_quoted = bare is not None
        yield _Word(joined, (bare or "") if is_quoted else joined, start + 1)


def _within_quotes(text: str, start: int) -> tuple[str, int]:
    """What stands between quotes, and where the rest begins."""
    quote, found, at = text[start], list[str](), start + 1
    while at < len(text):
        if text[at] == quote:
            return "".join(found), at + 1
        if quote == '"' and text[at] == "\\" and at + 1 < len(text):
            at += 1
        found.append(text[at])
        at += 1
    raise QueryError(
        f"expected a second {quote} for the one at position {start + 1}, got the end of {text!r}"
    )


def _may_hold(frame: Frame, condition: Condition) -> bool:
    if condition.key == "level":
        return any(
            _compared(one, condition.op, _severity(condition.value), is_level=True)
            for one in frame.severities
        )
    if condition.op != "=":
        return True
    if condition.key == "category":
        return condition.value in frame.categories
    path = condition.key.removeprefix("fields.")
    is_field = condition.key not in _PARTS | {"span_id"} and path.partition(".")[0] not in _OUTSIDE
    if not is_field or not condition.value or not is_word_key(path):
        return True
    number = _number(condition.value)
    words = {condition.value} if number is None else {condition.value, number_word(number)}
    return condition.value.lower() in {"true", "false"} or any(map(frame.may_hold, words))


def _found(line: Mapping[str, Any], key: str) -> Any:
    """A part of the line, a field, or what a dotted name leads to."""
    if key in _PARTS or key in {"trace_id", "span_id"}:
        return line.get(key)
    fields: Any = line.get("fields")
    if isinstance(fields, dict) and key in fields:
        return fields[key]
    for root in (fields, line):
        found: Any = root
        for part in key.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, str | int | float | bool):
            return found
    return None


def _compared(found: Any, op: str, wanted: Any, *, is_level: bool = False) -> bool:
    if is_level and op == "=":
        return wanted <= found < wanted + 4
    if is_level and op == "!=":
        return not wanted <= found < wanted + 4
    if is_level and op in {">", "<="}:
        wanted += 3
    return _COMPARISONS[op](found, wanted)


def _severity(name: str) -> int:
    """OTLP's number of a level, 0 for none that is known."""
    known = _SEVERITIES.get(name.upper())
    if known is not None:
        return known
    if name.isascii() and name.isdigit():
        return int(name) if int(name) <= _HIGHEST else 0
    number: Any = logging.getLevelNamesMapping().get(name.upper())
    return 0 if number is None else min(_HIGHEST, max(1, number * 4 // 10 + 1))


def _is_severity(name: str) -> bool:
    return _severity(name) > 0 or name.upper() == "NOTSET"


def _number(text: str) -> int | float | None:
    """As Python reads it; integers stay exact."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _quoted(text: str) -> str:
    """A text as it stands inside of a line."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _is_number(text: str) -> bool:
    """What may be written in several ways: 1, 1.0, 1e0."""
    return _number(text) is not None or text.lower() in {"true", "false"}
