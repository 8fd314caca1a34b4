"""All rules over statements, and which of them looks at which nodes of a tree."""

from __future__ import annotations

from typing import Any, Final, Protocol

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule
from tickspan.analysis.sql.rules import (
    cartesian_join,
    correlated_subquery,
    ddl_at_runtime,
    function_on_column,
    implicit_cast,
    latest_row_per_group,
    lock_without_limit,
    max_id_plus_one,
    money_as_float,
    naive_timestamp,
    not_in_nullable,
    order_by_random,
    select_star,
    series_without_key,
    unbounded_select,
)
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.tokens import TOKEN_RULES

__all__ = ["RULES", "TREE_RULES", "TreeRule"]


class TreeRule(Protocol):
    """A module of a rule over trees."""

    @property
    def RULE(self) -> Rule:  # noqa: N802 - a module's constant
        """What it looks for."""
        ...

    @property
    def ON(self) -> tuple[type[exp.Expr], ...]:  # noqa: N802 - a module's constant
        """Nodes that `check` takes."""
        ...

    def check(
        self, node: Any, context: Context, /
    ) -> Finding | None:  # of a type in `ON`, which no checker can say
        """What is wrong with one node."""
        ...


TREE_RULES: Final[tuple[TreeRule, ...]] = (
    select_star,
    unbounded_select,
    function_on_column,
    not_in_nullable,
    order_by_random,
    correlated_subquery,
    lock_without_limit,
    ddl_at_runtime,
    money_as_float,
    naive_timestamp,
    series_without_key,
    latest_row_per_group,
    cartesian_join,
    implicit_cast,
    max_id_plus_one,
)

RULES: Final[tuple[Rule, ...]] = (*TOKEN_RULES, *(module.RULE for module in TREE_RULES))
"""Token rules, then those over trees."""
