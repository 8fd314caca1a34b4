import pytest

from tickspan.testing.venue import Behaviour
from tickspan.testing.venue.limits import Budget


def test_a_budget_counts_until_it_is_exceeded():
    budget = Budget(Behaviour(order_limit_10s=2, order_limit_1d=3))
    exceeded = [budget.use("ORDERS", 1) for _ in range(3)]

    assert exceeded == [None, None, budget.limits[1]]
    assert [budget.used(limit) for limit in budget.limits] == [0, 3, 3]


def test_a_window_begins_with_its_first_use_and_then_is_empty_again(monkeypatch: pytest.MonkeyPatch):
    now = 1_000.0
    monkeypatch.setattr("tickspan.testing.venue.limits.time.monotonic", lambda: now)
    budget = Budget(Behaviour())
    budget.use("REQUEST_WEIGHT", 7)
    left = budget.seconds_left(budget.limits[0])
    now += 60

    assert left == 60
    assert budget.used(budget.limits[0]) == 0


def test_the_headers_are_named_as_the_venue_names_them():
    assert [limit.header for limit in Budget(Behaviour()).limits] == [
        "X-MBX-USED-WEIGHT-1M",
        "X-MBX-ORDER-COUNT-10S",
        "X-MBX-ORDER-COUNT-1D",
    ]
