"""The cache: its tiers, its regions, and what they have in common."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from tickspan.cache.behind import Behind
from tickspan.cache.calls import CacheCalls, SyncCacheCalls
from tickspan.cache.clock import Clock
from tickspan.cache.entry import Entry, Key, Level
from tickspan.cache.keys import check_name
from tickspan.cache.measuring import Measures, process_measures
from tickspan.cache.presets import CacheSettings, tiers_of
from tickspan.cache.region import Region, SyncRegion
from tickspan.cache.rules import RegionRules
from tickspan.cache.tiers import LowerTier
from tickspan.instrumentation.forks import renew_after_fork

if TYPE_CHECKING:
    from tickspan.cache.remote.mux import Mux
    from tickspan.cache.remote.settings import RemoteSettings
    from tickspan.cache.sessions import SessionStore

__all__ = ["Cache", "SyncCache"]

T = TypeVar("T")
_Type = type

_RULES: Final = tuple(field.name for field in dataclasses.fields(RegionRules))
_QUOTES_TTL_S: Final = 1.0
_READY_S: Final = 2.0


class Cache(CacheCalls):
    """Regions over memory, and over Redis and a disk where they are given.

    Three regions are there from the start, as attributes: `default`; `orders`, kept near where there is
    Redis; `quotes`, whose values are a miss once they are older than their `ttl_s`, whatever has failed.
    `cache.get`, `set` and the other calls are those of `default`.

    Args:
        namespace: the first part of all names in Redis and on the disk: 1 to 64 letters, digits, `_.-`.
        tiers: below memory; Redis before the disk.
        rules: of the default region, and of regions that are declared without rules.
        regions: rules of regions by name; for `quotes` and `orders` they take the place of their own.
        compress: whether large values are compressed.
        clock: tells the time.
        random: spreads lifetimes.
        measures: tell what happens; by default those of the process.

    Raises:
        ValueError: a name, a rule, or the order of tiers is not as said.
        ImportError: msgspec is not installed (`tickspan[cache]`).
    """

    def __init__(
        self,
        *,
        namespace: str = "tickspan",
        tiers: Sequence[LowerTier] = (),
        rules: RegionRules | None = None,
        regions: Mapping[str, RegionRules] | None = None,
        compress: bool = True,
        clock: Clock | None = None,
        random: Random | None = None,
        measures: Measures | None = None,
    ) -> None:
        levels = [tier.level for tier in tiers]
        if levels not in ([], [Level.REDIS], [Level.DISK], [Level.REDIS, Level.DISK]):
            raise ValueError(f"tiers: expected Redis, a disk, or both in this order, got {levels}")
        self.namespace = check_name("namespace", namespace)
        self.tiers = tuple(tiers)
        self._measures = process_measures() if measures is None else measures
        self.tier_measures = tuple(self._measures.tier(namespace, tier) for tier in self.tiers)
        """What is told of each tier."""
        self._rules = RegionRules() if rules is None else rules
        for name in regions or ():
            check_name("region", name)
        self._declared = {**_own_rules(has_redis=Level.REDIS in levels), **(regions or {})}
        self._given: dict[str, Mapping[str, Any]] = {}
        """Rules that declarations of regions name."""
        self._compress = compress
        self._clock = Clock() if clock is None else clock
        self._random = Random() if random is None else random  # noqa: S311 - spreads lifetimes, is no secret
        self._behind = Behind()
        self._regions: dict[str, Region[Any]] = {}
        self._lock = threading.RLock()
        self._is_closed = False
        self._sessions: SessionStore | None = None
        renew_after_fork(self)
        self.default: Region[Any] = self.region("default")
        """The region of `cache.get` and its like."""
        self.quotes: Region[Any] = self.region("quotes")
        """Prices: never older than their `ttl_s`."""
        self.sync = SyncCache(self)
        """The same regions, blocking: `cache.sync.quotes.get(...)`."""

    def __repr__(self) -> str:
        levels = ", ".join(["memory", *(tier.level for tier in self.tiers)])
        entries = sum(len(region.memory) for region in self.regions.values())
        return f"<Cache {self.namespace}: {levels}; {len(self._regions)} regions, {entries} entries>"

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        namespace: str = "tickspan",
        disk: str | Path | None = None,
        rules: RegionRules | None = None,
        regions: Mapping[str, RegionRules] | None = None,
        settings: RemoteSettings | None = None,
        compress: bool = True,
    ) -> Cache:
        """A cache over the Redis at `url`, and over a file on a local disk where one is named.

        Nothing is connected yet, and a server that is not there raises nothing: see `ready`.

        Raises:
            ValueError: as the class, or the URL is none of Redis.
            ImportError: redis, hiredis or msgspec is not installed (`tickspan[cache]`).
        """
        given = CacheSettings(url=url, disk=disk)
        tiers = tiers_of(given if settings is None else given.replace(redis=settings))
        return cls(namespace=namespace, tiers=tiers, rules=rules, regions=regions, compress=compress)

    @classmethod
    def from_settings(cls, settings: CacheSettings) -> Cache:
        """A cache as one value describes it, such as `CacheSettings.hft(url=…)`. Connects as `from_url` does.

        Raises:
            ValueError: as the class.
            ImportError: what a tier needs is not installed (`tickspan[cache]`).
        """
        made = cls(
            namespace=settings.namespace,
            tiers=tiers_of(settings),
            rules=settings.rules,
            regions=settings.regions,
            compress=settings.compression,
        )
        if settings.keeps_orders:
            made.enable_order_status_caching()
        return made

    @overload
    def region(self, name: str, type: None = None, **rules: Any) -> Region[Any]: ...
    @overload
    def region(self, name: str, type: _Type[T], **rules: Any) -> Region[T]: ...
    @overload
    def region(self, name: str, type: Any, **rules: Any) -> Region[Any]: ...
    def region(self, name: str, type: Any = None, **rules: Any) -> Region[Any]:  # noqa: A002 - the word for it
        """The region of a name, declared by the first call: type, and rules by name (`RegionRules`).

        Later calls give the same one. They may leave out type and rules; what they say must agree.

        Raises:
            ValueError: the name is none, a rule is out of range, or an earlier declaration says otherwise.
            TypeError: msgspec does not know the type, or a rule has an unknown name.
        """
        check_name("region", name)
        unknown = rules.keys() - _RULES
        if unknown:
            raise TypeError(f"region {name}: there is no rule {min(unknown)!r}; rules: {', '.join(_RULES)}")
        with self._lock:
            there = self._regions.get(name)
            if there is not None:
                return _agreeing(there, type, rules)
            declared = self._declared.get(name, self._rules).replace(**rules)
            region = Region[Any](
                name,
                type,
                declared,
                namespace=self.namespace,
                tiers=self.tiers,
                behind=self._behind,
                clock=self._clock,
                random=self._random,
                compress=self._compress,
            )
            region.telemetry = self._measures.region(name, region.memory, lambda: region.rules)
            self._given[name] = rules
            self._regions[name] = region
            return region

    def use_rules(self, rules: RegionRules, regions: Mapping[str, RegionRules]) -> None:
        """As `CacheCalls` says; `quotes` and `orders` keep their own unless `regions` names them.

        Raises:
            ValueError: as `Region.use_rules`; then nothing has changed.
        """
        with self._lock:
            has_redis = any(tier.level is Level.REDIS for tier in self.tiers)
            declared = {**_own_rules(has_redis=has_redis), **regions}
            changes = {name: declared.get(name, rules).replace(**self._given[name]) for name in self._regions}
            for name, changed in changes.items():
                self._regions[name].check_rules(changed)
            for name, changed in changes.items():
                self._regions[name].use_rules(changed)
            self._rules, self._declared = rules, declared

    @property
    def rules_used(self) -> tuple[RegionRules, Mapping[str, RegionRules]]:
        """As `use_rules` takes them: of all regions, and of some by name."""
        return self._rules, self._declared

    def __getattr__(self, name: str) -> Region[Any]:
        regions = self.__dict__.get("_regions", {})
        if name in regions:
            return regions[name]
        raise AttributeError(f"cache has no region or attribute {name!r}; regions: {', '.join(regions)}")

    @property
    def regions(self) -> Mapping[str, Region[Any]]:
        """All regions, by name."""
        return dict(self._regions)

    def __iter__(self) -> Iterator[Region[Any]]:
        return iter(tuple(self._regions.values()))

    @property
    def orders(self) -> Region[Any]:
        """How orders stand: `CachedOrder`s, unless the program has declared another type before."""
        there = self._regions.get("orders")
        if there is not None:
            return there
        from tickspan.cache.orders import CachedOrder  # brings in the trading layer, which few programs need

        return self.region("orders", CachedOrder)

    @property
    def sessions(self) -> SessionStore:
        """Logins of users, with the limits that `SessionStore` has by default; made when first asked for."""
        from tickspan.cache.sessions import SessionStore  # few programs need it

        with self._lock:
            if self._sessions is None:
                self._sessions = SessionStore(self)
            return self._sessions

    # The default region's calls

    async def get(self, key: Key, default: Any = None) -> Any:
        """As `Region.get`, of the default region."""
        return await self.default.get(key, default)

    async def get_many(self, keys: Iterable[Key]) -> dict[Key, Any]:
        """As `Region.get_many`, of the default region."""
        return await self.default.get_many(keys)

    async def get_entry(self, key: Key) -> Entry[Any] | None:
        """As `Region.get_entry`, of the default region."""
        return await self.default.get_entry(key)

    async def set(self, key: Key, value: Any, ttl: float | None = None, **terms: Any) -> bool:
        """As `Region.set`, of the default region; `ttl` in seconds."""
        return await self.default.set(key, value, ttl_s=terms.pop("ttl_s", ttl), **terms)

    async def get_or_load(self, key: Key, loader: Any, ttl: float | None = None, **terms: Any) -> Any:
        """As `Region.get_or_load`, of the default region; `ttl` in seconds."""
        return await self.default.get_or_load(key, loader, ttl_s=terms.pop("ttl_s", ttl), **terms)

    def get_nowait(self, key: Key, default: Any = None) -> Any:
        """As `Region.get_nowait`, of the default region."""
        return self.default.get_nowait(key, default)

    def set_nowait(self, key: Key, value: Any, ttl: float | None = None, **terms: Any) -> bool:
        """As `Region.set_nowait`, of the default region; `ttl` in seconds."""
        return self.default.set_nowait(key, value, ttl_s=terms.pop("ttl_s", ttl), **terms)

    async def invalidate(self, key: Key) -> None:
        """As `Region.invalidate`, of the default region."""
        await self.default.invalidate(key)

    async def invalidate_tag(self, tag: str) -> None:
        """As `Region.invalidate_tag`, of the default region."""
        await self.default.invalidate_tag(tag)

    async def invalidate_prefix(self, prefix: str | tuple[str | int, ...]) -> int:
        """As `Region.invalidate_prefix`, of the default region."""
        return await self.default.invalidate_prefix(prefix)

    async def clear(self) -> None:
        """Forget everything in every region."""
        for region in self.regions.values():
            await region.clear()

    @property
    def mux(self) -> Mux:
        """Redis for commands of one's own: what many tasks ask in a turn of their loop goes out in one write.

        Raises:
            ValueError: the cache has no Redis, or a cluster, which one connection cannot serve.
        """
        for tier in self.tiers:
            found: Mux | None = getattr(tier, "mux", None)
            if found is not None:
                return found
        raise ValueError("cache: there is no Redis to send commands to; see Cache.from_url")

    # State

    async def ready(self, deadline_s: float = _READY_S) -> bool:
        """Wait until every tier can be used, at most so long; whether each can."""
        ready = [await _ready(tier, deadline_s) for tier in self.tiers]
        return all(ready)

    def close(self) -> None:
        """Write what waits, as far as a second allows, and give everything back. Idempotent."""
        if self._end():
            self._behind.close()
            if self._sessions is not None:
                self._sessions.close()
            for tier in self.tiers:
                tier.close()

    async def aclose(self) -> None:
        """As `close`, without blocking the event loop, whose connections are closed when it returns."""
        if self._end():
            await asyncio.to_thread(self._behind.close)
            if self._sessions is not None:
                await asyncio.to_thread(self._sessions.close)
            for tier in self.tiers:
                aclose = getattr(tier, "aclose", None)
                await (asyncio.to_thread(tier.close) if aclose is None else aclose())

    def _end(self) -> bool:
        """Whether the cache was open; then it takes no part in the program's doings any more."""
        with self._lock:
            was_open, self._is_closed = not self._is_closed, True
        if was_open:
            self._close_calls()
        return was_open

    def drain(self, deadline_s: float = 1.0) -> bool:
        """Wait until what `set_nowait` left behind is written, at most so long; whether it is."""
        return self._behind.drain(deadline_s)

    def after_fork_in_child(self) -> None:
        """The parent's lock may be held by a thread that is not here."""
        self._lock = threading.RLock()


