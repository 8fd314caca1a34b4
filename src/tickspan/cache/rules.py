"""The rules of a region: how long values live, how many, who leaves first, and what a failure gives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

__all__ = ["Flight", "Isolation", "Policy", "RegionRules"]

_MIB: Final = 1024 * 1024


class Policy(StrEnum):
    """Who leaves a full memory tier first."""

    S3FIFO = "s3fifo"
    """Who came once and was not asked for again; hits take no lock (SOSP 2023)."""
    LRU = "lru"
    """Who was not asked for the longest."""
    LFU = "lfu"
    """Who was asked for least, counts growing old."""
    TTL = "ttl"
    """Who expires first."""
    W_TINYLFU = "wtinylfu"
    """Newcomers stay if they are used more than whom they displace (TOS 2017)."""
    ADAPTIVE = "adaptive"
    """Whichever of LRU, S3-FIFO and W-TinyLFU would hit most, by a sample of the keys."""


class Isolation(StrEnum):
    """Whether callers share the object in memory."""

    AUTO = "auto"
    """Immutable values are shared, others are decoded for each hit: no caller can alter the cache."""
    SHARED = "shared"
    """All callers get one object, which they must not alter."""
    DECODED = "decoded"
    """Each hit gets an object of its own."""


class Flight(StrEnum):
    """Among whom one load serves all."""

    PROCESS = "process"
    """Threads, tasks and event loops of one process."""
    FLEET = "fleet"
    """Also other processes, by a claim in Redis; as `PROCESS` where there is none."""


@dataclass(frozen=True, slots=True)
class RegionRules:
    """Rules of one region; times in seconds.

    Raises:
        ValueError: a rule is out of its range or contradicts another one.
    """

    ttl_s: float = 300.0
    """Soft expiry: an older value is loaded anew."""
    hard_ttl_s: float | None = None
    """Until when fail-safe may serve it; ten times `ttl_s` by default."""
    jitter: float = 0.1
    """Share of `ttl_s` by which lifetimes vary, so that keys of one minute do not expire in one."""
    max_age_s: float | None = None
    """Staleness guard, stronger than every other rule: an older value is a miss, whatever has failed.

    Age counts from `as_of`, the time of the event, where it is given. A value from the future by more than a
    second is a miss too.
    """
    early_refresh: float = 1.0
    """XFetch's beta (VLDB 2015): how eagerly a value is refreshed before it expires; 0 is never."""
    load_soft_timeout_s: float = 0.1
    """How long a caller waits for a load when there is an older value to give."""
    load_timeout_s: float = 5.0
    """How long a load may take before those who wait for it load themselves."""
    failsafe_throttle_s: float = 1.0
    """How long an old value stands in after a failed load before the next try."""
    negative_ttl_s: float = 0.0
    """How long "there is no such thing" (a loader's `ABSENT`) is remembered; 0 is not at all."""
    max_entries: int = 10_000
    max_bytes: int = 64 * _MIB
    """Of values in memory, as their encoded size, or an estimate for those that are not encoded."""
    max_value_bytes: int = _MIB
    """A larger value is returned but not stored."""
    policy: Policy = Policy.S3FIFO
    near: bool = False
    """Keep in memory what Redis holds, with invalidations from the server (client-side caching)."""
    untracked_ttl_s: float = 1.0
    """How long memory answers alone where other processes may have changed what Redis holds and nobody tells.

    That is: in a region with Redis that is not `near`, and in a near one while tracking is lost. Then Redis
    is asked again. A price in such a region is at most this much behind another process's `set`.
    """
    isolate: Isolation = Isolation.AUTO
    flight: Flight = Flight.FLEET
    remote: bool = True
    """Use Redis, where the cache has one."""
    disk: bool = True
    """Use the disk, where the cache has one."""

    def __post_init__(self) -> None:
        for name, kind in _CHOICES.items():
            object.__setattr__(self, name, _chosen(name, kind, getattr(self, name)))
        for name, problem in self._problems():
            raise ValueError(f"rule {name}: {problem}")

    @property
    def hard_s(self) -> float:
        """`hard_ttl_s`, or its default."""
        return 10 * self.ttl_s if self.hard_ttl_s is None else self.hard_ttl_s

    def replace(self, **changes: Any) -> RegionRules:
        """The rules with some of them changed.

        Raises:
            ValueError: as the class.
        """
        return dataclasses.replace(self, **changes)

    def _problems(self) -> list[tuple[str, str]]:
        problems = [
            (name, f"expected a number of seconds above 0, got {value!r}")
            for name, value in (
                ("ttl_s", self.ttl_s),
                ("hard_ttl_s", self.hard_s),
                ("load_timeout_s", self.load_timeout_s),
                ("untracked_ttl_s", self.untracked_ttl_s),
                ("max_age_s", 1.0 if self.max_age_s is None else self.max_age_s),
            )
            if not _is_above_zero(value)
        ]
        problems += [
            (name, f"expected 0 or more, got {value!r}")
            for name, value in (
                ("early_refresh", self.early_refresh),
                ("load_soft_timeout_s", self.load_soft_timeout_s),
                ("failsafe_throttle_s", self.failsafe_throttle_s),
                ("negative_ttl_s", self.negative_ttl_s),
            )
            if not (_is_finite(value) and value >= 0)
        ]
        problems += [
            (name, f"expected a whole number, 1 or more, got {value!r}")
            for name, value in (
                ("max_entries", self.max_entries),
                ("max_bytes", self.max_bytes),
                ("max_value_bytes", self.max_value_bytes),
            )
            if not _is_whole(value) or value < 1
        ]
        problems += [
            (name, f"expected True or False, got {value!r}")
            for name, value in (("near", self.near), ("remote", self.remote), ("disk", self.disk))
            if not _is_bool(value)
        ]
        if not (_is_finite(self.jitter) and 0 <= self.jitter < 1):
            problems.append(("jitter", f"expected a share from 0 to below 1, got {self.jitter!r}"))
        if problems:
            return problems  # what follows compares rules that make sense by themselves
        if self.hard_ttl_s is not None and self.hard_ttl_s < self.ttl_s:
            problems.append(
                ("hard_ttl_s", f"expected at least ttl_s ({self.ttl_s:g}), got {self.hard_ttl_s:g}")
            )
        if self.load_soft_timeout_s > self.load_timeout_s:
            problems.append(
                ("load_soft_timeout_s", f"expected at most load_timeout_s ({self.load_timeout_s:g})")
            )
        if self.max_value_bytes > self.max_bytes:
            problems.append(("max_value_bytes", f"expected at most max_bytes ({self.max_bytes})"))
        return problems


_CHOICES: Final[Mapping[str, type[StrEnum]]] = {"policy": Policy, "isolate": Isolation, "flight": Flight}


def _chosen(name: str, kind: type[StrEnum], given: str) -> StrEnum:
    """Words will do too, as settings have them."""
    try:
        return kind(given)
    except ValueError:
        raise ValueError(f"rule {name}: expected one of {', '.join(kind)}, got {given!r}") from None


def _is_above_zero(value: Any) -> bool:
    return _is_finite(value) and value > 0


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except TypeError:
        return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, int)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)
