"""Keys and streams of a real Redis, by both kinds of client and both protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import redis
import redis.asyncio

from tickspan import lazy
from tickspan.lazy import TokenError

pytestmark = pytest.mark.integration


@pytest.fixture(params=[2, 3])
def client(redis_server: str, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server.replace("/0", "/9"), protocol=request.param) as client:
        client.flushdb()
        yield client
        client.flushdb()


def entries(client: redis.Redis, count: int) -> list[Any]:
    for number in range(count):
        client.xadd("fills", {"n": number})
    found: Any = client.xrange("fills")
    return found


def test_a_scan_gives_every_key_that_matches(client: redis.Redis) -> None:
    client.mset({f"quote:{number}": number for number in range(500)})
    client.mset({f"order:{number}": number for number in range(500)})
    rows = lazy.rows(lazy.redis_scan(client, "quote:*"), chunk=20)
    assert {*rows} == {b"quote:%d" % number for number in range(500)}


def test_a_scan_that_goes_on_loses_no_key(client: redis.Redis) -> None:
    client.mset({f"quote:{number}": number for number in range(500)})
    source = lazy.redis_scan(client, "quote:*")
    rows = lazy.rows(source, chunk=20)
    got = list(islice(rows, 77))
    client.mset({f"more:{number}": number for number in range(2_000)})  # the table of keys is made anew
    got += lazy.rows(source, chunk=50, resume=rows.token)
    assert {*got} == {b"quote:%d" % number for number in range(500)}


def test_only_keys_of_a_type_are_scanned(client: redis.Redis) -> None:
    client.set("text", 1)
    client.xadd("stream", {"a": 1})
    assert list(lazy.rows(lazy.redis_scan(client, type="stream"))) == [b"stream"]


@pytest.mark.parametrize("stop", [1, 4, 5, 30])
def test_a_stream_goes_on_after_the_entry_that_was_last(client: redis.Redis, stop: int) -> None:
    wanted = entries(client, 30)
    source = lazy.redis_stream(client, "fills")
    rows = lazy.rows(source, chunk=5)
    assert list(islice(rows, stop)) == wanted[:stop]
    client.xadd("fills", {"n": "later"})
    rest = list(lazy.rows(source, chunk=7, resume=rows.token))
    assert (rest[:-1], rest[-1][1]) == (wanted[stop:], {b"n": b"later"})


def test_a_stream_until_the_start_ends_at_the_entry_that_was_last_then(client: redis.Redis) -> None:
    wanted = entries(client, 12)
    rows = lazy.rows(lazy.redis_stream(client, "fills", until="start"), chunk=5, prefetch=0)
    first = [next(rows) for _ in range(3)]
    client.xadd("fills", {"n": "later"})
    assert first + list(rows) == wanted


def test_a_stream_that_is_waited_for_gives_what_comes_and_ends(client: redis.Redis) -> None:
    wanted = entries(client, 3)
    rows = lazy.rows(lazy.redis_stream(client, "fills", block_s=0.15), prefetch=0)
    got = [next(rows) for _ in range(3)]
    client.xadd("fills", {"n": "later"})
    later = next(rows)
    assert (got, later[1], list(rows)) == (wanted, {b"n": b"later"}, [])


def test_a_stream_that_is_not_there_is_empty(client: redis.Redis) -> None:
    assert list(lazy.rows(lazy.redis_stream(client, "nothing"))) == []
    assert list(lazy.rows(lazy.redis_stream(client, "nothing", until="start"))) == []
    assert list(lazy.rows(lazy.redis_stream(client, "nothing", block_s=0.01))) == []


def test_a_key_of_another_type_is_redis_own_error(client: redis.Redis) -> None:
    client.set("text", 1)
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        list(lazy.rows(lazy.redis_stream(client, "text")))


@pytest.mark.parametrize("protocol", [2, 3])
def test_an_asyncio_client_reads_the_same(client: redis.Redis, redis_server: str, protocol: int) -> None:
    wanted = entries(client, 12)
    url = redis_server.replace("/0", "/9")

    async def read() -> tuple[list[Any], set[Any], list[Any]]:
        async with redis.asyncio.Redis.from_url(url, protocol=protocol) as asking:
            rows = lazy.rows(lazy.redis_stream(asking, "fills"), chunk=5)
            got: list[Any] = []
            async for row in rows:
                got.append(row)
                if len(got) == 7:
                    break
            source = lazy.redis_stream(asking, "fills", block_s=0.01)
            got += [row async for row in lazy.rows(source, chunk=5, resume=rows.token)]
            keys = {key async for key in lazy.rows(lazy.redis_scan(asking))}
            last = [row async for row in lazy.rows(lazy.redis_stream(asking, "fills", until="start"))]
            return got, keys, last

    assert asyncio.run(read()) == (wanted, {b"fills"}, wanted)


def test_what_is_no_client_or_no_range_is_refused(client: redis.Redis) -> None:
    with pytest.raises(TypeError, match="expected a client of redis-py, got str"):
        lazy.redis_scan("redis://localhost")  # pyright: ignore[reportArgumentType] - the mistake under test
    with pytest.raises(ValueError, match="until must be 'start' or None"):
        lazy.redis_stream(client, "fills", until="end")  # pyright: ignore[reportArgumentType] - the same
    with pytest.raises(ValueError, match="block_s must not be negative"):
        lazy.redis_stream(client, "fills", block_s=-1)
    rows = lazy.rows(lazy.redis_stream(client, "fills"))
    with pytest.raises(TokenError, match="another source"):
        lazy.rows(lazy.redis_stream(client, "orders"), resume=rows.token)
