"""The evaluation: one rule over readings and occurrences, from the first of them to its alerts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from tickspan.analysis.rules import snapshots
from tickspan.analysis.rules.alert import AlertState, Reason, RuleState, Transition
from tickspan.analysis.rules.calendars import Calendar
from tickspan.analysis.rules.groups import Group, Series, Span, reaches_of, suits
from tickspan.analysis.rules.histograms import Histogram, increase
from tickspan.analysis.rules.labels import group_of, labels_of, text_of
from tickspan.analysis.rules.model import Absent, Burn, Event, Labels, Matcher, NoData, Rule, Threshold
from tickspan.analysis.rules.naming import prometheus_label
from tickspan.analysis.rules.readings import (
    HistogramPoint,
    Occurrence,
    PointKind,
    Reading,
    Sender,
    Value,
    Worst,
)
from tickspan.analysis.rules.step import ended, failed, step
from tickspan.analysis.rules.values import changes_with_time, measure_of

__all__ = ["KNOWN_FOR_S", "MAX_SERIES", "Evaluation"]

KNOWN_FOR_S: Final = 3600.0
"""How long a series that was read is missed; after it, it is forgotten."""
MAX_SERIES: Final = 2000
"""That one rule reads, and as many that it leaves out; an instrument has no more before it overflows."""

_SWEEP_S: Final = 60.0
_OUTAGE_TOLERANCE_S: Final = 3600.0


class Evaluation:
    """What one rule sees and what came of it. Not thread-safe: one thread gives and evaluates.

    Memory is bounded. A rule reads at most `MAX_SERIES` series; further ones are left out and counted in
    `refused` until others have not been seen for an hour. What a group holds is bounded by its windows.

    Attributes:
        rule: that is evaluated.
        state: the alerts, and why the last evaluation failed.
        failures: evaluations that failed.
        refused: readings and occurrences that were left out: of too many series, of a kind of point that
            has not the rule's statistic, or not a number.
        pause: called between two groups, by whoever shares an interpreter with an application.
    """

    def __init__(self, rule: Rule, calendar: Calendar | None = None) -> None:
        self.rule = rule
        self.state = RuleState()
        self.failures = 0
        self.refused = 0
        self.pause: Callable[[], None] | None = None
        expression = rule.expression
        self._calendar = calendar
        self._window_s = reaches_of(rule)[0]
        self._known_for_s = max(
            expression.known_for_s if isinstance(expression, Absent) else KNOWN_FOR_S, self._window_s
        )
        self._expected = _expected(rule)
        self._by = tuple(prometheus_label(attribute) for attribute in rule.by)
        self._measure = measure_of(rule, calendar)
        self._is_burn = isinstance(expression, Burn)
        self._is_event = isinstance(expression, Event)
        self._is_absent = isinstance(expression, Absent)
        self._counts = bool(rule.min_count) and not isinstance(expression, Burn | Event | Absent)
        self._is_level_of_one = isinstance(expression, Threshold) and not rule.min_count
        self._has_own_time = changes_with_time(rule)
        self._metrics = frozenset(selector.metric for selector in rule.selectors)
        self._series: dict[Hashable, Series] = {}
        self._ignored: dict[Hashable, Series] = {}
        self._aliases: dict[tuple[str, int], Series] = {}
        self._newcomers: list[tuple[Series, Reading, float]] = []
        self._groups: dict[Labels, Group] = {}
        self._groups_of_alert: Counter[Labels] = Counter()
        self._samples: dict[Labels, float | None] = {}
        self._worst: dict[Labels, Worst] = {}
        self._awaited: set[Labels] = set()
        self._awaited_until_s = -math.inf
        self._began_s = math.nan
        self._swept_s = -math.inf
        self._was_judged = False
        self._is_open = True
        self._now_s = 0.0

    def __repr__(self) -> str:
        active = sum(alert.state is not AlertState.INACTIVE for alert in self.state.alerts.values())
        return f"<Evaluation '{self.rule.name}', {len(self._groups)} groups, {active} alerts>"

    def observe(self, reading: Reading, now_s: float) -> None:
        """Takes a reading of any metric; one that the rule does not read costs a look-up.

        Readings of one series come in the order of time. A producer that gives the same `attributes` and
        `sender` objects for a series each time saves that a key is made of them.
        """
        if reading.metric not in self._metrics:
            return
        series = self._aliases.get((reading.metric, id(reading.attributes)))
        if (
            series is None
            or series.attributes is not reading.attributes
            or series.sender is not reading.sender
        ):
            series = self._series_of(reading)
        group = series.group
        if group is None or series.kind is not reading.kind:
            self.refused += group is not None or series.is_refused
            return
        seen_s = series.seen_s
        series.seen_s = group.seen_s = now_s
        if self._awaited:
            self._awaited.discard(group.alert_labels)
        if isinstance(self.rule.expression, Absent):
            group.is_changed = group.is_changed or group.value is not None
        elif reading.kind is PointKind.GAUGE:
            self._take_level(series, group, reading.value, now_s)
        elif seen_s == -math.inf:
            self._newcomers.append((series, reading, now_s))
            series.value, series.start_s = reading.value, reading.start_s
        else:
            self._take_increase(series, group, reading, now_s, seen_s)
        if group.is_silent:
            group.is_changed = True
        if reading.worst is not None:
            self._note(group, reading.worst, now_s)

    def happened(self, occurrence: Occurrence, now_s: float) -> None:
        """Takes a span that ended or a log event; one that the rule does not ask for is left out."""
        expression = self.rule.expression
        if not isinstance(expression, Event) or not _is_asked_for(expression, occurrence):
            return
        labels = group_of(self.rule, occurrence.sender, occurrence.attributes)
        group = self._groups.get(labels)
        if group is None:
            if len(self._groups) >= MAX_SERIES:
                self.refused += 1
                return
            group = self._new_group(labels)
        group.senders.add(_key_of(occurrence.sender))
        group.seen_s = now_s
        group.is_changed = True
        group.parts[0].grow(1, now_s, now_s)
        self._note(group, Worst(occurrence.duration_s, occurrence.trace_id, occurrence.span_id), now_s)

    def evaluate(self, now_s: float, wall_s: float) -> tuple[Transition, ...]:
        """The transitions since the last evaluation. While a session is closed or warms up, nothing holds.

        Args:
            now_s: by the clock of the readings, which only goes forward.
            wall_s: seconds since 1970, at the same time.
        """
        self._now_s = now_s
        if math.isnan(self._began_s):
            self._began_s = now_s
        span = self._span(now_s, wall_s)
        self._settle(now_s, wall_s, span)
        self._sweep(now_s)
        if span is None:
            is_changed = self._was_judged
            self._samples.clear()
        else:
            is_changed = self._judge(span)
        self._was_judged = span is not None
        if not is_changed and not self.state.alerts and not self.state.problem:
            return ()
        transitions: tuple[Transition, ...] = ()
        if clash := self._clash():
            self.state = failed(self.state, clash)
        else:
            self.state, transitions = self._stepped(now_s)
        self.failures += bool(self.state.problem)
        return transitions

    def gone(self, sender: Sender, now_s: float) -> tuple[Transition, ...]:
        """Forgets a process that has ended. Alerts that were about it alone end with reason `gone`."""
        key = _key_of(sender)
        for name in [name for name, series in self._series.items() if _key_of(series.sender) == key]:
            self._forget(name)
        left: set[Labels] = set()
        for group in tuple(self._groups.values()):
            group.senders.discard(key)
            if not group.series and not group.senders:
                self._remove(group)
                left.add(group.alert_labels)
        left -= self._groups_of_alert.keys()
        self.state, transitions = ended(self.state, frozenset(left), Reason.GONE, now_s)
        return transitions

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON: alerts, series and windows as of the last evaluation."""
        return {
            "shape": _shape(self.rule),
            "began": self._now_s - self._began_s,
            "alerts": snapshots.alerts_to_json(self.state, self._now_s),
            "series": snapshots.series_to_json(tuple(self._series.values()), self._now_s),
            "groups": [snapshots.group_to_json(group, self._now_s) for group in self._groups.values()],
        }

    def restore(self, snapshot: Mapping[str, Any], now_s: float, outage_s: float) -> None:
        """Takes up what `snapshot` wrote `outage_s` ago. Comes before everything else.

        What was firing fires on, until the first reading of its group tells otherwise, or for the length of
        the window where none comes. `for` goes on as in Prometheus (`RestoreForState` in its
        `rules/group.go`): the outage does not count, an alert fires ten minutes after the restart at the
        earliest, and where `for` is less than that it begins anew. After an outage of more than an hour
        nothing is taken up. Of a rule whose expression, groups or window are others now, only the alerts
        are.

        Raises:
            KeyError, TypeError, ValueError: if it is not such a snapshot; the evaluation is to be made anew
            then.
        """
        if not 0 <= outage_s <= _OUTAGE_TOLERANCE_S:
            return
        self.state = snapshots.state_from_json(snapshot["alerts"], self.rule, now_s, outage_s)
        self._now_s = now_s
        if snapshot["shape"] != _shape(self.rule):
            return
        self._began_s = now_s - float(snapshot["began"])
        down_s = now_s - outage_s
        for reading, age_s, level in snapshots.series_from_json(snapshot["series"]):
            series = self._series_of(reading)
            series.value, series.start_s, series.seen_s = reading.value, reading.start_s, down_s - age_s
            for window in [part.levels[series] for part in series.parts if part.levels]:
                window.restore(level, down_s)
        for kept in snapshot["groups"]:
            labels: Labels = tuple((name, value) for name, value in kept["labels"])
            group = self._groups.get(labels) or self._new_group(labels)
            snapshots.restore_group(group, kept, now_s, outage_s)
        if not isinstance(self.rule.expression, Absent | Event):
            self._awaited = {
                labels
                for labels, alert in self.state.alerts.items()
                if alert.state is not AlertState.INACTIVE and labels in self._groups_of_alert
            }
            self._awaited_until_s = now_s + self._window_s

    def _take_level(self, series: Series, group: Group, value: float | HistogramPoint, now_s: float) -> None:
        assert not isinstance(value, HistogramPoint)
        if math.isnan(value):
            self.refused += 1
            return
        for part in series.parts:
            part.levels[series].add(value, now_s)
        if value != group.value or not self._is_level_of_one or len(group.series) > 1:
            group.is_changed = True

    def _take_increase(
        self, series: Series, group: Group, reading: Reading, now_s: float, seen_s: float
    ) -> None:
        new, old = reading.value, series.value
        is_later = reading.start_s > series.start_s > 0
        amount: float | Histogram
        if isinstance(new, HistogramPoint):
            assert isinstance(old, HistogramPoint)
            amount = (
                Histogram()
                if new.count == old.count and not is_later
                else increase(new, None if is_later else old)
            )
        else:
            assert not isinstance(old, HistogramPoint)
            if math.isnan(new):
                self.refused += 1
                return
            amount = new if is_later or new < old else new - old
        series.value, series.start_s = new, reading.start_s
        if self._is_burn and not self._is_open:
            return
        for part in series.parts:
            if part.grow(amount, now_s, seen_s):
                group.is_changed = True

    def _settle(self, now_s: float, wall_s: float, span: Span | None) -> None:
        """Counts what new series brought, as far as they began in the window: then it all came in it."""
        if not self._newcomers:
            return
        opened_s = -math.inf if span is None else span.opened_s
        for series, reading, at_s in self._newcomers:
            started_s = now_s - (wall_s - reading.start_s) if reading.start_s > 0 else -math.inf
            if started_s < opened_s or series.group is None:
                continue
            for part in series.parts:
                if part.windows[0].covers(at_s, started_s):
                    value = reading.value
                    part.grow(
                        Histogram.of(value) if isinstance(value, HistogramPoint) else value, at_s, started_s
                    )
            series.group.is_changed = True
        self._newcomers.clear()

    def _span(self, now_s: float, wall_s: float) -> Span | None:
        """What is looked at; None outside of the session and in its warm-up."""
        since_s = now_s - self._window_s
        if self._calendar is None:
            return Span(since_s, now_s, wall_s)
        opened_at_s = self._calendar.opened_at(wall_s)
        self._is_open = opened_at_s is not None
        if opened_at_s is None or wall_s <= opened_at_s or wall_s - opened_at_s < self.rule.warmup_s:
            return None
        opened_s = now_s - (wall_s - opened_at_s)
        return Span(since_s if self._is_burn else max(since_s, opened_s), now_s, wall_s, opened_s)

    def _judge(self, span: Span) -> bool:
        """Brings the samples up to date. Returns whether one of them is another."""
        now_s = span.now_s
        is_shortened = span.since_s > now_s - self._window_s
        if self._has_own_time or is_shortened or not self._was_judged:
            due = list(self._groups.values())
        else:
            due = [group for group in self._groups.values() if group.is_changed or now_s >= group.due_s]
        for group in due:
            self._judge_group(group, span)
            if self.pause is not None:
                self.pause()
        return self._judge_expected(span) or bool(due)

    def _judge_group(self, group: Group, span: Span) -> None:
        now_s, seen_s = span.now_s, group.seen_s
        has_data = seen_s > now_s - self._window_s
        if not has_data and now_s - seen_s >= (self._window_s if self._is_event else self._known_for_s):
            self._remove(group)
            return
        group.is_changed = False
        group.is_silent = seen_s <= span.since_s
        if group.worst is not None and group.worst_at_s <= now_s - self._window_s:
            group.worst = None
            self._worst.pop(group.alert_labels, None)
        if self._is_absent or not group.is_silent:
            value = self._measure(group, span)
            is_sampled = value is not None
            if self._counts and group.parts[-1].count(span) < self.rule.min_count:
                value, is_sampled = None, True
        else:
            value, is_sampled = None, not has_data
        group.value, group.is_sampled = value, is_sampled
        if is_sampled:
            self._samples[group.alert_labels] = value
        else:
            self._samples.pop(group.alert_labels, None)
        if has_data:
            group.due_s = min(seen_s + self._window_s, *[part.due_s for part in group.parts])
        else:
            group.due_s = seen_s + self._known_for_s

    def _judge_expected(self, span: Span) -> bool:
        """Groups that must be there, and of which nobody gave anything. They have no labels of a sender."""
        if not self._expected:
            return False
        known = {
            tuple(dict(group.labels).get(label, "") for label in self._by) for group in self._groups.values()
        }
        is_late = span.now_s - max(self._began_s, span.opened_s) >= self.rule.window_s
        is_changed = False
        for values, labels in self._expected.items():
            if is_late and values not in known:
                is_changed = is_changed or labels not in self._samples
                self._samples[labels] = 1.0
            elif labels not in self._groups_of_alert:
                is_changed = self._samples.pop(labels, None) is not None or is_changed
        return is_changed

    def _stepped(self, now_s: float) -> tuple[RuleState, tuple[Transition, ...]]:
        """A step. After a restart, alerts of which nothing was read yet stay as they are."""
        if not self._awaited or now_s >= self._awaited_until_s:
            self._awaited.clear()
            return step(self.rule, self.state, self._samples, now_s, self._worst)
        awaited = {labels: alert for labels, alert in self.state.alerts.items() if labels in self._awaited}
        others = {labels: alert for labels, alert in self.state.alerts.items() if labels not in self._awaited}
        samples = {labels: value for labels, value in self._samples.items() if labels not in self._awaited}
        state, transitions = step(
            self.rule, RuleState(others, self.state.problem), samples, now_s, self._worst
        )
        return RuleState({**state.alerts, **awaited}, state.problem), transitions

    def _clash(self) -> str:
        """Why the evaluation fails: two groups breach, and have the same labels once the rule's are added."""
        if len(self._groups_of_alert) == len(self._groups):
            return ""
        breaching: set[Labels] = set()
        for group in self._groups.values():
            labels = group.alert_labels
            if not group.is_sampled or self._groups_of_alert[labels] == 1:
                continue
            if group.value is None:
                is_breached = self.rule.no_data is NoData.FIRE
            else:
                alert = self.state.alerts.get(labels)
                is_firing = alert is not None and alert.state is AlertState.FIRING
                is_breached = self.rule.is_breached(group.value, is_firing=is_firing)
            if is_breached and labels in breaching:
                return f"two groups have the same labels: {', '.join('='.join(label) for label in labels)}"
            if is_breached:
                breaching.add(labels)
                self._samples[labels] = group.value
        return ""

    def _note(self, group: Group, worst: Worst, now_s: float) -> None:
        """Keeps a measurement that is worse than the one that is known of the window."""
        known = group.worst
        if known is None or group.worst_at_s <= now_s - self._window_s:
            is_worse = True
        elif self.rule.condition.looks_up:
            is_worse = worst.value >= known.value
        else:
            is_worse = worst.value <= known.value
        if is_worse:
            group.worst, group.worst_at_s = worst, now_s
            self._worst[group.alert_labels] = worst
            group.is_changed = True

    def _series_of(self, reading: Reading) -> Series:
        """The series of a reading, made where it is new. Remembers it by the identity of its attributes."""
        key: Hashable = (_key_of(reading.sender), reading.metric, frozenset(reading.attributes.items()))
        series = self._series.get(key) or self._ignored.get(key)
        if series is None:
            series = self._new_series(reading)
            if series.group is not None:
                self._series[key] = series
            elif len(self._ignored) < MAX_SERIES:
                self._ignored[key] = series
            else:
                return series
        elif series.attributes is not reading.attributes:
            self._aliases.pop((reading.metric, id(series.attributes)), None)
        series.attributes, series.sender = reading.attributes, reading.sender
        self._aliases[reading.metric, id(reading.attributes)] = series
        return series

    def _new_series(self, reading: Reading) -> Series:
        """A series in its group; without one when the rule does not read it."""
        rule = self.rule
        series = Series(reading.sender, reading.metric, reading.attributes, reading.kind)
        numbers = [
            number
            for number, selector in enumerate(rule.selectors)
            if selector.metric == reading.metric
            and _accept(selector.where, reading.sender, reading.attributes)
        ]
        if not numbers:
            return series
        if not suits(rule, reading.kind) or len(self._series) >= MAX_SERIES:
            series.is_refused = True
            return series
        labels = group_of(rule, reading.sender, reading.attributes)
        group = self._groups.get(labels) or self._new_group(labels)
        parts = tuple(group.parts[number] for number in numbers)
        held = [part.holds(rule, series) for part in parts]
        if not all(held):
            series.is_refused = True
            return series
        series.group, series.parts = group, parts
        group.series.add(series)
        group.is_changed = True
        return series

    def _new_group(self, labels: Labels) -> Group:
        group = Group(self.rule, labels, labels_of(self.rule, labels))
        self._groups[labels] = group
        self._groups_of_alert[group.alert_labels] += 1
        return group

    def _sweep(self, now_s: float) -> None:
        """Forgets series that were not seen for long. Once a minute is enough."""
        if now_s - self._swept_s < _SWEEP_S:
            return
        self._swept_s = now_s
        since_s = now_s - self._known_for_s
        for key in [key for key, series in self._series.items() if series.seen_s <= since_s]:
            self._forget(key)
        if len(self._ignored) >= MAX_SERIES:
            for series in self._ignored.values():
                self._aliases.pop((series.metric, id(series.attributes)), None)
            self._ignored.clear()

    def _forget(self, key: Hashable) -> None:
        series = self._series.pop(key)
        self._aliases.pop((series.metric, id(series.attributes)), None)
        if series.group is not None:
            series.group.series.discard(series)
            series.group.is_changed = True
            series.group = None
        for part in series.parts:
            part.levels.pop(series, None)

    def _remove(self, group: Group) -> None:
        """Forgets a group with its series."""
        for key in [key for key, series in self._series.items() if series.group is group]:
            self._forget(key)
        del self._groups[group.labels]
        self._samples.pop(group.alert_labels, None)
        self._worst.pop(group.alert_labels, None)
        self._groups_of_alert[group.alert_labels] -= 1
        if not self._groups_of_alert[group.alert_labels]:
            del self._groups_of_alert[group.alert_labels]


