"""Kite Connect by Zerodha: https://kite.trade/docs/connect/v3/orders/ and `/exceptions/`.

Routes as in pykiteconnect's `KiteConnect._routes`. There is no client id: a `tag` may stand on many orders.
The WebSocket's URL carries the access token in its query.
"""

from __future__ import annotations

from typing import Final

from tickspan.trading.model import ClientIdUnique, OrderOperation, RejectReason
from tickspan.trading.venues.profile import OrderRoute, VenueProfile

_ONE: Final = r"/orders/[a-z]+/\w+"

KITE: Final = VenueProfile(
    name="kite",
    hosts={"api.kite.trade": "live", "ws.kite.trade": "live"},
    order_routes=(
        OrderRoute("POST", "/orders/[a-z]+", OrderOperation.SUBMIT),
        OrderRoute("PUT", _ONE, OrderOperation.REPLACE),
        OrderRoute("DELETE", _ONE, OrderOperation.CANCEL),
        OrderRoute("GET", r"/orders/\w+", OrderOperation.QUERY),
    ),
    client_id_fields=(),
    client_id_unique=ClientIdUnique.NEVER,
    query_names=frozenset({"i", "interval", "from", "to"}),
    reasons={
        "TokenException": RejectReason.AUTH,
        "PermissionException": RejectReason.AUTH,
        "MarginException": RejectReason.FUNDS,
        "HoldingException": RejectReason.FUNDS,
    },
)

PROFILES: Final = (KITE,)
