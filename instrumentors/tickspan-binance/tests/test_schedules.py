"""Random schedules of faults from a seed: whatever happens, every execution is in its own order's trace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
import binance
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
    Fault.RATE_LIMIT_429: 0.02,
}
REFUSED = (
    binance.BinanceAPIException,
    binance.BinanceWebsocketUnableToConnect,
    aiohttp.ServerDisconnectedError,
)
ORDERS = 20


class Told:
    """Which executions a user stream has told of, and when all of the venue's are among them."""

    def __init__(self, venue: VenueSimulator) -> None:
        self._venue = venue
        self._seen: set[int] = set()
        self._changed = asyncio.Event()

    async def listen(self, user: Any) -> None:
        while True:
            event = await user.recv()
            body = event["o"] if event.get("e") == "ORDER_TRADE_UPDATE" else event
            if body.get("x") == "TRADE":
                self._seen.add(body["t"])
            self._changed.set()

    async def all_of_them(self) -> None:
        async with asyncio.timeout(10):
            while (
                any(order.status.is_open for order in self._venue.orders)
                or {fill.execution_id for fill in self._venue.executions} - self._seen
            ):
                self._changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.05)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("helper", "user_socket"),
    [
        ("create_order", "user_socket"),
        ("ws_create_order", "user_socket"),
        ("futures_create_order", "futures_user_socket"),
    ],
)
def test_every_execution_is_in_its_orders_trace_whatever_the_venue_does(
    told: Capture, make_venue: MakeVenue, bot: Any, seed: int, helper: str, user_socket: str
) -> None:
    venue = make_venue(seed, partials=(0.3, 0.3, 0.4), rates=FAULTS, late_fill_s=0.02, tick_interval_s=0.02)

    async def trade(desk: Any) -> None:
        # Reports come by another client: a reset of the one that trades would end them too.
        other = await created(type(desk.client), desk.account)
        seen = Told(venue)
        async with (
            getattr(type(desk.sockets)(other), user_socket)() as user,
            desk.sockets.trade_socket(bot.symbol) as ticks,
        ):
            listening = asyncio.create_task(seen.listen(user))
            for _ in range(ORDERS):
                with suppress(*REFUSED):
                    await desk.trade(ticks, helper)
            await seen.all_of_them()
            listening.cancel()
        await other.close_connection()

    bot.run(venue, trade)
    submits = {
        span.attributes.get("trading.order.client_id"): span for span in bot.named("trading.order.submit")
    }
    events = [span for span in bot.named("trading.order.event") if "trading.execution.id" in span.attributes]
    told_of = {span.attributes["trading.execution.id"]: span.trace_id for span in events}
    assert len(submits) == ORDERS
    assert len(venue.executions) >= ORDERS
    assert told_of == {str(fill.execution_id): submits[fill.client_id].trace_id for fill in venue.executions}
    assert len(told_of) == len(events)
    assert len(bot.named("trading.order.lifecycle")) == len(submits)


async def created(make: Any, account: dict[str, Any]) -> Any:
    """A client; the first requests may be turned away too."""
    while True:
        with suppress(*REFUSED):
            return await make.create(**account)
