"""A statement got another plan, and is slower for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans.context import PlanContext

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "plan_regression",
    Severity.ERROR,
    "A statement is slower since its plan changed.",
    "Compare both plans; gather statistics anew, or bring back the index that the old plan used.",
)
_MIN_SAMPLES: Final = 30
_TIMES: Final = 2.0


def check(context: PlanContext) -> Iterator[Finding]:
    """When the latest plan's 95th percentile is more than twice that of the plan before it.

    Thirty samples a side at least. The plan before is the last one with another hash.
    """
    if not context.history:
        return
    after = context.history[-1]
    before = next((one for one in reversed(context.history) if one.hash != after.hash), None)
    if before is None or min(before.samples, after.samples) < _MIN_SAMPLES:
        return
    if after.p95_s > _TIMES * before.p95_s:
        yield context.found(
            RULE,
            f"Since its plan changed, p95 is {after.p95_s * 1e3:,.1f} ms, from {before.p95_s * 1e3:,.1f} ms.",
            {
                "before": before.hash,
                "after": after.hash,
                "p95_before_s": before.p95_s,
                "p95_after_s": after.p95_s,
            },
        )
