"""The OTLP server for tests, and what it makes of OTLP."""

import http.client
import json
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode
from tickspan_spool.receiver import Response

from tickspan.received import (
    ReceivedEvent,
    ReceivedLink,
    ReceivedLog,
    ReceivedMetric,
    ReceivedPoint,
    ReceivedSpan,
    ReceivedStatus,
    Telemetry,
    decode_json_lines,
    decode_logs,
    decode_metrics,
    decode_traces,
    read_json_lines,
)
from tickspan.testing.otlp import OtlpServer

_BOT = Resource({"service.name": "bot"})


def _tracer_provider(server: OtlpServer) -> TracerProvider:
    provider = TracerProvider(resource=_BOT)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{server.endpoint}/v1/traces")))
    return provider


@pytest.mark.integration
def test_a_span_comes_back_as_a_value():
    with OtlpServer() as server:
        provider = _tracer_provider(server)
        tracer = provider.get_tracer("bot.orders")
        link = Link(SpanContext(trace_id=1, span_id=2, is_remote=True), {"why": "same order"})
        with tracer.start_as_current_span(
            "submit", kind=SpanKind.CLIENT, start_time=10, links=[link], end_on_exit=False
        ) as span:
            span.set_attributes({"s": "x", "i": -1, "d": 0.5, "b": True, "l": ["a", "b"]})
            span.add_event("acked", {"ms": 3}, timestamp=15)
            span.set_status(StatusCode.ERROR, "rejected")
        span.end(20)
        provider.shutdown()
        spans = server.spans()
    assert spans == [
        ReceivedSpan(
            name="submit",
            kind=SpanKind.CLIENT,
            trace_id=f"{span.get_span_context().trace_id:032x}",
            span_id=f"{span.get_span_context().span_id:016x}",
            parent_span_id=None,
            start_ns=10,
            end_ns=20,
            attributes={"s": "x", "i": -1, "d": 0.5, "b": True, "l": ("a", "b")},
            events=(ReceivedEvent("acked", 15, {"ms": 3}),),
            links=(ReceivedLink(f"{1:032x}", f"{2:016x}", {"why": "same order"}),),
            status=ReceivedStatus(StatusCode.ERROR, "rejected"),
            scope="bot.orders",
            resource={"service.name": "bot"},
        )
    ]


@pytest.mark.integration
def test_a_child_names_its_parent():
    with OtlpServer() as server:
        provider = _tracer_provider(server)
        tracer = provider.get_tracer("bot")
        with tracer.start_as_current_span("tick"), tracer.start_as_current_span("submit"):
            pass
        provider.shutdown()
        submit, tick = server.spans()
    assert (submit.parent_span_id, submit.trace_id) == (tick.span_id, tick.trace_id)


@pytest.mark.integration
def test_metrics_come_back_as_values():
    with OtlpServer() as server:
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{server.endpoint}/v1/metrics"))
        provider = MeterProvider([reader], resource=_BOT)
        provider.get_meter("bot").create_counter("orders", "{order}", "Orders sent").add(2, {"side": "buy"})
        provider.shutdown()
        (metric,) = server.metrics()
    (point,) = metric.points
    assert metric == ReceivedMetric(
        name="orders",
        unit="{order}",
        description="Orders sent",
        kind="sum",
        temporality="cumulative",
        is_monotonic=True,
        points=(ReceivedPoint({"side": "buy"}, point.start_ns, point.time_ns, value=2),),
        scope="bot",
        resource={"service.name": "bot"},
    )


@pytest.mark.integration
def test_log_records_come_back_as_values():
    with OtlpServer() as server:
        provider = LoggerProvider(resource=_BOT)
        provider.add_log_record_processor(
            SimpleLogRecordProcessor(OTLPLogExporter(f"{server.endpoint}/v1/logs"))
        )
        provider.get_logger("bot").emit(
            body={"price": 1.5},
            event_name="order.filled",
            timestamp=5,
            observed_timestamp=6,
            attributes={"n": 1},
        )
        provider.shutdown()
        logs = server.logs()
    assert logs == [
        ReceivedLog(
            body={"price": 1.5},
            severity_number=0,
            severity_text="",
            event_name="order.filled",
            time_ns=5,
            observed_ns=6,
            attributes={"n": 1},
            trace_id=None,
            span_id=None,
            scope="bot",
            resource={"service.name": "bot"},
        )
    ]


@pytest.mark.integration
def test_bodies_are_kept_and_can_be_forgotten():
    with OtlpServer() as server:
        provider = _tracer_provider(server)
        provider.get_tracer("bot").start_span("find me").end()
        kept = [b"find me" in body for body in server.bodies()]
        server.clear()
        assert (kept, server.bodies(), server.spans()) == ([True], [], [])
        assert server.statistics().spans == 1
        provider.shutdown()


