"""Rules about traces, one module each: `RULE`, and a pure `check`."""

from tickspan.analysis.traces.rules.registry import CHECKS, RULES, Check

__all__ = ["CHECKS", "RULES", "Check"]
