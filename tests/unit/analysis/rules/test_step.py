"""What an evaluation makes of a rule's alerts; at the end, Prometheus's own algorithm beside ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from tickspan.analysis.rules.alert import Alert, AlertState, Reason, RuleState, Transition
from tickspan.analysis.rules.model import Condition, Labels, NoData, Rule, Selector, Stat, StatName, Threshold
from tickspan.analysis.rules.readings import Worst
from tickspan.analysis.rules.step import ended, failed, step

A: Labels = (("venue", "A"),)
B: Labels = (("venue", "B"),)
INACTIVE, PENDING, FIRING = AlertState.INACTIVE, AlertState.PENDING, AlertState.FIRING

RULE = Rule("R", Threshold(Selector("m"), Stat(StatName.LAST)), Condition.GT, 10.0, for_s=10.0)

Told = tuple[float, str, str, str]


def story(rule: Rule, *steps: tuple[float, Mapping[Labels, float | None]]) -> tuple[list[Told], RuleState]:
    """The transitions of some evaluations as (time, venue, before, after), and the state at the end."""
    state = RuleState()
    told: list[Told] = []
    for now_s, samples in steps:
        state, transitions = step(rule, state, samples, now_s)
        told += [
            (one.at_s, one.alert.labels[0][1], one.previous.value, one.alert.state.value)
            for one in transitions
        ]
    return told, state


def test_a_breach_is_pending_at_first_sight_and_fires_when_it_is_as_old_as_for() -> None:
    told, state = story(RULE, (0.0, {A: 11.0}), (9.0, {A: 12.0}), (10.0, {A: 13.0}), (11.0, {A: 14.0}))
    assert told == [(0.0, "A", "inactive", "pending"), (10.0, "A", "pending", "firing")]
    assert state == RuleState({A: Alert(A, FIRING, 14.0, active_since_s=0.0, fired_at_s=10.0)})


def test_without_for_a_breach_fires_at_once() -> None:
    told, _ = story(replace(RULE, for_s=0.0), (0.0, {A: 11.0}))
    assert told == [(0.0, "A", "inactive", "firing")]


def test_one_evaluation_without_breach_forgets_a_pending_alert() -> None:
    told, state = story(RULE, (0.0, {A: 11.0}), (9.0, {A: 10.0}), (10.0, {A: 11.0}))
    assert told == [
        (0.0, "A", "inactive", "pending"),
        (9.0, "A", "pending", "inactive"),
        (10.0, "A", "inactive", "pending"),
    ]
    assert state == RuleState({A: Alert(A, PENDING, 11.0, active_since_s=10.0)})


def test_a_group_that_is_not_there_ends_its_alert_as_one_without_breach() -> None:
    told, state = story(RULE, (0.0, {A: 11.0}), (10.0, {A: 11.0}), (11.0, {}))
    assert told[-1] == (11.0, "A", "firing", "inactive")
    assert state == RuleState(
        {A: Alert(A, INACTIVE, 11.0, active_since_s=0.0, fired_at_s=10.0, resolved_at_s=11.0)}
    )


def test_a_pending_alert_that_ended_is_not_known_any_more() -> None:
    _, state = story(RULE, (0.0, {A: 11.0}), (1.0, {}))
    assert state == RuleState()


def test_a_resolved_alert_is_known_for_fifteen_minutes() -> None:
    steps: list[tuple[float, Mapping[Labels, float | None]]] = [
        (0.0, {A: 11.0}),
        (10.0, {A: 11.0}),
        (20.0, {}),
        (920.0, {}),
    ]
    assert list(story(RULE, *steps)[1].alerts) == [A]
    assert list(story(RULE, *steps, (920.1, {}))[1].alerts) == []


def test_a_resolved_alert_that_breaches_again_begins_as_a_new_one() -> None:
    told, state = story(RULE, (0.0, {A: 11.0}), (10.0, {A: 11.0}), (20.0, {}), (30.0, {A: 12.0}))
    assert told[-1] == (30.0, "A", "inactive", "pending")
    assert state == RuleState({A: Alert(A, PENDING, 12.0, active_since_s=30.0)})


def test_keep_firing_for_counts_from_the_first_evaluation_without_breach_and_freezes_the_value() -> None:
    kept = replace(RULE, keep_firing_for_s=5.0)
    firing: list[tuple[float, Mapping[Labels, float | None]]] = [(0.0, {A: 11.0}), (10.0, {A: 12.0})]
    told, state = story(kept, *firing, (12.0, {A: 3.0}), (16.9, {}))
    assert told[-1] == (10.0, "A", "pending", "firing")
    assert state == RuleState(
        {A: Alert(A, FIRING, 12.0, active_since_s=0.0, fired_at_s=10.0, keep_since_s=12.0)}
    )
    told, _ = story(kept, *firing, (12.0, {A: 3.0}), (17.0, {}))
    assert told[-1] == (17.0, "A", "firing", "inactive")


def test_a_breach_meanwhile_starts_keep_firing_for_anew() -> None:
    kept = replace(RULE, keep_firing_for_s=5.0)
    told, _ = story(
        kept, (0.0, {A: 11.0}), (10.0, {A: 12.0}), (12.0, {}), (16.0, {A: 11.0}), (18.0, {}), (22.0, {})
    )
    assert told[-1] == (10.0, "A", "pending", "firing")


def test_a_pending_alert_is_not_kept() -> None:
    told, _ = story(replace(RULE, keep_firing_for_s=5.0), (0.0, {A: 11.0}), (1.0, {}))
    assert told[-1] == (1.0, "A", "pending", "inactive")


def test_a_raised_for_sends_a_firing_alert_that_is_younger_back_to_pending() -> None:
    _, state = story(RULE, (0.0, {A: 11.0}), (10.0, {A: 11.0}))
    state, transitions = step(replace(RULE, for_s=30.0), state, {A: 11.0}, 20.0)
    pending = Alert(A, PENDING, 11.0, active_since_s=0.0)
    assert (state, transitions) == (RuleState({A: pending}), (Transition(pending, FIRING, 20.0),))


def test_once_firing_an_alert_lasts_while_it_is_beyond_its_clear_threshold() -> None:
    cleared = replace(RULE, clear=8.0, for_s=5.0)
    told, _ = story(
        cleared,
        (0.0, {A: 9.0}),
        (1.0, {A: 11.0}),
        (2.0, {A: 9.0}),
        (3.0, {A: 11.0}),
        (8.0, {A: 11.0}),
        (9.0, {A: 9.0}),
    )
    assert told == [
        (1.0, "A", "inactive", "pending"),
        (2.0, "A", "pending", "inactive"),
        (3.0, "A", "inactive", "pending"),
        (8.0, "A", "pending", "firing"),
    ]
    told, _ = story(cleared, (3.0, {A: 11.0}), (8.0, {A: 11.0}), (9.0, {A: 9.0}), (10.0, {A: 8.0}))
    assert told[-1] == (10.0, "A", "firing", "inactive")


@pytest.mark.parametrize(
    ("policy", "ends"),
    [
        (NoData.OK, [("A", "firing", "inactive"), ("B", "pending", "inactive")]),
        (NoData.KEEP, []),
        (NoData.FIRE, [("B", "pending", "firing")]),
    ],
)
def test_missing_data_of_a_known_group_means_what_the_policy_says(
    policy: NoData, ends: list[tuple[str, str, str]]
) -> None:
    told, _ = story(
        replace(RULE, no_data=policy),
        (0.0, {A: 11.0}),
        (10.0, {A: 11.0, B: 11.0}),
        (30.0, {A: None, B: None}),
    )
    assert [one[1:] for one in told if one[0] == 30.0] == ends


def test_a_group_without_data_that_was_never_in_breach_fires_with_an_unknown_value() -> None:
    state, transitions = step(replace(RULE, no_data=NoData.FIRE, for_s=0.0), RuleState(), {A: None}, 0.0)
    assert [(one.alert.state, math.isnan(one.alert.value)) for one in transitions] == [(FIRING, True)]
    assert list(state.alerts) == [A]


def test_what_is_not_a_number_breaches_only_not_equal() -> None:
    assert story(RULE, (0.0, {A: math.nan}))[0] == []
    assert story(replace(RULE, condition=Condition.NE), (0.0, {A: math.nan}))[0] == [
        (0.0, "A", "inactive", "pending")
    ]


def test_more_alerts_than_the_limit_fail_the_evaluation_and_leave_the_alerts_as_they_were() -> None:
    limited = replace(RULE, limit=1)
    _, state = story(limited, (0.0, {A: 11.0}))
    after, transitions = step(limited, state, {A: 11.0, B: 11.0}, 10.0)
    assert (after, transitions) == (
        RuleState(state.alerts, "expected at most 1 alerts (limit), got 2"),
        (),
    )
    assert step(limited, after, {A: 11.0}, 11.0)[0].problem == ""


def test_resolved_alerts_do_not_count_for_the_limit() -> None:
    limited = replace(RULE, limit=1, for_s=0.0)
    told, state = story(limited, (0.0, {A: 11.0}), (1.0, {B: 11.0}))
    assert told[-2:] == [(1.0, "A", "firing", "inactive"), (1.0, "B", "inactive", "firing")]
    assert state.problem == ""


def test_a_limit_of_zero_is_none() -> None:
    many = {(("venue", str(number)),): 11.0 for number in range(200)}
    assert len(step(replace(RULE, limit=0), RuleState(), many, 0.0)[0].alerts) == 200


def test_a_problem_is_over_with_the_next_evaluation() -> None:
    assert step(RULE, failed(RuleState(), "two groups"), {}, 0.0) == (RuleState(), ())


def test_nothing_to_do_gives_the_same_state() -> None:
    state = RuleState()
    assert step(RULE, state, {A: 1.0, B: None}, 0.0)[0] is state


def test_the_worst_measurement_goes_with_the_alert_and_stays_when_none_is_known_any_more() -> None:
    worst = Worst(14.0, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    state, _ = step(RULE, RuleState(), {A: 11.0}, 0.0, {A: worst})
    state, _ = step(RULE, state, {A: 12.0}, 1.0)
    assert state == RuleState({A: Alert(A, PENDING, 12.0, active_since_s=0.0, worst=worst)})


def test_alerts_may_end_for_another_reason_than_their_value() -> None:
    kept = replace(RULE, for_s=0.0, keep_firing_for_s=100.0)
    _, state = story(kept, (0.0, {A: 11.0}))
    state, _ = step(replace(kept, for_s=50.0), state, {A: 11.0, B: 11.0}, 1.0)
    state, transitions = ended(state, frozenset({B}), Reason.GONE, 2.0)
    gone = Alert(B, INACTIVE, 11.0, active_since_s=1.0, resolved_at_s=2.0)
    assert transitions == (Transition(gone, PENDING, 2.0, Reason.GONE),)
    assert list(state.alerts) == [A]
    assert ended(state, frozenset({B}), Reason.GONE, 3.0) == (state, ())


@dataclass
class GoAlert:
    """`Alert` of Prometheus's `rules/alerting.go`; zero times are None."""

    state: str
    value: float
    active_at: float
    fired_at: float | None = None
    resolved_at: float | None = None
    keep_firing_since: float | None = None


