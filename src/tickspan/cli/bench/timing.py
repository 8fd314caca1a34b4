"""Calls against the clock: how many a second, and how long single ones take."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

__all__ = ["Timing", "percentile", "timed", "timed_by_tasks", "timed_in_batches"]

_SAMPLES: Final = 20_000
"""Single calls that are timed, at most."""
_LOOKS: Final = 8
"""Calls of a task between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What calls of one kind did.

    Attributes:
        calls: that were made for the rate.
        per_second: calls a second, without a clock around each.
        p50_s: of single calls, with the clock's own time.
        p99_s: the same.
    """

    calls: int
    per_second: float
    p50_s: float
    p99_s: float


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of at least one value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def timed(call: Callable[[Any], Any], arguments: Sequence[Any], seconds: float) -> Timing:
    """Call with each argument, again and again: half of the time for the rate, half for single calls."""
    began_s = time.perf_counter()
    until_s = began_s + seconds / 2
    calls = 0
    while True:
        for argument in arguments:
            call(argument)
        calls += len(arguments)
        now_s = time.perf_counter()
        if now_s >= until_s:
            break
    return Timing(calls, calls / (now_s - began_s), *_middle_and_tail(_single(call, arguments, seconds / 2)))


def timed_in_batches(
    call: Callable[[Sequence[Any]], Any], batches: Sequence[Sequence[Any]], seconds: float
) -> Timing:
    """Call with each batch; rates count what is in the batches, single times are those of whole batches."""
    whole = timed(call, batches, seconds)
    size = len(batches[0])
    return Timing(whole.calls * size, whole.per_second * size, whole.p50_s, whole.p99_s)


async def timed_by_tasks(
    call: Callable[[Any], Awaitable[Any]], arguments: Sequence[Any], seconds: float, tasks: int = 1
) -> Timing:
    """So many tasks, each awaiting one call after another; single times are what a task waits.

    The clock is read around calls in the second half only.
    """
    began_s = time.perf_counter()
    until_s = began_s + seconds / 2

    async def run(first: int) -> int:
        mine = cycle([*arguments[first:], *arguments[:first]])
        calls = 0
        while time.perf_counter() < until_s:
            for _ in range(_LOOKS):
                await call(next(mine))
            calls += _LOOKS
        return calls

    calls = sum(await asyncio.gather(*(run(number) for number in range(tasks))))
    took_s = time.perf_counter() - began_s
    each = await _single_by_tasks(call, arguments, seconds / 2, tasks)
    return Timing(calls, calls / took_s, *_middle_and_tail(each))


def _single(call: Callable[[Any], Any], arguments: Sequence[Any], seconds: float) -> list[float]:
    clock, until_s = time.perf_counter, time.perf_counter() + seconds
    each: list[float] = []
    for argument in cycle(arguments):
        began_s = clock()
        call(argument)
        ended_s = clock()
        each.append(ended_s - began_s)
        if ended_s >= until_s or len(each) >= _SAMPLES:
            break
    return each


async def _single_by_tasks(
    call: Callable[[Any], Awaitable[Any]], arguments: Sequence[Any], seconds: float, tasks: int
) -> list[float]:
    clock, until_s = time.perf_counter, time.perf_counter() + seconds
    each: list[float] = []

    async def run(first: int) -> None:
        for argument in cycle([*arguments[first:], *arguments[:first]]):
            began_s = clock()
            await call(argument)
            ended_s = clock()
            each.append(ended_s - began_s)
            if ended_s >= until_s or len(each) >= _SAMPLES:
                return

    await asyncio.gather(*(run(number) for number in range(tasks)))
    return each


def _middle_and_tail(each: Sequence[float]) -> tuple[float, float]:
    return percentile(each, 0.5), percentile(each, 0.99)
