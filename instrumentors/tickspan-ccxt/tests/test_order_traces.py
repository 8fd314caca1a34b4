"""ccxt.pro against a venue: which spans an order leaves, and where they hang."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, ClassVar

import ccxt
import pytest
from opentelemetry import trace
from tickspan.instrumentation import suppressed
from tickspan.testing.capture import Capture
from tickspan.testing.order_traces import Around, OrderTraces, shown
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]


async def forever(watch: Callable[[str], Awaitable[Any]]) -> None:
    """Watch until the connection breaks."""
    while True:
        await watch("BTC/USDT")


class TestOrders(OrderTraces):
    venue_name: ClassVar[str] = "binance"
    executions: ClassVar[tuple[str, str]] = ("5000001", "5000002")
    method: ClassVar[str] = "create_order"

    async def place(self, bot: Any, client: Any, around: Around = nullcontext, count: int = 1) -> None:
        await client.watch_ticker(bot.symbol)
        with around():
            for _ in range(count):
                await getattr(client, self.method)(bot.symbol, "limit", "buy", 0.01, 90_000)

    async def fill(self, bot: Any, client: Any) -> None:
        watching = bot.watching(client, 1)
        await bot.trade(client, self.method)
        await watching

    async def fill_early(self, bot: Any, client: Any) -> None:
        watching = bot.watching(client, 1)
        await client.watch_ticker(bot.symbol)
        await asyncio.sleep(0.2)  # the user stream is up
        await bot.trade(client, self.method)
        await watching

    async def settle(self, bot: Any, client: Any, fault: Fault) -> None:
        await self.fill(bot, client)
        await asyncio.sleep(0.1)  # what is late or repeated comes now

    async def cancel(self, bot: Any, client: Any) -> None:
        order = await bot.trade(client, self.method)
        await client.cancel_order(order["id"], bot.symbol)


class TestOrdersByWebSocket(TestOrders):
    method: ClassVar[str] = "create_order_ws"


def test_the_spans_of_an_order_say_this_and_nothing_more(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(partials=(0.4, 0.6), fill_delay_s=0.05)

    async def trade(exchange: Any) -> None:
        watching = bot.watching(exchange, 1)
        await bot.trade(exchange)
        await watching

    bot.run(venue, trade)
    where = {
        "trading.venue.name": "binance",
        "trading.venue.environment": "simulated",
        "trading.client.library": "ccxt",
        "trading.instrument.symbol": "BTC/USDT",
    }
    order = {
        **where,
        "trading.order.operation": "submit",
        "trading.order.side": "buy",
        "trading.order.type": "limit",
        "trading.order.client_id": "client id",
        "trading.order.root_client_id": "client id",
        "trading.order.venue_id": "1000001",
    }
    event = {
        **order,
        "trading.order.event.source": "user_stream",
        "trading.venue.time_unix_nano": "time",
        "trading.execution.liquidity": "taker",
    }
    assert [shown(span.attributes, r"x-TKT5PX2F\w+") for span in bot.spans()] == [
        {
            "trading.venue.name": "binance",
            "trading.instrument.symbol": "BTC/USDT",
            "trading.feed.channel": "ticker",
            "trading.venue.time_unix_nano": "time",
        },
        {},
        {
            **order,
            "trading.instrument.class": "spot",
            "trading.trigger": "tick",
            "trading.latency.signing": "seconds",
            "trading.order.status": "new",
        },
        {
            **event,
            "trading.order.status": "partially_filled",
            "trading.order.filled_ratio": 0.4,
            "trading.execution.id": "5000001",
        },
        {
            **event,
            "trading.order.status": "filled",
            "trading.order.filled_ratio": 1.0,
            "trading.execution.id": "5000002",
        },
        {
            **order,
            "trading.trigger": "tick",
            "trading.order.status": "filled",
            "trading.order.filled_ratio": 1.0,
            "trading.order.executions": 2,
            "trading.order.complete": True,
            "trading.latency.feed_queue": "seconds",
            "trading.latency.tick_to_decision": "seconds",
            "trading.latency.decision_to_wire": "seconds",
            "trading.latency.wire_to_ack": "seconds",
            "trading.latency.ack_to_first_fill": "seconds",
            "trading.latency.order_duration": "seconds",
            "trading.latency.tick_to_trade": "seconds",
            "trading.latency.tick_to_fill": "seconds",
        },
    ]


def test_each_tick_has_a_trace_of_its_own(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(exchange: Any) -> None:
        for _ in range(3):
            await bot.trade(exchange)

    bot.run(venue, trade)
    assert [span.trace_id for span in bot.named("trading.order.submit")] == [1, 2, 3]
    assert [span.parent_id for span in bot.named("trading.feed.message")] == [None, None, None]


def test_a_fill_that_triggers_a_hedge_is_linked_to_it(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=0.05)

    async def hedge(exchange: Any) -> None:
        first = asyncio.create_task(bot.trade(exchange))
        orders = await exchange.watch_orders()
        while orders[-1]["status"] != "closed":
            orders = await exchange.watch_orders()
        await first
        await exchange.create_order(bot.symbol, "market", "sell", 0.01)

    bot.run(venue, hedge)
    first, second = bot.named("trading.order.submit")
    fill = bot.named("trading.order.event filled")[0]
    assert (second.attributes["trading.trigger"], second.links) == (
        "order_event",
        ((fill.trace_id, fill.span_id),),
    )
    assert (first.trace_id, second.trace_id) == (1, 2)


def test_a_tick_watched_in_a_gathered_task_is_inferred(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def lost(exchange: Any) -> None:
        await asyncio.gather(exchange.watch_ticker(bot.symbol))
        await exchange.create_order(bot.symbol, "limit", "buy", 0.01, 90_000)

    bot.run(venue, lost)
    submit = bot.named("trading.order.submit")[0]
    assert submit.attributes["trading.trigger"] == "inferred"
    assert bot.tree().startswith(
        "trading.feed.message\n  trading.strategy.decision\n    trading.order.submit"
    )


def test_an_order_placed_in_a_new_task_keeps_its_tick(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(exchange: Any) -> None:
        await exchange.watch_ticker(bot.symbol)
        create = exchange.create_order
        orders = [create(bot.symbol, "limit", side, 0.01, 50_000) for side in ("buy", "sell")]
        await asyncio.gather(*map(asyncio.create_task, orders))

    bot.run(venue, trade)
    submits = bot.named("trading.order.submit")
    assert [(span.attributes["trading.trigger"], span.trace_id) for span in submits] == [("tick", 1)] * 2


def test_no_report_hangs_below_the_span_that_was_current_when_the_loop_was_started(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.05)
    tracer = told.tracer_provider.get_tracer("the bot")

    async def trade(exchange: Any) -> None:
        with tracer.start_as_current_span("start up"):
            watching = bot.watching(exchange, 1)
            await exchange.watch_ticker(bot.symbol)
            await exchange.watch_order_book(bot.symbol)
        await bot.trade(exchange)
        await watching

    bot.run(venue, trade)
    assert [span.name for span in bot.spans() if span.trace_id == 1] == ["start up"]
    assert {span.trace_id for span in bot.named("trading.order")} == {2}


def test_the_programs_own_context_survives_a_tick(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue()

    async def trade(exchange: Any) -> bool:
        before = trace.get_current_span()
        await exchange.watch_ticker(bot.symbol)
        return before is trace.get_current_span()

    assert bot.run(venue, trade)
    assert bot.spans() == []


def test_a_reconnected_read_loop_goes_on_telling(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=0.05)

    async def trade(exchange: Any) -> None:
        watching = bot.watching(exchange, 1)
        await bot.trade(exchange)
        await watching
        venue.next(Fault.DISCONNECT)
        with pytest.raises(ccxt.NetworkError):
            await forever(exchange.watch_ticker)
        watching = bot.watching(exchange, 1)
        await bot.trade(exchange)
        await watching

    bot.run(venue, trade)
    filled = bot.named("trading.order.event filled")
    submits = bot.named("trading.order.submit")
    assert [span.parent_id for span in filled] == [span.span_id for span in submits]
    assert [span.trace_id for span in submits] == [1, 2]


def test_a_replaced_order_hands_its_trace_to_the_next_one(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(exchange: Any) -> None:
        order = await bot.trade(exchange)
        edited = await exchange.edit_order(order["id"], bot.symbol, "limit", "buy", 0.02, 51_000)
        await exchange.fetch_order(edited["id"], bot.symbol)

    bot.run(venue, trade)
    assert bot.tree() == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n"
        "    trading.order.submit binance\n"
        "      trading.order.replace binance\n"
        "        trading.order.query binance\n"
        "        trading.order.lifecycle\n"
        "      trading.order.event replaced\n"
        "      trading.order.lifecycle"
    )
    replaced, placed = bot.named("trading.order.lifecycle")
    root = bot.named("trading.order.submit")[0].attributes["trading.order.client_id"]
    assert replaced.attributes["trading.order.status"] == "replaced"
    assert placed.attributes["trading.order.revision"] == 1
    assert placed.attributes["trading.order.root_client_id"] == root


def test_a_late_report_says_so(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(partials=(0.4, 0.6))
    venue.next(Fault.REORDER)

    async def trade(exchange: Any) -> None:
        watching = bot.watching(exchange, 1)
        await bot.trade(exchange)
        await watching
        await asyncio.sleep(0.1)  # what was held back comes now

    bot.run(venue, trade)
    events = bot.named("trading.order.event")
    assert [(span.name, span.attributes.get("trading.order.late")) for span in events] == [
        ("trading.order.event filled", None),
        ("trading.order.event partially_filled", True),
    ]


def test_an_order_that_nobody_here_placed_is_told_as_unmatched(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue()

    async def trade(exchange: Any) -> None:
        await exchange.load_markets()
        watching = bot.watching(exchange, 1)
        await asyncio.sleep(0.3)  # the user stream is up
        other = venue.connect.ccxt(ccxt.binance({"enableRateLimit": False}))
        with suppressed():
            other.create_order(bot.symbol, "market", "buy", 0.01)
        await watching

    bot.run(venue, trade)
    unmatched = [span for span in told.spans() if span.attributes.get("trading.order.matched") is False]
    assert [span.name for span in unmatched] == ["trading.order.event new", "trading.order.event filled"]
    assert [span.parent_id for span in unmatched] == [None, None]


def test_polled_orders_of_others_leave_no_span(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue()

    async def trade(exchange: Any) -> list[Any]:
        with suppressed():
            await exchange.create_order(bot.symbol, "market", "buy", 0.01)
        await asyncio.sleep(0.1)
        return await exchange.fetch_my_trades(bot.symbol)

    assert len(bot.run(venue, trade)) == 1
    assert bot.spans() == []
