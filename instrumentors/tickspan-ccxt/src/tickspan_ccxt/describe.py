"""What a call of ccxt asks of the venue: arguments to an `OrderRequest`. Pure: no span, no clock, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tickspan.trading import OrderOperation, OrderRequest, decimal_of, profile_of

LIBRARY: Final = "ccxt"

Arguments = Mapping[str, Any]

_CREATE: Final = ("symbol", "type", "side", "amount", "price", "params")
_CREATE_MANY: Final = ("orders", "params")
_EDIT: Final = ("id", "symbol", "type", "side", "amount", "price", "params")
_BY_ID: Final = ("id", "symbol", "params")
_BY_IDS: Final = ("ids", "symbol", "params")
_ALL: Final = ("symbol", "params")
_CLOSE: Final = ("symbol", "side", "params")

TIMES_IN_FORCE: Final = {
    "GTC": "good_till_cancel",
    "IOC": "immediate_or_cancel",
    "FOK": "fill_or_kill",
    "GTD": "good_till_date",
    "DAY": "day",
    "PO": "post_only",
    "GTX": "post_only",
}
_FLEETING: Final = re.compile(r"(?:(?<=[^/]/)|(?<==))(?:\d{9,}|(?=[^/?&=]*\d)[^/?&=]{20,})(?=[/?&=]|$)")
"""In an address: a listen key, a token, a moment."""
_TYPES: Final = frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"})


def create_order(exchange: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`create_order(symbol, type, side, amount, price, params)`."""
    return _new(exchange, _bound(_CREATE, args, kwargs))


