"""What calls ask for, as values."""

from __future__ import annotations

import importlib
from decimal import Decimal
from typing import Any

import pytest
from tickspan.trading import ClientIdUnique, OrderOperation, OrderRequest
from tickspan_ib import describe
from tickspan_ib.describe import Place

PAPER = Place("ib_async", 7, "DU1234567")
LIVE = Place("ib_async", 7, "U1234567")


@pytest.fixture(params=["ib_async", "ib_insync"])
def ib(request: pytest.FixtureRequest) -> Any:
    """Either library."""
    return importlib.import_module(request.param)


def test_a_limit_order_says_all_of_itself(ib: Any) -> None:
    contract = ib.Stock("AAPL", "SMART", "USD", localSymbol="AAPL")
    order = ib.LimitOrder("BUY", 10, 190.5, tif="GTC", ocaGroup="either", parentId=4, permId=99)
    assert describe.placement(PAPER, contract, order, 5, OrderOperation.SUBMIT) == OrderRequest(
        OrderOperation.SUBMIT,
        "ib",
        "ib_async",
        environment="paper",
        account="DU1234567",
        instrument="AAPL/USD",
        venue_symbol="AAPL",
        instrument_class="equity",
        client_id="7:5",
        venue_id="99",
        parent_id="7:4",
        list_id="either",
        side="buy",
        type="limit",
        time_in_force="good_till_cancel",
        quantity=Decimal(10),
        price=Decimal("190.5"),
        client_id_unique=ClientIdUnique.ALWAYS,
    )


def test_what_is_unset_is_absent(ib: Any) -> None:
    asked = describe.placement(
        LIVE, ib.Stock("AAPL", "SMART", "USD"), ib.MarketOrder("SELL", 1), 0, OrderOperation.SUBMIT
    )
    assert (asked.environment, asked.client_id, asked.venue_id, asked.parent_id, asked.list_id) == (
        None,
        None,
        None,
        None,
        None,
    )
    assert (asked.type, asked.price, asked.stop_price, asked.time_in_force, asked.venue_symbol) == (
        "market",
        None,
        None,
        "day",
        None,
    )


@pytest.mark.parametrize(
    ("order_type", "shared", "raw"),
    [
        ("STP", "stop", None),
        ("STP LMT", "stop_limit", None),
        ("TRAIL", "trailing_stop", None),
        ("MIDPRICE", None, "MIDPRICE"),
    ],
)
def test_a_type_that_others_do_not_have_keeps_its_own_word(
    ib: Any, order_type: str, shared: str | None, raw: str | None
) -> None:
    order = ib.Order(action="SSHORT", totalQuantity=1, orderType=order_type, auxPrice=180)
    asked = describe.placement(LIVE, ib.Stock("AAPL", "SMART", "USD"), order, 1, OrderOperation.SUBMIT)
    assert (asked.type, asked.type_raw, asked.side, asked.stop_price) == (
        shared,
        raw,
        "sell_short",
        Decimal(180),
    )


@pytest.mark.parametrize(
    ("kind", "arguments", "name"),
    [
        ("Stock", {"symbol": "AAPL", "currency": "USD"}, "AAPL/USD"),
        ("Forex", {"pair": "EURUSD"}, "EUR/USD"),
        ("Crypto", {"symbol": "BTC", "currency": "USD"}, "BTC/USD"),
        ("Future", {"symbol": "ES", "currency": "USD", "localSymbol": "ESZ6"}, "ESZ6"),
        ("Future", {"symbol": "ES", "currency": "USD"}, "ES/USD"),
        ("Option", {"symbol": "SPY", "currency": "USD", "localSymbol": "SPY  261218C00600000"}, None),
    ],
)
def test_an_instrument_has_one_name(ib: Any, kind: str, arguments: dict[str, str], name: str | None) -> None:
    contract = getattr(ib, kind)(**arguments)
    assert describe.instrument_of(contract) == (name or arguments["localSymbol"])


@pytest.mark.parametrize(
    ("account", "environment"),
    [("DU1234567", "paper"), ("DF1234567", "paper"), ("U1234567", None), ("F1234567", None), (None, None)],
)
def test_a_paper_account_is_one_by_its_number(account: str | None, environment: str | None) -> None:
    assert Place("ib_async", 1, account).environment == environment


def test_a_cancel_names_the_order_as_its_client_and_as_the_venue_do(ib: Any) -> None:
    trade = ib.Trade(ib.Stock("AAPL", "SMART", "USD"), ib.LimitOrder("BUY", 1, 1, permId=99))
    asked = describe.cancel(PAPER, 5, trade)
    assert (asked.operation, asked.original_client_id, asked.venue_id, asked.instrument) == (
        OrderOperation.CANCEL,
        "7:5",
        "99",
        "AAPL/USD",
    )


def test_a_cancel_of_what_the_library_does_not_know_still_names_it() -> None:
    asked = describe.cancel(PAPER, 5, None)
    assert (asked.original_client_id, asked.venue_id, asked.instrument) == ("7:5", None, None)


@pytest.mark.parametrize("value", [None, "", 0, 0.0, 1.7976931348623157e308, float("nan")])
def test_no_number_is_none(value: Any) -> None:
    assert describe.number(value) is None
