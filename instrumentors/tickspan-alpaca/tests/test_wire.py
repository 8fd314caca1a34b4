"""What answers tell beside orders: budgets and clocks; and that sessions are left as they were found."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator
from tickspan_alpaca import AlpacaInstrumentor

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]
Client = Callable[..., Any]


@pytest.fixture
def trading_client() -> Generator[Client]:
    """Makes trading clients of a venue."""
    from alpaca.trading.client import TradingClient

    made: list[Any] = []

    def make(venue: VenueSimulator) -> Any:
        client: Any = TradingClient(**venue.connect.alpaca(TradingClient))
        client._retry_wait = 0.01
        made.append(client)
        return client

    yield make
    for client in made:
        client._session.close()


def test_the_budget_is_told_and_the_warning_comes_before_it_is_spent(
    told: Capture, make_venue: MakeVenue, trading_client: Client
) -> None:
    venue = make_venue(tick_interval_s=0, weight_limit_1m=10)
    client = trading_client(venue)
    for _ in range(8):
        client.get_clock()
    (used,) = told.points("trading.rate_limit.used")
    (limit,) = told.points("trading.rate_limit.limit")
    (reset,) = told.points("trading.rate_limit.reset_in")
    (near,) = told.events("trading.rate_limit.near")
    assert (used.value, limit.value, 50 < reset.value <= 61) == (8, 10, True)
    assert used.attributes == {
        "trading.venue.name": "alpaca",
        "trading.venue.environment": "simulated",
        "trading.client.library": "alpaca-py",
        "trading.rate_limit.name": "requests",
        "trading.rate_limit.scope": "account",
    }
    assert near.severity == "WARN"


def test_an_answer_of_429_is_a_hit_also_when_the_library_waits_it_out(
    told: Capture, make_venue: MakeVenue, trading_client: Client
) -> None:
    venue = make_venue(tick_interval_s=0)
    venue.next(Fault.RATE_LIMIT_429)
    trading_client(venue).get_clock()
    (hits,) = told.points("trading.rate_limit.hits")
    assert hits.value == 1
    assert [event.severity for event in told.events("trading.rate_limit.exhausted")] == ["WARN"]


def test_market_data_has_a_budget_of_its_own(told: Capture, make_venue: MakeVenue) -> None:
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.data.requests import StockLatestQuoteRequest

    venue = make_venue(tick_interval_s=0)
    data: Any = StockHistoricalDataClient(**venue.connect.alpaca(StockHistoricalDataClient))
    data._retry_wait = 0.01
    venue.next(Fault.RATE_LIMIT_429)
    data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))
    data._session.close()
    named = {
        name: {point.attributes["trading.rate_limit.name"] for point in told.points(name)}
        for name in ("trading.rate_limit.used", "trading.rate_limit.hits")
    }
    assert named == {name: {"market_data_requests"} for name in named}


def test_the_venues_clock_is_read_off_its_answers(
    told: Capture, make_venue: MakeVenue, trading_client: Client
) -> None:
    venue = make_venue(tick_interval_s=0, clock_skew_s=30)
    client = trading_client(venue)
    deadline = time.monotonic() + 10
    while not told.events("trading.clock.skew") and time.monotonic() < deadline:
        client.get_clock()
    (offset,) = told.points("trading.clock.offset")
    assert offset.value == pytest.approx(30, abs=1.5)
    assert [event.severity for event in told.events("trading.clock.skew")] == ["WARN"]


@pytest.mark.parametrize("kind", ["list", "one function"])
def test_a_sessions_own_hooks_are_called_and_come_back(
    telemetry: Capture, make_venue: MakeVenue, trading_client: Client, kind: str
) -> None:
    venue = make_venue(tick_interval_s=0)
    client, heard = trading_client(venue), []

    def mine(response: Any, **_: Any) -> None:
        heard.append(response.status_code)

    before = client._session.hooks["response"] = [mine] if kind == "list" else mine
    AlpacaInstrumentor().instrument(meter_provider=telemetry.meter_provider)
    client.get_clock()
    client.get_clock()
    during = client._session.hooks["response"]
    AlpacaInstrumentor().uninstrument()
    client.get_clock()
    assert (during is before, client._session.hooks["response"] is before) == (False, True)
    assert heard == [200, 200, 200]
    assert [point.value for point in telemetry.points("trading.rate_limit.used")] == [2]


def test_hooks_that_were_changed_meanwhile_stay(make_venue: MakeVenue, trading_client: Client) -> None:
    venue = make_venue(tick_interval_s=0)
    client, theirs = trading_client(venue), []
    AlpacaInstrumentor().instrument()
    client.get_clock()
    client._session.hooks["response"] = theirs
    AlpacaInstrumentor().uninstrument()
    assert client._session.hooks["response"] is theirs
