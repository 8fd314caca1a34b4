"""The audit stream: what is written of an order, when, in which trace, and how serious it is."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Any

import pytest
from order_stage import OrderStage, answer, beside_place, eventually, fill, replace_of, report, submit

from tickspan.config import Quantities
from tickspan.trading import OrderOperation, OrderRequest, OrderStatus, Point, Reject, RejectReason, audit

SEQUENCE = "trading.event.sequence"


@pytest.fixture(autouse=True)
def _from_one() -> None:
    audit.count_anew()


def attributes(stage: OrderStage, event: str) -> list[dict[str, Any]]:
    return [beside_place(found.attributes) for found in stage.telemetry.events(f"trading.{event}")]


def test_a_new_order_is_written_down_before_its_call_goes_on(stage: OrderStage) -> None:
    call = stage.orders().begin(
        submit(instrument="A/B", side="buy", type="limit", quantity=Decimal(3), price=Decimal(7))
    )
    (event,) = stage.telemetry.events()
    context = call.span.get_span_context()
    assert (event.name, event.severity) == ("trading.order.new", "INFO")
    assert (event.trace_id, event.span_id) == (context.trace_id, context.span_id)
    assert beside_place(event.attributes) == {
        "instrument.symbol": "A/B",
        "order.operation": "submit",
        "order.side": "buy",
        "order.type": "limit",
        "order.client_id": "c-1",
        "order.root_client_id": "c-1",
        "event.sequence": 1,
    }


def test_an_orders_events_are_numbered_and_all_in_the_trace_of_its_call(stage: OrderStage) -> None:
    orders = stage.orders()
    call = stage.placed(orders)
    orders.observe(report(OrderStatus.PARTIALLY_FILLED, executions=(fill("x-1"),), quantity=Decimal(2)))
    orders.observe(report(OrderStatus.FILLED, executions=(fill("x-2"),)))
    events = stage.telemetry.events()
    assert stage.said() == [
        ("order.new", "INFO"),
        ("order.ack", "INFO"),
        ("order.partial_fill", "INFO"),
        ("order.fill", "INFO"),
    ]
    assert [event.attributes[SEQUENCE] for event in events] == [1, 2, 3, 4]
    assert {event.span_id for event in events} == {call.span.get_span_context().span_id}


def test_a_fill_says_which_one_it_is_and_how_much_of_the_order_is_filled(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders, quantity=Decimal(4))
    orders.observe(
        report(OrderStatus.PARTIALLY_FILLED, executions=(fill("x-1", liquidity="maker"),), venue_time_ns=5)
    )
    assert attributes(stage, "order.partial_fill") == [
        {
            "order.operation": "submit",
            "order.client_id": "c-1",
            "order.root_client_id": "c-1",
            "order.venue_id": "v-1",
            "order.status": "partially_filled",
            "order.event.source": "user_stream",
            "order.filled_ratio": 0.25,
            "venue.time_unix_nano": 5,
            "execution.id": "x-1",
            "execution.liquidity": "maker",
            "event.sequence": 3,
        }
    ]


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (OrderStatus.CANCELED, ("order.cancel", "INFO")),
        (OrderStatus.EXPIRED, ("order.expire", "INFO")),
        (OrderStatus.REJECTED, ("order.reject", "WARN")),
    ],
)
def test_an_end_is_told_once_whatever_is_reported_again(
    stage: OrderStage, status: OrderStatus, event: tuple[str, str]
) -> None:
    orders = stage.orders()
    stage.placed(orders)
    for _ in range(2):
        orders.observe(report(status))
    assert stage.said() == [("order.new", "INFO"), ("order.ack", "INFO"), event]


def test_a_report_that_outruns_the_answer_acknowledges_the_order(stage: OrderStage) -> None:
    orders = stage.orders()
    call = orders.begin(submit())
    orders.observe(report(OrderStatus.FILLED, client_id="c-1", executions=(fill("x-1"),)))
    call.acknowledge([answer()])
    assert [name for name, _ in stage.said()] == ["order.new", "order.ack", "order.fill"]


def test_an_order_that_is_refused_has_no_acknowledgement(stage: OrderStage) -> None:
    orders = stage.orders()
    orders.begin(submit()).fail("sim:9", Reject("sim:9", RejectReason.FUNDS, code="9", message="no money"))
    assert stage.said() == [("order.new", "INFO"), ("order.reject", "WARN")]
    (reject,) = stage.telemetry.events("trading.order.reject")
    assert reject.attributes["error.type"] == "sim:9"
    assert reject.attributes["trading.order.reject.reason"] == "funds"
    assert reject.attributes["trading.order.status"] == "rejected"


def test_a_fill_after_the_end_is_a_warning(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.observe(report(OrderStatus.CANCELED))
    orders.observe(report(None, executions=(fill("x-1"),)))
    assert stage.said()[-1] == ("order.partial_fill", "WARN")


def test_an_order_nobody_knows_of_is_an_error_after_a_while_and_told_once(stage: OrderStage) -> None:
    orders = stage.orders(unknown_after_s=0.02)
    call = orders.begin(submit())
    call.mark(Point.SENT)
    call.fail("TimeoutError")
    assert stage.said() == [("order.new", "INFO")]
    assert eventually(lambda: stage.said()[1:]) == [("order.unknown", "ERROR")]
    orders.close()
    assert len(stage.said()) == 2


def test_an_order_that_was_heard_of_in_time_is_no_error(stage: OrderStage) -> None:
    orders = stage.orders()
    call = orders.begin(submit())
    call.fail("TimeoutError")
    orders.observe(report(OrderStatus.NEW, client_id="c-1"))
    orders.close()
    assert stage.said() == [("order.new", "INFO"), ("order.ack", "INFO")]


def test_an_order_that_is_lost_when_the_process_ends_is_told_then(stage: OrderStage) -> None:
    orders = stage.orders()
    orders.begin(submit()).fail("TimeoutError")
    orders.close()
    assert stage.said() == [("order.new", "INFO"), ("order.unknown", "ERROR")]


def test_each_order_of_a_batch_has_its_own_events(stage: OrderStage) -> None:
    orders = stage.orders()
    batch = OrderRequest(OrderOperation.SUBMIT, "sim", "test", batch=(submit("a"), submit("b")))
    refused = answer(OrderStatus.REJECTED, None, client_id="b", reject=Reject("sim:1"))
    orders.begin(batch).acknowledge([answer(OrderStatus.NEW, "v-a", client_id="a"), refused])
    assert [
        (event.name.removeprefix("trading.order."), event.attributes["trading.order.client_id"])
        for event in stage.telemetry.events()
    ] == [("new", "a"), ("new", "b"), ("ack", "a"), ("reject", "b")]


def test_a_replacement_is_announced_acknowledged_and_ends_the_old_order(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.begin(replace_of("v-1", "c-2")).acknowledge([answer(OrderStatus.NEW, "v-2", client_id="c-2")])
    told = [
        (
            event.name.removeprefix("trading.order."),
            event.attributes["trading.order.client_id"],
            event.attributes["trading.order.root_client_id"],
            event.attributes.get("trading.order.original_client_id"),
            event.attributes.get("trading.order.revision"),
        )
        for event in stage.telemetry.events()
    ]
    assert told == [
        ("new", "c-1", "c-1", None, None),
        ("ack", "c-1", "c-1", None, None),
        ("new", "c-2", "c-1", "c-1", 1),
        ("replace", "c-1", "c-1", None, None),
        ("ack", "c-2", "c-1", None, None),
    ]


def test_a_change_in_place_ends_what_was_announced(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.begin(replace_of("v-1", "c-2")).acknowledge([answer(OrderStatus.NEW, "v-1", client_id="c-2")])
    (announced, replaced) = stage.telemetry.events()[2:]
    assert (announced.name, replaced.name) == ("trading.order.new", "trading.order.replace")
    assert announced.attributes["trading.order.client_id"] == "c-2"
    assert replaced.attributes["trading.order.client_id"] == "c-2"
    assert replaced.attributes["trading.order.revision"] == 1


def test_a_refused_change_ends_what_was_announced(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.begin(replace_of("v-1", "c-2")).fail("sim:1", Reject("sim:1"))
    assert stage.said()[2:] == [("order.new", "INFO"), ("order.reject", "WARN")]
    reject = stage.telemetry.events("trading.order.reject")[0]
    assert reject.attributes["trading.order.client_id"] == "c-2"


def test_a_change_of_what_the_library_makes_of_two_requests_announces_nothing(stage: OrderStage) -> None:
    stage.orders().begin(replace_of("v-1", emulated=True)).acknowledge()
    assert stage.said() == []


@pytest.mark.integration
def test_a_forked_child_counts_from_one(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    child = os.fork()
    if child == 0:
        orders.begin(submit("c-2"))
        last = stage.telemetry.events()[-1]
        os._exit(0 if last.attributes[SEQUENCE] == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("quantities", "told"),
    [(Quantities.OFF, []), (Quantities.BUCKETED, []), (Quantities.FULL, [("c-1", "x-1", "1.05 USD", "new")])],
)
def test_what_an_execution_of_a_known_order_has_cost_is_told_with_full_quantities_only(
    stage: OrderStage, quantities: Quantities, told: list[Any]
) -> None:
    orders = stage.orders(quantities=quantities)
    stage.placed(orders)
    cost = fill("x-1", fee="1.05 USD")
    orders.charged(report(None, executions=(cost, fill("x-2"))))
    orders.charged(report(None, "v-2", executions=(cost,)))
    kept = ("order.client_id", "execution.id", "execution.fee", "order.status")
    assert [tuple(fee[name] for name in kept) for fee in attributes(stage, "order.fee")] == told
