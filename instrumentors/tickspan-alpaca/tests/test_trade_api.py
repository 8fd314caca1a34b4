"""alpaca-trade-api, the library before alpaca-py: in the generation where it is installed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest
import requests
from tickspan import trading
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = [pytest.mark.integration, pytest.mark.library("alpaca-trade-api")]

MakeVenue = Callable[..., VenueSimulator]
Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


def client_of(venue: VenueSimulator) -> Any:
    kind: Any = import_module("alpaca_trade_api.rest").REST
    client: Any = kind(**venue.connect.alpaca(kind))
    client._retry_wait = 0.01
    return client


async def listening(venue: VenueSimulator, eventually: Eventually, quote: Any, update: Any) -> Any:
    """A stream whose two connections are up, and the task that reads them."""
    kind: Any = import_module("alpaca_trade_api.stream").Stream
    stream: Any = kind(**venue.connect.alpaca(kind))
    stream.subscribe_quotes(quote, "AAPL")
    stream.subscribe_trade_updates(update)
    loop = asyncio.create_task(stream._run_forever())
    await eventually(lambda: stream._data_ws._running and stream._trading_ws._running)
    await asyncio.sleep(0.05)  # the venue has heard that it is listened to
    return stream, loop


async def ended(stream: Any, loop: asyncio.Task[Any]) -> None:
    while not loop.done():
        loop.cancel()
        await asyncio.wait({loop}, timeout=0.1)
    for one in (stream._data_ws, stream._trading_ws):
        await one.close()


def test_an_order_is_one_trace_from_its_tick_to_its_last_fill(
    told: Capture, make_venue: MakeVenue, eventually: Eventually
) -> None:
    venue = make_venue(partials=(0.4, 0.6), fill_delay_s=0.05)
    client = client_of(venue)

    async def trade() -> None:
        updates: list[str] = []
        quantities = [10]

        async def quote(_: Any) -> None:
            if quantities:
                client.submit_order("AAPL", quantities.pop(), "buy", "limit", "day", limit_price="250")

        async def update(message: Any) -> None:
            updates.append(message.event)

        running = await listening(venue, eventually, quote, update)
        await eventually(lambda: updates == ["new", "partial_fill", "fill"])
        await ended(*running)

    asyncio.run(trade())
    trading.shutdown()
    lines = [line for line in told.tree().splitlines() if line != "trading.stream.connect"]
    assert "\n".join(lines) == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n"
        "    trading.order.submit alpaca\n"
        "      trading.order.event partially_filled\n"
        "      trading.order.event filled\n"
        "      trading.order.lifecycle"
    )
    submit = next(span for span in told.spans() if span.name == "trading.order.submit alpaca")
    assert submit.attributes["trading.client.library"] == "alpaca-trade-api"
    assert submit.attributes["trading.order.time_in_force"] == "day"
    assert {point.attributes["trading.feed.channel"] for point in told.points("trading.feed.messages")} == {
        "orders",
        "quotes",
    }


def test_every_call_about_orders_is_told(told: Capture, make_venue: MakeVenue) -> None:
    venue = make_venue(fill_delay_s=60, tick_interval_s=0)
    client = client_of(venue)
    order = client.submit_order("AAPL", 1, type="limit", limit_price=100, client_order_id="mine")
    changed = client.replace_order(order.id, qty="2")
    client.get_order(changed.id)
    client.get_order_by_client_order_id(changed.client_order_id)
    client.cancel_order(changed.id)
    client.list_orders(status="all")
    client.cancel_all_orders()
    client.close_position("AAPL", qty=1)
    assert told.tree() == (
        "trading.order.submit alpaca\n"
        "  trading.order.replace alpaca\n"
        "    trading.order.query alpaca\n"
        "    trading.order.query alpaca\n"
        "    trading.order.cancel alpaca\n"
        "    trading.order.event canceled\n"
        "  trading.order.event replaced\n"
        "trading.order.cancel alpaca\n"
        "trading.order.submit alpaca"
    )


def test_a_refusal_has_the_venues_code_and_a_page_its_status(told: Capture, make_venue: MakeVenue) -> None:
    venue = make_venue(tick_interval_s=0)
    client = client_of(venue)
    venue.next(Fault.REJECT)
    with pytest.raises(import_module("alpaca_trade_api.rest").APIError):
        client.submit_order("AAPL", 1)
    venue.next(Fault.BAN_418)
    with pytest.raises(requests.HTTPError):
        client.submit_order("AAPL", 1)
    assert [span.attributes["error.type"] for span in told.spans()] == ["alpaca:40310000", "alpaca:403"]


def test_its_retries_are_counted_and_the_budget_is_told(told: Capture, make_venue: MakeVenue) -> None:
    venue = make_venue(fill_delay_s=60, tick_interval_s=0)
    venue.next(Fault.ACCEPT_THEN_504)
    client_of(venue).submit_order("AAPL", 1)
    (used,) = told.points("trading.rate_limit.used")
    assert (told.spans()[0].attributes["trading.order.attempt"], len(venue.orders)) == (2, 2)
    assert (used.value, used.attributes["trading.client.library"]) == (2, "alpaca-trade-api")


def test_a_fault_of_a_handler_is_told_since_it_kills_the_order_stream(
    told: Capture, make_venue: MakeVenue, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    """The library goes on without ever reading again: of a second order nothing arrives."""
    venue = make_venue(fill_delay_s=0.02)
    client = client_of(venue)

    async def trade() -> int:
        calls: list[Any] = []

        async def quote(_: Any) -> None:
            pass

        async def update(message: Any) -> None:
            calls.append(message)
            raise KeyError("of the bot")

        running = await listening(venue, eventually, quote, update)
        for _ in range(2):
            await asyncio.to_thread(client.submit_order, "AAPL", 1)
        await eventually(lambda: len(venue.executions) == 2)
        await asyncio.sleep(0.2)
        await ended(*running)
        return len(calls)

    with caplog.at_level(logging.CRITICAL):
        calls = asyncio.run(trade())
    (event,) = told.events("trading.feed.handler_error")
    assert calls == 1
    assert (event.severity, event.attributes["trading.feed.channel"]) == ("ERROR", "orders")
    assert event.attributes["error.type"] == "KeyError"
