"""A cache in several tiers: memory, Redis, disk; one load for all who ask, no stale price served as fresh."""

from __future__ import annotations

from tickspan.cache.cache import Cache
from tickspan.cache.decorator import CachedFunction, CacheInfo, cached
from tickspan.cache.entry import ABSENT, Absent, Entry, EvictionReason, Key, Level
from tickspan.cache.presets import CacheSettings
from tickspan.cache.region import Loader, Region, SyncRegion
from tickspan.cache.rules import Flight, Isolation, Policy, RegionRules
from tickspan.cache.shared import get_cache, get_sessions, use_cache
from tickspan.cache.statistics import CacheStatistics, RegionStatistics, TierStatistics
from tickspan.cache.telling import WarmOutcome, WarmProgress

__all__ = [
    "ABSENT",
    "Absent",
    "Cache",
    "CacheInfo",
    "CacheSettings",
    "CacheStatistics",
    "CachedFunction",
    "Entry",
    "EvictionReason",
    "Flight",
    "Isolation",
    "Key",
    "Level",
    "Loader",
    "Policy",
    "Region",
    "RegionRules",
    "RegionStatistics",
    "SyncRegion",
    "TierStatistics",
    "WarmOutcome",
    "WarmProgress",
    "cached",
    "get_cache",
    "get_sessions",
    "use_cache",
]
