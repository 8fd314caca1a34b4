"""Binance: spot and margin, both futures, and the exchange for the United States.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api and `/errors`, for futures
https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info; hosts also as in
python-binance's `BaseClient`, routes as in ccxt's `binance.describe`.
A client id is "unique among open orders": a filled order's may be used again.
"""

from __future__ import annotations

from typing import Final

from tickspan.trading.model import ClientIdUnique, OrderOperation, RejectReason
from tickspan.trading.venues.profile import LimitField, OrderRoute, RateHeader, VenueProfile

_SUBMIT: Final = OrderOperation.SUBMIT
_CANCEL: Final = OrderOperation.CANCEL
_REPLACE: Final = OrderOperation.REPLACE
_QUERY: Final = OrderOperation.QUERY

_CLIENT_IDS: Final = ("newClientOrderId", "clientOrderId")
_QUERY_NAMES: Final = frozenset(
    {"symbol", "interval", "limit", "side", "type", "timeInForce", "orderId", "startTime", "endTime"}
)
_SECRET_PATHS: Final = ("/ws/{listenKey}", "/private/ws/{listenKey}", "/pm/ws/{listenKey}")
_USED: Final = (
    RateHeader(r"x-mbx-used-weight-(\d+[smhd])", "request_weight", r"\1", LimitField.USED),
    RateHeader(r"x-mbx-order-count-(\d+[smhd])", "orders", r"\1", LimitField.USED),
)
_REASONS: Final = {
    "-1002": RejectReason.AUTH,
    "-1003": RejectReason.RATE_LIMIT,
    "-1008": RejectReason.RATE_LIMIT,
    "-1015": RejectReason.RATE_LIMIT,
    "-1021": RejectReason.CLOCK_SKEW,
    "-1022": RejectReason.AUTH,
    "-1121": RejectReason.SYMBOL,
    "-2010": RejectReason.OTHER,
    "-2011": RejectReason.NOT_FOUND,
    "-2013": RejectReason.NOT_FOUND,
    "-2014": RejectReason.AUTH,
    "-2015": RejectReason.AUTH,
}
_MESSAGE_REASONS: Final = (
    ("insufficient balance", RejectReason.FUNDS),
    ("Duplicate order sent", RejectReason.DUPLICATE_ID),
    ("Market is closed", RejectReason.MARKET_CLOSED),
    ("PRICE_FILTER", RejectReason.PRICE),
    ("PERCENT_PRICE", RejectReason.PRICE),
    ("LOT_SIZE", RejectReason.QUANTITY),
    ("NOTIONAL", RejectReason.QUANTITY),
    ("MAX_POSITION", RejectReason.RISK),
    ("MAX_NUM_ORDERS", RejectReason.RISK),
)

_SPOT_ROUTES: Final = (
    OrderRoute("POST", r"/api/v3/(?:sor/)?order", _SUBMIT),
    OrderRoute("POST", r"/api/v3/order/cancelReplace", _REPLACE),
    OrderRoute("PUT", r"/api/v3/order/amend/keepPriority", _REPLACE),
    OrderRoute(
        "POST", r"/api/v3/(?:order/oco|orderList/(?:oco|oto|otoco|opo|opoco))", _SUBMIT, is_batch=True
    ),
    OrderRoute("DELETE", r"/api/v3/order", _CANCEL),
    OrderRoute("DELETE", r"/api/v3/(?:orderList|openOrders)", _CANCEL, is_batch=True),
    OrderRoute("GET", r"/api/v3/order", _QUERY),
    OrderRoute("POST", r"/sapi/v1/margin/order", _SUBMIT),
    OrderRoute("POST", r"/sapi/v1/margin/order/oco", _SUBMIT, is_batch=True),
    OrderRoute("DELETE", r"/sapi/v1/margin/order", _CANCEL),
    OrderRoute("DELETE", r"/sapi/v1/margin/(?:orderList|openOrders)", _CANCEL, is_batch=True),
    OrderRoute("GET", r"/sapi/v1/margin/order", _QUERY),
    OrderRoute("POST", r"/papi/v1/(?:um|cm|margin)/order", _SUBMIT),
    OrderRoute("PUT", r"/papi/v1/(?:um|cm)/order", _REPLACE),
    OrderRoute("DELETE", r"/papi/v1/(?:um|cm|margin)/order", _CANCEL),
    OrderRoute("DELETE", r"/papi/v1/(?:um|cm|margin)/allOpenOrders", _CANCEL, is_batch=True),
    OrderRoute("GET", r"/papi/v1/(?:um|cm|margin)/order", _QUERY),
)


