"""What a venue said, out of ccxt's unified structures: orders, trades, errors, market data. All pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tickspan.instrumentation import type_name
from tickspan.trading import (
    Execution,
    OrderCall,
    OrderStatus,
    OrderUpdate,
    Point,
    Reject,
    RejectOrigin,
    RejectReason,
    Source,
    TickKind,
    Verdict,
    decimal_of,
    profile_of,
    reject_of_code,
)

from tickspan_ccxt.describe import LIBRARY, TIMES_IN_FORCE, account_of, environment_of, venue_of

_STATUSES: Final = {
    "open": OrderStatus.NEW,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "cancelled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}
_CODE_NAMES: Final = ("code", "retCode", "sCode", "ret_code", "error_code", "errorCode")
_TEXT_NAMES: Final = ("msg", "message", "retMsg", "sMsg", "error_message", "errorMessage")
_CODE: Final = re.compile(r"[\w.:-]{1,40}")
_REASONS: Final = {
    "InsufficientFunds": RejectReason.FUNDS,
    "DuplicateOrderId": RejectReason.DUPLICATE_ID,
    "OrderNotFound": RejectReason.NOT_FOUND,
    "BadSymbol": RejectReason.SYMBOL,
    "RateLimitExceeded": RejectReason.RATE_LIMIT,
    "DDoSProtection": RejectReason.RATE_LIMIT,
    "InvalidNonce": RejectReason.CLOCK_SKEW,
    "AuthenticationError": RejectReason.AUTH,
    "MarketClosed": RejectReason.MARKET_CLOSED,
}
"""ccxt's exception classes, the more special ones first."""
_MAX_ERROR_TEXT: Final = 16 * 1024


def order_update(exchange: Any, order: Any) -> OrderUpdate | None:
    """A unified order structure as a report; None if it names no order."""
    if not isinstance(order, Mapping):
        return None
    venue_id, client_id = _text(order.get("id")), _text(order.get("clientOrderId"))
    if venue_id is None and client_id is None:
        return None
    filled = decimal_of(order.get("filled"))
    return OrderUpdate(
        venue_of(exchange),
        Source.POLL,
        _status(order.get("status"), filled),
        library=LIBRARY,
        environment=environment_of(exchange),
        account=account_of(exchange),
        client_id=client_id,
        venue_id=venue_id,
        instrument=_text(order.get("symbol")),
        side=_text(order.get("side")),
        type=_text(order.get("type")),
        time_in_force=TIMES_IN_FORCE.get(str(order.get("timeInForce"))),
        quantity=decimal_of(order.get("amount")),
        price=decimal_of(order.get("price")),
        filled_quantity=filled,
        average_price=decimal_of(order.get("average")),
        executions=_executions(order.get("trades")),
        venue_time_ns=_nanoseconds(order.get("lastUpdateTimestamp") or order.get("timestamp")),
    )


def trade_update(exchange: Any, trade: Any) -> OrderUpdate | None:
    """A unified trade of one's own as a report; None for the public's, which name no order."""
    if not isinstance(trade, dict) or trade.get("order") is None:  # asked for every trade of a stream
        return None
    return OrderUpdate(
        venue_of(exchange),
        Source.POLL,
        library=LIBRARY,
        environment=environment_of(exchange),
        account=account_of(exchange),
        venue_id=_text(trade.get("order")),
        instrument=_text(trade.get("symbol")),
        side=_text(trade.get("side")),
        type=_text(trade.get("type")),
        executions=_executions([trade]),
        venue_time_ns=_nanoseconds(trade.get("timestamp")),
    )


def answers(exchange: Any, result: Any, source: Source = Source.REST_RESPONSE) -> Sequence[OrderUpdate]:
    """What an order call returned: one order, or a list of them."""
    orders = result if isinstance(result, list) else [result]
    updates = (order_update(exchange, order) for order in orders)
    return [update.received_at(0, source) for update in updates if update is not None]


def ws_answers(exchange: Any, result: Any) -> Sequence[OrderUpdate]:
    """The same of a call that goes over a WebSocket."""
    return answers(exchange, result, Source.WS_API)


def _status(status: Any, filled: Decimal | None) -> OrderStatus | None:
    known = _STATUSES.get(str(status).lower())
    return OrderStatus.PARTIALLY_FILLED if known is OrderStatus.NEW and filled else known


def _executions(trades: Any) -> tuple[Execution, ...]:
    if not isinstance(trades, Sequence):
        return ()
    named = (trade for trade in trades if isinstance(trade, Mapping) and trade.get("id") is not None)
    return tuple(
        Execution(
            str(trade["id"]),
            decimal_of(trade.get("amount")),
            decimal_of(trade.get("price")),
            _text(trade.get("takerOrMaker")),
        )
        for trade in named
    )


