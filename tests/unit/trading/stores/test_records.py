"""Orders as the audit stream tells them, put together again."""

from decimal import Decimal

import pytest

from tickspan.trading import OrderOperation, OrderStatus
from tickspan.trading.store import StoredOrder
from tickspan.trading.stores import records

NEW = {
    "trading.venue.name": "binance",
    "trading.venue.environment": "live",
    "trading.client.library": "ccxt",
    "trading.order.operation": "submit",
    "trading.order.client_id": "mine",
    "trading.order.root_client_id": "mine",
    "trading.order.side": "buy",
    "trading.order.quantity": "0.5",
}
FILL = {
    "trading.venue.name": "binance",
    "trading.order.venue_id": "17",
    "trading.order.client_id": "mine",
    "trading.order.status": "partially_filled",
    "trading.order.filled_quantity": "0.2",
    "trading.execution.id": "e1",
}


def told(attributes: dict[str, str], unix_ns: int = 10) -> StoredOrder:
    order = records.told_by(attributes, 1, 2, 1, unix_ns)
    assert order is not None
    return order


def test_an_event_tells_of_an_order_what_it_carries():
    assert told(NEW) == StoredOrder(
        "binance",
        trace_id=1,
        span_id=2,
        submitted_unix_ns=10,
        client_ids=("mine",),
        root_client_id="mine",
        environment="live",
        library="ccxt",
        operation=OrderOperation.SUBMIT,
        side="buy",
        quantity=Decimal("0.5"),
    )


@pytest.mark.parametrize(("attributes", "trace_id"), [({}, 1), ({"trading.venue.name": 7}, 1), (NEW, 0)])
def test_an_event_without_venue_or_trace_is_of_no_order(attributes: dict[str, str], trace_id: int):
    assert records.told_by(attributes, trace_id, 2, 1, 10) is None


def test_ids_and_executions_add_up_and_the_state_only_grows():
    order = records.joined(
        records.joined(told(NEW), told(FILL, 20)), told({**FILL, "trading.execution.id": "e2"}, 30)
    )
    late = records.joined(order, told({**FILL, "trading.order.status": "new"}, 40))
    assert late == order
    assert (order.client_ids, order.venue_id, order.executions) == (("mine",), "17", ("e1", "e2"))
    assert (order.status, order.filled, order.quantity) == (
        OrderStatus.PARTIALLY_FILLED,
        Decimal("0.2"),
        Decimal("0.5"),
    )
    assert (order.submitted_unix_ns, order.side, order.library) == (10, "buy", "ccxt")


def test_an_order_survives_json():
    order = records.joined(told(NEW), told(FILL))
    assert records.from_json(records.to_json(order)) == order


def test_orders_of_one_call_are_told_apart_by_their_ids():
    anonymous = told({"trading.venue.name": "binance"})
    other = told({**NEW, "trading.order.client_id": "other"})
    assert [records.is_same(told(NEW), one) for one in (told(FILL), anonymous, other)] == [True, True, False]


@pytest.mark.parametrize(
    ("known", "asked", "is_it"), [("a", "a", True), ("a", "b", False), (None, "b", True), ("a", None, True)]
)
def test_an_account_rules_out_only_another_one(known: str | None, asked: str | None, *, is_it: bool):
    order = told(NEW if known is None else {**NEW, "trading.account.hash": known})
    assert records.is_of_account(order, asked) is is_it
