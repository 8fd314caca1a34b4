"""One thread per process that looks each second at what is watched, whatever the event loop is doing."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final, Protocol

from tickspan.instrumentation.forks import renew_after_fork
from tickspan.recording import Guard

INTERVAL_S: Final = 1.0


class Watched(Protocol):
    """Whoever wants to be looked at."""

    def look(self) -> None:
        """Called about once a second, on the watch's thread."""
        ...


class Watch:
    """Runs while there is something to watch. A forked child begins with nothing watched.

    A machine that slept, or a process that was stopped, wakes up with everything old: the first look after a
    pause waits for the next, so that what has arrived meanwhile can be read first.
    """

    def __init__(self, interval_s: float = INTERVAL_S, now_s: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._now_s = now_s
        self._guard = Guard("watch", "process")
        self._forget()

    def __repr__(self) -> str:
        return f"<Watch of {len(self._watched)}>"

    def add(self, watched: Watched) -> None:
        """Look at `watched` as long as it lives."""
        with self._lock:
            self._watched.add(watched)
            if self._thread is None:
                self._start()

    def remove(self, watched: Watched) -> None:
        """Look at `watched` no longer."""
        with self._lock:
            self._watched.discard(watched)

    def stop(self) -> None:
        """End the thread; a later `add` starts another one."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stopping.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(2 * self._interval_s)

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread, its lock and what it watched."""
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._watched: weakref.WeakSet[Any] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def _start(self) -> None:
        self._stopping = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(self._stopping,), name="tickspan-watch", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            return  # no thread starts while the interpreter shuts down
        self._thread = thread

    def _run(self, stopping: threading.Event) -> None:
        due_s = self._now_s() + self._interval_s
        while not stopping.wait(max(0.0, due_s - self._now_s())):
            late_s = self._now_s() - due_s
            due_s = self._now_s() + self._interval_s
            if late_s > self._interval_s:
                continue
            for watched in self._all():
                self._guard.closing(watched.look, default=None)

    def _all(self) -> tuple[Watched, ...]:
        with self._lock:
            return tuple(self._watched)


_watches: Final[dict[str, Watch]] = {}


def process_watch(of: str = "process") -> Watch:
    """The watch of this process; feeds have one of their own, which nobody's long look delays."""
    watch = _watches.get(of)
    if watch is None:
        watch = _watches[of] = Watch()
        atexit.register(watch.stop)
        renew_after_fork(watch)
    return watch
