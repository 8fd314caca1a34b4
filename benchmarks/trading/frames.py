"""Frames of a venue's streams: recorded once, then told to the real ccxt.pro as new ones.

What reads the socket is left out, and nothing else: a frame enters at `Client.handle_message`, is decoded,
parsed and cached by ccxt, and wakes who waits for it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

SYMBOL: Final = "BTC/USDT"
KINDS: Final = ("ticker", "trade", "book")
_EVENTS: Final = {"24hrTicker": "ticker", "24hrMiniTicker": "ticker", "trade": "trade", "depthUpdate": "book"}
_RECORDING_S: Final = 20.0
_DELAY_MS: Final = 5
"""How old a frame says to be."""


def record() -> dict[str, Any]:
    """One frame of each kind, and their market, from the simulated venue; in a process of its own."""
    import ccxt.pro
    from ccxt.async_support.base.ws.client import Client

    from tickspan.testing.venue import Behaviour, VenueSimulator

    found: dict[str, Any] = {}
    listener: Any = Client
    handle = listener.handle_message

    def noting(client: Any, message: Any) -> Any:
        content = json.loads(message.data) if isinstance(message.data, str) else {}
        content = content.get("data", content) if isinstance(content, dict) else {}
        kind = _EVENTS.get(str(content.get("e")))
        if kind is not None:
            found.setdefault(kind, content)
        return handle(client, message)

    async def listen(venue: VenueSimulator) -> None:
        exchange = venue.connect.ccxt(ccxt.pro.binance({"enableRateLimit": False}))
        watching = [
            asyncio.create_task(watch(SYMBOL))
            for watch in (exchange.watch_ticker, exchange.watch_trades, exchange.watch_order_book)
        ]
        async with asyncio.timeout(_RECORDING_S):
            while found.keys() < set(KINDS):  # noqa: ASYNC110 - a patched method fills it
                await asyncio.sleep(0.02)
            await asyncio.gather(*watching)
        found["market"] = exchange.markets[SYMBOL]["info"]
        await exchange.close()

    listener.handle_message = noting
    with VenueSimulator(behaviour=Behaviour(tick_interval_s=0.02, symbols=(SYMBOL,))) as venue:
        asyncio.run(listen(venue))
    return found


class Replay:
    """A ccxt.pro exchange that gets these frames; inside a running loop only."""

    def __init__(self, recorded: Mapping[str, Any]) -> None:
        import ccxt.pro

        self._recorded = recorded
        self._numbers = {kind: itertools.count(1) for kind in KINDS}
        settings: Any = {"enableRateLimit": False, "newUpdates": False}
        self.exchange: Any = ccxt.pro.binance(settings)
        self.exchange.options |= {"crossMarginPairsData": [], "isolatedMarginPairsData": []}
        self.exchange.session, self.exchange.own_session = _Session(), False
        self.exchange.set_markets([self.exchange.parse_market(recorded["market"])])
        self.exchange.orderbooks[SYMBOL] = self.exchange.order_book(
            {"symbol": SYMBOL, "bids": [], "asks": [], "nonce": 0}
        )
        self.client: Any = None
        self._names: dict[str, Any] = {}

    async def begin(self) -> None:
        """Subscribe to tickers as a bot does, and find out under which name ccxt hands on each kind."""
        waiting = asyncio.ensure_future(self.exchange.watch_ticker(SYMBOL))
        async with asyncio.timeout(_RECORDING_S):
            while not any(client.futures for client in self.exchange.clients.values()):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0)
        (self.client,) = self.exchange.clients.values()
        self.client.handle_message(self.frames("ticker", 1)[0])
        await waiting
        for kind in KINDS:
            self._names[kind] = self._name_of(kind)

    def frames(self, kind: str, count: int) -> list[Any]:
        """So many frames, as the socket gives them: of now, and numbered on."""
        import aiohttp

        now_ms, content = time.time_ns() // 1_000_000 - _DELAY_MS, self._recorded[kind]
        return [
            aiohttp.WSMessage(
                aiohttp.WSMsgType.TEXT, json.dumps(_renewed(kind, content, now_ms, number)), None
            )
            for number in itertools.islice(self._numbers[kind], count)
        ]

    async def handle(self, kind: str, frames: list[Any], after: Callable[[], object] | None = None) -> None:
        """Each frame from the socket to the consumer that waits for it, without the loop between them."""
        client, name = self.client, self._names[kind]
        for frame in frames:
            future = client.future(name)
            client.handle_message(frame)
            await future
            if after is not None:
                after()

    async def watch(self, frames: list[Any]) -> None:
        """The whole, as a bot has it: `await exchange.watch_ticker(…)`, and the loop between them."""
        handle, later = self.client.handle_message, asyncio.get_running_loop().call_soon
        for frame in frames:
            later(handle, frame)
            await self.exchange.watch_ticker(SYMBOL)

    async def close(self) -> None:
        """End the connection."""
        await self.exchange.close()

    def _name_of(self, kind: str) -> Any:
        asked = _Asked()
        self.client.futures = asked
        self.client.handle_message(self.frames(kind, 1)[0])
        self.client.futures = {}
        if not asked.names:
            raise LookupError(f"ccxt handed on nothing for a {kind} frame")
        return asked.names[0]


def _renewed(kind: str, content: Mapping[str, Any], now_ms: int, number: int) -> dict[str, Any]:
    told = {**content, "E": now_ms}
    if kind == "ticker":
        return {**told, "C": now_ms}
    if kind == "trade":
        return {**told, "T": now_ms, "t": number}
    return {**told, "U": number, "u": number}


class _Asked(dict[Any, Any]):
    """Notes which names are looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[Any] = []

    def __contains__(self, name: object) -> bool:
        self.names.append(name)
        return super().__contains__(name)


class _Session:
    """An aiohttp session whose socket is open, grants every subscription, and says nothing by itself."""

    _conn = None

    def __init__(self) -> None:
        self.closed = False
        self._ended = asyncio.Event()

    def ws_connect(self, *_: Any, **__: Any) -> _Session:
        """A connection at once."""
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def receive(self) -> Any:
        """Nothing until the end, and then the socket's last message."""
        import aiohttp

        await self._ended.wait()
        return aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)

    async def send_str(self, message: str) -> None:
        """A subscription."""

    async def ping(self) -> None:
        """Alive."""

    async def close(self) -> None:
        """No longer open."""
        self.closed = True
        self._ended.set()
