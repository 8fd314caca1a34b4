"""Work behind: what tiers below memory are told after the caller has gone on, by one thread of a cache."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

from tickspan.cache.counts import Count
from tickspan.cache.driving import Routine, drive
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.recording import Guard

__all__ = ["Behind"]

JOBS_MAX: Final = 10_000
_IDLE_S: Final = 5.0
"""A thread without work ends after it."""


class Behind:
    """Runs routines in order of their first arrival.

    A later one under the same name takes the place of an earlier one that has not begun: of many values of a
    key only the last is written.
    """

    def __init__(self, limit: int = JOBS_MAX) -> None:
        self._limit = limit
        self._guard = Guard("cache", "behind")
        self._dropped = Count()
        self._renew()
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<Behind {len(self._jobs)} waiting, {self.dropped} dropped>"

    def __len__(self) -> int:
        return len(self._jobs) + self._is_busy

    @property
    def dropped(self) -> int:
        """Jobs for which there was no room."""
        return self._dropped.value()

    def add(self, name: Hashable, job: Callable[[], Routine[object]], *, is_urgent: bool = False) -> bool:
        """Run a job soon; False when too many wait, or nothing runs any more.

        An urgent one has room always, and goes first.
        """
        with self._changed:
            if self._is_closed or not self._may_add(name, is_urgent=is_urgent):
                self._dropped.add()
                return False
            if is_urgent and name not in self._jobs:
                self._jobs = {name: job, **self._jobs} if len(self._jobs) < self._limit else self._jobs
            self._jobs[name] = job
            self._changed.notify_all()
            return self._thread is not None or self._start()

    def drain(self, deadline_s: float) -> bool:
        """Wait until all is done, at most so long; whether it is."""
        end = time.monotonic() + deadline_s
        with self._changed:
            while self._jobs or self._is_busy:
                remaining = end - time.monotonic()
                if remaining <= 0:
                    return False
                self._changed.wait(remaining)
        return True

    def close(self, deadline_s: float = 1.0) -> None:
        """Do what waits, as far as there is time, and end. Idempotent."""
        self.drain(deadline_s)
        with self._changed:
            self._is_closed = True
            self._dropped.add(len(self._jobs))
            self._jobs.clear()
            thread = self._thread
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(deadline_s)

    def after_fork_in_child(self) -> None:
        """The parent's thread is not here; what it has to do is its own."""
        self._renew()

    def _renew(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._jobs: dict[Hashable, Callable[[], Routine[object]]] = {}
        self._thread: threading.Thread | None = None
        self._is_busy = False
        self._is_closed = False

    def _may_add(self, name: Hashable, *, is_urgent: bool) -> bool:
        return is_urgent or name in self._jobs or len(self._jobs) < self._limit

    def _start(self) -> bool:
        thread = threading.Thread(target=self._run, name="tickspan-cache-behind", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread starts while the interpreter shuts down
            self._jobs.clear()
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                drive(job())
            except Exception as error:  # noqa: BLE001 - the top of a thread
                self._guard.caught(error)
            finally:
                with self._changed:
                    self._is_busy = False
                    self._changed.notify_all()

    def _next(self) -> Callable[[], Routine[object]] | None:
        with self._changed:
            while not self._jobs:
                if self._is_closed or not self._changed.wait(_IDLE_S):
                    if self._jobs:
                        break
                    self._thread = None
                    return None
            name = next(iter(self._jobs))
            self._is_busy = True
            return self._jobs.pop(name)
