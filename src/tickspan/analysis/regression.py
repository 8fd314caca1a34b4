"""Regression: functions that take a larger share of the samples in one profile than in another.

Samples that follow one another are alike, and two runs are never the same, so that shares differ by more than
chance draws. By how much is seen from the functions that nobody suspects: the variance of each function's
test of two proportions is multiplied by the overdispersion of all others (Pearson's statistic over its
degrees of freedom), moderated by a prior of 3 with 4 degrees of freedom, and judged by Student's t. Holm's
correction keeps the chance that any of the many functions is told by accident below 5 %. A share that
changed by fewer than 2 points is not told.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from tickspan.analysis.profiles import Frame, Profile

__all__ = ["Change", "compared", "compared_counts", "own_counts"]

LEAST_POINTS: Final = 0.02
SIGNIFICANT: Final = 0.05
_BUSY: Final = ("cpu", "gc", "gil", "runqueue", "lock", "io")
_OWN_THREADS: Final = "tickspan-"
"""How names of our threads begin."""
_PRIOR: Final = 3.0
_PRIOR_FREEDOM: Final = 4
_FEWEST: Final = 5
"""Samples of a function in both profiles, below which it is lumped together with its like."""
_ALONE: Final = 100
"""Functions, those that changed most, that are judged by all others; the rest changed too little."""
_TERMS: Final = 300
_CONVERGED: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Change:
    """One function in two profiles.

    Attributes:
        function: as `Frame.function` names it, without its line.
        before: its own share of the samples of busy threads, from 0 to 1.
        after: the same in the later profile.
        p_value: how likely so large a difference is by accident, corrected for the number of functions.
        is_significant: whether it is told: 2 points at least, and not by accident.
    """

    function: str
    before: float
    after: float
    p_value: float
    is_significant: bool

    @property
    def points(self) -> float:
        """By which the share rose; below 0 it fell."""
        return self.after - self.before


def compared(before: Profile, after: Profile, states: Collection[str] = _BUSY) -> list[Change]:
    """Every function that has samples of its own in either, the largest rise first.

    Raises:
        ValueError: a profile has no samples in these states.
    """
    return compared_counts(own_counts(before, states), own_counts(after, states))


def compared_counts(before: Mapping[str, int], after: Mapping[str, int]) -> list[Change]:
    """As `compared`, of samples by function.

    Raises:
        ValueError: one has no samples.
    """
    count, other_count = sum(before.values()), sum(after.values())
    if not count or not other_count:
        raise ValueError("expected samples of busy threads in both profiles")
    pairs = {name: (before.get(name, 0), after.get(name, 0)) for name in sorted(before.keys() | after.keys())}
    by_change = sorted(pairs, key=lambda name: -abs(pairs[name][1] / other_count - pairs[name][0] / count))
    of_all = _pearson(list(pairs.values()))
    raw = {
        name: _p_value(pairs[name], count, other_count, _without(name, pairs) if place < _ALONE else of_all)
        for place, name in enumerate(by_change)
    }
    corrected = _holm(raw)
    changes = [
        Change(
            name,
            hits / count,
            other / other_count,
            corrected[name],
            corrected[name] < SIGNIFICANT and abs(other / other_count - hits / count) >= LEAST_POINTS,
        )
        for name, (hits, other) in pairs.items()
    ]
    return sorted(changes, key=lambda change: (-change.points, change.function))


def own_counts(profile: Profile, states: Collection[str] = _BUSY) -> dict[str, int]:
    """Samples by function in these states; a function that only moved to another line is the same.

    Threads of ours are left out.
    """
    names = [_place(frame) for frame in profile.frames]
    found: dict[str, int] = {}
    for sample in profile.samples:
        stack = profile.stacks[sample.stack]
        if sample.state in states and stack and not sample.thread.startswith(_OWN_THREADS):
            name = names[stack[0]]
            found[name] = found.get(name, 0) + sample.count
    return found


def _place(frame: Frame) -> str:
    """A function without its line."""
    place, _, line = frame.function.rpartition(":")
    return f"{place})" if line else frame.function


def _without(name: str, pairs: Mapping[str, tuple[int, int]]) -> tuple[float, int]:
    """Pearson's statistic of all other functions, and its degrees of freedom."""
    return _pearson([pair for other, pair in pairs.items() if other != name])


def _p_value(pair: tuple[int, int], count: int, other_count: int, others: tuple[float, int]) -> float:
    """Two-sided, by Student's t with an overdispersed variance."""
    hits, other_hits = pair
    pooled = (hits + other_hits) / (count + other_count)
    variance = pooled * (1 - pooled) * (1 / count + 1 / other_count)
    if variance <= 0:
        return 1.0
    statistic, freedom = others[0], others[1] + _PRIOR_FREEDOM
    dispersion = max(1.0, (_PRIOR * _PRIOR_FREEDOM + statistic) / freedom)
    squared = (hits / count - other_hits / other_count) ** 2 / variance / dispersion
    return _incomplete_beta(freedom / (freedom + squared), freedom / 2, 0.5)


def _pearson(pairs: Collection[tuple[int, int]]) -> tuple[float, int]:
    """The statistic of a table of two columns, and its degrees of freedom; rare rows are one."""
    kept = [pair for pair in pairs if sum(pair) >= _FEWEST]
    rare = [pair for pair in pairs if sum(pair) < _FEWEST]
    rows = [*kept, (sum(one for one, _ in rare), sum(other for _, other in rare))]
    rows = [row for row in rows if sum(row) >= _FEWEST]
    one, other = sum(row[0] for row in rows), sum(row[1] for row in rows)
    if not one or not other:
        return 0.0, 0
    statistic = 0.0
    for row in rows:
        expected = sum(row) * one / (one + other)
        statistic += (row[0] - expected) ** 2 / expected
        statistic += (row[0] - expected) ** 2 / (sum(row) - expected)
    return statistic, len(rows) - 1


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised, by its continued fraction (Abramowitz and Stegun, 26.5.8)."""
    if x <= 0.0 or x >= 1.0:
        return min(1.0, max(0.0, x))
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(1.0 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    fraction, above, below = 1.0, 1.0, 0.0
    for term in range(1, _TERMS):
        half = term // 2
        if term % 2:
            factor = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            factor = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        below = 1.0 / (1.0 + factor * below)
        above = 1.0 + factor / above
        fraction *= above * below
        if abs(1.0 - above * below) < _CONVERGED:
            break
    return math.exp(log_front) / a / fraction


def _holm(raw: dict[str, float]) -> dict[str, float]:
    corrected: dict[str, float] = {}
    highest = 0.0
    for place, name in enumerate(sorted(raw, key=raw.__getitem__)):
        highest = max(highest, min(1.0, raw[name] * (len(raw) - place)))
        corrected[name] = highest
    return corrected
