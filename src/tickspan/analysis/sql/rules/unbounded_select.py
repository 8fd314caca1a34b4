"""Nothing bounds how many rows come back."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import (
    Source,
    equalities,
    has_own_rows,
    is_time,
    outline_of,
    ranges,
    sources,
    table_of,
)
from tickspan.analysis.sql.schema import Table

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "unbounded_select",
    Severity.WARNING,
    "A SELECT without LIMIT reads a large table, and the program holds all of it.",
    "Add LIMIT and page by key, bound the time range, or read with a server-side cursor.",
)
ON: Final = (exp.Select,)

_MANY_ROWS: Final = 10_000
# What PostgreSQL's planner assumes of a condition without statistics: `utils/selfuncs.h`.
_EQUAL_SHARE: Final = 0.005
_ONE_BOUND_SHARE: Final = 1 / 3
_TWO_BOUNDS_SHARE: Final = 0.005


def check(select: exp.Select, context: Context) -> Finding | None:
    """Of the outermost SELECT, where the schema tells sizes: more than 10,000 rows are to be expected.

    LIMIT, an aggregate, a unique key and a bounded time range are bounds; so is a condition that leaves
    fewer rows of a table that is joined. What a subquery leaves is not known. The estimate takes the
    columns' numbers of distinct values, and the shares that PostgreSQL's planner assumes without them.
    """
    if select.parent is not None or select.args.get("limit") is not None or select.args.get("group"):
        return None
    if not has_own_rows(select) or select.args.get("distinct") is not None:
        return None
    if any(condition.find(exp.Query) for condition in outline_of(select, context).conditions(select)):
        return None
    restricted: list[float] = []
    largest = ("", 0.0)
    for source in sources(select, context):
        table = table_of(source, context)
        if table is None or table.rows is None:
            if _conditions(select, source, context):
                restricted.append(0.0)
            continue
        rows = _expected(select, source, table, context)
        if _conditions(select, source, context):
            restricted.append(rows)
        if rows > largest[1]:
            largest = (source.table, rows)
    if largest[1] <= _MANY_ROWS or any(rows <= _MANY_ROWS for rows in restricted):
        return None
    table_name, rows = context.told(largest[0]), round(largest[1])
    return RULE.found(
        f"SELECT from {table_name} has no LIMIT, and some {rows:,} rows are to be expected.",
        {"table": table_name, "rows": rows},
    )


def _conditions(select: exp.Select, source: Source, context: Context) -> list[str]:
    return equalities(select, source, context) + ranges(select, source, context)


def _expected(select: exp.Select, source: Source, table: Table, context: Context) -> float:
    """Rows of one table that its own conditions leave."""
    equal = equalities(select, source, context)
    bounds = ranges(select, source, context)
    if table.has_unique_key(equal):
        return 1.0
    rows = float(table.rows or 0)
    for name in set(equal):
        column = table.column(name)
        distinct = column.distinct if column is not None else None
        rows *= 1 / distinct if distinct else _EQUAL_SHARE
    for name in set(bounds):
        column = table.column(name)
        if is_time(name, column.type if column is not None else ""):
            return 0.0
        rows *= _TWO_BOUNDS_SHARE if bounds.count(name) > 1 else _ONE_BOUND_SHARE
    return rows
