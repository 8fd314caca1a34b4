"""Programs that let the library run the loop, and instrumentors that come late or go early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import pytest
from tickspan import trading
from tickspan.testing.capture import Capture
from tickspan.testing.venue import VenueSimulator
from tickspan_ib import IbInstrumentor

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]


@pytest.fixture
def blocking(bot: Any) -> Generator[Any]:
    """A bot whose library runs the loop by itself."""
    with bot.blocking():
        yield bot


def wait(ib: Any, holds: Callable[[], Any]) -> None:
    while not holds():
        ib.waitOnUpdate(1)


def test_a_blocking_bot_gets_a_trace_per_order(told: Capture, make_venue: MakeVenue, blocking: Any) -> None:
    venue = make_venue(partials=(0.4, 0.6), fill_delay_s=0.05)
    ib = blocking.library.IB()
    ib.connect(*venue.connect.ib_address, clientId=7)
    (contract,) = ib.qualifyContracts(blocking.library.Stock("AAPL", "SMART", "USD"))
    ticker = ib.reqMktData(contract)
    wait(ib, ticker.hasBidAsk)
    trade = ib.placeOrder(contract, blocking.limit())
    wait(ib, trade.isDone)
    ib.disconnect()
    ib.sleep(0.01)
    trading.shutdown()
    assert told.tree() == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n"
        "    trading.order.submit ib\n"
        "      trading.order.event partially_filled\n"
        "      trading.order.event filled\n"
        "      trading.order.lifecycle"
    )
    assert blocking.named("trading.order.submit")[0].attributes["trading.trigger"] == "inferred"


def test_an_order_whose_answer_was_not_read_yet_is_not_lost(
    told: Capture, make_venue: MakeVenue, blocking: Any, settings: dict[str, Any]
) -> None:
    IbInstrumentor().uninstrument()
    IbInstrumentor().instrument(
        tracer_provider=told.tracer_provider, settings={**settings, "ack_deadline_s": 0.05}
    )
    venue = make_venue(fill_delay_s=60)
    ib = blocking.library.IB()
    ib.connect(*venue.connect.ib_address, clientId=7)
    trade = ib.placeOrder(blocking.library.Stock("AAPL", "SMART", "USD"), blocking.limit())
    busy = asyncio.new_event_loop()
    busy.run_until_complete(asyncio.sleep(0.2))  # the program does something else
    busy.close()
    wait(ib, lambda: trade.order.permId)
    ib.disconnect()
    ib.sleep(0.01)
    assert [(span.status, span.attributes["trading.order.status"]) for span in told.spans()] == [
        ("unset", "new")
    ]


def test_objects_that_were_there_before_are_told_too(
    told: Capture, make_venue: MakeVenue, blocking: Any, settings: dict[str, Any]
) -> None:
    venue = make_venue(fill_delay_s=0.01)
    IbInstrumentor().uninstrument()
    ib = blocking.library.IB()
    ib.connect(*venue.connect.ib_address, clientId=7)
    (contract,) = ib.qualifyContracts(blocking.library.Stock("AAPL", "SMART", "USD"))
    ib.reqMktData(contract)
    bound = ib.client._tcpDataProcessed
    IbInstrumentor().instrument(tracer_provider=told.tracer_provider, settings=settings)
    trades: list[Any] = []

    def handle() -> None:
        if not trades and ib.pendingTickers():
            trades.append(ib.placeOrder(contract, blocking.limit()))

    ib.updateEvent += handle
    wait(ib, lambda: trades and trades[0].isDone())
    IbInstrumentor().uninstrument()
    ib.disconnect()
    ib.sleep(0.01)
    assert told.tree() == (
        "trading.feed.message\n"
        "  trading.strategy.decision\n"
        "    trading.order.submit ib\n"
        "      trading.order.event filled\n"
        "      trading.order.lifecycle"
    )
    assert ib.client._tcpDataProcessed is bound


def test_a_call_that_is_open_when_the_instrumentor_goes_ends_without_a_verdict(
    told: Capture, make_venue: MakeVenue, blocking: Any
) -> None:
    venue = make_venue(ack_delay_s=60)
    ib = blocking.library.IB()
    ib.connect(*venue.connect.ib_address, clientId=7)
    ib.placeOrder(blocking.library.Stock("AAPL", "SMART", "USD"), blocking.limit())
    IbInstrumentor().uninstrument()
    ib.disconnect()
    ib.sleep(0.01)
    submit, life = told.spans()
    assert (submit.status, "trading.order.status" in submit.attributes) == ("unset", False)
    assert (life.attributes["trading.order.status"], life.attributes["trading.order.complete"]) == (
        "pending_new",
        False,
    )


def test_nothing_of_ours_is_left_when_the_instrumentor_goes(
    told: Capture, make_venue: MakeVenue, blocking: Any
) -> None:
    venue = make_venue(fill_delay_s=60)
    ib = blocking.library.IB()
    ib.connect(*venue.connect.ib_address, clientId=7)
    (contract,) = ib.qualifyContracts(blocking.library.Stock("AAPL", "SMART", "USD"))
    ticker = ib.reqMktData(contract)
    wait(ib, ticker.hasBidAsk)
    IbInstrumentor().uninstrument()
    trade = ib.placeOrder(contract, blocking.limit())
    wait(ib, lambda: trade.order.permId)
    ib.disconnect()
    ib.sleep(0.01)
    assert told.spans() == []
    assert trading.current_tick() is None
