"""aiocache: one interface for memory and Redis, for event loops; a plugin counts hits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from benchmarks.data.caches.library import (
    Library,
    Places,
    Reader,
    Run,
    Store,
    Values,
    async_loader_of,
    fill,
    warm,
)
from benchmarks.data.quotes import LIFETIME_S

_module: Any = import_module("aiocache")
_plugins: Any = import_module("aiocache.plugins")


def library() -> Library:
    """Memory without a bound, since it has none; Redis with its JSON."""
    return Library(
        f"aiocache {version('aiocache')}",
        {"await get": _get, "decorated, async": _decorated},
        {"memory": _memory, "Redis": _redis},
        shielded_async=_shielded_async,
    )


def _get(values: Values, run: Run) -> Reader:
    cache = _module.SimpleMemoryCache(ttl=LIFETIME_S, plugins=[_plugins.HitMissRatioPlugin()])
    fill(cache.set, values, run)
    return Reader(cache.get, is_async=True, hits=lambda: _hits(cache))


def _decorated(values: Values, run: Run) -> Reader:
    decorate = _module.cached(ttl=LIFETIME_S, plugins=[_plugins.HitMissRatioPlugin()])
    call = decorate(async_loader_of(values))
    warm(call, values, run)
    return Reader(call, is_async=True, hits=lambda: _hits(call.cache))


def _hits(cache: Any) -> int:
    return getattr(cache, "hit_miss_ratio", {}).get("hits", 0)


def _memory(places: Places) -> Store:
    return _store(_module.SimpleMemoryCache(ttl=LIFETIME_S), places)


def _redis(places: Places) -> Store:
    at = urlsplit(places.url)
    serializer = import_module("aiocache.serializers").JsonSerializer()
    cache = _module.RedisCache(
        endpoint=at.hostname, port=at.port, ttl=LIFETIME_S, namespace="aiocache", serializer=serializer
    )
    return _store(cache, places)


def _store(cache: Any, places: Places) -> Store:
    return Store(cache.get, cache.set, lambda: places.run(cache.close()), is_async=True)


def _shielded_async(loader: Callable[[str], Awaitable[Any]]) -> Callable[[str], Awaitable[Any]]:
    return _module.cached_stampede(ttl=LIFETIME_S, lease=10)(loader)
