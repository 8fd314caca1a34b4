"""One connected client of the API: what it watches, and how it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.prices import Tick
from tickspan.testing.venue.truth import Witness
from tickspan.testing.venue.tws import messages
from tickspan.testing.venue.tws.contracts import Instrument, Instruments
from tickspan.testing.venue.tws.floor import Floor
from tickspan.testing.venue.tws.wire import Message


@dataclass(frozen=True, slots=True)
class Gateway:
    """What all clients share."""

    exchange: Exchange
    instruments: Instruments
    floor: Floor
    witness: Witness
    account: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """Market data that a client watches, and what a tick is told as."""

    instrument: Instrument
    render: Callable[[int, Tick], list[Message]]


@dataclass(slots=True)
class Client:
    """A client and its subscriptions. Lives on the venue's loop."""

    gateway: Gateway
    send: Callable[[Iterable[Message]], None]
    id: int = -1
    subscriptions: dict[int, Subscription] = field(default_factory=dict[int, Subscription])
    watches_positions: bool = False
    orders_under_way: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def on_tick(self, tick: Tick) -> None:
        """A market that the client may watch has moved."""
        for request_id, watched in self.subscriptions.items():
            if watched.instrument.market == tick.market:
                self.send(watched.render(request_id, tick))

    def on_fill(self, instrument: Instrument) -> None:
        """A fill has changed what the account holds."""
        if self.watches_positions:
            self.send([self.position(instrument)])

    def position(self, instrument: Instrument) -> Message:
        """What the account holds of `instrument`."""
        return messages.position(self.gateway.account, instrument, self.gateway.exchange.desk.balances)
