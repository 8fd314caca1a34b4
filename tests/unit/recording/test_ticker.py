"""The ticker makes calls at intervals, each behind a guard, in one thread that a fork does not lose."""

from __future__ import annotations

import os
import threading

import pytest

from tickspan.recording import strict
from tickspan.recording.ticker import Ticker, ticker


class Time:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def manual(time: Time) -> Ticker:
    return Ticker(time, has_thread=False)


def test_calls_are_made_when_their_time_has_come(manual: Ticker, time: Time) -> None:
    made: list[str] = []
    manual.every(2.0, lambda: made.append("slow"))
    manual.every(1.0, lambda: made.append("fast"))
    waits = [manual.run_due()]
    time.now_s = 1.0
    waits.append(manual.run_due())
    time.now_s = 2.0
    waits.append(manual.run_due())
    assert (made, waits) == (["fast", "slow", "fast"], [1.0, 1.0, 1.0])


def test_calls_of_one_interval_are_made_together(manual: Ticker, time: Time) -> None:
    made: list[str] = []
    for name in ("first", "second", "third"):
        manual.every(1.0, lambda name=name: made.append(name))
        time.now_s += 0.25
    waits = [manual.run_due()]
    time.now_s = 0.9995
    waits.append(manual.run_due())
    assert (made, waits) == (["first", "second", "third"], [0.25, 1.0005])


def test_a_call_says_when_it_is_needed_next_and_when_no_more(manual: Ticker, time: Time) -> None:
    answers: list[float | None] = [3.0, 0.5, None]
    manual.paced(2.0, lambda: answers.pop(0))
    waits: list[float] = []
    for now_s in (0.0, 2.0, 4.0, 5.0, 5.5):
        time.now_s = now_s
        waits.append(manual.run_due())
    assert (waits, answers) == ([2.0, 3.0, 1.0, 0.5, -1.0], [])


def test_a_call_that_fails_to_say_when_is_made_again_a_second_later(manual: Ticker, time: Time) -> None:
    def fail() -> float:
        raise ZeroDivisionError

    manual.paced(2.0, fail)
    time.now_s = 2.0
    with strict(value=False):
        waits = [manual.run_due()]
        for _ in range(9):
            time.now_s += 1.0
            waits.append(manual.run_due())
    assert waits == [*([1.0] * 9), -1.0]


def test_what_is_due_later_than_the_next_call_wakes_nobody() -> None:
    running, ran = Ticker(), threading.Event()
    running.once(0.01, ran.set)
    assert ran.wait(10)
    cancels = [running.once(60.0, int)]
    while running._sleeps_until_s > 1e9:  # until it sleeps
        ran.wait(0.001)
    before = running.wakes
    cancels += [running.once(120.0, int) for _ in range(50)]
    assert (running.wakes - before, running._bell.locked()) == (0, True)
    for cancel in cancels:
        cancel()


def test_intervals_that_were_missed_are_skipped_and_the_beat_is_kept(manual: Ticker, time: Time) -> None:
    made: list[float] = []
    manual.every(1.0, lambda: made.append(time.now_s))
    time.now_s = 7.25
    assert manual.run_due() == 0.75
    assert made == [7.25]


def test_a_call_that_was_cancelled_is_made_no_more(manual: Ticker, time: Time) -> None:
    made: list[int] = []
    cancel = manual.every(1.0, lambda: made.append(1))
    cancel()
    cancel()
    time.now_s = 5.0
    assert (manual.run_due(), made) == (-1.0, [])


def test_a_single_call_is_made_once(manual: Ticker, time: Time) -> None:
    made: list[int] = []
    manual.once(1.0, lambda: made.append(1))
    time.now_s = 5.0
    assert (manual.run_due(), manual.run_due(), made) == (-1.0, -1.0, [1])


def test_a_call_that_fails_ten_times_is_switched_off_and_the_others_go_on(manual: Ticker, time: Time) -> None:
    made: list[float] = []
    failed: list[float] = []

    def fail() -> None:
        failed.append(time.now_s)
        raise ZeroDivisionError

    manual.every(1.0, fail)
    manual.every(1.0, lambda: made.append(time.now_s))
    with strict(value=False):
        for second in range(1, 13):
            time.now_s = float(second)
            manual.run_due()
    assert (len(failed), len(made)) == (10, 12)


@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan")])
def test_an_interval_that_is_no_time_is_refused(manual: Ticker, seconds: float) -> None:
    with pytest.raises(ValueError, match="expected a number of seconds above 0, got"):
        manual.every(seconds, int)


def test_the_thread_starts_with_the_first_call() -> None:
    own = Ticker()
    called = threading.Event()
    assert not own.is_running
    cancel = own.every(0.001, called.set)
    assert called.wait(10)
    assert (own.is_running, repr(own)) == (True, "<Ticker running, 1 calls>")
    cancel()


def test_a_forked_child_goes_on_with_a_thread_of_its_own() -> None:
    own = Ticker()
    reader, writer = os.pipe()
    parent = os.getpid()
    cancel = own.every(0.001, lambda: os.getpid() != parent and os.write(writer, b"x"))
    child = os.fork()
    if not child:
        threading.Event().wait(20)
        os._exit(0)
    assert os.read(reader, 1) == b"x"
    os.kill(child, 9)
    os.waitpid(child, 0)
    cancel()
    os.close(reader)
    os.close(writer)


def test_the_process_has_one() -> None:
    assert ticker() is ticker()
