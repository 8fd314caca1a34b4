"""Bybit: https://bybit-exchange.github.io/docs/v5/order/create-order, `/rate-limit`, `/error`.

`orderLinkId` is "always unique". Codes also as in ccxt's `bybit.describe`.
"""

from __future__ import annotations

from typing import Final

from tickspan.trading.model import ClientIdUnique, OrderOperation, RejectReason
from tickspan.trading.venues.profile import LimitField, OrderRoute, RateHeader, VenueProfile

BYBIT: Final = VenueProfile(
    name="bybit",
    hosts={
        "api.bybit.com": "live",
        "api.bytick.com": "live",
        "stream.bybit.com": "live",
        "api-demo.bybit.com": "paper",
        "stream-demo.bybit.com": "paper",
        "api-testnet.bybit.com": "testnet",
        "stream-testnet.bybit.com": "testnet",
    },
    order_routes=(
        OrderRoute("POST", "/v5/order/create", OrderOperation.SUBMIT),
        OrderRoute("POST", "/v5/order/create-batch", OrderOperation.SUBMIT, is_batch=True),
        OrderRoute("POST", "/v5/order/amend", OrderOperation.REPLACE),
        OrderRoute("POST", "/v5/order/amend-batch", OrderOperation.REPLACE, is_batch=True),
        OrderRoute("POST", "/v5/order/cancel", OrderOperation.CANCEL),
        OrderRoute("POST", "/v5/order/cancel-(?:batch|all)", OrderOperation.CANCEL, is_batch=True),
        OrderRoute("GET", "/v5/order/realtime", OrderOperation.QUERY),
    ),
    client_id_fields=("orderLinkId",),
    client_id_unique=ClientIdUnique.ALWAYS,
    rate_headers=(
        RateHeader("x-bapi-limit", "requests", "endpoint", LimitField.LIMIT),
        RateHeader("x-bapi-limit-status", "requests", "endpoint", LimitField.REMAINING),
        RateHeader("x-bapi-limit-reset-timestamp", "requests", "endpoint", LimitField.RESET),
    ),
    query_names=frozenset({"category", "symbol", "interval", "limit", "settleCoin", "openOnly"}),
    reasons={
        "10002": RejectReason.CLOCK_SKEW,
        "10003": RejectReason.AUTH,
        "10004": RejectReason.AUTH,
        "10005": RejectReason.AUTH,
        "10006": RejectReason.RATE_LIMIT,
        "10018": RejectReason.RATE_LIMIT,
        "110001": RejectReason.NOT_FOUND,
        "110003": RejectReason.PRICE,
        "110004": RejectReason.FUNDS,
        "110007": RejectReason.FUNDS,
        "110008": RejectReason.NOT_FOUND,
        "110010": RejectReason.NOT_FOUND,
        "110012": RejectReason.FUNDS,
        "110017": RejectReason.RISK,
        "110072": RejectReason.DUPLICATE_ID,
        "110094": RejectReason.QUANTITY,
        "170131": RejectReason.FUNDS,
        "170213": RejectReason.NOT_FOUND,
    },
)

PROFILES: Final = (BYBIT,)
