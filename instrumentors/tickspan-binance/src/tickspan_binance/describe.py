"""What a request of python-binance asks of the venue: its parameters to an `OrderRequest`. Pure.

Read where every helper ends up (`_request`, `_ws_api_request`): there the order has its client id, which
the library makes itself, and nothing has been sent yet.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote, unquote_plus, urlsplit

from tickspan.trading import OrderOperation, OrderRequest, decimal_of, profile_of_host

from tickspan_binance.routes import BINANCE, USD_M, Form, Market, Request, rest_request
from tickspan_binance.values import Message, first, lower, mapping

LIBRARY: Final = "python-binance"

TIMES_IN_FORCE: Final = {
    "GTC": "good_till_cancel",
    "IOC": "immediate_or_cancel",
    "FOK": "fill_or_kill",
    "GTD": "good_till_date",
    "GTX": "post_only",
}
TYPES: Final = {
    "MARKET": "market",
    "LIMIT": "limit",
    "LIMIT_MAKER": "limit",
    "STOP_LOSS": "stop",
    "STOP_MARKET": "stop",
    "STOP_LOSS_LIMIT": "stop_limit",
    "STOP": "stop_limit",
    "TRAILING_STOP_MARKET": "trailing_stop",
}
"""The venue's order types that others have too; `STOP` of contracts is one with a limit."""

NEW_IDS: Final = ("newClientOrderId", "clientAlgoId", "newClientStrategyId", "clientOrderId")
_OLD_IDS: Final = ("origClientOrderId", "clientAlgoId", "newClientStrategyId", "clientOrderId")
_VENUE_IDS: Final = ("orderId", "algoId", "strategyId")
_LEG_COUNTS: Final = {"oco": 2, "oto": 2, "otoco": 3}
_DATED: Final = re.compile(r"_\d{6}$")
_KEPT_ADDRESSES: Final = 100
BINANCE_US: Final = "binanceus"


def request_of(args: Sequence[Any], kwargs: Message) -> tuple[Request, Message]:
    """What `_request(method, uri, ..., data=...)` is for, and its parameters."""
    given = {**dict(zip(("method", "uri"), args, strict=False)), **kwargs}
    return rest_request(str(given.get("method")), str(given.get("uri"))), mapping(given.get("data"))


def ws_request_of(args: Sequence[Any], kwargs: Message) -> tuple[Request, Message]:
    """What `_ws_api_request(method, signed, params)` is for, and its parameters."""
    method, params = _ws_bound(args, kwargs)
    return Request(method), params


def ws_contract_request_of(args: Sequence[Any], kwargs: Message) -> tuple[Request, Message]:
    """What `_ws_futures_api_request(method, signed, params)` is for, and its parameters."""
    method, params = _ws_bound(args, kwargs)
    return Request(method, USD_M, Market.CONTRACTS), params


def _ws_bound(args: Sequence[Any], kwargs: Message) -> tuple[str, Message]:
    given = {**dict(zip(("method", "signed", "params"), args, strict=False)), **kwargs}
    return str(given.get("method")), mapping(given.get("params"))


def rest_order(client: Any, args: Sequence[Any], kwargs: Message) -> OrderRequest | None:
    """The order operation that `_request` is, if it is one."""
    return order_request(client, *request_of(args, kwargs))


def ws_order(client: Any, args: Sequence[Any], kwargs: Message) -> OrderRequest | None:
    """The order operation that `_ws_api_request` is, if it is one."""
    return order_request(client, *ws_request_of(args, kwargs))


def ws_contract_order(client: Any, args: Sequence[Any], kwargs: Message) -> OrderRequest | None:
    """The order operation that `_ws_futures_api_request` is, if it is one."""
    return order_request(client, *ws_contract_request_of(args, kwargs))


