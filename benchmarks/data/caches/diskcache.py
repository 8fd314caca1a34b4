"""diskcache: a cache in SQLite files, for threads and processes."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from tempfile import mkdtemp
from typing import Any

from benchmarks.data.caches.library import Library, Places, Store
from benchmarks.data.quotes import LIFETIME_S

_module: Any = import_module("diskcache")


def library() -> Library:
    """With its pickles, and with statistics on."""
    return Library(f"diskcache {version('diskcache')}", stores={"disk, blocking": _disk}, shielded=_shielded)


def _disk(places: Places) -> Store:
    cache = _module.Cache(str(places.folder / "diskcache"), statistics=1)

    def keep(key: str, value: Any) -> None:
        cache.set(key, value, expire=LIFETIME_S)

    return Store(cache.get, keep, cache.close)


def _shielded(loader: Callable[[str], Any]) -> Callable[[str], Any]:
    cache = _module.Cache(mkdtemp(prefix="tickspan-bench-"))
    return _module.memoize_stampede(cache, expire=LIFETIME_S)(loader)
