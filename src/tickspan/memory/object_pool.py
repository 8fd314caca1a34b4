"""Pools of objects that are used again: no object ever has two owners.

A pool keeps what is idle, and of what is lent only the identity: an object that nobody gives back is freed as
if there were no pool. Giving back what is not lent, twice or from elsewhere, is counted and changes nothing,
unless somebody has been lent it since: nobody can tell then who gives it back.
Of pools that are made while the logger `tickspan` is at DEBUG it is an error, which names both places.

Taking and giving back are closures over sets and queues, and count next to nothing. Together they cost what
it takes to make an object of eight fields by position, and six tenths of what four by keyword cost.
"""

from __future__ import annotations

import logging
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from tickspan.recording import Guard, diagnostics
from tickspan.recording.values import type_text

__all__ = ["BufferPool", "ObjectPool", "ObjectPoolStatistics", "PoolError", "object_pools"]

T = TypeVar("T")

_MAX_IDLE: Final = 1_024
_MAX_BUFFERS: Final = 64
_MOST_LENT: Final = 1 << 20
"""Identities that are kept; beyond that those that are lent will be discarded when they come back."""
_MOST_SITES: Final = 4_096
_MEASURED: Final = 16
_MEASURED_S: Final = 0.001
"""A factory that takes longer is not called so often."""


class PoolError(RuntimeError):
    """An object was given back to a pool that has not lent it."""


@dataclass(frozen=True, slots=True)
class ObjectPoolStatistics:
    """A pool now, and since it was made."""

    name: str
    idle: int
    used: int
    """Lent and not given back; also what is gone, of a type that no weak reference can watch."""
    made: int
    reused: int
    refused: int
    """Given back, but not lent."""
    discarded: int
    """Not kept: never given back and gone, too many idle ones, or `reset` failed."""
    make_s: float | None = None
    """What the factory takes at the least; None until an object was idle."""
    reuse_s: float | None = None
    """What taking and giving back take at the least, with `reset`; None until an object was idle."""

    @property
    def worth_it(self) -> bool | None:
        """Whether using again is faster than making; None until both were measured."""
        if self.make_s is None or self.reuse_s is None:
            return None
        return self.reuse_s < self.make_s


class _Book:
    """What a pool knows, shared by its closures."""

    __slots__ = ("idle", "lent", "made", "refused", "reused", "sites", "watched")

    def __init__(self, max_idle: int) -> None:
        self.idle: deque[Any] = deque(maxlen=max_idle)
        self.lent: set[int] = set()
        self.watched: dict[int, weakref.ref[Any]] = {}
        self.sites: dict[int, str] = {}
        self.made = self.refused = 0
        self.reused: Callable[[], int] = int

    def watch(self, item: object) -> bool:
        """Forget the identity of an object when it is gone; False where that cannot be known."""
        number, lent, watched = id(item), self.lent, self.watched

        def gone(_reference: object) -> None:  # may run anywhere: single steps only
            lent.discard(number)
            watched.pop(number, None)

        try:
            watched[number] = weakref.ref(item, gone)
        except TypeError:
            return False
        return True


