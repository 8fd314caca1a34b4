"""Indexing: what is written about one request, made from its bytes alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import zstandard
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint, SummaryDataPoint
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tickspan.received import MetricKind, Temporality, decode_metrics
from tickspan.semconv import common, trading
from tickspan_desk.store._hot import walk

__all__ = ["LAST_NS", "Arrived", "Indexed", "Indexer", "Point", "SeriesKey", "bounded", "placed_ns"]

LAST_NS: Final = (1 << 63) - 1
_LEVEL: Final = 3
_LONGEST_NAME: Final = 1_000
_ORDER_KEYS: Final[Mapping[bytes, str]] = {
    name.encode(): name
    for name in (
        trading.ORDER_CLIENT_ID,
        trading.ORDER_VENUE_ID,
        trading.ORDER_ORIGINAL_CLIENT_ID,
        trading.ORDER_ROOT_CLIENT_ID,
        trading.ORDER_STATUS,
        trading.ORDER_SIDE,
        trading.VENUE_NAME,
        trading.INSTRUMENT_SYMBOL,
    )
}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as it came, in protobuf; `records` as the receiver counted them."""

    signal: str
    body: bytes
    records: int
    came_ns: int


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What makes a series: `digest` is over all of it but unit and description."""

    digest: bytes
    name: str
    service: str
    unit: str
    description: str
    kind: MetricKind
    temporality: Temporality
    is_monotonic: bool
    attributes: bytes
    """A NumberDataPoint that has these attributes alone."""
    resource: bytes


@dataclass(frozen=True, slots=True)
class Point:
    """A point: the value of a gauge or sum, or the whole data point of a distribution, without attributes."""

    series: SeriesKey
    time_ns: int
    start_ns: int
    value: float | str | None
    detail: bytes | None


@dataclass(frozen=True, slots=True)
class Indexed:
    """A request, compressed, and what is written about it.

    `told` is None for metrics and for what no index is made of.
    """

    arrived: Arrived
    packed: bytes
    digest: bytes
    told: walk.Told | None
    points: tuple[Point, ...]


class Indexer:
    """Makes `Indexed` of `Arrived`; one thread at a time."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._service_key = common.SERVICE_NAME.encode()

    def index(self, arrived: Arrived) -> Indexed:
        """Never raises for a body, whatever it is: one that cannot be read is kept without an index."""
        packed = self._compressor.compress(arrived.body)
        digest = blake2b(packed, digest_size=16, key=arrived.signal.encode()).digest()
        try:
            if arrived.signal == "metrics":
                return Indexed(arrived, packed, digest, None, tuple(_points(arrived)))
            if arrived.signal in {"traces", "logs"}:
                told = walk.tell(
                    arrived.body,
                    is_logs=arrived.signal == "logs",
                    service_key=self._service_key,
                    order_keys=_ORDER_KEYS,
                    came_ns=arrived.came_ns,
                )
                return Indexed(arrived, packed, digest, told, ())
        except (walk.Malformed, DecodeError):
            pass
        return Indexed(arrived, packed, digest, None, ())


def placed_ns(time_ns: int, came_ns: int) -> int:
    """A time as an index knows it: when it came, for one that is zero or far ahead of that."""
    return time_ns if 0 < time_ns <= min(came_ns + walk.AHEAD_NS, LAST_NS) else came_ns


def bounded(number: float) -> int:
    """A number as SQLite can have it."""
    return max(min(int(number), LAST_NS), -LAST_NS)


def _points(arrived: Arrived) -> Iterable[Point]:
    request = ExportMetricsServiceRequest.FromString(arrived.body)
    for of_resource in request.resource_metrics:
        resource = of_resource.resource
        raw_resource = resource.SerializeToString(deterministic=True)
        service = _service(resource)
        for scoped in of_resource.scope_metrics:
            scope = scoped.scope.SerializeToString(deterministic=True)
            for metric in scoped.metrics:
                yield from _points_of(metric, raw_resource, service, scope, arrived.came_ns)


def _service(resource: Resource) -> str:
    for pair in resource.attributes:
        if pair.key == common.SERVICE_NAME:
            return pair.value.string_value[:_LONGEST_NAME]
    return ""


def _points_of(metric: Metric, resource: bytes, service: str, scope: bytes, came_ns: int) -> Iterable[Point]:
    which = metric.WhichOneof("data")
    if which is None:
        return
    data = getattr(metric, which)
    kind, temporality, is_monotonic = _kind_of(metric)
    head = b"\0".join(
        [resource, scope, metric.name.encode(), f"{kind} {temporality} {is_monotonic}".encode()]
    )
    for point in data.data_points:
        attributes = _canonical(point.attributes)
        key = SeriesKey(
            blake2b(head + b"\0" + attributes, digest_size=16).digest(),
            metric.name[:_LONGEST_NAME],
            service,
            metric.unit,
            metric.description,
            kind,
            temporality,
            is_monotonic,
            attributes,
            resource,
        )
        time_ns = placed_ns(point.time_unix_nano, came_ns)
        start_ns = min(point.start_time_unix_nano, LAST_NS)
        if isinstance(point, NumberDataPoint):
            yield Point(key, time_ns, start_ns, _number(point), None)
        else:
            del point.attributes[:]
            if not isinstance(point, SummaryDataPoint):
                del point.exemplars[:]
            yield Point(key, time_ns, start_ns, None, point.SerializeToString())


def _kind_of(metric: Metric) -> tuple[MetricKind, Temporality, bool]:
    """As `decode_metrics` has it, of a metric without its points."""
    which: Any = metric.WhichOneof("data")
    bare = ExportMetricsServiceRequest()
    told = bare.resource_metrics.add().scope_metrics.add().metrics.add()
    held, data = getattr(told, which), getattr(metric, which)
    held.SetInParent()
    if which in {"sum", "histogram", "exponential_histogram"}:
        held.aggregation_temporality = data.aggregation_temporality
    if which == "sum":
        held.is_monotonic = data.is_monotonic
    decoded = decode_metrics(bare)[0]
    return decoded.kind, decoded.temporality, decoded.is_monotonic


def _canonical(attributes: Iterable[KeyValue]) -> bytes:
    """The same bytes for the same attributes in any order."""
    ordered = sorted(attributes, key=lambda pair: pair.key)
    return NumberDataPoint(attributes=ordered).SerializeToString(deterministic=True)


def _number(point: NumberDataPoint) -> float | str | None:
    """A number that SQLite keeps as it is; one that it does not have, as text."""
    held = point.WhichOneof("value")
    if held is None:
        return None
    if held == "as_int":
        return point.as_int
    value = point.as_double
    return value if value - value == 0 else repr(value)
