"""What stock OpenTelemetry exporters send arrives in the collector's file as the same values."""

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from scripts.collector import Collector
from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.backends

_BOT = Resource({"service.name": "bot"})


def _record_spans(*endpoints: str) -> None:
    provider = TracerProvider(resource=_BOT)
    for endpoint in endpoints:
        exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", compression=Compression.Gzip)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("bot.orders")
    link = Link(SpanContext(trace_id=1, span_id=2, is_remote=True), {"why": "same order"})
    with tracer.start_as_current_span("tick"):
        span = tracer.start_span("submit", kind=SpanKind.CLIENT, links=[link])
        span.set_attributes({"s": "x", "i": 2**63 - 1, "d": 0.5, "b": True, "l": ["a", "b"], "empty": ""})
        span.add_event("acked", {"ms": 3})
        span.set_status(StatusCode.ERROR, "rejected")
        span.end()
    provider.shutdown()


def _record_metrics(*endpoints: str) -> None:
    readers = [
        PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics")) for endpoint in endpoints
    ]
    provider = MeterProvider(readers, resource=_BOT)
    meter = provider.get_meter("bot")
    meter.create_counter("orders", "{order}", "Orders sent").add(2, {"side": "buy"})
    meter.create_gauge("position").set(-1.5)
    meter.create_histogram("latency", "s", explicit_bucket_boundaries_advisory=[0.1, 1]).record(0.25)
    provider.shutdown()


def _record_logs(*endpoints: str) -> None:
    provider = LoggerProvider(resource=_BOT)
    for endpoint in endpoints:
        provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs")))
    provider.get_logger("bot").emit(
        body={"price": 1.5, "levels": [1, 2]}, event_name="order.filled", timestamp=5, attributes={"n": 1}
    )
    provider.shutdown()


def test_spans_arrive_as_they_were_sent(collector: Collector):
    with OtlpServer() as direct:
        _record_spans(collector.endpoint, direct.endpoint)
        telemetry = collector.wait_for(lambda telemetry: len(telemetry.spans) == 2)
        assert list(telemetry.spans) == direct.spans()
    assert [span.name for span in telemetry.spans] == ["submit", "tick"]


def test_metrics_arrive_as_they_were_sent(collector: Collector):
    with OtlpServer() as direct:
        _record_metrics(collector.endpoint, direct.endpoint)
        telemetry = collector.wait_for(lambda telemetry: len(telemetry.metrics) == 3)
        values = [
            (
                metric.name,
                metric.kind,
                [(point.value, point.sum, point.bucket_counts) for point in metric.points],
            )
            for metric in telemetry.metrics
        ]
        assert {metric.name: metric.resource for metric in telemetry.metrics} == {
            metric.name: metric.resource for metric in direct.metrics()
        }
    assert values == [
        ("orders", "sum", [(2, None, ())]),
        ("position", "gauge", [(-1.5, None, ())]),
        ("latency", "histogram", [(None, 0.25, (0, 1, 0))]),
    ]


def test_log_records_arrive_as_they_were_sent(collector: Collector):
    with OtlpServer() as direct:
        _record_logs(collector.endpoint, direct.endpoint)
        telemetry = collector.wait_for(lambda telemetry: bool(telemetry.logs))
        assert list(telemetry.logs) == direct.logs()
    assert telemetry.logs[0].body == {"price": 1.5, "levels": (1, 2)}


def test_waiting_in_vain_tells_what_the_collector_wrote(collector: Collector):
    with pytest.raises(TimeoutError, match=r"(?s)wrote 0 spans, 0 metrics, 0 logs\n.*Everything is ready"):
        collector.wait_for(lambda telemetry: bool(telemetry.spans), timeout_s=0.1)
