"""libCacheSim, which caches nothing: policies in C, a second opinion on hit ratios."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final

from benchmarks.data.caches.library import Library

_POLICIES: Final = {"s3fifo": "S3FIFO", "lru": "LRU", "lfu": "LFU", "w-tinylfu": "WTinyLFU"}
_HASH_BITS: Final = 18

_module: Any = import_module("libcachesim")


def library() -> Library:
    """Policies with their own defaults."""
    return Library(
        f"libcachesim {version('libcachesim')}",
        replays={name: partial(_replay, kind) for name, kind in _POLICIES.items()},
    )


def _replay(kind: str, capacity: int) -> Callable[[int], bool]:
    cache = getattr(_module, kind)(cache_size=capacity, hashpower=_HASH_BITS)
    request = _module.Request()
    request.obj_size = 1

    def ask(key: int) -> bool:
        request.obj_id = key + 1  # 0 is no id there
        return bool(cache.get(request))

    return ask
