"""The trend: where numbers go, when they will be somewhere, and what is usual at this time of a session.

Slopes and their significance are of `tickspan.analysis.slope`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist, median
from typing import Final, NamedTuple, TypeAlias

from tickspan.analysis.slope import mann_kendall, score_variance, theil_sen, thinned

__all__ = ["Crossing", "Line", "Point", "Season", "crossing_of", "line_through", "season_of"]

Point: TypeAlias = tuple[float, float]
"""Time in seconds, and value."""

_FEWEST_POINTS: Final = 8
"""Below which the normal approximation says nothing."""
_MOST_POINTS: Final = 120
"""That are compared in pairs; more are joined, by means of neighbours."""
_NORMAL_MAD: Final = 1.4826
"""The standard deviation by the median distance from the median, where numbers are distributed normally."""


class Line(NamedTuple):
    """A straight line.

    Attributes:
        slope: per second.
        value: at the time that the line is counted from.
    """

    slope: float
    value: float

    def at(self, later_s: float) -> float:
        """The value so many seconds after that time."""
        return self.value + self.slope * later_s


def line_through(points: Sequence[Point], from_s: float) -> Line | None:
    """The line of least squares, as `predict_linear` of Prometheus draws it; None for fewer than two times.

    Args:
        points: in any order.
        from_s: that the line's value is of.
    """
    if len(points) < 2:  # noqa: PLR2004 - a line has two
        return None
    first = points[0][1]
    if all(value == first for _, value in points):
        return Line(0.0, first) if math.isfinite(first) else None
    mean_s = math.fsum(at_s for at_s, _ in points) / len(points)
    mean = math.fsum(value for _, value in points) / len(points)
    spread = math.fsum((at_s - mean_s) ** 2 for at_s, _ in points)
    if not spread:
        return None
    slope = math.fsum((at_s - mean_s) * (value - mean) for at_s, value in points) / spread
    return Line(slope, mean + slope * (from_s - mean_s))


class Crossing(NamedTuple):
    """When numbers reach a threshold, in seconds after the last of them; 0 is now, infinity is never.

    Attributes:
        expected_s: by Theil and Sen's slope.
        earliest_s: by the steepest slope within the confidence, less the usual distance from the line.
        latest_s: by the flattest, and that distance more.
        p_value: how likely such numbers are without any trend; see `tickspan.analysis.slope.mann_kendall`.
    """

    expected_s: float
    earliest_s: float
    latest_s: float
    p_value: float


def crossing_of(points: Sequence[Point], threshold: float, confidence: float = 0.9) -> Crossing | None:
    """When the straight trend of some numbers crosses a threshold; None for fewer than eight.

    The bounds of the slope are Sen's (1968), by the normal approximation with the correction for ties; see
    Gilbert, "Statistical Methods for Environmental Pollution Monitoring" (1987), section 16.5.2. The line
    lies in the middle of the numbers: as many are above it as below (Conover, 1980).

    Args:
        points: in the order of their times, no two at the same one.
        threshold: in the unit of the values.
        confidence: that the slope is within its bounds.
    """
    if len(points) < _FEWEST_POINTS:
        return None
    few = thinned(points, _MOST_POINTS)
    last_s = points[-1][0]
    slope = theil_sen(few)
    level = median(value - slope * (at_s - last_s) for at_s, value in few)
    spread = _NORMAL_MAD * median(abs(value - level - slope * (at_s - last_s)) for at_s, value in few)
    low, high = _bounds(few, confidence)
    gap = threshold - level
    if gap < 0:
        slope, low, high = -slope, -high, -low
    return Crossing(
        _time_for(abs(gap), slope),
        _time_for(max(abs(gap) - spread, 0.0), high),
        _time_for(abs(gap) + spread if gap else 0.0, low),
        mann_kendall([value for _, value in few]),
    )


def _bounds(points: Sequence[Point], confidence: float) -> tuple[float, float]:
    """The least and the greatest slope, per second, that the points allow."""
    slopes = sorted(
        (later - earlier) / (later_s - earlier_s)
        for (earlier_s, earlier), (later_s, later) in combinations(points, 2)
    )
    deviation = math.sqrt(score_variance([value for _, value in points]))
    margin = NormalDist().inv_cdf((1 + confidence) / 2) * deviation
    least = math.floor((len(slopes) - margin) / 2) - 1
    greatest = math.ceil((len(slopes) + margin) / 2)
    return slopes[max(least, 0)], slopes[min(greatest, len(slopes) - 1)]


def _time_for(gap: float, slope: float) -> float:
    if not gap:
        return 0.0
    return gap / slope if slope > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Season:
    """What is usual so long after the opening of a session.

    Attributes:
        slot_s: in which times are one.
        usual: median of the values, by slot.
        spread: 1.4826 times the median distance from it, by slot: the standard deviation, outliers left out.
        sessions: how many sessions the median is of, by slot.
        opened_at: when the session that is open at a time was opened; None while it is closed.
    """

    slot_s: float
    usual: dict[int, float]
    spread: dict[int, float]
    sessions: dict[int, int]
    opened_at: Callable[[float], float | None]

    def expected(self, wall_s: float) -> float | None:
        """The usual value at a time; None outside of sessions, and where none is known."""
        slot = _slot(wall_s, self.slot_s, self.opened_at)
        return None if slot is None else self.usual.get(slot)

    def deviation(self, wall_s: float, value: float) -> float | None:
        """By how many spreads a value is above what is usual; infinity where all sessions were the same."""
        slot = _slot(wall_s, self.slot_s, self.opened_at)
        if slot is None or slot not in self.usual:
            return None
        above, spread = value - self.usual[slot], self.spread[slot]
        return above / spread if spread else math.copysign(math.inf, above) if above else 0.0

    def without(self, points: Iterable[Point]) -> list[Point]:
        """The points less what is usual at their times; those where nothing is known are left out."""
        pairs = ((at_s, value, self.expected(at_s)) for at_s, value in points)
        return [(at_s, value - usual) for at_s, value, usual in pairs if usual is not None]


def season_of(
    points: Iterable[Point], opened_at: Callable[[float], float | None], slot_s: float = 300.0
) -> Season:
    """The season of numbers: each session counts once, by its mean in a slot of time after its opening.

    Args:
        points: times are seconds since 1970.
        opened_at: such as `Calendar.opened_at`.
        slot_s: in which times are one.
    """
    given: dict[int, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for wall_s, value in points:
        opened_s = opened_at(wall_s)
        if opened_s is not None:
            given[int((wall_s - opened_s) // slot_s)][opened_s].append(value)
    means = {slot: [math.fsum(them) / len(them) for them in days.values()] for slot, days in given.items()}
    usual = {slot: median(values) for slot, values in means.items()}
    spread = {
        slot: _NORMAL_MAD * median(abs(value - usual[slot]) for value in values)
        for slot, values in means.items()
    }
    return Season(slot_s, usual, spread, {slot: len(values) for slot, values in means.items()}, opened_at)


def _slot(wall_s: float, slot_s: float, opened_at: Callable[[float], float | None]) -> int | None:
    opened_s = opened_at(wall_s)
    return None if opened_s is None else int((wall_s - opened_s) // slot_s)
