"""Calls as requests: every field that alpaca-py and alpaca-trade-api have for an order."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from tickspan.trading import OrderOperation, OrderRequest
from tickspan_alpaca import describe

CLIENT: Any = SimpleNamespace(_api_key="key", _oauth_token=None, _base_url="https://paper-api.alpaca.markets")
OLD: Any = SimpleNamespace(_key_id="key", _oauth=None, _base_url="https://api.alpaca.markets")
ID = UUID("61e69015-8549-4bfd-b9c3-01e75843f47d")
ACCOUNT = UUID("acc00000-0000-4000-8000-000000000001")

Describe = Callable[[Any, tuple[Any, ...], dict[str, Any]], OrderRequest]


def model(name: str, **fields: Any) -> Any:
    """A request of alpaca-py's."""
    from alpaca.trading import requests

    return getattr(requests, name)(**fields)


def request(operation: OrderOperation, **known: Any) -> OrderRequest:
    known = {"library": "alpaca-py", "environment": "paper", "account": "key", **known}
    return OrderRequest(operation, "alpaca", **known)


def test_a_limit_order_is_described_by_all_its_fields() -> None:
    order = model(
        "LimitOrderRequest",
        symbol="AAPL",
        qty=1.5,
        side="buy",
        time_in_force="gtc",
        limit_price=190.25,
        client_order_id="mine",
    )
    assert describe.submit_order(CLIENT, (order,), {}) == request(
        OrderOperation.SUBMIT,
        instrument="AAPL",
        instrument_class="equity",
        client_id="mine",
        side="buy",
        type="limit",
        time_in_force="good_till_cancel",
        quantity=Decimal("1.5"),
        price=Decimal("190.25"),
    )


def test_arguments_may_have_names() -> None:
    order = model("MarketOrderRequest", symbol="BTC/USD", notional=100, side="sell", time_in_force="ioc")
    assert describe.submit_order(CLIENT, (), {"order_data": order}) == request(
        OrderOperation.SUBMIT,
        instrument="BTC/USD",
        instrument_class="spot",
        side="sell",
        type="market",
        time_in_force="immediate_or_cancel",
    )


def test_a_brokers_order_is_of_the_account_it_is_for() -> None:
    order = model("MarketOrderRequest", symbol="AAPL", qty=1, side="buy", time_in_force="day")
    described = describe.submit_order_for_account(CLIENT, (ACCOUNT, order), {})
    assert (described.account, described.instrument) == (str(ACCOUNT), "AAPL")


def test_the_older_librarys_usual_order_is_a_market_order_of_the_day() -> None:
    assert describe.submit_order_bare(OLD, ("AAPL", 3), {"client_order_id": "mine"}) == request(
        OrderOperation.SUBMIT,
        library="alpaca-trade-api",
        environment="live",
        instrument="AAPL",
        instrument_class="equity",
        client_id="mine",
        side="buy",
        type="market",
        time_in_force="day",
        quantity=Decimal(3),
    )


def test_a_bracket_is_one_request_of_three_orders() -> None:
    order = model(
        "MarketOrderRequest",
        symbol="AAPL",
        qty=2,
        side="buy",
        time_in_force="day",
        order_class="bracket",
        client_order_id="mine",
        take_profit={"limit_price": 200},
        stop_loss={"stop_price": 180, "limit_price": 179},
    )
    described = describe.submit_order(CLIENT, (order,), {})
    assert (described.client_id, described.type) == ("mine", "market")
    assert [(one.client_id, one.side, one.type, one.price, one.stop_price) for one in described.batch] == [
        ("mine", "buy", "market", None, None),
        (None, "sell", "limit", Decimal(200), None),
        (None, "sell", "stop_limit", Decimal(179), Decimal(180)),
    ]
    assert {one.quantity for one in described.batch} == {Decimal(2)}


@pytest.mark.parametrize(
    ("fields", "legs"),
    [
        ({"order_class": "oto", "take_profit": {"limit_price": "200"}}, ["limit"]),
        ({"order_class": "oto", "stop_loss": {"stop_price": "180"}}, ["stop"]),
        (
            {
                "order_class": "oco",
                "take_profit": {"limit_price": "200"},
                "stop_loss": {"stop_price": "180"},
            },
            ["stop"],
        ),
        ({"order_class": "simple"}, []),
        ({}, []),
    ],
)
def test_what_hangs_on_an_order_depends_on_its_class(fields: dict[str, Any], legs: list[str]) -> None:
    described = describe.submit_order_bare(OLD, ("AAPL", 1, "buy", "limit"), fields)
    assert [one.type for one in described.batch[1:]] == legs


def test_each_leg_of_options_is_an_order() -> None:
    legs = [
        {"symbol": f"AAPL250321{kind}00200000", "side": side} for kind, side in (("P", "buy"), ("C", "sell"))
    ]
    described = describe.submit_order(
        CLIENT, ({"qty": 1, "type": "limit", "order_class": "mleg", "legs": legs},), {}
    )
    assert [(one.instrument_class, one.side) for one in described.batch] == [
        (None, None),
        ("option", "buy"),
        ("option", "sell"),
    ]


