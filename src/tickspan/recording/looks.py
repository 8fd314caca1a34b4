"""How often a sampler of this process may look at its threads at most, as whoever tunes it wants."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["limit_looks", "most_looks_hz"]

_most_hz: Final[list[float]] = [math.inf]


def limit_looks(hz: float | None) -> None:
    """From now on so many a second at most; None is as many as a sampler is asked for."""
    _most_hz[0] = math.inf if hz is None else hz


def most_looks_hz() -> float:
    """Looks a second at most; infinite without a limit."""
    return _most_hz[0]
