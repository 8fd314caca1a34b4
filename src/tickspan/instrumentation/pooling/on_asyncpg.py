"""asyncpg's pool, which has no name of its own and no room for notes: its queue stands in for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tickspan.instrumentation.db.database import Database
from tickspan.instrumentation.patch import Row, Wrap
from tickspan.instrumentation.pooling.calls import PoolKind, giving_back, lending, making, timeout_argument
from tickspan.instrumentation.pooling.probe import PoolCounts

__all__ = ["ASYNCPG_POOLS", "ASYNCPG_POOL_ROWS", "asyncpg_place", "asyncpg_pool_of"]

_POOL: Final = "_tickspan_pool"
"""On a pool's queue: the pool. They live as long as each other."""


def asyncpg_place(connection: Any) -> Database:
    """Where a connection leads: the one of several hosts that answered."""
    address = connection._addr  # noqa: SLF001 - no public name
    host, port = (address, None) if isinstance(address, str) else address[:2]
    return Database.on_server("postgresql", connection._params.database, host, port)  # noqa: SLF001 - no public name


def _stand_in(pool: Any) -> Any:
    """A pool has slots, and none for weak references: its queue has, and belongs to it alone."""
    queue = pool._queue  # noqa: SLF001 - no public name
    if queue is not None:
        vars(queue)[_POOL] = pool
    return queue


def asyncpg_pool_of(queue: Any) -> Any:
    """The pool that a queue stands for."""
    return vars(queue)[_POOL]


def _counts_of(queue: Any) -> PoolCounts:
    pool = asyncpg_pool_of(queue)
    size, idle = pool.get_size(), pool.get_idle_size()
    return PoolCounts(size - idle, idle, pool.get_min_size(), pool.get_max_size(), pool.get_max_size())


def _released(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`release(connection)`."""
    return args[1] if len(args) > 1 else kwargs.get("connection")


def _closed(args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Any:
    """A holder's `_release_on_close()`."""
    return args[0]


ASYNCPG_POOLS: Final = PoolKind(
    stand_in=_stand_in,
    name=lambda _pool, connection: None if connection is None else asyncpg_place(connection).place,
    counts=_counts_of,
    connection=lambda lent: getattr(lent, "_con", None),  # a proxy's, and a holder's
    is_timeout=lambda error: type(error).__name__ == "TimeoutError",
    timeout_of=timeout_argument,
)
ASYNCPG_POOL_ROWS: Final[tuple[Row, ...]] = (
    Wrap("asyncpg.pool", "Pool._acquire", lending(ASYNCPG_POOLS)),
    Wrap("asyncpg.pool", "Pool._get_new_connection", making(ASYNCPG_POOLS)),
    Wrap("asyncpg.pool", "Pool.release", giving_back(ASYNCPG_POOLS, _released)),
    Wrap("asyncpg.pool", "PoolConnectionHolder._release_on_close", giving_back(ASYNCPG_POOLS, _closed)),
)
