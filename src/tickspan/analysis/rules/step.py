"""The step: what one evaluation makes of a rule's alerts.

This is `Eval` of Prometheus's `rules/alerting.go` (read in 3.13), without its templates and its sending.
Our rules have in addition a clear threshold and a policy for missing data. One thing differs. Where
Prometheus forgets the alerts of a rule with more than `limit` of them, here they stay as they were: a flood
must not end what was told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tickspan.analysis.rules.alert import Alert, AlertState, Reason, RuleState, Transition
from tickspan.analysis.rules.model import Labels, NoData, Rule
from tickspan.analysis.rules.readings import Worst

__all__ = ["RESOLVED_RETENTION_S", "ended", "failed", "step"]

RESOLVED_RETENTION_S: Final = 900.0
"""How long an alert that ended stays known, so that its end can be told again."""

_NOTHING: Final[Mapping[Labels, Worst]] = {}


def step(
    rule: Rule,
    state: RuleState,
    samples: Mapping[Labels, float | None],
    now_s: float,
    worst: Mapping[Labels, Worst] = _NOTHING,
) -> tuple[RuleState, tuple[Transition, ...]]:
    """The state after an evaluation, and what changed in it.

    - A group whose value breaches is pending at first sight, and fires in the evaluation where
      `now - active since >= for`; with `for: 0` in the same one.
    - One evaluation without breach, or without the group, ends a pending alert; it is forgotten.
    - It ends a firing alert too, unless `keep_firing_for` is set: then the alert lasts until that time has
      gone since the first such evaluation, with its value as it was. A breach meanwhile starts that time
      anew.
    - What ended is known for 15 minutes more. If it breaches again, it is a new, pending alert.
    - A `for` that was raised sends a firing alert that is younger back to pending.

    Args:
        rule: that is evaluated.
        state: after the last evaluation.
        samples: values by all labels of the group's alert; None where the group is known and has no data.
        now_s: seconds, by any clock that only goes forward.
        worst: worst measurements that are known, by the same labels.

    Returns:
        The state, which is the very same object where no alert is or was, and the transitions in the order of
        labels. With more than `limit` alerts the state keeps its alerts and tells the problem.
    """
    breaches = _breaches(rule, state, samples)
    if not breaches and not state.alerts:
        return (RuleState() if state.problem else state), ()
    alerts: dict[Labels, Alert] = {}
    transitions: list[Transition] = []
    for labels in sorted(breaches.keys() | state.alerts.keys()):
        before = state.alerts.get(labels)
        previous = AlertState.INACTIVE if before is None else before.state
        if labels in breaches:
            after = _held(rule, before, labels, breaches[labels], worst.get(labels), now_s)
        elif before is None or (
            labels in samples and samples[labels] is None and rule.no_data is NoData.KEEP
        ):
            after = before
        else:
            after = _missed(rule, before, now_s)
        if after is None:
            continue
        if after.state is not previous:
            transitions.append(Transition(after, previous, now_s))
        if after.state is not AlertState.INACTIVE or previous is not AlertState.PENDING:
            alerts[labels] = after
    active = sum(alert.state is not AlertState.INACTIVE for alert in alerts.values())
    if 0 < rule.limit < active:
        return failed(state, f"expected at most {rule.limit} alerts (limit), got {active}"), ()
    return RuleState(alerts), tuple(transitions)


def failed(state: RuleState, problem: str) -> RuleState:
    """The state after an evaluation that failed: alerts are as they were."""
    return RuleState(state.alerts, problem)


def ended(
    state: RuleState, labels: frozenset[Labels], reason: Reason, now_s: float
) -> tuple[RuleState, tuple[Transition, ...]]:
    """The state when some alerts end for another reason than their value, `keep_firing_for` or not."""
    alerts = dict(state.alerts)
    transitions: list[Transition] = []
    for name in sorted(labels & alerts.keys()):
        alert = alerts[name]
        if alert.state is AlertState.INACTIVE:
            continue
        resolved = _resolved(alert, now_s)
        transitions.append(Transition(resolved, alert.state, now_s, reason))
        if alert.state is AlertState.PENDING:
            del alerts[name]
        else:
            alerts[name] = resolved
    return (RuleState(alerts, state.problem), tuple(transitions)) if transitions else (state, ())


def _breaches(rule: Rule, state: RuleState, samples: Mapping[Labels, float | None]) -> dict[Labels, float]:
    """The groups that make or keep an alert, with their values; NaN where missing data is what makes it."""
    holds, threshold = rule.condition.comparison, rule.threshold
    breaches = {
        labels: value for labels, value in samples.items() if value is not None and holds(value, threshold)
    }
    if rule.clear is not None:
        for labels, alert in state.alerts.items():
            value = samples.get(labels)
            if alert.state is AlertState.FIRING and value is not None and holds(value, rule.clear):
                breaches[labels] = value
    if rule.no_data is NoData.FIRE:
        breaches.update((labels, math.nan) for labels, value in samples.items() if value is None)
    return breaches


def _held(
    rule: Rule, before: Alert | None, labels: Labels, value: float, worst: Worst | None, now_s: float
) -> Alert:
    """The alert of a group that breaches. What is not active begins anew."""
    if before is None or before.state is AlertState.INACTIVE:
        alert = Alert(labels, AlertState.PENDING, value, active_since_s=now_s, worst=worst)
    else:
        alert = replace(before, value=value, keep_since_s=None, worst=worst or before.worst)
    return _aged(rule, alert, now_s)


def _missed(rule: Rule, alert: Alert, now_s: float) -> Alert | None:
    """An alert whose condition does not hold; None when it is forgotten."""
    if alert.state is AlertState.INACTIVE:
        is_old = alert.resolved_at_s is not None and now_s - alert.resolved_at_s > RESOLVED_RETENTION_S
        return None if is_old else alert
    if alert.state is AlertState.FIRING and rule.keep_firing_for_s > 0:
        since = now_s if alert.keep_since_s is None else alert.keep_since_s
        if now_s - since < rule.keep_firing_for_s:
            return _aged(rule, replace(alert, keep_since_s=since), now_s)
    return _resolved(alert, now_s)


def _aged(rule: Rule, alert: Alert, now_s: float) -> Alert:
    """Pending or firing by the alert's age; what is neither yet nor any more stays."""
    is_due = now_s - alert.active_since_s >= rule.for_s
    if alert.state is AlertState.PENDING and is_due:
        return replace(alert, state=AlertState.FIRING, fired_at_s=now_s)
    if alert.state is AlertState.FIRING and not is_due:
        return replace(alert, state=AlertState.PENDING, fired_at_s=None, keep_since_s=None)
    return alert


def _resolved(alert: Alert, now_s: float) -> Alert:
    return replace(alert, state=AlertState.INACTIVE, keep_since_s=None, resolved_at_s=now_s)
