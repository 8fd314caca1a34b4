"""Market data of a live node as feeds."""

from __future__ import annotations

from typing import Any

import pytest
from tickspan.testing.capture import Capture
from tickspan.trading import feeds_of
from tickspan_nautilus import NautilusInstrumentor

pytestmark = pytest.mark.integration

PLACE = {
    "trading.venue.name": "binance",
    "trading.venue.environment": "simulated",
    "trading.client.library": "nautilus_trader",
    "trading.feed.channel": "quotes",
}


def test_quotes_are_counted_with_their_lag_and_their_wait(told: Capture, bot: Any) -> None:
    async def trade(session: Any) -> None:
        for lag_ns in (5_000_000, 5_000_000, -3_000_000):
            session.feed.quote(lag_ns=lag_ns)
        session.feed.quote()
        await session.heard("OrderFilled")

    bot.run({4: bot.buy}, trade)
    names = ("feed.messages", "clock.negative_lag", "feed.lag", "feed.queue")
    messages, negative, lag, queue = (told.points(f"trading.{name}") for name in names)
    assert [(dict(point.attributes), point.value) for point in messages] == [(PLACE, 4)]
    assert [(dict(point.attributes), point.value) for point in negative] == [(PLACE, 1)]
    assert [(dict(point.attributes), point.count) for point in lag] == [(PLACE, 3)]
    assert lag[0].value == pytest.approx(0.011, abs=0.001)
    assert [(dict(point.attributes), point.count) for point in queue] == [(PLACE, 4)]
    assert queue[0].value > 0


def test_a_node_that_has_stopped_is_not_missed(told: Capture, bot: Any) -> None:
    ages: list[int] = []

    async def trade(session: Any) -> None:
        await session.trade("OrderFilled")
        look()
        ages.append(len(told.points("trading.feed.staleness")))

    def look() -> None:
        """What the watch does each second."""
        bench = NautilusInstrumentor()._bench
        assert bench is not None
        feeds_of(bench).look()

    bot.run({1: bot.buy}, trade)
    look()
    assert (ages, told.points("trading.feed.staleness")) == ([1], [])
