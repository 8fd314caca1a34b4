"""Lasting connections of the Alpaca dialect: trade updates for traders and for brokers, and market data."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from tickspan.testing.venue.alpaca import messages, names
from tickspan.testing.venue.alpaca.books import Books
from tickspan.testing.venue.alpaca.packing import BINARY_JSON, Moment, Packing, json_text
from tickspan.testing.venue.connections import Connection
from tickspan.testing.venue.credentials import Credentials
from tickspan.testing.venue.prices import Prices, Tick
from tickspan.testing.venue.truth import Request, Unimplemented, Witness

_LONGEST_QUEUE: Final = 10_000
_MINUTE_MS: Final = 60_000
_UPDATES: Final = "trade_updates"
_SPOKEN: Final = ("trades", "quotes", "bars", "dailyBars", "orderbooks")
"""Channels that carry something here."""
_SILENT: Final = ("updatedBars", "statuses", "lulds", "corrections", "cancelErrors", "news")
"""Channels that may be subscribed to, on which nothing ever happens: no halt, no correction."""

_AUTHENTICATED: Final[messages.Json] = {"T": "success", "msg": "authenticated"}
_NOT_AUTHENTICATED: Final[messages.Json] = {"T": "error", "code": 402, "msg": "auth failed"}


class TradingSession:
    """A connection to `/stream`: JSON in binary frames, as the venue has it."""

    def __init__(self, books: Books, credentials: Credentials, witness: Witness) -> None:
        self.connection = Connection()
        self._books = books
        self._credentials = credentials
        self._witness = witness
        self._is_authorized = False
        self._streams: list[str] = []

    def send_update(self, update: messages.Json) -> None:
        """Tell of an order, if the client listens."""
        if _UPDATES in self._streams:
            self.connection.send(BINARY_JSON.pack(update))

    def receive(self, message: str | bytes) -> None:
        """Answer `authenticate` (or `auth`) and `listen`."""
        asked = _parsed(BINARY_JSON, message)
        action = str(asked.get("action"))
        self._witness.saw(_witnessed(action, asked, self._books))
        data = asked.get("data")
        fields = data if isinstance(data, dict) else {}
        if action in ("authenticate", "auth"):
            key, secret = (
                fields.get("key_id", asked.get("key")),
                fields.get("secret_key", asked.get("secret")),
            )
            self._is_authorized = _is_owner(self._credentials, key, secret)
            self._authorization("authenticate")
        elif action == "listen" and self._is_authorized:
            self._streams = [str(name) for name in _listed(fields.get("streams")) if name == _UPDATES]
            self._answer({"stream": "listening", "data": {"streams": self._streams}})
        elif action == "listen":
            self._authorization("listen")
        else:
            self._witness.lacked(Unimplemented("WS", action))
            self._answer({"action": "error", "data": {"error_message": f"invalid action: {action}"}})

    def _authorization(self, action: str) -> None:
        status = "authorized" if self._is_authorized else "unauthorized"
        self._answer({"stream": "authorization", "data": {"status": status, "action": action}})

    def _answer(self, answer: messages.Json) -> None:
        self.connection.send(BINARY_JSON.pack(answer))


class EventSession:
    """A broker's connection to `/v1/events/trades`: server-sent events, one for each trade update."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_LONGEST_QUEUE)
        self._transport: asyncio.BaseTransport | None = None

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Send events until the client has enough."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self._transport = request.transport
        with contextlib.suppress(ConnectionError):
            await response.write(b": you are connected\n\n")
            while True:
                await response.write(await self._waiting.get())
        return response

    def send_update(self, update: messages.Json) -> None:
        """Tell of an order of the one account there is. A reader that is too slow is cut off."""
        data = update["data"]
        assert isinstance(data, dict)
        event = {"account_id": names.ACCOUNT_ID, "at": data["timestamp"], **data}
        try:
            self._waiting.put_nowait(f"data: {json_text(event)}\n\n".encode())
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """Cut the connection, as when a network breaks."""
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()


