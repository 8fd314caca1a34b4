"""What comes under one name of one connection: its form found out once, then read at a glance.

ccxt hands a result to whoever waits under a name of its own making ("ticker:ticker@BTC/USDT"). The name is
never read, and says nothing here but that what comes next under it will probably look like what came last.
"""

from __future__ import annotations

from typing import Any, Final

from tickspan.trading import Feed, RecentTicks, TickKind

from tickspan_ccxt.read import Topic

OTHER: Final = (None, None)
"""What a form reads in a result that is not of it; its line is never there."""
Glance = tuple[Any, Any]
"""Instrument, and milliseconds since 1970, as the result has them."""


class Line:
    """What all results about one instrument have in common, under one name."""

    __slots__ = ("channel", "feed", "instrument", "kind", "recent", "venue")

    def __init__(self, told: Topic, feed: Feed, recent: RecentTicks | None) -> None:
        self.channel = told.channel
        self.instrument = told.instrument
        self.kind: TickKind = told.kind
        self.venue = feed.place.venue
        self.feed = feed
        self.recent = recent
        """Where ticks are remembered; None: nobody's, since the connection is no exchange's."""

    def __repr__(self) -> str:
        return f"<Line {self.venue} {self.channel} {self.instrument}>"


class Form:
    """How the results under one name look. This one: bars, which name no instrument."""

    __slots__ = ("lines", "type")

    def __init__(self, result: Any) -> None:
        self.type = type(result)
        self.lines: dict[Any, Line] = {}
        """By instrument."""

    def glance(self, result: Any) -> Glance:
        """What `result` is about, and when it was."""
        is_bars = type(result) is self.type and result and type(result[-1]) is list
        return _NOBODYS if is_bars else OTHER


class OneForm(Form):
    """A ticker or a book."""

    __slots__ = ()

    def glance(self, result: Any) -> Glance:
        """Its own."""
        return (result.get("symbol"), result.get("timestamp")) if type(result) is self.type else OTHER


class NamedForm(Form):
    """Tickers in a dictionary by symbol: one of them, or many, which have a time each."""

    __slots__ = ()

    def glance(self, result: Any) -> Glance:
        """Of the one."""
        if type(result) is not self.type or "symbol" in result:
            return OTHER
        if len(result) == 1:
            for symbol, ticker in result.items():
                return symbol, ticker.get("timestamp")
        return _NOBODYS


class CacheForm(Form):
    """Trades or orders, the newest one last."""

    __slots__ = ()

    def glance(self, result: Any) -> Glance:
        """The newest one's."""
        last = result[-1] if type(result) is self.type and result else None
        return (last.get("symbol"), last.get("timestamp")) if type(last) is dict else OTHER


_NOBODYS: Final = ("", None)
"""Of no instrument by name."""


def form_of(result: Any) -> Form:
    """The form of a result that is a feed's."""
    if isinstance(result, list):
        return Form(result) if isinstance(result[-1], list) else CacheForm(result)
    return OneForm(result) if "symbol" in result else NamedForm(result)
