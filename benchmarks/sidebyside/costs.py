"""What an operation costs, and how it stands to a peer's: arithmetic on one run's rounds, no clock."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Nanoseconds per operation."""

    caller: float
    """CPU time of the thread that made the calls."""
    total: float
    """CPU time of the process, until all spans were encoded and sent."""
    wall: float
    """Time that the caller waited."""

    def less(self, other: Cost) -> Cost:
        """What this cost has more than `other`."""
        return Cost(self.caller - other.caller, self.total - other.total, self.wall - other.wall)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, and the tenth and ninetieth percentile."""

    p10: float
    median: float
    p90: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """The spread of at least one value; percentiles are interpolated."""
        if len(values) == 1:
            return Spread(values[0], values[0], values[0])
        deciles = statistics.quantiles(values, n=10, method="inclusive")
        return Spread(deciles[0], statistics.median(values), deciles[8])


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ratios of what was added, taken round by round."""

    caller: Spread
    total: Spread
    wall: Spread


def compared(
    rounds: Sequence[Cost], over: Sequence[Cost], peer: Sequence[Cost], peer_over: Sequence[Cost]
) -> Comparison | None:
    """`rounds` less `over`, as multiples of `peer` less `peer_over`; all four from the same rounds.

    None when the peer added nothing that could be measured.
    """
    ours = [cost.less(base) for cost, base in zip(rounds, over, strict=True)]
    theirs = [cost.less(base) for cost, base in zip(peer, peer_over, strict=True)]
    pairs = list(zip(ours, theirs, strict=True))
    clocks = (
        [(own.caller, other.caller) for own, other in pairs],
        [(own.total, other.total) for own, other in pairs],
        [(own.wall, other.wall) for own, other in pairs],
    )
    ratios = [[own / other for own, other in clock if other > 0] for clock in clocks]
    if not all(ratios):
        return None
    return Comparison(*(Spread.of(values) for values in ratios))
