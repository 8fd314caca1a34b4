"""Decoding: OTLP messages to frozen values that a test can compare whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, cast

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.trace import SpanKind, StatusCode
from tickspan_spool.receiver import ExportRequest, Limits, Signal, decode

Value: TypeAlias = "str | bool | int | float | bytes | tuple[Value, ...] | dict[str, Value] | None"
Attributes: TypeAlias = Mapping[str, Value]
MetricKind = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]
Temporality = Literal["unspecified", "delta", "cumulative"]

_JSON = {"content-type": "application/json"}
_SIGNALS: Mapping[str, Signal] = {
    "resourceSpans": "traces",
    "resourceMetrics": "metrics",
    "resourceLogs": "logs",
}
# Senders may write any number: unknown ones mean what the protocol says of "unspecified".
_KINDS: Mapping[int, SpanKind] = {kind.value + 1: kind for kind in SpanKind}
_CODES: Mapping[int, StatusCode] = {code.value: code for code in StatusCode}
_FILE_LIMITS = Limits(inflated_bytes=1 << 30, records=10_000_000, values=100_000_000, json_values=100_000_000)


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """A span event."""

    name: str
    time_ns: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class ReceivedLink:
    """A span link; ids in hex."""

    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class ReceivedStatus:
    """A span's status."""

    code: StatusCode = StatusCode.UNSET
    description: str = ""


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span as it came; ids in hex, times in nanoseconds since the epoch."""

    name: str
    kind: SpanKind
    trace_id: str
    span_id: str
    parent_span_id: str | None
    start_ns: int
    end_ns: int
    attributes: Attributes
    events: tuple[ReceivedEvent, ...]
    links: tuple[ReceivedLink, ...]
    status: ReceivedStatus
    scope: str
    resource: Attributes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReceivedPoint:
    """A metric point.

    `value` is set for gauges and sums, the rest for distributions. The counts of an exponential histogram are
    those of its positive buckets: number `i` of them is of `(base^(offset+i), base^(offset+i+1)]` with
    `base = 2^(2^-scale)`; `zero_count` are in none of them.
    """

    attributes: Attributes
    start_ns: int
    time_ns: int
    value: int | float | None = None
    count: int = 0
    sum: float | None = None
    min: float | None = None
    max: float | None = None
    bounds: tuple[float, ...] = ()
    bucket_counts: tuple[int, ...] = ()
    scale: int = 0
    offset: int = 0
    zero_count: int = 0


@dataclass(frozen=True, slots=True)
class ReceivedMetric:
    """A metric with its points."""

    name: str
    unit: str
    description: str
    kind: MetricKind
    temporality: Temporality
    is_monotonic: bool
    points: tuple[ReceivedPoint, ...]
    scope: str
    resource: Attributes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReceivedLog:
    """A log record, or an event when `event_name` is not empty."""

    body: Value
    severity_number: int
    severity_text: str
    event_name: str
    time_ns: int
    observed_ns: int
    attributes: Attributes
    trace_id: str | None
    span_id: str | None
    scope: str
    resource: Attributes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Decoded telemetry of all three signals, in the order in which it came."""

    spans: tuple[ReceivedSpan, ...] = ()
    metrics: tuple[ReceivedMetric, ...] = ()
    logs: tuple[ReceivedLog, ...] = ()


def decode_traces(request: ExportTraceServiceRequest) -> list[ReceivedSpan]:
    """The spans of an export request, in its order."""
    return [
        _span(span, scoped.scope.name, resource)
        for of_resource in request.resource_spans
        for resource in [_attributes(of_resource.resource.attributes)]
        for scoped in of_resource.scope_spans
        for span in scoped.spans
    ]


def decode_metrics(request: ExportMetricsServiceRequest) -> list[ReceivedMetric]:
    """The metrics of an export request, in its order."""
    return [
        _metric(metric, scoped.scope.name, resource)
        for of_resource in request.resource_metrics
        for resource in [_attributes(of_resource.resource.attributes)]
        for scoped in of_resource.scope_metrics
        for metric in scoped.metrics
    ]


def decode_logs(request: ExportLogsServiceRequest) -> list[ReceivedLog]:
    """The log records of an export request, in its order."""
    return [
        _log(record, scoped.scope.name, resource)
        for of_resource in request.resource_logs
        for resource in [_attributes(of_resource.resource.attributes)]
        for scoped in of_resource.scope_logs
        for record in scoped.log_records
    ]


def decode_requests(requests: Iterable[ExportRequest]) -> Telemetry:
    """The telemetry of many export requests."""
    spans: list[ReceivedSpan] = []
    metrics: list[ReceivedMetric] = []
    logs: list[ReceivedLog] = []
    for request in requests:
        if isinstance(request, ExportTraceServiceRequest):
            spans += decode_traces(request)
        elif isinstance(request, ExportMetricsServiceRequest):
            metrics += decode_metrics(request)
        else:
            logs += decode_logs(request)
    return Telemetry(tuple(spans), tuple(metrics), tuple(logs))


def decode_json_lines(lines: Iterable[bytes]) -> Telemetry:
    """What the collector's `file` exporter writes: one export request in OTLP/JSON per line, any signal.

    Raises:
        ValueError: a line that names no signal.
        tickspan_spool.receiver's Refusal: a line that is no OTLP/JSON.
    """
    return decode_requests(_json_request(line) for line in lines if line.strip())


