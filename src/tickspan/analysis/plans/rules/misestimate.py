"""The planner expected far fewer rows than came, and chose its plan for those."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans.context import PlanContext
from tickspan.analysis.plans.model import PlanNode

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "misestimate",
    Severity.WARNING,
    "The planner expected far fewer rows than came.",
    "Gather statistics anew; where columns depend on each other, tell the planner with CREATE STATISTICS.",
)
_WARNING_RATIO: Final = 10
_ERROR_RATIO: Final = 100
_MIN_ROWS: Final = 1_000


def check(context: PlanContext) -> Iterator[Finding]:
    """For each lowest step with ten times as many rows as expected, and 1,000 or more in all.

    Steps above it inherit the error: they are not told. Fewer rows than expected are no finding: a LIMIT or a
    join that ends early looks the same.
    """
    yield from _lowest(context, context.plan.root)


def _lowest(context: PlanContext, node: PlanNode) -> list[Finding]:
    below = [found for child in node.children for found in _lowest(context, child)]
    ratio = _ratio(node)
    if below or ratio <= _WARNING_RATIO:
        return below
    return [_finding(context, node, ratio)]


def _ratio(node: PlanNode) -> float:
    """How many times as many rows came as were expected; 0 where that is not known or they are few."""
    if node.actual_rows is None or node.rows is None:
        return 0.0
    if node.actual_rows * (node.loops or 0.0) < _MIN_ROWS:
        return 0.0
    return node.actual_rows / max(1.0, node.rows)


def _finding(context: PlanContext, node: PlanNode, ratio: float) -> Finding:
    expected, came = node.rows or 0.0, node.actual_rows or 0.0
    place = f"{node.kind} on {node.relation}" if node.relation else node.kind
    return context.found(
        RULE,
        f"{place}: {expected:,.0f} rows were expected, {came:,.0f} came ({ratio:,.0f} times as many).",
        {"step": node.kind, "table": node.relation, "rows_expected": expected, "rows": came},
        severity=Severity.ERROR if ratio > _ERROR_RATIO else None,
        advice=_advice(context, node),
    )


def _advice(context: PlanContext, node: PlanNode) -> str | None:
    table = context.written(node.relation) if node.relation else ""
    if not table:
        return None
    if context.plan.system != "postgresql":
        return f"ANALYZE TABLE {table} PERSISTENT FOR ALL;" if context.plan.system == "mariadb" else None
    columns = [context.quoted(one.column) for one in context.compared_in(node)]
    if len(columns) < 2:  # noqa: PLR2004 - statistics on dependence need two columns
        return f"ANALYZE {table};"
    return f"CREATE STATISTICS ON {', '.join(columns[:8])} FROM {table}; ANALYZE {table};"
