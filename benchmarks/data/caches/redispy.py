"""redis-py, which is no cache: one command for each call, the values as JSON."""

from __future__ import annotations

import json
from importlib import import_module
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from benchmarks.data.caches.library import Library, Places, Store
from benchmarks.data.quotes import LIFETIME_S


def library() -> Library:
    """GET and SET, with hiredis. A client that is made from a URL does not try again, another one does."""
    return Library(
        f"redis-py {version('redis')}, hiredis {version('hiredis')}",
        stores={
            "Redis": _awaited,
            "Redis, blocking": lambda places: _blocking(_client(places.url)),
            "Redis, blocking, from_url": lambda places: _blocking(_module().Redis.from_url(places.url)),
            "near, blocking": _near,
            "near, blocking, version not asked": _near_anyway,
        },
    )


def _module() -> Any:
    return import_module("redis")


def _client(url: str, module: str = "redis", **settings: Any) -> Any:
    at = urlsplit(url)
    made: Any = import_module(module).Redis(host=at.hostname, port=at.port, **settings)
    return made


def _blocking(client: Any) -> Store:
    def get(key: str) -> Any:
        return json.loads(client.get(key))

    def keep(key: str, value: Any) -> None:
        client.set(key, json.dumps(value), ex=LIFETIME_S)

    return Store(get, keep, client.close)


def _awaited(places: Places) -> Store:
    client = _client(places.url, "redis.asyncio")

    async def get(key: str) -> Any:
        return json.loads(await client.get(key))

    async def keep(key: str, value: Any) -> None:
        await client.set(key, json.dumps(value), ex=LIFETIME_S)

    return Store(get, keep, lambda: places.run(client.aclose()), is_async=True)


def _near(places: Places) -> Store:
    """Its client-side caching, as documented."""
    cache_config: Any = import_module("redis.cache").CacheConfig
    return _blocking(_client(places.url, protocol=3, cache_config=cache_config()))


def _near_anyway(places: Places) -> Store:
    """The same with a server that is older than it wants, but has what it uses."""
    proxy: Any = import_module("redis.connection").CacheProxyConnection
    proxy.MIN_ALLOWED_VERSION = "6.0.0"
    return _near(places)
