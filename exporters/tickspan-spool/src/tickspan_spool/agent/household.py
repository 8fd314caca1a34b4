"""Household: which processes this agent serves, from the day they are found until nothing is left of them."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tickspan_spool.directory import SpoolDirectory
from tickspan_spool.entries import Signal, StreamKey
from tickspan_spool.folder import ProcessDescription, ProcessFolder
from tickspan_spool.layout import ALL_SIGNALS, SIGNALS
from tickspan_spool.liaison import AgentPlaces, holder
from tickspan_spool.reasons import Reason
from tickspan_spool.sender import Destination
from tickspan_spool.track import TAP_TRACK

from . import semconv as names
from .crew import Crew, Route
from .guest import Guest, Losses, PageView, TrackSource
from .messages import ended_span, resource, scope
from .outbox import Audience, Outboxes
from .report import Counts, death_event, loss_event
from .tap_runner import TapRunner
from .viewing import Viewing

_LOGGER = logging.getLogger(__name__)

AGENT_ARGUMENT: Final = "tickspan-agent"
"""What the folders of agents have as `argv0`: nobody mourns an agent."""
_VIEWED_TAPS: Final = "viewed"
"""Who reads for the taps that a process wants while somebody looks on."""
_ENVIRONMENT: Final = re.compile(r"[0-9a-f]{12}")
_MOST_LEFT: Final = 256
"""Processes that are gone, of which a tap may still have something to say."""


def is_welcome(
    description: ProcessDescription,
    environment: str,
    *,
    is_alive: bool,
    adopts_all: bool,
    has_agent: Callable[[str], bool],
    is_viewed: bool = False,
) -> bool:
    """Whether an agent of `environment` takes this process in.

    Its own always; another environment's when it has no agent, once it is dead. A living one starts its own
    agent, unless we are a service that serves everybody. But one of whose records nothing is done never
    starts one: with `is_viewed`, it is taken in for those who look on.
    """
    if description.environment_id == environment:
        return True
    is_idle = bool(description.pid) and not description.destinations and not description.taps
    is_free = adopts_all or not is_alive or (is_viewed and is_idle)
    return is_free and not has_agent(description.environment_id)


class Household:
    """Owned by the agent's main thread."""

    def __init__(
        self,
        places: AgentPlaces,
        crew: Crew,
        outboxes: Outboxes,
        taps: TapRunner,
        *,
        adopts_all: bool,
        viewing: Viewing | None = None,
    ) -> None:
        self._places = places
        self._directory = SpoolDirectory(places.directory)
        self._crew = crew
        self._outboxes = outboxes
        self._taps = taps
        self._adopts_all = adopts_all
        self._viewing = viewing or Viewing(places.directory)
        self._guests: dict[Path, Guest] = {}
        self._gone: list[tuple[Audience, Counts]] = []
        self._left: dict[str, Audience] = {}

    def __repr__(self) -> str:
        return f"<Household of {len(self._guests)}>"

    @property
    def directory(self) -> SpoolDirectory:
        """The spool."""
        return self._directory

    @property
    def guests(self) -> tuple[Guest, ...]:
        """Those that are served."""
        return tuple(self._guests.values())

    @property
    def has_life(self) -> bool:
        """Whether a process that is served lives, or somebody looks on; the agent itself does not count."""
        return self._viewing.is_anybody or any(
            not guest.is_own and _is_served(guest.folder) and guest.folder.is_alive() for guest in self.guests
        )

    @property
    def is_drained(self) -> bool:
        """Whether nothing waits, as far as destinations and taps go."""
        return all(guest.folder.is_drained for guest in self.guests)

    def waiting_routes(self) -> set[Route]:
        """The routes on which something waits."""
        return {
            Route.of(destination, guest.folder.description.service_name)
            for guest in self.guests
            for source, destination in guest.sources
            if not source.is_drained
        }

    def ledgers(self) -> list[tuple[Audience, Counts]]:
        """What became of the records of every guest that is or was here, and for whom that is."""
        return [*self._gone, *((_audience(guest), guest.folder.ledger()) for guest in self.guests)]

    def audience_of(self, process: str) -> Audience | None:
        """For whom words about this process are, by its folder's name, also some time after its end."""
        for guest in self.guests:
            if guest.folder.path.name == process:
                return _audience(guest)
        return self._left.get(process)

    def discover(self) -> None:
        """Take in the processes that are new; a folder that cannot be read is left for another time."""
        found = {folder.path: folder for folder in self._directory.folders()}
        for path in self._guests.keys() - found.keys():
            self._forget(path)
            _LOGGER.warning("%s was removed; what waited in it is lost", path)
        for path, folder in found.items():
            if path not in self._guests and self._is_welcome(folder):
                with suppress(OSError):
                    self._admit(folder)
        self._viewing.look(self.guests)
        self._run_viewed_taps()

    def review(self) -> None:
        """See off the dead of whom nothing waits any more."""
        for guest in self.guests:
            if guest.is_own or guest.folder.is_alive():
                continue
            if guest.folder.is_drained:
                if self._has_been_seen(guest):
                    with suppress(OSError):
                        self._see_off(guest)
            else:
                for _, destination in guest.sources:
                    self._crew.inherit(destination, guest.folder.description.service_name)

    def see_off_own(self) -> None:
        """Remove our own folders where nothing waits: we are about to end."""
        for guest in self.guests:
            if guest.is_own and guest.folder.is_drained and self._has_been_seen(guest):
                with suppress(OSError):
                    self._remove(guest)

    def sync(self) -> None:
        """Write through what processes want to survive the death of the machine."""
        for guest in self.guests:
            if guest.folder.description.fsync == "interval" and guest.folder.is_alive():
                guest.folder.sync()

    def tell_losses(self, now_unix_ns: int) -> None:
        """An event for each process that lost something, once data flows again."""
        for guest in self.guests:
            is_agents = guest.folder.description.argv0 == AGENT_ARGUMENT
            if not is_agents and not self._is_stuck(guest):
                self._tell_loss(guest, now_unix_ns)

    def _is_welcome(self, folder: ProcessFolder) -> bool:
        return is_welcome(
            folder.description,
            self._places.environment,
            is_alive=folder.is_alive(),
            adopts_all=self._adopts_all,
            has_agent=self._has_agent,
            is_viewed=self._viewing.is_anybody,
        )

    def _has_agent(self, environment: str) -> bool:
        if not _ENVIRONMENT.fullmatch(environment):
            return False
        try:
            return holder(AgentPlaces(self._places.directory, environment)) is not None
        except OSError:
            return True

    def _admit(self, folder: ProcessFolder) -> None:
        if not folder.claim():
            return
        guest = Guest(folder, _destinations(folder), _is_own(folder), PageView(folder))
        self._guests[folder.path] = guest
        tracks = {(track.signal, track.destination): track for track in folder.tracks()}
        by_index = dict(_usable_destinations(folder))
        for (_, index), track in tracks.items():
            if index in by_index:
                source = TrackSource(guest, track)
                guest.sources.append((source, by_index[index]))
                self._serve(guest, source, by_index[index])
        if folder.description.taps:
            for signal in ALL_SIGNALS:
                self._taps.add(guest, TrackSource(guest, folder.track(signal, TAP_TRACK)))

    def _run_viewed_taps(self) -> None:
        """Taps that a process wants while somebody looks on begin, or end, with that."""
        is_viewed = self._viewing.is_anybody
        for guest in self.guests:
            description = guest.folder.description
            if guest.is_viewed == is_viewed or not description.viewed_taps:
                continue
            guest.is_viewed = is_viewed
            if description.taps:  # these read already, and see with other eyes from now on
                continue
            if is_viewed:
                guest.viewed = tuple(
                    TrackSource(guest, guest.folder.viewer_track(signal, _VIEWED_TAPS)) for signal in SIGNALS
                )
                for source in guest.viewed:
                    self._taps.add(guest, source)
            else:
                guest.viewed = ()
                self._taps.remove(guest)
                guest.folder.forget_viewer(_VIEWED_TAPS)

    def _has_been_seen(self, guest: Guest) -> bool:
        return self._viewing.has_shown_all(guest) and all(source.is_drained for source in guest.viewed)

    def _serve(self, guest: Guest, source: TrackSource, destination: Destination) -> None:
        may_inherit = self._adopts_all or not guest.folder.is_alive()
        self._crew.serve(source, destination, guest.folder.description.service_name, may_inherit=may_inherit)

    def _see_off(self, guest: Guest) -> None:
        self._taps.ending(guest)
        if guest.folder.description.argv0 != AGENT_ARGUMENT:
            self._tell_loss(guest, time.time_ns())
            if not guest.folder.has_exited_cleanly:
                self._mourn(guest)
        self._remove(guest)

    def _remove(self, guest: Guest) -> None:
        """The account first: a folder that stays is only looked at again."""
        account = (_audience(guest), guest.folder.ledger())
        self._directory.fold(guest.folder)
        self._gone.append(account)
        if len(self._left) >= _MOST_LEFT:
            del self._left[next(iter(self._left))]
        self._left[guest.folder.path.name] = account[0]
        self._forget(guest.folder.path)

    def _forget(self, path: Path) -> None:
        guest = self._guests.pop(path)
        for source, destination in guest.sources:
            self._crew.forget(source, destination, guest.folder.description.service_name)
        self._viewing.forget(guest)
        self._taps.remove(guest)

    def _mourn(self, guest: Guest) -> None:
        """End what a killed process had begun, and say that it died."""
        now_unix_ns, description = time.time_ns(), guest.folder.description
        for stream, record in guest.folder.abandoned():
            with suppress(ValueError):
                ended = ended_span(record, now_unix_ns, {names.ABANDONED: True})
                self._outboxes.put(_audience(guest), stream, ended)
        event = death_event(description.service_name, description.pid, now_unix_ns)
        self._outboxes.put(_audience(guest), _own_stream(guest), event)
        _LOGGER.warning(
            "process %d (%s) died without a clean exit", description.pid, description.service_name
        )

    def _is_stuck(self, guest: Guest) -> bool:
        service_name = guest.folder.description.service_name
        return any(
            self._crew.is_stuck(Route.of(destination, service_name)) for _, destination in guest.sources
        )

    def _tell_loss(self, guest: Guest, now_unix_ns: int) -> None:
        lost: Losses = {signal: ledger.dropped for signal, ledger in guest.folder.ledger().items()}
        new = _difference(lost, guest.told_lost)
        if new:
            event = loss_event(guest.folder.description.service_name, new, now_unix_ns)
            self._outboxes.put(_audience(guest), _own_stream(guest), event)
            guest.told_lost = lost


