"""The simulated venue's REST, spoken by the real ccxt, synchronous and asynchronous."""

import asyncio
import json
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.async_support
import pytest

from tickspan.testing.venue import Behaviour, Fault, Side, Status, Unimplemented, VenueSimulator

pytestmark = pytest.mark.integration

AT_ONCE = Behaviour(fill_delay_s=0.0, fill_gap_s=0.0, partials=(0.4, 0.6), tick_interval_s=0)


@contextmanager
def client(venue: VenueSimulator, **config: Any) -> Generator[Any]:
    settings: Any = {"enableRateLimit": False, **config}
    exchange = venue.connect.ccxt(ccxt.binance(settings))
    try:
        yield exchange
    finally:
        exchange.session.close()


def test_markets_carry_the_venues_filters():
    with VenueSimulator(behaviour=Behaviour(symbols=("BTC/USDT", "DOGE/USDT"))) as venue, client(venue) as ex:
        markets = ex.load_markets()
        told = {
            symbol: (market["precision"], market["limits"]["cost"]["min"])
            for symbol, market in markets.items()
        }

    assert told == {
        "BTC/USDT": ({"amount": 1e-05, "price": 0.01, "base": 1e-08, "quote": 1e-08}, 5.0),
        "DOGE/USDT": ({"amount": 0.001, "price": 1e-06, "base": 1e-08, "quote": 1e-08}, 5.0),
    }


def test_a_market_order_fills_as_the_script_says_and_the_answer_tells_each_fill():
    with VenueSimulator(seed=7, behaviour=AT_ONCE) as venue, client(venue) as ex:
        order = ex.create_order("BTC/USDT", "market", "buy", 0.01)
        held = venue.orders[0]
        told = (
            order["status"],
            order["filled"],
            [trade["amount"] for trade in order["trades"]],
            order["fees"],
        )

    assert told == ("closed", 0.01, [0.004, 0.006], [{"currency": "BTC", "cost": 1e-05}])
    assert (held.side, held.type, held.quantity, held.status, held.client_id) == (
        Side.BUY,
        "MARKET",
        Decimal("0.01"),
        Status.FILLED,
        order["clientOrderId"],
    )
    assert [execution.quantity for execution in venue.executions] == [Decimal("0.004"), Decimal("0.006")]


def test_a_market_buy_may_name_what_to_spend():
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        ex.create_market_buy_order_with_cost("ETH/USDT", 300)
        order = venue.orders[0]

    assert order.quote_quantity == 300
    assert order.quantity == (300 / order.working_price).quantize(Decimal("0.00001"), "ROUND_DOWN")


def test_a_limit_order_rests_until_it_is_canceled_and_gives_its_funds_back():
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        before = ex.fetch_balance()["USDT"]
        order = ex.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
        resting = ex.fetch_balance()["USDT"]
        open_ids = [row["id"] for row in ex.fetch_open_orders("BTC/USDT")]
        canceled = ex.cancel_order(order["id"], "BTC/USDT")
        after = ex.fetch_balance()["USDT"]
        last = ex.fetch_order(order["id"], "BTC/USDT")

    assert resting == {"free": before["free"] - 500, "used": 500.0, "total": before["total"]}
    assert open_ids == [order["id"]]
    assert (canceled["status"], last["status"], after) == ("canceled", "canceled", before)


def test_a_resting_order_fills_as_maker_at_its_own_price_when_the_market_reaches_it():
    with VenueSimulator(seed=7, behaviour=AT_ONCE) as venue, client(venue) as ex:
        price = float(ex.price_to_precision("BTC/USDT", ex.fetch_ticker("BTC/USDT")["ask"] - 10))
        order = ex.create_order("BTC/USDT", "limit", "buy", 0.01, price)
        _tick_until_filled(venue)
        filled, trades = ex.fetch_order(order["id"], "BTC/USDT"), ex.fetch_my_trades("BTC/USDT")

    assert (order["status"], filled["status"], filled["average"], filled["filled"]) == (
        "open",
        "closed",
        price,
        0.01,
    )
    assert [(trade["takerOrMaker"], trade["price"], trade["order"]) for trade in trades] == [
        ("maker", price, order["id"]),
        ("maker", price, order["id"]),
    ]


