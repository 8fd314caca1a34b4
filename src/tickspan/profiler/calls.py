"""The profiler of this process as plain functions: `tickspan.profiler.start()`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ParamSpec, TypeVar, overload

from tickspan.profiler.functions import SizeOf
from tickspan.profiler.profiler import Mode, Profiler, get_profiler
from tickspan.profiler.report import PerformanceReport

__all__ = [
    "get_performance_report",
    "performance_context",
    "profile",
    "profile_function",
    "section",
    "set_sample_rate",
    "start",
    "stop",
    "watch",
]

P = ParamSpec("P")
T = TypeVar("T")


def start(
    mode: Mode = "tail", *, hz: float | None = None, cpu_budget: float = 0.01, slow_s: float | None = None
) -> None:
    """As `Profiler.start`. Raises ValueError."""
    get_profiler().start(mode, hz=hz, cpu_budget=cpu_budget, slow_s=slow_s)


def stop() -> None:
    """As `Profiler.stop`."""
    get_profiler().stop()


def set_sample_rate(hz: float) -> float:
    """As `Profiler.set_sample_rate`. Raises ValueError."""
    return get_profiler().set_sample_rate(hz)


def get_performance_report() -> PerformanceReport:
    """As `Profiler.get_performance_report`."""
    return get_profiler().get_performance_report()


def section(name: str) -> AbstractContextManager[None]:
    """As `Profiler.section`."""
    return get_profiler().section(name)


def performance_context(profiler: Profiler, name: str) -> AbstractContextManager[None]:
    """`profiler.section(name)`, for code that hands the profiler around."""
    return profiler.section(name)


def watch(spec: str) -> Callable[[], None]:
    """As `Watches.watch`. Raises ValueError."""
    return get_profiler().watch(spec)


@overload
def profile_function(
    function: Callable[P, T], /, *, size: SizeOf | None = None, name: str | None = None
) -> Callable[P, T]: ...
@overload
def profile_function(
    function: None = None, /, *, size: SizeOf | None = None, name: str | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
def profile_function(
    function: Callable[P, T] | None = None, /, *, size: SizeOf | None = None, name: str | None = None
) -> Callable[P, T] | Callable[[Callable[P, T]], Callable[P, T]]:
    """As `Functions.profile`; parentheses are optional."""
    if function is None:
        return get_profiler().functions.profile(size=size, name=name)
    return get_profiler().functions.profile(function, size=size, name=name)


profile = profile_function
