"""The pools of redis-py 5 to 8, sync and async, those that refuse at their limit and those that wait.

A connection does not know its pool while it connects: what that took is told when it is lent, or given back.
Counts are read without a lock: `get_connection_count()` of redis-py 7 and later takes the pool's, which a
maintenance of the server lets be held while a caller waits, and which a fork may inherit held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tickspan.instrumentation.patch import Row, Wrap
from tickspan.instrumentation.pooling.calls import PoolKind, giving_back, lending, making
from tickspan.instrumentation.pooling.probe import PoolCounts

__all__ = ["REDIS_POOLS", "REDIS_POOL_ROWS", "redis_counts", "redis_pool_name"]


_DEFAULT_PORT: Final = 6379
_NO_LIMIT: Final = 2**31
"""What redis-py before 8 takes for "as many as you like"."""


def redis_pool_name(pool: Any) -> str:
    """`host:port/db`, a socket's path instead of host and port, or the service behind a sentinel.

    redis-py's own name has a random id, which makes a new series of each pool.
    """
    settings = getattr(pool, "connection_kwargs", {})
    database = settings.get("db") or 0
    service = getattr(pool, "service_name", None)
    if service is not None:
        return f"{service}/{database}"
    if "path" in settings:
        return f"{settings['path']}/{database}"
    return f"{settings.get('host', 'localhost')}:{settings.get('port', _DEFAULT_PORT)}/{database}"


def redis_counts(pool: Any) -> PoolCounts:
    """Of a pool, of whichever version and kind: connections that are lent, and those that wait."""
    limit = getattr(pool, "max_connections", None)
    most = limit if isinstance(limit, int) and limit < _NO_LIMIT else None
    queue, made = getattr(getattr(pool, "pool", None), "queue", None), getattr(pool, "_connections", None)
    if queue is not None and made is not None:  # a blocking one, whose queue holds None for what is not made
        idle = sum(connection is not None for connection in tuple(queue))
        return PoolCounts(used=max(0, len(made) - idle), idle=idle, max=most)
    idle, used = getattr(pool, "_available_connections", None), getattr(pool, "_in_use_connections", None)
    if idle is None or used is None:
        return PoolCounts(max=most)
    return PoolCounts(used=len(used), idle=len(idle), max=most)


def _released(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`release(connection)`."""
    return args[1] if len(args) > 1 else kwargs.get("connection")


def _itself(thing: Any) -> Any:
    return thing


def _is_exhausted(error: BaseException) -> bool:
    """A pool at its limit: `MaxConnectionsError`; its base class before 6.3, and of pools that wait."""
    if type(error).__name__ == "MaxConnectionsError":
        return True
    return type(error).__name__ == "ConnectionError" and error.args in {
        ("No connection available.",),
        ("Too many connections",),
    }


def _is_connected(connection: Any) -> bool:
    known = getattr(connection, "is_connected", None)
    return bool(known) if known is not None else getattr(connection, "_sock", None) is not None


REDIS_POOLS: Final = PoolKind(
    stand_in=_itself,
    name=lambda pool, _connection: redis_pool_name(pool),
    counts=redis_counts,
    connection=_itself,
    is_timeout=_is_exhausted,
    is_made_when_lent=True,
    is_measured_elsewhere=True,
)


def _rows(module: str, *, is_async: bool) -> tuple[Row, ...]:
    """Said, not asked: decorators of redis-py 6 hide that a method is a coroutine function."""
    lend = lending(REDIS_POOLS, is_async=is_async)
    take_back = giving_back(REDIS_POOLS, _released, is_async=is_async)
    return (
        Wrap(module, "ConnectionPool.get_connection", lend),
        Wrap(module, "ConnectionPool.release", take_back),
        Wrap(module, "BlockingConnectionPool.get_connection", lend),
        Wrap(module, "BlockingConnectionPool.release", take_back),
        Wrap(
            module,
            "AbstractConnection.connect",
            making(REDIS_POOLS, is_async=is_async, is_made=_is_connected),
        ),
    )


REDIS_POOL_ROWS: Final[tuple[Row, ...]] = (
    *_rows("redis.connection", is_async=False),
    *_rows("redis.asyncio.connection", is_async=True),
)
