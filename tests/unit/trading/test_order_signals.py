"""What a desk looks for first: retries that may double an order, orders that do, waits inside the client."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from order_stage import OrderStage, answer, beside_place, eventually, fill, replace_of, report, submit

from tickspan.trading import (
    ClientIdUnique,
    OrderCall,
    OrderOperation,
    OrderRequest,
    OrderStatus,
    Point,
    Reject,
    RejectOrigin,
    Segment,
)

ROUTE = "POST /order"
ALWAYS = ClientIdUnique.ALWAYS


def twice(call: OrderCall) -> OrderCall:
    """The request is handed to the transport twice."""
    call.attempt(ROUTE)
    call.attempt(ROUTE)
    return call


@pytest.mark.parametrize("unique", [None, ClientIdUnique.NEVER, ClientIdUnique.WHILE_OPEN])
def test_a_second_attempt_is_unsafe_unless_the_venue_refuses_the_id_for_ever(
    stage: OrderStage, unique: ClientIdUnique | None
) -> None:
    twice(stage.orders().begin(submit(client_id_unique=unique))).acknowledge([answer()])
    (event,) = stage.telemetry.events("trading.order.unsafe_retry")
    (span,) = stage.telemetry.spans()
    assert (event.severity, event.span_id) == ("ERROR", span.span_id)
    assert event.attributes["trading.order.attempt"] == 2
    assert span.attributes["trading.order.attempt"] == 2
    assert span.attributes["trading.order.retry.safe"] is False
    assert stage.points("order.retries") == {(("order.operation", "submit"), ("order.retry.safe", False)): 1}


def test_an_unsafe_retry_is_told_at_once(stage: OrderStage) -> None:
    twice(stage.orders().begin(submit()))
    assert stage.said() == [("order.new", "INFO"), ("order.unsafe_retry", "ERROR")]


def test_a_second_attempt_under_an_id_that_is_refused_for_ever_is_safe(stage: OrderStage) -> None:
    twice(stage.orders().begin(submit(client_id_unique=ALWAYS))).acknowledge([answer()])
    assert stage.said() == [("order.new", "INFO"), ("order.ack", "INFO")]
    assert stage.telemetry.spans()[0].attributes["trading.order.retry.safe"] is True
    assert stage.points("order.retries") == {(("order.operation", "submit"), ("order.retry.safe", True)): 1}


def test_without_a_client_id_no_retry_is_safe(stage: OrderStage) -> None:
    twice(stage.orders().begin(submit(None, client_id_unique=ALWAYS)))
    assert stage.said()[-1] == ("order.unsafe_retry", "ERROR")


def test_an_id_that_becomes_known_on_the_way_makes_a_retry_safe(stage: OrderStage) -> None:
    call = stage.orders().begin(submit(None, client_id_unique=ALWAYS))
    call.attempt(ROUTE)
    call.enrich(client_id="c-9")
    call.attempt(ROUTE)
    assert stage.said() == [("order.new", "INFO")]


def test_attempts_with_an_id_each_are_not_safe(stage: OrderStage) -> None:
    call = stage.orders().begin(submit(None, client_id_unique=ALWAYS))
    for client_id in ("c-1", "c-2"):
        call.attempt(ROUTE)
        call.enrich(client_id=client_id)
    assert stage.said()[-1] == ("order.unsafe_retry", "ERROR")


def test_another_route_is_no_retry(stage: OrderStage) -> None:
    call = stage.orders().begin(submit())
    call.attempt("POST /order")
    call.attempt("POST /leverage")
    assert (stage.said(), stage.total("order.retries")) == ([("order.new", "INFO")], 0)


def test_a_cancel_may_be_sent_again_and_a_question_asked_again(stage: OrderStage) -> None:
    orders = stage.orders()
    for operation in (OrderOperation.CANCEL, OrderOperation.QUERY):
        twice(orders.begin(OrderRequest(operation, "sim", "test", venue_id="v-1"))).acknowledge()
    assert stage.said() == []
    assert stage.points("order.retries") == {(("order.operation", "cancel"), ("order.retry.safe", True)): 1}


def test_a_batch_is_as_safe_as_its_least_safe_order(stage: OrderStage) -> None:
    singles = (submit("a"), submit(None))
    batch = OrderRequest(OrderOperation.SUBMIT, "sim", "test", batch=singles, client_id_unique=ALWAYS)
    twice(stage.orders().begin(batch))
    assert stage.said()[-1] == ("order.unsafe_retry", "ERROR")


def test_two_venue_ids_for_one_call_are_two_orders_in_one_trace(stage: OrderStage) -> None:
    orders = stage.orders()
    call = stage.placed(orders, "c-1", "v-1")
    orders.observe(report(OrderStatus.FILLED, "v-1", client_id="c-1", executions=(fill("x-1"),)))
    orders.observe(report(OrderStatus.FILLED, "v-2", client_id="c-1", executions=(fill("x-1"),)))
    orders.close()
    (event,) = stage.telemetry.events("trading.order.duplicate_suspected")
    lives = [span for span in stage.telemetry.spans() if span.name == "trading.order.lifecycle"]
    assert (event.severity, event.attributes["trading.order.duplicate.venue_id"]) == ("WARN", "v-1")
    assert event.attributes["trading.order.venue_id"] == "v-2"
    assert [life.attributes["trading.order.venue_id"] for life in lives] == ["v-1", "v-2"]
    assert {life.parent_id for life in lives} == {call.span.get_span_context().span_id}
    assert (stage.total("order.duplicates_suspected"), stage.total("order.fills")) == (1, 2)


def test_an_answer_with_two_orders_for_one_call_is_suspicious(stage: OrderStage) -> None:
    both = [answer(OrderStatus.NEW, f"v-{number}", client_id="c-1") for number in (1, 2)]
    stage.orders().begin(submit()).acknowledge(both)
    assert stage.said()[-1] == ("order.duplicate_suspected", "WARN")
    assert stage.points("order.open") == {(): 2}


def test_a_batch_has_a_venue_id_for_each_order_and_is_not_suspicious(stage: OrderStage) -> None:
    batch = OrderRequest(OrderOperation.SUBMIT, "sim", "test", batch=(submit(None), submit(None)))
    stage.orders().begin(batch).acknowledge([answer(OrderStatus.NEW, "v-1"), answer(OrderStatus.NEW, "v-2")])
    assert stage.total("order.duplicates_suspected") == 0


def test_a_replaced_order_may_go_on_under_another_venue_id(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.begin(replace_of("v-1", "c-2")).acknowledge([answer(OrderStatus.NEW, "v-2", client_id="c-2")])
    orders.observe(report(OrderStatus.CANCELED, "v-3", client_id="c-1"))
    orders.observe(report(OrderStatus.FILLED, "v-4", client_id="c-2"))
    assert stage.total("order.duplicates_suspected") == 0


def like(client_id: str, **other: Any) -> OrderRequest:
    terms: dict[str, Any] = {
        "instrument": "A/B",
        "side": "buy",
        "type": "limit",
        "quantity": Decimal(1),
        "price": Decimal(5),
    }
    return submit(client_id, **{**terms, **other})


def test_an_equal_order_while_one_is_unknown_is_suspicious(stage: OrderStage) -> None:
    orders = stage.orders()
    orders.begin(like("c-1")).fail("TimeoutError")
    orders.begin(like("c-2"))
    (event,) = stage.telemetry.events("trading.order.duplicate_suspected")
    assert beside_place(event.attributes) == {
        "instrument.symbol": "A/B",
        "order.operation": "submit",
        "order.side": "buy",
        "order.type": "limit",
        "order.client_id": "c-2",
        "order.root_client_id": "c-2",
        "order.duplicate.client_id": "c-1",
        "event.sequence": event.attributes["trading.event.sequence"],
    }


@pytest.mark.parametrize(
    "other",
    [
        {"side": "sell"},
        {"price": Decimal(6)},
        {"quantity": Decimal(2)},
        {"type": "market"},
        {"instrument": "C/D"},
        {"account": "another"},
        {"venue": "other"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_an_order_that_differs_is_not_suspicious(stage: OrderStage, other: dict[str, Any]) -> None:
    orders = stage.orders()
    orders.begin(like("c-1")).fail("TimeoutError")
    orders.begin(like("c-2", **other))
    assert stage.total("order.duplicates_suspected") == 0


def test_equal_orders_are_market_making_once_the_lost_one_is_found(stage: OrderStage) -> None:
    orders = stage.orders()
    orders.begin(like("c-1")).fail("TimeoutError")
    orders.observe(report(OrderStatus.NEW, client_id="c-1"))
    orders.begin(like("c-2"))
    orders.begin(like("c-3"))
    assert stage.total("order.duplicates_suspected") == 0


def test_waits_inside_a_call_are_measured_and_stand_on_its_span(stage: OrderStage) -> None:
    call = stage.orders().begin(submit())
    call.waited(Segment.THROTTLE_WAIT, 0.1)
    call.waited(Segment.THROTTLE_WAIT, 0.1)
    call.waited(Segment.SIGN, 0.5)
    call.acknowledge([answer()])
    (span,) = stage.telemetry.spans()
    assert span.attributes["trading.latency.throttle_wait"] == pytest.approx(0.2)
    assert span.attributes["trading.latency.signing"] == 0.5
    counts = {
        point.attributes["trading.segment"]: (point.count, pytest.approx(point.value))
        for point in stage.telemetry.points("trading.order.segment.duration")
    }
    assert counts == {"throttle_wait": (2, 0.2), "sign": (1, 0.5)}
    assert stage.said() == [("order.new", "INFO"), ("order.ack", "INFO")]


def test_a_long_wait_is_told_once_with_what_it_was_made_of(stage: OrderStage) -> None:
    call = stage.orders().begin(submit())
    call.waited(Segment.QUEUE_WAIT, 0.1)
    call.waited(Segment.THROTTLE_WAIT, 0.15)
    call.waited(Segment.THROTTLE_WAIT, 5.0)
    (event,) = stage.telemetry.events("trading.order.throttled")
    assert (event.severity, event.body) == ("WARN", "An order waited 0.250 s in its client")
    assert event.attributes["trading.segment"] == "throttle_wait"
    assert event.attributes["trading.latency.throttle_wait"] == 0.15
    assert event.attributes["trading.latency.queue_wait"] == 0.1


def test_a_wait_that_becomes_known_after_the_call_is_told_too(stage: OrderStage) -> None:
    call = stage.placed(stage.orders())
    call.waited(Segment.QUEUE_WAIT, 1.0)
    assert stage.said()[-1] == ("order.throttled", "WARN")
    assert "trading.latency.queue_wait" not in stage.telemetry.spans()[0].attributes


def test_how_long_is_long_is_a_setting(stage: OrderStage) -> None:
    stage.orders(throttle_warn_s=2).begin(submit()).waited(Segment.QUEUE_WAIT, 1.9)
    assert stage.said() == [("order.new", "INFO")]


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "1", None])
def test_what_is_no_duration_is_left_out(stage: OrderStage, seconds: Any) -> None:
    stage.orders().begin(submit()).waited(Segment.QUEUE_WAIT, seconds)
    assert stage.telemetry.points("trading.order.segment.duration") == []


@pytest.mark.parametrize("origin", list(RejectOrigin))
def test_a_refusal_is_counted_by_its_origin_reason_and_code(stage: OrderStage, origin: RejectOrigin) -> None:
    stage.orders().begin(submit()).fail("sim:9", Reject("sim:9", origin=origin, code="9"))
    assert stage.points("order.rejects") == {
        (
            ("order.operation", "submit"),
            ("order.reject.code", "9"),
            ("order.reject.origin", origin.value),
            ("order.reject.reason", "other"),
        ): 1
    }


def test_a_refusal_that_is_answered_and_pushed_is_one(stage: OrderStage) -> None:
    orders = stage.orders()
    call = orders.begin(submit())
    orders.observe(report(OrderStatus.REJECTED, client_id="c-1", reject=Reject("sim:9")))
    call.fail("sim:9", Reject("sim:9"))
    assert stage.total("order.rejects") == 1


def test_each_refused_order_of_a_batch_counts(stage: OrderStage) -> None:
    orders = stage.orders()
    batch = OrderRequest(
        OrderOperation.SUBMIT, "sim", "test", batch=tuple(submit(name) for name in ("a", "b", "c"))
    )
    refused = Reject("sim:1", code="1")
    orders.begin(batch).acknowledge(
        [
            answer(OrderStatus.NEW, "v-a", client_id="a"),
            answer(OrderStatus.REJECTED, None, client_id="b", reject=refused),
            answer(OrderStatus.REJECTED, None, client_id="c", reject=refused),
        ]
    )
    assert stage.total("order.rejects") == 2


def test_a_refused_cancel_is_a_refusal_and_no_end_of_the_order(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.begin(OrderRequest(OrderOperation.CANCEL, "sim", "test", venue_id="v-1")).fail("x", Reject("x"))
    assert {dict(series)["order.operation"] for series in stage.points("order.rejects")} == {"cancel"}
    assert stage.points("order.open") == {(): 1}


def test_an_answer_is_measured_while_the_order_stands(stage: OrderStage) -> None:
    orders = stage.orders()
    call = orders.begin(submit())
    call.mark(Point.SENT)
    stage.pass_time(0.3)
    call.mark(Point.ANSWERED)
    call.acknowledge([answer(OrderStatus.NEW, "v-1")])
    assert eventually(lambda: stage.points("wire_to_ack"))
    orders.close()
    assert [(point.count, point.value) for point in stage.telemetry.points("trading.wire_to_ack")] == [
        (1, 0.3)
    ]


def test_an_answer_that_comes_after_the_call_is_measured_when_it_comes(stage: OrderStage) -> None:
    orders = stage.orders()
    call = orders.begin(submit())
    call.mark(Point.SENT)
    call.acknowledge()
    stage.pass_time(0.2)
    call.mark(Point.ANSWERED)
    assert eventually(lambda: stage.points("wire_to_ack"))
    orders.close()
    assert [(point.count, point.value) for point in stage.telemetry.points("trading.wire_to_ack")] == [
        (1, 0.2)
    ]
