"""A bot on alpaca-py: it buys at a quote, hedges at the fill, and cancels; what is told of it, as waterfalls.

Needs `pip install tickspan[testing] tickspan-alpaca alpaca-py` and nothing else: the venue is simulated, and
the telemetry comes back to this program over OTLP. With keys of Alpaca's own the bot would trade there.
"""

import os
import threading
import time
import warnings
from typing import Any

from opentelemetry import trace

import tickspan
from tickspan import trading
from tickspan.testing.otlp import OtlpServer
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan.waterfall import order_traces, waterfall

SYMBOL = "AAPL"
BEHAVIOUR = Behaviour(
    symbols=(f"{SYMBOL}/USD=190",),
    balances={"USD": "100000", SYMBOL: "100"},
    partials=(0.4, 0.6),
    fill_delay_s=0.02,
    fee_rate=0,
)


class Bot:
    """Buys, and sells what it got at the last fill; leaves an order that nobody takes, and cancels it."""

    def __init__(self, venue: VenueSimulator) -> None:
        from alpaca.data.live.stock import StockDataStream
        from alpaca.trading.client import TradingClient
        from alpaca.trading.stream import TradingStream

        self.client: Any = TradingClient(**venue.connect.alpaca(TradingClient))
        self.quotes = StockDataStream(**venue.connect.alpaca(StockDataStream))
        self.updates = TradingStream(**venue.connect.alpaca(TradingStream))
        self.quotes.subscribe_quotes(self.on_quote, SYMBOL)
        self.updates.subscribe_trade_updates(self.on_update)
        self.plan = ["buy", "rest"]
        self.is_hedged = threading.Event()

    async def on_quote(self, quote: Any) -> None:
        """The strategy."""
        if not self.plan:
            return
        if self.plan.pop(0) == "buy":
            self.submit("buy", 10, quote.ask_price * 1.01)
        else:
            order = self.submit("buy", 5, quote.bid_price * 0.5)
            self.client.cancel_order_by_id(order.id)

    async def on_update(self, update: Any) -> None:
        """Fills: what was bought is sold."""
        if update.event == "fill" and update.order.side == "buy":
            self.submit("sell", float(update.order.filled_qty), float(update.price) * 0.99)
        elif update.event == "fill":
            self.is_hedged.set()

    def submit(self, side: Any, quantity: float, price: float) -> Any:
        """A limit order of the day."""
        from alpaca.trading.enums import TimeInForce
        from alpaca.trading.requests import LimitOrderRequest

        order = LimitOrderRequest(
            symbol=SYMBOL, side=side, qty=quantity, limit_price=round(price, 2), time_in_force=TimeInForce.DAY
        )
        return self.client.submit_order(order)

    def run(self) -> None:
        """Listen, each stream in a thread of its own, until the hedge is filled."""
        threads = [threading.Thread(target=stream.run) for stream in (self.updates, self.quotes)]
        for thread in threads:
            thread.start()
            time.sleep(0.5)  # it listens
        self.is_hedged.wait(30)
        time.sleep(0.2)  # the cancel is told as well
        for stream in (self.quotes, self.updates):
            stream.stop()
        for thread in threads:
            thread.join()  # alpaca-py looks up every five seconds


def main() -> None:
    """One run, and a waterfall for each of its three orders."""
    # alpaca-py still speaks through the older half of websockets.
    warnings.filterwarnings("ignore", "websockets.legacy is deprecated", DeprecationWarning)
    with VenueSimulator(dialect="alpaca", seed=7, behaviour=BEHAVIOUR) as venue, OtlpServer() as server:
        os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", server.endpoint)
        tickspan.init({"agent": "thread", "trading": {"environment": "simulated"}}, service_name="alpaca-bot")
        Bot(venue).run()
        trading.shutdown()
        trace.get_tracer_provider().force_flush()  # pyright: ignore[reportAttributeAccessIssue] - the SDK's
        for spans in order_traces(server.spans()):
            print(*waterfall(spans), "", sep="\n")
        print(
            f"The venue holds {len(venue.orders)} orders and has booked {len(venue.executions)} executions."
        )


if __name__ == "__main__":
    main()
