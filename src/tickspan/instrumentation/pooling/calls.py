"""Pools with a method that lends and one that takes back: what their calls tell, sync and async.

A wait is the time of a request without the making of the connection that it got. What a pool counts itself is
read from it when metrics are collected.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

from tickspan.instrumentation.pooling.book import Hearers, PoolBook
from tickspan.instrumentation.pooling.probe import Holding, MeasuredPool, Permit, ReadCounts
from tickspan.instrumentation.workbench import Workbench
from tickspan.recording import Guard

__all__ = ["Make", "PoolKind", "giving_back", "lending", "making", "timeout_argument"]

Make = Callable[[Any, Workbench], Any]
LentOf = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]
"""`(args, kwargs)` of a call, the instance first, to what was lent."""

_now_ns: Final = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class PoolKind:
    """What must be asked of the pools of one library."""

    stand_in: Callable[[Any], Any]
    """What lives as long as a pool and has a `__dict__`; None before it is opened."""
    name: Callable[[Any, Any], str | None]
    """Of a pool, and a connection that it has made or None; None while it is not known."""
    counts: ReadCounts
    """Of a stand-in."""
    connection: Callable[[Any], Any]
    """The driver's own connection behind what is lent; None for one that was closed."""
    is_timeout: Callable[[BaseException], bool]
    """Whether a request failed since nobody gave a connection back in time."""
    timeout_of: Callable[[tuple[Any, ...], Mapping[str, Any]], float | None] = field(
        default=lambda _args, _kwargs: None
    )
    """How long a call that lends says it waits, `(args, kwargs)` without the pool; None if it does not."""
    is_made_when_lent: bool = False
    """Whether a connection does not know its pool while it is made."""
    is_measured_elsewhere: bool = False
    """Whether somebody measures such pools who leaves their governors to this module."""
    hearers: Hearers = field(default_factory=Hearers)


@dataclass(slots=True)
class _Notes:
    """What is known of one connection. Whoever holds the connection uses it, one at a time."""

    made: tuple[int, int] | None = None
    """When it was begun to make it, and how long that took, until it is lent."""
    out: tuple[MeasuredPool, int] | None = None
    """The pool that has lent it, and since when."""
    holding: Holding | None = None
    """What its pool's governor knows of its being out."""


_notes: Final[WeakKeyDictionary[Any, _Notes]] = WeakKeyDictionary()


def _notes_of(connection: Any) -> _Notes:
    known = _notes.get(connection)
    return _notes.setdefault(connection, _Notes()) if known is None else known


