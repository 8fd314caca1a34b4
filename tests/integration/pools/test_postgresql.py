"""Pools of psycopg, asyncpg and SQLAlchemy over a real PostgreSQL, governed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
import sqlalchemy
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolTimeout

from tickspan.pools import PoolStatistics, create_database_pool, get_connection_context, govern
from tickspan.testing import Capture

pytestmark = [pytest.mark.integration, pytest.mark.backends]
SELECT = "SELECT 1"


def states(told: Capture) -> dict[str, float]:
    points = told.points("db.client.connection.count")
    return {str(point.attributes["db.client.connection.state"]): point.value for point in points}


def counts(told: Capture) -> dict[str, list[int | None]]:
    return {
        name: [point.count for point in told.points(f"db.client.connection.{name}")]
        for name in ("wait_time", "use_time")
    }


async def turns(condition: Callable[[], bool]) -> None:
    """Give other tasks their turn until `condition` holds."""
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0)


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


def test_psycopgs_pool_keeps_lanes_and_its_own_time_out(told: Capture, postgresql_server: str) -> None:
    with ConnectionPool(postgresql_server, min_size=2, max_size=2, name="main", open=False) as made:
        made.wait()
        pool = govern(made, lanes={"orders": 1})
        with get_connection_context("main") as connection:
            assert connection.execute(SELECT).fetchone() == (1,)
            with pytest.raises(PoolTimeout), made.connection(timeout=0.01):
                pass
            with get_connection_context("main", lane="orders", timeout_s=1):
                assert states(told) == {"idle": 0, "used": 2}
        assert (states(told), pool.statistics().timeouts) == ({"idle": 2, "used": 0}, 1)
        assert counts(told) == {"wait_time": [2], "use_time": [2]}


def test_psycopgs_connections_are_replaced_when_they_are_old(told: Capture, postgresql_server: str) -> None:
    with ConnectionPool(postgresql_server, min_size=1, max_size=1, name="main", open=False) as made:
        made.wait()
        pool = govern(made, max_lifetime_s=0.01)
        with made.connection() as first:
            time.sleep(0.02)
        with made.connection() as second:
            assert second is not first
        assert pool.statistics().closed == {"lifetime": 1}


def test_a_dead_thread_gives_psycopgs_connection_back_where_that_is_asked_for(
    told: Capture, postgresql_server: str
) -> None:
    with ConnectionPool(postgresql_server, min_size=1, max_size=1, name="main", open=False) as made:
        made.wait()
        pool = govern(made, max_hold_s=0.01, reclaim="dead")
        held: list[Any] = []
        thread = threading.Thread(target=lambda: held.append(made.getconn()))
        thread.start()
        thread.join()
        time.sleep(0.02)
        pool.governor.look()
        with made.connection(timeout=5) as connection:
            assert connection.execute(SELECT).fetchone() == (1,)
        assert (pool.statistics().closed, held[0].closed) == ({"broken": 1, "dead_holder": 1}, True)


def test_psycopgs_asynchronous_pool_waits_in_turn(told: Capture, postgresql_server: str) -> None:
    async def main() -> tuple[int, PoolStatistics, dict[str, float]]:
        async with AsyncConnectionPool(
            postgresql_server, min_size=1, max_size=1, name="main", open=False
        ) as made:
            pool = govern(made, is_fair=True)

            async def use() -> int:
                async with get_connection_context("main", timeout_s=10) as connection:
                    row = await (await connection.execute(SELECT)).fetchone()
                    assert row is not None
                    return int(row[0])

            total = sum(await asyncio.gather(*(use() for _ in range(10))))
            return total, pool.statistics(), states(told)

    total, statistics, found = asyncio.run(main())
    assert (total, statistics.lent, statistics.pending, found) == (10, 10, 0, {"idle": 1, "used": 0})


def test_asyncpgs_pool_is_fair_and_loses_nothing_to_cancels(told: Capture, postgresql_server: str) -> None:
    async def main() -> tuple[list[int], Any, dict[str, float], Any]:
        made = await asyncpg.create_pool(postgresql_server, min_size=1, max_size=1)
        pool = govern(made, name="main", is_fair=True)
        order: list[int] = []

        async def use(number: int) -> None:
            async with made.acquire() as connection:
                order.append(await connection.fetchval("SELECT $1::int", number))

        async with get_connection_context("main"):
            tasks = [asyncio.create_task(use(number)) for number in range(5)]
            gate = pool.governor.gate
            assert gate is not None
            await turns(lambda: gate.waiting == 5)
            tasks[0].cancel()
            tasks[3].cancel()
            with pytest.raises(TimeoutError):
                await made.acquire(timeout=0.01)
        await asyncio.gather(*tasks, return_exceptions=True)
        found = (order, pool.statistics(), states(told), pool.governor.gate)
        await made.close()
        return found

    order, statistics, found, gate = asyncio.run(main())
    assert (order, statistics.timeouts, statistics.holders) == ([1, 2, 4], 1, ())
    assert (found, gate.free) == ({"idle": 1, "used": 0}, 1)


def test_asyncpgs_connections_are_replaced_when_they_are_old_or_their_task_is_finished(
    told: Capture, postgresql_server: str
) -> None:
    async def main() -> tuple[bool, Any, dict[str, int]]:
        made = await asyncpg.create_pool(postgresql_server, min_size=1, max_size=1)
        pool = govern(made, name="main", max_lifetime_s=0.02, max_hold_s=0.01, reclaim="dead")
        async with made.acquire() as first:
            old = first.get_server_pid()
            await asyncio.sleep(0.03)
        async with made.acquire() as second:
            is_new = second.get_server_pid() != old
        kept: list[Any] = []

        async def leak() -> None:
            kept.append(await made.acquire())

        await asyncio.create_task(leak())
        await asyncio.sleep(0.02)
        pool.governor.look()
        async with made.acquire(timeout=5) as connection:
            answer = await connection.fetchval(SELECT)
        found = (is_new, answer, dict(pool.statistics().closed))
        await made.close()
        return found

    is_new, answer, closed = asyncio.run(main())
    assert (is_new, answer, closed["lifetime"] >= 1, closed["dead_holder"]) == (True, 1, True, 1)


def test_a_pool_of_asyncpg_must_be_open(told: Capture, postgresql_server: str) -> None:
    async def main() -> None:
        govern(asyncpg.create_pool(postgresql_server), name="main")

    with pytest.raises(ValueError, match="await"):
        asyncio.run(main())


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_an_engine_from_a_url_is_governed(told: Capture, postgresql_server: str, driver: str) -> None:
    url = postgresql_server.replace("postgresql:", f"postgresql+{driver}:")
    pool = create_database_pool("main", url, max_connections=2)
    with get_connection_context("main", timeout_s=5) as connection:
        assert connection.execute(sqlalchemy.text(SELECT)).scalar() == 1
    assert (states(told), counts(told)) == ({"idle": 1, "used": 0}, {"wait_time": [1], "use_time": [1]})
    pool.dispose()


@pytest.mark.parametrize("driver", ["psycopg_async", "asyncpg"])
def test_an_asynchronous_engine_from_a_url_is_governed(
    told: Capture, postgresql_server: str, driver: str
) -> None:
    async def main() -> tuple[list[int], dict[str, float]]:
        url = postgresql_server.replace("postgresql:", f"postgresql+{driver}:")
        pool = create_database_pool("main", url, max_connections=2, lanes={"orders": 1})

        async def use(lane: str) -> int:
            async with get_connection_context("main", timeout_s=10, lane=lane) as connection:
                return (await connection.execute(sqlalchemy.text(SELECT))).scalar_one()

        answers = await asyncio.gather(*(use(lane) for lane in ("", "orders") * 5))
        found = states(told)
        await pool.dispose()
        return answers, found

    assert asyncio.run(main()) == ([1] * 10, {"idle": 2, "used": 0})
