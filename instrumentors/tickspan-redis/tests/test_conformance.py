"""What every instrumentor owes, against a real server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import pytest
import redis
import redis.asyncio
from tickspan.instrumentation import Instrumentor
from tickspan.testing.conformance import Call, InstrumentorConformance
from tickspan_redis import RedisInstrumentor


@pytest.mark.integration
class TestConformance(InstrumentorConformance):
    instrumentor: ClassVar[type[Instrumentor]] = RedisInstrumentor

    @pytest.fixture
    def calls(self, url: str) -> Sequence[Call]:
        return [
            Call("set", _sync(url, _set), _async(url, _set)),
            Call("pipeline", _sync(url, _pipeline), _async(url, _pipeline)),
            Call("transaction", _sync(url, _transaction), _async(url, _transaction)),
            Call("blocking read", _sync(url, _blocking), _async(url, _blocking)),
            Call("wrong type", _sync(url, _wrong), _async(url, _wrong), error=redis.ResponseError),
            # Apart, since asynchronous pipelines of redis-py 6 lose the code of an error.
            Call("wrong type in pipeline", _sync(url, _bad), error=redis.ResponseError),
            Call("in asynchronous pipeline", asynchronous=_async(url, _bad), error=redis.ResponseError),
        ]


def _set(client: Any) -> Any:
    return client.set("key", "value", ex=10)


def _pipeline(client: Any) -> Any:
    return client.pipeline(transaction=False).set("key", 1).incr("key").execute()


def _transaction(client: Any) -> Any:
    return client.pipeline(transaction=True).set("key", 1).set("key", 2).execute()


def _blocking(client: Any) -> Any:
    return client.xread({"stream": "0"}, block=1000)


def _wrong(client: Any) -> Any:
    return client.lpush("text", "x")


def _bad(client: Any) -> Any:
    return client.pipeline(transaction=False).get("key").lpush("text", "x").execute()


def _prepare(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.set("text", "not a list")
        client.delete("stream")
        client.xadd("stream", {"price": "1"}, id="1-1")


def _sync(url: str, call: Callable[[Any], Any]) -> Callable[[], Any]:
    _prepare(url)

    def run() -> Any:
        with redis.Redis.from_url(url) as client:
            return call(client)

    return run


def _async(url: str, call: Callable[[Any], Any]) -> Callable[[], Awaitable[Any]]:
    async def run() -> Any:
        async with redis.asyncio.Redis.from_url(url) as client:
            return await call(client)

    return run
