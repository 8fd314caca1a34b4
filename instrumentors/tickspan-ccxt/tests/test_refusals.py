"""What a refused, lost or broken order call leaves behind; and what it must never leave."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import ccxt
import pytest
from tickspan import trading
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]

SYMBOL = "BTC/USDT"
REFUSED = {
    "error.type": "binance:-2010",
    "trading.order.reject.code": "-2010",
    "trading.order.reject.reason": "other",
    "trading.order.reject.origin": "venue",
    "trading.order.reject.message": "New order rejected.",
    "trading.order.status": "rejected",
}


@pytest.mark.parametrize("method", ["create_order", "create_order_ws"])
def test_a_refused_order_ends_its_span_with_the_venues_code(
    told: Capture, make_venue: MakeVenue, bot: Any, method: str
) -> None:
    venue = make_venue()
    venue.next(Fault.REJECT)

    async def trade(exchange: Any) -> None:
        with pytest.raises(ccxt.InvalidOrder):
            await bot.trade(exchange, method)

    bot.run(venue, trade)
    submit, life = bot.named("trading.order.submit")[0], bot.named("trading.order.lifecycle")[0]
    assert (submit.status, submit.description, submit.events) == ("error", None, ())
    assert {name: submit.attributes.get(name) for name in REFUSED} == REFUSED
    assert {name: life.attributes.get(name) for name in REFUSED} == REFUSED
    assert (life.status, life.attributes["trading.order.complete"]) == ("error", True)


def test_a_refusal_for_want_of_funds_says_so(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(balances={"USDT": "1"})

    async def trade(exchange: Any) -> None:
        with pytest.raises(ccxt.InsufficientFunds):
            await bot.trade(exchange)

    bot.run(venue, trade)
    submit = bot.named("trading.order.submit")[0]
    assert submit.attributes["trading.order.reject.reason"] == "funds"


def test_an_order_that_ccxt_itself_refuses_was_never_sent(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue()

    async def trade(exchange: Any) -> None:
        await exchange.load_markets()
        with pytest.raises(ccxt.InvalidOrder):
            await exchange.create_order(SYMBOL, "limit", "buy", 0.01)

    bot.run(venue, trade)
    submit = bot.named("trading.order.submit")[0]
    assert submit.attributes["trading.order.reject.origin"] == "client_library"
    assert submit.attributes["error.type"] == "ccxt.base.errors.InvalidOrder"
    assert venue.orders == ()


@pytest.mark.parametrize(
    ("fault", "error_type"),
    [
        (Fault.ACCEPT_THEN_504, "binance:-1007"),
        (Fault.ACCEPT_THEN_RESET, "ccxt.base.errors.ExchangeNotAvailable"),
    ],
)
def test_an_order_without_an_answer_is_unknown_until_its_reports_come(
    told: Capture, make_venue: MakeVenue, bot: Any, fault: Fault, error_type: str
) -> None:
    venue = make_venue(fill_delay_s=0.05)
    venue.next(fault)

    async def trade(exchange: Any) -> None:
        watching = bot.watching(exchange, 1)
        await asyncio.sleep(0.2)  # the user stream is up
        with pytest.raises(ccxt.OperationFailed):
            await bot.trade(exchange)
        await watching

    bot.run(venue, trade)
    submit, life = bot.named("trading.order.submit")[0], bot.named("trading.order.lifecycle")[0]
    assert submit.attributes["trading.order.status"] == "unknown"
    assert submit.attributes["error.type"] == error_type
    assert "trading.order.reject.reason" not in submit.attributes
    assert life.attributes["trading.order.status"] == "filled"
    assert len(venue.executions) == 1


def test_a_rate_limit_is_a_refusal(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue()

    async def trade(exchange: Any) -> None:
        await exchange.watch_ticker(SYMBOL)
        venue.next(Fault.RATE_LIMIT_429)
        with pytest.raises(ccxt.DDoSProtection):
            await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 90_000)

    bot.run(venue, trade)
    submit = bot.named("trading.order.submit")[0]
    assert submit.attributes["trading.order.reject.reason"] == "rate_limit"
    assert submit.attributes["trading.order.status"] == "rejected"


def test_a_failed_cancel_leaves_the_order_alone(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(exchange: Any) -> None:
        await bot.trade(exchange)
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_order("77", SYMBOL)

    bot.run(venue, trade)
    cancel, life = bot.named("trading.order.cancel")[0], bot.named("trading.order.lifecycle")[0]
    assert (cancel.status, cancel.attributes["error.type"]) == ("error", "binance:-2011")
    assert life.attributes["trading.order.status"] == "new"


def test_a_second_attempt_that_is_refused_as_a_duplicate_leaves_the_order_unknown(
    told: Capture, make_venue: MakeVenue
) -> None:
    venue = make_venue(fill_delay_s=60)
    exchange = venue.connect.ccxt(ccxt.binance({"options": {"maxRetriesOnFailure": 1}}))
    exchange.load_markets()
    venue.next(Fault.ACCEPT_THEN_504)
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate"):
        exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    submit = next(span for span in told.spans() if span.name.startswith("trading.order.submit"))
    assert submit.attributes["trading.order.attempt"] == 2
    assert submit.attributes["trading.order.status"] == "unknown"
    assert submit.attributes["error.type"] == "binance:-2010"
    assert len(venue.orders) == 1


@pytest.mark.parametrize(
    ("create", "fetch"), [("create_order", "fetch_order"), ("create_order_ws", "fetch_order_ws")]
)
def test_an_order_whose_answer_was_lost_is_found_by_asking_for_the_venues_id(
    told: Capture, make_venue: MakeVenue, bot: Any, create: str, fetch: str
) -> None:
    venue = make_venue(fill_delay_s=60)
    venue.next(Fault.ACCEPT_THEN_504)

    async def trade(exchange: Any) -> None:
        with pytest.raises(ccxt.BaseError):
            await bot.trade(exchange, create)
        await getattr(exchange, fetch)(str(venue.orders[0].order_id), SYMBOL)

    bot.run(venue, trade)
    (submit,), (query,) = bot.named("trading.order.submit"), bot.named("trading.order.query")
    (life,) = bot.named("trading.order.lifecycle")
    statuses = [span.attributes["trading.order.status"] for span in (submit, life)]
    assert statuses == ["unknown", "new"]
    assert life.attributes["trading.order.venue_id"] == query.attributes["trading.order.venue_id"]
    assert query.attributes["trading.order.client_id"] == submit.attributes["trading.order.client_id"]


def test_nothing_secret_is_in_any_span(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    key, secret = "key-4711-public-part", "the-secret-0815-of-this-test"
    venue = make_venue(fill_delay_s=0.05)
    venue_key = venue.connect.api_key
    faults = (Fault.REJECT, Fault.ACCEPT_THEN_504, Fault.ACCEPT_THEN_RESET, Fault.RATE_LIMIT_429)

    async def trade(exchange: Any) -> None:
        await exchange.load_markets()
        for fault in faults:
            venue.next(fault)
            with pytest.raises(ccxt.BaseError):
                await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 90_000)
        for call in (
            exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, 90_000),
            exchange.fetch_balance(),
        ):
            await call
        stranger = type(exchange)({"apiKey": key, "secret": secret})
        venue.connect.ccxt(stranger)
        with pytest.raises(ccxt.BaseError):
            await stranger.create_order(SYMBOL, "limit", "buy", 0.01, 90_000)
        await stranger.close()

    bot.run(venue, trade)
    text = repr(told.spans())
    signatures = [
        pair.partition("=")[2]
        for request in venue.requests
        for pair in str(request).replace("'", "&").split("&")
        if pair.startswith("signature=")
    ]
    needles = [key, secret, venue_key, venue.connect.secret, "signature", *signatures]
    forms = [form for needle in needles for form in _forms(needle)]
    assert [form for form in forms if form in text] == []
    assert len(bot.named("trading.order.submit")) == len(faults) + 2


def _forms(needle: str) -> list[str]:
    raw = needle.encode()
    return [needle, base64.b64encode(raw).decode().rstrip("="), raw.hex(), quote(needle, safe="")]


def test_the_venue_never_gets_a_trace_context(
    told: Capture, make_venue: MakeVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An HTTP instrumentor that obeys upstream's suppression flag finds it set around every venue request."""
    import requests
    from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled

    seen: list[bool] = []
    send = requests.Session.send

    def instrumented_send(session: Any, request: Any, **kwargs: Any) -> Any:
        seen.append(is_http_instrumentation_enabled())
        return send(session, request, **kwargs)

    monkeypatch.setattr(requests.Session, "send", instrumented_send)
    venue = make_venue(fill_delay_s=60)
    exchange = venue.connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    trading.shutdown()
    assert set(seen) == {False}
    assert is_http_instrumentation_enabled()
    assert "traceparent" not in repr(venue.requests).lower()


def test_the_handshake_of_a_socket_carries_no_trace_context(
    told: Capture, make_venue: MakeVenue, bot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import aiohttp
    from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled

    seen: list[bool] = []
    request = aiohttp.ClientSession._request

    async def instrumented_request(session: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(is_http_instrumentation_enabled())
        return await request(session, *args, **kwargs)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", instrumented_request)
    venue = make_venue(fill_delay_s=60)
    bot.run(venue, bot.trade)
    assert set(seen) == {False}