def _tick_until_filled(venue: VenueSimulator) -> None:
    ticks = (venue.tick() for _ in range(5_000))
    assert any(venue.orders[-1].status is Status.FILLED for _ in ticks)


def test_my_trades_add_up_to_the_balance():
    with VenueSimulator(seed=7, behaviour=AT_ONCE) as venue, client(venue) as ex:
        before = ex.fetch_balance()
        ex.create_order("BTC/USDT", "market", "sell", 0.5)
        trades = ex.fetch_my_trades("BTC/USDT")
        after = ex.fetch_balance()

    earned = sum(trade["cost"] - trade["fee"]["cost"] for trade in trades)
    assert after["BTC"]["free"] == before["BTC"]["free"] - 0.5
    assert after["USDT"]["free"] == pytest.approx(before["USDT"]["free"] + earned, abs=1e-6)


def test_editing_an_order_replaces_it_and_the_venue_knows_which():
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        first = ex.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
        second = ex.edit_order(first["id"], "BTC/USDT", "limit", "buy", 0.02, 51_000)
        orders = venue.orders

    assert second["id"] != first["id"]
    assert [(order.status, order.replaces, order.price) for order in orders] == [
        (Status.CANCELED, None, Decimal(50_000)),
        (Status.NEW, int(first["id"]), Decimal(51_000)),
    ]


def test_editing_an_order_that_is_gone_places_no_other():
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        with pytest.raises(ccxt.BadResponse, match="-2022"):
            ex.edit_order("42", "BTC/USDT", "limit", "buy", 0.02, 51_000)
        assert venue.orders == ()


def test_an_edit_whose_new_order_is_rejected_leaves_neither_open():
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        first = ex.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
        venue.next(Fault.REJECT)
        with pytest.raises(ccxt.BadResponse, match="-2021"):
            ex.edit_order(first["id"], "BTC/USDT", "limit", "buy", 0.02, 51_000)
        assert [order.status for order in venue.orders] == [Status.CANCELED]


def test_canceling_all_ends_every_open_order_of_the_symbol():
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        for price in (50_000, 51_000):
            ex.create_order("BTC/USDT", "limit", "buy", 0.01, price)
        ex.create_order("ETH/USDT", "limit", "buy", 0.1, 2_000)
        ex.cancel_all_orders("BTC/USDT")
        statuses = [order.status for order in venue.orders]

    assert statuses == [Status.CANCELED, Status.CANCELED, Status.NEW]


def test_an_immediate_or_cancel_order_beside_the_market_expires():
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        order = ex.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000, {"timeInForce": "IOC"})
        assert ex.fetch_order(order["id"], "BTC/USDT")["status"] == "expired"


def test_all_orders_of_a_symbol_are_listed_oldest_first():
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        created = [ex.create_order("BTC/USDT", "market", "buy", 0.01)["id"] for _ in range(3)]
        assert [order["id"] for order in ex.fetch_orders("BTC/USDT")] == created


def test_market_data_agrees_with_itself():
    with VenueSimulator(seed=7, behaviour=AT_ONCE) as venue, client(venue) as ex:
        venue.tick()
        ticker, book = ex.fetch_ticker("BTC/USDT"), ex.fetch_order_book("BTC/USDT", 5)
        best = ex.fetch_bids_asks(["BTC/USDT"])["BTC/USDT"]
        trades, candles = ex.fetch_trades("BTC/USDT"), ex.fetch_ohlcv("BTC/USDT", "1m")

    assert (ticker["bid"], ticker["ask"]) == (book["bids"][0][0], book["asks"][0][0])
    assert (best["bid"], best["ask"]) == (ticker["bid"], ticker["ask"])
    assert ticker["last"] == trades[-1]["price"] == candles[-1][4]
    assert (len(book["bids"]), len(book["asks"])) == (5, 5)


