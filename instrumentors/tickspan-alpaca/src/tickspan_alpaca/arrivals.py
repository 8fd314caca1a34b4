"""When messages came in at the socket: alpaca's streams read them from a queue, often much later.

The queue and the pings of a connection are replaced by a deque and a dict of the same content that look at
the clock; the library finds what it put there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any


class Arrivals(deque[Any]):
    """The messages of one connection that nobody has read yet.

    `taken_ns` and `taken_bytes` are of the last one that was read: monotonic moment of its receipt, and size.
    """

    def __init__(self, waiting: deque[Any], now_ns: Callable[[], int]) -> None:
        super().__init__(waiting)
        self._now_ns = now_ns
        self._came: deque[int] = deque(now_ns() for _ in waiting)
        self.taken_ns: int | None = None
        self.taken_bytes = 0

    def append(self, message: Any) -> None:
        """A message has come: P1."""
        self._came.append(self._now_ns())
        super().append(message)

    def popleft(self) -> Any:
        """The stream reads the oldest."""
        message = super().popleft()
        self.taken_ns = self._came.popleft() if self._came else None
        self.taken_bytes = len(message)
        return message


class Pings(dict[Any, Any]):
    """The pings of one connection that nobody has answered yet."""

    def __init__(self, unanswered: dict[Any, Any], answered: Callable[[], None]) -> None:
        super().__init__(unanswered)
        self._answered = answered

    def __delitem__(self, ping: Any) -> None:
        """The venue has answered: it lives."""
        super().__delitem__(ping)
        self._answered()
