"""A real cluster of three nodes: one span a call, with the node that has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.cluster import RedisCluster
from tickspan.testing import Capture, RecordedSpan

pytestmark = [
    pytest.mark.integration,
    # redis-py 7 warns of arguments that its own cluster passes.
    pytest.mark.filterwarnings("ignore:Call to '__init__' function with deprecated usage:DeprecationWarning"),
]


def story(spans: list[RecordedSpan]) -> list[tuple[str, Any, Any, str, bool]]:
    """What is the same whichever node has answered."""
    return [
        (
            s.name,
            s.attributes.get("db.query.text"),
            s.attributes.get("db.operation.batch.size"),
            s.status,
            "network.peer.port" in s.attributes,
        )
        for s in spans
    ]


def peer(span: RecordedSpan) -> Mapping[str, Any]:
    return {name: value for name, value in span.attributes.items() if name.startswith("network.peer.")}


def run_sync(port: int) -> list[Any]:
    client: Any = RedisCluster(host="127.0.0.1", port=port)
    client.set("price:{a}", 1)
    results = [client.get("price:{a}")]
    results += client.pipeline().set("price:{a}", 2).set("price:{b}", 3).execute()
    client.dbsize()
    client.close()
    return results


def run_async(port: int) -> list[Any]:
    async def main() -> list[Any]:
        client: Any = AsyncRedisCluster(host="127.0.0.1", port=port)
        await client.set("price:{a}", 1)
        results = [await client.get("price:{a}")]
        results += await client.pipeline().set("price:{a}", 2).set("price:{b}", 3).execute()
        await client.dbsize()
        await client.aclose()
        return results

    return asyncio.run(main())


# Before these, the blocking client asks for the slots while it is made, the other within its first call.
EXPECTED = [
    ("SET", "SET ? ?", None, "unset", True),
    ("GET", "GET ?", None, "unset", True),
    ("PIPELINE SET", "SET ? ?\nSET ? ?", 2, "unset", True),
    ("DBSIZE", "DBSIZE", None, "unset", True),
]


@pytest.mark.parametrize("run", [run_sync, run_async])
def test_cluster_calls_are_one_span_each(cluster: int, instrumented: Capture, run: Any):
    assert run(cluster) == [b"1", True, True]
    assert story(instrumented.spans())[-len(EXPECTED) :] == EXPECTED


@pytest.mark.parametrize("run", [run_sync, run_async])
def test_the_namespace_of_a_cluster_is_its_only_one(cluster: int, instrumented: Capture, run: Any):
    run(cluster)
    places = {(s.attributes["db.namespace"], s.attributes["server.address"]) for s in instrumented.spans()}
    assert places == {("0", "127.0.0.1")}


def test_the_peer_is_the_node_that_holds_the_key(cluster: int, instrumented: Capture):
    client: Any = RedisCluster(host="127.0.0.1", port=cluster)
    instrumented.clear()
    holders = [client.get_node_from_key(key).port for key in ("a", "b", "c")]
    for key in ("a", "b", "c"):
        client.set(key, 1)
    client.close()
    assert [peer(s) for s in instrumented.spans()] == [
        {"network.peer.address": "127.0.0.1", "network.peer.port": port} for port in holders
    ]
    assert len(set(holders)) > 1
