"""alpaca-py's streams: what is counted, what is told when they break, and what a handler's fault does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator
from tickspan_alpaca import AlpacaInstrumentor

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]
Eventually = Callable[[Callable[[], bool]], Awaitable[None]]

QUOTES = {
    "trading.venue.name": "alpaca",
    "trading.venue.environment": "simulated",
    "trading.client.library": "alpaca-py",
    "trading.feed.channel": "quotes",
}
ORDERS = {**QUOTES, "trading.feed.channel": "orders"}


def values(told: Capture, name: str) -> dict[str, float]:
    """A metric's values by channel."""
    return {point.attributes["trading.feed.channel"]: point.value for point in told.points(name)}


class HandlerError(Exception):
    """Out of the program's own code."""


def test_messages_bytes_lag_and_queue_are_counted_by_channel(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.02)

    async def trade(session: Any) -> Any:
        await session.at_quote(session.limit)
        await session.until_over(1)
        names = ("trading.feed.messages", "trading.feed.bytes", "trading.stream.connected")
        return {name: values(told, name) for name in names}

    counted = bot.run(venue, trade)
    assert counted["trading.feed.messages"]["orders"] == 2
    assert counted["trading.feed.messages"]["quotes"] >= 1
    assert counted["trading.feed.bytes"]["orders"] > 1_000
    assert counted["trading.stream.connected"] == {"orders": 1, "quotes": 1}
    for name in ("trading.feed.lag", "trading.feed.queue"):
        assert {point.attributes["trading.feed.channel"] for point in told.points(name)} == {
            "orders",
            "quotes",
        }
    assert [dict(point.attributes) for point in told.points("trading.feed.messages")] == [ORDERS, QUOTES]


def test_a_frame_of_several_messages_is_counted_once_in_bytes(told: Capture, make_venue: MakeVenue) -> None:
    from alpaca.data.live.stock import StockDataStream

    venue = make_venue()

    async def listen() -> None:
        stream: Any = StockDataStream(**venue.connect.alpaca(StockDataStream))
        enough = asyncio.Event()

        async def quote(_: Any) -> None:
            enough.set()

        async def trade(_: Any) -> None:
            pass

        stream.subscribe_trades(trade, "AAPL")
        stream.subscribe_quotes(quote, "AAPL")
        loop = asyncio.create_task(stream._run_forever())
        async with asyncio.timeout(10):
            await enough.wait()
        await stream.stop_ws()
        await loop

    asyncio.run(listen())
    size, count = values(told, "trading.feed.bytes"), values(told, "trading.feed.messages")
    assert count["trades"] == count["quotes"]
    assert size["trades"] > 100 * count["trades"]
    assert size["quotes"] == 0


def test_a_stream_that_is_stopped_is_no_longer_watched(
    told: Capture, make_venue: MakeVenue, eventually: Eventually
) -> None:
    from alpaca.data.live.stock import StockDataStream

    venue = make_venue()

    async def listen() -> dict[str, float]:
        stream: Any = StockDataStream(**venue.connect.alpaca(StockDataStream))

        async def quote(_: Any) -> None:
            pass

        stream.subscribe_quotes(quote, "AAPL")
        loop = asyncio.create_task(stream._run_forever())
        await eventually(lambda: stream._running)
        during = values(told, "trading.stream.connected")
        await stream.stop_ws()
        await loop
        return during

    assert asyncio.run(listen()) == {"quotes": 1}
    assert values(told, "trading.stream.connected") == {}


