"""When to stop trying to connect, and when to try again. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Final

FAILURES: Final = 5
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0


class BreakerState(Enum):
    """What a breaker lets pass."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    """Opens after `FAILURES` in a row; after a pause one attempt may show whether it closes again.

    The pause is a second, and doubles with each attempt in vain up to half a minute.
    """

    def __init__(self) -> None:
        self.state = BreakerState.CLOSED
        self._failures = 0
        self._pause_s = FIRST_PAUSE_S
        self._opens_until_s = 0.0

    def __repr__(self) -> str:
        return f"<Breaker {self.state.value}>"

    def admits(self, now_s: float) -> bool:
        """Whether an attempt may begin; in the half-open state the first who asks is the one."""
        if self.state is BreakerState.OPEN and now_s >= self._opens_until_s:
            self.state = BreakerState.HALF_OPEN
            return True
        return self.state is BreakerState.CLOSED

    def retry_after_s(self, now_s: float) -> float:
        """How long an attempt is pointless yet."""
        return max(0.0, self._opens_until_s - now_s) if self.state is BreakerState.OPEN else 0.0

    def succeeded(self) -> bool:
        """An attempt came through. Returns whether the state has changed."""
        is_changed = self.state is not BreakerState.CLOSED
        self.state, self._failures, self._pause_s = BreakerState.CLOSED, 0, FIRST_PAUSE_S
        return is_changed

    def failed(self, now_s: float) -> bool:
        """An attempt failed. Returns whether the breaker is open by that."""
        self._failures += 1
        if self.state is BreakerState.HALF_OPEN:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        elif self.state is BreakerState.OPEN or self._failures < FAILURES:
            return False
        self.state, self._opens_until_s = BreakerState.OPEN, now_s + self._pause_s
        return True

    def given_up(self) -> None:
        """The attempt that was to show it was not made: somebody else may."""
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.OPEN
