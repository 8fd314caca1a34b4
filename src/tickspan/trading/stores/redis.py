"""The index of orders in Redis, for processes on several hosts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tickspan.instrumentation import suppressed
from tickspan.trading.model import OrderKey
from tickspan.trading.store import StoredOrder
from tickspan.trading.stores import records

TIMEOUT_S: Final = 1.0
_PREFIX: Final = "tickspan:orders"


class RedisOrders:
    """Orders by id, below the prefix `tickspan:orders`, each for `keep_s` seconds after its last event.

    Needs the package `redis`. Nothing is recorded of our own commands.

    Args:
        url: `redis://host:6379/0`, or what else `redis.Redis.from_url` reads.
        keep_s: how long an order is kept.
    """

    def __init__(self, url: str, *, keep_s: int = 7 * 86_400) -> None:
        from redis import Redis  # an optional dependency

        self._redis: Any = Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, decode_responses=True
        )
        self._keep_s = keep_s

    def __repr__(self) -> str:
        return f"<RedisOrders for {self._keep_s} s>"

    def find(self, key: OrderKey) -> StoredOrder | None:
        """The order of that venue, id and account.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        with suppressed():
            name = self._redis.get(_id_key(key.venue, key.id, is_venue_id=key.is_venue_id))
            body = self._redis.get(name) if name is not None else None
        order = records.from_json(body) if body is not None else None
        return order if order is not None and records.is_of_account(order, key.account) else None

    def take(self, told: Iterable[StoredOrder]) -> None:
        """Add what events tell, oldest first. One writer an order: the agent of the process that tells of it.

        Raises:
            redis.RedisError: Redis does not answer; what it has got already stays, and may come again.
        """
        with suppressed():
            for order in told:
                self._take(order)

    def forget(self, until_unix_ns: int) -> None:
        """Redis forgets by itself."""

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _take(self, told: StoredOrder) -> None:
        call = f"{_PREFIX}:call:{told.trace_id:032x}{told.span_id:016x}"
        known = {name: records.from_json(body) for name, body in self._bodies(call)}
        name = next((name for name, order in known.items() if records.is_same(order, told)), None)
        order = told if name is None else records.joined(known[name], told)
        name = name or f"{call}:{len(known)}"
        with self._redis.pipeline() as pipeline:
            pipeline.sadd(call, name)
            pipeline.expire(call, self._keep_s)
            pipeline.set(name, records.to_json(order), ex=self._keep_s)
            for id_, is_venue_id in records.ids_of(order):
                pipeline.set(_id_key(order.venue, id_, is_venue_id=is_venue_id), name, ex=self._keep_s)
            pipeline.execute()

    def _bodies(self, call: str) -> list[tuple[str, str]]:
        names = sorted(self._redis.smembers(call))
        bodies = self._redis.mget(names) if names else []
        return [(name, body) for name, body in zip(names, bodies, strict=True) if body is not None]


def _id_key(venue: str, id_: str, *, is_venue_id: bool) -> str:
    return f"{_PREFIX}:{'venue' if is_venue_id else 'client'}:{venue}:{id_}"
