"""cachetools: caches in memory, in Python; a lock makes them safe for threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

from benchmarks.data.caches.library import Library, Reader, Run, Values, fill, loader_of, warm
from benchmarks.data.quotes import CAPACITY, LIFETIME_S

_module: Any = import_module("cachetools")


def library() -> Library:
    """Bounded caches with lifetimes, behind a lock."""
    return Library(
        f"cachetools {version('cachetools')}",
        {"get": _get, "decorated": _decorated},
        replays={"lru": partial(_replay, "LRUCache"), "lfu": partial(_replay, "LFUCache")},
        shielded=_shielded,
    )


def _cache() -> Any:
    return _module.TTLCache(CAPACITY, LIFETIME_S)


def _get(values: Values, _run: Run) -> Reader:
    cache, lock = _cache(), threading.RLock()
    fill(cache.__setitem__, values)

    def get(symbol: str) -> Any:
        with lock:
            return cache.get(symbol)

    return Reader(get)


def _decorated(values: Values, _run: Run) -> Reader:
    call = _module.cached(_cache(), lock=threading.RLock(), info=True)(loader_of(values))
    warm(call, values)
    return Reader(call, hits=lambda: call.cache_info().hits)


def _shielded(loader: Callable[[str], Any]) -> Callable[[str], Any]:
    return _module.cached(_cache(), condition=threading.Condition(), info=True)(loader)


def _replay(kind: str, capacity: int) -> Callable[[int], bool]:
    cache = getattr(_module, kind)(capacity)

    def ask(key: int) -> bool:
        if cache.get(key) is not None:
            return True
        cache[key] = key
        return False

    return ask
