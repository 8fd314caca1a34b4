"""Pools are measured by their own counts, whatever kind they are and whatever happens to them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Mapping
from typing import Any

import pytest
import redis
import redis.asyncio
from opentelemetry.sdk.metrics import MeterProvider  # noqa: TID251 - a program's own provider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: TID251 - the same
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry
from tickspan.testing import Capture
from tickspan_redis import RedisInstrumentor

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:Call to '__init__' function with deprecated usage:DeprecationWarning"),
]

PREFIX = "db.client.connection"
BLOCKING = redis.BlockingConnectionPool
PLAIN = redis.ConnectionPool


def counts(capture: Capture, name: str) -> dict[str, float]:
    """Connections of a pool by state."""
    return {
        p.attributes[f"{PREFIX}.state"]: p.value
        for p in capture.points(f"{PREFIX}.count")
        if p.attributes[f"{PREFIX}.pool.name"] == name
    }


def sums(capture: Capture, metric: str) -> dict[str, float]:
    """A metric by pool: the value of a sum, how many of a histogram."""
    return {
        p.attributes[f"{PREFIX}.pool.name"]: p.value if p.count is None else p.count
        for p in capture.points(f"{PREFIX}.{metric}")
    }


def own(pool: Any) -> dict[str, float]:
    """What a pool says itself, by the lists that every version has."""
    if hasattr(pool, "pool"):
        idle = [connection for connection in pool.pool.queue if connection is not None]
        return {"idle": len(idle), "used": len(pool._connections) - len(idle)}
    return {"idle": len(pool._available_connections), "used": len(pool._in_use_connections)}


def public(pool: Any) -> dict[str, float]:
    """What redis-py 7 and later say by a method of theirs."""
    return {attributes[f"{PREFIX}.state"]: number for number, attributes in pool.get_connection_count()}


def name_of(url: str) -> str:
    return url.removeprefix("redis://")


IS_ASKED_FOR_A_COMMAND = redis.__version__.startswith(("5.0", "5.1", "5.2"))


def borrow(pool: Any) -> Any:
    """A connection; versions before 5.3 want to know for which command."""
    return pool.get_connection("_") if IS_ASKED_FOR_A_COMMAND else pool.get_connection()


def at(url: str) -> Mapping[str, Any]:
    """Host and port, as arguments."""
    host, _, port = url.removeprefix("redis://").partition("/")[0].partition(":")
    return {"host": host, "port": int(port)}


@pytest.mark.parametrize("kind", [PLAIN, BLOCKING])
def test_connections_are_counted_by_state_as_the_pool_counts_them(url: str, instrumented: Capture, kind: Any):
    pool = kind(**at(url), max_connections=5)
    held = [borrow(pool) for _ in range(3)]
    pool.release(held.pop())
    name = f"{name_of(url).partition('/')[0]}/0"
    assert counts(instrumented, name) == own(pool) == {"idle": 1, "used": 2}
    assert sums(instrumented, "max") == {name: 5}
    assert sums(instrumented, "create_time") == {name: 3}
    assert sums(instrumented, "wait_time") == {name: 3}
    assert sums(instrumented, "use_time") == {name: 1}
    assert sums(instrumented, "timeouts") == {}
    pool.disconnect()


@pytest.mark.parametrize("kind", [redis.asyncio.ConnectionPool, redis.asyncio.BlockingConnectionPool])
def test_asynchronous_pools_too(url: str, instrumented: Capture, kind: Any):
    async def main() -> tuple[Any, ...]:
        pool = kind(**at(url), max_connections=5)
        held = [await borrow(pool) for _ in range(3)]
        await pool.release(held.pop())
        name = f"{name_of(url).partition('/')[0]}/0"
        metrics = ("max", "create_time", "wait_time", "use_time", "timeouts")
        told = [sums(instrumented, metric) for metric in metrics]
        answer = (counts(instrumented, name), own(pool), told)
        for connection in held:
            await pool.release(connection)
        await pool.disconnect()
        return answer

    name = f"{name_of(url).partition('/')[0]}/0"
    expected = {"idle": 1, "used": 2}
    assert asyncio.run(main()) == (expected, expected, [{name: 5}, {name: 3}, {name: 3}, {name: 1}, {}])


@pytest.mark.skipif(
    not hasattr(redis.ConnectionPool, "get_connection_count"), reason="redis-py before 7 has no such method"
)
@pytest.mark.parametrize("kind", [PLAIN, BLOCKING])
def test_the_counts_are_those_of_the_pools_public_method(url: str, instrumented: Capture, kind: Any):
    pool = kind(**at(url), max_connections=5)
    held = [borrow(pool) for _ in range(3)]
    pool.release(held.pop())
    assert counts(instrumented, f"{name_of(url).partition('/')[0]}/0") == public(pool)
    pool.disconnect()


def test_a_client_gives_back_what_it_takes_also_after_errors(url: str, instrumented: Capture):
    with redis.Redis.from_url(url) as client:
        client.set("text", "text")
        for _ in range(5):
            with pytest.raises(redis.ResponseError):
                client.lpush("text", "x")
        client.connection_pool.disconnect()
        client.get("text")
        told = counts(instrumented, name_of(url))
        assert told == own(client.connection_pool) == {"idle": 1, "used": 0}
    assert sums(instrumented, "create_time") == {name_of(url): 2}
    assert sums(instrumented, "use_time") == sums(instrumented, "wait_time") == {name_of(url): 7}


@pytest.mark.parametrize("kind", [PLAIN, BLOCKING])
def test_nothing_drifts_when_the_server_goes_and_comes_back(
    own_server: Any, instrumented: Capture, kind: Any
):
    pool = kind(host="127.0.0.1", port=own_server.port, max_connections=4, retry=Retry(NoBackoff(), 0))
    client = redis.Redis(connection_pool=pool)
    held = [borrow(pool) for _ in range(2)]
    client.set("key", 1)
    own_server.stop()
    for _ in range(3):
        with pytest.raises(redis.ConnectionError):
            client.get("key")
    for connection in held:
        pool.release(connection)
    name = f"127.0.0.1:{own_server.port}/0"
    down = counts(instrumented, name), own(pool)
    own_server.start()
    client.set("key", 2)
    assert (*down, counts(instrumented, name)) == (own(pool),) * 3
    assert own(pool)["used"] == 0
    pool.disconnect()


def test_nothing_drifts_when_an_asynchronous_server_goes_and_comes_back(
    own_server: Any, instrumented: Capture
):
    async def main() -> list[dict[str, float]]:
        retry = AsyncRetry(NoBackoff(), 0)
        pool: Any = redis.asyncio.ConnectionPool(host="127.0.0.1", port=own_server.port, retry=retry)
        client: Any = redis.asyncio.Redis(connection_pool=pool)
        await client.set("key", 1)
        own_server.stop()
        for _ in range(3):
            with pytest.raises(redis.ConnectionError):
                await client.get("key")
        name = f"127.0.0.1:{own_server.port}/0"
        told = [counts(instrumented, name), own(pool)]
        own_server.start()
        await client.set("key", 2)
        told += [counts(instrumented, name), own(pool)]
        await pool.disconnect()
        return told

    assert asyncio.run(main()) == [{"idle": 1, "used": 0}] * 4


def test_who_waits_is_counted_and_so_is_who_waited_in_vain(url: str, instrumented: Capture):
    pool: Any = BLOCKING(**at(url), max_connections=1, timeout=1)
    pool.timeout = 0.05
    name = f"{name_of(url).partition('/')[0]}/0"
    held = borrow(pool)
    before = sums(instrumented, "pending_requests")
    with pytest.raises(redis.ConnectionError):
        borrow(pool)
    pool.timeout = 10
    waiting = threading.Thread(target=lambda: pool.release(borrow(pool)))
    waiting.start()
    while sums(instrumented, "pending_requests") != {name: 1}:
        assert waiting.is_alive()
    pool.release(held)
    waiting.join(10)
    assert (before, sums(instrumented, "pending_requests")) == ({name: 0}, {name: 0})
    assert sums(instrumented, "timeouts") == {name: 1}
    pool.disconnect()


def test_who_waits_asynchronously_in_vain_is_counted(url: str, instrumented: Capture):
    async def main() -> None:
        pool: Any = redis.asyncio.BlockingConnectionPool(**at(url), max_connections=1, timeout=0.05)
        held = await borrow(pool)
        with pytest.raises(redis.ConnectionError):
            await borrow(pool)
        await pool.release(held)
        await pool.disconnect()

    asyncio.run(main())
    assert sums(instrumented, "timeouts") == {f"{name_of(url).partition('/')[0]}/0": 1}


def test_an_asynchronous_wait_is_timed_until_the_connection_is_there(url: str, instrumented: Capture):
    async def main() -> None:
        pool: Any = redis.asyncio.BlockingConnectionPool(**at(url), max_connections=1, timeout=5)
        held = await borrow(pool)
        waiting = asyncio.ensure_future(borrow(pool))
        await asyncio.sleep(0.05)
        await pool.release(held)
        await pool.release(await waiting)
        await pool.disconnect()

    asyncio.run(main())
    (point,) = instrumented.points(f"{PREFIX}.wait_time")
    assert (point.count, point.value >= 0.05) == (2, True)


def test_a_full_pool_that_refuses_at_once_is_an_error_and_no_time_out(url: str, instrumented: Capture):
    client = redis.Redis(connection_pool=PLAIN(**at(url), max_connections=1))
    held = borrow(client.connection_pool)
    with pytest.raises(redis.ConnectionError):
        client.get("key")
    client.connection_pool.release(held)
    errors = instrumented.points("redis.client.errors")
    assert [p.attributes["error.type"].rpartition(".")[2] for p in errors] in (
        ["MaxConnectionsError"],
        ["ConnectionError"],  # redis-py 5 and 6
    )
    assert sums(instrumented, "timeouts") == {}
    client.close()


def test_a_pool_that_is_gone_is_not_told_of(url: str, instrumented: Capture):
    pool = PLAIN(**at(url))
    pool.release(borrow(pool))
    pool.disconnect()
    del pool
    gc.collect()
    assert instrumented.points(f"{PREFIX}.count") == []


def test_closed_connections_are_counted_with_their_reason(own_server: Any, instrumented: Capture):
    client = redis.Redis(port=own_server.port, host="127.0.0.1", retry=Retry(NoBackoff(), 0))
    client.set("key", 1)
    client.close()
    client.set("key", 1)
    own_server.stop()
    with pytest.raises(redis.ConnectionError):
        client.get("key")
    told = {
        p.attributes["redis.client.connection.close.reason"]: (p.attributes.get("error.type"), p.value)
        for p in instrumented.points("redis.client.connection.closed")
    }
    assert told == {"application_close": (None, 1), "error": ("redis.exceptions.ConnectionError", 1)}
    client.close()


def test_errors_are_counted_as_the_client_meets_them_and_as_its_caller_sees_them(
    own_server: Any, instrumented: Capture
):
    client = redis.Redis(port=own_server.port, host="127.0.0.1", retry=Retry(NoBackoff(), 0))
    client.set("s3cret", "s3cret")
    with pytest.raises(redis.ResponseError):
        client.lpush("s3cret", "s3cret")
    own_server.stop()
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            client.get("s3cret")
    points = instrumented.points("redis.client.errors")
    server = {"server.address": "127.0.0.1", "server.port": own_server.port}
    seen = [(dict(p.attributes), p.value) for p in points if not p.attributes["redis.client.errors.internal"]]
    wrong = {"error.type": "WRONGTYPE", "db.response.status_code": "WRONGTYPE"}
    lost = {"error.type": "redis.exceptions.ConnectionError"}
    external = {"redis.client.errors.internal": False, **server}
    assert seen == [({**wrong, **external}, 1), ({**lost, **external}, 2)]
    assert sum(p.value for p in points if p.attributes["redis.client.errors.internal"]) >= 1
    client.close()


KEYS = [f"key{number}" for number in range(30)]


def added(many: list[dict[str, float]]) -> dict[str, float]:
    return {state: sum(one[state] for one in many) for state in ("idle", "used")}


def test_each_node_of_a_cluster_is_a_pool(cluster: int, instrumented: Capture):
    client: Any = RedisCluster(host="127.0.0.1", port=cluster)
    for key in KEYS:
        client.set(key, 1)
    ports = [node.port for node in client.get_nodes()]
    told = {port: counts(instrumented, f"127.0.0.1:{port}/0") for port in ports}
    # A client keeps the pool that has asked for the slots beside that of the same node.
    gc.collect()
    alive = [pool for pool in gc.get_objects() if type(pool) is PLAIN]
    theirs = {
        port: added([own(pool) for pool in alive if pool.connection_kwargs.get("port") == port])
        for port in ports
    }
    assert told == theirs
    assert sum(one["idle"] for one in told.values()) >= len(ports) == 3
    client.close()


def test_each_node_of_an_asynchronous_cluster_is_a_pool(cluster: int, instrumented: Capture):
    async def main() -> tuple[Any, Any]:
        client: Any = AsyncRedisCluster(host="127.0.0.1", port=cluster)
        await client.set("key0", 1)
        await asyncio.gather(*(client.set(key, 1) for key in KEYS))
        nodes = client.get_nodes()
        told = {node.port: counts(instrumented, f"{node.name}/0") for node in nodes}
        theirs = {
            node.port: {"idle": len(node._free), "used": len(node._connections) - len(node._free)}
            for node in nodes
        }
        await client.aclose()
        return told, theirs

    told, theirs = asyncio.run(main())
    assert told == theirs
    assert sum(one["idle"] for one in told.values()) > len(told) == 3
    assert len(sums(instrumented, "create_time")) == 3


def test_pools_are_measured_by_a_foreign_provider_too(url: str):
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    RedisInstrumentor().instrument(meter_provider=provider)
    with redis.Redis.from_url(url) as client:
        client.set("key", 1)
        data: Any = reader.get_metrics_data()
    RedisInstrumentor().uninstrument()
    provider.shutdown()
    names = {m.name for s in data.resource_metrics[0].scope_metrics for m in s.metrics}
    assert names >= {f"{PREFIX}.{name}" for name in ("count", "create_time", "wait_time", "use_time")}


def test_nothing_is_measured_where_the_settings_say_so(url: str, telemetry: Capture):
    RedisInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        settings={"redis": {"metrics": False}},
    )
    with redis.Redis.from_url(url) as client:
        client.set("key", 1)
    RedisInstrumentor().uninstrument()
    assert telemetry.tree() == "SET"
    assert [metric.name for metric in telemetry.received().metrics] == []


def test_nothing_is_measured_after_undo(url: str, telemetry: Capture):
    RedisInstrumentor().instrument(meter_provider=telemetry.meter_provider)
    with redis.Redis.from_url(url) as client:
        client.set("key", 1)
        RedisInstrumentor().uninstrument()
        client.set("key", 1)
        assert telemetry.points(f"{PREFIX}.count") == []
        assert [p.count for p in telemetry.points(f"{PREFIX}.wait_time")] == [1]
