"""Frames of a venue's streams: recorded once, then told to the real ccxt.pro as new ones.

What reads the socket is left out, and nothing else: a frame enters at `Client.handle_message`, is decoded,
parsed and cached by ccxt, and wakes who waits for it. A request for an order is answered as it was recorded.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final, Self

SYMBOL: Final = "BTC/USDT"
KINDS: Final = ("ticker", "trade", "book")
_EVENTS: Final = {"24hrTicker": "ticker", "24hrMiniTicker": "ticker", "trade": "trade", "depthUpdate": "book"}
REPORTS: Final = ("new", "partially_filled", "filled")
"""What the venue reports of an order that is filled in two parts."""
_RECORDING_S: Final = 20.0
_DELAY_MS: Final = 5
"""How old a frame says to be."""
_MARKETABLE: Final = 90_000
"""A price at which the simulated venue fills at once."""


def record() -> dict[str, Any]:
    """One frame of each kind, their market, and an order's answer and reports; in a process of its own."""
    import ccxt.pro
    from ccxt.async_support.base.ws.client import Client

    from tickspan.testing.venue import Behaviour, VenueSimulator

    found: dict[str, Any] = {"reports": []}
    listener: Any = Client
    handle = listener.handle_message

    def noting(client: Any, message: Any) -> Any:
        content = json.loads(message.data) if isinstance(message.data, str) else {}
        content = content.get("data", content.get("event", content)) if isinstance(content, dict) else {}
        kind = _EVENTS.get(str(content.get("e")))
        if kind is not None:
            found.setdefault(kind, content)
        if content.get("e") == "executionReport":
            found["reports"].append(content)
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
            user_stream = asyncio.create_task(exchange.watch_orders())
            while not _is_heard(exchange):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
            await exchange.create_order(SYMBOL, "limit", "buy", 0.01, _MARKETABLE)
            found["answer"] = json.loads(exchange.last_http_response)
            found["headers"] = dict(exchange.last_response_headers)
            while len(found["reports"]) < len(REPORTS):  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.02)
            await user_stream
        await exchange.close()

    listener.handle_message = noting
    behaviour = Behaviour(
        tick_interval_s=0.02, symbols=(SYMBOL,), partials=(0.4, 0.6), fill_delay_s=0.05, fill_gap_s=0.05
    )
    with VenueSimulator(behaviour=behaviour) as venue:
        asyncio.run(listen(venue))
    return found


def _is_heard(exchange: Any) -> bool:
    """Whether the venue has granted the stream of the account's own orders, and ccxt waits for a report."""
    return any("orders" in client.futures for client in exchange.clients.values())


