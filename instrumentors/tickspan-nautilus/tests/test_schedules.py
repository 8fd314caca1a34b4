"""Random schedules from a seed: whatever a venue does, every execution is in its own order's trace."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from tickspan.testing.capture import Capture

pytestmark = pytest.mark.integration

ORDERS = 30
PARTS = {"fill": ["0.010000"], "parts": ["0.003000", "0.003000", "0.004000"], "cancel": ["0.002000"]}


class Chaos:
    """Accepts late, refuses, fills in parts or before it accepts, cancels the rest; counts what it did."""

    def __init__(self, seed: int) -> None:
        self.draws = random.Random(seed)
        self.truth: dict[str, str] = {}
        """Execution to client order id."""
        self.ends: Counter[str] = Counter()

    async def submit(self, venue: Any, command: Any) -> None:
        order, draws = command.order, self.draws
        venue.submitted(order)
        await self.wait()
        kind = draws.choice(("fill", "parts", "early", "refuse", "cancel"))
        self.ends[kind] += 1
        if kind == "refuse":
            venue.rejected(order, "no")
            return
        if kind == "early":
            self.fill(venue, order, "0.010000")
            return
        venue.accepted(order)
        for size in PARTS[kind]:
            await self.wait()
            self.fill(venue, order, size)
        if kind == "cancel":
            await self.wait()
            venue.canceled(order)

    async def wait(self) -> None:
        await asyncio.sleep(self.draws.choice((0, 0, 0.001, 0.004)))

    def fill(self, venue: Any, order: Any, size: str) -> None:
        venue.filled(order, size)
        self.truth[venue.executions[-1]] = str(order.client_order_id)


@pytest.mark.parametrize("seed", range(5))
def test_every_execution_is_in_its_orders_trace_whatever_the_venue_does(
    told: Capture, bot: Any, seed: int
) -> None:
    chaos = Chaos(seed)
    acts = dict.fromkeys(range(1, ORDERS + 1), bot.buy)

    async def trade(session: Any) -> None:
        for _ in range(ORDERS):
            session.feed.quote()
            await asyncio.sleep(chaos.draws.choice((0, 0.002)))
        closed = 0
        async with asyncio.timeout(20):
            while closed < ORDERS:
                await session.strategy.events.get()
                closed = sum(order.is_closed for order in session.node.kernel.cache.orders())

    bot.run(acts, trade, {"SubmitOrder": chaos.submit})
    submits = {span.attributes["trading.order.client_id"]: span for span in bot.named("trading.order.submit")}
    events = [span for span in bot.named("trading.order.event") if "trading.execution.id" in span.attributes]
    lives = Counter(span.attributes["trading.order.status"] for span in bot.named("trading.order.lifecycle"))
    ends = chaos.ends
    assert {span.attributes["trading.execution.id"]: span.trace_id for span in events} == {
        execution: submits[client_id].trace_id for execution, client_id in chaos.truth.items()
    }
    assert len(events) == len(chaos.truth)
    assert len({span.trace_id for span in submits.values()}) == ORDERS
    assert lives == Counter(
        filled=ends["fill"] + ends["parts"] + ends["early"],
        rejected=ends["refuse"],
        canceled=ends["cancel"],
    )
