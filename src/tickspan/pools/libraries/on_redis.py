"""redis-py's pools: the plain one refuses at its limit, the blocking one waits; with a gate both wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ClassVar, Final

from tickspan.instrumentation import Row
from tickspan.instrumentation.pooling import PoolCounts
from tickspan.instrumentation.pooling.on_redis import REDIS_POOL_ROWS, REDIS_POOLS, redis_pool_name
from tickspan.pools.holders import Who
from tickspan.pools.libraries.library import NOTHING, Borrowed, Library, on_loop_of

_EXPIRES: Final = "_tickspan_expires_at_s"


class RedisPool(Library):
    """`ConnectionPool` and `BlockingConnectionPool`, sync and async."""

    title: ClassVar[str] = "redis pool"
    rows: ClassVar[tuple[Row, ...]] = REDIS_POOL_ROWS
    waits_itself: ClassVar[bool] = False

    def read(self, stand_in: Any) -> PoolCounts:
        """How many connections it keeps where."""
        return REDIS_POOLS.counts(stand_in)

    def name_of(self, target: Any) -> str | None:
        """`host:port/db`."""
        return redis_pool_name(target)

    def timeout_s(self) -> float | None:
        """The blocking pool's own; the plain pool waits for nobody."""
        return getattr(self.stand_in, "timeout", 0.0)

    def refusal(self, timeout_s: float | None) -> BaseException:
        """What each raises itself."""
        from redis import exceptions

        del timeout_s
        if hasattr(self.stand_in, "timeout"):
            return exceptions.ConnectionError("No connection available.")
        refused: Any = getattr(exceptions, "MaxConnectionsError", exceptions.ConnectionError)
        return refused("Too many connections")

    def borrow(self, target: Any, timeout_s: float | None) -> Borrowed:
        """A client with a connection of its own."""
        del timeout_s
        return _client_async(target) if self.is_async else _client(target)

    def limit_lifetime(self, thing: Any, lifetime_s: float, factor: float) -> None:
        """From when it is seen first."""
        vars(thing).setdefault(_EXPIRES, time.monotonic() + lifetime_s * factor)

    def before_return(self, thing: Any) -> tuple[str | None, Awaitable[None] | None]:
        """Disconnected, it connects again when it is lent again."""
        expires_at_s = vars(thing).get(_EXPIRES)
        if expires_at_s is None or expires_at_s > time.monotonic():
            return NOTHING
        del vars(thing)[_EXPIRES]
        return "lifetime", thing.disconnect()

    def reclaim(self, thing: Any, who: Who) -> bool:
        """Disconnect it and give it back: the pool has room again."""
        pool = self.stand_in
        if pool is None:
            return False
        if not self.is_async:
            thing.disconnect()
            pool.release(thing)
            return True

        async def give_back() -> None:
            await thing.disconnect()
            await pool.release(thing)

        return on_loop_of(who, lambda: _kept(asyncio.ensure_future(give_back())))


@contextmanager
def _client(pool: Any) -> Generator[Any]:
    from redis import Redis

    client = Redis(connection_pool=pool, single_connection_client=True)
    try:
        yield client
    finally:
        client.close()


@asynccontextmanager
async def _client_async(pool: Any) -> AsyncGenerator[Any]:
    from redis.asyncio import Redis

    client: Any = Redis(connection_pool=pool, single_connection_client=True)
    try:
        await client.initialize()
        yield client
    finally:
        await client.aclose(close_connection_pool=False)


_running: Final[set[asyncio.Future[None]]] = set()


def _kept(task: asyncio.Future[None]) -> None:
    """A task that nobody refers to may be collected before it is done."""
    _running.add(task)
    task.add_done_callback(_running.discard)
