"""More messages than the library lets out in a second: what stands in its queue, and how it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tickspan.testing.capture import Capture
from tickspan.testing.venue import VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]


async def burst(bot: Any, ib: Any, count: int, price: float = 150) -> list[Any]:
    """So many orders at once, each of one share."""
    contract = await bot.contract(ib)
    return [ib.placeOrder(contract, bot.limit(price, quantity=1)) for _ in range(count)]


def test_an_order_that_had_to_queue_says_how_long(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> int:
        ib.client.MaxRequests, ib.client.RequestsInterval = 10, 1
        await asyncio.sleep(1)  # the requests of the connection count no longer
        trades = await burst(bot, ib, 28)
        await bot.until(lambda: all(trade.orderStatus.permId for trade in trades))
        return len(trades)

    bot.run(venue, trade)
    submits = bot.named("trading.order.submit")
    waits = [span.attributes.get("trading.latency.queue_wait") for span in submits]
    queued = [wait for wait in waits if wait is not None]
    ids = [int(span.attributes["trading.order.client_id"].partition(":")[2]) for span in submits]
    assert ids == list(range(ids[0], ids[0] + 28))
    assert waits[:9] == [None] * 9  # the tenth message in that time asked for the contract
    assert len(queued) == 19
    assert 0.5 < min(queued[:10]) <= max(queued[:10]) < 1.5
    assert 1.5 < min(queued[10:]) <= max(queued[10:]) < 2.5
    assert [span.parent_id for span in submits] == [None] * 28


def test_the_time_in_the_queue_is_a_metric_and_a_warning(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> None:
        ib.client.MaxRequests, ib.client.RequestsInterval = 10, 0.4
        await asyncio.sleep(0.4)
        trades = await burst(bot, ib, 12)
        await bot.until(lambda: all(trade.orderStatus.permId for trade in trades))

    bot.run(venue, trade)
    waits = [
        point
        for point in told.points("trading.order.segment.duration")
        if point.attributes["trading.segment"] == "queue_wait"
    ]
    assert sum(point.count or 0 for point in waits) == 3
    assert {
        (event.severity, event.attributes["trading.segment"])
        for event in told.events("trading.order.throttled")
    } == {("WARN", "queue_wait")}


def test_a_wait_in_the_queue_is_part_of_the_way_to_the_wire(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.01)

    async def trade(ib: Any) -> None:
        ib.client.MaxRequests, ib.client.RequestsInterval = 5, 0.3
        await asyncio.sleep(0.3)
        trades = await burst(bot, ib, 5, price=300)
        await bot.until(lambda: all(trade.isDone() for trade in trades))

    bot.run(venue, trade)
    last = bot.named("trading.order.lifecycle")[-1].attributes
    assert last["trading.latency.decision_to_wire"] >= 0.2
    assert last["trading.latency.wire_to_ack"] < 0.2


def test_the_librarys_own_limit_is_told_as_a_budget(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> None:
        trades = await burst(bot, ib, 50)
        await bot.until(lambda: all(trade.orderStatus.permId for trade in trades))

    bot.run(venue, trade)
    (near,) = told.events("trading.rate_limit.near")
    assert {name: near.attributes[name] for name in near.attributes if "rate_limit" in name} == {
        "trading.rate_limit.name": "messages",
        "trading.rate_limit.scope": "1s",
        "trading.rate_limit.spent": 36,
        "trading.rate_limit.budget": 45,
        "trading.rate_limit.estimated": True,
    }


def test_orders_that_never_left_the_queue_were_not_placed(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)

    async def trade(ib: Any) -> None:
        ib.client.MaxRequests, ib.client.RequestsInterval = 10, 60
        await burst(bot, ib, 30)

    bot.run(venue, trade)
    submits = bot.named("trading.order.submit")
    unsent = [span for span in submits if "trading.order.reject.origin" in span.attributes]
    assert {
        (span.status, span.attributes["error.type"], span.attributes["trading.order.reject.origin"])
        for span in unsent
    } == {("error", "ConnectionError", "client_library")}
    assert 20 <= len(unsent) < len(submits) == 30
    assert len(venue.orders) <= 30 - len(unsent)


def test_what_the_queue_lets_out_later_is_nothing_of_the_order_that_filled_it(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=60)
    tracer = told.tracer_provider.get_tracer("the bot")
    last: list[Any] = []

    async def trade(ib: Any) -> None:
        ib.client.MaxRequests, ib.client.RequestsInterval = 10, 1
        await asyncio.sleep(1)
        contract = await bot.contract(ib)

        def handle() -> None:
            if not last:
                last.append(ib.placeOrder(contract, bot.limit(100, quantity=1)))

        ib.client.throttleEnd += handle
        with tracer.start_as_current_span("rebalance"):
            await burst(bot, ib, 12)
        await bot.until(lambda: last and last[0].orderStatus.permId)

    bot.run(venue, trade)
    assert [span.parent_id for span in bot.named("trading.order.submit")] == [1] * 12 + [None]
