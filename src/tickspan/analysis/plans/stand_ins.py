"""Values that stand in for placeholders where a database plans no statement without values.

They are made up: of the type of the column beside them, so that an index on it can be used. With
`eq_range_index_dive_limit = 1` MySQL and MariaDB estimate equalities by statistics, whatever the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tickspan.analysis.plans.placeholders import Place, Role, places
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.lexer import tokenise
from tickspan.analysis.sql.schema import Schema, Table
from tickspan.analysis.sql.tokens import PLACEHOLDER

__all__ = ["with_stand_ins"]

_BY_TYPE: Final = (
    (re.compile(r"datetime|timestamp"), "'200{}-01-01 00:00:00'"),
    (re.compile(r"date"), "'200{}-01-01'"),
    (re.compile(r"time"), "'0{}:00:00'"),
    (re.compile(r"year"), "200{}"),
    (re.compile(r"int|dec|numeric|fixed|float|double|real|bit|bool|serial"), "{}"),
)
_TEXT: Final = "'{}'"
"""A text that reads as a number, too."""
_MOST_DIFFERENT: Final = 9
_LIMITS: Final = {Role.LIMIT: "10", Role.OFFSET: "0"}


def with_stand_ins(sql: str, dialect: Dialect, aliases: Mapping[str, str], schema: Schema | None) -> str:
    """`sql` with a made-up value in place of each placeholder.

    Args:
        sql: rendered text of one statement.
        dialect: of it.
        aliases: of its tables, to their names.
        schema: that tells the types of columns; without it all values are texts that read as numbers.
    """
    found = places(sql, dialect)
    values = iter([_value(place, found[:at].count(place), aliases, schema) for at, place in enumerate(found)])
    written: list[str] = []
    for kind, text, spaced, _ in tokenise(sql, dialect):
        written.append((" " if spaced else "") + (next(values) if kind == PLACEHOLDER else text))
    return "".join(written)


def _value(place: Place, before: int, aliases: Mapping[str, str], schema: Schema | None) -> str:
    """A later value for a column that stood `before` so often: no row is above and below the same one."""
    if place.role in _LIMITS:
        return _LIMITS[place.role]
    kind = _type(place, aliases, schema) if place.column and schema is not None else ""
    value = next((value for pattern, value in _BY_TYPE if pattern.search(kind)), _TEXT)
    return value.format(min(before + 1, _MOST_DIFFERENT))


def _type(place: Place, aliases: Mapping[str, str], schema: Schema) -> str:
    for table in _tables(place, aliases, schema):
        column = table.column(place.column)
        if column is not None:
            return column.type.casefold()
    return ""


def _tables(place: Place, aliases: Mapping[str, str], schema: Schema) -> list[Table]:
    qualifier = place.qualifier.casefold()
    names = [name for alias, name in aliases.items() if not qualifier or alias.casefold() == qualifier]
    return [table for name in names if (table := schema.table(name)) is not None]
