"""Metrics as they are drawn: lines of values and rates, distributions over time. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from statistics import fmean, median
from typing import Final

from tickspan.alerts.notice import told_number
from tickspan.analysis.rules.histograms import Histogram, increase
from tickspan.analysis.rules.readings import ExplicitBuckets, ExponentialBuckets, HistogramPoint
from tickspan.received import Attributes, ReceivedPoint
from tickspan_desk.store.reading import Series, Window

__all__ = [
    "MOST_LINES",
    "Heat",
    "HeatRow",
    "Line",
    "MetricEntry",
    "MetricView",
    "Metrics",
    "QuantileStep",
    "heat_of",
    "histogram_point",
    "increase_of",
    "label_of",
    "lines_of",
    "measured",
    "metric_view",
    "metrics_of",
    "quantile_steps",
    "teller",
    "told",
    "told_rate",
    "values_of",
]

MOST_LINES: Final = 100
"""Series of a metric that are shown."""
_COLUMNS: Final = 60
_MOST_POINTS: Final = 240
"""Of a line; more are joined to means."""
_MOST_ROWS: Final = 28
"""Of a heat map of exponential buckets; they are joined until there are no more."""
_MOST_CHOICES: Final = 50
_NS_PER_S: Final = 1e9
_CARRIED_STEPS: Final = 2
_DISTRIBUTIONS: Final = frozenset({"histogram", "exponential_histogram"})


@dataclass(frozen=True, slots=True)
class MetricEntry:
    """A metric in the list."""

    name: str
    unit: str
    kind: str
    series: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """All metrics whose name holds the text that is looked for."""

    text: str
    entries: tuple[MetricEntry, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a picture, and what it says in words.

    Attributes:
        label: what tells it from the others.
        points: (nanoseconds since the epoch, value), oldest first; a value that is missing is left out.
        resets: how often the counter began anew.
    """

    label: str
    points: tuple[tuple[int, float], ...]
    resets: int = 0

    @property
    def last(self) -> float | None:
        """The newest value."""
        return self.points[-1][1] if self.points else None

    @property
    def lowest(self) -> float | None:
        """Of all values."""
        return min((value for _, value in self.points), default=None)

    @property
    def highest(self) -> float | None:
        """Of all values."""
        return max((value for _, value in self.points), default=None)

    @property
    def mean(self) -> float | None:
        """Of all values, each the same weight."""
        return fmean(value for _, value in self.points) if self.points else None


