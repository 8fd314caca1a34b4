"""The simulated venue's Alpaca dialect, as the real alpaca-py sees it."""

import asyncio
import json
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
import requests

with warnings.catch_warnings():
    # alpaca-py still speaks through the older half of websockets.
    warnings.filterwarnings("ignore", "websockets.legacy is deprecated", DeprecationWarning)
    from alpaca.broker.client import BrokerClient
    from alpaca.common.exceptions import APIError
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.data.live.crypto import CryptoDataStream
    from alpaca.data.live.stock import StockDataStream
    from alpaca.data.requests import StockBarsRequest, StockLatestQuoteRequest
    from alpaca.data.timeframe import TimeFrame
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import QueryOrderStatus
    from alpaca.trading.requests import (
        ClosePositionRequest,
        GetOrdersRequest,
        LimitOrderRequest,
        MarketOrderRequest,
        ReplaceOrderRequest,
    )
    from alpaca.trading.stream import TradingStream

from tickspan.testing.venue import Behaviour, Connect, Fault, Status, Unimplemented, VenueSimulator

pytestmark = pytest.mark.integration

DEADLINE_S = 20.0
ACCOUNT = "acc00000-0000-4000-8000-000000000001"
RESTING = Behaviour(
    symbols=("AAPL/USD=190", "BTC/USD=60000"),
    balances={"USD": "1000000", "AAPL": "5"},
    tick_interval_s=0,
    fill_delay_s=60,
    fee_rate=0,
)
AT_ONCE = replace(RESTING, fill_delay_s=0.0, fill_gap_s=0.0)
IN_TWO = replace(RESTING, fill_delay_s=0.02, partials=(0.4, 0.6))
LIVELY = replace(RESTING, tick_interval_s=0.01)
Scenario = Callable[[VenueSimulator, "Account"], Awaitable[Any]]


@contextmanager
def client(behaviour: Behaviour, kind: Any = TradingClient) -> Generator[tuple[VenueSimulator, Any]]:
    with VenueSimulator(dialect="alpaca", seed=7, behaviour=behaviour) as venue:
        made: Any = kind(**venue.connect.alpaca(kind))
        made._retry_wait = 0.01
        with made._session:
            yield venue, made


def limit(quantity: float = 10, price: float = 250, side: str = "buy", **more: Any) -> LimitOrderRequest:
    more = {"symbol": "AAPL", "time_in_force": "day", **more}
    return LimitOrderRequest(side=side, qty=quantity, limit_price=price, **more)


async def true(claim: Callable[[], bool]) -> None:
    """Wait until `claim` holds."""
    while not claim():  # noqa: ASYNC110 - the client tells nobody of it
        await asyncio.sleep(0.005)


async def stop(loop: asyncio.Task[Any]) -> None:
    """Cancel a read loop until it has ended: before Python 3.12 `wait_for` may lose a cancellation."""
    while not loop.done():
        loop.cancel()
        await asyncio.wait({loop}, timeout=0.1)


@pytest.fixture
def asking() -> Generator[Callable[..., requests.Response]]:
    """Asks a venue, by the account's keys or by another authorization."""
    with VenueSimulator(dialect="alpaca", behaviour=RESTING) as venue, requests.Session() as session:

        def ask(method: str, path: str, body: Any = None, authorization: str = "") -> requests.Response:
            keys = {"APCA-API-KEY-ID": venue.connect.api_key, "APCA-API-SECRET-KEY": venue.connect.secret}
            other = {"Authorization": authorization.format(secret=venue.connect.secret)}
            data = body if isinstance(body, str) or body is None else json.dumps(body)
            headers = other if authorization else keys
            return session.request(method, venue.url + path, headers=headers, data=data, timeout=DEADLINE_S)

        yield ask


