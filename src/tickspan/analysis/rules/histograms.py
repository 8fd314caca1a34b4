"""The histogram: differences, sums and quantiles of bucketed measurements.

Quantiles are Prometheus's (`promql/quantile.go`): linear in explicit buckets, geometric in exponential ones.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate
from operator import add, sub
from typing import Any, Final

from tickspan.analysis.rules.readings import ExplicitBuckets, ExponentialBuckets, HistogramPoint

__all__ = ["MAX_BUCKETS", "MAX_SCALE", "Histogram", "explicit_quantile", "exponential_quantile", "increase"]

MAX_SCALE: Final = 8
"""The finest that Prometheus knows. What is finer is joined: all tiers interpolate in the same buckets."""
MAX_BUCKETS: Final = 1024
"""Of a sum over exponential histograms; beyond it the scale is lowered."""

_ZERO_THRESHOLD: Final = 1e-128
"""Half the width of the zero bucket, as Prometheus's OTLP receiver takes it."""


class Histogram:
    """Measurements that are added and taken away. Explicit buckets are kept by their bounds.

    Attributes:
        count: of measurements.
        sum: of them.
        explicit: counts by bounds, one more than there are bounds.
        scale: of the exponential buckets.
        zero: measurements in the zero bucket.
        positive: counts by index.
        negative: counts by index of the value without its sign.
    """

    __slots__ = ("count", "explicit", "negative", "positive", "scale", "sum", "zero")

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self.explicit: dict[tuple[float, ...], list[int]] = {}
        self.scale = MAX_SCALE
        self.zero = 0
        self.positive: dict[int, int] = {}
        self.negative: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Histogram {self.count} measurements, sum {self.sum:g}>"

    def __bool__(self) -> bool:
        return self.count > 0

    @staticmethod
    def of(point: HistogramPoint) -> Histogram:
        """The measurements of a point."""
        histogram = Histogram()
        histogram.count = point.count
        histogram.sum = point.sum
        buckets = point.buckets
        if isinstance(buckets, ExplicitBuckets):
            histogram.explicit[buckets.bounds] = list(buckets.counts)
        else:
            histogram.scale = min(buckets.scale, MAX_SCALE)
            histogram.zero = buckets.zero
            histogram.positive = _rescaled(buckets.positive, buckets.scale - histogram.scale)
            histogram.negative = _rescaled(buckets.negative, buckets.scale - histogram.scale)
        return histogram

    def add(self, other: Histogram) -> None:
        """Adds measurements, at the coarser of both scales."""
        self.count += other.count
        self.sum += other.sum
        for bounds, counts in other.explicit.items():
            mine = self.explicit.get(bounds)
            self.explicit[bounds] = list(counts) if mine is None else list(map(add, mine, counts))
        if other.is_exponential:
            self.zero += other.zero
            self._lower(other.scale)
            down = other.scale - self.scale
            _merge(self.positive, other.positive, down, 1)
            _merge(self.negative, other.negative, down, 1)
            while len(self.positive) + len(self.negative) > MAX_BUCKETS:
                self._lower(self.scale - 1)

    def copy(self) -> Histogram:
        """The same measurements, to change."""
        copied = Histogram()
        copied.add(self)
        return copied

    def subtract(self, other: Histogram) -> None:
        """Takes away what was added before. What is left of `sum` may be off by a rounding error."""
        self.count -= other.count
        self.sum = self.sum - other.sum if self.count else 0.0
        for bounds, counts in other.explicit.items():
            left = list(map(sub, self.explicit[bounds], counts))
            if any(left):
                self.explicit[bounds] = left
            else:
                del self.explicit[bounds]
        if other.is_exponential:
            self.zero -= other.zero
            down = other.scale - self.scale
            _merge(self.positive, other.positive, down, -1)
            _merge(self.negative, other.negative, down, -1)

    @property
    def is_exponential(self) -> bool:
        """Whether any measurement is in an exponential bucket."""
        return bool(self.positive or self.zero or self.negative)

    def quantile(self, q: float) -> float | None:
        """The value below which the share `q` of the measurements lies; None without measurements.

        Of both kinds the exponential buckets are asked, as by `histogram_quantile(native) or ...(classic)`.
        """
        value = (
            exponential_quantile(q, self.buckets)
            if self.is_exponential
            else explicit_quantile(q, self._joined())
        )
        return None if math.isnan(value) else value

    def above(self, bound: float) -> float:
        """How many measurements are above a bound; between the bounds of a bucket it is interpolated."""
        if self.is_exponential:
            return _above_exponential(self.buckets, bound)
        return _above_explicit(self._joined(), bound)

    @property
    def buckets(self) -> ExponentialBuckets:
        """The exponential ones."""
        return ExponentialBuckets(self.scale, self.zero, self.positive, self.negative)

    def _joined(self) -> ExplicitBuckets:
        """All explicit buckets at the bounds that they have in common."""
        if len(self.explicit) == 1:
            ((bounds, counts),) = self.explicit.items()
            return ExplicitBuckets(bounds, tuple(counts))
        common = (
            sorted(set[float]().union(*self.explicit).intersection(*self.explicit)) if self.explicit else []
        )
        joined = [0] * (len(common) + 1)
        for bounds, counts in self.explicit.items():
            for number, count in enumerate(counts):
                upper = bounds[number] if number < len(bounds) else math.inf
                joined[bisect_left(common, upper)] += count
        return ExplicitBuckets(tuple(common), tuple(joined))

    def _lower(self, scale: int) -> None:
        """To a coarser scale; to a finer one there is no way."""
        if scale < self.scale:
            self.positive = _rescaled(self.positive, self.scale - scale)
            self.negative = _rescaled(self.negative, self.scale - scale)
            self.scale = scale

    def to_json(self) -> dict[str, Any]:
        """For `from_json`; what is empty is left out."""
        kept: dict[str, Any] = {"count": self.count, "sum": self.sum}
        if self.explicit:
            kept["explicit"] = [[list(bounds), list(counts)] for bounds, counts in self.explicit.items()]
        if self.is_exponential:
            kept |= {"scale": self.scale, "zero": self.zero}
            kept |= {"positive": sorted(self.positive.items()), "negative": sorted(self.negative.items())}
        return kept

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> Histogram:
        """What `to_json` wrote."""
        histogram = Histogram()
        histogram.count, histogram.sum = int(kept["count"]), float(kept["sum"])
        histogram.explicit = {tuple(bounds): list(counts) for bounds, counts in kept.get("explicit", ())}
        histogram.scale, histogram.zero = kept.get("scale", MAX_SCALE), kept.get("zero", 0)
        histogram.positive = dict(kept.get("positive", ()))
        histogram.negative = dict(kept.get("negative", ()))
        return histogram


