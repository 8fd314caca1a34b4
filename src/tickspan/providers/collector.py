"""The collector: one thread of the process that collects every meter provider at its interval.

It starts with the first series, and again in a forked child, where the parent's thread is not. Nothing is
started while the interpreter ends.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from tickspan.recording import Guard

_AFTER_A_FAULT_S: Final = 60.0
_FOR_EVER: Final = -1.0


class Collectable(Protocol):
    """What is collected at an interval."""

    interval_s: float

    def collect(self) -> bool:
        """Collect once."""
        ...


class Collector:
    """See the module. Lock-free where an application thread comes by."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._due: dict[weakref.ref[Collectable], float] = {}
        self._guards: weakref.WeakKeyDictionary[Collectable, Guard] = weakref.WeakKeyDictionary()
        self._pid = os.getpid()
        self._forget_thread()

    def __repr__(self) -> str:
        state = "running" if self._thread is not None and self._thread.is_alive() else "not running"
        return f"<Collector {state}, {len(self._due)} providers>"

    @property
    def is_running(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None and self._thread.is_alive()

    def watch(self, provider: Collectable) -> None:
        """Collect this one from now on; starts the thread if need be. May be called again."""
        if math.isfinite(provider.interval_s):
            reference = weakref.ref(provider, self._forget)
            is_new = reference not in self._due
            self._due.setdefault(reference, self._monotonic() + provider.interval_s)
            if not self.is_running:
                self._start()
            elif is_new:
                self._ring()

    def leave(self, provider: Collectable) -> None:
        """Do not collect this one any more."""
        self._forget(weakref.ref(provider))

    def after_fork(self) -> None:
        """This is a forked child: there is no thread, and a lock may be held by nobody. Once is enough."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._forget_thread()
        self._due = {}

    def _forget_thread(self) -> None:
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._bell = threading.Lock()  # rung by a release: an `Event` would block in a signal handler
        self._bell.acquire()

    def _forget(self, reference: weakref.ref[Collectable]) -> None:
        self._due.pop(reference, None)

    def _start(self) -> None:
        if sys.is_finalizing() or not self._starting.acquire(blocking=False):
            return
        try:
            if not self.is_running:
                bell = (self._bell,)
                thread = threading.Thread(target=self._run, args=bell, name="tickspan-metrics", daemon=True)
                with suppress(RuntimeError):  # none can be started: the process, or its memory, is at its end
                    thread.start()
                    self._thread = thread
        finally:
            self._starting.release()

    def _ring(self) -> None:
        """Let the thread look at the clock again."""
        with suppress(RuntimeError):  # it was rung already
            self._bell.release()

    def _run(self, bell: threading.Lock) -> None:
        guard = Guard("thread", "metrics")
        while True:
            bell.acquire(timeout=guard.closing(self._collect_due, default=_AFTER_A_FAULT_S))

    def _collect_due(self) -> float:
        """Collect those whose time has come. Returns the seconds until the next, or -1 for ever."""
        for reference, due in self._due.copy().items():  # a copy in one step: providers come and go meanwhile
            provider = reference()
            now = self._monotonic()
            if provider is not None and due <= now and reference in self._due:
                missed = math.floor((now - due) / provider.interval_s)
                self._due[reference] = due + (missed + 1) * provider.interval_s
                self._guard_of(provider).own(provider.collect, default=False)
        earliest = min(self._due.copy().values(), default=None)
        return (
            _FOR_EVER
            if earliest is None
            else min(max(0.0, earliest - self._monotonic()), threading.TIMEOUT_MAX)
        )

    def _guard_of(self, provider: Any) -> Guard:
        return self._guards.setdefault(provider, Guard("collection of", "metrics"))


COLLECTOR: Final = Collector()
"""The one of this process."""
