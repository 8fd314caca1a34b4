"""The plan for any value costs far more than the plan for a value that is common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans.context import PlanContext
from tickspan.analysis.plans.model import PlanSource

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "generic_plan_worse",
    Severity.WARNING,
    "The plan of a prepared statement is far worse than one made for its values.",
    "SET plan_cache_mode = force_custom_plan for this statement, or do not prepare it.",
)
_TIMES: Final = 10
_MIN_COST: Final = 100.0


def check(context: PlanContext) -> Iterator[Finding]:
    """When the generic plan costs more than ten times the custom one, and more than 100 in all."""
    generic, custom = context.plan, context.custom
    if custom is None or generic.source is not PlanSource.GENERIC:
        return
    if generic.cost is None or custom.cost is None:
        return
    if generic.cost > _MIN_COST and generic.cost > _TIMES * custom.cost:
        yield context.found(
            RULE,
            f"The generic plan costs {generic.cost:,.0f}, one for a common value {custom.cost:,.0f}.",
            {"generic_cost": generic.cost, "custom_cost": custom.cost},
        )
