"""The market data of one pair: a seeded random walk with a book, trades, candles and sequence numbers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from tickspan.testing.venue.behaviour import Market

Level = tuple[Decimal, Decimal]  # price, quantity
_LEVELS = 20
_VOLATILITY = 0.0002  # standard deviation of one tick, as a share of the price
_PULL = 0.002  # share of the way back to the start price, per tick: the walk stays near it for ever
_LOST_MESSAGES = 7
_KEPT = 1_000  # trades and candles remembered
_PAST_CANDLES = 500  # before the venue opened
_PAST_TRADES = 10  # of each of those


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade of somebody else, as the public tape shows it."""

    id: int
    price: Decimal
    quantity: Decimal
    is_buyer_maker: bool
    time_ms: int


@dataclass(frozen=True, slots=True)
class Candle:
    """Open, high, low, close and volumes of one interval."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    trades: int
    first_trade_id: int
    last_trade_id: int

    def with_trade(self, trade: Trade) -> Candle:
        """The candle after one more trade."""
        return Candle(
            self.open_ms,
            self.open,
            max(self.high, trade.price),
            min(self.low, trade.price),
            trade.price,
            self.volume + trade.quantity,
            self.quote_volume + trade.price * trade.quantity,
            self.trades + 1,
            self.first_trade_id,
            trade.id,
        )


def opened_by(trade: Trade, open_ms: int) -> Candle:
    """The candle that begins with `trade`."""
    price, cost = trade.price, trade.price * trade.quantity
    return Candle(open_ms, price, price, price, price, trade.quantity, cost, 1, trade.id, trade.id)


@dataclass(frozen=True, slots=True)
class Tick:
    """All that one step of the walk changed."""

    market: Market
    time_ms: int
    trade: Trade
    first_update_id: int
    last_update_id: int
    changed_bids: tuple[Level, ...]  # a quantity of 0 removes the level
    changed_asks: tuple[Level, ...]
    best_bid: Level
    best_ask: Level
    day: Candle  # since the venue opened


class Prices:
    """Walks one market. Not thread-safe: the venue's loop owns it.

    The n-th tick has the same prices, quantities and ids for the same seed; only its time is the clock's.
    """

    def __init__(self, market: Market, seed: int, now_ms: int) -> None:
        self.market = market
        self._seed = seed
        self._random = Random(f"{seed}/{market.id}")  # noqa: S311 (a walk, no secret)
        self._tick_size = market.tick_size
        self._grid = max(1, int(market.start_price / self._tick_size / 20_000))
        self._start = int(market.start_price / self._tick_size)
        self._middle = self._start
        self._bids: dict[int, Decimal] = {}
        self._asks: dict[int, Decimal] = {}
        self.last_update_id = self._random.randrange(10_000, 1_000_000)
        self._trade_id = self._random.randrange(10_000, 1_000_000)
        self.trades: deque[Trade] = deque(maxlen=_KEPT)
        self._candles: dict[int, deque[Candle]] = {}
        self._rebuild_book()
        first = self._print_trade(now_ms)
        self.day = opened_by(first, now_ms)

    @property
    def bids(self) -> list[Level]:
        """Best first."""
        return [(price * self._tick_size, self._bids[price]) for price in sorted(self._bids, reverse=True)]

    @property
    def asks(self) -> list[Level]:
        """Best first."""
        return [(price * self._tick_size, self._asks[price]) for price in sorted(self._asks)]

    @property
    def best_bid(self) -> Level:
        """Highest price that somebody pays, and how much of it."""
        price = max(self._bids)
        return price * self._tick_size, self._bids[price]

    @property
    def best_ask(self) -> Level:
        """Lowest price that somebody asks, and how much of it."""
        price = min(self._asks)
        return price * self._tick_size, self._asks[price]

    def tick(self, now_ms: int, *, has_gap: bool = False) -> Tick:
        """Take one step. With `has_gap` the ids jump, as if messages had been lost before it."""
        if has_gap:
            self.last_update_id += _LOST_MESSAGES
            self._trade_id += _LOST_MESSAGES
        pull = (self._start - self._middle) * _PULL
        self._middle += round(self._random.gauss(0, self._start * _VOLATILITY) + pull)
        self._middle = max(self._middle, self._grid * (_LEVELS + 2))
        changed_bids, changed_asks = self._rebuild_book()
        first_update_id = self.last_update_id + 1
        self.last_update_id += len(changed_bids) + len(changed_asks)
        trade = self._print_trade(now_ms)
        self.day = self.day.with_trade(trade)
        return Tick(
            self.market,
            now_ms,
            trade,
            first_update_id,
            self.last_update_id,
            changed_bids,
            changed_asks,
            self.best_bid,
            self.best_ask,
            self.day,
        )

    def candles(self, interval_ms: int) -> list[Candle]:
        """The candles of `interval_ms`, oldest first, the open one last.

        They go back to before the venue opened: indicators have what they need from the first moment on.
        """
        if interval_ms not in self._candles:
            trade = self.trades[-1]
            opened = opened_by(trade, trade.time_ms // interval_ms * interval_ms)
            candles = [*self._past(opened, interval_ms), opened]
            self._candles[interval_ms] = deque(candles, maxlen=_KEPT)
        return list(self._candles[interval_ms])

    def _past(self, opened: Candle, interval_ms: int) -> list[Candle]:
        """Candles that never were, oldest first, which lead to the open of `opened`."""
        walk = Random(f"{self._seed}/{self.market.id}/{interval_ms}")  # noqa: S311 (a walk, no secret)
        candles: list[Candle] = []
        close, last_id = opened.open, opened.first_trade_id - 1
        for back in range(1, _PAST_CANDLES + 1):
            lead = float((self.market.start_price - close) / self.market.start_price) * _PULL
            step = Decimal(walk.gauss(lead, _VOLATILITY)) * self.market.start_price
            start = max((close + step).quantize(self._tick_size), self._tick_size)
            low, high = sorted((start, close))
            volume = self._quantity_worth(walk.randrange(1_000, 1_000_000))
            candles.append(
                Candle(
                    opened.open_ms - back * interval_ms,
                    start,
                    high + self._tick_size * walk.randrange(3),
                    max(low - self._tick_size * walk.randrange(3), self._tick_size),
                    close,
                    volume,
                    volume * (low + high) / 2,
                    _PAST_TRADES,
                    last_id - _PAST_TRADES + 1,
                    last_id,
                )
            )
            close, last_id = start, last_id - _PAST_TRADES
        return candles[::-1]

    def _print_trade(self, now_ms: int) -> Trade:
        is_buyer_maker = self._random.random() < 0.5  # noqa: PLR2004 (a fair coin)
        price = (self.best_bid if is_buyer_maker else self.best_ask)[0]
        self._trade_id += 1
        trade = Trade(self._trade_id, price, self._draw_quantity(), is_buyer_maker, now_ms)
        self.trades.append(trade)
        for interval_ms, candles in self._candles.items():
            open_ms = now_ms // interval_ms * interval_ms
            if candles[-1].open_ms == open_ms:
                candles[-1] = candles[-1].with_trade(trade)
            else:
                candles.append(opened_by(trade, open_ms))
        return trade

    def _rebuild_book(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Move the book to the middle price; levels stand on a grid, so that few change per tick."""
        best_bid = (self._middle - 1) // self._grid * self._grid
        bids = [best_bid - self._grid * depth for depth in range(_LEVELS)]
        asks = [best_bid + self._grid * (depth + 1) for depth in range(_LEVELS)]
        return self._replace_side(self._bids, bids), self._replace_side(self._asks, asks)

    def _replace_side(self, side: dict[int, Decimal], wanted: list[int]) -> tuple[Level, ...]:
        gone = side.keys() - set(wanted)
        # The best level changes at each tick: orders come and go there.
        drawn = {price: self._draw_quantity() for price in wanted if price not in side or price == wanted[0]}
        for price in gone:
            del side[price]
        side.update(drawn)
        changes = {**dict.fromkeys(gone, Decimal(0)), **drawn}
        return tuple((price * self._tick_size, changes[price]) for price in sorted(changes))

    def _draw_quantity(self) -> Decimal:
        return self._quantity_worth(self._random.randrange(100, 100_000))

    def _quantity_worth(self, worth: int) -> Decimal:
        share = (Decimal(worth) / self.market.start_price).quantize(self.market.step_size)
        return share + self.market.step_size