def test_a_broken_connection_is_seen_and_its_return_is_a_reconnect(
    told: Capture, make_venue: MakeVenue, eventually: Eventually, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.02)

    async def trade(session: Any) -> None:
        venue.next(Fault.DISCONNECT)
        await eventually(lambda: values(told, "trading.stream.reconnects") == {"orders": 1, "quotes": 1})
        await asyncio.sleep(0.05)  # the venue has heard that it is listened to
        await session.at_quote(session.limit)
        await session.until_over(1)

    bot.run(venue, trade)
    submit, fill = bot.named("trading.order.submit")[0], bot.named("trading.order.event filled")[0]
    attempts = [span for span in told.spans() if span.name == "trading.stream.connect"]
    assert fill.parent_id == submit.span_id
    assert len(attempts) == 4
    assert {(span.status, span.parent_id) for span in attempts} == {("unset", None)}


def test_a_connection_that_is_not_granted_is_a_failed_attempt(
    told: Capture, make_venue: MakeVenue, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    from alpaca.trading.stream import TradingStream

    venue = make_venue()
    keys: Any = {**venue.connect.alpaca(TradingStream), "secret_key": "the-wrong-one"}

    async def listen() -> None:
        stream: Any = TradingStream(**keys)
        stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.01

        async def update(_: Any) -> None:
            pass

        stream.subscribe_trade_updates(update)
        loop = asyncio.create_task(stream._run_forever())
        async with asyncio.timeout(10):
            await eventually(lambda: len(told.spans()) >= 2)
        await stream.stop_ws()
        await loop

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(listen())
    first, second = told.spans()[:2]
    assert (first.name, first.status, first.attributes["error.type"]) == (
        "trading.stream.connect",
        "error",
        "ValueError",
    )
    assert [span.attributes["trading.stream.attempt"] for span in (first, second)] == [1, 2]
    assert "the-wrong-one" not in repr(told.spans())


@pytest.mark.parametrize("error", [HandlerError, TimeoutError])
def test_an_exception_out_of_a_handler_is_told_whether_or_not_the_library_tells(
    told: Capture,
    make_venue: MakeVenue,
    eventually: Eventually,
    bot: Any,
    caplog: pytest.LogCaptureFixture,
    error: type[Exception],
) -> None:
    venue = make_venue()

    async def trade(session: Any) -> None:
        async def fail(_: Any) -> None:
            session.quotes._handlers["quotes"]["AAPL"] = session._quote
            raise error

        session.quotes._handlers["quotes"]["AAPL"] = fail
        await eventually(lambda: bool(told.events("trading.feed.handler_error")))
        await session.at_quote(lambda: None)  # it goes on

    with caplog.at_level(logging.CRITICAL):
        bot.run(venue, trade)
    (event,) = told.events("trading.feed.handler_error")
    assert (event.severity, {name: event.attributes[name] for name in QUOTES}) == ("ERROR", QUOTES)
    assert event.attributes["error.type"].endswith(error.__name__)
    assert values(told, "trading.feed.handler_errors") == {"orders": 0, "quotes": 1}


def test_messages_that_wait_for_a_slow_handler_are_a_backlog(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue()

    async def trade(session: Any) -> float:
        slow = asyncio.create_task(session.at_quote(lambda: asyncio.sleep(0.3)))
        await asyncio.sleep(0)
        await session.at_quote(lambda: None)
        await slow
        return values(told, "trading.feed.backlog")["quotes"]

    assert bot.run(venue, trade) > 5


def test_a_channel_without_symbols_is_no_longer_watched(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(tick_interval_s=0)

    async def trade(session: Any) -> Any:
        before = values(told, "trading.stream.connected")
        await asyncio.to_thread(session.quotes.unsubscribe_quotes, "AAPL")
        return before, values(told, "trading.stream.connected")

    assert bot.run(venue, trade) == ({"orders": 1, "quotes": 1}, {"orders": 1})


def test_an_answered_ping_is_a_sign_of_life_of_the_order_stream(
    told: Capture, make_venue: MakeVenue, eventually: Eventually
) -> None:
    from alpaca.trading.stream import TradingStream
    from tickspan.trading import feeds_of

    venue = make_venue()

    async def listen() -> int:
        stream: Any = TradingStream(
            **venue.connect.alpaca(TradingStream), websocket_params={"ping_interval": 0.02}
        )

        async def update(_: Any) -> None:
            pass

        stream.subscribe_trade_updates(update)
        loop = asyncio.create_task(stream._run_forever())
        bench = AlpacaInstrumentor()._bench
        assert bench is not None
        async with asyncio.timeout(10):
            await eventually(lambda: any(feed.heard_ns is not None for feed in feeds_of(bench).feeds()))
            loop.cancel()
            await asyncio.wait({loop})
        return feeds_of(bench).feeds()[0].messages

    assert asyncio.run(listen()) == 0


def test_streams_made_while_instrumented_go_on_after_undo(
    make_venue: MakeVenue, eventually: Eventually, telemetry: Capture
) -> None:
    from alpaca.data.live.stock import StockDataStream

    venue = make_venue()
    seen: list[Any] = []

    async def listen() -> None:
        stream: Any = StockDataStream(**venue.connect.alpaca(StockDataStream))

        async def quote(message: Any) -> None:
            seen.append(message)

        stream.subscribe_quotes(quote, "AAPL")
        loop = asyncio.create_task(stream._run_forever())
        async with asyncio.timeout(10):
            await eventually(lambda: bool(seen))
            AlpacaInstrumentor().uninstrument()
            count = len(seen)
            await eventually(lambda: len(seen) >= count + 3)
        await stream.stop_ws()
        await loop

    AlpacaInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    asyncio.run(listen())
    assert len(seen) >= 4


def test_news_that_are_about_one_symbol_are_its_tick(told: Capture) -> None:
    from alpaca.data.live.news import NewsDataStream
    from tickspan.trading import current_tick

    stream: Any = NewsDataStream("key", "secret", raw_data=True)
    ticks: list[Any] = []

    async def read(_: Any) -> None:
        ticks.append(current_tick())

    stream.subscribe_news(read, "*")
    for symbols in (["AAPL"], ["AAPL", "TSLA"]):
        asyncio.run(stream._dispatch({"T": "n", "symbols": symbols, "headline": "…"}))
    assert {(tick.channel, tick.instrument) for tick in ticks} == {("news", "AAPL"), ("news", None)}
    assert current_tick() is None


def test_what_is_no_market_data_is_no_tick(told: Capture, caplog: pytest.LogCaptureFixture) -> None:
    from alpaca.data.live.stock import StockDataStream

    stream: Any = StockDataStream("key", "secret")
    with caplog.at_level(logging.CRITICAL):
        for message in ({"T": "subscription"}, {"T": "error", "code": 406, "msg": "…"}, {"T": "?"}, {}):
            asyncio.run(stream._dispatch(message))
    assert told.points("trading.feed.messages") == []


def test_a_stream_that_is_mute_while_connected_is_told(make_venue: MakeVenue, telemetry: Capture) -> None:
    from alpaca.data.live.stock import StockDataStream

    venue = make_venue(mute_s=60)
    AlpacaInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings={"feed_stale_s": 0.3, "environment": "simulated"},
    )

    async def listen() -> bool:
        stream: Any = StockDataStream(**venue.connect.alpaca(StockDataStream))

        async def quote(_: Any) -> None:
            venue.next(Fault.MUTE)

        stream.subscribe_quotes(quote, "AAPL")
        loop = asyncio.create_task(stream._run_forever())
        async with asyncio.timeout(15):
            while not telemetry.events("trading.feed.stale"):  # noqa: ASYNC110 - another thread watches
                await asyncio.sleep(0.05)
        is_running = stream._running
        loop.cancel()
        await asyncio.wait({loop})
        await stream.close()
        return is_running

    is_running = asyncio.run(listen())
    AlpacaInstrumentor().uninstrument()
    event = telemetry.events("trading.feed.stale")[0]
    assert is_running
    assert (event.severity, event.attributes["trading.feed.channel"]) == ("WARN", "quotes")