class Account:
    """A trading client, and every trade update that came by the stream beside it."""

    def __init__(self, venue: VenueSimulator) -> None:
        self.trading: Any = TradingClient(**venue.connect.alpaca(TradingClient))
        self.trading._retry_wait = 0.01
        self.stream = TradingStream(**venue.connect.alpaca(TradingStream))
        self.stream._reconnect_min_backoff = 0.01
        self.updates: list[Any] = []
        self.stream.subscribe_trade_updates(self._note)

    async def _note(self, update: Any) -> None:
        self.updates.append(update)

    async def submit(self, order: Any) -> Any:
        return await asyncio.to_thread(self.trading.submit_order, order)

    async def until(self, *events: str) -> list[tuple[str, str, str]]:
        """Event, status and filled quantity of each update, once those of `events` have come."""
        await true(lambda: sorted(events) == sorted(update.event for update in self.updates))
        return [(update.event, update.order.status.value, update.order.filled_qty) for update in self.updates]

    async def connected(self) -> None:
        await true(lambda: self.stream._running)
        await asyncio.sleep(0.05)  # it listens


def play(scenario: Scenario, behaviour: Behaviour = RESTING) -> Any:
    """Run `scenario` with an account whose stream is up."""

    async def run(venue: VenueSimulator) -> Any:
        account = Account(venue)
        loop = asyncio.create_task(account.stream._run_forever())
        async with asyncio.timeout(DEADLINE_S):
            await account.connected()
            result = await scenario(venue, account)
        await stop(loop)
        await account.stream.close()
        account.trading._session.close()
        return result

    with VenueSimulator(dialect="alpaca", seed=7, behaviour=behaviour) as venue:
        return asyncio.run(run(venue))


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        (TradingClient, "http://127.0.0.1:9"),
        (BrokerClient, "http://127.0.0.1:9"),
        (StockHistoricalDataClient, "http://127.0.0.1:9"),
        (TradingStream, "ws://127.0.0.1:9/stream"),
        (StockDataStream, "ws://127.0.0.1:9/v2/iex"),
        (CryptoDataStream, "ws://127.0.0.1:9/v1beta3/crypto/us"),
    ],
)
def test_each_client_is_pointed_at_its_own_address(kind: Any, address: str):
    arguments = Connect("http://127.0.0.1:9", "key", "secret").alpaca(kind)
    assert arguments == {"api_key": "key", "secret_key": "secret", "url_override": address}
    assert isinstance(kind(**arguments), kind)


# --- orders by REST


def test_an_order_is_taken_and_found_by_each_of_its_ids():
    with client(RESTING) as (venue, trading):
        order = trading.submit_order(limit(client_order_id="mine"))
        found = trading.get_order_by_id(order.id), trading.get_order_by_client_id("mine")
        held = venue.orders[0]

    assert (order.status.value, order.symbol, order.qty, order.limit_price) == (
        "pending_new",
        "AAPL",
        "10",
        "250",
    )
    assert [(one.id, one.status.value) for one in found] == [(order.id, "new")] * 2
    assert (held.client_id, held.type, held.time_in_force, held.status) == (
        "mine",
        "LIMIT",
        "DAY",
        Status.NEW,
    )


def test_an_order_without_a_name_gets_one():
    with client(RESTING) as (_, trading):
        names = {trading.submit_order(limit(1)).client_order_id for _ in range(2)}
    assert names == {f"c1000000-0000-4000-8000-00000000000{number}" for number in (1, 2)}


def test_a_market_order_fills_as_the_script_says():
    with client(replace(AT_ONCE, partials=(0.4, 0.6))) as (venue, trading):
        order = trading.submit_order(
            MarketOrderRequest(symbol="AAPL", qty=10, side="buy", time_in_force="day")
        )
        quantities = [str(execution.quantity) for execution in venue.executions]

    assert (order.status.value, order.filled_qty, quantities) == ("filled", "10", ["4.000", "6.000"])


