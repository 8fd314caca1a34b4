"""What TWS reports, as an `OrderUpdate`: from the arguments of the library's wrapper methods. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tickspan.trading import (
    Execution,
    OrderOperation,
    OrderStatus,
    OrderUpdate,
    Reject,
    Source,
    decimal_of,
    reject_of_code,
)
from tickspan.trading.model import status_of

from tickspan_ib.describe import Place, Terms, instrument_of, number, order_name, terms_of
from tickspan_ib.venue import PROFILE, VENUE, without_accounts

_STATUSES: Final[Mapping[str, OrderStatus]] = {
    "PreSubmitted": OrderStatus.NEW,
    "Submitted": OrderStatus.NEW,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELED,
    "ApiCancelled": OrderStatus.CANCELED,
}
_SILENT: Final = frozenset({"PendingSubmit", "PendingCancel", "ApiPending", "ApiUpdate", "Inactive", ""})
"""Something is under way, or (`Inactive`) the order is held back, refused or canceled: others say which."""
_ANSWERS_TO_CANCEL: Final = frozenset({"Cancelled", "ApiCancelled"})
_LIQUIDITY: Final = {1: "maker", 2: "taker"}
_PLACED: Final = b"3"
_CANCELED: Final = b"4"
_ALL_CANCELED: Final = b"58"
_LENGTH: Final = 4


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where, when and why a message came."""

    place: Place
    received_ns: int
    """Monotonic."""
    source: Source


@dataclass(frozen=True, slots=True)
class Report:
    """What TWS says of one order."""

    order_id: int
    """This client's own number; 0 for an order of another client, or made in TWS."""
    state: str
    """TWS's word."""
    update: OrderUpdate
    terms: Terms | None = None
    """Where all of the order was told."""

    @property
    def is_known(self) -> bool:
        """Whether the venue says that it has, or had, the order."""
        return self.state in _STATUSES


def order_status(
    receipt: Receipt,
    order_id: int,
    state: str,
    filled: float,
    _remaining: float,
    average_price: float,
    perm_id: int,
    _parent_id: int,
    _last_fill_price: float,
    client_id: int,
    *_more: Any,
) -> Report:
    """`Wrapper.orderStatus`, whose arguments these are."""
    total = number(filled)
    status, raw = _status(state, total)
    update = OrderUpdate(
        VENUE,
        receipt.source,
        status,
        received_ns=receipt.received_ns,
        **_place(receipt),
        client_id=order_name(client_id, order_id),
        venue_id=str(perm_id) if perm_id else None,
        filled_quantity=total,
        average_price=number(average_price),
        status_raw=raw,
    )
    return Report(own_id(receipt, client_id, order_id), state, update)


def open_order(receipt: Receipt, order_id: int, contract: Any, order: Any, state: Any) -> Report:
    """`Wrapper.openOrder`, whose arguments these are."""
    status, raw = _status(state.status, None)
    update = OrderUpdate(
        VENUE,
        receipt.source,
        status,
        received_ns=receipt.received_ns,
        **_place(receipt),
        client_id=order_name(order.clientId, order_id),
        venue_id=str(order.permId) if order.permId else None,
        instrument=instrument_of(contract),
        quantity=number(order.totalQuantity),
        price=number(order.lmtPrice),
        status_raw=raw,
    )
    return Report(own_id(receipt, order.clientId, order_id), state.status, update, terms_of(order))


def completed_order(receipt: Receipt, contract: Any, order: Any, state: Any) -> OrderUpdate:
    """`Wrapper.completedOrder`: only the venue's number says which order it is."""
    filled = number(order.filledQuantity)
    status, raw = _status(state.status, filled)
    return OrderUpdate(
        VENUE,
        receipt.source,
        status,
        received_ns=receipt.received_ns,
        **_place(receipt),
        venue_id=str(order.permId) if order.permId else None,
        instrument=instrument_of(contract),
        filled_quantity=filled,
        status_raw=raw,
    )


