"""Things that are due later: each once, in one thread that is there only while it is needed."""

from __future__ import annotations

import threading

from tickspan.trading.schedule import Schedule


def test_what_is_due_runs_in_its_turn_in_a_thread_of_its_own() -> None:
    schedule, done, seen = Schedule("test"), threading.Event(), list[str]()
    schedule.after(0.05, lambda: (seen.append(threading.current_thread().name), done.set()))  # pyright: ignore[reportArgumentType] - the result is not looked at
    schedule.after(0.01, lambda: seen.append("sooner"))
    assert done.wait(5)
    assert seen == ["sooner", "test"]


def test_the_thread_leaves_when_nothing_is_due_and_comes_back() -> None:
    schedule, ran = Schedule("test-leaves"), threading.Semaphore(0)
    for _ in range(3):
        schedule.after(0.0, lambda: ran.release(1))
        assert ran.acquire(timeout=5)
        alive = [thread for thread in threading.enumerate() if thread.name == "test-leaves"]
        for thread in alive:
            thread.join(5)
    assert [thread for thread in threading.enumerate() if thread.name == "test-leaves"] == []


def test_flush_runs_everything_now_in_its_order_and_once() -> None:
    schedule, seen = Schedule("test"), list[int]()
    for delay in (30, 10, 20):
        schedule.after(delay, lambda delay=delay: seen.append(delay))
    schedule.flush()
    schedule.flush()
    assert (seen, len(schedule)) == ([10, 20, 30], 0)


def test_what_stands_in_line_has_its_turn_one_after_another() -> None:
    done = threading.Event()
    seen: list[int] = []

    def act(number: int) -> None:
        seen.append(number)
        if number == 3:
            done.set()

    schedule = Schedule("test")
    line = schedule.line(0.01, act)
    for number in (1, 2, 3):
        line.add(number)
    assert done.wait(5)
    assert (seen, len(schedule)) == ([1, 2, 3], 0)


def test_a_line_that_was_empty_goes_on_with_the_next() -> None:
    turns = [threading.Event(), threading.Event()]
    line = Schedule("test").line(0.0, threading.Event.set)
    for turn in turns:
        line.add(turn)
        assert turn.wait(5)


def test_a_line_has_one_action_in_the_schedule_and_is_flushed_with_it() -> None:
    seen: list[int] = []
    schedule = Schedule("test")
    line = schedule.line(3600, seen.append)
    for number in range(100):
        line.add(number)
    waiting, actions = len(line), len(schedule) - len(line)
    schedule.flush()
    assert (waiting, actions, seen, len(schedule)) == (100, 1, list(range(100)), 0)


def test_nothing_waits_in_a_forked_child() -> None:
    seen: list[int] = []
    schedule = Schedule("test")
    schedule.line(3600, seen.append).add(1)
    schedule.after_fork_in_child()
    schedule.flush()
    assert seen == []
