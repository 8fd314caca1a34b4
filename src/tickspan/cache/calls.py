"""Calls of a cache that are made of those of its regions: warming, states of orders, presets, figures."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

from tickspan.cache import snapshot
from tickspan.cache.driving import in_loop
from tickspan.cache.entry import Key, Level
from tickspan.cache.market import MarketCalls, SyncMarketCalls
from tickspan.cache.measuring import TierMeasures
from tickspan.cache.presets import CacheSettings
from tickspan.cache.region import Region
from tickspan.cache.rules import RegionRules
from tickspan.cache.statistics import CacheStatistics, TierStatistics, statistics_of_region
from tickspan.cache.telling import WarmProgress
from tickspan.cache.tiers import LowerTier
from tickspan.cache.warming import Appointments, KeyLoader, Warmed, Warming, WarmOptions, warm, warm_async

if TYPE_CHECKING:
    from tickspan.cache.orders import CachedOrder

__all__ = ["CacheCalls", "SyncCacheCalls"]

Keys = Iterable[Key] | Callable[[], Iterable[Key]]
"""Keys, or what gives them when they are needed."""

_SNAPSHOT: Final = "hot-keys.json"


class CacheCalls(MarketCalls, ABC):
    """Of a cache, asynchronous where they wait."""

    namespace: str
    tiers: tuple[LowerTier, ...]
    tier_measures: tuple[TierMeasures, ...]
    default: Region[Any]
    _keeper: snapshot.SnapshotKeeper | None = None
    _stop_orders: Callable[[], None] | None = None

    @property
    @abstractmethod
    def regions(self) -> Mapping[str, Region[Any]]:
        """All regions, by name."""

    @property
    @abstractmethod
    def orders(self) -> Region[Any]:
        """How orders stand."""

    @abstractmethod
    def use_rules(self, rules: RegionRules, regions: Mapping[str, RegionRules]) -> None:
        """Go by other rules from now on, as far as regions were not declared with rules of their own."""

    # Warming

    async def warm(
        self, region: Region[Any] | str, keys: Keys, loader: KeyLoader, **options: Unpack[WarmOptions]
    ) -> WarmProgress:
        """Load values before they are asked for. Never evicts another one, and loads none that is there.

        Args:
            region: or its name.
            keys: in the order in which they are loaded.
            loader: makes the value of a key; plain (in worker threads) or asynchronous.
            **options: `rate_per_s`, of loads that are started (200); `deadline_s`, after which none is;
                `priority`, a function of a key, the highest first; `progress`, which is told every five
                seconds and at the end; `ttl_s`.

        Returns:
            What became of the keys. A loader that raises has `failed` and stops nothing.

        Raises:
            ValueError: an option is out of range, or there is no such region.
        """
        return await warm_async(Warming(_region(self, region), _keys(keys), **options), loader)

    def warm_cache(
        self,
        data_fetcher: Callable[[Any], Any],
        keys: Iterable[Key],
        ttl: float | None = None,
        **options: Unpack[WarmOptions],
    ) -> Warmed:
        """Warm the default region; of a function under `@cached`, what that keeps for each key as argument.

        It waits until all is done; inside a running event loop that is for the caller to await.

        Args:
            data_fetcher: makes the value of a key; plain or asynchronous.
            keys: each is loaded once.
            ttl: seconds; by default as the region's or the function's rules say.
            **options: as of `warm`.

        Raises:
            ValueError: as `warm`.
            TypeError: a key has none under `@cached`.
        """
        kept = getattr(data_fetcher, "cache_plan", None)
        region, loader, wanted = (self.default, data_fetcher, keys) if kept is None else kept(keys)
        warming = Warming(region, wanted, **(options | WarmOptions(ttl_s=ttl)))
        if in_loop():
            return Warmed(asyncio.get_running_loop().create_task(warm_async(warming, loader)))
        return Warmed(warm(warming, loader))

    def keep_snapshot(self, path: str | Path | None = None, *, every_s: float = 60.0) -> None:
        """Write every minute, and when the cache is closed, which keys are hot: for `warm_from_snapshot`.

        The file is for its owner only and holds keys, no values.

        Args:
            path: of the file; by default beside the disk tier.
            every_s: seconds.

        Raises:
            ValueError: there is no disk tier, and no path.
        """
        if self._keeper is not None:
            self._keeper.close()
        where = _snapshot_path(self, path)

        def regions() -> Iterable[Region[Any]]:
            return self.regions.values()

        self._keeper = snapshot.SnapshotKeeper(where, regions, every_s=every_s)

    async def warm_from_snapshot(
        self, loaders: Mapping[str, KeyLoader], path: str | Path | None = None, **options: Unpack[WarmOptions]
    ) -> dict[str, WarmProgress]:
        """Warm with the keys that were hot in the last process, hottest first.

        Args:
            loaders: of each region that is to be warmed, by its name.
            path: as `keep_snapshot`.
            **options: as of `warm`, for each region.

        Returns:
            By region, what became of its keys; nothing where there is no snapshot.
        """
        heat = snapshot.read(_snapshot_path(self, path))
        done: dict[str, WarmProgress] = {}
        for name, loader in loaders.items():
            keys = [key for key, _ in heat.get(name, ())]
            if keys:
                done[name] = await self.warm(name, keys, loader, **options)
        return done

    def warm_at(
        self,
        times: Iterable[datetime | float],
        lead_s: float,
        region: Region[Any] | str,
        keys: Keys,
        loader: KeyLoader,
        **options: Unpack[WarmOptions],
    ) -> Appointments:
        """Warm `lead_s` seconds before each of some moments, such as the opens of an exchange.

        It is done by the time of the moment, or it stops then. Inside a running event loop the loads run
        there, else in threads.

        Args:
            times: datetimes with a zone, or seconds since 1970, such as `calendar.openings`.
            lead_s: seconds.
            region: or its name.
            keys: or a function that gives them when it is time.
            loader: as of `warm`.
            **options: as of `warm`.

        Returns:
            What can be cancelled.

        Raises:
            ValueError: as `warm`; `lead_s` is not above 0, or a datetime has no zone.
        """
        chosen = _region(self, region)
        loop = asyncio.get_running_loop() if in_loop() else None

        def begin(left_s: float) -> None:
            warming = Warming(chosen, _keys(keys), **(WarmOptions(deadline_s=left_s) | options))
            if loop is None:
                warm(warming, loader)
            else:
                asyncio.run_coroutine_threadsafe(warm_async(warming, loader), loop)

        return Appointments(times, lead_s, begin)

    # Orders

    def enable_order_status_caching(self) -> None:
        """Keep in the region `orders` how every order of this program stands, from now until `close`.

        Whatever tells of it counts: answers, sockets, polls. A status that is older than what is held, in
        this process or in Redis, changes nothing. `get_cached_order_status` reads it.
        """
        from tickspan.cache import orders  # brings the model of orders: for programs that trade

        if self._stop_orders is None:
            self._stop_orders = orders.keep_orders(self.orders)

    def disable_order_status_caching(self) -> None:
        """Keep no further state of orders; what the region holds stays until it is too old."""
        if self._stop_orders is not None:
            self._stop_orders()
            self._stop_orders = None

    @property
    def keeps_orders(self) -> bool:
        """Whether states of orders are kept."""
        return self._stop_orders is not None

    async def get_cached_order_status(self, venue: str, order_id: str) -> CachedOrder | None:
        """How an order stands, by the venue's or the client's id; None for one that is not known."""
        from tickspan.cache import orders

        return await self.orders.get(orders.order_key(venue, order_id))

    # Rules and figures

    def configure(self, settings: CacheSettings) -> None:
        """Go by other rules from now on: those of a preset, such as `CacheSettings.hft()`.

        What a region was declared with by `region(name, type, rule=…)` stays, and so do the limits of Redis,
        which are chosen when a cache is made. Of a region whose values may be less old than before, what is
        in memory is forgotten.

        Raises:
            ValueError: the settings name another Redis, namespace or disk, or a region would be tracked that
                was not, or was and would not be: that is chosen when a cache is made (`Cache.from_settings`).
        """
        if settings.url is not None or settings.disk is not None:
            raise ValueError("url and disk: chosen when a cache is made, see Cache.from_settings")
        if settings.namespace not in (self.namespace, CacheSettings().namespace):
            raise ValueError(f"namespace: this cache has {self.namespace!r}, see Cache.from_settings")
        self.use_rules(settings.rules, settings.regions)
        if settings.keeps_orders:
            self.enable_order_status_caching()

    def configure_for_hft(self) -> None:
        """As `configure(CacheSettings.hft())`."""
        self.configure(CacheSettings.hft())

    def statistics(self) -> CacheStatistics:
        """All figures of the telemetry, in this process."""
        regions = {name: statistics_of_region(region) for name, region in self.regions.items()}
        tiers = tuple(map(_of_tier, self.tiers, self.tier_measures))
        return CacheStatistics(self.namespace, regions, tiers)

    def _close_calls(self) -> None:
        self.disable_order_status_caching()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None


class SyncCacheCalls(SyncMarketCalls):
    """The same, blocking."""

    def warm(
        self, region: Region[Any] | str, keys: Keys, loader: KeyLoader, **options: Unpack[WarmOptions]
    ) -> WarmProgress:
        """As `CacheCalls.warm`, with a few threads."""
        return warm(Warming(_region(self._cache, region), _keys(keys), **options), loader)

    def warm_from_snapshot(
        self, loaders: Mapping[str, KeyLoader], path: str | Path | None = None, **options: Unpack[WarmOptions]
    ) -> dict[str, WarmProgress]:
        """As `CacheCalls.warm_from_snapshot`."""
        heat = snapshot.read(_snapshot_path(self._cache, path))
        return {
            name: self.warm(name, keys, loader, **options)
            for name, loader in loaders.items()
            if (keys := [key for key, _ in heat.get(name, ())])
        }

    def get_cached_order_status(self, venue: str, order_id: str) -> CachedOrder | None:
        """As `CacheCalls.get_cached_order_status`."""
        from tickspan.cache import orders

        region: Region[Any] = self._cache.orders
        return region.sync.get(orders.order_key(venue, order_id))


def _region(cache: CacheCalls, region: Region[Any] | str) -> Region[Any]:
    if isinstance(region, Region):
        return region
    found = cache.regions.get(region)
    if found is None:
        raise ValueError(f"region: expected one of {', '.join(cache.regions)}, got {region!r}")
    return found


def _keys(keys: Keys) -> Iterable[Key]:
    return keys() if callable(keys) else keys


def _snapshot_path(cache: CacheCalls, path: str | Path | None) -> Path:
    if path is not None:
        return Path(path).expanduser()
    for tier in cache.tiers:
        folder = getattr(tier, "folder", None)
        if tier.level is Level.DISK and folder is not None:
            return Path(folder) / _SNAPSHOT
    raise ValueError("path: expected one, since the cache has no disk tier beside which the file could be")


def _of_tier(tier: LowerTier, measures: TierMeasures) -> TierStatistics:
    return TierStatistics(
        tier.level.value,
        tier.is_available,
        breaker=measures.breaker,
        invalidation_lag_s=measures.lag_s,
    )
