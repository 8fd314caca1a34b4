"""Whether a process leaks, and in which layer: the growth of all that is known of its memory, put together.

The best series is the live set: the interpreter's blocks soon after a full collection. What is resident
without a file shows what C libraries keep. Files that are mapped are no leak. It runs in the agent, over
metrics that pass, and in a process that has none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from tickspan.analysis.growth import BUCKETS, HORIZON_S, WINDOWS, Growth, GrowthState, Verdict

__all__ = [
    "ANONYMOUS",
    "BLOCKS",
    "LIVE_BLOCKS",
    "MAPPED",
    "RISING",
    "Layer",
    "LeakReport",
    "MemoryGrowth",
    "Suspicion",
    "layer_of",
]

ANONYMOUS: Final = "anonymous"
BLOCKS: Final = "blocks"
LIVE_BLOCKS: Final = "live_blocks"
MAPPED: Final = "mapped"
RISING: Final = frozenset({GrowthState.SUSPECTED, GrowthState.LEAKING})
BUCKET_S: Final = 60.0
_SCALES: Final = (1, 5, 30)
"""Buckets are so many times the shortest, all in parallel: a leak of minutes, of hours, of days."""
_OF_SESSIONS: Final = 30
"""Shorter scales begin anew when a session opens or closes."""
_HOUR_S: Final = 3_600.0
_HOLES: Final = 0.5
_ORDER: Final = tuple(GrowthState)
_MATERIAL: Final = 0.001
"""Of its level, by which a series must rise in a window: a few more numbers each minute are nobody's leak."""
_AGAIN: Final = 5
"""Buckets after a suspicion, after which a second census tells what has grown since the first."""


class Layer(StrEnum):
    """Who has the memory that grows."""

    PYTHON = "python"
    NATIVE = "native"
    FRAGMENTATION = "fragmentation"
    MAPPED = "mapped"