def execution(receipt: Receipt, contract: Any, fill: Any, quantity: Decimal | None = None) -> OrderUpdate:
    """`Wrapper.execDetails`; `quantity` is the whole order's, where it is known.

    The last part of an execution's id counts its corrections: a correction is no second fill.
    """
    client_id, order_id = fill.clientId, fill.orderId
    _, _, revision = fill.execId.rpartition(".")
    is_first = not revision.isdecimal() or int(revision) <= 1
    told = Execution(
        fill.execId, decimal_of(fill.shares), decimal_of(fill.price), _LIQUIDITY.get(fill.lastLiquidity)
    )
    # No venue time: TWS tells seconds, and a delay measured by them would be half a second off.
    return OrderUpdate(
        VENUE,
        receipt.source,
        received_ns=receipt.received_ns,
        **_place(receipt),
        client_id=order_name(client_id, order_id),
        venue_id=str(fill.permId) if fill.permId else None,
        instrument=instrument_of(contract),
        side="buy" if fill.side == "BOT" else "sell",
        quantity=quantity,
        filled_quantity=number(fill.cumQty),
        average_price=number(fill.avgPrice),
        executions=(told,) if is_first else (),
    )


def fee(receipt: Receipt, fill: Any, report: Any) -> OrderUpdate | None:
    """`Wrapper.commissionReport`: what the execution `fill` has cost; None if that was nothing."""
    cost = number(report.commission)
    if cost is None:
        return None
    told = Execution(fill.execId, fee=f"{cost:f} {report.currency}".rstrip())
    return OrderUpdate(
        VENUE,
        receipt.source,
        received_ns=receipt.received_ns,
        **_place(receipt),
        client_id=order_name(fill.clientId, fill.orderId),
        venue_id=str(fill.permId) if fill.permId else None,
        executions=(told,),
    )


def own_id(receipt: Receipt, client_id: int, order_id: int) -> int:
    """The number of this client's own order; 0 for others."""
    return order_id if client_id == receipt.place.client_id and order_id > 0 else 0


def ended(receipt: Receipt, order_id: int, status: OrderStatus, reject: Reject | None = None) -> OrderUpdate:
    """The end of an order that an error message tells."""
    return OrderUpdate(
        VENUE,
        receipt.source,
        status,
        received_ns=receipt.received_ns,
        **_place(receipt),
        client_id=order_name(receipt.place.client_id, order_id),
        reject=reject,
    )


def refusal(code: int, text: str) -> Reject:
    """An error message as a reject, without numbers of accounts."""
    return reject_of_code(PROFILE, str(code), without_accounts(text))


def answers(report: Report, operation: OrderOperation, asked: Terms | None) -> bool:
    """Whether the report is the venue's answer to an order call.

    A change in place is answered by the order as it was asked for: what else comes may be older.
    """
    if operation is OrderOperation.SUBMIT:
        return report.is_known
    if operation is OrderOperation.REPLACE:
        return report.terms is not None and report.terms == asked
    return report.state in _ANSWERS_TO_CANCEL


def sent_order(data: bytes) -> tuple[OrderOperation | None, int]:
    """Which order the bytes of a message place, change (both SUBMIT) or cancel; None for other messages.

    Of a cancel of all orders the number is 0.
    """
    kind, _, rest = data[_LENGTH : _LENGTH + 40].partition(b"\0")
    if kind == _PLACED:
        return OrderOperation.SUBMIT, _number(rest.partition(b"\0")[0])
    if kind == _CANCELED:
        return OrderOperation.CANCEL, _number(rest.partition(b"\0")[2].partition(b"\0")[0])
    if kind == _ALL_CANCELED:
        return OrderOperation.CANCEL, 0
    return None, 0


def named(receipt: Receipt, venue_id: str) -> OrderUpdate:
    """Nothing but the name of an order."""
    return OrderUpdate(
        VENUE, receipt.source, received_ns=receipt.received_ns, venue_id=venue_id, **_place(receipt)
    )


def _place(receipt: Receipt) -> dict[str, Any]:
    place = receipt.place
    return {"library": place.library, "environment": place.environment, "account": place.account}


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else -1


def _status(state: str, filled: Decimal | None) -> tuple[OrderStatus | None, str | None]:
    known, raw = (None, None) if state in _SILENT else status_of(_STATUSES, state)
    return (OrderStatus.PARTIALLY_FILLED if known is OrderStatus.NEW and filled else known), raw
