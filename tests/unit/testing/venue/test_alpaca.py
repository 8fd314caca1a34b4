import json
from dataclasses import replace
from decimal import Decimal

import msgpack
import pytest

from tickspan.testing.venue.alpaca import messages, names, operations
from tickspan.testing.venue.alpaca.packing import BINARY_JSON, Moment, packing_of
from tickspan.testing.venue.alpaca.sessions import channel_messages
from tickspan.testing.venue.behaviour import Market
from tickspan.testing.venue.delivery import Report
from tickspan.testing.venue.orders import Balance, Execution, Side, Status, VenueOrder
from tickspan.testing.venue.prices import Candle, Prices

APPLE = Market.parse("AAPL/USD=190")
BITCOIN = Market.parse("BTC/USD")
MIDNIGHT_MS = 1_700_006_400_000

ORDER = VenueOrder(
    order_id=7,
    client_id="mine",
    symbol="AAPLUSD",
    side=Side.BUY,
    type="LIMIT",
    time_in_force="DAY",
    quantity=Decimal("10.000"),
    quote_quantity=Decimal(0),
    price=Decimal("190.50"),
    filled_quantity=Decimal("4.000"),
    filled_quote=Decimal("760.40"),
    status=Status.PARTIALLY_FILLED,
    created_ms=MIDNIGHT_MS,
    updated_ms=MIDNIGHT_MS + 1_500,
    via="rest",
    replaces=None,
    working_price=Decimal("190.10"),
    is_maker=False,
)
FILL = Execution(
    execution_id=9,
    order_id=7,
    client_id="mine",
    symbol="AAPLUSD",
    side=Side.BUY,
    quantity=Decimal(4),
    price=Decimal("190.10"),
    fee=Decimal(0),
    fee_asset="USD",
    is_maker=False,
    time_ms=MIDNIGHT_MS,
)


def told(message: object) -> object:
    """What a client reads."""
    return json.loads(BINARY_JSON.pack(message))


# --- names


def test_an_order_is_found_again_by_its_uuid():
    assert names.order_id_of(names.order_uuid(1_000_001)) == 1_000_001


@pytest.mark.parametrize("other", ["", "7", names.execution_uuid(7), names.asset_uuid(APPLE)])
def test_the_id_of_anything_else_names_no_order(other: str):
    assert names.order_id_of(other) is None


def test_stocks_go_by_their_base_and_crypto_by_its_pair():
    markets = [Market.parse(text) for text in ("AAPL/USD", "BTC/USD", "DOGE/USDT")]
    assert [names.symbol_of(market) for market in markets] == ["AAPL", "BTC/USD", "DOGE/USDT"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("AAPL", APPLE),
        (names.asset_uuid(APPLE), APPLE),
        ("BTC/USD", BITCOIN),
        ("BTCUSD", BITCOIN),
        ("AAPLUSD", None),
        ("BTC", None),
    ],
)
def test_a_market_answers_to_alpacas_names_and_no_other(name: str, found: Market | None):
    assert names.Symbols([APPLE, BITCOIN]).find(name) == found


# --- packing


def test_a_moment_keeps_its_nanoseconds_in_both_forms():
    moment = Moment(1_700_006_400_123_456_789)
    packed = packing_of({"Content-Type": "application/msgpack"})
    assert packed is not None
    read = msgpack.unpackb(packed.pack({"t": moment}))["t"]
    assert told({"t": moment}) == {"t": "2023-11-15T00:00:00.123456789Z"}
    assert read.to_unix_nano() == moment.unix_ns


def test_a_client_that_asks_for_nothing_gets_json_in_text():
    packing = packing_of({})
    assert packing is not None
    assert packing.pack([{"T": "success"}]) == '[{"T":"success"}]'


# --- messages


def test_an_order_reads_as_alpaca_documents_it():
    assert told(messages.order_row(ORDER, APPLE)) == {
        "id": "0d000000-0000-4000-8000-000000000007",
        "client_order_id": "mine",
        "created_at": "2023-11-15T00:00:00.000000000Z",
        "updated_at": "2023-11-15T00:00:01.500000000Z",
        "submitted_at": "2023-11-15T00:00:00.000000000Z",
        "filled_at": None,
        "expired_at": None,
        "canceled_at": None,
        "failed_at": None,
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": names.asset_uuid(APPLE),
        "symbol": "AAPL",
        "asset_class": "us_equity",
        "notional": None,
        "qty": "10",
        "filled_qty": "4",
        "filled_avg_price": "190.1",
        "order_class": "",
        "order_type": "limit",
        "type": "limit",
        "side": "buy",
        "position_intent": "buy_to_open",
        "time_in_force": "day",
        "limit_price": "190.5",
        "stop_price": None,
        "status": "partially_filled",
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }


def test_an_order_by_value_tells_no_quantity():
    order = replace(ORDER, quote_quantity=Decimal(500), type="MARKET", price=Decimal(0))
    row = messages.order_row(order, APPLE)
    assert (row["notional"], row["qty"], row["limit_price"]) == ("500", None, None)


