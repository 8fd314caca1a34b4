"""What the TWS dialect writes, as ib_async and ib_insync read it."""

import importlib
from decimal import Decimal
from typing import Any

import pytest

from tickspan.testing.venue import Execution, Market, Side, Status, VenueOrder
from tickspan.testing.venue.orders import Balance
from tickspan.testing.venue.prices import Prices
from tickspan.testing.venue.tws import messages
from tickspan.testing.venue.tws.contracts import Instruments
from tickspan.testing.venue.tws.orders import ApiOrder
from tickspan.testing.venue.tws.refusals import Refusal
from tickspan.testing.venue.tws.requests import Contract, Placement
from tickspan.testing.venue.tws.wire import Message, frame

MARKET = Market.parse("AAPL/USD=200")
INSTRUMENT = Instruments([MARKET]).of_market("AAPLUSD")
ASKED = Placement(
    12,
    Contract(0, "AAPL", "STK", "SMART", "USD"),
    "BUY",
    Decimal(10),
    "LMT",
    Decimal(210),
    "DAY",
    "",
    "mine",
    transmit=True,
    parent_id=0,
    is_what_if=False,
)
ORDER = ApiOrder(7, ASKED, INSTRUMENT, "DU1", perm_id=1_000_001)
BOOKED = VenueOrder(
    1_000_001,
    "7/12",
    "AAPLUSD",
    Side.BUY,
    "LIMIT",
    "DAY",
    Decimal(10),
    Decimal(0),
    Decimal(210),
    Decimal(4),
    Decimal(800),
    Status.PARTIALLY_FILLED,
    0,
    0,
    "tws",
    None,
    Decimal(200),
    is_maker=False,
)
FILL = Execution(
    5_000_001,
    1_000_001,
    "7/12",
    "AAPLUSD",
    Side.BUY,
    Decimal(4),
    Decimal(200),
    Decimal("0.004"),
    "AAPL",
    is_maker=False,
    time_ms=1_700_000_000_000,
)


class Recorder:
    """A wrapper that keeps what the decoder calls, whatever its name."""

    def __init__(self, library: str) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.ib = importlib.import_module(library).IB
        self.defaultTimezone = importlib.import_module("datetime").UTC

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> None:
            self.calls.append((name, args))

        return call


@pytest.fixture(params=["ib_async", "ib_insync"])
def decoded(request: pytest.FixtureRequest) -> Any:
    """What the library makes of a message: the method it calls, and the arguments."""
    library: str = request.param

    def decode(message: Message) -> tuple[str, tuple[Any, ...]]:
        wrapper = Recorder(library)
        decoder = importlib.import_module(f"{library}.decoder").Decoder(wrapper, 176)
        decoder.interpret(frame(message)[4:].decode().split("\0")[:-1])
        (call,) = wrapper.calls
        return call

    return decode


def test_an_open_order_arrives_whole(decoded: Any):
    name, (order_id, contract, order, state) = decoded(messages.open_order(ORDER, "Submitted"))
    assert (name, order_id, state.status) == ("openOrder", 12, "Submitted")
    assert (contract.conId, contract.symbol, contract.secType, contract.exchange, contract.currency) == (
        INSTRUMENT.con_id,
        "AAPL",
        "STK",
        "SMART",
        "USD",
    )
    assert (order.clientId, order.orderId, order.permId, order.account, order.orderRef) == (
        7,
        12,
        1_000_001,
        "DU1",
        "mine",
    )
    assert (order.action, order.totalQuantity, order.orderType, order.lmtPrice, order.tif, order.whatIf) == (
        "BUY",
        10,
        "LMT",
        210,
        "DAY",
        False,
    )


def test_a_what_if_is_answered_by_its_margin(decoded: Any):
    _, (_, _, order, state) = decoded(messages.open_order(ORDER, "PreSubmitted", Decimal(525)))
    assert (order.whatIf, float(state.initMarginChange), state.commission, state.commissionCurrency) == (
        True,
        525,
        0.01,
        "USD",
    )


def test_a_status_arrives_whole(decoded: Any):
    assert decoded(messages.order_status(ORDER, BOOKED)) == (
        "orderStatus",
        (12, "Submitted", 4, 6, 200, 1_000_001, 0, 200, 7, "", 0),
    )


