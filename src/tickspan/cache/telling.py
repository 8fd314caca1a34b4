"""What a region tells of itself: the one seam between the cache and its telemetry."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from tickspan.cache.entry import Level

__all__ = [
    "SILENT",
    "InvalidationSource",
    "LoadTrigger",
    "Operation",
    "RegionTelemetry",
    "Result",
    "WarmOutcome",
    "WarmProgress",
]


class LoadTrigger(StrEnum):
    """Why a value is loaded."""

    MISS = "miss"
    EAGER = "eager"
    """Before it expires, by `early_refresh`, or behind a stale answer."""
    WARM = "warm"


class Operation(StrEnum):
    """What a tier below memory was asked for."""

    GET = "get"
    SET = "set"
    INVALIDATE = "invalidate"


class Result(StrEnum):
    """What became of a request to a tier."""

    HIT = "hit"
    MISS = "miss"
    STALE = "stale"
    NEGATIVE = "negative"
    BYPASS = "bypass"
    """It was not tried: an open breaker, or a blocking call inside a running event loop."""
    ERROR = "error"
    """The tier could not answer, or what it held could not be read."""
    STORED = "stored"
    """Of writes and invalidations: done."""
    REFUSED = "refused"
    """Of writes: what is there is newer, or was invalidated meanwhile."""


class InvalidationSource(StrEnum):
    """Who made values void."""

    LOCAL = "local"
    """A call of this process: a key, a tag, a prefix, `clear`."""
    TRACKING = "tracking"
    """Redis told that a key has changed elsewhere."""
    FLUSH = "flush"
    """Redis told, or an outage of the tracker means, that anything may have changed."""
    RECOVERY = "recovery"
    """Written while Redis could not be reached, made void there once it was back."""


class WarmOutcome(StrEnum):
    """How a warming ended."""

    COMPLETE = "complete"
    """Every key was loaded, was there, or failed."""
    DEADLINE = "deadline"
    """The time was over."""
    FULL = "full"
    """The next value might have evicted another one."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class WarmProgress:
    """How far a warming is."""

    region: str
    planned: int
    """Keys that were asked for."""
    loaded: int = 0
    present: int = 0
    """Keys that were there already, in memory or below."""
    failed: int = 0
    """Keys whose loader raised, or whose value could not be held."""
    elapsed_s: float = 0.0
    outcome: WarmOutcome | None = None
    """None while it goes on."""

    @property
    def left(self) -> int:
        """Keys that were not looked at, or are being loaded."""
        return self.planned - self.loaded - self.present - self.failed


class RegionTelemetry(Protocol):
    """Hears what happens in one region. Safe for any thread and task; no method raises or waits.

    Hits, misses and evictions of memory are not told: they are counted by the memory tier and read from its
    statistics.
    """

    def load_started(self, trigger: LoadTrigger) -> Any:
        """A loader is about to run, in this thread or task; returns the token for `load_ended`.

        The span of the load is current until `load_ended`, which the same thread or task calls.
        """
        ...

    def load_ended(self, token: Any, error: BaseException | None = None) -> None:
        """The loader has returned, or raised `error`."""
        ...

    def coalesced(self) -> None:
        """A caller waits for a load that is under way."""
        ...

    def failsafe(self, error: BaseException | None = None) -> None:
        """A stale value was given since a load failed with `error`, or took too long (None)."""
        ...

    def level_timed(self, level: Level, seconds: float) -> None:
        """A request at a level took so long."""
        ...

    def lower_request(self, level: Level, operation: Operation, result: Result, count: int = 1) -> None:
        """A tier below memory was asked for `count` keys, which had this result."""
        ...

    def invalidation(self, source: InvalidationSource, count: int = 1) -> None:
        """Values were made void; a tag, a prefix or a flush counts as one."""
        ...

    def found(self, result: Result) -> None:
        """What a caller got whom `get_nowait` gave nothing, for the tally of its trace.

        A hit of a lower tier, a stale value, a miss (also when the loader then gave a value). Hits of
        `get_nowait` are tallied by itself; who asks it alone and gets nothing is not.
        """
        ...

    def policy_changed(self, previous: str, new: str) -> None:
        """`adaptive` has chosen another policy for memory."""
        ...

    def warmed(self, progress: WarmProgress) -> None:
        """A warming of the region has come so far, or has ended."""
        ...


class _Silent:
    __slots__ = ()

    def __repr__(self) -> str:
        return "<RegionTelemetry, silent>"

    def load_started(self, trigger: LoadTrigger) -> Any:
        del trigger

    def load_ended(self, token: Any, error: BaseException | None = None) -> None:
        pass

    def coalesced(self) -> None:
        pass

    def failsafe(self, error: BaseException | None = None) -> None:
        pass

    def level_timed(self, level: Level, seconds: float) -> None:
        pass

    def lower_request(self, level: Level, operation: Operation, result: Result, count: int = 1) -> None:
        pass

    def invalidation(self, source: InvalidationSource, count: int = 1) -> None:
        pass

    def found(self, result: Result) -> None:
        pass

    def policy_changed(self, previous: str, new: str) -> None:
        pass

    def warmed(self, progress: WarmProgress) -> None:
        pass


SILENT: Final[RegionTelemetry] = _Silent()
"""Tells nobody."""
