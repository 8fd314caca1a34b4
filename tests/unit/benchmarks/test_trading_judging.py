"""What the trading benchmark makes of what arrived: orders, alarms, schedules, wire, from values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from benchmarks.trading import alarms, matching, orders, scheduling, stock, wire, wiring
from benchmarks.trading.frames import client_id_of, execution_id_of
from tickspan.received import ReceivedLog, ReceivedSpan, ReceivedStatus
from tickspan.testing.venue import Execution, Request, Truth, VenueOrder
from tickspan.testing.venue.orders import Side, Status

MINE, LIFE = "x-1", "trading.order.lifecycle"


def span(
    name: str, trace_id: str = "t1", kind: SpanKind = SpanKind.INTERNAL, **attributes: Any
) -> ReceivedSpan:
    dotted = {name.replace("__", "."): value for name, value in attributes.items()}
    return ReceivedSpan(name, kind, trace_id, "s", None, 1, 2, dotted, (), (), ReceivedStatus(), "", {})


def log(event: str, time_ns: int = 0, **attributes: Any) -> ReceivedLog:
    dotted = {name.replace("__", "."): value for name, value in attributes.items()}
    return ReceivedLog(None, 9, "INFO", event, time_ns, time_ns, dotted, None, None, "", {})


def life_of(number: int, trace_id: str = "t1") -> list[ReceivedSpan]:
    """An order as it should be told."""
    client_id: dict[str, Any] = {"trading__order__client_id": client_id_of(number)}
    fills = [
        span(
            f"trading.order.event {status}",
            trace_id,
            **client_id,
            trading__execution__id=str(execution_id_of(number, part)),
        )
        for part, status in ((1, "partially_filled"), (2, "filled"))
    ]
    return [
        span("trading.feed.message", trace_id),
        span("trading.strategy.decision", trace_id),
        span("trading.order.submit binance", trace_id, **client_id),
        *fills,
        span(LIFE, trace_id, **client_id, trading__order__status="filled", trading__order__executions=2),
    ]


def test_orders_that_are_told_whole_are_no_fault():
    assert orders.untold([*life_of(1), *life_of(2, "t2")], 2) == []


def test_an_order_without_a_trace_is_named():
    assert orders.untold(life_of(1), 2) == ["1 of 2 orders: bench-00000002 is in 0 traces"]


def test_an_order_in_two_traces_is_named():
    torn = [*life_of(1)[:-1], *(life_of(1, "t2")[-1:])]
    assert orders.untold(torn, 1) == ["1 of 1 orders: bench-00000001 is in 2 traces"]


def test_a_span_too_few_is_named():
    (fault,) = orders.untold(life_of(1)[1:], 1)
    assert fault.startswith("1 of 1 orders: bench-00000001 is told as {")


def test_a_fill_under_another_number_is_named():
    spans = life_of(1)
    spans[3] = span(spans[3].name, trading__order__client_id=client_id_of(1), trading__execution__id="9")
    assert orders.untold(spans, 1) == ["1 of 1 orders: bench-00000001 has the executions ['12', '9']"]


def test_a_life_that_ends_otherwise_is_named():
    spans = life_of(1)
    spans[-1] = span(
        LIFE,
        trading__order__client_id=client_id_of(1),
        trading__order__status="canceled",
        trading__order__executions=2,
    )
    assert orders.untold(spans, 1) == ["1 of 1 orders: bench-00000001 ended as ('canceled', 2)"]


def test_each_audit_event_must_come_once():
    told = [log(event, trading__order__client_id=client_id_of(1)) for event in orders.EVENTS]
    assert orders.unaudited(told, 1) == []
    assert orders.unaudited([*told[1:], told[1]], 1) == [
        "2 audit events: trading.order.new of bench-00000001 came 0 times"
    ]


def test_stock_spans_count_when_they_came_once_with_all_their_attributes():
    attributes: dict[str, Any] = {**stock.ATTRIBUTES}
    whole, twice, bare = (span(stock.SPAN, app__number=number, **attributes) for number in range(3))
    bare = replace(bare, attributes={stock.NUMBER: 2})
    assert stock.whole([whole, twice, twice, bare], 3) == 1


def stale(seconds: float, channel: str = "ticker") -> ReceivedLog:
    return log("trading.feed.stale", int(seconds * 1e9), trading__feed__channel=channel)


def trouble(since_s: float, until_s: float) -> dict[str, int]:
    return {"since_ns": int(since_s * 1e9), "until_ns": int(until_s * 1e9)}


def test_an_alarm_is_as_late_as_it_comes_after_its_threshold():
    kind = alarms.KINDS[0]
    troubles = [trouble(10, 13), trouble(20, 23)]
    logs = [stale(21.25), stale(11.5), stale(12.5)]
    assert alarms.delays_of(kind, troubles, logs) == [0.5, 0.25]


def test_an_alarm_of_another_stream_or_outside_its_time_is_none():
    kind = alarms.KINDS[0]
    assert alarms.delays_of(kind, [trouble(10, 13)], [stale(11.5, "connection"), stale(14)]) == [None]


def test_a_doubled_order_is_told_by_the_name_of_the_second():
    event = "trading.order.unsafe_retry"
    logs = [log(event, trading__order__client_id=name) for name in ("b", "b", "c")]
    assert alarms.told_of(event, ["b", "d"], logs) == 1


def test_where_the_venue_gives_the_names_each_event_counts():
    event = "trading.order.unsafe_retry"
    assert alarms.told_of(event, ["b", "d"], [log(event), log(event)]) == 2


def order(order_id: int = 7, client_id: str = MINE, filled: str = "0.5") -> VenueOrder:
    amount, nothing = Decimal(filled), Decimal(0)
    return VenueOrder(
        order_id,
        client_id,
        "BTCUSDT",
        Side.BUY,
        "LIMIT",
        "GTC",
        Decimal(1),
        nothing,
        Decimal(100),
        amount,
        amount * 100,
        Status.FILLED,
        0,
        0,
        "rest",
        None,
        Decimal(100),
        is_maker=False,
    )


def execution(execution_id: int, order_id: int = 7, client_id: str = MINE) -> Execution:
    price, nothing = Decimal(100), Decimal(0)
    return Execution(
        execution_id,
        order_id,
        client_id,
        "BTCUSDT",
        Side.BUY,
        Decimal("0.5"),
        price,
        nothing,
        "BTC",
        is_maker=False,
        time_ms=0,
    )


def submitted(client_id: str = MINE, trace_id: str = "t1") -> ReceivedSpan:
    return span("trading.order.submit binance", trace_id, trading__order__client_id=client_id)


def filled(execution_id: str, client_id: str = MINE, trace_id: str = "t1") -> ReceivedSpan:
    return span(
        "trading.order.event filled",
        trace_id,
        trading__order__client_id=client_id,
        trading__execution__id=execution_id,
    )


def ended(quantity: str, client_id: str = MINE, trace_id: str = "t1") -> ReceivedSpan:
    return span(LIFE, trace_id, trading__order__client_id=client_id, trading__order__filled_quantity=quantity)


TRUTH = Truth((order(),), (execution(1),), (), (), 0)
TOLD = [submitted(), filled("1"), ended("0.5")]


def test_a_schedule_that_is_told_as_it_was_has_no_shortfall():
    verdict = scheduling.judged(3, TRUTH, TOLD, 1, {"reject": 2})
    assert verdict == scheduling.Verdict(3, 1, 1, 1, 1, 0, 0, 1, 1, 0, {"reject": 2})
    assert verdict.shortfalls == []


@pytest.mark.parametrize(
    ("spans", "fills", "said"),
    [
        ([*TOLD, filled("1")], 2, ["2 executions are told, not 1", "2 fills are counted, not 1"]),
        (
            [submitted(), filled("1", "other", "t2"), ended("0.5")],
            1,
            ["0 executions are in their order's trace, not 1"],
        ),
        ([submitted(), filled("1"), ended("0.7")], 1, ["1 orders end with a wrong quantity, not 0"]),
        ([submitted(), filled("1")], 1, ["1 orders end with a wrong quantity, not 0"]),
        (
            [*TOLD, span("trading.order.event new", "t9", trading__order__matched=False)],
            1,
            ["1 reports are of no order, not 0"],
        ),
    ],
)
def test_what_a_schedule_tells_wrongly_is_said_in_words(
    spans: list[ReceivedSpan], fills: float, said: list[str]
):
    assert scheduling.judged(1, TRUTH, spans, fills, {}).shortfalls == said


def test_in_a_chain_of_replacements_that_adds_up_the_last_life_says_the_sum():
    truth = Truth((order(7, "a", "0.2"), order(8, "b", "0.3")), (), (), (), 0)
    spans = [submitted("a"), submitted("b"), ended("0.5", "b")]
    assert scheduling.judged(1, truth, spans, 0, {}, adds_up=True).totals_wrong == 0
    assert scheduling.judged(1, truth, spans, 0, {}, adds_up=False).totals_wrong == 2


def test_a_schedule_that_failed_and_one_that_fell_short_are_faults():
    short = scheduling.judged(2, TRUTH, [submitted(), filled("1"), ended("0.7")], 1, {})
    fields = {name: getattr(short, name) for name in short.__slots__}
    assert list(matching.faults_of({"ib": [{"seed": 1, "failed": "TimeoutError"}, fields]})) == [
        "matching, ib, seed 1: TimeoutError",
        "matching, ib, seed 2: 1 orders end with a wrong quantity, not 0",
    ]
    assert matching.changed(short) == 1


def test_calls_are_client_spans_of_order_operations():
    spans = [
        span("trading.order.submit binance", kind=SpanKind.CLIENT),
        span("trading.order.cancel binance", kind=SpanKind.CLIENT),
        span("trading.order.replace binance"),
        span("trading.order.event new", kind=SpanKind.CONSUMER),
        span("GET", kind=SpanKind.CLIENT),
    ]
    assert wire.calls_in(spans) == {"submit": 1, "cancel": 1}


def test_order_requests_are_told_apart_by_method_and_path():
    sent = [
        ("POST", "/api/v3/order"),
        ("GET", "/api/v3/time"),
        ("WS", "order.cancel"),
        ("DELETE", "/v2/orders/4711"),
        ("POST", "/v2/orders"),
    ]
    requests = [Request(method, path, "", (), "", 0) for method, path in sent]
    assert wiring.operations_of(requests) == {"submit": 2, "cancel": 2}


CLEAN: Mapping[str, Any] = {
    "requests": {"submit": 2},
    "spans": {"submit": 2},
    "propagated": 0,
    "leaked": 0,
    "logs": 1,
    "logged": 1,
}
UNWRAPPED = {"different": 0, "wrapped": 9}


def test_what_the_wire_should_be_is_no_fault():
    assert list(wire.faults_of({"ccxt": CLEAN}, UNWRAPPED)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"spans": {"submit": 3}}, "wire, ccxt: 3 client spans of 2 submit requests"),
        ({"propagated": 1}, "wire, ccxt: 1 headers of ours at the venue"),
        ({"leaked": 2}, "wire, ccxt: 2 secrets exported"),
        ({"logs": 0}, "wire, ccxt: 0 of 1 logged exceptions came"),
        ({"requests": {}, "spans": {}}, "wire, ccxt: the venue got no order"),
    ],
)
def test_what_the_wire_should_not_be_is_named(changed: Mapping[str, Any], said: str):
    assert list(wire.faults_of({"ccxt": {**CLEAN, **changed}}, UNWRAPPED)) == [said]


def test_classes_that_stay_changed_or_were_never_wrapped_are_faults():
    assert list(wire.faults_of({}, {"different": 1, "wrapped": 0})) == [
        "wire, ccxt's classes: 1 entries are other objects afterwards",
        "wire, ccxt's classes: nothing was wrapped",
    ]
