"""A gate lets threads and tasks in by turns, and is never waited for by whoever gives a permit back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from tickspan.pools.gate import Gate, GateTimeoutError, Pass


def gate_of(limit: int, in_use: Callable[[], int | None] = lambda: None, **lanes: int) -> Gate:
    return Gate(limit, lanes, in_use, lambda: 0)


def test_a_permit_is_taken_at_once_while_nobody_waits() -> None:
    gate = gate_of(2, orders=1)
    shared = gate.at_once("")
    assert (shared is not None, gate.at_once(""), gate.at_once("orders") is not None) == (True, None, True)
    shared.leave()
    assert gate.free == 1


def test_nobody_takes_a_permit_while_another_waits() -> None:
    gate = gate_of(2, orders=1)
    gate.at_once("")
    gate.ask("", Pass.for_thread)
    assert (gate.waiting, gate.at_once("orders"), gate.free) == (1, None, 1)
    assert gate.ask("orders", Pass.for_thread).is_in


def test_a_permit_that_comes_back_is_handed_to_who_waits() -> None:
    gate = gate_of(1)
    first = gate.at_once("")
    waiting = gate.ask("", Pass.for_thread)
    first.leave()
    permit = gate.wait(waiting, 5)
    assert (waiting.is_in, gate.free) == (True, 0)
    permit.leave()
    assert gate.free == 1


def test_who_waits_in_vain_waits_no_more() -> None:
    gate = gate_of(1)
    first = gate.at_once("")
    with pytest.raises(GateTimeoutError):
        gate.wait(gate.ask("", Pass.for_thread), 0.001)
    first.leave()
    assert (gate.waiting, gate.free) == (0, 1)


def test_a_wait_may_be_as_long_as_one_likes() -> None:
    gate = gate_of(1)
    first = gate.at_once("")
    waiting = gate.ask("", Pass.for_thread)
    with ThreadPoolExecutor(1) as threads:
        waited = threads.submit(gate.wait, waiting, float("inf"))
        first.leave()
        assert waited.result(5) is first


def test_a_permit_may_come_back_in_the_middle_of_a_step_as_from_a_finalizer() -> None:
    permits = []

    def in_use() -> int:
        while permits:
            permits.pop().leave()
        return 1

    gate = gate_of(1, in_use)
    permits.append(gate.at_once(""))
    assert gate.ask("", Pass.for_thread).is_in


def test_what_the_pool_has_is_free_again_though_nobody_waits() -> None:
    gate = gate_of(2, lambda: 1)
    gate.at_once("")
    gate.at_once("")
    gate.adjust(2)
    assert gate.free == 1


def test_who_gets_a_connection_while_it_is_counted_is_not_forgotten() -> None:
    reads = count()  # it asks at the first one, and has its connection at the second
    gate = Gate(1, {}, lambda: int(next(reads) > 0), lambda: int(next(reads) == 0))
    gate.at_once("")
    gate.adjust(1)
    assert gate.free == 0


def test_a_smaller_limit_takes_away_what_comes_back() -> None:
    gate = gate_of(2)
    first, second = gate.at_once(""), gate.at_once("")
    gate.adjust(1)
    waiting = gate.ask("", Pass.for_thread)
    first.leave()
    assert (waiting.is_in, gate.free) == (False, 0)
    second.leave()
    assert (waiting.is_in, gate.free) == (True, 0)


def test_tasks_that_are_cancelled_hand_on() -> None:
    async def main() -> tuple[bool, int]:
        gate = gate_of(1)
        first = gate.at_once("")
        waiting = [gate.ask("", Pass.for_task) for _ in range(2)]
        tasks = [asyncio.create_task(gate.wait_async(ticket, 5)) for ticket in waiting]
        await asyncio.sleep(0)
        first.leave()
        tasks[0].cancel()  # it has been let in, and has not run since
        (await tasks[1]).leave()
        return tasks[0].cancelled(), gate.free

    assert asyncio.run(main()) == (True, 1)


def test_threads_that_come_and_go_lose_no_permit_and_never_have_too_many() -> None:
    gate = gate_of(3)
    inside: list[int] = []
    most: list[int] = []
    together = threading.Barrier(8)

    def use() -> None:
        together.wait(5)
        for number in range(500):
            ticket = None
            permit = gate.at_once("")
            if permit is None:
                ticket = gate.ask("", Pass.for_thread)
                permit = ticket.permit or gate.wait(ticket, 5)
            inside.append(number)
            most.append(len(inside))
            inside.pop()
            permit.leave()

    with ThreadPoolExecutor(8) as threads:
        for one in [threads.submit(use) for _ in range(8)]:
            one.result(30)
    assert (max(most) <= 3, gate.free, gate.waiting) == (True, 3, 0)
