"""Complexity: how the time of a function grows with the size of its input, judged by measured calls.

For each order the slope in log space is fixed, so one constant is all that is fitted, and the order with the
smallest squared error wins. That tells n log n from n, which a fit of coefficients does not. The interval of
the free exponent is that of least squares, two standard errors to each side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, NamedTuple

__all__ = ["Complexity", "Order", "complexity"]

Order = str
"""`1`, `log n`, `n`, `n log n`, `n²`, `n³`, or `undecided`."""
UNDECIDED: Final[Order] = "undecided"
FEWEST_SIZES: Final = 8
FEWEST_DECADES: Final = 2.0
_CLOSE: Final = 1.5
"""A runner-up whose squared error is within this factor leaves the matter undecided."""
_NOISELESS: Final = 1e-9
"""Mean squared error in log space below which a fit is exact."""
_SMALLEST: Final = 2.0
_OVERHEADS: Final = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
"""Of what each call takes whatever its size, as shares of the fastest call."""
_MUCH_WORSE: Final = 4.0
_OFF: Final = 0.1
_OFF_MARGINS: Final = 1.5
"""An exponent that is further from the order's than this many margins says that none of the orders fits."""


ORDERS: Final[Mapping[Order, tuple[float, float]]] = {
    "1": (0.0, 0.0),
    "log n": (0.0, 1.0),
    "n": (1.0, 0.0),
    "n log n": (1.0, 1.0),
    "n²": (2.0, 0.0),
    "n³": (3.0, 0.0),
}
"""The exponents of n and of log n."""


@dataclass(frozen=True, slots=True)
class Complexity:
    """The verdict.

    Attributes:
        order: that fits best; `undecided` where sizes are too few, too narrow, or two orders fit alike.
        best: the order that fits best, also where that is not enough.
        runner_up: the next best.
        exponent: of a power of n, by least squares.
        exponent_interval: two standard errors to each side of it.
        sizes: smallest and largest.
        points: that were compared, one for each power of two.
    """

    order: Order
    best: Order
    runner_up: Order
    exponent: float
    exponent_interval: tuple[float, float]
    sizes: tuple[float, float]
    points: int


def complexity(points: Iterable[tuple[float, float]]) -> Complexity:
    """Judge (size, seconds) of calls; of sizes within a power of two the fastest call counts.

    Raises:
        ValueError: fewer than two sizes of 2 or more with a time above 0.
    """
    fastest = _fastest(points)
    if len(fastest) < 2:  # noqa: PLR2004 - a line needs two
        raise ValueError(f"expected calls of at least 2 sizes, got {len(fastest)}")
    sizes = [math.log(size) for size, _ in fastest]
    seconds = [taken for _, taken in fastest]
    fits = _fits(sizes, seconds)
    best, runner_up, *_ = sorted(fits, key=lambda order: fits[order].error)
    exponent, margin = _least_squares(sizes, _logs(seconds, fits[best].overhead_s))
    decades = (sizes[-1] - sizes[0]) / math.log(10)
    other = fits[runner_up].error
    is_clear = other > _CLOSE * fits[best].error and other > _NOISELESS
    off = abs(exponent - _exponent_of(best, sizes))
    is_clear = is_clear and off <= max(_OFF, _OFF_MARGINS * margin)
    is_decided = len(fastest) >= FEWEST_SIZES and decades >= FEWEST_DECADES and is_clear
    return Complexity(
        best if is_decided else UNDECIDED,
        best,
        runner_up,
        exponent,
        (exponent - margin, exponent + margin),
        (fastest[0][0], fastest[-1][0]),
        len(fastest),
    )


class _Fit(NamedTuple):
    """Of one order: the mean squared error in log space, and what every call takes beside."""

    error: float
    overhead_s: float = 0.0


def _fits(sizes: Sequence[float], seconds: Sequence[float]) -> dict[Order, _Fit]:
    """Of all orders, without an overhead unless that leaves every one of them a much worse fit."""
    bare = {order: _Fit(_error(sizes, _logs(seconds), powers)) for order, powers in ORDERS.items()}
    least = min(seconds)
    overheads = [least * share for share in _OVERHEADS]
    fits = {
        order: min(_Fit(_error(sizes, _logs(seconds, one), powers), one) for one in overheads)
        if order != "1"
        else bare[order]
        for order, powers in ORDERS.items()
    }
    is_needed = min(bare.values()).error > _MUCH_WORSE * min(fits.values()).error
    return fits if is_needed and min(bare.values()).error > _NOISELESS else bare


def _exponent_of(order: Order, sizes: Sequence[float]) -> float:
    """What the free exponent of exact times of this order would be over these sizes."""
    of_n, of_log = ORDERS[order]
    return _least_squares(sizes, [of_n * size + of_log * math.log(size) for size in sizes])[0]


def _logs(seconds: Sequence[float], overhead_s: float = 0.0) -> list[float]:
    return [math.log(taken - overhead_s) for taken in seconds]


def _fastest(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    found: dict[int, tuple[float, float]] = {}
    for size, seconds in points:
        if size < _SMALLEST or not 0.0 < seconds < math.inf:
            continue
        bucket = int(size).bit_length()
        if bucket not in found or seconds < found[bucket][1]:
            found[bucket] = (float(size), seconds)
    return [found[bucket] for bucket in sorted(found)]


def _error(sizes: Sequence[float], times: Sequence[float], powers: tuple[float, float]) -> float:
    """Mean squared error of the best constant."""
    left = [
        time - powers[0] * size - powers[1] * math.log(size) for size, time in zip(sizes, times, strict=True)
    ]
    mean = fmean(left)
    return fmean((value - mean) ** 2 for value in left)


def _least_squares(sizes: Sequence[float], times: Sequence[float]) -> tuple[float, float]:
    """The slope, and two standard errors of it; infinite with two points."""
    size_mean, time_mean = fmean(sizes), fmean(times)
    spread = sum((size - size_mean) ** 2 for size in sizes)
    slope = sum((s - size_mean) * (t - time_mean) for s, t in zip(sizes, times, strict=True)) / spread
    freedom = len(sizes) - 2
    if freedom < 1:
        return slope, math.inf
    left = sum((t - time_mean - slope * (s - size_mean)) ** 2 for s, t in zip(sizes, times, strict=True))
    return slope, 2 * math.sqrt(left / freedom / spread)
