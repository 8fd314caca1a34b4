"""Moments on the monotonic clock, and what they are on the wall clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Anchor:
    """One moment on both clocks: by it others are converted, so that a clock step moves none of them."""

    monotonic_ns: int
    wall_ns: int

    def wall(self, moment_ns: int) -> int:
        """Nanoseconds since 1970 of a monotonic moment."""
        return self.wall_ns + moment_ns - self.monotonic_ns


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks that trading reads."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    wall_ns: Callable[[], int] = time.time_ns

    def anchor(self) -> Anchor:
        """Now, on both."""
        return Anchor(self.monotonic_ns(), self.wall_ns())