def order_request(client: Any, request: Request, given: Message) -> OrderRequest | None:
    """`given` are the parameters as the helper left them; None where no order is meant."""
    route = request.route
    if route is None:
        return None
    asked = _Asked(place_of(client, request.venue), route.operation, request.market)
    if route.form is Form.LIST:
        return _listed(asked, given, request.name)
    return _batch(asked, given) if route.form is Form.BATCH else _single(asked, given)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked, where, of what kind of instrument."""

    place: Place
    operation: OrderOperation
    market: Market


def _single(asked: _Asked, given: Message) -> OrderRequest:
    if asked.operation is OrderOperation.SUBMIT:
        return _request(asked, given, client_id=first(given, NEW_IDS), **_terms(given))
    if asked.operation is OrderOperation.REPLACE:
        return _request(
            asked,
            given,
            client_id=first(given, NEW_IDS),
            venue_id=first(given, ("cancelOrderId", *_VENUE_IDS)),
            original_client_id=first(given, ("cancelOrigClientOrderId", "origClientOrderId")),
            **_terms(given),
        )
    return _existing(asked, given)


def _existing(asked: _Asked, given: Message) -> OrderRequest:
    """Of a cancel, `newClientOrderId` names the cancel itself."""
    return _request(
        asked,
        given,
        venue_id=first(given, _VENUE_IDS),
        original_client_id=first(given, _OLD_IDS),
    )


def _listed(asked: _Asked, given: Message, name: str) -> OrderRequest:
    """Two or three orders. Which answer is whose is only known by their ids, so that a leg has no terms."""
    side = lower(first(given, ("side", "workingSide")))
    leg = _request(asked, given, side=side)
    count = _LEG_COUNTS.get(re.split(r"[./]", name)[-1], 2)
    return _request(asked, given, side=side, batch=(leg,) * count)


def _batch(asked: _Asked, given: Message) -> OrderRequest:
    if asked.operation is OrderOperation.SUBMIT:
        wanted = _decoded(given.get("batchOrders", given.get("orders")))
        orders = tuple(_single(asked, mapping(order)) for order in wanted)
        symbols = {order.instrument for order in orders}
        shared = {"symbol": symbols.pop()} if len(symbols) == 1 else {}
        return _request(asked, shared, batch=orders)
    by_id = [{"orderId": one} for one in _decoded(_first_given(given, ("orderIdList", "orderidlist")))]
    names = ("origClientOrderIdList", "origclientorderidlist", "clientOrderIds")
    by_name = [{"origClientOrderId": one} for one in _decoded(_first_given(given, names))]
    symbol = {"symbol": given.get("symbol")}
    batch = tuple(_existing(asked, {**symbol, **one}) for one in (*by_id, *by_name))
    return _request(asked, given, batch=batch)


def _terms(given: Message) -> dict[str, Any]:
    raw = first(given, ("type",))
    word = TYPES.get(raw) if raw is not None else None
    in_force = "GTX" if raw == "LIMIT_MAKER" else str(given.get("timeInForce"))
    return {
        "side": lower(first(given, ("side",))),
        "type": word,
        "type_raw": raw if word is None or raw == "LIMIT_MAKER" else None,
        "time_in_force": TIMES_IN_FORCE.get(in_force),
        "quantity": _amount(given, ("quantity", "newQty")),
        "price": _amount(given, ("price",)),
        "stop_price": _amount(given, ("stopPrice", "triggerPrice")),
    }


def _request(asked: _Asked, given: Message, **known: Any) -> OrderRequest:
    symbol = first(given, ("symbol",))
    return OrderRequest(
        asked.operation,
        asked.place.venue,
        LIBRARY,
        environment=asked.place.environment,
        account=asked.place.account,
        instrument=symbol,
        instrument_class=instrument_class(asked.market, symbol),
        list_id=first(given, ("listClientOrderId", "orderListId")),
        **known,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Whose orders, at which venue."""

    venue: str
    environment: str | None = None
    """What the client's address and switches say; None if they say nothing."""
    account: str | None = None
    """What tells accounts apart: never exported as it is."""


def place_of(client: Any, venue: str) -> Place:
    """Where `client` trades, if that is at `venue`; of no client only that is known."""
    key = getattr(client, "API_KEY", None)
    is_american = venue == BINANCE and getattr(client, "tld", None) == "us"
    return Place(
        BINANCE_US if is_american else venue,
        _environment_of(client),
        key if isinstance(key, str) and key else None,
    )


def _environment_of(client: Any) -> str | None:
    if getattr(client, "testnet", False) is True:
        return "testnet"
    if getattr(client, "demo", False) is True:
        return "paper"
    url = getattr(client, "API_URL", None)
    return _environment_at(url) if isinstance(url, str) else None


@functools.lru_cache(_KEPT_ADDRESSES)
def _environment_at(url: str) -> str | None:
    found = profile_of_host(urlsplit(url).hostname or "")
    return found[1] if found is not None else None


def instrument_class(market: Market, symbol: str | None) -> str | None:
    """Spot, swap, future or option; None for a contract without a symbol."""
    if market is not Market.CONTRACTS:
        return "spot" if market is Market.SPOT else "option"
    if symbol is None:
        return None
    return "future" if _DATED.search(symbol) else "swap"


def _decoded(value: Any) -> Sequence[Any]:
    """A list, or the text that the library makes of one before it signs: JSON, quoted for a URL."""
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, str):
        return ()
    for unquoted in (value, unquote(value), unquote_plus(value)):
        try:
            read = json.loads(unquoted)
        except (ValueError, RecursionError):
            continue
        return read if isinstance(read, list) else ()
    return ()


def _first_given(given: Message, names: Sequence[str]) -> Any:
    return next((given[name] for name in names if given.get(name) is not None), None)


def _amount(given: Message, names: Sequence[str]) -> Decimal | None:
    return decimal_of(_first_given(given, names))
