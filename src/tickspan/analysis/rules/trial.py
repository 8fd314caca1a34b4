"""The trial: unit tests of rules, run in our engine.

Series have Prometheus's names. They are read backwards to metrics and attributes by what the rules mention: a
label that no rule knows an attribute of is taken for an attribute of its own name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from tickspan.analysis.rules.alert import Alert, AlertState
from tickspan.analysis.rules.calendars import Calendar
from tickspan.analysis.rules.compile.expressions import session_metric
from tickspan.analysis.rules.compile.promql import metric_name
from tickspan.analysis.rules.evaluation import Evaluation
from tickspan.analysis.rules.facts import MetricKind
from tickspan.analysis.rules.labels import ALERT_NAME, HOST, INSTANCE, JOB
from tickspan.analysis.rules.model import Labels, Rule
from tickspan.analysis.rules.naming import prometheus_label
from tickspan.analysis.rules.notation import NativeHistogram, Sample, Stale
from tickspan.analysis.rules.problems import Misread
from tickspan.analysis.rules.readings import (
    ExplicitBuckets,
    HistogramPoint,
    Occurrence,
    PointKind,
    Reading,
    Sender,
    Value,
)
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.unit_tests import (
    ExpectedAlerts,
    ExpectedSamples,
    GivenEvent,
    UnitTest,
    UnitTests,
)
from tickspan.semconv.common import HOST_NAME, SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE
from tickspan.semconv.sessions import SESSION_NAME

__all__ = ["Annotate", "Failure", "Observed", "observe", "run_unit_tests"]

Annotate = Callable[[Rule, Alert], Mapping[str, str]]
"""Renders the annotations of an alert."""

_ALERT_STATE: Final = "alertstate"
_BEFORE_THE_FIRST_SAMPLE_S: Final = 1e-3
_LONG_AGO_S: Final = -1e12
_MARKS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "=": lambda wanted, value: value == wanted,
    "!=": lambda wanted, value: value != wanted,
    "=~": lambda wanted, value: re.fullmatch(wanted, value) is not None,
    "!~": lambda wanted, value: re.fullmatch(wanted, value) is None,
}


class Failure(NamedTuple):
    """An expectation that did not come true.

    Attributes:
        test: name of it.
        at_s: when.
        subject: the rule, or the expression.
        expected: one text for each alert or sample.
        got: the same.
    """

    test: str
    at_s: float
    subject: str
    expected: tuple[str, ...]
    got: tuple[str, ...]

    def __str__(self) -> str:
        """On four lines."""
        expected, got = (", ".join(texts) or "nothing" for texts in (self.expected, self.got))
        return f"{self.test}\n  {self.subject} at {self.at_s:g} s\n  expected {expected}\n  got      {got}"


class Observed(NamedTuple):
    """An alert that is pending or firing."""

    rule: Rule
    alert: Alert


def run_unit_tests(tests: UnitTests, rules: RuleSet, annotate: Annotate | None = None) -> tuple[Failure, ...]:
    """What did not come true.

    Args:
        tests: to run.
        rules: of the files that they name.
        annotate: renders annotations; without it they are not compared.

    Raises:
        Misread: a series cannot be what a rule reads, such as a histogram with half a measurement.
    """
    found: list[Failure] = []
    for test in tests.tests:
        times = {expected.at_s for expected in (*test.alerts, *test.samples)}
        active = observe(test, rules, tests.evaluation_interval_s, times)
        found += [
            failure
            for one in test.alerts
            if (failure := _alerts(test, one, active[one.at_s], rules, annotate))
        ]
        found += [failure for one in test.samples if (failure := _samples(test, one, active[one.at_s]))]
    return tuple(found)


def observe(
    test: UnitTest, rules: RuleSet, evaluation_interval_s: float, times: Iterable[float]
) -> Mapping[float, tuple[Observed, ...]]:
    """Pending and firing alerts at each of the times: those of the last evaluation that is not later.

    Evaluations are at multiples of the interval, from time zero on.
    """
    course = _Course(test, rules)
    found: dict[float, tuple[Observed, ...]] = {}
    number = 0
    for time_s in sorted(times):
        while number * evaluation_interval_s <= time_s:
            course.evaluate(number * evaluation_interval_s)
            number += 1
        found[time_s] = course.active()
    return found


class _Course:
    """The evaluations of one test, and what was given to them."""

    def __init__(self, test: UnitTest, rules: RuleSet) -> None:
        self._start_s = test.start_s or 0.0
        told = _told_calendars(test, rules)
        known = rules.calendars if test.start_s is not None else {}
        self._evaluations = [
            Evaluation(rule, told.get(rule.session or "") or known.get(rule.session or ""))
            for rule in rules.rules
        ]
        self._given = sorted(_given(test, rules), key=lambda given: given[0])
        self._next = 0

    def evaluate(self, now_s: float) -> None:
        """Gives what came until now, and evaluates."""
        while self._next < len(self._given) and self._given[self._next][0] <= now_s:
            at_s, what = self._given[self._next]
            for evaluation in self._evaluations:
                if isinstance(what, Reading):
                    evaluation.observe(what, at_s)
                else:
                    evaluation.happened(what, at_s)
            self._next += 1
        for evaluation in self._evaluations:
            evaluation.evaluate(now_s, self._start_s + now_s)

    def active(self) -> tuple[Observed, ...]:
        """The alerts that are there."""
        return tuple(
            Observed(evaluation.rule, alert)
            for evaluation in self._evaluations
            for alert in evaluation.state.alerts.values()
            if alert.state is not AlertState.INACTIVE
        )


def _alerts(
    test: UnitTest,
    expected: ExpectedAlerts,
    active: Sequence[Observed],
    rules: RuleSet,
    annotate: Annotate | None,
) -> Failure | None:
    """Why the firing alerts of a rule are not the expected ones."""
    if expected.rule not in {rule.name for rule in rules.rules}:
        return Failure(test.name, expected.at_s, expected.rule, ("a rule of this name",), ())
    firing = {
        one.alert.labels: dict(annotate(one.rule, one.alert)) if annotate else {}
        for one in active
        if one.rule.name == expected.rule and one.alert.state is AlertState.FIRING
    }
    wanted = {alert.labels: alert.annotations for alert in expected.alerts}
    compared = {
        labels: annotations if annotate and wanted.get(labels) is not None else None
        for labels, annotations in firing.items()
    }
    if compared == (wanted if annotate else dict.fromkeys(wanted)):
        return None
    texts = (tuple(_told(labels, notes) for labels, notes in sorted(one.items())) for one in (wanted, firing))
    return Failure(test.name, expected.at_s, expected.rule, *texts)


def _samples(test: UnitTest, expected: ExpectedSamples, active: Sequence[Observed]) -> Failure | None:
    """Why the series of `ALERTS` are not the expected ones; other expressions are not ours to say."""
    if expected.matchers is None:
        return None
    got = sorted(labels for one in active if _is_meant(expected, dict(labels := _series_labels(one.alert))))
    if sorted(expected.samples) == [(labels, 1.0) for labels in got]:
        return None
    wanted = tuple(f"{_told(labels)} {value:g}" for labels, value in sorted(expected.samples))
    return Failure(
        test.name, expected.at_s, expected.expression, wanted, tuple(f"{_told(one)} 1" for one in got)
    )


def _series_labels(alert: Alert) -> Labels:
    """Of the alert's series `ALERTS`."""
    return tuple(sorted((*alert.labels, (_ALERT_STATE, alert.state.value))))


