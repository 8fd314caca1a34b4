"""Requests, answers and messages as Binance documents them, read without a venue."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from tickspan.trading import (
    Execution,
    OrderOperation,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Reject,
    Source,
    TickKind,
)
from tickspan_binance import budgets, describe, read, topics
from tickspan_binance.describe import Place
from tickspan_binance.topics import Stream, Topic

PLACE = Place("binance", "live", "the key")
CLIENT = SimpleNamespace(API_KEY="the key", API_URL="https://api.binance.com/api", tld="com")
API = "https://api.binance.com/api/v3/"
FAPI = "https://fapi.binance.com/fapi/v1/"
OURS: dict[str, Any] = {"library": "python-binance", "environment": "live", "account": "the key"}


def asked(method: str, address: str, **params: Any) -> OrderRequest | None:
    return describe.rest_order(CLIENT, (method, address, True), {"data": params})


def spot(operation: OrderOperation, **known: Any) -> OrderRequest:
    return OrderRequest(
        operation, "binance", instrument="BTCUSDT", instrument_class="spot", **{**OURS, **known}
    )


def test_a_new_order_is_read_where_its_client_id_is_known() -> None:
    params = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_LOSS_LIMIT",
        "timeInForce": "GTC",
        "quantity": 0.1,
        "price": "90000",
        "stopPrice": "91000.5",
        "newClientOrderId": "x-HNA2TXFJ1",
    }
    assert asked("post", API + "order", **params) == spot(
        OrderOperation.SUBMIT,
        client_id="x-HNA2TXFJ1",
        side="sell",
        type="stop_limit",
        time_in_force="good_till_cancel",
        quantity=Decimal("0.1"),
        price=Decimal(90000),
        stop_price=Decimal("91000.5"),
    )


def test_a_post_only_order_keeps_the_venues_word() -> None:
    assert asked("post", API + "order", symbol="BTCUSDT", side="BUY", type="LIMIT_MAKER") == spot(
        OrderOperation.SUBMIT,
        side="buy",
        type="limit",
        type_raw="LIMIT_MAKER",
        time_in_force="post_only",
    )


def test_a_cancels_own_id_is_not_the_orders() -> None:
    params = {"symbol": "BTCUSDT", "origClientOrderId": "mine", "newClientOrderId": "the cancel"}
    assert asked("delete", API + "order", **params) == spot(OrderOperation.CANCEL, original_client_id="mine")


def test_a_replacement_names_the_old_order_and_the_new_one() -> None:
    params = {"symbol": "BTCUSDT", "cancelOrderId": 7, "newClientOrderId": "new", "quantity": "1"}
    assert asked("post", API + "order/cancelReplace", **params) == spot(
        OrderOperation.REPLACE, venue_id="7", client_id="new", quantity=Decimal(1)
    )


@pytest.mark.parametrize(("path", "count"), [("orderList/oco", 2), ("orderList/otoco", 3), ("order/oco", 2)])
def test_a_list_of_orders_is_as_many_as_its_kind_says(path: str, count: int) -> None:
    request = asked("post", API + path, symbol="BTCUSDT", side="SELL", listClientOrderId="the list")
    leg = spot(OrderOperation.SUBMIT, side="sell", list_id="the list")
    assert request == spot(OrderOperation.SUBMIT, side="sell", list_id="the list", batch=(leg,) * count)


def test_a_batch_is_read_from_what_the_library_makes_of_it_before_it_signs() -> None:
    text = quote(
        '[{"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", "newClientOrderId": "a"}]'
    ).replace("%20", "+")
    request = asked("post", FAPI + "batchOrders", batchOrders=text)
    assert request is not None
    assert [(order.client_id, order.side, order.instrument_class) for order in request.batch] == [
        ("a", "buy", "swap")
    ]


@pytest.mark.parametrize("unreadable", ["[{", "%5B", 7, None, "{}", "[1]"])
def test_a_batch_that_cannot_be_read_is_one_request_without_orders_of_its_own(unreadable: Any) -> None:
    request = asked("post", FAPI + "batchOrders", batchOrders=unreadable)
    assert request is not None
    assert [order.client_id for order in request.batch] in ([], [None])


def test_a_dated_contract_is_a_future() -> None:
    request = asked("post", FAPI + "order", symbol="BTCUSDT_260925", side="BUY", type="MARKET")
    assert request is not None
    assert (request.venue, request.instrument_class) == ("binanceusdm", "future")


@pytest.mark.parametrize(
    ("client", "place"),
    [
        (CLIENT, Place("binance", "live", "the key")),
        (SimpleNamespace(API_KEY="k", testnet=True), Place("binance", "testnet", "k")),
        (SimpleNamespace(API_KEY="k", demo=True), Place("binance", "paper", "k")),
        (SimpleNamespace(API_KEY=None, tld="us"), Place("binanceus", None, None)),
        (SimpleNamespace(API_URL="http://127.0.0.1:80/api"), Place("binance", None, None)),
        (None, Place("binance", None, None)),
    ],
)
def test_a_client_says_where_it_trades(client: Any, place: Place) -> None:
    assert describe.place_of(client, "binance") == place


FULL = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "orderListId": -1,
    "clientOrderId": "6gCrw2kRUAF9CvJDGP16IP",
    "transactTime": 1507725176595,
    "price": "0.00000000",
    "origQty": "10.00000000",
    "executedQty": "10.00000000",
    "cummulativeQuoteQty": "39998.00000000",
    "status": "FILLED",
    "timeInForce": "GTC",
    "type": "MARKET",
    "side": "SELL",
    "fills": [
        {"price": "4000.0", "qty": "4.0", "commission": "1.6", "commissionAsset": "USDT", "tradeId": 56},
        {"price": "3999.67", "qty": "6.0", "commission": "2.4", "commissionAsset": "USDT", "tradeId": 57},
    ],
}


def update(**known: Any) -> OrderUpdate:
    return OrderUpdate("binance", known.pop("source", Source.REST_RESPONSE), **{**OURS, **known})


def test_a_full_answer_tells_each_fill() -> None:
    assert read.answers(PLACE, FULL, Source.REST_RESPONSE) == [
        update(
            status=OrderStatus.FILLED,
            client_id="6gCrw2kRUAF9CvJDGP16IP",
            venue_id="28",
            instrument="BTCUSDT",
            side="sell",
            type="market",
            time_in_force="good_till_cancel",
            quantity=Decimal(10),
            filled_quantity=Decimal(10),
            average_price=Decimal("3999.8"),
            executions=(
                Execution("56", Decimal(4), Decimal(4000), "taker", "1.6 USDT"),
                Execution("57", Decimal(6), Decimal("3999.67"), "taker", "2.4 USDT"),
            ),
            venue_time_ns=1507725176595 * 10**6,
        )
    ]


def ids_in(result: Any) -> list[tuple[str | None, str | None]]:
    return [(one.venue_id, one.client_id) for one in read.answers(PLACE, result, Source.WS_API)]


@pytest.mark.parametrize(
    ("result", "ids"),
    [
        ({"symbol": "BTCUSDT", "orderId": 1, "clientOrderId": "a"}, [("1", "a")]),
        ({"orderId": 1, "origClientOrderId": "a", "clientOrderId": "the cancel"}, [("1", "a")]),
        ({"cancelResult": "SUCCESS", "newOrderResponse": {"orderId": 2, "clientOrderId": "b"}}, [("2", "b")]),
        ({"transactTime": 1, "amendedOrder": {"orderId": 3, "clientOrderId": "c"}}, [("3", "c")]),
        (
            {
                "orderListId": 9,
                "orders": [{"orderId": 4, "clientOrderId": "d"}, {"orderId": 5, "clientOrderId": "e"}],
                "orderReports": [{"orderId": 5, "clientOrderId": "e"}, {"orderId": 4, "clientOrderId": "d"}],
            },
            [("5", "e"), ("4", "d")],
        ),
        ({"orderListId": 9, "orders": [{"orderId": 4, "clientOrderId": "d"}]}, [("4", "d")]),
        ({"algoId": 2146760, "clientAlgoId": "f", "algoStatus": "NEW"}, [("2146760", "f")]),
        ({"strategyId": 123, "newClientStrategyId": "g", "strategyStatus": "NEW"}, [("123", "g")]),
        ({"code": 200, "msg": "The operation of cancel all open order is done."}, []),
        ([], []),
        (None, []),
        ("text", []),
        ([7, None], []),
    ],
)
def test_answers_are_told_apart_by_their_form(result: Any, ids: list[tuple[str | None, str | None]]) -> None:
    assert ids_in(result) == ids


def test_a_refusal_in_a_batch_has_its_place_among_the_answers() -> None:
    result = [{"orderId": 1, "clientOrderId": "a"}, {"code": -2022, "msg": "ReduceOnly Order is rejected."}]
    first, second = read.answers(Place("binanceusdm"), result, Source.REST_RESPONSE)
    assert (first.reject, second.status) == (None, OrderStatus.REJECTED)
    assert isinstance(second.reject, Reject)
    assert second.reject.error_type == "binanceusdm:-2022"


def test_a_status_that_nobody_knows_is_unknown_and_keeps_its_word() -> None:
    (told,) = read.answers(PLACE, {"orderId": 1, "status": "PARTLY_DREAMT"}, Source.REST_RESPONSE)
    assert (told.status, told.status_raw) == (OrderStatus.UNKNOWN, "PARTLY_DREAMT")


REPORT: dict[str, Any] = {
    "e": "executionReport",
    "E": 1499405658658,
    "s": "ETHBTC",
    "c": "mUvoqJxFIILMdfAW5iGSOW",
    "S": "BUY",
    "o": "LIMIT",
    "f": "GTC",
    "q": "1.00000000",
    "p": "0.10264410",
    "C": "",
    "x": "NEW",
    "X": "NEW",
    "r": "NONE",
    "i": 4293153,
    "l": "0.00000000",
    "z": "0.00000000",
    "L": "0.00000000",
    "n": "0",
    "N": None,
    "T": 1499405658657,
    "t": -1,
    "m": False,
    "Z": "0.00000000",
}
NEW: dict[str, Any] = {
    "source": Source.USER_STREAM,
    "status": OrderStatus.NEW,
    "client_id": "mUvoqJxFIILMdfAW5iGSOW",
    "venue_id": "4293153",
    "instrument": "ETHBTC",
    "side": "buy",
    "type": "limit",
    "time_in_force": "good_till_cancel",
    "quantity": Decimal(1),
    "price": Decimal("0.1026441"),
    "filled_quantity": Decimal(0),
    "venue_time_ns": 1499405658657 * 10**6,
}


def test_an_execution_report_is_read_as_documented() -> None:
    assert read.report(PLACE, REPORT) == update(**NEW)


def test_an_execution_is_told_with_its_fee() -> None:
    fill = {"x": "TRADE", "X": "PARTIALLY_FILLED", "t": 77, "l": "0.4", "L": "0.1", "z": "0.4", "Z": "0.04"}
    told = read.report(PLACE, {**REPORT, **fill, "n": "0.001", "N": "BNB", "m": True})
    assert told == update(
        **{
            **NEW,
            "status": OrderStatus.PARTIALLY_FILLED,
            "filled_quantity": Decimal("0.4"),
            "average_price": Decimal("0.1"),
            "executions": (Execution("77", Decimal("0.4"), Decimal("0.1"), "maker", "0.001 BNB"),),
        }
    )


def test_a_cancel_is_reported_under_the_orders_own_id() -> None:
    told = read.report(PLACE, {**REPORT, "x": "CANCELED", "X": "CANCELED", "c": "the cancel", "C": "mine"})
    assert told is not None
    assert (told.status, told.client_id) == (OrderStatus.CANCELED, "mine")


def test_a_refusal_on_the_user_stream_has_the_venues_word() -> None:
    told = read.report(PLACE, {**REPORT, "x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES"})
    assert told is not None
    assert told.reject is not None
    assert (told.status, told.reject.code) == (OrderStatus.REJECTED, "INSUFFICIENT_BALANCES")


def test_reports_of_contracts_are_read_from_their_body() -> None:
    event = {
        "e": "ORDER_TRADE_UPDATE",
        "E": 1568879465651,
        "T": 1568879465650,
        "o": {
            "s": "BTCUSDT",
            "c": "TEST",
            "S": "SELL",
            "o": "TRAILING_STOP_MARKET",
            "f": "GTX",
            "q": "0.001",
            "p": "0",
            "ap": "9910.5",
            "x": "TRADE",
            "X": "FILLED",
            "i": 8886774,
            "l": "0.001",
            "z": "0.001",
            "L": "9910.5",
            "N": "USDT",
            "n": "0.01",
            "T": 1568879465650,
            "t": 5,
            "m": False,
        },
    }
    assert read.report(Place("binanceusdm"), event) == OrderUpdate(
        "binanceusdm",
        Source.USER_STREAM,
        OrderStatus.FILLED,
        library="python-binance",
        client_id="TEST",
        venue_id="8886774",
        instrument="BTCUSDT",
        side="sell",
        type="trailing_stop",
        time_in_force="post_only",
        quantity=Decimal("0.001"),
        filled_quantity=Decimal("0.001"),
        average_price=Decimal("9910.5"),
        executions=(Execution("5", Decimal("0.001"), Decimal("9910.5"), "taker", "0.01 USDT"),),
        venue_time_ns=1568879465650 * 10**6,
    )


def test_the_fast_form_of_a_trade_is_an_execution_without_a_status() -> None:
    event = {
        "e": "TRADE_LITE",
        "E": 1721895408092,
        "T": 1721895408214,
        "s": "BTCUSDT",
        "q": "0.001",
        "p": "0",
        "m": False,
        "c": "z8hcUoOsqEdKMeKPSABslD",
        "S": "BUY",
        "L": "64089.20",
        "l": "0.040",
        "t": 109100866,
        "i": 8886774,
    }
    told = read.report(Place("binanceusdm"), event)
    assert told is not None
    assert (told.status, told.venue_id, [fill.id for fill in told.executions]) == (
        None,
        "8886774",
        ["109100866"],
    )


@pytest.mark.parametrize(
    "event",
    [{"e": "outboundAccountPosition"}, {"e": "listStatus"}, {"e": "ORDER_TRADE_UPDATE", "o": []}, None, 7],
)
def test_what_is_no_report_of_an_order_is_none(event: Any) -> None:
    assert read.report(PLACE, event) is None


def test_own_trades_are_executions_and_the_publics_are_not() -> None:
    own = {
        "symbol": "BNBBTC",
        "id": 28457,
        "orderId": 100234,
        "price": "4.0",
        "qty": "12.0",
        "isMaker": False,
    }
    public = {"id": 28457, "price": "4.0", "qty": "12.0", "isBuyerMaker": True}
    told = read.polled(PLACE, [own, public])
    assert [(one.venue_id, one.executions) for one in told] == [
        ("100234", (Execution("28457", Decimal(12), Decimal(4), "taker"),))
    ]


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("btcusdt@trade", Stream("btcusdt@trade", "trades", instrument="BTCUSDT")),
        ("btcusdt@depth@100ms", Stream("btcusdt@depth@100ms", "order_book", instrument="BTCUSDT")),
        ("btcusdt@depth20", Stream("btcusdt@depth20", "order_book", instrument="BTCUSDT")),
        ("btcusdt@kline_1m", Stream("btcusdt@kline_1m", "ohlcv", instrument="BTCUSDT")),
        ("!miniTicker@arr@1000ms", Stream("!miniTicker@arr@1000ms", "ticker")),
        ("!bookTicker", Stream("!bookTicker", "ticker")),
        ("btcusdt@markPrice@1s", Stream("btcusdt@markPrice@1s", "markPrice", instrument="BTCUSDT")),
        ("", Stream("", "other")),
    ],
)
def test_a_stream_is_told_by_its_name(name: str, stream: Stream) -> None:
    assert topics.stream_of(name) == stream


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("btcusdt@trade", ["btcusdt@trade"]),
        ("btcusdt@trade?timeUnit=MICROSECOND", ["btcusdt@trade"]),
        ("streams=btcusdt@trade/ethusdt@depth", ["btcusdt@trade", "ethusdt@depth"]),
        ("streams=btcusdt@trade&timeUnit=MICROSECOND", ["btcusdt@trade"]),
        ("", []),
    ],
)
def test_a_path_says_which_streams_a_connection_carries(path: str, names: list[str]) -> None:
    assert [stream.name for stream in topics.streams_in(path)] == names


TRADES = topics.stream_of("btcusdt@trade")
BOOK = topics.stream_of("btcusdt@depth")


@pytest.mark.parametrize(
    ("message", "streams", "expected"),
    [
        (
            {"e": "trade", "E": 1672515782136, "s": "BTCUSDT", "t": 12345},
            (TRADES,),
            Topic(TRADES, "BTCUSDT", 1672515782136 * 10**6, (12345, 12345)),
        ),
        (
            {"e": "trade", "E": 1672515782136000, "s": "BTCUSDT", "t": 1},
            (TRADES,),
            Topic(TRADES, "BTCUSDT", 1672515782136 * 10**6, (1, 1)),
        ),
        (
            {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 157, "u": 160},
            (BOOK,),
            Topic(BOOK, "BTCUSDT", 10**6, (157, 160)),
        ),
        (
            {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 157, "u": 160, "pu": 149},
            (BOOK,),
            Topic(BOOK, "BTCUSDT", 10**6, (150, 160)),
        ),
        ({"lastUpdateId": 160, "bids": [], "asks": []}, (BOOK,), Topic(BOOK, "BTCUSDT")),
        ({"stream": "btcusdt@depth", "data": {"lastUpdateId": 1}}, (), Topic(BOOK, "BTCUSDT")),
        (
            [{"e": "24hrTicker", "E": 1, "s": "A"}, {"e": "24hrTicker", "E": 1, "s": "B"}],
            (topics.stream_of("!ticker@arr"),),
            Topic(topics.stream_of("!ticker@arr"), None, 10**6),
        ),
        ({"result": None, "id": 3}, (TRADES,), None),
        ({"e": "error", "type": "X", "m": ""}, (TRADES,), None),
        ({"e": "trade"}, (), None),
        ("text", (TRADES,), None),
    ],
)
def test_a_message_says_instrument_time_and_number(
    message: Any, streams: tuple[Stream, ...], expected: Topic | None
) -> None:
    assert topics.topic(message, streams) == expected


def test_user_data_is_no_market_stream() -> None:
    assert topics.USER.kind is TickKind.ORDER


def test_budgets_are_read_from_answers_and_from_the_venues_own_description() -> None:
    counted = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50, "count": 12}
    described = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
    assert budgets.budgets_in([counted, described, {}, 7]) == (
        budgets.Budget("orders", "10s", 50, 12),
        budgets.Budget("request_weight", "1m", 6000),
    )


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (200, None),
        (429, budgets.Refusal("orders", "10s", is_ban=False)),
        (418, budgets.Refusal("orders", "10s", is_ban=True)),
    ],
)
def test_the_fullest_budget_is_the_one_that_is_spent(status: int, refusal: budgets.Refusal | None) -> None:
    known = (budgets.Budget("request_weight", "1m", 6000, 20), budgets.Budget("orders", "10s", 50, 50))
    assert budgets.refused({"status": status}, known) == refusal