@dataclass(frozen=True, slots=True)
class HeatRow:
    """A bucket: measurements above `low`, up to `high`; how many came in each column."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Heat:
    """A distribution over time: how many measurements came in which bucket.

    Attributes:
        since_ns: where the first column begins.
        step_ns: width of a column.
        rows: lowest bucket first; rows outside of all that was measured are left out.
    """

    since_ns: int
    step_ns: int
    rows: tuple[HeatRow, ...]

    @property
    def highest(self) -> int:
        """The largest count of a cell."""
        return max((count for row in self.rows for count in row.counts), default=0)


@dataclass(frozen=True, slots=True)
class QuantileStep:
    """Measurements of one column of a heat map, and where half and 99 % of them end; None without any."""

    at_ns: int
    measured: int
    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class MetricView:
    """One metric in a window.

    Attributes:
        meaning: what a value of a line is: "value", "per second", "increase", "p99" or "quantile".
        lines: of each series, or of each value of `by`.
        series: that there are in all, whatever the filter.
        shown: of them, that were read.
        heat: of a distribution; None of other kinds.
        steps: quantiles of all shown series together.
        error: how far a quantile may be off, in words; "" of other kinds.
        services: that tell it.
        service: that is wanted; "" is all.
        choices: attributes of its series with their values, 50 at most, for filter and grouping.
        where: the filter.
        by: attribute that lines are grouped by; "" is a line for each series.
    """

    name: str
    unit: str
    kind: str
    temporality: str
    description: str
    window: Window
    meaning: str
    lines: tuple[Line, ...]
    series: int
    shown: int
    heat: Heat | None = None
    steps: tuple[QuantileStep, ...] = ()
    error: str = ""
    services: tuple[str, ...] = ()
    service: str = ""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    where: Mapping[str, str] = field(default_factory=dict[str, str])
    by: str = ""

    def told(self, value: float | None) -> str:
        """A value of a line in words; a rate says so."""
        if self.meaning == "per second":
            return told_rate(value, self.unit)
        is_whole = self.unit == "1" and all(one.is_integer() for line in self.lines for _, one in line.points)
        return told(value, "" if is_whole else self.unit)

    @property
    def base(self) -> int:
        """That round values are powers of: 2 for bytes."""
        return 2 if self.unit == "By" else 10


def metrics_of(names: Iterable[tuple[str, str, str, int]], text: str = "") -> Metrics:
    """The list; `text` is in the name, whatever its case. (name, unit, kind, series) of every metric."""
    entries = [MetricEntry(*one) for one in names]
    found = tuple(one for one in entries if text.lower() in one.name.lower())
    return Metrics(text, found, len(entries))


def metric_view(
    known: Sequence[Series],
    shown: Sequence[Series],
    window: Window,
    *,
    total: int,
    where: Mapping[str, str] | None = None,
    service: str = "",
    by: str = "",
) -> MetricView:
    """A metric as a page shows it.

    Args:
        known: series of one metric, at least one; whatever the filter, without their points.
        shown: those that the filter lets through and that told something, with their points.
        window: that is looked at.
        total: how many series the metric has.
        where: attributes that they were asked for by.
        service: that they were asked for by.
        by: attribute that lines are grouped by; "service" is the service.
    """
    first = known[0]
    heat, steps, error = None, (), ""
    if first.kind in _DISTRIBUTIONS:
        heat, steps, error = (
            heat_of(shown, window),
            quantile_steps(shown, window),
            _error_of(first.kind, shown),
        )
    return MetricView(
        name=first.name,
        unit=first.unit,
        kind=first.kind,
        temporality=first.temporality,
        description=next((one.description for one in known if one.description), ""),
        window=window,
        meaning=_meaning(first, by),
        lines=lines_of(shown, window, by),
        series=total,
        shown=len(shown),
        heat=heat,
        steps=steps,
        error=error,
        services=tuple(sorted({one.service for one in known})),
        service=service,
        choices=_choices(known),
        where=dict(where or {}),
        by=by,
    )


def told(value: float | None, unit: str) -> str:
    """A value in words: "1.5 GiB", "93.2 %", "3 {order}" as "3"; a dash for none."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    return "0" if not value else told_number(value, unit)


def told_rate(value: float | None, unit: str) -> str:
    """A value per second in words: "1.5 KiB/s", "0.25 s/s", "12/s"."""
    if not value or math.isnan(value):
        return told(value, unit)
    return f"{told_number(value, 'By')}/s" if unit == "By" else f"{value:.4g}{' s' if unit == 's' else ''}/s"


def teller(unit: str) -> Callable[[float | None], str]:
    """`told` for one unit."""
    return partial(told, unit=unit)


def lines_of(series: Sequence[Series], window: Window, by: str = "") -> tuple[Line, ...]:
    """Lines of a metric's series, by label.

    Gauges and sums that may fall are drawn as they are, sums that only rise as rates per second,
    distributions as their 99th percentile; without `by` a distribution gives the lines `p50` and `p99` of
    all series.
    Of a group, rates and sums that may fall are added up, gauges averaged.
    """
    if not series:
        return ()
    if series[0].kind in _DISTRIBUTIONS:
        return _quantile_lines(series, window, by)
    if by:
        return _grouped(series, window, by)
    common = _common(series)
    lines = [_line(one, label_of(one, common)) for one in series]
    return tuple(sorted((line for line in lines if line.points), key=lambda line: line.label))


def values_of(series: Series) -> tuple[tuple[tuple[int, float], ...], int]:
    """(time, value) of a gauge or sum, and how often it was reset.

    A sum that only rises gives rates per second: the increase since the point before by the time between
    both. A reset is a later start, or a smaller value; then all of the new value came since its start, or
    since the point before where no start is told. The first point of a cumulative sum gives no rate. A delta
    sum's points are increases from their own start, or from the point before. A delta sum that may fall is
    added up from the first point in the window. A summary gives its mean so far.
    """
    points = [point for point in series.points if point.value is not None or series.kind == "summary"]
    if series.kind == "summary":
        return tuple((one.time_ns, (one.sum or 0.0) / one.count) for one in points if one.count), 0
    if series.kind == "gauge" or (series.temporality != "delta" and not series.is_monotonic):
        return tuple((one.time_ns, float(one.value or 0)) for one in points if _is_finite(one.value)), 0
    if series.temporality == "delta" and not series.is_monotonic:
        total, risen = 0.0, list[tuple[int, float]]()
        for one in points:
            total += float(one.value or 0)
            risen.append((one.time_ns, total))
        return tuple(risen), 0
    return _delta_rates(points) if series.temporality == "delta" else _cumulative_rates(points)


