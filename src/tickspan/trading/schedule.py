"""Actions that are due later, run by one thread which exists only while something is due."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
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
        self._lines: list[Line[object]] = []
        self._forget()

    def __repr__(self) -> str:
        return f"<Schedule {self._name}, {len(self)} due>"

    def __len__(self) -> int:
        return len(self._due) + sum(len(line) for line in self._lines)

    def after(self, delay_s: float, action: Action) -> None:
        """Run `action` in `delay_s` seconds."""
        due_ns = time.monotonic_ns() + int(delay_s * 1e9)
        with self._changed:
            self._push(due_ns, action)

    def line(self, delay_s: float, act: Callable[[T], None]) -> Line[T]:
        """For what happens to one thing after another, each after the same time."""
        line = Line(self, delay_s, act)
        self._lines.append(line)  # pyright: ignore[reportArgumentType] - what stands in a line is its own affair
        return line

    def flush(self) -> None:
        """Run everything that is due, now or later, in this thread."""
        with self._changed:
            actions = [action for _, _, action in sorted(self._due, key=lambda entry: entry[:2])]
            self._due.clear()
            self._changed.notify()
            thread = self._thread
        self._flush_lines()
        for action in actions:
            action()
        self._flush_lines()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread, lock and actions."""
        self._forget()
        for line in self._lines:
            line.forget()

    def _flush_lines(self) -> None:
        for line in self._lines:
            line.flush()

    def _forget(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[int, int, Action]] = []
        self._thread: threading.Thread | None = None

    def _push(self, due_ns: int, action: Action) -> None:
        heapq.heappush(self._due, (due_ns, next(self._serial), action))
        self._start()
        self._changed.notify()

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


class Line(Generic[T]):
    """Things that wait their turn: a tuple each, and one action in the schedule for all of them."""

    def __init__(self, schedule: Schedule, delay_s: float, act: Callable[[T], None]) -> None:
        self._schedule = schedule
        self._delay_ns = int(delay_s * 1e9)
        self._act = act
        self.forget()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, thing: T) -> None:
        """Do what is to be done with `thing`, after the line's time."""
        due_ns = time.monotonic_ns() + self._delay_ns
        self._waiting.append((due_ns, thing))
        if not self._is_scheduled:
            with self._schedule._changed:  # noqa: SLF001 - the schedule's own other half
                self._call_again()

    def flush(self) -> None:
        """Do it now with all that wait."""
        while self._waiting:
            self._act_next()
        self._is_scheduled = False

    def forget(self) -> None:
        """Nothing waits."""
        self._waiting: deque[tuple[int, T]] = deque()
        self._is_scheduled = False

    def _work(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.monotonic_ns():
            self._act_next()
        with self._schedule._changed:  # noqa: SLF001 - the same
            self._is_scheduled = False
            if self._waiting:
                self._call_again()

    def _act_next(self) -> None:
        try:
            _, thing = self._waiting.popleft()
        except IndexError:  # another thread flushes
            return
        self._act(thing)

    def _call_again(self) -> None:
        if not self._is_scheduled and self._waiting:
            self._is_scheduled = True
            self._schedule._push(self._waiting[0][0], self._work)  # noqa: SLF001 - the same
