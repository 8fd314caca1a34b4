"""Orders sent by a plain HTTP library are orders: told once each, and nothing of ours goes with them."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import httpx
import pytest
import requests
from opentelemetry import baggage, propagate
from opentelemetry import context as otel_context
from opentelemetry.trace import set_span_in_context
from requests.adapters import HTTPAdapter
from tickspan import trading
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator
from tickspan.trading import OrderOperation, OrderRequest
from urllib3.util import Retry

pytestmark = pytest.mark.integration

LIBRARIES = {"requests": "requests", "httpx": "httpx", "httpx_async": "httpx", "aiohttp": "aiohttp"}


def test_an_order_is_one_client_span_with_its_ids(client: Any, told: Capture, venue: VenueSimulator) -> None:
    status, _ = client.order("mine-1", price="50000")
    (span,) = told.spans()
    assert (status, span.name, span.kind, span.status) == (
        200,
        "trading.order.submit binance",
        "client",
        "unset",
    )
    assert span.attributes == {
        "trading.venue.name": "binance",
        "trading.venue.environment": "simulated",
        "trading.client.library": LIBRARIES[client.library],
        "trading.instrument.venue_symbol": "BTCUSDT",
        "trading.order.operation": "submit",
        "trading.order.client_id": "mine-1",
        "trading.order.root_client_id": "mine-1",
        "trading.order.venue_id": str(venue.orders[0].order_id),
        "trading.order.side": "buy",
        "trading.order.type": "limit",
        "trading.order.time_in_force": "good_till_cancel",
        "trading.order.status": "new",
        "trading.trigger": "manual",
    }


def test_a_cancel_is_told_in_the_trace_of_its_order(client: Any, told: Capture) -> None:
    client.order("mine-1", price="50000")
    client.send("DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "origClientOrderId": "mine-1"})
    submit, cancel, *_ = told.spans()
    assert (submit.name, cancel.name) == ("trading.order.submit binance", "trading.order.cancel binance")
    assert cancel.trace_id == submit.trace_id
    assert "trading.latency.cancel_to_ack" in cancel.attributes


def test_a_refusal_says_why_whatever_the_caller_makes_of_its_status(client: Any, told: Capture) -> None:
    status, _ = client.order("mine-1", symbol="NOPE")
    (span,) = told.spans()
    said = {key: span.attributes.get(f"trading.order.reject.{key}") for key in ("code", "reason", "origin")}
    assert (status, span.status, span.attributes["error.type"], said) == (
        400,
        "error",
        "binance:-1121",
        {"code": "-1121", "reason": "symbol", "origin": "venue"},
    )


def test_after_a_gateway_timeout_nobody_knows_the_orders_fate(
    client: Any, told: Capture, venue: VenueSimulator
) -> None:
    venue.next(Fault.ACCEPT_THEN_504)
    status, _ = client.order("mine-1")
    (span,) = told.spans()
    assert (status, len(venue.orders)) == (504, 1)
    assert (span.attributes["trading.order.status"], span.attributes["error.type"]) == (
        "unknown",
        "binance:504",
    )


def test_a_request_about_no_order_has_no_span(client: Any, told: Capture) -> None:
    client.send("GET", "/api/v3/account")
    assert told.spans() == []


def test_nothing_of_ours_reaches_the_venue_not_even_on_this_machine(
    client: Any, told: Capture, venue: VenueSimulator
) -> None:
    tracer = told.tracer_provider.get_tracer("app")
    with tracer.start_as_current_span("work") as span:
        token = otel_context.attach(baggage.set_baggage("book", "eu", set_span_in_context(span)))
        client.order("mine-1", price="50000")
        otel_context.detach(token)
    names = {name.lower() for request in venue.requests for name, _ in request.headers}
    assert names & {"traceparent", "tracestate", "baggage"} == set()


def test_an_order_in_its_own_span_of_the_program_is_told_once(
    client: Any, told: Capture, venue: VenueSimulator
) -> None:
    request = OrderRequest(OrderOperation.SUBMIT, "binance", "mine", client_id="mine-1")
    orders = trading.Orders(
        told.tracer_provider.get_tracer("app"), told.meter_provider.get_meter("app"), name="app"
    )
    call = orders.begin(request)
    call.resume()
    client.order("mine-1", price="50000")
    call.acknowledge()
    assert [span.name for span in told.spans()] == ["trading.order.submit binance"]
    assert len(venue.orders) == 1


def test_what_the_program_tells_less_of_is_still_sent_once(told: Capture, venue: VenueSimulator) -> None:
    del told
    propagate.inject({})
    assert requests.get(f"{venue.url}/api/v3/ping", timeout=5).json() == {}


def test_an_aiohttp_answer_that_nobody_reads_still_ends_the_call(
    told: Capture, venue: VenueSimulator, client_of: Any
) -> None:
    client_of(venue, "requests").order("resting", price="50000")
    told.clear()

    async def ask() -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{venue.url}/api/v3/order", params={"symbol": "BTCUSDT"}) as answer,
        ):
            return answer.status

    assert asyncio.run(ask()) in (400, 401)
    assert [(span.name, span.status) for span in told.spans()] == [("trading.order.query binance", "error")]


def test_a_streamed_answer_is_the_callers_to_read(told: Capture, venue: VenueSimulator) -> None:
    with httpx.stream("GET", f"{venue.url}/api/v3/order", params={"symbol": "BTCUSDT"}) as answer:
        body = answer.read()
    assert (answer.status_code in (400, 401), b"code" in body) == (True, True)
    assert [span.name for span in told.spans()] == ["trading.order.query binance"]


def test_a_retry_below_the_library_is_counted_as_a_second_order_may_live(
    told: Capture, venue: VenueSimulator, client_of: Any
) -> None:
    client = client_of(venue, "requests")
    client.session = requests.Session()
    retry = Retry(total=1, status_forcelist=[504], allowed_methods=None, backoff_factor=0)
    client.session.mount("http://", HTTPAdapter(max_retries=retry))
    venue.next(Fault.ACCEPT_THEN_504)
    client.order("")
    (span,) = told.spans()
    assert (len(venue.orders), span.attributes["trading.order.attempt"]) == (2, 2)


def test_budgets_and_the_clock_are_read_off_every_answer(
    client: Any, told: Capture, venue: VenueSimulator
) -> None:
    client.send("GET", "/api/v3/account")
    spent = {
        (point.attributes["trading.rate_limit.name"], point.attributes["trading.rate_limit.scope"])
        for point in told.points("trading.rate_limit.used")
    }
    assert spent == {("request_weight", "1m"), ("orders", "10s"), ("orders", "1d")}


def test_hosts_that_are_no_venues_are_left_alone(told: Capture) -> None:
    with VenueSimulator(seed=1) as other:
        assert requests.post(f"{other.url}/api/v3/order", timeout=5).status_code in (400, 401)
    assert told.spans() == []
