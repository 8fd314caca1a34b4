"""A simulated venue, python-binance told to a capture, and bots on either: shared by this member's tests."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of websockets, when the library is imported
    import binance

import pytest
from binance.ws.constants import WSListenerState
from binance.ws.reconnecting_websocket import ReconnectingWebsocket
from tickspan import trading
from tickspan.testing.capture import Capture, RecordedSpan
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan_binance import BinanceInstrumentor

MakeVenue = Callable[..., VenueSimulator]
SYMBOL = "BTCUSDT"
CONNECTING = "trading.stream.connect"
SETTINGS = {"lifecycle_delay_s": 3600, "waiting_s": 3600, "environment": "simulated"}


async def settled(socket: Any) -> None:
    """A socket that is closed while it connects again forgets that it was to end: `close` never returns."""
    async with asyncio.timeout(10):
        while (  # noqa: ASYNC110 - the library has no event to wait for
            socket._handle_read_loop is not None and socket.ws_state is WSListenerState.RECONNECTING
        ):
            await asyncio.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a bot trades with: a client and the sockets that work for it."""

    client: Any
    sockets: Any
    account: dict[str, Any]

    def order(self, side: str = "BUY", price: str = "90000", **params: Any) -> dict[str, Any]:
        """Parameters of a limit order; at this price it is filled at once."""
        terms = {"symbol": SYMBOL, "side": side, "type": "LIMIT", "timeInForce": "GTC"}
        return {**terms, "quantity": "0.01", "price": price, **params}

    async def trade(self, ticks: Any, helper: str = "create_order", **params: Any) -> Any:
        """The next tick, then an order."""
        await ticks.recv()
        await settled(self.client.ws_api)  # a request meanwhile connects too, and one connection is left over
        return await getattr(self.client, helper)(**self.order(**params))


Body = Callable[[Desk], Awaitable[Any]]


async def until_over(user: Any, count: int) -> None:
    """Read the user data stream until `count` orders are over."""
    over: set[str] = set()
    async with asyncio.timeout(10):
        while len(over) < count:
            event = await user.recv()
            body = event.get("o") if isinstance(event.get("o"), dict) else event
            if body.get("X") in ("FILLED", "CANCELED", "EXPIRED"):
                over.add(body["i"])


class Bot:
    """Runs a coroutine function with an asynchronous client that talks to a simulated venue."""

    symbol = SYMBOL

    def __init__(self, told: Capture) -> None:
        self._told = told

    def run(self, venue: VenueSimulator, body: Body, **config: Any) -> Any:
        """What `body(desk)` returned; the client is closed, and due lifecycles are written."""

        async def main(account: dict[str, Any]) -> Any:
            client = await binance.AsyncClient.create(**account, **config)
            try:
                return await body(Desk(client, binance.BinanceSocketManager(client), account))
            finally:
                await settled(client.ws_api)
                await client.close_connection()

        with venue.connect.python_binance() as account:
            result = asyncio.run(main(account))
        trading.shutdown()
        return result

    def trade(self, venue: VenueSimulator, helper: str = "create_order", **params: Any) -> None:
        """One order after a tick, watched until it is over."""

        self.run(venue, lambda desk: self.fill(desk, helper, **params))

    async def fill(self, desk: Desk, helper: str, **params: Any) -> None:
        """The same, in a body."""
        async with desk.sockets.user_socket() as user, desk.sockets.trade_socket(SYMBOL) as ticks:
            watching = asyncio.create_task(until_over(user, 1))
            await desk.trade(ticks, helper, **params)
            await watching

    def place(self, venue: VenueSimulator, helper: str = "create_order", **params: Any) -> None:
        """One order after a tick, and nothing more."""

        async def body(desk: Desk) -> None:
            async with desk.sockets.trade_socket(SYMBOL) as ticks:
                await desk.trade(ticks, helper, **params)

        self.run(venue, body)

    def spans(self) -> list[RecordedSpan]:
        """Spans of orders, without reports of acceptance: those may outrun the answer, or not."""
        left_out = ("trading.order.event new", CONNECTING)
        return [span for span in self._told.spans() if span.name not in left_out]

    def tree(self) -> str:
        """The outline of these spans."""
        lines = self._told.tree().splitlines()
        left_out = ("trading.order.event new", CONNECTING)
        return "\n".join(line for line in lines if not line.endswith(left_out))

    def named(self, name: str) -> list[RecordedSpan]:
        """Those of these spans whose name begins so."""
        return [span for span in self.spans() if span.name.startswith(name)]


@contextmanager
def blocking_client(venue: VenueSimulator, **config: Any) -> Generator[Any]:
    """A `Client` with an event loop of its own, which it needs for requests by WebSocket."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        with venue.connect.python_binance() as account:
            client: Any = binance.Client(**{**account, **config})
            try:
                yield client
            finally:
                loop.run_until_complete(client.ws_api.close())
                client.close_connection()
                loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that is silent lets itself be closed only after its `TIMEOUT`, which is ten seconds."""
    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 0.5)


@pytest.fixture
def make_venue() -> Generator[MakeVenue]:
    """Starts a venue with the given knobs; all of them stop after the test."""
    running: list[VenueSimulator] = []

    def make(seed: int = 7, **knobs: Any) -> VenueSimulator:
        venue = VenueSimulator(seed=seed, behaviour=Behaviour(**knobs)).__enter__()
        running.append(venue)
        return venue

    yield make
    for venue in running:
        venue.__exit__()


@pytest.fixture
def told(telemetry: Capture) -> Generator[Capture]:
    """python-binance instrumented; lifecycles are written when `trading.shutdown()` asks for them."""
    BinanceInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings=SETTINGS,
    )
    yield telemetry
    BinanceInstrumentor().uninstrument()


@pytest.fixture
def bot(told: Capture) -> Bot:
    """A bot whose orders are told."""
    return Bot(told)


@pytest.fixture
def blocking() -> Callable[..., Any]:
    """Makes a blocking client of a venue, as a context."""
    return blocking_client
