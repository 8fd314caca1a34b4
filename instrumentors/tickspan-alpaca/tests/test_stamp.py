"""With `stamp_client_id`, an order that the program has not named leaves under an id of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from importlib import import_module
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import LimitOrderRequest, ReplaceOrderRequest
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator
from tickspan_alpaca import AlpacaInstrumentor

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]
OURS = re.compile("[0-9a-f]{32}")


@pytest.fixture
def stamping(telemetry: Capture) -> Generator[Capture]:
    """Alpaca's libraries instrumented, with the setting."""
    AlpacaInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings={"stamp_client_id": True, "environment": "simulated"},
        skip_dep_check=True,
    )
    yield telemetry
    AlpacaInstrumentor().uninstrument()


@pytest.fixture
def venue(make_venue: MakeVenue) -> VenueSimulator:
    """A venue that fills nothing."""
    return make_venue(fill_delay_s=60, tick_interval_s=0)


def client_of(venue: VenueSimulator) -> Any:
    client: Any = TradingClient(**venue.connect.alpaca(TradingClient))
    client._retry_wait = 0.01
    return client


def limit(**changed: Any) -> LimitOrderRequest:
    order: Any = {"symbol": "AAPL", "qty": 1, "side": "buy", "time_in_force": "day", "limit_price": 100}
    return LimitOrderRequest(**{**order, **changed})


def test_an_order_without_a_name_gets_one_that_venue_span_and_audit_share(
    stamping: Capture, venue: VenueSimulator
) -> None:
    asked = limit()
    order = client_of(venue).submit_order(order_data=asked)
    (new,) = stamping.events("trading.order.new")
    (held,) = venue.orders
    assert OURS.fullmatch(order.client_order_id)
    assert [
        held.client_id,
        stamping.spans()[0].attributes["trading.order.client_id"],
        new.attributes["trading.order.client_id"],
    ] == [order.client_order_id] * 3
    assert asked == limit()


def test_an_order_that_is_tried_again_is_not_doubled(stamping: Capture, venue: VenueSimulator) -> None:
    client = client_of(venue)
    venue.next(Fault.ACCEPT_THEN_504)
    with pytest.raises(APIError, match="must be unique"):
        client.submit_order(limit())
    submit = stamping.spans()[0].attributes
    (held,) = venue.orders
    assert (submit["trading.order.attempt"], submit["trading.order.retry.safe"]) == (2, True)
    assert submit["trading.order.status"] == "unknown"
    assert stamping.events("trading.order.unsafe_retry") == []
    assert held.client_id == submit["trading.order.client_id"]
    assert client.get_order_by_client_id(held.client_id).client_order_id == held.client_id


def test_two_orders_from_one_request_object_have_two_names(stamping: Capture, venue: VenueSimulator) -> None:
    client, asked = client_of(venue), limit()
    client.submit_order(asked)
    client.submit_order(asked)
    assert len({order.client_id for order in venue.orders}) == 2
    assert asked.client_order_id is None


def test_a_name_of_the_programs_own_is_kept(stamping: Capture, venue: VenueSimulator) -> None:
    client_of(venue).submit_order(limit(client_order_id="mine"))
    assert [order.client_id for order in venue.orders] == ["mine"]


def test_a_replacement_is_named_too(stamping: Capture, venue: VenueSimulator) -> None:
    client = client_of(venue)
    order = client.submit_order(limit(client_order_id="mine"))
    changed = client.replace_order_by_id(order.id, ReplaceOrderRequest(qty=2))
    assert OURS.fullmatch(changed.client_order_id)


def test_what_is_no_order_reaches_the_library_as_it_is(stamping: Capture, venue: VenueSimulator) -> None:
    with pytest.raises(AttributeError, match="to_request_fields"):
        client_of(venue).submit_order({"symbol": "AAPL"})
    assert venue.requests == ()


def test_without_the_setting_nothing_is_added(told: Capture, venue: VenueSimulator) -> None:
    order = client_of(venue).submit_order(limit())
    assert not OURS.fullmatch(order.client_order_id)


@pytest.mark.library("alpaca-trade-api")
def test_the_older_library_gets_the_name_as_an_argument(stamping: Capture, venue: VenueSimulator) -> None:
    kind: Any = import_module("alpaca_trade_api.rest").REST
    client: Any = kind(**venue.connect.alpaca(kind))
    client.submit_order("AAPL", 1, "buy", "limit", "day", 100)
    client.submit_order("AAPL", 1, "buy", "limit", "day", 100, client_order_id="mine")
    first, second = (order.client_id for order in venue.orders)
    assert OURS.fullmatch(first)
    assert second == "mine"
