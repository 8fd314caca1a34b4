"""How many Python functions the hot paths enter: counted, not timed: the same on every machine.

A ceiling is what was counted, with a little head room for other versions of Python, the SDK and the library.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Any

import aiohttp
import ccxt.pro
import pytest
from ccxt.async_support.base.ws.client import Client
from opentelemetry.sdk.trace import TracerProvider as StockTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider
from tickspan_ccxt import CcxtInstrumentor

from tickspan import providers
from tickspan.instrumentation import Instrumentor, Operation, Patch, suppressed
from tickspan.testing.ceilings import calls_of

pytestmark = pytest.mark.perf

SwitchOn = Callable[[Instrumentor, Any], None]
TICK = aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, '{"symbol": "BTC/USDT", "last": 50000.0}', None)


class Library:
    """What is patched."""

    def work(self, value: int) -> int:
        return value + 1


def describe(_library: Any, args: tuple[Any, ...], _kwargs: Any) -> Operation:
    return Operation("work", {"a": 1, "b": 2.0, "c": "3", "d": True, "e": args[0]})


class LibraryInstrumentor(Instrumentor):
    scope = "library"
    version = "1"
    dependencies = ()
    rows = (Patch(__name__, "Library.work", describe),)


class Feed(ccxt.pro.binance):
    """An exchange whose messages are tickers already."""

    def handle_message(self, client: Any, message: Any) -> None:
        client.resolve(self.safe_ticker(message), "ticker")


@pytest.fixture
def switch_on(request: pytest.FixtureRequest) -> SwitchOn:
    """Switches an instrumentor on until the test is over."""

    def instrument(instrumentor: Instrumentor, tracer_provider: Any) -> None:
        instrumentor.instrument(tracer_provider=tracer_provider)
        request.addfinalizer(instrumentor.uninstrument)

    return instrument


@pytest.fixture
def both() -> Generator[Sequence[Any]]:
    """Our provider and the SDK's. Spans wait in a batch: its thread has nothing to do while we count."""
    pair = [providers.TracerProvider(shutdown_on_exit=False), StockTracerProvider(shutdown_on_exit=False)]
    for provider in pair:
        provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    yield pair
    for provider in pair:
        provider.shutdown()


@pytest.fixture(params=[0, 1], ids=["ours", "stock"])
def recording(request: pytest.FixtureRequest, both: Sequence[Any]) -> Any:
    """Each of the two."""
    return both[request.param]


@pytest.fixture
def tick() -> Generator[Callable[[], None]]:
    """Brings one message from the socket to the consumer who waits for it, through ccxt's own client."""
    loop = asyncio.new_event_loop()

    async def connected() -> Any:
        feed: Any = Feed({"enableRateLimit": False})
        return Client("", feed.handle_message, feed.on_error, feed.on_close, feed.on_connected)

    client = loop.run_until_complete(connected())

    async def consume() -> None:
        future = client.future("ticker")
        loop.call_soon(client.handle_message, TICK)
        await future

    yield lambda: loop.run_until_complete(consume())
    loop.close()


def span_of_five_attributes(tracer: Any) -> None:
    with tracer.start_as_current_span("work") as span:
        for name, value in (("a", 1), ("b", 2.0), ("c", "3"), ("d", True), ("e", 5)):
            span.set_attribute(name, value)


def test_a_suppressed_call_only_looks_at_the_context(switch_on: SwitchOn):
    """Four: wrapper, decision, the context and its two keys, the call itself; nothing is described."""
    switch_on(LibraryInstrumentor(), NoOpTracerProvider())
    with suppressed():
        assert calls_of(Library().work, 1) <= 6


def test_a_patch_around_a_span_that_records_nothing_is_short(switch_on: SwitchOn):
    """Twenty-three: guard, describe, start, make current, release, end; a third of them are the API's."""
    switch_on(LibraryInstrumentor(), NoOpTracerProvider())
    assert calls_of(Library().work, 1) <= 26


def test_a_recorded_call_is_about_as_long_as_a_span_written_by_hand(switch_on: SwitchOn, recording: Any):
    """90 beside 101 on the stock SDK: attributes go in at once, which more than pays for the rest."""
    switch_on(LibraryInstrumentor(), recording)
    by_hand = calls_of(span_of_five_attributes, recording.get_tracer("by hand"))
    assert calls_of(Library().work, 1) <= by_hand


def test_our_providers_span_is_about_as_long_as_the_stock_one(both: Sequence[Any]):
    """107 beside 101: the clock that can be given, the parent that is checked, `on_ending`."""
    ours, stock = (calls_of(span_of_five_attributes, provider.get_tracer("by hand")) for provider in both)
    assert ours <= stock + 10


def test_a_tick_without_an_order_adds_few_calls_to_ccxts(switch_on: SwitchOn, tick: Callable[[], None]):
    """Twenty-one: received, resolved, delivered, and counted on two streams; no span is started."""
    bare = calls_of(tick)
    switch_on(CcxtInstrumentor(), NoOpTracerProvider())
    assert calls_of(tick) - bare <= 24
