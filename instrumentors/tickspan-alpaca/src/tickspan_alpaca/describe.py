"""What a call of an Alpaca client asks of the venue: arguments to an `OrderRequest`. Pure.

alpaca-py wraps what it sends in models, alpaca-trade-api takes it bare; both come down to the same fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final
from urllib.parse import urlsplit

from tickspan.trading import OrderOperation, OrderRequest, decimal_of, profile_of_host

VENUE: Final = "alpaca"
ALPACA_PY: Final = "alpaca-py"
TRADE_API: Final = "alpaca-trade-api"

Arguments = Mapping[str, Any]
Fields = Mapping[str, Any]

SUBMIT_BARE: Final = (
    "symbol",
    "qty",
    "side",
    "type",
    "time_in_force",
    "limit_price",
    "stop_price",
    "client_order_id",
    "extended_hours",
    "order_class",
    "take_profit",
    "stop_loss",
    "trail_price",
    "trail_percent",
    "notional",
)
_USUAL_BARE: Final = {"side": "buy", "type": "market", "time_in_force": "day"}
REPLACE_BARE: Final = (
    "order_id",
    "qty",
    "limit_price",
    "stop_price",
    "trail",
    "time_in_force",
    "client_order_id",
)

TYPES: Final = frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"})
TIMES_IN_FORCE: Final = {
    "day": "day",
    "gtc": "good_till_cancel",
    "opg": "at_the_opening",
    "cls": "at_the_close",
    "ioc": "immediate_or_cancel",
    "fok": "fill_or_kill",
}
_CLASSES: Final = {"us_equity": "equity", "us_option": "option", "crypto": "spot", "crypto_perp": "swap"}
_OPTION: Final = re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}")
_ASSET_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def submit_order(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`TradingClient.submit_order(order_data)`."""
    given = _bound(("order_data",), args, kwargs)
    return _new(client, fields_of(given.get("order_data")))


