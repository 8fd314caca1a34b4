"""Pools of redis-py over a real server, governed; beside its instrumentor, too."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
import redis
import redis.asyncio

from tickspan.pools import get_connection_context, govern
from tickspan.testing import Capture

pytestmark = pytest.mark.integration


def states(told: Capture) -> dict[str, float]:
    points = told.points("db.client.connection.count")
    return {str(point.attributes["db.client.connection.state"]): point.value for point in points}


def counts(told: Capture) -> dict[str, list[int | None]]:
    return {
        name: [point.count for point in told.points(f"db.client.connection.{name}")]
        for name in ("create_time", "wait_time", "use_time")
    }


@pytest.mark.parametrize("kind", [redis.ConnectionPool, redis.BlockingConnectionPool])
def test_a_pool_is_measured_by_its_own_counts(told: Capture, redis_server: str, kind: Any) -> None:
    made = kind.from_url(redis_server, max_connections=2)
    pool = govern(made)
    client = redis.Redis(connection_pool=made)
    client.ping()
    with get_connection_context(pool.name) as borrowed:
        assert (borrowed.ping(), states(told)) == (True, {"idle": 0, "used": 1})
    assert pool.name.endswith("/0")
    assert (states(told), counts(told)) == (
        {"idle": 1, "used": 0},
        {"create_time": [1], "wait_time": [2], "use_time": [2]},
    )
    made.disconnect()


def test_the_plain_pool_refuses_as_before_and_waits_where_that_is_asked_for(
    told: Capture, redis_server: str
) -> None:
    made = redis.ConnectionPool.from_url(redis_server, max_connections=1)
    pool = govern(made, name="cache", is_fair=True)
    client = redis.Redis(connection_pool=made)
    context = get_connection_context("cache")
    context.__enter__()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    timer = threading.Timer(0.02, context.__exit__, (None, None, None))
    timer.start()
    with get_connection_context("cache", timeout_s=5) as borrowed:
        assert borrowed.ping()
    timer.join()
    assert (pool.statistics().timeouts, pool.statistics().used) == (1, 0)
    made.disconnect()


def test_old_connections_connect_again(told: Capture, redis_server: str) -> None:
    made = redis.ConnectionPool.from_url(redis_server)
    pool = govern(made, name="cache", max_lifetime_s=0.01)
    client = redis.Redis(connection_pool=made)
    first = client.client_id()
    time.sleep(0.02)
    client.ping()
    assert client.client_id() != first
    assert pool.statistics().closed["lifetime"] >= 1
    made.disconnect()


def test_a_dead_thread_gives_back(told: Capture, redis_server: str) -> None:
    made = redis.ConnectionPool.from_url(redis_server, max_connections=1)
    pool = govern(made, name="cache", max_hold_s=0.01, reclaim="dead")
    held: list[Any] = []
    thread = threading.Thread(target=lambda: held.append(made.get_connection()))
    thread.start()
    thread.join()
    time.sleep(0.02)
    pool.governor.look()
    assert redis.Redis(connection_pool=made).ping()
    assert (pool.statistics().used, pool.statistics().closed) == (0, {"dead_holder": 1})
    made.disconnect()


@pytest.mark.parametrize("kind", [redis.asyncio.ConnectionPool, redis.asyncio.BlockingConnectionPool])
def test_asyncio_waits_in_turn(told: Capture, redis_server: str, kind: Any) -> None:
    async def main() -> tuple[list[bool], dict[str, float], dict[str, list[int | None]]]:
        made = kind.from_url(redis_server, max_connections=1)
        govern(made, name="cache", is_fair=True)

        async def use() -> bool:
            async with get_connection_context("cache", timeout_s=5) as client:
                return await client.ping()

        answers = await asyncio.gather(*(use() for _ in range(5)))
        found = (answers, states(told), counts(told))
        await made.disconnect()
        return found

    assert asyncio.run(main()) == (
        [True] * 5,
        {"idle": 1, "used": 0},
        {"create_time": [1], "wait_time": [5], "use_time": [5]},
    )


def test_beside_the_instrumentor_each_pool_is_measured_once_and_limits_hold(
    told: Capture, redis_server: str
) -> None:
    from tickspan_redis import RedisInstrumentor

    RedisInstrumentor().instrument(tracer_provider=told.tracer_provider, meter_provider=told.meter_provider)
    made = redis.ConnectionPool.from_url(redis_server, max_connections=1)
    client = redis.Redis(connection_pool=made)
    client.ping()
    pool = govern(made, name="cache", is_fair=True)
    client.ping()
    with get_connection_context("cache"), pytest.raises(redis.ConnectionError):
        client.ping()
    during = (states(told), pool.statistics().used, pool.governor.gate)
    RedisInstrumentor().uninstrument()
    client.ping()
    gate = during[2]
    assert gate is not None
    assert (during[0], during[1], gate.free) == ({"idle": 1, "used": 0}, 0, 1)
    assert states(told) == {"idle": 1, "used": 0}
    made.disconnect()
