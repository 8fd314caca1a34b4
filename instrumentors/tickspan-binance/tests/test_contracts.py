"""Perpetuals, futures, margin and portfolio margin: the same traces, by other routes and other messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from binance.exceptions import BinanceAPIException
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]

SYMBOL = "BTCUSDT"
CONTRACTS = {"symbol": SYMBOL, "quantity": "0.01"}


async def until_over(user: Any, count: int = 1) -> None:
    over: set[str] = set()
    while len(over) < count:
        event = await user.recv()
        body = event.get("o", {})
        over |= {body["i"]} if body.get("X") in ("FILLED", "CANCELED") else set()


def test_an_order_for_a_perpetual_is_one_trace_from_its_tick_to_its_last_fill(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(partials=(0.4, 0.6), fill_delay_s=0.05)

    async def trade(desk: Any) -> None:
        sockets = desk.sockets
        async with sockets.futures_user_socket() as user, sockets.aggtrade_futures_socket(SYMBOL) as ticks:
            await ticks.recv()
            await desk.client.futures_create_order(**CONTRACTS, side="BUY", type="MARKET")
            await until_over(user)

    bot.run(venue, trade)
    submit, life = bot.named("trading.order.submit")[0], bot.named("trading.order.lifecycle")[0]
    assert bot.tree() == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n"
        "    trading.order.submit binanceusdm\n"
        "      trading.order.event partially_filled\n"
        "      trading.order.event filled\n"
        "      trading.order.lifecycle"
    )
    assert submit.attributes["trading.instrument.class"] == "swap"
    assert submit.attributes["trading.order.client_id"].startswith("x-Cb7ytekJ")
    assert (life.attributes["trading.order.executions"], life.attributes["trading.order.filled_ratio"]) == (
        2,
        1.0,
    )


@pytest.mark.parametrize(
    ("helper", "params", "venue_name"),
    [
        ("futures_create_order", {"side": "BUY", "type": "MARKET"}, "binanceusdm"),
        ("futures_limit_buy_order", {"price": "90000", "timeInForce": "GTC"}, "binanceusdm"),
        ("futures_market_sell_order", {}, "binanceusdm"),
        ("futures_coin_create_order", {"side": "BUY", "type": "MARKET"}, "binancecoinm"),
        ("papi_create_um_order", {"side": "BUY", "type": "MARKET"}, "binance"),
        ("papi_create_cm_order", {"side": "SELL", "type": "MARKET"}, "binance"),
        ("papi_create_margin_order", {"side": "SELL", "type": "MARKET"}, "binance"),
        ("create_margin_order", {"side": "SELL", "type": "MARKET"}, "binance"),
    ],
)
def test_every_market_has_its_orders_told_and_an_order_of_its_own_at_the_venue(
    told: Capture, make_venue: MakeVenue, bot: Any, helper: str, params: Any, venue_name: str
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        await getattr(desk.client, helper)(**CONTRACTS, **params)

    bot.run(venue, trade)
    known = bot.named("trading.order.submit")[0].attributes
    assert len(bot.named("trading.order.submit")) == 1
    assert (known["trading.venue.name"], known["trading.order.status"]) == (venue_name, "new")
    assert (known["trading.order.venue_id"], known["trading.order.client_id"]) == (
        str(venue.orders[0].order_id),
        venue.orders[0].client_id,
    )


@pytest.mark.parametrize(
    ("place", "modify", "cancel"),
    [
        ("futures_create_order", "futures_modify_order", "futures_cancel_order"),
        ("futures_coin_create_order", "futures_coin_v1_put_order", "futures_coin_cancel_order"),
        ("papi_create_um_order", "papi_modify_um_order", "papi_cancel_um_order"),
    ],
)
def test_an_order_that_is_modified_stays_the_same_one(
    told: Capture, make_venue: MakeVenue, bot: Any, place: str, modify: str, cancel: str
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        terms = {**CONTRACTS, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "50000"}
        order = await getattr(desk.client, place)(**terms)
        named = {"symbol": SYMBOL, "orderId": order["orderId"]}
        await getattr(desk.client, modify)(**named, side="BUY", quantity="0.02", price="51000")
        await getattr(desk.client, cancel)(**named)

    bot.run(venue, trade)
    lives = [span.attributes for span in bot.named("trading.order.lifecycle")]
    assert [(life["trading.order.status"], life["trading.order.revision"]) for life in lives] == [
        ("canceled", 1)
    ]
    assert [span.name.split()[0] for span in bot.spans() if span.kind == "client"] == [
        "trading.order.submit",
        "trading.order.replace",
        "trading.order.cancel",
    ]


def test_a_batch_is_one_span_with_an_entry_for_each_order(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.01)

    async def trade(desk: Any) -> None:
        order = {**CONTRACTS, "side": "BUY", "type": "MARKET"}
        refused = {**order, "quantity": "1000000"}
        async with desk.sockets.futures_user_socket() as user:
            await desk.client.futures_place_batch_order(batchOrders=[order, refused, dict(order)])
            await until_over(user, 2)

    bot.run(venue, trade)
    submit = bot.named("trading.order.submit")[0]
    lives = bot.named("trading.order.lifecycle")
    assert submit.attributes["trading.order.batch_size"] == 3
    assert sorted(life.attributes["trading.order.status"] for life in lives) == [
        "filled",
        "filled",
        "rejected",
    ]
    assert {life.trace_id for life in lives} == {submit.trace_id}
    assert [life.attributes.get("error.type") for life in lives if life.status == "error"] == [
        "binanceusdm:-1013"
    ]


def test_several_orders_are_canceled_by_one_request(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        client = desk.client
        orders = [await client.futures_create_order(**CONTRACTS, side="BUY", type="MARKET") for _ in range(2)]
        ids = [order["orderId"] for order in orders]
        await client.futures_cancel_orders(symbol=SYMBOL, orderidlist=ids)

    bot.run(venue, trade)
    assert [span.attributes["trading.order.batch_size"] for span in bot.named("trading.order.cancel")] == [2]
    statuses = [life.attributes["trading.order.status"] for life in bot.named("trading.order.lifecycle")]
    assert statuses == ["canceled", "canceled"]


def test_canceling_all_contracts_is_told_by_their_reports(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        async with desk.sockets.futures_user_socket() as user:
            for _ in range(2):
                await desk.client.futures_create_order(**CONTRACTS, side="BUY", type="MARKET")
            await desk.client.futures_cancel_all_open_orders(symbol=SYMBOL)
            await until_over(user, 2)

    bot.run(venue, trade)
    statuses = [life.attributes["trading.order.status"] for life in bot.named("trading.order.lifecycle")]
    assert statuses == ["canceled", "canceled"]


def test_a_refused_contract_says_so_in_its_own_venues_name(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue()
    venue.next(Fault.REJECT)

    async def trade(desk: Any) -> None:
        with pytest.raises(BinanceAPIException):
            await desk.client.futures_create_order(**CONTRACTS, side="BUY", type="MARKET")

    bot.run(venue, trade)
    assert bot.named("trading.order.submit")[0].attributes["error.type"] == "binanceusdm:-2010"


def test_polled_fills_of_contracts_are_in_the_orders_trace(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.01)

    async def trade(desk: Any) -> None:
        order = await desk.client.futures_create_order(**CONTRACTS, side="BUY", type="MARKET")
        trades: Any = []
        while not trades:
            trades = await desk.client.futures_account_trades(symbol=SYMBOL)
        await desk.client.futures_get_order(symbol=SYMBOL, orderId=order["orderId"])

    bot.run(venue, trade)
    life = bot.named("trading.order.lifecycle")[0]
    assert (life.attributes["trading.order.status"], life.attributes["trading.order.executions"]) == (
        "filled",
        1,
    )
