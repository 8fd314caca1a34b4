"""A simulated TWS, ib_async and ib_insync told to a capture, and bots on either: shared by these tests."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from tickspan import trading
from tickspan.testing.capture import Capture, RecordedSpan
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan_ib import IbInstrumentor

MakeVenue = Callable[..., VenueSimulator]
Body = Callable[[Any], Awaitable[Any]]

LIBRARIES = ("ib_async", "ib_insync")
MARKETS: Any = {
    "symbols": ("AAPL/USD=200", "MSFT/USD=400"),
    "balances": {"USD": "1000000", "AAPL": "1000", "MSFT": "1000"},
    "fee_asset": "USD",
    "tick_interval_s": 0.02,
}
DEADLINE_S = 20.0
CLIENT_ID = 7


def forget_loop(name: str) -> None:
    """ib_async keeps the first loop that it meets for ever."""
    get_loop: Any = importlib.import_module(f"{name}.util").getLoop
    getattr(get_loop, "cache_clear", lambda: None)()


@contextmanager
def blocking_loop(name: str) -> Generator[None]:
    """A loop that the library runs by itself: ib_async makes one, ib_insync takes the one that is set."""
    given = asyncio.new_event_loop()
    asyncio.set_event_loop(given)
    forget_loop(name)
    loop = importlib.import_module(f"{name}.util").getLoop()
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        forget_loop(name)
        for one in {given, loop}:
            one.close()


class Bot:
    """Runs a coroutine function on an `IB` of one library that is connected to a simulated TWS."""

    def __init__(self, told: Capture, name: str) -> None:
        self.library: Any = importlib.import_module(name)
        self._told = told
        self._name = name

    def blocking(self) -> AbstractContextManager[None]:
        """The library runs the loop while the context lasts."""
        return blocking_loop(self._name)

    def run(self, venue: VenueSimulator, body: Body) -> Any:
        """What `body(ib)` returned; the connection is closed, and due lifecycles are written."""

        async def main() -> Any:
            ib = self.library.IB()
            try:
                async with asyncio.timeout(DEADLINE_S):
                    await self.connect(ib, venue)
                    return await body(ib)
            finally:
                ib.disconnect()
                await asyncio.sleep(0)

        forget_loop(self._name)
        result = asyncio.run(main())
        trading.shutdown()
        assert [hook for hook in IbInstrumentor().statistics() if hook.errors] == []
        return result

    async def connect(self, ib: Any, venue: VenueSimulator, client_id: int = CLIENT_ID) -> Any:
        """`ib`, connected."""
        return await ib.connectAsync(*venue.connect.ib_address, clientId=client_id)

    async def contract(self, ib: Any, symbol: str = "AAPL") -> Any:
        """A contract that is qualified."""
        (contract,) = await ib.qualifyContractsAsync(self.library.Stock(symbol, "SMART", "USD"))
        return contract

    def limit(self, price: float = 300, side: str = "BUY", quantity: float = 10, **more: Any) -> Any:
        """A limit order; at this price it is filled at once."""
        return self.library.LimitOrder(side, quantity, price, **more)

    async def at_tick(self, ib: Any, act: Callable[[Any], Any], symbol: str = "AAPL") -> Any:
        """What `act(contract)` returned, called by the handler of the next tick."""
        contract = await self.contract(ib, symbol)
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        ticker = ib.reqMktData(contract)

        def handle(_: Any) -> None:
            if not done.done():
                done.set_result(act(contract))

        ticker.updateEvent += handle
        result = await done
        ticker.updateEvent -= handle
        ib.cancelMktData(contract)
        return result

    async def trade(self, ib: Any, order: Any = None) -> Any:
        """The trade of an order that the handler of the next tick places."""
        placed = order if order is not None else self.limit()
        return await self.at_tick(ib, lambda contract: ib.placeOrder(contract, placed))

    async def place(self, ib: Any, order: Any = None) -> Any:
        """The trade of an order that no tick causes, acknowledged."""
        placed = order if order is not None else self.limit()
        trade = ib.placeOrder(await self.contract(ib), placed)
        await self.until(lambda: trade.orderStatus.status != "PendingSubmit")
        return trade

    async def until(self, holds: Callable[[], Any]) -> None:
        """Let the loop run until `holds()`."""
        while not holds():  # noqa: ASYNC110 - it may come about in the venue's thread
            await asyncio.sleep(0.002)

    def spans(self) -> list[RecordedSpan]:
        """Finished spans."""
        return self._told.spans()

    def tree(self) -> str:
        """Their outline."""
        return self._told.tree()

    def named(self, name: str) -> list[RecordedSpan]:
        """Those whose name begins so."""
        return [span for span in self.spans() if span.name.startswith(name)]


@pytest.fixture
def make_venue() -> Generator[MakeVenue]:
    """Starts a venue with the given knobs; all of them stop after the test."""
    running: list[VenueSimulator] = []

    def make(seed: int = 7, api_key: str = "DU4815162", **knobs: Any) -> VenueSimulator:
        behaviour = Behaviour(**{**MARKETS, **knobs})
        venue = VenueSimulator(dialect="tws", seed=seed, behaviour=behaviour, api_key=api_key)
        running.append(venue.__enter__())
        return venue

    yield make
    for venue in running:
        venue.__exit__()


@pytest.fixture
def settings() -> dict[str, Any]:
    """Settings of the instrumentor; lifecycles are written when `trading.shutdown()` asks for them."""
    return {"lifecycle_delay_s": 3600, "waiting_s": 3600, "ack_deadline_s": 3600}


@pytest.fixture
def told(telemetry: Capture, settings: dict[str, Any]) -> Generator[Capture]:
    """Both libraries instrumented."""
    IbInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings=settings,
    )
    yield telemetry
    IbInstrumentor().uninstrument()


@pytest.fixture(params=LIBRARIES)
def bot(told: Capture, request: pytest.FixtureRequest) -> Bot:
    """A bot on either library, whose orders are told."""
    return Bot(told, request.param)