def _is_meant(expected: ExpectedSamples, labels: Mapping[str, str]) -> bool:
    return all(_MARKS[sign](wanted, labels.get(name, "")) for name, sign, wanted in expected.matchers or ())


def _told(labels: Labels, annotations: Mapping[str, str] | None = None) -> str:
    """Labels but the rule's name, and annotations where there are any."""
    named = ", ".join(f'{name}="{value}"' for name, value in labels if name != ALERT_NAME)
    return f"{{{named}}}" + (f" {dict(sorted(annotations.items()))}" if annotations else "")


def _given(test: UnitTest, rules: RuleSet) -> Iterator[tuple[float, Reading | Occurrence]]:
    """What comes in a test, with its time; in the order of series, not of time."""
    names = _Names.of(rules)
    tracks: dict[tuple[str, Labels], _Track] = {}
    for series in test.series:
        meaning = names.metrics.get(series.labels["__name__"])
        if meaning is None:
            continue
        labels = {name: value for name, value in series.labels.items() if name not in {"__name__", _LE}}
        key = (meaning.metric, tuple(sorted(labels.items())))
        if key not in tracks:
            tracks[key] = _Track(meaning, names.sender(labels), names.attributes_of(labels))
        le = series.labels.get(_LE, "")
        tracks[key].parts[meaning.part, le] = series.values
    for track in tracks.values():
        for number, reading in track.readings():
            yield number * test.interval_s, reading
    for event in test.events:
        yield event.at_s, _occurrence(event)


