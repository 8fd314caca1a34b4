"""The Binance dialect of a simulated venue: REST, streams and WebSocket API on one port."""

from __future__ import annotations

import itertools
import json
from email.utils import formatdate
from urllib.parse import parse_qsl

from aiohttp import web

from tickspan.testing.venue.binance import contracts, messages
from tickspan.testing.venue.binance.errors import (
    BinanceError,
    ConnectionBrokenError,
)
from tickspan.testing.venue.binance.gate import Gate
from tickspan.testing.venue.binance.operations import OPERATIONS, ROUTES, Operation, Security
from tickspan.testing.venue.binance.parameters import Parameters
from tickspan.testing.venue.binance.sessions import ApiSession, StreamSession
from tickspan.testing.venue.binance.signing import (
    check_key,
    check_signature,
    check_time,
    split_signature,
)
from tickspan.testing.venue.credentials import Credentials
from tickspan.testing.venue.delivery import Report
from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.prices import Tick
from tickspan.testing.venue.truth import Request, Witness

_EMPTY_FUTURES = frozenset({"/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo"})


class BinanceService:
    """Answers every request of the dialect. Lives on the venue's loop."""

    def __init__(self, exchange: Exchange, credentials: Credentials, witness: Witness) -> None:
        self._exchange = exchange
        self._gate = Gate(exchange, credentials, witness)
        self._stream_sessions: set[StreamSession] = set()
        self._api_sessions: set[ApiSession] = set()
        self._listen_keys: set[str] = set()
        self._key_numbers = itertools.count()
        exchange.tick_listeners.add(self._on_tick)
        exchange.delivery.listeners.add(self._on_report)
        exchange.disconnect_listeners.add(self.disconnect)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to one HTTP request, which may last as long as a WebSocket."""
        query = request.raw_path.partition("?")[2]
        body = (await request.read()).decode(errors="replace")
        self._gate.witness.saw(_witnessed(request, query, body, self._exchange.now_ms()))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._answer_upgrade(request, query)
        try:
            result = await self._answer_rest(request, query, body)
        except BinanceError as error:
            headers = {**self._headers(), **error.headers}
            return web.json_response(error.body(), status=error.status, headers=headers)
        except ConnectionBrokenError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.json_response(result, headers=self._headers())

    def disconnect(self) -> None:
        """Cut every WebSocket."""
        for session in (*self._stream_sessions, *self._api_sessions):
            session.connection.abort()

    async def _answer_rest(self, request: web.BaseRequest, query: str, body: str) -> object:
        path = request.path
        parameters = Parameters(dict(parse_qsl(f"{query}&{body}", keep_blank_values=True)))
        elsewhere = contracts.find(request.method, path)
        if elsewhere is not None:
            via = contracts.VIA if elsewhere.is_contract else "rest"
            return await self._run(elsewhere.operation, request, parameters, query, body, via)
        if path == "/sapi/v1/capital/config/getall":
            return messages.coins(self._exchange.behaviour.markets(), self._exchange.desk.balances)
        if path.startswith("/sapi/"):
            return []
        if path in _EMPTY_FUTURES:
            return {"symbols": []}
        if path == "/api/v3/userDataStream" or contracts.is_listen_key(path):
            return self._answer_listen_key(request, parameters)
        name = ROUTES.get((request.method, path.removeprefix("/api/v3/")))
        if name is None:
            raise self._gate.unsupported(request.method, path)
        return await self._run(OPERATIONS[name], request, parameters, query, body, "rest")

    async def _run(
        self,
        operation: Operation,
        request: web.BaseRequest,
        parameters: Parameters,
        query: str,
        body: str,
        via: str,
    ) -> object:
        self._gate.charge(operation)
        if operation.security is Security.SIGNED:
            check_key(self._gate.credentials, request.headers.get("X-MBX-APIKEY", ""))
            check_signature(self._gate.credentials, *split_signature(query, body))
            check_time(parameters, self._exchange.now_ms())
        return await self._gate.run(operation, parameters, via)

    def _answer_listen_key(self, request: web.BaseRequest, parameters: Parameters) -> object:
        check_key(self._gate.credentials, request.headers.get("X-MBX-APIKEY", ""))
        if request.method == "POST":
            key = f"listen{next(self._key_numbers):058d}"
            self._listen_keys.add(key)
            return {"listenKey": key}
        # Spot's clients name the key; an account of contracts has only one.
        key = parameters.text("listenKey") or next(iter(self._listen_keys), "")
        if key not in self._listen_keys:
            raise BinanceError(400, -1125, "This listenKey does not exist.")
        if request.method == "DELETE":
            self._listen_keys.discard(key)
        return {}

    async def _answer_upgrade(self, request: web.BaseRequest, query: str) -> web.StreamResponse:
        path, is_contract = contracts.stream_path(request.path, query)
        if path == "/ws-api/v3":
            api_session = ApiSession(self._gate)
            self._api_sessions.add(api_session)
            try:
                return await api_session.connection.serve(request, api_session.receive)
            finally:
                self._api_sessions.discard(api_session)
        is_combined = path == "/stream"
        if not is_combined and path != "/ws" and not path.startswith("/ws/"):
            error = self._gate.unsupported("WS", path)
            return web.json_response(error.body(), status=error.status)
        names = dict(parse_qsl(query)).get("streams", "") if is_combined else path.removeprefix("/ws")
        session = StreamSession(
            self._gate, [name for name in names.split("/") if name], is_combined=is_combined
        )
        session.is_private = any(name in self._listen_keys for name in session.names)
        session.is_contract = is_contract
        self._stream_sessions.add(session)
        try:
            return await session.connection.serve(request, session.receive)
        finally:
            self._stream_sessions.discard(session)

    def _on_tick(self, tick: Tick) -> None:
        prices = self._exchange.prices(tick.market.id)
        rendered: dict[str, list[str]] = {}
        for session in self._stream_sessions:
            for name, stream in session.streams.items():
                if stream.carries(tick):
                    if name not in rendered:
                        rendered[name] = [_compact(message) for message in stream.messages(tick, prices)]
                    session.send(name, rendered[name])

    def _on_report(self, report: Report) -> None:
        is_contract = report.order.via == contracts.VIA
        for event in _events(report, is_contract=is_contract):
            for api_session in () if is_contract else self._api_sessions:
                api_session.send_event(event)
            for session in self._stream_sessions:
                if session.is_private and session.is_contract == is_contract:
                    session.connection.send_json(event)

    def _headers(self) -> dict[str, str]:
        """What is used of the limits, and the venue's own time."""
        used = {limit.header: str(self._gate.budget.used(limit)) for limit in self._gate.budget.limits}
        date = formatdate(self._exchange.now_ms() / 1_000, usegmt=True)
        return {**used, "X-MBX-USED-WEIGHT": used["X-MBX-USED-WEIGHT-1M"], "Date": date}


def _events(report: Report, *, is_contract: bool) -> tuple[messages.Json, messages.Json]:
    """What the account's owner is told: of the order, then of the balances."""
    if is_contract:
        return contracts.order_trade_update(report), contracts.account_update(report)
    return messages.execution_report(report), messages.account_position(report)


def _witnessed(request: web.BaseRequest, query: str, body: str, now_ms: int) -> Request:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)
    return Request(request.method, request.path, query, headers, body, now_ms)


def _compact(message: object) -> str:
    return json.dumps(message, separators=(",", ":"))
