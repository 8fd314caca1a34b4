"""tickspan's conformance suite, on the real libraries against a simulated venue."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import aiohttp
import httpx
import pytest
import requests
from tickspan.instrumentation import Instrumentor
from tickspan.testing.capture import Capture
from tickspan.testing.conformance import Call, InstrumentorConformance
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan_http import HttpInstrumentor


@pytest.mark.integration
class TestHttp(InstrumentorConformance):
    instrumentor: ClassVar[type[Instrumentor]] = HttpInstrumentor
    hosts: tuple[str, ...] = ()

    @contextmanager
    def instrumented(self, telemetry: Capture, **options: Any) -> Generator[None]:
        options.setdefault("settings", {"hosts": self.hosts})
        with super().instrumented(telemetry, **options):
            yield

    @pytest.fixture
    def calls(self, client_of: Any) -> Generator[Sequence[Call]]:
        with (
            VenueSimulator(seed=1, behaviour=Behaviour(fill_delay_s=60)) as venue,
            socket.socket() as nobody,
        ):
            nobody.bind(("127.0.0.1", 0))  # and never listens
            port = nobody.getsockname()[1]
            self.hosts = (f"127.0.0.1:{venue.address[1]}=binance", f"127.0.0.1:{port}=binance")
            resting = client_of(venue, "requests").order("resting", price="50000")[1]["orderId"]
            query = {"symbol": "BTCUSDT", "orderId": str(resting)}
            nowhere = f"http://127.0.0.1:{port}/api/v3/order"

            def fetch(library: str) -> Any:
                return client_of(venue, library).send("GET", "/api/v3/order", query)

            async def fetch_async() -> Any:
                return await asyncio.to_thread(fetch, "httpx")

            async def httpx_nowhere() -> None:
                async with httpx.AsyncClient() as client:
                    await client.post(nowhere)

            async def aiohttp_nowhere() -> None:
                async with aiohttp.ClientSession() as session:
                    await session.post(nowhere)

            yield (
                Call("requests", lambda: fetch("requests")),
                Call("httpx", lambda: fetch("httpx"), fetch_async),
                Call("httpx async", lambda: fetch("httpx_async")),
                Call("aiohttp", lambda: fetch("aiohttp")),
                Call(
                    "requests, nobody there",
                    lambda: requests.post(nowhere, timeout=5),
                    error=requests.ConnectionError,
                ),
                Call("httpx, nobody there", lambda: httpx.post(nowhere), httpx_nowhere, httpx.ConnectError),
                Call(
                    "aiohttp, nobody there",
                    asynchronous=aiohttp_nowhere,
                    error=aiohttp.ClientConnectorError,
                ),
            )
