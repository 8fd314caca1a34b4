"""Blocking reads: told when they bring something, silent when they do not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import redis
import redis.asyncio
from tickspan.testing import Capture, RecordedSpan

pytestmark = pytest.mark.integration


def connect(url: str, **options: Any) -> Any:
    """A client; untyped, since redis-py types each result as sync or async, and each pipeline as a result."""
    return redis.Redis.from_url(url, **options)


def connect_async(url: str) -> Any:
    """Its asynchronous twin."""
    return redis.asyncio.Redis.from_url(url)


def blocking(number: int, name: str, text: str, place: Mapping[str, Any]) -> RecordedSpan:
    """A read that brought something; its span begins after the reply, so the peer is not known to it."""
    server = {key: value for key, value in place.items() if not key.startswith("network.")}
    attributes = {
        **server,
        "db.operation.name": name,
        "db.query.text": text,
        "redis.client.operation.blocking": True,
    }
    return RecordedSpan(name, "client", number, number, None, attributes)


def test_reads_that_bring_nothing_leave_no_span(url: str, place: Mapping[str, Any], instrumented: Capture):
    with connect(url) as client:
        assert client.blpop(["queue"], timeout=0.01) is None
        assert not client.xread({"stream": "$"}, block=10)
        client.rpush("queue", "order")
        assert client.blpop(["queue"], timeout=1) is not None
    assert instrumented.spans()[1:] == [blocking(2, "BLPOP", "BLPOP ? ?", place)]


def test_asynchronous_reads_too(url: str, place: Mapping[str, Any], instrumented: Capture):
    async def main() -> None:
        async with connect_async(url) as client:
            assert await client.blpop(["queue"], timeout=0.01) is None
            assert not await client.xread({"stream": "$"}, block=10)
            await client.rpush("queue", "order")
            assert await client.blpop(["queue"], timeout=1) is not None

    asyncio.run(main())
    assert instrumented.spans()[1:] == [blocking(2, "BLPOP", "BLPOP ? ?", place)]


def test_an_empty_string_is_something(url: str, instrumented: Capture):
    with connect(url) as client:
        client.rpush("queue", "")
        assert client.brpoplpush("queue", "done", timeout=1) == b""
    assert instrumented.tree() == "RPUSH\nBRPOPLPUSH"


def test_a_read_spans_the_time_it_has_waited(url: str, instrumented: Capture):
    async def main() -> None:
        async with connect_async(url) as reader, connect_async(url) as writer:
            reading = asyncio.create_task(reader.blpop(["queue"], timeout=5))
            await asyncio.sleep(0.05)
            await writer.rpush("queue", "order")
            await reading

    instrumented.clock.step_ns = 0
    instrumented.clock.now_ns = 2**62  # long after the read has begun by the machine's clock
    asyncio.run(main())
    (read,) = [s for s in instrumented.spans() if s.name == "BLPOP"]
    (push,) = [s for s in instrumented.spans() if s.name == "RPUSH"]
    assert read.start_ns < push.start_ns == read.end_ns


def test_a_failed_read_is_told(url: str, instrumented: Capture):
    with connect(url) as client:
        client.set("queue", "text")
        with pytest.raises(redis.ResponseError):
            client.blpop(["queue"], timeout=1)
    told = instrumented.spans()[1]
    assert (told.name, told.status, told.attributes["error.type"]) == ("BLPOP", "error", "WRONGTYPE")


def test_waiting_says_nothing_about_how_fast_redis_is(url: str, instrumented: Capture):
    with connect(url) as client:
        client.rpush("queue", "order")
        client.blpop(["queue"], timeout=1)
    points = instrumented.points("db.client.operation.duration")
    assert [point.attributes["db.operation.name"] for point in points] == ["RPUSH"]


def test_a_read_keeps_its_callers_span_current_and_silences_what_is_below(url: str, instrumented: Capture):
    tracer = instrumented.tracer_provider.get_tracer("bot")
    with connect(url) as client, tracer.start_as_current_span("loop"):
        client.rpush("queue", "order")
        client.blpop(["queue"], timeout=1)
        client.get("key")
    assert instrumented.tree() == "loop\n  RPUSH\n  BLPOP\n  GET"