def verdict(exchange: Any, error: BaseException, call: OrderCall) -> Verdict:
    """What an exception out of an order call means; nothing of its text but code and message of the venue.

    A refusal needs an answer, or that nothing was sent. Whatever else happened after the request was handed
    to the transport (timeout, reset, 5xx, cancellation) leaves the order's fate unknown.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    refusal = _refusal(venue_of(exchange), error)
    if not call.is_sent:
        return Verdict(type_name(error), _unsent(error, kinds))
    is_answered = Point.ANSWERED in call.points
    if "OperationFailed" in kinds and not kinds & {"RateLimitExceeded", "DDoSProtection"}:
        return Verdict(refusal.error_type if refusal is not None else type_name(error))
    if "BaseError" not in kinds or not is_answered:
        return Verdict(type_name(error))
    plain = Reject(f"{venue_of(exchange)}:{type(error).__name__}", _reason(kinds))
    reject = _with_reason(refusal, kinds) if refusal is not None else plain
    if call.attempts > 1 and reject.reason is RejectReason.DUPLICATE_ID:
        return Verdict(reject.error_type)  # an earlier attempt, thought lost, has got through
    return Verdict(type_name(error), reject)


def _unsent(error: BaseException, kinds: set[str]) -> Reject:
    return Reject(type_name(error), _reason(kinds), RejectOrigin.CLIENT_LIBRARY)


def _with_reason(refusal: Reject, kinds: set[str]) -> Reject:
    if refusal.reason is not RejectReason.OTHER:
        return refusal
    return Reject(refusal.error_type, _reason(kinds), refusal.origin, refusal.code, refusal.message)


def _reason(kinds: set[str]) -> RejectReason:
    return next((reason for name, reason in _REASONS.items() if name in kinds), RejectReason.OTHER)


def _refusal(venue: str, error: BaseException) -> Reject | None:
    """The venue's own code and text: ccxt puts the JSON body of the answer behind the exchange's id."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else ""
    body = _object_in(text[:_MAX_ERROR_TEXT])
    code = _first(body, _CODE_NAMES)
    if code is None or not _CODE.fullmatch(code):
        return None
    return reject_of_code(profile_of(venue), code, _first(body, _TEXT_NAMES))


def _object_in(text: str) -> Mapping[str, Any]:
    start = text.find("{")
    if start < 0:
        return {}
    try:
        value, _ = json.JSONDecoder().raw_decode(text[start:])
    except (ValueError, RecursionError):
        return {}
    inner = value.get("error", value) if isinstance(value, dict) else {}
    return inner if isinstance(inner, dict) else {}


def _first(body: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((str(body[name]) for name in names if isinstance(body.get(name), str | int)), None)


@dataclass(frozen=True, slots=True)
class Topic:
    """What a message delivered to a consumer is about."""

    kind: TickKind
    channel: str
    instrument: str | None = None
    venue_time_ns: int | None = None


def topic(result: Any) -> Topic | None:
    """By the shape of what the consumer gets, never by the subscription's hash; None if it is no feed.

    Runs for every message that somebody waits for: plain `dict` and `list`, which ccxt's structures are.
    """
    if isinstance(result, dict):
        return _topic_of_mapping(result)
    if isinstance(result, list) and result:
        return _topic_of_list(result[-1])
    return None


def _topic_of_mapping(result: Mapping[Any, Any]) -> Topic | None:
    if "symbol" not in result:
        return _topic_of_many(result)
    if "clientOrderId" in result:
        return _of(result, TickKind.ORDER, "orders")
    if "bids" in result:
        return _of(result, TickKind.MARKET, "order_book")
    return _of(result, TickKind.MARKET, "ticker") if "last" in result else None


def _topic_of_many(result: Mapping[Any, Any]) -> Topic | None:
    """Several tickers by symbol."""
    values = list(result.values())[:2]
    if not values or not all(isinstance(value, dict) and "last" in value for value in values):
        return None
    first = values[0]
    return _of(first if len(result) == 1 else {}, TickKind.MARKET, "ticker")


def _topic_of_list(last: Any) -> Topic | None:
    if isinstance(last, list):
        return Topic(TickKind.MARKET, "ohlcv")
    if not isinstance(last, dict):
        return None
    if "clientOrderId" in last:
        return _of(last, TickKind.ORDER, "orders")
    if "takerOrMaker" not in last:
        return None
    is_own = last.get("order") is not None
    return _of(last, TickKind.ORDER, "executions") if is_own else _of(last, TickKind.MARKET, "trades")


def _of(value: Mapping[Any, Any], kind: TickKind, channel: str) -> Topic:
    return Topic(kind, channel, _text(value.get("symbol")), _nanoseconds(value.get("timestamp")))


def _nanoseconds(milliseconds: Any) -> int | None:
    return milliseconds * 1_000_000 if isinstance(milliseconds, int) else None


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None
