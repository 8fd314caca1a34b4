"""Brokers trade for the accounts of others, and hear of them by server-sent events."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from typing import Any
from uuid import UUID

import pytest
from tickspan import trading
from tickspan.testing.capture import Capture
from tickspan.testing.venue import VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]
ACCOUNT = UUID("acc00000-0000-4000-8000-000000000001")


@pytest.fixture
def make_broker() -> Generator[Callable[[VenueSimulator], Any]]:
    """Makes a broker's clients of a venue."""
    from alpaca.broker.client import BrokerClient

    made: list[Any] = []

    def make(venue: VenueSimulator) -> Any:
        client: Any = BrokerClient(**venue.connect.alpaca(BrokerClient))
        made.append(client)
        return client

    yield make
    for client in made:
        client._session.close()


def market(quantity: float = 1) -> Any:
    from alpaca.broker.requests import MarketOrderRequest

    order: Any = {"symbol": "AAPL", "qty": quantity, "side": "buy", "time_in_force": "day"}
    return MarketOrderRequest(**order)


def test_an_event_is_in_the_trace_of_its_accounts_order_and_causes_the_next(
    told: Capture, make_venue: MakeVenue, make_broker: Callable[[VenueSimulator], Any]
) -> None:
    venue = make_venue(fill_delay_s=0.05, tick_interval_s=0)
    broker = make_broker(venue)
    listener = make_broker(venue)
    placing = threading.Timer(0.3, broker.submit_order_for_account, (ACCOUNT, market()))
    placing.start()
    events = listener.get_trade_events()
    told_events = [json.loads(next(events))["event"] for _ in range(2)]
    placing.join()
    broker.submit_order_for_account(ACCOUNT, market(2))
    events.close()
    trading.shutdown()
    first, second = (span for span in told.spans() if span.name == "trading.order.submit alpaca")
    (fill,) = (span for span in told.spans() if span.name == "trading.order.event filled")
    assert told_events == ["new", "fill"]
    assert fill.parent_id == first.span_id
    assert second.attributes["trading.trigger"] == "order_event"
    assert second.links == ((fill.trace_id, fill.span_id),)
    assert [point.value for point in told.points("trading.feed.messages")] == [2]
    assert told.points("trading.stream.connected") == []


def test_every_call_for_an_account_is_told(
    told: Capture, make_venue: MakeVenue, make_broker: Callable[[VenueSimulator], Any]
) -> None:
    from alpaca.trading.requests import LimitOrderRequest, ReplaceOrderRequest

    venue = make_venue(fill_delay_s=60, tick_interval_s=0)
    broker = make_broker(venue)
    request = LimitOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day", limit_price=100)
    order = broker.submit_order_for_account(ACCOUNT, request)
    changed = broker.replace_order_for_account_by_id(ACCOUNT, order.id, ReplaceOrderRequest(qty=2))
    broker.get_order_for_account_by_client_id(ACCOUNT, changed.client_order_id)
    broker.cancel_order_for_account_by_id(ACCOUNT, changed.id)
    broker.get_order_for_account_by_id(ACCOUNT, changed.id)
    broker.cancel_orders_for_account(ACCOUNT)
    broker.get_orders_for_account(ACCOUNT)
    assert told.tree() == (
        "trading.order.submit alpaca\n"
        "  trading.order.replace alpaca\n"
        "    trading.order.query alpaca\n"
        "    trading.order.cancel alpaca\n"
        "    trading.order.query alpaca\n"
        "    trading.order.event canceled\n"
        "  trading.order.event replaced\n"
        "trading.order.cancel alpaca"
    )


def test_accounts_with_the_same_client_ids_are_told_apart(
    told: Capture, make_venue: MakeVenue, make_broker: Callable[[VenueSimulator], Any]
) -> None:
    venue = make_venue(fill_delay_s=60, tick_interval_s=0)
    broker = make_broker(venue)
    order = broker.submit_order_for_account(ACCOUNT, market())
    broker.get_order_for_account_by_id(UUID(int=7), order.id)
    assert told.tree() == "trading.order.submit alpaca\ntrading.order.query alpaca"
