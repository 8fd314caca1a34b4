"""An order that sleeps is the order that fell asleep; many of them hold little memory."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from order_stage import OrderStage, fill, report, submit

from tickspan.trading import OrderStatus, Point, Reject, RejectOrigin, RejectReason, Trigger, index
from tickspan.trading.lifecycle import Order
from tickspan.trading.packing import Record, context_of, packed, unpacked

IDS = st.text(max_size=40)
TIMES = st.none() | st.integers(0, 2**62)
SIZES = st.none() | st.decimals(allow_nan=False, allow_infinity=False)
REJECTS = st.none() | st.builds(
    Reject,
    IDS,
    st.sampled_from(RejectReason),
    st.sampled_from(RejectOrigin),
    st.none() | IDS,
    st.none() | IDS,
)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    client_ids = tuple(draw(st.lists(IDS, max_size=3, unique=True)))
    return Order._make(
        (
            draw(st.sampled_from(OrderStatus)),
            draw(st.none() | IDS),
            client_ids,
            draw(st.none() | IDS | st.sampled_from(client_ids or ("c",))),
            draw(st.none() | IDS),
            draw(st.integers(0, 9)),
            *(draw(SIZES) for _ in range(4)),
            *(draw(SIZES) or Decimal(0) for _ in range(2)),
            draw(st.frozensets(IDS, max_size=4)),
            draw(SIZES),
            draw(REJECTS),
            *(draw(TIMES) for _ in range(3)),
            draw(st.booleans()),
            draw(st.booleans()),
            tuple(draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4))),
        )
    )


@st.composite
def span_contexts(draw: st.DrawFn) -> SpanContext:
    return SpanContext(
        draw(st.integers(1, 2**128 - 1)),
        draw(st.integers(1, 2**64 - 1)),
        is_remote=False,
        trace_flags=TraceFlags(draw(st.integers(0, 3))),
        trace_state=TraceState([("vendor", "1")]) if draw(st.booleans()) else None,
    )


@st.composite
def records(draw: st.DrawFn) -> Record:
    context = draw(span_contexts())
    points = draw(st.dictionaries(st.sampled_from(Point), st.integers(0, 2**62)))
    record = Record(
        draw(orders()),
        NonRecordingSpan(context),
        context_of(context),
        draw(st.sampled_from(Trigger)),
        draw(st.integers(0, 2**62)),
        draw(st.integers(0, 2**62)),
        points,
    )
    record.last_event = NonRecordingSpan(draw(span_contexts())) if draw(st.booleans()) else None
    return record


def state_of(record: Record) -> tuple[object, ...]:
    last = record.last_event.get_span_context() if record.last_event is not None else None
    return (
        record.order,
        record.submit.get_span_context(),
        record.trigger,
        record.called_ns,
        record.called_wall_ns,
        record.points,
        None if last is None else (last.trace_id, last.span_id, last.trace_flags),
    )


@given(records())
def test_what_was_packed_comes_out_again(record: Record) -> None:
    woken = unpacked(packed(record, is_told=False), record.order.venue_id, record.order.client_ids)
    assert state_of(woken) == state_of(record)


@given(records())
def test_of_a_life_that_is_told_only_its_moments_are_gone(record: Record) -> None:
    woken = unpacked(packed(record, is_told=True), record.order.venue_id, record.order.client_ids)
    forgotten = {"first_fill_ns": None, "last_fill_ns": None, "last_report_ns": None}
    assert woken.order == record.order._replace(**forgotten)
    assert woken.points == {}


def test_an_order_that_fell_asleep_goes_on_where_it_was(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders, "first", "first", quantity=Decimal(2))
    orders.observe(report(OrderStatus.PARTIALLY_FILLED, "first", executions=(fill("x-1"),)))
    for number in range(index.MAX_AWAKE + 1):
        stage.placed(orders, f"c-{number}", f"v-{number}")
    orders.observe(report(None, "first", executions=(fill("x-1"),)))
    orders.observe(report(OrderStatus.FILLED, None, client_id="first", executions=(fill("x-2"),)))
    orders.close()
    (life, *_) = [
        span.attributes
        for span in stage.telemetry.spans()
        if span.name == "trading.order.lifecycle" and span.attributes["trading.order.venue_id"] == "first"
    ]
    assert (life["trading.order.executions"], life["trading.order.filled_ratio"]) == (2, 1.0)
    assert stage.total("order.fills") == 2


def test_few_orders_are_awake_at_once(stage: OrderStage) -> None:
    orders = stage.orders()
    for number in range(3 * index.MAX_AWAKE):
        stage.placed(orders, f"c-{number}", f"v-{number}")
    awake = [entry for entry in orders._index if isinstance(entry.state, Record)]
    assert len(awake) == index.MAX_AWAKE


def test_an_order_whose_call_is_under_way_stays_awake(stage: OrderStage) -> None:
    orders = stage.orders()
    calls = [orders.begin(submit(f"open-{number}")) for number in range(3)]
    for number in range(2 * index.MAX_AWAKE):
        stage.placed(orders, f"c-{number}", f"v-{number}")
    assert all(isinstance(call.entries[0].state, Record) for call in calls)


def test_ended_orders_sleep_once_their_lives_are_written(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.observe(report(OrderStatus.CANCELED))
    orders.close()
    assert [type(entry.state) for entry in orders._index] == [bytes]