class SyncCache(SyncCacheCalls):
    """A cache's regions, blocking, as attributes."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def __repr__(self) -> str:
        return f"<SyncCache of {self._cache!r}>"

    def __getattr__(self, name: str) -> SyncRegion[Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "orders":
            return self._cache.orders.sync  # made when it is first asked for
        region = self._cache.regions.get(name)
        if region is None:
            known = ", ".join(self._cache.regions)
            raise AttributeError(f"cache has no region {name!r}; regions: {known}")
        return region.sync

    def get(self, key: Key, default: Any = None) -> Any:
        """As `SyncRegion.get`, of the default region."""
        return self._cache.default.sync.get(key, default)

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Any]:
        """As `SyncRegion.get_many`, of the default region."""
        return self._cache.default.sync.get_many(keys)

    def get_entry(self, key: Key) -> Entry[Any] | None:
        """As `SyncRegion.get_entry`, of the default region."""
        return self._cache.default.sync.get_entry(key)

    def set(self, key: Key, value: Any, ttl: float | None = None, **terms: Any) -> bool:
        """As `SyncRegion.set`, of the default region; `ttl` in seconds."""
        return self._cache.default.sync.set(key, value, ttl_s=terms.pop("ttl_s", ttl), **terms)

    def get_or_load(self, key: Key, loader: Any, ttl: float | None = None, **terms: Any) -> Any:
        """As `SyncRegion.get_or_load`, of the default region; `ttl` in seconds."""
        sync = self._cache.default.sync
        return sync.get_or_load(key, loader, ttl_s=terms.pop("ttl_s", ttl), **terms)

    def get_nowait(self, key: Key, default: Any = None) -> Any:
        """As `Cache.get_nowait`."""
        return self._cache.get_nowait(key, default)

    def set_nowait(self, key: Key, value: Any, ttl: float | None = None, **terms: Any) -> bool:
        """As `Cache.set_nowait`."""
        return self._cache.set_nowait(key, value, ttl, **terms)

    def invalidate(self, key: Key) -> None:
        """As `SyncRegion.invalidate`, of the default region."""
        self._cache.default.sync.invalidate(key)

    def invalidate_tag(self, tag: str) -> None:
        """As `SyncRegion.invalidate_tag`, of the default region."""
        self._cache.default.sync.invalidate_tag(tag)

    def invalidate_prefix(self, prefix: str | tuple[str | int, ...]) -> int:
        """As `SyncRegion.invalidate_prefix`, of the default region."""
        return self._cache.default.sync.invalidate_prefix(prefix)

    def clear(self) -> None:
        """Forget everything in every region."""
        for region in self._cache.regions.values():
            region.sync.clear()


def _own_rules(*, has_redis: bool) -> dict[str, RegionRules]:
    return {
        "quotes": RegionRules(
            ttl_s=_QUOTES_TTL_S, hard_ttl_s=_QUOTES_TTL_S, max_age_s=_QUOTES_TTL_S, jitter=0.0
        ),
        "orders": RegionRules(near=has_redis),
    }


def _agreeing(region: Region[Any], type_: Any, rules: Mapping[str, Any]) -> Region[Any]:
    """Raises `ValueError` where a later declaration says otherwise."""
    if type_ is not None and type_ != region.type:
        raise ValueError(f"region {region.name}: declared with type {region.type!r} before, now {type_!r}")
    for name, value in rules.items():
        if getattr(region.rules, name) != value:
            there = getattr(region.rules, name)
            raise ValueError(f"region {region.name}: declared with {name} {there!r} before, now {value!r}")
    return region


async def _ready(tier: LowerTier, deadline_s: float) -> bool:
    ready = getattr(tier, "ready", None)
    if ready is not None:
        return bool(await ready(deadline_s))
    return tier.is_available
