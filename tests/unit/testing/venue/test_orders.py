from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.testing.venue import Behaviour, Side, Status
from tickspan.testing.venue.orders import Balance, Desk, NewOrder, Reason, RefusedError, VenueOrder

BID, ASK = Decimal(59_999), Decimal(60_000)
BUY = NewOrder("BTCUSDT", Side.BUY, "LIMIT", Decimal("0.01"), price=Decimal(50_000), client_id="mine")


def desk() -> Desk:
    return Desk(Behaviour(balances={"USDT": "10000", "BTC": "1"}))


def placed(books: Desk, new: NewOrder) -> VenueOrder:
    return books.accept(books.check(new, BID, ASK), 1_000)


def reason(act: Callable[[], object]) -> Reason:
    with pytest.raises(RefusedError) as refused:
        act()
    return refused.value.reason


def test_an_order_holds_its_funds_until_it_ends():
    books = desk()
    order = placed(books, BUY)
    held = books.balances["USDT"]
    books.end(order.order_id, Status.CANCELED, 2_000)

    assert held == Balance(Decimal(9_500), Decimal(500))
    assert books.balances["USDT"] == Balance(Decimal(10_000), Decimal(0))


def test_a_limit_order_that_crosses_takes_at_the_markets_price_and_pays_no_more():
    books = desk()
    order = placed(books, replace(BUY, price=Decimal(61_000)))
    filled, execution = books.fill(order.order_id, Decimal("0.01"), 2_000)

    assert (execution.price, execution.is_maker, filled.status) == (ASK, False, Status.FILLED)
    assert books.balances["USDT"] == Balance(Decimal(9_400), Decimal(0))
    assert books.balances["BTC"] == Balance(Decimal("1.00999"), Decimal(0))


def test_a_partial_fill_leaves_the_rest():
    books = desk()
    order = placed(books, BUY)
    partial, _ = books.fill(order.order_id, Decimal("0.004"), 2_000)

    assert (partial.status, partial.leaves_quantity, partial.filled_quote) == (
        Status.PARTIALLY_FILLED,
        Decimal("0.006"),
        Decimal(200),
    )


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (replace(BUY, symbol="XYZ"), Reason.UNKNOWN_SYMBOL),
        (replace(BUY, price=Decimal("50000.001")), Reason.PRICE_FILTER),
        (replace(BUY, price=Decimal(-1)), Reason.PRICE_FILTER),
        (replace(BUY, quantity=Decimal("0.000001")), Reason.LOT_SIZE),
        (replace(BUY, price=Decimal(70_000_000_000)), Reason.PRICE_FILTER),
        (replace(BUY, quantity=Decimal(0)), Reason.LOT_SIZE),
        (replace(BUY, quantity=Decimal(2_000)), Reason.LOT_SIZE),
        (replace(BUY, quantity=Decimal("0.00001")), Reason.NOTIONAL),
        (replace(BUY, quantity=Decimal(1)), Reason.FUNDS),
        (replace(BUY, side=Side.SELL, quantity=Decimal(2)), Reason.FUNDS),
        (replace(BUY, type="LIMIT_MAKER", price=ASK), Reason.WOULD_TAKE),
    ],
)
def test_a_broken_rule_is_refused_and_nothing_is_booked(new: NewOrder, expected: Reason):
    books = desk()
    before = books.balances
    assert reason(lambda: placed(books, new)) is expected
    assert (books.orders, books.balances) == ((), before)


def test_what_has_ended_cannot_end_again():
    books = desk()
    order = placed(books, BUY)
    books.end(order.order_id, Status.CANCELED, 2_000)
    assert reason(lambda: books.end(order.order_id, Status.CANCELED, 3_000)) is Reason.NOT_OPEN


def test_a_client_id_means_its_newest_order():
    books = desk()
    first = placed(books, BUY)
    books.end(first.order_id, Status.CANCELED, 2_000)
    second = placed(books, BUY)
    assert books.find("BTCUSDT", None, "mine") == second
    assert books.find("BTCUSDT", first.order_id, None).status is Status.CANCELED


def test_an_order_is_not_found_under_another_symbol():
    books = desk()
    order = placed(books, BUY)
    assert reason(lambda: books.find("ETHUSDT", order.order_id, None)) is Reason.UNKNOWN_ORDER


def test_an_unknown_fee_asset_leaves_no_balance_below_zero():
    books = Desk(Behaviour(fee_asset="XYZ", balances={"USDT": "10000"}))
    order = placed(books, BUY)
    _, execution = books.fill(order.order_id, order.quantity, 2_000)
    assert execution.fee_asset == "XYZ"
    assert set(books.balances) == {"USDT", "BTC"}


sides = st.sampled_from(Side)
quantities = st.integers(1, 20_000).map(lambda steps: Decimal(steps) * Decimal("0.00001"))
prices = st.integers(5_900_000, 6_100_000).map(lambda ticks: Decimal(ticks) * Decimal("0.01"))
shares = st.lists(st.integers(0, 100), max_size=3)
histories = st.lists(st.tuples(sides, quantities, prices, shares, st.booleans()), max_size=12)


@given(histories)
def test_money_is_neither_made_nor_lost(history: list[tuple[Side, Decimal, Decimal, list[int], bool]]):
    books = desk()
    for side, quantity, price, percents, is_canceled in history:
        _live(books, NewOrder("BTCUSDT", side, "LIMIT", quantity, price=price), percents, is_canceled)

    balances = books.balances
    fees = {"BTC": Decimal(0), "USDT": Decimal(0)}
    moved = {"BTC": Decimal(0), "USDT": Decimal(0)}
    for fill in books.executions:
        sign = 1 if fill.side is Side.BUY else -1
        fees[fill.fee_asset] += fill.fee
        moved["BTC"] += sign * fill.quantity
        moved["USDT"] -= sign * fill.quantity * fill.price
    total = {asset: balance.free + balance.locked for asset, balance in balances.items()}
    held = sum(
        (order.leaves_quantity * order.price for order in books.open_orders() if order.side is Side.BUY),
        Decimal(0),
    )

    assert total == {
        "USDT": 10_000 + moved["USDT"] - fees["USDT"],
        "BTC": 1 + moved["BTC"] - fees["BTC"],
    }
    assert balances["USDT"].locked == held
    assert all(balance.free >= 0 and balance.locked >= 0 for balance in balances.values())


def _live(books: Desk, new: NewOrder, percents: list[int], is_canceled: bool) -> None:
    """One order's life: refused, or filled in parts, then perhaps canceled."""
    try:
        order = placed(books, new)
    except RefusedError:
        return
    for percent in percents:
        part = min(order.leaves_quantity, (order.quantity * percent / 100).quantize(Decimal("0.00001")))
        if part > 0:
            order, _ = books.fill(order.order_id, part, 2_000)
    if is_canceled and order.status.is_open:
        books.end(order.order_id, Status.CANCELED, 3_000)
