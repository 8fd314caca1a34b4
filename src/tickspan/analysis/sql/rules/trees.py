"""What rules ask of a tree: which tables a query reads, what its conditions compare, how a piece reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from tickspan.analysis.sql.parsed import sqlglot_dialect
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.outline import Outline, Source, conjuncts, unwrapped
from tickspan.analysis.sql.schema import Column, Table
from tickspan.analysis.sql.statement import canonicalise

__all__ = [
    "COMPARISONS",
    "Source",
    "column_of",
    "columns_in",
    "comparison",
    "conjuncts",
    "definition",
    "equalities",
    "has_own_rows",
    "is_constant",
    "is_time",
    "lower_name",
    "outline_of",
    "own",
    "ranges",
    "shown",
    "source_of",
    "sources",
    "table_of",
    "unwrapped",
]

COMPARISONS: Final = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ)
_EQUALITIES: Final = (exp.EQ, exp.In, exp.NullSafeEQ)
_RANGES: Final = (exp.GT, exp.GTE, exp.LT, exp.LTE)
_TIME_NAME: Final = re.compile(r"(?:^|_)(?:ts|time|timestamp|date|datetime|day|at)$")
_TIME_TYPE: Final = re.compile(r"(?:timestamp|datetime|date)\b")


def outline_of(node: exp.Expr, context: Context) -> Outline:
    """The outline of the tree at hand; of a node's own tree, where nobody has made one."""
    return Outline(node.root()) if context.outline is None else context.outline


def sources(query: exp.Expr, context: Context) -> tuple[Source, ...]:
    """What a SELECT, UPDATE or DELETE reads from, in order, the table that it writes included."""
    return outline_of(query, context).sources(query)


def definition(node: exp.Expr, context: Context) -> exp.Expr | None:
    """The query behind a derived table or the name of a common table expression; None for all others."""
    return outline_of(node, context).definition(node)


def table_of(source: Source, context: Context) -> Table | None:
    """What the schema knows of a base table."""
    return context.schema.table(source.table) if source.table else None


def source_of(column: exp.Column, query: exp.Expr, context: Context) -> Source | None:
    """Where a column of a query comes from; None when that is not certain."""
    among = outline_of(query, context).by_alias(query)
    if column.table:
        return among.get(column.table.casefold())
    if len(among) == 1:
        return next(iter(among.values()))
    tables = [(source, table_of(source, context)) for source in among.values()]
    if any(table is None for _, table in tables):
        return None
    owners = [source for source, table in tables if table is not None and table.column(column.name)]
    return owners[0] if len(owners) == 1 else None


def column_of(column: exp.Expr, query: exp.Expr | None, context: Context) -> tuple[Table, Column] | None:
    """What the schema knows of a column of a query."""
    if query is None or not isinstance(column, exp.Column) or not len(context.schema):
        return None
    source = source_of(column, query, context)
    table = table_of(source, context) if source is not None else None
    known = table.column(column.name) if table is not None else None
    return (table, known) if table is not None and known is not None else None


def own(node: exp.Expr, *kinds: type[exp.Expr]) -> Iterator[exp.Expr]:
    """Nodes of these kinds below `node`, without those of queries inside it."""
    yield from (
        found
        for found in node.walk(prune=lambda inner: inner is not node and isinstance(inner, exp.Query))
        if found is not node and isinstance(found, kinds)
    )


def columns_in(node: exp.Expr) -> list[exp.Column]:
    """Columns in `node`, itself included, without those of queries inside it."""
    inside = [found for found in own(node, exp.Column) if isinstance(found, exp.Column)]
    return [node, *inside] if isinstance(node, exp.Column) else inside


def is_constant(node: exp.Expr) -> bool:
    """Whether a value is the same for every row: literals, parameters, `now()`, and what is made of them."""
    return node.find(exp.Column, exp.Query, exp.Star, exp.AggFunc, exp.Window) is None


def comparison(node: exp.Expr) -> tuple[exp.Expr, exp.Expr] | None:
    """What a comparison compares with a constant, and that constant; None for other conditions."""
    if isinstance(node, exp.In) and node.expressions:
        return (node.this, node.expressions[0]) if all(map(is_constant, node.expressions)) else None
    if isinstance(node, exp.Between):
        low, high = node.args["low"], node.args["high"]
        return (node.this, low) if is_constant(low) and is_constant(high) else None
    if not isinstance(node, (*COMPARISONS, exp.Like, exp.ILike)):
        return None
    left, right = unwrapped(node.this), unwrapped(node.expression)
    if is_constant(right):
        return None if is_constant(left) else (left, right)
    return (right, left) if is_constant(left) else None


def equalities(query: exp.Expr, source: Source, context: Context) -> list[str]:
    """Columns of `source`, in lower case, that WHERE and joins hold equal to a constant or a list of them."""
    return [name for kind, name in _compared(query, source, context) if issubclass(kind, _EQUALITIES)]


def ranges(query: exp.Expr, source: Source, context: Context) -> list[str]:
    """Columns of `source`, in lower case, that are bounded by constants; once for each bound."""
    return [
        name
        for kind, name in _compared(query, source, context)
        if issubclass(kind, (*_RANGES, exp.Between))
        for _ in range(2 if issubclass(kind, exp.Between) else 1)
    ]


def _compared(query: exp.Expr, source: Source, context: Context) -> list[tuple[type[exp.Expr], str]]:
    """How columns of `source` are compared with constants."""
    outline = outline_of(query, context)
    known = outline.compared.get(id(query))
    if known is None:
        known = outline.compared[id(query)] = {}
        for condition in outline.conditions(query):
            compared = comparison(condition)
            column = compared[0] if compared is not None else None
            owner = source_of(column, query, context) if isinstance(column, exp.Column) else None
            if column is not None and owner is not None:
                known.setdefault(owner.alias, []).append((type(condition), column.name.casefold()))
    return known.get(source.alias, [])


def has_own_rows(query: exp.Expr) -> bool:
    """Whether a query hands out rows of its tables; False when it makes at most one of them all."""
    if not isinstance(query, exp.Select) or query.args.get("group") is not None:
        return True
    if query.args.get("from_") is None:
        return False
    return not any(
        found.find_ancestor(exp.Window, exp.Select) is query
        for projection in query.expressions
        for found in (projection, *own(projection, exp.AggFunc))
        if isinstance(found, exp.AggFunc)
    )


def is_time(name: str, type_: str = "") -> bool:
    """Whether a column holds points in time, by its type or, without one, by its name."""
    return bool(_TIME_TYPE.match(type_) if type_ else _TIME_NAME.search(name.casefold()))


def lower_name(node: exp.Expr) -> str:
    """The name of a column or table, in lower case."""
    return node.name.casefold()


def shown(node: exp.Expr, context: Context) -> str:
    """A piece of SQL as findings may show it: canonical text."""
    masked = node.copy().transform(_masked, context)
    return canonicalise(masked.sql(dialect=sqlglot_dialect(context.dialect)), context.dialect).text


def _masked(node: exp.Expr, context: Context) -> exp.Expr:
    if isinstance(node, exp.Literal | exp.Boolean | exp.Parameter):
        return exp.Placeholder()
    if isinstance(node, exp.Identifier) and node.name.casefold() not in context.names:
        return exp.to_identifier("unknown")
    return node
