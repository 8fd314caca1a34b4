"""A bot on python-binance: it buys, hedges at the fill, moves and cancels; its orders as waterfalls.

Needs `pip install tickspan[testing] tickspan-binance python-binance` and nothing else: the venue is
simulated, and the telemetry comes back to this program over OTLP. With keys of Binance's own the bot would
trade there.
"""

import asyncio
import os
import warnings
from typing import Any

from opentelemetry import trace

import tickspan
from tickspan import trading
from tickspan.testing.otlp import OtlpServer
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan.waterfall import order_traces, waterfall

SYMBOL = "BTCUSDT"
BEHAVIOUR = Behaviour(partials=(0.4, 0.6), fill_delay_s=0.02)


class Bot:
    """Buys, sells at the last fill what it got; leaves an order that nobody takes, moves and cancels it."""

    def __init__(self, client: Any, sockets: Any) -> None:
        self.client = client
        self.sockets = sockets

    async def run(self) -> None:
        """Trade until the hedge is filled."""
        async with self.sockets.user_socket() as user, self.sockets.trade_socket(SYMBOL) as ticks:
            hedging = asyncio.create_task(self.hedge(user))
            await self.buy(ticks)
            await self.rest(ticks)
            await hedging

    async def buy(self, ticks: Any) -> None:
        """At the next tick, at a price that is taken at once."""
        tick = await ticks.recv()
        price = f"{float(tick['p']) * 1.01:.2f}"
        await self.client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price=price)

    async def hedge(self, user: Any) -> None:
        """What was bought is sold, by the WebSocket API; until that is filled."""
        report: dict[str, Any] = {}
        while (report.get("X"), report.get("S")) != ("FILLED", "SELL"):
            report = await user.recv()
            if (report.get("X"), report.get("S")) == ("FILLED", "BUY"):
                await self.client.ws_order_market_sell(symbol=SYMBOL, quantity=report["z"])

    async def rest(self, ticks: Any) -> None:
        """An order far from the market, moved once, then canceled."""
        tick = await ticks.recv()
        terms = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.02"}
        order = await self.client.create_order(**terms, price=f"{float(tick['p']) * 0.5:.2f}")
        moved = await self.client.cancel_replace_order(
            **terms,
            price=f"{float(tick['p']) * 0.6:.2f}",
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrderId=order["orderId"],
        )
        await self.client.cancel_order(symbol=SYMBOL, orderId=moved["newOrderResponse"]["orderId"])


async def trade(account: dict[str, Any]) -> None:
    """One run of the bot."""
    from binance import AsyncClient, BinanceSocketManager

    client = await AsyncClient.create(**account)
    await Bot(client, BinanceSocketManager(client)).run()
    await client.close_connection()  # python-binance looks up every ten seconds


def main() -> None:
    """One run, and a waterfall for each trace."""
    # python-binance asks for a class that websockets no longer wants to be asked for.
    warnings.filterwarnings("ignore", "websockets.WebSocketClientProtocol is deprecated", DeprecationWarning)
    with VenueSimulator(seed=7, behaviour=BEHAVIOUR) as venue, OtlpServer() as server:
        os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", server.endpoint)
        tickspan.init(
            {"agent": "thread", "trading": {"environment": "simulated"}}, service_name="binance-bot"
        )
        with venue.connect.python_binance() as account:
            asyncio.run(trade(account))
        trading.shutdown()
        trace.get_tracer_provider().force_flush()  # pyright: ignore[reportAttributeAccessIssue] - the SDK's
        for spans in order_traces(server.spans()):
            print(*waterfall(spans), "", sep="\n")
        print(
            f"The venue holds {len(venue.orders)} orders and has booked {len(venue.executions)} executions."
        )


if __name__ == "__main__":
    main()
