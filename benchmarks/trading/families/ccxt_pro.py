"""ccxt.pro: orders by REST and by WebSocket, reports by `watch_orders`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, Final

from benchmarks.trading.families.family import Family, Play, settled
from tickspan.testing.capture import Capture
from tickspan.testing.venue import VenueSimulator

_SYMBOL: Final = "BTC/USDT"
_ORDERS: Final = 20
_MARKETABLE, _RESTING = 90_000, 10_000


def _playing(create: str, *, ask_again: bool) -> Play:
    def play(venue: VenueSimulator, told: Capture, seed: int) -> None:
        lots = Random(seed)  # noqa: S311 - no secret
        asyncio.run(_trade(venue, told, lots, create, ask_again=ask_again))

    return play


async def _trade(venue: VenueSimulator, told: Capture, lots: Random, create: str, *, ask_again: bool) -> None:
    import ccxt.pro

    settings: Any = {"enableRateLimit": False}
    exchange = venue.connect.ccxt(ccxt.pro.binance(settings))
    try:
        await _until_answered(exchange.load_markets)
        consumer = asyncio.create_task(_consume(exchange))
        while not any("orders" in client.futures for client in exchange.clients.values()):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        for number in range(_ORDERS):
            await _act(exchange, create, lots, f"order-{number}")
        if ask_again:  # what was reported while the connection was down is nowhere else
            await asyncio.sleep(0.3)
            for number in range(_ORDERS):
                await _ask(exchange, f"order-{number}")
            await _until_answered(lambda: exchange.fetch_my_trades(_SYMBOL))
        await settled(venue, told)
        consumer.cancel()
        with suppress(asyncio.CancelledError):
            await consumer
    finally:
        await exchange.close()


async def _act(exchange: Any, create: str, lots: Random, name: str) -> None:
    """An order on the next tick; some rest and are canceled."""
    import ccxt

    with suppress(ccxt.BaseError):
        await exchange.watch_ticker(_SYMBOL)
        rests = lots.random() < 0.2
        price = _RESTING if rests else _MARKETABLE
        order = await getattr(exchange, create)(_SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": name})
        if rests:
            await exchange.cancel_order(order["id"], _SYMBOL)


async def _ask(exchange: Any, name: str) -> None:
    """What has become of an order, which may never have reached the venue."""
    import ccxt

    with suppress(ccxt.OrderNotFound):
        await _until_answered(lambda: exchange.fetch_order(name, _SYMBOL, {"clientOrderId": name}))


async def _consume(exchange: Any) -> None:
    import ccxt

    while True:
        try:
            await exchange.watch_orders()
        except ccxt.BaseError:
            await asyncio.sleep(0.01)


async def _until_answered(ask: Callable[[], Any]) -> Any:
    """Ask until the venue answers: it may turn requests away."""
    import ccxt

    async with asyncio.timeout(5):
        while True:
            with suppress(ccxt.NetworkError):
                return await ask()


REST: Final = Family("binance", "tickspan_ccxt:CcxtInstrumentor", _playing("create_order", ask_again=False))
WEBSOCKET: Final = Family(
    "binance", "tickspan_ccxt:CcxtInstrumentor", _playing("create_order_ws", ask_again=True)
)
