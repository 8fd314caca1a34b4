"""The pace: work in slices, with pauses in which other threads of the application get the GIL."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

__all__ = ["SLICE_S", "Pace"]

SLICE_S: Final = 0.000_2
"""After which there is a pause; what stands between two looks at the clock comes on top."""
_PAUSE_S: Final = 0.000_05


def _rest() -> None:
    """Let another thread have the GIL. It must wake up first: a sleep of no length would be over before."""
    time.sleep(_PAUSE_S)


class Pace:
    """For one thread."""

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, rest: Callable[[], None] = _rest
    ) -> None:
        self._clock = clock
        self._rest = rest
        self._since_s = clock()

    def begin(self) -> None:
        """The thread has just woken up: a slice begins."""
        self._since_s = self._clock()

    def breathe(self) -> None:
        """Pause if the slice is over."""
        if self._clock() - self._since_s >= SLICE_S:
            self._rest()
            self._since_s = self._clock()