def heat_of(series: Iterable[Series], window: Window, columns: int = _COLUMNS) -> Heat | None:
    """How many measurements came when in which bucket; None where nothing was measured.

    Explicit buckets keep their bounds. Exponential buckets are brought to one scale, so coarse that there
    are at most 28 rows; the zero bucket, and what is below zero, is the row that ends at 0.
    """
    cells = _columns_of(series, window, columns)
    step_ns = _step_ns(window, columns)
    counted: dict[tuple[float, float], list[int]] = {}
    scale = _scale_of(cells)
    for column, grown in enumerate(cells):
        for (low, high), count in _buckets(grown, scale):
            counted.setdefault((low, high), [0] * columns)[column] += count
    for bounds in _between(cells, scale):
        counted.setdefault(bounds, [0] * columns)
    rows = [HeatRow(low, high, tuple(counts)) for (low, high), counts in sorted(counted.items())]
    filled = [number for number, row in enumerate(rows) if any(row.counts)]
    if not filled:
        return None
    return Heat(window.since_ns, step_ns, tuple(rows[filled[0] : filled[-1] + 1]))


def quantile_steps(
    series: Iterable[Series], window: Window, columns: int = _COLUMNS
) -> tuple[QuantileStep, ...]:
    """Median and 99th percentile of each column in which something was measured.

    They are computed from buckets as alert rules and Prometheus do: the bucket that holds the rank, and
    within it a straight line for explicit buckets, a geometric one for exponential buckets. So a quantile of
    explicit buckets is at most one bucket's width off, and beyond the last bound it is that bound; one of
    exponential buckets is off by a factor of `2^(2^-scale)` at most, which is 1.09 at scale 3.
    """
    step_ns = _step_ns(window, columns)
    return tuple(
        QuantileStep(
            window.since_ns + column * step_ns, grown.count, grown.quantile(0.5), grown.quantile(0.99)
        )
        for column, grown in enumerate(_columns_of(series, window, columns))
        if grown
    )


def increase_of(series: Series, window: Window) -> float:
    """How much a sum that only rises grew in the window, or how many measurements a distribution took.

    What a series that began in the window had at its first point counts; else the first point counts nothing.
    """
    grown, before = 0.0, None
    for point in series.points:
        value = float(point.count) if series.kind in _DISTRIBUTIONS else float(point.value or 0)
        if series.temporality == "delta":
            grown += value
        elif before is None:
            grown += value if window.since_ns <= point.start_ns <= point.time_ns else 0.0
        else:
            old, begun_ns = before
            is_reset = value < old or point.start_ns > begun_ns > 0
            grown += value if is_reset else value - old
        before = value, point.start_ns
    return grown


def measured(series: Iterable[Series], window: Window) -> Histogram:
    """Everything that distributions measured in the window, together."""
    (whole,) = _columns_of(series, window, 1)
    return whole


def histogram_point(point: ReceivedPoint, kind: str) -> HistogramPoint:
    """A received distribution of this kind, as the rules' arithmetic takes it.

    Where negative values were measured, their number is what the count has more than the buckets; they are
    taken to lie at the least value that was told.
    """
    if kind == "histogram":
        buckets = ExplicitBuckets(point.bounds, point.bucket_counts or (point.count,))
        return HistogramPoint(point.count, point.sum or 0.0, buckets)
    positive = {index: count for index, count in enumerate(point.bucket_counts, point.offset) if count}
    below = point.count - point.zero_count - sum(positive.values())
    negative: dict[int, int] = {}
    if below > 0 and point.min is not None and point.min < 0:
        negative[math.ceil(math.log2(-point.min) * 2.0**point.scale) - 1] = below
    return HistogramPoint(
        point.count, point.sum or 0.0, ExponentialBuckets(point.scale, point.zero_count, positive, negative)
    )


def label_of(series: Series, common: Attributes) -> str:
    """What tells a series from its neighbours: its attributes without those that all have."""
    told = [f"{key}={value}" for key, value in sorted(_identity(series).items()) if key not in common]
    return ", ".join(told) or series.service or series.name


def _identity(series: Series) -> dict[str, str]:
    own = {key: _text(value) for key, value in series.attributes.items()}
    return {"service": series.service, **own, "series": str(series.number)}


