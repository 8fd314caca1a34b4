"""Exporters for a stock OpenTelemetry SDK that write into the spool: `OTEL_TRACES_EXPORTER=tickspan_spool`.

The SDK's batch processors call them from their threads. Upstream's encoders make the requests, which are
taken apart into records. What is in the spool outlives this process, and waits while the receiver is away.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple
from weakref import WeakSet

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from .entries import Signal, StreamKey, varint
from .reasons import Reason
from .spool import Spool, SpoolPlan

CLOSE_BUDGET_S: Final = 2.0
MAX_POINTS: Final = 1_000
"""Data points of one record: a metric with more of them becomes several."""
_ENTRY: Final = b"\x12"
_SHARED: Final = "shared"
_spools: Final[dict[str, Spool]] = {}
_open: Final[WeakSet[_Way]] = WeakSet()


class Record(NamedTuple):
    """One entry of a request, as the spool takes it."""

    stream: StreamKey
    body: bytes
    items: int


def shared_spool() -> Spool:
    """The spool of this process, as the environment says when it is asked for first.

    No lock, which a fork could inherit held: making a spool touches nothing, so one too many is harmless.
    """
    return _spools.get(_SHARED) or _spools.setdefault(_SHARED, Spool(SpoolPlan.from_environment(os.environ)))


def span_records(request: Any) -> Iterator[Record]:
    """The spans of an `ExportTraceServiceRequest`."""
    for group in request.resource_spans:
        for scope in group.scope_spans:
            yield from _entries(_key("traces", group, scope), scope.spans)


def log_records(request: Any) -> Iterator[Record]:
    """The log records of an `ExportLogsServiceRequest`."""
    for group in request.resource_logs:
        for scope in group.scope_logs:
            yield from _entries(_key("logs", group, scope), scope.log_records)


def metric_records(request: Any) -> Iterator[Record]:
    """The metrics of an `ExportMetricsServiceRequest`; one without data points is none."""
    for group in request.resource_metrics:
        for scope in group.scope_metrics:
            key = _key("metrics", group, scope)
            for metric in scope.metrics:
                for part, points in _parts(metric):
                    yield Record(key, _framed(part), points)


def _entries(key: StreamKey, messages: Any) -> Iterator[Record]:
    for message in messages:
        yield Record(key, _framed(message), 1)


def _key(signal: Signal, group: Any, scope: Any) -> StreamKey:
    return StreamKey(
        signal,
        group.resource.SerializeToString(),
        scope.scope.SerializeToString(),
        group.schema_url,
        scope.schema_url,
    )


def _framed(message: Any) -> bytes:
    content = message.SerializeToString()
    return b"".join((_ENTRY, varint(len(content)), content))


def _parts(metric: Any) -> Iterator[tuple[Any, int]]:
    """The metric, or several of its name with at most `MAX_POINTS` each, and how many points each has."""
    kind = metric.WhichOneof("data")
    points = getattr(metric, kind).data_points if kind else ()
    if len(points) <= MAX_POINTS:
        if points:
            yield metric, len(points)
        return
    bare = type(metric)()
    bare.CopyFrom(metric)
    getattr(bare, kind).ClearField("data_points")
    for start in range(0, len(points), MAX_POINTS):
        part = type(metric)()
        part.CopyFrom(bare)
        some = points[start : start + MAX_POINTS]
        getattr(part, kind).data_points.extend(some)
        yield part, len(some)


class _Way:
    """What the three exporters have in common: how a batch gets into a spool, and how it ends."""

    def __init__(
        self,
        signal: Signal,
        spool: Spool | None,
        encode: Callable[[Any], Any],
        take_apart: Callable[[Any], Iterator[Record]],
    ) -> None:
        self._signal: Signal = signal
        self._spool = spool or shared_spool()
        self._encode = encode
        self._take_apart = take_apart
        self._is_shut_down = False
        _open.add(self)

    def put(self, batch: Any, alone: Callable[[Any], Sequence[tuple[Any, int]]]) -> bool:
        """Append a batch. Where one item of it cannot be encoded, that one alone is lost, and counted.

        Args:
            batch: as the encoder takes it.
            alone: the batch as batches of one item, each with how many spans, records or points it holds.

        Returns:
            False after `shutdown`.
        """
        if self._is_shut_down:
            self._lose(alone(batch), Reason.AFTER_SHUTDOWN)
            return False
        try:
            records = list(self._take_apart(self._encode(batch)))
        except Exception:  # noqa: BLE001 - the encoder raises what it likes for what it cannot encode
            records = self._one_by_one(alone(batch))
        for key, body, items in records:
            self._spool.stream(key).append(body, items)
        return True

    def flush(self, timeout_millis: float) -> bool:
        return self._spool.force_flush(max(0.0, timeout_millis / 1e3))

    def close(self, budget_s: float = CLOSE_BUDGET_S) -> None:
        """Take no more; whoever is the last of this spool hands over what is unsent."""
        if self._is_shut_down:
            return
        self._is_shut_down = True
        if not any(way.is_open_on(self._spool) for way in list(_open)):
            self._spool.close(min(CLOSE_BUDGET_S, max(0.0, budget_s)))

    def is_open_on(self, spool: Spool) -> bool:
        """Whether more may come for that spool."""
        return self._spool is spool and not self._is_shut_down

    def _one_by_one(self, batches: Sequence[tuple[Any, int]]) -> list[Record]:
        records: list[Record] = []
        for batch, items in batches:
            try:
                records += self._take_apart(self._encode(batch))
            except Exception:  # noqa: BLE001 - this is the one that it raised for
                self._spool.drop(self._signal, Reason.INVALID, items)
        return records

    def _lose(self, batches: Sequence[tuple[Any, int]], reason: Reason) -> None:
        items = sum(items for _, items in batches)
        if items:
            self._spool.drop(self._signal, reason, items)


class SpoolSpanExporter(SpanExporter):
    """`OTEL_TRACES_EXPORTER=tickspan_spool`. Zero arguments will do: the environment tells the spool."""

    def __init__(self, spool: Spool | None = None) -> None:
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans  # loads protobuf

        self._way = _Way("traces", spool, encode_spans, span_records)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Put finished spans into the spool."""
        return SpanExportResult.SUCCESS if self._way.put(spans, _each) else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until everything of this process is delivered; False when time is up."""
        return self._way.flush(timeout_millis)

    def shutdown(self) -> None:
        """Take no more; the last exporter to end hands over what is unsent, within two seconds."""
        self._way.close()


class SpoolLogExporter(LogRecordExporter):
    """`OTEL_LOGS_EXPORTER=tickspan_spool`. Zero arguments will do."""

    def __init__(self, spool: Spool | None = None) -> None:
        from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs  # loads protobuf

        self._way = _Way("logs", spool, encode_logs, log_records)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Put log records into the spool."""
        return LogRecordExportResult.SUCCESS if self._way.put(batch, _each) else LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until everything of this process is delivered; False when time is up."""
        return self._way.flush(timeout_millis)

    def shutdown(self) -> None:
        """Take no more; the last exporter to end hands over what is unsent, within two seconds."""
        self._way.close()


class SpoolMetricExporter(MetricExporter):
    """`OTEL_METRICS_EXPORTER=tickspan_spool`. Zero arguments will do.

    Temporality and histograms are as `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` and
    `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION` say.
    """

    def __init__(
        self,
        spool: Spool | None = None,
        preferred_temporality: dict[type, Any] | None = None,
        preferred_aggregation: dict[type, Any] | None = None,
    ) -> None:
        from opentelemetry.exporter.otlp.proto.common._internal.metrics_encoder import (  # loads protobuf
            OTLPMetricExporterMixin,
            encode_metrics,
        )

        preferences: Any = OTLPMetricExporterMixin()
        super().__init__(
            preferences._get_temporality(preferred_temporality),  # noqa: SLF001 - upstream's reading of the variables
            preferences._get_aggregation(preferred_aggregation),  # noqa: SLF001
        )
        self._way = _Way("metrics", spool, encode_metrics, metric_records)

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,
        **kwargs: Any,
    ) -> MetricExportResult:
        """Put what was collected into the spool."""
        del timeout_millis, kwargs  # nothing here waits
        is_done = self._way.put(metrics_data, _each_metric)
        return MetricExportResult.SUCCESS if is_done else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Wait until everything of this process is delivered; False when time is up."""
        return self._way.flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Take no more; the last exporter to end hands over what is unsent, within two seconds."""
        del kwargs
        self._way.close(timeout_millis / 1e3)


def _each(batch: Sequence[Any]) -> list[tuple[Sequence[Any], int]]:
    return [([item], 1) for item in batch]


def _each_metric(data: MetricsData) -> list[tuple[MetricsData, int]]:
    alone: list[tuple[MetricsData, int]] = []
    for group in data.resource_metrics:
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                one_scope = dataclasses.replace(scope, metrics=[metric])
                one = MetricsData([dataclasses.replace(group, scope_metrics=[one_scope])])
                alone.append((one, len(metric.data.data_points)))
    return alone
