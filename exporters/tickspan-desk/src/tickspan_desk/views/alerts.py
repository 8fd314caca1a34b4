"""Alerts: what fired when and why, and the targets of the default pack. Pure."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tickspan.alerts.notice import Notice, told_number
from tickspan.alerts.telling import notice_in
from tickspan.analysis.rules.alert import Alert, AlertState
from tickspan.analysis.rules.evaluation import Evaluation
from tickspan.analysis.rules.histograms import Histogram
from tickspan.analysis.rules.model import (
    Absent,
    Burn,
    Change,
    Condition,
    Event,
    Forecast,
    Matcher,
    Ratio,
    Rule,
    Selector,
    Threshold,
)
from tickspan.analysis.rules.readings import ExplicitBuckets, HistogramPoint, PointKind, Reading, Sender
from tickspan.analysis.rules.readings import Value as Scalar
from tickspan.received import Attributes, ReceivedPoint
from tickspan.semconv import alerts as names
from tickspan.semconv import common
from tickspan_desk.store.reading import LogEntry, Series, Window
from tickspan_desk.views.metrics import histogram_point

__all__ = [
    "NO_DATA",
    "SILENT",
    "SILENT_NS",
    "TARGETS",
    "AlertStrip",
    "AlertView",
    "Alerts",
    "ChangeLine",
    "GroupValue",
    "RuleLine",
    "Segment",
    "Target",
    "alert_view",
    "alerts_of",
    "expression_of",
    "metrics_of",
    "reach_s",
    "target_of",
]

TARGETS: Final[Mapping[str, str]] = {
    "ApiLatencyTarget": "API response",
    "QueryLatencyTarget": "Query",
    "ProcessMemoryTarget": "Memory of a process",
    "CacheHitTarget": "Cache hits",
    "CpuTarget": "CPU of the host",
}
"""Rules of the default pack that are targets, and what they are about."""
NO_DATA: Final = "no data"
_STATES: Final = ("firing", "pending", "inactive")
SILENT: Final = "silent"
"""The state of an alert of which its process says no more: it has ended, or does not send."""
SILENT_NS: Final = 150_000_000_000
"""After it an alert that was said to be pending or to fire is silent: twice the usual interval, and more."""
_ORDER: Final = (*_STATES[:2], SILENT, _STATES[2])
_SEVERITIES: Final = ("critical", "error", "warning", "info")
_STEP_S: Final = 10.0
_MOST_GROUPS: Final = 20
_MOST_CHANGES: Final = 50
_MOST_STRIPS: Final = 100
_NS_PER_S: Final = 1e9


@dataclass(frozen=True, slots=True)
class Segment:
    """A time in which an alert had one state: inactive, pending or firing."""

    since_ns: int
    until_ns: int
    state: str


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """A change of an alert's state, as an evaluator told it.

    Attributes:
        sentence: why, in words.
        value: in words; "no data" where missing data makes the alert.
        threshold: in words.
    """

    at_ns: int
    previous: str
    state: str
    sentence: str
    value: str
    threshold: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class AlertStrip:
    """One alert of a rule, as one evaluator sees it.

    Attributes:
        labels: of the alert, without the rule's name, severity and scope.
        service: that told it.
        evaluator: process, agent, gateway or prometheus.
        state: now: firing, pending, inactive, or silent where its process tells no more.
        since_ns: when it came to that state.
        fired: how often it began to fire within the range.
        segments: of the range, oldest first; from the first change that is known on.
        changes: newest first, 50 at most.
    """

    fingerprint: str
    labels: tuple[tuple[str, str], ...]
    service: str
    evaluator: str
    severity: str
    scope: str
    state: str
    since_ns: int
    fired: int
    segments: tuple[Segment, ...]
    changes: tuple[ChangeLine, ...]
    summary: str
    runbook: str


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule that told something.

    Attributes:
        state: the worst of its alerts now.
        firing, pending: alerts now; the same alert of two evaluators is one.
        alerts: that are known of it; the same of two evaluators is one.
        fired: how often they began to fire within the range, by the evaluator that saw it most often.
        sentence: of the last change.
    """

    name: str
    severity: str
    state: str
    firing: int
    pending: int
    alerts: int
    fired: int
    last_ns: int
    sentence: str
    strips: tuple[AlertStrip, ...]


