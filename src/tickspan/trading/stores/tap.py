"""The tap that keeps orders: it runs in the agent and indexes the audit stream, off every order's path."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from tickspan_spool.taps import Finding, TapBatch

from tickspan.config import read_settings
from tickspan.trading.store import StoredOrder
from tickspan.trading.stores import records
from tickspan.trading.stores.redis import RedisOrders
from tickspan.trading.stores.sqlite import SqliteOrders

NAME: Final = "orders"
"""Of the tap, in the group `tickspan_tap`."""
FILE: Final = "orders.sqlite3"
"""In the spool's folder."""
KEPT_S: Final = 7 * 86_400
_FORGET_EVERY_S: Final = 600.0
_MARK: Final = records.PREFIX.encode()


class Index(Protocol):
    """What keeps the orders."""

    def take(self, told: Iterable[StoredOrder]) -> None:
        """Add what events tell, oldest first."""
        ...

    def forget(self, until_unix_ns: int) -> None:
        """Drop what nothing was told of since then."""
        ...


def store_at(store: str, home: Path) -> SqliteOrders | RedisOrders | None:
    """The store that the setting `trading.store` asks for; None for `off`.

    Args:
        store: `off`, `sqlite`, or the URL of a Redis.
        home: folder of the spool, where the file of `sqlite` is.

    Raises:
        ValueError: it is none of these.
        ImportError: a Redis is asked for, and the package `redis` is not installed.
    """
    if store == "off":
        return None
    if store == "sqlite":
        return SqliteOrders(home / FILE)
    if store.startswith(("redis://", "rediss://", "unix://")):
        return RedisOrders(store, keep_s=KEPT_S)
    named = store.rsplit("@", maxsplit=1)[-1]
    raise ValueError(f"trading.store: expected off, sqlite or redis://host:port/0, got {named!r}")


class OrderTap:
    """Indexes the audit events that pass through the agent; forgets orders that were silent for a week."""

    def __init__(
        self,
        home: Path,
        index: Index | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`home` is the spool's folder; without `index` the settings of `environ` say where orders go."""
        self._index = index or _asked_for(environ, home)
        self._wall_ns = wall_ns
        self._forgotten_s: float | None = None

    def on_batch(self, batch: TapBatch) -> Iterable[Finding] | None:
        """Take the orders that the batch tells of."""
        # Most batches of logs tell of no order: they are not even decoded.
        if batch.signal == "logs" and any(_MARK in bytes(entry.body) for entry in batch.entries):
            told = list(_told(batch.message))
            if told:
                self._index.take(told)
        return None

    def tick(self, now_s: float) -> Iterable[Finding] | None:
        """Forget, now and then."""
        if self._forgotten_s is None or now_s - self._forgotten_s >= _FORGET_EVERY_S:
            self._forgotten_s = now_s
            self._index.forget(self._wall_ns() - KEPT_S * 10**9)
        return None


def _asked_for(environ: Mapping[str, str], home: Path) -> Index:
    store = store_at(read_settings(None, environ=environ, overrides={}).settings.trading.store, home)
    return store if store is not None else SqliteOrders(home / FILE)  # who asked for the tap wants one


def _told(request: Any) -> Iterator[StoredOrder]:
    logs = (
        log
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for log in scope.log_records
    )
    for log in logs:
        if records.is_of_an_order(log.event_name):
            attributes = {pair.key: _value(pair.value) for pair in log.attributes}
            trace_id, span_id = int.from_bytes(log.trace_id), int.from_bytes(log.span_id)
            order = records.told_by(attributes, trace_id, span_id, log.flags & 0xFF, log.time_unix_nano)
            if order is not None:
                yield order


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind is not None else None