class _Request:
    """One request for a connection."""

    __slots__ = ("_kind", "_measured", "_started_ns", "permit")

    def __init__(self, kind: PoolKind, measured: MeasuredPool) -> None:
        self._kind = kind
        self._measured = measured
        self.permit: Permit | None = None
        measured.waiting.add(self)
        self._started_ns = _now_ns()

    def enter(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Wait for leave to ask, where the pool is governed."""
        gate = self._measured.gate
        if gate is not None:
            self.permit = gate.enter(self._kind.timeout_of(args, kwargs))

    async def enter_async(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """The same of a task."""
        gate = self._measured.gate
        if gate is not None:
            self.permit = await gate.enter_async(self._kind.timeout_of(args, kwargs))

    def fulfilled(self, lent: Any) -> None:
        """Here it is."""
        now_ns = _now_ns()
        measured, kind = self._measured, self._kind
        measured.waiting.discard(self)
        connection = kind.connection(lent)
        notes = _notes_of(connection)
        governor = measured.governor
        if governor is not None:
            notes.holding = governor.lent(lent, self.permit, now_ns)
            self.permit = None  # the holding gives it back
        self._measure(notes, now_ns, connection)

    def _measure(self, notes: _Notes, now_ns: int, connection: Any) -> None:
        measured, kind = self._measured, self._kind
        wait_ns = now_ns - self._started_ns
        if notes.made is not None:
            if notes.made[0] >= self._started_ns:
                wait_ns -= notes.made[1]
            if kind.is_made_when_lent:
                measured.created(notes.made[1])
        notes.made = None
        notes.out = (measured, now_ns)
        measured.waited(wait_ns)
        kind.hearers.tell(connection, wait_ns)

    def failed(self, error: BaseException) -> None:
        """There is none."""
        self._measured.waiting.discard(self)
        if self.permit is not None:
            self.permit.leave()
        if self._kind.is_timeout(error):
            self._measured.timed_out()


class _GovernedRequest(_Request):
    """One request to a pool that somebody else measures."""

    __slots__ = ()

    def _measure(self, notes: _Notes, now_ns: int, connection: Any) -> None:
        """Somebody else does."""

    def failed(self, error: BaseException) -> None:
        """There is none."""
        del error
        self._measured.waiting.discard(self)
        if self.permit is not None:
            self.permit.leave()


def lending(kind: PoolKind, *, is_async: bool | None = None) -> Make:
    """What makes a pool's method tell how long it let somebody wait for a connection.

    `is_async` is for a method that is decorated so that it does not look what it is.
    """

    def make(original: Any, bench: Workbench) -> Any:
        book, guard = PoolBook.of(bench), bench.guard("pools")

        @functools.wraps(original)
        def lend(self: Any, *args: Any, **kwargs: Any) -> Any:
            request = guard.own(_request, book, kind, self, default=None)
            if request is None:
                return original(self, *args, **kwargs)
            try:
                request.enter(args, kwargs)
                lent = original(self, *args, **kwargs)
            except BaseException as error:
                guard.closing(request.failed, error, default=None)
                raise
            guard.closing(request.fulfilled, lent, default=None)
            return lent

        @functools.wraps(original)
        async def lend_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            request = guard.own(_request, book, kind, self, default=None)
            if request is None:
                return await original(self, *args, **kwargs)
            try:
                await request.enter_async(args, kwargs)
                lent = await original(self, *args, **kwargs)
            except BaseException as error:
                guard.closing(request.failed, error, default=None)
                raise
            guard.closing(request.fulfilled, lent, default=None)
            return lent

        return lend_async if _is_async(original, is_async) else lend

    return make


def making(
    kind: PoolKind, *, is_async: bool | None = None, is_made: Callable[[Any], bool] | None = None
) -> Make:
    """What makes the method that connects tell how long that took.

    The method is a pool's and returns the connection, or with `is_made` the connection's own: it is told
    unless `is_made(connection)` said before that there was nothing to do.
    """

    def make(original: Any, bench: Workbench) -> Any:
        book, guard = PoolBook.of(bench), bench.guard("pools")

        def is_idle(self: Any) -> bool:
            return not bench.is_active or (is_made is not None and is_made(self))

        def made(self: Any, result: Any, started_ns: int) -> None:
            if is_made is None:
                _made(book, kind, self, result, started_ns)
            elif is_made(self):
                _notes_of(self).made = (started_ns, _now_ns() - started_ns)

        @functools.wraps(original)
        def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
            if guard.own(is_idle, self, default=True):
                return original(self, *args, **kwargs)
            started_ns = _now_ns()
            connection = original(self, *args, **kwargs)
            guard.own(made, self, connection, started_ns, default=None)
            return connection

        @functools.wraps(original)
        async def connect_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            if guard.own(is_idle, self, default=True):
                return await original(self, *args, **kwargs)
            started_ns = _now_ns()
            connection = await original(self, *args, **kwargs)
            guard.own(made, self, connection, started_ns, default=None)
            return connection

        return connect_async if _is_async(original, is_async) else connect

    return make


def giving_back(kind: PoolKind, lent_of: LentOf, *, is_async: bool | None = None) -> Make:
    """What makes the method that takes a connection back tell how long it was used.

    A governed pool's next in turn is let in after it is back.
    """

    def make(original: Any, bench: Workbench) -> Any:
        guard = bench.guard("pools")

        def given_back(
            args: tuple[Any, ...], kwargs: Mapping[str, Any]
        ) -> tuple[Holding | None, Awaitable[None] | None]:
            holding = _given_back(kind, lent_of(args, kwargs))
            return holding, None if holding is None else holding.before_return()

        def ended(holding: Holding | None) -> None:
            if holding is not None:
                guard.closing(holding.end, default=None)

        @functools.wraps(original)
        def give_back(*args: Any, **kwargs: Any) -> Any:
            holding, _ = guard.closing(given_back, args, kwargs, default=(None, None))
            try:
                return original(*args, **kwargs)
            finally:
                ended(holding)

        @functools.wraps(original)
        async def give_back_async(*args: Any, **kwargs: Any) -> Any:
            holding, closing = guard.closing(given_back, args, kwargs, default=(None, None))
            try:
                if closing is not None:
                    await _closed(closing, guard)
                return await original(*args, **kwargs)
            finally:
                ended(holding)

        return give_back_async if _is_async(original, is_async) else give_back

    return make


def timeout_argument(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> float | None:
    """`(timeout=None)`."""
    return args[0] if args else kwargs.get("timeout")


def _request(book: PoolBook, kind: PoolKind, pool: Any) -> _Request | None:
    """Somebody wants a connection; None for a pool that is not measured."""
    if not book.bench.is_active:
        return None
    measured = _measures(book, kind, pool, None)
    if measured is not None:
        return _Request(kind, measured)
    if not kind.is_measured_elsewhere:
        return None
    elsewhere = book.governed(kind.stand_in(pool))
    return None if elsewhere is None else _GovernedRequest(kind, elsewhere)


def _measures(book: PoolBook, kind: PoolKind, pool: Any, connection: Any) -> MeasuredPool | None:
    stand_in = kind.stand_in(pool)
    if stand_in is None:
        return None
    if book.takes_all and not book.knows(stand_in):
        name = kind.name(pool, connection)
        if name is None:
            return None
        book.watch(stand_in, name, kind.counts)
    return book.measured(stand_in)


def _made(book: PoolBook, kind: PoolKind, pool: Any, connection: Any, started_ns: int) -> None:
    """A connection was made since then."""
    elapsed_ns = _now_ns() - started_ns
    measured = _measures(book, kind, pool, connection)
    if measured is not None:
        measured.created(elapsed_ns)
        _notes_of(connection).made = (started_ns, elapsed_ns)


def _given_back(kind: PoolKind, lent: Any) -> Holding | None:
    """What was lent is not used any more."""
    connection = kind.connection(lent)
    notes = None if connection is None else _notes.get(connection)
    if notes is None:
        return None
    holding, notes.holding = notes.holding, None
    if notes.out is None:
        return holding
    (measured, since_ns), notes.out = notes.out, None
    if notes.made is not None and kind.is_made_when_lent:
        measured.created(notes.made[1])
        notes.made = None
    measured.used(_now_ns() - since_ns)
    kind.hearers.tell(connection, None)
    return holding


async def _closed(closing: Awaitable[None], guard: Guard) -> None:
    try:
        await closing
    except Exception as error:  # noqa: BLE001 - what `Guard.own` does, which cannot wait
        guard.caught(error)


def _is_async(original: Any, is_async: bool | None) -> bool:
    return inspect.iscoroutinefunction(original) if is_async is None else is_async
