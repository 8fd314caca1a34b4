"""Flights: one load for all who ask for a key meanwhile, whatever thread, task or event loop they are in."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final

from tickspan.cache.entry import Key
from tickspan.instrumentation.forks import renew_after_fork

__all__ = ["Flight", "Flights"]

_inside: Final[ContextVar[tuple[Flight, ...]]] = ContextVar("tickspan_cache_flights", default=())


class _Thread:
    """A thread that waits."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)

    def wake(self) -> None:
        self._event.set()


class _Task:
    """A task that waits in its event loop."""

    __slots__ = ("_future", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._future: asyncio.Future[None] = loop.create_future()

    async def wait(self, seconds: float) -> None:
        timer = self._loop.call_later(seconds, self._resolve)
        try:
            await self._future
        finally:
            timer.cancel()

    def wake(self) -> None:
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - documented for loops; raises nothing
            self._resolve()
            return
        try:
            self._loop.call_soon_threadsafe(self._resolve)
        except RuntimeError:
            return  # its loop is closed: nobody waits there any more

    def _resolve(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class Flight:
    """A load under way, and who waits for it. Any thread may call it.

    It ends once: with a result, or abandoned, when its task was cancelled or its thread was torn out of it.
    Those who wait then load by themselves.
    """

    __slots__ = (
        "_loop",
        "_table",
        "_task",
        "_waiters",
        "began_at",
        "is_done",
        "key",
        "loading_at",
        "result",
        "tags",
    )

    def __init__(self, key: Key, table: Flights, tags: tuple[str, ...] = (), began_at: float = 0.0) -> None:
        self.key = key
        self.tags = tags
        self.began_at = began_at
        self.loading_at = began_at
        """When the loader was called; before, when the flight began."""
        self.result: Any = None
        """What it ended with; None while it is under way, and when it was abandoned."""
        self.is_done = False
        self._table = table
        self._waiters: deque[_Thread | _Task] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    def __repr__(self) -> str:
        state = "under way" if not self.is_done else "abandoned" if self.result is None else "ended"
        return f"<Flight {state}, {len(self._waiters)} waiting>"

    @property
    def is_mine(self) -> bool:
        """Whether this context is within the load itself: who waited for it now would wait for ever."""
        return self in _inside.get()

    @property
    def waiting(self) -> int:
        """How many wait for it."""
        return len(self._waiters)

    @property
    def is_lost(self) -> bool:
        """Whether it will never end, since its event loop was closed under it."""
        return not self.is_done and self._loop is not None and self._loop.is_closed()

    def belongs_to(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
        """It runs in this task, which is kept alive as long as it."""
        self._loop = loop
        self._task = task

    @contextmanager
    def entered(self) -> Generator[None]:
        """Within: the load itself."""
        token = _inside.set((*_inside.get(), self))
        try:
            yield
        finally:
            with suppress(ValueError):  # it is collected, in another context
                _inside.reset(token)

    def end(self, result: Any) -> None:
        """End it with a result, and wake all who wait."""
        if not self.is_done:
            self.result = result
            self._end()

    def abandon(self) -> None:
        """End it without a result, if it has not ended."""
        if not self.is_done:
            self._end()

    def wait(self, seconds: float) -> bool:
        """Wait in this thread until it has ended, at most so long; whether it has."""
        if not self.is_done and seconds > 0:
            waiter = _Thread()
            self._waiters.append(waiter)
            if not self.is_done:  # else it may have ended without seeing this waiter
                waiter.wait(seconds)
        return self.is_done

    async def wait_async(self, seconds: float) -> bool:
        """Wait in this task until it has ended, at most so long; whether it has."""
        if not self.is_done and seconds > 0:
            waiter = _Task(asyncio.get_running_loop())
            self._waiters.append(waiter)
            if not self.is_done:
                await waiter.wait(seconds)
        return self.is_done

    def _end(self) -> None:
        self.is_done = True
        self._task = None
        self._table.remove(self)
        waiters = self._waiters
        while True:
            try:
                waiters.popleft().wake()
            except IndexError:
                return


class Flights:
    """The loads of one region that are under way."""

    def __init__(self) -> None:
        self._flights: dict[Key, Flight] = {}
        self._lock = threading.RLock()
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<Flights {len(self._flights)} under way>"

    def __len__(self) -> int:
        return len(self._flights)

    def join(self, key: Key, tags: tuple[str, ...] = (), now_s: float = 0.0) -> tuple[Flight, bool]:
        """The flight of a key, and whether the caller has to start it."""
        mine = Flight(key, self, tags, now_s)
        while True:
            flight = self._flights.setdefault(key, mine)
            if flight is mine:
                return mine, True
            if not flight.is_lost:
                return flight, False
            flight.abandon()

    def waiting(self, key: Key) -> int:
        """How many wait for the load of a key."""
        flight = self._flights.get(key)
        return 0 if flight is None else flight.waiting

    def remove(self, flight: Flight) -> None:
        """Nobody joins it any more."""
        with self._lock:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]

    def detach(self, key: Key) -> None:
        """Who asks from now on does not get what is under way: it began before something changed."""
        flight = self._flights.get(key)
        if flight is not None:
            self.remove(flight)

    def detach_all(self, *, tag: str | None = None) -> None:
        """As `detach`, of all keys or of those whose flight has a tag."""
        for flight in tuple(self._flights.values()):
            if tag is None or tag in flight.tags:
                self.remove(flight)

    def after_fork_in_child(self) -> None:
        """The parent's threads and loops are not here: nothing is under way."""
        self._lock = threading.RLock()
        self._flights = {}
