"""Managers with a thread of their own, which call back; and the order books they keep."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import binance
import pytest
from tickspan import trading
from tickspan.testing.capture import Capture
from tickspan.testing.venue import VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]
Blocking = Callable[..., Any]

SYMBOL = "BTCUSDT"
WITHIN_S = 10.0


@contextmanager
def started(make: Any, account: dict[str, Any]) -> Generator[Any]:
    """A manager whose thread runs a loop of its own."""
    asyncio.set_event_loop(asyncio.new_event_loop())  # it takes the one of the thread that makes it
    manager = make(**account)
    loop = manager._loop
    manager.start()
    try:
        yield manager
    finally:
        manager.stop()
        manager.join(WITHIN_S)
        # `stop` closes the client before its sockets, which then connect once more to unsubscribe.
        loop.run_until_complete(manager._client.ws_api.close())
        loop.run_until_complete(no_longer_running())
        asyncio.set_event_loop(None)
        loop.close()


async def no_longer_running() -> None:
    """Let what the manager has left in its loop end: a socket that is being closed."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), WITHIN_S)


class Once:
    """Calls an action with the first thing it gets, and says when that is done."""

    def __init__(self, action: Callable[[Any], None]) -> None:
        self._action = action
        self._is_called = False
        self.done = threading.Event()

    def __call__(self, thing: Any) -> None:
        if not self._is_called:
            self._is_called = True
            self._action(thing)
            self.done.set()


def until(is_true: Callable[[], bool]) -> bool:
    """Whether something on another thread comes about in time."""
    ends_at = time.monotonic() + WITHIN_S
    while not is_true() and time.monotonic() < ends_at:
        time.sleep(0.01)
    return is_true()


def unheard(*_: Any) -> None:
    """asyncio's word about a task whose exception nobody retrieves."""


def account_of(venue: VenueSimulator) -> dict[str, str]:
    return {"api_key": venue.connect.api_key, "api_secret": venue.connect.secret}


def test_an_order_placed_in_a_callback_has_its_message_as_tick(
    told: Capture, make_venue: MakeVenue, bot: Any, blocking: Blocking
) -> None:
    venue = make_venue(fill_delay_s=0.02)
    filled = threading.Event()
    with blocking(venue) as client, started(binance.ThreadedWebsocketManager, account_of(venue)) as manager:
        buy = Once(lambda _: client.order_market_buy(symbol=SYMBOL, quantity="0.01"))

        def report(event: Any) -> None:
            _ = filled.set() if event.get("X") == "FILLED" else None

        manager.start_user_socket(report)
        manager.start_trade_socket(buy, SYMBOL)
        assert buy.done.wait(WITHIN_S)
        assert filled.wait(WITHIN_S)
    trading.shutdown()
    assert bot.tree() == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n"
        "    trading.order.submit binance\n"
        "      trading.order.event filled\n"
        "      trading.order.lifecycle"
    )
    assert bot.named("trading.order.submit")[0].attributes["trading.trigger"] == "tick"


def test_the_tick_is_current_only_during_the_callback(
    told: Capture, make_venue: MakeVenue, blocking: Blocking
) -> None:
    venue = make_venue()
    seen: list[Any] = []
    outside: list[Any] = []
    with blocking(venue), started(binance.ThreadedWebsocketManager, account_of(venue)) as manager:
        note = Once(lambda _: seen.append(trading.current_tick()))
        manager.start_trade_socket(note, SYMBOL)
        assert note.done.wait(WITHIN_S)
        asked = threading.Event()

        def ask() -> None:
            outside.append(trading.current_tick())
            asked.set()

        manager._loop.call_soon_threadsafe(ask)
        assert asked.wait(WITHIN_S)
    assert ([(tick.instrument, tick.channel) for tick in seen], outside) == ([(SYMBOL, "trades")], [None])


