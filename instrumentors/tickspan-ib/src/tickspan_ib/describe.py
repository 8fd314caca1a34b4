"""What a call asks of the venue: arguments to an `OrderRequest`. Pure: no span, no clock, no I/O."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tickspan.trading import ClientIdUnique, OrderOperation, OrderRequest, decimal_of

from tickspan_ib.venue import VENUE, environment_of

_TYPES: Final = {
    "MKT": "market",
    "LMT": "limit",
    "STP": "stop",
    "STP LMT": "stop_limit",
    "TRAIL": "trailing_stop",
}
_TIMES_IN_FORCE: Final = {
    "DAY": "day",
    "GTC": "good_till_cancel",
    "IOC": "immediate_or_cancel",
    "FOK": "fill_or_kill",
    "GTD": "good_till_date",
    "OPG": "at_the_opening",
}
_SIDES: Final = {"BUY": "buy", "SELL": "sell", "SSHORT": "sell_short"}
_CLASSES: Final = {
    "STK": "equity",
    "OPT": "option",
    "FUT": "future",
    "FOP": "future_option",
    "CASH": "fx",
    "CRYPTO": "crypto",
    "BOND": "bond",
    "FUND": "fund",
    "CMDTY": "commodity",
    "WAR": "warrant",
    "CFD": "cfd",
    "IND": "index",
    "BAG": "combination",
}
_PAIRS: Final = frozenset({"STK", "CASH", "CRYPTO", "CFD", "CMDTY", "IND", ""})
"""Kinds that symbol and currency name; others need their own local symbol."""
_UNSET: Final = sys.float_info.max

Terms = tuple[Decimal | None, Decimal | None, Decimal | None]
"""What a change in place may change: quantity, limit and stop price."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where orders of one connection go."""

    library: str
    client_id: int
    account: str | None
    """The login's first account: TWS reports sub-accounts that an order never named."""

    @property
    def environment(self) -> str | None:
        """Paper, if the account says so."""
        return environment_of(self.account)


def place_of(library: str, wrapper: Any) -> Place:
    """The connection that `wrapper` is of."""
    accounts = wrapper.accounts
    return Place(library, wrapper.clientId, accounts[0] if accounts else None)


def order_name(client_id: int, order_id: int) -> str | None:
    """An order as its client knows it: numbers of different clients overlap. None for one made in TWS."""
    return f"{client_id}:{order_id}" if order_id > 0 else None


def placement(
    place: Place, contract: Any, order: Any, order_id: int, operation: OrderOperation
) -> OrderRequest:
    """`placeOrder(contract, order)`: a new order, or a change of the one that has this number."""
    name = order_name(place.client_id, order_id)
    return OrderRequest(
        operation,
        VENUE,
        place.library,
        environment=place.environment,
        account=place.account,
        instrument=instrument_of(contract),
        venue_symbol=contract.localSymbol or None,
        instrument_class=_CLASSES.get(contract.secType),
        client_id=name,
        venue_id=str(order.permId) if order.permId else None,
        parent_id=order_name(place.client_id, order.parentId),
        list_id=order.ocaGroup or None,
        side=_SIDES.get(order.action),
        type=_TYPES.get(order.orderType),
        type_raw=order.orderType if order.orderType not in _TYPES else None,
        time_in_force=_TIMES_IN_FORCE.get(order.tif or "DAY"),
        quantity=number(order.totalQuantity),
        price=number(order.lmtPrice),
        stop_price=number(order.auxPrice),
        client_id_unique=ClientIdUnique.ALWAYS,
    )


def cancel(place: Place, order_id: int, trade: Any) -> OrderRequest:
    """`cancelOrder`; `trade` is what the library knows of the order, if it does."""
    perm_id = trade.order.permId if trade is not None else 0
    return OrderRequest(
        OrderOperation.CANCEL,
        VENUE,
        place.library,
        environment=place.environment,
        account=place.account,
        instrument=instrument_of(trade.contract) if trade is not None else None,
        instrument_class=_CLASSES.get(trade.contract.secType) if trade is not None else None,
        original_client_id=order_name(place.client_id, order_id),
        venue_id=str(perm_id) if perm_id else None,
    )


def cancel_all(place: Place) -> OrderRequest:
    """`reqGlobalCancel`: every order of every client."""
    return OrderRequest(
        OrderOperation.CANCEL, VENUE, place.library, environment=place.environment, account=place.account
    )


def terms_of(order: Any) -> Terms:
    """What `order` asks for now; the library changes the object when the program does."""
    return number(order.totalQuantity), number(order.lmtPrice), number(order.auxPrice)


def instrument_of(contract: Any) -> str:
    """`AAPL/USD`, `EUR/USD`; of what expires the exchange's own name, such as `ESZ6`."""
    if contract.secType in _PAIRS:
        return f"{contract.symbol}/{contract.currency}"
    return str(contract.localSymbol or f"{contract.symbol}/{contract.currency}")


def number(value: Any) -> Decimal | None:
    """A quantity or price; None for what TWS and the libraries call unset, and for zero."""
    if value in (None, "", _UNSET, 0):
        return None
    known = decimal_of(value)
    return known.normalize() if known is not None else None