def test_an_order_by_value_spends_it():
    with client(AT_ONCE) as (_, trading):
        request = MarketOrderRequest(symbol="AAPL", notional=1_900, side="buy", time_in_force="day")
        order = trading.submit_order(request)
    assert (order.notional, order.qty) == ("1900", None)
    assert float(order.filled_qty) * float(order.filled_avg_price) == pytest.approx(1_900, rel=0.01)


def test_orders_are_listed_by_their_state():
    with client(RESTING) as (_, trading):
        open_order, ended = (trading.submit_order(limit(1, 100)) for _ in range(2))
        trading.cancel_order_by_id(ended.id)
        listed = {
            state: [
                order.id
                for order in trading.get_orders(
                    GetOrdersRequest(status=QueryOrderStatus(state), symbols=["AAPL"])
                )
            ]
            for state in ("open", "closed", "all")
        }

    assert listed == {"open": [open_order.id], "closed": [ended.id], "all": [ended.id, open_order.id]}


def test_a_replaced_order_leads_to_the_next():
    with client(RESTING) as (venue, trading):
        old = trading.submit_order(limit(10, 100))
        new = trading.replace_order_by_id(old.id, ReplaceOrderRequest(qty=3, limit_price=101))
        before, after = trading.get_order_by_id(old.id), trading.get_order_by_id(new.id)

    assert (before.status.value, before.replaced_by, before.qty) == ("replaced", new.id, "10")
    assert (after.status.value, after.replaces, after.qty, after.limit_price) == ("new", old.id, "3", "101")
    assert [order.status for order in venue.orders] == [Status.CANCELED, Status.NEW]


def test_a_refused_replacement_leaves_the_order_as_it_was():
    with client(RESTING) as (venue, trading):
        old = trading.submit_order(limit(10, 100))
        venue.next(Fault.REJECT)
        with pytest.raises(APIError):
            trading.replace_order_by_id(old.id, ReplaceOrderRequest(qty=3))
        left = trading.get_order_by_id(old.id)
    assert (left.status.value, left.replaced_by) == ("new", None)


def test_all_orders_are_canceled_at_once():
    with client(RESTING) as (_, trading):
        orders = [trading.submit_order(limit(1, 100)) for _ in range(2)]
        answers = trading.cancel_orders()
        states = [trading.get_order_by_id(order.id).status.value for order in orders]

    assert [(answer.id, answer.status) for answer in answers] == [(order.id, 200) for order in orders]
    assert states == ["canceled", "canceled"]


def test_positions_are_valued_and_closed():
    with client(AT_ONCE) as (_, trading):
        trading.submit_order(limit(5))
        trading.submit_order(limit(0.1, 70_000, symbol="BTC/USD", time_in_force="gtc"))
        owned = {position.symbol: position.qty for position in trading.get_all_positions()}
        half = trading.close_position("AAPL", ClosePositionRequest(percentage="50"))
        closed = trading.close_all_positions(cancel_orders=True)
        left = trading.get_all_positions()

    assert owned == {"AAPL": "10", "BTC/USD": "0.1"}
    assert (half.side.value, half.qty, half.status.value) == ("sell", "5", "filled")
    assert [(answer.symbol, answer.status, answer.body.qty) for answer in closed] == [
        ("AAPL", 200, "5"),
        ("BTC/USD", 200, "0.1"),
    ]
    assert left == []


def test_account_clock_and_assets_can_be_asked_for():
    with client(replace(AT_ONCE, clock_skew_s=3600)) as (_, trading):
        trading.submit_order(limit(1))
        account, clock = trading.get_account(), trading.get_clock()
        assets = [(asset.symbol, asset.asset_class.value) for asset in trading.get_all_assets()]
        apple = trading.get_asset("AAPL")

    assert 999_000 < float(account.cash) < 1_000_000
    assert float(account.equity) - float(account.long_market_value) == pytest.approx(float(account.cash))
    assert clock.timestamp.timestamp() - time.time() == pytest.approx(3600, abs=5)
    assert assets == [("AAPL", "us_equity"), ("BTC/USD", "crypto")]
    assert apple.fractionable


