"""The pools of psycopg: one that keeps connections, one that keeps none, each sync and async."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tickspan.instrumentation.patch import Row, Wrap
from tickspan.instrumentation.pooling.calls import PoolKind, giving_back, lending, making, timeout_argument
from tickspan.instrumentation.pooling.probe import PoolCounts

__all__ = ["PSYCOPG_POOLS", "PSYCOPG_POOL_ROWS"]


def _counts_of(pool: Any) -> PoolCounts:
    """Connections that are being made count as used."""
    measures = pool.get_stats()
    size, idle = measures["pool_size"], measures["pool_available"]
    most = measures["pool_max"] or None  # a `NullConnectionPool` may have no limit
    return PoolCounts(size - idle, idle, measures["pool_min"], most, most)


def _returned(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`putconn(conn)`."""
    return args[1] if len(args) > 1 else kwargs.get("conn")


def _itself(thing: Any) -> Any:
    return thing


PSYCOPG_POOLS: Final = PoolKind(
    stand_in=_itself,
    name=lambda pool, _connection: str(pool.name),
    counts=_counts_of,
    connection=_itself,
    is_timeout=lambda error: type(error).__name__ == "PoolTimeout",
    timeout_of=timeout_argument,
)


def _rows(prefix: str) -> tuple[Row, ...]:
    pool = f"{prefix}ConnectionPool"
    return (
        Wrap("psycopg_pool", f"{pool}.getconn", lending(PSYCOPG_POOLS)),
        Wrap("psycopg_pool", f"{pool}._connect", making(PSYCOPG_POOLS)),
        Wrap("psycopg_pool", f"{pool}.putconn", giving_back(PSYCOPG_POOLS, _returned)),
    )


PSYCOPG_POOL_ROWS: Final[tuple[Row, ...]] = (*_rows(""), *_rows("Async"))
