"""Joining bytes makes the very message that protobuf would make."""

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from tickspan_spool.entries import Entry, StreamKey, export_request, varint


def _resource(name: str) -> Resource:
    return Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value=name))])


def _span(stream: StreamKey, *names: str) -> Entry:
    """Several spans may share one record."""
    body = ScopeSpans(spans=[Span(name=name) for name in names]).SerializeToString()
    return Entry(stream, body, len(names), 0)


def test_records_are_grouped_by_resource_then_scope_in_order_of_first_appearance():
    bot, feed = _resource("bot"), _resource("feed" * 100)
    orders, books = InstrumentationScope(name="orders", version="1"), InstrumentationScope(name="books")
    one = StreamKey("traces", bot.SerializeToString(), orders.SerializeToString(), "r-url", "s-url")
    two = StreamKey("traces", feed.SerializeToString(), orders.SerializeToString())
    three = StreamKey("traces", bot.SerializeToString(), books.SerializeToString(), "r-url")
    same_as_one = StreamKey("traces", bot.SerializeToString(), orders.SerializeToString(), "r-url", "s-url")

    request = export_request(
        [_span(one, "a"), _span(two, "b"), _span(three, "c", "d"), _span(same_as_one, "e"), _span(two, "f")]
    )

    assert ExportTraceServiceRequest.FromString(request) == ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=bot,
                schema_url="r-url",
                scope_spans=[
                    ScopeSpans(scope=orders, spans=[Span(name="a"), Span(name="e")], schema_url="s-url"),
                    ScopeSpans(scope=books, spans=[Span(name="c"), Span(name="d")]),
                ],
            ),
            ResourceSpans(
                resource=feed, scope_spans=[ScopeSpans(scope=orders, spans=[Span(name="b"), Span(name="f")])]
            ),
        ]
    )


def test_a_schema_url_tells_groups_apart():
    entries = [_span(StreamKey("traces", b"", b"", url, url), "a") for url in ("", "x", "")]

    decoded = ExportTraceServiceRequest.FromString(export_request(entries))

    assert [(group.schema_url, len(group.scope_spans[0].spans)) for group in decoded.resource_spans] == [
        ("", 2),
        ("x", 1),
    ]


def test_logs_and_metrics_have_the_same_shape():
    log = ScopeLogs(log_records=[LogRecord(severity_text="INFO")]).SerializeToString()
    metric = ScopeMetrics(metrics=[Metric(name="fills")]).SerializeToString()

    logs = ExportLogsServiceRequest.FromString(
        export_request([Entry(StreamKey("logs", b"", b""), log, 1, 0)])
    )
    metrics = ExportMetricsServiceRequest.FromString(
        export_request([Entry(StreamKey("metrics", b"", b""), metric, 1, 0)])
    )

    assert logs == ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(
                resource=Resource(),
                scope_logs=[
                    ScopeLogs(scope=InstrumentationScope(), log_records=[LogRecord(severity_text="INFO")])
                ],
            )
        ]
    )
    assert metrics.resource_metrics[0].scope_metrics[0].metrics[0].name == "fills"


def test_no_entries_make_the_empty_request():
    assert export_request([]) == b""


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "bot", "x" * 200]), st.sampled_from(["", "s"]), st.text(max_size=200)),
        max_size=20,
    )
)
def test_every_record_arrives_under_its_own_resource_and_scope(rows: list[tuple[str, str, str]]):
    entries = [
        _span(
            StreamKey(
                "traces",
                _resource(resource).SerializeToString(),
                InstrumentationScope(name=scope).SerializeToString(),
            ),
            name,
        )
        for resource, scope, name in rows
    ]

    decoded = ExportTraceServiceRequest.FromString(export_request(entries))

    arrived = [
        (group.resource.attributes[0].value.string_value, scope.scope.name, span.name)
        for group in decoded.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]
    assert sorted(arrived) == sorted(rows)


def test_varints_have_seven_bits_a_byte():
    assert [varint(number) for number in (0, 127, 128, 300, 1 << 35)] == [
        b"\x00",
        b"\x7f",
        b"\x80\x01",
        b"\xac\x02",
        b"\x80\x80\x80\x80\x80\x01",
    ]
