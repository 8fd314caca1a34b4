"""NOT IN over values of which one may be NULL."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import column_of, conjuncts, lower_name

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "not_in_nullable",
    Severity.WARNING,
    "NOT IN finds nothing at all once its subquery yields one NULL, and cannot become an anti-join.",
    "Use NOT EXISTS (SELECT 1 FROM … WHERE inner.column = outer.column).",
)
ON: Final = (exp.Not, exp.NEQ)


def check(node: exp.Expr, context: Context) -> Finding | None:
    """Of `NOT IN (SELECT …)`, `<> ALL (SELECT …)`, and NOT IN over a list with NULL in it.

    A column that the schema declares NOT NULL, or the query itself with IS NOT NULL, is fine; so is, without
    a schema, one that is named `id`.
    """
    negated = node.this if isinstance(node, exp.Not) else node.expression
    if isinstance(negated, exp.In) and any(isinstance(item, exp.Null) for item in negated.expressions):
        return RULE.found(
            "NOT IN over a list that holds NULL is never true.", {}, advice="Leave NULL out of the list."
        )
    query = _subquery(negated)
    if not isinstance(query, exp.Select) or len(query.expressions) != 1:
        return None
    column = query.expressions[0].unalias()
    if not isinstance(column, exp.Column) or _is_never_null(column, query, context):
        return None
    name = context.told(column.name)
    return RULE.found(f"NOT IN over {name}, which may be NULL.", {"column": name})


def _subquery(negated: exp.Expr) -> exp.Expr | None:
    query = negated.args.get("query") if isinstance(negated, exp.In) else None
    if isinstance(negated, exp.All):
        query = negated.this
    return query.unnest() if isinstance(query, exp.Expr) else None


def _is_never_null(column: exp.Column, query: exp.Select, context: Context) -> bool:
    where = query.args.get("where")
    for condition in conjuncts(where.this if isinstance(where, exp.Where) else None):
        tested = condition.this if isinstance(condition, exp.Not) else condition
        is_negated = isinstance(condition, exp.Not) or bool(condition.args.get("negate"))
        if isinstance(tested, exp.Is) and is_negated and lower_name(tested.this) == lower_name(column):
            return True
    known = column_of(column, query, context)
    if known is not None:
        return not known[1].is_nullable
    return lower_name(column) == "id"
