"""Exporters for a stock SDK: the spool holds what upstream's encoders made, and poison is lost alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tickspan_spool import exporters
from tickspan_spool.directory import SpoolDirectory
from tickspan_spool.entries import Entry, Signal, export_request
from tickspan_spool.exporters import SpoolLogExporter, SpoolMetricExporter, SpoolSpanExporter, shared_spool
from tickspan_spool.reasons import Reason
from tickspan_spool.semconv import LOG_RECORD_UID
from tickspan_spool.sender import Destination
from tickspan_spool.spool import Spool, SpoolPlan

RESOURCE = Resource({"service.name": "bot"}, "https://resource.example/1")
SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")


def plan(directory: Path) -> SpoolPlan:
    destinations = tuple(
        Destination(signal=signal, url=f"http://localhost:4318/v1/{signal}", protocol="http/protobuf")
        for signal in SIGNALS
    )
    return SpoolPlan(directory, segment_bytes=1 << 20, agent="off", destinations=destinations)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(plan(tmp_path / "spool"))
    yield made
    made.stop()


def entries(spool: Spool, signal: Signal) -> list[Entry]:
    """What an agent would read."""
    (folder,) = SpoolDirectory(spool.plan.directory).folders()
    return folder.track(signal, SIGNALS.index(signal)).read()


def finished_spans(count: int = 3) -> Sequence[ReadableSpan]:
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for number in range(count):
        tracer = provider.get_tracer(f"scope.{number % 2}", "1", "https://scope.example/1")
        with tracer.start_as_current_span(f"order {number}", attributes={"number": number}) as span:
            span.add_event("sent")
    return kept.get_finished_spans()


def finished_logs() -> Sequence[ReadableLogRecord]:
    kept = InMemoryLogRecordExporter()
    provider = LoggerProvider(RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    for body in ("a", {"b": [1, None]}):
        provider.get_logger("log", "1").emit(body=body, severity_number=SeverityNumber.WARN)
    return kept.get_finished_logs()


def collected(points: int = 2) -> MetricsData:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], RESOURCE, shutdown_on_exit=False)
    meter = provider.get_meter("meter", "1", "https://scope.example/1")
    counter, latency = meter.create_counter("orders", "1", "sent"), meter.create_histogram("latency", "s")
    for number in range(points):
        counter.add(number, {"number": number})
        latency.record(number)
    data = reader.get_metrics_data()
    provider.shutdown()
    assert data is not None
    return data


# What arrives


def test_spans_are_what_upstreams_encoder_makes(spool: Spool):
    spans = finished_spans()

    assert SpoolSpanExporter(spool).export(spans) is SpanExportResult.SUCCESS
    found = entries(spool, "traces")
    assert ExportTraceServiceRequest.FromString(export_request(found)) == encode_spans(spans)
    assert [(entry.items, entry.sequence) for entry in found] == [(1, 0), (1, 1), (1, 2)]


def taken_uids(request: ExportLogsServiceRequest) -> list[str]:
    """Take the last attribute of each record, which is its uid."""
    records = [
        record for told in request.resource_logs for scope in told.scope_logs for record in scope.log_records
    ]
    uids = [record.attributes.pop() for record in records]
    assert {uid.key for uid in uids} == {LOG_RECORD_UID}
    return [uid.value.string_value for uid in uids]


def test_logs_are_what_upstreams_encoder_makes(spool: Spool):
    logs = finished_logs()

    assert SpoolLogExporter(spool).export(logs) is LogRecordExportResult.SUCCESS
    found = entries(spool, "logs")
    request = ExportLogsServiceRequest.FromString(export_request(found))
    assert [uid.rpartition("-")[2] for uid in taken_uids(request)] == ["0", "1"]
    assert request == encode_logs(logs)
    assert [entry.items for entry in found] == [1, 1]


def test_metrics_are_what_upstreams_encoder_makes_and_count_their_points(spool: Spool):
    data = collected(points=3)

    assert SpoolMetricExporter(spool).export(data) is MetricExportResult.SUCCESS
    found = entries(spool, "metrics")
    assert ExportMetricsServiceRequest.FromString(export_request(found)) == encode_metrics(data)
    assert [entry.items for entry in found] == [3, 1]


def test_a_metric_of_many_points_becomes_several_records(spool: Spool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exporters, "MAX_POINTS", 2)
    data = collected(points=5)
    SpoolMetricExporter(spool).export(data)

    found = entries(spool, "metrics")
    (expected,) = encode_metrics(data).resource_metrics
    (sent,) = ExportMetricsServiceRequest.FromString(export_request(found)).resource_metrics
    orders = expected.scope_metrics[0].metrics[0]
    parts = sent.scope_metrics[0].metrics[:3]
    assert [entry.items for entry in found] == [2, 2, 1, 1]
    assert [point for part in parts for point in part.sum.data_points] == list(orders.sum.data_points)
    assert {(part.name, part.unit, part.description, part.sum.is_monotonic) for part in parts} == {
        ("orders", "1", "sent", True)
    }


def test_the_stock_sdk_delivers_through_its_batch_processors(spool: Spool):
    tracers = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(SpoolSpanExporter(spool)))
    loggers = LoggerProvider(RESOURCE, shutdown_on_exit=False)
    loggers.add_log_record_processor(BatchLogRecordProcessor(SpoolLogExporter(spool)))
    meters = MeterProvider(
        [PeriodicExportingMetricReader(SpoolMetricExporter(spool))], RESOURCE, shutdown_on_exit=False
    )
    tracers.get_tracer("t").start_span("x").end()
    loggers.get_logger("l").emit(body="x")
    meters.get_meter("m").create_counter("x").add(1)
    for provider in (tracers, loggers, meters):
        provider.shutdown()

    assert [len(entries(spool, signal)) for signal in SIGNALS] == [1, 1, 1]
    assert spool.statistics().dropped == {"traces": {}, "metrics": {}, "logs": {}}


# What is wrong with it


def test_a_span_that_cannot_be_encoded_is_lost_alone_and_counted(spool: Spool):
    spans = finished_spans()
    poison: Any = spans[1]
    poison._name = 7

    assert SpoolSpanExporter(spool).export(spans) is SpanExportResult.SUCCESS
    request = ExportTraceServiceRequest.FromString(export_request(entries(spool, "traces")))
    assert [span.name for span in request.resource_spans[0].scope_spans[0].spans] == ["order 0", "order 2"]
    assert spool.statistics().dropped["traces"] == {Reason.INVALID: 1}


def test_a_log_record_that_cannot_be_encoded_is_lost_alone_and_counted(spool: Spool):
    logs = finished_logs()
    poison: Any = logs[0].log_record
    poison.body = object()

    SpoolLogExporter(spool).export(logs)
    assert len(entries(spool, "logs")) == 1
    assert spool.statistics().dropped["logs"] == {Reason.INVALID: 1}


def test_a_metric_that_cannot_be_encoded_is_lost_alone_and_counted_by_points(spool: Spool):
    data = collected(points=3)
    poison: Any = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[1]
    object.__setattr__(poison, "value", 2**70)

    SpoolMetricExporter(spool).export(data)
    assert [entry.items for entry in entries(spool, "metrics")] == [1]
    assert spool.statistics().dropped["metrics"] == {Reason.INVALID: 3}


def test_an_empty_batch_is_nothing(spool: Spool):
    SpoolSpanExporter(spool).export([])
    SpoolMetricExporter(spool).export(MetricsData([]))

    assert spool.path is None


# Ends


def test_after_shutdown_batches_are_refused_and_counted(spool: Spool):
    spans, logs, metrics = SpoolSpanExporter(spool), SpoolLogExporter(spool), SpoolMetricExporter(spool)
    for exporter in (spans, logs, metrics):
        exporter.shutdown()

    results = (spans.export(finished_spans()), logs.export(finished_logs()), metrics.export(collected()))
    assert results == (SpanExportResult.FAILURE, LogRecordExportResult.FAILURE, MetricExportResult.FAILURE)
    assert spool.statistics().dropped == {
        "traces": {Reason.AFTER_SHUTDOWN: 3},
        "metrics": {Reason.AFTER_SHUTDOWN: 3},
        "logs": {Reason.AFTER_SHUTDOWN: 2},
    }


def test_the_last_exporter_closes_the_spool_within_its_budget(spool: Spool, monkeypatch: pytest.MonkeyPatch):
    closed: list[float] = []
    monkeypatch.setattr(spool, "close", closed.append)
    first, second, third = SpoolSpanExporter(spool), SpoolLogExporter(spool), SpoolMetricExporter(spool)
    first.shutdown()
    first.shutdown()
    second.shutdown()
    before = list(closed)
    third.shutdown(500)

    assert (before, closed) == ([], [0.5])


def test_a_flush_waits_no_longer_than_it_is_told(spool: Spool):
    exporter = SpoolSpanExporter(spool)
    is_settled_while_empty = exporter.force_flush(0)
    exporter.export(finished_spans())

    assert (is_settled_while_empty, exporter.force_flush(10)) == (True, False)


# The environment


def test_exporters_without_arguments_share_one_spool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(exporters, "_spools", {})
    monkeypatch.setenv("TICKSPAN_SPOOL_DIR", str(tmp_path / "mine"))
    monkeypatch.setenv("TICKSPAN_AGENT", "off")
    SpoolSpanExporter().export(finished_spans())
    SpoolLogExporter().export(finished_logs())
    spool = shared_spool()
    spool.stop()

    assert spool.statistics().ended == {"traces": 3, "metrics": 0, "logs": 2}
    assert spool.path is not None
    assert spool.path.is_relative_to(tmp_path / "mine")


def test_temporality_and_histograms_are_as_the_standard_variables_say(
    monkeypatch: pytest.MonkeyPatch, spool: Spool
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"
    )
    exporter: Any = SpoolMetricExporter(spool)

    assert exporter._preferred_temporality[Counter] is AggregationTemporality.DELTA
    assert type(exporter._preferred_aggregation[Histogram]) is ExponentialBucketHistogramAggregation


def test_importing_the_exporters_loads_neither_tickspan_nor_an_encoder():
    program = (
        "import sys, tickspan_spool.exporters\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'tickspan'"
        " or name.startswith(('opentelemetry.exporter', 'opentelemetry.proto'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
