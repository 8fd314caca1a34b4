"""OTLP as rules read it: points, spans and log events of export requests, each with its sender.

Points that tell what came since the last one (delta temporality) are added up here, for each series.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from tickspan.analysis.rules.model import Signal
from tickspan.analysis.rules.readings import (
    ExplicitBuckets,
    ExponentialBuckets,
    HistogramPoint,
    Occurrence,
    PointKind,
    Reading,
    Sender,
    Value,
    Worst,
)

__all__ = ["MetricReader", "TimedReading", "occurrences_of", "readings_of", "sender_of"]

MOST_SERIES: Final = 50_000
IDLE_S: Final = 900.0
"""A series of which nothing came for so long is forgotten."""
_MOST_SENDERS: Final = 10_000
_DELTA: Final = 1
_NO_RECORDED_VALUE: Final = 1
_MONOTONIC_KINDS: Final = {True: PointKind.COUNTER, False: PointKind.GAUGE}
_STATUS: Final = {0: "unset", 1: "ok", 2: "error"}
_SCALARS: Final = frozenset({"string_value", "bool_value", "int_value", "double_value"})

_SeriesKey: TypeAlias = tuple[Sender, str, frozenset[tuple[str, Value]]]


class TimedReading(NamedTuple):
    """A reading, and when its sender took it, seconds since 1970; 0 where it does not say."""

    time_s: float
    reading: Reading


@dataclass(slots=True)
class _Series:
    """What is known of one series."""

    attributes: Mapping[str, Value]  # the same object for each reading: evaluations know a series by it
    time_ns: int
    heard_s: float
    start_s: float = 0.0
    total: float | HistogramPoint | None = None  # of points that came by parts


class _Point(NamedTuple):
    """One point of any kind."""

    point: Any
    kind: PointKind
    is_delta: bool
    value: float | HistogramPoint


class MetricReader:
    """Reads metrics of many senders, with a bounded memory of their series. For one thread.

    A point that is not later than the last one of its series is left out: senders repeat requests.
    """

    def __init__(
        self, most_series: int = MOST_SERIES, is_wanted: Callable[[str], bool] | None = None
    ) -> None:
        """`is_wanted` says of a metric's name whether anyone reads it; all are without it."""
        self._most_series = most_series
        self._is_wanted = is_wanted
        self._series: dict[_SeriesKey, _Series] = {}
        self._senders: dict[bytes, Sender] = {}
        self._known: dict[frozenset[tuple[str, Value]], Sender] = {}
        self._refused = 0

    def __repr__(self) -> str:
        return f"<MetricReader {len(self._series)} of {self._most_series} series, {self._refused} refused>"

    @property
    def series(self) -> int:
        """Series that are known."""
        return len(self._series)

    @property
    def refused(self) -> int:
        """Points of series that were one too many."""
        return self._refused

    def read(self, request: Any, now_s: float) -> Iterator[TimedReading]:
        """The readings of an `ExportMetricsServiceRequest`, in order. `now_s` is any monotonic clock."""
        for resource in request.resource_metrics:
            sender = self.sender_of(resource.resource)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if self._is_wanted is None or self._is_wanted(metric.name):
                        for found in _points(metric):
                            reading = self._reading(sender, metric.name, found, now_s)
                            if reading is not None:
                                yield TimedReading(found.point.time_unix_nano / 1e9, reading)

    def forget(self, now_s: float) -> None:
        """Let go of series that are silent."""
        silent = [key for key, series in self._series.items() if now_s - series.heard_s > IDLE_S]
        for key in silent:
            del self._series[key]

    def gone(self, sender: Sender) -> None:
        """Let go of a process's series."""
        for key in [key for key in self._series if key[0] == sender]:
            del self._series[key]

    def sender_of(self, resource: Any) -> Sender:
        """The sender of a `Resource`: the same object for the same attributes, in whatever order."""
        written = resource.SerializeToString()
        sender = self._senders.get(written)
        if sender is None:
            if len(self._senders) >= _MOST_SENDERS:
                self._senders.clear()
                self._known.clear()
            attributes = _attributes(resource.attributes)
            identity = frozenset(attributes.items())
            sender = self._known.setdefault(identity, _Known.of_attributes(attributes, identity))
            self._senders[written] = sender
        return sender

    def _reading(self, sender: Sender, metric: str, found: _Point, now_s: float) -> Reading | None:
        point = found.point
        attributes = _attributes(point.attributes)
        key = (sender, metric, frozenset(attributes.items()))
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= self._most_series:
                self._refused += 1
                return None
            start_s = (point.start_time_unix_nano or point.time_unix_nano) / 1e9
            series = self._series[key] = _Series(attributes, point.time_unix_nano, now_s, start_s)
        elif point.time_unix_nano and point.time_unix_nano <= series.time_ns:
            return None
        series.time_ns, series.heard_s = point.time_unix_nano, now_s
        value, start_s = found.value, point.start_time_unix_nano / 1e9
        if found.is_delta:
            value = series.total = value if series.total is None else _added(series.total, value)
            start_s = series.start_s
        return Reading(sender, metric, found.kind, series.attributes, value, start_s, _worst(point))