def submit_order_for_account(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`BrokerClient.submit_order_for_account(account_id, order_data)`."""
    given = _bound(("account_id", "order_data"), args, kwargs)
    return _new(client, fields_of(given.get("order_data")), text_of(given.get("account_id")))


def submit_order_bare(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`REST.submit_order(symbol, qty, side, type, ...)`."""
    return _new(client, {**_USUAL_BARE, **_bound(SUBMIT_BARE, args, kwargs)})


def replace_order(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`TradingClient.replace_order_by_id(order_id, order_data)`."""
    given = _bound(("order_id", "order_data"), args, kwargs)
    return _changed(client, given.get("order_id"), fields_of(given.get("order_data")))


def replace_order_for_account(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`BrokerClient.replace_order_for_account_by_id(account_id, order_id, order_data)`."""
    given = _bound(("account_id", "order_id", "order_data"), args, kwargs)
    account = text_of(given.get("account_id"))
    return _changed(client, given.get("order_id"), fields_of(given.get("order_data")), account)


def replace_order_bare(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`REST.replace_order(order_id, qty, limit_price, ...)`."""
    given = _bound(REPLACE_BARE, args, kwargs)
    return _changed(client, given.get("order_id"), given)


def cancel_order(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`cancel_order_by_id(order_id)`, `REST.cancel_order(order_id)`."""
    given = _bound(("order_id",), args, kwargs)
    return _request(client, OrderOperation.CANCEL, venue_id=text_of(given.get("order_id")))


def cancel_order_for_account(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`BrokerClient.cancel_order_for_account_by_id(account_id, order_id)`."""
    given = _bound(("account_id", "order_id"), args, kwargs)
    account, venue_id = text_of(given.get("account_id")), text_of(given.get("order_id"))
    return _request(client, OrderOperation.CANCEL, account, venue_id=venue_id)


def cancel_orders(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`cancel_orders()`, `REST.cancel_all_orders()`, `BrokerClient.cancel_orders_for_account(account_id)`."""
    given = _bound(("account_id",), args, kwargs)
    return _request(client, OrderOperation.CANCEL, text_of(given.get("account_id")))


def order_by_id(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`get_order_by_id(order_id)`, `REST.get_order(order_id)`."""
    given = _bound(("order_id",), args, kwargs)
    return _request(client, OrderOperation.QUERY, venue_id=text_of(given.get("order_id")))


def order_for_account_by_id(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`BrokerClient.get_order_for_account_by_id(account_id, order_id)`."""
    given = _bound(("account_id", "order_id"), args, kwargs)
    account, venue_id = text_of(given.get("account_id")), text_of(given.get("order_id"))
    return _request(client, OrderOperation.QUERY, account, venue_id=venue_id)


def order_by_client_id(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`get_order_by_client_id(client_id)`, `REST.get_order_by_client_order_id(client_order_id)`."""
    given = {**dict(zip(("name",), args, strict=False)), **kwargs}
    name = next((text for value in given.values() if (text := text_of(value)) is not None), None)
    return _request(client, OrderOperation.QUERY, original_client_id=name)


def order_for_account_by_client_id(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`BrokerClient.get_order_for_account_by_client_id(account_id, client_id)`."""
    given = _bound(("account_id", "client_id"), args, kwargs)
    account, name = text_of(given.get("account_id")), text_of(given.get("client_id"))
    return _request(client, OrderOperation.QUERY, account, original_client_id=name)


def close_position(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`close_position(symbol_or_asset_id, close_options)`: the venue makes the order, at the market."""
    given = _bound(("symbol_or_asset_id", "close_options"), args, kwargs)
    return _closing(client, given.get("symbol_or_asset_id"), fields_of(given.get("close_options")))


def close_position_for_account(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`BrokerClient.close_position_for_account(account_id, symbol_or_asset_id, close_options)`."""
    given = _bound(("account_id", "symbol_or_asset_id", "close_options"), args, kwargs)
    account, options = text_of(given.get("account_id")), fields_of(given.get("close_options"))
    return _closing(client, given.get("symbol_or_asset_id"), options, account)


def close_position_bare(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`REST.close_position(symbol, *, qty)`."""
    given = _bound(("symbol",), args, kwargs)
    return _closing(client, given.get("symbol"), given)


def close_all_positions(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`close_all_positions(cancel_orders)`: one request, an order for each position that there is."""
    del args, kwargs
    return _request(client, OrderOperation.SUBMIT, type="market")


def close_all_positions_for_account(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> OrderRequest:
    """`BrokerClient.close_all_positions_for_account(account_id, cancel_orders)`."""
    given = _bound(("account_id", "cancel_orders"), args, kwargs)
    return _request(client, OrderOperation.SUBMIT, text_of(given.get("account_id")), type="market")


def fields_of(value: Any) -> Fields:
    """The fields of a model of alpaca-py, of an entity of alpaca-trade-api, or of bare JSON, by name."""
    if isinstance(value, Mapping):
        return value
    raw = getattr(value, "_raw", None)
    if isinstance(raw, Mapping):
        return raw
    return getattr(value, "__dict__", {})


def text_of(value: Any) -> str | None:
    """A word, an id or a number as the venue writes it; None for nothing."""
    if isinstance(value, Enum):
        value = value.value
    return str(value) if value is not None and value != "" else None


def library_of(client: Any) -> str:
    """Which of the two libraries a client or stream is of: they name their credentials differently."""
    return ALPACA_PY if hasattr(client, "_api_key") else TRADE_API


def account_of(client: Any) -> str | None:
    """What tells accounts apart: never exported as it is."""
    for name in ("_api_key", "_key_id", "_oauth_token", "_oauth"):
        value = getattr(client, name, None)
        if isinstance(value, str) and value:
            return value
    return None


def environment_of(client: Any) -> str | None:
    """What the client's address says; None if it is not one of Alpaca's.

    The flag `paper` only chooses the address: it is set as well where the address is overridden.
    """
    address = text_of(getattr(client, "_base_url", None) or getattr(client, "_endpoint", None))
    host = urlsplit(address).hostname if address is not None else None
    known = profile_of_host(host) if host is not None else None
    return known[1] if known is not None and known[0].name == VENUE else None


def class_of(symbol: str | None, asset_class: str | None = None) -> str | None:
    """Equity, option or spot: as the venue says, else by the form of the symbol."""
    if asset_class is not None:
        return _CLASSES.get(asset_class)
    if symbol is None:
        return None
    if "/" in symbol:
        return "spot"
    return "option" if _OPTION.fullmatch(symbol) else "equity"


def _bound(parameters: tuple[str, ...], args: tuple[Any, ...], kwargs: Arguments) -> Arguments:
    """Arguments by name."""
    return {**dict(zip(parameters, args, strict=False)), **kwargs}


def _new(client: Any, order: Fields, account: str | None = None) -> OrderRequest:
    """A new order; with those that hang on it, where it is of a class that has some."""
    own = _described(order)
    hanging = tuple(_hanging(order))
    if not hanging:
        return _request(client, OrderOperation.SUBMIT, account, **own)
    described = (own, *(_described(leg) for leg in hanging))
    batch = tuple(_request(client, OrderOperation.SUBMIT, account, **one) for one in described)
    return _request(client, OrderOperation.SUBMIT, account, batch=batch, **own)


def _hanging(order: Fields) -> Iterable[Fields]:
    """The legs of an order, as fields of orders, in the order in which the venue's answer has them.

    Of an `oco` order the first exit is the order itself.
    """
    kind = text_of(order.get("order_class"))
    if kind == "mleg":
        for leg in order.get("legs") or ():
            yield {**fields_of(leg), "qty": None}
        return
    if kind not in ("bracket", "oto", "oco"):
        return
    exits = {
        "symbol": order.get("symbol"),
        "qty": order.get("qty"),
        "side": {"buy": "sell", "sell": "buy"}.get(text_of(order.get("side")) or ""),
        "time_in_force": order.get("time_in_force"),
    }
    profit, loss = fields_of(order.get("take_profit")), fields_of(order.get("stop_loss"))
    if profit and kind != "oco":
        yield {**exits, "type": "limit", "limit_price": profit.get("limit_price")}
    if loss:
        kept = {name: loss.get(name) for name in ("stop_price", "limit_price")}
        has_limit = kept["limit_price"] is not None
        yield {**exits, "type": "stop_limit" if has_limit else "stop", **kept}


def _described(order: Fields) -> dict[str, Any]:
    word = text_of(order.get("type"))
    symbol = text_of(order.get("symbol"))
    return {
        "instrument": symbol,
        "instrument_class": class_of(symbol),
        "client_id": text_of(order.get("client_order_id")),
        "side": text_of(order.get("side")),
        "type": word if word in TYPES else None,
        "type_raw": word if word not in TYPES else None,
        "time_in_force": TIMES_IN_FORCE.get(text_of(order.get("time_in_force")) or ""),
        "quantity": decimal_of(order.get("qty")),
        "price": decimal_of(order.get("limit_price")),
        "stop_price": decimal_of(order.get("stop_price")),
    }


def _changed(client: Any, order_id: Any, order: Fields, account: str | None = None) -> OrderRequest:
    return _request(
        client,
        OrderOperation.REPLACE,
        account,
        venue_id=text_of(order_id),
        client_id=text_of(order.get("client_order_id")),
        time_in_force=TIMES_IN_FORCE.get(text_of(order.get("time_in_force")) or ""),
        quantity=decimal_of(order.get("qty")),
        price=decimal_of(order.get("limit_price")),
        stop_price=decimal_of(order.get("stop_price")),
    )


def _closing(client: Any, what: Any, options: Fields, account: str | None = None) -> OrderRequest:
    name = text_of(what)
    symbol = None if name is None or _ASSET_ID.fullmatch(name) else name
    return _request(
        client,
        OrderOperation.SUBMIT,
        account,
        instrument=symbol,
        instrument_class=class_of(symbol),
        type="market",
        quantity=decimal_of(options.get("qty")),
    )


def _request(
    client: Any, operation: OrderOperation, account: str | None = None, **known: Any
) -> OrderRequest:
    return OrderRequest(
        operation,
        VENUE,
        library_of(client),
        environment=environment_of(client),
        account=account or account_of(client),
        **known,
    )
