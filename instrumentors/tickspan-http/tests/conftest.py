"""A simulated venue, requests that are signed for it, and the three libraries told to a capture."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import httpx
import pytest
import requests
from tickspan import trading
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan.testing.venue.credentials import Credentials
from tickspan_http import HttpInstrumentor

Answer = tuple[int, Any]
"""Status and decoded body."""
Send = Callable[..., Answer]

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}


class Client:
    """Sends signed requests to a venue by one of the libraries, each in its usual way."""

    def __init__(self, venue: VenueSimulator, library: str) -> None:
        self.venue = venue
        self.library = library
        self.session = requests.Session()
        self._send: Send = getattr(self, f"_by_{library}")

    def order(self, client_id: str, price: str = "90000", **more: str) -> Answer:
        """A limit order."""
        fields = {**ORDER, "price": price, "newClientOrderId": client_id, **more}
        return self.send("POST", "/api/v3/order", fields)

    def send(self, method: str, path: str, fields: Mapping[str, str] | None = None) -> Answer:
        """A signed request; the fields go into the query, or into the form of a POST."""
        connect = self.venue.connect
        query = urlencode({**(fields or {}), "timestamp": str(int(time.time() * 1000))})
        signed = f"{query}&signature={Credentials(connect.api_key, connect.secret).sign(query)}"
        headers = {"X-MBX-APIKEY": connect.api_key}
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return self._send(method, self.venue.url + path, headers, signed)
        return self._send(method, f"{self.venue.url}{path}?{signed}", headers, None)

    def _by_requests(self, method: str, url: str, headers: Mapping[str, str], body: str | None) -> Answer:
        answer = self.session.request(method, url, headers=dict(headers), data=body, timeout=5)
        return answer.status_code, answer.json()

    def _by_httpx(self, method: str, url: str, headers: Mapping[str, str], body: str | None) -> Answer:
        answer = httpx.request(method, url, headers=headers, content=body)
        return answer.status_code, answer.json()

    def _by_httpx_async(self, method: str, url: str, headers: Mapping[str, str], body: str | None) -> Answer:
        async def send() -> Answer:
            async with httpx.AsyncClient() as client:
                answer = await client.request(method, url, headers=headers, content=body)
                return answer.status_code, answer.json()

        return asyncio.run(send())

    def _by_aiohttp(self, method: str, url: str, headers: Mapping[str, str], body: str | None) -> Answer:
        async def send() -> Answer:
            async with (
                aiohttp.ClientSession() as session,
                session.request(method, url, headers=headers, data=body) as answer,
            ):
                return answer.status, await answer.json()

        return asyncio.run(send())


@pytest.fixture
def client_of() -> type[Client]:
    """Makes clients: `client_of(venue, library)`."""
    return Client


@pytest.fixture
def venue() -> Generator[VenueSimulator]:
    """Fills nothing by itself within a test, unless the order is marketable at once."""
    with VenueSimulator(seed=7, behaviour=Behaviour(fill_delay_s=60)) as running:
        yield running


@pytest.fixture
def told(telemetry: Capture, venue: VenueSimulator) -> Generator[Capture]:
    """The libraries instrumented, the simulated venue named as one of Binance's."""
    hosts = (f"127.0.0.1:{venue.address[1]}=binance/simulated",)
    HttpInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings={
            "lifecycle_delay_s": 3600,
            "waiting_s": 3600,
            "hosts": hosts,
        },
    )
    yield telemetry
    trading.shutdown()
    HttpInstrumentor().uninstrument()


@pytest.fixture(params=["requests", "httpx", "httpx_async", "aiohttp"])
def client(request: pytest.FixtureRequest, venue: VenueSimulator) -> Client:
    """Each library in turn."""
    return Client(venue, request.param)
