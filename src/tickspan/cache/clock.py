"""The clocks of a cache: one that never jumps for lifetimes, the time of day for what others read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Clock"]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Clock:
    """Functions that tell the time; tests give others."""

    now_s: Callable[[], float] = time.monotonic
    """Of the monotonic clock, in seconds."""
    now_ms: Callable[[], int] = _now_ms
    """Since 1970, in milliseconds."""
