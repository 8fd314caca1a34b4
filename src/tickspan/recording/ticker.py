"""The ticker: one daemon thread of the process that makes small calls at intervals.

It starts with the first call that is asked for, and again in a forked child, where the parent's is not.
Each call stands behind a guard and should take well under a millisecond: the others wait for it.
To wake up costs an idle process more than most calls do. Calls of one interval are therefore made together,
and one that knows when it is needed next says so.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from tickspan.recording.guard import Guard

__all__ = ["Ticker", "ticker"]

_AFTER_A_FAULT_S: Final = 1.0
_FOR_EVER: Final = -1.0
_TOGETHER_S: Final = 0.001
"""What is due within it is made at the same time."""


@dataclass(slots=True, eq=False)
class _Entry:
    call: Callable[[], object]
    period_s: float | None
    """None is once, or when the call says."""
    due_s: float
    guard: Guard
    is_paced: bool = False
    """Whether the call says when it is made again."""


class Ticker:
    """See the module. Safe from any thread; asking takes no lock, so also from a signal handler."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, *, has_thread: bool = True) -> None:
        """Without a thread, whoever made it calls `run_due`."""
        self._monotonic = monotonic
        self._has_thread = has_thread
        self._entries: dict[_Entry, None] = {}
        self.wakes = 0
        """How often it has looked at the clock."""
        self._forget_thread()
        if has_thread:
            os.register_at_fork(after_in_child=self._after_fork)

    def __repr__(self) -> str:
        return f"<Ticker {'running' if self.is_running else 'not running'}, {len(self._entries)} calls>"

    @property
    def is_running(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None and self._thread.is_alive()

    def every(self, seconds: float, call: Callable[[], object]) -> Callable[[], None]:
        """Make a call at each multiple of `seconds`; returns what stops it. Missed ones are skipped.

        The first is made within that time, together with the others of the same interval.

        Raises:
            ValueError: `seconds` is not above 0.
        """
        now_s = self._monotonic()
        return self._ask(_checked(seconds) * (now_s // seconds + 1) - now_s, seconds, call)

    def once(self, seconds: float, call: Callable[[], object]) -> Callable[[], None]:
        """Make a call after `seconds`, one time; returns what stops it.

        Raises:
            ValueError: `seconds` is not above 0.
        """
        return self._ask(_checked(seconds), None, call)

    def paced(self, seconds: float, call: Callable[[], float | None]) -> Callable[[], None]:
        """Make a call after `seconds`, then after as many as it returns, until that is None.

        Returns what stops it. After a fault it is made again a second later.

        Raises:
            ValueError: `seconds` is not above 0.
        """
        return self._ask(_checked(seconds), None, call, is_paced=True)

    def run_due(self) -> float:
        """Make the calls whose time has come. Returns seconds until the next, or -1 when there is none."""
        self.wakes += 1
        for entry in tuple(self._entries):
            now_s = self._monotonic()
            if entry.due_s > now_s + _TOGETHER_S or entry not in self._entries:
                continue
            if entry.is_paced:
                self._make_paced(entry)
                continue
            if entry.period_s is None:
                self._entries.pop(entry, None)
            else:
                missed = max(0, math.floor((now_s - entry.due_s) / entry.period_s))
                entry.due_s += (missed + 1) * entry.period_s
            entry.guard.own(entry.call, default=None)
        earliest_s = min((entry.due_s for entry in tuple(self._entries)), default=None)
        if earliest_s is None:
            return _FOR_EVER
        return min(max(0.0, earliest_s - self._monotonic()), threading.TIMEOUT_MAX)

    def _make_paced(self, entry: _Entry) -> None:
        again_s: Any = entry.guard.own(entry.call, default=_AFTER_A_FAULT_S)
        if again_s is None or entry.guard.is_disabled:
            self._entries.pop(entry, None)
        else:
            entry.due_s = self._monotonic() + again_s

    def _ask(
        self, seconds: float, period_s: float | None, call: Callable[[], object], *, is_paced: bool = False
    ) -> Callable[[], None]:
        name = getattr(call, "__qualname__", type(call).__qualname__)
        guard = Guard("ticker's call", name)
        entry = _Entry(call, period_s, self._monotonic() + seconds, guard, is_paced)
        self._entries[entry] = None
        is_seen_anyway = entry.due_s >= self._sleeps_until_s or threading.get_ident() == self._ident
        if not is_seen_anyway or not self.is_running:
            self._wake()
        return lambda: self._cancel(entry)

    def _cancel(self, entry: _Entry) -> None:
        self._entries.pop(entry, None)

    def _wake(self) -> None:
        """Let the thread look at the clock again; start it where there is none."""
        if not self._has_thread:
            return
        if not self.is_running:
            self._start()
        with suppress(RuntimeError):  # it was rung already
            self._bell.release()

    def _start(self) -> None:
        if sys.is_finalizing() or not self._starting.acquire(blocking=False):
            return
        try:
            if not self.is_running:
                bell = (self._bell,)
                thread = threading.Thread(target=self._run, args=bell, name="tickspan-ticker", daemon=True)
                with suppress(RuntimeError):  # none can be started: the process, or its memory, is at its end
                    thread.start()
                    self._thread = thread
        finally:
            self._starting.release()

    def _run(self, bell: threading.Lock) -> None:
        guard = Guard("thread", "ticker")
        self._ident = threading.get_ident()
        while True:
            bell.acquire(timeout=guard.closing(self._run_awake, default=_AFTER_A_FAULT_S))

    def _run_awake(self) -> float:
        """As `run_due`. What is asked for meanwhile rings: it may not have been seen."""
        self._sleeps_until_s = math.inf
        wait_s = self.run_due()
        if wait_s >= 0:
            self._sleeps_until_s = self._monotonic() + wait_s
        return wait_s

    def _forget_thread(self) -> None:
        self._sleeps_until_s = math.inf
        self._ident = 0
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._bell = threading.Lock()  # rung by a release: an `Event` would block in a signal handler
        self._bell.acquire()

    def _after_fork(self) -> None:
        """A forked child: what the parent asked for goes on here."""
        self._forget_thread()
        if self._entries:
            self._wake()


def _checked(seconds: float) -> float:
    if not 0 < seconds < math.inf:
        raise ValueError(f"expected a number of seconds above 0, got {seconds!r}")
    return seconds


_of_process: Final[list[Ticker]] = []


def ticker() -> Ticker:
    """The one of this process."""
    if not _of_process:
        _of_process.append(Ticker())
    return _of_process[0]
