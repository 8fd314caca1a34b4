"""Series alone: how often verdicts over autocorrelated, saw-tooth and wandering series are right."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tickspan.analysis.growth import BUCKETS, WINDOWS, Growth, GrowthState, mann_kendall

BUCKETS_IN_ALL: Final = WINDOWS * BUCKETS
_MINUTE_S: Final = 60.0
_PLAIN_P: Final = 0.01
Series = Callable[[random.Random], list[float]]


class Shares(NamedTuple):
    """Of the seeds of one kind of series."""

    called_leak: float
    called_trend: float
    """By one corrected test over all of it, at p < 0.01: what a single test would say."""


def autocorrelated(draws: random.Random, memory: float, warm_up: int = 200) -> list[float]:
    """Each value keeps a share of the one before, plus noise of deviation 1."""
    level, values = 0.0, list[float]()
    for _ in range(warm_up + BUCKETS_IN_ALL):
        level = memory * level + draws.gauss(0, 1)
        values.append(level)
    return values[warm_up:]


def leak(slope: float, memory: float) -> Series:
    """`slope` deviations of the noise for each bucket."""
    return lambda draws: [slope * step + level for step, level in enumerate(autocorrelated(draws, memory))]


def saw_tooth(period: int) -> Series:
    """Falls back each `period` buckets."""
    return lambda draws: [step % period + draws.gauss(0, 0.3) for step in range(BUCKETS_IN_ALL)]


LEAKS: Final[Mapping[str, Series]] = {
    "leak of 0.3 in noise": leak(0.3, 0.0),
    "leak of 0.3, autocorrelation 0.5": leak(0.3, 0.5),
    "leak of 0.3, autocorrelation 0.9": leak(0.3, 0.9),
}
NONE: Final[Mapping[str, Series]] = {
    "noise": lambda draws: autocorrelated(draws, 0.0),
    "autocorrelation 0.5": lambda draws: autocorrelated(draws, 0.5),
    "autocorrelation 0.9": lambda draws: autocorrelated(draws, 0.9),
    "saw-tooth of 17": saw_tooth(17),
    "saw-tooth of 32, in step": saw_tooth(BUCKETS),
    "saw-tooth of 40": saw_tooth(40),
}
BESIDE: Final[Mapping[str, Series]] = {"random walk": lambda draws: autocorrelated(draws, 1.0, 0)}
"""A level that wanders leaks nothing either, but so few values do not tell it from a leak for certain."""


def judged(seeds: int) -> dict[str, Shares]:
    """All kinds, with so many seeds each."""
    return {name: _shares(make, seeds) for name, make in {**LEAKS, **NONE, **BESIDE}.items()}


def _shares(make: Series, seeds: int) -> Shares:
    series = [make(random.Random(seed)) for seed in range(seeds)]  # noqa: S311 - a simulation
    trends = sum(mann_kendall(values).p < _PLAIN_P for values in series)
    return Shares(sum(map(_is_leak, series)) / seeds, trends / seeds)


def _is_leak(values: list[float]) -> bool:
    """The verdict after three windows."""
    growth = Growth(scales_s=(_MINUTE_S,))
    for minute, value in enumerate([*values, values[-1]]):
        growth.add(minute * _MINUTE_S, value)
    return growth.verdict().state is GrowthState.LEAKING
