"""Planning takes longer than running."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans.context import PlanContext

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "planning_dominates",
    Severity.WARNING,
    "A statement is planned longer than it runs.",
    "Prepare it, so that its plan is kept; join fewer tables, or touch fewer partitions.",
)
_MIN_S: Final = 0.005


def check(context: PlanContext) -> Iterator[Finding]:
    """When planning took longer than running, and longer than 5 ms."""
    planning, execution = context.plan.planning_s, context.plan.execution_s
    if planning is None or execution is None:
        return
    if planning > execution and planning > _MIN_S:
        yield context.found(
            RULE,
            f"Planning took {planning * 1e3:.1f} ms, running {execution * 1e3:.1f} ms.",
            {"planning_s": planning, "execution_s": execution},
        )