def _futures_routes(prefix: str) -> tuple[OrderRoute, ...]:
    return (
        OrderRoute("POST", rf"/{prefix}/v\d/order", _SUBMIT),
        OrderRoute("POST", rf"/{prefix}/v\d/batchOrders", _SUBMIT, is_batch=True),
        OrderRoute("PUT", rf"/{prefix}/v\d/order", _REPLACE),
        OrderRoute("PUT", rf"/{prefix}/v\d/batchOrders", _REPLACE, is_batch=True),
        OrderRoute("DELETE", rf"/{prefix}/v\d/order", _CANCEL),
        OrderRoute("DELETE", rf"/{prefix}/v\d/(?:batchOrders|allOpenOrders)", _CANCEL, is_batch=True),
        OrderRoute("GET", rf"/{prefix}/v\d/order", _QUERY),
    )


BINANCE: Final = VenueProfile(
    name="binance",
    hosts={
        ".binance.com": "live",
        "data-api.binance.vision": "live",
        "data-stream.binance.vision": "live",
        "demo-api.binance.com": "paper",
        "demo-stream.binance.com": "paper",
        "demo-ws-api.binance.com": "paper",
        "testnet.binance.vision": "testnet",
        ".testnet.binance.vision": "testnet",
    },
    order_routes=_SPOT_ROUTES,
    client_id_fields=_CLIENT_IDS,
    client_id_unique=ClientIdUnique.WHILE_OPEN,
    rate_headers=(
        *_USED,
        RateHeader(r"x-sapi-used-ip-weight-(\d+[smhd])", "sapi_ip_weight", r"\1", LimitField.USED),
        RateHeader(r"x-sapi-used-uid-weight-(\d+[smhd])", "sapi_uid_weight", r"\1", LimitField.USED),
    ),
    limits={
        ("request_weight", "1m"): 6_000,
        ("sapi_ip_weight", "1m"): 12_000,
        ("sapi_uid_weight", "1m"): 180_000,
    },
    query_names=_QUERY_NAMES,
    secret_paths=_SECRET_PATHS,
    reasons=_REASONS,
    message_reasons=_MESSAGE_REASONS,
)

_FUTURES_REASONS: Final = {
    **_REASONS,
    "-2018": RejectReason.FUNDS,
    "-2019": RejectReason.FUNDS,
    "-2022": RejectReason.RISK,
    "-2027": RejectReason.RISK,
    "-4116": RejectReason.DUPLICATE_ID,
    "-4164": RejectReason.QUANTITY,
}

BINANCE_USDM: Final = VenueProfile(
    name="binanceusdm",
    hosts={
        "fapi.binance.com": "live",
        "fstream.binance.com": "live",
        "ws-fapi.binance.com": "live",
        "demo-fapi.binance.com": "paper",
        "testnet.binancefuture.com": "testnet",
        "fstream.binancefuture.com": "testnet",
    },
    order_routes=_futures_routes("fapi"),
    client_id_fields=_CLIENT_IDS,
    client_id_unique=ClientIdUnique.WHILE_OPEN,
    rate_headers=_USED,
    limits={("request_weight", "1m"): 2_400, ("orders", "10s"): 300, ("orders", "1m"): 1_200},
    query_names=_QUERY_NAMES,
    secret_paths=_SECRET_PATHS,
    reasons=_FUTURES_REASONS,
    message_reasons=_MESSAGE_REASONS,
)

BINANCE_COINM: Final = VenueProfile(
    name="binancecoinm",
    hosts={
        "dapi.binance.com": "live",
        "dstream.binance.com": "live",
        "ws-dapi.binance.com": "live",
        "demo-dapi.binance.com": "paper",
        "dstream.binancefuture.com": "testnet",
    },
    order_routes=_futures_routes("dapi"),
    client_id_fields=_CLIENT_IDS,
    client_id_unique=ClientIdUnique.WHILE_OPEN,
    rate_headers=_USED,
    limits={("request_weight", "1m"): 2_400, ("orders", "1m"): 1_200},
    query_names=_QUERY_NAMES,
    secret_paths=_SECRET_PATHS,
    reasons=_FUTURES_REASONS,
    message_reasons=_MESSAGE_REASONS,
)

BINANCE_US: Final = VenueProfile(
    name="binanceus",
    hosts={".binance.us": "live"},
    order_routes=_SPOT_ROUTES,
    client_id_fields=_CLIENT_IDS,
    client_id_unique=ClientIdUnique.WHILE_OPEN,
    rate_headers=_USED,
    query_names=_QUERY_NAMES,
    secret_paths=_SECRET_PATHS,
    reasons=_REASONS,
    message_reasons=_MESSAGE_REASONS,
)

PROFILES: Final = (BINANCE, BINANCE_USDM, BINANCE_COINM, BINANCE_US)
