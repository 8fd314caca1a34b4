"""Orders of other processes and earlier runs, found in a store when a venue reports them."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from order_stage import SECOND, OrderStage, eventually, fill, replace_of, report, submit

from tickspan.trading import OrderKey, OrderStatus, Source, StoredOrder, use_store

TRACE, SPAN = 0xABC, 0xDEF


@dataclass
class Shelf:
    """A store in memory, which remembers what it was asked."""

    orders: list[StoredOrder] = field(default_factory=list[StoredOrder])
    asked: list[OrderKey] = field(default_factory=list[OrderKey])

    def find(self, key: OrderKey) -> StoredOrder | None:
        self.asked.append(key)
        return next((order for order in self.orders if matches(order, key)), None)


def matches(order: StoredOrder, key: OrderKey) -> bool:
    """As the protocol says it."""
    names = (order.venue_id,) if key.is_venue_id else order.client_ids
    same_account = None in (order.account_hash, key.account) or order.account_hash == key.account
    return order.venue == key.venue and key.id in names and same_account


@pytest.fixture
def stored(stage: OrderStage) -> StoredOrder:
    return StoredOrder(
        "sim",
        TRACE,
        SPAN,
        submitted_unix_ns=stage.now_ns - 60 * SECOND,
        status=OrderStatus.PARTIALLY_FILLED,
        venue_id="v-1",
        client_ids=("c-1",),
        root_client_id="c-1",
        library="test",
        instrument="A/B",
        side="buy",
        quantity=Decimal(4),
        executions=("x-1",),
    )


def test_a_report_of_a_stored_order_is_told_in_the_trace_of_its_call(
    stage: OrderStage, stored: StoredOrder
) -> None:
    orders = stage.orders(store=Shelf([stored]))
    orders.observe(report(OrderStatus.FILLED, executions=(fill("x-1"), fill("x-2"))))
    (event,) = eventually(stage.telemetry.spans)
    assert (event.name, event.trace_id, event.parent_id) == ("trading.order.event filled", TRACE, SPAN)
    assert event.attributes["trading.execution.id"] == "x-2"
    assert event.attributes["trading.instrument.symbol"] == "A/B"
    (audited,) = eventually(stage.telemetry.events)
    assert (audited.name, audited.trace_id, audited.span_id) == ("trading.order.fill", TRACE, SPAN)


def test_later_reports_need_no_store(stage: OrderStage, stored: StoredOrder) -> None:
    shelf = Shelf([stored])
    orders = stage.orders(store=shelf)
    orders.observe(report(OrderStatus.PARTIALLY_FILLED, executions=(fill("x-2"),)))
    eventually(stage.telemetry.spans)
    orders.observe(report(OrderStatus.FILLED, venue_id=None, client_id="c-1", executions=(fill("x-3"),)))
    assert stage.names() == ["order.event partially_filled", "order.event filled"]
    assert len(shelf.asked) == 1


def test_a_report_of_an_old_stored_order_only_links_to_its_call(
    stage: OrderStage, stored: StoredOrder
) -> None:
    orders = stage.orders(store=Shelf([stored]), event_window_s=59)
    orders.observe(report(OrderStatus.FILLED))
    (event,) = eventually(stage.telemetry.spans)
    assert (event.parent_id, event.links) == (None, ((TRACE, SPAN),))


def test_a_stored_order_is_not_this_processs_to_tell_of(stage: OrderStage, stored: StoredOrder) -> None:
    orders = stage.orders(store=Shelf([stored]))
    orders.observe(report(OrderStatus.CANCELED))
    eventually(stage.telemetry.spans)
    orders.close()
    assert stage.names() == ["order.event canceled"]
    assert stage.points("order.open") == {}


def test_what_is_in_no_store_is_nobodys_after_its_wait(stage: OrderStage) -> None:
    shelf = Shelf()
    orders = stage.orders(store=shelf)
    orders.observe(report(OrderStatus.FILLED, client_id="c-9"))
    eventually(lambda: shelf.asked)
    orders.close()
    assert stage.telemetry.spans()[0].attributes["trading.order.matched"] is False


def test_what_the_store_learns_before_the_end_is_not_nobodys(stage: OrderStage, stored: StoredOrder) -> None:
    shelf = Shelf()
    orders = stage.orders(store=shelf)
    orders.observe(report(OrderStatus.FILLED))
    eventually(lambda: shelf.asked)
    shelf.orders.append(stored)
    orders.close()
    (event,) = stage.telemetry.spans()
    assert (event.name, event.trace_id, event.parent_id) == ("trading.order.event filled", TRACE, SPAN)


def test_the_store_is_asked_again_before_a_report_counts_as_nobodys(
    stage: OrderStage, stored: StoredOrder
) -> None:
    shelf = Shelf()
    orders = stage.orders(store=shelf, waiting_s=0.1)
    orders.observe(report(OrderStatus.FILLED))
    eventually(lambda: shelf.asked)
    shelf.orders.append(stored)
    assert [span.trace_id for span in eventually(stage.telemetry.spans)] == [TRACE]


def test_a_store_is_asked_once_for_all_that_waits_for_one_order(stage: OrderStage) -> None:
    shelf = Shelf()
    orders = stage.orders(store=shelf)
    for number in range(5):
        orders.observe(report(None, executions=(fill(f"x-{number}"),)))
    eventually(lambda: shelf.asked)
    assert shelf.asked == [OrderKey("sim", None, "v-1", is_venue_id=True)]


def test_neither_polled_reports_nor_known_orders_ask_the_store(stage: OrderStage) -> None:
    shelf = Shelf()
    orders = stage.orders(store=shelf)
    stage.placed(orders)
    orders.observe(report(OrderStatus.FILLED))
    orders.observe(report(OrderStatus.FILLED, "v-9", source=Source.POLL))
    orders.close()
    assert shelf.asked == []


def test_the_account_is_asked_for_by_its_exported_hash_or_not_at_all(
    stage: OrderStage, stored: StoredOrder
) -> None:
    shelves = Shelf(), Shelf()
    for shelf, settings in zip(shelves, ({}, {"salt": "pepper"}), strict=True):
        stage.orders(store=shelf, **settings).observe(report(OrderStatus.FILLED, account="DU123"))
        eventually(lambda asked=shelf.asked: asked)
    assert [key.account for shelf in shelves for key in shelf.asked] == [None, "7d4c0186324e"]
    mine = replace(stored, account_hash="7d4c0186324e")
    theirs = replace(stored, account_hash="ffffffffffff")
    assert [matches(order, shelf.asked[0]) for order in (mine, theirs) for shelf in shelves] == [
        True,
        True,
        True,
        False,
    ]


def test_a_store_that_fails_or_hangs_is_not_felt(stage: OrderStage) -> None:
    going_on = threading.Event()

    class Broken:
        def find(self, key: OrderKey) -> StoredOrder | None:
            going_on.wait(5)
            raise ConnectionError(key.id)

    orders = stage.orders(store=Broken())
    orders.observe(report(OrderStatus.FILLED))
    stage.placed(orders, "c-2", "v-2")
    going_on.set()
    orders.close()
    assert stage.names()[:1] == ["order.submit sim"]


@pytest.fixture
def process_shelf() -> Generator[Shelf]:
    shelf = Shelf()
    use_store(shelf)
    yield shelf
    use_store(None)


def test_a_registry_without_a_store_uses_the_processs(
    stage: OrderStage, stored: StoredOrder, process_shelf: Shelf
) -> None:
    process_shelf.orders.append(stored)
    stage.orders().observe(report(OrderStatus.FILLED))
    assert [span.trace_id for span in eventually(stage.telemetry.spans)] == [TRACE]


def test_a_change_of_a_stored_order_joins_its_trace(stage: OrderStage, stored: StoredOrder) -> None:
    orders = stage.orders(store=Shelf([stored]))
    orders.observe(report(OrderStatus.PARTIALLY_FILLED, executions=(fill("x-2"),)))
    eventually(stage.telemetry.spans)
    orders.begin(replace_of("v-1", "c-2")).acknowledge()
    changed = stage.telemetry.spans()[-1]
    assert (changed.name, changed.trace_id, changed.parent_id) == ("trading.order.replace sim", TRACE, SPAN)
    assert stage.telemetry.events("trading.order.new")[0].attributes["trading.order.root_client_id"] == "c-1"


def test_what_is_in_the_audit_stream_is_enough_to_find_an_order_again(stage: OrderStage) -> None:
    """A shelf is filled from events alone; another registry goes on with the order."""
    first = stage.orders()
    stage.placed(first, instrument="A/B", side="buy", quantity=Decimal(2))
    first.observe(report(OrderStatus.PARTIALLY_FILLED, executions=(fill("x-1"),)))
    shelf = Shelf()
    for event in stage.telemetry.events():
        told = {name.removeprefix("trading."): value for name, value in event.attributes.items()}
        known = shelf.orders.pop() if shelf.orders else StoredOrder("sim", event.trace_id, event.span_id)
        executions = {*known.executions, *filter(None, [told.get("execution.id")])}
        shelf.orders.append(
            replace(
                known,
                status=OrderStatus(told.get("order.status", "pending_new")),
                venue_id=told.get("order.venue_id"),
                client_ids=(told["order.client_id"],),
                root_client_id=told["order.root_client_id"],
                instrument=told["instrument.symbol"],
                side=told["order.side"],
                executions=tuple(executions),
            )
        )
    second = stage.orders(store=shelf)
    second.observe(report(OrderStatus.FILLED, executions=(fill("x-1"), fill("x-2"))))
    spans = eventually(lambda: [span for span in stage.telemetry.spans() if span.name.endswith(" filled")])
    assert [span.attributes["trading.execution.id"] for span in spans] == ["x-2"]
    assert {span.trace_id for span in stage.telemetry.spans()} == {spans[0].trace_id}


def test_an_order_that_was_told_to_be_lost_is_known_to_the_venue_once_it_is_found(
    stage: OrderStage, stored: StoredOrder
) -> None:
    shelf = Shelf([replace(stored, status=OrderStatus.UNKNOWN, executions=())])
    stage.orders(store=shelf).observe(report(OrderStatus.CANCELED))
    assert eventually(stage.said) == [("order.cancel", "INFO")]


def test_a_call_about_an_unknown_order_asks_nobody(stage: OrderStage) -> None:
    shelf = Shelf()
    stage.orders(store=shelf).begin(submit("c-1"))
    assert shelf.asked == []
