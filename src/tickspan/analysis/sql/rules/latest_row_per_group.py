"""The newest row of each group is found by reading all rows."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import (
    columns_in,
    comparison,
    conjuncts,
    definition,
    equalities,
    is_time,
    lower_name,
    own,
    ranges,
    sources,
    table_of,
)

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "latest_row_per_group",
    Severity.WARNING,
    "The latest row of each group is found by reading all rows of all groups.",
    "Read the groups, and for each the latest row by an index on (group, time DESC).",
)
ON: Final = (exp.Select,)

_FEW_ROWS: Final = 10_000
_RANKS: Final = (exp.RowNumber, exp.Rank, exp.DenseRank)
_LATERAL: Final = (
    "Read the groups from their own table and for each JOIN LATERAL (SELECT … WHERE {group} = … "
    "ORDER BY {time} DESC LIMIT 1), with an index on {table} ({group}, {time} DESC)."
)
_SCALAR: Final = (
    "Read the groups from their own table and look the latest row up by a subquery with ORDER BY {time} DESC "
    "LIMIT 1, with an index on {table} ({group}, {time} DESC)."
)


def check(select: exp.Select, context: Context) -> Finding | None:
    """Of DISTINCT ON, `row_number() … = 1`, and a self-join or subquery on max(time), over a whole table.

    A condition on the group, a bounded time, or a table known to hold up to 10,000 rows is fine.
    """
    for inner, groups, time in (*_distinct_on(select), *_ranked(select, context), *_maximum(select, context)):
        table = _whole_table(inner, groups, context)
        if table and groups and time:
            names = {
                "table": context.told(table),
                "group": context.told(groups[0]),
                "time": context.told(time),
            }
            has_lateral = context.dialect is Dialect.POSTGRESQL  # MySQL has it since 8.0, MariaDB not
            return RULE.found(
                "All of {table} is read to find the latest row of each {group}.".format(**names),
                names,
                advice=(_LATERAL if has_lateral else _SCALAR).format(**names),
            )
    return None


_Found = tuple[exp.Expr, list[str], str]
"""The query that reads all rows, the columns of its groups, and the column whose largest value is wanted."""


def _distinct_on(select: exp.Select) -> list[_Found]:
    distinct, order = select.args.get("distinct"), select.args.get("order")
    on = distinct.args.get("on") if isinstance(distinct, exp.Distinct) else None
    if not isinstance(on, exp.Expr) or not isinstance(order, exp.Order):
        return []
    groups = [lower_name(column) for column in columns_in(on)]
    return [(select, groups, _sorted_by(order, groups))]


def _sorted_by(order: exp.Order, groups: list[str]) -> str:
    """The first column of the order that is sorted downwards and no group."""
    return next(
        (
            lower_name(item.this)
            for item in order.expressions
            if isinstance(item, exp.Ordered)
            and item.args.get("desc")
            and isinstance(item.this, exp.Column)
            and lower_name(item.this) not in groups
        ),
        "",
    )


def _ranked(select: exp.Select, context: Context) -> list[_Found]:
    where = select.args.get("where")
    firsts = [
        compared[0].name.casefold()
        for condition in conjuncts(where.this if isinstance(where, exp.Where) else None)
        if isinstance(condition, exp.EQ | exp.LTE | exp.LT)
        and (compared := comparison(condition)) is not None
        and isinstance(compared[0], exp.Column)
    ]
    found: list[_Found] = []
    for source in sources(select, context):
        inner = definition(source.node, context)
        for projection in inner.expressions if isinstance(inner, exp.Select) else ():
            window = projection.unalias()
            if isinstance(window, exp.Window) and isinstance(window.this, _RANKS) and inner is not None:
                order = window.args.get("order")
                groups = [
                    lower_name(column)
                    for part in window.args.get("partition_by") or ()
                    for column in columns_in(part)
                ]
                if projection.alias.casefold() in firsts and isinstance(order, exp.Order):
                    found.append((inner, groups, _sorted_by(order, groups)))
    return found


def _maximum(select: exp.Select, context: Context) -> list[_Found]:
    """A table joined with, or filtered by, the largest times of its own groups."""
    tables = {source.table.casefold() for source in sources(select, context) if source.table}
    candidates = [definition(source.node, context) for source in sources(select, context)]
    candidates += [
        node.args["query"].unnest()
        for node in own(select, exp.In)
        if isinstance(node.args.get("query"), exp.Expr)
    ]
    found = [
        (inner, [lower_name(column) for column in columns_in(inner.args["group"])], time)
        for inner in candidates
        if isinstance(inner, exp.Select)
        and isinstance(inner.args.get("group"), exp.Group)
        and (time := _largest(inner))
        and tables & {source.table.casefold() for source in sources(inner, context)}
    ]
    return [*found, *_own_maximum(select, tables, context)]


def _own_maximum(select: exp.Select, tables: set[str], context: Context) -> list[_Found]:
    """`ts = (SELECT max(ts) FROM the same table WHERE the same group)`."""
    found: list[_Found] = []
    for condition in own(select, exp.EQ):
        for side in (condition.this, condition.expression):
            inner = side.unnest() if isinstance(side, exp.Subquery) else None
            if not isinstance(inner, exp.Select) or inner.args.get("group") is not None:
                continue
            own_tables = {source.table.casefold() for source in sources(inner, context)}
            groups = [
                lower_name(equal.this)
                for equal in own(inner, exp.EQ)
                if isinstance(equal.this, exp.Column)
                and isinstance(equal.expression, exp.Column)
                and lower_name(equal.this) == lower_name(equal.expression)
            ]
            if tables & own_tables and groups:
                found.append((select, groups, _largest(inner)))
    return found


def _largest(select: exp.Select) -> str:
    for projection in select.expressions:
        value = projection.unalias()
        if isinstance(value, exp.Max) and isinstance(value.this, exp.Column):
            return lower_name(value.this)
    return ""


def _whole_table(select: exp.Expr, groups: list[str], context: Context) -> str:
    """The base table that `select` reads without a bound; "" when it is bounded, or reads something else."""
    for source in sources(select, context):
        if not source.table:
            continue
        table = table_of(source, context)
        is_small = table is not None and table.rows is not None and table.rows <= _FEW_ROWS
        if is_small or set(equalities(select, source, context)) & set(groups):
            return ""
        return "" if any(is_time(name) for name in ranges(select, source, context)) else source.table
    return ""
