"""How many orders are open at each place, and since when the venue owes an answer: what gauges tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tickspan.semconv import trading as names
from tickspan.trading.lifecycle import UNHEARD
from tickspan.trading.model import AttributeValue, OrderStatus
from tickspan.trading.observing import Observed, Readings, Series, Together

PLACE_KEYS: Final = (
    names.VENUE_NAME,
    names.VENUE_ENVIRONMENT,
    names.CLIENT_LIBRARY,
    names.STRATEGY_ID,
)
"""What tells places apart."""
MAX_PLACES: Final = 1_000
"""Places that are told apart; orders of further ones count for the last."""

GAUGES: Final = (
    Observed(names.METRIC_ORDER_OPEN, "{order}", "Orders that are not over"),
    Observed(
        names.METRIC_ORDER_OPEN_UNKNOWN,
        "{order}",
        "Orders of which nobody knows whether the venue has them",
    ),
    Observed(
        names.METRIC_ORDER_OLDEST_UNACKED_AGE,
        "s",
        "The age of the oldest order that has no answer yet",
        together=Together.MOST,
    ),
)


class Tally:
    """The open orders of one venue, environment, library and strategy. The registry's lock covers it."""

    __slots__ = ("open", "series", "unheard", "unknown")

    def __init__(self, series: Series) -> None:
        self.series = series
        self.open = 0
        self.unknown = 0
        self.unheard: dict[object, int] = {}
        """Orders that the venue has not spoken of, oldest first; since which monotonic moment."""

    def change(
        self, entry: object, before: OrderStatus | None, after: OrderStatus | None, called_ns: int
    ) -> None:
        """An order came (`before` is None), went (`after` is None), or stands otherwise than before."""
        if before is after:
            return
        self.open += (after is not None and not after.is_terminal) - (
            before is not None and not before.is_terminal
        )
        self.unknown += (after is OrderStatus.UNKNOWN) - (before is OrderStatus.UNKNOWN)
        if after in UNHEARD:
            self.unheard.setdefault(entry, called_ns)
        elif before in UNHEARD:
            self.unheard.pop(entry, None)

    def oldest_age_s(self, now_ns: int) -> float:
        """Seconds for which the oldest of them waits; 0 where none does."""
        since_ns = next(iter(self.unheard.values()), now_ns)
        return max(0.0, (now_ns - since_ns) / 1e9)


class Tallies:
    """The tallies of one registry."""

    def __init__(self) -> None:
        self._known: dict[Series, Tally] = {}

    def of(self, order: Mapping[str, AttributeValue]) -> Tally:
        """The tally that an order with these attributes counts for."""
        series = tuple((key, order[key]) for key in PLACE_KEYS if key in order)
        known = self._known.get(series)
        if known is None and len(self._known) >= MAX_PLACES:
            return next(reversed(self._known.values()))
        return known if known is not None else self._known.setdefault(series, Tally(series))

    def clear(self) -> None:
        """Nothing is open: this is a forked child, and what is open is its parent's."""
        for tally in self._known.values():
            tally.open = tally.unknown = 0
            tally.unheard = {}

    @property
    def open(self) -> int:
        """Orders that are not over."""
        return sum(tally.open for tally in self._known.values())

    @property
    def unknown(self) -> int:
        """Orders whose fate nobody knows."""
        return sum(tally.unknown for tally in self._known.values())

    def readings(self, name: str, now_ns: int) -> Readings:
        """What the gauge `name` is now."""
        tallies = tuple(self._known.values())
        if name == names.METRIC_ORDER_OPEN:
            return [(tally.series, tally.open) for tally in tallies]
        if name == names.METRIC_ORDER_OPEN_UNKNOWN:
            return [(tally.series, tally.unknown) for tally in tallies]
        return [(tally.series, tally.oldest_age_s(now_ns)) for tally in tallies]
