"""Random schedules of faults from a seed: whatever happens, every execution is in its own order's trace."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]
MakeClient = Callable[..., Any]

ASIDE = ((55, "BTC/USDT"), (54, "1"))
FAULTS = {
    Fault.DUPLICATE_EVENT: 0.2,
    Fault.REORDER: 0.2,
    Fault.LATE_FILL: 0.2,
    Fault.FILL_BEFORE_ACK: 0.2,
    Fault.ACCEPT_THEN_504: 0.1,
    Fault.REJECT: 0.1,
    Fault.RATE_LIMIT_429: 0.05,
}
BREAKS = {**FAULTS, Fault.ACCEPT_THEN_RESET: 0.1}


class Bot:
    """Places, replaces and cancels orders by lot; the same seed, the same lots."""

    def __init__(self, client: Any, seed: int) -> None:
        self.client = client
        self._random = random.Random(seed)
        self._open: list[tuple[str, str]] = []
        self._number = 0

    def act(self) -> None:
        """One order, or something about an earlier one."""
        lot = self._random.random()
        if lot < 0.6 or not self._open:
            name = self._name()
            quantity, price = (
                self._random.choice(["0.1", "0.2"]),
                self._random.choice(["90000.00", "59990.00"]),
            )
            self._open.append((name, quantity))
            self.client.send("D", (11, name), *ASIDE, (38, quantity), (40, "2"), (44, price))
        elif lot < 0.8:
            place = self._random.randrange(len(self._open))
            (old, quantity), name = self._open[place], self._name()
            self._open[place] = (name, f"{float(quantity) + 0.1:.1f}")
            self.client.send(
                "G", (11, name), (41, old), *ASIDE, (38, self._open[place][1]), (40, "2"), (44, "90000.00")
            )
        else:
            old, _ = self._open.pop(self._random.randrange(len(self._open)))
            self.client.send("F", (11, self._name()), (41, old), *ASIDE)

    def _name(self) -> str:
        self._number += 1
        return f"o{self._number}"


def settle(venue: VenueSimulator, client: Any, told: Capture) -> None:
    """Until the session is up, every execution of the venue is told, and nothing more comes."""
    deadline, quiet_since, seen = time.monotonic() + 30, time.monotonic(), -1
    while time.monotonic() - quiet_since < 0.4:
        assert time.monotonic() < deadline, "waited in vain"
        spans = told.spans()
        fills = {span.attributes.get("trading.execution.id") for span in spans}
        is_missing = {str(fill.execution_id) for fill in venue.executions} - fills
        if is_missing or not client.app.is_on or len(spans) != seen:
            quiet_since, seen = time.monotonic(), len(spans)
        time.sleep(0.02)


def drain(venue: VenueSimulator, client: Any, told: Capture) -> None:
    """Read until nothing comes any more."""
    del venue, told
    client._socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.until(1_000_000)


def judge(venue: VenueSimulator, story: Any) -> None:
    """Every execution is told once, in the trace of the order that it belongs to."""
    assert venue.executions
    names = {order.order_id: order.client_id for order in venue.orders}
    traces = {
        span.attributes["trading.order.client_id"]: span.trace_id
        for kind in ("submit", "replace")
        for span in story.spans(f"trading.order.{kind}")
    }
    told = story.executions()
    assert sorted(told) == sorted(
        (str(fill.execution_id), traces[names[fill.order_id]]) for fill in venue.executions
    )
    unmatched = [span for span in story.spans() if span.attributes.get("trading.order.matched") is False]
    assert unmatched == []


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("library", "wait"), [("quickfix", settle), ("simplefix", drain)])
def test_every_execution_is_in_its_orders_trace_whatever_the_venue_does(
    told: Capture,
    story: Any,
    make_venue: MakeVenue,
    make_client: MakeClient,
    library: str,
    wait: Callable[[VenueSimulator, Any, Capture], None],
    seed: int,
) -> None:
    venue = make_venue(seed, partials=(0.3, 0.3, 0.4), rates=FAULTS, late_fill_s=0.02, fill_gap_s=0.01)
    client = make_client(library, venue)
    bot = Bot(client, seed)
    for _ in range(40):
        bot.act()
        venue.tick()
    wait(venue, client, told)
    judge(venue, story)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_breaks_and_a_new_initiator_in_the_middle_lose_and_double_nothing(
    told: Capture, story: Any, make_venue: MakeVenue, make_client: MakeClient, seed: int
) -> None:
    venue = make_venue(seed, partials=(0.3, 0.3, 0.4), rates=BREAKS, late_fill_s=0.02, fill_gap_s=0.01)
    client = make_client("quickfix", venue)
    bot = Bot(client, seed)
    for _ in range(20):
        bot.act()
        venue.tick()
    client.close()
    bot.client = again = make_client("quickfix", venue)
    for _ in range(20):
        bot.act()
        venue.tick()
    settle(venue, again, told)
    judge(venue, story)
