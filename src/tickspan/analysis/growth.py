"""Whether a series of numbers grows in a way that is no noise: what tells a leak from a level that wanders.

A bucket has the least value of its time: what was allocated and freed meanwhile does not count. A window of
buckets rises if Mann and Kendall's test says so with the correction of Hamed and Rao (1998, Journal of
Hydrology 204), without which it takes half of all autocorrelated series for a trend. That still is not enough
for a random walk: a leak is three windows in a row, and a limit that is reached before long. How fast it
grows is Theil and Sen's slope, the median of all.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist, median
from typing import Final, NamedTuple

__all__ = [
    "BUCKETS",
    "HORIZON_S",
    "SCALES_S",
    "WINDOWS",
    "Growth",
    "GrowthState",
    "Trend",
    "Verdict",
    "mann_kendall",
    "rises",
    "theil_sen",
]

BUCKETS: Final = 32
"""Of one window."""
WINDOWS: Final = 3
"""That must rise one after the other."""
SCALES_S: Final = (60.0, 300.0, 1_800.0)
"""Seconds of one bucket, all three in parallel: a leak of minutes, of hours, of days."""
HORIZON_S: Final = 7 * 86_400.0
"""A limit that is reached later is nobody's business."""
SIGNIFICANT: Final = 0.05
_SLOWER: Final = 0.3
"""Of its slope before: below it growth comes to an end by itself."""
_CARRIED: Final = 0.3
"""Of how much a window rises: by so much its level is above the one before, if growth goes on."""
_NORMAL: Final = NormalDist()
_LAG_BOUND: Final = _NORMAL.inv_cdf(0.975)
"""Autocorrelations below this many standard errors are noise, as Hamed and Rao say."""
_FEWEST: Final = 4
_DIGITS: Final = 9


class Trend(NamedTuple):
    """Mann and Kendall's test.

    Attributes:
        score: rising pairs less falling ones.
        z: the score in standard deviations, corrected for autocorrelation.
        p: two-sided.
    """

    score: int
    z: float
    p: float


def theil_sen(values: Sequence[float], places: Sequence[float] | None = None) -> float:
    """The median of the slopes of all pairs, for each step; 0 for fewer than two values.

    Args:
        values: of the series.
        places: of the values, ascending, in steps; by default they follow one another.
    """
    at = range(len(values)) if places is None else places
    slopes = [
        (values[j] - values[i]) / (at[j] - at[i])
        for i in range(len(values))
        for j in range(i + 1, len(values))
    ]
    return median(slopes) if slopes else 0.0


def mann_kendall(values: Sequence[float]) -> Trend:
    """The test of a series at even steps; nothing is said (p = 1) of fewer than four values."""
    number = len(values)
    if number < _FEWEST:
        return Trend(0, 0.0, 1.0)
    score = sum(
        (later > earlier) - (later < earlier) for i, earlier in enumerate(values) for later in values[i + 1 :]
    )
    variance = _variance(values) * _inflation(values)
    if variance <= 0 or not score:
        return Trend(score, 0.0, 1.0)
    z = (score - math.copysign(1, score)) / math.sqrt(variance)
    return Trend(score, z, 2 * (1 - _NORMAL.cdf(abs(z))))


def rises(values: Sequence[float], p: float = SIGNIFICANT) -> bool:
    """Whether a window rises significantly."""
    trend = mann_kendall(values)
    return trend.score > 0 and trend.p < p


