"""PromQL: the series of a rule in Prometheus, and what its statistic is there.

Expressions use what Prometheus 2.42 has. Two habits make them agree with the other evaluators:

- A range over counters is one millisecond longer than the window: Prometheus 3 leaves out the point at the
  start of a range, from which the window's first increase is counted.
- Increases are rounded to a millionth: `rate` extrapolates by that millisecond, and what it divides is
  multiplied again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tickspan.analysis.rules.facts import MetricFact, MetricKind
from tickspan.analysis.rules.labels import HOST, INSTANCE, JOB
from tickspan.analysis.rules.model import Matcher, Rule, Scope, Selector, Stat, StatName
from tickspan.analysis.rules.naming import prometheus_label, prometheus_name
from tickspan.analysis.rules.readings import PointKind
from tickspan.semconv.common import HOST_NAME, SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE

__all__ = [
    "SCOPE_LABELS",
    "Series",
    "any_of",
    "duration",
    "exact",
    "group_labels",
    "label_matcher",
    "le_spellings",
    "metric_name",
    "number",
    "quoted",
    "rounded",
    "series_of",
]

SCOPE_LABELS: Final[Mapping[Scope, tuple[str, ...]]] = {
    Scope.PROCESS: (JOB, INSTANCE),
    Scope.HOST: (HOST,),
    Scope.SERVICE: (JOB,),
    Scope.FLEET: (),
}

_POINT_KINDS: Final[Mapping[MetricKind, PointKind]] = {
    MetricKind.COUNTER: PointKind.COUNTER,
    MetricKind.UPDOWNCOUNTER: PointKind.GAUGE,
    MetricKind.GAUGE: PointKind.GAUGE,
    MetricKind.HISTOGRAM: PointKind.HISTOGRAM,
}
_RESOURCE_LABELS: Final[Mapping[str, str]] = {SERVICE_INSTANCE_ID: INSTANCE, HOST_NAME: HOST}
_SPECIAL: Final = re.compile(r"([\\.+*?()|\[\]{}^$])")
_UNITS_MS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def metric_name(fact: MetricFact) -> str:
    """The metric's name in Prometheus."""
    return prometheus_name(
        fact.name, fact.unit, _POINT_KINDS[fact.kind], is_sum=fact.kind is MetricKind.UPDOWNCOUNTER
    )


def group_labels(rule: Rule) -> tuple[str, ...]:
    """The labels that make a rule's groups."""
    return tuple(sorted({*SCOPE_LABELS[rule.scope], *(prometheus_label(attribute) for attribute in rule.by)}))


@dataclass(frozen=True, slots=True)
class Series:
    """The series of one selector, and statistics of them by group.

    Attributes:
        name: of the metric.
        matchers: PromQL.
        kind: of the points.
        by: labels of the groups.
        offset_s: how far back they are looked at.
    """

    name: str
    matchers: tuple[str, ...]
    kind: PointKind
    by: tuple[str, ...]
    offset_s: float = 0.0

    @property
    def group(self) -> str:
        """The labels of the groups, as PromQL lists them."""
        return ", ".join(self.by)

    def over(self, window: str, suffix: str = "", extra: Sequence[str] = ()) -> str:
        """A range: `name_suffix{…}[window]`."""
        matchers = ", ".join([*self.matchers, *extra])
        offset = f" offset {duration(self.offset_s)}" if self.offset_s else ""
        return f"{self.name}{suffix}{f'{{{matchers}}}' if matchers else ''}[{window}]{offset}"

    def rate(self, window_s: float, suffix: str = "", extra: Sequence[str] = (), *, by: str = "") -> str:
        """The increase per second, by group and, if it is given, by one more label."""
        labels = ", ".join([*self.by, by]) if by else self.group
        return f"sum by ({labels}) (rate({self.over(exact(window_s), suffix, extra)}))"

    def statistic(self, stat: Stat, window_s: float) -> str:
        """The statistic over the window, in the metric's unit."""
        match self.kind:
            case PointKind.GAUGE:
                return self._level(stat.name, window_s)
            case PointKind.COUNTER:
                return _rounded_rate(self.rate(window_s), stat, window_s)
            case PointKind.HISTOGRAM:
                return self._of_histogram(stat, window_s)

    def total(self, stat: Stat, window_s: float) -> str:
        """As `statistic`, but gauges are added up whatever the statistic is."""
        if self.kind is PointKind.GAUGE:
            return f"sum by ({self.group}) ({stat.name.value}_over_time({self.over(duration(window_s))}))"
        return self.statistic(stat, window_s)

    def count(self, window_s: float) -> str:
        """How many measurements are in the window; of a counter, its increase."""
        if self.kind is PointKind.GAUGE:
            return f"sum by ({self.group}) (count_over_time({self.over(duration(window_s))}))"
        return self.statistic(Stat(StatName.COUNT), window_s)

    def present(self, window_s: float) -> str:
        """1 for each group that has a point in the window."""
        window = duration(window_s)
        points = f"present_over_time({self.over(window)})"
        if self.kind is PointKind.HISTOGRAM:
            points += f" or present_over_time({self.over(window, '_count')})"
        return f"group by ({self.group}) ({points})"

    def slower(self, bound: float, window_s: float) -> str:
        """The share of a histogram's measurements that are above a bound, which a classic one must have."""
        rate = self.rate(window_s)
        le = label_matcher("le", le_spellings(bound))
        fast = f"{self.rate(window_s, '_bucket', [le])} / ({self.rate(window_s, '_count')} > 0)"
        return f"1 - (histogram_fraction(-Inf, {number(bound)}, {rate}) or {fast})"

    def _level(self, stat: StatName, window_s: float) -> str:
        joined = "sum" if stat is StatName.LAST else stat.value
        return f"{joined} by ({self.group}) ({stat.value}_over_time({self.over(duration(window_s))}))"

    def _of_histogram(self, stat: Stat, window_s: float) -> str:
        native = self.rate(window_s)
        if stat.name is StatName.QUANTILE:
            q = number(stat.quantile or 0.0)
            classic = rounded(f"{self.rate(window_s, '_bucket', by='le')} * {number(window_s)}")
            return any_of([f"histogram_quantile({q}, {native})", f"histogram_quantile({q}, {classic})"])
        counted = any_of([f"histogram_count({native})", self.rate(window_s, "_count")])
        if stat.name is StatName.AVG:
            total = any_of([f"histogram_sum({native})", self.rate(window_s, "_sum")])
            return f"({total}) / (({counted}) > 0)"
        return _rounded_rate(f"({counted})", stat, window_s)


