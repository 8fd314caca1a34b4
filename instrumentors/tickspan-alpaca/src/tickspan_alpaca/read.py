"""What Alpaca said: orders, trade updates, errors, market data. All pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from tickspan.instrumentation import type_name
from tickspan.trading import (
    Execution,
    OrderCall,
    OrderStatus,
    OrderUpdate,
    Reject,
    RejectOrigin,
    RejectReason,
    Source,
    Verdict,
    decimal_of,
    profile_of,
    reject_of_code,
    status_of,
)

from tickspan_alpaca.describe import (
    TIMES_IN_FORCE,
    VENUE,
    Fields,
    account_of,
    environment_of,
    fields_of,
    library_of,
    text_of,
)

_STATUSES: Final = {
    "accepted": OrderStatus.PENDING_NEW,
    "accepted_for_bidding": OrderStatus.PENDING_NEW,
    "held": OrderStatus.PENDING_NEW,
    "pending_new": OrderStatus.PENDING_NEW,
    "pending_review": OrderStatus.PENDING_NEW,
    "new": OrderStatus.NEW,
    "pending_cancel": OrderStatus.NEW,
    "pending_replace": OrderStatus.NEW,
    "done_for_day": OrderStatus.NEW,
    "calculated": OrderStatus.NEW,
    "stopped": OrderStatus.NEW,
    "suspended": OrderStatus.NEW,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "replaced": OrderStatus.REPLACED,
    "rejected": OrderStatus.REJECTED,
}
"""Taken by Alpaca is not yet at the market; and a cancel that was asked for leaves an order where it is."""
_WITHOUT_NEWS: Final = frozenset(
    {
        "pending_cancel",
        "pending_replace",
        "order_cancel_rejected",
        "order_replace_rejected",
        "restated",
        "done_for_day",
        "calculated",
        "stopped",
        "suspended",
    }
)
"""Events that leave an order as it stood: after it has ended they are no step back."""
_TURNED_DOWN: Final = Reject(f"{VENUE}:rejected", RejectReason.OTHER, RejectOrigin.VENUE)
"""An update says that an order was rejected, and not why."""
_FILLS: Final = ("fill", "partial_fill")

CHANNELS: Final = {
    "t": "trades",
    "q": "quotes",
    "b": "bars",
    "u": "updatedBars",
    "d": "dailyBars",
    "o": "orderbooks",
    "s": "statuses",
    "l": "lulds",
    "n": "news",
    "c": "corrections",
    "x": "cancelErrors",
}
"""Kind of a market data message to its channel; all else is control."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FRACTION: Final = re.compile(r"\.(\d{1,9})\d*")
_MAX_ERROR_TEXT: Final = 16 * 1024
_NOT_SENT: Final = frozenset(
    {"ConnectTimeout", "ConnectTimeoutError", "NewConnectionError", "NameResolutionError"}
)


def order_update(
    client: Any, order: Any, source: Source, account: str | None = None, received_ns: int = 0
) -> OrderUpdate | None:
    """An order as the venue shows it; None if it names no order."""
    fields = fields_of(order)
    venue_id, client_id = text_of(fields.get("id")), text_of(fields.get("client_order_id"))
    if venue_id is None or client_id is None:
        return None
    filled = decimal_of(fields.get("filled_qty"))
    status, raw = _status(fields.get("status"), filled)
    return OrderUpdate(
        VENUE,
        source,
        status,
        library=library_of(client),
        environment=environment_of(client),
        account=account or account_of(client),
        client_id=client_id,
        venue_id=venue_id,
        instrument=text_of(fields.get("symbol")),
        side=text_of(fields.get("side")),
        type=text_of(fields.get("type")) or text_of(fields.get("order_type")),
        time_in_force=TIMES_IN_FORCE.get(text_of(fields.get("time_in_force")) or ""),
        quantity=decimal_of(fields.get("qty")),
        price=decimal_of(fields.get("limit_price")),
        filled_quantity=filled,
        average_price=decimal_of(fields.get("filled_avg_price")),
        reject=_TURNED_DOWN if status is OrderStatus.REJECTED else None,
        venue_time_ns=unix_ns(fields.get("updated_at")),
        received_ns=received_ns,
        status_raw=raw,
    )


