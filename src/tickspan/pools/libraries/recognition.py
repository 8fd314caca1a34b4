"""Which library a pool is of, told by its classes: nothing is imported that the application has not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tickspan.pools.libraries.library import Library

LibraryOf = Callable[[Any], Library]
"""What is governed to what must be asked of its pool."""


def understood(target: Any) -> tuple[Any, LibraryOf]:
    """What is governed of `target`, and how its pool is asked.

    Raises:
        TypeError: it is of no library that is known here.
        ValueError: it is a pool of asyncpg that is not open yet.
    """
    origins = {base.__module__.partition(".")[0] for base in type(target).__mro__}
    if "sqlalchemy" in origins:
        return _of_sqlalchemy(target)
    if "psycopg_pool" in origins:
        from tickspan.pools.libraries.on_psycopg import PsycopgPool

        return target, lambda pool: PsycopgPool(pool, is_async=_is_coroutine(pool.getconn))
    if "asyncpg" in origins:
        return _of_asyncpg(target)
    if "redis" in origins:
        from tickspan.pools.libraries.on_redis import RedisPool

        found = getattr(target, "connection_pool", target)
        if hasattr(found, "get_connection"):
            is_async = any(base.__module__.startswith("redis.asyncio") for base in type(found).__mro__)
            return found, lambda pool: RedisPool(pool, is_async=is_async)
    raise TypeError(
        "expected a URL, an engine or a pool of SQLAlchemy, a pool of psycopg, asyncpg or redis-py, or a"
        f" client of redis-py, got {type(target).__qualname__}"
    )


def _of_sqlalchemy(target: Any) -> tuple[Any, LibraryOf]:
    from tickspan.pools.libraries.on_sqlalchemy import SqlAlchemyPool

    engine = getattr(target, "sync_engine", target)
    if hasattr(engine, "raw_connection"):
        return engine, lambda of: SqlAlchemyPool(of.pool, is_async=of.dialect.is_async)
    if hasattr(engine, "_do_get"):
        return engine, lambda of: SqlAlchemyPool(of, is_async=of._dialect.is_async)  # noqa: SLF001 - no public name
    raise TypeError(f"expected an engine or a pool of SQLAlchemy, got {type(target).__qualname__}")


def _of_asyncpg(target: Any) -> tuple[Any, LibraryOf]:
    from tickspan.instrumentation.pooling.on_asyncpg import ASYNCPG_POOLS
    from tickspan.pools.libraries.on_asyncpg import AsyncpgPool

    if not hasattr(target, "acquire"):
        raise TypeError(f"expected a pool of asyncpg, got {type(target).__qualname__}")
    stand_in = ASYNCPG_POOLS.stand_in(target)
    if stand_in is None:
        raise ValueError("this pool of asyncpg is not open yet: `await` it first")
    return stand_in, lambda queue: AsyncpgPool(queue, is_async=True)


def _is_coroutine(method: Any) -> bool:
    return inspect.iscoroutinefunction(inspect.unwrap(method))
