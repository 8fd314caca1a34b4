"""All rules about plans, and what each looks with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from tickspan.analysis.findings import Finding, Rule
from tickspan.analysis.plans.context import PlanContext
from tickspan.analysis.plans.rules import (
    generic_plan_worse,
    index_reads_too_much,
    join_without_index,
    misestimate,
    plan_regression,
    planning_dominates,
    pruning_missed,
    seq_scan_selective,
    spill,
    stale_statistics,
    trigger_time,
)

__all__ = ["CHECKS", "RULES", "Check"]

Check: TypeAlias = Callable[[PlanContext], Iterator[Finding]]

_OF_PLANS: Final = (
    seq_scan_selective,
    index_reads_too_much,
    spill,
    misestimate,
    join_without_index,
    stale_statistics,
    generic_plan_worse,
    pruning_missed,
    planning_dominates,
    trigger_time,
    plan_regression,
)

RULES: Final[tuple[Rule, ...]] = tuple(module.RULE for module in _OF_PLANS)
"""All of them."""

CHECKS: Final[tuple[tuple[Rule, Check], ...]] = tuple((module.RULE, module.check) for module in _OF_PLANS)
"""Each rule with the function that looks for it."""
