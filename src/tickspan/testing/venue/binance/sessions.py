"""WebSocket sessions of the Binance dialect: market streams, and the API with its user data stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from tickspan.testing.venue.binance import messages
from tickspan.testing.venue.binance.errors import BinanceError, ConnectionBrokenError
from tickspan.testing.venue.binance.gate import Gate
from tickspan.testing.venue.binance.operations import OPERATIONS, Security
from tickspan.testing.venue.binance.parameters import Parameters
from tickspan.testing.venue.binance.signing import (
    check_key,
    check_signature,
    check_time,
    message_payload,
)
from tickspan.testing.venue.binance.streams import Stream, parse_stream
from tickspan.testing.venue.connections import Connection
from tickspan.testing.venue.truth import Request, Unimplemented


class StreamSession:
    """A connection to `/ws` (bare messages) or `/stream` (wrapped ones), and what it subscribed to."""

    def __init__(self, gate: Gate, names: list[str], *, is_combined: bool) -> None:
        self.connection = Connection()
        self.names = names
        self.streams: dict[str, Stream] = {}
        self.is_private = False
        self.is_contract = False
        self._gate = gate
        self._is_combined = is_combined
        self._subscribe([name for name in names if "@" in name])

    def send(self, name: str, rendered: list[str]) -> None:
        """Send messages of the stream `name`."""
        for message in rendered:
            self.connection.send(f'{{"stream":"{name}","data":{message}}}' if self._is_combined else message)

    def receive(self, text: str) -> None:
        """Answer SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS."""
        message = _parse_object(text)
        method, names, message_id = message.get("method"), message.get("params", []), message.get("id")
        self._gate.witness.saw(_witnessed_message(str(method), text, self._gate.exchange.now_ms()))
        if method == "LIST_SUBSCRIPTIONS":
            self.connection.send_json({"result": list(self.streams), "id": message_id})
            return
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE") or not isinstance(names, list):
            error = {"code": 2, "msg": "Invalid request: unknown method or parameters"}
            self.connection.send_json({"error": error, "id": message_id})
            return
        # The answer goes first: clients wait for it before they look at what follows.
        self.connection.send_json({"result": None, "id": message_id})
        wanted = [str(name) for name in names]
        if method == "SUBSCRIBE":
            self._subscribe(wanted)
        else:
            for name in wanted:
                self.streams.pop(name, None)

    def _subscribe(self, names: list[str]) -> None:
        for name in names:
            stream = parse_stream(name)
            if stream is None:
                self._gate.witness.lacked(Unimplemented("SUBSCRIBE", name))
            else:
                self.streams[name] = stream


class ApiSession:
    """A connection to `/ws-api/v3`: requests with answers, and the user data stream."""

    def __init__(self, gate: Gate) -> None:
        self.connection = Connection()
        self._gate = gate
        self._is_logged_on = False
        self._subscriptions: list[int] = []
        self._next_subscription = 0
        self._running: set[asyncio.Task[None]] = set()

    def send_event(self, event: Mapping[str, object]) -> None:
        """Pass an event of the user data stream on, once per subscription."""
        for subscription in self._subscriptions:
            self.connection.send_json({"subscriptionId": subscription, "event": event})

    def receive(self, text: str) -> None:
        """Answer one request, without keeping the next one waiting."""
        task = asyncio.ensure_future(self._answer(text))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, text: str) -> None:
        message = _parse_object(text)
        method = str(message.get("method"))
        self._gate.witness.saw(_witnessed_message(method, text, self._gate.exchange.now_ms()))
        parameters = _message_parameters(message.get("params"))
        envelope: dict[str, object] = {"id": message.get("id")}
        try:
            result = await self._result(method, parameters)
        except BinanceError as error:
            envelope |= {"status": error.status, "error": error.body()}
        except ConnectionBrokenError:
            self.connection.abort()
            return
        else:
            envelope |= {"status": 200, "result": result}
        if parameters.text("returnRateLimits", "true") == "true":
            envelope["rateLimits"] = messages.rate_limits(self._gate.budget)
        self.connection.send_json(envelope)

    async def _result(self, method: str, parameters: Parameters) -> object:
        session_method = _SESSION_METHODS.get(method)
        if session_method is not None:
            return session_method(self, parameters)
        operation = OPERATIONS.get(method)
        if operation is None:
            raise self._gate.unsupported("WS", method)
        self._gate.charge(operation)
        if operation.security is Security.SIGNED:
            self._authenticate(parameters)
        return await self._gate.run(operation, parameters, "ws_api")

    def _authenticate(self, parameters: Parameters) -> None:
        """Check the signature, which a session that logged on may leave out."""
        credentials = self._gate.credentials
        if not self._is_logged_on or parameters.text("signature"):
            check_key(credentials, parameters.text("apiKey"))
            check_signature(credentials, message_payload(parameters), parameters.text("signature"))
        check_time(parameters, self._gate.exchange.now_ms())

    def log_on(self, parameters: Parameters) -> object:
        """`session.logon`: later requests need no signature."""
        # The real venue wants an Ed25519 key here; this one takes the account's HMAC key too.
        self._is_logged_on = False
        self._authenticate(parameters)
        self._is_logged_on = True
        return self.session_status(parameters)

    def log_out(self, parameters: Parameters) -> object:
        """`session.logout`."""
        self._is_logged_on = False
        return self.session_status(parameters)

    def session_status(self, _parameters: Parameters) -> object:
        """`session.status`."""
        now_ms = self._gate.exchange.now_ms()
        api_key = self._gate.credentials.api_key if self._is_logged_on else None
        return {
            "apiKey": api_key,
            "authorizedSince": now_ms if api_key else None,
            "connectedSince": now_ms,
            "returnRateLimits": True,
            "serverTime": now_ms,
        }

    def subscribe_signed(self, parameters: Parameters) -> object:
        """`userDataStream.subscribe.signature`."""
        self._authenticate(parameters)
        return self.subscribe(parameters)

    def subscribe(self, parameters: Parameters) -> object:
        """`userDataStream.subscribe`, for a session that logged on."""
        if not self._is_logged_on and not parameters.text("signature"):
            raise BinanceError(401, -2015, "Invalid API-key, IP, or permissions for action.")
        subscription, self._next_subscription = self._next_subscription, self._next_subscription + 1
        self._subscriptions.append(subscription)
        return {"subscriptionId": subscription}

    def unsubscribe(self, parameters: Parameters) -> object:
        """`userDataStream.unsubscribe`, of one subscription or all."""
        subscription = parameters.whole("subscriptionId")
        kept = [] if subscription is None else [one for one in self._subscriptions if one != subscription]
        self._subscriptions = kept
        return {}


_SESSION_METHODS = {
    "session.logon": ApiSession.log_on,
    "session.logout": ApiSession.log_out,
    "session.status": ApiSession.session_status,
    "userDataStream.subscribe": ApiSession.subscribe,
    "userDataStream.subscribe.signature": ApiSession.subscribe_signed,
    "userDataStream.unsubscribe": ApiSession.unsubscribe,
}


def _witnessed_message(method: str, text: str, now_ms: int) -> Request:
    return Request("WS", method, "", (), text, now_ms)


def _parse_object(text: str) -> dict[str, object]:
    try:
        # Numbers stay as they were written: the signature covers their text.
        message = json.loads(text, parse_float=str)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _message_parameters(parameters: object) -> Parameters:
    if not isinstance(parameters, dict):
        return Parameters({})
    return Parameters({str(name): _as_sent(value) for name, value in parameters.items()})


def _as_sent(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
