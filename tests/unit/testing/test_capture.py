"""A capture makes telemetry a value: counted ids, a clock that ticks, whole spans to compare."""

from __future__ import annotations

import pytest
from opentelemetry import metrics, trace
from opentelemetry._logs import LogRecord
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Link, SpanKind, StatusCode

from tickspan.recording import is_strict, strict
from tickspan.testing import Capture, CountedIds, FakeClock, Point, RecordedEvent, RecordedSpan, capture
from tickspan.testing.capture import EPOCH_NS


def test_spans_come_as_values_in_the_order_of_their_start(telemetry: Capture) -> None:
    tracer = telemetry.tracer_provider.get_tracer("scope")
    with tracer.start_as_current_span("order", kind=SpanKind.PRODUCER, attributes={"side": "buy"}) as order:
        link = Link(order.get_span_context())
        with tracer.start_as_current_span("fill", links=[link]) as fill:
            fill.add_event("partial", {"quantity": 1})
            fill.set_status(StatusCode.ERROR, "late")
    assert telemetry.spans() == [
        RecordedSpan("order", "producer", 1, 1, None, {"side": "buy"}),
        RecordedSpan(
            "fill",
            "internal",
            1,
            2,
            1,
            {},
            status="error",
            description="late",
            events=(RecordedEvent("partial", {"quantity": 1}),),
            links=((1, 1),),
        ),
    ]
    assert [(s.start_ns - EPOCH_NS, s.end_ns - EPOCH_NS, s.scope) for s in telemetry.spans()] == [
        (0, 4_000_000, "scope"),
        (1_000_000, 3_000_000, "scope"),
    ]


def test_each_root_is_a_trace_of_its_own(telemetry: Capture) -> None:
    tracer = telemetry.tracer_provider.get_tracer("scope")
    tracer.start_span("first").end()
    tracer.start_span("second").end()
    assert [(span.name, span.trace_id) for span in telemetry.spans()] == [("first", 1), ("second", 2)]


def test_a_tree_is_an_outline(telemetry: Capture) -> None:
    tracer = telemetry.tracer_provider.get_tracer("scope")
    with tracer.start_as_current_span("tick"):
        with tracer.start_as_current_span("order"):
            tracer.start_span("fill").end()
        tracer.start_span("log").end()
    tracer.start_span("other").end()
    assert telemetry.tree() == "tick\n  order\n    fill\n  log\nother"
    assert repr(telemetry) == "<Capture 5 spans>"


def test_metrics_come_as_points(telemetry: Capture) -> None:
    meter = telemetry.meter_provider.get_meter("scope")
    empty = telemetry.points("orders")
    meter.create_counter("orders").add(2, {"side": "buy"})
    meter.create_histogram("latency").record(0.5)
    meter.create_histogram("latency").record(1.0)
    assert (empty, telemetry.points("orders"), telemetry.points("latency")) == (
        [],
        [Point({"side": "buy"}, 2)],
        [Point({}, 1.5, count=2)],
    )


def test_logs_are_kept_in_their_order(telemetry: Capture) -> None:
    logger = telemetry.logger_provider.get_logger("scope")
    logger.emit(LogRecord(body="first"))
    logger.emit(LogRecord(body="second"))
    assert [log.log_record.body for log in telemetry.logs()] == ["first", "second"]


def test_what_is_cleared_is_forgotten(telemetry: Capture) -> None:
    telemetry.tracer_provider.get_tracer("scope").start_span("name").end()
    telemetry.logger_provider.get_logger("scope").emit(LogRecord(body="word"))
    telemetry.clear()
    assert (telemetry.spans(), telemetry.logs()) == ([], [])


def test_nothing_becomes_global(telemetry: Capture) -> None:
    assert trace.get_tracer_provider() is not telemetry.tracer_provider
    assert metrics.get_meter_provider() is not telemetry.meter_provider


@pytest.mark.parametrize("wanted", [True, False])
def test_faults_are_raised_meanwhile_or_not(wanted: bool) -> None:
    with strict(not wanted):
        with capture(is_strict=wanted):
            assert is_strict() is wanted
        assert is_strict() is not wanted


def test_a_sampler_decides() -> None:
    with capture(sampler=ALWAYS_OFF) as captured:
        captured.tracer_provider.get_tracer("scope").start_span("name").end()
        assert captured.spans() == []


def test_ids_count_from_one() -> None:
    ids = CountedIds()
    assert [ids.generate_span_id(), ids.generate_span_id(), ids.generate_trace_id()] == [1, 2, 1]


def test_a_fake_clock_goes_on_at_each_look_and_can_be_set() -> None:
    clock = FakeClock(5, 2)
    looks = [clock(), clock()]
    clock.now_ns = 100
    assert [*looks, clock()] == [5, 7, 100]
