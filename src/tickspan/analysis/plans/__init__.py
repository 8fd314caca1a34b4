"""Plans of queries: one model for all databases, and the rules that read it."""

from tickspan.analysis.plans.model import Plan, PlanNode, PlanSource, Trigger

__all__ = ["Plan", "PlanNode", "PlanSource", "Trigger"]
