"""Both libraries against a simulated TWS: which spans an order leaves, and where they hang."""

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
from tickspan.trading import manual

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]

FILLED_IN_TWO = """\
trading.feed.message
  trading.strategy.decision
    trading.order.submit ib
      trading.order.event partially_filled
      trading.order.event filled
      trading.order.lifecycle"""


class TestOrders(OrderTraces):
    venue_name: ClassVar[str] = "ib"
    executions: ClassVar[tuple[str, str]] = ("0000e0d5.004c4b41.01.01", "0000e0d5.004c4b42.01.01")

    async def place(self, bot: Any, client: Any, around: Around = nullcontext, count: int = 1) -> None:
        def act(contract: Any) -> list[Any]:
            with around():
                return [client.placeOrder(contract, bot.limit()) for _ in range(count)]

        trades = await bot.at_tick(client, act)
        await bot.until(lambda: all(trade.orderStatus.status == "Submitted" for trade in trades))

    async def fill(self, bot: Any, client: Any) -> None:
        placed = await bot.trade(client)
        await bot.until(placed.isDone)

    async def settle(self, bot: Any, client: Any, fault: Fault) -> None:
        placed = await bot.trade(client)
        await bot.until(lambda: len(placed.fills) == 2)
        await client.reqCurrentTimeAsync()  # what was repeated has come by now

    async def cancel(self, bot: Any, client: Any) -> None:
        placed = await bot.trade(client)
        await bot.until(lambda: placed.orderStatus.permId)
        client.cancelOrder(placed.order)
        await bot.until(lambda: placed.orderStatus.status == "Cancelled")
        await client.reqCurrentTimeAsync()  # error 202 has come by now


