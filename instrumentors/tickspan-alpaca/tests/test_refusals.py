"""What a refused, lost or repeated order call leaves behind; and what it must never leave."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import requests
from tickspan import trading
from tickspan.instrumentation import suppressed
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]

REFUSED = {
    "error.type": "alpaca:40310000",
    "trading.order.reject.code": "40310000",
    "trading.order.reject.reason": "risk",
    "trading.order.reject.origin": "venue",
    "trading.order.reject.message": "new orders are rejected by user request",
    "trading.order.status": "rejected",
}


def client_of(venue: VenueSimulator, **changed: Any) -> Any:
    """A trading client of the venue, that waits for hardly anything."""
    from alpaca.trading.client import TradingClient

    client: Any = TradingClient(**{**venue.connect.alpaca(TradingClient), **changed})
    client._retry_wait = 0.01
    return client


def limit(**changed: Any) -> Any:
    from alpaca.trading.requests import LimitOrderRequest

    order: Any = {"symbol": "AAPL", "qty": 1, "side": "buy", "time_in_force": "day", "limit_price": 100}
    return LimitOrderRequest(**{**order, **changed})


def refused_by(error: type[Exception], call: Callable[[], Any]) -> Any:
    """The exception that the call raises."""
    with pytest.raises(error) as raised:
        call()
    return raised.value


def api_error() -> type[Exception]:
    from alpaca.common.exceptions import APIError

    return APIError


def test_a_refused_order_ends_its_span_with_the_venues_code(make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue()
    venue.next(Fault.REJECT)

    async def trade(session: Any) -> None:
        await session.at_quote(lambda: refused_by(api_error(), session.limit))

    bot.run(venue, trade)
    submit, life = bot.named("trading.order.submit")[0], bot.named("trading.order.lifecycle")[0]
    assert (submit.status, submit.description, submit.events) == ("error", None, ())
    assert {name: submit.attributes.get(name) for name in REFUSED} == REFUSED
    assert {name: life.attributes.get(name) for name in REFUSED} == REFUSED
    assert (life.status, life.attributes["trading.order.complete"]) == ("error", True)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"qty": 100_000}, "funds"), ({"side": "sell", "qty": 101}, "quantity")],
)
def test_a_refusal_says_why_in_words(
    told: Capture, make_venue: MakeVenue, changed: dict[str, Any], reason: str
) -> None:
    venue = make_venue(tick_interval_s=0)
    with client_of(venue)._session as session:
        client = client_of(venue)
        client._session = session
        refused_by(api_error(), lambda: client.submit_order(limit(**changed)))
    assert told.spans()[0].attributes["trading.order.reject.reason"] == reason


def test_what_the_library_itself_refuses_never_reached_the_venue(
    told: Capture, make_venue: MakeVenue
) -> None:
    venue = make_venue(tick_interval_s=0)
    client = client_of(venue)
    refused_by(ValueError, lambda: client.cancel_order_by_id("no id at all"))
    refused_by(AttributeError, lambda: client.submit_order({"symbol": "AAPL"}))
    assert [span.attributes["error.type"] for span in told.spans()] == ["ValueError", "AttributeError"]
    assert told.spans()[1].attributes["trading.order.reject.origin"] == "client_library"
    assert venue.requests == ()


def test_an_order_without_an_answer_is_unknown_until_its_reports_come(
    make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.05)
    venue.next(Fault.ACCEPT_THEN_RESET)

    async def trade(session: Any) -> None:
        act = lambda: refused_by(requests.ConnectionError, lambda: session.limit(client_order_id="mine"))  # noqa: E731
        await session.at_quote(act)
        await session.until_over(1)

    bot.run(venue, trade)
    submit, life = bot.named("trading.order.submit")[0], bot.named("trading.order.lifecycle")[0]
    assert submit.attributes["trading.order.status"] == "unknown"
    assert submit.attributes["error.type"] == "requests.exceptions.ConnectionError"
    assert "trading.order.reject.reason" not in submit.attributes
    assert life.attributes["trading.order.status"] == "filled"
    assert len(venue.executions) == 1


def test_a_venue_that_cannot_be_reached_has_no_order(told: Capture, make_venue: MakeVenue) -> None:
    venue = make_venue(tick_interval_s=0)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = client_of(venue, url_override=f"http://127.0.0.1:{unused.getsockname()[1]}")
        refused_by(requests.ConnectionError, lambda: client.submit_order(limit()))
    submit = told.spans()[0].attributes
    assert (submit["trading.order.status"], submit["trading.order.reject.origin"]) == ("rejected", "gateway")


# --- the library tries again by itself


def test_a_504_that_is_tried_again_doubles_the_order_and_is_told_as_unsafe(
    told: Capture, make_venue: MakeVenue
) -> None:
    venue = make_venue(fill_delay_s=60, tick_interval_s=0)
    client = client_of(venue)
    venue.next(Fault.ACCEPT_THEN_504)
    order = client.submit_order(limit())
    submit = told.spans()[0]
    (event,) = told.events("trading.order.unsafe_retry")
    assert len(venue.orders) == 2
    assert submit.attributes["trading.order.attempt"] == 2
    assert submit.attributes["trading.order.retry.safe"] is False
    assert submit.attributes["trading.order.venue_id"] == str(order.id)
    assert (event.severity, event.trace_id) == ("ERROR", submit.trace_id)


def test_a_named_order_that_is_tried_again_is_refused_and_its_fate_unknown(
    told: Capture, make_venue: MakeVenue
) -> None:
    venue = make_venue(fill_delay_s=60, tick_interval_s=0)
    client = client_of(venue)
    venue.next(Fault.ACCEPT_THEN_504)
    refused_by(api_error(), lambda: client.submit_order(limit(client_order_id="mine")))
    submit = told.spans()[0]
    assert len(venue.orders) == 1
    assert submit.attributes["trading.order.attempt"] == 2
    assert submit.attributes["trading.order.retry.safe"] is True
    assert submit.attributes["trading.order.status"] == "unknown"
    assert submit.attributes["error.type"] == "alpaca:40010001"
    assert told.events("trading.order.unsafe_retry") == []


def test_an_attempt_without_an_answer_makes_any_later_refusal_doubtful(
    told: Capture, make_venue: MakeVenue
) -> None:
    venue = make_venue(fill_delay_s=60, tick_interval_s=0)
    client = client_of(venue)
    venue.next(Fault.ACCEPT_THEN_504)
    venue.next(Fault.REJECT)
    refused_by(api_error(), lambda: client.submit_order(limit()))
    submit = told.spans()[0].attributes
    assert (len(venue.orders), submit["trading.order.status"]) == (1, "unknown")
    assert "trading.order.reject.reason" not in submit


def test_a_rate_limit_that_is_waited_out_says_how_long(told: Capture, make_venue: MakeVenue) -> None:
    venue = make_venue(fill_delay_s=60, tick_interval_s=0)
    client = client_of(venue)
    client._retry_wait = 0.3
    venue.next(Fault.RATE_LIMIT_429)
    client.submit_order(limit())
    submit = told.spans()[0]
    assert (submit.status, submit.attributes["trading.order.status"]) == ("unset", "new")
    (event,) = told.events("trading.order.throttled")
    assert submit.attributes["trading.latency.throttle_wait"] == pytest.approx(0.3, abs=0.2)
    assert (event.severity, event.attributes["trading.segment"]) == ("WARN", "throttle_wait")
    assert len(venue.orders) == 1


def test_a_rate_limit_that_lasts_is_a_refusal(told: Capture, make_venue: MakeVenue) -> None:
    venue = make_venue(tick_interval_s=0, rate_limit_burst=4)
    client = client_of(venue)
    venue.next(Fault.RATE_LIMIT_429)
    refused_by(api_error(), lambda: client.submit_order(limit()))
    submit = told.spans()[0].attributes
    assert (submit["trading.order.status"], submit["trading.order.reject.reason"]) == (
        "rejected",
        "rate_limit",
    )
    assert (submit["trading.order.attempt"], len(venue.requests)) == (4, 4)


def test_a_refused_replacement_leaves_the_order_alone(make_venue: MakeVenue, bot: Any) -> None:
    from alpaca.trading.requests import ReplaceOrderRequest

    venue = make_venue(fill_delay_s=60)

    async def trade(session: Any) -> None:
        order = await session.at_quote(session.limit)
        venue.next(Fault.REJECT)
        change = ReplaceOrderRequest(qty=3)
        refused_by(api_error(), lambda: session.trading.replace_order_by_id(order.id, change))

    bot.run(venue, trade)
    replaced, life = bot.named("trading.order.replace")[0], bot.named("trading.order.lifecycle")[0]
    assert (replaced.status, replaced.attributes["error.type"]) == ("error", "alpaca:40310000")
    assert life.attributes["trading.order.status"] == "new"


# --- what must never leave


def test_an_order_whose_answer_was_lost_is_found_by_asking_for_the_venues_id(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)
    venue.next(Fault.ACCEPT_THEN_RESET)

    async def trade(session: Any) -> None:
        with pytest.raises(requests.ConnectionError):
            session.limit(client_order_id="lost")
        with suppressed():
            held = session.trading.get_order_by_client_id("lost")
        session.trading.get_order_by_id(held.id)

    bot.run(venue, trade)
    (submit,), (query,) = bot.named("trading.order.submit"), bot.named("trading.order.query")
    (life,) = bot.named("trading.order.lifecycle")
    statuses = [span.attributes["trading.order.status"] for span in (submit, life)]
    assert statuses == ["unknown", "new"]
    assert life.attributes["trading.order.venue_id"] == query.attributes["trading.order.venue_id"]
    assert query.attributes["trading.order.client_id"] == "lost"


def test_nothing_secret_is_in_any_telemetry(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    key, secret = "key-4711-public-part", "the-secret-0815-of-this-test"
    venue = make_venue(fill_delay_s=0.02)
    stranger = client_of(venue, api_key=key, secret_key=secret)
    faults = (
        Fault.REJECT,
        Fault.ACCEPT_THEN_504,
        Fault.ACCEPT_THEN_RESET,
        Fault.RATE_LIMIT_429,
        Fault.BAN_418,
    )

    async def trade(session: Any) -> None:
        for number, fault in enumerate(faults):
            venue.next(fault)
            if fault in (Fault.ACCEPT_THEN_504, Fault.RATE_LIMIT_429):
                session.limit()
            else:
                refused_by(Exception, lambda number=number: session.limit(client_order_id=f"mine {number}"))
        refused_by(api_error(), lambda: stranger.submit_order(limit()))
        session.trading.get_account()
        await session.at_quote(session.limit)
        await session.until_over(3)

    bot.run(venue, trade)
    metrics = [told.points(name) for name in ("trading.feed.messages", "trading.rate_limit.used")]
    text = repr((told.spans(), told.logs(), metrics))
    needles = [key, secret, venue.connect.api_key, venue.connect.secret, "APCA-API"]
    assert [form for needle in needles for form in _forms(needle) if form in text] == []
    assert len(bot.named("trading.order.submit")) == len(faults) + 2
    assert all(metrics)


def _forms(needle: str) -> list[str]:
    raw = needle.encode()
    return [needle, base64.b64encode(raw).decode().rstrip("="), raw.hex(), quote(needle, safe="")]


def test_the_venue_never_gets_a_trace_context(
    make_venue: MakeVenue, bot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An HTTP instrumentor that obeys upstream's suppression flag finds it set around every venue request."""
    from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled

    seen: list[bool] = []
    send = requests.Session.send

    def instrumented_send(session: Any, request: Any, **kwargs: Any) -> Any:
        seen.append(is_http_instrumentation_enabled())
        return send(session, request, **kwargs)

    monkeypatch.setattr(requests.Session, "send", instrumented_send)
    venue = make_venue(fill_delay_s=0.02)

    async def trade(session: Any) -> None:
        session.trading.get_clock()
        await session.at_quote(session.limit)
        await session.until_over(1)

    bot.run(venue, trade)
    sent = repr(venue.requests).lower()
    assert seen == [False, False]
    assert is_http_instrumentation_enabled()
    assert ("traceparent" in sent, "baggage" in sent, "websocket" in sent) == (False, False, True)


def test_nothing_is_told_while_suppressed_and_the_venue_still_gets_its_orders(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    from tickspan.instrumentation import suppressed

    venue = make_venue(fill_delay_s=60)

    async def trade(session: Any) -> None:
        with suppressed():
            session.limit()
            await asyncio.sleep(0)

    bot.run(venue, trade)
    trading.shutdown()
    assert len(venue.orders) == 1
    assert bot.named("trading.order.submit") == []
