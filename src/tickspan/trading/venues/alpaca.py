"""Alpaca: https://docs.alpaca.markets/docs/orders-at-alpaca, hosts as in alpaca-py's `BaseURL`.

Each order has a client id of its own; a known one is refused ("client_order_id must be unique", 40010001).
Budgets: https://forum.alpaca.markets/t/executing-orders/12029.
"""

from __future__ import annotations

from typing import Final

from tickspan.trading.model import ClientIdUnique, OrderOperation, RejectReason
from tickspan.trading.venues.profile import LimitField, OrderRoute, RateHeader, VenueProfile

_ORDERS: Final = r"(?:/v2|/v1/trading/accounts/[^/]+)/orders"
_POSITIONS: Final = r"(?:/v2|/v1/trading/accounts/[^/]+)/positions"

ALPACA: Final = VenueProfile(
    name="alpaca",
    hosts={
        "api.alpaca.markets": "live",
        "broker-api.alpaca.markets": "live",
        "data.alpaca.markets": "live",
        "stream.data.alpaca.markets": "live",
        "paper-api.alpaca.markets": "paper",
        "broker-api.sandbox.alpaca.markets": "paper",
        "data.sandbox.alpaca.markets": "paper",
        "stream.data.sandbox.alpaca.markets": "paper",
    },
    order_routes=(
        OrderRoute("POST", _ORDERS, OrderOperation.SUBMIT),
        OrderRoute("PATCH", rf"{_ORDERS}/[^/]+", OrderOperation.REPLACE),
        OrderRoute("DELETE", rf"{_ORDERS}/[^/]+", OrderOperation.CANCEL),
        OrderRoute("DELETE", _ORDERS, OrderOperation.CANCEL, is_batch=True),
        OrderRoute("GET", rf"{_ORDERS}(?:/[^/]+|:by_client_order_id)", OrderOperation.QUERY),
        OrderRoute("DELETE", rf"{_POSITIONS}/[^/]+", OrderOperation.SUBMIT),
        OrderRoute("DELETE", _POSITIONS, OrderOperation.SUBMIT, is_batch=True),
    ),
    client_id_fields=("client_order_id",),
    client_id_unique=ClientIdUnique.ALWAYS,
    rate_headers=(
        RateHeader("x-ratelimit-limit", "requests", "account", LimitField.LIMIT),
        RateHeader("x-ratelimit-remaining", "requests", "account", LimitField.REMAINING),
        RateHeader("x-ratelimit-reset", "requests", "account", LimitField.RESET),
    ),
    query_names=frozenset({"symbols", "status", "limit", "side", "direction", "nested", "feed", "timeframe"}),
    reasons={
        "40110000": RejectReason.AUTH,
        "40410000": RejectReason.NOT_FOUND,
        "42910000": RejectReason.RATE_LIMIT,
    },
    message_reasons=(
        ("must be unique", RejectReason.DUPLICATE_ID),
        ("insufficient buying power", RejectReason.FUNDS),
        ("insufficient balance", RejectReason.FUNDS),
        ("insufficient qty", RejectReason.QUANTITY),
        ("cost basis must be", RejectReason.QUANTITY),
        ("Invalid symbol", RejectReason.SYMBOL),
        ("asset not found", RejectReason.SYMBOL),
        ("sub-penny", RejectReason.PRICE),
        ("orders are rejected by user request", RejectReason.RISK),
    ),
)

PROFILES: Final = (ALPACA,)
