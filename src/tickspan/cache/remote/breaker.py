"""The breaker: after failures in a row nobody asks for a while, then one asks for all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from tickspan.recording import Guard

__all__ = ["REFUSED", "Breaker", "BreakerState", "Ticket"]

_PROBE_S: Final = 5.0
"""A probe that has told nothing for so long is lost; another may go."""

Ticket = int
"""What `Breaker.admit` gives; 0 is a refusal."""
REFUSED: Final[Ticket] = 0


class BreakerState(StrEnum):
    """Whether calls are let through."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"
    """One call is let through, to see."""


class Breaker:
    """Lets calls through until `failures` in a row have failed, then one at a time after a pause.

    The pause is `first_s`, doubled by each probe that fails up to `longest_s`. Safe for any thread; while it
    is closed nothing takes a lock.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        first_s: float = 1.0,
        longest_s: float = 30.0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._first_s = first_s
        self._longest_s = longest_s
        self._now_s = now_s
        self._guard = Guard("observer", "cache.breaker")
        self._observers: list[Callable[[BreakerState, BreakerState], None]] = []
        self._epoch = 0
        self.reset()

    def __repr__(self) -> str:
        wait = f", next try in {self.wait_s():.1f} s" if self._state is BreakerState.OPEN else ""
        return f"<Breaker {self._state}{wait}>"

    @property
    def state(self) -> BreakerState:
        """Where it stands."""
        return self._state

    @property
    def is_closed(self) -> bool:
        """Whether calls are let through as usual."""
        return self._state is BreakerState.CLOSED

    @property
    def would_admit(self) -> bool:
        """Whether a call would be let through now."""
        return self._state is BreakerState.CLOSED or self._now_s() >= self._due_s

    def reset(self) -> None:
        """Closed, as at first; nobody is told. Its lock is new: a fork may have inherited it held."""
        self._lock = threading.Lock()
        self._state = BreakerState.CLOSED
        self._epoch += 1
        self._failed = 0
        self._pause_s = self._first_s
        self._due_s = 0.0

    def wait_s(self) -> float:
        """How long until a call would be let through."""
        return 0.0 if self._state is BreakerState.CLOSED else max(0.0, self._due_s - self._now_s())

    def observe(self, observer: Callable[[BreakerState, BreakerState], None]) -> None:
        """Call `observer(before, after)` at each change, on the thread that brings it about."""
        self._observers.append(observer)

    def admit(self) -> Ticket:
        """A ticket for a call, which then says how it went; `REFUSED` when none is let through."""
        if self._state is BreakerState.CLOSED:
            return self._epoch
        if self._now_s() < self._due_s:
            return REFUSED
        with self._lock:
            now_s = self._now_s()
            if now_s < self._due_s:
                return REFUSED
            before = self._become(BreakerState.PROBING, now_s + _PROBE_S)
            ticket = self._epoch
        self._tell(before)
        return ticket

    def succeeded(self, ticket: Ticket) -> None:
        """The server has answered."""
        if self._state is BreakerState.CLOSED:
            if self._failed and ticket == self._epoch:
                self._failed = 0
            return
        with self._lock:
            if ticket != self._epoch or self._state is not BreakerState.PROBING:
                return
            before = self._become(BreakerState.CLOSED, 0.0)
            self._failed = 0
            self._pause_s = self._first_s
        self._tell(before)

    def failed(self, ticket: Ticket) -> None:
        """The server has not answered; calls that began before the last change count no more."""
        with self._lock:
            if ticket != self._epoch or self._state is BreakerState.OPEN:
                return
            self._failed += 1
            if self._state is BreakerState.CLOSED and self._failed < self._limit:
                return
            pause_s = self._pause_s
            self._pause_s = min(self._longest_s, 2 * pause_s)
            before = self._become(BreakerState.OPEN, self._now_s() + pause_s)
        self._tell(before)

    def abandoned(self, ticket: Ticket) -> None:
        """The call was given up before it could tell anything."""
        with self._lock:
            if ticket != self._epoch or self._state is not BreakerState.PROBING:
                return
            before = self._become(BreakerState.OPEN, self._now_s())
        self._tell(before)

    def _become(self, state: BreakerState, due_s: float) -> BreakerState:
        before, self._state = self._state, state
        self._due_s = due_s
        self._epoch += 1
        return before

    def _tell(self, before: BreakerState) -> None:
        after = self._state
        for observer in tuple(self._observers):
            self._guard.closing(observer, before, after, default=None)
