"""Connection pools of engines: how many connections, how long they are waited for, made and used.

A pool's checkout is timed at `_ConnectionRecord.checkout`, and the making of a connection inside it at the
record's own `__connect`: what is left is the wait, for every class of pool, also where a stale connection is
replaced. `Pool._do_get` calls itself, and `_create_connection` is left out when a connection is recycled.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.instrumentation.pooling import MeasuredPool, PoolCounts

from tickspan_sqlalchemy.connections import known_state, state_in
from tickspan_sqlalchemy.databases import database_of
from tickspan_sqlalchemy.recorder import Recorder

__all__ = ["POOL_ROWS", "counts_of"]

_MADE: Final = "_tickspan_made"
"""On a record: when connections were made for it, and how long that took."""
_OUT: Final = "_tickspan_out"
"""On a record that is checked out: its pool, and since when."""
_TIMED_OUT: Final = "TimeoutError"
_now_ns: Final = time.perf_counter_ns


def counts_of(pool: Any) -> PoolCounts:
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


def _watching_the_pool(original: Callable[..., Any], bench: Workbench) -> Callable[..., Any]:
    """Around `Engine.raw_connection`, where an engine meets its pool: `dispose()` gives it another."""
    guard = bench.guard("pools")
    recorder = Recorder.of(bench)

    @functools.wraps(original)
    def raw_connection(self: Any, *args: Any, **kwargs: Any) -> Any:
        if bench.is_active and not recorder.knows_pool(self.pool):
            guard.own(recorder.watch_pool, self, _name_of, counts_of, default=None)
        return original(self, *args, **kwargs)

    return raw_connection


def _name_of(engine: Any) -> str:
    given = getattr(engine.pool, "_orig_logging_name", None)
    return given if isinstance(given, str) and given else database_of(engine).place


def _timing_checkouts(original: Callable[..., Any], bench: Workbench) -> Callable[..., Any]:
    """Around the class method `_ConnectionRecord.checkout(pool)`, which returns a connection's proxy."""
    guard = bench.guard("pools")
    recorder = Recorder.of(bench)

    @functools.wraps(original)
    def checkout(cls: Any, pool: Any) -> Any:
        measured = recorder.measured(pool)
        if measured is None:
            return original(cls, pool)
        request = object()
        measured.waiting.add(request)
        started_ns = _now_ns()
        try:
            proxy = original(cls, pool)
        except BaseException as error:
            measured.waiting.discard(request)
            if type(error).__name__ == _TIMED_OUT:
                guard.own(measured.timed_out, default=None)
            raise
        now_ns = _now_ns()
        measured.waiting.discard(request)
        guard.own(_handed_out, measured, proxy, started_ns, now_ns, default=None)
        return proxy

    return checkout


def _handed_out(measured: MeasuredPool, proxy: Any, started_ns: int, now_ns: int) -> None:
    record = proxy._connection_record  # noqa: SLF001 - a proxy keeps it under this name in every version
    notes = vars(record)
    wait_ns = now_ns - started_ns
    if _MADE in notes:  # also by a ping after the last checkout
        wait_ns -= sum(elapsed for since, elapsed in notes.pop(_MADE) if since >= started_ns)
    measured.waited(wait_ns)
    notes[_OUT] = (measured, now_ns)
    state_in(record.info).pool_wait_ns = wait_ns


def _timing_connects(original: Callable[..., Any], bench: Workbench) -> Callable[..., Any]:
    """Around `_ConnectionRecord.__connect`, which makes a connection, and again a stale one."""
    guard = bench.guard("pools")
    recorder = Recorder.of(bench)

    def made(record: Any, started_ns: int, elapsed_ns: int) -> None:
        measured = recorder.measured(record._ConnectionRecord__pool)  # noqa: SLF001 - a slot without a public name
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


@dataclass(frozen=True, slots=True)
class Returns:
    """The row that hears when a connection comes back to its pool, or is taken out of it for good."""

    module: str = "sqlalchemy"

    def apply(self, module: ModuleType, bench: Workbench) -> None:
        """Listen on the class `Pool`."""
        from sqlalchemy import event, pool

        del module
        guard = bench.guard("returns")

        def checkin(_dbapi_connection: Any, record: Any) -> None:
            guard.own(_given_back, record, default=None)

        def detach(_dbapi_connection: Any, record: Any) -> None:
            guard.own(_end_use, record, default=None)

        for listener in (checkin, detach):
            event.listen(pool.Pool, listener.__name__, listener)
            bench.on_undo(lambda fn=listener: event.remove(pool.Pool, fn.__name__, fn))


def _given_back(record: Any) -> None:
    """Also ends what is still open on the connection."""
    out: tuple[MeasuredPool, int] | None = vars(record).pop(_OUT, None)
    if out is not None:
        out[0].used(_now_ns() - out[1])
    state = known_state(record.info)
    if state is not None:
        state.give_back()


def _end_use(record: Any) -> None:
    out: tuple[MeasuredPool, int] | None = vars(record).pop(_OUT, None)
    if out is not None:
        out[0].used(_now_ns() - out[1])


POOL_ROWS: Final[tuple[Row, ...]] = (
    Wrap("sqlalchemy.engine.base", "Engine.raw_connection", _watching_the_pool),
    Wrap("sqlalchemy.pool.base", "_ConnectionRecord.checkout", _timing_checkouts),
    Wrap("sqlalchemy.pool.base", "_ConnectionRecord._ConnectionRecord__connect", _timing_connects),
    Returns(),
)
