"""What several dashboards show: the choice of venues, and panels of one shape."""

from typing import Final

from scripts.dashboards.board import Limit, Panel, Variable
from scripts.dashboards.queries import Query, quantile, values_of

__all__ = ["BAD", "CHOSEN_VENUE", "VENUE", "VENUES", "WARN", "latency", "stat"]

VENUE: Final = "trading.venue.name"
CHOSEN_VENUE: Final = {VENUE: "$venue"}
VENUES: Final = Variable("venue", "Venue", values_of(VENUE, "trading.order.operations"))
WARN: Final = "orange"
BAD: Final = "red"


def latency(name: str, title: str, about: str, *by: str, width: int = 8) -> Panel:
    """Median and 99th percentile of a duration of orders."""
    queries = tuple(quantile(name, which, *by, where=CHOSEN_VENUE) for which in (0.5, 0.99))
    return Panel(title, queries, about, width=width)


def stat(title: str, query: Query, about: str, *limits: Limit) -> Panel:
    """One number."""
    return Panel(title, (query,), about, "stat", 4, 4, limits)
