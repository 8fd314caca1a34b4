"""`@memory_optimized`: a function that tells how much memory it took, and may hold collections off.

The process is asked before and after one call in so many that asking takes at most a hundredth of the
function's time. What it grew by is the whole process's, whoever took the memory meanwhile.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, ParamSpec, TypeVar, cast, overload

from opentelemetry import trace

from tickspan.memory.overseer import critical
from tickspan.recording import Guard
from tickspan.recording.usage import UsageReader
from tickspan.semconv import memory as names

__all__ = ["memory_optimized"]

P = ParamSpec("P")
T = TypeVar("T")

_SHARE: Final = 0.01
_SMOOTHED: Final = 0.25
_MOST_SKIPPED: Final = 100_000


class _Pace:
    """Which call is looked at: decided by what looking and the function have taken so far."""

    __slots__ = ("_call_s", "_clock", "_guard", "_look_s", "_reader", "_skip")

    def __init__(self, name: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._guard = Guard("memory_optimized", name)
        self._reader = UsageReader()
        self._skip = 0
        self._look_s = 0.0
        self._call_s = 0.0

    def begin(self) -> tuple[float, int, int] | None:
        """What there is before a call that is looked at; None for another call."""
        if self._skip > 0:
            self._skip -= 1
            return None
        return self._guard.own(self._look, default=None)

    def end(self, before: tuple[float, int, int] | None) -> None:
        """Tell, and decide how many calls are left alone."""
        if before is not None:
            self._guard.own(self._tell, before, default=None)

    def _look(self) -> tuple[float, int, int]:
        start_s = self._clock()
        usage, blocks = self._reader.read(), sys.getallocatedblocks()
        now_s = self._clock()
        self._look_s = max(now_s - start_s, self._look_s * (1 - _SMOOTHED))
        return now_s, 0 if usage is None else usage.resident, blocks

    def _tell(self, before: tuple[float, int, int]) -> None:
        start_s, resident, blocks = before
        call_s = self._clock() - start_s
        _, resident_now, blocks_now = self._look()
        self._call_s += _SMOOTHED * (call_s - self._call_s) if self._call_s else call_s
        self._skip = skipped(2 * self._look_s, self._call_s)
        trace.get_current_span().set_attributes(
            {names.MEMORY_GROWTH: resident_now - resident, names.MEMORY_GROWTH_BLOCKS: blocks_now - blocks}
        )


def skipped(look_s: float, call_s: float) -> int:
    """Calls to leave alone after one that was looked at, so that looks take a hundredth of the time.

    >>> skipped(10e-6, 1e-3), skipped(10e-6, 10e-6)
    (0, 99)
    """
    if call_s <= 0:
        return _MOST_SKIPPED
    return min(_MOST_SKIPPED, max(0, math.ceil(look_s / (_SHARE * call_s) - 1e-9) - 1))


@overload
def memory_optimized(function: Callable[P, T], /) -> Callable[P, T]: ...


@overload
def memory_optimized(*, pause_gc: bool = False) -> Callable[[Callable[P, T]], Callable[P, T]]: ...


def memory_optimized(function: Callable[..., Any] | None = None, /, *, pause_gc: bool = False) -> Any:
    """Let a function tell how much memory it took, on the span that is current in it; sync or async.

    Args:
        function: with or without parentheses.
        pause_gc: the function's body is a critical section, of 50 milliseconds at most.
    """
    if function is None:
        return functools.partial(_wrapped, pause_gc=pause_gc)
    return _wrapped(function, pause_gc=pause_gc)


def _wrapped(function: Callable[P, T], *, pause_gc: bool) -> Callable[P, T]:
    pace = _Pace(str(getattr(function, "__qualname__", type(function).__qualname__)))
    section: Callable[[], AbstractContextManager[object]] = critical if pause_gc else nullcontext
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def asynchronous(*args: P.args, **kwargs: P.kwargs) -> Any:
            before = pace.begin()
            try:
                with section():
                    return await function(*args, **kwargs)
            finally:
                pace.end(before)

        return cast("Callable[P, T]", asynchronous)

    @functools.wraps(function)
    def synchronous(*args: P.args, **kwargs: P.kwargs) -> T:
        before = pace.begin()
        try:
            with section():
                return function(*args, **kwargs)
        finally:
            pace.end(before)

    return synchronous
