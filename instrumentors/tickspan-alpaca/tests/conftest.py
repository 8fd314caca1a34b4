"""A simulated venue, alpaca-py told to a capture, and bots on either: shared by the tests of this member."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from tickspan import trading
from tickspan.testing.capture import Capture, RecordedSpan
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan_alpaca import AlpacaInstrumentor

MakeVenue = Callable[..., VenueSimulator]
Eventually = Callable[[Callable[[], bool]], Awaitable[None]]
SYMBOL = "AAPL"
DEADLINE_S = 20.0
USUAL: Any = {
    "symbols": ("AAPL/USD=190", "BTC/USD=60000"),
    "balances": {"USD": "1000000", "AAPL": "100"},
    "tick_interval_s": 0.01,
}


async def true(claim: Callable[[], bool]) -> None:
    """Wait until `claim` holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not claim():  # noqa: ASYNC110 - the library tells nobody of it
            await asyncio.sleep(0.002)


async def stop(*loops: asyncio.Task[Any]) -> None:
    """Cancel read loops until they have ended: before Python 3.12 `wait_for` may lose a cancellation."""
    left = set(loops)
    while left:
        for loop in left:
            loop.cancel()
        _, left = await asyncio.wait(left, timeout=0.1)


class Session:
    """A trading client with its two streams, whose handlers do what a test hands to them."""

    def __init__(self, venue: VenueSimulator) -> None:
        from alpaca.data.live.stock import StockDataStream
        from alpaca.trading.client import TradingClient
        from alpaca.trading.stream import TradingStream

        self.trading: Any = TradingClient(**venue.connect.alpaca(TradingClient))
        self.trading._retry_wait = 0.01
        self.orders: Any = TradingStream(**venue.connect.alpaca(TradingStream))
        self.quotes: Any = StockDataStream(**venue.connect.alpaca(StockDataStream))
        self.seen: list[Any] = []
        """Trade updates so far."""
        self._at_quote: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._at_update: deque[tuple[str, Callable[[], Any], asyncio.Future[Any]]] = deque()
        for stream in (self.orders, self.quotes):
            stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.01
        self.orders.subscribe_trade_updates(self._update)
        self.quotes.subscribe_quotes(self._quote, SYMBOL)

    async def at_quote(self, act: Callable[[], Any]) -> Any:
        """What `act` returns, called by the handler of the next quote."""
        return await self._waiting(self._at_quote, (act,))

    async def at_update(self, event: str, act: Callable[[], Any]) -> Any:
        """The same by the handler of the next trade update of that kind."""
        return await self._waiting(self._at_update, (event, act))

    async def until(self, *events: str) -> None:
        """Wait until as many updates of these kinds have come, and no other."""
        await true(lambda: sorted(events) == sorted(update.event for update in self.seen))

    async def until_over(self, count: int) -> None:
        """Wait until so many orders have ended."""
        ends = ("fill", "canceled", "expired", "rejected", "replaced")
        await true(lambda: len({seen.order.id for seen in self.seen if seen.event in ends}) >= count)

    def limit(self, quantity: float = 10, price: float = 250, side: str = "buy", **more: Any) -> Any:
        """Submit a limit order: marketable, if nothing else is said."""
        from alpaca.trading.requests import LimitOrderRequest

        more = {"symbol": SYMBOL, "time_in_force": "day", **more}
        return self.trading.submit_order(
            LimitOrderRequest(side=side, qty=quantity, limit_price=price, **more)
        )

    async def _waiting(self, queue: deque[Any], what: tuple[Any, ...]) -> Any:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        queue.append((*what, done))
        async with asyncio.timeout(DEADLINE_S):
            return await done

    async def _quote(self, _quote: Any) -> None:
        if self._at_quote:
            act, done = self._at_quote.popleft()
            await _settle(done, act)

    async def _update(self, update: Any) -> None:
        if self._at_update and self._at_update[0][0] == update.event:
            _, act, done = self._at_update.popleft()
            await _settle(done, act)
        self.seen.append(update)


async def _settle(done: asyncio.Future[Any], act: Callable[[], Any]) -> None:
    try:
        result = act()
        done.set_result(await result if asyncio.iscoroutine(result) else result)
    except Exception as error:  # noqa: BLE001 - it is the test's
        done.set_exception(error)


Body = Callable[[Session], Awaitable[Any]]


class Bot:
    """Runs a coroutine function with a session at a simulated venue, whose streams are up."""

    def __init__(self, told: Capture) -> None:
        self.told = told

    def run(self, venue: VenueSimulator, body: Body) -> Any:
        """What `body(session)` returned; the streams have stopped, and due lifecycles are written."""
        result = asyncio.run(self._run(venue, body))
        trading.shutdown()
        return result

    async def _run(self, venue: VenueSimulator, body: Body) -> Any:
        session = Session(venue)
        loops = [asyncio.create_task(stream._run_forever()) for stream in (session.orders, session.quotes)]
        await true(lambda: session.orders._running and session.quotes._running)
        await asyncio.sleep(0.05)  # the venue has heard that it is listened to
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await body(session)
        finally:
            await stop(*loops)
            for stream in (session.orders, session.quotes):
                await stream.close()
            session.trading._session.close()

    def spans(self) -> list[RecordedSpan]:
        """Finished spans, but for those of connections."""
        return [span for span in self.told.spans() if span.name != "trading.stream.connect"]

    def tree(self) -> str:
        """The outline of these spans."""
        return "\n".join(line for line in self.told.tree().splitlines() if line != "trading.stream.connect")

    def named(self, name: str) -> list[RecordedSpan]:
        """Those of these spans whose name begins so."""
        return [span for span in self.spans() if span.name.startswith(name)]


@pytest.fixture
def eventually() -> Eventually:
    """Waits until a claim holds."""
    return true


@pytest.fixture
def make_venue() -> Generator[MakeVenue]:
    """Starts a venue with the given knobs; all of them stop after the test."""
    running: list[VenueSimulator] = []

    def make(seed: int = 7, **knobs: Any) -> VenueSimulator:
        behaviour = Behaviour(**{**USUAL, **knobs})
        venue = VenueSimulator(dialect="alpaca", seed=seed, behaviour=behaviour).__enter__()
        running.append(venue)
        return venue

    yield make
    for venue in running:
        venue.__exit__()


@pytest.fixture
def told(telemetry: Capture) -> Generator[Capture]:
    """Alpaca's libraries instrumented; lifecycles are written when `trading.shutdown()` asks for them."""
    AlpacaInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings={"lifecycle_delay_s": 3600, "waiting_s": 3600, "environment": "simulated"},
        skip_dep_check=True,
    )
    yield telemetry
    AlpacaInstrumentor().uninstrument()


@pytest.fixture
def bot(told: Capture) -> Bot:
    """A bot whose orders are told."""
    return Bot(told)
