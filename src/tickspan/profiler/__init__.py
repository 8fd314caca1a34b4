"""A sampling profiler in the process, under a budget, with its samples linked to spans.

`start` samples; a function under `@profile_function` and a `section` are measured each time they run, with
the sampler or without. `get_performance_report()` tells both. The names are loaded when they are first used:
a process that only waits to be asked for a profile pays for nothing else.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tickspan.analysis.profiles import Profile
    from tickspan.profiler.calls import (
        get_performance_report,
        performance_context,
        profile,
        profile_function,
        section,
        set_sample_rate,
        start,
        stop,
        watch,
    )
    from tickspan.profiler.profiler import Profiler, get_profiler
    from tickspan.profiler.report import PerformanceReport
    from tickspan.profiler.states import State

_HOMES = {
    "PerformanceReport": "tickspan.profiler.report",
    "Profile": "tickspan.analysis.profiles",
    "Profiler": "tickspan.profiler.profiler",
    "State": "tickspan.profiler.states",
    "get_performance_report": "tickspan.profiler.calls",
    "get_profiler": "tickspan.profiler.profiler",
    "performance_context": "tickspan.profiler.calls",
    "profile": "tickspan.profiler.calls",
    "profile_function": "tickspan.profiler.calls",
    "section": "tickspan.profiler.calls",
    "set_sample_rate": "tickspan.profiler.calls",
    "start": "tickspan.profiler.calls",
    "stop": "tickspan.profiler.calls",
    "watch": "tickspan.profiler.calls",
}

__all__ = [
    "PerformanceReport",
    "Profile",
    "Profiler",
    "State",
    "get_performance_report",
    "get_profiler",
    "performance_context",
    "profile",
    "profile_function",
    "section",
    "set_sample_rate",
    "start",
    "stop",
    "watch",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'tickspan.profiler' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
