"""What costs money and no exception tells: waits, budgets, clocks, streams that are torn, mute or behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
import weakref
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import ccxt
import ccxt.pro
import pytest
from tickspan import trading
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator
from tickspan_ccxt import CcxtInstrumentor
from tickspan_ccxt.describe import address_of

pytestmark = pytest.mark.integration

SYMBOL = "BTC/USDT"


@pytest.fixture(autouse=True, scope="module")
def _frozen() -> None:
    """Looking for what is gone looks at objects of these tests alone, not at a whole run's."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def heard(telemetry: Capture) -> Generator[Capture]:
    """ccxt instrumented with events, and a short patience."""
    CcxtInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings={
            "lifecycle_delay_s": 3600,
            "environment": "simulated",
            "feed_stale_s": 0.5,
            "throttle_warn_s": 0.1,
        },
    )
    yield telemetry
    trading.shutdown()
    CcxtInstrumentor().uninstrument()


def value(told: Capture, metric: str, **attributes: Any) -> float:
    """The sum of a metric's points with these attributes."""
    wanted = {f"trading.{name.replace('__', '.')}": value for name, value in attributes.items()}
    points = told.points(metric)
    return sum(point.value for point in points if wanted.items() <= dict(point.attributes).items())


async def until(holds: Callable[[], Any], seconds: float = 5.0) -> None:
    """Wait for something to be so."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is awaited is told by our own watch, in another thread
            await asyncio.sleep(0.01)


def watched(venue: VenueSimulator, body: Callable[[Any], Any], **config: Any) -> None:
    """Run `body(exchange)` on a ccxt.pro exchange."""

    async def main() -> None:
        settings: Any = {"enableRateLimit": False, **config}
        exchange = venue.connect.ccxt(ccxt.pro.binance(settings))
        try:
            await body(exchange)
        finally:
            await exchange.close()

    asyncio.run(main())


def test_the_time_in_the_clients_own_throttle_is_a_segment_of_the_order_and_told_when_long(
    heard: Capture, make_venue: Any
) -> None:
    exchange = make_venue().connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    exchange.load_markets()
    exchange.enableRateLimit, exchange.rateLimit = True, 2_000  # milliseconds for one unit of weight
    exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    (submit,) = [span for span in heard.spans() if span.name.startswith("trading.order.submit")]
    assert submit.attributes["trading.latency.throttle_wait"] >= 0.1
    (event,) = heard.events("trading.order.throttled")
    assert (event.severity, event.span_id) == ("WARN", submit.span_id)
    segments = {p.attributes["trading.segment"] for p in heard.points("trading.order.segment.duration")}
    assert segments == {"throttle_wait", "sign"}


def test_the_asynchronous_throttle_is_measured_too(heard: Capture, make_venue: Any) -> None:
    async def trade(exchange: Any) -> None:
        await exchange.load_markets()
        await asyncio.gather(*(exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000) for _ in range(3)))

    watched(make_venue(), trade, enableRateLimit=True, rateLimit=200)
    submits = [span for span in heard.spans() if span.name.startswith("trading.order.submit")]
    waits = sorted(span.attributes["trading.latency.throttle_wait"] for span in submits)
    assert waits[-1] >= 0.1


def test_budgets_and_clock_come_from_every_answer(heard: Capture, make_venue: Any) -> None:
    exchange = make_venue(clock_skew_s=-3).connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    exchange.fetch_ticker(SYMBOL)
    exchange.load_time_difference()
    used = {point.attributes["trading.rate_limit.name"] for point in heard.points("trading.rate_limit.used")}
    offsets = {
        point.attributes["trading.clock.source"]: point.value
        for point in heard.points("trading.clock.offset")
    }
    assert used == {"request_weight", "orders"}
    assert offsets["time_difference"] == pytest.approx(-3, abs=0.5)
    assert [event.severity for event in heard.events("trading.clock.skew")][:1] == ["WARN"]


def test_a_refusal_for_too_many_requests_is_a_hit_and_an_event(heard: Capture, make_venue: Any) -> None:
    venue = make_venue()
    exchange = venue.connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    exchange.load_markets()
    venue.next(Fault.RATE_LIMIT_429)
    with pytest.raises(ccxt.DDoSProtection):
        exchange.fetch_ticker(SYMBOL)
    assert value(heard, "trading.rate_limit.hits") == 1
    assert [event.name for event in heard.events("trading.rate_limit.exhausted")] == [
        "trading.rate_limit.exhausted"
    ]


def test_messages_are_counted_by_stream_and_connections_are_told(heard: Capture, make_venue: Any) -> None:
    async def watch(exchange: Any) -> None:
        for _ in range(3):
            await exchange.watch_ticker(SYMBOL)

    watched(make_venue(), watch)
    assert value(heard, "trading.feed.messages", feed__channel="ticker") >= 3
    assert value(heard, "trading.feed.bytes", feed__channel="ticker") > 300
    (connect,) = [span for span in heard.spans() if span.name == "trading.stream.connect"]
    assert (connect.kind, connect.status) == ("client", "unset")


def test_updates_that_come_while_nobody_waits_are_conflated(heard: Capture, make_venue: Any) -> None:
    venue = make_venue(tick_interval_s=0.01)

    async def watch(exchange: Any) -> None:
        await exchange.watch_ticker(SYMBOL)
        await asyncio.sleep(0.3)  # busy elsewhere
        await exchange.watch_ticker(SYMBOL)

    watched(venue, watch)
    assert value(heard, "trading.feed.conflated", feed__channel="ticker") >= 5


def test_a_jump_in_the_venues_numbers_is_a_gap(heard: Capture, make_venue: Any) -> None:
    venue = make_venue(tick_interval_s=0.02)

    async def watch(exchange: Any) -> None:
        for _ in range(3):
            await exchange.watch_trades(SYMBOL)
        venue.next(Fault.SEQUENCE_GAP)
        await until(lambda: heard.events("trading.feed.gap"))

    watched(venue, watch)
    (gap,) = heard.events("trading.feed.gap")
    assert (gap.severity, gap.attributes["trading.feed.channel"]) == ("WARN", "trades")
    assert value(heard, "trading.feed.sequence_gaps", feed__channel="trades") == 1


def test_a_stream_that_falls_silent_is_told_also_while_the_loop_is_blocked(
    heard: Capture, make_venue: Any
) -> None:
    venue = make_venue(tick_interval_s=0.02, mute_s=30)

    async def watch(exchange: Any) -> None:
        for _ in range(20):
            await exchange.watch_ticker(SYMBOL)
        venue.next(Fault.MUTE)
        await until(lambda: heard.events("trading.feed.stale"), 8)

    watched(venue, watch)
    stale = heard.events("trading.feed.stale")[0]
    assert (stale.severity, stale.attributes["trading.venue.name"]) == ("WARN", "binance")


def test_a_stream_that_the_program_has_closed_with_messages_left_to_read_is_not_told_stale(
    heard: Capture, make_venue: Any
) -> None:
    async def watch(exchange: Any) -> None:
        for _ in range(5):
            await exchange.watch_ticker(SYMBOL)
        time.sleep(0.3)  # noqa: ASYNC251 - the venue goes on, and the socket's buffer fills
        await asyncio.sleep(0)
        await exchange.close()
        await asyncio.sleep(2)  # two looks of our own watch

    watched(make_venue(tick_interval_s=0.01), watch)
    assert heard.events("trading.feed.stale") == []


def test_an_exception_out_of_a_message_handler_is_told_at_once(
    heard: Capture, make_venue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("payload")

    def unheard(*_: Any) -> None:
        """asyncio would print it."""

    async def watch(exchange: Any) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(unheard)
        await exchange.watch_ticker(SYMBOL)
        monkeypatch.setattr(exchange, "parse_ws_ticker", broken)
        await until(lambda: heard.events("trading.feed.handler_error"))

    watched(make_venue(tick_interval_s=0.02), watch)
    event = heard.events("trading.feed.handler_error")[0]
    assert (event.severity, event.attributes["error.type"]) == ("ERROR", "KeyError")
    assert value(heard, "trading.feed.handler_errors") >= 1


def test_a_retry_of_an_order_by_ccxt_is_an_unsafe_one(heard: Capture, make_venue: Any) -> None:
    venue = make_venue()
    retries = {"maxRetriesOnFailure": 1, "maxRetriesOnFailureDelay": 300}
    config: Any = {"enableRateLimit": False, "options": retries}
    exchange = venue.connect.ccxt(ccxt.binance(config))
    exchange.load_markets()
    venue.next(Fault.ACCEPT_THEN_504)
    exchange.create_order(SYMBOL, "limit", "buy", 0.01, 90_000)
    (event,) = heard.events("trading.order.unsafe_retry")
    assert (len(venue.orders), event.severity, event.attributes["trading.order.attempt"]) == (2, "ERROR", 2)


@pytest.mark.parametrize("fault", [None, Fault.ACCEPT_THEN_RESET])
def test_an_order_is_written_down_under_its_name_before_a_byte_leaves(
    heard: Capture, make_venue: Any, monkeypatch: pytest.MonkeyPatch, fault: Fault | None
) -> None:
    venue = make_venue()
    exchange = venue.connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    exchange.load_markets()
    written: list[list[Any]] = []
    send = exchange.session.request

    def sending(*args: Any, **kwargs: Any) -> Any:
        written.append(
            [event.attributes["trading.order.client_id"] for event in heard.events("trading.order.new")]
        )
        return send(*args, **kwargs)

    monkeypatch.setattr(exchange.session, "request", sending)
    if fault is not None:
        venue.next(fault)
    with contextlib.suppress(ccxt.NetworkError):
        exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    ids = [order.client_id for order in venue.orders]
    assert (
        written[-1],
        [e.attributes["trading.order.client_id"] for e in heard.events("trading.order.new")],
    ) == (
        ids,
        ids,
    )


def test_an_order_that_is_never_sent_is_written_down_and_refused(heard: Capture, make_venue: Any) -> None:
    exchange = make_venue().connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    exchange.load_markets()
    with pytest.raises(ccxt.BadSymbol):
        exchange.create_order("NO/SUCH", "limit", "buy", 0.01, 50_000)
    names = [event.name for event in heard.events() if event.name.startswith("trading.order.")]
    assert names == ["trading.order.new", "trading.order.reject"]


def stale_of(told: Capture, channel: str) -> list[Any]:
    """The alarms about streams of this kind."""
    return [
        event
        for event in told.events("trading.feed.stale")
        if event.attributes["trading.feed.channel"] == channel
    ]


def is_collected(thing: weakref.ref[Any]) -> bool:
    """Whether it is gone, once garbage is collected."""
    gc.collect()
    return thing() is None


async def until_broken(venue: VenueSimulator, exchange: Any) -> float:
    """Watch until the connection breaks; when the last message was seen."""
    seen_s = time.monotonic()
    for _ in range(5):
        await exchange.watch_ticker(SYMBOL)
    venue.next(Fault.DISCONNECT)
    with contextlib.suppress(ccxt.NetworkError):
        while True:
            await exchange.watch_ticker(SYMBOL)
            seen_s = time.monotonic()
    return seen_s


async def until_dropped(venue: VenueSimulator, exchange: Any) -> float:
    """The same, and wait until ccxt's object of the connection is gone."""
    await exchange.watch_ticker(SYMBOL)
    connection = weakref.ref(*exchange.clients.values())
    seen_s = await until_broken(venue, exchange)
    await until(lambda: is_collected(connection))
    return seen_s