def test_the_spans_of_an_order_say_this_and_nothing_more(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(partials=(0.4, 0.6), fill_delay_s=0.05)

    async def trade(ib: Any) -> Any:
        placed = await bot.trade(ib)
        await bot.until(placed.isDone)
        return placed.order.orderId

    order_id = bot.run(venue, trade)
    where = {
        "trading.venue.name": "ib",
        "trading.venue.environment": "paper",
        "trading.client.library": bot.library.__name__,
        "trading.instrument.symbol": "AAPL/USD",
    }
    order = {
        **where,
        "trading.order.operation": "submit",
        "trading.order.side": "buy",
        "trading.order.type": "limit",
        "trading.order.client_id": f"7:{order_id}",
        "trading.order.root_client_id": f"7:{order_id}",
        "trading.order.venue_id": "1000001",
    }
    event = {
        **order,
        "trading.order.event.source": "user_stream",
        "trading.execution.liquidity": "taker",
    }
    assert [shown(span.attributes) for span in bot.spans()] == [
        {
            "trading.venue.name": "ib",
            "trading.instrument.symbol": "AAPL/USD",
            "trading.feed.channel": "ticks",
        },
        {},
        {
            **order,
            "trading.instrument.venue_symbol": "AAPL",
            "trading.instrument.class": "equity",
            "trading.order.time_in_force": "day",
            "trading.trigger": "tick",
            "trading.order.status": "new",
        },
        {
            **event,
            "trading.order.status": "partially_filled",
            "trading.order.filled_ratio": 0.4,
            "trading.execution.id": "0000e0d5.004c4b41.01.01",
        },
        {
            **event,
            "trading.order.status": "filled",
            "trading.order.filled_ratio": 1.0,
            "trading.execution.id": "0000e0d5.004c4b42.01.01",
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


def test_the_audit_names_an_order_before_its_bytes_leave(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.01)
    seen: list[int] = []

    async def trade(ib: Any) -> Any:
        send = ib.client.conn.sendMsg

        def look(data: bytes) -> None:
            seen.append(len(told.events("trading.order.new")))
            send(data)

        contract = await bot.contract(ib)
        ib.client.conn.sendMsg = look
        placed = ib.placeOrder(contract, bot.limit())
        await bot.until(placed.isDone)
        return placed.order.orderId

    order_id = bot.run(venue, trade)
    (event,) = told.events("trading.order.new")
    assert seen == [1]
    assert event.attributes["trading.order.client_id"] == f"7:{order_id}"
    assert [one.name for one in told.events() if one.name.startswith("trading.order")] == [
        "trading.order.new",
        "trading.order.ack",
        "trading.order.fill",
    ]


# --- what caused it


@pytest.mark.parametrize("event", ["updateEvent", "pendingTickersEvent"])
def test_an_order_of_a_handler_of_many_instruments_finds_the_tick_of_its_own(
    told: Capture, make_venue: MakeVenue, bot: Any, event: str
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> None:
        contracts = [await bot.contract(ib, symbol) for symbol in ("AAPL", "MSFT")]
        tickers = [ib.reqMktData(contract) for contract in contracts]
        placed: list[Any] = []

        def handle(*_: Any) -> None:
            if not placed and all(ticker in ib.pendingTickers() for ticker in tickers):
                placed.extend(ib.placeOrder(contract, bot.limit(100)) for contract in contracts)

        handlers = getattr(ib, event)
        handlers += handle
        await bot.until(lambda: placed and all(one.orderStatus.permId for one in placed))
        handlers -= handle

    bot.run(venue, trade)
    ticks = {span.trace_id: span.attributes for span in bot.named("trading.feed.message")}
    assert [
        (
            span.attributes["trading.trigger"],
            span.attributes["trading.instrument.symbol"],
            ticks[span.trace_id]["trading.instrument.symbol"],
        )
        for span in bot.named("trading.order.submit")
    ] == [("tick", "AAPL/USD", "AAPL/USD"), ("tick", "MSFT/USD", "MSFT/USD")]


def test_an_order_of_a_coroutine_that_handles_a_tick_keeps_it(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> None:
        contract = await bot.contract(ib)
        placed: list[Any] = []

        async def handle(_: Any) -> None:
            await asyncio.sleep(0.01)
            if not placed:
                placed.append(ib.placeOrder(contract, bot.limit()))

        ticker = ib.reqMktData(contract)
        ticker.updateEvent += handle
        await bot.until(lambda: placed and placed[0].orderStatus.permId)
        ticker.updateEvent -= handle

    bot.run(venue, trade)
    assert bot.named("trading.order.submit")[0].attributes["trading.trigger"] == "tick"


def test_an_order_of_a_handler_of_bars_has_the_bar_for_its_cause(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> None:
        contract = await bot.contract(ib)
        placed: list[Any] = []

        def handle(*_: Any) -> None:
            if not placed:
                placed.append(ib.placeOrder(contract, bot.limit()))

        bars = ib.reqRealTimeBars(contract, 5, "TRADES", useRTH=False)
        bars.updateEvent += handle
        await bot.until(lambda: placed and placed[0].orderStatus.permId)

    bot.run(venue, trade)
    (tick,) = bot.named("trading.feed.message")
    assert (tick.attributes["trading.feed.channel"], tick.attributes["trading.instrument.symbol"]) == (
        "bars",
        "AAPL/USD",
    )
    assert bot.named("trading.order.submit")[0].attributes["trading.trigger"] == "tick"


def test_an_order_of_a_task_that_awaits_updates_has_an_inferred_tick(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> None:
        contract = await bot.contract(ib)
        ticker = ib.reqMktData(contract)
        await ticker.updateEvent
        placed = ib.placeOrder(contract, bot.limit())
        await bot.until(lambda: placed.orderStatus.permId)

    bot.run(venue, trade)
    assert bot.named("trading.order.submit")[0].attributes["trading.trigger"] == "inferred"
    assert bot.tree().startswith(
        "trading.feed.message\n  trading.strategy.decision\n    trading.order.submit"
    )


def test_an_order_without_market_data_is_manual(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    bot.run(make_venue(fill_delay_s=60), bot.place)
    assert bot.tree() == "trading.order.submit ib\n  trading.order.lifecycle"
    assert bot.named("trading.order.submit")[0].attributes["trading.trigger"] == "manual"


def test_a_fill_that_triggers_a_hedge_is_linked_to_it(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=0.05)

    async def hedge(ib: Any) -> None:
        hedges: list[Any] = []

        def handle(trade: Any, _: Any) -> None:
            if not hedges:
                order = bot.library.MarketOrder("SELL", 10)
                hedges.append(ib.placeOrder(trade.contract, order))

        ib.execDetailsEvent += handle
        await bot.trade(ib)
        await bot.until(lambda: hedges and hedges[0].isDone())

    bot.run(venue, hedge)
    first, second = bot.named("trading.order.submit")
    fill = bot.named("trading.order.event filled")[0]
    assert (second.attributes["trading.trigger"], second.links) == (
        "order_event",
        ((fill.trace_id, fill.span_id),),
    )
    assert (first.trace_id, second.trace_id) == (1, 2)


def test_an_order_of_a_handler_of_new_orders_is_an_order_of_its_own(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> None:
        second: list[Any] = []

        def handle(first: Any) -> None:
            if not second:
                second.append(None)
                second[0] = ib.placeOrder(first.contract, bot.limit(100))

        ib.newOrderEvent += handle
        await bot.place(ib)
        await bot.until(lambda: second[0].orderStatus.permId)

    bot.run(venue, trade)
    submits = bot.named("trading.order.submit")
    assert [span.attributes["trading.order.venue_id"] for span in submits] == ["1000001", "1000002"]
    assert [span.parent_id for span in submits] == [None, None]


def test_an_order_that_the_program_tells_itself_is_told_once(
    told: Capture, make_venue: MakeVenue, bot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = make_venue(fill_delay_s=0.01)
    monkeypatch.setattr(manual.trace, "get_tracer", told.tracer_provider.get_tracer)
    manual.own_orders.cache_clear()
    request = trading.OrderRequest(trading.OrderOperation.SUBMIT, "ib", "mine", instrument="AAPL/USD")

    async def trade(ib: Any) -> None:
        contract = await bot.contract(ib)
        with trading.order_span(request):
            placed = ib.placeOrder(contract, bot.limit())
        await bot.until(placed.isDone)

    bot.run(venue, trade)
    manual.own_orders.cache_clear()
    assert bot.tree() == "trading.order.submit ib\n  trading.order.lifecycle"
    assert bot.spans()[0].attributes["trading.client.library"] == "mine"


def test_no_report_hangs_below_the_span_that_was_current_when_the_connection_was_made(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.05)
    tracer = told.tracer_provider.get_tracer("the bot")

    async def trade(ib: Any) -> None:
        ib.disconnect()
        with tracer.start_as_current_span("start up"):
            await bot.connect(ib, venue)
        placed = await bot.trade(ib)
        await bot.until(placed.isDone)

    bot.run(venue, trade)
    assert [span.name for span in told.spans() if span.trace_id == 1] == ["start up"]
    assert {span.trace_id for span in bot.named("trading.order")} == {2}


def test_the_programs_own_context_survives_ticks_and_reports(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.05)

    async def trade(ib: Any) -> Any:
        before = trace.get_current_span()
        placed = await bot.trade(ib)
        await bot.until(placed.isDone)
        return before is trace.get_current_span(), trading.current_tick()

    assert bot.run(venue, trade) == (True, None)


# --- what became of it


def test_a_cancel_of_all_orders_is_one_span_and_each_order_ends(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> None:
        trades = [await bot.place(ib) for _ in range(2)]
        ib.reqGlobalCancel()
        await bot.until(lambda: all(trade.isDone() for trade in trades))

    bot.run(venue, trade)
    (cancel,) = bot.named("trading.order.cancel")
    assert (cancel.parent_id, cancel.status) == (None, "unset")
    assert len(bot.named("trading.order.event canceled")) == 2
    assert [life.attributes["trading.order.status"] for life in bot.named("trading.order.lifecycle")] == [
        "canceled",
        "canceled",
    ]


def test_a_change_is_made_in_place_and_leaves_one_order(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.01)

    async def trade(ib: Any) -> None:
        placed = await bot.place(ib, bot.limit(150))
        placed.order.lmtPrice = 151
        ib.placeOrder(placed.contract, placed.order)
        await bot.until(lambda: placed.log[-1].message == "Modified")
        placed.order.lmtPrice, placed.order.totalQuantity = 300, 20
        ib.placeOrder(placed.contract, placed.order)
        await bot.until(placed.isDone)

    bot.run(venue, trade)
    assert bot.tree() == (
        "trading.order.submit ib\n"
        "  trading.order.replace ib\n"
        "  trading.order.replace ib\n"
        "  trading.order.event filled\n"
        "  trading.order.lifecycle"
    )
    assert [
        (span.attributes["trading.order.status"], span.attributes["trading.order.revision"])
        for span in bot.named("trading.order.replace")
    ] == [("new", 1), ("new", 2)]
    life = bot.named("trading.order.lifecycle")[0].attributes
    assert (life["trading.order.revision"], life["trading.order.filled_ratio"]) == (2, 1.0)
    assert len(venue.orders) == 1


def test_a_change_before_the_acknowledgement_is_of_the_same_order(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60, ack_delay_s=0.05)

    async def trade(ib: Any) -> None:
        contract = await bot.contract(ib)
        placed = ib.placeOrder(contract, bot.limit(150))
        placed.order.lmtPrice = 151
        ib.placeOrder(contract, placed.order)
        await bot.until(lambda: bot.named("trading.order.replace"))

    bot.run(venue, trade)
    assert bot.tree() == ("trading.order.submit ib\n  trading.order.replace ib\n  trading.order.lifecycle")
    submit, replace, life = bot.spans()
    assert [span.attributes["trading.order.venue_id"] for span in (submit, replace, life)] == ["1000001"] * 3
    assert life.attributes["trading.order.revision"] == 1


def test_an_order_that_is_held_back_first_is_transmitted_as_a_change(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.01)

    async def trade(ib: Any) -> None:
        contract = await bot.contract(ib)
        placed = ib.placeOrder(contract, bot.limit(transmit=False))
        await ib.reqCurrentTimeAsync()
        placed.order.transmit = True
        ib.placeOrder(contract, placed.order)
        await bot.until(placed.isDone)

    bot.run(venue, trade)
    assert bot.tree() == (
        "trading.order.submit ib\n"
        "  trading.order.replace ib\n"
        "  trading.order.event filled\n"
        "  trading.order.lifecycle"
    )
    assert {span.status for span in bot.spans()} == {"unset"}


def test_a_what_if_is_no_order(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    async def ask(ib: Any) -> Any:
        return (await ib.whatIfOrderAsync(await bot.contract(ib), bot.limit())).initMarginChange

    assert float(bot.run(make_venue(), ask)) > 0
    assert told.spans() == []


def test_executions_that_are_asked_for_again_are_no_fills(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(partials=(0.4, 0.6))

    async def trade(ib: Any) -> Any:
        placed = await bot.trade(ib)
        await bot.until(placed.isDone)
        return len(await ib.reqExecutionsAsync())

    assert bot.run(venue, trade) == 2
    assert bot.tree() == FILLED_IN_TWO


CALM = {"lifecycle_delay_s": 3600, "waiting_s": 3600, "ack_deadline_s": 3600}


@pytest.mark.parametrize(
    ("settings", "charged"),
    [
        (CALM, []),
        ({**CALM, "quantities": "bucketed"}, []),
        ({**CALM, "quantities": "full"}, ["0000e0d5.004c4b41.01.01", "0000e0d5.004c4b42.01.01"]),
    ],
)
def test_what_an_execution_has_cost_is_told_once_where_quantities_are_full(
    told: Capture, make_venue: MakeVenue, bot: Any, charged: list[str]
) -> None:
    async def trade(ib: Any) -> str:
        placed = await bot.trade(ib)
        await bot.until(lambda: len(placed.fills) == 2 and placed.fills[-1].commissionReport.execId)
        await ib.reqExecutionsAsync()  # TWS tells the costs once more
        report = placed.fills[0].commissionReport
        return f"{report.commission:g} {report.currency}"

    cost = bot.run(make_venue(partials=(0.4, 0.6)), trade)
    fees = told.events("trading.order.fee")
    assert [fee.attributes["trading.execution.id"] for fee in fees] == charged
    assert [fee.attributes["trading.execution.fee"] for fee in fees[:1]] == [cost][: len(charged)]
    assert {fee.trace_id for fee in fees} == {
        span.trace_id for span in bot.named("trading.order.submit")[: len(charged)]
    }


def test_a_correction_of_an_execution_is_no_second_fill(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue()

    async def trade(ib: Any) -> None:
        placed = await bot.place(ib)
        await bot.until(placed.isDone)
        fill = placed.fills[0].execution
        corrected = type(fill)(**{**vars(fill), "execId": fill.execId[:-2] + "02"})
        ib.wrapper.execDetails(-1, placed.contract, corrected)

    bot.run(venue, trade)
    (life,) = bot.named("trading.order.lifecycle")
    assert (life.attributes["trading.order.executions"], life.attributes["trading.order.filled_ratio"]) == (
        1,
        1.0,
    )


def test_what_was_filled_while_the_connection_was_broken_is_in_the_trace(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(partials=(0.4, 0.6), fill_delay_s=0.2)

    async def trade(ib: Any) -> None:
        await bot.trade(ib)
        await bot.until(lambda: venue.orders)
        await ib.reqCurrentTimeAsync()
        venue.next(Fault.DISCONNECT)
        await bot.until(lambda: not ib.isConnected())
        await bot.until(lambda: len(venue.executions) == 2)
        for _ in range(2):
            await bot.connect(ib, venue)
            ib.disconnect()
            await asyncio.sleep(0.02)

    bot.run(venue, trade)
    fills = [span for span in bot.named("trading.order.event") if "trading.execution.id" in span.attributes]
    assert [(span.trace_id, span.attributes["trading.execution.id"]) for span in fills] == [
        (1, "0000e0d5.004c4b41.01.01"),
        (1, "0000e0d5.004c4b42.01.01"),
    ]
    assert {span.attributes["trading.order.event.source"] for span in fills} == {"poll"}
    life = bot.named("trading.order.lifecycle")[0].attributes
    assert (life["trading.order.status"], life["trading.order.executions"]) == ("filled", 2)


def test_an_order_that_nobody_here_placed_is_told_as_unmatched(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue()

    async def trade(ib: Any) -> None:
        master = bot.library.IB()
        await bot.connect(master, venue, client_id=0)
        with suppressed():
            placed = ib.placeOrder(await bot.contract(ib), bot.limit())
        await bot.until(lambda: placed.isDone() and master.fills())
        master.disconnect()

    bot.run(venue, trade)
    named = {(span.name, span.attributes.get("trading.execution.id")) for span in told.spans()}
    assert named == {
        ("trading.order.event new", None),
        ("trading.order.event filled", "0000e0d5.004c4b41.01.01"),
        ("trading.order.event filled", None),
    }
    assert {span.attributes["trading.order.matched"] for span in told.spans()} == {False}
    assert {span.parent_id for span in told.spans()} == {None}


def test_orders_that_are_asked_for_leave_no_span(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> list[int]:
        with suppressed():
            await bot.place(ib)
        other = bot.library.IB()
        await bot.connect(other, venue, client_id=8)
        counts = [len(await other.reqAllOpenOrdersAsync()), len(await other.reqExecutionsAsync())]
        other.disconnect()
        return counts

    assert bot.run(venue, trade) == [1, 0]
    assert told.spans() == []


def test_a_client_that_takes_up_its_orders_again_tells_nothing_of_them(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> int:
        with suppressed():
            await bot.place(ib)
        ib.disconnect()
        await asyncio.sleep(0.05)
        again = bot.library.IB()
        await bot.connect(again, venue)
        known = len(again.openTrades())
        again.disconnect()
        return known

    assert bot.run(venue, trade) == 1
    assert told.spans() == []


def test_the_same_number_of_another_client_is_another_order(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> None:
        with suppressed():
            first = await bot.place(ib)
        ib.disconnect()
        await asyncio.sleep(0.05)
        await bot.connect(ib, venue, client_id=8)
        second = ib.placeOrder(first.contract, bot.limit(orderId=first.order.orderId))
        await bot.until(lambda: second.orderStatus.permId)

    bot.run(venue, trade)
    submit = bot.named("trading.order.submit")[0].attributes
    assert submit["trading.order.client_id"].startswith("8:")
    assert (submit["trading.order.venue_id"], submit["trading.order.status"]) == ("1000002", "new")
