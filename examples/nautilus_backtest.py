"""A seeded back-test by NautilusTrader whose draws, orders and fills are the same with telemetry off and on.

Needs `pip install nautilus_trader`, and `tickspan-nautilus` for the telemetry. Run it by itself, then as
`tickspan run -- python examples/nautilus_backtest.py`: both print the same line. The run becomes one span and
a few counters; with TICKSPAN_TRADING_BACKTEST_TRACES=true each order becomes a trace.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from dataclasses import dataclass
from typing import Any, Final

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import TraderId, Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

SEED: Final = 20_261_126
START_NS: Final = 1_600_000_000_000_000_000
STEP_NS: Final = 100_000_000
BTCUSDT: Final[Any] = TestInstrumentProvider.btcusdt_binance()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a back-test did."""

    digest: str
    """Of every draw, order and fill."""
    orders: int
    fills: int


class Reversion(Strategy):  # pyright: ignore[reportUntypedBaseClass] - the library has no types
    """Trades against the last move at every `every`-th quote: at the market, or by an order that may rest."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.quotes = 0
        self.last = 0.0
        self.draws = random.Random(SEED)  # noqa: S311 - no secret

    def on_start(self) -> None:
        """Ask for quotes."""
        self.subscribe_quote_ticks(BTCUSDT.id)

    def on_quote_tick(self, tick: Any) -> None:
        """One quote: count, and perhaps trade."""
        self.quotes += 1
        if self.quotes % self.every == 0:
            bid = tick.bid_price.as_double()
            self.trade(tick, OrderSide.BUY if bid < self.last else OrderSide.SELL)
            self.last = bid

    def trade(self, tick: Any, side: Any) -> None:
        """An order of a drawn size, of a drawn kind."""
        size = BTCUSDT.make_qty(self.draws.uniform(0.01, 0.1))
        if self.draws.random() < 0.5:  # noqa: PLR2004 - every other time
            self.submit_order(self.order_factory.market(BTCUSDT.id, side, size))
            return
        price = tick.bid_price if side == OrderSide.BUY else tick.ask_price
        self.submit_order(self.order_factory.limit(BTCUSDT.id, side, size, price))

    def on_stop(self) -> None:
        """Leave nothing behind."""
        self.cancel_all_orders(BTCUSDT.id)
        self.close_all_positions(BTCUSDT.id)


def quotes(count: int) -> list[Any]:
    """A random walk of quotes, ten a second."""
    draws, bid, one = random.Random(SEED), 50_000.0, BTCUSDT.make_qty(1)  # noqa: S311 - no secret
    made: list[Any] = []
    for number in range(count):
        bid += draws.gauss(0, 5)
        prices = BTCUSDT.make_price(bid), BTCUSDT.make_price(bid + 1)
        moment_ns = START_NS + number * STEP_NS
        made.append(QuoteTick(BTCUSDT.id, *prices, one, one, moment_ns, moment_ns))
    return made


def run(data: list[Any], every: int) -> Outcome:
    """Replay `data`, and say what came of it."""
    silent = LoggingConfig(bypass_logging=True)
    engine: Any = BacktestEngine(BacktestEngineConfig(trader_id=TraderId("TRADER-001"), logging=silent))
    balances = [Money(1_000_000, USDT), Money(100, BTC)]
    engine.add_venue(Venue("BINANCE"), OmsType.NETTING, AccountType.MARGIN, balances)
    engine.add_instrument(BTCUSDT)
    engine.add_data(data)
    strategy = Reversion(every)
    engine.add_strategy(strategy)
    engine.run()
    outcome = _outcome(engine, strategy)
    engine.dispose()
    return outcome


def _outcome(engine: Any, strategy: Reversion) -> Outcome:
    orders = engine.cache.orders()
    fills = [event for order in orders for event in order.events if type(event).__name__ == "OrderFilled"]
    digest = hashlib.sha256(str(strategy.draws.getstate()).encode())
    for order in orders:
        digest.update(f"{order.client_order_id} {order.status_string()} {order.filled_qty}".encode())
    for fill in fills:
        digest.update(f"{fill.client_order_id} {fill.last_qty} {fill.last_px} {fill.ts_event}".encode())
    return Outcome(digest.hexdigest(), len(orders), len(fills))


def main() -> None:
    """Run it and print the digest."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quotes", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=20, help="one order for so many quotes")
    asked = parser.parse_args()
    outcome = run(quotes(asked.quotes), asked.every)
    print(f"{asked.quotes} quotes, {outcome.orders} orders, {outcome.fills} fills, digest {outcome.digest}")


if __name__ == "__main__":
    main()