def orders(client: Any, result: Any, account: str | None = None) -> Iterator[OrderUpdate]:
    """A list of orders that was asked for, each with its legs."""
    for order in result if isinstance(result, list | tuple) else ():
        yield from _with_legs(client, order, Source.POLL, account)


def answers(client: Any, result: Any) -> Sequence[OrderUpdate]:
    """What an order call returned: the order, and those that hang on it."""
    return tuple(_with_legs(client, result, Source.REST_RESPONSE))


def closing_answers(client: Any, result: Any) -> Sequence[OrderUpdate]:
    """What `close_all_positions` returned: an order for each position, or why there is none.

    Without a position there was nothing to do: the order that was announced has come to nothing.
    """
    rows = tuple(map(fields_of, result)) if isinstance(result, list | tuple) else ()
    told = tuple(update for row in rows for update in _closing(client, row))
    if told or rows:
        return told
    return (OrderUpdate(VENUE, Source.REST_RESPONSE, OrderStatus.CANCELED, library=library_of(client)),)


def _closing(client: Any, row: Fields) -> Iterator[OrderUpdate]:
    body = fields_of(row.get("body"))
    code = text_of(body.get("code"))
    if code is None:
        yield from _with_legs(client, body, Source.REST_RESPONSE)
        return
    yield OrderUpdate(
        VENUE,
        Source.REST_RESPONSE,
        OrderStatus.REJECTED,
        library=library_of(client),
        instrument=text_of(row.get("symbol")),
        reject=reject_of_code(profile_of(VENUE), code, text_of(body.get("message"))),
    )


def cancel_answers(client: Any, result: Any) -> Sequence[OrderUpdate]:
    """Nothing: the venue has taken the wish to cancel, and tells by the stream what came of it."""
    del client, result
    return ()


def _with_legs(client: Any, order: Any, source: Source, account: str | None = None) -> Iterator[OrderUpdate]:
    update = order_update(client, order, source, account)
    if update is None:
        return
    yield update
    for leg in fields_of(order).get("legs") or ():
        yield from _with_legs(client, leg, source, account)


def trade_updates(stream: Any, message: Any, received_ns: int = 0) -> Sequence[OrderUpdate]:
    """The reports in a message of the trading stream, or in an event of a broker's: one, or one per leg."""
    outer = fields_of(message)
    data = fields_of(outer.get("data")) or outer
    account = text_of(data.get("account_id"))
    update = order_update(stream, data.get("order"), Source.USER_STREAM, account, received_ns)
    if update is None:
        return ()
    event, at_ns = text_of(data.get("event")), unix_ns(data.get("timestamp"))
    whole = replace(
        update,
        status=None if event in _WITHOUT_NEWS else update.status,
        venue_time_ns=at_ns,
        executions=_executions(data),
    )
    legs = [leg for leg in map(fields_of, data.get("legs") or ()) if text_of(leg.get("order_id")) is not None]
    return (whole, *(_of_leg(update, leg) for leg in legs))


def event_updates(client: Any, event: Any, received_ns: int = 0) -> Sequence[OrderUpdate]:
    """The reports in an event of a broker's accounts: the same as JSON text."""
    try:
        message = json.loads(event)
    except (TypeError, ValueError, RecursionError):
        return ()
    return trade_updates(client, message, received_ns)


def _executions(data: Fields) -> tuple[Execution, ...]:
    """The fill that an update tells of; every update has such an id, also those of no fill."""
    execution_id = text_of(data.get("execution_id"))
    if execution_id is None or text_of(data.get("event")) not in _FILLS:
        return ()
    return (Execution(execution_id, decimal_of(data.get("qty")), decimal_of(data.get("price"))),)