class Replay:
    """A ccxt.pro exchange that gets these frames; inside a running loop only."""

    def __init__(self, recorded: Mapping[str, Any]) -> None:
        import ccxt.pro

        self._recorded = recorded
        self._numbers = {kind: itertools.count(1) for kind in KINDS}
        settings: Any = {"enableRateLimit": False, "newUpdates": False}
        self.exchange: Any = ccxt.pro.binance(settings)
        self.exchange.options |= {"crossMarginPairsData": [], "isolatedMarginPairsData": []}
        self.session = _Session()
        self.exchange.session, self.exchange.own_session = self.session, False
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
        now_ms, content = time.time_ns() // 1_000_000 - _DELAY_MS, self._recorded[kind]
        return [
            _text(json.dumps(_renewed(kind, content, now_ms, number)))
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


@dataclass(frozen=True, slots=True)
class Life:
    """Frames of one order: the tick that it is decided on, the reports, and its name."""

    client_id: str
    tick: Any
    reports: tuple[Any, ...]


class Desk(Replay):
    """The same with an account: an order is answered, reported as new, and filled in two parts."""

    def __init__(self, recorded: Mapping[str, Any]) -> None:
        super().__init__(recorded)
        self.exchange.apiKey, self.exchange.secret = "key", "secret"
        self._orders = itertools.count(1)
        self._account: Any = None

    async def begin(self) -> None:
        """Subscribe to tickers and to the account's own orders; one order is lived through."""
        await super().begin()
        waiting = asyncio.ensure_future(self.exchange.watch_orders())
        async with asyncio.timeout(_RECORDING_S):
            while not _is_heard(self.exchange):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0)
        self._account = next(
            client for client in self.exchange.clients.values() if "orders" in client.futures
        )
        await self.live(self.lives(1))
        await waiting

    def lives(self, count: int) -> list[Life]:
        """So many orders, of now; the session will answer to them in this order."""
        return [self._life(number) for number in itertools.islice(self._orders, count)]

    async def live(self, lives: list[Life], beside: Callable[[], object] | None = None) -> None:
        """Each order from the tick that it is decided on to its last fill, the loop between them left out."""
        exchange, account = self.exchange, self._account
        for life in lives:
            await self.handle("ticker", [life.tick])
            await exchange.create_order(
                SYMBOL, "limit", "buy", 0.01, _MARKETABLE, {"clientOrderId": life.client_id}
            )
            for frame in life.reports:
                future = account.future("orders")
                account.handle_message(frame)
                await future
            if beside is not None:
                beside()

    def _life(self, number: int) -> Life:
        now_ms = time.time_ns() // 1_000_000 - _DELAY_MS
        client_id, order_id = client_id_of(number), _FIRST_ORDER + number
        answer = {**self._recorded["answer"], "orderId": order_id, "clientOrderId": client_id}
        headers = {**self._recorded["headers"], "Date": formatdate(usegmt=True)}
        self.session.will_answer(json.dumps({**answer, "transactTime": now_ms}), headers)
        now = {"E": now_ms, "T": now_ms, "c": client_id, "i": order_id}
        reports = tuple(
            {**report, **now, **({"t": execution_id_of(number, part)} if part else {})}
            for part, report in enumerate(self._recorded["reports"])
        )
        frames = tuple(_text(json.dumps({"subscriptionId": 0, "event": report})) for report in reports)
        return Life(client_id, self.frames("ticker", 1)[0], frames)


_FIRST_ORDER: Final = 1_000_000


def client_id_of(number: int) -> str:
    """The name of an order."""
    return f"bench-{number:08d}"


def execution_id_of(number: int, part: int) -> int:
    """The venue's number of an order's first or second fill."""
    return 10 * number + part


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
    """An aiohttp session whose sockets are open, and which answers requests for orders as it was told to."""

    def __init__(self) -> None:
        self.closed = False
        self.headers: dict[str, str] = {}
        self.answers: deque[_Answer] = deque()
        """To the coming requests, in their order."""

    def ws_connect(self, *_: Any, **__: Any) -> _Socket:
        """A connection at once."""
        return _Socket()

    def post(self, *_: Any, **__: Any) -> _Answer:
        """An order."""
        return self.answers.popleft()

    def will_answer(self, body: str, headers: Mapping[str, str]) -> None:
        """Prepare the answer to a coming request."""
        self.answers.append(_Answer(body, headers))


class _Socket:
    """Grants every subscription, and says nothing else by itself."""

    _conn = None

    def __init__(self) -> None:
        self.closed = False
        self._sent: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def receive(self) -> Any:
        """What was answered, and at the end the socket's last message."""
        return await self._sent.get()

    async def send_str(self, message: str) -> None:
        """A subscription; one to the account's own stream is answered."""
        asked = json.loads(message)
        if asked["method"].startswith("userDataStream"):
            granted = {"id": asked["id"], "status": 200, "result": {"subscriptionId": 0}}
            self._sent.put_nowait(_text(json.dumps(granted)))

    async def ping(self) -> None:
        """Alive."""

    async def close(self) -> None:
        """No longer open."""
        import aiohttp

        self.closed = True
        self._sent.put_nowait(aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None))


class _Answer:
    """A response whose body is there."""

    status = 200
    reason = "OK"

    def __init__(self, body: str, headers: Mapping[str, str]) -> None:
        self._body = body
        self.headers = headers

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def text(self, errors: str = "strict") -> str:
        """The body."""
        del errors
        return self._body


def _text(content: str) -> Any:
    import aiohttp

    return aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, content, None)