def _difference(now: Losses, before: Losses) -> dict[Signal, dict[Reason, int]]:
    """What was lost since; what a filter took was not lost."""
    found: dict[Signal, dict[Reason, int]] = {}
    for signal, reasons in now.items():
        was = before.get(signal, {})
        new = {
            reason: count - was.get(reason, 0)
            for reason, count in reasons.items()
            if reason is not Reason.FILTERED and count > was.get(reason, 0)
        }
        if new:
            found[signal] = new
    return found


def _audience(guest: Guest) -> Audience:
    return Audience(guest.folder.description.service_name, guest.destinations)


def _own_stream(guest: Guest) -> StreamKey:
    """Where the agent's words about a guest belong: under its resource, as far as that is known."""
    description = guest.folder.description
    known = guest.resource or resource(
        {names.SERVICE_NAME: description.service_name, names.PROCESS_PID: description.pid}
    )
    return StreamKey("logs", known, scope(names.SCOPE, ""))


def _is_served(folder: ProcessFolder) -> bool:
    """Whether anything is done with its records; else they are kept, and no agent is needed for that."""
    return bool(folder.description.destinations or folder.description.taps)


def _is_own(folder: ProcessFolder) -> bool:
    description = folder.description
    return (
        description.pid == os.getpid()
        and description.argv0 == AGENT_ARGUMENT
        and description.is_of_this_kernel
        and folder.is_alive()
    )


def _usable_destinations(folder: ProcessFolder) -> list[tuple[int, Destination]]:
    found: list[tuple[int, Destination]] = []
    for index in range(len(folder.description.destinations)):
        try:
            found.append((index, folder.description.destination(index)))
        except ValueError as error:
            _LOGGER.error("%s: destination %d cannot be used: %s", folder.path, index, error)  # noqa: TRY400 - a traceback says nothing of a damaged file
    return found


def _destinations(folder: ProcessFolder) -> tuple[Destination, ...]:
    return tuple(destination for _, destination in _usable_destinations(folder))
