"""What a restart of the evaluator changes, and what it does not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.rules.alert import Alert, AlertState, RuleState
from tickspan.analysis.rules.evaluation import Evaluation
from tickspan.analysis.rules.labels import labels_of
from tickspan.analysis.rules.model import (
    Absent,
    Change,
    Condition,
    Event,
    Expression,
    Labels,
    Rule,
    Scope,
    Selector,
    Signal,
    Stat,
    StatName,
    Threshold,
)
from tickspan.analysis.rules.readings import (
    ExplicitBuckets,
    ExponentialBuckets,
    HistogramPoint,
    Occurrence,
    PointKind,
    Reading,
    Sender,
    Worst,
)

WALL = 1_750_000_000.0
BOT = Sender.of({"service.name": "bot", "service.instance.id": "1"})
GROUP: Labels = (("venue", "A"),)
LAST = Stat(StatName.LAST)
PENDING, FIRING, INACTIVE = AlertState.PENDING, AlertState.FIRING, AlertState.INACTIVE


def rule(expression: Expression | None = None, for_s: float = 0.0, threshold: float = 1.0) -> Rule:
    return Rule(
        "R",
        expression or Threshold(Selector("m"), LAST),
        Condition.GT,
        threshold,
        by=("venue",),
        scope=Scope.FLEET,
        for_s=for_s,
    )


def reading(
    value: float | HistogramPoint, kind: PointKind = PointKind.GAUGE, start_s: float = 0.0
) -> Reading:
    return Reading(BOT, "m", kind, {"venue": "A"}, value, start_s)


def restarted(before: Evaluation, now_s: float, outage_s: float, changed: Rule | None = None) -> Evaluation:
    """A new evaluation, on a clock of its own, with what was written."""
    after = Evaluation(changed or before.rule)
    after.restore(json.loads(json.dumps(before.snapshot())), now_s, outage_s)
    return after


def breached(given_rule: Rule, *at_s: float) -> Evaluation:
    evaluation = Evaluation(given_rule)
    for now_s in at_s:
        evaluation.observe(reading(5.0), now_s)
        evaluation.evaluate(now_s, WALL + now_s)
    return evaluation


def the_alert(evaluation: Evaluation) -> Alert:
    (alert,) = evaluation.state.alerts.values()
    return alert


@pytest.mark.parametrize(
    ("for_s", "pending_s", "active_since_s"),
    [
        (599.0, 300.0, None),
        (600.0, 0.0, 100.0),
        (3600.0, 600.0, 100.0 - 600.0),
        (3600.0, 3000.0, 100.0 - 3000.0),
        (3600.0, 3001.0, 100.0 + 600.0 - 3600.0),
        (3600.0, 3590.0, 100.0 + 600.0 - 3600.0),
    ],
    ids=[
        "short",
        "just not short",
        "early",
        "ten minutes left",
        "less than ten minutes left",
        "nearly firing",
    ],
)
def test_for_goes_on_after_an_outage_as_in_prometheus(
    for_s: float, pending_s: float, active_since_s: float | None
) -> None:
    before = breached(rule(for_s=for_s), 5000.0, 5000.0 + pending_s)
    after = restarted(before, 100.0, outage_s=120.0)
    assert [alert.active_since_s for alert in after.state.alerts.values()] == (
        [] if active_since_s is None else [active_since_s]
    )


def test_what_was_firing_fires_on_until_its_group_is_read_again() -> None:
    before = breached(rule(for_s=10.0), 5000.0, 5010.0)
    after = restarted(before, 100.0, outage_s=300.0)
    assert after.evaluate(101.0, WALL) == ()
    assert the_alert(after) == replace(the_alert(before), active_since_s=-210.0, fired_at_s=-200.0)
    after.observe(reading(0.0), 102.0)
    (transition,) = after.evaluate(102.0, WALL)
    assert (transition.previous, transition.alert.state) == (FIRING, INACTIVE)


def test_what_was_firing_ends_when_nothing_is_read_for_the_window() -> None:
    after = restarted(breached(rule(), 5000.0), 100.0, outage_s=300.0)
    assert after.evaluate(159.9, WALL) == ()
    (transition,) = after.evaluate(160.0, WALL)
    assert (transition.alert.state, transition.at_s) == (INACTIVE, 160.0)


def test_a_new_group_breaches_while_others_are_still_waited_for() -> None:
    after = restarted(breached(rule(), 5000.0), 100.0, outage_s=10.0)
    after.observe(Reading(BOT, "m", PointKind.GAUGE, {"venue": "B"}, 9.0), 101.0)
    (transition,) = after.evaluate(101.0, WALL)
    assert dict(transition.alert.labels)["venue"] == "B"
    assert [alert.state for alert in after.state.alerts.values()] == [FIRING, FIRING]


@pytest.mark.parametrize(("outage_s", "is_known"), [(3600.0, True), (3600.1, False), (-1.0, False)])
def test_after_more_than_an_hour_nothing_is_taken_up(outage_s: float, is_known: bool) -> None:
    after = restarted(breached(rule(), 5000.0), 100.0, outage_s)
    assert bool(after.state.alerts) is is_known


def test_increases_across_an_outage_count_and_windows_go_on() -> None:
    counted = rule(Threshold(Selector("m"), Stat(StatName.INCREASE)), threshold=-1.0)
    before = Evaluation(counted)
    for now_s in (5000.0, 5010.0, 5020.0):
        before.observe(reading(now_s - 5000.0, PointKind.COUNTER), now_s)
        before.evaluate(now_s, WALL + now_s)
    after = restarted(before, 100.0, outage_s=15.0)
    after.observe(reading(36.0, PointKind.COUNTER), 101.0)
    after.evaluate(101.0, WALL)
    assert the_alert(after).value == 36.0
    after.observe(reading(36.0, PointKind.COUNTER), 136.0)
    after.evaluate(136.0, WALL)
    assert the_alert(after).value == 26.0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            HistogramPoint(2, 1.0, ExplicitBuckets((1.0, 2.0), (2, 0, 0))),
            HistogramPoint(6, 7.0, ExplicitBuckets((1.0, 2.0), (2, 4, 0))),
        ),
        (
            HistogramPoint(2, 1.0, ExponentialBuckets(0, 1, {1: 1}, {})),
            HistogramPoint(6, 7.0, ExponentialBuckets(0, 1, {1: 1, 0: 4}, {})),
        ),
    ],
    ids=["explicit", "exponential"],
)
def test_histograms_go_on_where_they_were(first: HistogramPoint, second: HistogramPoint) -> None:
    median = rule(Threshold(Selector("m"), Stat(StatName.QUANTILE, 0.5)))
    before = Evaluation(median)
    before.observe(reading(first, PointKind.HISTOGRAM), 5000.0)
    before.evaluate(5000.0, WALL)
    after = restarted(before, 100.0, outage_s=5.0)
    after.observe(reading(second, PointKind.HISTOGRAM), 101.0)
    after.evaluate(101.0, WALL)
    bounds = isinstance(first.buckets, ExplicitBuckets)
    assert the_alert(after).value == pytest.approx(1.5 if bounds else 2**0.5)


def test_a_series_is_not_absent_because_nobody_looked() -> None:
    absent = replace(rule(Absent(Selector("m")), threshold=0.0), window_s=30.0)
    before = Evaluation(absent)
    before.observe(reading(1.0), 5000.0)
    before.evaluate(5010.0, WALL)
    after = restarted(before, 100.0, outage_s=600.0)
    assert [len(after.evaluate(now_s, WALL)) for now_s in (101.0, 119.9, 120.0)] == [0, 0, 1]


def test_events_are_counted_on() -> None:
    event = replace(rule(Event(Signal.SPAN), threshold=1.0), condition=Condition.GT)
    before = Evaluation(event)
    before.happened(Occurrence(BOT, Signal.SPAN, "submit", {"venue": "A"}), 5000.0)
    before.evaluate(5000.0, WALL)
    after = restarted(before, 100.0, outage_s=10.0)
    after.happened(Occurrence(BOT, Signal.SPAN, "submit", {"venue": "A"}), 101.0)
    after.evaluate(101.0, WALL)
    assert the_alert(after).value == 2.0


def test_a_baseline_is_remembered() -> None:
    change = rule(Change(Selector("m"), LAST, baseline_s=600.0), threshold=0.0)
    before = Evaluation(change)
    for now_s in (0.0, 60.0):
        before.observe(reading(10.0 + now_s), now_s)
        before.evaluate(now_s, WALL + now_s)
    after = restarted(before, 7000.0, outage_s=540.0)
    after.observe(reading(20.0), 7000.0)
    after.evaluate(7000.0, WALL + 600.0)
    assert the_alert(after).value == 2.0


def test_of_a_rule_whose_window_is_another_only_the_alerts_are_taken_up() -> None:
    before = breached(rule(), 5000.0)
    after = restarted(before, 100.0, 10.0, replace(rule(), window_s=120.0))
    assert repr(after) == "<Evaluation 'R', 0 groups, 1 alerts>"
    (transition,) = after.evaluate(101.0, WALL)
    assert transition.alert.state is INACTIVE


@pytest.mark.parametrize("snapshot", [{}, {"alerts": [{}]}, {"alerts": 3}, {"alerts": [{"labels": ["x"]}]}])
def test_what_is_no_snapshot_is_an_error(snapshot: dict[str, object]) -> None:
    evaluation = Evaluation(rule())
    with pytest.raises((KeyError, TypeError, ValueError)):
        evaluation.restore(snapshot, 0.0, 0.0)
    assert evaluation.state == RuleState()


times = st.floats(0, 1e6)
alerts = st.builds(
    Alert,
    st.just(labels_of(rule(), GROUP)),
    st.sampled_from((FIRING, INACTIVE)),
    st.floats(allow_nan=False),
    times,
    st.none() | times,
    st.none() | times,
    st.none() | times,
    st.none() | st.just(Worst(1.0, "cafe", "beef")),
)


@given(alerts, times, st.floats(0, 3600))
def test_an_alert_keeps_its_ages_and_the_outage_adds_to_them(
    alert: Alert, now_s: float, outage_s: float
) -> None:
    before = Evaluation(rule())
    before.state = RuleState({alert.labels: alert})
    before._now_s = before._began_s = now_s
    restored = the_alert(restarted(before, 50.0, outage_s))
    moved = 50.0 - outage_s - now_s

    def shifted(at_s: float | None) -> object:
        return None if at_s is None else pytest.approx(at_s + moved, abs=1e-6)

    assert (restored.labels, restored.state, restored.value, restored.worst) == (
        alert.labels,
        alert.state,
        alert.value,
        alert.worst,
    )
    assert [restored.active_since_s, restored.fired_at_s, restored.keep_since_s, restored.resolved_at_s] == [
        shifted(alert.active_since_s),
        shifted(alert.fired_at_s),
        shifted(alert.keep_since_s),
        shifted(alert.resolved_at_s),
    ]
