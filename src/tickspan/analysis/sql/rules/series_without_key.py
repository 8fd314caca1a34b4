"""Half of a time series' key is left open."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import (
    Source,
    equalities,
    is_time,
    lower_name,
    own,
    ranges,
    source_of,
    sources,
    table_of,
)
from tickspan.analysis.sql.schema import Table

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "series_without_key",
    Severity.WARNING,
    "A time series is read for all keys of a time range, or for all times of a key.",
    "Name the key (symbol, account) and bound the time.",
)
ON: Final = (exp.Select, exp.Update, exp.Delete)

_MANY_ROWS: Final = 10_000


def check(query: exp.Expr, context: Context) -> Finding | None:
    """Of a table with an index on (key, …, time) and more than 10,000 rows, or partitions.

    A time range without the key is fine where an index begins with the time; a key without a time bound is
    fine with LIMIT, with a unique key, or with equality on the first column of another index.
    """
    for source in sources(query, context):
        table = table_of(source, context)
        series = _series(table) if table is not None else None
        if table is None or series is None:
            continue
        found = _half_open(query, source, table, series, context)
        if found is not None:
            return found
    return None


def _series(table: Table) -> tuple[tuple[str, ...], str] | None:
    """The keys and the time of a time series; None for other tables, and for small ones."""
    if not table.is_partitioned and (table.rows is None or table.rows <= _MANY_ROWS):
        return None
    for index in table.indexes:
        keys = [_bare(key) for key in index.columns]
        if len(keys) > 1 and _is_time_of(table, keys[-1]) and not _is_time_of(table, keys[0]):
            return tuple(keys[:-1]), keys[-1]
    return None


def _half_open(
    query: exp.Expr, source: Source, table: Table, series: tuple[tuple[str, ...], str], context: Context
) -> Finding | None:
    keys, time = series
    equal = {*equalities(query, source, context), *_joined(query, source, context)}
    is_bounded = time in equal or time in ranges(query, source, context)
    name = context.told(source.table)
    if is_bounded and not equal and not _leads_an_index(table, {time}):
        return RULE.found(
            f"{name} is read for a range of {time} and every {keys[0]}.",
            {"table": name, "lacks": keys[0]},
            advice=f"Name {keys[0]}, or create an index that begins with {time}.",
        )
    if is_bounded or keys[0] not in equal or query.args.get("limit") is not None:
        return None
    if table.has_unique_key(equal) or _leads_an_index(table, equal - set(keys)):
        return None
    return RULE.found(
        f"{name} is read for one {keys[0]} and all of its {time}.",
        {"table": name, "lacks": time},
        advice=f"Bound {time}, or add ORDER BY {time} DESC LIMIT.",
    )


def _joined(query: exp.Expr, source: Source, context: Context) -> list[str]:
    """Columns that are held equal to another table's."""
    found: list[str] = []
    for condition in own(query, exp.EQ):
        columns = [side for side in (condition.this, condition.expression) if isinstance(side, exp.Column)]
        owners = [source_of(column, query, context) for column in columns]
        found += [
            lower_name(column)
            for column, owner in zip(columns, owners, strict=True)
            if owner is source and len(set(map(id, owners))) > 1
        ]
    return found


def _leads_an_index(table: Table, names: set[str]) -> bool:
    return any(index.columns and _bare(index.columns[0]) in names for index in table.indexes)


def _is_time_of(table: Table, name: str) -> bool:
    column = table.column(name)
    return is_time(name, column.type if column is not None else "")


def _bare(key: str) -> str:
    return key.casefold().removesuffix(" desc").strip('"`')
