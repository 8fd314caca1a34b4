"""Hyperliquid: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/exchange-endpoint.

One path takes all actions; the body says which. What becomes of a `cloid` that is used twice is not said.
Errors: `/for-developers/api/error-responses`, budget: `/for-developers/api/rate-limits`.
"""

from __future__ import annotations

from typing import Final

from tickspan.trading.model import OrderOperation, RejectReason
from tickspan.trading.venues.profile import OrderRoute, VenueProfile


def _exchange(actions: str, operation: OrderOperation, *, is_batch: bool = False) -> OrderRoute:
    return OrderRoute("POST", "/exchange", operation, rf'"type"\s*:\s*"(?:{actions})"', is_batch)


HYPERLIQUID: Final = VenueProfile(
    name="hyperliquid",
    hosts={"api.hyperliquid.xyz": "live", "api.hyperliquid-testnet.xyz": "testnet"},
    order_routes=(
        _exchange("order|twapOrder", OrderOperation.SUBMIT),
        _exchange("cancel|cancelByCloid|twapCancel", OrderOperation.CANCEL),
        _exchange("modify", OrderOperation.REPLACE),
        _exchange("batchModify", OrderOperation.REPLACE, is_batch=True),
        OrderRoute("POST", "/info", OrderOperation.QUERY, r'"type"\s*:\s*"orderStatus"'),
    ),
    client_id_fields=("cloid", "c"),
    limits={("request_weight", "1m"): 1_200},
    message_reasons=(
        ("Insufficient margin", RejectReason.FUNDS),
        ("Insufficient spot balance", RejectReason.FUNDS),
        ("divisible by tick size", RejectReason.PRICE),
        ("price cannot be more than", RejectReason.PRICE),
        ("Invalid TP/SL price", RejectReason.PRICE),
        ("minimum value", RejectReason.QUANTITY),
        ("invalid size", RejectReason.QUANTITY),
        ("zero size", RejectReason.QUANTITY),
        ("Reduce only order would increase", RejectReason.RISK),
        ("never placed, already canceled, or filled", RejectReason.NOT_FOUND),
        ("User or API Wallet", RejectReason.AUTH),
        ("Too many cumulative requests", RejectReason.RATE_LIMIT),
    ),
)

PROFILES: Final = (HYPERLIQUID,)
