"""The agent's own messages, read back by the official protobuf classes."""

from collections.abc import Mapping

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span
from tickspan_spool.agent import messages
from tickspan_spool.agent.taken_apart import entries_of
from tickspan_spool.entries import Entry, StreamKey, export_request

_ATTRIBUTES = {"text": "ä", "yes": True, "no": False, "count": -3, "share": 0.5}
_AS_JSON = [
    {"key": "text", "value": {"stringValue": "ä"}},
    {"key": "yes", "value": {"boolValue": True}},
    {"key": "no", "value": {"boolValue": False}},
    {"key": "count", "value": {"intValue": "-3"}},
    {"key": "share", "value": {"doubleValue": 0.5}},
]


def _plain(message: Message) -> Mapping[str, object]:
    return MessageToDict(message)


def test_a_resource_holds_its_attributes():
    assert _plain(Resource.FromString(messages.resource(_ATTRIBUTES))) == {"attributes": _AS_JSON}


def test_a_scope_has_a_name_and_a_version():
    found = InstrumentationScope.FromString(messages.scope("tickspan.agent", "1.2"))
    assert found == InstrumentationScope(name="tickspan.agent", version="1.2")


def test_an_event_is_a_log_record_with_a_name():
    record = messages.log_record(
        event="tickspan.loss",
        body="3 spans were lost",
        severity=17,
        severity_text="ERROR",
        time_unix_ns=1_700_000_000_000_000_000,
        attributes={"count": 3},
    )
    (found,) = ScopeLogs.FromString(record).log_records
    expected = LogRecord(
        time_unix_nano=1_700_000_000_000_000_000,
        observed_time_unix_nano=1_700_000_000_000_000_000,
        severity_number=17,  # pyright: ignore[reportArgumentType] - an enumeration's number
        severity_text="ERROR",
        event_name="tickspan.loss",
    )
    expected.body.string_value = "3 spans were lost"
    expected.attributes.add(key="count").value.int_value = 3
    assert found == expected


def test_a_sum_is_cumulative_and_monotonic():
    instrument = messages.Instrument("tickspan.ledger.records", "{record}", is_sum=True)
    record = messages.metric(instrument, [messages.Point(7, {"reason": "torn"})], 5, 9)
    (found,) = ScopeMetrics.FromString(record).metrics
    assert _plain(found) == {
        "name": "tickspan.ledger.records",
        "unit": "{record}",
        "sum": {
            "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE",
            "isMonotonic": True,
            "dataPoints": [
                {
                    "attributes": [{"key": "reason", "value": {"stringValue": "torn"}}],
                    "startTimeUnixNano": "5",
                    "timeUnixNano": "9",
                    "asInt": "7",
                }
            ],
        },
    }


def test_a_gauge_may_hold_integers_and_reals():
    points = [messages.Point(-1, {}), messages.Point(0.25, {})]
    record = messages.metric(messages.Instrument("tickspan.spool.size", "By"), points, 5, 9)
    expected = Metric(name="tickspan.spool.size", unit="By")
    expected.gauge.data_points.add(start_time_unix_nano=5, time_unix_nano=9, as_int=-1)
    expected.gauge.data_points.add(start_time_unix_nano=5, time_unix_nano=9, as_double=0.25)
    assert list(ScopeMetrics.FromString(record).metrics) == [expected]


def test_an_abandoned_span_gets_an_end_and_an_attribute_and_keeps_the_rest():
    span = Span(name="order " * 60, trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=3)
    span.attributes.add(key="venue").value.string_value = "binance"
    record = messages.ended_span(
        ScopeSpans(spans=[span]).SerializeToString(), 8, {"tickspan.abandoned": True}
    )
    span.end_time_unix_nano = 8
    span.attributes.add(key="tickspan.abandoned").value.bool_value = True
    assert list(ScopeSpans.FromString(record).spans) == [span]


@pytest.mark.parametrize(
    "record", [b"", b"\x12", b"\x12\x05abc", b"\x0a\x01a", b"\x12\x01aa", b"\x12" + b"\xff" * 20]
)
def test_what_is_not_one_span_is_refused(record: bytes):
    with pytest.raises(ValueError, match="expected"):
        messages.ended_span(record, 8, {})


def test_a_request_is_taken_apart_into_the_records_that_made_it():
    traces = StreamKey("traces", messages.resource({"service.name": "bot"}), b"", "r", "s")
    body = ScopeSpans(spans=[Span(name="buy")]).SerializeToString()
    made = [Entry(traces, body, 1, 0), Entry(traces, body, 1, 1)]
    assert entries_of("traces", export_request(made)) == made


def test_a_metric_counts_its_points():
    key = StreamKey("metrics", b"", messages.scope("a", "1"))
    points = [messages.Point(1, {}), messages.Point(2, {})]
    gauge = messages.metric(messages.Instrument("a", "By"), points, 1, 2)
    total = messages.metric(messages.Instrument("b", "By", is_sum=True), points[:1], 1, 2)
    made = [Entry(key, gauge, 2, 0), Entry(key, total, 1, 2)]
    assert entries_of("metrics", export_request(made)) == made