def _common(series: Sequence[Series]) -> dict[str, str]:
    """Attributes that do not tell these series apart; the number counts only where nothing else does."""
    identities = [_identity(one) for one in series]
    common = {
        key: value
        for key, value in identities[0].items()
        if all(identity.get(key) == value for identity in identities)
    }
    named = [
        tuple(sorted((key, value) for key, value in identity.items() if key != "series"))
        for identity in identities
    ]
    if len(set(named)) == len(named):
        common["series"] = ""
    return common


def _choices(series: Iterable[Series]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = defaultdict(set)
    for one in series:
        for key, value in one.attributes.items():
            found[key].add(_text(value))
    return {key: tuple(sorted(values)[:_MOST_CHOICES]) for key, values in sorted(found.items())}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _meaning(series: Series, by: str) -> str:
    if series.kind in _DISTRIBUTIONS:
        return "p99" if by else "quantile"
    if series.kind == "sum" and series.is_monotonic:
        return "per second"
    return "mean so far" if series.kind == "summary" else "value"


def _error_of(kind: str, series: Sequence[Series]) -> str:
    if kind == "histogram":
        return "Quantiles come from explicit buckets: at most one bucket's width off."
    scale = min((point.scale for one in series for point in one.points), default=0)
    share = math.exp2(math.exp2(-max(-10, min(scale, 20)))) - 1
    return (
        f"Quantiles come from exponential buckets of scale {scale}: at most {share:.2%} of their value off."
    )


def _line(series: Series, label: str) -> Line:
    points, resets = values_of(series)
    return Line(label, _thinned(points), resets)


def _thinned(points: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
    """At most 240 points; neighbours are joined to their mean, at the time of the last of them."""
    size = math.ceil(len(points) / _MOST_POINTS)
    if size <= 1:
        return points
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return tuple((part[-1][0], fmean(value for _, value in part)) for part in parts)


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _cumulative_rates(points: Sequence[ReceivedPoint]) -> tuple[tuple[tuple[int, float], ...], int]:
    rates: list[tuple[int, float]] = []
    resets = 0
    for before, after in pairwise(points):
        if after.time_ns <= before.time_ns:
            continue
        old, new = float(before.value or 0), float(after.value or 0)
        is_reset = new < old or (before.start_ns > 0 and after.start_ns > before.start_ns)
        resets += is_reset
        since_ns = max(before.time_ns, after.start_ns if is_reset else 0)
        grown = new if is_reset else new - old
        rates.append((after.time_ns, grown / max(after.time_ns - since_ns, 1) * _NS_PER_S))
    return tuple(rates), resets


def _delta_rates(points: Sequence[ReceivedPoint]) -> tuple[tuple[tuple[int, float], ...], int]:
    rates: list[tuple[int, float]] = []
    before_ns = 0
    for point in points:
        since_ns = point.start_ns or before_ns
        if 0 < since_ns < point.time_ns:
            rates.append((point.time_ns, float(point.value or 0) / (point.time_ns - since_ns) * _NS_PER_S))
        before_ns = point.time_ns
    return tuple(rates), 0


def _group_of(series: Series, by: str) -> str:
    return series.service if by == "service" else _text(series.attributes.get(by, ""))


def _grouped(series: Sequence[Series], window: Window, by: str) -> tuple[Line, ...]:
    """One line for each value; a series counts in a step without a point for two steps more."""
    groups: dict[str, list[tuple[tuple[int, float], ...]]] = defaultdict(list)
    resets: dict[str, int] = defaultdict(int)
    for one in series:
        points, times = values_of(one)
        if points:
            groups[_group_of(one, by)].append(points)
            resets[_group_of(one, by)] += times
    is_mean = series[0].kind in {"gauge", "summary"}
    gaps = [
        after[0] - before[0] for many in groups.values() for one in many for before, after in pairwise(one)
    ]
    step_ns = max(_step_ns(window, _MOST_POINTS), int(median(gaps)) if gaps else 1)
    lines: list[Line] = []
    for label, many in groups.items():
        held = [_stepped(points, window.since_ns, step_ns) for points in many]
        steps = sorted({step for one in held for step in one})
        drawn: list[tuple[int, float]] = []
        for step in steps:
            values = [value for one in held if (value := _held(one, step)) is not None]
            drawn.append(
                (window.since_ns + step * step_ns + step_ns // 2, fmean(values) if is_mean else sum(values))
            )
        lines.append(Line(label or "(none)", _thinned(tuple(drawn)), resets[label]))
    return tuple(sorted(lines, key=lambda line: line.label))


def _stepped(points: Iterable[tuple[int, float]], since_ns: int, step_ns: int) -> dict[int, float]:
    steps: dict[int, list[float]] = defaultdict(list)
    for time_ns, value in points:
        steps[(time_ns - since_ns) // step_ns].append(value)
    return {step: fmean(values) for step, values in steps.items()}


def _held(steps: Mapping[int, float], step: int) -> float | None:
    return next((steps[step - back] for back in range(_CARRIED_STEPS + 1) if step - back in steps), None)


def _quantile_lines(series: Sequence[Series], window: Window, by: str) -> tuple[Line, ...]:
    if not by:
        steps = quantile_steps(series, window)
        named = (
            ("p50", [(one.at_ns, one.p50) for one in steps]),
            ("p99", [(one.at_ns, one.p99) for one in steps]),
        )
        lines = [
            Line(label, tuple((at_ns, value) for at_ns, value in points if value is not None))
            for label, points in named
        ]
        return tuple(line for line in lines if line.points)
    groups: dict[str, list[Series]] = defaultdict(list)
    for one in series:
        groups[_group_of(one, by)].append(one)
    found = [
        Line(
            label or "(none)",
            tuple((one.at_ns, one.p99) for one in quantile_steps(many, window) if one.p99 is not None),
        )
        for label, many in sorted(groups.items())
    ]
    return tuple(line for line in found if line.points)


def _step_ns(window: Window, columns: int) -> int:
    return max(1, -(-(window.until_ns - window.since_ns) // columns))


def _columns_of(series: Iterable[Series], window: Window, columns: int) -> list[Histogram]:
    """What was measured in each column: the increase of each series since its point before.

    The first point of a cumulative series counts where it began within the window.
    """
    step_ns = _step_ns(window, columns)
    found = [Histogram() for _ in range(columns)]
    for one in series:
        before: ReceivedPoint | None = None
        for point in one.points:
            grown = _grown(one, before, point, window)
            before = point
            column = (point.time_ns - window.since_ns) // step_ns
            if grown is not None and grown.count and 0 <= column < columns:
                found[column].add(grown)
    return found


def _grown(
    series: Series, before: ReceivedPoint | None, point: ReceivedPoint, window: Window
) -> Histogram | None:
    now = histogram_point(point, series.kind)
    if series.temporality == "delta":
        return Histogram.of(now)
    if before is None:
        return Histogram.of(now) if window.since_ns <= point.start_ns <= point.time_ns else None
    if before.start_ns > 0 and point.start_ns > before.start_ns:
        return Histogram.of(now)
    return increase(now, histogram_point(before, series.kind))


def _scale_of(cells: Iterable[Histogram]) -> int:
    """The finest scale at which all exponential buckets of the picture are few enough to be rows."""
    known = [one for one in cells if one.positive]
    if not known:
        return 0
    scale = min(one.scale for one in known)
    while True:
        rows = {index >> (one.scale - scale) for one in known for index in one.positive}
        if max(rows) - min(rows) < _MOST_ROWS:
            return scale
        scale -= 1


def _between(cells: Iterable[Histogram], scale: int) -> Iterable[tuple[float, float]]:
    """Bounds of all exponential buckets from the lowest to the highest in use."""
    rows = [index >> (one.scale - scale) for one in cells for index in one.positive]
    size = math.ldexp(1.0, -scale)
    for row in range(min(rows), max(rows) + 1) if rows else ():
        yield _power(row * size), _power((row + 1) * size)


def _buckets(grown: Histogram, scale: int) -> Iterable[tuple[tuple[float, float], int]]:
    """Bounds and count of each bucket; explicit ones without measurements too: rows have no holes."""
    for bounds, counts in grown.explicit.items():
        edges = (-math.inf if bounds and bounds[0] <= 0 else 0.0, *bounds, math.inf)
        yield from zip(pairwise(edges), counts, strict=False)
    below = grown.zero + sum(grown.negative.values())
    if below:
        yield (-math.inf, 0.0), below
    size = math.ldexp(1.0, -scale)
    for index, count in grown.positive.items():
        row = index >> (grown.scale - scale)
        yield (_power(row * size), _power((row + 1) * size)), count


def _power(exponent: float) -> float:
    return math.exp2(max(-1074.0, min(exponent, 1023.0)))