def test_a_coroutine_function_is_called_back_with_its_message_as_tick(
    told: Capture, make_venue: MakeVenue, bot: Any, blocking: Blocking
) -> None:
    venue = make_venue(fill_delay_s=60)
    placed = threading.Event()
    with blocking(venue), started(binance.ThreadedWebsocketManager, account_of(venue)) as manager:

        async def buy(_: Any) -> None:
            if not placed.is_set():
                placed.set()
                await manager._client.order_market_buy(symbol=SYMBOL, quantity="0.01")

        manager.start_trade_socket(buy, SYMBOL)
        assert placed.wait(WITHIN_S)
    trading.shutdown()
    assert bot.tree().startswith(
        "trading.feed.message\n  trading.strategy.decision\n    trading.order.submit binance"
    )


def test_nothing_hangs_below_the_span_that_was_current_when_a_socket_was_started(
    told: Capture, make_venue: MakeVenue, bot: Any, blocking: Blocking
) -> None:
    venue = make_venue(fill_delay_s=60)
    tracer = told.tracer_provider.get_tracer("the bot")
    with blocking(venue) as client, started(binance.ThreadedWebsocketManager, account_of(venue)) as manager:
        buy = Once(lambda _: client.order_market_buy(symbol=SYMBOL, quantity="0.01"))
        with tracer.start_as_current_span("start up"):
            manager.start_trade_socket(buy, SYMBOL)
        assert buy.done.wait(WITHIN_S)
    trading.shutdown()
    started_up = next(span for span in told.spans() if span.name == "start up")
    assert [span.name for span in told.spans() if span.trace_id == started_up.trace_id] == ["start up"]
    assert len(bot.named("trading.order.submit")) == 1


def test_an_exception_out_of_a_callback_ends_its_loop_and_is_told_at_once(
    told: Capture, make_venue: MakeVenue, blocking: Blocking
) -> None:
    venue = make_venue()
    raised = threading.Event()

    def fail(_: Any) -> None:
        raised.set()
        raise KeyError("no such price")

    with blocking(venue), started(binance.ThreadedWebsocketManager, account_of(venue)) as manager:
        manager._loop.set_exception_handler(unheard)
        path = manager.start_trade_socket(fail, SYMBOL)
        assert raised.wait(WITHIN_S)
        assert until(lambda: bool(told.events("trading.feed.handler_error")))
        manager._socket_running.pop(path, None)  # it would wait for the loop that is dead
    (event,) = told.events("trading.feed.handler_error")
    assert (event.severity, event.attributes["error.type"]) == ("ERROR", "KeyError")


def test_the_book_of_a_depth_cache_has_the_last_message_as_tick(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        cache = binance.DepthCacheManager(desk.client, SYMBOL, bm=desk.sockets)
        async with cache:
            book = await cache.recv()
            assert book.get_bids()
            await desk.client.create_order(**desk.order())

    bot.run(venue, trade)
    tick, submit = bot.named("trading.feed.message")[0], bot.named("trading.order.submit")[0]
    assert (submit.attributes["trading.trigger"], submit.trace_id) == ("tick", tick.trace_id)
    assert tick.attributes["trading.feed.channel"] == "order_book"


def test_a_depth_cache_in_a_thread_calls_back_with_the_last_message_as_tick(
    told: Capture, make_venue: MakeVenue, bot: Any, blocking: Blocking
) -> None:
    venue = make_venue(fill_delay_s=60)
    with blocking(venue) as client, started(binance.ThreadedDepthCacheManager, account_of(venue)) as manager:
        buy = Once(lambda _: client.order_market_buy(symbol=SYMBOL, quantity="0.01"))
        manager.start_depth_cache(buy, SYMBOL)
        assert buy.done.wait(WITHIN_S)
    trading.shutdown()
    tick, submit = bot.named("trading.feed.message")[0], bot.named("trading.order.submit")[0]
    assert (submit.attributes["trading.trigger"], submit.trace_id) == ("tick", tick.trace_id)
