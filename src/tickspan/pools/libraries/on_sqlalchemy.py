"""SQLAlchemy's pools. What is old, or has been idle for long, is looked at before it is handed out."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

from tickspan.instrumentation import Guard, Row, Workbench, Wrap
from tickspan.instrumentation.db import Database
from tickspan.instrumentation.pooling import PoolCounts
from tickspan.instrumentation.pooling.on_sqlalchemy import SQLALCHEMY_POOL_ROWS, sqlalchemy_counts
from tickspan.pools.holders import Who
from tickspan.pools.libraries.library import Borrowed, Library, on_loop_of
from tickspan.pools.telling import Teller

_UPKEEP: Final = "_tickspan_upkeep"
"""On a pool: who looks at its connections."""
_LIFE: Final = "_tickspan_life"
"""On a record: of the connection made at which time, how long it may live."""
_IDLE_SINCE: Final = "_tickspan_idle_since"
_REASON: Final = "_tickspan_close_reason"
"""On a record that is about to be invalidated: why."""


class Upkeep:
    """Looks at the connections of one pool before they are used."""

    def __init__(
        self,
        teller: Teller,
        guard: Guard,
        *,
        max_lifetime_s: float | None,
        ping_after_idle_s: float | None,
        jitter: Callable[[], float],
    ) -> None:
        self.teller = teller
        self.guard = guard
        self._max_lifetime_s = max_lifetime_s
        self._ping_after_idle_s = ping_after_idle_s
        self._jitter = jitter

    def before_use(self, record: Any) -> None:
        """Let a record that is too old, or does not answer any more, connect again."""
        if self._is_expired(record):
            self.teller.closed("lifetime")
            record.invalidate(soft=True)
        elif self._is_due_for_ping(record) and not self._answers(record):
            vars(record)[_REASON] = "unhealthy"
            record.invalidate()

    def _is_expired(self, record: Any) -> bool:
        """By the time of day, as SQLAlchemy's own recycling."""
        if self._max_lifetime_s is None:
            return False
        life = vars(record).get(_LIFE)
        if life is None or life[0] != record.starttime:
            life = vars(record)[_LIFE] = (record.starttime, self._max_lifetime_s * self._jitter())
        return time.time() - record.starttime > life[1]

    def _is_due_for_ping(self, record: Any) -> bool:
        idle_since_s = vars(record).get(_IDLE_SINCE)
        return (
            self._ping_after_idle_s is not None
            and idle_since_s is not None
            and time.monotonic() - idle_since_s > self._ping_after_idle_s
        )

    def _answers(self, record: Any) -> bool:
        dialect: Any = record._ConnectionRecord__pool._dialect  # noqa: SLF001 - no public names
        ping = getattr(dialect, "_do_ping_w_event", dialect.do_ping)
        started_s = time.monotonic()
        try:
            is_well = bool(ping(record.dbapi_connection))
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, the connection is not to be used
            self.teller.checked(time.monotonic() - started_s, error)
            return False
        self.teller.checked(time.monotonic() - started_s, None if is_well else ConnectionError())
        return is_well


def _keeping_up(original: Any, bench: Workbench) -> Any:
    """Around `_ConnectionRecord.get_connection`, which replaces what was invalidated."""

    @functools.wraps(original)
    def get_connection(self: Any) -> Any:
        upkeep: Upkeep | None = vars(self._ConnectionRecord__pool).get(_UPKEEP)
        if upkeep is not None and bench.is_active and self.dbapi_connection is not None:
            upkeep.guard.own(upkeep.before_use, self, default=None)
        return original(self)

    return get_connection


