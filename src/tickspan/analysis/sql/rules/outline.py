"""Where the nodes of a tree stand, and what its queries read from: found in one walk, kept for all rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

__all__ = ["Outline", "Source", "conjuncts", "unwrapped"]

_STATEMENTS: Final = (exp.Select, exp.Update, exp.Delete)
_CLAUSES: Final = (exp.Query, exp.Where, exp.Join, exp.Having, exp.Case)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What a query reads rows from.

    Attributes:
        alias: by which its columns are qualified, in lower case.
        table: of a base table its name, with its namespace if it has one; "" for everything else.
        node: in the tree.
        join: that brings it in; None for what stands first in FROM.
    """

    alias: str
    table: str
    node: exp.Expr
    join: exp.Join | None = None


class Outline:
    """Of one tree, which must not change meanwhile.

    Attributes:
        nodes: all of it, parents first.
        compared: for each query, by its id, and each alias: how columns are compared with constants. Filled
            by those who know what a constant is.
    """

    __slots__ = ("_clauses", "_conditions", "_definers", "_queries", "_sources", "compared", "nodes")

    def __init__(self, tree: exp.Expr) -> None:
        self.nodes: Sequence[exp.Expr] = list(tree.walk())
        self.compared: dict[int, dict[str, list[tuple[type[exp.Expr], str]]]] = {}
        self._queries: dict[int, exp.Expr | None] = {}
        self._clauses: dict[int, exp.Expr | None] = {}
        self._definers: dict[int, exp.Expr | None] = {}
        self._sources: dict[int, Mapping[str, Source]] = {}
        self._conditions: dict[int, tuple[exp.Expr, ...]] = {}
        for node in self.nodes:
            self._place(node, node.parent if node is not tree else None)

    def _place(self, node: exp.Expr, parent: exp.Expr | None) -> None:
        above = id(parent)
        self._queries[id(node)] = parent if isinstance(parent, _STATEMENTS) else self._queries.get(above)
        self._clauses[id(node)] = parent if isinstance(parent, _CLAUSES) else self._clauses.get(above)
        is_definer = node.args.get("with_") is not None
        self._definers[id(node)] = node if is_definer else self._definers.get(above)

    def query(self, node: exp.Expr) -> exp.Expr | None:
        """The SELECT, UPDATE or DELETE around a node."""
        return self._queries.get(id(node))

    def clause(self, node: exp.Expr) -> exp.Expr | None:
        """The WHERE, join, HAVING, CASE or query around a node, whichever is next."""
        return self._clauses.get(id(node))

    def sources(self, query: exp.Expr) -> tuple[Source, ...]:
        """What a SELECT, UPDATE or DELETE reads from, in order, the table that it writes included."""
        return tuple(self.by_alias(query).values())

    def by_alias(self, query: exp.Expr) -> Mapping[str, Source]:
        """The same, by alias; of equal aliases the first."""
        known = self._sources.get(id(query))
        if known is None:
            known = {}
            for source in self._read(query):
                known.setdefault(source.alias, source)
            self._sources[id(query)] = known
        return known

    def conditions(self, query: exp.Expr) -> tuple[exp.Expr, ...]:
        """Conditions that all must hold: of a query's WHERE and of its inner joins."""
        known = self._conditions.get(id(query))
        if known is None:
            known = self._conditions[id(query)] = tuple(self._conjuncts(query))
        return known

    def definition(self, node: exp.Expr) -> exp.Expr | None:
        """The query behind a derived table or the name of a common table expression; None for all others."""
        if isinstance(node, exp.Subquery):
            return node.unnest()
        if not isinstance(node, exp.Table) or node.args.get("db") is not None:
            return None
        name = node.name.casefold()
        definer = self._definers.get(id(node))
        while definer is not None:
            for expression in definer.args["with_"].expressions:
                if expression.alias.casefold() == name:
                    return expression.this
            definer = self._definers.get(id(definer.parent))
        return None

    def base_table(self, node: exp.Expr) -> str:
        """The name of a base table, as written; "" for everything else that rows are read from."""
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            return ""
        return "" if self.definition(node) is not None else ".".join(part.name for part in node.parts)

    def _read(self, query: exp.Expr) -> Iterator[Source]:
        if isinstance(query, exp.Update | exp.Delete):
            yield from self._with_joins(query.this)
        begin = query.args.get("from_")
        if isinstance(begin, exp.From):
            yield from self._with_joins(begin.this)
        for table in query.args.get("using") or ():
            yield from self._with_joins(table)
        for join in query.args.get("joins") or ():
            yield from self._with_joins(join.this, join)

    def _with_joins(self, node: object, join: exp.Join | None = None) -> Iterator[Source]:
        if not isinstance(node, exp.Expr):  # the parser leaves False in a place where it found nothing
            return
        yield Source(node.alias_or_name.casefold(), self.base_table(node), node, join)
        for inner in node.args.get("joins") or ():
            yield from self._with_joins(inner.this, inner)

    def _conjuncts(self, query: exp.Expr) -> Iterator[exp.Expr]:
        where = query.args.get("where")
        yield from conjuncts(where.this if isinstance(where, exp.Where) else None)
        for source in self.sources(query):
            if source.join is not None and source.join.side not in {"LEFT", "FULL"}:
                yield from conjuncts(source.join.args.get("on"))


def unwrapped(node: exp.Expr) -> exp.Expr:
    """Without brackets."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def conjuncts(node: exp.Expr | None) -> Iterator[exp.Expr]:
    """Conditions that all must hold."""
    pending = [] if node is None else [node]
    while pending:
        condition = unwrapped(pending.pop())
        if isinstance(condition, exp.And):
            pending += [condition.expression, condition.this]
        else:
            yield condition
