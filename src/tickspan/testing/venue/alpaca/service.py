"""The Alpaca dialect of a simulated venue: REST, trade updates and market data on one port.

Alpaca itself never answers 418: an address is banned by what stands before it, with 403 and a page.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from tickspan.testing.venue.alpaca import operations
from tickspan.testing.venue.alpaca.books import Books
from tickspan.testing.venue.alpaca.errors import (
    NO_SUCH_ENDPOINT,
    UNAUTHORIZED,
    AlpacaError,
    ConnectionBrokenError,
    GatewayError,
    too_many_requests,
)
from tickspan.testing.venue.alpaca.operations import Answer, Call, Route, UnsupportedError
from tickspan.testing.venue.alpaca.packing import Moment, json_text, packing_of
from tickspan.testing.venue.alpaca.sessions import DataSession, EventSession, TradingSession
from tickspan.testing.venue.behaviour import Fault, Point
from tickspan.testing.venue.credentials import Credentials
from tickspan.testing.venue.delivery import Report
from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.limits import Budget
from tickspan.testing.venue.prices import Tick
from tickspan.testing.venue.truth import Request, Unimplemented, Witness

_TRADING: Final = "/stream"
_EVENTS: Final = "/v1/events/trades"
_DATA: Final = {
    "/v2/iex": False,
    "/v2/sip": False,
    "/v1beta3/crypto/us": True,
    "/v1beta2/crypto": True,
}
"""Where market data is streamed, and whether it is crypto's."""


