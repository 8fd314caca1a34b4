"""The unit test of rules, in promtool's format: series as they come, and the alerts that shall be there then.

Everything that promtool has is read. What is compared in our engine is `alert_rule_test`, and
`promql_expr_test` with an expression `ALERTS` or `ALERTS{…}`, which tells pending alerts too. `events` is an
addition: spans and log events.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from tickspan.analysis.rules.model import EventStatus, Labels, Signal
from tickspan.analysis.rules.notation import Sample, label_set, matchers, samples
from tickspan.analysis.rules.problems import Misread, Place, Problems, RuleProblem, hint, shown
from tickspan.analysis.rules.units import duration_s, told_duration

__all__ = [
    "ExpectedAlert",
    "ExpectedAlerts",
    "ExpectedSamples",
    "GivenEvent",
    "GivenSeries",
    "UnitTest",
    "UnitTests",
    "promtool_document",
    "read_unit_tests",
]

_DEFAULT_INTERVAL_S: Final = 60.0
_FILE_KEYS: Final = ("rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests")
_TEST_KEYS: Final = (
    "name",
    "interval",
    "start_timestamp",
    "input_series",
    "events",
    "alert_rule_test",
    "promql_expr_test",
    "external_labels",
    "external_url",
)
_EVENT_KEYS: Final = ("time", "signal", "name", "status", "duration", "attributes", "resource")
_ALERTS: Final = re.compile(r"ALERTS\s*(\{.*\})?", re.DOTALL)


class GivenSeries(NamedTuple):
    """One input series.

    Attributes:
        labels: with `__name__`.
        values: one for each interval.
        series: both as they are written.
        notation: of the values.
    """

    labels: Mapping[str, str]
    values: tuple[Sample, ...]
    series: str
    notation: str


class GivenEvent(NamedTuple):
    """One span that ended, or log event. Attributes are texts."""

    at_s: float
    signal: Signal
    name: str
    status: EventStatus
    duration_s: float
    attributes: Mapping[str, str]
    resource: Mapping[str, str]


class ExpectedAlert(NamedTuple):
    """One alert. Annotations are compared where they are given."""

    labels: Labels
    annotations: Mapping[str, str] | None


class ExpectedAlerts(NamedTuple):
    """All alerts of a rule that fire at a time."""

    at_s: float
    rule: str
    alerts: tuple[ExpectedAlert, ...]


class ExpectedSamples(NamedTuple):
    """All series of `ALERTS` that match at a time; other expressions are promtool's only.

    Attributes:
        at_s: the time.
        expression: as it is written.
        matchers: label, sign and value; None for another expression.
        samples: labels without the name of the series, and value.
        written: labels as they are written, and value.
    """

    at_s: float
    expression: str
    matchers: tuple[tuple[str, str, str], ...] | None
    samples: tuple[tuple[Labels, float], ...]
    written: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class UnitTest:
    """One test.

    Attributes:
        name: of it, or its place.
        interval_s: between values of a series.
        start_s: what time zero is since 1970; None is not said.
        series: that come.
        events: that happen.
        alerts: that shall fire.
        samples: that `ALERTS` shall have.
    """

    name: str
    interval_s: float
    start_s: float | None = None
    series: tuple[GivenSeries, ...] = ()
    events: tuple[GivenEvent, ...] = ()
    alerts: tuple[ExpectedAlerts, ...] = ()
    samples: tuple[ExpectedSamples, ...] = ()

    @property
    def end_s(self) -> float:
        """The last time that something is expected at."""
        return max((expected.at_s for expected in (*self.alerts, *self.samples)), default=0.0)


@dataclass(frozen=True, slots=True)
class UnitTests:
    """One file of tests.

    Attributes:
        rule_files: as they are named, relative to the file.
        evaluation_interval_s: between evaluations, from time zero on.
        tests: of it.
        file: its name.
    """

    rule_files: tuple[str, ...] = ()
    evaluation_interval_s: float = 60.0
    tests: tuple[UnitTest, ...] = ()
    file: str = ""


def read_unit_tests(
    document: object, file: str = "", lines: Mapping[Place, int] | None = None
) -> tuple[UnitTests, tuple[RuleProblem, ...]]:
    """The tests of a document, and what is wrong in it. A part with a problem is left out.

    Args:
        document: as YAML has it; scalars may be texts.
        file: its name, for problems.
        lines: of its values, as far as they are known.
    """
    reader = _Reader(Problems(file, lines or {}))
    return reader.file(document), tuple(reader.problems.found)


def promtool_document(
    tests: UnitTests, rule_files: Sequence[str], rules: frozenset[str], groups: Sequence[str]
) -> dict[str, Any]:
    """The same tests for promtool: without events, annotations, and rules that it does not evaluate.

    Args:
        tests: to write.
        rule_files: that hold the compiled rules.
        rules: names of the rules in them.
        groups: their groups, in the order in which they shall be evaluated.
    """
    return {
        "rule_files": list(rule_files),
        "evaluation_interval": told_duration(tests.evaluation_interval_s),
        "group_eval_order": list(groups),
        "tests": [_written(test, rules) for test in tests.tests],
    }


def _written(test: UnitTest, rules: frozenset[str]) -> dict[str, Any]:
    """Firing alerts are asked for by their series: `alert_rule_test` would compare annotations too."""
    firing = [
        {
            "expr": f'ALERTS{{alertname="{expected.rule}", alertstate="firing"}}',
            "eval_time": told_duration(expected.at_s),
            "exp_samples": [
                {"labels": _firing_series(alert.labels), "value": 1} for alert in expected.alerts
            ],
        }
        for expected in test.alerts
        if expected.rule in rules
    ]
    asked = [
        {
            "expr": expected.expression,
            "eval_time": told_duration(expected.at_s),
            "exp_samples": [{"labels": labels, "value": value} for labels, value in expected.written],
        }
        for expected in test.samples
    ]
    written: dict[str, Any] = {
        "name": test.name,
        "interval": told_duration(test.interval_s),
        "input_series": [{"series": one.series, "values": one.notation} for one in test.series],
        "promql_expr_test": [*firing, *asked],
    }
    return written


def _firing_series(labels: Labels) -> str:
    pairs = {**dict(labels), "alertstate": "firing"}
    return "ALERTS{" + ", ".join(f"{name}={_quoted(value)}" for name, value in pairs.items()) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the parts of a document and notes what is wrong in them."""

    problems: Problems
    defaults: dict[str, float] = field(default_factory=dict[str, float])

    def file(self, document: object) -> UnitTests:
        entries = self.entries(document, _FILE_KEYS, (), "a document with `rule_files` and `tests`")
        interval_s = self.interval(entries, "evaluation_interval", (), _DEFAULT_INTERVAL_S)
        self.defaults["interval"] = interval_s
        return UnitTests(
            tuple(str(name) for name in self.items(entries, "rule_files", ())),
            interval_s,
            tuple(
                self.test(raw, ("tests", number))
                for number, raw in enumerate(self.items(entries, "tests", ()))
            ),
            self.problems.file,
        )

    def test(self, raw: object, place: Place) -> UnitTest:
        entries = self.entries(raw, _TEST_KEYS, place, "a test")
        return UnitTest(
            str(entries.get("name") or f"tests[{place[-1]}]"),
            self.interval(entries, "interval", place, self.defaults["interval"]),
            self.start(entries, place),
            self.each(entries, "input_series", place, self.series),
            self.each(entries, "events", place, self.event),
            self.each(entries, "alert_rule_test", place, self.alerts),
            self.each(entries, "promql_expr_test", place, self.samples),
        )

    def series(self, raw: object, place: Place) -> GivenSeries:
        entries = self.entries(raw, ("series", "values"), place, "a series with its values")
        series, values = str(entries.get("series", "")), str(entries.get("values", ""))
        labels = label_set(series)
        if "__name__" not in labels:
            raise Misread(f"expected a series with a name, got {shown(series)}")
        return GivenSeries(labels, samples(values), series, values)

    def event(self, raw: object, place: Place) -> GivenEvent:
        entries = self.entries(raw, _EVENT_KEYS, place, "an event")
        signal = str(entries.get("signal", "span"))
        status = str(entries.get("status", "unset"))
        if signal not in set(Signal):
            raise Misread(f"expected signal span or log, got {shown(signal)}")
        if status not in set(EventStatus):
            raise Misread(f"expected status unset, ok or error, got {shown(status)}")
        return GivenEvent(
            self.duration(entries, "time", place) or 0.0,
            Signal(signal),
            str(entries.get("name", "")),
            EventStatus(status),
            self.duration(entries, "duration", place) or 0.0,
            self.texts(entries, "attributes", place),
            self.texts(entries, "resource", place),
        )

    def alerts(self, raw: object, place: Place) -> ExpectedAlerts:
        keys = ("eval_time", "alertname", "exp_alerts")
        entries = self.entries(raw, keys, place, "`eval_time`, `alertname` and `exp_alerts`")
        rule = str(entries.get("alertname", ""))
        if not rule:
            raise Misread("expected the name of a rule as `alertname`, got nothing")
        alerts: list[ExpectedAlert] = []
        for number, one in enumerate(self.items(entries, "exp_alerts", place)):
            inner = (*place, "exp_alerts", number)
            given = self.entries(one, ("exp_labels", "exp_annotations"), inner, "an alert")
            labels = self.texts(given, "exp_labels", inner) | {"alertname": rule}
            annotations = (
                self.texts(given, "exp_annotations", inner) if given.get("exp_annotations") else None
            )
            alerts.append(ExpectedAlert(_sorted(labels), annotations))
        return ExpectedAlerts(self.duration(entries, "eval_time", place) or 0.0, rule, tuple(alerts))

    def samples(self, raw: object, place: Place) -> ExpectedSamples:
        keys = ("expr", "eval_time", "exp_samples")
        entries = self.entries(raw, keys, place, "`expr`, `eval_time` and `exp_samples`")
        expression = str(entries.get("expr", ""))
        of_alerts = _ALERTS.fullmatch(expression.strip())
        written: list[tuple[str, float]] = []
        for number, one in enumerate(self.items(entries, "exp_samples", place)):
            inner = (*place, "exp_samples", number)
            given = self.entries(one, ("labels", "value", "histogram"), inner, "a sample")
            written.append((str(given.get("labels", "")), _number(given.get("value", 0))))
        return ExpectedSamples(
            self.duration(entries, "eval_time", place) or 0.0,
            expression,
            matchers(of_alerts[1] or "{}") if of_alerts else None,
            tuple((_without_name(label_set(labels)), value) for labels, value in written)
            if of_alerts
            else (),
            tuple(written),
        )

    def each(self, entries: Mapping[str, Any], key: str, place: Place, read: Any) -> tuple[Any, ...]:
        """What `read` makes of each item; those with a problem are left out."""
        made: list[Any] = []
        for number, raw in enumerate(self.items(entries, key, place)):
            inner = (*place, key, number)
            try:
                made.append(read(raw, inner))
            except Misread as problem:
                self.problems.add(inner, str(problem))
        return tuple(made)

    def entries(self, raw: object, keys: Iterable[str], place: Place, expected: str) -> Mapping[str, Any]:
        if not isinstance(raw, Mapping):
            self.problems.add(place, f"expected {expected}, got {shown(raw)}")
            return {}
        for key in raw:
            if key not in keys:
                self.problems.add((*place, str(key)), f"unknown key{hint(str(key), keys)}")
        return raw

    def items(self, entries: Mapping[str, Any], key: str, place: Place) -> Sequence[Any]:
        raw = entries.get(key)
        if raw is None or raw == "":
            return ()
        if not isinstance(raw, list | tuple):
            self.problems.add((*place, key), f"expected a list, got {shown(raw)}")
            return ()
        return raw

    def texts(self, entries: Mapping[str, Any], key: str, place: Place) -> dict[str, str]:
        raw = entries.get(key)
        if raw is None or raw == "":
            return {}
        if not isinstance(raw, Mapping):
            self.problems.add((*place, key), f"expected a mapping of names to texts, got {shown(raw)}")
            return {}
        return {str(name): str(value) for name, value in raw.items()}

    def interval(self, entries: Mapping[str, Any], key: str, place: Place, default_s: float) -> float:
        """A duration of more than nothing."""
        raw = entries.get(key)
        seconds = default_s if raw is None or raw == "" else self.duration(entries, key, place)
        if seconds == 0.0:
            self.problems.add((*place, key), f"expected a duration of more than nothing, got {shown(raw)}")
        return seconds or default_s

    def duration(self, entries: Mapping[str, Any], key: str, place: Place) -> float | None:
        """Seconds; None for what is no duration."""
        raw = entries.get(key)
        try:
            return 0.0 if raw is None or raw == "" else duration_s(raw)
        except Misread as problem:
            self.problems.add((*place, key), str(problem))
            return None

    def start(self, entries: Mapping[str, Any], place: Place) -> float | None:
        raw = entries.get("start_timestamp")
        if raw is None or raw == "":
            return None
        try:
            return float(raw)
        except (TypeError, ValueError):
            pass
        try:
            return (raw if isinstance(raw, datetime) else datetime.fromisoformat(str(raw))).timestamp()
        except ValueError:
            message = f"expected a time like '2026-11-26T14:30:00Z', got {shown(raw)}"
            self.problems.add((*place, "start_timestamp"), message)
            return None


def _number(raw: object) -> float:
    try:
        return float(str(raw))
    except ValueError:
        raise Misread(f"expected a number as value, got {shown(raw)}") from None


def _without_name(labels: Mapping[str, str]) -> Labels:
    return _sorted({name: value for name, value in labels.items() if name != "__name__"})


def _sorted(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted((name, value) for name, value in labels.items() if value))