def test_an_execution_arrives_whole(decoded: Any):
    name, (request_id, contract, fill) = decoded(messages.execution(ORDER, BOOKED, FILL, 33))
    assert (name, request_id, contract.symbol) == ("execDetails", 33, "AAPL")
    assert (fill.execId, fill.orderId, fill.clientId, fill.permId) == (
        "0000e0d5.004c4b41.01.01",
        12,
        7,
        1_000_001,
    )
    assert (fill.side, fill.shares, fill.price, fill.cumQty, fill.avgPrice, fill.lastLiquidity) == (
        "BOT",
        4,
        200,
        4,
        200,
        2,
    )
    assert (fill.acctNumber, fill.orderRef, fill.time.timestamp()) == ("DU1", "mine", 1_700_000_000)


def test_a_commission_names_its_execution(decoded: Any):
    _, (report,) = decoded(messages.commission(FILL))
    assert (report.execId, report.commission, report.currency) == ("0000e0d5.004c4b41.01.01", 0.004, "AAPL")


def test_a_completed_order_arrives_whole(decoded: Any):
    name, (contract, order, state) = decoded(messages.completed_order(ORDER, BOOKED))
    assert (name, contract.symbol, order.permId, order.totalQuantity, order.filledQuantity) == (
        "completedOrder",
        "AAPL",
        1_000_001,
        10,
        4,
    )
    assert (state.status, state.completedStatus) == ("Submitted", "Submitted")


def test_an_instrument_arrives_whole(decoded: Any):
    name, (request_id, details) = decoded(messages.contract_details(5, INSTRUMENT))
    contract = details.contract
    assert (name, request_id, details.minTick, details.longName) == (
        "contractDetails",
        5,
        0.01,
        "AAPL in USD",
    )
    assert (contract.conId, contract.localSymbol, contract.exchange, contract.primaryExchange) == (
        INSTRUMENT.con_id,
        "AAPL",
        "SMART",
        "NASDAQ",
    )


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (messages.notice(Refusal(201, "no"), 12), ("error", (12, 201, "no", ""))),
        (messages.managed_accounts("DU1"), ("managedAccounts", ("DU1",))),
        (messages.next_valid_id(3), ("nextValidId", (3,))),
        (messages.current_time(1_700_000_000_999), ("currentTime", (1_700_000_000,))),
    ],
)
def test_a_short_message_arrives_whole(decoded: Any, message: Message, call: Any):
    assert decoded(message) == call


def test_holdings_arrive_with_their_worth(decoded: Any):
    balances = {"AAPL": Balance(Decimal(3), Decimal(2))}
    _, (account, contract, held, cost) = decoded(messages.position("DU1", INSTRUMENT, balances))
    assert (account, contract.symbol, held, cost) == ("DU1", "AAPL", 5, 200)
    _, worth = decoded(messages.portfolio("DU1", INSTRUMENT, balances, Decimal(220)))
    assert worth[1:] == (5, 220, 1_100, 200, 100, 0, "DU1")


def test_a_tick_is_bid_ask_last_and_volume(decoded: Any):
    tick = Prices(MARKET, 7, 0).tick(1_000)
    told = [decoded(message) for message in messages.ticks(4, tick)]
    assert [(name, args[:2]) for name, args in told] == [
        ("priceSizeTick", (4, 1)),
        ("priceSizeTick", (4, 2)),
        ("priceSizeTick", (4, 4)),
        ("tickSize", (4, 8)),
    ]
    assert [args[2:] for _, args in told[:3]] == [
        tuple(map(float, level))
        for level in (tick.best_bid, tick.best_ask, (tick.trade.price, tick.trade.quantity))
    ]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Last", "tickByTickAllLast"),
        ("AllLast", "tickByTickAllLast"),
        ("BidAsk", "tickByTickBidAsk"),
        ("MidPoint", "tickByTickMidPoint"),
    ],
)
def test_ticks_one_by_one_come_in_every_kind(decoded: Any, kind: str, name: str):
    assert decoded(messages.tick_by_tick(4, kind, Prices(MARKET, 7, 0).tick(1_000)))[0] == name


def test_a_bar_is_the_last_trade(decoded: Any):
    tick = Prices(MARKET, 7, 0).tick(5_000)
    price, size = float(tick.trade.price), float(tick.trade.quantity)
    bar = (4, 5, price, price, price, price, size, price, 1)
    assert decoded(messages.bar(4, tick)) == ("realtimeBar", bar)
