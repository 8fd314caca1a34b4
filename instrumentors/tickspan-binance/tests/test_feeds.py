"""Streams: what is counted of them, and what a desk hears of at once when one goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import binance
import pytest
from binance.exceptions import ReadLoopClosed
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator
from tickspan_binance import BinanceInstrumentor

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]

SYMBOL = "BTCUSDT"


def value_of(told: Capture, metric: str, channel: str) -> float:
    """The metric of one channel."""
    points = told.points(metric)
    return next(point.value for point in points if point.attributes["trading.feed.channel"] == channel)


async def until(is_true: Callable[[], bool], *, within_s: float = 8.0) -> None:
    """Wait for something that happens elsewhere."""
    async with asyncio.timeout(within_s):
        while not is_true():  # noqa: ASYNC110 - it happens on another thread
            await asyncio.sleep(0.02)


async def received(socket: Any, count: int) -> list[Any]:
    return [await socket.recv() for _ in range(count)]


def test_messages_are_counted_with_their_way_to_the_consumer(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    async def watch(desk: Any) -> None:
        async with desk.sockets.trade_socket(SYMBOL) as ticks:
            await received(ticks, 5)
            assert value_of(told, "trading.feed.backlog", "trades") >= 0

    bot.run(make_venue(tick_interval_s=0.02), watch)
    messages = value_of(told, "trading.feed.messages", "trades")
    assert messages >= 5
    assert value_of(told, "trading.feed.bytes", "trades") > 500
    assert [point.count for point in told.points("trading.feed.queue")] == [5]
    in_time = sum(point.count or 0 for point in told.points("trading.feed.lag"))
    assert in_time + value_of(told, "trading.clock.negative_lag", "trades") == messages


@pytest.mark.parametrize(
    ("socket", "args", "channel"),
    [
        ("depth_socket", (SYMBOL,), "order_book"),
        ("depth_socket", (SYMBOL, "5"), "order_book"),
        ("kline_socket", (SYMBOL,), "ohlcv"),
        ("symbol_ticker_socket", (SYMBOL,), "ticker"),
        ("symbol_miniticker_socket", (SYMBOL,), "ticker"),
        ("symbol_book_ticker_socket", (SYMBOL,), "ticker"),
        ("aggtrade_socket", (SYMBOL,), "trades"),
    ],
)
def test_an_order_after_any_market_message_has_its_instruments_tick(
    told: Capture, make_venue: MakeVenue, bot: Any, socket: str, args: tuple[str, ...], channel: str
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        async with getattr(desk.sockets, socket)(*args) as ticks:
            await desk.trade(ticks)

    bot.run(venue, trade)
    tick, submit = bot.named("trading.feed.message")[0], bot.named("trading.order.submit")[0]
    assert submit.attributes["trading.trigger"] == "tick"
    assert (tick.attributes["trading.instrument.symbol"], tick.attributes["trading.feed.channel"]) == (
        SYMBOL,
        channel,
    )


def test_one_connection_with_several_streams_is_told_apart_by_them(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        streams = ["btcusdt@trade", "ethusdt@trade", "ethusdt@depth"]
        async with desk.sockets.multiplex_socket(streams) as ticks:
            message: Any = {}
            while message.get("stream") != "ethusdt@depth":
                message = await ticks.recv()
            await desk.client.create_order(**desk.order())
            await received(ticks, 6)

    bot.run(venue, trade)
    tick = bot.named("trading.feed.message")[0]
    assert tick.attributes["trading.instrument.symbol"] == "ETHUSDT"
    assert tick.attributes["trading.feed.channel"] == "order_book"
    assert value_of(told, "trading.feed.messages", "trades") >= 4
    assert value_of(told, "trading.feed.sequence_gaps", "trades") == 0


@pytest.mark.parametrize(
    ("socket", "channel"),
    [("trade_socket", "trades"), ("aggtrade_socket", "trades"), ("depth_socket", "order_book")],
)
def test_a_gap_in_the_numbers_is_an_event(
    told: Capture, make_venue: MakeVenue, bot: Any, socket: str, channel: str
) -> None:
    venue = make_venue(tick_interval_s=0)

    async def watch(desk: Any) -> None:
        async with getattr(desk.sockets, socket)(SYMBOL) as ticks:
            for fault in (None, Fault.SEQUENCE_GAP, None):
                _ = venue.next(fault) if fault is not None else None
                venue.tick(SYMBOL)
                await ticks.recv()

    bot.run(venue, watch)
    gap = told.events("trading.feed.gap")
    assert value_of(told, "trading.feed.sequence_gaps", channel) == 1
    assert [(event.severity, event.attributes["trading.feed.channel"]) for event in gap] == [
        ("WARN", channel)
    ]


def test_a_full_queue_ends_the_loop_and_is_told_at_once(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(tick_interval_s=0.005)

    async def watch(desk: Any) -> None:
        sockets = binance.BinanceSocketManager(desk.client, max_queue_size=10)
        async with sockets.trade_socket(SYMBOL) as ticks:
            await until(lambda: bool(told.events("trading.feed.handler_error")))
            assert value_of(told, "trading.feed.backlog", "trades") == 11
            with pytest.raises(ReadLoopClosed):
                await ticks.recv()

    bot.run(venue, watch)
    (event,) = told.events("trading.feed.handler_error")
    assert event.severity == "ERROR"
    assert event.attributes["error.type"] == "binance.exceptions.BinanceWebsocketQueueOverflow"
    assert value_of(told, "trading.feed.dropped", "trades") == 11  # what waits is out of reach too
    assert value_of(told, "trading.feed.handler_errors", "trades") == 1


def test_a_message_that_cannot_be_read_ends_the_loop_and_is_told_at_once(
    told: Capture, make_venue: MakeVenue, bot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def watch(desk: Any) -> Any:
        async with desk.sockets.trade_socket(SYMBOL) as ticks:
            await ticks.recv()
            monkeypatch.setattr(ticks, "json_loads", {}.__getitem__)  # a text that it has no value for
            message: Any = {}
            while message.get("e") != "error":
                message = await ticks.recv()
            return message["type"]

    assert bot.run(make_venue(), watch) == "KeyError"
    (event,) = told.events("trading.feed.handler_error")
    assert (event.severity, event.attributes["error.type"]) == ("ERROR", "KeyError")


def test_an_answer_that_comes_too_late_ends_the_loop_of_all_user_data_and_is_told_at_once(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    """The library raises the error of a request that it no longer waits for, in the loop that reads it."""
    venue = make_venue(ack_delay_s=1)

    async def watch(desk: Any) -> None:
        user = desk.sockets.user_socket()
        await user.connect()
        venue.next(Fault.ACCEPT_THEN_504)
        with pytest.raises(binance.BinanceWebsocketUnableToConnect):
            await desk.client.ws_create_order(**desk.order())
        await until(lambda: bool(told.events("trading.feed.handler_error")))
        with pytest.raises(binance.BinanceWebsocketUnableToConnect, match="timed out"):
            await user.close()  # nobody reads the answer

    bot.run(venue, watch)
    channels = {
        event.attributes["trading.feed.channel"] for event in told.events("trading.feed.handler_error")
    }
    assert channels == {"orders", "ws_api"}


def test_a_broken_connection_is_made_again_and_goes_on_telling(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        async with desk.sockets.trade_socket(SYMBOL) as ticks:
            await ticks.recv()
            venue.next(Fault.DISCONNECT)
            errors: list[str] = []
            while len(errors) < 2:
                message = await ticks.recv()
                errors += [message["type"]] if message["e"] == "error" else []
            await desk.trade(ticks)

    bot.run(venue, trade)
    attempts = [span for span in told.spans() if span.name == "trading.stream.connect"]
    assert [span.attributes["trading.feed.channel"] for span in attempts] == ["trades", "trades"]
    assert value_of(told, "trading.stream.reconnects", "trades") == 1
    assert bot.named("trading.order.submit")[0].attributes["trading.trigger"] == "tick"


def test_user_data_that_the_library_does_not_subscribe_to_again_is_told_as_not_connected(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    """After a break only the connection for requests comes back: the stream stays mute, and looks alive."""
    venue = make_venue()

    async def trade(desk: Any) -> None:
        async with desk.sockets.user_socket() as user:
            before = value_of(told, "trading.stream.connected", "orders")
            venue.next(Fault.DISCONNECT)
            await user.recv()
            await until(lambda: value_of(told, "trading.stream.connected", "ws_api") == 1)
            after = value_of(told, "trading.stream.connected", "orders")
            assert (before, after) == (1, 0)

    bot.run(venue, trade)


def test_a_connection_that_cannot_be_made_is_a_span_with_its_error(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    async def watch(desk: Any) -> None:
        socket = desk.sockets.trade_socket(SYMBOL)
        socket._url += "no-such-place/"
        with pytest.raises(Exception, match="HTTP 404"):
            await socket.connect()

    bot.run(make_venue(), watch)
    attempt = next(span for span in told.spans() if span.name == "trading.stream.connect")
    assert (attempt.status, attempt.attributes["error.type"]) == (
        "error",
        "websockets.exceptions.InvalidStatus",
    )


@pytest.fixture
def quick(telemetry: Capture) -> Generator[Capture]:
    """python-binance instrumented, a stream stale after half a second."""
    BinanceInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings={"feed_stale_s": 0.5, "environment": "simulated"},
    )
    yield telemetry
    BinanceInstrumentor().uninstrument()


def test_a_stream_that_falls_silent_while_connected_is_told_within_a_second_of_its_threshold(
    quick: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(mute_s=3, tick_interval_s=0.02)

    async def watch(desk: Any) -> None:
        loop = asyncio.get_running_loop()
        async with desk.sockets.trade_socket(SYMBOL) as ticks:
            await received(ticks, 10)
            venue.next(Fault.MUTE)
            silent_since = loop.time()
            await until(lambda: bool(quick.events("trading.feed.stale")))
            assert loop.time() - silent_since < 0.5 + 1 + 0.5
            await until(lambda: bool(quick.events("trading.feed.recovered")))

    bot.run(venue, watch)
    (event,) = quick.events("trading.feed.stale")
    assert (event.severity, event.attributes["trading.feed.channel"]) == ("WARN", "trades")


def test_a_closed_stream_is_not_silent(quick: Capture, make_venue: MakeVenue, bot: Any) -> None:
    async def watch(desk: Any) -> None:
        async with desk.sockets.trade_socket(SYMBOL) as ticks:
            await received(ticks, 3)
        async with desk.sockets.depth_socket(SYMBOL) as book:
            for _ in range(3):
                await asyncio.wait_for(received(book, 10), 5)

    bot.run(make_venue(), watch)
    assert quick.events("trading.feed.stale") == []


def test_a_user_stream_is_heard_by_its_pings(quick: Capture, make_venue: MakeVenue, bot: Any) -> None:
    """It says nothing for hours; once it has been heard by pings, their absence is told."""

    async def watch(desk: Any) -> None:
        async with desk.sockets.user_socket():
            connection = desk.client.ws_api.ws
            for _ in range(3):
                await (await connection.ping())
            await until(lambda: bool(quick.events("trading.feed.stale")))
            await (await connection.ping())
            await until(lambda: bool(quick.events("trading.feed.recovered")))

    bot.run(make_venue(), watch)
    stale = {event.attributes["trading.feed.channel"] for event in quick.events("trading.feed.stale")}
    assert "orders" in stale


def test_budgets_and_clocks_are_read_from_every_answer(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(weight_limit_1m=50)

    async def ask(desk: Any) -> None:
        await desk.client.get_exchange_info()
        await desk.client.get_exchange_info()
        await desk.client.ws_create_order(**desk.order())

    bot.run(venue, ask)
    budgets = {
        (
            point.attributes["trading.rate_limit.name"],
            point.attributes["trading.rate_limit.scope"],
        ): point.value
        for point in told.points("trading.rate_limit.limit")
    }
    used = {
        (
            point.attributes["trading.rate_limit.name"],
            point.attributes["trading.rate_limit.scope"],
        ): point.value
        for point in told.points("trading.rate_limit.used")
    }
    sources = {point.attributes["trading.clock.source"] for point in told.points("trading.clock.offset")}
    assert budgets == {("request_weight", "1m"): 50, ("orders", "10s"): 100, ("orders", "1d"): 200_000}
    assert (used["request_weight", "1m"], used["orders", "10s"]) == (43, 1)
    assert [
        event.attributes["trading.rate_limit.budget"] for event in told.events("trading.rate_limit.near")
    ] == [50]
    assert {"date", "server_time"} <= sources


def test_a_clock_that_is_off_is_known_from_every_source(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    async def ask(desk: Any) -> None:
        await desk.client.get_account()

    bot.run(make_venue(clock_skew_s=30), ask)
    offsets = {
        point.attributes["trading.clock.source"]: point.value for point in told.points("trading.clock.offset")
    }
    assert offsets == {
        "date": pytest.approx(30, abs=1.1),
        "server_time": pytest.approx(30, abs=0.1),
        "timestamp_offset": pytest.approx(30, abs=0.1),
    }
    assert {event.attributes["trading.clock.source"] for event in told.events("trading.clock.skew")} == set(
        offsets
    )
