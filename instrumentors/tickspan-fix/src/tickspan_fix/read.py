"""What an incoming message tells of orders: fields to reports and refusals. Pure: no span, clock or I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Final

from tickspan.trading import (
    Execution,
    OrderStatus,
    OrderUpdate,
    Reject,
    RejectOrigin,
    RejectReason,
    Source,
    VenueProfile,
    decimal_of,
    reject_of_code,
)

from tickspan_fix.describe import SIDES, TIMES_IN_FORCE, TYPES
from tickspan_fix.fields import SECRET_TAGS, Get, Session, Tag, text, unix_ns, whole

REDACTED: Final = "[redacted]"

_STATUSES: Final[Mapping[str, OrderStatus]] = {
    "0": OrderStatus.NEW,
    "1": OrderStatus.PARTIALLY_FILLED,
    "2": OrderStatus.FILLED,
    "4": OrderStatus.CANCELED,
    "5": OrderStatus.NEW,  # before FIX 4.3: replaced, and working as what it was replaced by
    "8": OrderStatus.REJECTED,
    "A": OrderStatus.PENDING_NEW,
    "C": OrderStatus.EXPIRED,
    "D": OrderStatus.NEW,  # accepted for bidding
}
"""The others (pending, stopped, suspended, calculated, done for day) change nothing that is told here."""


class Kind(Enum):
    """What an ExecutionReport is about (ExecType, and before FIX 4.3 OrdStatus and ExecTransType)."""

    PENDING = "a request has been received, and nothing is decided"
    STATE = "the order has come into a new state"
    REPLACED = "the order is now what the replacement asked for"
    REJECTED = "the order, or the request about it, is refused"
    CANCELED = "the order is canceled"
    FILL = "the order has traded"
    ANSWER = "somebody asked how the order stands"
    CORRECTION = "an earlier fill is changed or taken back"


_KINDS: Final[Mapping[str, Kind]] = {
    "1": Kind.FILL,
    "2": Kind.FILL,
    "4": Kind.CANCELED,
    "5": Kind.REPLACED,
    "6": Kind.PENDING,
    "8": Kind.REJECTED,
    "A": Kind.PENDING,
    "E": Kind.PENDING,
    "F": Kind.FILL,
    "G": Kind.CORRECTION,
    "H": Kind.CORRECTION,
    "I": Kind.ANSWER,
}
_EXEC_TRANS_KINDS: Final[Mapping[str, Kind]] = {
    "1": Kind.CORRECTION,
    "2": Kind.CORRECTION,
    "3": Kind.ANSWER,
}


@dataclass(frozen=True, slots=True)
class Report:
    """One ExecutionReport; `request_id` names the request that it may answer."""

    kind: Kind
    update: OrderUpdate
    request_id: str | None
    original_id: str | None

    @property
    def reject(self) -> Reject | None:
        """Why, of a refusal."""
        return self.update.reject if self.kind is Kind.REJECTED else None


def execution_report(get: Get, session: Session, library: str) -> Report | None:
    """An ExecutionReport (8); None if it names no order."""
    request_id, venue_id = text(get, Tag.CL_ORD_ID), _venue_id(get)
    if request_id is None and venue_id is None:
        return None
    kind = _kind(get)
    original_id = text(get, Tag.ORIG_CL_ORD_ID)
    # ClOrdID of a cancel's report is the cancel's own; the order keeps the name that OrigClOrdID repeats.
    is_about_original = kind is Kind.CANCELED and original_id is not None
    filled = decimal_of(get(Tag.CUM_QTY))
    update = OrderUpdate(
        session.venue,
        Source.POLL if kind is Kind.ANSWER else Source.FIX,
        _status(get, filled),
        library=library,
        account=session.client,
        client_id=original_id if is_about_original else request_id,
        original_client_id=original_id if kind is Kind.REPLACED else None,
        venue_id=venue_id,
        instrument=text(get, Tag.SYMBOL),
        side=SIDES.get(get(Tag.SIDE) or ""),
        type=TYPES.get(get(Tag.ORD_TYPE) or ""),
        time_in_force=TIMES_IN_FORCE.get(get(Tag.TIME_IN_FORCE) or ""),
        quantity=decimal_of(get(Tag.ORDER_QTY)),
        price=decimal_of(get(Tag.PRICE)),
        filled_quantity=filled,
        average_price=(decimal_of(get(Tag.AVG_PX)) or None) if filled else None,
        executions=_executions(get) if kind is Kind.FILL else (),
        reject=_order_reject(get, session) if kind is Kind.REJECTED else None,
        venue_time_ns=unix_ns(get(Tag.TRANSACT_TIME)) or unix_ns(get(Tag.SENDING_TIME)),
    )
    answered = text(get, Tag.ORD_STATUS_REQ_ID) if kind is Kind.ANSWER else None
    return Report(kind, update, answered or request_id, original_id)


def is_duplicate_refusal(get: Get) -> bool:
    """Whether a refused order was refused since the venue knows its id: then the first one stands."""
    return get(Tag.ORD_REJ_REASON) in _DUPLICATE_CODES


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that refuses another one: by the id or the number of what it refuses."""

    reject: Reject
    request_id: str | None = None
    number: int | None = None


