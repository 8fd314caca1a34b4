"""A simulated venue, ccxt told to a capture, and bots on either: shared by the tests of this member."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from typing import Any

import pytest
from tickspan import trading
from tickspan.testing.capture import Capture, RecordedSpan
from tickspan.testing.venue import Behaviour, VenueSimulator
from tickspan_ccxt import CcxtInstrumentor

MakeVenue = Callable[..., VenueSimulator]
Body = Callable[[Any], Awaitable[Any]]
SYMBOL = "BTC/USDT"
ASIDE = ("trading.order.event new", "trading.stream.connect")


class Bot:
    """Runs a coroutine function on a ccxt.pro exchange that talks to a simulated venue."""

    symbol = SYMBOL

    def __init__(self, told: Capture) -> None:
        self._told = told

    def run(self, venue: VenueSimulator, body: Body, **config: Any) -> Any:
        """What `body(exchange)` returned; the exchange is closed, and due lifecycles are written."""
        import ccxt.pro

        settings: Any = {"enableRateLimit": False, **config}

        async def main() -> Any:
            exchange = venue.connect.ccxt(ccxt.pro.binance(settings))
            try:
                return await body(exchange)
            finally:
                await exchange.close()

        result = asyncio.run(main())
        trading.shutdown()
        return result

    async def trade(self, exchange: Any, method: str = "create_order", side: str = "buy") -> Any:
        """The next tick, then a limit order at any price."""
        await exchange.watch_ticker(SYMBOL)
        price = 90_000 if side == "buy" else 10_000
        return await getattr(exchange, method)(SYMBOL, "limit", side, 0.01, price)

    async def until_over(self, exchange: Any, count: int) -> None:
        """Watch orders until `count` of them are over."""
        over: set[str] = set()
        async with asyncio.timeout(10):
            while len(over) < count:
                orders = await exchange.watch_orders()
                over |= {order["id"] for order in orders if order["status"] != "open"}

    def spans(self) -> list[RecordedSpan]:
        """Finished spans of orders, without reports of acceptance: those may outrun the answer, or not."""
        return renumbered([span for span in self._told.spans() if span.name not in ASIDE])

    def tree(self) -> str:
        """The outline of these spans."""
        lines = self._told.tree().splitlines()
        return "\n".join(line for line in lines if line.strip() not in ASIDE)

    def named(self, name: str) -> list[RecordedSpan]:
        """Those of these spans whose name begins so."""
        return [span for span in self.spans() if span.name.startswith(name)]

    def watching(self, exchange: Any, count: int) -> asyncio.Task[None]:
        """`until_over` in a task of its own, as bots do."""
        return asyncio.create_task(self.until_over(exchange, count))


def renumbered(spans: list[RecordedSpan]) -> list[RecordedSpan]:
    """The spans with ids as if no others had been recorded."""
    traces = {trace_id: n for n, trace_id in enumerate(dict.fromkeys(span.trace_id for span in spans), 1)}
    ids = {span.span_id: n for n, span in enumerate(spans, 1)}
    return [
        replace(
            span,
            trace_id=traces[span.trace_id],
            span_id=ids[span.span_id],
            parent_id=ids.get(span.parent_id, span.parent_id) if span.parent_id is not None else None,
            links=tuple((traces.get(trace_id, 0), ids.get(span_id, 0)) for trace_id, span_id in span.links),
        )
        for span in spans
    ]


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
    """ccxt instrumented; lifecycles are written when `trading.shutdown()` asks for them."""
    CcxtInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        settings={"lifecycle_delay_s": 3600, "waiting_s": 3600, "environment": "simulated"},
    )
    yield telemetry
    CcxtInstrumentor().uninstrument()


@pytest.fixture
def bot(told: Capture) -> Bot:
    """A bot whose orders are told."""
    return Bot(told)