def series_of(selector: Selector, fact: MetricFact, rule: Rule, offset_s: float = 0.0) -> Series:
    """The series that a selector of a rule means."""
    return Series(
        metric_name(fact),
        tuple(_matcher(matcher) for matcher in selector.where),
        _POINT_KINDS[fact.kind],
        group_labels(rule),
        offset_s,
    )


def any_of(expressions: Iterable[str]) -> str:
    """The first for each group that gives something."""
    return " or ".join(expressions)


def rounded(expression: str) -> str:
    """To a millionth; see this module's docstring."""
    return f"round({expression}, 1e-06)"


def _rounded_rate(rate: str, stat: Stat, window_s: float) -> str:
    """The increase in the window, or the rate that is made of it again."""
    increase = rounded(f"{rate} * {number(window_s)}")
    return f"{increase} / {number(window_s)}" if stat.name is StatName.RATE else increase


def exact(window_s: float) -> str:
    """The range in which a window's increases are; see this module's docstring."""
    return duration(window_s + 0.001)


def duration(seconds: float) -> str:
    """As PromQL writes it: `1h30m`, `500ms`; at least a millisecond."""
    left = max(1, round(seconds * 1000))
    text = ""
    for unit, size in _UNITS_MS:
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text


def number(value: float) -> str:
    """As PromQL and Go read it: the shortest text that is this number."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < _MAX_PLAIN else repr(value)


_MAX_PLAIN: Final = 1e15


def quoted(text: str) -> str:
    """A string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def label_matcher(label: str, values: Sequence[str], *, is_negated: bool = False) -> str:
    """That a label has one of the values, or none of them."""
    if len(values) == 1:
        return f"{label}{'!=' if is_negated else '='}{quoted(values[0])}"
    pattern = "|".join(_escaped(value) for value in values)
    return f"{label}{'!~' if is_negated else '=~'}{quoted(pattern)}"


def le_spellings(bound: float) -> tuple[str, ...]:
    """A bucket's bound in Prometheus: as its OTLP receiver writes it, and as it is scraped.

    `1` and `1.0`, `0.00001` and `1e-05`. Sources: `addHistogramDataPoints` of the receiver (`FormatFloat`
    with `f`), `labels.FormatOpenMetricsFloat` (with `g`, and `.0` behind whole numbers).
    """
    sent = format(Decimal(repr(bound)).normalize(), "f")
    _, digits, exponent = Decimal(repr(bound)).normalize().as_tuple()
    magnitude = len(digits) + int(exponent) - 1
    scraped = sent if "." in sent else f"{sent}.0"
    if not _LEAST_PLAIN <= magnitude < _FIRST_WITH_EXPONENT and bound:
        mantissa = "".join(map(str, digits))
        fraction = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
        scraped = f"{'-' if bound < 0 else ''}{mantissa[0]}{fraction}e{magnitude:+03d}"
    return (sent,) if sent == scraped else (sent, scraped)


_LEAST_PLAIN: Final = -4
_FIRST_WITH_EXPONENT: Final = 6


def _matcher(matcher: Matcher) -> str:
    """On the label of the attribute; a service's name and namespace are parts of `job`."""
    match matcher.attribute:
        case name if name == SERVICE_NAME:
            pattern = f"(?:.*/)?(?:{'|'.join(map(_escaped, matcher.values))})"
        case name if name == SERVICE_NAMESPACE:
            pattern = f"(?:{'|'.join(map(_escaped, matcher.values))})/.*"
        case name:
            label = _RESOURCE_LABELS.get(name) or prometheus_label(name)
            return label_matcher(label, matcher.values, is_negated=matcher.is_negated)
    return f"{JOB}{'!~' if matcher.is_negated else '=~'}{quoted(pattern)}"


def _escaped(text: str) -> str:
    """As part of an RE2 expression."""
    return _SPECIAL.sub(r"\\\1", text)