def test_a_broker_trades_for_an_account():
    with client(RESTING, BrokerClient) as (venue, broker):
        order = broker.submit_order_for_account(ACCOUNT, limit())
        broker.cancel_order_for_account_by_id(ACCOUNT, order.id)
    assert [held.status for held in venue.orders] == [Status.CANCELED]


def test_a_broker_hears_of_all_accounts_by_one_stream_of_events():
    with client(replace(AT_ONCE, fill_delay_s=0.05), BrokerClient) as (_, broker):
        events = broker.get_trade_events()
        listening = threading.Timer(0.2, broker.submit_order_for_account, (ACCOUNT, limit()))
        listening.start()
        told = [json.loads(next(events)) for _ in range(2)]
        listening.join()
        events.close()
    assert [(event["event"], event["account_id"], event["order"]["symbol"]) for event in told] == [
        ("new", ACCOUNT, "AAPL"),
        ("fill", ACCOUNT, "AAPL"),
    ]


def test_history_tells_the_latest_quote():
    with client(RESTING, StockHistoricalDataClient) as (_, data):
        quote = data.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))["AAPL"]
    assert 180 < quote.bid_price < quote.ask_price < 200


# --- refusals


@pytest.mark.parametrize(
    ("order", "status", "code", "message"),
    [
        (limit(100_000), 403, 40310000, "insufficient buying power"),
        (
            limit(6, 100, "sell"),
            403,
            40310000,
            "insufficient qty available for order (requested: 6, available: 5)",
        ),
        (limit(symbol="NONE"), 422, 42210000, "asset not found"),
        (
            limit(1, 100.001),
            422,
            42210000,
            "invalid limit_price: sub-penny increment does not fulfill minimum pricing criteria",
        ),
    ],
)
def test_a_refusal_has_alpacas_form(order: Any, status: int, code: int, message: str):
    with client(RESTING) as (venue, trading):
        with pytest.raises(APIError) as refused:
            trading.submit_order(order)
        assert venue.orders == ()
    assert (refused.value.status_code, refused.value.code, refused.value.message) == (status, code, message)


def test_a_client_id_is_refused_for_ever():
    with client(RESTING) as (_, trading):
        order = trading.submit_order(limit(client_order_id="mine"))
        trading.cancel_order_by_id(order.id)
        with pytest.raises(APIError, match="client_order_id must be unique"):
            trading.submit_order(limit(client_order_id="mine"))


def test_an_order_that_has_ended_is_not_canceled():
    with client(AT_ONCE) as (_, trading):
        order = trading.submit_order(limit())
        with pytest.raises(APIError, match=r"order is already in .*filled.* state"):
            trading.cancel_order_by_id(order.id)


def test_a_stranger_is_turned_away():
    with VenueSimulator(dialect="alpaca", behaviour=RESTING) as venue:
        keys: Any = {**venue.connect.alpaca(TradingClient), "secret_key": "wrong"}
        stranger: Any = TradingClient(**keys)
        with stranger._session, pytest.raises(APIError) as refused:
            stranger.get_account()
    assert (refused.value.status_code, refused.value.code) == (401, 40110000)


def test_what_the_venue_lacks_is_remembered():
    with client(RESTING) as (venue, trading):
        bracket: Any = {
            "order_class": "bracket",
            "take_profit": {"limit_price": 300},
            "stop_loss": {"stop_price": 90},
        }
        for ask in (lambda: trading.submit_order(limit(**bracket)), trading.get_watchlists):
            with pytest.raises(APIError):
                ask()
        lacked = venue.unimplemented
    assert lacked == (
        Unimplemented("POST", "/v2/orders order_class=bracket"),
        Unimplemented("GET", "/v2/watchlists"),
    )


