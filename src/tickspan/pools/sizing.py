"""How many connections a load asks for. Pure.

Little's law: connections in use on average are arrivals per second times mean use, L = λ·S. Where requests
arrive independently of one another their number varies by its root; three of these on top of the mean keep
almost everybody from waiting: L + 3·√L.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SPREAD: Final = 3.0
MIN_LENT: Final = 30
"""Fewer checkouts in a window say nothing."""
_MUCH_TOO_LARGE: Final = 3
"""A pool so many times the advised size is told of."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a pool did in a window of time."""

    lent: int
    """Checkouts."""
    use_s: float
    """Time that connections were out, added up."""
    timeouts: int
    window_s: float

    @property
    def mean_in_use(self) -> float:
        """L."""
        return self.use_s / self.window_s


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a pool's size."""

    load: float
    """Connections in use on average."""
    size: int
    """What that asks for."""
    limit: int
    """What the pool allows."""

    @property
    def is_too_small(self) -> bool:
        """Whether requests wait for want of connections."""
        return self.size > self.limit


def advised_size(load: Load) -> int:
    """L + 3·√L, at least 1."""
    mean = load.mean_in_use
    return max(1, math.ceil(mean + SPREAD * math.sqrt(mean)))


def advice_on(load: Load, limit: int | None) -> Advice | None:
    """None while the pool's size fits, or too little happened to tell.

    A pool is too small if the load asks for more, or requests waited in vain at its limit; too large at three
    times what is asked for.
    """
    if limit is None or load.lent < MIN_LENT:
        return None
    size = advised_size(load)
    if load.timeouts and size <= limit:
        size = limit + max(1, load.timeouts * limit // load.lent)
    if size > limit or limit >= _MUCH_TOO_LARGE * size:
        return Advice(load.mean_in_use, size, limit)
    return None
