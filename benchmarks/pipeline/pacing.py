"""Batches of calls against a clock: as fast as they go, or at a pace; nanoseconds per call come out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

Record = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Timed:
    """Nanoseconds per call, batch by batch."""

    cpu: list[float]
    """CPU time of the calling thread."""
    wall: list[float]
    """Time that the caller waited."""


def fast(record: Record, first: int, batches: int, size: int) -> Timed:
    """So many batches, one right behind the other."""
    timed = Timed([], [])
    for number in range(first, first + batches * size, size):
        cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
        record(number, size)
        wall = time.perf_counter_ns() - wall
        cpu = time.thread_time_ns() - cpu
        timed.cpu.append(cpu / size)
        timed.wall.append(wall / size)
    return timed


def paced(record: Record, first: int, count: int, per_second: int, size: int, limit_s: float) -> Timed:
    """Batches of `size` at a steady pace; a late one follows at once, none is left out before the limit."""
    timed = Timed([], [])
    interval_ns = 1_000_000_000 * size // per_second
    due = time.perf_counter_ns()
    end = due + limit_s * 1e9
    for number in range(first, first + count, size):
        ahead = due - time.perf_counter_ns()
        if ahead > 0:
            time.sleep(ahead / 1e9)
        wall = time.perf_counter_ns()
        if wall > end:
            break
        record(number, size)
        timed.wall.append((time.perf_counter_ns() - wall) / size)
        due += interval_ns
    return timed