@pytest.mark.parametrize(
    ("symbol", "kind", "amount", "price", "params", "error", "words"),
    [
        ("BTC/USDT", "limit", 1_000, 60_000, {}, ccxt.InsufficientFunds, "insufficient balance"),
        ("BTC/USDT", "limit", 0.00001, 50_000, {}, ccxt.BadRequest, "NOTIONAL"),
        (
            "BTC/USDT",
            "limit",
            0.01,
            90_000,
            {"postOnly": True},
            ccxt.OrderImmediatelyFillable,
            "-2010|match and",
        ),
        ("BTC/USDT", "limit", 0.01, 50_000, {"quantity": "0.000001"}, ccxt.InvalidOrder, "lot size"),
        (
            "BTC/USDT",
            "limit",
            0.01,
            50_000,
            {"price": "50000.001"},
            ccxt.InvalidOrder,
            "order price is invalid",
        ),
        ("BTC/USDT", "limit", 0.01, 50_000, {"timeInForce": "DAY"}, ccxt.BadRequest, "-1115"),
        ("BTC/USDT", "limit", 0.01, 50_000, {"price": "1e999999"}, ccxt.BadRequest, "-1100"),
        ("BTC/USDT", "limit", 0.01, 50_000, {"symbol": "XYZUSDT"}, ccxt.BadSymbol, "-1121"),
    ],
)
def test_an_order_that_breaks_a_rule_is_refused_with_the_live_venues_error(
    symbol: str,
    kind: str,
    amount: float,
    price: float,
    params: dict[str, str],
    error: type[Exception],
    words: str,
):
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        with pytest.raises(error, match=words):
            ex.create_order(symbol, kind, "buy", amount, price, params)
        assert venue.orders == ()


def test_a_client_id_is_refused_only_while_its_first_order_is_open():
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        named = {"newClientOrderId": "mine"}
        first = ex.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000, named)
        with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
            ex.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000, named)
        ex.cancel_order(first["id"], "BTC/USDT")
        ex.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000, named)
        assert [order.client_id for order in venue.orders] == ["mine", "mine"]


def test_an_order_is_found_by_its_client_id():
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        order = ex.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000, {"newClientOrderId": "mine"})
        found = ex.fetch_order(None, "BTC/USDT", {"origClientOrderId": "mine"})
        assert found["id"] == order["id"]


@pytest.mark.parametrize("call", ["cancel_order", "fetch_order"])
def test_an_unknown_order_is_not_found(call: str):
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex, pytest.raises(ccxt.OrderNotFound):
        getattr(ex, call)("42", "BTC/USDT")


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"secret": "not the secret"}, "-1022"),
        ({"apiKey": "somebody-elses-key"}, "-2015"),
        ({"apiKey": "?"}, "-2014"),
    ],
)
def test_wrong_credentials_are_refused(config: dict[str, Any], code: str):
    with (
        VenueSimulator(behaviour=AT_ONCE) as venue,
        client(venue, **config, options={"fetchCurrencies": False}) as ex,
        pytest.raises(ccxt.AuthenticationError, match=code),
    ):
        ex.fetch_balance()


@pytest.mark.parametrize(
    ("skew_s", "words"), [(60.0, "outside of the recvWindow"), (-60.0, "ahead of the server")]
)
def test_a_skewed_clock_is_refused_until_the_client_adjusts_to_it(skew_s: float, words: str):
    with VenueSimulator(behaviour=Behaviour(clock_skew_s=skew_s)) as venue, client(venue) as ex:
        with pytest.raises(ccxt.InvalidNonce, match=words):
            ex.fetch_balance()
        ex.load_time_difference()
        assert ex.options["timeDifference"] == pytest.approx(-1_000 * skew_s, abs=1_000)
        assert ex.fetch_balance()["BTC"]["free"] == 100


def test_used_weight_and_order_counts_are_in_the_headers():
    with VenueSimulator(behaviour=AT_ONCE) as venue, client(venue) as ex:
        ex.create_order("BTC/USDT", "market", "buy", 0.01)
        headers = {name.upper(): value for name, value in ex.last_response_headers.items()}

    told = {name: value for name, value in headers.items() if name.startswith("X-MBX")}
    assert told == {
        "X-MBX-USED-WEIGHT": "21",
        "X-MBX-USED-WEIGHT-1M": "21",
        "X-MBX-ORDER-COUNT-10S": "1",
        "X-MBX-ORDER-COUNT-1D": "1",
    }


