"""Coinbase Advanced Trade, and the older Coinbase Exchange.

https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order: with a
`client_order_id` that is not unique "the order will not be created and the order corresponding with that ID
will be returned instead". Of the Exchange's `client_oid` nothing is checked:
https://forums.coinbasecloud.dev/t/requirements-for-client-order-id/870. Errors as in ccxt.
"""

from __future__ import annotations

from typing import Final

from tickspan.trading.model import ClientIdUnique, OrderOperation, RejectReason
from tickspan.trading.venues.profile import OrderRoute, VenueProfile

_ORDERS: Final = "/api/v3/brokerage/orders"

COINBASE: Final = VenueProfile(
    name="coinbase",
    hosts={
        "api.coinbase.com": "live",
        "advanced-trade-ws.coinbase.com": "live",
        "advanced-trade-ws-user.coinbase.com": "live",
        "api-sandbox.coinbase.com": "simulated",
    },
    order_routes=(
        OrderRoute("POST", _ORDERS, OrderOperation.SUBMIT),
        OrderRoute("POST", f"{_ORDERS}/close_position", OrderOperation.SUBMIT),
        OrderRoute("POST", f"{_ORDERS}/edit", OrderOperation.REPLACE),
        OrderRoute("POST", f"{_ORDERS}/batch_cancel", OrderOperation.CANCEL, is_batch=True),
        OrderRoute("GET", f"{_ORDERS}/historical/(?!batch$|fills$)[^/]+", OrderOperation.QUERY),
    ),
    client_id_fields=("client_order_id",),
    client_id_unique=ClientIdUnique.ALWAYS,
    query_names=frozenset({"product_id", "product_ids", "limit", "order_status", "granularity"}),
    reasons={
        "INSUFFICIENT_FUND": RejectReason.FUNDS,
        "PREVIEW_INSUFFICIENT_FUND": RejectReason.FUNDS,
        "PERMISSION_DENIED": RejectReason.AUTH,
        "unauthorized": RejectReason.AUTH,
        "authentication_error": RejectReason.AUTH,
        "rate_limit_exceeded": RejectReason.RATE_LIMIT,
        "resource_exhausted": RejectReason.RATE_LIMIT,
    },
    message_reasons=(
        ("request timestamp expired", RejectReason.CLOCK_SKEW),
        ("Insufficient balance in source account", RejectReason.FUNDS),
        ("was not found", RejectReason.NOT_FOUND),
    ),
)

COINBASE_EXCHANGE: Final = VenueProfile(
    name="coinbaseexchange",
    hosts={
        "api.exchange.coinbase.com": "live",
        "ws-feed.exchange.coinbase.com": "live",
        "api-public.sandbox.exchange.coinbase.com": "testnet",
        "ws-feed-public.sandbox.exchange.coinbase.com": "testnet",
    },
    order_routes=(
        OrderRoute("POST", "/orders", OrderOperation.SUBMIT),
        OrderRoute("DELETE", "/orders/[^/]+", OrderOperation.CANCEL),
        OrderRoute("DELETE", "/orders", OrderOperation.CANCEL, is_batch=True),
        OrderRoute("GET", "/orders/[^/]+", OrderOperation.QUERY),
    ),
    client_id_fields=("client_oid",),
    client_id_unique=ClientIdUnique.NEVER,
    query_names=frozenset({"product_id", "limit", "status", "granularity", "level"}),
    message_reasons=(
        ("Insufficient funds", RejectReason.FUNDS),
        ("Private rate limit exceeded", RejectReason.RATE_LIMIT),
        ("invalid signature", RejectReason.AUTH),
        ("Invalid API Key", RejectReason.AUTH),
        ("Invalid Passphrase", RejectReason.AUTH),
        ("order not found", RejectReason.NOT_FOUND),
        ("Order already done", RejectReason.NOT_FOUND),
        ("Product not found", RejectReason.SYMBOL),
        ("price too", RejectReason.PRICE),
        ("size is too small", RejectReason.QUANTITY),
    ),
)

PROFILES: Final = (COINBASE, COINBASE_EXCHANGE)
