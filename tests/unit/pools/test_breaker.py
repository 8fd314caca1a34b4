"""A breaker opens after failures in a row, and lets one attempt show whether it may close."""

from __future__ import annotations

from tickspan.pools import BreakerState
from tickspan.pools.broker.breaker import FAILURES, Breaker


def opened(now_s: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(now_s)
    return breaker


def test_it_opens_at_the_fifth_failure_in_a_row() -> None:
    breaker = Breaker()
    changes = [breaker.failed(0.0) for _ in range(FAILURES)]
    assert changes == [False, False, False, False, True]
    assert (breaker.state, breaker.admits(0.5), breaker.retry_after_s(0.25)) == (
        BreakerState.OPEN,
        False,
        0.75,
    )


def test_a_success_in_between_begins_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker.failed(0.0)
    breaker.succeeded()
    assert (breaker.failed(0.0), breaker.state) == (False, BreakerState.CLOSED)


def test_after_the_pause_one_attempt_is_let_through() -> None:
    breaker = opened()
    assert [breaker.admits(1.0), breaker.admits(1.0)] == [True, False]
    assert (breaker.succeeded(), breaker.admits(1.0)) == (True, True)


def test_the_pause_doubles_up_to_half_a_minute() -> None:
    breaker, now_s, pauses = opened(), 0.0, list[float]()
    for _ in range(7):
        pauses.append(breaker.retry_after_s(now_s))
        now_s += pauses[-1]
        breaker.admits(now_s)
        breaker.failed(now_s)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_an_attempt_that_was_not_made_lets_the_next_try() -> None:
    breaker = opened()
    breaker.admits(1.0)
    breaker.given_up()
    assert breaker.admits(1.0)