def read_json_lines(path: Path) -> Telemetry:
    """The whole lines of a file that a collector may still be writing to; nothing when there is none yet."""
    if not path.exists():
        return Telemetry()
    whole, _, _unfinished = path.read_bytes().rpartition(b"\n")
    return decode_json_lines(whole.splitlines())


def _json_request(line: bytes) -> ExportRequest:
    for member, signal in _SIGNALS.items():
        if line.lstrip(b' \t{"').startswith(member.encode()):
            return decode(signal, _JSON, line, _FILE_LIMITS).message
    raise ValueError(f"expected a line that starts with one of {', '.join(_SIGNALS)}, got {line[:60]!r}")


def _span(span: Span, scope: str, resource: Attributes) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=_KINDS.get(span.kind, SpanKind.INTERNAL),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex() or None,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        events=tuple(
            ReceivedEvent(event.name, event.time_unix_nano, _attributes(event.attributes))
            for event in span.events
        ),
        links=tuple(
            ReceivedLink(link.trace_id.hex(), link.span_id.hex(), _attributes(link.attributes))
            for link in span.links
        ),
        status=ReceivedStatus(_CODES.get(span.status.code, StatusCode.UNSET), span.status.message),
        scope=scope,
        resource=resource,
    )


def _metric(metric: Metric, scope: str, resource: Attributes) -> ReceivedMetric:
    kind, temporality, is_monotonic, points = _data(metric)
    return ReceivedMetric(
        name=metric.name,
        unit=metric.unit,
        description=metric.description,
        kind=kind,
        temporality=temporality,
        is_monotonic=is_monotonic,
        points=points,
        scope=scope,
        resource=resource,
    )


def _data(metric: Metric) -> tuple[MetricKind, Temporality, bool, tuple[ReceivedPoint, ...]]:
    match metric.WhichOneof("data"):
        case "sum":
            points = tuple(map(_number, metric.sum.data_points))
            return "sum", _temporality(metric.sum.aggregation_temporality), metric.sum.is_monotonic, points
        case "histogram":
            data = metric.histogram
            return (
                "histogram",
                _temporality(data.aggregation_temporality),
                False,
                tuple(map(_histogram, data.data_points)),
            )
        case "exponential_histogram":
            powers = metric.exponential_histogram
            points = tuple(map(_exponential, powers.data_points))
            return "exponential_histogram", _temporality(powers.aggregation_temporality), False, points
        case "summary":
            return "summary", "unspecified", False, tuple(map(_summary, metric.summary.data_points))
        case _:
            return "gauge", "unspecified", False, tuple(map(_number, metric.gauge.data_points))


def _temporality(number: int) -> Temporality:
    names: dict[int, Temporality] = {
        AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA: "delta",
        AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE: "cumulative",
    }
    return names.get(number, "unspecified")


def _number(point: NumberDataPoint) -> ReceivedPoint:
    held = point.WhichOneof("value")
    value = None if held is None else point.as_int if held == "as_int" else point.as_double
    return ReceivedPoint(
        _attributes(point.attributes), point.start_time_unix_nano, point.time_unix_nano, value=value
    )


def _histogram(point: HistogramDataPoint) -> ReceivedPoint:
    return ReceivedPoint(
        _attributes(point.attributes),
        point.start_time_unix_nano,
        point.time_unix_nano,
        count=point.count,
        sum=point.sum if point.HasField("sum") else None,
        min=point.min if point.HasField("min") else None,
        max=point.max if point.HasField("max") else None,
        bounds=tuple(point.explicit_bounds),
        bucket_counts=tuple(point.bucket_counts),
    )


def _exponential(point: ExponentialHistogramDataPoint) -> ReceivedPoint:
    return ReceivedPoint(
        _attributes(point.attributes),
        point.start_time_unix_nano,
        point.time_unix_nano,
        count=point.count,
        sum=point.sum if point.HasField("sum") else None,
        min=point.min if point.HasField("min") else None,
        max=point.max if point.HasField("max") else None,
        bucket_counts=tuple(point.positive.bucket_counts),
        scale=point.scale,
        offset=point.positive.offset,
        zero_count=point.zero_count,
    )


def _summary(point: SummaryDataPoint) -> ReceivedPoint:
    return ReceivedPoint(
        _attributes(point.attributes),
        point.start_time_unix_nano,
        point.time_unix_nano,
        count=point.count,
        sum=point.sum,
    )


def _log(record: LogRecord, scope: str, resource: Attributes) -> ReceivedLog:
    return ReceivedLog(
        body=_value(record.body),
        severity_number=record.severity_number,
        severity_text=record.severity_text,
        event_name=record.event_name,
        time_ns=record.time_unix_nano,
        observed_ns=record.observed_time_unix_nano,
        attributes=_attributes(record.attributes),
        trace_id=record.trace_id.hex() or None,
        span_id=record.span_id.hex() or None,
        scope=scope,
        resource=resource,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Value:
    held = value.WhichOneof("value")
    if held is None:
        return None
    if held == "array_value":
        return tuple(map(_value, value.array_value.values))
    if held == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return cast("Value", getattr(value, held))
