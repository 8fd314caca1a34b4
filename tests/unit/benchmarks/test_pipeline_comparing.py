"""What the pipeline's sink finds out about bodies that came, from bytes."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from benchmarks.pipeline import payload
from benchmarks.pipeline.comparing import Comparing, datadog_form


def value_of(value: object) -> AnyValue:
    fields: dict[type, str] = {
        str: "string_value",
        bool: "bool_value",
        int: "int_value",
        float: "double_value",
    }
    held: Any = {fields[type(value)]: value}
    return AnyValue(**held)


def pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=value_of(value)) for name, value in attributes.items()]


def spans(*numbers: int, name: str = payload.SPAN, end_ns: int = 8, **changed: object) -> bytes:
    request = ExportTraceServiceRequest()
    scoped = request.resource_spans.add().scope_spans.add()
    scoped.scope.name = payload.SCOPE
    for number in numbers:
        attributes = {
            **payload.span_attributes(number),
            **{f"order.{key}": new for key, new in changed.items()},
        }
        scoped.spans.add(
            name=name,
            trace_id=b"t" * 16,
            span_id=b"s" * 8,
            start_time_unix_nano=7,
            end_time_unix_nano=end_ns,
            attributes=pairs(attributes),
        )
    return request.SerializeToString()


def findings(kind: str, *bodies: bytes, signal: str = "spans", count: int = 2) -> dict[str, Any]:
    comparing = Comparing()
    for body in bodies:
        comparing.take(kind, body)
    return comparing.findings(signal, count)


def test_spans_that_came_whole_are_counted_once_each():
    assert findings("traces", spans(0, 1), spans(1)) == {
        "count": 2,
        "twice": 1,
        "wrong": 0,
        "fault": None,
        "absent": [],
    }


def test_numbers_that_did_not_come_are_named():
    assert findings("traces", spans(1), count=6)["absent"] == [0, 2, 3]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (spans(1, venue="okx"), "order.venue='okx', not 'kraken'"),
        (spans(1, price=50_000), "order.price=50000, not 50000.75"),
        (spans(1, is_maker=0), "order.is_maker=0, not False"),
        (spans(1, more="x"), "6 attributes, not 5"),
        (spans(1, sequence="1"), "order.sequence='1' in 'order.submit'"),
        (spans(1, name="other"), "name 'other'"),
        (spans(1, end_ns=6), "times 7 and 6"),
    ],
)
def test_a_span_that_was_changed_on_its_way_is_no_delivery(body: bytes, fault: str):
    found = findings("traces", body)
    assert (found["count"], found["wrong"], found["fault"]) == (0, 1, fault)


def test_spans_of_other_scopes_are_nobodys():
    request = ExportTraceServiceRequest.FromString(spans(1))
    request.resource_spans[0].scope_spans[0].scope.name = "the SDK's own"
    assert findings("traces", request.SerializeToString())["wrong"] == 0


def log_body(number: int, text: str) -> bytes:
    request = ExportLogsServiceRequest()
    record = (
        request.resource_logs.add()
        .scope_logs.add()
        .log_records.add(
            time_unix_nano=7, severity_text="INFO", attributes=pairs(payload.log_attributes(number))
        )
    )
    record.body.string_value = text
    return request.SerializeToString()


def test_a_log_record_is_held_against_its_text_and_attributes():
    good, bad = log_body(1, payload.log_body(1)), log_body(2, "order 2")
    found = findings("logs", good, bad, signal="logs")
    assert (found["count"], found["wrong"], found["fault"]) == (1, 1, "body 'order 2'")


def test_a_counter_is_known_by_the_latest_value_of_each_series():
    def body(value: int) -> bytes:
        request = ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=payload.COUNTER)
        metric.sum.data_points.add(as_int=value, attributes=pairs(dict(payload.SERIES[0])))
        return request.SerializeToString()

    found = findings("metrics", body(3), body(5), signal="metrics")
    assert found == {"count": 5, "series": {payload.series_key(payload.SERIES[0]): 5}, "many": 0}


def test_datadogs_protocol_has_neither_integers_nor_truth():
    assert datadog_form(payload.span_attributes(1)) == {
        "order.venue": "kraken",
        "order.price": 50_000.75,
        "order.sequence": 1.0,
        "order.is_maker": "False",
        "order.symbol": "ETH/USDT",
    }


def test_additions_in_turn_fill_the_first_series_first():
    totals = list(payload.series_totals(18).values())
    assert totals == [2, 2, *[1] * 14]
