"""What NautilusTrader's order events, reports and market data say. Pure; classes are told by their names."""

from __future__ import annotations

import re
from typing import Any, Final

from tickspan.trading import (
    Execution,
    OrderOperation,
    OrderStatus,
    OrderUpdate,
    Reject,
    RejectOrigin,
    RejectReason,
    Source,
    decimal_of,
    profile_of,
    reject_of_code,
)

from tickspan_nautilus.describe import LIBRARY, Place, number, order_type

_STATUSES: Final = {
    "OrderAccepted": OrderStatus.NEW,
    "OrderRejected": OrderStatus.REJECTED,
    "OrderDenied": OrderStatus.REJECTED,
    "OrderCanceled": OrderStatus.CANCELED,
    "OrderExpired": OrderStatus.EXPIRED,
    "OrderFilled": OrderStatus.PARTIALLY_FILLED,
    "OrderUpdated": None,
    "OrderTriggered": None,
    "OrderModifyRejected": None,
    "OrderCancelRejected": None,
}
"""Events that a venue or a check causes. All others only say what the library itself is about to do."""

ANSWERED: Final = {
    "OrderAccepted": (OrderOperation.SUBMIT,),
    "OrderRejected": (OrderOperation.SUBMIT,),
    "OrderDenied": (OrderOperation.SUBMIT,),
    "OrderTriggered": (OrderOperation.SUBMIT,),
    "OrderFilled": (OrderOperation.SUBMIT,),
    "OrderExpired": (OrderOperation.SUBMIT,),
    "OrderCanceled": (OrderOperation.SUBMIT, OrderOperation.CANCEL),
    "OrderUpdated": (OrderOperation.REPLACE,),
    "OrderModifyRejected": (OrderOperation.REPLACE,),
    "OrderCancelRejected": (OrderOperation.CANCEL,),
}
"""Which commands an event is the answer to."""

REFUSALS: Final = frozenset({"OrderRejected", "OrderDenied", "OrderModifyRejected", "OrderCancelRejected"})

_REPORTED: Final = {
    "ACCEPTED": OrderStatus.NEW,
    "TRIGGERED": OrderStatus.NEW,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "EXPIRED": OrderStatus.EXPIRED,
    "REJECTED": OrderStatus.REJECTED,
}
SIDES: Final = {1: "buy", 2: "sell"}
LIQUIDITY: Final = {1: "maker", 2: "taker"}

_CHANNELS: Final = {
    "QuoteTick": "quotes",
    "TradeTick": "trades",
    "Bar": "bars",
    "OrderBookDelta": "book",
    "OrderBookDeltas": "book",
    "OrderBookDepth10": "book",
    "MarkPriceUpdate": "mark_prices",
    "IndexPriceUpdate": "index_prices",
    "FundingRateUpdate": "funding_rates",
}

_LEG: Final = "-LEG-"
"""In ids that the library gives to the parts of a spread's fill, which no order has."""

_RISK_CODE: Final = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b")
_VENUE_CODE: Final = re.compile(r"""['"]?\bcode['"]?\s*[:=]\s*['"]?(-?\d{1,10})\b""")
_MAX_REASON: Final = 4 * 1024
_MAX_MESSAGE: Final = 160
_REASONS: Final = (
    (re.compile(r"duplicate"), RejectReason.DUPLICATE_ID),
    (re.compile(r"balance|insufficient|margin"), RejectReason.FUNDS),
    (re.compile(r"_rate\b|rate limit|too many"), RejectReason.RATE_LIMIT),
    (re.compile(r"quantity|trade size|notional|precision for order|\blot\b"), RejectReason.QUANTITY),
    (re.compile(r"instrument.* not found|no instrument|no market|\bsymbol\b"), RejectReason.SYMBOL),
    (re.compile(r"not yet active|has expired|market.* closed"), RejectReason.MARKET_CLOSED),
    (re.compile(r"halted|reducing|reduce.only|increase position|short selling"), RejectReason.RISK),
    (re.compile(r"\bprice\b|\bpx\b|post.only|in the market"), RejectReason.PRICE),
    (re.compile(r"not.found|not_found|unknown order"), RejectReason.NOT_FOUND),
)
"""Fragments of a lower-case reason, the more telling first: the library has no codes of its own."""


