"""The tier: which of the evaluators, from the process itself to Prometheus, decides about a rule."""

from __future__ import annotations

import enum
from collections.abc import Set as AbstractSet
from typing import Final

from tickspan.analysis.rules.model import (
    Burn,
    Change,
    Condition,
    Event,
    Expression,
    NoData,
    Owner,
    Rule,
    Scope,
    StatName,
    Threshold,
)

__all__ = ["PROCESS_WINDOW_S", "Tier", "evaluates", "evaluators_of", "owner_of", "reach_of"]

PROCESS_WINDOW_S: Final = 3600.0
"""The farthest that a process looks back."""


class Tier(enum.StrEnum):
    """An evaluator."""

    PROCESS = "process"
    AGENT = "agent"
    GATEWAY = "gateway"
    PROMETHEUS = "prometheus"


_SLOWEST_FIRST: Final = (Tier.PROMETHEUS, Tier.GATEWAY, Tier.AGENT, Tier.PROCESS)
_ADDED_UP: Final = frozenset({StatName.INCREASE, StatName.RATE, StatName.COUNT, StatName.MAX})
"""Statistics of which the whole is never less than a part."""
_UPWARDS: Final = frozenset({Condition.GT, Condition.GE})


def evaluates(rule: Rule, tier: Tier, configured: AbstractSet[Tier]) -> bool:
    """Whether a tier evaluates a rule.

    A process sees itself only: of rules over services or the fleet it evaluates those whose breach here is a
    breach there. The agent takes such rules when nothing slower is configured. Prometheus has no spans and no
    log events, and cannot keep an alert as it is without data.

    Args:
        rule: the rule.
        tier: asked about; whether it is configured makes no difference.
        configured: tiers that there are.
    """
    match tier:
        case Tier.PROCESS:
            return reach_of(rule) <= PROCESS_WINDOW_S and (
                rule.scope is Scope.PROCESS
                or (rule.scope in {Scope.SERVICE, Scope.FLEET} and _is_implied_by_a_part(rule))
            )
        case Tier.AGENT:
            is_local = rule.scope in {Scope.PROCESS, Scope.HOST}
            return is_local or not {Tier.GATEWAY, Tier.PROMETHEUS} & configured
        case Tier.GATEWAY:
            return True
        case Tier.PROMETHEUS:
            return not isinstance(rule.expression, Event) and rule.no_data is not NoData.KEEP


def evaluators_of(rule: Rule, configured: AbstractSet[Tier]) -> tuple[Tier, ...]:
    """The configured tiers that evaluate a rule, slowest first."""
    return tuple(tier for tier in _SLOWEST_FIRST if tier in configured and evaluates(rule, tier, configured))


def owner_of(rule: Rule, configured: AbstractSet[Tier]) -> Tier | None:
    """The tier that alone resolves a rule's alerts; None when no configured tier evaluates the rule.

    The rule's own choice stands if that tier is configured and evaluates the rule; else it is the slowest.
    """
    evaluators = evaluators_of(rule, configured)
    if rule.owner is not Owner.AUTO:
        wanted = Tier(rule.owner.value)
        if wanted in evaluators:
            return wanted
    return evaluators[0] if evaluators else None


def reach_of(rule: Rule) -> float:
    """How far back a rule looks, in seconds."""
    return _reach_of(rule.expression, rule.window_s)


def _reach_of(expression: Expression, window_s: float) -> float:
    match expression:
        case Change():
            return expression.baseline_s + window_s
        case Burn():
            return max((window.long_s for window in expression.windows), default=window_s)
        case _:
            return window_s


def _is_implied_by_a_part(rule: Rule) -> bool:
    """Whether a breach in one process is one in the service and the fleet, whatever the others do."""
    if rule.condition not in _UPWARDS or rule.no_data is NoData.FIRE:
        return False
    match rule.expression:
        case Event():
            return True
        case Threshold():
            return rule.expression.stat.name in _ADDED_UP
        case _:
            return False
