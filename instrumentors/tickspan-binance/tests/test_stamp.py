"""With `stamp_client_id`, an order that neither the program nor the library has named gets an id of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from tickspan.testing.capture import Capture
from tickspan.testing.venue import VenueSimulator
from tickspan_binance import BinanceInstrumentor

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]
Blocking = Callable[[VenueSimulator], AbstractContextManager[Any]]
OURS = re.compile("[0-9a-f]{32}")
LIMIT: Any = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "50000",
}


@pytest.fixture
def stamping(telemetry: Capture) -> Generator[Capture]:
    """python-binance instrumented, with the setting."""
    BinanceInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings={"stamp_client_id": True, "environment": "simulated"},
    )
    yield telemetry
    BinanceInstrumentor().uninstrument()


def test_an_order_by_its_path_gets_a_name_that_venue_and_span_share(
    stamping: Capture, make_venue: MakeVenue, blocking: Blocking
) -> None:
    venue, asked = make_venue(), dict(LIMIT)
    with blocking(venue) as client:
        client._post("order", signed=True, data=asked)
    (held,) = venue.orders
    assert OURS.fullmatch(held.client_id)
    assert stamping.spans()[0].attributes["trading.order.client_id"] == held.client_id
    assert asked == LIMIT


@pytest.mark.parametrize(("params", "name"), [({"newClientOrderId": "mine"}, "mine"), ({}, "x-HNA2TXFJ.*")])
def test_a_name_of_the_programs_or_the_librarys_own_is_kept(
    stamping: Capture,
    make_venue: MakeVenue,
    blocking: Blocking,
    params: dict[str, str],
    name: str,
) -> None:
    venue = make_venue()
    with blocking(venue) as client:
        client.create_order(**LIMIT, **params)
    assert re.fullmatch(name, venue.orders[0].client_id)


def test_an_order_by_websocket_is_named_too(
    stamping: Capture, make_venue: MakeVenue, blocking: Blocking
) -> None:
    venue, asked = make_venue(), dict(LIMIT)
    with blocking(venue) as client:
        client._ws_api_request_sync("order.place", signed=True, params=asked)
    assert OURS.fullmatch(venue.orders[0].client_id)
    assert "newClientOrderId" not in asked


def test_without_the_setting_nothing_is_added(
    told: Capture, make_venue: MakeVenue, blocking: Blocking
) -> None:
    venue = make_venue()
    with blocking(venue) as client:
        client._post("order", signed=True, data=dict(LIMIT))
    assert not OURS.fullmatch(venue.orders[0].client_id)