class AlpacaService:
    """Answers every request of the dialect. Lives on the venue's loop."""

    def __init__(self, exchange: Exchange, credentials: Credentials, witness: Witness) -> None:
        self._exchange = exchange
        self._credentials = credentials
        self._witness = witness
        self._books = Books(exchange)
        self._budget = Budget(exchange.behaviour)
        self._turned_away = 0
        self._trading_sessions: set[TradingSession] = set()
        self._data_sessions: set[DataSession] = set()
        self._event_sessions: set[EventSession] = set()
        exchange.tick_listeners.add(self._on_tick)
        exchange.delivery.listeners.add(self._on_report)
        exchange.disconnect_listeners.add(self.disconnect)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to one HTTP request, which may last as long as a WebSocket."""
        query = request.raw_path.partition("?")[2]
        body = (await request.read()).decode(errors="replace")
        self._witness.saw(_witnessed(request, query, body, self._exchange.now_ms()))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._answer_upgrade(request)
        if request.path == _EVENTS and _is_authorized(self._credentials, request):
            return await self._answer_events(request)
        try:
            answer = await self._answer_rest(request, query, body)
        except AlpacaError as error:
            return self._response(Answer(error.body(), error.status), error.headers)
        except GatewayError as error:
            return web.Response(text=error.page, status=error.status, content_type="text/html")
        except ConnectionBrokenError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return self._response(answer, {})

    def disconnect(self) -> None:
        """Cut every lasting connection."""
        for session in (*self._trading_sessions, *self._data_sessions):
            session.connection.abort()
        for events in self._event_sessions:
            events.abort()

    async def _answer_rest(self, request: web.BaseRequest, query: str, body: str) -> Answer:
        found = operations.route_of(request.method, request.path)
        if found is None:
            self._witness.lacked(Unimplemented(request.method, request.path))
            raise AlpacaError(*NO_SUCH_ENDPOINT)
        route, places = found
        self._charge(route)
        if not _is_authorized(self._credentials, request):
            raise AlpacaError(*UNAUTHORIZED)
        call = Call(self._books, places, dict(parse_qsl(query, keep_blank_values=True)), _object(body))
        try:
            return await operations.run(route, call)
        except UnsupportedError as error:
            self._witness.lacked(Unimplemented(request.method, f"{request.path} {error.what}"))
            raise AlpacaError(422, 42210000, f"not supported: {error.what}") from None

    def _charge(self, route: Route) -> None:
        """Count a request. Raises AlpacaError or GatewayError when it is one too many, or scripted to be."""
        fault = self._exchange.script.strike(Point.REQUEST)
        if fault is Fault.BAN_418:
            raise GatewayError(403, "Forbidden")
        if fault is Fault.RATE_LIMIT_429:
            self._turned_away = self._exchange.behaviour.rate_limit_burst
        exceeded = self._budget.use("REQUEST_WEIGHT", 1)
        if route.orders and not exceeded:
            exceeded = self._budget.use("ORDERS", route.orders)
        if self._turned_away > 0 or exceeded:
            self._turned_away = max(0, self._turned_away - 1)
            raise too_many_requests(self._budget.seconds_left(exceeded or self._budget.limits[0]))

    def _response(self, answer: Answer, headers: dict[str, str]) -> web.Response:
        told = {**self._usage_headers(), **headers}
        if answer.body is None:
            return web.Response(status=answer.status, headers=told)
        text = json_text(answer.body)
        return web.Response(text=text, status=answer.status, headers=told, content_type="application/json")

    def _usage_headers(self) -> dict[str, str]:
        minute = self._budget.limits[0]
        now_s = self._exchange.now_ms() // 1_000
        return {
            "Date": formatdate(now_s, usegmt=True),
            "X-RateLimit-Limit": str(minute.limit),
            "X-RateLimit-Remaining": str(max(0, minute.limit - self._budget.used(minute))),
            "X-RateLimit-Reset": str(now_s + self._budget.seconds_left(minute)),
        }

    async def _answer_upgrade(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.rstrip("/")
        if path == _TRADING:
            trading = TradingSession(self._books, self._credentials, self._witness)
            self._trading_sessions.add(trading)
            try:
                return await trading.connection.serve(request, trading.receive, trading.receive)
            finally:
                self._trading_sessions.discard(trading)
        packing = packing_of(request.headers)
        if path not in _DATA or packing is None:
            self._witness.lacked(Unimplemented("WS", path if packing is not None else f"{path} msgpack"))
            return self._response(Answer(AlpacaError(*NO_SUCH_ENDPOINT).body(), 404), {})
        data = DataSession(self._books, self._credentials, self._witness, packing, is_crypto=_DATA[path])
        self._data_sessions.add(data)
        try:
            return await data.connection.serve(request, data.receive, data.receive)
        finally:
            self._data_sessions.discard(data)

    async def _answer_events(self, request: web.BaseRequest) -> web.StreamResponse:
        events = EventSession()
        self._event_sessions.add(events)
        try:
            return await events.serve(request)
        finally:
            self._event_sessions.discard(events)

    def _on_tick(self, tick: Tick) -> None:
        prices = self._exchange.prices(tick.market.id)
        at = Moment(time.time_ns() + round(self._exchange.behaviour.clock_skew_s * 1e9))
        for session in self._data_sessions:
            session.tell(tick, prices, at)

    def _on_report(self, report: Report) -> None:
        update = self._books.update(report)
        for session in (*self._trading_sessions, *self._event_sessions):
            session.send_update(update)


def _is_authorized(credentials: Credentials, request: web.BaseRequest) -> bool:
    """By key and secret in headers of their own, by Basic (brokers), or by the secret as an OAuth token."""
    headers = request.headers
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if scheme == "Bearer":
        return hmac.compare_digest(value, credentials.secret)
    if scheme == "Basic":
        return _decoded(value) == f"{credentials.api_key}:{credentials.secret}"
    given = headers.get("APCA-API-KEY-ID", ""), headers.get("APCA-API-SECRET-KEY", "")
    return given == (credentials.api_key, credentials.secret)


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode(errors="replace")
    except binascii.Error:
        return ""


def _object(body: str) -> dict[str, Any]:
    try:
        value = json.loads(body, parse_float=str, parse_int=str) if body else {}
    except ValueError:
        raise AlpacaError(400, 40010000, "request body format is invalid") from None
    return value if isinstance(value, dict) else {}


def _witnessed(request: web.BaseRequest, query: str, body: str, now_ms: int) -> Request:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)
    return Request(request.method, request.path, query, headers, body, now_ms)
