"""The recorded metrics of running programs: the newest records of each process's folder in the spool."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from tickspan_spool.entries import export_request
from tickspan_spool.folder import ProcessFolder
from tickspan_spool.home import FORMAT_FOLDER
from tickspan_spool.taps import decoded

from tickspan.providers.history import Moment, Past
from tickspan.providers.summary import MetricSummary, summarised
from tickspan.recording._impl import metering
from tickspan.semconv.common import HOST_NAME, SERVICE_NAME

__all__ = ["Recorded", "recorded_metrics"]

WINDOW_S: Final = 60.0
"""Of the records that rates and quantiles are of."""
_MOST_RECORDS: Final = 2_000
_NS_PER_S: Final = 1e9

Resource = tuple[tuple[str, str], ...]
Attributes = Mapping[str, Any]
Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one program, or the agent about its host, has measured.

    Attributes:
        service: its `service.name`.
        pid: of the process that recorded.
        host: its `host.name`; empty where it is not told.
        age_s: of the newest measurement.
        metrics: of the last minute that was recorded.
    """

    service: str
    pid: int
    host: str
    age_s: float
    metrics: tuple[MetricSummary, ...]


def recorded_metrics(spool: Path, now_ns: int | None = None) -> list[Recorded]:
    """Of each process that lives, by service and process number; none where nothing is recorded."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    found: list[Recorded] = []
    try:
        paths = sorted((spool / FORMAT_FOLDER).iterdir())
    except OSError:
        return []
    for path in paths:
        folder = ProcessFolder(path, quarantine=_left_alone)
        if path.is_dir() and folder.description.pid and folder.is_alive(fresh=True):
            found += _of_folder(folder, now_ns)
    return sorted(found, key=lambda one: (one.service, one.pid))


def _left_alone(_path: Path) -> None:
    """Files that are not what they should be are the agent's to put aside."""


def _of_folder(folder: ProcessFolder, now_ns: int) -> Iterator[Recorded]:
    for resource, series in _series_by_resource(folder).items():
        named = dict(resource)
        newest_s = max(one.newest_s for one in series.values())
        pasts = [
            one.past(newest_s - WINDOW_S) for one in series.values() if one.newest_s > newest_s - WINDOW_S
        ]
        yield Recorded(
            named.get(SERVICE_NAME, folder.description.service_name),
            folder.description.pid,
            named.get(HOST_NAME, ""),
            max(0.0, now_ns / _NS_PER_S - newest_s),
            summarised(pasts),
        )


def _series_by_resource(folder: ProcessFolder) -> Mapping[Resource, dict[Key, _Series]]:
    found: dict[Resource, dict[Key, _Series]] = {}
    try:
        message: Any = decoded("metrics", export_request(folder.newest("metrics")[-_MOST_RECORDS:]))
    except DecodeError:
        return {}
    for group in message.resource_metrics:
        named = tuple((key, str(value)) for key, value in _attributes(group.resource.attributes).items())
        series = found.setdefault(named, {})
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                _add(series, metric)
    return {resource: series for resource, series in found.items() if series}


def _add(series: dict[Key, _Series], metric: Metric) -> None:
    shape = metric.WhichOneof("data")
    if shape is None or shape not in _KINDS:
        return
    data: Any = getattr(metric, shape)
    for point in data.data_points:
        attributes = _attributes(point.attributes)
        key = (metric.name, tuple(sorted((name, str(value)) for name, value in attributes.items())))
        one = series.get(key)
        if one is None:
            one = series[key] = _Series(metric, _KINDS[shape], attributes)
        one.add(point, is_delta=getattr(data, "aggregation_temporality", 0) == _DELTA)


_DELTA: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_KINDS: Final[Mapping[str, int]] = {
    "gauge": metering.LAST_VALUE,
    "sum": metering.SUM,
    "histogram": metering.BUCKETS,
    "exponential_histogram": metering.EXPONENTIAL,
}


class _Series:
    """Points of one series, in the order in which they were recorded."""

    def __init__(self, metric: Metric, kind: int, attributes: Attributes) -> None:
        self._metric = metric
        self._kind = kind
        self._attributes = attributes
        self._bounds: tuple[float, ...] = ()
        self._moments: list[Moment] = []
        self._sum = 0.0

    @property
    def newest_s(self) -> float:
        return self._moments[-1].at_s

    def add(self, point: Any, *, is_delta: bool) -> None:
        """One more. Increments are added up; of distributions of increments the last one counts."""
        value = self._value(point)
        if is_delta and self._kind == metering.SUM:
            self._sum += value
            value = self._sum
        elif is_delta:
            self._moments.clear()
        self._moments.append(Moment(point.time_unix_nano / _NS_PER_S, value))

    def past(self, since_s: float) -> Past:
        """As the summary of a program's own history takes it."""
        moments = tuple(moment for moment in self._moments if moment.at_s >= since_s)
        is_monotonic = self._kind == metering.SUM and self._metric.sum.is_monotonic
        name, unit = self._metric.name, self._metric.unit
        return Past(name, unit, self._kind, is_monotonic, self._bounds, self._attributes, moments)

    def _value(self, point: Any) -> Any:
        if self._kind == metering.BUCKETS:
            bounds = tuple(point.explicit_bounds)
            if bounds != self._bounds:
                self._moments.clear()
                self._bounds = bounds
            return point.sum, point.count, tuple(point.bucket_counts)
        if self._kind == metering.EXPONENTIAL:
            positive, negative = point.positive, point.negative
            above, below = tuple(positive.bucket_counts), tuple(negative.bucket_counts)
            zeros = point.zero_count
            return point.sum, point.count, point.scale, zeros, positive.offset, above, negative.offset, below
        return point.as_int if point.WhichOneof("value") == "as_int" else point.as_double


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        items: Sequence[AnyValue] = value.array_value.values
        return [_plain(one) for one in items]
    return (
        getattr(value, kind) if kind in {"string_value", "bool_value", "int_value", "double_value"} else None
    )
