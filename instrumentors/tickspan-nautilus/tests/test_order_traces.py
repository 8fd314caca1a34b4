"""A live node: which spans an order leaves, and where they hang."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Sequence
from typing import Any

import pytest
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory
from nautilus_trader.common import Environment
from nautilus_trader.config import LiveRiskEngineConfig, LoggingConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelAllOrders
from nautilus_trader.execution.reports import OrderStatusReport
from nautilus_trader.model.enums import OrderSide, OrderStatus, TriggerType
from nautilus_trader.model.identifiers import VenueOrderId
from opentelemetry import trace
from tickspan.testing.capture import Capture, RecordedSpan
from tickspan.testing.order_traces import shown
from tickspan.trading import is_quiet, open_call

pytestmark = pytest.mark.integration

FILLED_IN_TWO = """\
trading.feed.message
  trading.strategy.decision
    trading.order.submit binance
      trading.risk.check risk_engine
      trading.order.event partially_filled
      trading.order.event filled
      trading.order.lifecycle"""


def refusal(span: RecordedSpan) -> dict[str, Any]:
    """Why a call is an error; nothing if it is none."""
    named = {
        name: value for name, value in span.attributes.items() if "reject" in name or name == "error.type"
    }
    return named if span.status == "error" else {}


def statuses(spans: Sequence[RecordedSpan]) -> list[Any]:
    """How orders stand at the end of their lives."""
    return sorted(span.attributes["trading.order.status"] for span in spans)


def buy(strategy: Any, _cause: Any) -> None:
    strategy.buy()


def bid(strategy: Any, _cause: Any) -> None:
    strategy.buy(at=40_000)


def bid_high(strategy: Any, _cause: Any) -> None:
    strategy.buy(at=60_000)


def buy_too_much(strategy: Any, _cause: Any) -> None:
    strategy.buy("500")


def cancel_newest(strategy: Any, _cause: Any) -> None:
    strategy.cancel_order(strategy.the_order())


def query_newest(strategy: Any, _cause: Any) -> None:
    strategy.query_order(strategy.the_order())


def test_an_order_is_one_trace_from_its_tick_to_its_last_fill(told: Capture, bot: Any) -> None:
    async def trade(session: Any) -> None:
        session.feed.quote()
        await session.heard("OrderFilled", 2)

    bot.run({1: buy}, trade, {"SubmitOrder": bot.fill_in_two})
    assert told.tree() == FILLED_IN_TWO
    assert {span.trace_id for span in told.spans()} == {1}
    assert [span.kind for span in told.spans()] == [
        "consumer",
        "internal",
        "client",
        "internal",
        "consumer",
        "consumer",
        "internal",
    ]


def test_a_sandbox_of_the_librarys_own_leaves_the_same_trace(told: Capture, bot: Any) -> None:
    balances = ["1000000 USDT", "1 BTC"]
    config = SandboxExecutionClientConfig(venue="BINANCE", starting_balances=balances, account_type="CASH")

    async def trade(session: Any) -> None:
        await session.trade("OrderFilled")

    bot.run({1: buy}, trade, exec_client=(config, SandboxLiveExecClientFactory))
    assert told.tree() == FILLED_IN_TWO.replace("      trading.order.event partially_filled\n", "")
    [submit] = bot.named("trading.order.submit")
    assert submit.attributes["trading.venue.environment"] == "simulated"


def test_the_spans_of_an_order_say_this_and_nothing_more(told: Capture, bot: Any) -> None:
    async def trade(session: Any) -> None:
        await session.trade("OrderFilled")

    bot.run({1: bid_high}, trade)
    where = {
        "trading.venue.name": "binance",
        "trading.venue.environment": "simulated",
        "trading.client.library": "nautilus_trader",
        "trading.strategy.id": "ScriptedStrategy-000",
        "trading.instrument.symbol": "BTCUSDT",
    }
    order = {
        **where,
        "trading.order.operation": "submit",
        "trading.order.side": "buy",
        "trading.order.type": "limit",
        "trading.order.client_id": "client id",
        "trading.order.root_client_id": "client id",
        "trading.order.venue_id": "V-client id",
    }
    assert [shown(span.attributes, r"O-\d+-\d+-001-000-\d+") for span in told.spans()] == [
        {
            "trading.venue.name": "binance",
            "trading.instrument.symbol": "BTCUSDT",
            "trading.feed.channel": "quotes",
            "trading.venue.time_unix_nano": "time",
        },
        {"trading.strategy.id": "ScriptedStrategy-000"},
        {
            **order,
            "trading.instrument.class": "spot",
            "trading.order.time_in_force": "good_till_cancel",
            "trading.trigger": "tick",
            "trading.order.status": "new",
            "trading.latency.queue_wait": "seconds",
        },
        {"trading.risk.check.name": "risk_engine", "trading.risk.check.outcome": "pass"},
        {
            **order,
            "trading.order.event.source": "user_stream",
            "trading.venue.time_unix_nano": "time",
            "trading.execution.liquidity": "taker",
            "trading.order.status": "filled",
            "trading.order.filled_ratio": 1.0,
            "trading.execution.id": "T-1",
        },
        {
            **order,
            "trading.trigger": "tick",
            "trading.order.status": "filled",
            "trading.order.filled_ratio": 1.0,
            "trading.order.executions": 1,
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


def test_the_audit_stream_has_the_order_before_its_venue_answers(told: Capture, bot: Any) -> None:
    heard: list[list[str]] = []

    async def fill(venue: Any, command: Any) -> None:
        heard.append([event.name for event in told.events()])
        await bot.fill_in_two(venue, command)

    async def trade(session: Any) -> None:
        session.feed.quote()
        await session.heard("OrderFilled", 2)

    bot.run({1: buy}, trade, {"SubmitOrder": fill})
    [submit] = bot.named("trading.order.submit")
    assert heard == [["trading.order.new"]]
    assert [(event.name, event.span_id) for event in told.events()] == [
        ("trading.order.new", submit.span_id),
        ("trading.order.ack", submit.span_id),
        ("trading.order.partial_fill", submit.span_id),
        ("trading.order.fill", submit.span_id),
    ]


def test_the_stages_of_an_order_add_up(told: Capture, bot: Any) -> None:
    async def slow(venue: Any, command: Any) -> None:
        venue.submitted(command.order)
        await asyncio.sleep(0.03)
        venue.accepted(command.order)
        await asyncio.sleep(0.02)
        venue.filled(command.order, "0.010000")

    async def trade(session: Any) -> None:
        await session.trade("OrderFilled")

    bot.run({1: buy}, trade, {"SubmitOrder": slow})
    life = bot.named("trading.order.lifecycle")[0].attributes
    parts = ("tick_to_decision", "decision_to_wire", "wire_to_ack", "ack_to_first_fill")
    assert life["trading.latency.wire_to_ack"] >= 0.025
    assert life["trading.latency.ack_to_first_fill"] >= 0.015
    assert life["trading.latency.tick_to_fill"] == pytest.approx(
        sum(life[f"trading.latency.{part}"] for part in parts)
    )
    assert [point.count for point in told.points("trading.tick_to_trade")] == [1]


def test_several_orders_of_one_tick_share_its_trace(told: Capture, bot: Any) -> None:
    def twice(strategy: Any, _tick: Any) -> None:
        strategy.buy()
        strategy.buy()

    async def trade(session: Any) -> None:
        session.feed.quote()
        await session.heard("OrderFilled", 2)

    bot.run({1: twice}, trade)
    assert [span.trace_id for span in bot.named("trading.feed.message")] == [1]
    assert [span.attributes["trading.trigger"] for span in bot.named("trading.order.submit")] == ["tick"] * 2
    assert {span.trace_id for span in told.spans()} == {1}


def test_each_tick_has_a_trace_of_its_own(told: Capture, bot: Any) -> None:
    async def trade(session: Any) -> None:
        for _ in range(3):
            await session.trade("OrderFilled")

    bot.run({1: buy, 2: buy, 3: buy}, trade)
    assert [span.trace_id for span in bot.named("trading.order.submit")] == [1, 2, 3]
    assert [span.parent_id for span in bot.named("trading.feed.message")] == [None, None, None]


def test_an_order_that_a_fill_caused_is_linked_to_the_fill(told: Capture, bot: Any) -> None:
    def hedge(strategy: Any, _fill: Any) -> None:
        strategy.acts = {}
        strategy.buy(at=60_000)

    async def trade(session: Any) -> None:
        session.feed.quote()
        await session.heard("OrderFilled", 2)

    bot.run({1: buy, "OrderFilled": hedge}, trade)
    first, second = bot.named("trading.order.submit")
    fill = bot.named("trading.order.event filled")[0]
    assert (second.attributes["trading.trigger"], second.links) == (
        "order_event",
        ((fill.trace_id, fill.span_id),),
    )
    assert (first.trace_id, second.trace_id) == (1, 2)


def test_an_order_that_a_timer_places_finds_the_newest_tick(told: Capture, bot: Any) -> None:
    async def trade(session: Any) -> None:
        session.feed.quote()
        clock, strategy = session.strategy.clock, session.strategy
        clock.set_time_alert_ns("soon", clock.timestamp_ns() + 20_000_000, functools.partial(buy, strategy))
        await session.heard("OrderFilled")

    bot.run({}, trade)
    [submit] = bot.named("trading.order.submit")
    assert submit.attributes["trading.trigger"] == "inferred"
    assert told.tree().splitlines()[:3] == FILLED_IN_TWO.splitlines()[:3]


def test_a_span_around_the_nodes_start_is_not_the_parent_of_its_orders(told: Capture, bot: Any) -> None:
    async def trade(session: Any) -> None:
        await session.trade("OrderFilled")

    tracer = told.tracer_provider.get_tracer("program")
    with tracer.start_as_current_span("main"):
        bot.run({1: buy}, trade)
    [main] = bot.named("main")
    assert [span.name for span in told.spans() if span.trace_id == main.trace_id] == ["main"]


def test_a_refused_order_is_an_error_with_a_reason_and_without_its_numbers(told: Capture, bot: Any) -> None:
    async def refuse(venue: Any, command: Any) -> None:
        venue.submitted(command.order)
        venue.rejected(command.order, "{'code': -2010, 'msg': 'Account has 12.5 of 500.25 USDT'}")

    async def trade(session: Any) -> None:
        await session.trade("OrderRejected")

    bot.run({1: buy}, trade, {"SubmitOrder": refuse})
    [submit] = bot.named("trading.order.submit")
    assert refusal(submit) == {
        "error.type": "binance:-2010",
        "trading.order.reject.code": "-2010",
        "trading.order.reject.reason": "other",
        "trading.order.reject.origin": "venue",
        "trading.order.reject.message": "{'code': -?, 'msg': 'Account has ? of ? USDT'}",
    }
    assert [span.name for span in told.spans()] == [
        "trading.feed.message",
        "trading.strategy.decision",
        "trading.order.submit binance",
        "trading.risk.check risk_engine",
        "trading.order.lifecycle",
    ]


def test_an_order_that_the_risk_engine_denies_has_not_been_sent(told: Capture, bot: Any) -> None:
    async def trade(session: Any) -> None:
        await session.trade("OrderDenied")

    bot.run({1: buy_too_much}, trade)
    [submit] = bot.named("trading.order.submit")
    [check] = bot.named("trading.risk.check")
    [life] = bot.named("trading.order.lifecycle")
    assert refusal(submit) == {
        "error.type": "nautilus_trader:NOTIONAL_EXCEEDS_FREE_BALANCE",
        "trading.order.reject.code": "NOTIONAL_EXCEEDS_FREE_BALANCE",
        "trading.order.reject.reason": "funds",
        "trading.order.reject.origin": "client_risk",
        "trading.order.reject.message": submit.attributes["trading.order.reject.message"],
    }
    assert (check.status, check.attributes["trading.risk.check.outcome"]) == ("unset", "reject")
    assert "trading.latency.decision_to_wire" not in life.attributes


def test_a_second_order_with_a_used_id_is_refused_and_leaves_the_first_alone(told: Capture, bot: Any) -> None:
    def again(strategy: Any, _tick: Any) -> None:
        first = strategy.the_order()
        strategy.buy(at=30_000, client_order_id=first.client_order_id)

    async def trade(session: Any) -> None:
        await session.trade("OrderAccepted")
        await session.trade("OrderDenied")
        session.venue.filled(session.strategy.the_order(), "0.010000")
        await session.heard("OrderFilled")

    bot.run({1: bid, 2: again}, trade, {"SubmitOrder": bot.accept})
    first, second = bot.named("trading.order.submit")
    [filled] = bot.named("trading.order.event filled")
    assert (second.status, second.attributes["trading.order.reject.reason"]) == ("error", "duplicate_id")
    assert (first.status, filled.parent_id) == ("unset", first.span_id)
    assert statuses(bot.named("trading.order.lifecycle")) == ["filled", "rejected"]


def test_a_cancel_belongs_to_the_trace_of_its_order(told: Capture, bot: Any) -> None:
    async def cancel(venue: Any, command: Any) -> None:
        venue.canceled(venue._cache.order(command.client_order_id))

    async def trade(session: Any) -> None:
        await session.trade("OrderAccepted")
        await session.trade("OrderCanceled")

    acts = {1: bid, 2: cancel_newest}
    bot.run(acts, trade, {"SubmitOrder": bot.accept, "CancelOrder": cancel})
    assert told.tree() == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n"
        "    trading.order.submit binance\n"
        "      trading.risk.check risk_engine\n"
        "      trading.order.cancel binance\n"
        "      trading.order.event canceled\n"
        "      trading.order.lifecycle"
    )
    [cancel_span] = bot.named("trading.order.cancel")
    assert (cancel_span.status, cancel_span.attributes["trading.order.status"]) == ("unset", "canceled")
    assert cancel_span.attributes["trading.latency.cancel_to_ack"] >= 0


def test_a_refused_cancel_leaves_its_order_as_it_was(told: Capture, bot: Any) -> None:
    async def refuse(venue: Any, command: Any) -> None:
        order = venue._cache.order(command.client_order_id)
        venue.generate_order_cancel_rejected(
            order.strategy_id,
            order.instrument_id,
            order.client_order_id,
            order.venue_order_id,
            "Unknown order sent",
            venue._now(),
        )

    async def trade(session: Any) -> None:
        await session.trade("OrderAccepted")
        await session.trade("OrderCancelRejected")

    acts = {1: bid, 2: cancel_newest}
    bot.run(acts, trade, {"SubmitOrder": bot.accept, "CancelOrder": refuse})
    [cancel_span] = bot.named("trading.order.cancel")
    [life] = bot.named("trading.order.lifecycle")
    assert refusal(cancel_span) == {
        "error.type": "OrderCancelRejected",
        "trading.order.reject.reason": "not_found",
        "trading.order.reject.origin": "venue",
        "trading.order.reject.message": "Unknown order sent",
    }
    assert (statuses([life]), life.attributes["trading.order.complete"]) == (["new"], False)


@pytest.mark.parametrize("command", ["CancelAllOrders", "BatchCancelOrders"])
def test_one_command_cancels_several_orders(told: Capture, bot: Any, command: str) -> None:
    async def cancel(venue: Any, _command: Any) -> None:
        for order in venue._cache.orders():
            venue.canceled(order)

    def cancel_all(strategy: Any, _tick: Any) -> None:
        if command == "CancelAllOrders":
            strategy.cancel_all_orders(bot.instrument.id)
        else:
            strategy.cancel_orders(strategy.cache.orders())

    async def trade(session: Any) -> None:
        await session.trade("OrderAccepted")
        await session.trade("OrderAccepted")
        session.feed.quote()
        await session.heard("OrderCanceled", 2)

    bot.run({1: bid, 2: bid, 3: cancel_all}, trade, {"SubmitOrder": bot.accept, command: cancel})
    [span] = bot.named("trading.order.cancel")
    assert (span.status, span.attributes["trading.order.batch_size"]) == ("unset", 2)
    events = bot.named("trading.order.event canceled")
    assert [event.parent_id for event in events] == [s.span_id for s in bot.named("trading.order.submit")]


@pytest.mark.parametrize("new_venue_id", [None, "V-2"])
def test_a_change_is_another_revision_of_the_same_order(
    told: Capture, bot: Any, new_venue_id: str | None
) -> None:
    async def change(venue: Any, command: Any) -> None:
        venue.updated(command, new_venue_id)

    def raise_price(strategy: Any, _tick: Any) -> None:
        strategy.modify_order(strategy.the_order(), price=bot.price(41_000))

    async def trade(session: Any) -> None:
        await session.trade("OrderAccepted")
        await session.trade("OrderUpdated")
        session.venue.filled(session.strategy.the_order(), "0.010000")
        await session.heard("OrderFilled")

    bot.run({1: bid, 2: raise_price}, trade, {"SubmitOrder": bot.accept, "ModifyOrder": change})
    assert told.tree() == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n"
        "    trading.order.submit binance\n"
        "      trading.risk.check risk_engine\n"
        "      trading.order.replace binance\n"
        "        trading.risk.check risk_engine\n"
        "      trading.order.event filled\n"
        "      trading.order.lifecycle"
    )
    [life] = bot.named("trading.order.lifecycle")
    assert (statuses([life]), life.attributes["trading.order.revision"]) == (["filled"], 1)


def test_a_change_that_the_risk_engine_refuses_is_its_refusal(told: Capture, bot: Any) -> None:
    def grow(strategy: Any, _tick: Any) -> None:
        strategy.modify_order(strategy.the_order(), quantity=bot.quantity("90000"))

    async def trade(session: Any) -> None:
        await session.trade("OrderAccepted")
        await session.trade("OrderModifyRejected")

    bot.run({1: bid, 2: grow}, trade, {"SubmitOrder": bot.accept})
    [replace] = bot.named("trading.order.replace")
    assert (replace.status, replace.attributes["trading.order.reject.origin"]) == ("error", "client_risk")
    [life] = bot.named("trading.order.lifecycle")
    assert (statuses([life]), life.attributes["trading.order.executions"]) == (["new"], 0)


def test_a_list_of_orders_is_one_command_with_an_entry_for_each(told: Capture, bot: Any) -> None:
    def bracket(strategy: Any, _tick: Any) -> None:
        orders = strategy.order_factory.bracket(
            bot.instrument.id,
            OrderSide.BUY,
            bot.quantity("0.010000"),
            tp_price=bot.price(60_000),
            sl_trigger_price=bot.price(40_000),
        )
        strategy.submit_order_list(orders)

    async def enter(venue: Any, command: Any) -> None:
        entry, *resting = command.order_list.orders
        for order in (entry, *resting):
            venue.submitted(order)
        venue.accepted(entry)
        venue.filled(entry, "0.010000")
        for order in resting:
            venue.accepted(order)

    async def trade(session: Any) -> None:
        session.feed.quote()
        await session.heard("OrderAccepted", 3)

    bot.run({1: bracket}, trade, {"SubmitOrderList": enter})
    [submit] = bot.named("trading.order.submit")
    lives = bot.named("trading.order.lifecycle")
    assert (submit.status, submit.attributes["trading.order.batch_size"]) == ("unset", 3)
    assert [life.attributes["trading.order.status"] for life in lives] == ["filled", "new", "new"]
    assert {span.trace_id for span in told.spans()} == {1}


def test_an_emulated_order_is_told_when_it_is_released_and_not_before(told: Capture, bot: Any) -> None:
    def emulate(strategy: Any, _tick: Any) -> None:
        strategy.buy(at=49_000, emulation_trigger=TriggerType.BID_ASK)

    async def trade(session: Any) -> None:
        await session.trade("OrderEmulated")
        session.feed.quote(48_000)
        await session.heard("OrderFilled")

    bot.run({1: emulate}, trade)
    [submit] = bot.named("trading.order.submit")
    known = submit.attributes
    assert (known["trading.order.type"], known["trading.trigger"]) == ("market", "tick")
    assert [span.name for span in told.spans()] == [
        "trading.feed.message",
        "trading.strategy.decision",
        "trading.order.submit binance",
        "trading.order.event filled",
        "trading.order.lifecycle",
    ]


def test_an_emulated_order_that_is_canceled_never_was_an_order(told: Capture, bot: Any) -> None:
    def emulate(strategy: Any, _tick: Any) -> None:
        strategy.buy(at=49_000, emulation_trigger=TriggerType.BID_ASK)

    async def trade(session: Any) -> None:
        await session.trade("OrderEmulated")
        await session.trade("OrderCanceled")

    bot.run({1: emulate, 2: cancel_newest}, trade)
    assert told.spans() == []


def status_report(venue: Any, order: Any, status: Any) -> Any:
    """What a venue says when it is asked about an order."""
    now_ns = venue._now()
    return OrderStatusReport(
        account_id=venue.account_id,
        instrument_id=order.instrument_id,
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id or VenueOrderId("V-9"),
        order_side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        order_status=status,
        quantity=order.quantity,
        filled_qty=order.filled_qty,
        price=order.price,
        report_id=UUID4(),
        ts_accepted=now_ns,
        ts_last=now_ns,
        ts_init=now_ns,
    )


def test_a_query_is_answered_by_the_venues_report(told: Capture, bot: Any) -> None:
    async def answer(venue: Any, command: Any) -> None:
        order = venue._cache.order(command.client_order_id)
        venue._send_order_status_report(status_report(venue, order, OrderStatus.CANCELED))

    async def trade(session: Any) -> None:
        await session.trade("OrderAccepted")
        await session.trade("OrderCanceled")

    acts = {1: bid, 2: query_newest}
    bot.run(acts, trade, {"SubmitOrder": bot.accept, "QueryOrder": answer})
    [query] = bot.named("trading.order.query")
    [event] = bot.named("trading.order.event canceled")
    assert (query.status, query.attributes["trading.order.status"]) == ("unset", "canceled")
    assert (query.trace_id, event.attributes["trading.order.event.source"]) == (1, "reconcile")


def test_an_acceptance_that_the_library_finds_out_itself_answers_the_call(told: Capture, bot: Any) -> None:
    async def forget(venue: Any, command: Any) -> None:
        venue.submitted(command.order)

    async def trade(session: Any) -> None:
        await session.trade("OrderSubmitted")
        order = session.strategy.the_order()
        session.venue._send_order_status_report(status_report(session.venue, order, OrderStatus.ACCEPTED))
        await session.heard("OrderAccepted")

    bot.run({1: bid}, trade, {"SubmitOrder": forget})
    [submit] = bot.named("trading.order.submit")
    assert (submit.status, submit.attributes["trading.order.venue_id"]) == ("unset", "V-9")
    assert bot.named("trading.order.lifecycle")[0].attributes["trading.latency.wire_to_ack"] > 0


def test_a_cancel_of_everything_where_there_is_nothing_is_over_at_once(told: Capture, bot: Any) -> None:
    async def nothing(venue: Any, command: Any) -> None:
        done.set()

    async def trade(session: Any) -> None:
        strategy = session.strategy
        command = CancelAllOrders(
            trader_id=strategy.trader_id,
            strategy_id=strategy.id,
            instrument_id=bot.instrument.id,
            order_side=OrderSide.NO_ORDER_SIDE,
            command_id=UUID4(),
            ts_init=strategy.clock.timestamp_ns(),
        )
        session.node.kernel.msgbus.send("ExecEngine.execute", command)
        await done.wait()

    done = asyncio.Event()
    bot.run({}, trade, {"CancelAllOrders": nothing})
    assert [(span.name, span.status) for span in told.spans()] == [("trading.order.cancel binance", "unset")]


def test_a_list_that_is_answered_in_part_is_over_at_the_deadline(
    told: Capture, bot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickspan_nautilus.flights.DEADLINE_S", 0.1)

    def submit_two(strategy: Any, _tick: Any) -> None:
        factory, size = strategy.order_factory, bot.quantity("0.010000")
        limit = functools.partial(factory.limit, bot.instrument.id, OrderSide.BUY, size)
        orders = [limit(bot.price(40_000)), limit(bot.price(41_000))]
        strategy.submit_order_list(factory.create_list(orders))

    async def answer_one(venue: Any, command: Any) -> None:
        for order in command.order_list.orders:
            venue.submitted(order)
        venue.accepted(command.order_list.orders[1])

    async def trade(session: Any) -> None:
        await session.trade("OrderAccepted")
        await bot.until_named("trading.order.submit")

    bot.run({1: submit_two}, trade, {"SubmitOrderList": answer_one})
    [submit] = bot.named("trading.order.submit")
    assert (submit.status, submit.attributes["trading.order.batch_size"]) == ("unset", 2)


def test_of_too_many_unanswered_commands_the_oldest_is_given_up(
    told: Capture, bot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickspan_nautilus.flights.MAX_FLIGHTS", 2)

    async def forget(venue: Any, command: Any) -> None:
        venue.submitted(command.order)

    async def trade(session: Any) -> None:
        for _ in range(3):
            await session.trade("OrderSubmitted")

    bot.run({1: bid, 2: bid, 3: bid}, trade, {"SubmitOrder": forget})
    errors = [span.attributes["error.type"] for span in bot.named("trading.order.submit")]
    assert errors == ["timeout", "unanswered", "unanswered"]


def test_events_that_nobody_saw_arrive_are_told_when_it_is_their_turn(
    told: Capture, bot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickspan_nautilus.desk._MAX_ARRIVALS", 0)

    async def trade(session: Any) -> None:
        session.feed.quote()
        await session.heard("OrderFilled", 2)

    bot.run({1: buy}, trade, {"SubmitOrder": bot.fill_in_two})
    assert told.tree() == FILLED_IN_TWO


def test_what_the_venue_never_answers_is_unknown_after_a_while(
    told: Capture, bot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickspan_nautilus.flights.DEADLINE_S", 0.05)

    async def nothing(venue: Any, command: Any) -> None:
        venue.submitted(command.order)

    async def trade(session: Any) -> None:
        await session.trade("OrderSubmitted")
        await bot.until_named("trading.order.submit")

    bot.run({1: buy}, trade, {"SubmitOrder": nothing})
    [submit] = bot.named("trading.order.submit")
    assert (submit.status, submit.attributes["error.type"], submit.attributes["trading.order.status"]) == (
        "error",
        "timeout",
        "unknown",
    )


def test_an_answer_after_the_deadline_still_finds_its_order(
    told: Capture, bot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickspan_nautilus.flights.DEADLINE_S", 0.02)

    async def late(venue: Any, command: Any) -> None:
        venue.submitted(command.order)
        await bot.until_named("trading.order.submit")
        venue.accepted(command.order)
        venue.filled(command.order, "0.010000")

    async def trade(session: Any) -> None:
        await session.trade("OrderFilled")

    bot.run({1: buy}, trade, {"SubmitOrder": late})
    [life] = bot.named("trading.order.lifecycle")
    [filled] = bot.named("trading.order.event filled")
    assert (life.attributes["trading.order.status"], filled.trace_id) == ("filled", 1)


def test_an_order_still_under_way_when_the_node_ends_is_told_as_unanswered(told: Capture, bot: Any) -> None:
    async def nothing(venue: Any, command: Any) -> None:
        venue.submitted(command.order)

    async def trade(session: Any) -> None:
        await session.trade("OrderSubmitted")

    bot.run({1: buy}, trade, {"SubmitOrder": nothing})
    [submit] = bot.named("trading.order.submit")
    assert (submit.status, submit.attributes["error.type"]) == ("error", "unanswered")


def test_what_the_client_does_for_an_order_is_inside_its_call_and_carries_nothing_of_ours(
    told: Capture, bot: Any
) -> None:
    seen: list[Any] = []

    async def look(venue: Any, command: Any) -> None:
        call = open_call()
        seen.append((call is not None and call.request.client_id, is_quiet(), trace.get_current_span()))
        await bot.fill(venue, command)

    async def trade(session: Any) -> None:
        await session.trade("OrderFilled")

    bot.run({1: buy}, trade, {"SubmitOrder": look})
    [submit] = bot.named("trading.order.submit")
    [(client_id, quiet, span)] = seen
    assert (client_id, quiet) == (submit.attributes["trading.order.client_id"], True)
    assert span.get_span_context().span_id == submit.span_id


def test_a_client_that_raises_leaves_the_library_as_it_is_and_the_order_unanswered(
    told: Capture, bot: Any
) -> None:
    async def fail(venue: Any, command: Any) -> None:
        venue.submitted(command.order)
        raise RuntimeError("the venue's own")

    async def trade(session: Any) -> None:
        await session.trade("OrderSubmitted")
        await session.trade("OrderFilled")

    plays = iter([fail, bot.fill])

    async def play(venue: Any, command: Any) -> None:
        await next(plays)(venue, command)

    bot.run({1: buy, 2: buy}, trade, {"SubmitOrder": play})
    assert [span.status for span in bot.named("trading.order.submit")] == ["error", "unset"]


def test_without_risk_checks_there_is_no_span_of_one(told: Capture, bot: Any) -> None:
    async def trade(session: Any) -> None:
        await session.trade("OrderFilled")

    bot.run({1: buy}, trade, risk_engine=LiveRiskEngineConfig(bypass=True))
    assert [span.name for span in told.spans()] == [
        "trading.feed.message",
        "trading.strategy.decision",
        "trading.order.submit binance",
        "trading.order.event filled",
        "trading.order.lifecycle",
    ]


@pytest.mark.parametrize("settings", [{"lifecycle_delay_s": 3600, "salt": "pepper"}])
def test_an_account_is_told_apart_and_not_told(told: Capture, bot: Any) -> None:
    async def trade(session: Any) -> None:
        await session.trade("OrderFilled")

    bot.run({1: buy}, trade)
    [submit] = bot.named("trading.order.submit")
    everything = str([dict(span.attributes) for span in told.spans()] + told.events())
    assert re.fullmatch(r"[0-9a-f]{12}", submit.attributes["trading.account.hash"])
    assert "1234567" not in everything


def test_a_kernel_that_trades_for_real_says_so(told: Capture, bot: Any) -> None:
    async def trade(session: Any) -> None:
        await session.trade("OrderFilled")

    silent = LoggingConfig(log_level="OFF")  # the library insists on logs where money is at stake
    bot.run({1: buy}, trade, environment=Environment.LIVE, logging=silent)
    [submit] = bot.named("trading.order.submit")
    assert submit.attributes["trading.venue.environment"] == "live"
