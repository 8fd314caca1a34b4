"""alpaca-py against a venue: which spans an order leaves, and where they hang."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, ClassVar

import pytest
from opentelemetry import trace
from tickspan import trading
from tickspan.instrumentation import suppressed
from tickspan.testing.capture import Capture
from tickspan.testing.order_traces import Around, OrderTraces, shown
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]

PLACED = """\
trading.feed.message
  trading.strategy.decision
    trading.order.submit alpaca
      trading.order.lifecycle"""
EXECUTIONS = ("ec000000-0000-4000-8000-0000004c4b41", "ec000000-0000-4000-8000-0000004c4b42")


class TestOrders(OrderTraces):
    venue_name: ClassVar[str] = "alpaca"
    executions: ClassVar[tuple[str, str]] = EXECUTIONS
    terms: ClassVar[Mapping[str, str]] = {}

    async def place(self, bot: Any, client: Any, around: Around = nullcontext, count: int = 1) -> None:
        def act() -> None:
            with around():
                for _ in range(count):
                    client.limit()

        await client.at_quote(act)

    async def fill(self, bot: Any, client: Any) -> None:
        await client.at_quote(lambda: client.limit(**self.terms))
        await client.until_over(1)

    async def fill_early(self, bot: Any, client: Any) -> None:
        # In a thread, so that the streams go on while the answer is on its way.
        await client.at_quote(lambda: asyncio.to_thread(client.limit, **self.terms))
        await client.until_over(1)

    async def settle(self, bot: Any, client: Any, fault: Fault) -> None:
        is_repeated = fault is Fault.DUPLICATE_EVENT
        await client.at_quote(lambda: client.limit(**self.terms))
        await client.until("new", "partial_fill", "fill", *(["partial_fill"] if is_repeated else []))

    async def cancel(self, bot: Any, client: Any) -> None:
        order = await client.at_quote(client.limit)
        client.trading.cancel_order_by_id(order.id)
        await client.until_over(1)


class TestNamedOrders(TestOrders):
    terms: ClassVar[Mapping[str, str]] = {"client_order_id": "mine"}


def test_the_spans_of_an_order_say_this_and_nothing_more(make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(partials=(0.4, 0.6), fill_delay_s=0.05)

    async def trade(session: Any) -> None:
        await session.at_quote(lambda: session.limit(client_order_id="mine"))
        await session.until_over(1)

    bot.run(venue, trade)
    where = {
        "trading.venue.name": "alpaca",
        "trading.venue.environment": "simulated",
        "trading.client.library": "alpaca-py",
        "trading.instrument.symbol": "AAPL",
    }
    order = {
        **where,
        "trading.order.operation": "submit",
        "trading.order.side": "buy",
        "trading.order.type": "limit",
        "trading.order.client_id": "mine",
        "trading.order.root_client_id": "mine",
        "trading.order.venue_id": "0d000000-0000-4000-8000-0000000f4241",
    }
    event = {
        **order,
        "trading.order.event.source": "user_stream",
        "trading.venue.time_unix_nano": "time",
    }
    assert [shown(span.attributes) for span in bot.spans()] == [
        {
            "trading.venue.name": "alpaca",
            "trading.instrument.symbol": "AAPL",
            "trading.feed.channel": "quotes",
            "trading.venue.time_unix_nano": "time",
        },
        {},
        {
            **order,
            "trading.instrument.class": "equity",
            "trading.order.time_in_force": "day",
            "trading.trigger": "tick",
            "trading.order.status": "new",
        },
        {
            **event,
            "trading.order.status": "partially_filled",
            "trading.order.filled_ratio": 0.4,
            "trading.execution.id": EXECUTIONS[0],
        },
        {
            **event,
            "trading.order.status": "filled",
            "trading.order.filled_ratio": 1.0,
            "trading.execution.id": EXECUTIONS[1],
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


def test_a_quote_that_waited_behind_a_slow_handler_is_as_old_as_it_is(
    make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60, tick_interval_s=0.05)

    async def trade(session: Any) -> None:
        slow = asyncio.create_task(session.at_quote(lambda: asyncio.sleep(0.4)))
        await asyncio.sleep(0)
        await session.at_quote(session.limit)
        await slow

    bot.run(venue, trade)
    life = bot.named("trading.order.lifecycle")[0].attributes
    assert life["trading.latency.feed_queue"] > 0.2


def test_each_tick_has_a_trace_of_its_own(make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(session: Any) -> None:
        for _ in range(3):
            await session.at_quote(session.limit)

    bot.run(venue, trade)
    assert bot.tree() == "\n".join([PLACED] * 3)


def test_a_fill_that_triggers_a_hedge_is_linked_to_it(make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=0.05)

    async def trade(session: Any) -> None:
        hedged = asyncio.create_task(session.at_update("fill", lambda: session.limit(10, 100, "sell")))
        await asyncio.sleep(0)
        await session.at_quote(session.limit)
        await hedged
        await session.until_over(2)

    bot.run(venue, trade)
    first, second = bot.named("trading.order.submit")
    fill = bot.named("trading.order.event filled")[0]
    assert (second.attributes["trading.trigger"], second.links) == (
        "order_event",
        ((fill.trace_id, fill.span_id),),
    )
    assert first.trace_id != second.trace_id


@pytest.mark.parametrize("place", ["thread", "task"])
def test_an_order_placed_elsewhere_for_a_quote_keeps_its_tick(
    make_venue: MakeVenue, bot: Any, place: str
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(session: Any) -> None:
        async def later() -> Any:
            return session.limit()

        elsewhere = {
            "thread": lambda: asyncio.to_thread(session.limit),
            "task": lambda: asyncio.create_task(later()),
        }
        await (
            await session.at_quote(elsewhere[place])
            if place == "task"
            else session.at_quote(elsewhere[place])
        )

    bot.run(venue, trade)
    assert bot.tree() == PLACED
    assert bot.named("trading.order.submit")[0].attributes["trading.trigger"] == "tick"


def test_an_order_placed_outside_of_the_handler_finds_the_newest_quote_of_its_symbol(
    make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(session: Any) -> None:
        await session.at_quote(lambda: None)
        session.limit()

    bot.run(venue, trade)
    assert bot.named("trading.order.submit")[0].attributes["trading.trigger"] == "inferred"
    assert bot.tree() == PLACED


def test_market_data_that_was_asked_for_is_a_cause_too(told: Capture, make_venue: MakeVenue) -> None:
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.data.requests import StockLatestQuoteRequest
    from alpaca.trading.client import TradingClient
    from alpaca.trading.requests import MarketOrderRequest

    venue = make_venue(fill_delay_s=60, tick_interval_s=0)
    data: Any = StockHistoricalDataClient(**venue.connect.alpaca(StockHistoricalDataClient))
    client: Any = TradingClient(**venue.connect.alpaca(TradingClient))
    data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))
    client.submit_order(MarketOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day"))
    for one in (data, client):
        one._session.close()
    (submit,) = told.spans()
    assert (submit.name, submit.attributes["trading.trigger"]) == ("trading.order.submit alpaca", "poll")


def test_no_report_hangs_below_the_span_that_was_current_when_the_streams_were_started(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.02)
    tracer = told.tracer_provider.get_tracer("the bot")

    async def trade(session: Any) -> None:
        await session.at_quote(session.limit)
        await session.until_over(1)

    with tracer.start_as_current_span("start up"):
        bot.run(venue, trade)
    start_up = bot.named("start up")[0]
    assert [span.name for span in told.spans() if span.trace_id == start_up.trace_id] == ["start up"]


def test_the_programs_own_span_survives_a_tick(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue()

    async def trade(session: Any) -> Any:
        return await session.at_quote(lambda: (trace.get_current_span(), trading.current_tick()))

    span, tick = bot.run(venue, trade)
    assert not span.get_span_context().is_valid
    assert (tick.channel, tick.instrument) == ("quotes", "AAPL")
    assert bot.spans() == []


# --- cancel, replace, close


def test_all_orders_canceled_at_once_end_in_their_own_traces(make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(session: Any) -> None:
        for _ in range(2):
            await session.at_quote(session.limit)
        session.trading.cancel_orders()
        await session.until_over(2)

    bot.run(venue, trade)
    submits, ends = bot.named("trading.order.submit"), bot.named("trading.order.event canceled")
    assert sorted(span.parent_id for span in ends) == sorted(span.span_id for span in submits)
    assert len(bot.named("trading.order.cancel")) == 1


def test_a_replaced_order_hands_its_trace_to_the_next_one(make_venue: MakeVenue, bot: Any) -> None:
    from alpaca.trading.requests import ReplaceOrderRequest

    venue = make_venue(fill_delay_s=60)

    async def trade(session: Any) -> None:
        order = await session.at_quote(lambda: session.limit(10, 100, client_order_id="root"))
        told = ["new"]
        for price in (101, 102):
            await session.until(*told)
            order = session.trading.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=price))
            told += ["pending_replace", "new", "replaced"]
        await session.until(*told)
        session.trading.get_order_by_id(order.id)

    bot.run(venue, trade)
    assert bot.tree() == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n"
        "    trading.order.submit alpaca\n"
        "      trading.order.replace alpaca\n"
        "        trading.order.replace alpaca\n"
        "          trading.order.query alpaca\n"
        "          trading.order.lifecycle\n"
        "        trading.order.event replaced\n"
        "        trading.order.lifecycle\n"
        "      trading.order.event replaced\n"
        "      trading.order.lifecycle"
    )
    lives = [span.attributes for span in bot.named("trading.order.lifecycle")]
    assert [
        (
            life["trading.order.status"],
            life.get("trading.order.revision"),
            life["trading.order.root_client_id"],
        )
        for life in sorted(lives, key=lambda life: life.get("trading.order.revision", 0))
    ] == [("replaced", None, "root"), ("replaced", 1, "root"), ("new", 2, "root")]


def test_the_order_that_closes_a_position_is_an_order(make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=0.02)

    async def trade(session: Any) -> None:
        await session.at_quote(lambda: session.trading.close_position("AAPL"))
        await session.until_over(1)

    bot.run(venue, trade)
    assert bot.tree() == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n"
        "    trading.order.submit alpaca\n"
        "      trading.order.event filled\n"
        "      trading.order.lifecycle"
    )
    life = bot.named("trading.order.lifecycle")[0].attributes
    assert (life["trading.order.filled_ratio"], life["trading.order.type"]) == (1.0, "market")


def test_every_order_that_closes_all_positions_belongs_to_the_call(make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=0.02, balances={"USD": "1000", "AAPL": "10", "BTC": "1"})

    async def trade(session: Any) -> None:
        await session.at_quote(session.trading.close_all_positions)
        await session.until_over(2)

    bot.run(venue, trade)
    (submit,) = bot.named("trading.order.submit")
    fills = bot.named("trading.order.event filled")
    assert [span.parent_id for span in fills] == [submit.span_id] * 2
    assert sorted(span.attributes["trading.execution.id"] for span in fills) == [*EXECUTIONS]


def test_closing_all_of_nothing_leaves_no_order_open(make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(balances={"USD": "1000"})

    async def trade(session: Any) -> None:
        await session.at_quote(session.trading.close_all_positions)

    bot.run(venue, trade)
    (life,) = bot.named("trading.order.lifecycle")
    assert (life.status, life.attributes["trading.order.status"]) == ("unset", "canceled")
    assert life.attributes["trading.order.complete"] is True
    assert venue.orders == ()


# --- reports in any order


@pytest.mark.parametrize("fault", [Fault.REORDER, Fault.LATE_FILL])
def test_a_late_report_says_so(make_venue: MakeVenue, bot: Any, fault: Fault) -> None:
    venue = make_venue(partials=(0.4, 0.6), late_fill_s=0.02)
    venue.next(fault)

    async def trade(session: Any) -> None:
        await session.at_quote(session.limit)
        await session.until("new", "fill", "partial_fill")

    bot.run(venue, trade)
    assert [
        (span.name, span.attributes.get("trading.order.late")) for span in bot.named("trading.order.event")
    ] == [
        ("trading.order.event filled", None),
        ("trading.order.event partially_filled", True),
    ]


@pytest.mark.parametrize(("time_in_force", "status"), [("ioc", "expired"), ("opg", "rejected")])
def test_an_order_that_the_market_turns_down_ends_so(
    make_venue: MakeVenue, bot: Any, time_in_force: str, status: str
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(session: Any) -> None:
        await session.at_quote(lambda: session.limit(1, 100, time_in_force=time_in_force))
        await session.until_over(1)

    bot.run(venue, trade)
    submit, event = bot.named("trading.order.submit")[0], bot.named(f"trading.order.event {status}")[0]
    assert (submit.status, event.parent_id) == ("unset", submit.span_id)
    assert event.attributes.get("error.type") == ("alpaca:rejected" if status == "rejected" else None)
    assert event.status == ("error" if status == "rejected" else "unset")


def test_of_an_order_that_a_retry_has_doubled_the_first_is_nobodys(make_venue: MakeVenue, bot: Any) -> None:
    """Without a name nothing but price and size tells whose it is: a risk, and told as one."""
    venue = make_venue(fill_delay_s=0.05)
    venue.next(Fault.ACCEPT_THEN_504)

    async def trade(session: Any) -> None:
        await session.at_quote(session.limit)
        await session.until_over(2)

    bot.run(venue, trade)
    (submit,) = bot.named("trading.order.submit")
    fills = bot.named("trading.order.event filled")
    matched = [span for span in fills if span.trace_id == submit.trace_id]
    unmatched = [span for span in fills if span.attributes.get("trading.order.matched") is False]
    assert [span.attributes["trading.execution.id"] for span in unmatched] == [EXECUTIONS[0]]
    assert [span.attributes["trading.execution.id"] for span in matched] == [EXECUTIONS[1]]
    assert len(venue.orders) == 2


def test_an_order_that_nobody_here_placed_is_told_as_unmatched(make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue()

    async def trade(session: Any) -> None:
        with suppressed():
            session.limit()
        await session.until_over(1)

    bot.run(venue, trade)
    unmatched = [span for span in bot.spans() if span.attributes.get("trading.order.matched") is False]
    assert [span.name for span in unmatched] == ["trading.order.event new", "trading.order.event filled"]
    assert [span.parent_id for span in unmatched] == [None, None]


def test_a_fill_found_by_polling_is_in_the_orders_trace(told: Capture, make_venue: MakeVenue) -> None:
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import QueryOrderStatus
    from alpaca.trading.requests import GetOrdersRequest, MarketOrderRequest

    venue = make_venue(fill_delay_s=0.02, tick_interval_s=0)
    client: Any = TradingClient(**venue.connect.alpaca(TradingClient))
    with suppressed():
        client.submit_order(MarketOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day"))
    mine = client.submit_order(MarketOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day"))
    while venue.orders[-1].status.is_open:
        pass
    assert len(client.get_orders(GetOrdersRequest(status=QueryOrderStatus.CLOSED))) == 2
    client.get_order_by_id(mine.id)
    client._session.close()
    trading.shutdown()
    assert told.tree() == (
        "trading.order.submit alpaca\n"
        "  trading.order.event filled\n"
        "  trading.order.query alpaca\n"
        "  trading.order.lifecycle"
    )
    assert told.spans()[1].attributes["trading.order.event.source"] == "poll"


def test_quantities_leave_only_when_asked_for(make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=0.02)

    async def trade(session: Any) -> None:
        await session.at_quote(lambda: session.limit(12.345, 234.56))
        await session.until_over(1)

    bot.run(venue, trade)
    text = repr(bot.spans()) + repr(bot.told.events())
    assert [form for form in ("12.345", "234.56", "190.") if form in text] == []
