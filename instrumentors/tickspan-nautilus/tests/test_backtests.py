"""Back-tests: one span and a few counters, the same trades, and single orders where they are wanted."""

from __future__ import annotations

import gc
import time
import weakref
from collections import Counter
from typing import Any

import pytest
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelOrder
from tickspan import trading
from tickspan.instrumentation import suppressed
from tickspan.testing.capture import EPOCH_NS, Capture

pytestmark = pytest.mark.filterwarnings("ignore:.*utcnow is deprecated")  # pandas says so to the library

START_NS = 1_600_000_000_100_000_000
TRACED = pytest.mark.parametrize("settings", [{"lifecycle_delay_s": 3600, "backtest_traces": True}])


def counted(told: Capture, name: str, *keys: str) -> Counter[tuple[Any, ...]]:
    """Values of a counter by the attributes that are named."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for point in told.points(name):
        counts[tuple(point.attributes.get(key) for key in keys)] += int(point.value)
    return counts


def runs(told: Capture) -> list[dict[str, Any]]:
    """Attributes of the runs, without the prefix that they share."""
    prefix = "trading.backtest."
    found = (span.attributes for span in told.spans() if span.name == f"{prefix}run")
    return [{name.removeprefix(prefix): value for name, value in known.items()} for known in found]


def test_a_backtest_is_one_span(told: Capture, lab: Any) -> None:
    lab.run(200, 40)
    assert [(span.name, span.kind, span.status, dict(span.attributes)) for span in told.spans()] == [
        (
            "trading.backtest.run",
            "internal",
            "unset",
            {
                "trading.venue.name": "binance",
                "trading.venue.environment": "backtest",
                "trading.client.library": "nautilus_trader",
                "trading.backtest.messages": 200,
                "trading.backtest.orders": 6,
                "trading.backtest.fills": 5,
                "trading.backtest.rejects": 0,
                "trading.backtest.start_unix_nano": START_NS,
                "trading.backtest.end_unix_nano": START_NS + 19_900_000_000,
                "trading.backtest.complete": True,
            },
        )
    ]


@pytest.mark.parametrize("aside", [2, 10_000])
def test_its_counters_say_what_was_ordered_and_what_was_filled(
    told: Capture, lab: Any, monkeypatch: pytest.MonkeyPatch, aside: int
) -> None:
    monkeypatch.setattr("tickspan_nautilus.backtests.MAX_ASIDE", aside)
    _, _, orders = lab.run(400, 10)
    happened = Counter(event for order in orders for event in order[1:])
    [point, *_] = told.points("trading.order.operations")
    place = {key: value for key, value in point.attributes.items() if not key.startswith("trading.order.")}
    assert place == {
        "trading.venue.name": "binance",
        "trading.venue.environment": "backtest",
        "trading.client.library": "nautilus_trader",
        "trading.strategy.id": "Trader-000",
    }
    keys = ("trading.order.operation", "trading.order.type")
    operations, fills = (counted(told, f"trading.order.{name}", *keys) for name in ("operations", "fills"))
    assert operations["submit", "market"] + operations["submit", "limit"] == len(orders)
    assert operations["cancel", None] == 1
    assert fills.total() == happened["OrderFilled"]
    assert set(fills) == {("submit", "market"), ("submit", "limit")}


def test_what_is_refused_is_counted_by_reason_and_by_who_refused(told: Capture, lab: Any) -> None:
    class Greedy(lab.strategy):
        def on_quote_tick(self, tick: Any) -> None:
            make_qty, factory, buy = lab.instrument.make_qty, self.order_factory, 1
            resting = factory.limit(lab.instrument.id, buy, make_qty(1), lab.instrument.make_price(40_000))
            self.submit_order(resting)
            self.modify_order(resting, quantity=make_qty(90_000))
            self.submit_order(factory.market(lab.instrument.id, buy, make_qty(90_000)))
            at = tick.ask_price
            self.submit_order(factory.limit(lab.instrument.id, buy, make_qty(1), at, post_only=True))

    engine = lab.engine(Greedy(1), lab.quotes(3))
    engine.run()
    engine.dispose()
    keys = ("trading.order.operation", "trading.order.reject.reason", "trading.order.reject.origin")
    assert counted(told, "trading.order.rejects", *keys) == {
        ("replace", "quantity", "client_risk"): 3,
        ("submit", "quantity", "client_risk"): 3,
        ("submit", "price", "venue"): 3,
    }
    assert counted(told, "trading.order.operations", "trading.order.operation") == {
        ("submit",): 9,
        ("replace",): 3,
        ("cancel",): 1,
    }
    assert [(run["orders"], run["fills"], run["rejects"]) for run in runs(told)] == [(9, 0, 9)]


def test_lists_changes_and_refused_cancels_are_counted(told: Capture, lab: Any) -> None:
    make_qty, make_price, buy = lab.instrument.make_qty, lab.instrument.make_price, 1

    class Busy(lab.strategy):
        def on_quote_tick(self, tick: Any) -> None:
            self.quotes += 1
            (self.enter, self.grow, self.cancel_what_is_over)[self.quotes - 1](tick)

        def enter(self, _: Any) -> None:
            factory, below, above = self.order_factory, make_price(40_000), make_price(60_000)
            bracket = factory.bracket(
                lab.instrument.id, buy, make_qty(1), tp_price=above, sl_trigger_price=below
            )
            self.entry, self.resting = (
                bracket.first,
                factory.limit(lab.instrument.id, buy, make_qty(1), below),
            )
            self.submit_order_list(bracket)
            self.submit_order(self.resting)

        def grow(self, _: Any) -> None:
            self.modify_order(self.resting, quantity=make_qty(2))

        def cancel_what_is_over(self, tick: Any) -> None:
            command = CancelOrder(
                trader_id=self.trader_id,
                strategy_id=self.id,
                instrument_id=lab.instrument.id,
                client_order_id=self.entry.client_order_id,
                venue_order_id=self.entry.venue_order_id,
                command_id=UUID4(),
                ts_init=tick.ts_init,
            )
            self.msgbus.send("ExecEngine.execute", command)

    engine = lab.engine(Busy(1), lab.quotes(3))
    engine.run()
    engine.dispose()
    assert counted(told, "trading.order.operations", "trading.order.operation") == {
        ("submit",): 5,
        ("replace",): 1,
        ("cancel",): 2,
    }
    keys = ("trading.order.operation", "trading.order.reject.reason", "trading.order.reject.origin")
    assert counted(told, "trading.order.rejects", *keys) == {("cancel", "not_found", "venue"): 1}


@pytest.mark.parametrize(
    "settings", [{"backtest_traces": False}, {"lifecycle_delay_s": 3600, "backtest_traces": True}]
)
def test_draws_orders_and_fills_are_the_same_with_and_without_us(
    request: pytest.FixtureRequest, lab: Any, settings: dict[str, Any]
) -> None:
    bare = lab.run(600, 7)
    request.getfixturevalue("told")
    assert lab.run(600, 7) == bare


def test_its_span_lies_in_the_time_of_the_wall(told: Capture, lab: Any) -> None:
    lab.run()
    [run] = told.spans()
    assert run.start_ns >= EPOCH_NS > START_NS
    assert run.end_ns > run.start_ns


def test_batches_of_a_stream_are_one_run(told: Capture, lab: Any) -> None:
    data = lab.quotes(300)
    engine = lab.engine(lab.strategy(40), data[:100])
    engine.run(streaming=True)
    for start in (100, 200):
        engine.clear_data()
        engine.add_data(data[start : start + 100])
        engine.run(streaming=True)
        assert engine.cache.orders()
    assert told.spans() == []
    engine.end()
    orders, fills = len(engine.cache.orders()), sum(len(order.trade_ids) for order in engine.cache.orders())
    engine.dispose()
    assert [(run["messages"], run["orders"], run["fills"]) for run in runs(told)] == [(300, orders, fills)]


def test_each_run_of_an_engine_counts_for_itself(told: Capture, lab: Any) -> None:
    strategy = lab.strategy(40)
    engine = lab.engine(strategy, lab.quotes(200))
    engine.run()
    engine.reset()
    strategy.quotes = 100
    engine.run()
    engine.dispose()
    assert [(run["messages"], run["complete"]) for run in runs(told)] == [(200, True), (200, True)]


def test_a_run_that_breaks_off_is_told_when_its_engine_is_disposed_of(told: Capture, lab: Any) -> None:
    with pytest.raises(RuntimeError, match="the strategy's own"):
        lab.run(breaks_at="quote")
    assert [(run["messages"], run["complete"]) for run in runs(told)] == [(40, False)]


def test_a_run_that_fails_to_start_says_why(told: Capture, lab: Any) -> None:
    with pytest.raises(RuntimeError, match="the strategy's own"):
        lab.run(breaks_at="start")
    [span] = told.spans()
    assert (span.status, span.attributes["error.type"]) == ("error", "RuntimeError")
    assert span.attributes["trading.backtest.complete"] is False


def test_nothing_is_told_while_suppressed(told: Capture, lab: Any) -> None:
    with suppressed():
        lab.run()
    assert (told.spans(), told.points("trading.order.operations")) == ([], [])


@pytest.mark.library("nautilus_trader", at_least=(1, 231))  # earlier ones keep every kernel themselves
def test_an_engine_that_nobody_has_any_more_is_let_go(told: Capture, lab: Any) -> None:
    engine = lab.engine(lab.strategy(40), lab.quotes(50))
    engine.run()
    kernel = weakref.ref(engine.trader)
    engine.dispose()
    del engine
    gc.collect()
    assert kernel() is None


@TRACED
def test_each_order_is_a_trace_of_its_own_where_that_is_wanted(told: Capture, lab: Any) -> None:
    _, _, orders = lab.run(200, 40)
    trading.shutdown()
    spans = told.spans()
    submits = [span for span in spans if span.name.startswith("trading.order.submit")]
    fills = [span for span in spans if "trading.execution.id" in span.attributes]
    lives = [span for span in spans if span.name == "trading.order.lifecycle"]
    assert [span.attributes["trading.order.client_id"] for span in submits] == [order[0] for order in orders]
    assert [span.attributes["trading.trigger"] for span in submits] == ["tick"] * 6
    assert len({span.trace_id for span in submits[:5]}) == 5
    assert {span.trace_id for span in fills} <= {span.trace_id for span in submits}
    assert sorted(span.attributes["trading.order.status"] for span in lives) == ["canceled"] + ["filled"] * 5
    assert told.tree().splitlines()[:7] == [
        "trading.backtest.run",
        "trading.feed.message",
        "  trading.strategy.decision",
        "    trading.order.submit binance",
        "      trading.risk.check risk_engine",
        "      trading.order.event filled",
        "      trading.order.lifecycle",
    ]


@TRACED
def test_moments_of_history_are_attributes_and_no_span_times(told: Capture, lab: Any) -> None:
    before_ns = time.time_ns()
    lab.run()
    trading.shutdown()
    orders = [span for span in told.spans() if span.name.startswith("trading.order")]
    moments = [span.attributes["trading.venue.time_unix_nano"] for span in orders if ".event" in span.name]
    assert all(START_NS <= moment <= START_NS + 20_000_000_000 for moment in moments)
    assert all(before_ns <= span.start_ns <= span.end_ns <= time.time_ns() for span in orders)


@TRACED
def test_ids_that_a_second_run_gives_again_are_other_orders(told: Capture, lab: Any) -> None:
    for _ in range(2):
        lab.run(200, 40)
    trading.shutdown()
    fills = [span for span in told.spans() if "trading.execution.id" in span.attributes]
    submits = {span.span_id for span in told.spans() if span.name.startswith("trading.order.submit")}
    assert len(submits) == 12
    assert len({span.parent_id for span in fills}) == len(fills) == 10
    assert {span.parent_id for span in fills} <= submits


@TRACED
def test_an_order_that_a_timer_places_is_not_the_last_ticks(told: Capture, lab: Any) -> None:
    class Late(lab.strategy):
        def on_quote_tick(self, tick: Any) -> None:
            if not self.quotes:
                self.clock.set_time_alert_ns("soon", tick.ts_init + 50_000_000, self.buy)
            self.quotes += 1

        def buy(self, _: Any) -> None:
            self.submit_order(self.order_factory.market(lab.instrument.id, 1, lab.instrument.make_qty(0.01)))

    engine = lab.engine(Late(1), lab.quotes(3))
    engine.run()
    engine.dispose()
    submits = [span for span in told.spans() if span.name.startswith("trading.order.submit")]
    assert [span.attributes["trading.trigger"] for span in submits] == ["manual", "tick"]


@TRACED
def test_an_order_that_a_resting_orders_fill_caused_is_linked_to_the_fill(told: Capture, lab: Any) -> None:
    class Hedger(lab.strategy):
        def on_quote_tick(self, tick: Any) -> None:
            if not self.quotes:
                size = lab.instrument.make_qty(0.01)
                below = lab.instrument.make_price(tick.bid_price.as_double() - 1)
                self.submit_order(self.order_factory.limit(lab.instrument.id, 1, size, below))
            self.quotes += 1

        def on_order_filled(self, event: Any) -> None:
            if event.order_side == 1:
                self.submit_order(
                    self.order_factory.market(lab.instrument.id, 2, lab.instrument.make_qty(0.01))
                )

    engine = lab.engine(Hedger(1), lab.quotes(200))
    engine.run()
    engine.dispose()
    first, second = [span for span in told.spans() if span.name.startswith("trading.order.submit")]
    fill = next(span for span in told.spans() if span.name == "trading.order.event filled")
    assert (second.attributes["trading.trigger"], second.links) == (
        "order_event",
        ((fill.trace_id, fill.span_id),),
    )
    assert fill.parent_id == first.span_id


@TRACED
def test_an_exception_of_the_strategy_passes_and_marks_the_order_that_it_came_through(
    told: Capture, lab: Any
) -> None:
    with pytest.raises(RuntimeError, match="the strategy's own"):
        lab.run(breaks_at="submitted")
    [submit] = [span for span in told.spans() if span.name.startswith("trading.order.submit")]
    assert (submit.status, submit.attributes["error.type"]) == ("error", "RuntimeError")


@TRACED
def test_a_tick_of_the_backtest_is_still_the_strategys_after_its_first_order(told: Capture, lab: Any) -> None:
    class Twice(lab.strategy):
        def on_quote_tick(self, tick: Any) -> None:
            size = lab.instrument.make_qty(0.01)
            for _ in range(2):
                self.submit_order(self.order_factory.market(lab.instrument.id, 1, size))

    engine = lab.engine(Twice(1), lab.quotes(1))
    engine.run()
    engine.dispose()
    submits = [span for span in told.spans() if span.name.startswith("trading.order.submit")]
    assert [span.attributes["trading.trigger"] for span in submits] == ["tick", "tick", "tick"]
    assert {span.trace_id for span in submits} == {submits[0].trace_id}
