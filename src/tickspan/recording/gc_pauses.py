"""Pauses of the garbage collector, as its callbacks see them.

A callback runs in whatever thread allocates, perhaps while that thread holds a lock: here it takes none, and
calls nothing but the clock. Collections follow one another, so one start is remembered.
"""

from __future__ import annotations

import gc
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

__all__ = ["GcPauses"]

MOST: Final = 4_096
"""Pauses that wait to be taken; beyond that the oldest go, counted."""


class GcPauses:
    """Notes (generation, nanoseconds) of each collection from `start` to `stop`."""

    def __init__(self, clock: Callable[[], int] = time.perf_counter_ns, most: int = MOST) -> None:
        self._clock = clock
        self._began_ns = 0
        self._noted = 0
        self._taken = 0
        self._waiting: deque[tuple[int, int]] = deque(maxlen=most)
        self._is_known_to_forks = False

    def __repr__(self) -> str:
        return f"<GcPauses {len(self._waiting)} wait, {self.lost} lost>"

    def start(self) -> None:
        """Be called by the garbage collector from now on."""
        if self._note not in gc.callbacks:
            gc.callbacks.append(self._note)
        if not self._is_known_to_forks:
            self._is_known_to_forks = True
            os.register_at_fork(after_in_child=self._forget)

    def stop(self) -> None:
        """Be called no more."""
        if self._note in gc.callbacks:
            gc.callbacks.remove(self._note)

    @property
    def lost(self) -> int:
        """Pauses that were forgotten because nobody took them in time."""
        return max(0, self._noted - self._taken - len(self._waiting))

    def take(self) -> Iterator[tuple[int, int]]:
        """What waits: generation and nanoseconds, oldest first. Safe for any thread."""
        for _ in range(len(self._waiting)):
            try:
                pause = self._waiting.popleft()
            except IndexError:  # somebody else took the rest
                return
            self._taken += 1
            yield pause

    def _note(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began_ns = self._clock()
        elif self._began_ns:
            self._waiting.append((info["generation"], self._clock() - self._began_ns))
            self._began_ns = 0
            self._noted += 1

    def _forget(self) -> None:
        """A forked child: what waits is the parent's."""
        self._waiting.clear()
        self._noted = self._taken = self._began_ns = 0
