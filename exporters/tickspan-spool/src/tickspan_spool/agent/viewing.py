"""Viewing: sends every process's records to those who look on, and lets go of whoever is gone or stuck.

It stands beside the delivery: what viewers take, or do not, changes nothing about a destination, the ledger,
a drain or an exit.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from tickspan_spool.courier import Carrier, Courier
from tickspan_spool.entries import Signal
from tickspan_spool.layout import SIGNALS
from tickspan_spool.sender import Delivery, Destination, open_channel
from tickspan_spool.viewers import Viewer, viewers

from .guest import Guest, TrackSource
from .worker import Worker

_LOGGER = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
STUCK_S: Final = 5.0
"""Nothing is kept for a viewer that has not answered for so long."""
_ENDING_S: Final = 0.2


class Way(Carrier, Protocol):
    """The way to a viewer; `sender.Delivery` is one."""

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(slots=True, eq=False)
class _Seat:
    """A viewer with its senders, one for each signal."""

    viewer: Viewer
    workers: Mapping[Signal, Worker]
    ways: tuple[Way, ...]
    sources: dict[Guest, dict[Signal, TrackSource]] = field(
        default_factory=dict[Guest, dict[Signal, TrackSource]]
    )
    well_at_s: float = 0.0
    is_let_go: bool = False

    @property
    def is_stuck(self) -> bool:
        return any(worker.statistics().is_stuck for worker in self.workers.values())


def deliver_to(destination: Destination) -> Delivery:
    """The way to a viewer: no proxy stands before loopback, and what it refuses is not kept."""
    return Delivery(destination, open_channel(destination, environ={}))


class Viewing:
    """All viewers of a spool. Owned by the agent's main thread; `is_anybody` may be asked by any."""

    def __init__(
        self,
        directory: Path,
        open_way: Callable[[Destination], Way] = deliver_to,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._open_way = open_way
        self._clock = clock
        self._seats: dict[Viewer, _Seat] = {}
        self._look_at_s = clock()
        self.arrivals = 0
        """How many viewers came so far."""

    def __repr__(self) -> str:
        return f"<Viewing by {len(self._seats)}>"

    @property
    def is_anybody(self) -> bool:
        """Whether somebody looks on."""
        return bool(self._seats)

    def look(self, guests: Sequence[Guest]) -> None:
        """Take in viewers that came, see off those that went, and show each every guest."""
        now_s = self._clock()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            self._note_who_is_there(now_s)
        for seat in self._seats.values():
            self._note_how_it_is(seat, now_s)
            for guest in guests:
                if guest not in seat.sources:
                    _show(seat, guest)

    def poke(self) -> bool:
        """Wake the senders that have something to do; whether there is one. Reads memory only."""
        is_busy = False
        for seat in self._seats.values():
            for sources in seat.sources.values():
                for signal, source in sources.items():
                    if source.has_news:
                        seat.workers[signal].poke()
                        is_busy = True
        return is_busy

    def has_shown_all(self, guest: Guest) -> bool:
        """Whether no viewer waits for anything more of a dead process; nobody is waited for who is stuck."""
        return all(
            seat.is_let_go or all(source.is_drained for source in seat.sources.get(guest, {}).values())
            for seat in self._seats.values()
        )

    def forget(self, guest: Guest) -> None:
        """Nothing more is to be shown of this guest."""
        for seat in self._seats.values():
            for signal, source in seat.sources.pop(guest, {}).items():
                seat.workers[signal].courier.remove(source)

    def stop(self, timeout_s: float) -> None:
        """End all senders; what is under way is sent again at the next start."""
        for seat in self._seats.values():
            for worker in seat.workers.values():
                worker.stop()
        deadline_s = time.monotonic() + timeout_s
        for seat in self._seats.values():
            _end(seat, deadline_s)
        self._seats = {}

    def _note_who_is_there(self, now_s: float) -> None:
        there = set(viewers(self._directory))
        for viewer in self._seats.keys() - there:
            self._see_off(self._seats.pop(viewer))
        for viewer in there - self._seats.keys():
            self._seats[viewer] = self._welcome(viewer, now_s)
            self.arrivals += 1

    def _welcome(self, viewer: Viewer, now_s: float) -> _Seat:
        ways: dict[Signal, Way] = {
            signal: self._open_way(Destination(signal, f"{viewer.endpoint}/v1/{signal}"))
            for signal in SIGNALS
        }
        workers: dict[Signal, Worker] = {
            signal: Worker(f"{signal} to viewer {viewer.endpoint}", Courier(way))
            for signal, way in ways.items()
        }
        for worker in workers.values():
            worker.start()
        _LOGGER.info("showing everything to %s", viewer.endpoint)
        return _Seat(viewer, workers, tuple(ways.values()), well_at_s=now_s)

    def _see_off(self, seat: _Seat) -> None:
        for worker in seat.workers.values():
            worker.stop()
        for guest, sources in seat.sources.items():
            for signal, source in sources.items():
                seat.workers[signal].courier.remove(source)
            guest.folder.forget_viewer(seat.viewer.name, erases=not seat.viewer.is_lasting)
        _end(seat, time.monotonic() + _ENDING_S)
        _LOGGER.info("%s does not look on any more", seat.viewer.endpoint)

    def _note_how_it_is(self, seat: _Seat, now_s: float) -> None:
        if not seat.is_stuck:
            seat.well_at_s, seat.is_let_go = now_s, False
        elif not seat.is_let_go and now_s > seat.well_at_s + STUCK_S:
            seat.is_let_go = True
            for guest in seat.sources:
                guest.folder.forget_viewer(seat.viewer.name)
            _LOGGER.warning("%s does not answer: nothing is kept for it", seat.viewer.endpoint)


def _show(seat: _Seat, guest: Guest) -> None:
    """Everything of this guest but what its own destinations bring to the same place."""
    brought = {destination.signal for destination in guest.destinations if seat.viewer.is_at(destination.url)}
    sources = seat.sources[guest] = {}
    for signal in SIGNALS:
        if signal not in brought:
            source = TrackSource(guest, guest.folder.viewer_track(signal, seat.viewer.name))
            sources[signal] = source
            seat.workers[signal].courier.add(source)


def _end(seat: _Seat, deadline_s: float) -> None:
    """Connections are closed where no request is under way; the others go with their threads."""
    for worker, way in zip(seat.workers.values(), seat.ways, strict=True):
        if worker.join(max(0.0, deadline_s - time.monotonic())):
            way.close()