ORDER = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("POST", "/v2/orders", "{", 400, "request body format is invalid"),
        ("POST", "/v2/orders", {}, 422, "symbol is required"),
        ("POST", "/v2/orders", {**ORDER, "type": None}, 422, "type is required"),
        ("POST", "/v2/orders", {**ORDER, "type": "stop"}, 422, "not supported: type=stop"),
        ("POST", "/v2/orders", {**ORDER, "qty": "many"}, 422, "invalid qty: many"),
        ("POST", "/v2/orders", {**ORDER, "qty": -1}, 422, "invalid qty: -1"),
        ("POST", "/v2/orders", {**ORDER, "notional": 9}, 422, "qty or notional is required, not both"),
        ("POST", "/v2/orders", {**ORDER, "side": "long"}, 422, "invalid side: long"),
        ("POST", "/v2/orders", {**ORDER, "type": "limit"}, 422, "limit orders require limit price"),
        ("POST", "/v2/orders", {**ORDER, "limit_price": 9}, 422, "market orders require no limit price"),
        ("POST", "/v2/orders", {**ORDER, "time_in_force": "ever"}, 422, "invalid time_in_force: ever"),
        ("GET", "/v2/orders?status=strange", None, 422, "invalid status: strange"),
        ("GET", "/v2/orders?limit=0", None, 422, "invalid limit: 0"),
        ("GET", "/v2/orders/none", None, 404, "order not found for none"),
        ("GET", "/v2/orders:by_client_order_id", None, 422, "client_order_id is required"),
        ("GET", "/v2/orders:by_client_order_id?client_order_id=none", None, 404, "order not found for none"),
        ("GET", "/v2/positions/NONE", None, 404, "position not found for NONE"),
        ("GET", "/v2/assets/NONE", None, 404, "asset not found for NONE"),
        ("GET", "/v2/stocks/bars?symbols=AAPL&timeframe=7x", None, 422, "invalid timeframe: 7x"),
    ],
)
def test_a_wrong_question_is_told_what_is_wrong(
    asking: Callable[..., requests.Response], method: str, path: str, body: Any, status: int, told: str
):
    answer = asking(method, path, body)
    assert (answer.status_code, answer.json()["message"]) == (status, told)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("Bearer {secret}", 200), ("Bearer wrong", 401), ("Basic wrong", 401), ("Basic d3Jvbmc6d3Jvbmc=", 401)],
)
def test_who_asks_may_show_a_token(asking: Callable[..., requests.Response], authorization: str, status: int):
    assert asking("GET", "/v2/clock", authorization=authorization).status_code == status


def test_bars_go_back_to_before_the_venue_opened():
    with client(RESTING, StockHistoricalDataClient) as (_, data):
        minutes: Any = TimeFrame.Minute
        start = datetime.now(UTC) - timedelta(hours=1)
        request = StockBarsRequest(symbol_or_symbols="AAPL", timeframe=minutes, start=start, limit=3)
        bars = data.get_stock_bars(request)["AAPL"]
    gaps = {(after.timestamp - before.timestamp).total_seconds() for before, after in pairwise(bars)}
    assert (len(bars), gaps) == (3, {60.0})
    assert all(bar.low <= bar.open <= bar.high for bar in bars)


# --- limits and faults by REST


def test_each_answer_tells_what_is_left_of_the_minute():
    with client(replace(RESTING, weight_limit_1m=5)) as (venue, trading):
        headers: list[Any] = []

        def note(response: Any, **_: Any) -> None:
            headers.append(response.headers)

        trading._session.hooks["response"].append(note)
        for _ in range(2):
            trading.get_clock()
    left_s = [int(told["X-RateLimit-Reset"]) - time.time() for told in headers]
    assert venue.unimplemented == ()
    assert [(told["X-RateLimit-Limit"], told["X-RateLimit-Remaining"]) for told in headers] == [
        ("5", "4"),
        ("5", "3"),
    ]
    assert all(50 < seconds < 62 for seconds in left_s)


