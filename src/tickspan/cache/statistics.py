"""What a cache has done since it was made: the figures of its telemetry as values, for people and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tickspan.cache.entry import EvictionReason
from tickspan.cache.measuring import RegionMeasures
from tickspan.cache.memory import MemoryStatistics
from tickspan.cache.region import Region

__all__ = ["CacheStatistics", "RegionStatistics", "TierStatistics", "statistics_of_region"]

_KIB = 1024


@dataclass(frozen=True, slots=True)
class RegionStatistics:
    """One region, in this process."""

    name: str
    memory: MemoryStatistics
    capacity: int
    """Entries in memory at most."""
    loads: Mapping[str, int] = field(default_factory=dict[str, int])
    """By what they were for: miss, eager, warm."""
    failed_loads: int = 0
    load_time_s: float = 0.0
    """Of all loads together."""
    coalesced: int = 0
    """Callers that waited for a load of others."""
    failsafe: int = 0
    """Old values that were given since a load failed."""
    requests: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    """Of the tiers below memory: by level and operation, such as `redis get`, the results."""
    level_times_s: Mapping[str, float] = field(default_factory=dict[str, float])
    """Mean time of a request, by level."""
    invalidations: Mapping[str, int] = field(default_factory=dict[str, int])
    """By source: local, tracking, flush, recovery."""

    @property
    def hit_ratio(self) -> float:
        """Hits in memory of all that asked, from 0 to 1; 0 before the first one."""
        return self.memory.hit_ratio

    @property
    def mean_load_s(self) -> float:
        """Mean time of a load; 0 before the first one."""
        loads = sum(self.loads.values())
        return self.load_time_s / loads if loads else 0.0

    def __repr__(self) -> str:
        evicted = self.memory.evictions.get
        told = [
            f"{self.memory.entries:,} of {self.capacity:,} entries",
            f"{self.memory.size_bytes / _KIB:,.0f} KiB",
            f"{100 * self.hit_ratio:.1f} % hits",
            f"{sum(self.loads.values()):,} loads"
            + (f" ({self.failed_loads:,} failed)" if self.failed_loads else ""),
        ]
        told += [f"{self.failsafe:,} stale"] if self.failsafe else []
        told += [f"{number:,} evicted" for number in (evicted(EvictionReason.CAPACITY, 0),) if number]
        return f"<region {self.name}: {', '.join(told)}>"


@dataclass(frozen=True, slots=True)
class TierStatistics:
    """A tier below memory, which regions share."""

    level: str
    is_available: bool
    breaker: str | None = None
    """closed, probing or open; None for a tier without one."""
    invalidation_lag_s: float | None = None
    """How late the last invalidation arrived; None before the first one."""

    def __repr__(self) -> str:
        return f"<{self.level}: {'available' if self.is_available else 'unavailable'}>"


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """A cache, in this process."""

    namespace: str
    regions: Mapping[str, RegionStatistics]
    tiers: tuple[TierStatistics, ...] = ()

    def __getitem__(self, region: str) -> RegionStatistics:
        """Of one region. Raises `KeyError` for one that there is not."""
        return self.regions[region]

    def __repr__(self) -> str:
        lines = [f"<cache {self.namespace}>", *(f"  {tier!r}" for tier in self.tiers)]
        return "\n".join([*lines, *(f"  {region!r}" for region in self.regions.values())])

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return _plain(self)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, str) else value


def statistics_of_region(region: Region[Any]) -> RegionStatistics:
    """The figures of a region now."""
    memory = region.memory.statistics()
    if not isinstance(region.telemetry, RegionMeasures):
        return RegionStatistics(region.name, memory, region.rules.max_entries)
    counts = region.telemetry.counts()
    requests: dict[str, dict[str, int]] = {}
    for (level, operation, result), number in counts.lower.items():
        requests.setdefault(f"{level} {operation}", {})[result] = number
    return RegionStatistics(
        region.name,
        memory,
        region.rules.max_entries,
        loads={trigger.value: number for trigger, number in counts.loads.items()},
        failed_loads=counts.failed_loads,
        load_time_s=counts.load_time_s,
        coalesced=counts.coalesced,
        failsafe=counts.failsafe,
        requests=requests,
        level_times_s={level: total_s / number for level, (number, total_s) in counts.level_times.items()},
        invalidations={source.value: number for source, number in counts.invalidations.items()},
    )