@dataclass(frozen=True, slots=True)
class GroupValue:
    """A value of a target for one group, such as one route or one process."""

    labels: str
    value: str
    is_met: bool


@dataclass(frozen=True, slots=True)
class Target:
    """A target, computed as its rule does.

    Attributes:
        name: of the rule.
        title: what it is about.
        goal: in words, such as "p95 below 100 ms".
        state: "met", "missed" or "no data".
        alert: what the rule says: inactive, pending or firing; a miss must last before it fires.
        groups: the worst first, 20 at most.
        expression: of the rule.
        reason: what to do where there is no data; "" otherwise.
    """

    name: str
    title: str
    goal: str
    state: str
    alert: str
    groups: tuple[GroupValue, ...]
    expression: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alerts:
    """All rules that told something in the range, firing ones first, and the targets.

    Attributes:
        problem: why targets cannot be computed; "" when they can.
        is_cut: whether there were more changes than are looked at.
    """

    window: Window
    rules: tuple[RuleLine, ...]
    targets: tuple[Target, ...]
    problem: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class AlertView:
    """One rule.

    Attributes:
        expression: of the rule, where the default pack has it; "" else: events do not tell it.
        more: alerts that are not shown.
    """

    rule: RuleLine
    window: Window
    expression: str
    more: int


def alerts_of(
    entries: Sequence[LogEntry],
    window: Window,
    targets: tuple[Target, ...] = (),
    *,
    heard: Mapping[str, int] | None = None,
    problem: str = "",
    is_cut: bool = False,
) -> Alerts:
    """Rules by the state changes of their alerts.

    Args:
        entries: events of changes until the end of the window; earlier ones tell how it began.
        window: that is shown.
        heard: when each process, by its instance id, last told of alerts that are active.
        targets: as `target_of` made them.
        problem: why there are none.
        is_cut: whether there are more entries.
    """
    rules = sorted(
        (
            rule
            for rule in _rules(entries, window, heard or {})
            if rule.last_ns >= window.since_ns or rule.state in _STATES[:2]
        ),
        key=lambda rule: (_ORDER.index(rule.state), _rank(rule.severity), rule.name),
    )
    return Alerts(window, tuple(rules), targets, problem, is_cut)


def alert_view(
    name: str,
    entries: Sequence[LogEntry],
    window: Window,
    rule: Rule | None = None,
    heard: Mapping[str, int] | None = None,
) -> AlertView | None:
    """One rule; None where nothing of it was told. `rule` is that of the default pack, if there is one."""
    mine = [entry for entry in entries if entry.record.attributes.get(names.ALERT_NAME) == name]
    found = _rules(mine, window, heard or {})
    if not found:
        return None
    line = found[0]
    more = max(0, len(line.strips) - _MOST_STRIPS)
    shown = replace(line, strips=line.strips[:_MOST_STRIPS])
    return AlertView(shown, window, "" if rule is None else expression_of(rule), more)


def target_of(rule: Rule, series: Sequence[Series], until_ns: int) -> Target:
    """A target's state at a moment, evaluated by the engine of the rules over the stored points.

    The rule itself says whether an alert is pending or fires. A second evaluation, of the same rule with a
    condition that always holds, tells the value of every group that has one.

    Args:
        rule: of a threshold or a ratio.
        series: of `metrics_of(rule)`, with points of at least `reach_s(rule)` before the moment.
        until_ns: the moment.
    """
    always = replace(rule, condition=Condition.GE, threshold=-math.inf, clear=None, for_s=0.0, limit=10_000)
    real, valued = Evaluation(rule), Evaluation(always)
    until_s = until_ns / _NS_PER_S
    next_s = until_s - rule.window_s - rule.for_s
    for at_s, reading in _readings(series, until_ns):
        while next_s <= at_s:
            real.evaluate(next_s, next_s)
            next_s += _STEP_S
        real.observe(reading, at_s)
        valued.observe(reading, at_s)
    while next_s < until_s:
        real.evaluate(next_s, next_s)
        next_s += _STEP_S
    real.evaluate(until_s, until_s)
    valued.evaluate(until_s, until_s)
    states = {alert.state.value for alert in real.state.alerts.values()}
    return _target(
        rule, list(valued.state.alerts.values()), next((one for one in _STATES if one in states), "")
    )


