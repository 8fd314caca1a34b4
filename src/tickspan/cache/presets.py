"""What a cache is made of, as one value; and the values for three kinds of programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from tickspan.cache.keys import check_name
from tickspan.cache.remote.settings import RemoteSettings
from tickspan.cache.rules import Policy, RegionRules
from tickspan.cache.tiers import LowerTier
from tickspan.config import ProcessCacheSettings, Settings

__all__ = ["CacheSettings", "tiers_of"]

_DAY_S: Final = 86_400.0
_PLAIN_RULES: Final = RegionRules()
_NO_REGIONS: Final[Mapping[str, RegionRules]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Settings of a cache. No secret shows in its `repr`.

    Raises:
        ValueError: a value is out of its range; the text names it.
    """

    url: str | None = field(default=None, repr=False)
    """Of Redis, as `Cache.from_url` takes it; None: no Redis."""
    namespace: str = "tickspan"
    disk: str | Path | None = None
    """Folder of the disk tier; None: no disk."""
    rules: RegionRules = field(default_factory=RegionRules)
    """Of regions that have none of their own."""
    regions: Mapping[str, RegionRules] = field(default_factory=lambda: _NO_REGIONS)
    redis: RemoteSettings = field(default_factory=RemoteSettings)
    """Limits; where Redis is says `url`."""
    compression: bool = True
    keeps_orders: bool = False
    """Store every state of the program's orders in the region `orders`."""

    def __post_init__(self) -> None:
        check_name("namespace", self.namespace)
        for name in self.regions:
            check_name("region", name)
        if self.disk == "":
            raise ValueError("disk: expected a folder, got an empty text")

    def replace(self, **changes: Any) -> CacheSettings:
        """The settings with some of them changed.

        Raises:
            ValueError: as the class.
        """
        return dataclasses.replace(self, **changes)

    @classmethod
    def hft(cls, **changes: Any) -> CacheSettings:
        """For programs to which an old price is worse than none, and waiting worse than both.

        Quotes live 250 ms, and no failure makes an older one be given. Redis has 5 ms; there is no disk.
        """
        quotes = RegionRules(
            ttl_s=0.25,
            hard_ttl_s=0.25,
            max_age_s=0.25,
            jitter=0.0,
            near=False,
            load_soft_timeout_s=0.005,
            load_timeout_s=0.25,
        )
        return cls(
            regions={"quotes": quotes},
            redis=RemoteSettings(timeout_s=0.005, connect_timeout_s=0.05),
        ).replace(**changes)

    @classmethod
    def risk(cls, **changes: Any) -> CacheSettings:
        """For programs that need every figure, if need be yesterday's, and read by turns much and little.

        Values may stand in for a day while what makes them fails. Redis has 250 ms.
        """
        return cls(
            rules=RegionRules(
                policy=Policy.ADAPTIVE, hard_ttl_s=_DAY_S, max_entries=100_000, max_bytes=256 << 20
            ),
            redis=RemoteSettings(timeout_s=0.25),
        ).replace(**changes)

    @classmethod
    def oms(cls, **changes: Any) -> CacheSettings:
        """For programs that share the state of orders: the registry feeds `orders`, which Redis tracks."""
        return cls(regions={"orders": _orders(near=True)}, keeps_orders=True).replace(**changes)

    @classmethod
    def of(cls, settings: Settings) -> CacheSettings:
        """What `cache.*` and `redis.*` say.

        Raises:
            ValueError: a value is out of its range.
        """
        given, redis = settings.cache, settings.redis
        url = given.url or _url_of(settings)
        return cls(
            url=url,
            namespace=given.namespace,
            disk=given.disk,
            rules=RegionRules(
                ttl_s=given.ttl_s,
                hard_ttl_s=given.stale_s or None,
                load_soft_timeout_s=given.load_wait_s,
                load_timeout_s=given.load_timeout_s,
                max_entries=given.max_entries,
                max_bytes=given.max_bytes,
                max_value_bytes=min(_PLAIN_RULES.max_value_bytes, given.max_bytes),
                policy=Policy(given.policy.value),
            ),
            regions=_regions_of(given, has_redis=url is not None),
            redis=RemoteSettings(
                timeout_s=redis.timeout_s,
                connect_timeout_s=redis.connect_timeout_s,
                max_connections=redis.max_connections,
            ),
            compression=given.compression,
            keeps_orders=given.orders,
        )


def _regions_of(given: ProcessCacheSettings, *, has_redis: bool) -> Mapping[str, RegionRules]:
    """The regions whose own rules the settings change."""
    regions: dict[str, RegionRules] = {}
    plain = ProcessCacheSettings()
    if _of_quotes(given) != _of_quotes(plain):
        regions["quotes"] = RegionRules(
            ttl_s=given.quotes_ttl_s,
            hard_ttl_s=given.quotes_ttl_s,
            max_age_s=given.quotes_ttl_s,
            jitter=0.0,
            load_soft_timeout_s=given.load_wait_s,
            load_timeout_s=given.load_timeout_s,
        )
    if given.orders:
        regions["orders"] = _orders(near=has_redis)
    return regions or _NO_REGIONS


def _of_quotes(given: ProcessCacheSettings) -> tuple[float, ...]:
    return given.quotes_ttl_s, given.load_wait_s, given.load_timeout_s


def _orders(*, near: bool) -> RegionRules:
    return RegionRules(ttl_s=_DAY_S, hard_ttl_s=_DAY_S, jitter=0.0, near=near, max_entries=100_000)


def _url_of(settings: Settings) -> str | None:
    redis = settings.redis
    if redis.host is None:
        return None
    login = f":{quote(redis.password, safe='')}@" if redis.password else ""
    host = f"[{redis.host}]" if ":" in redis.host else redis.host
    return f"redis://{login}{host}:{redis.port}/{redis.db}"


def tiers_of(settings: CacheSettings) -> list[LowerTier]:
    """The tiers that settings name, Redis before the disk; nothing is connected yet.

    Raises:
        ValueError: the URL is none of Redis's, or the folder cannot be one.
        ImportError: what a tier needs is not installed; the text names the extra.
    """
    tiers: list[LowerTier] = []
    if settings.url is not None:
        from tickspan.cache.remote.tier import RedisTier  # needs redis and hiredis, which are optional

        tiers.append(RedisTier.from_url(settings.url, settings.redis))
    if settings.disk is not None:
        from tickspan.cache.disk import DiskTier  # sqlite: only where there is a disk tier

        tiers.append(DiskTier(Path(settings.disk).expanduser()))
    return tiers
