"""What is asked of a venue and what it reports: orders, executions and rejects as frozen values.

Words are FIX's, spelled out (`partially_filled`). Quantities and prices are `Decimal`: an audit must not
round. Moments called `*_ns` are monotonic nanoseconds unless they say `venue_time`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final


class OrderOperation(StrEnum):
    """What is asked of the venue."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    REPLACE = "replace"
    QUERY = "query"


CREATING: Final = (OrderOperation.SUBMIT, OrderOperation.REPLACE)
"""Operations that lead to a new order."""


class OrderStatus(StrEnum):
    """FIX OrdStatus in words. `unknown`: sent, and nobody knows whether the venue has it."""

    PENDING_NEW = "pending_new"
    UNKNOWN = "unknown"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELED = "canceled"
    REPLACED = "replaced"
    FILLED = "filled"

    @property
    def is_terminal(self) -> bool:
        """Whether an order in this state is over."""
        return self in _TERMINAL


_TERMINAL: Final = frozenset(
    {
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.CANCELED,
        OrderStatus.REPLACED,
        OrderStatus.FILLED,
    }
)


class Source(StrEnum):
    """How a report reached us."""

    REST_RESPONSE = "rest_response"
    WS_API = "ws_api"
    USER_STREAM = "user_stream"
    FIX = "fix"
    POLL = "poll"
    RECONCILE = "reconcile"

    @property
    def is_response(self) -> bool:
        """Whether the report is the answer to the order call itself."""
        return self in (Source.REST_RESPONSE, Source.WS_API)

    @property
    def is_pushed(self) -> bool:
        """Whether the venue sent it unasked: then an order nobody here knows is worth telling."""
        return self in (Source.USER_STREAM, Source.FIX)


class Trigger(StrEnum):
    """How an order found its cause."""

    TICK = "tick"
    INFERRED = "inferred"
    ORDER_EVENT = "order_event"
    POLL = "poll"
    MANUAL = "manual"


class RejectReason(StrEnum):
    """Why an order was refused, in words that every venue shares."""

    FUNDS = "funds"
    PRICE = "price"
    QUANTITY = "quantity"
    SYMBOL = "symbol"
    DUPLICATE_ID = "duplicate_id"
    RATE_LIMIT = "rate_limit"
    MARKET_CLOSED = "market_closed"
    RISK = "risk"
    AUTH = "auth"
    CLOCK_SKEW = "clock_skew"
    NOT_FOUND = "not_found"
    OTHER = "other"


class RejectOrigin(StrEnum):
    """Who refused."""

    CLIENT_RISK = "client_risk"
    CLIENT_LIBRARY = "client_library"
    GATEWAY = "gateway"
    VENUE = "venue"


@dataclass(frozen=True, slots=True)
class Reject:
    """A refusal. `code` is the venue's own; `message` its text without secrets."""

    error_type: str
    """`<venue>:<code>`, or the exception's class name where the venue gave no code."""
    reason: RejectReason = RejectReason.OTHER
    origin: RejectOrigin = RejectOrigin.VENUE
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill. `id` is the venue's and unique within the order."""

    id: str
    quantity: Decimal | None = None
    price: Decimal | None = None
    liquidity: str | None = None
    """maker or taker"""
    fee: str | None = None
    """Amount and asset, for example `0.001 BNB`."""


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One name of an order at a venue: the id is the client's or the venue's own."""

    venue: str
    account: str | None
    id: str
    is_venue_id: bool = False


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order operation as the program asked for it."""

    operation: OrderOperation
    venue: str
    library: str
    environment: str | None = None
    account: str | None = None
    """Account number or key id; hashed at once, never kept."""
    strategy: str | None = None
    instrument: str | None = None
    venue_symbol: str | None = None
    instrument_class: str | None = None
    client_id: str | None = None
    original_client_id: str | None = None
    venue_id: str | None = None
    """The order that is canceled, replaced or asked for; None for a new one."""
    parent_id: str | None = None
    list_id: str | None = None
    side: str | None = None
    type: str | None = None
    type_raw: str | None = None
    time_in_force: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    batch: tuple[OrderRequest, ...] = ()
    """The orders of one wire request that carries several."""
    emulated: bool = False
    """The library makes this of several wire requests, each with its own span."""


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """What a venue says about one order."""

    venue: str
    source: Source
    status: OrderStatus | None = None
    """None: the report tells of an execution only."""
    library: str = ""
    environment: str | None = None
    account: str | None = None
    client_id: str | None = None
    original_client_id: str | None = None
    venue_id: str | None = None
    instrument: str | None = None
    side: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    filled_quantity: Decimal | None = None
    """Cumulative."""
    average_price: Decimal | None = None
    executions: tuple[Execution, ...] = ()
    reject: Reject | None = None
    venue_time_ns: int | None = None
    """The venue's clock, nanoseconds since 1970."""
    received_ns: int = 0
    """Monotonic; 0 is now."""

    def received_at(self, received_ns: int, source: Source) -> OrderUpdate:
        """The same report, once it is known when and how it came."""
        return replace(self, received_ns=received_ns, source=source)


def decimal_of(value: object) -> Decimal | None:
    """`value` (number or text) exactly as it reads; None if it is no finite number."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def decimal_text(number: Decimal) -> str:
    """Plain notation without an exponent and without trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