def test_too_many_orders_are_turned_away_and_not_held():
    behaviour = replace(AT_ONCE, order_limit_10s=2)
    with VenueSimulator(behaviour=behaviour) as venue, client(venue) as ex:
        for _ in range(2):
            ex.create_order("BTC/USDT", "market", "buy", 0.01)
        with pytest.raises(ccxt.DDoSProtection, match="-1015"):
            ex.create_order("BTC/USDT", "market", "buy", 0.01)
        assert ex.last_response_headers["Retry-After"] in [str(seconds) for seconds in range(1, 11)]
        assert len(venue.orders) == 2


def test_too_much_weight_is_turned_away():
    with VenueSimulator(behaviour=replace(AT_ONCE, weight_limit_1m=25)) as venue, client(venue) as ex:
        ex.load_markets()
        ex.fetch_order_book("BTC/USDT")
        with pytest.raises(ccxt.DDoSProtection, match="current limit is 25 request weight"):
            ex.fetch_ticker("BTC/USDT")


def test_a_route_that_the_venue_does_not_have_answers_in_its_error_form_and_is_written_down():
    with VenueSimulator() as venue, client(venue) as ex:
        with pytest.raises(ccxt.BadRequest, match="-1020"):
            ex.privateGetOrderList()
        assert venue.unimplemented == (Unimplemented("GET", "/api/v3/orderList"),)


def test_requests_are_written_down_with_their_headers_as_sent():
    with VenueSimulator() as venue:
        request = urllib.request.Request(f"{venue.url}/api/v3/time?a=1", headers={"X-Mine": "yes"})
        urllib.request.urlopen(request, timeout=5).close()
        seen = venue.requests[0]

    assert (seen.method, seen.path, seen.query, seen.body) == ("GET", "/api/v3/time", "a=1", "")
    assert ("X-Mine", "yes") in seen.headers


def test_the_same_seed_and_requests_give_the_same_fills_ids_and_prices():
    def play() -> tuple[Any, ...]:
        behaviour = replace(AT_ONCE, rates={Fault.REJECT: 0.3})
        with VenueSimulator(seed=11, behaviour=behaviour) as venue, client(venue) as ex:
            for number in range(10):
                venue.tick()
                _try_order(ex, {"newClientOrderId": f"n{number}"})
            return tuple(replace(execution, time_ms=0) for execution in venue.executions)

    first = play()
    assert first == play()
    assert 0 < len(first) < 20


def _try_order(exchange: Any, params: dict[str, str]) -> None:
    try:
        exchange.create_order("BTC/USDT", "market", "buy", 0.01, None, params)
    except ccxt.InvalidOrder:
        return


def test_ccxt_is_configured_by_values_that_fit_in_a_json_file():
    with VenueSimulator(behaviour=AT_ONCE) as venue:
        config: Any = json.loads(json.dumps(venue.connect.ccxt_config()))
        ex: Any = ccxt.binance(config)
        try:
            assert ex.create_order("BTC/USDT", "market", "buy", 0.01)["status"] == "closed"
        finally:
            ex.session.close()


def test_the_asynchronous_client_trades_as_the_synchronous_one():
    async def trade(venue: VenueSimulator) -> list[Any]:
        exchange: Any = venue.connect.ccxt(ccxt.async_support.binance({"enableRateLimit": False}))
        try:
            filled = await exchange.create_order("BTC/USDT", "market", "buy", 0.01)
            resting = await exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
            edited = await exchange.edit_order(resting["id"], "BTC/USDT", "limit", "buy", 0.01, 51_000)
            canceled = await exchange.cancel_order(edited["id"], "BTC/USDT")
            balance = await exchange.fetch_balance()
            ticker = await exchange.fetch_ticker("BTC/USDT")
            trades = await exchange.fetch_my_trades("BTC/USDT")
            open_orders = await exchange.fetch_open_orders("BTC/USDT")
            last = await exchange.fetch_order(edited["id"], "BTC/USDT")
        finally:
            await exchange.close()
        return [
            filled["status"],
            resting["status"],
            canceled["status"],
            balance["BTC"]["free"],
            ticker["symbol"],
            len(trades),
            open_orders,
            last["status"],
        ]

    with VenueSimulator(behaviour=AT_ONCE) as venue:
        told = asyncio.run(trade(venue))

    assert told == ["closed", "open", "canceled", 100.00999, "BTC/USDT", 2, [], "canceled"]
