"""What is asked of a venue and what it reports: orders, executions and rejects as frozen values.

Words are FIX's, spelled out (`partially_filled`). Quantities and prices are `Decimal`: an audit must not
round. Moments called `*_ns` are monotonic nanoseconds unless they say `venue_time`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final, NamedTuple

from tickspan.trading import unparsed

AttributeValue = str | bool | int | float
Attributes = dict[str, AttributeValue]


class OrderOperation(StrEnum):
    """What is asked of the venue."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    REPLACE = "replace"
    QUERY = "query"


MAX_WORD: Final = 64
"""Characters of a venue's unknown word that are kept."""

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

    def __init__(self, word: str) -> None:
        # Asked for many times in each order's life: looking is quicker than asking.
        self.is_terminal: Final = word in {"rejected", "expired", "canceled", "replaced", "filled"}
        """Whether an order in this state is over."""


class Source(StrEnum):
    """How a report reached us."""

    REST_RESPONSE = "rest_response"
    WS_API = "ws_api"
    USER_STREAM = "user_stream"
    FIX = "fix"
    POLL = "poll"
    RECONCILE = "reconcile"

    def __init__(self, word: str) -> None:
        self.is_response: Final = word in {"rest_response", "ws_api"}
        """Whether the report is the answer to the order call itself."""
        self.is_pushed: Final = word in {"user_stream", "fix"}
        """Whether the venue sent it unasked: then an order nobody here knows is worth telling."""


class Trigger(StrEnum):
    """How an order found its cause."""

    TICK = "tick"
    INFERRED = "inferred"
    ORDER_EVENT = "order_event"
    POLL = "poll"
    MANUAL = "manual"


class ClientIdUnique(StrEnum):
    """How long a venue refuses a second order with a client id that it knows."""

    ALWAYS = "always"
    WHILE_OPEN = "while_open"
    NEVER = "never"


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
    """Who refused an order: a check before it, the client library, a gateway or the venue."""

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


class OrderKey(NamedTuple):
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
    client_id_unique: ClientIdUnique | None = None
    """What is known of this order's client id; None: as the venue's profile says."""
    is_named_later: bool = False
    """The library itself gives the order its client id: `OrderCall.enrich` says it before a byte leaves."""


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
    status_raw: str | None = None
    """The venue's own word, where it is none that we know; `status` is `unknown` then."""

    def received_at(self, received_ns: int, source: Source, *, is_anonymous: bool = False) -> OrderUpdate:
        """The same report, once it is known when and how it came; `is_anonymous`: without its client id.

        By hand, since `dataclasses.replace` takes four times as long.
        """
        return OrderUpdate(
            self.venue,
            source,
            self.status,
            self.library,
            self.environment,
            self.account,
            None if is_anonymous else self.client_id,
            self.original_client_id,
            self.venue_id,
            self.instrument,
            self.side,
            self.type,
            self.time_in_force,
            self.quantity,
            self.price,
            self.filled_quantity,
            self.average_price,
            self.executions,
            self.reject,
            self.venue_time_ns,
            received_ns,
            self.status_raw,
        )


def decimal_of(value: object) -> Decimal | None:
    """`value` (number or text) exactly as it reads; None, and counted, if it is no finite number.

    None and empty text are no number either, but nothing to count: that is how venues leave a field out.
    """
    if type(value) is Decimal:
        number = value
    elif value is None or value == "":
        return None
    else:
        number = _read(value)
    if number is not None and number.is_finite():
        return number
    unparsed.note("quantity")
    return None


def _read(value: object) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def status_of(words: Mapping[str, OrderStatus], word: object) -> tuple[OrderStatus | None, str | None]:
    """A venue's word by its table: the status, and the word itself where the table does not have it.

    None is no word. A word that nobody knows is `unknown`, and counted; at most 64 characters of it are kept.
    """
    if word is None or word == "":
        return None, None
    known = words.get(word) if isinstance(word, str) else None
    if known is not None:
        return known, None
    unparsed.note("status")
    return OrderStatus.UNKNOWN, str(word)[:MAX_WORD]


def decimal_text(number: Decimal) -> str:
    """Plain notation without an exponent and without trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