def test_who_asks_too_often_waits():
    with client(replace(RESTING, weight_limit_1m=2)) as (venue, trading):
        trading._retry = 0
        trading.get_clock()
        trading.get_clock()
        with pytest.raises(APIError) as refused:
            trading.get_clock()
    assert (refused.value.status_code, refused.value.code) == (429, 42910000)
    assert len(venue.requests) == 3


def test_a_rate_limit_is_waited_out_by_the_client():
    with client(RESTING) as (venue, trading):
        venue.next(Fault.RATE_LIMIT_429)
        order = trading.submit_order(limit())
    assert order.status.value == "pending_new"
    assert (len(venue.requests), len(venue.orders)) == (2, 1)


def test_a_ban_is_a_page_and_no_json():
    with client(RESTING) as (venue, trading):
        venue.next(Fault.BAN_418)
        with pytest.raises(APIError) as banned:
            trading.get_clock()
    assert (banned.value.status_code, "403 Forbidden" in str(banned.value)) == (403, True)


def test_a_504_is_tried_again_and_the_venue_holds_two_orders():
    with client(RESTING) as (venue, trading):
        venue.next(Fault.ACCEPT_THEN_504)
        trading.submit_order(limit())
    assert len(venue.orders) == 2


def test_a_named_order_is_refused_when_it_is_tried_again():
    with client(RESTING) as (venue, trading):
        venue.next(Fault.ACCEPT_THEN_504)
        with pytest.raises(APIError, match="client_order_id must be unique"):
            trading.submit_order(limit(client_order_id="mine"))
    assert len(venue.orders) == 1


def test_a_reset_leaves_the_client_without_an_answer():
    with client(RESTING) as (venue, trading):
        venue.next(Fault.ACCEPT_THEN_RESET)
        with pytest.raises(requests.ConnectionError):
            trading.submit_order(limit())
    assert len(venue.orders) == 1


# --- trade updates


def test_an_orders_life_is_told_by_the_stream():
    async def scenario(_: VenueSimulator, account: Account) -> Any:
        await account.submit(limit())
        told = await account.until("new", "partial_fill", "fill")
        fills = [(update.qty, update.position_qty) for update in account.updates if update.execution_id]
        return told, fills

    told, fills = play(scenario, IN_TWO)
    assert told == [
        ("new", "new", "0"),
        ("partial_fill", "partially_filled", "4"),
        ("fill", "filled", "10"),
    ]
    assert fills == [(4.0, 9.0), (6.0, 15.0)]


def test_a_cancel_is_pending_first():
    async def scenario(_: VenueSimulator, account: Account) -> Any:
        order = await account.submit(limit(1, 100))
        await account.until("new")
        await asyncio.to_thread(account.trading.cancel_order_by_id, order.id)
        return await account.until("new", "pending_cancel", "canceled")

    told = play(scenario)
    assert [event for event, _, _ in told] == ["new", "pending_cancel", "canceled"]


def test_a_replacement_is_told_of_both_orders():
    async def scenario(_: VenueSimulator, account: Account) -> Any:
        order = await account.submit(limit(1, 100))
        change = ReplaceOrderRequest(limit_price=101)
        await asyncio.to_thread(account.trading.replace_order_by_id, order.id, change)
        await account.until("new", "pending_replace", "replaced", "new")
        return [(update.event, update.order.limit_price) for update in account.updates]

    assert sorted(play(scenario)) == [
        ("new", "100"),
        ("new", "101"),
        ("pending_replace", "100"),
        ("replaced", "100"),
    ]


@pytest.mark.parametrize(("time_in_force", "event"), [("ioc", "expired"), ("opg", "rejected")])
def test_the_market_may_turn_an_order_down(time_in_force: str, event: str):
    async def scenario(_: VenueSimulator, account: Account) -> Any:
        order = await account.submit(limit(1, 100, time_in_force=time_in_force))
        return order.status.value, await account.until("new", event)

    status, told = play(scenario)
    assert status == "pending_new"
    assert told == [("new", "new", "0"), (event, event, "0")]


