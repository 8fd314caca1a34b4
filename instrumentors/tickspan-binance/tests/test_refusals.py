"""What a refused, lost or broken order request leaves behind; and what it must never leave."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import requests
from binance.exceptions import BinanceAPIException, BinanceWebsocketUnableToConnect
from tickspan import trading
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]
Blocking = Callable[..., Any]

HELPERS = ["create_order", "ws_create_order"]
NO_ANSWER = (BinanceAPIException, BinanceWebsocketUnableToConnect, aiohttp.ServerDisconnectedError)
REFUSED = {
    "error.type": "binance:-2010",
    "trading.order.reject.code": "-2010",
    "trading.order.reject.reason": "other",
    "trading.order.reject.origin": "venue",
    "trading.order.reject.message": "New order rejected.",
    "trading.order.status": "rejected",
}


async def until_filled(user: Any) -> None:
    event: Any = {}
    while event.get("X") != "FILLED":
        event = await user.recv()


@pytest.mark.parametrize("helper", HELPERS)
def test_a_refused_order_ends_its_span_with_the_venues_code(
    told: Capture, make_venue: MakeVenue, bot: Any, helper: str
) -> None:
    venue = make_venue()
    venue.next(Fault.REJECT)
    with pytest.raises(BinanceAPIException):
        bot.place(venue, helper)
    trading.shutdown()
    submit, life = bot.named("trading.order.submit")[0], bot.named("trading.order.lifecycle")[0]
    assert (submit.status, submit.description, submit.events) == ("error", None, ())
    assert {name: submit.attributes.get(name) for name in REFUSED} == REFUSED
    assert {name: life.attributes.get(name) for name in REFUSED} == REFUSED
    assert (life.status, life.attributes["trading.order.complete"]) == ("error", True)


def test_a_refusal_for_want_of_funds_says_so(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    with pytest.raises(BinanceAPIException):
        bot.place(make_venue(balances={"USDT": "1"}))
    submit = bot.named("trading.order.submit")[0]
    assert submit.attributes["trading.order.reject.reason"] == "funds"


def test_an_order_that_the_library_cannot_sign_was_never_sent(
    told: Capture, make_venue: MakeVenue, blocking: Blocking
) -> None:
    venue = make_venue()
    with blocking(venue, api_secret=None) as client, pytest.raises(AssertionError):
        client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
    submit = told.spans()[0]
    assert submit.attributes["trading.order.reject.origin"] == "client_library"
    assert submit.attributes["error.type"] == "AssertionError"
    assert venue.orders == ()


@pytest.mark.parametrize(
    ("fault", "helper", "error_type"),
    [
        (Fault.ACCEPT_THEN_504, "create_order", "binance:-1007"),
        (Fault.ACCEPT_THEN_504, "ws_create_order", "binance:-1007"),
        (Fault.ACCEPT_THEN_RESET, "create_order", "aiohttp.client_exceptions.ServerDisconnectedError"),
        (
            Fault.ACCEPT_THEN_RESET,
            "ws_create_order",
            "binance.exceptions.BinanceWebsocketUnableToConnect",
        ),
    ],
)
def test_an_order_without_an_answer_is_unknown_until_its_reports_come(
    told: Capture, make_venue: MakeVenue, bot: Any, fault: Fault, helper: str, error_type: str
) -> None:
    venue = make_venue(fill_delay_s=1.5)  # after the client has given up
    venue.next(fault)

    async def trade(desk: Any) -> None:
        with pytest.raises(NO_ANSWER):
            await getattr(desk.client, helper)(**desk.order())
        # By a client of its own, for a reset cuts the connection that reports come by.
        other = await type(desk.client).create(**desk.account)
        async with type(desk.sockets)(other).user_socket() as user:
            await until_filled(user)
        await other.close_connection()

    bot.run(venue, trade)
    submit, life = bot.named("trading.order.submit")[0], bot.named("trading.order.lifecycle")[0]
    assert submit.attributes["trading.order.status"] == "unknown"
    assert submit.attributes["error.type"] == error_type
    assert "trading.order.reject.reason" not in submit.attributes
    assert life.attributes["trading.order.status"] == "filled"
    assert len(venue.executions) == 1


def test_an_order_whose_answer_was_lost_is_found_by_asking_for_the_venues_id(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)
    venue.next(Fault.ACCEPT_THEN_504)

    async def trade(desk: Any) -> None:
        with pytest.raises(NO_ANSWER):
            await desk.client.create_order(**desk.order())
        await desk.client.get_order(symbol=bot.symbol, orderId=venue.orders[0].order_id)

    bot.run(venue, trade)
    (submit,), (query,) = bot.named("trading.order.submit"), bot.named("trading.order.query")
    (life,) = bot.named("trading.order.lifecycle")
    statuses = [span.attributes["trading.order.status"] for span in (submit, life)]
    assert statuses == ["unknown", "new"]
    assert life.attributes["trading.order.venue_id"] == query.attributes["trading.order.venue_id"]
    assert query.attributes["trading.order.client_id"] == submit.attributes["trading.order.client_id"]


def test_a_blocking_client_that_gives_up_waiting_leaves_the_order_unknown(
    told: Capture, make_venue: MakeVenue, blocking: Blocking
) -> None:
    venue = make_venue(ack_delay_s=1)
    with blocking(venue, requests_params={"timeout": 0.05}) as client:
        with pytest.raises(requests.exceptions.ReadTimeout):
            client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
        assert len(venue.orders) == 1
    submit = told.spans()[0]
    assert submit.attributes["trading.order.status"] == "unknown"
    assert submit.attributes["error.type"] == "requests.exceptions.ReadTimeout"


def test_a_cancelled_task_leaves_the_order_unknown(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(ack_delay_s=60)

    async def trade(desk: Any) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await desk.client.create_order(**desk.order())

    bot.run(venue, trade)
    assert bot.named("trading.order.submit")[0].attributes["trading.order.status"] == "unknown"
    assert len(venue.orders) == 1


def test_an_order_that_found_no_connection_was_not_sent(
    told: Capture, make_venue: MakeVenue, bot: Any, blocking: Blocking
) -> None:
    venue = make_venue()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}/api"

        async def trade(desk: Any) -> None:
            desk.client.API_URL = nowhere
            with pytest.raises(aiohttp.ClientConnectorError):
                await desk.client.create_order(**desk.order())
            desk.client.ws_api._url = nowhere.replace("http", "ws")
            with pytest.raises(BinanceWebsocketUnableToConnect):
                await desk.client.ws_create_order(**desk.order())

        bot.run(venue, trade)
        with blocking(venue) as client:
            client.API_URL = nowhere
            with pytest.raises(requests.exceptions.ConnectionError):
                client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
    told_of = [span.attributes for span in bot.named("trading.order.submit")]
    assert [known["trading.order.reject.origin"] for known in told_of] == ["gateway"] * 3
    assert [known["error.type"] for known in told_of] == [
        "aiohttp.client_exceptions.ClientConnectorError",
        "binance.exceptions.BinanceWebsocketUnableToConnect",
        "requests.exceptions.ConnectionError",
    ]


@pytest.mark.parametrize("helper", HELPERS)
@pytest.mark.parametrize(
    ("fault", "event"),
    [
        (Fault.RATE_LIMIT_429, "trading.rate_limit.exhausted"),
        (Fault.BAN_418, "trading.rate_limit.banned"),
    ],
)
def test_a_rate_limit_is_a_refusal(
    told: Capture, make_venue: MakeVenue, bot: Any, helper: str, fault: Fault, event: str
) -> None:
    venue = make_venue()

    async def trade(desk: Any) -> None:
        venue.next(fault)
        with pytest.raises(BinanceAPIException):
            await getattr(desk.client, helper)(**desk.order())

    bot.run(venue, trade)
    submit = bot.named("trading.order.submit")[0]
    assert submit.attributes["trading.order.reject.reason"] == "rate_limit"
    assert submit.attributes["trading.order.status"] == "rejected"
    assert [point.value for point in told.points("trading.rate_limit.hits")] == [1]
    assert [told_event.name for told_event in told.events(event)] == [event]


def test_a_failed_cancel_leaves_the_order_alone(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        await desk.client.create_order(**desk.order())
        with pytest.raises(BinanceAPIException):
            await desk.client.cancel_order(symbol="BTCUSDT", orderId=77)

    bot.run(venue, trade)
    cancel, life = bot.named("trading.order.cancel")[0], bot.named("trading.order.lifecycle")[0]
    assert (cancel.status, cancel.attributes["error.type"]) == ("error", "binance:-2011")
    assert life.attributes["trading.order.status"] == "new"


@pytest.mark.parametrize("helper", ["cancel_replace_order", "ws_cancel_and_replace_order"])
def test_a_replacement_whose_new_order_is_refused_has_canceled_the_old_one(
    told: Capture, make_venue: MakeVenue, bot: Any, helper: str
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        order = await desk.client.create_order(**desk.order())
        venue.next(Fault.REJECT)
        with pytest.raises(BinanceAPIException):
            await getattr(desk.client, helper)(
                **desk.order(), cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=order["orderId"]
            )

    bot.run(venue, trade)
    replace = bot.named("trading.order.replace")[0]
    statuses = [span.attributes["trading.order.status"] for span in bot.named("trading.order.lifecycle")]
    assert replace.attributes["error.type"] == "binance:-2010"
    assert statuses == ["canceled"]
    assert [order.status.value for order in venue.orders] == ["CANCELED"]


@pytest.mark.parametrize("helper", ["cancel_replace_order", "ws_cancel_and_replace_order"])
def test_a_replacement_whose_cancel_is_refused_may_have_placed_the_new_order(
    told: Capture, make_venue: MakeVenue, bot: Any, helper: str
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(desk: Any) -> None:
        with pytest.raises(BinanceAPIException):
            await getattr(desk.client, helper)(
                **desk.order(), cancelReplaceMode="ALLOW_FAILURE", cancelOrderId=77
            )

    bot.run(venue, trade)
    replace, life = bot.named("trading.order.replace")[0], bot.named("trading.order.lifecycle")[0]
    assert replace.attributes["error.type"] == "binance:-2021"
    assert life.attributes["trading.order.status"] == "new"
    assert life.attributes["trading.order.venue_id"] == str(venue.orders[0].order_id)


def test_a_request_outside_its_window_is_told_as_a_clock_that_is_off(
    told: Capture, make_venue: MakeVenue, blocking: Blocking
) -> None:
    venue = make_venue(clock_skew_s=30)
    with blocking(venue) as client, pytest.raises(BinanceAPIException):
        client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
    submit = told.spans()[0]
    assert submit.attributes["trading.order.reject.reason"] == "clock_skew"
    sources = {event.attributes["trading.clock.source"] for event in told.events("trading.clock.skew")}
    assert sources == {"date", "reject"}


def test_nothing_secret_is_exported(
    told: Capture, make_venue: MakeVenue, bot: Any, blocking: Blocking
) -> None:
    venue = make_venue(fill_delay_s=0.05)
    faults = (Fault.REJECT, Fault.ACCEPT_THEN_504, Fault.ACCEPT_THEN_RESET, Fault.RATE_LIMIT_429)

    async def trade(desk: Any) -> None:
        client = desk.client
        key = await client.futures_stream_get_listen_key()
        assert key.startswith("listen")
        async with desk.sockets.futures_user_socket() as contracts, desk.sockets.user_socket() as user:
            for fault in faults:
                venue.next(fault)
                with pytest.raises(NO_ANSWER):
                    await client.create_order(**desk.order())
            await client.ws_create_order(**desk.order())
            await client.futures_create_order(**desk.order())
            await user.recv()
            await contracts.recv()
        client.API_SECRET = "another-secret-0815-of-this-test"
        with pytest.raises(BinanceAPIException):
            await client.create_order(**desk.order())
        client.API_KEY = "another-key-4711-of-this-test"
        with pytest.raises(BinanceAPIException):
            await client.ws_create_order(**desk.order())

    bot.run(venue, trade)
    exported = repr(told.received()) + repr(told.spans()) + repr(told.events())
    signatures = [
        pair.partition("=")[2]
        for request in venue.requests
        for pair in str(request).replace("'", "&").replace('"', "&").replace(":", "=").split("&")
        if pair.startswith("signature=")
    ]
    needles = [
        "another-secret-0815",
        "another-key-4711",
        venue.connect.api_key,
        venue.connect.secret,
        "signature",
        "listen0",
        *signatures,
    ]
    assert len(signatures) >= len(faults)
    assert [form for needle in needles for form in forms_of(needle) if form in exported] == []
    assert len(bot.named("trading.order.submit")) == len(faults) + 4


def forms_of(needle: str) -> list[str]:
    raw = needle.encode()
    return [needle, base64.b64encode(raw).decode().rstrip("="), raw.hex(), quote(needle, safe="")]


def test_the_venue_never_gets_a_trace_context(
    told: Capture, make_venue: MakeVenue, bot: Any, blocking: Blocking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An HTTP instrumentor that obeys upstream's suppression flag finds it set around every venue request."""
    from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled

    seen: list[bool] = []
    send, request = requests.Session.send, aiohttp.ClientSession._request

    def instrumented_send(session: Any, prepared: Any, **kwargs: Any) -> Any:
        seen.append(is_http_instrumentation_enabled())
        return send(session, prepared, **kwargs)

    async def instrumented_request(session: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(is_http_instrumentation_enabled())
        return await request(session, *args, **kwargs)

    monkeypatch.setattr(requests.Session, "send", instrumented_send)
    monkeypatch.setattr(aiohttp.ClientSession, "_request", instrumented_request)
    venue = make_venue(fill_delay_s=0.01)
    tracer = told.tracer_provider.get_tracer("the bot")
    with tracer.start_as_current_span("the program"):
        bot.trade(venue)
        bot.trade(venue, "ws_create_order")
        with blocking(venue) as client:
            client.get_symbol_ticker(symbol="BTCUSDT")
            client.order_market_buy(symbol="BTCUSDT", quantity="0.01")
    assert set(seen) == {False}
    assert is_http_instrumentation_enabled()
    sent = repr(venue.requests).lower()
    assert [word for word in ("traceparent", "tracestate", "baggage") if word in sent] == []
