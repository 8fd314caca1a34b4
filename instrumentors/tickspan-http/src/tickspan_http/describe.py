"""What a request on a venue's order route asks for: an `OrderRequest` out of its fields. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tickspan.trading import OrderOperation, OrderRequest, VenueProfile, decimal_of

from tickspan_http.outgoing import Outgoing, first, text

SYMBOLS: Final = ("symbol", "instId", "product_id", "pair", "tradingsymbol", "coin", "asset", "a")
SIDES: Final = ("side", "transaction_type", "type")
TYPES: Final = ("ordType", "orderType", "order_type", "ordertype", "type")
QUANTITIES: Final = ("quantity", "qty", "sz", "size", "volume", "base_size", "s")
PRICES: Final = ("price", "px", "limit_price", "limit_px", "p")
STOP_PRICES: Final = ("stopPrice", "stop_price", "triggerPrice", "stopPx", "trigger_price")
TIMES: Final = ("timeInForce", "time_in_force", "tif", "timeinforce", "validity")
VENUE_IDS: Final = ("orderId", "order_id", "ordId", "txid", "oid", "id")
ORIGINALS: Final = ("origClientOrderId", "orig_client_order_id")
BATCHES: Final = ("orders", "batchOrders", "request")

WORDS_IN_FORCE: Final[Mapping[str, str]] = {
    "GTC": "good_till_cancel",
    "IOC": "immediate_or_cancel",
    "FOK": "fill_or_kill",
    "GTD": "good_till_date",
    "DAY": "day",
    "GTX": "post_only",
    "PO": "post_only",
    "ALO": "post_only",
}
WORDS_OF_TYPES: Final = frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"})
_SIDES: Final = {"buy": "buy", "b": "buy", "bid": "buy", "sell": "sell", "s": "sell", "ask": "sell"}


def order_request(
    profile: VenueProfile, environment: str | None, operation: OrderOperation, request: Outgoing
) -> OrderRequest:
    """The order operation that `request` is; of a batch, with each of its orders."""
    whole = _one(profile, environment, operation, request.library, request.fields)
    orders = _batch(request.fields)
    if len(orders) < 2:  # noqa: PLR2004 - a batch of one is one order
        return whole
    batch = tuple(_one(profile, environment, operation, request.library, one) for one in orders)
    symbols = {one.venue_symbol for one in batch}
    return replace(
        _one(profile, environment, operation, request.library, {}),
        venue_symbol=symbols.pop() if len(symbols) == 1 else None,
        batch=batch,
    )


def _one(
    profile: VenueProfile, environment: str | None, operation: OrderOperation, library: str, fields: Any
) -> OrderRequest:
    client_id = text(first(fields, profile.client_id_fields))
    raw_type = text(first(fields, TYPES))
    word = raw_type.lower() if raw_type is not None else None
    is_new = operation is OrderOperation.SUBMIT
    return OrderRequest(
        operation,
        profile.name,
        library,
        environment=environment,
        venue_symbol=text(first(fields, SYMBOLS)),
        client_id=client_id if is_new or operation is OrderOperation.REPLACE else None,
        original_client_id=text(first(fields, ORIGINALS)) or (None if is_new else client_id),
        venue_id=None if is_new else text(first(fields, VENUE_IDS)),
        side=_side(fields),
        type=word if word in WORDS_OF_TYPES else None,
        type_raw=raw_type if word not in WORDS_OF_TYPES and word not in _SIDES else None,
        time_in_force=WORDS_IN_FORCE.get(str(first(fields, TIMES)).upper()),
        quantity=decimal_of(first(fields, QUANTITIES)),
        price=decimal_of(first(fields, PRICES)),
        stop_price=decimal_of(first(fields, STOP_PRICES)),
    )


def _side(fields: Any) -> str | None:
    words = (text(first(fields, (name,))) for name in SIDES)
    return next((_SIDES[word.lower()] for word in words if word is not None and word.lower() in _SIDES), None)


def _batch(fields: Any) -> Sequence[Any]:
    """The orders of a request that carries several."""
    if isinstance(fields, list):
        return [one for one in fields if isinstance(one, Mapping)]
    if not isinstance(fields, Mapping):
        return ()
    for value in (fields, *(one for one in fields.values() if isinstance(one, Mapping))):
        for name in BATCHES:
            listed = value.get(name)
            if isinstance(listed, list):
                return [one for one in listed if isinstance(one, Mapping)]
    return ()
