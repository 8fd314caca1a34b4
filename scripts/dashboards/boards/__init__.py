"""The dashboards that we ship: what each shows, in which order, and what is normal."""

from typing import Final

from scripts.dashboards.boards import (
    alerts,
    cache,
    collector,
    databases,
    health,
    lifecycle,
    market_data,
    overview,
    runtime,
    venues,
)

__all__ = ["BOARDS"]

BOARDS: Final = (
    overview.BOARD,
    lifecycle.BOARD,
    venues.BOARD,
    market_data.BOARD,
    databases.BOARD,
    cache.BOARD,
    runtime.BOARD,
    alerts.BOARD,
    health.BOARD,
    collector.BOARD,
)
"""All of them, in the order in which people look."""
