"""SQLAlchemy's pools, 1.4 to 2.1, of whatever class: checkouts, connections that are made, returns.

A checkout is timed at `_ConnectionRecord.checkout`, and the making of a connection inside it at the record's
own `__connect`: what is left is the wait, for every class of pool, also where a stale connection is replaced.
`Pool._do_get` calls itself, and `_create_connection` is left out when a connection is recycled. A connection
comes back by `_ConnectionRecord.checkin`, or is taken out of its pool for good by `detach`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextvars import copy_context
from threading import _active as _threads  # pyright: ignore[reportAttributeAccessIssue] - see `checkout`
from threading import current_thread, get_ident
from typing import Any, Final

from tickspan.instrumentation.patch import Row, Wrap
from tickspan.instrumentation.pooling.book import Hearers, PoolBook
from tickspan.instrumentation.pooling.probe import (
    LONG_WAIT_NS,
    Governor,
    Holding,
    MeasuredPool,
    Permit,
    PoolCounts,
)
from tickspan.instrumentation.workbench import Workbench

__all__ = ["SQLALCHEMY_HEARERS", "SQLALCHEMY_POOL_ROWS", "sqlalchemy_counts"]

SQLALCHEMY_HEARERS: Final = Hearers()
"""Told of a `_ConnectionRecord` and its wait."""
_MADE: Final = "_tickspan_made"
"""On a record: when connections were made for it, and how long that took."""
_OUT: Final = "_tickspan_out"
"""On a record that is checked out: its pool's measures, since when, and what its governor knows of that.

