"""Client ids for orders that would leave without one: the setting `stamp_client_id`. Pure.

The library's own helpers name each order; the methods that are named after a path (`v3_post_order`) do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tickspan.trading import StampedArguments, with_argument

from tickspan_binance.describe import (
    NEW_IDS,
    request_of,
    ws_contract_request_of,
    ws_request_of,
)
from tickspan_binance.routes import Market, Request
from tickspan_binance.values import Message, first

_PLACING: Final = frozenset({"POST order", "POST sor/order", "order.place", "sor.order.place"})
_CONDITIONAL: Final = "/conditional/"
_PARAMS: Final = 2
"""Where `_ws_api_request(method, signed, params)` has them."""


def rest(
    _client: Any, args: tuple[Any, ...], kwargs: Message, new_id: Callable[[], str]
) -> StampedArguments | None:
    """`_request(method, uri, ..., data=...)` with an id in the data."""
    request, given = request_of(args, kwargs)
    named = _named(request, given, new_id)
    if named is None or any(isinstance(value, str) and _CONDITIONAL in value for value in args):
        return None
    return args, {**kwargs, "data": named}


def ws(
    _client: Any, args: tuple[Any, ...], kwargs: Message, new_id: Callable[[], str]
) -> StampedArguments | None:
    """`_ws_api_request(method, signed, params)` with an id among the parameters."""
    named = _named(*ws_request_of(args, kwargs), new_id)
    return with_argument(args, kwargs, _PARAMS, "params", named) if named is not None else None


def ws_contract(
    _client: Any, args: tuple[Any, ...], kwargs: Message, new_id: Callable[[], str]
) -> StampedArguments | None:
    """`_ws_futures_api_request(method, signed, params)` with an id among the parameters."""
    named = _named(*ws_contract_request_of(args, kwargs), new_id)
    return with_argument(args, kwargs, _PARAMS, "params", named) if named is not None else None


def _named(request: Request, given: Message, new_id: Callable[[], str]) -> Message | None:
    """A copy of the parameters with an id; None if they have one, or are not those of one order."""
    is_placed = request.name in _PLACING and request.market is not Market.OPTIONS
    if not is_placed or first(given, NEW_IDS) is not None:
        return None
    return {**given, "newClientOrderId": new_id()}
