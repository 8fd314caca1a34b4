"""A subquery that is run for each row."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import column_of, equalities, outline_of, own, sources, table_of

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "correlated_subquery",
    Severity.WARNING,
    "A scalar subquery that names columns of the outer query runs once for each of its rows.",
    "Join with the grouped subquery, or in PostgreSQL use LEFT JOIN LATERAL.",
)
ON: Final = (exp.Subquery,)

_WRITES: Final = (exp.Update, exp.Delete)


def check(node: exp.Subquery, context: Context) -> Finding | None:
    """Of a scalar subquery in a SELECT's columns or WHERE, or in an UPDATE.

    Fine are EXISTS and LATERAL, LIMIT 1 inside (one index look-up), a row-per-group maximum (a rule of its
    own), and an outer query that is limited or looks one row up by a unique key.
    """
    inner = node.this
    outer = outline_of(node, context).query(node)
    if isinstance(node.parent, exp.Query | exp.Exists | exp.Lateral | exp.From | exp.Join | exp.In):
        outer = node.parent if isinstance(node.parent, exp.Select) else None
    if not isinstance(inner, exp.Select) or not isinstance(outer, (exp.Select, *_WRITES)):
        return None
    if (
        inner.args.get("limit") is not None
        or not sources(inner, context)
        or _is_bounded(outer, node, context)
    ):
        return None
    named = _outer_columns(inner, outer, context)
    if not named or _is_latest_row(inner, outer, context):
        return None
    tables = ", ".join(context.told(source.table) for source in sources(inner, context) if source.table)
    return RULE.found(
        f"A subquery over {tables or 'a derived table'} runs once for each row of the outer query.",
        {"tables": tables, "outer_column": context.told(named[0].name)},
    )


def _outer_columns(inner: exp.Select, outer: exp.Expr, context: Context) -> list[exp.Column]:
    """Columns inside that belong outside; unqualified ones where the schema knows all tables inside."""
    outline = outline_of(inner, context)
    inside = [source for select in inner.find_all(exp.Select) for source in outline.sources(select)]
    aliases = outline.by_alias(outer).keys() - {source.alias for source in inside}
    tables = [table_of(source, context) for source in inside]
    known = [table for table in tables if table is not None]

    def is_outer(column: exp.Column) -> bool:
        if column.table or len(known) < len(tables):
            return column.table.casefold() in aliases
        is_inside = any(table.column(column.name) is not None for table in known)
        return not is_inside and column_of(column, outer, context) is not None

    return [column for column in inner.find_all(exp.Column) if is_outer(column)]


def _is_bounded(outer: exp.Expr, node: exp.Subquery, context: Context) -> bool:
    is_projected = any(
        node is found
        for projection in outer.expressions
        for found in (projection, *own(projection, exp.Subquery))
    )
    if is_projected and outer.args.get("limit") is not None:
        return True
    among = sources(outer, context)
    tables = [(source, table_of(source, context)) for source in among]
    return bool(tables) and all(
        table is not None and table.has_unique_key(equalities(outer, source, context))
        for source, table in tables
    )


def _is_latest_row(inner: exp.Select, outer: exp.Expr, context: Context) -> bool:
    """`(SELECT max(ts) FROM t AS other WHERE …)` of the outer table itself."""
    tables = {source.table.casefold() for source in sources(inner, context)}
    outside = {source.table.casefold() for source in sources(outer, context) if source.table}
    return (
        len(tables) == 1
        and tables <= outside
        and isinstance(inner.expressions[0].unalias(), exp.Max | exp.Min)
    )
