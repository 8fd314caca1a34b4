from dataclasses import replace
from decimal import Decimal

import pytest

from tickspan.testing.venue import Behaviour, Side, Status
from tickspan.testing.venue.orders import Balance, Desk, NewOrder, Reason, RefusedError

BID, ASK = Decimal(100), Decimal(101)
BOOKED = Behaviour(symbols=("AAPL/USD=100",), balances={"USD": "1000", "AAPL": "10"}, fee_rate=0)


def desk_with(side: Side, quantity: int, price: int) -> tuple[Desk, int]:
    """A desk that holds one limit order, and the order's id."""
    desk = Desk(BOOKED)
    new = NewOrder("AAPLUSD", side, "LIMIT", Decimal(quantity), price=Decimal(price), client_id="mine")
    return desk, desk.accept(desk.check(new, BID, ASK), 1).order_id


def amend(desk: Desk, order_id: int, quantity: int, price: int):
    return desk.amend(order_id, Decimal(quantity), Decimal(price), BID, ASK, 2)


def test_an_amended_order_is_the_same_order_and_holds_what_it_needs_now():
    desk, order_id = desk_with(Side.BUY, 5, 90)
    before = desk.order(order_id)
    amended = amend(desk, order_id, 8, 95)
    assert amended == replace(
        before, quantity=Decimal(8), price=Decimal(95), working_price=Decimal(95), updated_ms=2
    )
    assert desk.orders == (amended,)
    assert desk.balances["USD"] == Balance(Decimal(240), Decimal(760))


def test_an_amended_sale_holds_the_instrument():
    desk, order_id = desk_with(Side.SELL, 5, 120)
    amend(desk, order_id, 2, 110)
    assert desk.balances["AAPL"] == Balance(Decimal(8), Decimal(2))


@pytest.mark.parametrize(("price", "is_maker", "working"), [(99, True, 99), (105, False, 101)])
def test_an_order_rests_or_crosses_by_its_new_price(price: int, is_maker: bool, working: int):
    desk, order_id = desk_with(Side.BUY, 1, 90)
    amended = amend(desk, order_id, 1, price)
    assert (amended.is_maker, amended.working_price) == (is_maker, working)


@pytest.mark.parametrize(
    ("quantity", "price", "reason"),
    [
        (50, 90, Reason.FUNDS),
        (2, 90, Reason.LOT_SIZE),
        (0, 90, Reason.LOT_SIZE),
        (5, -1, Reason.PRICE_FILTER),
    ],
)
def test_an_amendment_that_cannot_be_changes_nothing(quantity: int, price: int, reason: Reason):
    desk, order_id = desk_with(Side.BUY, 5, 90)
    desk.fill(order_id, Decimal(2), 2)
    before, owned = desk.order(order_id), desk.balances
    with pytest.raises(RefusedError) as refused:
        amend(desk, order_id, quantity, price)
    assert refused.value.reason is reason
    assert (desk.order(order_id), desk.balances) == (before, owned)


def test_an_order_that_is_over_cannot_be_amended():
    desk, order_id = desk_with(Side.BUY, 5, 90)
    desk.end(order_id, Status.CANCELED, 2)
    with pytest.raises(RefusedError) as refused:
        amend(desk, order_id, 5, 91)
    assert refused.value.reason is Reason.NOT_OPEN