def cancel_refusal(get: Get, session: Session) -> Refusal:
    """An OrderCancelReject (9)."""
    code = text(get, Tag.CXL_REJ_REASON) or "99"
    reject = _reject(get, session, code, _CXL_REJ_REASONS)
    return Refusal(reject, text(get, Tag.CL_ORD_ID))


def session_refusal(get: Get, session: Session) -> Refusal:
    """A Reject (3): the venue's FIX engine could not take the message."""
    number = text(get, Tag.SESSION_REJECT_REASON) or "99"
    reject = _reject(get, session, f"373={number}", _SESSION_REASONS)
    return Refusal(replace(reject, origin=RejectOrigin.GATEWAY), number=whole(get, Tag.REF_SEQ_NUM))


def business_refusal(get: Get, session: Session) -> Refusal:
    """A BusinessMessageReject (j)."""
    number = text(get, Tag.BUSINESS_REJECT_REASON) or "0"
    reject = _reject(get, session, f"380={number}", _BUSINESS_REASONS)
    return Refusal(reject, text(get, Tag.BUSINESS_REJECT_REF_ID), whole(get, Tag.REF_SEQ_NUM))


def _kind(get: Get) -> Kind:
    trans = _EXEC_TRANS_KINDS.get(get(Tag.EXEC_TRANS_TYPE) or "")
    if trans is not None:
        return trans
    exec_type = get(Tag.EXEC_TYPE)
    if exec_type is not None:
        return _KINDS.get(exec_type, Kind.STATE)
    has_traded = decimal_of(get(Tag.LAST_QTY))  # FIX 4.0 has no ExecType
    return Kind.FILL if has_traded else _KINDS.get(get(Tag.ORD_STATUS) or "", Kind.STATE)


def _status(get: Get, filled: Decimal | None) -> OrderStatus | None:
    status = _STATUSES.get(get(Tag.ORD_STATUS) or "")
    return OrderStatus.PARTIALLY_FILLED if status is OrderStatus.NEW and filled else status


def _venue_id(get: Get) -> str | None:
    venue_id = text(get, Tag.ORDER_ID)
    return None if venue_id in (None, "NONE", "0") else venue_id


def _executions(get: Get) -> tuple[Execution, ...]:
    execution_id = text(get, Tag.EXEC_ID)
    if execution_id is None:
        return ()
    liquidity = _LIQUIDITY.get(get(Tag.LAST_LIQUIDITY_IND) or "")
    fill = Execution(
        execution_id,
        decimal_of(get(Tag.LAST_QTY)),
        decimal_of(get(Tag.LAST_PX)),
        liquidity,
        _fee(get),
    )
    return (fill,)


