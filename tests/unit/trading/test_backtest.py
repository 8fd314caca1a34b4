"""In a back-test orders are counted, and the run is one span; a trace for each only if asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from order_stage import OrderStage, answer, fill, report, submit

from tickspan.trading import OrderCall, OrderStatus, Point, Reject, open_call


def trade(stage: OrderStage, **settings: Any) -> None:
    """One order filled, one refused, one lost; each takes a second."""
    orders = stage.orders(**settings)
    stage.placed(orders, "c-1", "v-1", environment="backtest", quantity=Decimal(1))
    orders.observe(report(OrderStatus.FILLED, "v-1", executions=(fill("x-1"),), venue_time_ns=1))
    stage.pass_time(1)
    orders.begin(submit("c-2", environment="backtest")).fail("x", Reject("x"))
    stage.pass_time(1)
    orders.begin(submit("c-3", environment="backtest")).fail("TimeoutError")
    stage.pass_time(1)
    orders.close()


def test_a_run_is_one_span_from_its_first_order_to_the_end(stage: OrderStage) -> None:
    stage.pass_time(5)
    began_ns = stage.now_ns
    trade(stage)
    (run,) = stage.telemetry.spans()
    assert (run.name, run.kind) == ("trading.backtest.run", "internal")
    assert run.attributes == {
        "trading.venue.name": "sim",
        "trading.venue.environment": "backtest",
        "trading.client.library": "test",
    }
    assert (run.start_ns - began_ns, run.end_ns - began_ns) == (0, 3_000_000_000)
    assert stage.said() == []


def test_counts_are_those_of_any_order(stage: OrderStage) -> None:
    trade(stage)
    totals = {
        name: stage.total(f"order.{name}") for name in ("operations", "fills", "rejects", "unknown_state")
    }
    assert totals == {"operations": 3, "fills": 1, "rejects": 1, "unknown_state": 1}
    assert stage.telemetry.points("trading.order.duration") == []
    assert stage.telemetry.points("trading.fill.delivery_lag") == []


def test_a_trace_for_each_order_can_be_asked_for(stage: OrderStage) -> None:
    trade(stage, backtest_traces=True)
    assert stage.names().count("order.submit sim") == 3
    assert stage.said()[0] == ("order.new", "INFO")


def test_the_environment_of_the_settings_counts_where_the_order_says_nothing(stage: OrderStage) -> None:
    orders = stage.orders(environment="backtest")
    stage.placed(orders)
    stage.placed(orders, "c-2", "v-2", environment="paper")
    orders.close()
    assert sorted(stage.names()) == ["backtest.run", "order.lifecycle", "order.submit sim"]


@pytest.fixture
def call(stage: OrderStage) -> OrderCall:
    return stage.orders(environment="backtest").begin(submit())


def test_the_call_works_as_ever(stage: OrderStage, call: OrderCall) -> None:
    call.resume()
    assert open_call() is call
    call.attempt("POST /order")
    call.attempt("POST /order")
    call.mark(Point.ANSWERED)
    call.enrich(client_id="c-9")
    call.acknowledge([answer()])
    assert open_call() is None
    assert stage.total("order.retries") == 1


def test_a_run_without_orders_leaves_nothing(stage: OrderStage) -> None:
    stage.orders(environment="backtest").close()
    assert stage.telemetry.spans() == []