@pytest.mark.parametrize("trial", range(5))
def test_a_connection_that_breaks_and_is_not_reopened_is_told_stale_in_time(
    heard: Capture, make_venue: Any, trial: int
) -> None:
    delays_s: list[float] = []

    async def watch(exchange: Any) -> None:
        await asyncio.sleep(trial * 0.2)  # at any moment between two looks of our own watch
        broken_s = await until_dropped(venue, exchange)
        await until(lambda: stale_of(heard, "ticker"))
        delays_s.append(time.monotonic() - broken_s)

    venue = make_venue(tick_interval_s=0.02)
    watched(venue, watch)
    (event,) = stale_of(heard, "ticker")
    assert event.body.endswith("s, disconnected")
    assert 0.5 < delays_s[0] < 0.5 + 1 + 0.3


def test_a_broken_connection_is_told_stale_itself_for_order_streams_may_hang_from_it(
    heard: Capture, make_venue: Any
) -> None:
    async def watch(exchange: Any) -> None:
        await until_dropped(venue, exchange)
        await until(lambda: stale_of(heard, "connection"))

    venue = make_venue(tick_interval_s=0.02)
    watched(venue, watch)
    (event,) = stale_of(heard, "connection")
    assert 0.5 < event.attributes["trading.feed.age"] < 0.5 + 1 + 0.3