@pytest.mark.parametrize(
    ("fault", "events"),
    [
        (Fault.FILL_BEFORE_ACK, ["new", "partial_fill", "fill"]),
        (Fault.DUPLICATE_EVENT, ["new", "partial_fill", "partial_fill", "fill"]),
        (Fault.REORDER, ["new", "fill", "partial_fill"]),
        (Fault.LOST_EVENT, ["new", "fill"]),
        (Fault.LATE_FILL, ["new", "fill", "partial_fill"]),
    ],
)
def test_reports_travel_as_the_script_wants_it(fault: Fault, events: list[str]):
    async def scenario(venue: VenueSimulator, account: Account) -> Any:
        venue.next(fault)
        order = await account.submit(limit())
        told = await account.until(*events)
        return order.status.value, [event for event, _, _ in told]

    status, told = play(scenario, IN_TWO)
    assert told == events
    assert status == ("filled" if fault is Fault.FILL_BEFORE_ACK else "pending_new")


def test_a_broken_stream_comes_back():
    async def scenario(venue: VenueSimulator, account: Account) -> Any:
        venue.next(Fault.DISCONNECT)
        venue.tick()
        await true(lambda: not account.stream._running)
        await account.connected()
        await account.submit(limit())
        return await account.until("new", "partial_fill", "fill")

    assert len(play(scenario, IN_TWO)) == 3


def test_a_mute_venue_tells_nothing_and_keeps_the_connection():
    async def scenario(venue: VenueSimulator, account: Account) -> Any:
        venue.next(Fault.MUTE)
        venue.tick()
        await account.submit(limit(1, 100))
        await asyncio.sleep(0.1)
        return account.stream._running, account.updates

    assert play(scenario, replace(RESTING, mute_s=60)) == (True, [])


def test_a_wrong_key_is_not_authorized():
    async def run(venue: VenueSimulator) -> Any:
        keys: Any = {**venue.connect.alpaca(TradingStream), "secret_key": "wrong"}
        stream = TradingStream(**keys)
        await stream._connect()
        try:
            with pytest.raises(ValueError, match="failed to authenticate"):
                await stream._auth()
        finally:
            await stream.close()

    with VenueSimulator(dialect="alpaca", behaviour=RESTING) as venue:
        asyncio.run(run(venue))


def test_the_trading_stream_answers_each_question_in_binary_frames():
    async def run(venue: VenueSimulator) -> list[Any]:
        listen = {"action": "listen", "data": {"streams": ["trade_updates", "another"]}}
        keys = {"key": venue.connect.api_key, "secret": venue.connect.secret}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{venue.connect.ws_url}/stream") as socket,
            asyncio.timeout(DEADLINE_S),
        ):
            for question in (listen, {"action": "auth", **keys}, listen, {"action": "dance"}):
                await socket.send_json(question)
            return [json.loads(await socket.receive_bytes()) for _ in range(4)]

    with VenueSimulator(dialect="alpaca", behaviour=RESTING) as venue:
        told = asyncio.run(run(venue))
    assert told == [
        {"stream": "authorization", "data": {"status": "unauthorized", "action": "listen"}},
        {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}},
        {"stream": "listening", "data": {"streams": ["trade_updates"]}},
        {"action": "error", "data": {"error_message": "invalid action: dance"}},
    ]


# --- market data