def _variance(values: Sequence[float]) -> float:
    """Of the score of independent values, ties corrected for (Kendall 1975)."""
    counts: dict[float, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return (_pairs(len(values)) - sum(_pairs(count) for count in counts.values() if count > 1)) / 18


def _pairs(number: int) -> int:
    return number * (number - 1) * (2 * number + 5)


def _inflation(values: Sequence[float]) -> float:
    """How much larger the variance is for autocorrelation: n/n* of Hamed and Rao, over the ranks."""
    number = len(values)
    ranks = _ranks(_residuals(values))
    mean = (number + 1) / 2
    centred = [rank - mean for rank in ranks]
    power = sum(one * one for one in centred)
    if not power:
        return 1.0
    bound = _LAG_BOUND / math.sqrt(number)
    inflation = 1.0
    for lag in range(1, number - 2):
        correlation = sum(map(_product, centred, centred[lag:])) / power
        if abs(correlation) > bound:
            weight = (number - lag) * (number - lag - 1) * (number - lag - 2)
            inflation += 2 * weight * correlation / (number * (number - 1) * (number - 2))
    return max(1.0, inflation)  # what alternates is no better evidence than what is independent


def _residuals(values: Sequence[float]) -> list[float]:
    """What is left without the trend, so coarse that rounding breaks no tie: whatever the unit."""
    slope = theil_sen(values)
    left = [value - slope * place for place, value in enumerate(values)]
    least, spread = min(left), max(left) - min(left)
    return [round((value - least) / spread, _DIGITS) for value in left] if spread else [0.0] * len(left)


def _product(one: float, other: float) -> float:
    return one * other


def _ranks(values: Sequence[float]) -> list[float]:
    """1 for the least; equal ones share the middle of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for place in order[first : last + 1]:
            ranks[place] = (first + last) / 2 + 1
        first = last + 1
    return ranks


class GrowthState(StrEnum):
    """What is known of a series."""

    WARMING = "warming"
    STABLE = "stable"
    SUSPECTED = "suspected"
    LEAKING = "leaking"


_ORDER: Final = list(GrowthState)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known, at the scale that says most."""

    state: GrowthState
    per_s: float = 0.0
    """How fast it grows; 0 where it does not."""
    bucket_s: float = 0.0
    left_s: float = math.inf
    """Until the limit, if it goes on."""
    windows_rising: int = 0
    """One after the other, up to the last."""


class _Scale:
    """One length of buckets."""

    __slots__ = (
        "_bucket",
        "_least",
        "_level",
        "_material",
        "_places",
        "_values",
        "bucket_s",
        "is_ending",
        "rising",
        "slopes",
        "windows",
    )

    def __init__(self, bucket_s: float, material: float = 0.0) -> None:
        self.bucket_s = bucket_s
        self._material = material
        self.restart()

    def restart(self) -> None:
        self._bucket: int | None = None
        self._least = 0.0
        self._values = array("d")  # lists of numbers would be growth of our own
        self._places = array("d")
        """Numbers of the buckets: what is looked at rarely leaves some out."""
        self._level = -math.inf
        self.is_ending = False
        """Whether the last window rose in its first half, more or less: a program that warms up."""
        self.windows = 0
        self.rising = 0
        """Windows that rose, one after the other, up to the last."""
        self.slopes: list[float] = []

    def add(self, at_s: float, value: float) -> bool:
        """Whether a window has become full."""
        bucket = int(at_s // self.bucket_s)
        if bucket == self._bucket:
            self._least = min(self._least, value)
            return False
        is_full = self._bucket is not None and self._close(self._bucket)
        self._bucket, self._least = bucket, value
        return is_full

    def _close(self, bucket: int) -> bool:
        self._values.append(self._least)
        self._places.append(bucket)
        if len(self._values) < BUCKETS:
            return False
        values, self._values = self._values, array("d")
        places, self._places = self._places, array("d")
        level, self._level = self._level, median(values)
        self.windows += 1
        slope = theil_sen(values, places)
        is_material = slope * (places[-1] - places[0]) >= self._level * self._material
        is_rising = is_material and rises(values)
        risen = (
            self._level - level
        )  # a saw-tooth in step with the windows rises in each, but its level does not
        is_on = risen > slope * BUCKETS * _CARRIED
        self.rising = (self.rising * is_on + 1) if is_rising else 0
        half = BUCKETS // 2
        self.is_ending = theil_sen(values[half:], places[half:]) < slope * _SLOWER
        self.slopes = [*self.slopes, slope / self.bucket_s][-WINDOWS:]
        return True

    @property
    def is_steady(self) -> bool:
        """Whether all windows rise, the last not much slower: what warms up slows down, a leak does not."""
        return self.rising >= WINDOWS and self.slopes[-1] >= self.slopes[0] * _SLOWER

    @property
    def per_s(self) -> float:
        """Over the windows that rise."""
        return median(self.slopes[-self.rising :]) if self.rising else 0.0


class Growth:
    """One quantity, at all scales. A window that is full takes `add` a tenth of a millisecond.

    Args:
        limit: that must not be reached; None where there is none: then a leak is three windows.
        scales_s: seconds of buckets.
        material: share of its level by which a window must rise at least.
    """

    def __init__(
        self, limit: float | None = None, scales_s: Sequence[float] = SCALES_S, material: float = 0.0
    ) -> None:
        self.limit = limit
        self._scales = tuple(_Scale(bucket_s, material) for bucket_s in scales_s)
        self._last = 0.0

    def __repr__(self) -> str:
        return f"<Growth {self.verdict().state}>"

    def add(self, at_s: float, value: float) -> bool:
        """Take a value at a time that never goes back; whether a window was judged."""
        self._last = value
        judged = [scale.add(at_s, value) for scale in self._scales]
        return any(judged)

    def restart(self, below_s: float = math.inf) -> None:
        """Begin anew, at the scales whose buckets are shorter."""
        for scale in self._scales:
            if scale.bucket_s < below_s:
                scale.restart()

    def verdict(self) -> Verdict:
        """What is known now."""
        return max((self._of(scale) for scale in self._scales), key=lambda one: _ORDER.index(one.state))

    def _of(self, scale: _Scale) -> Verdict:
        if not scale.windows:
            return Verdict(GrowthState.WARMING, bucket_s=scale.bucket_s)
        if not scale.rising or scale.per_s <= 0 or (scale.rising == 1 and scale.is_ending):
            return Verdict(GrowthState.STABLE, bucket_s=scale.bucket_s)
        left_s = math.inf if self.limit is None else max(0.0, self.limit - self._last) / scale.per_s
        is_leak = scale.is_steady and (self.limit is None or left_s <= HORIZON_S)
        state = GrowthState.LEAKING if is_leak else GrowthState.SUSPECTED
        return Verdict(state, scale.per_s, scale.bucket_s, left_s, scale.rising)
