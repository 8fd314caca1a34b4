"""What an outgoing message asks of the venue: fields to an `OrderRequest`. Pure: no span, clock or I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tickspan.trading import OrderOperation, OrderRequest, decimal_of

from tickspan_fix.fields import Get, MsgType, Session, Tag, text

OPERATIONS: Final[Mapping[str, OrderOperation]] = {
    MsgType.NEW_ORDER: OrderOperation.SUBMIT,
    MsgType.NEW_MULTILEG_ORDER: OrderOperation.SUBMIT,
    MsgType.CANCEL_REQUEST: OrderOperation.CANCEL,
    MsgType.REPLACE_REQUEST: OrderOperation.REPLACE,
    MsgType.REPLACE_MULTILEG_ORDER: OrderOperation.REPLACE,
    MsgType.STATUS_REQUEST: OrderOperation.QUERY,
}

SIDES: Final = {
    "1": "buy",
    "2": "sell",
    "3": "buy",  # buy minus
    "4": "sell",  # sell plus
    "5": "sell_short",
    "6": "sell_short_exempt",
}
TYPES: Final = {"1": "market", "2": "limit", "3": "stop", "4": "stop_limit"}
TIMES_IN_FORCE: Final = {
    "0": "day",
    "1": "good_till_cancel",
    "2": "at_the_opening",
    "3": "immediate_or_cancel",
    "4": "fill_or_kill",
    "6": "good_till_date",
    "7": "at_the_close",
}
_CLASSES: Final = {"CS": "equity", "PS": "equity", "FUT": "future", "OPT": "option"}


def order_request(msg_type: str, get: Get, session: Session, library: str) -> OrderRequest | None:
    """The order operation in a message; None if it is none, or names no order."""
    operation = OPERATIONS.get(msg_type)
    client_id = text(get, Tag.CL_ORD_ID)
    if operation is None or client_id is None:
        return None
    is_new = operation is not OrderOperation.CANCEL
    kind = get(Tag.ORD_TYPE)
    return OrderRequest(
        operation,
        session.venue,
        library,
        account=session.client,
        instrument=text(get, Tag.SYMBOL),
        instrument_class=_CLASSES.get(get(Tag.SECURITY_TYPE) or ""),
        client_id=client_id,
        original_client_id=text(get, Tag.ORIG_CL_ORD_ID),
        venue_id=text(get, Tag.ORDER_ID),
        list_id=text(get, Tag.LIST_ID),
        side=SIDES.get(get(Tag.SIDE) or ""),
        type=TYPES.get(kind or ""),
        type_raw=text(get, Tag.ORD_TYPE) if kind not in TYPES else None,
        time_in_force=TIMES_IN_FORCE.get(get(Tag.TIME_IN_FORCE) or ""),
        quantity=decimal_of(get(Tag.ORDER_QTY)) if is_new else None,
        price=decimal_of(get(Tag.PRICE)) if is_new else None,
        stop_price=decimal_of(get(Tag.STOP_PX)) if is_new else None,
    )
