"""What ib_async and ib_insync write, as the TWS dialect reads it."""

import importlib
from decimal import Decimal
from typing import Any

import pytest

from tickspan.testing.venue.tws.requests import (
    Contract,
    Fields,
    Placement,
    UnreadableError,
    read_placement,
)

LIBRARIES = ("ib_async", "ib_insync")


def sent(library: str, contract: Any, order: Any) -> list[str]:
    """The fields of a `placeOrder` of this library, without the message's id."""
    messages: list[str] = []
    client = importlib.import_module(f"{library}.client").Client(object())
    client._serverVersion, client.connState = 176, client.CONNECTED
    client.sendMsg = messages.append
    client.placeOrder(12, contract, order)
    return messages[0].split("\0")[1:-1]


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_order_is_read_as_it_was_placed(library: str):
    ib = importlib.import_module(library)
    order = ib.LimitOrder("SELL", 2.5, 210.25, tif="GTC", orderRef="mine", account="DU1", parentId=3)
    assert read_placement(Fields(sent(library, ib.Stock("AAPL", "SMART", "USD"), order))) == Placement(
        12,
        Contract(0, "AAPL", "STK", "SMART", "USD"),
        "SELL",
        Decimal("2.5"),
        "LMT",
        Decimal("210.25"),
        "GTC",
        "DU1",
        "mine",
        transmit=True,
        parent_id=3,
        is_what_if=False,
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_market_order_has_no_price_and_is_good_for_the_day(library: str):
    ib = importlib.import_module(library)
    read = read_placement(
        Fields(sent(library, ib.Contract(conId=99), ib.MarketOrder("BUY", 1, transmit=False)))
    )
    assert (read.contract.con_id, read.type, read.limit_price, read.time_in_force, read.transmit) == (
        99,
        "MKT",
        None,
        "DAY",
        False,
    )


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"hedgeType": "P", "hedgeParam": "1.5"},
        {"algoStrategy": "Adaptive", "algoParams": "tags"},
        {"scalePriceIncrement": 0.1},
        {"deltaNeutralOrderType": "MKT"},
    ],
)
@pytest.mark.parametrize("is_what_if", [True, False])
def test_a_what_if_is_found_behind_every_optional_block(library: str, more: dict[str, Any], is_what_if: bool):
    ib = importlib.import_module(library)
    tags = [ib.TagValue("adaptivePriority", "Urgent"), ib.TagValue("other", "1")]
    known = {name: tags if value == "tags" else value for name, value in more.items()}
    order = ib.LimitOrder("BUY", 1, 100, whatIf=is_what_if, **known)
    assert read_placement(Fields(sent(library, ib.Forex("EURUSD"), order))).is_what_if is is_what_if


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (["12"], "more than 1 fields"),
        (["twelve"], "a whole number, got 'twelve'"),
    ],
)
def test_what_cannot_be_read_says_what_was_expected(fields: list[str], words: str):
    with pytest.raises(UnreadableError, match=words):
        read_placement(Fields(fields))


def test_combinations_are_not_traded():
    ib = importlib.import_module("ib_async")
    fields = sent(
        "ib_async", ib.Bag(symbol="SPY", exchange="SMART", currency="USD"), ib.MarketOrder("BUY", 1)
    )
    with pytest.raises(UnreadableError, match="combinations"):
        read_placement(Fields(fields))
