"""What is counted and measured of orders, and that reports in any order add up to the same."""

from __future__ import annotations

import os
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from order_stage import OrderStage, answer, fill, replace_of, report, submit

from tickspan.semconv import trading as names
from tickspan.testing import capture
from tickspan.trading import (
    Execution,
    OrderOperation,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Point,
    Reject,
    Source,
    strategy,
)

SECOND = 1_000_000_000


def test_an_operation_is_counted_by_venue_environment_library_strategy_operation_and_type(
    stage: OrderStage,
) -> None:
    with strategy("mm-1"):
        stage.orders().begin(
            submit(instrument="A/B", side="buy", type="limit", environment="paper", account="DU1")
        )
    (point,) = stage.telemetry.points("trading.order.operations")
    assert (dict(point.attributes), point.value) == (
        {
            "trading.venue.name": "sim",
            "trading.venue.environment": "paper",
            "trading.client.library": "test",
            "trading.strategy.id": "mm-1",
            "trading.order.operation": "submit",
            "trading.order.type": "limit",
        },
        1,
    )


def test_fills_are_counted_by_side_and_liquidity_and_each_once(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders, side="buy")
    for _ in range(2):
        orders.observe(
            report(None, executions=(fill("x-1", liquidity="maker"), fill("x-2", liquidity="taker")))
        )
    assert stage.points("order.fills") == {
        (("execution.liquidity", side), ("order.operation", "submit"), ("order.side", "buy")): 1
        for side in ("maker", "taker")
    }


