"""Random schedules of faults from a seed: whatever happens, every execution is in its own order's trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import ccxt
import pytest
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]

FAULTS = {
    Fault.DUPLICATE_EVENT: 0.2,
    Fault.REORDER: 0.2,
    Fault.LATE_FILL: 0.2,
    Fault.FILL_BEFORE_ACK: 0.2,
    Fault.ACCEPT_THEN_504: 0.1,
    Fault.ACCEPT_THEN_RESET: 0.05,
    Fault.REJECT: 0.1,
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("method", ["create_order", "create_order_ws"])
def test_every_execution_is_in_its_orders_trace_whatever_the_venue_does(
    told: Capture, make_venue: MakeVenue, bot: Any, seed: int, method: str
) -> None:
    venue = make_venue(seed, partials=(0.3, 0.3, 0.4), rates=FAULTS, late_fill_s=0.02, tick_interval_s=0.02)

    async def consume(exchange: Any) -> None:
        while True:
            try:
                await exchange.watch_orders()
            except ccxt.NetworkError:
                await asyncio.sleep(0.01)

    async def trade(exchange: Any) -> None:
        await exchange.load_markets()
        consumer = asyncio.create_task(consume(exchange))
        await asyncio.sleep(0.2)  # the user stream is up
        for _ in range(20):
            try:
                await bot.trade(exchange, method)
            except ccxt.BaseError:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)  # what is late comes now
        consumer.cancel()

    bot.run(venue, trade)
    submits = {
        span.attributes.get("trading.order.client_id"): span for span in bot.named("trading.order.submit")
    }
    events = [span for span in bot.named("trading.order.event") if "trading.execution.id" in span.attributes]
    told_of = {span.attributes["trading.execution.id"]: span.trace_id for span in events}
    known = [fill for fill in venue.executions if str(fill.execution_id) in told_of]
    lost_with_the_stream = len(venue.executions) - len(known)
    assert [told_of[str(fill.execution_id)] for fill in known] == [
        submits[fill.client_id].trace_id for fill in known
    ]
    assert len(told_of) == len(events)
    assert len(bot.named("trading.order.lifecycle")) == len(submits)
    assert lost_with_the_stream == 0 or method == "create_order_ws"