@dataclass
class GoRule:
    """`AlertingRule.Eval` of Prometheus 3.13, line by line, without templates, sending and `limit`."""

    hold_duration: float
    keep_firing_for: float
    active: dict[Labels, GoAlert] = field(default_factory=dict[Labels, GoAlert])

    def eval(self, vector: dict[Labels, float], ts: float) -> None:  # noqa: C901, PLR0912 - theirs
        for h, value in vector.items():
            alert = self.active.get(h)
            if alert is not None and alert.state != "inactive":
                alert.value = value
                continue
            self.active[h] = GoAlert("pending", value, ts)
        for fp, a in list(self.active.items()):
            if fp not in vector:
                keep_firing = False
                if a.state == "firing" and self.keep_firing_for > 0:
                    if a.keep_firing_since is None:
                        a.keep_firing_since = ts
                    if ts - a.keep_firing_since < self.keep_firing_for:
                        keep_firing = True
                if a.state == "pending" or (a.resolved_at is not None and ts - a.resolved_at > 15 * 60):
                    del self.active[fp]
                if a.state != "inactive" and not keep_firing:
                    a.state = "inactive"
                    a.resolved_at = ts
                if not keep_firing:
                    continue
            else:
                a.keep_firing_since = None
            if a.state == "pending" and ts - a.active_at >= self.hold_duration:
                a.state = "firing"
                a.fired_at = ts
            if a.state == "firing" and ts - a.active_at < self.hold_duration:
                a.state = "pending"
                a.fired_at = None
                a.keep_firing_since = None

    def seen(self) -> dict[Labels, tuple[str, float, float, float | None, float | None, float | None]]:
        return {
            labels: (a.state, a.value, a.active_at, a.fired_at, a.keep_firing_since, a.resolved_at)
            for labels, a in self.active.items()
        }


