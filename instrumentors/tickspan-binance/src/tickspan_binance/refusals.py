"""What an exception out of an order request means: refused, by whom and why, or nobody knows. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tickspan.instrumentation import type_name
from tickspan.trading import (
    OrderCall,
    OrderUpdate,
    Reject,
    RejectOrigin,
    RejectReason,
    Verdict,
    profile_of,
    reject_of_code,
)

from tickspan_binance.describe import Place
from tickspan_binance.read import order_update
from tickspan_binance.values import Message, mapping, text

_SENT_BUT_REFUSED: Final = frozenset({"-1008"})
"""Codes of HTTP 5xx that promise that nothing was done."""
_FATE_UNKNOWN: Final = frozenset({"-1006", "-1007"})
_PARTLY_DONE: Final = "-2021"
_NEVER_CONNECTED: Final = frozenset(
    {
        "ConnectTimeout",
        "ConnectTimeoutError",
        "NewConnectionError",
        "NameResolutionError",
        "ClientConnectorError",
        "ConnectionTimeoutError",
    }
)
_BAD_REQUEST, _SERVER_ERROR, _LAST_STATUS = 400, 500, 599


def verdict(_client: Any, error: BaseException, call: OrderCall) -> Verdict:
    """What an exception out of an order request means; of its text only the venue's code and message.

    A refusal needs an answer, or that nothing was sent. Whatever else happened after the request was handed
    to the transport (timeout, reset, 5xx, cancellation) leaves the order's fate unknown.
    """
    code, status = venue_code(error), getattr(error, "status_code", None)
    if code is not None:
        return _answered(error, code, status, call)
    if not call.is_sent:
        return Verdict(type_name(error), Reject(type_name(error), origin=_origin_unsent(error)))
    if _is_never_connected(error):
        return Verdict(type_name(error), Reject(type_name(error), origin=RejectOrigin.GATEWAY))
    if _is_turned_away(status):
        return Verdict(type_name(error), Reject(type_name(error), origin=RejectOrigin.GATEWAY))
    return Verdict(type_name(error))


def venue_code(error: BaseException) -> str | None:
    """The code that the venue gave; None if the answer had none, or there was no answer."""
    code = getattr(error, "code", None)
    is_venues = type(error).__name__ == "BinanceAPIException" and isinstance(code, int) and code != 0
    return str(code) if is_venues else None


def _answered(error: BaseException, code: str, status: Any, call: OrderCall) -> Verdict:
    venue = call.request.venue
    half = halves(error) if code == _PARTLY_DONE else {}
    refused = half.get("newOrderResponse")
    if isinstance(refused, Mapping):
        own = refused.get("code")
        if own is None:  # only the cancel has failed: the new order lives
            return Verdict(f"{venue}:{code}")
        reject = reject_of_code(profile_of(venue), str(own), text(refused.get("msg")))
        return Verdict(type_name(error), reject)
    reject = reject_of_code(profile_of(venue), code, text(getattr(error, "message", None)))
    is_server_error = isinstance(status, int) and _SERVER_ERROR <= status <= _LAST_STATUS
    if code in _FATE_UNKNOWN or (is_server_error and code not in _SENT_BUT_REFUSED):
        return Verdict(reject.error_type)
    if call.attempts > 1 and reject.reason is RejectReason.DUPLICATE_ID:
        return Verdict(reject.error_type)  # an earlier attempt, thought lost, has got through
    return Verdict(type_name(error), reject)


def halves(error: BaseException) -> Message:
    """What became of cancel and new order in a replacement of which one half failed."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # of the WebSocket API
        return _data(response.get("error"))
    body = getattr(response, "_body", None)  # of aiohttp, which has read it
    if not isinstance(body, bytes):
        body = getattr(response, "content", None)  # of requests
    return _data(_decoded(body)) if isinstance(body, bytes) else {}


def halves_done(place: Place, error: BaseException) -> tuple[OrderUpdate | None, OrderUpdate | None]:
    """The canceled order and the placed one, where a replacement was done by half."""
    half = halves(error) if venue_code(error) == _PARTLY_DONE else {}
    return (
        order_update(place, half.get("cancelResponse")),
        order_update(place, half.get("newOrderResponse")),
    )


def _data(error: Any) -> Message:
    return mapping(mapping(error).get("data"))


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _origin_unsent(error: BaseException) -> RejectOrigin:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    is_transport = kinds & {"BinanceWebsocketUnableToConnect", "OSError", "ClientError"}
    return RejectOrigin.GATEWAY if is_transport else RejectOrigin.CLIENT_LIBRARY


def _is_never_connected(error: BaseException) -> bool:
    """Whether the transport says that there was no connection to send by."""
    cause = getattr(error.args[0], "reason", None) if error.args else None  # of urllib3, inside requests'
    kinds = {kind.__name__ for one in (error, cause) if one is not None for kind in type(one).__mro__}
    return bool(kinds & _NEVER_CONNECTED)


def _is_turned_away(status: Any) -> bool:
    """Whether something before the venue refused, in no form of the venue's."""
    return isinstance(status, int) and _BAD_REQUEST <= status < _SERVER_ERROR
