"""The protocols that a simulated venue speaks, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from aiohttp import web

from tickspan.testing.venue.alpaca import AlpacaService
from tickspan.testing.venue.binance import BinanceService
from tickspan.testing.venue.credentials import Credentials
from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.fix import FixService
from tickspan.testing.venue.truth import Witness
from tickspan.testing.venue.tws import TwsService


class WebService(Protocol):
    """A dialect over HTTP and WebSocket. Lives on the venue's loop."""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to one HTTP request, which may last as long as a WebSocket."""
        ...

    def disconnect(self) -> None:
        """Cut every lasting connection."""
        ...


class SocketService(Protocol):
    """A dialect over plain TCP. Lives on the venue's loop."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends."""
        ...

    def disconnect(self) -> None:
        """Cut every connection."""
        ...


WEB: Final[dict[str, Callable[[Exchange, Credentials, Witness], WebService]]] = {
    "binance": BinanceService,
    "alpaca": AlpacaService,
}
SOCKET: Final[dict[str, Callable[[Exchange, Credentials, Witness], SocketService]]] = {
    "fix": FixService,
    "tws": TwsService,
}


def names() -> tuple[str, ...]:
    """Every dialect there is."""
    return (*WEB, *SOCKET)


def known(name: str) -> str:
    """`name`, if there is such a dialect. Raises ValueError that names all."""
    if name not in names():
        raise ValueError(f"dialect: expected one of {', '.join(names())}; got {name!r}")
    return name