@pytest.mark.integration
def test_waiting_ends_when_the_telemetry_is_there():
    with OtlpServer() as server:
        provider = _tracer_provider(server)
        sender = threading.Thread(target=lambda: provider.get_tracer("bot").start_span("late").end())
        sender.start()
        server.wait_for(lambda server: len(server.spans()) == 1, timeout_s=10)
        sender.join()
        provider.shutdown()
    assert [span.name for span in server.spans()] == ["late"]


@pytest.mark.integration
def test_waiting_in_vain_tells_what_came():
    with (
        OtlpServer() as server,
        pytest.raises(TimeoutError, match=r"waited 0.01 s .*0 spans, 0 metrics, 0 logs"),
    ):
        server.wait_for(lambda server: bool(server.logs()), timeout_s=0.01)


@pytest.mark.integration
def test_refused_batches_are_not_kept():
    with OtlpServer(answer=lambda _: Response(400)) as server:
        assert _statuses(server, 1) == [400]
        assert server.spans() == []


@pytest.mark.integration
def test_what_exceeds_the_room_is_refused_and_counted():
    with OtlpServer(keep_bytes=20) as server:
        assert _statuses(server, 3) == [200, 429, 429]
        assert len(server.spans()) == 1
        assert server.statistics().refused == {"scripted": 2}


def test_every_kind_of_metric_is_decoded():
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="g").gauge.data_points.add(as_double=0.5, time_unix_nano=9)
    metrics.add(name="s").sum.data_points.add(as_int=3, start_time_unix_nano=1, time_unix_nano=9)
    histogram = metrics.add(name="h").histogram
    histogram.aggregation_temporality = 1  # pyright: ignore[reportAttributeAccessIssue] - an enum's number
    histogram.data_points.add(
        count=3, sum=4.5, min=0.5, max=2, explicit_bounds=[1], bucket_counts=[1, 2], time_unix_nano=9
    )
    exponential = metrics.add(name="e").exponential_histogram.data_points.add(
        count=2, sum=3, time_unix_nano=9
    )
    exponential.positive.bucket_counts.extend([1, 1])
    metrics.add(name="q").summary.data_points.add(count=2, sum=3, time_unix_nano=9)
    decoded = [
        (metric.name, metric.kind, metric.temporality, *metric.points) for metric in decode_metrics(request)
    ]
    assert decoded == [
        ("g", "gauge", "unspecified", ReceivedPoint({}, 0, 9, value=0.5)),
        ("s", "sum", "unspecified", ReceivedPoint({}, 1, 9, value=3)),
        (
            "h",
            "histogram",
            "delta",
            ReceivedPoint({}, 0, 9, count=3, sum=4.5, min=0.5, max=2.0, bounds=(1.0,), bucket_counts=(1, 2)),
        ),
        (
            "e",
            "exponential_histogram",
            "unspecified",
            ReceivedPoint({}, 0, 9, count=2, sum=3.0, bucket_counts=(1, 1)),
        ),
        ("q", "summary", "unspecified", ReceivedPoint({}, 0, 9, count=2, sum=3.0)),
    ]


def test_every_kind_of_value_is_decoded():
    request = ExportLogsServiceRequest()
    body = request.resource_logs.add().scope_logs.add().log_records.add().body.kvlist_value
    body.values.add(key="bytes", value=AnyValue(bytes_value=b"\0"))
    body.values.add(key="nothing")
    nested = body.values.add(key="list").value.array_value
    nested.values.add(bool_value=False)
    nested.values.add().array_value.SetInParent()
    (log,) = decode_logs(request)
    assert log.body == {"bytes": b"\0", "nothing": None, "list": (False, ())}


def test_numbers_that_the_protocol_does_not_know_are_unspecified():
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.kind = 77  # pyright: ignore[reportAttributeAccessIssue] - an enum's number
    span.status.code = 77  # pyright: ignore[reportAttributeAccessIssue] - an enum's number
    (decoded,) = decode_traces(request)
    assert (decoded.kind, decoded.status) == (SpanKind.INTERNAL, ReceivedStatus(StatusCode.UNSET))


def test_the_lines_of_a_collectors_file_are_decoded_and_an_unfinished_one_waits(tmp_path: Path):
    lines = [
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "a", "spanId": "00000000000000ff"}]}]}]},
        {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {}}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "l"}}]}]}]},
    ]
    file = tmp_path / "otlp.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + '\n{"resourceSpa')
    telemetry = read_json_lines(file)
    assert [(span.name, span.span_id) for span in telemetry.spans] == [("a", "00000000000000ff")]
    assert [metric.name for metric in telemetry.metrics] == ["m"]
    assert [log.body for log in telemetry.logs] == ["l"]
    assert read_json_lines(tmp_path / "none") == Telemetry()


def test_a_line_without_a_signal_is_an_error():
    with pytest.raises(ValueError, match="expected a line that starts with one of resourceSpans"):
        decode_json_lines([b'{"resourceProfiles": []}'])


def _statuses(server: OtlpServer, requests: int) -> list[int]:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="order")
    connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=10)
    statuses: list[int] = []
    for _ in range(requests):
        body = request.SerializeToString()
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    return statuses