def test_a_replacement_names_the_order_and_what_changes() -> None:
    change = model("ReplaceOrderRequest", qty=3, limit_price=191, time_in_force="fok", client_order_id="next")
    new = describe.replace_order(CLIENT, (ID, change), {})
    old = describe.replace_order_bare(
        OLD, (str(ID), 3), {"limit_price": 191, "time_in_force": "fok", "client_order_id": "next"}
    )
    assert new == request(
        OrderOperation.REPLACE,
        venue_id=str(ID),
        client_id="next",
        time_in_force="fill_or_kill",
        quantity=Decimal(3),
        price=Decimal(191),
    )
    assert (old.venue_id, old.client_id, old.quantity, old.price) == (
        new.venue_id,
        new.client_id,
        new.quantity,
        new.price,
    )


@pytest.mark.parametrize(
    ("asked", "args", "expected"),
    [
        (describe.cancel_order, (ID,), request(OrderOperation.CANCEL, venue_id=str(ID))),
        (describe.cancel_orders, (), request(OrderOperation.CANCEL)),
        (describe.cancel_orders, (ACCOUNT,), request(OrderOperation.CANCEL, account=str(ACCOUNT))),
        (
            describe.cancel_order_for_account,
            (ACCOUNT, ID),
            request(OrderOperation.CANCEL, account=str(ACCOUNT), venue_id=str(ID)),
        ),
        (describe.order_by_id, (ID,), request(OrderOperation.QUERY, venue_id=str(ID))),
        (
            describe.order_for_account_by_id,
            (ACCOUNT, ID),
            request(OrderOperation.QUERY, account=str(ACCOUNT), venue_id=str(ID)),
        ),
        (describe.order_by_client_id, ("mine",), request(OrderOperation.QUERY, original_client_id="mine")),
        (
            describe.order_for_account_by_client_id,
            (ACCOUNT, "mine"),
            request(OrderOperation.QUERY, account=str(ACCOUNT), original_client_id="mine"),
        ),
        (
            describe.replace_order_for_account,
            (ACCOUNT, ID),
            request(OrderOperation.REPLACE, account=str(ACCOUNT), venue_id=str(ID)),
        ),
        (
            describe.close_position,
            ("AAPL", {"qty": "2"}),
            request(
                OrderOperation.SUBMIT,
                instrument="AAPL",
                instrument_class="equity",
                type="market",
                quantity=Decimal(2),
            ),
        ),
        (describe.close_position, (ID,), request(OrderOperation.SUBMIT, type="market")),
        (
            describe.close_position_for_account,
            (ACCOUNT, "BTC/USD"),
            request(
                OrderOperation.SUBMIT,
                account=str(ACCOUNT),
                instrument="BTC/USD",
                instrument_class="spot",
                type="market",
            ),
        ),
        (describe.close_all_positions, (), request(OrderOperation.SUBMIT, type="market")),
        (
            describe.close_all_positions_for_account,
            (ACCOUNT,),
            request(OrderOperation.SUBMIT, account=str(ACCOUNT), type="market"),
        ),
    ],
)
def test_what_is_about_an_order_or_a_position_names_it(
    asked: Describe, args: tuple[Any, ...], expected: OrderRequest
) -> None:
    assert asked(CLIENT, args, {}) == expected


def test_the_older_librarys_way_to_close_a_position() -> None:
    described = describe.close_position_bare(OLD, ("AAPL",), {"qty": 2})
    assert (described.instrument, described.quantity) == ("AAPL", Decimal(2))


@pytest.mark.parametrize(
    ("client", "environment"),
    [
        (CLIENT, "paper"),
        (OLD, "live"),
        (SimpleNamespace(_api_key="key", _base_url="http://127.0.0.1:9"), None),
        (SimpleNamespace(_api_key="key", _endpoint="wss://paper-api.alpaca.markets/stream"), "paper"),
        (SimpleNamespace(_api_key="key", _base_url="https://api.binance.com"), None),
        (SimpleNamespace(_api_key="key"), None),
    ],
)
def test_the_environment_is_what_the_address_says(client: Any, environment: str | None) -> None:
    assert describe.environment_of(client) == environment


def test_a_client_of_an_application_is_told_apart_by_its_token() -> None:
    client = SimpleNamespace(_api_key=None, _oauth_token="token")
    assert (describe.account_of(client), describe.library_of(client)) == ("token", "alpaca-py")


@pytest.mark.parametrize("order", [None, 7, "AAPL", object()])
def test_what_is_no_order_is_described_as_far_as_it_goes(order: Any) -> None:
    assert describe.submit_order(CLIENT, (order,), {}) == request(OrderOperation.SUBMIT)