class ObjectPool(Generic[T]):
    """A pool of what `factory` makes. Safe from any thread.

    Args:
        factory: makes an object when none is idle; what it raises is the caller's.
        reset: makes an object as new when it is given back; if it raises, the object is discarded. It may be
            called on one that is as new already.
        max_idle: objects that are kept.
        name: for statistics and metrics; the factory's by default.

    Raises:
        ValueError: `max_idle` is not above 0.
    """

    acquire: Callable[[], T]
    """An idle object, or a new one. The caller owns it until `release`."""
    release: Callable[[T], None]
    """Give an object back; it must not be used any more. Beyond `max_idle` the one that is idle longest goes.

    Raises `PoolError` for one that is not lent, in a pool that was made while `tickspan` was at DEBUG."""

    def __init__(
        self,
        factory: Callable[[], T],
        reset: Callable[[T], object] | None = None,
        *,
        max_idle: int = _MAX_IDLE,
        name: str | None = None,
    ) -> None:
        if max_idle <= 0:
            raise ValueError(f"max_idle: expected a number above 0, got {max_idle!r}")
        self.name = name or str(getattr(factory, "__qualname__", type(factory).__qualname__))
        self._factory = factory
        self._reset = reset
        self._guard = Guard("pool", self.name)
        self._measuring = Guard("measurement of pool", self.name)
        self._book = _Book(max_idle)
        self._kinds: set[type[Any]] = set()
        self._costs_s: tuple[float, float] | None = None
        self._is_debugged = diagnostics.isEnabledFor(logging.DEBUG)
        self.acquire, self.release = self._calls()
        _pools.add(self)

    def __repr__(self) -> str:
        return f"<ObjectPool {self.name} {len(self._book.idle)} idle, {len(self._book.lent)} used>"

    @contextmanager
    def lease(self) -> Generator[T]:
        """An object for the time of a `with` statement."""
        item = self.acquire()
        try:
            yield item
        finally:
            self.release(item)

    def sizes(self) -> tuple[int, int]:
        """Objects that are idle, and that are lent."""
        return len(self._book.idle), len(self._book.lent)

    def counts(self) -> dict[str, int]:
        """How often an object was made, used again, and refused when it was given back."""
        book = self._book
        return {"made": book.made, "reused": book.reused(), "refused": book.refused}

    def statistics(self) -> ObjectPoolStatistics:
        """The counts so far. Once, it measures: the factory is called up to 17 times, for a millisecond."""
        book = self._book
        if self._costs_s is None and book.idle:
            self._costs_s = self._measuring.user(self._measured, default=None)
        make_s, reuse_s = self._costs_s or (None, None)
        return ObjectPoolStatistics(
            self.name,
            len(book.idle),
            len(book.lent),
            book.made,
            book.reused(),
            book.refused,
            max(0, book.made - len(book.idle) - len(book.lent)),
            make_s,
            reuse_s,
        )

    def _calls(self) -> tuple[Callable[[], T], Callable[[T], None]]:
        book, make, refuse, clean, kinds = self._book, self._make, self._refuse, self._clean, self._kinds
        take, lend, end, keep = book.idle.pop, book.lent.add, book.lent.remove, book.idle.append
        reused = 0.0  # a sum of floats is made faster than one of integers
        kind: type[Any] | None = None

        def acquire() -> T:
            nonlocal reused, kind
            try:
                item = take()
            except IndexError:
                item = make()
                kind = kind or type(item)
                return item
            lend(id(item))
            reused += 1.0
            return item

        def release(item: T) -> None:
            if type(item) is not kind and type(item) not in kinds:
                refuse(item)
                return
            try:
                end(id(item))  # one step: of two threads that give it back, one is right
            except KeyError:
                refuse(item)
            else:
                keep(item)

        def release_clean(item: T) -> None:
            try:
                end(id(item))
            except KeyError:
                refuse(item)
                return
            if type(item) in kinds and clean(item):
                keep(item)

        book.reused = lambda: int(reused)
        return acquire, release_clean if self._reset is not None or self._is_debugged else release

    def _make(self) -> T:
        book = self._book
        item = self._factory()
        book.made += 1
        self._kinds.add(type(item))
        if len(book.lent) >= _MOST_LENT:
            book.lent.clear()
        book.watch(item)
        book.lent.add(id(item))
        return item

    def _clean(self, item: T) -> bool:
        if self._is_debugged:
            if len(self._book.sites) >= _MOST_SITES:
                self._book.sites.clear()
            self._book.sites[id(item)] = _site()
        return self._reset is None or self._guard.user(self._was_reset, item, default=False)

    def _was_reset(self, item: T) -> bool:
        assert self._reset is not None
        self._reset(item)
        return True

    def _refuse(self, item: T) -> None:
        self._book.refused += 1
        if self._is_debugged:
            before = self._book.sites.get(id(item))
            told = "this pool has not lent it" if before is None else f"it was given back before at {before}"
            raise PoolError(f"{self.name}: {type_text(type(item))} was given back at {_site()}, but {told}")

    def _measured(self) -> tuple[float, float]:
        """Seconds of making an object, and of using one again, with objects of our own."""
        twin = ObjectPool(self._factory, self._reset)
        _pools.discard(twin)
        twin.release(twin.acquire())
        empty_s = _least(lambda: None)
        return max(0.0, _least(self._factory) - empty_s), _least(
            lambda: twin.release(twin.acquire())
        ) - empty_s


class BufferPool(ObjectPool[bytearray]):
    """A pool of byte arrays of one size. What the last user wrote is still in them unless `is_cleared`.

    Raises:
        ValueError: `size_bytes` or `max_idle` is not above 0.
    """

    def __init__(
        self,
        size_bytes: int,
        *,
        is_cleared: bool = False,
        max_idle: int = _MAX_BUFFERS,
        name: str | None = None,
    ) -> None:
        if size_bytes <= 0:
            raise ValueError(f"size_bytes: expected a number above 0, got {size_bytes!r}")
        self.size_bytes = size_bytes
        zeros = bytes(size_bytes) if is_cleared else b""

        def restore(buffer: bytearray) -> None:
            if zeros:
                buffer[:] = zeros
            elif len(buffer) != size_bytes:
                buffer[:] = bytes(size_bytes)

        super().__init__(
            lambda: bytearray(size_bytes), restore, max_idle=max_idle, name=name or f"{size_bytes} bytes"
        )


def _least(call: Callable[[], object]) -> float:
    """Seconds that a call takes at the least, of some."""
    best_s, began_s = float("inf"), time.perf_counter()
    for _ in range(_MEASURED):
        start_s = time.perf_counter()
        call()
        now_s = time.perf_counter()
        best_s = min(best_s, now_s - start_s)
        if now_s - began_s > _MEASURED_S:
            break
    return best_s


def _site() -> str:
    """The nearest caller outside this module: `function (file:line)`."""
    frame = sys._getframe(1)  # noqa: SLF001 - cheaper than `inspect`
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"


_pools: Final[weakref.WeakSet[ObjectPool[Any]]] = weakref.WeakSet()


def object_pools() -> list[ObjectPool[Any]]:
    """Those of this process that live, by name."""
    return sorted(_pools, key=lambda pool: pool.name)