@pytest.mark.parametrize(
    ("order", "replaced_by", "status", "dated"),
    [
        (replace(ORDER, status=Status.FILLED), None, "filled", "filled_at"),
        (replace(ORDER, status=Status.CANCELED), None, "canceled", "canceled_at"),
        (replace(ORDER, status=Status.CANCELED), 8, "replaced", "replaced_at"),
        (replace(ORDER, status=Status.EXPIRED), None, "expired", "expired_at"),
        (replace(ORDER, status=Status.EXPIRED, time_in_force="OPG"), None, "rejected", "failed_at"),
    ],
)
def test_an_ended_order_says_how_and_when(
    order: VenueOrder, replaced_by: int | None, status: str, dated: str
):
    row = messages.order_row(order, APPLE, replaced_by)
    ends = ("filled_at", "expired_at", "canceled_at", "failed_at", "replaced_at")
    assert row["status"] == status
    assert [name for name in ends if row[name] is not None] == [dated]


def test_a_fill_tells_of_itself_beside_the_order():
    balances = {"AAPL": Balance(Decimal(4), Decimal(1)), "USD": Balance()}
    report = Report("TRADE", ORDER, FILL, "mine", MIDNIGHT_MS, balances)
    update = messages.trade_update(report, APPLE, None)
    data = update["data"]
    assert isinstance(data, dict)
    assert update["stream"] == "trade_updates"
    assert {name: value for name, value in data.items() if name not in ("order", "timestamp")} == {
        "event": "partial_fill",
        "execution_id": "ec000000-0000-4000-8000-000000000009",
        "price": "190.1",
        "qty": "4",
        "position_qty": "5",
    }


@pytest.mark.parametrize(
    ("kind", "order", "event"),
    [
        ("NEW", replace(ORDER, status=Status.NEW), "new"),
        ("TRADE", replace(ORDER, status=Status.FILLED), "fill"),
        ("CANCELED", replace(ORDER, status=Status.CANCELED), "canceled"),
        (messages.PENDING_CANCEL, replace(ORDER, status=Status.NEW), "pending_cancel"),
        (messages.PENDING_REPLACE, replace(ORDER, status=Status.NEW), "pending_replace"),
    ],
)
def test_an_event_has_alpacas_word(kind: str, order: VenueOrder, event: str):
    assert messages.event_of(Report(kind, order, None, "mine", 0, {}), None) == event


def test_the_opening_price_stands_for_what_was_owned_before():
    dear = [FILL, replace(FILL, price=Decimal(200))]
    assert messages.entry_price(APPLE, []) == Decimal(190)
    assert messages.entry_price(APPLE, dear) == Decimal("195.05")


def test_market_data_has_the_short_names_of_the_streams():
    prices = Prices(APPLE, 7, MIDNIGHT_MS)
    tick, at = prices.tick(MIDNIGHT_MS + 1), Moment(MIDNIGHT_MS * 1_000_000 + 5)
    trade, quote = messages.trade_message("AAPL", tick, at), messages.quote_message("AAPL", tick, at)
    assert (trade["T"], trade["S"], trade["i"], trade["p"]) == (
        "t",
        "AAPL",
        tick.trade.id,
        float(tick.trade.price),
    )
    assert (quote["T"], quote["bp"], quote["ap"]) == ("q", float(tick.best_bid[0]), float(tick.best_ask[0]))
    assert {trade["t"], quote["t"]} == {at}


def test_a_bar_is_dated_by_its_beginning():
    one, two = Decimal(1), Decimal(2)
    candle = Candle(MIDNIGHT_MS, one, two, one, two, Decimal(4), Decimal(6), 3, 1, 3)
    assert told(messages.bar_message("AAPL", "b", candle)) == {
        "T": "b",
        "S": "AAPL",
        "t": "2023-11-15T00:00:00.000000000Z",
        "o": 1.0,
        "h": 2.0,
        "l": 1.0,
        "c": 2.0,
        "v": 4.0,
        "n": 3,
        "vw": 1.5,
    }


def test_a_minute_that_is_over_is_told_as_a_bar_and_with_the_day_so_far():
    prices = Prices(APPLE, 7, MIDNIGHT_MS)
    prices.candles(60_000)
    told = [
        [
            (message["T"], message["n"])
            for channel in ("bars", "dailyBars")
            for message in channel_messages(channel, tick, prices, Moment(0))
        ]
        for tick in (prices.tick(MIDNIGHT_MS + passed_ms) for passed_ms in (59_000, 60_000, 60_100))
    ]
    assert told == [[], [("b", 2), ("d", 3)], []]


# --- routes


@pytest.mark.parametrize(
    ("method", "path", "places"),
    [
        ("POST", "/v2/orders", ()),
        ("DELETE", "/v2/orders/abc", ("abc",)),
        ("GET", "/v2/orders:by_client_order_id", ()),
        ("GET", "/v2/positions/BTC/USD", ("BTC/USD",)),
        ("GET", "/v2/stocks/AAPL/quotes/latest", ("AAPL",)),
        ("GET", "/v2/stocks/quotes/latest", ()),
        ("PATCH", "/v1/trading/accounts/acc00000-0000-4000-8000-000000000001/orders/abc", ("abc",)),
    ],
)
def test_a_request_finds_its_route(method: str, path: str, places: tuple[str, ...]):
    found = operations.route_of(method, path)
    assert found is not None
    assert found[1] == places


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v2/orders"), ("GET", "/v2/calendar"), ("GET", "/v3/orders")]
)
def test_what_is_no_route_is_found_nowhere(method: str, path: str):
    assert operations.route_of(method, path) is None
