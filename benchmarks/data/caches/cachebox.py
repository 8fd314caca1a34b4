"""cachebox: caches in memory, in Rust; its decorator counts, its `get` does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

from benchmarks.data.caches.library import (
    Library,
    Reader,
    Run,
    Values,
    async_loader_of,
    fill,
    loader_of,
    warm,
)
from benchmarks.data.quotes import CAPACITY, LIFETIME_S

_module: Any = import_module("cachebox")


def library() -> Library:
    """Bounded caches with lifetimes."""
    return Library(
        f"cachebox {version('cachebox')}",
        {
            "get": _get,
            "decorated": _decorated,
            "decorated, async": _decorated_async,
            "own copy": _own_copy,
        },
        replays={"lru": partial(_replay, "LRUCache"), "lfu": partial(_replay, "LFUCache")},
        shielded=_shielded,
        shielded_async=_shielded_async,
    )


def _cache() -> Any:
    return _module.TTLCache(CAPACITY, LIFETIME_S)


def _get(values: Values, _run: Run) -> Reader:
    cache = _cache()
    fill(cache.insert, values)
    return Reader(cache.get)


def _decorated(values: Values, _run: Run) -> Reader:
    call = _module.cached(_cache())(loader_of(values))
    warm(call, values)
    return Reader(call, hits=lambda: call.cache_info().hits)


def _decorated_async(values: Values, run: Run) -> Reader:
    call = _module.cached(_cache())(async_loader_of(values))
    warm(call, values, run)
    return Reader(call, is_async=True, hits=lambda: call.cache_info().hits)


def _own_copy(values: Values, _run: Run) -> Reader:
    call = _module.cached(_cache(), postprocess=_module.postprocess_deepcopy_mutables)(loader_of(values))
    warm(call, values)
    return Reader(call, hits=lambda: call.cache_info().hits)


def _shielded(loader: Callable[[str], Any]) -> Callable[[str], Any]:
    return _module.cached(_cache())(loader)


def _shielded_async(loader: Callable[[str], Awaitable[Any]]) -> Callable[[str], Awaitable[Any]]:
    return _module.cached(_cache())(loader)


def _replay(kind: str, capacity: int) -> Callable[[int], bool]:
    cache = getattr(_module, kind)(capacity)

    def ask(key: int) -> bool:
        if cache.get(key) is not None:
            return True
        cache[key] = key
        return False

    return ask
