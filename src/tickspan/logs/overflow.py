"""Who has to stay outside while the spool is nearly full: what matters least goes first. Pure."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from tickspan.logs.category import Category

__all__ = ["EVERYTHING", "floor_at", "rank_of"]

EVERYTHING: Final = 0
"""The floor that everybody passes."""

_RANKS: Final[Mapping[str, int]] = {
    Category.MARKET_DATA: 1,
    Category.PERFORMANCE: 2,
    Category.SYSTEM: 3,
    Category.TRADING: 4,
    Category.RISK: 4,
    Category.SECURITY: 4,
    Category.AUDIT: 5,
}
_OTHERS: Final = 3
_FLOORS: Final = ((0.90, 5), (0.85, 4), (0.80, 3), (0.75, 2), (0.70, 1))
"""From what share of the spool's bound on which rank is the lowest that passes. The last tenth is audit's."""


def rank_of(category: str | None, level: int) -> int:
    """0 for debug records of anything but audit, then market data, …, 5 for audit."""
    rank = _RANKS.get(category or Category.SYSTEM, _OTHERS)
    return rank if level > logging.DEBUG or rank == _RANKS[Category.AUDIT] else 0


def floor_at(share: float) -> int:
    """The lowest rank that is recorded while this share of the spool's bound is taken."""
    return next((rank for since, rank in _FLOORS if share >= since), EVERYTHING)
