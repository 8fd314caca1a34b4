"""What each placeholder of a statement stands beside: a column that it is compared with, or a LIMIT."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.lexer import tokenise
from tickspan.analysis.sql.tokens import COMMA, COMPARISON, NAME, OPEN, PLACEHOLDER, Token

__all__ = ["Place", "Role", "places"]


class Role(enum.Enum):
    """What a placeholder is for."""

    COLUMN = "column"
    """Compared with a column, or assigned to it."""
    ARRAY = "array"
    """`= ANY (?)`: an array of the column's values."""
    LIMIT = "limit"
    OFFSET = "offset"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Place:
    """One placeholder; `qualifier` and `column` are "" unless it stands beside a column."""

    role: Role
    qualifier: str = ""
    column: str = ""


_LIMITS = {"LIMIT": Role.LIMIT, "OFFSET": Role.OFFSET, "FETCH": Role.LIMIT}


def places(sql: str, dialect: Dialect) -> tuple[Place, ...]:
    """One for each placeholder of the text, in order; for `$1`, `$2`, … in the order of their numbers."""
    tokens = tokenise(sql, dialect)
    found = [(text, _place(tokens, index)) for index, text in _placeholders(tokens)]
    if dialect is not Dialect.POSTGRESQL:
        return tuple(place for _, place in found)
    by_number: dict[int, Place] = {}
    for text, place in found:
        number = int(text[1:]) if text[1:].isdecimal() else len(by_number) + 1
        if by_number.get(number, _OTHER).role is Role.OTHER:
            by_number[number] = place
    return tuple(by_number.get(number, _OTHER) for number in range(1, max(by_number, default=0) + 1))


_OTHER = Place(Role.OTHER)


def _placeholders(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    return ((index, token[1]) for index, token in enumerate(tokens) if token[0] == PLACEHOLDER)


def _place(tokens: Sequence[Token], index: int) -> Place:
    before = _Behind(tokens, index - 1)
    limit = _LIMITS.get(before.keyword())
    if limit is not None:
        return Place(limit)
    if before.skip_between() or before.take("LIKE", "ILIKE"):
        before.take("NOT")
        return before.column(Role.COLUMN)
    if before.kind() == COMPARISON:
        return before.back().column(Role.COLUMN)
    if before.skip_list():
        return _in_brackets(before)
    ahead = tokens[index + 1 : index + 3]
    if len(ahead) == 2 and ahead[0][0] == COMPARISON:  # noqa: PLR2004 - `? = column`
        return _named(ahead[1], Role.COLUMN)
    return _OTHER


def _in_brackets(before: _Behind) -> Place:
    if before.take("IN"):
        before.take("NOT")
        return before.column(Role.COLUMN)
    if before.take("ANY", "ALL", "SOME") and before.kind() == COMPARISON:
        return before.back().column(Role.ARRAY)
    if before.kind() == COMPARISON:
        return before.back().column(Role.COLUMN)
    return _OTHER


class _Behind:
    """Reads tokens backwards."""

    def __init__(self, tokens: Sequence[Token], at: int) -> None:
        self._tokens = tokens
        self._at = at

    def kind(self) -> int:
        return self._tokens[self._at][0] if self._at >= 0 else 0

    def keyword(self) -> str:
        return self._tokens[self._at][3] if self._at >= 0 else ""

    def back(self) -> _Behind:
        self._at -= 1
        return self

    def take(self, *keywords: str) -> bool:
        if self.keyword() not in keywords:
            return False
        self._at -= 1
        return True

    def skip_list(self) -> bool:
        """`(`, and items of a list before the one at hand."""
        at = self._at
        while at > 0 and self._tokens[at][0] == COMMA and self._tokens[at - 1][0] == PLACEHOLDER:
            at -= 2
        if at < 0 or self._tokens[at][0] != OPEN:
            return False
        self._at = at - 1
        return True

    def skip_between(self) -> bool:
        """`BETWEEN`, or `BETWEEN ? AND`."""
        if self.take("BETWEEN"):
            return True
        at = self._at
        if self.keyword() == "AND" and at > 1 and self._tokens[at - 2][3] == "BETWEEN":
            self._at = at - 3
            return True
        return False

    def column(self, role: Role) -> Place:
        return _named(self._tokens[self._at], role) if self._at >= 0 else _OTHER


def _named(token: Token, role: Role) -> Place:
    kind, text, _, keyword = token
    if kind != NAME or keyword:
        return _OTHER
    qualifier, _, column = text.rpartition(".")
    return Place(role, _bare(qualifier.rpartition(".")[2]), _bare(column))


def _bare(name: str) -> str:
    return name if name[:1] in {'"', "`"} and name.strip('"`') == "" else name.strip('"`')
