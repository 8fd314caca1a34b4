"""Every row of one table meets every row of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import (
    Source,
    columns_in,
    conjuncts,
    definition,
    equalities,
    has_own_rows,
    source_of,
    sources,
)

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "cartesian_join",
    Severity.ERROR,
    "No condition connects two tables of the query: each row of one is joined with each row of the other.",
    "Add the missing condition, or write CROSS JOIN where the product is meant.",
)
ON: Final = (exp.Select, exp.Update, exp.Delete)


def check(query: exp.Expr, context: Context) -> Finding | None:
    """Of a join graph that is not connected.

    Connected are also what CROSS JOIN, NATURAL, USING and LATERAL bring in, functions in FROM, and queries
    of one row; so is a table that is held equal to constants. Where an unqualified column cannot be placed,
    its condition is taken to connect.
    """
    among = sources(query, context)
    if len(among) < 2:  # noqa: PLR2004 - it takes two
        return None
    groups = _Groups(among)
    for aliases in _connections(query, among, context):
        groups.join(aliases)
    other = next((source for source in among if not groups.are_one(source, among[0])), None)
    if other is None:
        return None
    left, right = (context.told(source.table or source.alias) for source in (among[0], other))
    return RULE.found(f"No condition connects {left} with {right}.", {"left": left, "right": right})


class _Groups:
    """Which aliases are connected, whatever is between them."""

    def __init__(self, among: Sequence[Source]) -> None:
        self._above = {source.alias: source.alias for source in among}

    def join(self, aliases: Sequence[str]) -> None:
        for alias in aliases[1:]:
            self._above[self._top(alias)] = self._top(aliases[0])

    def are_one(self, one: Source, other: Source) -> bool:
        return self._top(one.alias) == self._top(other.alias)

    def _top(self, alias: str) -> str:
        while self._above[alias] != alias:
            self._above[alias] = alias = self._above[self._above[alias]]
        return alias


def _connections(query: exp.Expr, among: Sequence[Source], context: Context) -> Iterator[list[str]]:
    """Aliases that a condition, or the way in which they are joined, connects."""
    everyone = [source.alias for source in among]
    for source in among:
        if _needs_no_condition(query, source, context):
            yield [source.alias, everyone[0], *everyone[1:2]]
    for condition in _conditions(query, among):
        columns = columns_in(condition)
        owners = [source_of(column, query, context) for column in columns]
        if None in owners and len(columns) > 1:
            yield everyone
        yield list(dict.fromkeys(owner.alias for owner in owners if owner is not None))
        yield from _through_subqueries(condition, everyone)


def _needs_no_condition(query: exp.Expr, source: Source, context: Context) -> bool:
    join, node = source.join, source.node
    if join is not None and (join.kind == "CROSS" or join.method == "NATURAL" or join.args.get("using")):
        return True
    if not isinstance(node, exp.Table | exp.Subquery) or (
        isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier)
    ):
        return True
    inner = definition(node, context)
    if inner is None:
        return bool(equalities(query, source, context))
    return not has_own_rows(inner) or inner.args.get("limit") is not None


def _conditions(query: exp.Expr, among: Sequence[Source]) -> Iterator[exp.Expr]:
    where = query.args.get("where")
    yield from conjuncts(where.this if isinstance(where, exp.Where) else None)
    for source in among:
        if source.join is not None:
            yield from conjuncts(source.join.args.get("on"))
    for join in (join for source in among for join in source.node.args.get("joins") or ()):
        yield from conjuncts(join.args.get("on"))


def _through_subqueries(condition: exp.Expr, everyone: Sequence[str]) -> Iterator[list[str]]:
    """A subquery in the condition that names several of the tables connects them."""
    named = {column.table.casefold() for column in condition.find_all(exp.Column)}
    if condition.find(exp.Query) is not None:
        yield [alias for alias in everyone if alias in named]
