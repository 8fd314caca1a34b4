"""Triggers and constraints take a large part of a statement's time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans.context import PlanContext

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "trigger_time",
    Severity.WARNING,
    "Triggers or foreign keys take a large part of a statement's time.",
    "Index the columns that the trigger or the foreign key looks up, or write fewer rows per statement.",
)
_MIN_SHARE: Final = 0.3
_MIN_S: Final = 0.001


def check(context: PlanContext) -> Iterator[Finding]:
    """When triggers took more than 30 % of the execution, and more than 1 ms."""
    execution = context.plan.execution_s
    timed = [trigger for trigger in context.plan.triggers if trigger.time_s is not None]
    total = sum(trigger.time_s or 0.0 for trigger in timed)
    if not execution or total <= _MIN_S or total <= _MIN_SHARE * execution:
        return
    worst = max(timed, key=lambda trigger: trigger.time_s or 0.0)
    yield context.found(
        RULE,
        f"Triggers took {total * 1e3:.1f} of {execution * 1e3:.1f} ms, {worst.name} on {worst.relation}.",
        {"trigger": worst.name, "table": worst.relation, "calls": worst.calls, "trigger_s": total},
    )
