"""The simulated TWS as ib_async and ib_insync see it."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tickspan.testing.venue import Behaviour, Fault, Point, Status, Unimplemented, VenueSimulator
from tickspan.testing.venue.tws import PAPER_ACCOUNT, wire
from tickspan.testing.venue.tws.contracts import Instruments

pytestmark = pytest.mark.integration

DEADLINE_S = 20.0
QUICK = Behaviour(
    symbols=("AAPL/USD=200", "EUR/USD=1.1"),
    balances={"USD": "1000000", "AAPL": "1000", "EUR": "1000"},
    fill_delay_s=0.01,
    partials=(0.4, 0.6),
    fee_asset="USD",
    tick_interval_s=0.01,
)
APPLE = Instruments(QUICK.markets()).of_market("AAPLUSD")
RESTING = replace(QUICK, fill_delay_s=60)
Scenario = Callable[[VenueSimulator, Any, Any], Awaitable[Any]]
Play = Callable[..., Any]


@pytest.fixture(params=["ib_async", "ib_insync"])
def play(request: pytest.FixtureRequest) -> Play:
    """Runs a scenario against a venue, with a connected `IB` of either library and the library itself."""
    library = importlib.import_module(request.param)
    get_loop: Any = importlib.import_module(f"{request.param}.util").getLoop

    def run(scenario: Scenario, behaviour: Behaviour = QUICK, **options: Any) -> Any:
        async def main(venue: VenueSimulator) -> Any:
            ib = library.IB()
            try:
                await ib.connectAsync(*venue.connect.ib_address, clientId=7)
                async with asyncio.timeout(DEADLINE_S):
                    return await scenario(venue, ib, library)
            finally:
                ib.disconnect()
                await asyncio.sleep(0)

        if hasattr(get_loop, "cache_clear"):
            get_loop.cache_clear()  # ib_async keeps the first loop for ever
        with VenueSimulator(dialect="tws", seed=7, behaviour=behaviour, **options) as venue:
            return asyncio.run(main(venue))

    return run


def buy(library: Any, price: float = 300, quantity: float = 10) -> Any:
    """A limit order; at this price it is filled at once."""
    return library.LimitOrder("BUY", quantity, price)


def apple(library: Any) -> Any:
    """A contract that needs no qualification."""
    return library.Stock("AAPL", "SMART", "USD", conId=APPLE.con_id)


async def until(holds: Callable[[], Any]) -> None:
    """Let the loop run until `holds()`."""
    while not holds():  # noqa: ASYNC110 - it may come about in the venue's thread
        await asyncio.sleep(0.005)


def errors_of(ib: Any) -> list[tuple[int, int]]:
    """What grows by the numbers and codes of error messages."""
    errors: list[tuple[int, int]] = []

    def note(number: int, code: int, *_: Any) -> None:
        errors.append((number, code))

    ib.errorEvent.connect(note, keep_ref=True)
    return errors


def codes_of(ib: Any) -> list[int]:
    """What grows by the codes of error messages."""
    codes: list[int] = []

    def note(_: int, code: int, *__: Any) -> None:
        codes.append(code)

    ib.errorEvent.connect(note, keep_ref=True)
    return codes


def log_of(trade: Any) -> list[tuple[str, int]]:
    return [(entry.status, entry.errorCode) for entry in trade.log]


# --- the account


def test_a_client_learns_the_account_and_what_it_holds(play: Play):
    async def scenario(_: VenueSimulator, ib: Any, __: Any) -> Any:
        values = {value.currency: value.value for value in ib.accountValues() if not value.modelCode}
        summary = {value.currency: value.value for value in await ib.accountSummaryAsync()}
        held = {item.contract.symbol: item.position for item in ib.portfolio()}
        positions = {position.contract.symbol: position.position for position in ib.positions()}
        return ib.managedAccounts(), values, summary, held, positions

    owned = {"USD": "1000000", "AAPL": "1000", "EUR": "1000"}
    assert play(scenario) == (
        [PAPER_ACCOUNT],
        owned,
        owned,
        {"AAPL": 1_000, "EUR": 1_000},
        {"AAPL": 1_000, "EUR": 1_000},
    )


def test_the_key_may_be_the_number_of_an_account(play: Play):
    async def scenario(_: VenueSimulator, ib: Any, __: Any) -> Any:
        return ib.managedAccounts()

    assert play(scenario, api_key="U1234567") == ["U1234567"]


def test_the_clock_is_the_venues(play: Play):
    async def scenario(_: VenueSimulator, ib: Any, __: Any) -> Any:
        return (await ib.reqCurrentTimeAsync()).year

    assert play(scenario, replace(QUICK, clock_skew_s=40 * 366 * 86_400)) > 2_060


# --- instruments and prices


def test_instruments_are_found_by_name_or_number(play: Play):
    async def scenario(_: VenueSimulator, ib: Any, library: Any) -> Any:
        stock, pair = apple(library), library.Forex("EURUSD")
        await ib.qualifyContractsAsync(stock, pair)
        again = library.Contract(conId=pair.conId)
        await ib.qualifyContractsAsync(again)
        return stock.primaryExchange, pair.secType, pair.localSymbol, again.symbol

    assert play(scenario) == ("NASDAQ", "CASH", "EUR.USD", "EUR")


def test_an_unknown_instrument_is_not_found(play: Play):
    async def scenario(_: VenueSimulator, ib: Any, library: Any) -> Any:
        errors = codes_of(ib)
        details = await ib.reqContractDetailsAsync(library.Stock("MSFT", "SMART", "USD"))
        ib.reqMktData(library.Contract(conId=1))
        await until(lambda: len(errors) == 2)
        return details, errors

    assert play(scenario) == ([], [200, 200])


def test_tickers_follow_the_market(play: Play):
    async def scenario(_: VenueSimulator, ib: Any, library: Any) -> Any:
        ticker = ib.reqMktData(apple(library))
        seen: set[float] = set()

        def note(ticker: Any) -> None:
            seen.add(ticker.last)

        ticker.updateEvent += note
        await until(lambda: len(seen) > 3)
        ib.cancelMktData(apple(library))
        (pair,) = await ib.qualifyContractsAsync(library.Forex("EURUSD"))
        (shown,) = await ib.reqTickersAsync(pair)
        return ticker, shown

    ticker, shown = play(scenario)
    assert 0 < ticker.bid < ticker.ask
    assert ticker.volume > 0
    assert 1 < shown.bid < shown.ask < 1.2


def test_no_tick_comes_after_a_subscription_has_ended(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        contract = apple(library)
        ticker = ib.reqMktData(contract)
        await until(ticker.hasBidAsk)
        ib.cancelMktData(contract)
        await ib.reqCurrentTimeAsync()
        before = ticker.time
        venue.tick()
        await ib.reqCurrentTimeAsync()
        return before == ticker.time

    assert play(scenario, replace(QUICK, tick_interval_s=0))


@pytest.mark.parametrize("kind", ["Last", "AllLast", "BidAsk", "MidPoint"])
def test_ticks_come_one_by_one(play: Play, kind: str):
    async def scenario(_: VenueSimulator, ib: Any, library: Any) -> Any:
        seen: list[Any] = []
        ticker = ib.reqTickByTickData(apple(library), kind)

        def note(ticker: Any) -> None:
            seen.extend(ticker.tickByTicks)

        ticker.updateEvent += note
        await until(lambda: len(seen) > 2)
        ib.cancelTickByTickData(apple(library), kind)
        return type(seen[0]).__name__

    names = {"BidAsk": "TickByTickBidAsk", "MidPoint": "TickByTickMidPoint"}
    assert play(scenario) == names.get(kind, "TickByTickAllLast")


def test_bars_follow_the_market(play: Play):
    async def scenario(_: VenueSimulator, ib: Any, library: Any) -> Any:
        bars = ib.reqRealTimeBars(apple(library), 5, "TRADES", useRTH=False)
        await until(lambda: len(bars) > 2)
        ib.cancelRealTimeBars(bars)
        return bars[0].open_ > 100

    assert play(scenario)


# --- orders


def test_an_order_is_acknowledged_filled_in_parts_and_charged(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        trade = ib.placeOrder(apple(library), buy(library))
        await until(lambda: trade.isDone() and all(fill.commissionReport.execId for fill in trade.fills))
        shares = [fill.execution.shares for fill in trade.fills]
        held = {position.contract.symbol: position.position for position in ib.positions()}
        await until(lambda: ib.positions()[0].position == 1_010)
        return log_of(trade), shares, held.keys(), trade.order.permId, venue.orders[0].status

    log, shares, held, perm_id, status = play(scenario)
    assert log == [
        ("PendingSubmit", 0),
        ("Submitted", 0),
        ("Submitted", 0),
        ("Submitted", 0),
        ("Submitted", 0),
        ("Filled", 0),
    ]
    assert (shares, held, perm_id, status) == ([4, 6], {"AAPL", "EUR"}, 1_000_001, Status.FILLED)


def test_the_venue_knows_what_the_client_sent(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        ib.placeOrder(apple(library), buy(library, 150.25))
        await until(lambda: venue.orders)
        return [request.path for request in venue.requests], venue.orders[0], repr(venue.requests)

    paths, order, everything = play(scenario, RESTING)
    assert (paths[0], paths[-1]) == ("startApi", "placeOrder")
    assert (order.price, order.quantity, order.client_id) == (
        Decimal("150.25"),
        Decimal(10),
        order.client_id,
    )
    assert "traceparent" not in everything.lower()


def test_an_order_is_changed_in_place(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        trade = ib.placeOrder(apple(library), buy(library, 150))
        await until(lambda: trade.orderStatus.status == "Submitted")
        trade.order.lmtPrice, trade.order.totalQuantity = 151, 20
        ib.placeOrder(apple(library), trade.order)
        await until(lambda: trade.orderStatus.remaining == 20)
        return venue.orders, trade.orderStatus.remaining

    (order,), remaining = play(scenario, RESTING)
    assert (order.price, order.quantity, order.status, remaining) == (151, 20, Status.NEW, 20)


def test_a_resting_order_that_is_changed_to_cross_is_filled(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        trade = ib.placeOrder(apple(library), buy(library, 150))
        await until(lambda: trade.orderStatus.status == "Submitted")
        trade.order.lmtPrice = 300
        ib.placeOrder(apple(library), trade.order)
        await until(trade.isDone)
        return trade.orderStatus.status, [fill.quantity for fill in venue.executions]

    assert play(scenario) == ("Filled", [4, 6])


def test_an_order_that_is_changed_to_rest_is_not_filled(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        trade = ib.placeOrder(apple(library), buy(library, 300))
        await until(lambda: trade.orderStatus.status == "Submitted")
        trade.order.lmtPrice = 150
        ib.placeOrder(apple(library), trade.order)
        await until(lambda: venue.orders[0].price == 150)
        await asyncio.sleep(0.3)  # by now it would have been filled
        return venue.executions, venue.orders[0].is_maker

    assert play(scenario, replace(QUICK, fill_delay_s=0.2)) == ((), True)


def test_an_order_is_canceled(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        errors = errors_of(ib)
        trade = ib.placeOrder(apple(library), buy(library, 150))
        await until(lambda: trade.orderStatus.status == "Submitted")
        ib.cancelOrder(trade.order)
        await until(lambda: errors)
        return trade.orderStatus.status, errors == [(trade.order.orderId, 202)], venue.orders[0].status

    assert play(scenario, RESTING) == ("Cancelled", True, Status.CANCELED)


def test_all_orders_are_canceled_at_once(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        trades = [ib.placeOrder(apple(library), buy(library, 150)) for _ in range(3)]
        await until(lambda: len(venue.orders) == 3)
        ib.reqGlobalCancel()
        await until(lambda: all(trade.isDone() for trade in trades))
        return {trade.orderStatus.status for trade in trades}

    assert play(scenario, RESTING) == {"Cancelled"}


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"totalQuantity": 10, "lmtPrice": 150.001}, 110),
        ({"totalQuantity": 0.0001, "lmtPrice": 150}, 201),
        ({"totalQuantity": 0.01, "lmtPrice": 150}, 201),
        ({"totalQuantity": 90_000, "lmtPrice": 150}, 201),
        ({"totalQuantity": 10, "orderType": "STP", "auxPrice": 150}, 387),
        ({"totalQuantity": 10, "lmtPrice": 150, "parentId": 1}, 387),
    ],
)
def test_an_order_that_cannot_be_is_refused(play: Play, order: dict[str, Any], code: int):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        errors = codes_of(ib)
        ib.placeOrder(apple(library), library.Order(action="BUY", **{"orderType": "LMT", **order}))
        await until(lambda: errors)
        return errors, venue.orders

    assert play(scenario, RESTING) == ([code], ())


def test_an_order_for_an_unknown_instrument_is_refused(play: Play):
    async def scenario(_: VenueSimulator, ib: Any, library: Any) -> Any:
        trade = ib.placeOrder(library.Stock("MSFT", "SMART", "USD"), buy(library))
        await until(trade.isDone)
        return log_of(trade)

    assert play(scenario) == [("PendingSubmit", 0), ("Cancelled", 200)]


def test_an_order_that_is_over_can_neither_be_changed_nor_canceled(play: Play):
    async def scenario(_: VenueSimulator, ib: Any, library: Any) -> Any:
        errors = codes_of(ib)
        filled = ib.placeOrder(apple(library), buy(library))
        await until(filled.isDone)
        ib.client.cancelOrder(filled.order.orderId)
        ib.client.placeOrder(filled.order.orderId, apple(library), filled.order)
        canceled = ib.placeOrder(apple(library), buy(library, 150))
        ib.cancelOrder(canceled.order)
        await until(lambda: 202 in errors)
        ib.client.placeOrder(canceled.order.orderId, apple(library), canceled.order)
        ib.client.cancelOrder(999)
        await until(lambda: len(errors) == 5)
        return errors

    assert play(scenario) == [10148, 104, 202, 103, 10147]


def test_what_is_not_to_be_transmitted_waits(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        order = buy(library, 150)
        order.transmit = False
        trade = ib.placeOrder(apple(library), order)
        await ib.reqCurrentTimeAsync()
        held = venue.orders, trade.orderStatus.status
        order.transmit = True
        ib.placeOrder(apple(library), order)
        await until(lambda: trade.orderStatus.status == "Submitted")
        return held, len(venue.orders)

    assert play(scenario, RESTING) == (((), "PendingSubmit"), 1)


def test_a_held_order_is_canceled_without_the_venue_knowing(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        errors = codes_of(ib)
        order = buy(library, 150)
        order.transmit = False
        trade = ib.placeOrder(apple(library), order)
        ib.cancelOrder(order)
        await until(lambda: errors)
        return trade.orderStatus.status, errors, venue.orders

    assert play(scenario, RESTING) == ("Cancelled", [202], ())


def test_a_what_if_tells_the_margin_and_books_nothing(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        state = await ib.whatIfOrderAsync(apple(library), buy(library, 200))
        return float(state.initMarginChange), venue.orders

    assert play(scenario) == (500, ())


def test_after_a_reconnection_the_client_knows_all_again(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        filled = ib.placeOrder(apple(library), buy(library))
        await until(filled.isDone)
        resting = ib.placeOrder(apple(library), buy(library, 150))
        await until(lambda: resting.orderStatus.status == "Submitted")
        next_id = ib.client.getReqId()
        ib.disconnect()
        await asyncio.sleep(0.05)
        await ib.connectAsync(*venue.connect.ib_address, clientId=7)
        open_ids = [trade.order.orderId for trade in ib.openTrades()]
        completed = await ib.reqCompletedOrdersAsync(apiOnly=False)
        return (
            open_ids == [resting.order.orderId],
            len(ib.fills()),
            [trade.orderStatus.status for trade in completed],
            ib.client.getReqId() >= next_id - 2,
        )

    assert play(scenario) == (True, 2, ["Filled"], True)


def test_a_client_sees_its_own_orders_and_the_master_all(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        master, other = library.IB(), library.IB()
        await master.connectAsync(*venue.connect.ib_address, clientId=0)
        await other.connectAsync(*venue.connect.ib_address, clientId=8)
        trade = ib.placeOrder(apple(library), buy(library))
        await until(lambda: trade.isDone() and master.fills())
        seen = [len(one.trades()) for one in (ib, master, other)]
        for one in (master, other):
            one.disconnect()
        return seen

    assert play(scenario) == [1, 1, 0]


def test_a_client_number_is_given_once(play: Play):
    async def scenario(venue: VenueSimulator, _: Any, library: Any) -> Any:
        second = library.IB()
        errors = codes_of(second)
        with pytest.raises((ConnectionError, TimeoutError)):
            await second.connectAsync(*venue.connect.ib_address, clientId=7, timeout=0.2)
        return errors

    assert play(scenario) == [326]


# --- faults


def test_a_scripted_rejection_is_an_error_and_an_inactive_order(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        venue.next(Fault.REJECT)
        trade = ib.placeOrder(apple(library), buy(library))
        await until(lambda: trade.orderStatus.status == "Inactive")
        return log_of(trade), venue.orders

    assert play(scenario) == ([("PendingSubmit", 0), ("Cancelled", 201), ("Inactive", 0)], ())


def test_the_number_of_a_refused_order_is_used_up(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        codes = codes_of(ib)
        venue.next(Fault.REJECT)
        trade = ib.placeOrder(apple(library), buy(library))
        await until(lambda: trade.orderStatus.status == "Inactive")
        ib.client.placeOrder(trade.order.orderId, apple(library), trade.order)
        await until(lambda: len(codes) == 2)
        return codes, venue.orders

    assert play(scenario) == ([201, 103], ())


def test_a_lost_acknowledgement_leaves_the_order_to_its_fills(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        venue.next(Fault.ACCEPT_THEN_504)
        trade = ib.placeOrder(apple(library), buy(library))
        await until(lambda: venue.orders)
        await ib.reqCurrentTimeAsync()
        before = trade.orderStatus.status
        await until(trade.isDone)
        return before, len(trade.fills)

    assert play(scenario, replace(QUICK, fill_delay_s=0.1)) == ("PendingSubmit", 2)


def test_a_connection_may_die_instead_of_an_acknowledgement(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        venue.next(Fault.ACCEPT_THEN_RESET)
        ib.placeOrder(apple(library), buy(library, 150))
        await until(lambda: not ib.isConnected())
        return len(venue.orders)

    assert play(scenario) == 1


def test_fills_may_come_before_the_acknowledgement(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        venue.next(Fault.FILL_BEFORE_ACK)
        trade = ib.placeOrder(apple(library), buy(library))
        await until(trade.isDone)
        return [entry.status for entry in trade.log]

    assert play(scenario) == ["PendingSubmit", "PendingSubmit", "PendingSubmit", "Filled"]


def executions_of(play: Play, fault: Fault) -> list[tuple[float, float]]:
    """Shares and cumulative shares of every execution that is told, in the order of their telling."""

    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        told: list[tuple[float, float]] = []
        tell = ib.wrapper.execDetails

        def note(number: int, contract: Any, fill: Any) -> None:
            told.append((fill.shares, fill.cumQty))
            tell(number, contract, fill)

        ib.wrapper.execDetails = note
        venue.next(fault)
        ib.placeOrder(apple(library), buy(library))
        await until(lambda: len(venue.executions) == 2)
        await asyncio.sleep(0.3)  # what is late or held back comes now
        return told

    return play(scenario, replace(QUICK, late_fill_s=0.05))


def test_an_execution_may_be_told_twice(play: Play):
    assert executions_of(play, Fault.DUPLICATE_EVENT) == [(4, 4), (4, 4), (6, 10)]


def test_executions_may_overtake_each_other(play: Play):
    assert executions_of(play, Fault.REORDER) == [(6, 10), (4, 4)]


def test_an_execution_may_be_told_late(play: Play):
    assert executions_of(play, Fault.LATE_FILL) == [(6, 10), (4, 4)]


def test_an_execution_may_get_lost(play: Play):
    assert executions_of(play, Fault.LOST_EVENT) == [(6, 10)]


def test_a_gap_in_the_ticks_is_told_as_a_break_behind_tws(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        codes = codes_of(ib)
        ib.reqMktData(apple(library))
        venue.tick()
        venue.next(Fault.SEQUENCE_GAP)
        venue.tick("AAPLUSD")
        await until(lambda: 1102 in codes)
        return codes

    assert play(scenario, replace(QUICK, tick_interval_s=0)) == [1100, 1102]


def test_a_mute_venue_stays_connected_and_says_nothing(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        ticker = ib.reqMktData(apple(library))
        await until(ticker.hasBidAsk)
        venue.next(Fault.MUTE)
        venue.tick()
        await ib.reqCurrentTimeAsync()
        before = ticker.time
        venue.tick()
        await ib.reqCurrentTimeAsync()
        return ib.isConnected(), before == ticker.time

    assert play(scenario, replace(QUICK, tick_interval_s=0)) == (True, True)


def test_a_disconnection_is_abrupt_and_the_client_may_come_back(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, _: Any) -> Any:
        venue.next(Fault.DISCONNECT)
        await until(lambda: not ib.isConnected())
        await ib.connectAsync(*venue.connect.ib_address, clientId=7)
        return ib.isConnected()

    assert play(scenario)


def test_one_message_too_many_is_dropped_with_an_error(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        codes = errors_of(ib)
        venue.next(Fault.RATE_LIMIT_429)
        ib.placeOrder(apple(library), buy(library))
        await until(lambda: codes)
        return codes, venue.orders

    assert play(scenario) == ([(-1, 100)], ())


def test_fifty_messages_in_a_second_are_too_many(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, library: Any) -> Any:
        codes = codes_of(ib)
        await asyncio.sleep(1)  # the messages of the connection count no longer
        ib.client.MaxRequests = 0
        for _ in range(60):
            ib.placeOrder(apple(library), buy(library, 150, 1))
        await until(lambda: len(codes) == 10)
        return set(codes), len(venue.orders)

    assert play(scenario, RESTING) == ({100}, 50)


def test_whoever_goes_on_is_cut_off(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, _: Any) -> Any:
        codes = codes_of(ib)
        venue.next(Fault.BAN_418)
        ib.reqGlobalCancel()
        await until(lambda: not ib.isConnected())
        return codes

    assert play(scenario) == [100]


def test_every_fault_has_a_test_here():
    struck = {
        Fault.REJECT,
        Fault.ACCEPT_THEN_504,
        Fault.ACCEPT_THEN_RESET,
        Fault.FILL_BEFORE_ACK,
        Fault.DUPLICATE_EVENT,
        Fault.REORDER,
        Fault.LATE_FILL,
        Fault.LOST_EVENT,
        Fault.SEQUENCE_GAP,
        Fault.MUTE,
        Fault.DISCONNECT,
        Fault.RATE_LIMIT_429,
        Fault.BAN_418,
    }
    assert struck == set(Fault)
    assert {fault.point for fault in struck} == set(Point)


# --- what it does not have


def test_an_unknown_request_gets_an_error_and_is_remembered(play: Play):
    async def scenario(venue: VenueSimulator, ib: Any, _: Any) -> Any:
        codes = codes_of(ib)
        ib.client.reqScannerParameters()
        ib.client.send(3, "no order")
        await until(lambda: len(codes) == 2)
        return codes, venue.unimplemented

    assert play(scenario) == ([320, 320], (Unimplemented("TWS", "24"),))


def talk(data: bytes) -> bytes:
    """What a venue answers to `data` until it hangs up."""

    async def main(address: tuple[str, int]) -> bytes:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(data)
        async with asyncio.timeout(DEADLINE_S):
            answer = await reader.read()
        writer.close()
        return answer

    with VenueSimulator(dialect="tws", behaviour=QUICK) as venue:
        return asyncio.run(main(venue.connect.ib_address))


def test_whoever_is_no_tws_client_is_hung_up_on():
    assert talk(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n") == b""


def test_a_client_that_is_too_old_is_told_so():
    told = talk(b"API\0" + (9).to_bytes(4, "big") + b"v100..150")
    assert b"\x00503\x00" in told


def test_a_client_that_starts_with_something_else_is_hung_up_on():
    told = talk(b"API\0" + (9).to_bytes(4, "big") + b"v157..176" + wire.frame([5, 1, 0]))
    assert told.count(b"176") == 1