@dataclass(frozen=True, slots=True, eq=False)
class _Known(Sender):
    """A sender that is its own identity: one object for each resource, so that it can be part of a key."""

    identity: frozenset[tuple[str, Value]] = frozenset()

    @staticmethod
    def of_attributes(attributes: Mapping[str, Value], identity: frozenset[tuple[str, Value]]) -> _Known:
        made = Sender.of(attributes)
        return _Known(made.job, made.instance, made.host_name, made.attributes, identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sender) and (
            self is other or frozenset(other.attributes.items()) == self.identity
        )

    def __hash__(self) -> int:
        return hash(self.identity)


def readings_of(request: Any) -> Iterator[Reading]:
    """The readings of one `ExportMetricsServiceRequest` by itself."""
    return (reading for _, reading in MetricReader().read(request, 0.0))


def occurrences_of(
    request: Any,
    spans: Container[str] | None = None,
    logs: Container[str] | None = None,
    sender: Callable[[Any], Sender] | None = None,
) -> Iterator[Occurrence]:
    """The spans or log events of an export request, in order.

    Args:
        request: an `ExportTraceServiceRequest` or an `ExportLogsServiceRequest`.
        spans: names that are asked for; None is all.
        logs: event names that are asked for; None is all.
        sender: from a resource message to the sender; `sender_of` unless given.
    """
    of = sender or sender_of
    for resource in getattr(request, "resource_spans", ()):
        source: Sender | None = None
        for scope in resource.scope_spans:
            for span in scope.spans:
                if spans is None or span.name in spans:
                    source = source or of(resource.resource)
                    yield _of_span(span, source)
    for resource in getattr(request, "resource_logs", ()):
        source = None
        for scope in resource.scope_logs:
            for log in scope.log_records:
                if logs is None or log.event_name in logs:
                    source = source or of(resource.resource)
                    yield _of_log(log, source)


def sender_of(resource: Any) -> Sender:
    """The sender that a `Resource` message describes."""
    return Sender.of(_attributes(resource.attributes))


