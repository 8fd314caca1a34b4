"""Which requests of python-binance are about orders: by method and path, or by the WebSocket API's method.

Whatever helper made it, an order goes out by one of these routes, and by one request.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from urllib.parse import urlsplit

from tickspan.trading import OrderOperation


class Form(Enum):
    """How a request names its orders."""

    SINGLE = auto()
    LIST = auto()
    """Orders that depend on one another, each under names of its own."""
    BATCH = auto()
    """Independent orders in one parameter."""


class Market(Enum):
    """What is traded where the request goes."""

    SPOT = auto()
    CONTRACTS = auto()
    """Perpetual and dated futures."""
    OPTIONS = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """An order operation of the venue."""

    operation: OrderOperation
    form: Form = Form.SINGLE


_SUBMIT: Final = Route(OrderOperation.SUBMIT)
_SUBMIT_LIST: Final = Route(OrderOperation.SUBMIT, Form.LIST)
_SUBMIT_BATCH: Final = Route(OrderOperation.SUBMIT, Form.BATCH)
_REPLACE: Final = Route(OrderOperation.REPLACE)
_CANCEL: Final = Route(OrderOperation.CANCEL)
_CANCEL_BATCH: Final = Route(OrderOperation.CANCEL, Form.BATCH)
_QUERY: Final = Route(OrderOperation.QUERY)

REST: Final[Mapping[str, Route]] = {
    "POST order": _SUBMIT,
    "POST sor/order": _SUBMIT,
    "POST algoOrder": _SUBMIT,
    "POST algo/spot/newOrderTwap": _SUBMIT,
    "POST algo/futures/newOrderTwap": _SUBMIT,
    "POST algo/futures/newOrderVp": _SUBMIT,
    "POST order/oco": _SUBMIT_LIST,
    "POST orderList/oco": _SUBMIT_LIST,
    "POST orderList/oto": _SUBMIT_LIST,
    "POST orderList/otoco": _SUBMIT_LIST,
    "POST batchOrder": _SUBMIT_BATCH,
    "POST batchOrders": _SUBMIT_BATCH,
    "POST order/cancelReplace": _REPLACE,
    "PUT order": _REPLACE,
    "PUT order/amend/keepPriority": _REPLACE,
    "DELETE order": _CANCEL,
    "DELETE orderList": _CANCEL,
    "DELETE algoOrder": _CANCEL,
    "DELETE algo/spot/order": _CANCEL,
    "DELETE algo/futures/order": _CANCEL,
    "DELETE batchOrder": _CANCEL_BATCH,
    "DELETE batchOrders": _CANCEL_BATCH,
    "DELETE openOrders": _CANCEL,
    "DELETE allOpenOrders": _CANCEL,
    "DELETE allOpenOrdersByUnderlying": _CANCEL,
    "DELETE algoOpenOrders": _CANCEL,
    "GET order": _QUERY,
    "GET openOrder": _QUERY,
    "GET orderList": _QUERY,
    "GET algoOrder": _QUERY,
}
"""Method and path below the version, without what names a market or a condition on the way."""

WS: Final[Mapping[str, Route]] = {
    "order.place": _SUBMIT,
    "sor.order.place": _SUBMIT,
    "algoOrder.place": _SUBMIT,
    "orderList.place": _SUBMIT_LIST,
    "orderList.place.oco": _SUBMIT_LIST,
    "orderList.place.oto": _SUBMIT_LIST,
    "orderList.place.otoco": _SUBMIT_LIST,
    "order.cancelReplace": _REPLACE,
    "order.modify": _REPLACE,
    "order.amend.keepPriority": _REPLACE,
    "order.cancel": _CANCEL,
    "orderList.cancel": _CANCEL,
    "algoOrder.cancel": _CANCEL,
    "openOrders.cancelAll": _CANCEL,
    "order.status": _QUERY,
    "orderList.status": _QUERY,
}

POLLED_ORDERS: Final = frozenset(
    {
        "GET openOrders",
        "GET allOrders",
        "GET orderHistory",
        "GET historyOrders",
        "GET myTrades",
        "GET userTrades",
        "openOrders.status",
        "allOrders",
        "myTrades",
    }
)
"""Requests whose answers report on orders, though none is operated on."""

POLLED_PRICES: Final = frozenset(
    {
        "GET ticker",
        "GET ticker/24hr",
        "GET ticker/price",
        "GET ticker/bookTicker",
        "GET ticker/tradingDay",
        "GET avgPrice",
        "GET depth",
        "GET trades",
        "GET aggTrades",
        "GET klines",
        "GET uiKlines",
        "GET continuousKlines",
        "GET premiumIndex",
        "depth",
        "trades.recent",
        "trades.aggregate",
        "klines",
        "uiKlines",
        "avgPrice",
        "ticker",
        "ticker.24hr",
        "ticker.price",
        "ticker.book",
        "ticker.tradingDay",
    }
)
"""Requests for market data, from which an order may follow."""

BINANCE: Final = "binance"
"""Spot, margin, options and portfolio margin, whose ids are of one space."""
USD_M: Final = "binanceusdm"
COIN_M: Final = "binancecoinm"

_ADDRESS: Final = re.compile(
    r"/(?P<api>[sfdep]?api)/v\d+/(?:(?P<market>margin|um|cm)/)?(?:conditional/)?(?P<rest>.+)"
)
_VENUES: Final = {"fapi": USD_M, "dapi": COIN_M}
_MARKETS: Final = {
    "fapi": Market.CONTRACTS,
    "dapi": Market.CONTRACTS,
    "um": Market.CONTRACTS,
    "cm": Market.CONTRACTS,
    "eapi": Market.OPTIONS,
}
_KEPT_ADDRESSES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Request:
    """What a request is for: its name among those above, the venue and the market that it goes to."""

    name: str
    venue: str = BINANCE
    market: Market = Market.SPOT

    @property
    def route(self) -> Route | None:
        """The order operation that it is, if it is one."""
        return REST.get(self.name) or WS.get(self.name)


@functools.lru_cache(_KEPT_ADDRESSES)
def rest_request(method: str, uri: str) -> Request:
    """What an HTTP request is for; its query does not matter."""
    found = _ADDRESS.search(urlsplit(uri).path)
    if found is None:
        return Request("")
    api, market = found["api"], found["market"]
    return Request(
        f"{method.upper()} {found['rest']}",
        _VENUES.get(api, BINANCE),
        _MARKETS.get(market) or _MARKETS.get(api, Market.SPOT),
    )


def venue_at(url: str) -> str:
    """The venue that a WebSocket's address leads to."""
    if "fstream" in url or "fapi" in url:
        return USD_M
    return COIN_M if "dstream" in url or "dapi" in url else BINANCE
