"""ccxt without WebSockets, blocking and asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import ccxt
import ccxt.async_support
import pytest
from tickspan import trading
from tickspan.testing.capture import Capture
from tickspan.testing.venue import VenueSimulator
from tickspan_ccxt import CcxtInstrumentor

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]

SYMBOL = "BTC/USDT"
POLLED_AND_FILLED_AT_ONCE = """\
trading.order.submit binance
  trading.order.event filled
  trading.order.query binance
  trading.order.lifecycle"""


def test_a_blocking_bot_gets_a_trace_per_order(told: Capture, make_venue: MakeVenue) -> None:
    venue = make_venue(fill_delay_s=-0.01)
    exchange = venue.connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    exchange.fetch_ticker(SYMBOL)
    order = exchange.create_order(SYMBOL, "market", "buy", 0.01)
    exchange.fetch_order(order["id"], SYMBOL)
    exchange.fetch_my_trades(SYMBOL)
    trading.shutdown()
    submit, fill = told.spans()[:2]
    assert told.tree() == POLLED_AND_FILLED_AT_ONCE
    assert submit.attributes["trading.trigger"] == "poll"
    assert fill.attributes["trading.execution.id"] == str(venue.executions[0].execution_id)
    assert fill.attributes["trading.order.event.source"] == "rest_response"


def test_an_asynchronous_bot_tells_the_same(told: Capture, make_venue: MakeVenue) -> None:
    venue = make_venue(fill_delay_s=-0.01)

    async def trade() -> None:
        exchange = venue.connect.ccxt(ccxt.async_support.binance({"enableRateLimit": False}))
        try:
            await exchange.fetch_ticker(SYMBOL)
            order = await exchange.create_order(SYMBOL, "market", "buy", 0.01)
            await exchange.fetch_order(order["id"], SYMBOL)
        finally:
            await exchange.close()

    asyncio.run(trade())
    trading.shutdown()
    assert told.tree() == POLLED_AND_FILLED_AT_ONCE
    assert told.spans()[0].attributes["trading.trigger"] == "poll"


def test_a_fill_found_by_polling_is_in_the_orders_trace(told: Capture, make_venue: MakeVenue) -> None:
    venue = make_venue(fill_delay_s=0.05, partials=(0.5, 0.5))
    exchange = venue.connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    exchange.create_order(SYMBOL, "limit", "buy", 0.01, 90_000)
    trades = []
    while len(trades) < 2:
        trades = exchange.fetch_my_trades(SYMBOL)
    exchange.fetch_open_orders(SYMBOL)
    executed = [span.attributes.get("trading.execution.id") for span in told.spans()]
    assert sorted(filter(None, executed)) == [str(fill.execution_id) for fill in venue.executions]
    assert {span.trace_id for span in told.spans()} == {1}


def test_quantities_leave_only_when_asked_for(told: Capture, make_venue: MakeVenue) -> None:
    venue = make_venue(fill_delay_s=-0.01)
    exchange = venue.connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    exchange.create_order(SYMBOL, "limit", "buy", 0.91234, 90_123.25)
    trading.shutdown()
    assert [form for form in ("0.91234", "90123.25", "82223.") if form in repr(told.spans())] == []


def test_no_tick_stays_behind_when_the_instrumentor_goes(make_venue: MakeVenue) -> None:
    venue = make_venue()
    exchange = venue.connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    CcxtInstrumentor().instrument()
    exchange.fetch_ticker(SYMBOL)
    during = trading.current_tick()
    CcxtInstrumentor().uninstrument()
    assert (during is not None, trading.current_tick()) == (True, None)
