"""What the venue says about orders and markets, as fields of FIX messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tickspan.testing.venue.fix.tags import MsgType, Tag
from tickspan.testing.venue.fix.wire import Field, Message, utc_timestamp
from tickspan.testing.venue.orders import Execution, Reason, Side, Status, VenueOrder
from tickspan.testing.venue.prices import Level, Prices, Tick

Body = tuple[Field, ...]

NEW: Final = "0"
CANCELED: Final = "4"
REPLACED: Final = "5"
REJECTED: Final = "8"
EXPIRED: Final = "C"
TRADE: Final = "F"
ORDER_STATUS: Final = "I"

_STATUS_CODES: Final = {
    Status.NEW: "0",
    Status.PARTIALLY_FILLED: "1",
    Status.FILLED: "2",
    Status.CANCELED: "4",
    Status.EXPIRED: "C",
}
_SIDE_CODES: Final = {Side.BUY: "1", Side.SELL: "2"}
_TYPE_CODES: Final = {"MARKET": "1", "LIMIT": "2", "LIMIT_MAKER": "2"}
_IN_FORCE_CODES: Final = {"GTC": "1", "IOC": "3", "FOK": "4"}

_PRICE_STEP: Final = Decimal("0.00000001")

_ORD_REJ: Final = {
    Reason.UNKNOWN_SYMBOL: (1, "Unknown symbol"),
    Reason.PRICE_FILTER: (99, "Price is not on the grid"),
    Reason.LOT_SIZE: (13, "Incorrect quantity"),
    Reason.NOTIONAL: (13, "Incorrect quantity: the order is worth too little"),
    Reason.FUNDS: (3, "Order exceeds limit: insufficient funds"),
    Reason.DUPLICATE_ID: (6, "Duplicate order"),
    Reason.WOULD_TAKE: (99, "Post-only order would take"),
    Reason.UNKNOWN_ORDER: (5, "Unknown order"),
    Reason.NOT_OPEN: (99, "Order is not open"),
    Reason.SCRIPTED: (0, "Broker option"),
}


@dataclass(frozen=True, slots=True)
class Known:
    """An order as its client knows it: over replacements it stays one, and its fills add up."""

    order_id: int
    client_id: str
    symbol: str
    account: str | None
    quantity: Decimal
    filled: Decimal
    filled_quote: Decimal
    status: Status
    order: VenueOrder

    @property
    def leaves(self) -> Decimal:
        """What is still to be filled."""
        return self.quantity - self.filled if self.status.is_open else Decimal(0)


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a report is made: its ids, its kind, and the venue's time."""

    exec_id: str
    exec_type: str
    time_ms: int
    client_id: str
    original_client_id: str | None = None
    execution: Execution | None = None
    request: Body = ()
    """Fields of the question that it answers."""


def execution_report(known: Known, occasion: Occasion) -> Body:
    """An ExecutionReport (8) of an order that the venue holds."""
    order = known.order
    return (
        (Tag.ORDER_ID, known.order_id),
        (Tag.CL_ORD_ID, occasion.client_id),
        (Tag.ORIG_CL_ORD_ID, occasion.original_client_id),
        *occasion.request,
        (Tag.EXEC_ID, occasion.exec_id),
        (Tag.EXEC_TYPE, occasion.exec_type),
        (Tag.ORD_STATUS, _STATUS_CODES[known.status]),
        (Tag.ACCOUNT, known.account),
        (Tag.SYMBOL, known.symbol),
        (Tag.SIDE, _SIDE_CODES[order.side]),
        (Tag.ORDER_QTY, known.quantity),
        (Tag.ORD_TYPE, _TYPE_CODES[order.type]),
        (Tag.PRICE, order.price or None),
        (Tag.TIME_IN_FORCE, _IN_FORCE_CODES[order.time_in_force]),
        *_last(occasion.execution),
        (Tag.LEAVES_QTY, known.leaves),
        (Tag.CUM_QTY, known.filled),
        (Tag.AVG_PX, _average(known)),
        (Tag.TRANSACT_TIME, utc_timestamp(occasion.time_ms)),
    )


def order_reject(asked: Message, exec_id: str, reason: Reason, time_ms: int) -> Body:
    """An ExecutionReport (8) for an order that never exists."""
    code, text = _ORD_REJ[reason]
    return (
        (Tag.ORDER_ID, "NONE"),
        (Tag.CL_ORD_ID, asked.get(Tag.CL_ORD_ID)),
        (Tag.ORIG_CL_ORD_ID, asked.get(Tag.ORIG_CL_ORD_ID)),
        (Tag.EXEC_ID, exec_id),
        (Tag.EXEC_TYPE, REJECTED),
        (Tag.ORD_STATUS, REJECTED),
        (Tag.ORD_REJ_REASON, code),
        (Tag.ACCOUNT, asked.get(Tag.ACCOUNT)),
        (Tag.SYMBOL, asked.get(Tag.SYMBOL)),
        (Tag.SIDE, asked.get(Tag.SIDE)),
        (Tag.ORDER_QTY, asked.get(Tag.ORDER_QTY)),
        (Tag.LEAVES_QTY, 0),
        (Tag.CUM_QTY, 0),
        (Tag.AVG_PX, 0),
        (Tag.TEXT, text),
        (Tag.TRANSACT_TIME, utc_timestamp(time_ms)),
    )


