"""Rules about plans, one module each: `RULE`, and a pure `check`."""

from tickspan.analysis.plans.rules.registry import CHECKS, RULES, Check

__all__ = ["CHECKS", "RULES", "Check"]
