"""The seam to the batch processors, and the providers of the other two signals."""

from __future__ import annotations

from opentelemetry._logs import LogRecord
from opentelemetry.sdk import _logs, metrics
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    InMemoryMetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tickspan.providers import (
    LoggerProvider,
    MeterProvider,
    TracerProvider,
    logs_to,
    metrics_to,
    spans_to,
)


def test_spans_reach_their_exporter_off_the_callers_thread() -> None:
    exporter = InMemorySpanExporter()
    processor = spans_to(exporter)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    provider.get_tracer("test").start_span("name").end()
    early = exporter.get_finished_spans()
    provider.shutdown()
    assert isinstance(processor, BatchSpanProcessor)
    assert (early, [span.name for span in exporter.get_finished_spans()]) == ((), ["name"])


def test_logs_reach_their_exporter() -> None:
    exporter = InMemoryLogRecordExporter()
    processor = logs_to(exporter)
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    provider.get_logger("test").emit(LogRecord(body="word"))
    provider.shutdown()
    assert isinstance(processor, BatchLogRecordProcessor)
    assert len(exporter.get_finished_logs()) == 1


def test_a_pull_reader_is_its_own_way_out() -> None:
    reader = InMemoryMetricReader()
    assert metrics_to(reader) is reader


def test_a_push_exporter_gets_a_periodic_reader() -> None:
    reader = metrics_to(ConsoleMetricExporter())
    assert isinstance(reader, PeriodicExportingMetricReader)
    reader.shutdown()


def test_meter_and_logger_provider_are_the_sdks_to_anyone_who_asks() -> None:
    meter_provider, logger_provider = MeterProvider(), LoggerProvider()
    assert isinstance(meter_provider, metrics.MeterProvider)
    assert isinstance(logger_provider, _logs.LoggerProvider)
    meter_provider.shutdown()
    logger_provider.shutdown()
