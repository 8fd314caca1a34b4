"""psycopg's pools: they queue, jitter lifetimes and check connections themselves."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Awaitable
from typing import Any, ClassVar

from tickspan.instrumentation import Row
from tickspan.instrumentation.pooling import PoolCounts
from tickspan.instrumentation.pooling.on_psycopg import PSYCOPG_POOL_ROWS, PSYCOPG_POOLS
from tickspan.pools.holders import Who
from tickspan.pools.libraries.library import NOTHING, Borrowed, Library, on_loop_of

_BROKEN = ("broken", None)
_EXPIRED = ("lifetime", None)


class PsycopgPool(Library):
    """`ConnectionPool` and `AsyncConnectionPool`, and those that keep nothing."""

    title: ClassVar[str] = "psycopg pool"
    rows: ClassVar[tuple[Row, ...]] = PSYCOPG_POOL_ROWS
    keeps_things: ClassVar[bool] = False

    def read(self, stand_in: Any) -> PoolCounts:
        """Its statistics."""
        return PSYCOPG_POOLS.counts(stand_in)

    def name_of(self, target: Any) -> str | None:
        """The pool's own name."""
        return str(target.name)

    def timeout_s(self) -> float | None:
        """The pool's own."""
        return self.stand_in.timeout

    def refusal(self, timeout_s: float | None) -> BaseException:
        """`PoolTimeout`."""
        from psycopg_pool import PoolTimeout

        return PoolTimeout(f"couldn't get a connection after {timeout_s or 0:.2f} sec")

    def borrow(self, target: Any, timeout_s: float | None) -> Borrowed:
        """Its own context: a transaction that is committed, or rolled back by an exception."""
        return target.connection(timeout=timeout_s)

    def reference(self, thing: Any) -> Any:
        """Weakly: a connection that nobody has warns of itself."""
        return weakref.ref(thing)

    def limit_lifetime(self, thing: Any, lifetime_s: float, factor: float) -> None:
        """The pool replaces what has expired, in the background."""
        if not hasattr(thing, "_tickspan_limited"):
            thing._tickspan_limited = True  # noqa: SLF001 - a note of ours
            thing._expire_at = min(thing._expire_at, thing._created_at + lifetime_s * factor)  # noqa: SLF001 - no public name

    def before_return(self, thing: Any) -> tuple[str | None, Awaitable[None] | None]:
        """The pool closes it; this says why."""
        connection = thing()
        if connection is None:
            return NOTHING
        if connection.closed:
            return _BROKEN
        return _EXPIRED if connection._expire_at <= time.monotonic() else NOTHING  # noqa: SLF001 - no public name

    def reclaim(self, thing: Any, who: Who) -> bool:
        """Close it and let the pool make another."""
        connection, pool = thing(), self.stand_in
        if connection is None or pool is None:
            return False
        if not self.is_async:
            connection.close()
            pool.putconn(connection)
            return True

        async def give_back() -> None:
            await connection.close()
            await pool.putconn(connection)

        return on_loop_of(who, lambda: _kept(asyncio.ensure_future(give_back())))


_running: set[asyncio.Future[None]] = set()


def _kept(task: asyncio.Future[None]) -> None:
    """A task that nobody refers to may be collected before it is done."""
    _running.add(task)
    task.add_done_callback(_running.discard)
