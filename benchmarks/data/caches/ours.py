"""tickspan: memory, Redis and disk behind one region, for threads and event loops; it always counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
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
    loader_of,
    warm,
)
from benchmarks.data.quotes import CAPACITY, LIFETIME_S
from benchmarks.pipeline.spans import our_library
from tickspan.cache import Cache, cached
from tickspan.cache.rules import Policy

_REGION = "bench"


def library() -> Library:
    """All of it."""
    return Library(
        our_library(),
        {
            "get": _get,
            "get, counter.add": _with_counter,
            "await get": _await_get,
            "decorated": _decorated,
            "decorated, async": _decorated_async,
            "own copy": _own_copy,
        },
        {
            "memory": lambda places: _store(Cache(), places),
            "memory, blocking": lambda _: _blocking(Cache()),
            "Redis": lambda places: _store(_remote(places), places),
            "Redis, blocking": lambda places: _blocking(_remote(places)),
            "near": lambda places: _store(_remote(places), places, near=True),
            "disk": lambda places: _store(_on_disk(places), places),
            "disk, blocking": lambda places: _blocking(_on_disk(places)),
        },
        replays={
            str(policy): partial(_replay, policy)
            for policy in (Policy.S3FIFO, Policy.LRU, Policy.LFU, Policy.W_TINYLFU, Policy.ADAPTIVE)
        },
        shielded=_shielded,
        shielded_async=_shielded_async,
        shielded_both=_shielded_both,
    )


def _region(cache: Cache, type: Any = None, **rules: Any) -> Any:  # noqa: A002 - the cache's own name
    return cache.region(_REGION, type, ttl_s=LIFETIME_S, max_entries=CAPACITY, **rules)


def _get(values: Values, _run: Run) -> Reader:
    region = _region(Cache(), str)
    fill(region.set_nowait, values)
    return Reader(region.get_nowait, hits=_hits_of(region))


def _with_counter(values: Values, _run: Run) -> Reader:
    """The same, counted a second time by the stock SDK's counter."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    provider = MeterProvider([InMemoryMetricReader()])
    add = provider.get_meter("bench").create_counter("hits").add
    region = _region(Cache(), str)
    fill(region.set_nowait, values)
    get_nowait, attributes = region.get_nowait, {"region": _REGION, "result": "hit"}

    def get(symbol: str) -> Any:
        found = get_nowait(symbol)
        add(1, attributes)
        return found

    return Reader(get, hits=_hits_of(region))


def _await_get(values: Values, run: Run) -> Reader:
    region = _region(Cache(), str)
    fill(region.set, values, run)
    return Reader(region.get, is_async=True, hits=_hits_of(region))


def _decorated(values: Values, _run: Run) -> Reader:
    cache = Cache()
    call = cached(cache, ttl=LIFETIME_S, key_prefix=_REGION)(loader_of(values))
    warm(call, values)
    return Reader(call, hits=lambda: call.cache_info().hits)


def _decorated_async(values: Values, run: Run) -> Reader:
    cache = Cache()
    call: Any = cached(cache, ttl=LIFETIME_S, key_prefix=_REGION)(async_loader_of(values))
    warm(call, values, run)
    return Reader(call, is_async=True, hits=lambda: call.cache_info().hits)


def _own_copy(values: Values, _run: Run) -> Reader:
    region = _region(Cache())
    fill(region.set_nowait, values)
    return Reader(region.get_nowait, hits=_hits_of(region))


def _hits_of(region: Any) -> Callable[[], int]:
    return lambda: region.memory.statistics().hits


def _replay(policy: Policy, capacity: int) -> Callable[[int], bool]:
    region = Cache().region(_REGION, int, ttl_s=LIFETIME_S, max_entries=capacity, policy=policy)
    get_nowait, set_nowait = region.get_nowait, region.set_nowait

    def ask(key: int) -> bool:
        if get_nowait(key) is not None:
            return True
        set_nowait(key, key)
        return False

    return ask


def _remote(places: Places) -> Cache:
    return Cache.from_url(places.url, namespace=_REGION)


def _on_disk(places: Places) -> Cache:
    from tickspan.cache.disk import DiskTier

    return Cache(namespace=_REGION, tiers=[DiskTier(places.folder / "tickspan")])


def _store(cache: Cache, places: Places, *, near: bool = False) -> Store:
    region = _region(cache, near=near)
    return Store(
        region.get,
        region.set,
        lambda: places.run(cache.aclose()),
        is_async=True,
        peek=region.get_nowait,
    )


def _blocking(cache: Cache) -> Store:
    region = _region(cache).sync
    return Store(region.get, region.set, cache.close)


def _shielded(loader: Callable[[str], Any]) -> Callable[[str], Any]:
    return _blocking_call(_region(Cache()), loader)


def _shielded_async(loader: Callable[[str], Awaitable[Any]]) -> Callable[[str], Awaitable[Any]]:
    return _awaited_call(_region(Cache()), loader)


def _shielded_both(
    loader: Callable[[str], Any], async_loader: Callable[[str], Awaitable[Any]]
) -> tuple[Callable[[str], Any], Callable[[str], Awaitable[Any]]]:
    region = _region(Cache())
    return _blocking_call(region, loader), _awaited_call(region, async_loader)


def _blocking_call(region: Any, loader: Callable[[str], Any]) -> Callable[[str], Any]:
    def call(symbol: str) -> Any:
        return region.sync.get_or_load(symbol, lambda: loader(symbol))

    return call


def _awaited_call(region: Any, loader: Callable[[str], Awaitable[Any]]) -> Callable[[str], Awaitable[Any]]:
    async def call(symbol: str) -> Any:
        return await region.get_or_load(symbol, lambda: loader(symbol))

    return call