class DataSession:
    """A connection to market data: each frame is a list of messages."""

    def __init__(
        self,
        books: Books,
        credentials: Credentials,
        witness: Witness,
        packing: Packing,
        *,
        is_crypto: bool,
    ) -> None:
        self.connection = Connection()
        self._books = books
        self._credentials = credentials
        self._witness = witness
        self._packing = packing
        self._is_crypto = is_crypto
        self._is_authenticated = False
        self._channels: dict[str, list[str]] = {}
        self._send([{"T": "success", "msg": "connected"}])

    def receive(self, message: str | bytes) -> None:
        """Answer `auth`, `subscribe` and `unsubscribe`."""
        asked = _parsed(self._packing, message)
        action = str(asked.get("action"))
        self._witness.saw(_witnessed(action, asked, self._books))
        if action == "auth":
            self._is_authenticated = _is_owner(self._credentials, asked.get("key"), asked.get("secret"))
            self._send([_AUTHENTICATED if self._is_authenticated else _NOT_AUTHENTICATED])
        elif action not in ("subscribe", "unsubscribe"):
            self._witness.lacked(Unimplemented("WS", action))
            self._send([{"T": "error", "code": 400, "msg": "invalid syntax"}])
        elif not self._is_authenticated:
            self._send([{"T": "error", "code": 401, "msg": "not authenticated"}])
        else:
            self._change(asked, is_more=action == "subscribe")

    def tell(self, tick: Tick, prices: Prices, at: Moment) -> None:
        """All that one tick means on the channels subscribed to, in one frame."""
        if names.is_crypto(tick.market) is not self._is_crypto:
            return
        told = [
            message
            for channel in _SPOKEN
            if self._carries(channel, names.symbol_of(tick.market))
            for message in channel_messages(channel, tick, prices, at)
        ]
        if told:
            self._send(told)

    def _carries(self, channel: str, symbol: str) -> bool:
        symbols = self._channels.get(channel, ())
        return symbol in symbols or "*" in symbols

    def _change(self, asked: dict[str, Any], *, is_more: bool) -> None:
        for channel in (*_SPOKEN, *_SILENT):
            kept = self._channels.setdefault(channel, [])
            for symbol in map(str, _listed(asked.get(channel))):
                if is_more and symbol not in kept:
                    kept.append(symbol)
                elif not is_more and symbol in kept:
                    kept.remove(symbol)
        self._send([messages.subscription(self._channels)])
        if is_more:
            self._send_books(_listed(asked.get("orderbooks")))

    def _send_books(self, symbols: Iterable[object]) -> None:
        """A new subscription to order books begins with the whole of each."""
        books, at = self._books, Moment(self._books.exchange.now_ms() * 1_000_000)
        found = [(str(symbol), books.symbols.find(str(symbol))) for symbol in symbols]
        whole = [
            messages.whole_orderbook(symbol, books.exchange.prices(market.id), at)
            for symbol, market in found
            if market is not None
        ]
        if whole:
            self._send(whole)

    def _send(self, told: list[messages.Json]) -> None:
        self.connection.send(self._packing.pack(told))


def channel_messages(channel: str, tick: Tick, prices: Prices, at: Moment) -> list[messages.Json]:
    """What a tick means on one channel: of bars, whether a minute is over."""
    symbol = names.symbol_of(tick.market)
    if channel == "trades":
        return [messages.trade_message(symbol, tick, at)]
    if channel == "quotes":
        return [messages.quote_message(symbol, tick, at)]
    if channel == "orderbooks":
        return [messages.orderbook_message(symbol, tick, at)]
    candles = prices.candles(_MINUTE_MS)
    is_minute_over = len(candles) > 1 and candles[-1].first_trade_id == tick.trade.id
    if not is_minute_over:
        return []
    if channel == "bars":
        return [messages.bar_message(symbol, "b", candles[-2])]
    return [messages.bar_message(symbol, "d", tick.day)]


def _is_owner(credentials: Credentials, key: object, secret: object) -> bool:
    return (key, secret) == (credentials.api_key, credentials.secret)


def _parsed(packing: Packing, message: str | bytes) -> dict[str, Any]:
    try:
        asked = packing.unpack(message)
    except (ValueError, TypeError):
        return {}
    return asked if isinstance(asked, dict) else {}


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _witnessed(action: str, asked: dict[str, Any], books: Books) -> Request:
    return Request("WS", action, "", (), json_text(asked), books.exchange.now_ms())