def test_a_connection_that_ccxt_gives_up_for_a_book_that_it_cannot_load_is_told_stale(
    heard: Capture, make_venue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any) -> None:
        raise ccxt.ExchangeNotAvailable("no snapshot")

    async def watch(exchange: Any) -> None:
        for _ in range(5):
            await exchange.watch_ticker(SYMBOL)
        (connection,) = exchange.clients.values()
        exchange.orderbooks[SYMBOL] = exchange.order_book()
        monkeypatch.setattr(exchange, "fetch_rest_order_book_safe", refused)
        await exchange.load_order_book(connection, "orderbook", SYMBOL)
        await until(lambda: stale_of(heard, "ticker"))

    watched(make_venue(tick_interval_s=0.02), watch)
    (event,) = stale_of(heard, "ticker")
    assert event.attributes["error.type"] == "ccxt.base.errors.ExchangeNotAvailable"


def test_a_stream_that_is_opened_again_is_the_same_stream(heard: Capture, make_venue: Any) -> None:
    async def watch(exchange: Any) -> None:
        for _ in range(3):
            await until_dropped(venue, exchange)
        await until(lambda: stale_of(heard, "ticker"))
        await exchange.watch_ticker(SYMBOL)
        await until(lambda: heard.events("trading.feed.recovered"))
        connected.append(value(heard, "trading.stream.connected", feed__channel="connection"))

    connected: list[float] = []
    venue = make_venue(tick_interval_s=0.02)
    watched(venue, watch)
    assert value(heard, "trading.stream.reconnects", feed__channel="connection") == 3
    assert (connected, len(stale_of(heard, "ticker"))) == ([1], 1)


