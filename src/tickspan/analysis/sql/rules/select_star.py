"""All columns of a table are read, whatever they are."""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import Source, sources, table_of

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "select_star",
    Severity.INFO,
    "SELECT * reads and sends columns that nobody asked for, and rules out index-only scans.",
    "Name the columns that are used.",
)
ON: Final = (exp.Select,)

_MANY_COLUMNS: Final = 20
_WIDE: Final = re.compile(r"json|bytea|(?:tiny|medium|long)?blob|xml|(?:medium|long)text")


def check(select: exp.Select, context: Context) -> Finding | None:
    """Of `*` and `t.*` over a base table, outside EXISTS.

    A warning where the schema shows more than 20 columns, or one of type json, bytea, blob or the like.
    """
    if isinstance(select.parent, exp.Exists):
        return None
    tables = [source for source in _starred(select, context) if source.table]
    if not tables:
        return None
    table = context.told(tables[0].table)
    wide = max((_width(source, context) for source in tables), default="")
    return RULE.found(
        f"Every column of {table} is read{f', {wide}' if wide else ''}.",
        {"table": table},
        severity=Severity.WARNING if wide else None,
    )


def _starred(select: exp.Select, context: Context) -> list[Source]:
    among = sources(select, context)
    found: list[Source] = []
    for projection in select.expressions:
        if isinstance(projection, exp.Star):
            found += among
        elif isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star):
            found += [source for source in among if source.alias == projection.table.casefold()]
    return found


def _width(source: Source, context: Context) -> str:
    """What makes the table wide; "" when nothing is known to."""
    table = table_of(source, context)
    if table is None:
        return ""
    if len(table.columns) > _MANY_COLUMNS:
        return f"which has {len(table.columns)} columns"
    wide = next((column for column in table.columns if _WIDE.match(column.type)), None)
    return f"which has a column of type {wide.type}" if wide is not None else ""