def _of_leg(update: OrderUpdate, leg: Fields) -> OrderUpdate:
    """The fill of one leg: the update's own order is the whole, which has no fill of its own."""
    fills = _executions({**leg, "event": _FILLS[0]})
    return OrderUpdate(
        VENUE,
        update.source,
        library=update.library,
        environment=update.environment,
        account=update.account,
        venue_id=text_of(leg.get("order_id")),
        instrument=text_of(leg.get("symbol")),
        executions=fills,
        venue_time_ns=unix_ns(leg.get("timestamp")),
        received_ns=update.received_ns,
    )


def _status(word: Any, filled: Decimal | None) -> tuple[OrderStatus | None, str | None]:
    status, raw = status_of(_STATUSES, text_of(word))
    return (OrderStatus.PARTIALLY_FILLED if status is OrderStatus.NEW and filled else status), raw


def unix_ns(value: Any) -> int | None:
    """Nanoseconds since 1970 of a time as the venue writes it, or of what a library made of it."""
    fraction_ns = 0
    if isinstance(value, str):
        found = _FRACTION.search(value)
        fraction_ns = int(found[1].ljust(9, "0")) if found is not None else 0
        value = _moment(_FRACTION.sub("", value))
    if isinstance(value, datetime) and value.tzinfo is not None:
        return (value - _EPOCH) // _MICROSECOND * 1_000 + fraction_ns
    return None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def message_ns(message: Mapping[Any, Any]) -> int | None:
    """The venue's time of a market data message: MessagePack's own kind of timestamp, or text."""
    value: Any = message.get("t") or message.get("created_at")
    try:
        return value.seconds * 1_000_000_000 + value.nanoseconds
    except AttributeError:
        return unix_ns(value)


def verdict(error: BaseException, call: OrderCall, *, is_doubtful: bool = False) -> Verdict:
    """What an exception out of an order call means; nothing of its text but the venue's code and message.

    `is_doubtful`: an earlier attempt of the same call ended without an answer of the venue's, so that a
    refusal now does not say that the venue holds no order.
    """
    name = type_name(error)
    if not call.is_sent:
        return Verdict(name, Reject(name, RejectReason.OTHER, RejectOrigin.CLIENT_LIBRARY))
    status = _status_code(error)
    if status is None:
        is_unsent = _never_left(error) and not is_doubtful
        return Verdict(name, Reject(name, RejectReason.OTHER, RejectOrigin.GATEWAY) if is_unsent else None)
    reject = _refusal(error, status)
    if is_doubtful or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        return Verdict(reject.error_type)
    return Verdict(reject.error_type, reject)


def _status_code(error: BaseException) -> int | None:
    """The answer's HTTP status; None where there was no answer."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def _refusal(error: BaseException, status: int) -> Reject:
    """By the venue's own code where its JSON has one; what a gateway says goes by its HTTP status."""
    body = _body(error)
    code = text_of(body.get("code")) or str(status)
    reject = reject_of_code(profile_of(VENUE), code, text_of(body.get("message")))
    if status != HTTPStatus.TOO_MANY_REQUESTS:
        return reject
    return Reject(reject.error_type, RejectReason.RATE_LIMIT, reject.origin, reject.code, reject.message)


def _body(error: BaseException) -> Fields:
    raw = getattr(error, "_error", None)
    if isinstance(raw, str):
        try:
            raw = json.loads(raw[:_MAX_ERROR_TEXT])
        except (ValueError, RecursionError):
            return {}
    return raw if isinstance(raw, Mapping) else {}


def _never_left(error: BaseException) -> bool:
    """Whether no connection was made at all: the reason stands in what requests wraps."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    kinds = {kind.__name__ for one in (error, reason) if one is not None for kind in type(one).__mro__}
    return bool(kinds & _NOT_SENT)