def test_an_order_that_is_filled_without_an_execution_has_one_fill(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.observe(report(OrderStatus.PARTIALLY_FILLED, filled_quantity=Decimal(1)))
    orders.observe(report(OrderStatus.FILLED, filled_quantity=Decimal(2)))
    assert stage.total("order.fills") == 1


def test_a_fill_after_the_end_counts_as_late_too(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.observe(report(OrderStatus.CANCELED))
    orders.observe(report(None, executions=(fill("x-1"),)))
    assert (stage.total("order.fills"), stage.total("order.late_fills")) == (1, 1)


def test_lost_orders_are_counted_and_shown_while_they_are_lost(stage: OrderStage) -> None:
    orders = stage.orders()
    orders.begin(submit()).fail("TimeoutError")
    lost = (stage.total("order.unknown_state"), stage.points("order.open_unknown"))
    orders.observe(report(OrderStatus.NEW, client_id="c-1"))
    assert lost == (1, {(): 1})
    assert (stage.total("order.unknown_state"), stage.points("order.open_unknown")) == (1, {(): 0})


def test_open_orders_are_shown_by_place(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders, "c-1", "v-1")
    stage.placed(orders, "c-2", "v-2", environment="paper")
    stage.placed(orders, "c-3", "v-3", environment="paper")
    orders.observe(report(OrderStatus.CANCELED, "v-3"))
    assert stage.points("order.open") == {(): 1, (("venue.environment", "paper"),): 1}


def test_the_oldest_order_without_an_answer_is_shown_by_its_age(stage: OrderStage) -> None:
    orders = stage.orders()
    first = orders.begin(submit("c-1"))
    stage.pass_time(3)
    second = orders.begin(submit("c-2"))
    stage.pass_time(4)
    ages = [stage.points("order.oldest_unacked_age")]
    for call, venue_id in ((first, "v-1"), (second, "v-2")):
        call.acknowledge([answer(OrderStatus.NEW, venue_id)])
        ages.append(stage.points("order.oldest_unacked_age"))
    assert ages == [{(): 7}, {(): 4}, {(): 0}]


def test_gauges_are_silent_once_the_registry_is_closed(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    orders.close()
    assert stage.points("order.open") == {}


def test_a_report_that_nobody_claims_is_counted_by_its_source(stage: OrderStage) -> None:
    orders = stage.orders()
    orders.observe(report(OrderStatus.FILLED, "nobody", library="test"))
    orders.close()
    assert stage.points("order.unmatched_events") == {(("order.event.source", "user_stream"),): 1}


def test_an_order_that_had_to_leave_is_counted(stage: OrderStage) -> None:
    orders = stage.orders(max_orders=2)
    for number in range(5):
        stage.placed(orders, f"c-{number}", f"v-{number}")
    orders.close()
    assert stage.total("order.evictions") == 3


@pytest.mark.parametrize(
    ("ahead_s", "lags", "negative"),
    [(0, [3.0], 0), (-1, [2.0], 0), (2, [5.0], 0), (-4, [], 1)],
)
def test_the_way_of_a_fill_is_measured_by_the_venues_clock_as_far_as_that_is_known(
    stage: OrderStage, ahead_s: int, lags: list[float], negative: int
) -> None:
    orders = stage.orders()
    orders.use_clock_ahead(lambda _venue, _environment: ahead_s * SECOND)
    stage.placed(orders)
    made_ns = stage.now_ns - 3 * SECOND
    orders.observe(report(None, executions=(fill("x-1"),), venue_time_ns=made_ns))
    points = stage.telemetry.points("trading.fill.delivery_lag")
    assert [(point.count, point.value) for point in points] == [(1, lag) for lag in lags]
    assert stage.total("clock.negative_lag") == negative


def test_instruments_stand_on_measurements_only_if_asked_for_and_the_first_ones(stage: OrderStage) -> None:
    for orders in (stage.orders(), stage.orders(metric_symbols=2)):
        for number in range(4):
            orders.begin(submit(f"c-{number}", instrument=f"S{number}"))
    assert stage.points("order.operations") == {
        (("order.operation", "submit"),): 4,
        (("instrument.symbol", "S0"), ("order.operation", "submit")): 1,
        (("instrument.symbol", "S1"), ("order.operation", "submit")): 1,
        (("instrument.symbol", "_other"), ("order.operation", "submit")): 2,
    }


def test_stages_of_a_life_are_measured(stage: OrderStage) -> None:
    orders = stage.orders()
    call = orders.begin(submit())
    for point in (Point.SENT, Point.ANSWERED):
        stage.pass_time(1)
        call.mark(point)
    call.acknowledge([answer()])
    stage.pass_time(1)
    orders.observe(report(OrderStatus.FILLED, executions=(fill("x-1"),)))
    orders.close()
    measured = {
        metric.removeprefix("trading."): [point.value for point in stage.telemetry.points(metric)]
        for metric in (names.METRIC_DECISION_TO_WIRE, names.METRIC_WIRE_TO_ACK, names.METRIC_ORDER_DURATION)
    }
    assert measured == {"decision_to_wire": [1.0], "wire_to_ack": [1.0], "order.duration": [3.0]}


@pytest.mark.integration
def test_a_forked_child_shows_its_own_open_orders_only(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    child = os.fork()
    if child == 0:
        stage.placed(orders, "c-2", "v-2")
        orders.observe(report(OrderStatus.CANCELED, "v-1"))
        os._exit(0 if stage.points("order.open") == {(): 1} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@st.composite
def stories(draw: st.DrawFn) -> list[OrderUpdate]:
    """What the venue says of three orders, some executions by themselves, some with the order's state."""
    told: list[OrderUpdate] = []
    for order in range(3):
        venue_id, count = f"v-{order}", draw(st.integers(0, 4))
        told.append(report(OrderStatus.NEW, venue_id, quantity=Decimal(4), filled_quantity=Decimal(0)))
        for number in range(1, count + 1):
            status = OrderStatus.FILLED if number == 4 else OrderStatus.PARTIALLY_FILLED
            one = Execution(f"x-{number}", Decimal(1))
            together = report(status, venue_id, filled_quantity=Decimal(number), executions=(one,))
            apart = [
                report(status, venue_id, filled_quantity=Decimal(number)),
                report(None, venue_id, executions=(one,)),
            ]
            told += apart if draw(st.booleans()) else [together]
        if count < 4 and draw(st.booleans()):
            told.append(report(OrderStatus.CANCELED, venue_id, filled_quantity=Decimal(count)))
    return told


def totals_of(story: list[OrderUpdate]) -> dict[str, object]:
    """What a registry makes of the story: counts, states, and each execution that was told."""
    with capture() as telemetry:
        stage = OrderStage(telemetry)
        orders = stage.orders()
        for order in range(3):
            stage.placed(orders, f"c-{order}", f"v-{order}")
        for update in story:
            orders.observe(update)
        orders.close()
        lives = [span for span in telemetry.spans() if span.name == names.SPAN_ORDER_LIFECYCLE]
        told = [event for event in telemetry.events() if names.EXECUTION_ID in event.attributes]
        return {
            "fills": stage.total("order.fills"),
            "rejects": stage.total("order.rejects"),
            "lives": sorted(
                (
                    life.attributes[names.ORDER_VENUE_ID],
                    life.attributes[names.ORDER_STATUS],
                    life.attributes[names.ORDER_EXECUTIONS],
                )
                for life in lives
            ),
            "told": sorted(
                (event.attributes[names.ORDER_VENUE_ID], event.attributes[names.EXECUTION_ID])
                for event in told
            ),
            "ends": sorted(
                (event.name, event.attributes[names.ORDER_VENUE_ID])
                for event in telemetry.events()
                if event.name in (names.EVENT_ORDER_CANCEL, names.EVENT_ORDER_ACK, names.EVENT_ORDER_NEW)
                and names.ORDER_VENUE_ID in event.attributes
            ),
        }


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(stories(), st.data())
def test_reports_in_any_order_and_repeated_add_up_to_the_same(
    story: list[OrderUpdate], data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(story), max_size=6))
    shuffled = data.draw(st.permutations([*story, *repeated]))
    assert totals_of(list(shuffled)) == totals_of(story)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(stories())
def test_every_execution_is_told_exactly_once(story: list[OrderUpdate]) -> None:
    made = sorted((update.venue_id, one.id) for update in story for one in update.executions)
    assert totals_of([*story, *reversed(story)])["told"] == made


def test_a_call_that_fails_after_its_order_was_reported_changes_no_count(stage: OrderStage) -> None:
    orders = stage.orders()
    call = orders.begin(submit())
    orders.observe(report(OrderStatus.FILLED, client_id="c-1", executions=(fill("x-1"),)))
    call.fail("TimeoutError", Reject("TimeoutError"))
    counted = {name: stage.total(f"order.{name}") for name in ("fills", "rejects", "unknown_state")}
    assert counted == {"fills": 1, "rejects": 0, "unknown_state": 0}


def test_an_answer_to_a_question_counts_what_it_tells(stage: OrderStage) -> None:
    orders = stage.orders()
    stage.placed(orders)
    question = OrderRequest(OrderOperation.QUERY, "sim", "test", venue_id="v-1")
    filled = OrderUpdate("sim", Source.REST_RESPONSE, OrderStatus.FILLED, venue_id="v-1")
    orders.begin(question).acknowledge([filled])
    assert stage.points("order.open") == {(): 0}


def test_what_a_library_makes_of_two_requests_counts_as_those_two(stage: OrderStage) -> None:
    orders = stage.orders()
    whole = orders.begin(replace_of("v-1", emulated=True))
    orders.begin(OrderRequest(OrderOperation.CANCEL, "sim", "test", venue_id="v-1")).acknowledge()
    orders.begin(submit()).fail("x", Reject("x"))
    whole.fail("x", Reject("x"))
    assert (stage.total("order.operations"), stage.total("order.rejects")) == (2, 1)