def metrics_of(rule: Rule) -> tuple[str, ...]:
    """Names of the metrics that a rule reads, each once."""
    return tuple(dict.fromkeys(selector.metric for selector in rule.selectors))


def reach_s(rule: Rule) -> float:
    """How far back points matter: the window, the time that the condition must hold, and a point before."""
    return rule.window_s + rule.for_s + 120.0


def expression_of(rule: Rule) -> str:
    """A rule in words: "p95 of http.server.request.duration over 5 min by http.route > 100 ms for 1 min"."""
    over, limit = _duration(rule.window_s), told_number(rule.threshold, rule.unit)
    by = f" by {', '.join(rule.by)}" if rule.by else ""
    lasting = f" for {_duration(rule.for_s)}" if rule.for_s else ""
    compared = f"{by} {rule.condition.sign} {limit}{lasting}"
    expression = rule.expression
    match expression:
        case Threshold():
            told = f"{expression.stat} of {_selected(expression.selector)} over {over}{compared}"
        case Ratio():
            parts = f"{_selected(expression.numerator)} / {_selected(expression.denominator)}"
            told = f"{parts}, {expression.stat} over {over}{compared}"
        case Event():
            name = f"{expression.name or '*'}{_where(expression.where)}"
            told = f"{expression.signal.value} {name} within {over}{compared}"
        case Absent():
            told = f"nothing of {_selected(expression.selector)} for {over}{by}{lasting}"
        case Change():
            baseline = _duration(expression.baseline_s)
            told = (
                f"{expression.stat} of {_selected(expression.selector)} by that of {baseline} ago{compared}"
            )
        case Forecast():
            ahead = _duration(expression.horizon_s)
            told = f"{expression.stat} of {_selected(expression.selector)}, {ahead} ahead{compared}"
        case Burn():
            told = f"error budget of {expression.slo} burns too fast{by}{lasting}"
    return told


