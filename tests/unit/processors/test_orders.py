"""Venues' URLs on what any instrumentor records: neither what opens an account nor what an order was."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from tickspan.processors import orders
from tickspan.providers import LoggerProvider
from tickspan.providers.handler import OTLPHandler
from tickspan.recording import urls
from tickspan.testing.capture import Capture
from tickspan.testing.sink import MemorySink
from tickspan.trading import VenueProfile
from tickspan.trading.venues import known

LISTEN_KEY = "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"
SIGNED = (
    "https://api.binance.com/api/v3/order?symbol=BTCUSDT&side=BUY&quantity=0.5&price=31000"
    "&timestamp=1700000000000&signature=8f2b1c"
)


@pytest.fixture(autouse=True)
def installed() -> Generator[None]:
    remove = orders.install()
    yield
    remove()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        pytest.param(
            SIGNED, "https://api.binance.com/api/v3/order?symbol=BTCUSDT&side=BUY", id="a signed order"
        ),
        pytest.param(
            f"wss://stream.binance.com:9443/ws/{LISTEN_KEY}",
            "wss://stream.binance.com:9443/ws/{}",
            id="a user stream",
        ),
        pytest.param("wss://stream.binance.com/ws/short", "wss://stream.binance.com/ws/{}", id="a short key"),
        pytest.param(
            "wss://ws.kite.trade/?api_key=abc&access_token=def",
            "wss://ws.kite.trade/",
            id="tokens in a query",
        ),
        pytest.param(
            "https://paper-api.alpaca.markets/v2/orders?status=open&limit=5&after=x",
            "https://paper-api.alpaca.markets/v2/orders?status=open&limit=5",
            id="names of another venue",
        ),
        pytest.param("https://example.com/ws/short?symbol=A", "https://example.com/ws/short", id="no venue"),
        pytest.param(
            "https://api.binance.com.example.com/ws/short?symbol=A",
            "https://api.binance.com.example.com/ws/short",
            id="a host that only looks like one",
        ),
    ],
)
def test_of_a_venues_url_what_its_profile_allows_stays(url: str, told: str, telemetry: Capture) -> None:
    tracer = telemetry.tracer_provider.get_tracer("opentelemetry.instrumentation.requests")
    tracer.start_span("POST", kind=SpanKind.CLIENT, attributes={"url.full": url, "http.url": url}).end()
    (span,) = telemetry.spans()
    assert span.attributes == {"url.full": told, "http.url": told}


def test_exceptions_keep_neither_signatures_nor_sizes(telemetry: Capture) -> None:
    tracer = telemetry.tracer_provider.get_tracer("opentelemetry.instrumentation.requests")
    path = SIGNED.removeprefix("https://api.binance.com")
    pool = "HTTPSConnectionPool(host='api.binance.com', port=443)"
    text = f"{pool}: Max retries exceeded with url: {path} (Caused by x)"
    with pytest.raises(ConnectionError), tracer.start_as_current_span("POST"):
        raise ConnectionError(f"{text} at {SIGNED}")
    (span,) = telemetry.spans()
    told = repr(span)
    assert (
        "with url: /api/v3/order (Caused by x) at https://api.binance.com/api/v3/order?symbol=BTCUSDT" in told
    )
    assert not [secret for secret in ("8f2b1c", "0.5", "31000") if secret in told]


def test_log_records_keep_neither_signatures_nor_sizes() -> None:
    sink = MemorySink()
    provider = LoggerProvider(sink=sink, shutdown_on_exit=False)
    logger = logging.getLogger("test_orders.connectionpool")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    handler = OTLPHandler(logger_provider=provider)
    logger.addHandler(handler)
    path = SIGNED.removeprefix("https://api.binance.com")
    logger.debug('https://api.binance.com:443 "%s %s HTTP/1.1" %s %s', "POST", path, 200, None)
    logger.debug("> GET /ws/%s HTTP/1.1", LISTEN_KEY)
    logger.removeHandler(handler)
    bodies = [record.body for record in sink.telemetry().logs]
    assert bodies == [
        'https://api.binance.com:443 "POST /api/v3/order HTTP/1.1" 200 None',
        "> GET /ws/{} HTTP/1.1",
    ]


def test_a_venue_of_a_third_party_has_a_say_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "_profiles", known._Profiles())
    monkeypatch.setattr(known, "entry_points", _installed)
    orders.rule_of.cache_clear()
    assert urls.without_data("https://house.example/a/b?book=x&size=1") == "https://house.example/a/{}?book=x"
    orders.rule_of.cache_clear()


def test_once_removed_urls_are_as_before() -> None:
    remove = urls.add_host_rules(lambda _: urls.HostRule(frozenset({"a"})))
    assert urls.without_data("https://h/?a=1") == "https://h/?a=1"
    remove()
    remove()
    assert urls.without_data("https://h/?a=1") == "https://h/"


def _installed(*, group: str) -> list[Any]:
    return [_House()] if group == known.GROUP else []


class _House:
    """Stands for an installed entry point."""

    name = "house"
    value = "house_venue:PROFILE"

    def load(self) -> VenueProfile:
        return VenueProfile(
            "house",
            hosts={"house.example": "live"},
            query_names=frozenset({"book"}),
            secret_paths=("/a/{door}",),
        )


@pytest.mark.integration
def test_the_distribution_installs_the_rules(run_python: Callable[..., Any]) -> None:
    program = """
import tickspan
from tickspan.recording.urls import without_data
before = without_data("wss://stream.binance.com/ws/short")
tickspan.init()
print(before, without_data("wss://stream.binance.com/ws/short"))
"""
    ended = run_python(program)
    assert ended.stderr == ""
    assert ended.stdout.split() == ["wss://stream.binance.com/ws/short", "wss://stream.binance.com/ws/{}"]
