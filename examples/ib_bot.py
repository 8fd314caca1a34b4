"""A bot on ib_async: it buys at a tick, hedges at the fill, changes and cancels; its orders as waterfalls.

Needs `pip install tickspan[testing] tickspan-ib ib_async` and nothing else: TWS is simulated, and the
telemetry comes back to this program over OTLP. At the address of a real TWS the bot would trade there.
`python examples/ib_bot.py ib_insync` runs the same bot on ib_insync.
"""

import importlib
import logging
import os
import sys
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
    fee_asset="USD",
)


class Bot:
    """Buys, sells at the last fill what it got; leaves an order that nobody takes, raises and cancels it."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.ib = library.IB()
        self.bought: Any = None
        self.hedge: Any = None
        self.resting: Any = None

    def run(self, host: str, port: int) -> None:
        """Connect, and let the library run the loop until all three orders are over."""
        self.ib.connect(host, port, clientId=1)
        (contract,) = self.ib.qualifyContracts(self.library.Stock(SYMBOL, "SMART", "USD"))
        ticker = self.ib.reqMktData(contract)
        ticker.updateEvent += self.on_tick
        self.ib.execDetailsEvent += self.on_fill
        while not all(order is not None and order.isDone() for order in (self.hedge, self.resting)):
            self.ib.waitOnUpdate(5)
        self.ib.sleep(0.1)
        self.ib.disconnect()
        self.ib.sleep(0.1)

    def on_tick(self, ticker: Any) -> None:
        """The strategy: one step a tick."""
        if self.bought is None:
            self.bought = self.place(ticker.contract, "BUY", 10, ticker.ask * 1.01)
        elif self.resting is None:
            self.resting = self.place(ticker.contract, "BUY", 5, ticker.bid * 0.5)
        elif self.resting.orderStatus.status == "Submitted" and self.resting.log[-1].message != "Modified":
            self.resting.order.lmtPrice = round(ticker.bid * 0.6, 2)
            self.ib.placeOrder(ticker.contract, self.resting.order)
        elif self.resting.orderStatus.status == "Submitted":
            self.ib.cancelOrder(self.resting.order)

    def on_fill(self, trade: Any, _fill: Any) -> None:
        """What was bought is sold."""
        if trade is self.bought and trade.remaining() == 0:
            self.hedge = self.ib.placeOrder(trade.contract, self.library.MarketOrder("SELL", trade.filled()))

    def place(self, contract: Any, side: str, quantity: float, price: float) -> Any:
        """A limit order of the day."""
        return self.ib.placeOrder(contract, self.library.LimitOrder(side, quantity, round(price, 2)))


def main() -> None:
    """One run, and a waterfall for each of its orders."""
    library = importlib.import_module(sys.argv[1] if len(sys.argv) > 1 else "ib_async")
    with VenueSimulator(dialect="tws", seed=7, behaviour=BEHAVIOUR) as venue, OtlpServer() as server:
        os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", server.endpoint)
        tickspan.init({"agent": "thread"}, service_name="ib-bot")
        logging.getLogger(library.__name__).setLevel(logging.CRITICAL)  # it logs each cancel as an error
        Bot(library).run(*venue.connect.ib_address)
        trading.shutdown()
        trace.get_tracer_provider().force_flush()  # pyright: ignore[reportAttributeAccessIssue] - the SDK's
        for spans in order_traces(server.spans()):
            print(*waterfall(spans), "", sep="\n")
        print(
            f"The venue holds {len(venue.orders)} orders and has booked {len(venue.executions)} executions."
        )


if __name__ == "__main__":
    main()
