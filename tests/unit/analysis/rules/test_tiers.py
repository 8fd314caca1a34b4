"""Tiers: who evaluates a rule, and who resolves it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tickspan.analysis.rules.model import (
    Absent,
    Burn,
    BurnWindow,
    Change,
    Condition,
    Event,
    NoData,
    Owner,
    Ratio,
    Rule,
    Scope,
    Selector,
    Signal,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.tiers import Tier, evaluates, evaluators_of, owner_of

METRIC = Selector("desk.trades")
P95 = Threshold(METRIC, Stat(StatName.QUANTILE, 0.95))
RULE = Rule("rule", P95, Condition.GT, 1.0)
ALL = frozenset(Tier)
LOCAL = frozenset({Tier.PROCESS, Tier.AGENT})


def who(rule: Rule, configured: frozenset[Tier] = ALL) -> str:
    """Initials, slowest first."""
    return " ".join(tier.value for tier in evaluators_of(rule, configured))


@pytest.mark.parametrize(
    ("scope", "configured", "evaluators"),
    [
        (Scope.PROCESS, ALL, "prometheus gateway agent process"),
        (Scope.HOST, ALL, "prometheus gateway agent"),
        (Scope.SERVICE, ALL, "prometheus gateway"),
        (Scope.FLEET, ALL, "prometheus gateway"),
        (Scope.FLEET, LOCAL, "agent"),
        (Scope.SERVICE, LOCAL | {Tier.PROMETHEUS}, "prometheus"),
    ],
)
def test_a_scope_is_evaluated_where_all_of_it_is_seen(
    scope: Scope, configured: frozenset[Tier], evaluators: str
) -> None:
    assert who(replace(RULE, scope=scope), configured) == evaluators


@pytest.mark.parametrize(
    ("expression", "condition", "no_data", "is_seen_here"),
    [
        (Threshold(METRIC, Stat(StatName.INCREASE)), Condition.GT, NoData.OK, True),
        (Threshold(METRIC, Stat(StatName.RATE)), Condition.GE, NoData.OK, True),
        (Threshold(METRIC, Stat(StatName.COUNT)), Condition.GT, NoData.OK, True),
        (Threshold(METRIC, Stat(StatName.MAX)), Condition.GT, NoData.OK, True),
        (Threshold(METRIC, Stat(StatName.MAX)), Condition.LT, NoData.OK, False),
        (Threshold(METRIC, Stat(StatName.INCREASE)), Condition.GT, NoData.FIRE, False),
        (Threshold(METRIC, Stat(StatName.AVG)), Condition.GT, NoData.OK, False),
        (P95, Condition.GT, NoData.OK, False),
        (Event(Signal.SPAN, "order"), Condition.GE, NoData.OK, True),
        (Ratio(METRIC, METRIC), Condition.GT, NoData.OK, False),
        (Absent(METRIC), Condition.GT, NoData.OK, False),
    ],
)
def test_a_process_evaluates_what_others_can_only_add_to(
    expression: Threshold | Event | Ratio | Absent, condition: Condition, no_data: NoData, is_seen_here: bool
) -> None:
    rule = replace(RULE, expression=expression, condition=condition, no_data=no_data, scope=Scope.FLEET)
    assert evaluates(rule, Tier.PROCESS, ALL) is is_seen_here


@pytest.mark.parametrize(
    ("expression", "window_s", "is_seen_here"),
    [
        (P95, 3600.0, True),
        (P95, 3601.0, False),
        (Change(METRIC, Stat(StatName.AVG), 3000.0), 600.0, True),
        (Change(METRIC, Stat(StatName.AVG), 3001.0), 600.0, False),
        (Burn("slo", "bot", METRIC, 0.99, (BurnWindow(14.4, 3600.0, 300.0),)), 60.0, True),
        (Burn("slo", "bot", METRIC, 0.99, (BurnWindow(6.0, 21_600.0, 1800.0),)), 60.0, False),
    ],
)
def test_a_process_looks_back_for_an_hour_at_most(
    expression: Threshold | Change | Burn, window_s: float, is_seen_here: bool
) -> None:
    rule = replace(RULE, expression=expression, window_s=window_s)
    assert evaluates(rule, Tier.PROCESS, ALL) is is_seen_here


def test_prometheus_knows_no_events_and_keeps_nothing_without_data() -> None:
    event = replace(RULE, expression=Event(Signal.LOG, "rejected"), condition=Condition.GE)
    assert (who(event), who(replace(RULE, no_data=NoData.KEEP))) == (
        "gateway agent process",
        "gateway agent process",
    )


@pytest.mark.parametrize(
    ("owner", "configured", "owned_by"),
    [
        (Owner.AUTO, ALL, Tier.PROMETHEUS),
        (Owner.AUTO, LOCAL, Tier.AGENT),
        (Owner.AUTO, frozenset({Tier.PROCESS}), Tier.PROCESS),
        (Owner.PROCESS, ALL, Tier.PROCESS),
        (Owner.GATEWAY, LOCAL, Tier.AGENT),
        (Owner.AUTO, frozenset[Tier](), None),
    ],
)
def test_the_slowest_tier_that_is_there_resolves_unless_the_rule_names_one(
    owner: Owner, configured: frozenset[Tier], owned_by: Tier | None
) -> None:
    assert owner_of(replace(RULE, owner=owner), configured) is owned_by
