"""The demo's report: the venue's truth beside what telemetry tells of it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from tickspan.demo.report import (
    DemoReport,
    Operations,
    Stage,
    operations_of,
    quantile,
    stages_of,
)
from tickspan.received import ReceivedSpan, ReceivedStatus, Value

_WELL = DemoReport(
    orders=3,
    orders_filled=3,
    order_traces=3,
    triggering_ticks=3,
    orders_with_one_trace=3,
    executions=6,
    executions_in_their_orders_trace=6,
    spans=40,
    ended=40,
    delivered=40,
    dropped=0,
    operations=(Operations("GET", 3, 0.001, 0.002, 0),),
    stages={"tick→fill": Stage(3, 0.01, 0.02)},
    secrets_found=0,
)


def _span(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    trace_id: str = "a",
    duration_ns: int = 1_000_000_000,
    code: StatusCode = StatusCode.UNSET,
) -> ReceivedSpan:
    return ReceivedSpan(
        name=name,
        kind=SpanKind.INTERNAL,
        trace_id=trace_id,
        span_id="1",
        parent_span_id=None,
        start_ns=5,
        end_ns=5 + duration_ns,
        attributes=attributes or {},
        events=(),
        links=(),
        status=ReceivedStatus(code),
        scope="test",
        resource={},
    )


@pytest.mark.parametrize(
    ("values", "p50", "p99"),
    [
        ([7.0], 7.0, 7.0),
        ([2.0, 1.0], 1.0, 2.0),
        ([4.0, 3.0, 2.0, 1.0], 2.0, 4.0),
        ([float(n) for n in range(1, 101)], 50.0, 99.0),
        ([float(n) for n in range(1, 1001)], 500.0, 990.0),
    ],
)
def test_a_quantile_is_the_value_at_the_nearest_rank(values: list[float], p50: float, p99: float):
    assert (quantile(values, 0.5), quantile(values, 0.99)) == (p50, p99)


def test_operations_are_counted_by_name_the_most_frequent_first():
    spans = [
        _span("SET", duration_ns=3_000_000_000),
        _span("GET", duration_ns=1_000_000_000),
        _span("GET", duration_ns=2_000_000_000, code=StatusCode.ERROR),
        _span("COMMIT"),
    ]
    assert operations_of(spans) == [
        Operations("GET", 2, 1.0, 2.0, 1),
        Operations("COMMIT", 1, 1.0, 1.0, 0),
        Operations("SET", 1, 3.0, 3.0, 0),
    ]


def test_stages_come_from_lifecycle_spans_and_one_that_no_order_has_is_left_out():
    lifecycle = "trading.order.lifecycle"
    spans = [
        _span(lifecycle, {"trading.latency.wire_to_ack": 0.5}),
        _span(lifecycle, {"trading.latency.wire_to_ack": 0.25}),
        _span("other", {"trading.latency.tick_to_decision": 9.0}),
    ]
    assert stages_of(spans) == {"wire→ack": Stage(2, 0.25, 0.5)}


def test_a_good_report_has_no_shortfall():
    assert _WELL.shortfalls() == []


@pytest.mark.parametrize(
    ("report", "shortfall"),
    [
        (replace(_WELL, dropped=1), "records were dropped"),
        (replace(_WELL, dropped=-40), "records were dropped"),
        (replace(_WELL, orders_with_one_trace=2), "an order is not in exactly one trace"),
        (
            replace(_WELL, executions_in_their_orders_trace=5),
            "an execution is outside its order's trace",
        ),
        (replace(_WELL, order_traces=1), "order traces and triggering ticks differ"),
        (replace(_WELL, secrets_found=1), "a secret left the process"),
        (replace(_WELL, orders=0, orders_with_one_trace=0), "no order was placed"),
    ],
)
def test_each_broken_promise_is_a_shortfall(report: DemoReport, shortfall: str):
    assert report.shortfalls() == [shortfall]


def test_the_report_is_plain_data():
    data = _WELL.to_json()
    assert (data["operations"], data["stages"]) == (
        ({"name": "GET", "count": 3, "p50_s": 0.001, "p99_s": 0.002, "errors": 0},),
        {"tick→fill": {"count": 3, "p50_s": 0.01, "p99_s": 0.02}},
    )