def _fee(get: Get) -> str | None:
    amount, currency = get(Tag.COMMISSION), text(get, Tag.COMM_CURRENCY)
    is_absolute = get(Tag.COMM_TYPE) == _ABSOLUTE
    if not amount or not is_absolute or decimal_of(amount) is None:
        return None
    return f"{amount} {currency}" if currency is not None else amount


def _order_reject(get: Get, session: Session) -> Reject:
    return _reject(get, session, text(get, Tag.ORD_REJ_REASON) or "99", _ORD_REJ_REASONS)


def _reject(get: Get, session: Session, code: str, reasons: Mapping[str, RejectReason]) -> Reject:
    message = _without_secrets(get, text(get, Tag.TEXT))
    told = reject_of_code(VenueProfile(session.venue), code, message)
    return replace(told, reason=_reason(reasons.get(code, RejectReason.OTHER), message or ""))


def _without_secrets(get: Get, message: str | None) -> str | None:
    if message is None:
        return None
    for tag in SECRET_TAGS:
        secret = text(get, tag)
        if secret is not None:
            message = message.replace(secret, REDACTED)
    return message


def _reason(by_code: RejectReason, message: str) -> RejectReason:
    """Some texts say more than the code; of a code that says nothing any text does."""
    words = message.lower()
    table = (*_TELLING, *_HINTS) if by_code is RejectReason.OTHER else _TELLING
    return next((reason for fragment, reason in table if fragment in words), by_code)


_ABSOLUTE: Final = "3"
_LIQUIDITY: Final = {"1": "maker", "2": "taker"}
_DUPLICATE_CODES: Final = ("6", "7")

_ORD_REJ_REASONS: Final[Mapping[str, RejectReason]] = {
    "1": RejectReason.SYMBOL,
    "2": RejectReason.MARKET_CLOSED,
    "3": RejectReason.RISK,
    "4": RejectReason.MARKET_CLOSED,
    "5": RejectReason.NOT_FOUND,
    "6": RejectReason.DUPLICATE_ID,
    "7": RejectReason.DUPLICATE_ID,
    "8": RejectReason.CLOCK_SKEW,
    "10": RejectReason.AUTH,
    "12": RejectReason.RISK,
    "13": RejectReason.QUANTITY,
    "14": RejectReason.QUANTITY,
    "15": RejectReason.AUTH,
    "16": RejectReason.PRICE,
    "18": RejectReason.PRICE,
}
"""OrdRejReason (103)."""
_CXL_REJ_REASONS: Final[Mapping[str, RejectReason]] = {
    "1": RejectReason.NOT_FOUND,
    "6": RejectReason.DUPLICATE_ID,
    "18": RejectReason.PRICE,
}
"""CxlRejReason (102)."""
_SESSION_REASONS: Final[Mapping[str, RejectReason]] = {
    "373=8": RejectReason.AUTH,
    "373=9": RejectReason.AUTH,
    "373=10": RejectReason.CLOCK_SKEW,
}
"""SessionRejectReason (373)."""
_BUSINESS_REASONS: Final[Mapping[str, RejectReason]] = {
    "380=1": RejectReason.NOT_FOUND,
    "380=2": RejectReason.SYMBOL,
    "380=6": RejectReason.AUTH,
    "380=8": RejectReason.RATE_LIMIT,
    "380=9": RejectReason.RATE_LIMIT,
}
"""BusinessRejectReason (380)."""
_TELLING: Final = (
    ("throttle", RejectReason.RATE_LIMIT),
    ("message rate", RejectReason.RATE_LIMIT),
    ("insufficient", RejectReason.FUNDS),
    ("buying power", RejectReason.FUNDS),
)
_HINTS: Final = (
    ("duplicate", RejectReason.DUPLICATE_ID),
    ("market is closed", RejectReason.MARKET_CLOSED),
    ("halted", RejectReason.MARKET_CLOSED),
    ("price", RejectReason.PRICE),
    ("quantity", RejectReason.QUANTITY),
)
