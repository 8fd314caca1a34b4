"""python-binance against a venue: which spans an order leaves, and where they hang."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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

HELPERS = ["create_order", "ws_create_order"]


class TestOrders(OrderTraces):
    venue_name: ClassVar[str] = "binance"
    executions: ClassVar[tuple[str, str]] = ("5000001", "5000002")
    helper: ClassVar[str] = "create_order"
    cancel_helper: ClassVar[str] = "cancel_order"

    async def place(self, bot: Any, client: Any, around: Around = nullcontext, count: int = 1) -> None:
        async with client.sockets.trade_socket(bot.symbol) as ticks:
            await ticks.recv()
            with around():
                for _ in range(count):
                    await getattr(client.client, self.helper)(**client.order())

    async def fill(self, bot: Any, client: Any) -> None:
        await bot.fill(client, self.helper)

    async def settle(self, bot: Any, client: Any, fault: Fault) -> None:
        async with client.sockets.user_socket() as user:
            await getattr(client.client, self.helper)(**client.order())
            executed: list[Any] = []
            while len(set(executed)) < 2 or (fault is Fault.DUPLICATE_EVENT and len(executed) < 3):
                event = await user.recv()
                executed += [event["t"]] if event.get("x") == "TRADE" else []

    async def cancel(self, bot: Any, client: Any) -> None:
        async with client.sockets.trade_socket(bot.symbol) as ticks:
            order = await client.trade(ticks, self.helper)
        await getattr(client.client, self.cancel_helper)(symbol=bot.symbol, orderId=order["orderId"])


class TestOrdersByWebSocket(TestOrders):
    helper: ClassVar[str] = "ws_create_order"
    cancel_helper: ClassVar[str] = "ws_cancel_order"


def test_the_spans_of_an_order_say_this_and_nothing_more(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    bot.trade(make_venue(partials=(0.4, 0.6), fill_delay_s=0.05))
    where = {
        "trading.venue.name": "binance",
        "trading.venue.environment": "simulated",
        "trading.client.library": "python-binance",
        "trading.instrument.symbol": "BTCUSDT",
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
    assert [shown(span.attributes, r"x-HNA2TXFJ\w+") for span in bot.spans()] == [
        {
            "trading.venue.name": "binance",
            "trading.instrument.symbol": "BTCUSDT",
            "trading.feed.channel": "trades",
            "trading.venue.time_unix_nano": "time",
        },
        {},
        {
            **order,
            "trading.instrument.class": "spot",
            "trading.order.time_in_force": "good_till_cancel",
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


@pytest.mark.parametrize(
    ("helper", "params"),
    [
        ("order_limit", {"side": "BUY", "price": "90000"}),
        ("order_limit_buy", {"price": "90000"}),
        ("order_limit_sell", {"price": "10000"}),
        ("order_market", {"side": "BUY"}),
        ("order_market_buy", {}),
        ("order_market_sell", {}),
        ("ws_order_limit_buy", {"price": "90000"}),
        ("ws_order_market_sell", {}),
        ("create_margin_order", {"side": "BUY", "type": "MARKET"}),
    ],
)
def test_every_helper_that_places_an_order_is_one_client_span(
    told: Capture, make_venue: MakeVenue, bot: Any, helper: str, params: dict[str, str]
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        await getattr(desk.client, helper)(symbol=bot.symbol, quantity="0.01", **params)

    bot.run(venue, trade)
    client_spans = [span for span in bot.spans() if span.kind == "client"]
    assert [span.name for span in client_spans] == ["trading.order.submit binance"]
    assert [(str(order.order_id), order.client_id) for order in venue.orders] == [
        (span.attributes["trading.order.venue_id"], span.attributes["trading.order.client_id"])
        for span in client_spans
    ]


def test_an_order_that_the_program_sends_by_itself_is_told_as_those_of_helpers(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        await desk.client._request_api("post", "order", signed=True, data=desk.order())

    bot.run(venue, trade)
    submit = bot.named("trading.order.submit")[0]
    assert submit.attributes["trading.order.client_id"] == venue.orders[0].client_id


def test_a_test_order_is_no_order(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    async def trade(desk: Any) -> None:
        await desk.client.create_test_order(**desk.order())
        await desk.client.ws_create_test_order(**desk.order())

    bot.run(make_venue(), trade)
    assert bot.spans() == []


def test_a_fill_that_triggers_a_hedge_is_linked_to_it(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=0.05)

    async def hedge(desk: Any) -> None:
        async with desk.sockets.user_socket() as user, desk.sockets.trade_socket(bot.symbol) as ticks:
            first = asyncio.create_task(desk.trade(ticks))
            event = await user.recv()
            while event.get("X") != "FILLED":
                event = await user.recv()
            await first
            await desk.client.order_market_sell(symbol=bot.symbol, quantity="0.01")

    bot.run(venue, hedge)
    first, second = bot.named("trading.order.submit")
    fill = bot.named("trading.order.event filled")[0]
    assert (second.attributes["trading.trigger"], second.links) == (
        "order_event",
        ((fill.trace_id, fill.span_id),),
    )
    assert first.trace_id != second.trace_id


def test_a_tick_received_in_a_gathered_task_is_inferred(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def lost(desk: Any) -> None:
        async with desk.sockets.trade_socket(bot.symbol) as ticks:
            await asyncio.gather(ticks.recv())
            await desk.client.create_order(**desk.order())

    bot.run(venue, lost)
    assert bot.named("trading.order.submit")[0].attributes["trading.trigger"] == "inferred"
    assert bot.tree().startswith(
        "trading.feed.message\n  trading.strategy.decision\n    trading.order.submit"
    )


def test_an_order_placed_in_a_new_task_keeps_its_tick(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        async with desk.sockets.trade_socket(bot.symbol) as ticks:
            await ticks.recv()
            orders = [desk.client.create_order(**desk.order(side, "50000")) for side in ("BUY", "SELL")]
            await asyncio.gather(*map(asyncio.create_task, orders))

    bot.run(venue, trade)
    submits = bot.named("trading.order.submit")
    assert {(span.attributes["trading.trigger"], span.trace_id) for span in submits} == {
        ("tick", submits[0].trace_id)
    }


def test_a_tick_by_request_is_a_cause_too(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        await desk.client.get_symbol_ticker(symbol=bot.symbol)
        await desk.client.create_order(**desk.order())

    bot.run(venue, trade)
    assert bot.named("trading.order.submit")[0].attributes["trading.trigger"] == "poll"


def test_no_report_hangs_below_the_span_that_was_current_when_the_sockets_were_opened(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.05)
    tracer = told.tracer_provider.get_tracer("the bot")

    async def trade(desk: Any) -> None:
        user, ticks = desk.sockets.user_socket(), desk.sockets.trade_socket(bot.symbol)
        with tracer.start_as_current_span("start up"):
            await user.connect()
            await ticks.connect()
        watching = asyncio.create_task(_until_filled(user))
        await desk.trade(ticks)
        await watching
        await user.close()
        await ticks.close()

    bot.run(venue, trade)
    started = next(span for span in told.spans() if span.name == "start up")
    below = {span.name for span in told.spans() if span.trace_id == started.trace_id}
    assert below == {"start up", "trading.stream.connect"}
    assert {span.trace_id for span in bot.named("trading.order")} == {
        bot.named("trading.feed.message")[0].trace_id
    }


async def _until_filled(user: Any) -> None:
    event: Any = {}
    while event.get("X") != "FILLED":
        event = await user.recv()


def test_the_programs_own_context_survives_a_tick(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    async def trade(desk: Any) -> bool:
        async with desk.sockets.trade_socket(bot.symbol) as ticks:
            before = trace.get_current_span()
            await ticks.recv()
            return before is trace.get_current_span()

    assert bot.run(make_venue(), trade)
    assert bot.spans() == []


def test_an_error_in_the_queue_is_no_tick(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        async with desk.sockets.trade_socket(bot.symbol) as ticks:
            await ticks.recv()
            venue.next(Fault.DISCONNECT)
            message: Any = {}
            while message.get("e") != "error":
                message = await ticks.recv()
            assert trading.current_tick() is None
            while message.get("e") != "trade":
                message = await ticks.recv()
            await desk.client.create_order(**desk.order())

    bot.run(venue, trade)
    assert bot.named("trading.order.submit")[0].attributes["trading.trigger"] == "tick"


def test_an_order_is_canceled_by_its_client_id_too(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        await desk.client.create_order(**desk.order(newClientOrderId="mine"))
        await desk.client.cancel_order(symbol=bot.symbol, origClientOrderId="mine")

    bot.run(venue, trade)
    submit, cancel = bot.named("trading.order.submit")[0], bot.named("trading.order.cancel")[0]
    assert (cancel.parent_id, cancel.attributes["trading.order.original_client_id"]) == (
        submit.span_id,
        "mine",
    )
    assert bot.named("trading.order.lifecycle")[0].attributes["trading.order.status"] == "canceled"


def test_canceling_all_ends_each_order_of_the_symbol(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        for _ in range(3):
            await desk.client.create_order(**desk.order())
        await desk.client.cancel_all_open_orders(symbol=bot.symbol)

    bot.run(venue, trade)
    lives = bot.named("trading.order.lifecycle")
    assert [life.attributes["trading.order.status"] for life in lives] == ["canceled"] * 3
    assert len(bot.named("trading.order.cancel")) == 1


@pytest.mark.parametrize("helper", ["cancel_replace_order", "ws_cancel_and_replace_order"])
def test_a_replaced_order_hands_its_trace_to_the_next_one(
    told: Capture, make_venue: MakeVenue, bot: Any, helper: str
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        async with desk.sockets.trade_socket(bot.symbol) as ticks:
            order = await desk.trade(ticks)
        replaced = await getattr(desk.client, helper)(
            **desk.order(price="80000"),
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=order["orderId"],
        )
        await desk.client.get_order(symbol=bot.symbol, orderId=replaced["newOrderResponse"]["orderId"])

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

    async def trade(desk: Any) -> None:
        async with desk.sockets.user_socket() as user:
            await desk.client.create_order(**desk.order())
            event: Any = {}
            while event.get("X") != "PARTIALLY_FILLED":
                event = await user.recv()

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

    async def trade(desk: Any) -> None:
        async with desk.sockets.user_socket() as user:
            with suppressed():
                await desk.client.order_market_buy(symbol=bot.symbol, quantity="0.01")
            await _until_filled(user)

    bot.run(venue, trade)
    unmatched = [span for span in told.spans() if span.attributes.get("trading.order.matched") is False]
    assert [span.name for span in unmatched] == ["trading.order.event new", "trading.order.event filled"]
    assert [span.parent_id for span in unmatched] == [None, None]


def test_polled_orders_of_others_leave_no_span(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=-0.01)

    async def trade(desk: Any) -> list[Any]:
        with suppressed():
            await desk.client.order_market_buy(symbol=bot.symbol, quantity="0.01")
        await desk.client.get_all_orders(symbol=bot.symbol)
        return await desk.client.get_my_trades(symbol=bot.symbol)

    assert len(bot.run(venue, trade)) == 1
    assert bot.spans() == []


@pytest.mark.parametrize("helper", ["get_my_trades", "get_all_orders", "ws_get_my_trades"])
def test_fills_found_by_polling_are_in_the_orders_trace(
    told: Capture, make_venue: MakeVenue, bot: Any, helper: str
) -> None:
    venue = make_venue(fill_delay_s=0.01, partials=(0.5, 0.5))

    async def trade(desk: Any) -> None:
        await desk.client.create_order(**desk.order())
        rows: Any = []
        while len(rows) < 2 and not any(row.get("status") == "FILLED" for row in rows):
            rows = await getattr(desk.client, helper)(symbol=bot.symbol)

    bot.run(venue, trade)
    life = bot.named("trading.order.lifecycle")[0]
    assert {span.trace_id for span in bot.spans()} == {life.trace_id}
    assert (life.attributes["trading.order.status"], life.attributes["trading.order.filled_ratio"]) == (
        "filled",
        1.0,
    )


def test_sizes_and_prices_leave_only_when_asked_for(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    bot.trade(make_venue(), quantity="0.91234", price="90123.25")
    exported = repr((told.spans(), told.events()))
    assert [form for form in ("0.91234", "90123.25", "82223.") if form in exported] == []
