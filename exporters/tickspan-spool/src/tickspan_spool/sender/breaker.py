"""Breaker: after a refusal for good one careful step after the other, so that the server eats little."""

from __future__ import annotations

from enum import StrEnum

PROBE_INTERVAL_S = 10.0
LONGEST_INTERVAL_S = 300.0


class BreakerState(StrEnum):
    """How much may be sent."""

    CLOSED = "closed"  # all is well
    OPEN = "open"  # an empty request, once per interval
    SMALL = "small"  # the empty one was taken: one record
    FULL = "full"  # the small one was taken too: a batch, on trial


class Breaker:
    """The state of one destination. Pure but for its fields; time is given.

    A refusal of records doubles the interval, since a server that takes only empty requests would otherwise
    eat a record per probe. A refused empty request costs nothing and does not.
    """

    __slots__ = ("_interval_s", "_probe_at_s", "_state")

    def __init__(self) -> None:
        self._state = BreakerState.CLOSED
        self._interval_s = PROBE_INTERVAL_S
        self._probe_at_s = 0.0

    @property
    def state(self) -> BreakerState:
        """How much may be sent now."""
        return self._state

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next request may go."""
        return max(0.0, self._probe_at_s - now_s) if self._state is BreakerState.OPEN else 0.0

    def refuse(self, now_s: float) -> None:
        """A request was refused for good: open."""
        if self._state in {BreakerState.SMALL, BreakerState.FULL}:
            self._interval_s = min(LONGEST_INTERVAL_S, 2 * self._interval_s)
        self._state = BreakerState.OPEN
        self._probe_at_s = now_s + self._interval_s

    def accept(self) -> None:
        """A request was taken: one step further."""
        if self._state is BreakerState.OPEN:
            self._state = BreakerState.SMALL
        elif self._state is BreakerState.SMALL:
            self._state = BreakerState.FULL
        elif self._state is BreakerState.FULL:
            self._state = BreakerState.CLOSED
            self._interval_s = PROBE_INTERVAL_S

    def hasten(self) -> None:
        """Something changed on our side, such as credentials: probe at once."""
        self._probe_at_s = 0.0
        self._interval_s = PROBE_INTERVAL_S
