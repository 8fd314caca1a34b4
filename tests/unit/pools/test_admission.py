"""Permits are given first come, first served; lanes keep their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.pools.admission import Admission, Ticket


def asked(admission: Admission, *lanes: str) -> list[Ticket]:
    tickets = [Ticket(lane) for lane in lanes]
    for ticket in tickets:
        admission.ask(ticket)
    return tickets


def test_as_many_are_let_in_as_there_are_permits() -> None:
    tickets = asked(Admission(2, {}), "", "", "")
    assert [ticket.is_in for ticket in tickets] == [True, True, False]


def test_who_leaves_lets_in_who_came_first() -> None:
    admission = Admission(1, {})
    inside, first, second = asked(admission, "", "", "")
    assert admission.leave(inside) == [first]
    assert (first.is_in, second.is_in) == (True, False)
    assert admission.leave(first) == [second]


def test_who_comes_later_does_not_overtake() -> None:
    admission = Admission(1, {})
    inside, waiting = asked(admission, "", "")
    admission.leave(inside)
    (late,) = asked(admission, "")
    assert (waiting.is_in, late.is_in) == (True, False)


def test_a_lane_gets_in_while_others_wait() -> None:
    tickets = asked(Admission(3, {"orders": 1}), "", "", "", "orders")
    assert [ticket.is_in for ticket in tickets] == [True, True, False, True]


def test_a_permit_of_a_lane_waits_for_the_lane() -> None:
    admission = Admission(2, {"orders": 1})
    order, _, waiting = asked(admission, "orders", "", "")
    assert admission.leave(order) == []
    assert (waiting.is_in, admission.free) == (False, 1)


def test_a_lane_beyond_its_own_permits_stands_in_the_common_queue() -> None:
    admission = Admission(2, {"orders": 1})
    shared, _, other, order = asked(admission, "", "orders", "", "orders")
    assert admission.leave(shared) == [other]
    assert order.is_in is False


def test_who_waits_no_more_is_passed_over() -> None:
    admission = Admission(1, {})
    inside, first, second = asked(admission, "", "", "")
    assert admission.abandon(first) == []
    assert admission.leave(inside) == [second]


def test_who_was_let_in_and_waits_no_more_hands_on() -> None:
    admission = Admission(1, {})
    inside, first, second = asked(admission, "", "", "")
    admission.leave(inside)
    assert admission.abandon(first) == [second]


def test_leaving_twice_gives_back_once() -> None:
    admission = Admission(1, {})
    (inside,) = asked(admission, "")
    admission.leave(inside)
    admission.leave(inside)
    assert admission.free == 1


def test_a_larger_limit_lets_in_at_once_and_a_smaller_one_as_they_leave() -> None:
    admission = Admission(1, {})
    first, second = asked(admission, "", "")
    assert admission.resize(2) == [second]
    admission.resize(1)
    (third,) = asked(admission, "")
    assert admission.leave(first) == []
    assert admission.leave(second) == [third]


def test_what_the_pool_counts_is_right() -> None:
    admission = Admission(2, {})
    lost, _, waiting = asked(admission, "", "", "")
    assert admission.reconcile(1) == [waiting]
    assert admission.leave(lost) == []
    assert admission.free == 0


def test_a_count_that_is_no_better_changes_nothing() -> None:
    admission = Admission(2, {})
    first, _, waiting = asked(admission, "", "", "")
    assert admission.reconcile(2) == []
    assert admission.leave(first) == [waiting]


@pytest.mark.parametrize("lanes", [{"orders": 2}, {"orders": 0}, {"": 1}, {"a": 1, "b": 1}])
def test_lanes_must_leave_something_to_the_others(lanes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="lanes"):
        Admission(2, lanes)


@given(st.lists(st.tuples(st.sampled_from(["ask", "leave", "abandon"]), st.integers(0, 30), st.booleans())))
def test_there_are_never_more_inside_than_permits_nor_anybody_waiting_while_one_is_free(
    steps: list[tuple[str, int, bool]],
) -> None:
    admission = Admission(3, {"orders": 1})
    tickets: list[Ticket] = []
    for step, which, is_order in steps:
        if step == "ask" or not tickets:
            tickets.append(Ticket("orders" if is_order else ""))
            admission.ask(tickets[-1])
        else:
            {"leave": admission.leave, "abandon": admission.abandon}[step](tickets[which % len(tickets)])
        inside = sum(ticket.is_in for ticket in tickets)
        assert inside + admission.free == 3
        assert admission.free == 0 or admission.waiting == 0 or admission.free == 1
