"""The pools of this process by their names, and how they get there."""

from __future__ import annotations

import threading
from typing import Final

from tickspan.pools.borrowing import Borrowing
from tickspan.pools.broker.pool import BrokerPool
from tickspan.pools.governed import GovernedPool

Pool = GovernedPool | BrokerPool


class Registry:
    """Names to pools. A governed pool that its application has dropped is forgotten, and its name is free."""

    def __init__(self) -> None:
        self._pools: dict[str, Pool] = {}
        self._lock = threading.RLock()

    def add(self, pool: Pool) -> None:
        """Give a pool its name; raise `ValueError` if that is taken."""
        with self._lock:
            self.require_free(pool.name)
            self._pools[pool.name] = pool

    def require_free(self, name: str) -> None:
        """Raise `ValueError` if the name is empty or taken."""
        with self._lock:
            self._forget_gone()
            if not name:
                raise ValueError("a pool needs a name")
            if name in self._pools:
                raise ValueError(f"there is a pool {name!r} already; pools: {self._names()}")

    def get(self, name: str) -> Pool:
        """The pool of that name, or `LookupError`."""
        with self._lock:
            self._forget_gone()
            found = self._pools.get(name)
            if found is None:
                raise LookupError(f"there is no pool {name!r}; pools: {self._names()}")
            return found

    def all(self) -> tuple[Pool, ...]:
        """All, in the order in which they came."""
        with self._lock:
            self._forget_gone()
            return tuple(self._pools.values())

    def discard(self, name: str) -> None:
        """Forget a name, if it is there."""
        with self._lock:
            self._pools.pop(name, None)

    def clear(self) -> None:
        """Forget all."""
        for pool in self.all():
            release(pool.name)

    def _names(self) -> str:
        return ", ".join(sorted(self._pools)) or "none"

    def _forget_gone(self) -> None:
        """Pools that their application has dropped."""
        for name, pool in tuple(self._pools.items()):
            if isinstance(pool, GovernedPool) and pool.target is None:
                del self._pools[name]


registry: Final = Registry()


def get_pool(name: str) -> Pool:
    """The pool of that name.

    Raises:
        LookupError: there is none; the names that there are stand in the message.
    """
    return registry.get(name)


def get_pools() -> tuple[Pool, ...]:
    """All pools that have a name, in the order in which they came."""
    return registry.all()


def get_connection_context(
    name: str,
    *,
    timeout_s: float | None = None,
    lane: str | None = None,
    account: str | None = None,
    weight: float = 0,
) -> Borrowing:
    """A context with a connection of the pool of that name, which goes back at its end.

    A SQLAlchemy engine gives its `Connection`, psycopg and asyncpg their connections, redis-py a client with
    a connection of its own, a broker pool what its factory made.

    Args:
        name: of `create_database_pool`, `create_broker_pool` or `govern`.
        timeout_s: how long to wait for a connection; the pool's own limit by default.
        lane: in which lane to ask; by default among those without one.
        account: of a broker pool whose factory takes one: whose connection.
        weight: of a broker pool with a budget: what is going to be used of it.

    Raises:
        LookupError: there is no such pool.
        TypeError: when entered by `with` and the pool is asynchronous, or the other way round.
        ValueError: there is no such lane, or the pool cannot wait otherwise than it was told.
    """
    return registry.get(name).connection(timeout_s=timeout_s, lane=lane, account=account, weight=weight)


def release(name: str) -> None:
    """Forget a name. A governed pool goes on ungoverned, a broker pool is to be drained before.

    Raises:
        LookupError: there is no such pool.
    """
    pool = registry.get(name)
    if isinstance(pool, GovernedPool):
        pool.close()
    registry.discard(name)
