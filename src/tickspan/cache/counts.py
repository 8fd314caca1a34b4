"""Counts from any thread that lose nothing and take no lock where something is counted."""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque

__all__ = ["Count"]


class Count:
    """A number that grows. One step of `itertools.count` is atomic, so that no thread's step is lost."""

    __slots__ = ("_looks", "_steps")

    def __init__(self) -> None:
        self._steps = itertools.count()
        self._looks = 0

    def __repr__(self) -> str:
        return f"<Count {self.value()}>"

    def add(self, amount: int = 1) -> None:
        """So many more."""
        if amount == 1:
            next(self._steps)
        else:
            deque(itertools.islice(self._steps, amount), maxlen=0)

    def value(self) -> int:
        """The number now. A look is a step too, which is taken off again."""
        with _looking:
            number = next(self._steps) - self._looks
            self._looks += 1
        return number


_looking = threading.RLock()
"""Between those who look. Reentrant, since a collection of garbage may look again."""


def _in_child() -> None:
    global _looking
    _looking = threading.RLock()  # the parent's may be held by a thread that is not here


os.register_at_fork(after_in_child=_in_child)