def test_an_exchange_that_is_closed_after_its_connection_broke_is_not_told_stale(
    heard: Capture, make_venue: Any
) -> None:
    async def watch(exchange: Any) -> None:
        await until_broken(venue, exchange)
        await exchange.close()
        await asyncio.sleep(2)  # two looks of our own watch

    venue = make_venue(tick_interval_s=0.02)
    watched(venue, watch)
    assert heard.events("trading.feed.stale") == []


def test_a_stream_that_is_unsubscribed_after_its_connection_broke_is_not_told_stale(
    heard: Capture, make_venue: Any
) -> None:
    async def watch(exchange: Any) -> None:
        await until_broken(venue, exchange)
        exchange.clean_cache({"topic": "ticker", "symbols": [SYMBOL]})
        await until(lambda: stale_of(heard, "connection"))

    venue = make_venue(tick_interval_s=0.02)
    watched(venue, watch)
    assert stale_of(heard, "ticker") == []


def test_streams_end_with_an_exchange_that_nobody_holds_any_longer(heard: Capture, make_venue: Any) -> None:
    async def main() -> None:
        exchange = venue.connect.ccxt(ccxt.pro.binance({"enableRateLimit": False}))
        await until_broken(venue, exchange)
        await exchange.session.close()
        exchange.session = None
        await exchange.close_connector()
        await until(lambda: heard.points("trading.feed.staleness"))
        gone = weakref.ref(exchange)
        del exchange
        await until(lambda: is_collected(gone))
        await until(lambda: not heard.points("trading.feed.staleness"))

    venue = make_venue(tick_interval_s=0.02)
    asyncio.run(main())
    assert value(heard, "trading.feed.messages", feed__channel="ticker") >= 5


def test_keys_tokens_and_times_are_no_part_of_where_a_connection_leads_to() -> None:
    key = "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"
    told = {
        url: address_of(SimpleNamespace(url=url.format(key)))
        for url in (
            "wss://stream.binance.com:9443/ws/{}",
            "wss://fstream.binance.com/private/ws?listenKey={}",
            "wss://ws-api-spot.kucoin.com/?token={}&connectId=private",
            "wss://api.hollaex.com/stream?api-key={}&api-expires=1764141000",
            "wss://stream.binance.com:9443/ws/12",
            "wss://ws-api.binance.com:443/ws-api/v3",
            "wss://very-long-name.of-a-host-no-1.example.com/ws",
        )
    }
    assert list(told.values()) == [
        "wss://stream.binance.com:9443/ws/*",
        "wss://fstream.binance.com/private/ws?listenKey=*",
        "wss://ws-api-spot.kucoin.com/?token=*&connectId=private",
        "wss://api.hollaex.com/stream?api-key=*&api-expires=*",
        "wss://stream.binance.com:9443/ws/12",
        "wss://ws-api.binance.com:443/ws-api/v3",
        "wss://very-long-name.of-a-host-no-1.example.com/ws",
    ]
