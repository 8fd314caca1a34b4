"""The pure life of one order: whatever the order of its reports, the totals are the same."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tickspan.trading import (
    Execution,
    OrderOperation,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Reject,
    Source,
    lifecycle,
)
from tickspan.trading.lifecycle import Closed, Effect, Order, Told

REQUEST = OrderRequest(OrderOperation.SUBMIT, "binance", "test", client_id="c-1", quantity=Decimal(10))


def report(
    status: OrderStatus | None = None, filled: int | None = None, *executions: str, **known: Any
) -> OrderUpdate:
    """A pushed report; executions are of one unit each."""
    fills = tuple(Execution(name, Decimal(1)) for name in executions)
    cumulative = Decimal(filled) if filled is not None else None
    base = OrderUpdate(
        "binance", Source.USER_STREAM, status, venue_id="v-1", filled_quantity=cumulative, executions=fills
    )
    return replace(base, received_ns=1, **known)


def run(updates: list[OrderUpdate], order: Order | None = None) -> tuple[Order, list[Effect]]:
    """The state after all reports, and every effect on the way."""
    state, effects = order or lifecycle.begin(REQUEST), list[Effect]()
    for update in updates:
        state, more = lifecycle.apply(state, update)
        effects += more
    return state, effects


def totals(order: Order) -> tuple[object, ...]:
    """What no order of events may change."""
    return order.status, order.filled, order.executed, order.executions, order.venue_id, order.quantity


@st.composite
def histories(draw: st.DrawFn) -> list[OrderUpdate]:
    """What a venue says of one order, in the order in which it happened."""
    count = draw(st.integers(0, 8))
    is_filled = count == 8
    told = [report(OrderStatus.NEW, 0)]
    for number in range(1, count + 1):
        is_last = is_filled and number == count
        status = OrderStatus.FILLED if is_last else OrderStatus.PARTIALLY_FILLED
        fill = report(None, None, f"x-{number}")
        told += draw(
            st.sampled_from(
                [
                    [report(status, number, f"x-{number}", quantity=Decimal(8))],
                    [fill, report(status, number, quantity=Decimal(8))],
                    [report(status, number, quantity=Decimal(8)), fill],
                ]
            )
        )
    end = draw(st.sampled_from([OrderStatus.CANCELED, OrderStatus.EXPIRED, None]))
    return told if is_filled or end is None else [*told, report(end, count)]


@given(histories(), st.data())
def test_any_permutation_and_repetition_of_an_orders_reports_gives_the_same_totals(
    history: list[OrderUpdate], data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(history), max_size=5))
    shuffled = data.draw(st.permutations([*history, *repeated]))
    assert totals(run(shuffled)[0]) == totals(run(history)[0])


@given(histories(), st.data())
def test_every_execution_is_told_exactly_once(history: list[OrderUpdate], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations([*history, *history]))
    told = [
        effect.execution.id for effect in run(shuffled)[1] if isinstance(effect, Told) and effect.execution
    ]
    assert sorted(told) == sorted(run(history)[0].executions)


@given(histories(), st.data())
def test_an_order_is_closed_at_most_once_and_only_when_its_call_is_back(
    history: list[OrderUpdate], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations([*history, *history]))
    before, effects = run(shuffled)
    settled, at_return = lifecycle.settle(before)
    after, later = run(shuffled, settled)
    closings = [effect for effect in (*at_return, *later) if isinstance(effect, Closed)]
    assert [effect for effect in effects if isinstance(effect, Closed)] == []
    assert len(closings) == int(after.status.is_terminal)


@given(histories())
def test_a_second_round_of_the_same_reports_is_silent(history: list[OrderUpdate]) -> None:
    once, _ = run(history)
    twice, effects = run(history, run(history, once)[0])
    assert (totals(twice), effects) == (totals(once), [])


def test_a_fill_after_the_end_is_late_and_ends_nothing_twice() -> None:
    canceled, _ = lifecycle.settle(run([report(OrderStatus.CANCELED, 0)])[0])
    order, effects = run([report(OrderStatus.PARTIALLY_FILLED, 1, "x-1")], canceled)
    assert [(type(effect), getattr(effect, "late", None)) for effect in effects] == [(Told, True)]
    assert (order.status, order.filled) == (OrderStatus.CANCELED, Decimal(1))


def test_a_lower_cumulative_quantity_is_late_and_changes_nothing() -> None:
    order, _ = run([report(OrderStatus.PARTIALLY_FILLED, 5)])
    after, effects = run([report(OrderStatus.PARTIALLY_FILLED, 3)], order)
    assert totals(after) == totals(order)
    assert [effect.late for effect in effects if isinstance(effect, Told)] == [True]


def test_the_answer_to_the_call_is_no_event_of_its_own() -> None:
    answer = report(OrderStatus.NEW, 0, source=Source.REST_RESPONSE)
    order, effects = run([answer])
    assert (order.status, order.venue_id, effects) == (OrderStatus.NEW, "v-1", [])


def test_an_answer_that_comes_after_the_fill_is_not_late() -> None:
    order, _ = run([report(OrderStatus.FILLED, 10, "x-1")])
    assert run([report(OrderStatus.NEW, 0, source=Source.REST_RESPONSE)], order)[1] == []


def test_executions_alone_fill_an_order_whose_quantity_the_venue_confirmed() -> None:
    order, _ = run([report(OrderStatus.NEW, 0, quantity=Decimal(2)), report(None, None, "x-1", "x-2")])
    assert (order.status, order.filled_ratio) == (OrderStatus.FILLED, 1.0)


def test_a_call_that_failed_after_sending_is_unknown_until_a_report_comes() -> None:
    failed, effects = lifecycle.fail(lifecycle.begin(REQUEST), None)
    known, _ = run([report(OrderStatus.NEW, 0)], failed)
    assert (failed.status, effects, known.status) == (OrderStatus.UNKNOWN, (), OrderStatus.NEW)


def test_a_report_knows_better_than_the_exception_of_the_call() -> None:
    order, _ = run([report(OrderStatus.FILLED, 10)])
    after, effects = lifecycle.fail(order, Reject("binance:-1"))
    assert (after.status, after.reject, effects) == (OrderStatus.FILLED, None, (Closed(),))


def test_a_refused_call_closes_its_order() -> None:
    order, effects = lifecycle.fail(lifecycle.begin(REQUEST), Reject("binance:-2010"))
    assert (order.status, order.is_closed, effects) == (OrderStatus.REJECTED, True, (Closed(),))


def test_a_canceled_report_of_a_replaced_order_is_no_news() -> None:
    order, _ = lifecycle.supersede(run([report(OrderStatus.NEW, 0)])[0], report(OrderStatus.NEW))
    after, effects = run([report(OrderStatus.CANCELED, 0)], order)
    assert (after.status, effects) == (OrderStatus.REPLACED, [])


def test_a_successor_counts_revisions_and_keeps_the_first_client_id() -> None:
    second = lifecycle.begin(OrderRequest(OrderOperation.REPLACE, "b", "t"), lifecycle.begin(REQUEST))
    assert (second.revision, second.root_client_id) == (1, "c-1")


@given(st.lists(st.integers(1, 30), min_size=100, max_size=200))
def test_what_an_order_remembers_of_its_reports_is_bounded(quantities: list[int]) -> None:
    updates = [report(OrderStatus.NEW, quantity, venue_time_ns=at) for at, quantity in enumerate(quantities)]
    assert len(run(updates)[0].seen) <= lifecycle.MAX_SEEN
