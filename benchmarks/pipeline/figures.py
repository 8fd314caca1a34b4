"""Figures from samples: percentiles, costs without the empty loop's, ratios round by round. No clock."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.sidebyside.costs import Spread


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed. Raises ValueError without values."""
    if not values:
        raise ValueError("expected at least one value for a percentile, got none")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call costs in one round, in nanoseconds."""

    good: float
    """The tenth percentile of the batches: what it costs when nothing else runs."""
    typical: float
    """The median of the batches."""

    @staticmethod
    def of(batches: Sequence[float]) -> Cost:
        """From the mean of each batch."""
        return Cost(percentile(batches, 0.1), statistics.median(batches))

    def less(self, empty: Cost) -> Cost:
        """What is left without the empty loop."""
        return Cost(self.good - empty.good, self.typical - empty.typical)


@dataclass(frozen=True, slots=True)
class Tail:
    """Latencies of one round, in nanoseconds."""

    p50: float
    p99: float
    p999: float
    longest: float
    share_late: float
    """Of the iterations that took longer than 1 ms."""

    @staticmethod
    def of(latencies_ns: Sequence[float], late_ns: float = 1_000_000) -> Tail:
        """From one latency an iteration, at least one."""
        late = sum(latency > late_ns for latency in latencies_ns)
        return Tail(
            percentile(latencies_ns, 0.5),
            percentile(latencies_ns, 0.99),
            percentile(latencies_ns, 0.999),
            max(latencies_ns),
            late / len(latencies_ns),
        )


def ratios(
    own: Mapping[int, float], peer: Mapping[int, float], empty: Mapping[int, float] | None = None
) -> list[float]:
    """What a contender adds to the empty loop as a multiple of what the peer adds, in each round all have.

    Without `empty`, the values themselves are divided. A round in which the peer added nothing has no ratio.
    """
    both = [number for number in own if number in peer and (empty is None or number in empty)]
    pairs = ((own[n] - (empty[n] if empty else 0), peer[n] - (empty[n] if empty else 0)) for n in both)
    return [mine / theirs for mine, theirs in pairs if theirs > 0]


def spread_of(values: Sequence[float]) -> Spread | None:
    """Median and deciles, or None when there is nothing to tell."""
    return Spread.of(values) if values else None


def is_within(own: Sequence[float], empty: Sequence[float]) -> bool:
    """Whether the median of `own` is no more than the greatest value that the empty loop shows by itself."""
    return bool(own and empty) and statistics.median(own) <= max(empty)


def percent(share: float) -> str:
    """For people, and never rounded up: 100 % means that nothing is missing."""
    return f"{math.floor(share * 100_000) / 1_000:g} %"


def is_flat(start: float, peak: float, allowance: float) -> bool:
    """Whether memory grew by no more than what is taken once, however much goes through."""
    return peak - start <= allowance
