"""OKX: https://www.okx.com/docs-v5/en/#order-book-trading-trade and `#error-code`.

A client id may stand for several orders, of which a query returns the latest: only open ones are told apart.
Demo trading over REST has the hosts of live trading, and a header; its WebSockets have a host of their own.
"""

from __future__ import annotations

from typing import Final

from tickspan.trading.model import ClientIdUnique, OrderOperation, RejectReason
from tickspan.trading.venues.profile import OrderRoute, VenueProfile

_TRADE: Final = "/api/v5/trade"

OKX: Final = VenueProfile(
    name="okx",
    hosts={".okx.com": "live", "wspap.okx.com": "paper"},
    order_routes=(
        OrderRoute("POST", f"{_TRADE}/order", OrderOperation.SUBMIT),
        OrderRoute("POST", f"{_TRADE}/batch-orders", OrderOperation.SUBMIT, is_batch=True),
        OrderRoute("POST", f"{_TRADE}/(?:order-algo|close-position)", OrderOperation.SUBMIT),
        OrderRoute("POST", f"{_TRADE}/amend-order", OrderOperation.REPLACE),
        OrderRoute("POST", f"{_TRADE}/amend-(?:batch-orders|algos)", OrderOperation.REPLACE, is_batch=True),
        OrderRoute("POST", f"{_TRADE}/cancel-order", OrderOperation.CANCEL),
        OrderRoute(
            "POST",
            f"{_TRADE}/(?:cancel-batch-orders|cancel-algos|mass-cancel)",
            OrderOperation.CANCEL,
            is_batch=True,
        ),
        OrderRoute("GET", f"{_TRADE}/order(?:-algo)?", OrderOperation.QUERY),
    ),
    client_id_fields=("clOrdId",),
    client_id_unique=ClientIdUnique.WHILE_OPEN,
    query_names=frozenset({"instId", "instType", "bar", "limit", "ordType", "state"}),
    reasons={
        "50011": RejectReason.RATE_LIMIT,
        "50102": RejectReason.CLOCK_SKEW,
        "50103": RejectReason.AUTH,
        "50104": RejectReason.AUTH,
        "50105": RejectReason.AUTH,
        "50111": RejectReason.AUTH,
        "50112": RejectReason.CLOCK_SKEW,
        "50113": RejectReason.AUTH,
        "51001": RejectReason.SYMBOL,
        "51006": RejectReason.PRICE,
        "51008": RejectReason.FUNDS,
        "51016": RejectReason.DUPLICATE_ID,
        "51020": RejectReason.QUANTITY,
        "51121": RejectReason.QUANTITY,
        "51131": RejectReason.FUNDS,
        "51400": RejectReason.NOT_FOUND,
        "51603": RejectReason.NOT_FOUND,
        "60006": RejectReason.CLOCK_SKEW,
    },
)

PROFILES: Final = (OKX,)
