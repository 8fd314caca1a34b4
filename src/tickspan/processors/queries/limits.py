"""What settings say of too much, as rules want it."""

from __future__ import annotations

from tickspan.analysis.traces import Thresholds
from tickspan.config import QuerySettings

__all__ = ["thresholds"]


def thresholds(settings: QuerySettings) -> Thresholds:
    """Those of the settings; what is no setting is as the reference says."""
    return Thresholds(
        repeats=settings.repeats,
        slow_s=settings.slow_s,
        rows=settings.large_rows,
        transaction_s=settings.transaction_s,
        idle_s=settings.idle_s,
    )
