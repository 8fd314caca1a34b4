"""cashews: memory, Redis, Redis with client-side caching, disk; for event loops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

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
from benchmarks.data.quotes import CAPACITY, LIFETIME_S

_module: Any = import_module("cashews")


def library() -> Library:
    """Memory with a bound, Redis and disk with its pickles; nothing counts hits of a `get`."""
    return Library(
        f"cashews {version('cashews')}",
        {"await get": _get, "decorated, async": _decorated},
        {
            "memory": lambda places: _store(_cache(places.run, "mem://", size=CAPACITY), places),
            "Redis": lambda places: _store(_cache(places.run, places.url), places),
            "near": lambda places: _store(_cache(places.run, places.url, client_side=True), places),
            "near, RESP2": lambda places: _store(
                _cache(places.run, places.url, client_side=True, protocol=2), places
            ),
            "disk": lambda places: _store(
                _cache(places.run, "disk://", directory=str(places.folder / "cashews")), places
            ),
        },
        shielded_async=_shielded_async,
    )


def _cache(run: Run, url: str, **settings: Any) -> Any:
    cache = _module.Cache()
    cache.setup(url, **settings)
    run(cache.init())
    return cache


def _get(values: Values, run: Run) -> Reader:
    cache = _cache(run, "mem://", size=CAPACITY)
    fill(_expiring(cache), values, run)
    return Reader(cache.get, is_async=True)


def _decorated(values: Values, run: Run) -> Reader:
    cache = _cache(run, "mem://", size=CAPACITY)
    call = cache(ttl=LIFETIME_S, key="{symbol}")(async_loader_of(values))
    warm(call, values, run)
    return Reader(call, is_async=True)


def _expiring(cache: Any) -> Callable[[str, Any], Awaitable[Any]]:
    async def keep(key: str, value: Any) -> None:
        await cache.set(key, value, expire=LIFETIME_S)

    return keep


def _store(cache: Any, places: Places) -> Store:
    return Store(cache.get, _expiring(cache), lambda: places.run(cache.close()), is_async=True)


def _shielded_async(loader: Callable[[str], Awaitable[Any]]) -> Callable[[str], Awaitable[Any]]:
    """Not prepared on any loop: it prepares itself on that of its first caller."""
    cache = _module.Cache()
    cache.setup("mem://", size=CAPACITY)
    return cache(ttl=LIFETIME_S, key="{symbol}", lock=True)(loader)
