"""Random schedules of faults from a seed: whatever happens, every execution is in its own order's trace."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import requests
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]

FAULTS = {
    Fault.DUPLICATE_EVENT: 0.2,
    Fault.REORDER: 0.2,
    Fault.LATE_FILL: 0.2,
    Fault.FILL_BEFORE_ACK: 0.15,
    Fault.ACCEPT_THEN_504: 0.1,
    Fault.ACCEPT_THEN_RESET: 0.05,
    Fault.REJECT: 0.1,
    Fault.RATE_LIMIT_429: 0.05,
}
ORDERS = 25


def play(session: Any, random: Random, number: int) -> None:
    """One order, which may be replaced or canceled afterwards; whatever the venue answers."""
    from alpaca.common.exceptions import APIError
    from alpaca.trading.requests import ReplaceOrderRequest

    try:
        order = session.limit(10, 250, client_order_id=f"order {number}")
        if random.random() < 0.2:
            session.trading.replace_order_by_id(
                order.id, ReplaceOrderRequest(qty=5, client_order_id=f"next {number}")
            )
        elif random.random() < 0.2:
            session.trading.cancel_order_by_id(order.id)
    except (APIError, requests.RequestException):
        pass


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_every_execution_is_in_its_orders_trace_whatever_the_venue_does(
    told: Capture, make_venue: MakeVenue, bot: Any, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    venue = make_venue(seed, partials=(0.3, 0.3, 0.4), rates=FAULTS, late_fill_s=0.02)
    random = Random(seed)

    async def trade(session: Any) -> None:
        for number in range(ORDERS):
            await session.at_quote(lambda number=number: asyncio.to_thread(play, session, random, number))
        open_before = -1
        while open_before != len(session.seen):  # what is late comes now
            open_before = len(session.seen)
            await asyncio.sleep(0.3)

    with caplog.at_level(logging.CRITICAL):
        bot.run(venue, trade)
    told_in: dict[str, list[int]] = {}
    for span in bot.named("trading.order.event"):
        if "trading.execution.id" in span.attributes:
            told_in.setdefault(span.attributes["trading.execution.id"], []).append(span.trace_id)
    trace_of = {
        span.attributes["trading.order.client_id"]: span.trace_id
        for span in (*bot.named("trading.order.submit"), *bot.named("trading.order.replace"))
        if "trading.order.client_id" in span.attributes
    }
    expected = {
        f"ec000000-0000-4000-8000-{fill.execution_id:012x}": [trace_of[fill.client_id]]
        for fill in venue.executions
    }
    assert told_in == expected
    assert len(venue.executions) > ORDERS
    lives = Counter(
        span.attributes["trading.order.client_id"] for span in bot.named("trading.order.lifecycle")
    )
    assert set(lives.values()) == {1}
    assert [span for span in bot.spans() if span.attributes.get("trading.order.matched") is False] == []