def _telling_invalidations(original: Any, bench: Workbench) -> Any:
    """Around `_ConnectionRecord.invalidate`: by an error, by the application, or by us."""

    def tell(record: Any, error: Any) -> None:
        upkeep: Upkeep | None = vars(record._ConnectionRecord__pool).get(_UPKEEP)  # noqa: SLF001 - no public name
        if upkeep is not None and record.dbapi_connection is not None:
            reason = vars(record).pop(_REASON, "closed" if error is None else "broken")
            upkeep.teller.closed(reason)

    guard = bench.guard("pools")

    @functools.wraps(original)
    def invalidate(self: Any, e: BaseException | None = None, soft: bool = False) -> Any:
        if not soft and bench.is_active:
            guard.own(tell, self, e, default=None)
        return original(self, e=e, soft=soft)

    return invalidate


class SqlAlchemyPool(Library):
    """A pool of an engine, or by itself. Without a gate SQLAlchemy waits as long as the pool was told to."""

    title: ClassVar[str] = "SQLAlchemy pool"
    rows: ClassVar[tuple[Row, ...]] = (
        *SQLALCHEMY_POOL_ROWS,
        Wrap("sqlalchemy.pool.base", "_ConnectionRecord.invalidate", _telling_invalidations),
    )
    upkeep_rows: ClassVar[tuple[Row, ...]] = (
        Wrap("sqlalchemy.pool.base", "_ConnectionRecord.get_connection", _keeping_up),
    )
    waits_itself: ClassVar[bool] = False
    tells_invalidations: ClassVar[bool] = True

    def __init__(self, stand_in: Any, *, is_async: bool) -> None:
        super().__init__(stand_in, is_async=is_async is True)
        self.waits_in_greenlets = getattr(stand_in, "_is_asyncio", self.is_async) is True

    def read(self, stand_in: Any) -> PoolCounts:
        """Of the classes that count."""
        return sqlalchemy_counts(stand_in)

    def in_use(self) -> int | None:
        """Without the rest of the counts."""
        stand_in = self.stand_in
        return None if stand_in is None else stand_in.checkedout()

    def name_of(self, target: Any) -> str | None:
        """`pool_logging_name`, or where the engine's URL leads."""
        given = getattr(self.stand_in, "_orig_logging_name", None)
        url = getattr(target, "url", None)
        if given or url is None:
            return given or None
        if url.get_backend_name() == "sqlite":
            return Database.in_file(url.database).place
        return Database.on_server(url.get_backend_name(), url.database, url.host, url.port).place

    def timeout_s(self) -> float | None:
        """The pool's own."""
        return getattr(self.stand_in, "_timeout", None)

    def refusal(self, timeout_s: float | None) -> BaseException:
        """In SQLAlchemy's own words, so that its documentation is found."""
        from sqlalchemy import exc

        pool = self.stand_in
        return exc.TimeoutError(
            f"QueuePool limit of size {pool.size()} overflow {pool.overflow()} reached, "
            f"connection timed out, timeout {timeout_s or 0:0.2f}",
            code="3o7r",
        )

    def borrow(self, target: Any, timeout_s: float | None) -> Borrowed:
        """An engine's `Connection`, a pool's own connection."""
        del timeout_s
        if not hasattr(target, "raw_connection"):
            return target.connect()
        if not self.is_async:
            return target.connect()
        from sqlalchemy.ext.asyncio import AsyncEngine

        return AsyncEngine(target).connect()

    def await_here(self, awaitable: Awaitable[Any]) -> Any:
        """In the greenlet in which SQLAlchemy runs its own code."""
        from sqlalchemy.util import await_only

        return await_only(awaitable)

    def returned(self, thing: Any) -> None:
        """It is idle from now on."""
        vars(thing)[_IDLE_SINCE] = time.monotonic()

    def reclaim(self, thing: Any, who: Who) -> bool:
        """Invalidate what is checked out."""
        fairy = None if thing.fairy_ref is None else thing.fairy_ref()
        if fairy is None:
            return False
        vars(thing)[_REASON] = "dead_holder"
        if self.is_async:
            return on_loop_of(who, fairy.invalidate)
        fairy.invalidate()
        return True

    def keep_up(self, upkeep: Upkeep) -> None:
        """Let `upkeep` look at connections before they are used."""
        vars(self.stand_in)[_UPKEEP] = upkeep
