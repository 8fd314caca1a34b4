"""Binance's streams: what a stream's name means, and the message it carries for a tick."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tickspan.testing.venue.binance import messages
from tickspan.testing.venue.binance.operations import INTERVALS_MS
from tickspan.testing.venue.prices import Prices, Tick

_NAME = re.compile(r"(?P<symbol>!|[a-z0-9]+)@?(?P<channel>[A-Za-z]+)(?P<argument>_?[0-9]*[smhdwM]?)(?:@.*)?")

_PLAIN: Mapping[str, Callable[[Tick], messages.Json]] = {
    "ticker": messages.ticker_event,
    "miniTicker": messages.mini_ticker_event,
    "bookTicker": messages.book_ticker_event,
    "trade": messages.trade_event,
    "aggTrade": messages.aggregate_trade_event,
}
_FOR_ALL_MARKETS = frozenset({"ticker", "miniTicker"})


@dataclass(frozen=True, slots=True)
class Stream:
    """A parsed stream name."""

    market_id: str | None  # None: all markets
    channel: str
    argument: str = ""

    def carries(self, tick: Tick) -> bool:
        """Whether a tick makes a message on this stream."""
        return self.market_id in (None, tick.market.id)

    def messages(self, tick: Tick, prices: Prices) -> list[object]:
        """The JSON values that the stream carries for `tick`, in order."""
        if self.channel == "kline":
            return self._klines(tick, prices)
        if self.channel == "depth":
            return [
                messages.depth(prices, int(self.argument)) if self.argument else messages.depth_event(tick)
            ]
        message = _PLAIN[self.channel](tick)
        return [[message] if self.market_id is None else message]

    def _klines(self, tick: Tick, prices: Prices) -> list[object]:
        """The open candle; before it the one that the tick closed, if it did."""
        interval_ms = INTERVALS_MS[self.argument]
        candles = prices.candles(interval_ms)
        is_new = len(candles) > 1 and candles[-1].first_trade_id == tick.trade.id
        return [
            messages.kline_event(
                tick, candle, self.argument, interval_ms, is_closed=candle is not candles[-1]
            )
            for candle in candles[-2 if is_new else -1 :]
        ]


def parse_stream(name: str) -> Stream | None:
    """`btcusdt@depth@100ms`, `btcusdt@kline_1m`, `!ticker@arr`; None for a name that carries nothing here."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    symbol, channel, argument = found["symbol"], found["channel"], found["argument"]
    if symbol == "!":
        return Stream(None, channel) if channel in _FOR_ALL_MARKETS and name.endswith("@arr") else None
    if channel == "kline":
        interval = argument.removeprefix("_")
        return Stream(symbol.upper(), channel, interval) if interval in INTERVALS_MS else None
    if channel == "depth":
        return Stream(symbol.upper(), channel, argument) if argument in ("", "5", "10", "20") else None
    return Stream(symbol.upper(), channel) if channel in _PLAIN and not argument else None