def update_of(event: Any, order: Any, place: Place, received_ns: int) -> OrderUpdate | None:
    """An order event as a report; None if nothing is reported by it.

    `order` is the library's own, to which the event has been applied already; None if it has none.
    """
    name = type(event).__name__
    if name not in _STATUSES or (order is None and _LEG in str(event.client_order_id)):
        return None
    return OrderUpdate(
        place.venue,
        Source.RECONCILE if getattr(event, "reconciliation", False) else Source.USER_STREAM,
        _status(name, order),
        library=LIBRARY,
        environment=place.environment,
        account=place.account,
        client_id=_text(event.client_order_id),
        venue_id=_text(getattr(event, "venue_order_id", None)),
        instrument=place.instrument,
        side=order.side_string().lower() if order is not None else None,
        type=order_type(order) if order is not None else None,
        quantity=number(order.quantity) if order is not None else None,
        filled_quantity=number(order.filled_qty) if order is not None else None,
        average_price=_average_price(order),
        executions=(_execution(event),) if name == "OrderFilled" else (),
        reject=reject_of(event, place.venue) if name in ("OrderRejected", "OrderDenied") else None,
        venue_time_ns=event.ts_event,
        received_ns=received_ns,
    )


def report_of(report: Any, place: Place, received_ns: int) -> OrderUpdate | None:
    """An `OrderStatusReport`, which the library has asked for; None of any other report."""
    if type(report).__name__ != "OrderStatusReport":
        return None
    return OrderUpdate(
        place.venue,
        Source.POLL,
        _REPORTED.get(getattr(report.order_status, "name", "")),
        library=LIBRARY,
        environment=place.environment,
        account=place.account,
        client_id=_text(report.client_order_id),
        venue_id=_text(report.venue_order_id),
        instrument=place.instrument,
        quantity=number(report.quantity),
        filled_quantity=number(report.filled_qty),
        average_price=decimal_of(report.avg_px),
        venue_time_ns=report.ts_last,
        received_ns=received_ns,
    )


def reject_of(event: Any, venue: str, *, is_sent: bool = True) -> Reject:
    """A refusal: by the library's risk checks, or by the venue if the command has been sent."""
    name = type(event).__name__
    text = str(event.reason)[:_MAX_REASON]
    message = text[:_MAX_MESSAGE]
    if name == "OrderDenied" or not is_sent:
        found = _RISK_CODE.search(text)
        code = found.group() if found is not None else None
        error_type = f"{LIBRARY}:{code}" if code is not None else name
        return Reject(error_type, _reason(text), RejectOrigin.CLIENT_RISK, code, message)
    code_in_text = _VENUE_CODE.search(text)
    if code_in_text is not None:
        said = reject_of_code(profile_of(venue), code_in_text.group(1), message)
        reason = said.reason if said.reason is not RejectReason.OTHER else _reason(text)
        return Reject(said.error_type, reason, said.origin, said.code, said.message)
    is_given_up = getattr(event, "reconciliation", False)
    origin = RejectOrigin.CLIENT_LIBRARY if is_given_up else RejectOrigin.VENUE
    return Reject(name, _reason(text), origin, message=message)


def channel_of(kind: type) -> str | None:
    """What a class of market data is told as; None if it is none."""
    return _CHANNELS.get(kind.__name__)


def instrument_of(data: Any) -> Any:
    """The id of the instrument that market data is about; of a bar it stands in its type."""
    bar_type = getattr(data, "bar_type", None)
    return data.instrument_id if bar_type is None else bar_type.instrument_id


def is_from_venue(data: Any) -> bool:
    """Whether the venue has sent this, and not the library made it of other data."""
    bar_type = getattr(data, "bar_type", None)
    return bar_type is None or bar_type.is_externally_aggregated()


def _status(name: str, order: Any) -> OrderStatus | None:
    if name != "OrderFilled" or order is None:
        return _STATUSES[name]
    return OrderStatus.FILLED if order.status_string() == "FILLED" else OrderStatus.PARTIALLY_FILLED


def _average_price(order: Any) -> Any:
    return decimal_of(order.avg_px) if order is not None and order.avg_px else None


def _execution(event: Any) -> Execution:
    return Execution(
        str(event.trade_id),
        number(event.last_qty),
        number(event.last_px),
        LIQUIDITY.get(event.liquidity_side),
        _text(event.commission),
    )


def _reason(text: str) -> RejectReason:
    said = text.lower()
    return next((reason for pattern, reason in _REASONS if pattern.search(said)), RejectReason.OTHER)


def _text(value: Any) -> str | None:
    return str(value) if value is not None else None
