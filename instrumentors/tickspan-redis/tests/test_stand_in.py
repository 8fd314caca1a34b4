"""fakeredis, which many test suites use instead of a server: told as a server would be, without a peer."""

from __future__ import annotations

import asyncio
from typing import Any

import fakeredis
from tickspan.testing import Capture


def test_a_stand_in_works_as_it_would_without_us(instrumented: Capture):
    client: Any = fakeredis.FakeRedis()
    results = [client.set("key", 1), client.pipeline().get("key").incr("key").execute()]
    assert (results, instrumented.tree()) == ([True, [b"1", 2]], "SET\nMULTI")


def test_an_asynchronous_stand_in_too(instrumented: Capture):
    async def main() -> list[Any]:
        client: Any = fakeredis.FakeAsyncRedis()
        results = [await client.set("key", 1), await client.pipeline().get("key").incr("key").execute()]
        await client.aclose()
        return results

    assert (asyncio.run(main()), instrumented.tree()) == ([True, [b"1", 2]], "SET\nMULTI")