def collect(kind: Any, subscribe: str, symbol: str, count: int, behaviour: Behaviour = LIVELY) -> list[Any]:
    """The first messages that the stream hands to a handler."""

    async def run(venue: VenueSimulator) -> list[Any]:
        stream = kind(**venue.connect.alpaca(kind))
        taken: list[Any] = []
        enough = asyncio.Event()

        async def take(message: Any) -> None:
            taken.append(message)
            if len(taken) >= count:
                enough.set()

        getattr(stream, subscribe)(take, symbol)
        loop = asyncio.create_task(stream._run_forever())
        async with asyncio.timeout(DEADLINE_S):
            await enough.wait()
        await stop(loop)
        await stream.close()
        return taken[:count]

    with VenueSimulator(dialect="alpaca", seed=7, behaviour=behaviour) as venue:
        return asyncio.run(run(venue))


def test_quotes_follow_the_market():
    quotes = collect(StockDataStream, "subscribe_quotes", "AAPL", 5)
    assert all(180 < quote.bid_price < quote.ask_price < 200 for quote in quotes)
    assert {quote.symbol for quote in quotes} == {"AAPL"}


def test_a_star_is_every_symbol_of_the_streams_kind():
    trades = collect(CryptoDataStream, "subscribe_trades", "*", 3)
    assert {trade.symbol for trade in trades} == {"BTC/USD"}
    assert [after.id - before.id for before, after in pairwise(trades)] == [1, 1]


def test_a_sequence_gap_shows_in_the_numbers_of_trades():
    behaviour = replace(LIVELY, rates={Fault.SEQUENCE_GAP: 1.0})
    trades = collect(StockDataStream, "subscribe_trades", "AAPL", 2, behaviour)
    assert trades[1].id - trades[0].id == 8


def test_an_order_book_begins_with_the_whole():
    whole, change = collect(CryptoDataStream, "subscribe_orderbooks", "BTC/USD", 2)
    assert (whole.reset, len(whole.bids), len(whole.asks)) == (True, 20, 20)
    assert (change.reset, 0 < len(change.bids) <= 40) == (False, True)


def test_times_have_nanoseconds_and_the_venues_skew():
    async def run(venue: VenueSimulator) -> Any:
        stream = StockDataStream(**venue.connect.alpaca(StockDataStream), raw_data=True)
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def take(message: Any) -> None:
            if not told.done():
                told.set_result(message["t"])

        stream.subscribe_quotes(take, "AAPL")
        loop = asyncio.create_task(stream._run_forever())
        async with asyncio.timeout(DEADLINE_S):
            moment = await told
        await stop(loop)
        await stream.close()
        return moment

    with VenueSimulator(dialect="alpaca", behaviour=replace(LIVELY, clock_skew_s=-60)) as venue:
        moment = asyncio.run(run(venue))
    assert moment.to_unix_nano() % 1_000_000 != 0
    assert moment.to_unix() - time.time() == pytest.approx(-60, abs=5)


def test_a_client_without_msgpack_gets_json_and_hears_why_it_is_refused():
    async def run(venue: VenueSimulator) -> list[Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{venue.connect.ws_url}/v2/iex") as socket,
            asyncio.timeout(DEADLINE_S),
        ):
            for question in (
                {"action": "subscribe", "trades": ["AAPL"]},
                {"action": "auth", "key": "me", "secret": "wrong"},
                {"action": "auth", "key": venue.connect.api_key, "secret": venue.connect.secret},
                {"action": "subscribe", "trades": ["AAPL"]},
                {"action": "unsubscribe", "trades": ["AAPL"]},
                {"action": "dance"},
            ):
                await socket.send_json(question)
            return [(await socket.receive_json())[0] for _ in range(7)]

    with VenueSimulator(dialect="alpaca", behaviour=RESTING) as venue:
        told = asyncio.run(run(venue))
        lacked = venue.unimplemented
    assert [(answer["T"], answer.get("msg", answer.get("trades"))) for answer in told] == [
        ("success", "connected"),
        ("error", "not authenticated"),
        ("error", "auth failed"),
        ("success", "authenticated"),
        ("subscription", ["AAPL"]),
        ("subscription", []),
        ("error", "invalid syntax"),
    ]
    assert lacked == (Unimplemented("WS", "dance"),)