The last is what `lent` returned, or a governor that has a note, and the permit that goes back with it.
"""
_TIMED_OUT: Final = "TimeoutError"
_now_ns: Final = time.perf_counter_ns
_thread_of: Final = _threads.get
_NS_PER_S: Final = 1e9
_Out = tuple[MeasuredPool, int, Holding | None, Governor | None, Permit | None]


def sqlalchemy_counts(pool: Any) -> PoolCounts:
    """What SQLAlchemy's pools say of themselves; the classes without a limit or a count say nothing.

    A pool with overflow keeps `size` connections and lets go of the others as they come back.
    """
    if not (hasattr(pool, "checkedout") and hasattr(pool, "checkedin")):
        return PoolCounts()
    size, most = pool.size(), getattr(pool, "_max_overflow", -1)
    is_limited = most >= 0
    return PoolCounts(
        used=pool.checkedout(),
        idle=pool.checkedin(),
        idle_min=0,
        idle_max=size or None,
        max=size + most if is_limited else None,
    )


def _timing_checkouts(original: Callable[..., Any], bench: Workbench) -> Callable[..., Any]:  # noqa: C901, PLR0915 - holds the next
    """Around the class method `_ConnectionRecord.checkout(pool)`, which returns a connection's proxy.

    The hottest path of all, so the guard's work is written out, and threads are looked up where
    `current_thread` does that, at half its cost.
    """
    guard = bench.guard("pools")
    book = PoolBook.of(bench)
    note, probe = book.note, book.probe

    @functools.wraps(original)
    def checkout(cls: Any, pool: Any) -> Any:  # noqa: C901, PLR0912 - written out, see above
        noted = pool.__dict__.get(note)
        if noted is None:
            return original(cls, pool)
        measured: MeasuredPool | None = noted[1]
        if noted[0] is not book or measured is None or measured.probe is not probe or not probe.is_active:
            measured = book.measured(pool)
            if measured is None:
                return original(cls, pool)
        request = object()
        waiting = measured.waiting
        waiting.add(request)
        permit: Permit | None = None
        started_ns = _now_ns()
        try:
            if measured.gate is not None:
                permit = measured.gate.enter()
            proxy = original(cls, pool)
        except BaseException as error:
            waiting.discard(request)
            guard.closing(_failed, measured, permit, error, default=None)
            raise
        now_ns = _now_ns()
        waiting.discard(request)
        try:
            record = proxy._connection_record  # noqa: SLF001 - under this name in every version
            notes = record.__dict__
            wait_ns = now_ns - started_ns
            if _MADE in notes:
                wait_ns -= _making_since(notes, started_ns)
            if _OUT in notes:
                _end(record, notes[_OUT])
            governor = measured.governor
            if governor is None or governor.is_plain:
                if governor is not None:
                    thread = _thread_of(get_ident()) or current_thread()
                    governor.out[record] = (now_ns, copy_context(), thread)
                notes[_OUT] = (measured, now_ns, None, governor, permit)
            else:
                notes[_OUT] = (measured, now_ns, governor.lent(record, permit, now_ns), None, None)
            permit = None  # it goes back with the connection
            measured.lent_count += 1
            measured.wait_ns += wait_ns
            measured.wait_series.record(wait_ns / _NS_PER_S)
            if wait_ns > LONG_WAIT_NS:
                measured.tell_long_wait(wait_ns)
            for heard in SQLALCHEMY_HEARERS.all:
                heard(record, wait_ns)
        except Exception as error:  # noqa: BLE001 - what `Guard.own` does
            guard.closing(_failed, measured, permit, error, default=None)
            guard.caught(error)
        return proxy

    return checkout


def _failed(measured: MeasuredPool, permit: Permit | None, error: BaseException) -> None:
    if permit is not None:
        permit.leave()
    if type(error).__name__ == _TIMED_OUT:
        measured.timed_out()


def _making_since(notes: dict[str, Any], started_ns: int) -> int:
    """How long connections were made in a checkout; a ping may have made one before it."""
    return sum(elapsed for since, elapsed in notes.pop(_MADE) if since >= started_ns)


def _end(record: Any, out: _Out) -> None:
    """A `StaticPool` lends one record again and again."""
    _going_back(record, out)
    _gone_back(out)


def _going_back(record: Any, out: _Out) -> None:
    """Before its pool has a record again, which may lend it at once."""
    governor = out[3]
    if governor is not None:
        governor.back(record)


def _gone_back(out: _Out) -> None:
    """After that: the next in turn is let in."""
    holding, permit = out[2], out[4]
    if permit is not None:
        permit.leave()
    elif holding is not None:
        holding.end()


def _timing_connects(original: Callable[..., Any], bench: Workbench) -> Callable[..., Any]:
    """Around `_ConnectionRecord.__connect`, which makes a connection, and again a stale one."""
    guard = bench.guard("pools")
    book = PoolBook.of(bench)

    def made(record: Any, started_ns: int, elapsed_ns: int) -> None:
        measured = book.measured(record._ConnectionRecord__pool)  # noqa: SLF001 - a slot without a public name
        if measured is not None:
            measured.created(elapsed_ns)
            vars(record).setdefault(_MADE, []).append((started_ns, elapsed_ns))

    @functools.wraps(original)
    def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        started_ns = _now_ns()
        result = original(self, *args, **kwargs)
        guard.own(made, self, started_ns, _now_ns() - started_ns, default=None)
        return result

    return connect


def _timing_returns(original: Callable[..., Any], bench: Workbench) -> Callable[..., Any]:  # noqa: C901 - written out, as above
    """Around `_ConnectionRecord.checkin`; the next in turn is let in after the pool has the connection."""
    guard = bench.guard("pools")

    @functools.wraps(original)
    def checkin(self: Any, *args: Any, **kwargs: Any) -> Any:
        out: _Out | None = self.__dict__.pop(_OUT, None)
        if out is None:
            return original(self, *args, **kwargs)
        if args or kwargs:
            return checked_in(self, out, args, kwargs)
        measured, since_ns, holding, governor, permit = out
        try:
            use_ns = _now_ns() - since_ns
            measured.use_ns += use_ns
            measured.use_series.record(use_ns / _NS_PER_S)
            for heard in SQLALCHEMY_HEARERS.all:
                heard(self, None)
            if governor is not None:
                governor.back(self)
        except Exception as error:  # noqa: BLE001 - what `Guard.own` does
            guard.caught(error)
        if permit is None and holding is None:
            return original(self)
        try:
            return original(self)
        finally:
            try:
                if permit is not None:
                    permit.leave()
                else:
                    _gone_back(out)
            except Exception as error:  # noqa: BLE001 - the same
                guard.caught(error)

    def checked_in(
        record: Any,
        out: _Out,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Of a record that failed while it was lent."""
        guard.closing(_going_back, record, out, default=None)
        try:
            return original(record, *args, **kwargs)
        finally:
            guard.closing(_taken_out, out, default=None)

    return checkin


def _timing_detachments(original: Callable[..., Any], bench: Workbench) -> Callable[..., Any]:
    """Around `_ConnectionFairy.detach`: the pool has room for another connection then."""
    closing = bench.guard("pools").closing

    def noted(fairy: Any) -> _Out | None:
        record = fairy._connection_record  # noqa: SLF001 - no public name; None for one that is detached
        out: _Out | None = None if record is None else vars(record).pop(_OUT, None)
        if out is not None:
            _going_back(record, out)
        return out

    @functools.wraps(original)
    def detach(self: Any, *args: Any, **kwargs: Any) -> Any:
        out = closing(noted, self, default=None)
        try:
            return original(self, *args, **kwargs)
        finally:
            if out is not None:
                closing(_taken_out, out, default=None)

    return detach


def _taken_out(out: _Out) -> None:
    out[0].used(_now_ns() - out[1])
    _gone_back(out)


_BASE: Final = "sqlalchemy.pool.base"
SQLALCHEMY_POOL_ROWS: Final[tuple[Row, ...]] = (
    Wrap(_BASE, "_ConnectionRecord.checkout", _timing_checkouts),
    Wrap(_BASE, "_ConnectionRecord._ConnectionRecord__connect", _timing_connects),
    Wrap(_BASE, "_ConnectionRecord.checkin", _timing_returns),
    Wrap(_BASE, "_ConnectionFairy.detach", _timing_detachments),
)
