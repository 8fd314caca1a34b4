"""The way out: how finished records reach an exporter. The only module that knows batch processors."""

from __future__ import annotations

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter


def spans_to(exporter: SpanExporter, meter_provider: MeterProvider | None = None) -> SpanProcessor:
    """A processor that hands finished spans to `exporter`, off the caller's thread.

    `OTEL_BSP_*` set its bounds. What it drops is counted in `otel.sdk.processor.span.processed`.
    """
    return BatchSpanProcessor(exporter, meter_provider=meter_provider)


def logs_to(exporter: LogRecordExporter, meter_provider: MeterProvider | None = None) -> LogRecordProcessor:
    """A processor that hands log records to `exporter`, off the caller's thread (`OTEL_BLRP_*`)."""
    return BatchLogRecordProcessor(exporter, meter_provider=meter_provider)


def metrics_to(exporter: MetricExporter | MetricReader) -> MetricReader:
    """A reader that collects for `exporter` at `OTEL_METRIC_EXPORT_INTERVAL`; a pull reader is itself."""
    return exporter if isinstance(exporter, MetricReader) else PeriodicExportingMetricReader(exporter)
