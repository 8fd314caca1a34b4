"""What a venue answered: reports, a refusal, or nothing that can be told. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tickspan.trading import (
    Execution,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Reject,
    RejectReason,
    Source,
    VenueProfile,
    Verdict,
    decimal_of,
    reject_of_code,
)

from tickspan_http.describe import SYMBOLS, VENUE_IDS
from tickspan_http.outgoing import fields_of, first, text

_STATUSES: Final[Mapping[str, OrderStatus]] = {
    "new": OrderStatus.NEW,
    "accepted": OrderStatus.NEW,
    "open": OrderStatus.NEW,
    "live": OrderStatus.NEW,
    "working": OrderStatus.NEW,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "partiallyfilled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "complete": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "cancelled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}
_STATUS_NAMES: Final = ("status", "orderStatus", "order_status", "state", "ordStatus")
_CODE_NAMES: Final = ("sCode", "retCode", "code", "ret_code", "error_code", "errorCode", "error_type")
_TEXT_NAMES: Final = ("sMsg", "retMsg", "msg", "message", "error", "error_message", "errorMessage")
_NO_FAULT: Final = frozenset({"0", "200", "ok", "success", "200000"})
_FILLED: Final = ("executedQty", "cumExecQty", "accFillSz", "filled_qty", "filled_size", "filled_quantity")
_REASONS_OF_STATUS: Final = {
    401: RejectReason.AUTH,
    403: RejectReason.AUTH,
    404: RejectReason.NOT_FOUND,
    418: RejectReason.RATE_LIMIT,
    429: RejectReason.RATE_LIMIT,
}
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


def verdict(profile: VenueProfile, status: int, body: Any) -> Verdict | None:
    """What an answer refuses; None where it does not.

    After a 5xx nobody knows whether the venue has the order, whatever the body says.
    """
    if status >= _SERVER_ERROR:
        return Verdict(f"{profile.name}:{status}")
    answer = fields_of(body)
    code = _code(answer)
    if status < _CLIENT_ERROR and code is None:
        return None
    if code is None:
        reason = _REASONS_OF_STATUS.get(status, RejectReason.OTHER)
        return Verdict(
            f"{profile.name}:{status}", Reject(f"{profile.name}:{status}", reason, code=str(status))
        )
    reject = reject_of_code(profile, code, _message(answer))
    return Verdict(reject.error_type, reject)


def updates(profile: VenueProfile, request: OrderRequest, body: Any) -> Sequence[OrderUpdate]:
    """The reports in the answer to `request`, in the order of the answer."""
    answer = fields_of(body)
    orders = _orders(answer) if request.batch else [answer]
    told = (_update(profile, request, one) for one in orders)
    return [update for update in told if update is not None]


def _update(profile: VenueProfile, request: OrderRequest, answer: Any) -> OrderUpdate | None:
    venue_id = text(first(answer, VENUE_IDS))
    client_id = text(first(answer, profile.client_id_fields))
    if venue_id is None and client_id is None:
        return None
    status = _STATUSES.get(str(first(answer, _STATUS_NAMES)).lower().replace(" ", "_"))
    return OrderUpdate(
        profile.name,
        Source.REST_RESPONSE,
        status,
        library=request.library,
        environment=request.environment,
        client_id=client_id,
        venue_id=venue_id,
        instrument=text(first(answer, SYMBOLS)),
        filled_quantity=decimal_of(first(answer, _FILLED)),
        executions=_executions(answer),
    )


def _executions(answer: Any) -> tuple[Execution, ...]:
    """The fills that some venues (Binance: `fills`) put into their answer."""
    fills = answer.get("fills") if isinstance(answer, Mapping) else None
    named = [fill for fill in fills or () if isinstance(fill, Mapping) and text(fill.get("tradeId"))]
    return tuple(
        Execution(str(fill["tradeId"]), decimal_of(fill.get("qty")), decimal_of(fill.get("price")))
        for fill in named
    )


def _orders(answer: Any) -> list[Any]:
    if isinstance(answer, list):
        return answer
    if isinstance(answer, Mapping):
        for value in answer.values():
            found = _orders(value)
            if found:
                return found
    return []


def _code(answer: Any) -> str | None:
    """The venue's error code; None where the answer is none of an error."""
    code = text(first(answer, _CODE_NAMES))
    if code is not None:
        return None if code.lower() in _NO_FAULT else code[:64]
    errors = answer.get("error") if isinstance(answer, Mapping) else None
    if isinstance(errors, list):
        return str(errors[0])[:64] if errors else None
    error = text(first(answer, ("error",)))
    return "error" if error is not None else None


def _message(answer: Any) -> str | None:
    return text(first(answer, _TEXT_NAMES))