def _of_span(span: Any, sender: Sender) -> Occurrence:
    return Occurrence(
        sender,
        Signal.SPAN,
        span.name,
        _attributes(span.attributes),
        _STATUS.get(span.status.code, "unset"),
        max(0, span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        span.trace_id.hex(),
        span.span_id.hex(),
    )


def _of_log(log: Any, sender: Sender) -> Occurrence:
    return Occurrence(
        sender,
        Signal.LOG,
        log.event_name,
        _attributes(log.attributes),
        trace_id=log.trace_id.hex(),
        span_id=log.span_id.hex(),
    )


def _attributes(pairs: Iterable[Any]) -> dict[str, Value]:
    """Scalars only: no rule names a list or a mapping."""
    found: dict[str, Value] = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        if kind in _SCALARS:
            found[pair.key] = getattr(pair.value, kind)
    return found


def _points(metric: Any) -> Iterator[_Point]:
    """The points of a metric that hold a value. Summaries cannot be added up, so no rule reads them."""
    kind = metric.WhichOneof("data")
    if kind is None or kind == "summary":
        return
    data = getattr(metric, kind)
    is_delta = kind != "gauge" and data.aggregation_temporality == _DELTA
    for point in data.data_points:
        if point.flags & _NO_RECORDED_VALUE:
            continue
        if kind == "gauge":
            yield _Point(point, PointKind.GAUGE, is_delta, _number(point))
        elif kind == "sum":
            yield _Point(point, _MONOTONIC_KINDS[data.is_monotonic], is_delta, _number(point))
        elif kind == "histogram":
            yield _Point(point, PointKind.HISTOGRAM, is_delta, _explicit(point))
        else:
            yield _Point(point, PointKind.HISTOGRAM, is_delta, _exponential(point))


def _number(point: Any) -> float:
    return float(point.as_int if point.WhichOneof("value") == "as_int" else point.as_double)


def _explicit(point: Any) -> HistogramPoint:
    counts = tuple(point.bucket_counts) or (point.count,)
    return HistogramPoint(point.count, point.sum, ExplicitBuckets(tuple(point.explicit_bounds), counts))


def _exponential(point: Any) -> HistogramPoint:
    buckets = ExponentialBuckets(
        point.scale, point.zero_count, _by_index(point.positive), _by_index(point.negative)
    )
    return HistogramPoint(point.count, point.sum, buckets)


def _by_index(buckets: Any) -> dict[int, int]:
    return {index: count for index, count in enumerate(buckets.bucket_counts, buckets.offset) if count}


def _worst(point: Any) -> Worst | None:
    """The largest exemplar that names a trace."""
    traced = [exemplar for exemplar in point.exemplars if exemplar.trace_id] if point.exemplars else []
    if not traced:
        return None
    worst = max(traced, key=_number)
    return Worst(_number(worst), worst.trace_id.hex(), worst.span_id.hex())


def _added(total: float | HistogramPoint, more: float | HistogramPoint) -> float | HistogramPoint:
    """Both together; the new one alone where they do not fit, as after a change of the metric."""
    if isinstance(total, HistogramPoint) and isinstance(more, HistogramPoint):
        buckets = _added_buckets(total.buckets, more.buckets)
        return (
            more
            if buckets is None
            else HistogramPoint(total.count + more.count, total.sum + more.sum, buckets)
        )
    if isinstance(total, HistogramPoint) or isinstance(more, HistogramPoint):
        return more
    return total + more


def _added_buckets(
    total: ExplicitBuckets | ExponentialBuckets, more: ExplicitBuckets | ExponentialBuckets
) -> ExplicitBuckets | ExponentialBuckets | None:
    if isinstance(total, ExplicitBuckets) and isinstance(more, ExplicitBuckets):
        if total.bounds != more.bounds:
            return None
        counts = tuple(a + b for a, b in zip(total.counts, more.counts, strict=True))
        return ExplicitBuckets(total.bounds, counts)
    if isinstance(total, ExponentialBuckets) and isinstance(more, ExponentialBuckets):
        scale = min(total.scale, more.scale)
        return ExponentialBuckets(
            scale,
            total.zero + more.zero,
            _merged(total.positive, total.scale - scale, more.positive, more.scale - scale),
            _merged(total.negative, total.scale - scale, more.negative, more.scale - scale),
        )
    return None


def _merged(
    one: Mapping[int, int], one_shift: int, other: Mapping[int, int], other_shift: int
) -> dict[int, int]:
    """Counts by the index of the coarser scale: two neighbours become one for each step down."""
    merged: dict[int, int] = {}
    for counts, shift in ((one, one_shift), (other, other_shift)):
        for index, count in counts.items():
            merged[index >> shift] = merged.get(index >> shift, 0) + count
    return merged
