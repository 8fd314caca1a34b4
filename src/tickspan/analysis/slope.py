"""The slope: how fast a series of numbers rises, and how likely it is that it does not.

Theil and Sen's slope is the median of the slopes of all pairs, which outliers do not move. Mann and Kendall's
test asks how many pairs rise and how many fall, with the normal approximation and the correction for ties
(Gilbert, Statistical Methods for Environmental Pollution Monitoring, 16.4).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import median
from typing import Final, NamedTuple, TypeAlias

__all__ = ["Slope", "mann_kendall", "score_variance", "slope_of", "theil_sen", "thinned"]

Point: TypeAlias = tuple[float, float]
"""Time in seconds, and value."""

MOST_POINTS: Final = 40
"""That are compared in pairs; more are joined, by means of neighbours."""
FEWEST_POINTS: Final = 8
"""Below which the normal approximation says nothing."""
SHORTEST_S: Final = 60.0
"""Below which a growth per hour is a guess."""
SIGNIFICANT: Final = 0.05


class Slope(NamedTuple):
    """How a series goes.

    Attributes:
        per_hour: growth, in the unit of the values.
        p_value: how likely so one-sided an order of the values is without any trend.
    """

    per_hour: float
    p_value: float

    @property
    def is_significant(self) -> bool:
        """Whether it is less likely than 1 in 20."""
        return self.p_value < SIGNIFICANT


def slope_of(points: Sequence[Point]) -> Slope | None:
    """The slope of points in the order of their times; None for fewer than eight, or less than a minute."""
    if len(points) < FEWEST_POINTS or points[-1][0] - points[0][0] < SHORTEST_S:
        return None
    few = thinned(points)
    return Slope(theil_sen(few) * 3600.0, mann_kendall([value for _, value in few]))


def theil_sen(points: Sequence[Point]) -> float:
    """The slope, per second; 0 for fewer than two times."""
    slopes = [
        (later - earlier) / (later_s - earlier_s)
        for (earlier_s, earlier), (later_s, later) in combinations(points, 2)
        if later_s != earlier_s
    ]
    return median(slopes) if slopes else 0.0


def mann_kendall(values: Sequence[float]) -> float:
    """The two-sided p-value of there being no trend; 1 when all values are equal, or for fewer than two."""
    rising = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    variance = score_variance(values)
    if variance <= 0 or not rising:
        return 1.0
    deviation = (abs(rising) - 1) / math.sqrt(variance)
    return math.erfc(deviation / math.sqrt(2))


def score_variance(values: Sequence[float]) -> float:
    """The variance of how many more pairs rise than fall, when there is no trend; ties make it smaller."""
    number = len(values)
    ties = sum(count * (count - 1) * (2 * count + 5) for count in Counter(values).values())
    return (number * (number - 1) * (2 * number + 5) - ties) / 18


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> Sequence[Point]:
    """At most so many points: the means of neighbours."""
    if len(points) <= most:
        return points
    edges = [round(number * len(points) / most) for number in range(most + 1)]
    return [
        (math.fsum(at for at, _ in part) / len(part), math.fsum(value for _, value in part) / len(part))
        for part in (points[low:high] for low, high in pairwise(edges))
    ]
