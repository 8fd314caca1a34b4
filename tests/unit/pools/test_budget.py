"""A venue's budget: so much in a time, a burst at once, shared by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.pools import VenueBudget
from tickspan.pools.broker.budget import Bucket, Reservation, budget_of, forget_budgets

FOREVER = float("inf")


def turns(bucket: Bucket, *weights: float, now_s: float = 0.0) -> list[float]:
    reserved = [bucket.reserve(weight, now_s, FOREVER) for weight in weights]
    return [one.ready_at_s for one in reserved if one is not None]


def test_a_burst_goes_at_once_and_what_follows_at_the_rate() -> None:
    assert turns(Bucket(VenueBudget(10, 1.0, burst=3)), 1, 1, 1, 1, 1) == pytest.approx([0, 0, 0, 0.1, 0.2])


def test_a_heavy_request_waits_for_its_weight() -> None:
    assert turns(Bucket(VenueBudget(10, 1.0)), 10, 5) == pytest.approx([0, 0.5])


def test_what_is_not_used_comes_back_up_to_the_burst() -> None:
    bucket = Bucket(VenueBudget(10, 1.0, burst=2))
    turns(bucket, 1, 1)
    assert turns(bucket, 1, 1, 1, now_s=60.0) == pytest.approx([60, 60, 60.1])


def test_a_turn_that_comes_too_late_takes_nothing() -> None:
    bucket = Bucket(VenueBudget(1, 1.0))
    turns(bucket, 1)
    assert bucket.reserve(1, 0.0, until_s=0.5) is None
    assert turns(bucket, 1) == [1.0]


def test_the_last_reservation_can_be_given_back() -> None:
    bucket = Bucket(VenueBudget(1, 1.0))
    first, last = bucket.reserve(1, 0.0, FOREVER), bucket.reserve(1, 0.0, FOREVER)
    assert isinstance(first, Reservation)
    assert isinstance(last, Reservation)
    bucket.cancel(last)
    assert turns(bucket, 1) == [1.0]
    bucket.cancel(first)
    assert turns(bucket, 1) == [2.0]


def test_more_than_the_venue_ever_allows_is_an_error() -> None:
    with pytest.raises(ValueError, match="weight: 11"):
        Bucket(VenueBudget(10)).reserve(11, 0.0, FOREVER)


@pytest.mark.parametrize("bad", [(0, 1.0, None), (1, 0.0, None), (1, 1.0, -1.0)])
def test_a_budget_is_above_nothing(bad: tuple[float, float, float | None]) -> None:
    with pytest.raises(ValueError, match="budget"):
        VenueBudget(*bad)


def test_pools_of_one_venue_share_and_must_agree() -> None:
    budget = VenueBudget(1200, 60.0)
    assert budget_of("venue", budget) is budget_of("venue", VenueBudget(1200, 60.0))
    with pytest.raises(ValueError, match="'venue'"):
        budget_of("venue", VenueBudget(600, 60.0))
    forget_budgets()


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, 3)), max_size=40))
def test_no_window_ever_holds_more_than_burst_and_rate_allow(steps: list[tuple[float, float]]) -> None:
    bucket, now_s, used = Bucket(VenueBudget(5, 1.0, burst=3)), 0.0, list[tuple[float, float]]()
    for pause_s, weight in steps:
        now_s += pause_s
        reserved = bucket.reserve(weight, now_s, FOREVER)
        assert reserved is not None
        used.append((reserved.ready_at_s, weight))
    for begin_s, _ in used:
        for end_s, _ in used:
            within = sum(weight for at_s, weight in used if begin_s <= at_s <= end_s)
            assert begin_s > end_s or within <= 3 + 5 * (end_s - begin_s) + 1e-6
