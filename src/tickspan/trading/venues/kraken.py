"""Kraken: https://docs.kraken.com/api/docs/rest-api/add-order and `/guides/spot-clordid`; futures apart.

`cl_ord_id` is verified "across open orders for each client". Errors as in ccxt's `kraken.describe`.
"""

from __future__ import annotations

from typing import Final

from tickspan.trading.model import ClientIdUnique, OrderOperation, RejectReason
from tickspan.trading.venues.profile import OrderRoute, VenueProfile

_PRIVATE: Final = "/0/private"
_DERIVATIVES: Final = "/derivatives/api/v3"

KRAKEN: Final = VenueProfile(
    name="kraken",
    hosts={"api.kraken.com": "live", "ws.kraken.com": "live", "ws-auth.kraken.com": "live"},
    order_routes=(
        OrderRoute("POST", f"{_PRIVATE}/AddOrder", OrderOperation.SUBMIT),
        OrderRoute("POST", f"{_PRIVATE}/AddOrderBatch", OrderOperation.SUBMIT, is_batch=True),
        OrderRoute("POST", f"{_PRIVATE}/(?:EditOrder|AmendOrder)", OrderOperation.REPLACE),
        OrderRoute("POST", f"{_PRIVATE}/CancelOrder", OrderOperation.CANCEL),
        OrderRoute(
            "POST", f"{_PRIVATE}/(?:CancelAll|CancelOrderBatch)", OrderOperation.CANCEL, is_batch=True
        ),
        OrderRoute("POST", f"{_PRIVATE}/QueryOrders", OrderOperation.QUERY),
    ),
    client_id_fields=("cl_ord_id",),
    client_id_unique=ClientIdUnique.WHILE_OPEN,
    query_names=frozenset({"pair", "interval", "count"}),
    reasons={
        "EAPI:Invalid key": RejectReason.AUTH,
        "EAPI:Invalid signature": RejectReason.AUTH,
        "EAPI:Invalid nonce": RejectReason.AUTH,
        "EAPI:Rate limit exceeded": RejectReason.RATE_LIMIT,
        "EOrder:Rate limit exceeded": RejectReason.RATE_LIMIT,
        "EGeneral:Too many requests": RejectReason.RATE_LIMIT,
        "EGeneral:Permission denied": RejectReason.AUTH,
        "EGeneral:Temporary lockout": RejectReason.RATE_LIMIT,
        "EGeneral:Invalid arguments:price": RejectReason.PRICE,
        "EGeneral:Invalid arguments:volume": RejectReason.QUANTITY,
        "EOrder:Insufficient funds": RejectReason.FUNDS,
        "EOrder:Order minimum not met": RejectReason.QUANTITY,
        "EOrder:Unknown order": RejectReason.NOT_FOUND,
        "EQuery:Invalid asset pair": RejectReason.SYMBOL,
        "EQuery:Unknown asset": RejectReason.SYMBOL,
    },
)

KRAKEN_FUTURES: Final = VenueProfile(
    name="krakenfutures",
    hosts={"futures.kraken.com": "live", "demo-futures.kraken.com": "testnet"},
    order_routes=(
        OrderRoute("POST", f"{_DERIVATIVES}/sendorder", OrderOperation.SUBMIT),
        OrderRoute("POST", f"{_DERIVATIVES}/batchorder", OrderOperation.SUBMIT, is_batch=True),
        OrderRoute("POST", f"{_DERIVATIVES}/editorder", OrderOperation.REPLACE),
        OrderRoute("POST", f"{_DERIVATIVES}/cancelorder", OrderOperation.CANCEL),
        OrderRoute("POST", f"{_DERIVATIVES}/cancelallorders", OrderOperation.CANCEL, is_batch=True),
        OrderRoute("POST", f"{_DERIVATIVES}/orders/status", OrderOperation.QUERY),
    ),
    client_id_fields=("cliOrdId",),
    query_names=frozenset({"symbol"}),
    reasons={
        "apiLimitExceeded": RejectReason.RATE_LIMIT,
        "authenticationError": RejectReason.AUTH,
        "contractNotFound": RejectReason.SYMBOL,
        "insufficientFunds": RejectReason.FUNDS,
        "INSUFFICIENT_MARGIN": RejectReason.FUNDS,
        "nonceBelowThreshold": RejectReason.AUTH,
        "nonceDuplicate": RejectReason.AUTH,
    },
)

PROFILES: Final = (KRAKEN, KRAKEN_FUTURES)