def seen(
    state: RuleState,
) -> dict[Labels, tuple[str, float, float, float | None, float | None, float | None]]:
    """The same of ours; what Prometheus leaves in an alert that ended is not compared."""
    return {
        labels: (a.state.value, a.value, a.active_since_s, a.fired_at_s, a.keep_since_s, a.resolved_at_s)
        for labels, a in state.alerts.items()
    }


def without_leftovers(
    alerts: dict[Labels, tuple[str, float, float, float | None, float | None, float | None]],
) -> dict[Labels, tuple[str, float, float, float | None, float | None, float | None]]:
    return {
        labels: (*alert[:4], None if alert[0] == "inactive" else alert[4], alert[5])
        for labels, alert in alerts.items()
    }


@pytest.mark.parametrize("seed", range(1500))
def test_a_random_sequence_goes_as_in_prometheus(seed: int) -> None:
    random = Random(seed)
    groups: list[Labels] = [(("venue", name),) for name in "ABC"]
    rule = replace(
        RULE,
        for_s=random.choice((0.0, 1.0, 15.0, 60.0)),
        keep_firing_for_s=random.choice((0.0, 0.0, 5.0, 45.0)),
    )
    theirs = GoRule(rule.for_s, rule.keep_firing_for_s)
    state = RuleState()
    now_s = 0.0
    for _ in range(60):
        now_s += random.choice((1.0, 5.0, 15.0, 15.0, 15.0, 400.0, 901.0))
        if random.random() < 0.05:
            rule = replace(
                rule,
                for_s=random.choice((0.0, 1.0, 15.0, 60.0)),
                keep_firing_for_s=random.choice((0.0, 45.0)),
            )
            theirs.hold_duration, theirs.keep_firing_for = rule.for_s, rule.keep_firing_for_s
        samples = {group: random.uniform(0.0, 16.0) for group in groups if random.random() < 0.9}
        state, transitions = step(rule, state, samples, now_s)
        before = {labels: alert.state for labels, alert in theirs.active.items()}
        theirs.eval({labels: value for labels, value in samples.items() if value > 10.0}, now_s)
        assert seen(state) == without_leftovers(theirs.seen())
        after = {labels: alert.state for labels, alert in theirs.active.items()}
        assert [(one.alert.labels, one.previous.value, one.alert.state.value) for one in transitions] == [
            (labels, before.get(labels, "inactive"), after.get(labels, "inactive"))
            for labels in groups
            if before.get(labels, "inactive") != after.get(labels, "inactive")
        ]
