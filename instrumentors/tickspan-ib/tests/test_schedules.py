"""Random schedules of faults from a seed: whatever happens, every execution is in its own order's trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Execution, Fault, VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]

FAULTS = {
    Fault.DUPLICATE_EVENT: 0.15,
    Fault.REORDER: 0.15,
    Fault.LOST_EVENT: 0.05,
    Fault.LATE_FILL: 0.1,
    Fault.FILL_BEFORE_ACK: 0.1,
    Fault.ACCEPT_THEN_504: 0.1,
    Fault.ACCEPT_THEN_RESET: 0.05,
    Fault.REJECT: 0.1,
}
ORDERS = 25


def execution_id(fill: Execution) -> str:
    return f"0000e0d5.{fill.execution_id:08x}.01.01"


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"lifecycle_delay_s": 3600, "waiting_s": 3600, "ack_deadline_s": 0.1}


class Chaos:
    """A bot that places, changes and cancels as its seed has it, while connections break."""

    def __init__(self, bot: Any, venue: VenueSimulator, seed: int) -> None:
        self._bot = bot
        self._venue = venue
        self._draws = Random(seed)
        self._trades: list[Any] = []

    async def trade(self, ib: Any) -> None:
        """Until the venue has taken enough orders; then ask it for what was not heard of."""
        while len(self._venue.orders) < ORDERS:
            try:
                await self._act(ib)
                await asyncio.sleep(self._draws.choice((0, 0.005, 0.02)))
            except (ConnectionError, TimeoutError):
                self._trades.clear()
            except AssertionError:
                pass  # the library holds an order for done, after it has sent the change
            if self._draws.random() < 0.05:
                self._venue.next(self._draws.choice((Fault.DISCONNECT, Fault.MUTE)))
        await asyncio.sleep(0.5)  # what is late comes now
        ib.disconnect()
        await asyncio.sleep(0.05)
        await self._bot.connect(ib, self._venue)

    async def _act(self, ib: Any) -> None:
        if not ib.isConnected():
            await self._bot.connect(ib, self._venue)
        open_ones = [trade for trade in self._trades if trade.order.permId and not trade.isDone()]
        choice = self._draws.random()
        if open_ones and choice < 0.2:
            ib.cancelOrder(self._draws.choice(open_ones).order)
        elif open_ones and choice < 0.4:
            trade = self._draws.choice(open_ones)
            trade.order.lmtPrice = self._draws.choice((150, 300))
            ib.placeOrder(trade.contract, trade.order)
        else:
            order = self._bot.limit(self._draws.choice((150, 300, 300)))
            self._trades.append(ib.placeOrder(await self._bot.contract(ib), order))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_execution_is_in_its_orders_trace_whatever_the_venue_does(
    told: Capture, make_venue: MakeVenue, bot: Any, seed: int
) -> None:
    venue = make_venue(seed, partials=(0.3, 0.3, 0.4), rates=FAULTS, late_fill_s=0.02, mute_s=0.1)
    bot.run(venue, Chaos(bot, venue, seed).trade)
    lives = bot.named("trading.order.lifecycle")
    traces = {life.attributes.get("trading.order.venue_id"): life.trace_id for life in lives}
    executed = [
        span for span in bot.named("trading.order.event") if "trading.execution.id" in span.attributes
    ]
    assert len(venue.executions) > 10
    assert {span.attributes["trading.execution.id"]: span.trace_id for span in executed} == {
        execution_id(fill): traces[str(fill.order_id)] for fill in venue.executions
    }
    assert len(executed) == len(venue.executions)
    assert [span for span in told.spans() if "trading.order.matched" in span.attributes] == []
    assert len(lives) == len(bot.named("trading.order.submit"))
