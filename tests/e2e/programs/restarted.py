"""A bot that is killed while its order is open, and the same bot again, which hears the order's end.

Arguments: the exchange's configuration as JSON, and `place` or `watch`.
"""

import asyncio
import json
import sys
from typing import Any

import ccxt.pro

SYMBOL = "BTC/USDT"


async def place(exchange: Any) -> None:
    """One order, and then whatever comes: this process does not end by itself."""
    order = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    sys.stdout.write(f"{order['clientOrderId']}\n")
    sys.stdout.flush()
    await asyncio.sleep(60)


async def watch(exchange: Any) -> None:
    """Until an order is filled, and a while on: reports of an order that is not known wait ten seconds."""
    while True:
        orders = await exchange.watch_orders()
        if any(order["status"] == "closed" for order in orders):
            await asyncio.sleep(11)
            return


async def main() -> None:
    """What the second argument says."""
    exchange = ccxt.pro.binance(json.loads(sys.argv[1]))
    try:
        await {"place": place, "watch": watch}[sys.argv[2]](exchange)
    finally:
        await exchange.close()


asyncio.run(main())