def increase(new: HistogramPoint, old: HistogramPoint | None) -> Histogram:
    """What was measured between two points of a series; after a reset, or without an old one, all of it.

    A point with fewer measurements, in all or in a bucket, is a reset; so is one with other bounds.
    """
    grown = None if old is None or new.count < old.count else _difference(new, old)
    return Histogram.of(new) if grown is None else grown


def _difference(new: HistogramPoint, old: HistogramPoint) -> Histogram | None:
    """What is in one point and not in another; None when the other is not part of it."""
    grown = Histogram()
    grown.count = new.count - old.count
    grown.sum = new.sum - old.sum
    after, before = new.buckets, old.buckets
    if isinstance(after, ExplicitBuckets):
        if not isinstance(before, ExplicitBuckets) or after.bounds != before.bounds:
            return None
        counts = list(map(sub, after.counts, before.counts))
        grown.explicit[after.bounds] = counts
        return None if min(counts) < 0 else grown
    if isinstance(before, ExplicitBuckets):
        return None
    grown.scale = min(after.scale, before.scale, MAX_SCALE)
    grown.zero = after.zero - before.zero
    grown.positive = _rescaled(after.positive, after.scale - grown.scale)
    grown.negative = _rescaled(after.negative, after.scale - grown.scale)
    _merge(grown.positive, before.positive, before.scale - grown.scale, -1)
    _merge(grown.negative, before.negative, before.scale - grown.scale, -1)
    least = min((grown.zero, *grown.positive.values(), *grown.negative.values()))
    return None if least < 0 else grown