def create_orders(exchange: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`create_orders(orders, params)`: one request, several orders."""
    given = _bound(_CREATE_MANY, args, kwargs)
    orders = tuple(_new(exchange, order) for order in _mappings(given.get("orders")))
    symbols = {order.instrument for order in orders}
    return _request(
        exchange, OrderOperation.SUBMIT, symbols.pop() if len(symbols) == 1 else None, batch=orders
    )


def edit_order(exchange: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`edit_order(id, symbol, type, side, amount, price, params)`."""
    given = _bound(_EDIT, args, kwargs)
    return _new(exchange, given, OrderOperation.REPLACE, venue_id=_text(given.get("id")))


def edit_order_in_two(exchange: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """Ccxt's own `edit_order`, for venues without one: a cancel and a create, each told by itself."""
    given = _bound(_EDIT, args, kwargs)
    return _new(exchange, given, OrderOperation.REPLACE, venue_id=_text(given.get("id")), emulated=True)


def cancel_order(exchange: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`cancel_order(id, symbol, params)`."""
    return _existing(exchange, OrderOperation.CANCEL, _bound(_BY_ID, args, kwargs))


def cancel_orders(exchange: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`cancel_orders(ids, symbol, params)`: one request about several orders."""
    given = _bound(_BY_IDS, args, kwargs)
    ids = given.get("ids")
    named = ids if isinstance(ids, Sequence) and not isinstance(ids, str) else ()
    symbol = _text(given.get("symbol"))
    batch = tuple(
        _request(exchange, OrderOperation.CANCEL, symbol, venue_id=_text(venue_id)) for venue_id in named
    )
    return _request(exchange, OrderOperation.CANCEL, symbol, batch=batch)


def cancel_all_orders(exchange: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`cancel_all_orders(symbol, params)`."""
    given = _bound(_ALL, args, kwargs)
    return _request(exchange, OrderOperation.CANCEL, _text(given.get("symbol")))


def fetch_order(exchange: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`fetch_order(id, symbol, params)`."""
    return _existing(exchange, OrderOperation.QUERY, _bound(_BY_ID, args, kwargs))


def close_position(exchange: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`close_position(symbol, side, params)`: the venue makes the order."""
    return _new(exchange, _bound(_CLOSE, args, kwargs))


def _bound(parameters: tuple[str, ...], args: tuple[Any, ...], kwargs: Arguments) -> Arguments:
    """Arguments by name; ccxt declares these parameters in this order in every exchange."""
    return {**dict(zip(parameters, args, strict=False)), **kwargs}


def _new(
    exchange: Any,
    given: Arguments,
    operation: OrderOperation = OrderOperation.SUBMIT,
    *,
    venue_id: str | None = None,
    emulated: bool = False,
) -> OrderRequest:
    params = _params(given)
    raw_type = _text(given.get("type"))
    word = raw_type.lower() if raw_type is not None else None
    return _request(
        exchange,
        operation,
        _text(given.get("symbol")),
        venue_id=venue_id,
        client_id=client_id_in(exchange, params),
        side=_lower(given.get("side")),
        type=word if word in _TYPES else None,
        type_raw=raw_type if word not in _TYPES else None,
        time_in_force=TIMES_IN_FORCE.get(str(params.get("timeInForce"))),
        quantity=decimal_of(given.get("amount")),
        price=decimal_of(given.get("price")),
        stop_price=decimal_of(params.get("triggerPrice", params.get("stopPrice"))),
        emulated=emulated,
        is_named_later=client_id_in(exchange, params) is None,
    )


def _existing(exchange: Any, operation: OrderOperation, given: Arguments) -> OrderRequest:
    params = _params(given)
    original = _text(params.get("origClientOrderId")) or client_id_in(exchange, params)
    return _request(
        exchange,
        operation,
        _text(given.get("symbol")),
        venue_id=_text(given.get("id")),
        original_client_id=original,
    )


def _request(exchange: Any, operation: OrderOperation, symbol: str | None, **known: Any) -> OrderRequest:
    return OrderRequest(
        operation,
        venue_of(exchange),
        LIBRARY,
        environment=environment_of(exchange),
        account=account_of(exchange),
        instrument=symbol,
        instrument_class=_class_of(exchange, symbol),
        **known,
    )


def venue_of(exchange: Any) -> str:
    """Ccxt's id of the exchange."""
    return str(exchange.id)


def exchange_of(client: Any) -> Any:
    """The exchange object that a WebSocket client of ccxt.pro works for; None if it is somebody else's."""
    return getattr(client.on_message_callback, "__self__", None)


def address_of(client: Any) -> str:
    """Where a WebSocket client leads to, without what each connection has anew: keys, tokens, times."""
    return _FLEETING.sub("*", str(client.url))


def environment_of(exchange: Any) -> str | None:
    """What the exchange's own switches say; None if they say nothing."""
    if getattr(exchange, "isSandboxModeEnabled", False):
        return "testnet"
    options = getattr(exchange, "options", None)
    is_demo = isinstance(options, Mapping) and options.get("enableDemoTrading") is True
    return "paper" if is_demo else None


def account_of(exchange: Any) -> str | None:
    """What tells accounts apart: never exported as it is."""
    for name in ("apiKey", "walletAddress", "uid", "login"):
        value = getattr(exchange, name, None)
        if isinstance(value, str) and value:
            return value
    return None


def _class_of(exchange: Any, symbol: str | None) -> str | None:
    markets = getattr(exchange, "markets", None)
    market = markets.get(symbol) if isinstance(markets, Mapping) else None
    return _text(market.get("type")) if isinstance(market, Mapping) else None


def client_id_in(exchange: Any, params: Arguments) -> str | None:
    """The client's name for the order, among the parameters of a call."""
    fields = ("clientOrderId", *profile_of(venue_of(exchange)).client_id_fields)
    return next((text for field in fields if (text := _text(params.get(field))) is not None), None)


def _params(given: Arguments) -> Arguments:
    params = given.get("params")
    return params if isinstance(params, Mapping) else {}


def _mappings(values: Any) -> tuple[Arguments, ...]:
    return tuple(value for value in values or () if isinstance(value, Mapping))


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None


def _lower(value: Any) -> str | None:
    text = _text(value)
    return text.lower() if text is not None else None