def layer_of(*, anonymous: bool, blocks: bool, mapped: bool, free_share: float | None = None) -> Layer | None:
    """The layer, by which series rise; None when none does.

    Args:
        anonymous: resident memory that belongs to no file rises.
        blocks: the interpreter's memory blocks rise.
        mapped: resident memory of files rises.
        free_share: of the C library's heap, how much is free; None where nobody asked.
    """
    if blocks:
        return Layer.PYTHON
    if anonymous:
        is_full_of_holes = free_share is not None and free_share > _HOLES
        return Layer.FRAGMENTATION if is_full_of_holes else Layer.NATIVE
    return Layer.MAPPED if mapped else None


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What is known of the growth of a process."""

    state: GrowthState
    layer: Layer | None
    """Who has the memory; None where nothing grows."""
    bytes_per_hour: float
    hours_left: float
    """Until the limit; infinite where nothing grows, or nothing limits."""
    bucket_s: float
    """Of the series that told."""
    series: Mapping[str, GrowthState]

    @property
    def is_rising(self) -> bool:
        """Whether it is suspected, or known, to leak."""
        return self.state in RISING

    def slopes(self, told: Iterable[str] = ()) -> dict[str, float]:
        """Bytes an hour by layer, of a leak; 0 for layers that were told before and leak no more."""
        slopes = dict.fromkeys(told, 0.0)
        if self.state is GrowthState.LEAKING and self.layer is not None:
            slopes[self.layer.value] = self.bytes_per_hour
        return slopes


class MemoryGrowth:
    """All series of one process. For one thread at a time, but `report` is for any.

    Args:
        limit_bytes: that it must not reach, or None.
        bucket_s: seconds of the shortest bucket.
    """

    def __init__(self, limit_bytes: int | None = None, bucket_s: float = BUCKET_S) -> None:
        self._limit_bytes = limit_bytes
        self._bucket_s = bucket_s
        scales_s = tuple(bucket_s * scale for scale in _SCALES)
        self._series = {
            ANONYMOUS: Growth(limit_bytes, scales_s, _MATERIAL),
            BLOCKS: Growth(None, scales_s, _MATERIAL),
            LIVE_BLOCKS: Growth(None, scales_s, _MATERIAL),
            MAPPED: Growth(None, scales_s, _MATERIAL),
        }
        self._last: dict[str, float] = {}
        self.free_share: float | None = None
        """Of the C library's heap, how much is free; None where nobody asked."""

    def __repr__(self) -> str:
        return f"<MemoryGrowth {self.report().state}>"

    @property
    def limit_bytes(self) -> int | None:
        """That the process must not reach."""
        return self._limit_bytes

    @limit_bytes.setter
    def limit_bytes(self, limit_bytes: int | None) -> None:
        self._limit_bytes = limit_bytes
        self._series[ANONYMOUS].limit = limit_bytes

    def add(self, at_s: float, values: Mapping[str, float]) -> bool:
        """Take values, by series, at a time that never goes back; whether a window was judged."""
        self._last.update(values)
        judged = [self._series[name].add(at_s, value) for name, value in values.items()]
        return any(judged)

    def restart(self) -> None:
        """Begin all series anew: what they compare has changed."""
        self.free_share = None
        for growth in self._series.values():
            growth.restart()

    def restart_session(self) -> None:
        """A session has opened or closed: begin the scales anew whose windows are shorter than a day."""
        for growth in self._series.values():
            growth.restart(self._bucket_s * _OF_SESSIONS)

    def rises(self, name: str) -> bool:
        """Whether a series does."""
        return self._series[name].verdict().state in RISING

    def report(self) -> LeakReport:
        """What is known now."""
        verdicts = {name: growth.verdict() for name, growth in self._series.items()}
        layer = self._layer(verdicts)
        told = self._deciding(verdicts, layer)
        per_s = self._bytes_per_s(verdicts, layer)
        left_s = math.inf
        if per_s > 0 and self._limit_bytes is not None:
            left_s = max(0, self._limit_bytes - self._last.get(ANONYMOUS, 0.0)) / per_s
        states = {name: verdict.state for name, verdict in verdicts.items()}
        return LeakReport(told.state, layer, per_s * _HOUR_S, left_s / _HOUR_S, told.bucket_s, states)

    def _layer(self, verdicts: Mapping[str, Verdict]) -> Layer | None:
        """Blocks that rise by chance do not make it Python's: they explain it, or rise as long as it does."""
        anonymous = verdicts[ANONYMOUS]
        blocks = max(verdicts[LIVE_BLOCKS], verdicts[BLOCKS], key=_weight)
        is_explained = blocks.per_s * _BLOCK_BYTES >= anonymous.per_s * _EXPLAINED
        is_chance = not is_explained and blocks.windows_rising < min(WINDOWS, anonymous.windows_rising)
        return layer_of(
            anonymous=anonymous.state in RISING,
            blocks=blocks.state in RISING and not is_chance,
            mapped=verdicts[MAPPED].state in RISING,
            free_share=self.free_share,
        )

    def _deciding(self, verdicts: Mapping[str, Verdict], layer: Layer | None) -> Verdict:
        """Files that are mapped, such as the spool, are no leak; nor is what never reaches the limit."""
        anonymous = verdicts[ANONYMOUS]
        if layer is None or layer is Layer.MAPPED:
            return anonymous if anonymous.state not in RISING else Verdict(GrowthState.STABLE)
        if layer is not Layer.PYTHON or anonymous.state is GrowthState.LEAKING:
            return anonymous
        found = max(verdicts[LIVE_BLOCKS], verdicts[BLOCKS], key=_weight)
        is_far = self._limit_bytes is not None and anonymous.left_s > HORIZON_S
        if found.state is GrowthState.LEAKING and is_far:
            return Verdict(GrowthState.SUSPECTED, found.per_s, found.bucket_s)
        return found

    def _bytes_per_s(self, verdicts: Mapping[str, Verdict], layer: Layer | None) -> float:
        if layer is None:
            return 0.0
        if layer is Layer.MAPPED:
            return verdicts[MAPPED].per_s
        if verdicts[ANONYMOUS].per_s:
            return verdicts[ANONYMOUS].per_s
        blocks = self._last.get(BLOCKS, 0.0)
        block_bytes = self._last.get(ANONYMOUS, 0.0) / blocks if blocks else 0.0
        return max(verdicts[LIVE_BLOCKS].per_s, verdicts[BLOCKS].per_s) * block_bytes


_BLOCK_BYTES: Final = 64
"""What a block stands for, more or less: most objects are small, and a list has one for thousands."""
_EXPLAINED: Final = 0.2
"""Of what grows."""


def _weight(verdict: Verdict) -> int:
    return _ORDER.index(verdict.state)


class Steps(NamedTuple):
    """What is to be done now."""

    tell: bool
    """The verdict is news."""
    ask: bool
    """A census should say who holds what grows."""


class Suspicion:
    """What follows from one report after another: when there is news, and when a census is due.

    The first census says what is there; the second, a few buckets later, what has grown. Then there is one
    for each window, as long as it goes on.
    """

    def __init__(self) -> None:
        self.state = GrowthState.WARMING
        self._census_due_s = math.inf
        self._censuses = 0

    def __repr__(self) -> str:
        return f"<Suspicion {self.state}>"

    def judged(self, report: LeakReport, at_s: float) -> Steps:
        """A report, at a time that never goes back."""
        before, self.state = self.state, report.state
        if not report.is_rising:
            self._census_due_s, self._censuses = math.inf, 0
            return Steps(tell=False, ask=False)
        is_news = report.state is not before
        ask = self.is_census_due(at_s) or (is_news and before not in RISING)
        if ask:
            self._censuses += 1
            buckets = _AGAIN if self._censuses == 1 else BUCKETS
            self._census_due_s = at_s + buckets * report.bucket_s
        return Steps(tell=is_news, ask=ask)

    def is_census_due(self, at_s: float) -> bool:
        """Whether `judged` will ask for one."""
        return at_s >= self._census_due_s
