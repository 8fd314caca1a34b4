"""A child that calls functions which are measured in one way or another, and says what a call took.

Its first answer tells the form of ours. Asked for a kind of function and a way to measure it, it answers the
CPU time of a call in each batch, how many calls it made, and how many were counted.
"""

from __future__ import annotations

import asyncio
import cProfile
import functools
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any, Final

from benchmarks.sidebyside.lines import answer, questions
from tickspan.profiler.functions import Functions
from tickspan.profiler.tally import Tally
from tickspan.profiler.watching import Watches

SYNC, ASYNC, GENERATOR = "function", "coroutine", "generator"
KINDS: Final = (SYNC, ASYNC, GENERATOR)
PLAIN, PYTHON, OURS = "-", "Python decorator", "@profile_function"
WATCH, ELSEWHERE = "watch", "watch elsewhere"
CPROFILE, SETPROFILE = "cProfile", "sys.setprofile"
WAYS: Final = (PLAIN, PYTHON, OURS, WATCH, ELSEWHERE, CPROFILE, SETPROFILE)
ITEMS: Final = 10
"""That a generator gives in one call."""
_clock = time.perf_counter_ns


def function(value: int) -> int:
    """Nothing to speak of."""
    return value


async def coroutine(value: int) -> int:
    """Never suspended."""
    return value


def generator(value: int) -> Iterator[int]:
    """Some items."""
    yield from repeat(value, ITEMS)


def elsewhere(value: int) -> int:
    """Watched while others are called."""
    return value


FUNCTIONS: Final[dict[str, Callable[[int], Any]]] = {
    SYNC: function,
    ASYNC: coroutine,
    GENERATOR: generator,
}


class Count:
    """Of the Python decorator: what anybody would write."""

    def __init__(self) -> None:
        self.calls = 0
        self.total_ns = 0

    def decorated(self, kind: str, target: Callable[..., Any]) -> Callable[..., Any]:
        """Two clocks, a sum and a count around each call."""

        @functools.wraps(target)
        def of_function(*args: Any, **kwargs: Any) -> Any:
            begun_ns = _clock()
            try:
                return target(*args, **kwargs)
            finally:
                self.total_ns += _clock() - begun_ns
                self.calls += 1

        @functools.wraps(target)
        async def of_coroutine(*args: Any, **kwargs: Any) -> Any:
            begun_ns = _clock()
            try:
                return await target(*args, **kwargs)
            finally:
                self.total_ns += _clock() - begun_ns
                self.calls += 1

        @functools.wraps(target)
        def of_generator(*args: Any, **kwargs: Any) -> Any:
            begun_ns = _clock()
            try:
                return (yield from target(*args, **kwargs))
            finally:
                self.total_ns += _clock() - begun_ns
                self.calls += 1

        return {SYNC: of_function, ASYNC: of_coroutine, GENERATOR: of_generator}[kind]


@contextmanager
def measuring(kind: str, way: str) -> Generator[tuple[Callable[[int], Any], Callable[[], int | None]]]:
    """What to call, and how many calls were counted; None where the way is not asked."""
    target = FUNCTIONS[kind]
    if way == PYTHON:
        count = Count()
        yield count.decorated(kind, target), lambda: count.calls
    elif way == OURS:
        functions = Functions()
        yield functions.profile(target), lambda: counted(functions)
    elif way in {WATCH, ELSEWHERE}:
        functions = Functions()
        watches = Watches(functions)
        watches.watch(f"{__name__}:{target.__name__ if way == WATCH else elsewhere.__name__}")
        yield globals()[target.__name__], lambda: counted(functions)
        watches.close()
    elif way == CPROFILE:
        profile = cProfile.Profile()
        profile.enable()
        yield target, lambda: None
        profile.disable()
    elif way == SETPROFILE:
        begun: list[int] = []
        sys.setprofile(functools.partial(noted, begun))
        yield target, lambda: None
        sys.setprofile(None)
    else:
        yield target, lambda: None


def noted(begun: list[int], _frame: object, event: str, _value: object) -> None:
    """A profile function that times each call of Python."""
    if event == "call":
        begun.append(_clock())
    elif event == "return" and begun:
        begun.pop()


def counted(functions: Functions) -> int:
    """Calls of all functions."""
    return sum(one.calls for one in functions.statistics())


def driven(kind: str, target: Callable[[int], Any], calls: int) -> float:
    """Nanoseconds of CPU time of one call, its loop included."""
    if kind == ASYNC:
        return asyncio.run(_awaited(target, calls))
    begun_ns = time.thread_time_ns()
    if kind == SYNC:
        for value in repeat(1, calls):
            target(value)
    else:
        for value in repeat(1, calls):
            for _ in target(value):
                pass
    return (time.thread_time_ns() - begun_ns) / calls


async def _awaited(target: Callable[[int], Awaitable[int]], calls: int) -> float:
    begun_ns = time.thread_time_ns()
    for value in repeat(1, calls):
        await target(value)
    return (time.thread_time_ns() - begun_ns) / calls


def empty(calls: int) -> float:
    """The loop alone."""
    begun_ns = time.thread_time_ns()
    for _ in repeat(1, calls):
        pass
    return (time.thread_time_ns() - begun_ns) / calls


def main() -> None:
    """Answer until there are no more questions."""
    from tickspan.profiler._impl import tally

    logging.getLogger("tickspan").setLevel(logging.ERROR)  # that a watch replaces is known
    answer({"form": "compiled" if tally.Tally is not Tally else "interpreted"})
    for question in questions():
        calls, batches = question["calls"], question["batches"]
        if question["kind"] is None:
            answer({"ns": [empty(calls) for _ in range(batches)], "made": 0, "counted": None})
            continue
        with measuring(question["kind"], question["way"]) as (target, number):
            found = [driven(question["kind"], target, calls) for _ in range(batches)]
        answer({"ns": found, "made": calls * batches, "counted": number()})


if __name__ == "__main__":
    main()
