"""Pools of drivers: how many connections, and how long they are waited for, made and used.

A wait is the time of a request without the making of the connection that it got. What a pool counts itself is
read from it when metrics are collected.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from tickspan.instrumentation import Guard, Workbench
from tickspan.instrumentation.pooling import MeasuredPool, PoolProbe, ReadCounts

from tickspan_dbapi.calls import Make
from tickspan_dbapi.links import Driver, Link, Recorder

__all__ = ["PoolKind", "giving_back", "lending", "making"]

LentOf = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]
"""`(args, kwargs)` of a call, the instance first, to what was lent."""

_now_ns: Final = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class PoolKind:
    """What must be asked of the pools of one library."""

    driver: Driver
    stand_in: Callable[[Any], Any]
    """What lives as long as a pool and can be referred to weakly; None before it is opened."""
    name: Callable[[Any, Link | None], str | None]
    """Of a pool, and a connection that it has made; None while it is not known."""
    counts: ReadCounts
    """Of a stand-in."""
    connection: Callable[[Any], Any]
    """The driver's own connection behind what is lent; None for one that was closed."""
    timeout: str
    """The name of the class of its time-outs."""


class _Pools:
    """The pools of one `Workbench`, each known as soon as it has a name."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.recorder = Recorder.of(bench)
        self._probe = PoolProbe(bench.meter, bench.guard("pools"))
        bench.on_undo(self._probe.close)
        self._measured: WeakKeyDictionary[Any, MeasuredPool | None] = WeakKeyDictionary()

    @staticmethod
    def of(bench: Workbench) -> _Pools:
        """Made once."""
        found = _pools.get(bench)
        return _pools.setdefault(bench, _Pools(bench)) if found is None else found

    def request(self, kind: PoolKind, pool: Any) -> _Request | None:
        """Somebody wants a connection; None for a pool that is not measured."""
        measured = self._measures(kind, pool, None)
        return None if measured is None else _Request(self, kind, measured)

    def made(self, kind: PoolKind, pool: Any, connection: Any, started_ns: int) -> None:
        """A connection was made since then."""
        elapsed_ns = _now_ns() - started_ns
        link = self.recorder.link(kind.driver, connection)
        measured = self._measures(kind, pool, link)
        if measured is not None:
            measured.created(elapsed_ns)
            link.made = (started_ns, elapsed_ns)

    def given_back(self, kind: PoolKind, lent: Any) -> None:
        """What was lent is not used any more."""
        connection = kind.connection(lent)
        link = None if connection is None else self.recorder.known_link(connection)
        if link is not None and link.out is not None:
            measured, since_ns = link.out
            measured.used(_now_ns() - since_ns)
            link.out = link.pool_wait_ns = None

    def _measures(self, kind: PoolKind, pool: Any, link: Link | None) -> MeasuredPool | None:
        stand_in = kind.stand_in(pool)
        if stand_in is None:
            return None
        if stand_in not in self._measured:
            name = kind.name(pool, link)
            if name is None:
                return None
            self._measured[stand_in] = self._probe.watch(stand_in, name, kind.counts)
        return self._measured[stand_in]


class _Request:
    """One request for a connection."""

    __slots__ = ("_kind", "_measured", "_pools", "_started_ns")

    def __init__(self, pools: _Pools, kind: PoolKind, measured: MeasuredPool) -> None:
        self._pools = pools
        self._kind = kind
        self._measured = measured
        measured.waiting.add(self)
        self._started_ns = _now_ns()

    def fulfilled(self, lent: Any) -> None:
        """Here it is."""
        now_ns = _now_ns()
        self._measured.waiting.discard(self)
        link = self._pools.recorder.link(self._kind.driver, self._kind.connection(lent))
        wait_ns = now_ns - self._started_ns
        if link.made is not None and link.made[0] >= self._started_ns:
            wait_ns -= link.made[1]
        link.made = None
        self._measured.waited(wait_ns)
        link.pool_wait_ns = wait_ns
        link.out = (self._measured, now_ns)

    def failed(self, error: BaseException) -> None:
        """There is none."""
        self._measured.waiting.discard(self)
        if type(error).__name__ == self._kind.timeout:
            self._measured.timed_out()


_pools: Final[WeakKeyDictionary[Workbench, _Pools]] = WeakKeyDictionary()


def lending(kind: PoolKind) -> Make:
    """What makes a pool's method tell how long it let somebody wait for a connection."""

    def make(original: Any, bench: Workbench) -> Any:
        pools, guard = _Pools.of(bench), bench.guard("pools")

        @functools.wraps(original)
        def lend(self: Any, *args: Any, **kwargs: Any) -> Any:
            request = _request(pools, guard, kind, self)
            if request is None:
                return original(self, *args, **kwargs)
            try:
                lent = original(self, *args, **kwargs)
            except BaseException as error:
                guard.own(request.failed, error, default=None)
                raise
            guard.own(request.fulfilled, lent, default=None)
            return lent

        @functools.wraps(original)
        async def lend_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            request = _request(pools, guard, kind, self)
            if request is None:
                return await original(self, *args, **kwargs)
            try:
                lent = await original(self, *args, **kwargs)
            except BaseException as error:
                guard.own(request.failed, error, default=None)
                raise
            guard.own(request.fulfilled, lent, default=None)
            return lent

        return lend_async if inspect.iscoroutinefunction(original) else lend

    return make


def making(kind: PoolKind) -> Make:
    """What makes the method that connects tell how long that took."""

    def make(original: Any, bench: Workbench) -> Any:
        pools, guard = _Pools.of(bench), bench.guard("pools")

        @functools.wraps(original)
        def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
            started_ns = _now_ns()
            connection = original(self, *args, **kwargs)
            if bench.is_active:
                guard.own(pools.made, kind, self, connection, started_ns, default=None)
            return connection

        @functools.wraps(original)
        async def connect_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            started_ns = _now_ns()
            connection = await original(self, *args, **kwargs)
            if bench.is_active:
                guard.own(pools.made, kind, self, connection, started_ns, default=None)
            return connection

        return connect_async if inspect.iscoroutinefunction(original) else connect

    return make


def giving_back(kind: PoolKind, lent_of: LentOf) -> Make:
    """What makes the method that takes a connection back tell how long it was used."""

    def make(original: Any, bench: Workbench) -> Any:
        pools, guard = _Pools.of(bench), bench.guard("pools")

        def given_back(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            pools.given_back(kind, lent_of(args, kwargs))

        @functools.wraps(original)
        def give_back(*args: Any, **kwargs: Any) -> Any:
            if bench.is_active:
                guard.own(given_back, args, kwargs, default=None)
            return original(*args, **kwargs)

        @functools.wraps(original)
        async def give_back_async(*args: Any, **kwargs: Any) -> Any:
            if bench.is_active:
                guard.own(given_back, args, kwargs, default=None)
            return await original(*args, **kwargs)

        return give_back_async if inspect.iscoroutinefunction(original) else give_back

    return make


def _request(pools: _Pools, guard: Guard, kind: PoolKind, pool: Any) -> _Request | None:
    return guard.own(pools.request, kind, pool, default=None) if pools.bench.is_active else None
