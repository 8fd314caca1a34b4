"""Pipelines and transactions: one round trip, one span."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
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


def test_a_pipeline_is_one_span_that_counts_its_commands(
    url: str, place: Mapping[str, Any], stories: Callable[[], list[RecordedSpan]]
):
    with connect(url) as client:
        client.pipeline(transaction=False).set("a", 1).set("b", 2).execute()
        client.pipeline(transaction=True).set("a", 1).incr("a").execute()
        client.pipeline(transaction=False).get("a").execute()
    alike = {"db.query.text": "SET ? ?\nSET ? ?", "db.operation.batch.size": 2}
    mixed = {"db.query.text": "SET ? ?\nINCRBY ? ?", "db.operation.batch.size": 2}
    assert stories() == [
        RecordedSpan(
            "PIPELINE SET", "client", 1, 1, None, {**place, "db.operation.name": "PIPELINE SET", **alike}
        ),
        RecordedSpan("MULTI", "client", 2, 2, None, {**place, "db.operation.name": "MULTI", **mixed}),
        RecordedSpan(
            "GET", "client", 3, 3, None, {**place, "db.operation.name": "GET", "db.query.text": "GET ?"}
        ),
    ]


def test_an_empty_pipeline_leaves_no_span(url: str, instrumented: Capture):
    with connect(url) as client:
        assert client.pipeline().execute() == []
    assert instrumented.spans() == []


def test_a_transaction_that_lost_its_watch_and_tries_again_tells_each_try(url: str, instrumented: Capture):
    with connect(url) as client, connect(url) as rival:
        client.set("position", 1)
        rivals = iter([True, False])

        def grow(pipeline: Any) -> None:
            position = int(pipeline.get("position"))
            if next(rivals):
                rival.incr("position")
            pipeline.multi()
            pipeline.set("position", position * 10)

        client.transaction(grow, "position")
        assert client.get("position") == b"20"
    told = [(s.name, s.status, s.events) for s in instrumented.spans()]
    names = ["SET", "WATCH", "GET", "INCRBY", "MULTI SET", "WATCH", "GET", "MULTI SET", "GET"]
    assert told == [(name, "unset", ()) for name in names]


def test_an_asynchronous_transaction_is_told_alike(url: str, instrumented: Capture):
    async def main() -> None:
        async with connect_async(url) as client, client.pipeline() as pipeline:
            await pipeline.watch("position")
            await pipeline.get("position")
            pipeline.multi()
            pipeline.set("position", 1)
            await client.set("position", 2)
            with pytest.raises(redis.WatchError):
                await pipeline.execute()

    asyncio.run(main())
    told = [(s.name, s.status) for s in instrumented.spans()]
    assert told == [(name, "unset") for name in ("WATCH", "GET", "SET", "MULTI SET")]


def test_an_error_in_a_pipeline_is_told_without_the_command_that_the_library_quotes(
    url: str, instrumented: Capture
):
    with connect(url) as client:
        client.set("s3cret", "text")
        with pytest.raises(redis.ResponseError, match="s3cret"):
            client.pipeline(transaction=False).get("s3cret").lpush("s3cret", "s3cret").execute()
    (_, told) = instrumented.spans()
    assert (told.status, told.description, "s3cret" in repr(told)) == ("error", "WRONGTYPE", False)


def test_errors_that_are_returned_do_not_mark_the_span(url: str, instrumented: Capture):
    with connect(url) as client:
        client.set("key", "text")
        results = client.pipeline(transaction=False).lpush("key", 1).get("key").execute(raise_on_error=False)
    assert [type(result).__name__ for result in results] == ["ResponseError", "bytes"]
    assert [s.status for s in instrumented.spans()] == ["unset", "unset"]


def test_a_pipeline_that_loads_its_script_is_still_one_span(url: str, instrumented: Capture):
    with connect(url) as client:
        script = client.register_script("return ARGV[1]")
        pipeline = client.pipeline()
        script(args=["s3cret"], client=pipeline)
        assert pipeline.execute() == [b"s3cret"]
    assert instrumented.tree() == "MULTI EVALSHA"


def test_a_big_pipeline_has_a_bounded_text_and_an_exact_count(url: str, instrumented: Capture):
    with connect(url) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(10_000):
            pipeline.set(f"key:{number}", "v" * 100)
        assert len(pipeline.execute()) == 10_000
    (told,) = instrumented.spans()
    assert told.name == "PIPELINE SET"
    assert told.attributes["db.operation.batch.size"] == 10_000
    assert len(told.attributes["db.query.text"]) <= 1024