def status_unknown(asked: Message) -> Body:
    """The answer to a question about an order that the venue does not know."""
    return (
        (Tag.ORDER_ID, asked.get(Tag.ORDER_ID) or "NONE"),
        (Tag.CL_ORD_ID, asked.get(Tag.CL_ORD_ID)),
        (Tag.ORD_STATUS_REQ_ID, asked.get(Tag.ORD_STATUS_REQ_ID)),
        (Tag.EXEC_ID, 0),
        (Tag.EXEC_TYPE, ORDER_STATUS),
        (Tag.ORD_STATUS, REJECTED),
        (Tag.ORD_REJ_REASON, 5),
        (Tag.SYMBOL, asked.get(Tag.SYMBOL)),
        (Tag.SIDE, asked.get(Tag.SIDE)),
        (Tag.LEAVES_QTY, 0),
        (Tag.CUM_QTY, 0),
        (Tag.AVG_PX, 0),
        (Tag.TEXT, "Unknown order"),
    )


@dataclass(frozen=True, slots=True)
class CancelRefusal:
    """Why a cancel or a replacement is refused."""

    reason: int  # CxlRejReason
    text: str


TOO_LATE: Final = CancelRefusal(0, "Too late")
UNKNOWN_ORDER: Final = CancelRefusal(1, "Unknown order")
ALREADY_PENDING: Final = CancelRefusal(3, "Order is already pending")
DUPLICATE_ID: Final = CancelRefusal(6, "Duplicate ClOrdID")
NOTHING_LEFT: Final = CancelRefusal(99, "New quantity is not above what is filled")


def refused_with(reason: Reason) -> CancelRefusal:
    """What a replacement hears whose new order the venue would not take."""
    return CancelRefusal(99, _ORD_REJ[reason][1])


def cancel_reject(asked: Message, known: Known | None, refusal: CancelRefusal) -> Body:
    """An OrderCancelReject (9)."""
    return (
        (Tag.ORDER_ID, known.order_id if known else "NONE"),
        (Tag.CL_ORD_ID, asked.get(Tag.CL_ORD_ID)),
        (Tag.ORIG_CL_ORD_ID, asked.get(Tag.ORIG_CL_ORD_ID)),
        (Tag.ORD_STATUS, _STATUS_CODES[known.status] if known else REJECTED),
        (Tag.CXL_REJ_RESPONSE_TO, 2 if asked.type == MsgType.REPLACE_REQUEST else 1),
        (Tag.CXL_REJ_REASON, refusal.reason),
        (Tag.TEXT, refusal.text),
    )


def business_reject(asked: Message, reason: int, text: str) -> Body:
    """A BusinessMessageReject (j)."""
    return (
        (Tag.REF_SEQ_NUM, asked.get(Tag.MSG_SEQ_NUM)),
        (Tag.REF_MSG_TYPE, asked.type),
        (Tag.BUSINESS_REJECT_REF_ID, asked.get(Tag.CL_ORD_ID) or asked.get(Tag.MD_REQ_ID)),
        (Tag.BUSINESS_REJECT_REASON, reason),
        (Tag.TEXT, text),
    )


BID: Final = "0"
OFFER: Final = "1"
TRADE_ENTRY: Final = "2"
ENTRY_TYPES: Final = (BID, OFFER, TRADE_ENTRY)
_CHANGE: Final = "1"
_NEW_ENTRY: Final = "0"


def snapshot(request_id: str, symbol: str, entry_types: Sequence[str], prices: Prices) -> Body:
    """A MarketDataSnapshotFullRefresh (W): of best bid, best offer and last trade those that are wanted."""
    trade = prices.trades[-1]
    levels = {BID: prices.best_bid, OFFER: prices.best_ask, TRADE_ENTRY: (trade.price, trade.quantity)}
    return (
        (Tag.MD_REQ_ID, request_id),
        (Tag.SYMBOL, symbol),
        (Tag.NO_MD_ENTRIES, len(entry_types)),
        *(field for kind in entry_types for field in ((Tag.MD_ENTRY_TYPE, kind), *_level(levels[kind]))),
    )


def refresh(request_id: str, symbol: str, entry_types: Sequence[str], tick: Tick) -> Body:
    """A MarketDataIncrementalRefresh (X) of what one tick changed."""
    trade = (tick.trade.price, tick.trade.quantity)
    levels = {BID: tick.best_bid, OFFER: tick.best_ask, TRADE_ENTRY: trade}
    return (
        (Tag.MD_REQ_ID, request_id),
        (Tag.NO_MD_ENTRIES, len(entry_types)),
        *(
            field
            for kind in entry_types
            for field in (
                (Tag.MD_UPDATE_ACTION, _NEW_ENTRY if kind == TRADE_ENTRY else _CHANGE),
                (Tag.MD_ENTRY_TYPE, kind),
                (Tag.SYMBOL, symbol),
                *_level(levels[kind]),
            )
        ),
    )


def market_data_reject(request_id: str) -> Body:
    """A MarketDataRequestReject (Y) for an unknown symbol."""
    return ((Tag.MD_REQ_ID, request_id), (Tag.MD_REQ_REJ_REASON, 0), (Tag.TEXT, "Unknown symbol"))


def _average(known: Known) -> Decimal:
    if not known.filled:
        return Decimal(0)
    return (known.filled_quote / known.filled).quantize(_PRICE_STEP)


def _last(execution: Execution | None) -> Body:
    if execution is None:
        return ()
    return (
        (Tag.LAST_QTY, execution.quantity),
        (Tag.LAST_PX, execution.price),
        (Tag.LAST_LIQUIDITY_IND, 1 if execution.is_maker else 2),
        (Tag.COMMISSION, execution.fee),
        (Tag.COMM_TYPE, 3),
        (Tag.COMM_CURRENCY, execution.fee_asset),
    )


def _level(level: Level) -> Body:
    return ((Tag.MD_ENTRY_PX, level[0]), (Tag.MD_ENTRY_SIZE, level[1]))