def _rules(entries: Iterable[LogEntry], window: Window, heard: Mapping[str, int]) -> list[RuleLine]:
    alerts: dict[str, dict[tuple[str, ...], list[LogEntry]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        told = entry.record.attributes
        name = str(told.get(names.ALERT_NAME, ""))
        if name and _at(entry) < window.until_ns:
            key = (
                str(told.get(names.ALERT_FINGERPRINT, "")),
                str(told.get(names.ALERT_EVALUATOR, "")),
                str(entry.record.resource.get(common.SERVICE_INSTANCE_ID, "")),
            )
            alerts[name][key].append(entry)
    return [_rule(name, same, window, heard) for name, same in alerts.items()]


def _rule(
    name: str, alerts: Mapping[tuple[str, ...], list[LogEntry]], window: Window, heard: Mapping[str, int]
) -> RuleLine:
    strips = sorted(
        (_strip(key[0], entries, window, heard.get(key[2])) for key, entries in alerts.items()),
        key=lambda strip: (_ORDER.index(strip.state), -strip.since_ns, strip.labels, strip.evaluator),
    )
    newest = max((entry for entries in alerts.values() for entry in entries), key=_at)
    firing = {strip.fingerprint for strip in strips if strip.state == "firing"}
    fired: dict[str, int] = defaultdict(int)
    for strip in strips:
        fired[strip.fingerprint] = max(fired[strip.fingerprint], strip.fired)
    return RuleLine(
        name=name,
        severity=strips[0].severity,
        state=strips[0].state,
        firing=len(firing),
        pending=len({strip.fingerprint for strip in strips if strip.state == "pending"} - firing),
        alerts=len(fired),
        fired=sum(fired.values()),
        last_ns=_at(newest),
        sentence=str(newest.record.body or ""),
        strips=tuple(strips),
    )


def _strip(fingerprint: str, entries: list[LogEntry], window: Window, heard_ns: int | None) -> AlertStrip:
    ordered = sorted(entries, key=lambda entry: (_at(entry), entry.number))
    newest = ordered[-1].record
    told = newest.attributes
    notice = next(
        (found for entry in reversed(ordered) if (found := notice_in(entry.record.attributes))), None
    )
    unit = notice.unit if notice is not None else ""
    changes = [_change(entry, unit) for entry in ordered]
    state, since_ns = changes[-1].state, changes[-1].at_ns
    marks = [(one.at_ns, one.state) for one in changes]
    if state != AlertState.INACTIVE.value and heard_ns is not None and window.until_ns - heard_ns > SILENT_NS:
        state, since_ns = SILENT, max(since_ns, heard_ns)
        marks.append((since_ns, SILENT))
    return AlertStrip(
        fingerprint=fingerprint,
        labels=_labels(notice),
        service=str(newest.resource.get(common.SERVICE_NAME, "")),
        evaluator=str(told.get(names.ALERT_EVALUATOR, "")),
        severity=str(told.get(names.ALERT_SEVERITY, "")),
        scope=str(told.get(names.ALERT_SCOPE, "")),
        state=state,
        since_ns=since_ns,
        fired=sum(one.state == "firing" and one.at_ns >= window.since_ns for one in changes),
        segments=_segments([(window.since_ns, changes[0].previous), *marks], window),
        changes=tuple(reversed(changes[-_MOST_CHANGES:])),
        summary=notice.annotations.get("summary", "") if notice is not None else "",
        runbook=notice.annotations.get("runbook_url", "") if notice is not None else "",
    )


def _labels(notice: Notice | None) -> tuple[tuple[str, str], ...]:
    if notice is None:
        return ()
    return tuple(
        (name, value) for name, value in notice.labels if name not in {"alertname", "severity", "scope"}
    )


def _change(entry: LogEntry, unit: str) -> ChangeLine:
    told = entry.record.attributes
    return ChangeLine(
        at_ns=_at(entry),
        previous=_state(told.get(names.ALERT_PREVIOUS_STATE)),
        state=_state(told.get(names.ALERT_STATE)),
        sentence=str(entry.record.body or ""),
        value=told_number(_number(told.get(names.ALERT_VALUE)), unit),
        threshold=told_number(_number(told.get(names.ALERT_THRESHOLD)), unit),
        trace_id=entry.record.trace_id or "",
    )


def _segments(marks: Sequence[tuple[int, str]], window: Window) -> tuple[Segment, ...]:
    """States within the window, by when each began."""
    ended = [*(max(at_ns, window.since_ns) for at_ns, _ in marks[1:]), window.until_ns]
    return tuple(
        Segment(max(at_ns, window.since_ns), until_ns, state)
        for (at_ns, state), until_ns in zip(marks, ended, strict=True)
        if until_ns > max(at_ns, window.since_ns)
    )


def _state(told: object) -> str:
    """What is no state counts as inactive: events may come from anybody."""
    return told if isinstance(told, str) and told in _STATES else AlertState.INACTIVE.value


def _number(told: object) -> float:
    return float(told) if isinstance(told, (int, float)) and not isinstance(told, bool) else math.nan


def _at(entry: LogEntry) -> int:
    return entry.record.time_ns or entry.record.observed_ns


def _rank(severity: str) -> int:
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)


def _target(rule: Rule, alerts: Iterable[Alert], alert: str) -> Target:
    up = rule.condition.looks_up
    valued = sorted(alerts, key=lambda one: -one.value if up else one.value)
    groups = [
        GroupValue(
            ", ".join(
                f"{name}={value}"
                for name, value in one.labels
                if name not in {"alertname", "severity", "scope"}
            ),
            told_number(one.value, rule.unit),
            not rule.condition.holds(one.value, rule.threshold),
        )
        for one in valued
    ]
    stat = f"{rule.expression.stat} " if isinstance(rule.expression, Threshold) else ""
    goal = f"{stat}{'below' if up else 'above'} {told_number(rule.threshold, rule.unit)}"
    state = NO_DATA if not groups else "met" if all(group.is_met for group in groups) else "missed"
    reason = "" if groups else _why_there_is_none(rule)
    return Target(
        name=rule.name,
        title=TARGETS.get(rule.name, rule.name),
        goal=goal,
        state=state,
        alert=alert or AlertState.INACTIVE.value,
        groups=tuple(groups[:_MOST_GROUPS]),
        expression=expression_of(rule),
        reason=reason,
    )


def _why_there_is_none(rule: Rule) -> str:
    metrics = " and ".join(metrics_of(rule))
    enough = f", {rule.min_count} measurements or more," if rule.min_count else ""
    return f"Needs {metrics}{enough} within {_duration(rule.window_s)}."


def _readings(series: Iterable[Series], until_ns: int) -> Iterator[tuple[float, Reading]]:
    """The points of all series in the order of time."""
    return heapq.merge(*(_readings_of(one, until_ns) for one in series), key=lambda found: found[0])


def _readings_of(series: Series, until_ns: int) -> Iterator[tuple[float, Reading]]:
    kind = _kind(series)
    if kind is None:
        return
    sender = Sender.of(_scalars(series.resource))
    attributes = _scalars(series.attributes)
    is_delta = series.temporality == "delta" and series.kind != "gauge"
    total: float | Histogram | None = None
    begun_s = 0.0
    for point in series.points:
        if point.time_ns > until_ns or (kind is not PointKind.HISTOGRAM and point.value is None):
            continue
        value, start_s = _value(point, series.kind), point.start_ns / _NS_PER_S
        if is_delta:
            total = _added(total, value)
            value = _point(total) if isinstance(total, Histogram) else total
            start_s = begun_s = begun_s or start_s
        yield point.time_ns / _NS_PER_S, Reading(sender, series.name, kind, attributes, value, start_s)


def _kind(series: Series) -> PointKind | None:
    if series.kind in {"histogram", "exponential_histogram"}:
        return PointKind.HISTOGRAM
    if series.kind == "summary":
        return None
    return PointKind.COUNTER if series.kind == "sum" and series.is_monotonic else PointKind.GAUGE


def _value(point: ReceivedPoint, kind: str) -> float | HistogramPoint:
    return histogram_point(point, kind) if point.value is None else float(point.value)


def _added(total: float | Histogram | None, more: float | HistogramPoint) -> float | Histogram:
    if isinstance(more, HistogramPoint):
        grown = total if isinstance(total, Histogram) else Histogram()
        grown.add(Histogram.of(more))
        return grown
    return (total if isinstance(total, float) else 0.0) + more


def _point(total: Histogram) -> HistogramPoint:
    if len(total.explicit) == 1:
        ((bounds, counts),) = total.explicit.items()
        return HistogramPoint(total.count, total.sum, ExplicitBuckets(bounds, tuple(counts)))
    buckets = total.buckets
    kept = buckets._replace(positive=dict(buckets.positive), negative=dict(buckets.negative))
    return HistogramPoint(total.count, total.sum, kept)


def _scalars(attributes: Attributes) -> dict[str, Scalar]:
    return {name: value for name, value in attributes.items() if isinstance(value, (str, bool, int, float))}


def _selected(selector: Selector) -> str:
    return f"{selector.metric}{_where(selector.where)}"


def _where(matchers: Iterable[Matcher]) -> str:
    told = [
        f"{one.attribute} {'is not' if one.is_negated else 'is'} {' or '.join(one.values)}"
        for one in matchers
    ]
    return f" where {' and '.join(told)}" if told else ""


def _duration(seconds: float) -> str:
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size and not seconds % size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
