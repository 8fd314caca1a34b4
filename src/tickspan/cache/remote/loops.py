"""What belongs to one event loop each: made there, given back there before the loop closes."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from tickspan.instrumentation.forks import renew_after_fork

__all__ = ["OfLoop", "PerLoop"]

_TURNS: Final = 4


class OfLoop(Protocol):
    """Something that works on one event loop only."""

    def leave(self) -> None:
        """Give everything back, on its loop, whose next turns close the sockets; idempotent."""
        ...

    def abandon(self) -> None:
        """Drop everything without the loop, which is closed or belongs to the parent process."""
        ...


T = TypeVar("T", bound=OfLoop)
_Loop = asyncio.AbstractEventLoop
_Known = dict[_Loop, Any]

_residents: Final[dict[_Loop, dict[int, _Known]]] = {}
"""Who has something on a loop: what `PerLoop`s know, by identity."""
_keepers: Final[dict[_Loop, AsyncGenerator[None]]] = {}
"""A generator on each loop that waits for its end. A loop holds it weakly, and one that is collected would
make a task on a loop that may be in its last turn.
"""


class PerLoop(Generic[T]):
    """One `T` for each event loop that asks.

    `asyncio.run` and its like end asynchronous generators before they close a loop: one that waits there
    tells us in time. A loop that is closed without that is found by its being closed.
    """

    def __init__(self, make: Callable[[_Loop], T]) -> None:
        self._make = make
        self.known: dict[_Loop, T] = {}
        """By loop; read directly where a method's call would be too much."""
        weakref.finalize(self, _give_back, self.known)
        renew_after_fork(self)

    def here(self) -> T:
        """The one of the running loop.

        Raises:
            RuntimeError: no loop is running.
        """
        loop = asyncio.get_running_loop()
        found = self.known.get(loop)
        return self._enter(loop) if found is None else found

    def _enter(self, loop: _Loop) -> T:
        _abandon_closed()
        made = self.known[loop] = self._make(loop)
        _residents.setdefault(loop, {})[id(self.known)] = self.known
        if loop not in _keepers:
            keeper = _keepers[loop] = _until_the_end(loop)
            with contextlib.suppress(StopIteration):
                keeper.asend(None).send(None)
        return made

    async def aclose(self) -> None:
        """Give back what this loop has, and ask the other loops to."""
        _leave(self.known, asyncio.get_running_loop())
        _give_back(self.known)
        await _some_turns()

    def close(self) -> None:
        """Give back what can be without waiting: loops that run do it on their own threads soon."""
        _give_back(self.known)

    def after_fork_in_child(self) -> None:
        """The parent's loops do not run here."""
        _abandon_all(self.known)


async def _until_the_end(loop: _Loop) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        for known in tuple(_residents.pop(loop, {}).values()):
            _leave(known, loop)
        await _some_turns()
        _keepers.pop(loop, None)


async def _some_turns() -> None:
    """Let the loop close the sockets that it was told to."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _give_back(known: _Known) -> None:
    _abandon_closed()
    for loop in tuple(known):
        with contextlib.suppress(RuntimeError):  # it was closed meanwhile
            loop.call_soon_threadsafe(_leave, known, loop)


def _leave(known: _Known, loop: _Loop) -> None:
    _residents.get(loop, {}).pop(id(known), None)
    mine = known.pop(loop, None)
    if mine is not None:
        mine.leave()


def _abandon_closed() -> None:
    for loop in [loop for loop in tuple(_residents) if loop.is_closed()]:
        for known in tuple(_residents.pop(loop, {}).values()):
            mine = known.pop(loop, None)
            if mine is not None:
                mine.abandon()
    for loop in [loop for loop in tuple(_keepers) if loop.is_closed()]:
        _keepers.pop(loop, None)


def _abandon_all(known: _Known) -> None:
    while known:
        loop, mine = known.popitem()
        _residents.get(loop, {}).pop(id(known), None)
        mine.abandon()
