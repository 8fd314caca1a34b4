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
                self._wake.set()

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
        self._wake = threading.Event()

    def _forget(self, reference: weakref.ref[Collectable]) -> None:
        self._due.pop(reference, None)

    def _start(self) -> None:
        if sys.is_finalizing() or not self._starting.acquire(blocking=False):
            return
        try:
            if not self.is_running:
                wake = (self._wake,)
                thread = threading.Thread(target=self._run, args=wake, name="tickspan-metrics", daemon=True)
                with suppress(RuntimeError):  # none can be started: the process, or its memory, is at its end
                    thread.start()
                    self._thread = thread
        finally:
            self._starting.release()

    def _run(self, wake: threading.Event) -> None:
        while True:
            wake.wait(self._collect_due())
            wake.clear()

    def _collect_due(self) -> float | None:
        """Collect those whose time has come. Returns the seconds until the next; None without providers."""
        for reference, due in list(self._due.items()):
            provider = reference()
            now = self._monotonic()
            if provider is not None and due <= now:
                missed = math.floor((now - due) / provider.interval_s)
                self._due[reference] = due + (missed + 1) * provider.interval_s
                self._guard_of(provider).own(provider.collect, default=False)
        waits = [due - self._monotonic() for due in list(self._due.values())]
        return max(0.0, min(waits)) if waits else None

    def _guard_of(self, provider: Any) -> Guard:
        return self._guards.setdefault(provider, Guard("collection of", "metrics"))


COLLECTOR: Final = Collector()
"""The one of this process."""
