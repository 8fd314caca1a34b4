"""Client ids for orders that ccxt would send without one: the setting `stamp_client_id`. Pure.

Several exchange classes name each order themselves, Binance's for one, with a prefix that tells their broker:
these are left alone. Of the others those are named whose venue is known to refuse an id that it has already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tickspan.trading import StampedArguments, profile_of, with_argument

from tickspan_ccxt.describe import Arguments, client_id_in, venue_of

_FIELD: Final = "clientOrderId"
_NAMED_BY_CCXT: Final = frozenset(
    {"alpaca", "binance", "binancecoinm", "binanceus", "binanceusdm", "coinbase", "okx"}
)
_PARAMS: Final = 5
"""Where `create_order(symbol, type, side, amount, price, params)` has them."""


def create_order(
    exchange: Any, args: tuple[Any, ...], kwargs: Arguments, new_id: Callable[[], str]
) -> StampedArguments | None:
    """`create_order(symbol, type, side, amount, price, params)` with an id among the parameters."""
    params = args[_PARAMS] if len(args) > _PARAMS else kwargs.get("params", {})
    with_id = _with_id(exchange, params, new_id)
    return with_argument(args, kwargs, _PARAMS, "params", with_id) if with_id is not None else None


def create_orders(
    exchange: Any, args: tuple[Any, ...], kwargs: Arguments, new_id: Callable[[], str]
) -> StampedArguments | None:
    """`create_orders(orders, params)` with an id for each order."""
    orders = args[0] if args else kwargs.get("orders")
    if not isinstance(orders, Sequence) or isinstance(orders, str):
        return None
    with_ids = [_order_with_id(exchange, order, new_id) for order in orders]
    if all(ours is theirs for ours, theirs in zip(with_ids, orders, strict=True)):
        return None
    return with_argument(args, kwargs, 0, "orders", with_ids)


def _order_with_id(exchange: Any, order: Any, new_id: Callable[[], str]) -> Any:
    if not isinstance(order, Mapping):
        return order
    params = _with_id(exchange, order.get("params", {}), new_id)
    return {**order, "params": params} if params is not None else order


def _with_id(exchange: Any, params: Any, new_id: Callable[[], str]) -> Arguments | None:
    """A copy of the parameters with an id; None if they have one, or are to have none."""
    venue = venue_of(exchange)
    if venue in _NAMED_BY_CCXT or profile_of(venue).client_id_unique is None:
        return None
    if not isinstance(params, Mapping) or client_id_in(exchange, params) is not None:
        return None
    return {**params, _FIELD: new_id()}