_LE: Final = "le"
_VALUE, _BUCKET, _COUNT, _SUM = "", "_bucket", "_count", "_sum"


class _Meaning(NamedTuple):
    """What a series of Prometheus is of."""

    metric: str
    kind: PointKind
    part: str


@dataclass(frozen=True, slots=True)
class _Names:
    """OpenTelemetry's names by Prometheus's, as far as rules mention them."""

    metrics: Mapping[str, _Meaning]
    attributes: Mapping[str, str]
    senders: dict[Labels, Sender] = field(default_factory=dict[Labels, Sender])

    @staticmethod
    def of(rules: RuleSet) -> _Names:
        metrics: dict[str, _Meaning] = {}
        attributes: dict[str, str] = {}
        for rule in rules.rules:
            for selector in rule.selectors:
                fact = rules.metrics[selector.metric]
                name = metric_name(fact)
                kind = _KINDS[fact.kind]
                parts = (_VALUE, _BUCKET, _COUNT, _SUM) if kind is PointKind.HISTOGRAM else (_VALUE,)
                metrics |= {f"{name}{part}": _Meaning(selector.metric, kind, part) for part in parts}
                attributes |= _labelled(matcher.attribute for matcher in selector.where)
            attributes |= _labelled(rule.by)
        return _Names(metrics, attributes)

    def sender(self, labels: Mapping[str, str]) -> Sender:
        """The process that a series is of, the very same one each time."""
        key = tuple((name, labels.get(name, "")) for name in (JOB, INSTANCE, HOST))
        if key not in self.senders:
            namespace, _, name = labels.get(JOB, "").rpartition("/")
            resource: dict[str, Value] = {
                SERVICE_NAMESPACE: namespace,
                SERVICE_NAME: name,
                SERVICE_INSTANCE_ID: labels.get(INSTANCE, ""),
                HOST_NAME: labels.get(HOST, ""),
            }
            self.senders[key] = Sender.of({name: value for name, value in resource.items() if value})
        return self.senders[key]

    def attributes_of(self, labels: Mapping[str, str]) -> Mapping[str, Value]:
        """The attributes of a point."""
        return {
            self.attributes.get(label, label): value
            for label, value in labels.items()
            if label not in {JOB, INSTANCE, HOST}
        }


_KINDS: Final[Mapping[MetricKind, PointKind]] = {
    MetricKind.COUNTER: PointKind.COUNTER,
    MetricKind.UPDOWNCOUNTER: PointKind.GAUGE,
    MetricKind.GAUGE: PointKind.GAUGE,
    MetricKind.HISTOGRAM: PointKind.HISTOGRAM,
}


def _labelled(attributes: Iterable[str]) -> dict[str, str]:
    return {prometheus_label(attribute): attribute for attribute in attributes}