def _key_of(sender: Sender) -> Hashable:
    """Equal for the same process; its resource tells them apart where it has no instance."""
    if sender.instance:
        return sender.job, sender.instance
    return frozenset(sender.attributes.items())


def _shape(rule: Rule) -> str:
    """Equal as long as what was remembered has the same meaning."""
    return repr((rule.expression, rule.by, rule.scope, rule.window_s))


def _expected(rule: Rule) -> Mapping[tuple[str, ...], Labels]:
    """All labels of the alerts of groups that are expected, by their values of `by`."""
    if not isinstance(rule.expression, Absent):
        return {}
    names = [prometheus_label(attribute) for attribute in rule.by]
    return {
        values: labels_of(rule, tuple(sorted(zip(names, values, strict=True))))
        for values in rule.expression.expect
    }


def _is_asked_for(event: Event, occurrence: Occurrence) -> bool:
    return (
        occurrence.signal is event.signal
        and event.name in {None, occurrence.name}
        and event.status in {None, occurrence.status}
        and (event.min_duration_s is None or occurrence.duration_s >= event.min_duration_s)
        and _accept(event.where, occurrence.sender, occurrence.attributes)
    )


def _accept(where: tuple[Matcher, ...], sender: Sender, attributes: Mapping[str, Value]) -> bool:
    """Whether the attributes of a point, else of its resource, match."""
    for matcher in where:
        value = attributes.get(matcher.attribute)
        if value is None:
            value = sender.attributes.get(matcher.attribute)
        if not matcher.accepts("" if value is None else text_of(value)):
            return False
    return True
