"""What a contender records with: nothing, the API's no-op, the stock SDK, or tickspan's providers."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.sdk import metrics as sdk_metrics
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import NoOpTracerProvider, TracerProvider

from sidebyside.stories import Story, of_recorded
from tickspan import providers


class Kind(StrEnum):
    """Which telemetry."""

    NONE = "none"
    """Not even the API is called."""
    NOOP = "noop"
    STOCK = "stock"
    OURS = "ours"
    OURS_SPANS = "ours, spans only"
    """Without metrics, which upstream's instrumentors of the same calls do not record."""

    @property
    def is_ours(self) -> bool:
        """Whether tickspan records."""
        return self in (Kind.OURS, Kind.OURS_SPANS)


class Telemetry:
    """The providers of one contender. Spans and metrics leave over OTLP/HTTP, with default settings."""

    def __init__(self, kind: Kind, service: str, endpoint: str) -> None:
        self.kind = kind
        self._noting = _Noting(OTLPSpanExporter(f"{endpoint}/v1/traces"))
        self.tracer_provider, self.meter_provider = _providers(kind, service, endpoint, self._noting)

    def __repr__(self) -> str:
        return f"<Telemetry {self.kind}, {len(self._noting.spans)} spans>"

    def flush(self) -> None:
        """Send what has been recorded; returns when the sink has answered."""
        if isinstance(self.tracer_provider, sdk_trace.TracerProvider):
            self.tracer_provider.force_flush()

    def taken(self) -> list[Story]:
        """The stories of all spans that went to the exporter since the last time."""
        spans, self._noting.spans = self._noting.spans, []
        return [of_recorded(span) for span in spans]

    def shutdown(self) -> None:
        """End threads and send the metrics."""
        for provider in (self.tracer_provider, self.meter_provider):
            if isinstance(provider, sdk_trace.TracerProvider | sdk_metrics.MeterProvider):
                provider.shutdown()


class _Noting(SpanExporter):
    """Keeps what it hands on: a list's `extend`, far from the caller's clock."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans.extend(spans)
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _providers(
    kind: Kind, service: str, endpoint: str, exporter: SpanExporter
) -> tuple[TracerProvider, MeterProvider]:
    if kind in (Kind.NONE, Kind.NOOP):
        return NoOpTracerProvider(), NoOpMeterProvider()
    resource: Any = Resource.create({"service.name": service})
    metric_exporter = OTLPMetricExporter(f"{endpoint}/v1/metrics")
    if kind.is_ours:
        ours = providers.TracerProvider(resource=resource)
        ours.add_span_processor(providers.spans_to(exporter))
        if kind is Kind.OURS_SPANS:
            return ours, NoOpMeterProvider()
        return ours, providers.MeterProvider([providers.metrics_to(metric_exporter)], resource)
    stock = sdk_trace.TracerProvider(resource=resource)
    stock.add_span_processor(BatchSpanProcessor(exporter))
    return stock, sdk_metrics.MeterProvider([PeriodicExportingMetricReader(metric_exporter)], resource)
