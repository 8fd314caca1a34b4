"""asyncpg's pool. Its requests wait for ever unless they say otherwise; its queue stands in for it."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from tickspan.instrumentation import Row
from tickspan.instrumentation.pooling import PoolCounts
from tickspan.instrumentation.pooling.on_asyncpg import ASYNCPG_POOL_ROWS, ASYNCPG_POOLS, asyncpg_pool_of
from tickspan.pools.holders import Who
from tickspan.pools.libraries.library import NOTHING, Borrowed, Library, on_loop_of


class AsyncpgPool(Library):
    """`asyncpg.Pool`, after it was awaited."""

    title: ClassVar[str] = "asyncpg pool"
    rows: ClassVar[tuple[Row, ...]] = ASYNCPG_POOL_ROWS
    keeps_things: ClassVar[bool] = False

    def __init__(self, stand_in: Any, *, is_async: bool) -> None:
        super().__init__(stand_in, is_async=is_async)
        self._expires_at_s: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def read(self, stand_in: Any) -> PoolCounts:
        """Its sizes."""
        return ASYNCPG_POOLS.counts(stand_in)

    def timeout_s(self) -> float | None:
        """None."""
        return None

    def refusal(self, timeout_s: float | None) -> BaseException:
        """`TimeoutError`."""
        del timeout_s
        return TimeoutError()

    def borrow(self, target: Any, timeout_s: float | None) -> Borrowed:
        """Its own context."""
        return asyncpg_pool_of(target).acquire(timeout=timeout_s)

    def reference(self, thing: Any) -> Any:
        """The connection behind the proxy, which its pool keeps as long as it is open."""
        return thing._con  # noqa: SLF001 - no public name

    def limit_lifetime(self, thing: Any, lifetime_s: float, factor: float) -> None:
        """From when it is seen first."""
        self._expires_at_s.setdefault(thing._con, time.monotonic() + lifetime_s * factor)  # noqa: SLF001 - no public name

    def before_return(self, thing: Any) -> tuple[str | None, Awaitable[None] | None]:
        """Closing it makes room for another in the pool."""
        if thing is None:
            return NOTHING
        if thing.is_closed():
            return "broken", None
        expires_at_s = self._expires_at_s.get(thing)
        if expires_at_s is None or expires_at_s > time.monotonic():
            return NOTHING
        return "lifetime", thing.close()

    def reclaim(self, thing: Any, who: Who) -> bool:
        """Terminated on its own loop, it leaves the pool by itself."""
        return not thing.is_closed() and on_loop_of(who, thing.terminate)
