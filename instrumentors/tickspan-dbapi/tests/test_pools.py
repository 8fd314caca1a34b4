"""Pools of psycopg and asyncpg are measured by their own counts, and by the times of their calls."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg_pool import (
    AsyncConnectionPool,
    AsyncNullConnectionPool,
    ConnectionPool,
    NullConnectionPool,
    PoolTimeout,
)
from tickspan.testing import Capture
from tickspan_dbapi import DbapiInstrumentor

pytestmark = [pytest.mark.integration, pytest.mark.backends]

NAME = {"db.client.connection.pool.name": "main"}

Story = Callable[[], list[tuple[str, dict[str, Any]]]]


@pytest.fixture(autouse=True)
def on(recorded: Capture) -> None:
    """All drivers are told."""


def value(telemetry: Capture, name: str) -> list[float]:
    """Of all pools, by name and state."""
    return [point.value for point in telemetry.points(f"db.client.connection.{name}")]


def states(telemetry: Capture) -> dict[str, float]:
    points = telemetry.points("db.client.connection.count")
    return {point.attributes["db.client.connection.state"]: point.value for point in points}


def times(telemetry: Capture) -> dict[str, list[int | None]]:
    """How often each kind of time was measured."""
    return {
        name: [point.count for point in telemetry.points(f"db.client.connection.{name}")]
        for name in ("create_time", "wait_time", "use_time")
    }


def names(telemetry: Capture) -> set[str]:
    points = telemetry.points("db.client.connection.count")
    return {point.attributes["db.client.connection.pool.name"] for point in points}


@pytest.fixture
def pool(postgresql_server: str) -> Generator[Any]:
    """One of psycopg, of two connections that are there."""
    with ConnectionPool(postgresql_server, min_size=2, max_size=3, name="main", open=False) as made:
        made.wait()
        yield made


def test_psycopgs_pool_tells_counts_and_limits(telemetry: Capture, pool: Any) -> None:
    with pool.connection():
        during = states(telemetry)
    limits = {name: value(telemetry, name) for name in ("idle.min", "idle.max", "max")}
    assert (during, states(telemetry)) == ({"used": 1, "idle": 1}, {"used": 0, "idle": 2})
    assert limits == {"idle.min": [2], "idle.max": [3], "max": [3]}
    assert names(telemetry) == {"main"}


def test_psycopgs_pool_tells_times(telemetry: Capture, pool: Any) -> None:
    with pool.connection() as connection:
        connection.execute("SELECT 1")
    pool.putconn(pool.getconn())
    assert times(telemetry) == {"create_time": [2], "wait_time": [2], "use_time": [2]}


def test_who_waits_is_pending_and_who_waits_in_vain_is_a_timeout(telemetry: Capture, pool: Any) -> None:
    held = [pool.getconn() for _ in range(3)]
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            pool.getconn(timeout=0.5)
        except PoolTimeout as error:
            raised.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    seen: set[float] = set()
    while waiter.is_alive():
        seen.update(value(telemetry, "pending_requests"))
    waiter.join()
    for connection in held:
        pool.putconn(connection)
    assert (max(seen), len(raised)) == (1, 1)
    assert (value(telemetry, "timeouts"), value(telemetry, "pending_requests")) == ([1], [0])


def test_the_first_statement_after_a_checkout_tells_the_wait(
    telemetry: Capture, recorded: Capture, pool: Any
) -> None:
    for _ in range(2):
        with pool.connection() as connection:
            connection.execute("SELECT 1")
            connection.execute("SELECT 2")
    told = ["tickspan.db.pool.wait" in span.attributes for span in recorded.spans()]
    assert told == [True, False, False, True, False, False]


def test_a_pool_without_connections_of_its_own_does_not_count_their_making_as_a_wait(
    telemetry: Capture, postgresql_server: str
) -> None:
    connect = psycopg.Connection.connect

    class Slow(psycopg.Connection[Any]):
        @classmethod
        def connect(cls, *args: Any, **kwargs: Any) -> Any:
            threading.Event().wait(0.2)
            return connect(*args, **kwargs)

    with NullConnectionPool(
        postgresql_server, connection_class=Slow, max_size=2, name="main", open=False
    ) as pool:
        for _ in range(2):
            with pool.connection() as connection:
                connection.execute("SELECT 1")
    (made,) = telemetry.points("db.client.connection.create_time")
    (waited,) = telemetry.points("db.client.connection.wait_time")
    assert (made.count, made.value >= 0.4) == (2, True)
    assert (waited.count, waited.value < 0.2) == (2, True)


def test_psycopgs_asynchronous_pools_tell_the_same(telemetry: Capture, postgresql_server: str) -> None:
    async def main() -> dict[str, float]:
        async with AsyncConnectionPool(
            postgresql_server, min_size=1, max_size=1, name="main", open=False
        ) as pool:
            await pool.wait()
            async with pool.connection() as connection:
                await connection.execute("SELECT 1")
                during = states(telemetry)
            async with pool.connection():
                with pytest.raises(PoolTimeout):
                    await pool.getconn(timeout=0.1)
            return during

    assert asyncio.run(main()) == {"used": 1, "idle": 0}
    assert times(telemetry) == {"create_time": [1], "wait_time": [2], "use_time": [2]}
    assert value(telemetry, "timeouts") == [1]


def test_an_asynchronous_pool_without_connections_of_its_own_is_measured(
    telemetry: Capture, postgresql_server: str
) -> None:
    async def main() -> None:
        async with AsyncNullConnectionPool(postgresql_server, max_size=0, name="main", open=False) as pool:
            for _ in range(3):
                async with pool.connection() as connection:
                    await connection.execute("SELECT 1")

    asyncio.run(main())
    assert times(telemetry) == {"create_time": [3], "wait_time": [3], "use_time": [3]}
    assert value(telemetry, "max") == []


def in_asyncpg_pool(
    url: str, use: Callable[[Any], Awaitable[Any]], min_size: int = 2, max_size: int = 3
) -> Any:
    async def main() -> Any:
        async with asyncpg.create_pool(url, min_size=min_size, max_size=max_size) as pool:
            return await use(pool)

    return asyncio.run(main())


def test_asyncpgs_pool_is_named_by_its_database_and_tells_counts(
    telemetry: Capture, postgresql_server: str
) -> None:
    async def use(pool: Any) -> Any:
        async with pool.acquire() as connection:
            await connection.fetch("SELECT 1")
            during = states(telemetry)
        limits = {name: value(telemetry, name) for name in ("idle.min", "idle.max", "max")}
        return during, states(telemetry), limits, names(telemetry)

    place = postgresql_server.rpartition("@")[2]
    assert in_asyncpg_pool(postgresql_server, use) == (
        {"used": 1, "idle": 1},
        {"used": 0, "idle": 2},
        {"idle.min": [2], "idle.max": [3], "max": [3]},
        {place},
    )


def test_asyncpgs_pool_tells_times_and_waits(
    telemetry: Capture, recorded: Capture, postgresql_server: str
) -> None:
    async def use(pool: Any) -> None:
        async with pool.acquire() as connection:
            await connection.fetch("SELECT 1")
            await connection.fetch("SELECT 2")
        await pool.fetch("SELECT 3")

    in_asyncpg_pool(postgresql_server, use)
    assert times(telemetry) == {"create_time": [2], "wait_time": [2], "use_time": [2]}
    told = ["tickspan.db.pool.wait" in span.attributes for span in recorded.spans()]
    assert told == [True, False, True]


def test_who_waits_for_asyncpg_in_vain_is_a_timeout(telemetry: Capture, postgresql_server: str) -> None:
    async def use(pool: Any) -> list[float]:
        async with pool.acquire():
            waiting = asyncio.ensure_future(pool.acquire(timeout=0.2))
            await asyncio.sleep(0)
            during = value(telemetry, "pending_requests")
            with pytest.raises(TimeoutError):
                await waiting
            return during

    assert in_asyncpg_pool(postgresql_server, use, min_size=1, max_size=1) == [1]
    assert value(telemetry, "timeouts") == [1]


def test_a_connection_that_is_closed_by_its_user_is_used_until_then(
    telemetry: Capture, postgresql_server: str
) -> None:
    async def use(pool: Any) -> None:
        async with pool.acquire() as connection:
            await connection.close()
        async with pool.acquire() as connection:
            await connection.fetch("SELECT 1")

    in_asyncpg_pool(postgresql_server, use, min_size=0, max_size=1)
    assert times(telemetry)["use_time"] == [1]
    assert times(telemetry)["create_time"] == [2]


def test_a_pool_is_let_go(telemetry: Capture, postgresql_server: str) -> None:
    async def use(pool: Any) -> None:
        await pool.fetch("SELECT 1")

    in_asyncpg_pool(postgresql_server, use)
    gc.collect()
    assert states(telemetry) == {}


def test_nothing_is_measured_when_it_is_switched_off(telemetry: Capture, pool: Any) -> None:
    DbapiInstrumentor().uninstrument()
    pool.putconn(pool.getconn())
    assert times(telemetry)["use_time"] == []
    assert states(telemetry) == {}