@dataclass(slots=True)
class _Track:
    """One series of OpenTelemetry, which may be many of Prometheus.

    Attributes:
        meaning: of them.
        sender: whose it is.
        attributes: of its points.
        parts: values by part and `le`.
    """

    meaning: _Meaning
    sender: Sender
    attributes: Mapping[str, Value]
    parts: dict[tuple[str, str], tuple[Sample, ...]] = field(
        default_factory=dict[tuple[str, str], tuple[Sample, ...]]
    )

    def readings(self) -> Iterator[tuple[int, Reading]]:
        """The points, each with the number of its interval. The first one tells no increase."""
        length = max(map(len, self.parts.values()))
        for number in range(length):
            value = self._value(number)
            if value is not None:
                yield (
                    number,
                    Reading(self.sender, self.meaning.metric, self.meaning.kind, self.attributes, value),
                )

    def _value(self, number: int) -> float | HistogramPoint | None:
        native = self._sample((_VALUE, ""), number)
        if self.meaning.kind is not PointKind.HISTOGRAM:
            if isinstance(native, NativeHistogram):
                raise Misread(f"expected numbers as values of {self.meaning.metric}, got a histogram")
            return native
        if native is not None:
            if not isinstance(native, NativeHistogram):
                raise Misread(f"expected histograms as values of {self.meaning.metric}, got a number")
            return native.point()
        return self._classic(number)

    def _classic(self, number: int) -> HistogramPoint | None:
        reached: dict[float, int] = {}
        for part, le in self.parts:
            if part == _BUCKET and (sample := self._sample((part, le), number)) is not None:
                reached[float(le)] = _whole(sample)
        if math.inf not in reached:
            count = self._sample((_COUNT, ""), number)
            if count is None:
                return None
            reached[math.inf] = _whole(count)
        bounds = sorted(reached)
        counts = [reached[bounds[0]], *(reached[high] - reached[low] for low, high in pairwise(bounds))]
        total = self._sample((_SUM, ""), number)
        buckets = ExplicitBuckets(tuple(bounds[:-1]), tuple(counts))
        return HistogramPoint(reached[math.inf], total if isinstance(total, float) else 0.0, buckets)

    def _sample(self, part: tuple[str, str], number: int) -> float | NativeHistogram | None:
        values = self.parts.get(part, ())
        sample = values[number] if number < len(values) else None
        return None if isinstance(sample, Stale) else sample


def _whole(sample: float | NativeHistogram) -> int:
    if isinstance(sample, NativeHistogram) or not math.isfinite(sample) or sample != int(sample):
        raise Misread(f"expected whole counts in buckets, got {sample}")
    return int(sample)


def _occurrence(event: GivenEvent) -> Occurrence:
    return Occurrence(
        Sender.of(event.resource),
        event.signal,
        event.name,
        event.attributes,
        event.status.value,
        event.duration_s,
    )


def _told_calendars(test: UnitTest, rules: RuleSet) -> dict[str, Calendar]:
    """Sessions as the gauge of open sessions tells them; one that it does not tell is always open."""
    metric, label = session_metric(rules.metrics), prometheus_label(SESSION_NAME)
    start_s = test.start_s or 0.0
    found: dict[str, Calendar] = {}
    for series in test.series:
        if series.labels["__name__"] != metric:
            continue
        name = series.labels.get(label, "")
        openings, closes = [_LONG_AGO_S], list[float]()
        for number, sample in enumerate(series.values):
            at_s = start_s + number * test.interval_s
            is_closed = sample == 0.0
            if is_closed and len(closes) < len(openings):
                closes.append(at_s)
            elif sample is not None and not is_closed and len(closes) == len(openings):
                openings.append(at_s - _BEFORE_THE_FIRST_SAMPLE_S)
        closes += [math.inf] * (len(openings) - len(closes))
        found[name] = Calendar(name, tuple(openings), tuple(closes))
    return found
