"""Actions that are due later, run by one thread which exists only while something is due."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Final

Action = Callable[[], None]

_JOIN_S: Final = 1.0


class Schedule:
    """Runs each action once, at or after its moment; `flush` runs all of them at once.

    Actions must not raise. Thread-safe. A forked child starts with an empty schedule: what was due belongs
    to the parent.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._serial = itertools.count()
        self._forget()

    def __repr__(self) -> str:
        return f"<Schedule {self._name}, {len(self._due)} due>"

    def __len__(self) -> int:
        return len(self._due)

    def after(self, delay_s: float, action: Action) -> None:
        """Run `action` in `delay_s` seconds."""
        due_ns = time.monotonic_ns() + int(delay_s * 1e9)
        with self._changed:
            heapq.heappush(self._due, (due_ns, next(self._serial), action))
            self._start()
            self._changed.notify()

    def flush(self) -> None:
        """Run everything that is due, now or later, in this thread."""
        with self._changed:
            actions = [action for _, _, action in sorted(self._due, key=lambda entry: entry[:2])]
            self._due.clear()
            self._changed.notify()
            thread = self._thread
        for action in actions:
            action()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread, lock and actions."""
        self._forget()

    def _forget(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[int, int, Action]] = []
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # No thread starts while the interpreter shuts down; `flush` does the work.
            return
        self._thread = thread

    def _run(self) -> None:
        while (action := self._next()) is not None:
            action()

    def _next(self) -> Action | None:
        """The next due action; None when nothing is left, and then the thread is forgotten."""
        with self._changed:
            while self._due:
                wait_s = (self._due[0][0] - time.monotonic_ns()) / 1e9
                if wait_s <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(wait_s)
            self._thread = None
            return None
