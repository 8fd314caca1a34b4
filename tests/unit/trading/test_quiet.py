"""What a venue gets of ours: nothing, whoever makes the request and wherever the venue stands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tickspan.instrumentation import Workbench
from tickspan.instrumentation.propagation import PropagationRules, install, propagations, towards, uninstall
from tickspan.testing.capture import Capture
from tickspan.trading import OrderOperation, OrderRequest, is_quiet, orders_of, quiet
from tickspan.trading.detachment import detached_context

OURS = ("traceparent", "tracestate", "baggage")


@pytest.fixture(autouse=True)
def generous_rules() -> Generator[None]:
    """Context and baggage may go to this machine and to an allow-listed gateway."""
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(
        CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
    )
    install(PropagationRules.of(("gateway.example",), ("127.0.0.1", "gateway.example"), ("desk",)))
    token = otel_context.attach(baggage.set_baggage("desk", "rates"))
    yield
    otel_context.detach(token)
    uninstall()
    propagate.set_global_textmap(before)


@pytest.fixture
def venue() -> Generator[tuple[str, list[Mapping[str, str]]]]:
    """A server on this machine: its URL, and the headers of each request."""
    got: list[Mapping[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/v3/order", got
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def post(telemetry: Capture) -> Callable[[str], None]:
    """`requests.post` as upstream's instrumentor of requests wraps it: asked first, a span, an injection."""
    tracer = telemetry.tracer_provider.get_tracer("opentelemetry.instrumentation.requests")

    def instrumented(url: str) -> None:
        headers: dict[str, str] = {}
        if not is_http_instrumentation_enabled():
            requests.post(url, headers=headers, timeout=5)
            return
        with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes={"url.full": url}):
            propagate.inject(headers)
            requests.post(url, headers=headers, timeout=5)

    return instrumented


def injected() -> dict[str, str]:
    carrier: dict[str, str] = {}
    propagate.inject(carrier, towards("gateway.example"))
    return carrier


def test_outside_of_a_venues_request_context_goes_to_this_machine(
    venue: tuple[str, list[Mapping[str, str]]], post: Callable[[str], None]
) -> None:
    url, got = venue
    post(url)
    assert set(OURS).intersection(got[0]) == {"traceparent", "baggage"}


def test_a_quiet_request_carries_nothing_and_makes_no_span(
    venue: tuple[str, list[Mapping[str, str]]], post: Callable[[str], None], telemetry: Capture
) -> None:
    url, got = venue
    with quiet():
        post(url)
    assert set(OURS).intersection(got[0]) == set()
    assert telemetry.spans() == []


def test_nothing_is_injected_while_quiet_not_even_for_a_gateway_on_the_list(telemetry: Capture) -> None:
    with telemetry.tracer_provider.get_tracer("bot").start_as_current_span("decide"):
        assert set(injected()) == {"traceparent", "baggage"}
        before = propagations().get("bare", 0)
        with quiet():
            assert injected() == {}
            assert is_quiet()
        assert propagations().get("bare", 0) == before + 1
        assert set(injected()) == {"traceparent", "baggage"}
        assert not is_quiet()


def test_an_order_call_carries_nothing_even_if_an_instrumentor_speaks_inside(
    venue: tuple[str, list[Mapping[str, str]]], post: Callable[[str], None], telemetry: Capture
) -> None:
    url, got = venue
    bench = Workbench(
        "test",
        telemetry.tracer_provider.get_tracer("test"),
        telemetry.meter_provider.get_meter("test"),
        telemetry.logger_provider.get_logger("test"),
        {"lifecycle_delay_s": 3600},
    )
    orders = orders_of(bench)
    call = orders.begin(OrderRequest(OrderOperation.SUBMIT, "sim", "test"))
    call.resume()
    post(url)
    call.acknowledge()
    assert set(OURS).intersection(got[0]) == set()
    assert "POST" in [span.name for span in telemetry.spans()]
    bench.undo()


def test_quiet_ends_with_its_task_and_goes_along_with_its_awaits() -> None:
    async def request() -> bool:
        with quiet():
            await asyncio.sleep(0)
            return is_quiet()

    async def two() -> list[bool]:
        return [await request(), is_quiet()]

    assert asyncio.run(two()) == [True, False]


def test_a_loop_that_is_started_while_quiet_may_speak() -> None:
    with quiet():
        loop = detached_context()
    assert loop.run(lambda: (is_quiet(), is_http_instrumentation_enabled())) == (False, True)
    assert loop.run(trace.get_current_span) is trace.INVALID_SPAN


def test_a_coroutine_that_is_thrown_away_while_quiet_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    async def request() -> None:
        with quiet():
            await asyncio.Event().wait()

    coroutine = request()

    async def begin() -> None:
        coroutine.send(None)

    asyncio.run(begin())
    coroutine.close()
    assert caplog.records == []
