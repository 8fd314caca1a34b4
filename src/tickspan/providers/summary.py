"""The performance summary: what the metrics of this process were like of late, for programs and people."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tickspan.analysis.rules.histograms import Histogram, increase
from tickspan.analysis.rules.readings import ExplicitBuckets, ExponentialBuckets, HistogramPoint
from tickspan.analysis.scales import shown
from tickspan.analysis.slope import Slope, slope_of
from tickspan.providers.history import Moment, Past
from tickspan.recording._impl import metering

__all__ = ["MetricSummary", "PerformanceSummary", "summarised"]

_QUANTILES: Final = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """One series in the window. What its kind of metric does not have is None.

    Attributes:
        metric: its name.
        unit: UCUM.
        kind: counter, gauge (whatever tells how it stands) or histogram.
        attributes: of the series.
        last: value; of a counter its sum; of a histogram the mean of the newest measurements.
        rate: growth of a counter, or measurements of a histogram, per second.
        p50: of measurements; of a gauge, of its samples.
        p95: the same.
        p99: the same.
        trend: of a gauge's value, a counter's rate, a histogram's mean; None for fewer than eight samples,
            or less than a minute.
    """

    metric: str
    unit: str
    kind: str
    attributes: Mapping[str, Any]
    last: float
    rate: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    trend: Slope | None = None

    @property
    def name(self) -> str:
        """Metric and attributes, `trading.order.duration{trading.order.type=limit}`."""
        inner = ", ".join(f"{key}={value}" for key, value in sorted(self.attributes.items()))
        return f"{self.metric}{{{inner}}}" if inner else self.metric


@dataclass(frozen=True, slots=True)
class PerformanceSummary:
    """All series of this process.

    Attributes:
        window_s: that was asked for.
        covered_s: of it, in which there are samples.
        metrics: by name and attributes.
        alerts: that are pending or firing in this process.
        left_out: series for which there was no room.
    """

    window_s: float
    covered_s: float
    metrics: tuple[MetricSummary, ...]
    alerts: tuple[Any, ...] = ()
    left_out: int = 0

    def __getitem__(self, metric: str) -> tuple[MetricSummary, ...]:
        """The series of one metric; none for one that was not measured."""
        return tuple(one for one in self.metrics if one.metric == metric)

    def __str__(self) -> str:
        """A table for people."""
        return "\n".join(_lines(self))


def summarised(pasts: Sequence[Past]) -> tuple[MetricSummary, ...]:
    """Each series, by name and attributes."""
    found = (_histogram(past) if past.kind in _HISTOGRAMS else _number(past) for past in pasts)
    return tuple(sorted(found, key=lambda one: one.name))


_HISTOGRAMS: Final = (metering.BUCKETS, metering.EXPONENTIAL)


def _number(past: Past) -> MetricSummary:
    points = [(at_s, float(value)) for at_s, value in past.moments]
    last = points[-1][1]
    if past.kind == metering.SUM and past.is_monotonic:
        rates = list(_rates(points))
        rate = _whole_rate(points)
        return MetricSummary(
            past.metric, past.unit, "counter", past.attributes, last, rate, trend=slope_of(rates)
        )
    values = sorted(value for _, value in points if math.isfinite(value))
    quantiles = [_of_sorted(values, share) for share in _QUANTILES]
    return MetricSummary(
        past.metric, past.unit, "gauge", past.attributes, last, None, *quantiles, trend=slope_of(points)
    )


def _rates(points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Growth per second between neighbours; a sum that falls has begun anew."""
    for (before_s, before), (at_s, value) in itertools.pairwise(points):
        if at_s > before_s:
            yield at_s, (value - before if value >= before else value) / (at_s - before_s)


def _whole_rate(points: Sequence[tuple[float, float]]) -> float | None:
    elapsed_s = points[-1][0] - points[0][0]
    grown = sum(
        (value - before if value >= before else value)
        for (_, before), (_, value) in itertools.pairwise(points)
    )
    return grown / elapsed_s if elapsed_s > 0 else None


def _of_sorted(values: Sequence[float], share: float) -> float | None:
    """Linear between neighbours, as `quantile_over_time` of Prometheus."""
    if not values:
        return None
    place = share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def _histogram(past: Past) -> MetricSummary:
    points = [(moment.at_s, _point(past, moment)) for moment in past.moments]
    first, last = points[0], points[-1]
    elapsed_s = last[0] - first[0]
    grown = increase(last[1], first[1]) if elapsed_s > 0 else Histogram.of(last[1])
    means = list(_means(points))
    every = Histogram.of(last[1])
    mean = means[-1][1] if means else (every.sum / every.count if every.count else math.nan)
    return MetricSummary(
        past.metric,
        past.unit,
        "histogram",
        past.attributes,
        mean,
        grown.count / elapsed_s if elapsed_s > 0 else None,
        *(grown.quantile(share) for share in _QUANTILES),
        trend=slope_of(means),
    )


def _means(points: Sequence[tuple[float, HistogramPoint]]) -> Iterator[tuple[float, float]]:
    """The mean of what was measured between neighbours; nothing where nothing was."""
    for (_, before), (at_s, point) in itertools.pairwise(points):
        count, added = point.count - before.count, point.sum - before.sum
        if count < 0:
            count, added = point.count, point.sum
        if count:
            yield at_s, added / count


def _point(past: Past, moment: Moment) -> HistogramPoint:
    if past.kind == metering.BUCKETS:
        added, count, counts = moment.value
        return HistogramPoint(count, added, ExplicitBuckets(past.bounds, tuple(counts)))
    added, count, scale, zeros, low, positive, negative_low, negative = moment.value
    buckets = ExponentialBuckets(scale, zeros, _by_index(low, positive), _by_index(negative_low, negative))
    return HistogramPoint(count, added, buckets)


def _by_index(low: int, counts: Sequence[int]) -> Mapping[int, int]:
    return {low + number: count for number, count in enumerate(counts) if count}


# --- for people


def _lines(summary: PerformanceSummary) -> Iterator[str]:
    yield (
        f"{len(summary.metrics)} series, {summary.covered_s:.0f} of the last {summary.window_s:.0f} s"
        + (f", {summary.left_out} left out" if summary.left_out else "")
    )
    rows = [("", "last", "rate", "p50", "p95", "p99", "trend"), *map(_row, summary.metrics)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows if summary.metrics else ():
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in _rest(row, widths))]
        yield "  ".join(cells).rstrip()
    for one in summary.alerts:
        yield f"alert {one.rule.name} is {one.alert.state}, value {shown(one.alert.value, one.rule.unit)}"


def _rest(row: Sequence[str], widths: Sequence[int]) -> Iterator[tuple[str, int]]:
    return zip(row[1:], widths[1:], strict=True)


def _row(one: MetricSummary) -> tuple[str, ...]:
    def text(value: float | None, unit: str = one.unit) -> str:
        return "" if value is None else shown(value, unit)

    rate_unit = one.unit if one.kind == "counter" else "{measurement}"
    trend = one.trend if one.trend is not None and one.trend.is_significant else None
    of_rate = "/s" if one.kind == "counter" else ""
    return (
        one.name,
        text(one.last),
        f"{text(one.rate, rate_unit)}/s" if one.rate is not None else "",
        text(one.p50),
        text(one.p95),
        text(one.p99),
        "" if trend is None else f"{'+' if trend.per_hour > 0 else ''}{text(trend.per_hour)}{of_rate} per h",
    )