def explicit_quantile(q: float, buckets: ExplicitBuckets) -> float:
    """`BucketQuantile` of Prometheus.

    NaN without measurements or bounds. In the bucket above the last bound it is that bound. The first
    bucket begins at zero, unless its bound is zero or less: then it is that bound.
    """
    bounds = buckets.bounds
    reached = list(accumulate(buckets.counts))
    if not bounds or not reached[-1] or math.isnan(q):
        return math.nan
    if not 0 <= q <= 1:
        return math.copysign(math.inf, q)
    rank = q * reached[-1]
    number = bisect_left(reached, rank, hi=len(bounds))
    if number == len(bounds):
        return bounds[-1]
    if number == 0 and bounds[0] <= 0:
        return bounds[0]
    lower, below = (bounds[number - 1], reached[number - 1]) if number else (0.0, 0)
    inside = reached[number] - below
    return lower + (bounds[number] - lower) * ((rank - below) / inside) if inside else math.nan


def exponential_quantile(q: float, buckets: ExponentialBuckets) -> float:
    """`HistogramQuantile` of Prometheus for native histograms; NaN without measurements.

    Inside of a bucket it is geometric, inside of the zero bucket linear.
    """
    total = buckets.zero + sum(buckets.positive.values()) + sum(buckets.negative.values())
    if not total or math.isnan(q):
        return math.nan
    if not 0 <= q <= 1:
        return math.copysign(math.inf, q)
    is_low = q < 0.5  # noqa: PLR2004 - the half
    rank = q * total if is_low else (1 - q) * total
    reached = 0
    lower = upper = 0.0
    count = 1
    ordered = list(_ascending(buckets))
    for lower, upper, count in ordered if is_low else reversed(ordered):  # noqa: B007 - the one reached
        reached += count
        if reached >= rank:
            break
    share = (rank - (reached - count) if is_low else reached - rank) / count
    if lower <= 0 <= upper:
        return lower + (upper - lower) * share
    if lower > 0:
        return math.exp2(math.log2(lower) + (math.log2(upper) - math.log2(lower)) * share)
    return -math.exp2(math.log2(-upper) + (math.log2(-lower) - math.log2(-upper)) * (1 - share))


def _ascending(buckets: ExponentialBuckets) -> Iterator[tuple[float, float, int]]:
    """Lower bound, upper bound and count of each bucket that is not empty."""
    step = math.ldexp(1.0, -buckets.scale)
    for index in sorted(buckets.negative, reverse=True):
        if count := buckets.negative[index]:
            yield -_power((index + 1) * step), -_power(index * step), count
    if buckets.zero:
        yield (
            -_ZERO_THRESHOLD if buckets.negative or not buckets.positive else 0.0,
            _ZERO_THRESHOLD if buckets.positive or not buckets.negative else 0.0,
            buckets.zero,
        )
    for index in sorted(buckets.positive):
        if count := buckets.positive[index]:
            yield _power(index * step), _power((index + 1) * step), count


def _power(exponent: float) -> float:
    """Of two; the largest number where that is beyond it."""
    return math.exp2(exponent) if exponent < sys.float_info.max_exp else sys.float_info.max


def _above_explicit(buckets: ExplicitBuckets, bound: float) -> float:
    above, lower = 0.0, 0.0
    for number, count in enumerate(buckets.counts):
        upper = buckets.bounds[number] if number < len(buckets.bounds) else math.inf
        if bound <= lower and number:
            above += count
        elif bound < upper:
            low = min(lower, bound) if not number else lower
            above += count * ((upper - bound) / (upper - low) if math.isfinite(upper) else 1.0)
        lower = upper
    return above


def _above_exponential(buckets: ExponentialBuckets, bound: float) -> float:
    above = 0.0
    for lower, upper, count in _ascending(buckets):
        if bound <= lower:
            above += count
        elif bound < upper:
            above += count * _share_above(lower, upper, bound)
    return above


def _share_above(lower: float, upper: float, bound: float) -> float:
    """Of an exponential bucket; linear where it holds zero."""
    if lower <= 0 <= upper:
        return (upper - bound) / (upper - lower)
    low, high, at = (math.log2(abs(edge)) for edge in (lower, upper, bound))
    return (high - at) / (high - low)


def _rescaled(counts: Mapping[int, int], down: int) -> dict[int, int]:
    """Indexes of a scale that is lower by `down`: each step joins two neighbours."""
    if not down:
        return dict(counts)
    joined: dict[int, int] = {}
    _merge(joined, counts, down, 1)
    return joined


def _merge(into: dict[int, int], counts: Mapping[int, int], down: int, sign: int) -> None:
    for index, count in counts.items():
        at = index >> down
        left = into.get(at, 0) + sign * count
        if left:
            into[at] = left
        else:
            into.pop(at, None)
