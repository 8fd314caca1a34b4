"""dogpile.cache: regions over memory, Redis and files, for threads."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from benchmarks.data.caches.library import Library, Places, Reader, Run, Store, Values, fill, loader_of, warm
from benchmarks.data.quotes import LIFETIME_S

_module: Any = import_module("dogpile.cache")


def library() -> Library:
    """Memory without a bound, since it has none; Redis and a DBM file with its pickles. It does not count."""
    return Library(
        f"dogpile.cache {version('dogpile.cache')}",
        {"get": _get, "decorated": _decorated},
        {
            "memory, blocking": lambda _: _store(_region("memory")),
            "Redis, blocking": _redis,
            "disk, blocking": lambda places: _store(
                _region("dbm", filename=str(places.folder / "dogpile.dbm"))
            ),
        },
        shielded=_shielded,
    )


def _region(kind: str, **arguments: Any) -> Any:
    return _module.make_region().configure(
        f"dogpile.cache.{kind}", expiration_time=LIFETIME_S, arguments=arguments
    )


def _get(values: Values, _run: Run) -> Reader:
    region = _region("memory")
    fill(region.set, values)
    return Reader(region.get)


def _decorated(values: Values, _run: Run) -> Reader:
    call = _region("memory").cache_on_arguments()(loader_of(values))
    warm(call, values)
    return Reader(call)


def _redis(places: Places) -> Store:
    at = urlsplit(places.url)
    return _store(_region("redis", host=at.hostname, port=at.port))


def _store(region: Any) -> Store:
    return Store(region.get, region.set, lambda: None)


def _shielded(loader: Callable[[str], Any]) -> Callable[[str], Any]:
    return _region("memory").cache_on_arguments()(loader)
