"""Workloads on ccxt.pro: the real library, and a venue in place of its transport: no socket is timed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from sidebyside.stories import Expected
from sidebyside.telemetry import Kind, Telemetry
from sidebyside.workload import UnavailableError, Workload

_SYMBOL: Final = "BTC/USDT"
_WHERE: Final = {"trading.venue.name": "binance", "trading.instrument.symbol": _SYMBOL}
_ORDER_SPANS: Final = (
    Expected("trading.feed.message", _WHERE),
    Expected("trading.strategy.decision"),
    Expected("trading.order.submit binance", {**_WHERE, "trading.trigger": "tick"}),
    Expected("trading.order.event filled", {**_WHERE, "trading.execution.id": "1"}),
    Expected("trading.order.lifecycle", {**_WHERE, "trading.order.executions": 1}),
)
_MARKET: Final = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "baseAssetPrecision": 8,
    "quotePrecision": 8,
    "orderTypes": ["LIMIT", "MARKET"],
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False,
    "permissions": ["SPOT"],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
    ],
}

_PRICES: Final = {
    "c": "50000.0",
    "o": "49990.0",
    "h": "50100.0",
    "l": "49900.0",
    "v": "1000.0",
    "q": "50000000.0",
}
_FILLED: Final = {
    "symbol": "BTCUSDT",
    "orderListId": -1,
    "price": "50000.00",
    "origQty": "0.01",
    "executedQty": "0.01",
    "cummulativeQuoteQty": "500.0",
    "status": "FILLED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "fills": [
        {"price": "50000.00", "qty": "0.01", "commission": "0", "commissionAsset": "BTC", "tradeId": 1}
    ],
}


def tick(telemetry: Telemetry, server: str) -> Workload:
    """A ticker out of the socket, decoded by ccxt, delivered by `watch_ticker`; no order follows."""
    del server
    return _workload(telemetry, _watch, ())


def tick_and_order(telemetry: Telemetry, server: str) -> Workload:
    """The same, and a limit order on it, which the venue's answer tells to be filled."""
    del server
    return _workload(telemetry, _trade, _ORDER_SPANS)


async def _watch(exchange: Any, venue: _Venue) -> None:
    venue.tick()
    await exchange.watch_ticker(_SYMBOL)


async def _trade(exchange: Any, venue: _Venue) -> None:
    await _watch(exchange, venue)
    await exchange.create_order(_SYMBOL, "limit", "buy", 0.01, 50_000)


def _workload(
    telemetry: Telemetry, step: Callable[[Any, _Venue], Awaitable[None]], expected: tuple[Expected, ...]
) -> Workload:
    import ccxt.pro

    finish = _instrument(telemetry)
    loop, venue = asyncio.new_event_loop(), _Venue()
    settings: Any = {"apiKey": "key", "secret": "secret", "enableRateLimit": False}
    exchange: Any = ccxt.pro.binance(settings)
    exchange.options |= {"crossMarginPairsData": [], "isolatedMarginPairsData": []}
    exchange.session, exchange.own_session = venue, False
    exchange.set_markets([exchange.parse_market(_MARKET)])

    async def steps(operations: int) -> None:
        for _ in range(operations):
            await step(exchange, venue)

    def run(operations: int) -> None:
        loop.run_until_complete(steps(operations))

    def close() -> None:
        loop.run_until_complete(exchange.close())
        loop.close()

    told = expected if telemetry.kind.is_ours else ()
    return Workload(f"ccxt {ccxt.__version__}", run, told, finish, close)


def _instrument(telemetry: Telemetry) -> Callable[[], None]:
    """What writes the lifecycles that are due after a turn."""
    if telemetry.kind is Kind.STOCK:
        raise UnavailableError("upstream has no instrumentor for ccxt")
    if not telemetry.kind.is_ours:
        return lambda: None
    from tickspan_ccxt import CcxtInstrumentor

    from tickspan import trading

    CcxtInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    return trading.shutdown


class _Venue:
    """An aiohttp session, a socket, and the exchange behind them, as far as ccxt asks for one."""

    closed = False
    _conn = None

    def __init__(self) -> None:
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self._orders = 0
        self.headers: Mapping[str, str] = {}

    def tick(self) -> None:
        """Push a ticker into the socket."""
        import aiohttp

        now_ms = time.time_ns() // 1_000_000
        ticker = {"e": "24hrMiniTicker", "E": now_ms, "s": "BTCUSDT", **_PRICES}
        self._sent.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, json.dumps(ticker), None))

    # The socket.

    def ws_connect(self, *_: Any, **__: Any) -> _Opened:
        """A connection at once."""
        return _Opened(self)

    async def receive(self) -> Any:
        """The next message."""
        return await self._sent.get()

    async def send_str(self, message: str) -> None:
        """Subscriptions: granted without a word."""

    async def ping(self) -> None:
        """Alive."""

    async def close(self) -> None:
        """No more messages; who waits for one gets the socket's last."""
        import aiohttp

        self.closed = True
        self._sent.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None))

    # The session.

    def post(self, *_: Any, data: bytes, **__: Any) -> _Opened:
        """An order, filled at once."""
        self._orders += 1
        client_id = data.partition(b"newClientOrderId=")[2].partition(b"&")[0].decode()
        return _Opened(_Answer(_filled(self._orders, client_id)))


def _filled(order_id: int, client_id: str) -> str:
    """The venue's answer of type FULL."""
    now_ms = time.time_ns() // 1_000_000
    order = {"orderId": order_id, "clientOrderId": client_id, "transactTime": now_ms, **_FILLED}
    return json.dumps(order)


class _Answer:
    """A response whose body is there."""

    status = 200
    reason = "OK"

    def __init__(self, body: str) -> None:
        self._body = body
        self.headers = {"Content-Type": "application/json"}

    async def text(self, errors: str = "strict") -> str:
        """The body."""
        del errors
        return self._body


class _Opened:
    """What `async with` opens."""

    def __init__(self, value: Any) -> None:
        self._value = value

    async def __aenter__(self) -> Any:
        return self._value

    async def __aexit__(self, *_: object) -> None:
        return None
