"""Venues' profiles: whose host that is, what a request asks, and what becomes of a bad profile."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tickspan.recording import diagnostics
from tickspan.trading import (
    ClientIdUnique,
    LimitField,
    OrderOperation,
    OrderRoute,
    RateHeader,
    RejectReason,
    VenueProfile,
    client_id_in,
    profile_of,
    profile_of_host,
    reject_of_code,
)
from tickspan.trading.venues import known, profiles
from tickspan.trading.venues.checking import problem_of

SUBMIT, CANCEL, REPLACE, QUERY = (
    OrderOperation.SUBMIT,
    OrderOperation.CANCEL,
    OrderOperation.REPLACE,
    OrderOperation.QUERY,
)


@pytest.mark.parametrize("profile", profiles(), ids=lambda profile: profile.name)
def test_our_own_profiles_are_good(profile: VenueProfile) -> None:
    assert problem_of(profile) is None
    assert profile.hosts
    assert profile.order_routes


@pytest.mark.parametrize(
    ("host", "whose"),
    [
        ("api.binance.com", ("binance", "live")),
        ("api4.binance.com", ("binance", "live")),
        ("FAPI.binance.com.", ("binanceusdm", "live")),
        ("dapi.binance.com", ("binancecoinm", "live")),
        ("api.binance.us", ("binanceus", "live")),
        ("demo-api.binance.com", ("binance", "paper")),
        ("testnet.binance.vision", ("binance", "testnet")),
        ("ws-api.testnet.binance.vision", ("binance", "testnet")),
        ("testnet.binancefuture.com", ("binanceusdm", "testnet")),
        ("api.alpaca.markets", ("alpaca", "live")),
        ("paper-api.alpaca.markets", ("alpaca", "paper")),
        ("api-demo.bybit.com", ("bybit", "paper")),
        ("api-testnet.bybit.com", ("bybit", "testnet")),
        ("eea.okx.com", ("okx", "live")),
        ("wspap.okx.com", ("okx", "paper")),
        ("api.kraken.com", ("kraken", "live")),
        ("demo-futures.kraken.com", ("krakenfutures", "testnet")),
        ("api.coinbase.com", ("coinbase", "live")),
        ("api.exchange.coinbase.com", ("coinbaseexchange", "live")),
        ("api.hyperliquid-testnet.xyz", ("hyperliquid", "testnet")),
        ("ws.kite.trade", ("kite", "live")),
        ("binance.com.example.com", None),
        ("notbinance.com", None),
        ("binance.com", None),
        ("127.0.0.1", None),
        ("", None),
    ],
)
def test_a_host_tells_the_venue_and_where_orders_go(host: str, whose: tuple[str, str] | None) -> None:
    found = profile_of_host(host)
    assert (None if found is None else (found[0].name, found[1])) == whose


@pytest.mark.parametrize(
    ("venue", "method", "path", "body", "told"),
    [
        ("binance", "POST", "/api/v3/order", "", (SUBMIT, False)),
        ("binance", "post", "/api/v3/order/test", "", None),
        ("binance", "POST", "/api/v3/order/cancelReplace", "", (REPLACE, False)),
        ("binance", "POST", "/api/v3/orderList/oco", "", (SUBMIT, True)),
        ("binance", "DELETE", "/api/v3/openOrders", "", (CANCEL, True)),
        ("binance", "GET", "/api/v3/openOrders", "", None),
        ("binance", "POST", "/papi/v1/um/order", "", (SUBMIT, False)),
        ("binanceusdm", "POST", "/fapi/v1/batchOrders", "", (SUBMIT, True)),
        ("binanceusdm", "PUT", "/fapi/v1/order", "", (REPLACE, False)),
        ("binancecoinm", "DELETE", "/dapi/v1/order", "", (CANCEL, False)),
        ("alpaca", "POST", "/v2/orders", "", (SUBMIT, False)),
        ("alpaca", "PATCH", "/v2/orders/61e69015", "", (REPLACE, False)),
        ("alpaca", "DELETE", "/v2/orders", "", (CANCEL, True)),
        ("alpaca", "GET", "/v2/orders:by_client_order_id", "", (QUERY, False)),
        ("alpaca", "GET", "/v2/orders", "", None),
        ("alpaca", "POST", "/v1/trading/accounts/7/orders", "", (SUBMIT, False)),
        ("alpaca", "DELETE", "/v2/positions/AAPL", "", (SUBMIT, False)),
        ("bybit", "POST", "/v5/order/create", "", (SUBMIT, False)),
        ("bybit", "POST", "/v5/order/pre-check", "", None),
        ("bybit", "POST", "/v5/order/cancel-all", "", (CANCEL, True)),
        ("okx", "POST", "/api/v5/trade/batch-orders", "", (SUBMIT, True)),
        ("okx", "POST", "/api/v5/trade/amend-order", "", (REPLACE, False)),
        ("okx", "POST", "/api/v5/trade/order-precheck", "", None),
        ("kraken", "POST", "/0/private/AddOrder", "", (SUBMIT, False)),
        ("kraken", "POST", "/0/private/OpenOrders", "", None),
        ("krakenfutures", "POST", "/derivatives/api/v3/sendorder", "", (SUBMIT, False)),
        ("coinbase", "POST", "/api/v3/brokerage/orders/preview", "", None),
        ("coinbase", "POST", "/api/v3/brokerage/orders/batch_cancel", "", (CANCEL, True)),
        ("coinbase", "GET", "/api/v3/brokerage/orders/historical/batch", "", None),
        ("coinbase", "GET", "/api/v3/brokerage/orders/historical/0-1", "", (QUERY, False)),
        ("hyperliquid", "POST", "/exchange", '{"action": {"type": "order", "orders": []}}', (SUBMIT, False)),
        ("hyperliquid", "POST", "/exchange", '{"action":{"type":"cancelByCloid"}}', (CANCEL, False)),
        ("hyperliquid", "POST", "/exchange", '{"action":{"type":"batchModify"}}', (REPLACE, True)),
        ("hyperliquid", "POST", "/exchange", '{"action":{"type":"usdSend"}}', None),
        ("hyperliquid", "POST", "/info", '{"type": "orderStatus", "oid": 1}', (QUERY, False)),
        ("hyperliquid", "POST", "/info", '{"type": "meta"}', None),
        ("kite", "POST", "/orders/regular", "", (SUBMIT, False)),
        ("kite", "PUT", "/orders/amo/151220000000000", "", (REPLACE, False)),
        ("kite", "DELETE", "/orders/regular/151220000000000", "", (CANCEL, False)),
        ("kite", "GET", "/orders", "", None),
        ("nowhere", "POST", "/orders", "", None),
    ],
)
def test_a_request_tells_its_operation(
    venue: str, method: str, path: str, body: str, told: tuple[OrderOperation, bool] | None
) -> None:
    route = profile_of(venue).order_route(method, path, body)
    assert (None if route is None else (route.operation, route.is_batch)) == told


def test_until_when_a_client_id_is_refused_is_known_or_not_said() -> None:
    assert {profile.name: profile.client_id_unique for profile in profiles()} == {
        "alpaca": ClientIdUnique.ALWAYS,
        "binance": ClientIdUnique.WHILE_OPEN,
        "binanceusdm": ClientIdUnique.WHILE_OPEN,
        "binancecoinm": ClientIdUnique.WHILE_OPEN,
        "binanceus": ClientIdUnique.WHILE_OPEN,
        "bybit": ClientIdUnique.ALWAYS,
        "coinbase": ClientIdUnique.ALWAYS,
        "coinbaseexchange": ClientIdUnique.NEVER,
        "hyperliquid": None,
        "kite": ClientIdUnique.NEVER,
        "kraken": ClientIdUnique.WHILE_OPEN,
        "krakenfutures": None,
        "okx": ClientIdUnique.WHILE_OPEN,
    }


@pytest.mark.parametrize(
    ("venue", "request_text", "client_id"),
    [
        ("binance", "symbol=BTCUSDT&newClientOrderId=x-1&quantity=1", "x-1"),
        ("okx", '{"instId":"BTC-USDT","clOrdId":"b15"}', "b15"),
        ("bybit", '{"orderLinkId": "spot-1", "qty": "1"}', "spot-1"),
        ("kraken", "nonce=1&ordertype=limit&cl_ord_id=6d1b345e", "6d1b345e"),
        ("hyperliquid", '{"orders":[{"a":4,"b":true,"c":"0x1234"}]}', "0x1234"),
        ("hyperliquid", '{"cancels":[{"asset":4,"cloid":"0x1234"}]}', "0x1234"),
        ("kite", "tradingsymbol=INFY&tag=mine", None),
    ],
)
def test_a_request_tells_the_clients_id(venue: str, request_text: str, client_id: str | None) -> None:
    assert client_id_in(profile_of(venue), request_text) == client_id


@pytest.mark.parametrize(
    ("venue", "code", "message", "reason"),
    [
        ("binance", "-2010", "Account has insufficient balance for requested action.", RejectReason.FUNDS),
        ("binanceusdm", "-2019", "Margin is insufficient.", RejectReason.FUNDS),
        ("alpaca", "40010001", "client_order_id must be unique", RejectReason.DUPLICATE_ID),
        ("alpaca", "40310000", "insufficient buying power", RejectReason.FUNDS),
        ("alpaca", "42210000", "asset not found for symbol: NOPE", RejectReason.SYMBOL),
        ("alpaca", "42210000", "invalid limit_price 1.2345. sub-penny increment", RejectReason.PRICE),
        ("bybit", "110072", "OrderLinkedID is duplicate", RejectReason.DUPLICATE_ID),
        ("okx", "51008", "Insufficient balance", RejectReason.FUNDS),
        ("kraken", "EOrder:Insufficient funds", None, RejectReason.FUNDS),
        ("coinbase", "INSUFFICIENT_FUND", None, RejectReason.FUNDS),
        ("hyperliquid", "error", "Order must have minimum value of $10.", RejectReason.QUANTITY),
        ("kite", "MarginException", None, RejectReason.FUNDS),
        ("kite", "OrderException", None, RejectReason.OTHER),
    ],
)
def test_a_refusal_has_a_reason_that_all_venues_share(
    venue: str, code: str, message: str | None, reason: RejectReason
) -> None:
    reject = reject_of_code(profile_of(venue), code, message)
    assert (reject.reason, reject.error_type) == (reason, f"{venue}:{code}")


GOOD = VenueProfile(
    "house",
    hosts={"house.example": "live", ".house.example": "paper"},
    order_routes=(OrderRoute("POST", "/orders", SUBMIT),),
    rate_headers=(RateHeader(r"x-left-(\d+)", "requests", r"\1s", LimitField.REMAINING),),
    limits={("requests", "1s"): 10},
    query_names=frozenset({"book"}),
    secret_paths=("/ws/{door}",),
    reasons={"1": RejectReason.FUNDS},
    message_reasons=(("no money", RejectReason.FUNDS),),
)


def route(**known: Any) -> tuple[OrderRoute, ...]:
    return (GOOD.order_routes[0], replace(GOOD.order_routes[0], **known))


def header(**known: Any) -> tuple[RateHeader, ...]:
    return (replace(GOOD.rate_headers[0], **known),)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": ""}, "name: expected a non-empty str, got ''"),
        ({"hosts": ["a"]}, "hosts: expected a mapping of host to environment, got ['a']"),
        (
            {"hosts": {"https://a": "live"}},
            "hosts: expected a host in lower case, or '.suffix', got 'https://a'",
        ),
        ({"hosts": {"a": None}}, "hosts['a']: expected an environment such as 'live', got None"),
        ({"order_routes": ("POST /",)}, "order_routes[0]: expected an OrderRoute, got 'POST /'"),
        (
            {"order_routes": route(method="post")},
            "order_routes[1].method: expected one of GET, POST, PUT, PATCH, DELETE, got 'post'",
        ),
        (
            {"order_routes": route(operation="submit")},
            "order_routes[1].operation: expected an OrderOperation, got 'submit'",
        ),
        (
            {"order_routes": route(path="(")},
            (
                "order_routes[1].path: expected a regular expression, got '(': "
                "missing ), unterminated subpattern at position 0"
            ),
        ),
        (
            {"client_id_unique": "ever"},
            "client_id_unique: expected one of always, while_open, never, got 'ever'",
        ),
        ({"rate_headers": header(name="")}, "rate_headers[0].name: expected a non-empty str, got ''"),
        (
            {"rate_headers": header(field="left")},
            "rate_headers[0].field: expected one of used, remaining, limit, reset, got 'left'",
        ),
        (
            {"rate_headers": header(scope=r"\2")},
            r"rate_headers[0].scope: expected references to one of 1 groups, got '\\2'",
        ),
        ({"limits": {"requests": 0}}, "limits['requests']: expected a number above 0, got 0"),
        ({"query_names": frozenset({""})}, "query_names[0]: expected a non-empty str, got ''"),
        (
            {"secret_paths": ("/ws/key",)},
            "secret_paths[0]: expected a path such as '/ws/{listenKey}', got '/ws/key'",
        ),
        ({"reasons": {"1": "funds"}}, "reasons['1']: expected a RejectReason, got 'funds'"),
        (
            {"message_reasons": ("no money",)},
            "message_reasons[0]: expected a fragment and a RejectReason, got 'no money'",
        ),
    ],
)
def test_a_bad_profile_is_told_by_its_field(change: dict[str, Any], problem: str) -> None:
    assert problem_of(GOOD) is None
    assert problem_of(replace(GOOD, **change)) == problem


def test_the_pages_example_is_a_good_profile() -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/add-a-venue.md").read_text()
    names: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], names)
    assert problem_of(names["PROFILE"]) is None


class Installed:
    """Stands for an installed entry point."""

    def __init__(self, name: str, profile: object) -> None:
        self.name = name
        self.value = f"{name}_venue:PROFILE"
        self._profile = profile

    def load(self) -> object:
        if isinstance(self._profile, Exception):
            raise self._profile
        return self._profile


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    monkeypatch.setattr(diagnostics, "handlers", [Keep()])
    return lines


def test_profiles_of_others_are_read_once_and_bad_ones_left_out(
    monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    kite = replace(profile_of("kite"), hosts={"kite.house.example": "simulated"})
    installed = [
        Installed("house", GOOD),
        Installed("bad", replace(GOOD, name="")),
        Installed("nothing", 7),
        Installed("broken", ImportError("at /home/me")),
        Installed("kite", kite),
    ]
    asked: list[str] = []

    def entry_points(*, group: str) -> list[Installed]:
        asked.append(group)
        return installed

    monkeypatch.setattr(known, "entry_points", entry_points)
    monkeypatch.setattr(known, "_profiles", known._Profiles())
    assert profile_of("house") is GOOD
    assert profile_of_host("a.house.example") == (GOOD, "paper")
    assert profile_of_host("kite.house.example") == (kite, "simulated")
    assert profile_of("bad") == VenueProfile("bad")
    assert profile_of("binance").name == "binance"
    assert asked == ["tickspan_venues"]
    assert told == [
        "venue 'bad' is left out: name: expected a non-empty str, got '' (bad_venue:PROFILE)",
        "venue 'nothing' is left out: expected a VenueProfile, got 7 (nothing_venue:PROFILE)",
        "venue 'broken' is left out: ImportError while it was loaded",
    ]
