"""The breaker, on a clock of its own."""

from __future__ import annotations

import pytest

from tickspan.cache.remote.breaker import Breaker, BreakerState


class _Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def breaker(clock: _Clock) -> Breaker:
    return Breaker(failures=3, first_s=1.0, longest_s=4.0, now_s=clock)


def _fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed(breaker.admit())


def test_it_opens_after_failures_in_a_row(breaker: Breaker):
    _fail(breaker, 2)
    breaker.succeeded(breaker.admit())
    _fail(breaker, 2)
    assert breaker.is_closed
    _fail(breaker, 1)
    assert (breaker.state, breaker.admit(), breaker.would_admit) == (BreakerState.OPEN, 0, False)


def test_one_probe_is_let_through_and_its_success_closes_it(breaker: Breaker, clock: _Clock):
    _fail(breaker, 3)
    clock.now_s += 1.0
    probe = breaker.admit()
    assert (breaker.state, breaker.admit()) == (BreakerState.PROBING, 0)
    breaker.succeeded(probe)
    assert (breaker.state, bool(breaker.admit())) == (BreakerState.CLOSED, True)


def test_each_failed_probe_doubles_the_pause_up_to_the_longest(breaker: Breaker, clock: _Clock):
    _fail(breaker, 3)
    pauses: list[float] = []
    for _ in range(4):
        pauses.append(breaker.wait_s())
        clock.now_s += breaker.wait_s()
        breaker.failed(breaker.admit())
    assert pauses == [1.0, 2.0, 4.0, 4.0]


def test_a_success_makes_the_pause_short_again(breaker: Breaker, clock: _Clock):
    _fail(breaker, 3)
    clock.now_s += 1.0
    breaker.failed(breaker.admit())
    clock.now_s += 2.0
    breaker.succeeded(breaker.admit())
    _fail(breaker, 3)
    assert breaker.wait_s() == 1.0


def test_calls_that_began_before_a_change_tell_nothing_about_after(breaker: Breaker, clock: _Clock):
    before = [breaker.admit() for _ in range(2)]
    _fail(breaker, 3)
    breaker.failed(before[0])
    breaker.succeeded(before[1])
    assert (breaker.state, breaker.wait_s()) == (BreakerState.OPEN, 1.0)
    clock.now_s += 1.0
    probe = breaker.admit()
    breaker.failed(before[0])
    breaker.succeeded(before[1])
    assert breaker.state is BreakerState.PROBING
    breaker.succeeded(probe)
    assert breaker.is_closed


def test_a_probe_that_was_given_up_lets_the_next_one_go(breaker: Breaker, clock: _Clock):
    _fail(breaker, 3)
    clock.now_s += 1.0
    breaker.abandoned(breaker.admit())
    assert (breaker.state, breaker.would_admit) == (BreakerState.OPEN, True)
    breaker.succeeded(breaker.admit())
    assert breaker.is_closed


def test_a_probe_that_is_never_heard_of_again_is_replaced(breaker: Breaker, clock: _Clock):
    _fail(breaker, 3)
    clock.now_s += 1.0
    lost = breaker.admit()
    clock.now_s += 5.0
    breaker.succeeded(breaker.admit())
    breaker.failed(lost)
    assert breaker.is_closed


def test_who_watches_it_is_told_each_change(breaker: Breaker, clock: _Clock):
    told: list[tuple[str, str]] = []
    breaker.observe(lambda before, after: told.append((before, after)))
    _fail(breaker, 4)
    clock.now_s += 1.0
    breaker.succeeded(breaker.admit())
    assert told == [("closed", "open"), ("open", "probing"), ("probing", "closed")]


def test_it_says_how_it_stands(breaker: Breaker):
    assert repr(breaker) == "<Breaker closed>"
    _fail(breaker, 3)
    assert repr(breaker) == "<Breaker open, next try in 1.0 s>"
