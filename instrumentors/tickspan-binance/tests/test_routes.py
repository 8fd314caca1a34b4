"""The table of routes against the library: no helper of an order operation is missing."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any

import binance
import pytest
from binance import async_client, client
from tickspan.trading import OrderOperation, profile_of
from tickspan_binance.routes import REST, WS, Form, Market, Request, rest_request, venue_at

BASES = {
    "_request_api": "https://api.binance.com/api/v3/",
    "_request_margin_api": "https://api.binance.com/sapi/v1/",
    "_request_futures_api": "https://fapi.binance.com/fapi/v1/",
    "_request_futures_coin_api": "https://dapi.binance.com/dapi/v1/",
    "_request_options_api": "https://eapi.binance.com/eapi/v1/",
    "_request_papi_api": "https://papi.binance.com/papi/v1/",
}
SHORT = {"_get": "get", "_post": "post", "_put": "put", "_delete": "delete"}
NOT_ORDERS = re.compile(
    r"order/test|rateLimit|asyn|countdownCancelAll|autoCancelAll|convert/|orderBook|/block/order"
)
"""Tests of orders, dead man's switches, conversions, block trades between makers."""
NOT_TOLD = {"futures_v1_put_batch_order", "futures_v1_put_batch_orders", "futures_coin_v1_put_batch_orders"}
"""The README says so."""


def requests_in(module: Any) -> Iterator[tuple[str, str, str]]:
    """Helper, method and address of each request that the source of a client makes."""
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                words = [
                    arg.value
                    for arg in call.args
                    if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
                ]
                name = call.func.attr
                if name in BASES and len(words) >= 2:
                    yield function.name, words[0].upper(), BASES[name] + words[1]
                elif name in SHORT and words:
                    yield function.name, SHORT[name].upper(), BASES["_request_api"] + words[0]


def is_about_an_order(method: str, address: str) -> bool:
    last = address.rsplit("/v", 1)[-1].partition("/")[2]
    is_named_so = re.search(r"(?i)(^|/)(algo|batch|all|open|sor|conditional|um|cm|margin)?/?\w*order", last)
    return method != "GET" and is_named_so is not None and NOT_ORDERS.search(address) is None


@pytest.mark.parametrize("module", [client, async_client])
def test_every_helper_that_changes_an_order_goes_by_a_known_route(module: Any) -> None:
    asked = [request for request in requests_in(module) if is_about_an_order(*request[1:])]
    unknown = {request[0] for request in asked if rest_request(request[1], request[2]).route is None}
    assert unknown <= NOT_TOLD
    assert len(asked) > 60


@pytest.mark.parametrize("kind", [binance.Client, binance.AsyncClient])
def test_every_helper_of_the_websocket_api_that_changes_an_order_goes_by_a_known_route(kind: Any) -> None:
    source = inspect.getsource(kind)
    methods = set(re.findall(r'_ws_(?:futures_)?api_request(?:_sync)?\(\s*"([\w.]+)"', source))
    changing = {
        method
        for method in methods
        if re.search(r"place|cancel|modify|amend|order.*status$", method, re.IGNORECASE)
    }
    assert changing - set(WS) - {"openOrders.status", "openOrderLists.status"} == set()
    assert len(changing) > 10


@pytest.mark.parametrize(
    ("method", "address", "expected"),
    [
        ("post", "https://api1.binance.com/api/v3/order", Request("POST order")),
        ("delete", "https://api.binance.us/api/v3/openOrders", Request("DELETE openOrders")),
        ("get", "https://api.binance.com/sapi/v1/margin/order", Request("GET order")),
        (
            "put",
            "https://testnet.binancefuture.com/fapi/v1/order",
            Request("PUT order", "binanceusdm", Market.CONTRACTS),
        ),
        (
            "post",
            "https://dapi.binance.com/dapi/v1/batchOrders",
            Request("POST batchOrders", "binancecoinm", Market.CONTRACTS),
        ),
        (
            "delete",
            "https://papi.binance.com/papi/v1/um/conditional/order",
            Request("DELETE order", "binance", Market.CONTRACTS),
        ),
        ("post", "https://papi.binance.com/papi/v1/margin/order", Request("POST order")),
        ("post", "https://eapi.binance.com/eapi/v1/order", Request("POST order", "binance", Market.OPTIONS)),
        ("get", "https://www.binance.com/bapi/asset/v2/public", Request("")),
    ],
)
def test_an_address_says_operation_venue_and_market(method: str, address: str, expected: Request) -> None:
    assert rest_request(method, address) == expected


@pytest.mark.parametrize(
    ("name", "operation", "form"),
    [
        ("POST order", OrderOperation.SUBMIT, Form.SINGLE),
        ("POST orderList/otoco", OrderOperation.SUBMIT, Form.LIST),
        ("DELETE batchOrders", OrderOperation.CANCEL, Form.BATCH),
        ("order.cancelReplace", OrderOperation.REPLACE, Form.SINGLE),
        ("GET openOrder", OrderOperation.QUERY, Form.SINGLE),
    ],
)
def test_a_route_says_what_is_asked_and_how_orders_are_named(
    name: str, operation: OrderOperation, form: Form
) -> None:
    route = Request(name).route
    assert route is not None
    assert (route.operation, route.form) == (operation, form)


def test_the_venues_own_profile_agrees_on_every_route_that_it_has() -> None:
    addresses = {
        "binance": "/api/v3/",
        "binanceusdm": "/fapi/v1/",
        "binancecoinm": "/dapi/v1/",
    }
    for venue, base in addresses.items():
        for name, route in REST.items():
            method, _, rest = name.partition(" ")
            known = profile_of(venue).order_route(method, base + rest)
            assert known is None or known.operation is route.operation, (venue, name)


@pytest.mark.parametrize(
    ("url", "venue"),
    [
        ("wss://stream.binance.com:9443/", "binance"),
        ("wss://fstream.binance.com/private/", "binanceusdm"),
        ("wss://ws-fapi.binance.com/ws-fapi/v1", "binanceusdm"),
        ("wss://dstream.binance.com/", "binancecoinm"),
    ],
)
def test_an_address_of_a_stream_says_the_venue(url: str, venue: str) -> None:
    assert venue_at(url) == venue
