"""The simulated venue as python-binance sees it: spot, margin and contracts, and no way to a real one."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of websockets, when the library is imported
    import binance

from binance.base_client import BaseClient
from binance.ws.reconnecting_websocket import ReconnectingWebsocket

from tickspan.testing.venue import Behaviour, Fault, Unimplemented, VenueSimulator

pytestmark = pytest.mark.integration

SYMBOL = "BTCUSDT"
ORDER = {"symbol": SYMBOL, "side": "BUY", "quantity": "0.01"}
MARKET = {**ORDER, "type": "MARKET"}
LIMIT = {**ORDER, "type": "LIMIT", "timeInForce": "GTC", "price": "50000"}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that is silent lets itself be closed only after its `TIMEOUT`, which is ten seconds."""
    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 0.5)


@contextmanager
def blocking(venue: VenueSimulator) -> Generator[Any]:
    """A `Client`, which wants an event loop."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        with venue.connect.python_binance() as account:
            client = binance.Client(**account)
            yield client
            client.close_connection()
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def run(venue: VenueSimulator, body: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    """What `body(client, sockets)` returned."""

    async def main(account: dict[str, Any]) -> Any:
        client = await binance.AsyncClient.create(**account)
        try:
            return await body(client, binance.BinanceSocketManager(client))
        finally:
            await client.close_connection()

    with venue.connect.python_binance() as account:
        return asyncio.run(main(account))


def test_no_address_of_a_real_venue_is_left_and_all_come_back() -> None:
    holders = (BaseClient, binance.BinanceSocketManager)

    def addresses() -> list[str]:
        return [value for holder in holders for name, value in vars(holder).items() if name.endswith("_URL")]

    before = addresses()
    with VenueSimulator() as venue, venue.connect.python_binance():
        host, port = venue.address
        assert [address for address in addresses() if f"://{host}:{port}/" not in address] == []
        assert len(set(addresses())) > 10
    assert addresses() == before


def test_the_addresses_come_back_after_an_error() -> None:
    before = BaseClient.API_URL
    with VenueSimulator() as venue, pytest.raises(KeyError), venue.connect.python_binance():
        raise KeyError
    assert before == BaseClient.API_URL


def test_a_client_that_asks_at_once_asks_here() -> None:
    with VenueSimulator() as venue:
        with blocking(venue) as client:
            client.order_market_buy(symbol=SYMBOL, quantity="0.01")
        assert [request.path for request in venue.requests] == ["/api/v3/ping", "/api/v3/order"]
        assert len(venue.orders) == 1


@pytest.mark.parametrize(
    ("place", "status", "cancel"),
    [
        ("create_margin_order", "get_margin_order", "cancel_margin_order"),
        ("futures_create_order", "futures_get_order", "futures_cancel_order"),
        ("futures_coin_create_order", "futures_coin_get_order", "futures_coin_cancel_order"),
        ("papi_create_um_order", "papi_get_um_order", "papi_cancel_um_order"),
        ("papi_create_cm_order", "papi_get_cm_order", "papi_cancel_cm_order"),
        ("papi_create_margin_order", "papi_get_margin_order", "papi_cancel_margin_order"),
    ],
)
def test_an_order_of_any_market_is_placed_seen_and_canceled(place: str, status: str, cancel: str) -> None:
    with VenueSimulator() as venue, blocking(venue) as client:
        order_id = getattr(client, place)(**LIMIT)["orderId"]
        seen = getattr(client, status)(symbol=SYMBOL, orderId=order_id)
        canceled = getattr(client, cancel)(symbol=SYMBOL, orderId=order_id)
        assert (seen["status"], canceled["status"]) == ("NEW", "CANCELED")
        assert [(order.order_id, order.status.value) for order in venue.orders] == [(order_id, "CANCELED")]
        assert venue.unimplemented == ()


def test_a_contracts_fills_are_told_on_its_own_stream_and_not_on_spots() -> None:
    async def trade(client: Any, sockets: Any) -> tuple[list[str], Any]:
        async with sockets.futures_user_socket() as contracts, sockets.user_socket() as spot:
            await client.futures_create_order(**MARKET)
            kinds: list[str] = []
            event: Any = {}
            while event.get("o", {}).get("X") != "FILLED":
                event = await contracts.recv()
                kinds.append(event["e"])
            await client.create_order(**MARKET)
            return kinds, await spot.recv()

    with VenueSimulator(behaviour=Behaviour(partials=(0.4, 0.6))) as venue:
        kinds, first_of_spot = run(venue, trade)
        assert kinds == [
            "ORDER_TRADE_UPDATE",
            "ACCOUNT_UPDATE",
            "ORDER_TRADE_UPDATE",
            "ACCOUNT_UPDATE",
            "ORDER_TRADE_UPDATE",
        ]
        assert first_of_spot["i"] == venue.orders[1].order_id
        assert [order.via for order in venue.orders] == ["contracts", "rest"]


def test_market_streams_of_contracts_carry_the_same_market() -> None:
    async def watch(_client: Any, sockets: Any) -> Any:
        async with sockets.aggtrade_futures_socket(SYMBOL) as trades:
            return await trades.recv()

    with VenueSimulator() as venue:
        message = run(venue, watch)
    assert (message["stream"], message["data"]["e"]) == ("btcusdt@aggTrade", "aggTrade")


def test_a_batch_answers_for_each_order_in_its_place() -> None:
    with VenueSimulator() as venue, blocking(venue) as client:
        dear = {**MARKET, "quantity": "1000000"}
        answers = client.futures_place_batch_order(batchOrders=[dict(MARKET), dear])
        assert [answer.get("status", answer.get("code")) for answer in answers] == ["NEW", -1013]
        gone = client.futures_cancel_orders(symbol=SYMBOL, orderidlist=[answers[0]["orderId"], 77])
        assert [answer.get("status", answer.get("code")) for answer in gone] == ["CANCELED", -2011]


def test_an_order_of_contracts_is_modified_in_place() -> None:
    with VenueSimulator() as venue, blocking(venue) as client:
        order = client.futures_create_order(**LIMIT)
        changed = client.futures_modify_order(
            symbol=SYMBOL, side="BUY", orderId=order["orderId"], quantity="0.02", price="51000"
        )
        assert (changed["orderId"], changed["origQty"]) == (order["orderId"], "0.02000000")
        assert [str(held.price) for held in venue.orders] == ["51000"]


def test_canceling_all_contracts_is_no_error_when_there_are_none() -> None:
    with VenueSimulator() as venue, blocking(venue) as client:
        client.futures_create_order(**LIMIT)
        assert client.futures_cancel_all_open_orders(symbol=SYMBOL)["code"] == 200
        assert client.futures_cancel_all_open_orders(symbol=SYMBOL)["code"] == 200
        assert client.futures_get_open_orders(symbol=SYMBOL) == []
        assert [order["status"] for order in client.futures_get_all_orders(symbol=SYMBOL)] == ["CANCELED"]


@pytest.mark.parametrize("place", ["futures_create_order", "create_margin_order"])
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.REJECT, -2010),
        (Fault.RATE_LIMIT_429, -1003),
        (Fault.BAN_418, -1003),
        (Fault.ACCEPT_THEN_504, -1007),
    ],
)
def test_faults_strike_orders_of_every_market(place: str, fault: Fault, code: int) -> None:
    with VenueSimulator() as venue, blocking(venue) as client:
        venue.next(fault)
        with pytest.raises(binance.BinanceAPIException) as refused:
            getattr(client, place)(**MARKET)
        assert refused.value.code == code


def test_the_date_of_an_answer_is_the_venues_own() -> None:
    with VenueSimulator(behaviour=Behaviour(clock_skew_s=3600)) as venue, blocking(venue) as client:
        server_time_s = client.get_server_time()["serverTime"] / 1_000
        date_s = parsedate_to_datetime(client.response.headers["Date"]).timestamp()
    assert abs(date_s - server_time_s) < 2


def test_what_the_venue_does_not_have_is_refused_and_written_down() -> None:
    with VenueSimulator() as venue, blocking(venue) as client:
        with pytest.raises(binance.BinanceAPIException):
            client.options_place_order(**MARKET)
        assert venue.unimplemented == (Unimplemented("POST", "/eapi/v1/order"),)
