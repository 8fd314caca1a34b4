"""The agent itself: elected, it serves the household until nobody needs it or it is told to end."""

from __future__ import annotations

import json
import logging
import os
import selectors
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, cast

from tickspan_spool.entries import Entry, Signal, StreamKey
from tickspan_spool.home import write_file
from tickspan_spool.liaison import AgentPlaces, ControlSocket, Election, Peer
from tickspan_spool.sender import (
    DeadLetters,
    Delivery,
    Destination,
    destinations_from_environment,
    open_channel,
)
from tickspan_spool.spool import Spool, SpoolPlan
from tickspan_spool.taps import Finding, Taps, installed

from . import semconv as names
from .age import oldest_age_s
from .credentials import Credentials
from .crew import Crew, Post
from .household import AGENT_ARGUMENT, Household
from .letterbox import redrive_letters
from .messages import resource, scope
from .options import AgentOptions
from .outbox import Audience, Box, Outboxes
from .report import Report, metrics, total
from .signals import Wakeup, own_rss_bytes
from .state import AgentState, DestinationStatus
from .tap_runner import TapRunner
from .viewing import Viewing

_LOGGER = logging.getLogger(__name__)

ENDED: Final = 0
ANOTHER_RUNS: Final = 3
"""Exit status of an agent that was not needed."""

PACE_S: Final = 0.1
"""Between two looks whether a process recorded something: what a record waits at most."""
HURRIED_PACE_S: Final = 0.01
IDLE_PACE_S: Final = 0.25
"""The same after nothing came for a while: waking up is what an idle agent costs."""
_IDLE_AFTER_S: Final = 3.0
_BOUND_ANYWAY_S: Final = 60.0
_HURRY_S: Final = 1.0
_SHORT_HURRY_S: Final = 0.1
_DISCOVER_EVERY_S: Final = 1.0
_VIEWED_EVERY_S: Final = 0.25
"""The same while somebody looks on: a new process is to be seen at once."""
_STATUS_EVERY_S: Final = 5.0
_OUTBOX_SEGMENT_BYTES: Final = 256 << 10
_PROFILES_SEGMENT_BYTES: Final = 4 << 20
"""Of an outbox from which profiles go: each is one record."""
_STOPPING_S: Final = 1.0


def run(places: AgentPlaces, options: AgentOptions, environ: Mapping[str, str]) -> int:
    """Be the agent of these places. Returns `ENDED`, or `ANOTHER_RUNS` when one is already.

    For the main thread of a process of its own. Raises OSError when the spool cannot be used.
    """
    places.prepare()
    election = Election(places)
    if not election.win():
        return ANOTHER_RUNS
    wakeup = Wakeup()
    try:
        with wakeup.on_signals(), _named():
            Agent(places, options, environ, wakeup, election).serve()
    finally:
        election.resign()
        wakeup.close()
    return ENDED


@contextmanager
def _named() -> Generator[None]:
    """What the folders of this process say it is."""
    before = sys.argv
    sys.argv = [AGENT_ARGUMENT]
    try:
        yield
    finally:
        sys.argv = before


class _Every:
    """Something that is due again and again."""

    def __init__(self, seconds: float, now_s: float) -> None:
        self._seconds = seconds
        self._next_s = now_s

    def is_due(self, now_s: float) -> bool:
        if now_s < self._next_s:
            return False
        self._next_s = now_s + self._seconds
        return True


class Agent:
    """One agent's life. Everything but sending and tapping happens in its main thread."""

    def __init__(
        self,
        places: AgentPlaces,
        options: AgentOptions,
        environ: Mapping[str, str],
        wakeup: Wakeup,
        election: Election,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = places
        self._options = options
        self._environ = environ
        self._wakeup = wakeup
        self._election = election
        self._clock = clock
        self._started_unix_ns = time.time_ns()
        self._credentials = Credentials(environ)
        self._viewing = Viewing(places.directory, clock=clock)
        self._outboxes = Outboxes(self._open_box, lambda: self._viewing.is_anybody)
        self._taps = TapRunner(Taps(installed(places.directory), clock), self._tell_finding, clock)
        self._crew = Crew(self._credentials, self._open_delivery)
        self._household = Household(
            places,
            self._crew,
            self._outboxes,
            self._taps,
            adopts_all=options.adopts_all,
            viewing=self._viewing,
        )
        self._dead_letters = DeadLetters(self._household.directory.dead_letter_folder)
        now_s = clock()
        self._discovering = _Every(_DISCOVER_EVERY_S, now_s)
        self._showing = _Every(_VIEWED_EVERY_S, now_s)
        self._told_arrivals = 0
        self._bounding = _Every(options.bound_every_s, now_s + options.bound_every_s)
        self._writing = _Every(_STATUS_EVERY_S, now_s)
        self._reporting = _Every(options.report_every_s, now_s + options.report_every_s)
        self._had_life_at_s = now_s
        self._hurried_until_s = now_s
        self._busy_at_s = now_s
        self._bounded_at_s = now_s
        self._phase = "serving"
        self._is_superfluous = False
        self._written: dict[str, Any] = {}
        self._trouble = ""

    def serve(self) -> None:
        """Until nobody needs it, it is told to end, or its spool is gone."""
        control = ControlSocket(self._places.socket, self._answer)
        _LOGGER.info("agent %d serves %s", os.getpid(), self._places.directory)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(control, selectors.EVENT_READ, control.serve_one)
                selector.register(self._wakeup, selectors.EVENT_READ, self._wakeup.clear)
                self._serve(selector)
                self._end(selector)
        finally:
            control.close()
            self._write_state()
            _LOGGER.info("agent %d ends", os.getpid())

    def _serve(self, selector: selectors.BaseSelector) -> None:
        while not self._wakeup.is_told_to_end and self._phase != "stopping":
            self._guarded(self._do_what_is_due)
            if self._is_superfluous:
                return
            self._wait(selector)

    def _do_what_is_due(self) -> None:
        now_s = self._clock()
        if self._discovering.is_due(now_s):
            self._household.discover()
            self._household.review()
            self._household.sync()
            if self._household.has_life or self._options.adopts_all:
                self._had_life_at_s = now_s
            self._is_superfluous = self._is_homeless() or self._is_needless(now_s)
        elif self._viewing.is_anybody and self._showing.is_due(now_s):
            self._household.discover()
            self._household.review()
        if self._bounding.is_due(now_s) and self._is_worth_bounding(now_s):
            self._household.directory.enforce_bound(self._options.max_bytes)
            self._household.directory.expire()
            self._household.tell_losses(time.time_ns())
        if self._reporting.is_due(now_s) or self._told_arrivals != self._viewing.arrivals:
            self._told_arrivals = self._viewing.arrivals
            self._report()
        if self._writing.is_due(now_s):
            self._write_state()
        has_news = self._viewing.poke()
        if self._crew.poke() or has_news:
            self._busy_at_s = now_s

    def _is_worth_bounding(self, now_s: float) -> bool:
        """A spool to which nothing came is as large as it was; once a minute it is looked at anyway."""
        if self._busy_at_s <= self._bounded_at_s and now_s < self._bounded_at_s + _BOUND_ANYWAY_S:
            return False
        self._bounded_at_s = now_s
        return True

    def _wait(self, selector: selectors.BaseSelector) -> None:
        for key, _ in selector.select(self._pace_s(self._clock())):
            self._guarded(key.data)

    def _pace_s(self, now_s: float) -> float:
        if now_s < self._hurried_until_s:
            return HURRIED_PACE_S
        return PACE_S if now_s < self._busy_at_s + _IDLE_AFTER_S else IDLE_PACE_S

    def _guarded(self, action: Callable[[], object]) -> None:
        """Whatever goes wrong here, the next round comes: telemetry of others depends on it."""
        try:
            action()
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            if told != self._trouble:
                _LOGGER.exception("the agent goes on after a fault")
            self._trouble = told

    def _is_homeless(self) -> bool:
        if self._election.still_stands():
            return False
        _LOGGER.warning("the spool was removed")
        return True

    def _is_needless(self, now_s: float) -> bool:
        """Nobody has lived for a while, and what waits cannot be sent."""
        if now_s < self._had_life_at_s + self._options.linger_s:
            return False
        if not self._household.is_drained and not self._is_cut_off():
            return False
        self._household.discover()
        return not self._household.has_life

    def _is_cut_off(self) -> bool:
        routes = self._household.waiting_routes()
        return bool(routes) and all(self._crew.is_stuck(route) for route in routes)

    def _end(self, selector: selectors.BaseSelector) -> None:
        """Send what is left as long as the budget lasts, then let go of everything."""
        self._phase = "stopping"
        self._outboxes.close()
        deadline = self._clock() + self._options.stop_budget_s
        self._hurried_until_s = deadline
        while self._clock() < deadline and not self._is_through():
            self._guarded(self._household.discover)
            self._guarded(self._household.review)
            self._crew.poke()
            self._viewing.poke()
            self._wait(selector)
        self._taps.stop(_STOPPING_S)
        self._viewing.stop(_STOPPING_S)
        if not self._crew.stop(_STOPPING_S):
            _LOGGER.warning("a request was under way at the end; its batch is sent again at the next start")
        self._guarded(self._household.see_off_own)

    def _is_through(self) -> bool:
        return self._household.is_drained or self._is_cut_off() or not self._election.still_stands()

    # What others ask -------------------------------------------------------------------------------------

    def _answer(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        del peer  # the socket lets nobody else in
        if "credentials" in request:
            return self._take_credentials(request)
        commands: dict[object, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "status": lambda _: {"state": self._state().to_json()},
            "hurry": self._hurry,
            "drain": self._drain,
            "stop": self._stop,
            "redrive": self._redrive,
        }
        command = request.get("command")
        if command not in commands:
            return {"ok": False, "error": f"expected a command, got {str(command)[:40]!r}"}
        return {"ok": True, **commands[command](request)}

    def _hurry(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Look at once, and a few times more: small batches cost several times as much a record."""
        del request
        self._hurried_until_s = self._clock() + _SHORT_HURRY_S
        return {}

    def _drain(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._hurried_until_s = self._clock() + _HURRY_S
        self._household.discover()
        self._household.review()
        if request.get("first"):
            self._crew.try_again()
        return {"is_drained": self._household.is_drained}

    def _stop(self, request: Mapping[str, Any]) -> dict[str, Any]:
        del request
        self._phase = "stopping"
        return {}

    def _take_credentials(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            self._crew.credentials_came(self._credentials.take(request))
        except ValueError as error:
            return {"ok": False, "error": str(error)}
        return {"ok": True}

    def _redrive(self, request: Mapping[str, Any]) -> dict[str, Any]:
        name = request.get("name")
        wanted = name if isinstance(name, str) else None
        return asdict(redrive_letters(self._places.directory, wanted, self._put_again))

    def _put_again(self, signal: Signal, place: str, entries: Sequence[Entry]) -> str:
        audience = self._audience_at(signal, place)
        if audience is None:
            return f"no process and no variable names a destination {place} for {signal}"
        for entry in entries:
            if not self._outboxes.put(audience, entry.stream, entry.body, entry.items):
                return "the agent ends"
        return ""

    def _audience_at(self, signal: Signal, place: str) -> Audience | None:
        for post in self._crew.posts:
            destination = post.route.destination
            if (destination.signal, destination.label) == (signal, place):
                return Audience(post.route.service_name, (destination,))
        usable = {name: value for name, value in self._environ.items() if name != "OTEL_SDK_DISABLED"}
        for destination in destinations_from_environment(usable):
            if (destination.signal, destination.label) == (signal, place):
                return Audience("", (destination,))
        return None

    # What it says ----------------------------------------------------------------------------------------

    def _report(self) -> None:
        """Its metrics, to each audience what concerns it."""
        now_unix_ns = time.time_ns()
        directory = self._household.directory
        ledgers = self._household.ledgers()
        size_bytes, age_s = directory.size_bytes(), self._oldest_age_s()
        stream = StreamKey("metrics", self._resource(), scope(names.SCOPE, _version()))
        for audience in dict.fromkeys(audience for audience, _ in ledgers):
            counts = total(ledger for other, ledger in ledgers if other == audience)
            ways = [
                post.way() for post in self._crew.posts if post.route.destination in audience.destinations
            ]
            report = Report(counts, ways, size_bytes, age_s)
            for body, points in metrics(report, self._started_unix_ns, now_unix_ns):
                self._outboxes.put(audience, stream, body, points)

    def _resource(self) -> bytes:
        return resource(
            {
                names.SERVICE_NAME: names.AGENT_SERVICE,
                names.SERVICE_VERSION: _version(),
                names.SERVICE_INSTANCE_ID: f"{self._places.environment}-{self._started_unix_ns}",
                names.PROCESS_PID: os.getpid(),
            }
        )

    def _oldest_age_s(self) -> float:
        return max((oldest_age_s(guest.folder) for guest in self._household.guests), default=0.0)

    def _tell_finding(self, finding: Finding) -> None:
        """From the taps' thread: a record for the destinations of the process that it is about."""
        audience = self._household.audience_of(finding.process)
        if audience is not None:
            self._outboxes.put(audience, finding.stream, finding.body, finding.items)

    def _state(self) -> AgentState:
        return AgentState(
            pid=os.getpid(),
            environment=self._places.environment,
            version=_version(),
            started_unix_ns=self._started_unix_ns,
            phase=self._phase,
            rss_bytes=own_rss_bytes(),
            destinations=tuple(map(_destination_status, self._crew.posts)),
            taps=self._taps.statistics(),
            last_trouble=self._trouble,
        )

    def _write_state(self) -> None:
        """Only when it says something else: an idle agent does not write."""
        state = self._state().to_json()
        said = {**state, "rss_bytes": 0}
        if said != self._written:
            self._written = said
            with suppress(OSError):
                write_file(self._places.status, json.dumps(state).encode())

    # What it opens ---------------------------------------------------------------------------------------

    def _open_delivery(self, destination: Destination) -> Delivery:
        return Delivery(
            destination,
            open_channel(destination, environ=self._environ, clock=self._clock),
            dead_letters=self._dead_letters,
            clock=self._clock,
        )

    def _open_box(self, audience: Audience) -> Box:
        has_profiles = any(destination.signal == "profiles" for destination in audience.destinations)
        plan = SpoolPlan(
            self._places.directory,
            max_bytes=self._options.max_bytes,
            segment_bytes=_PROFILES_SEGMENT_BYTES if has_profiles else _OUTBOX_SEGMENT_BYTES,
            agent="off",
            destinations=audience.destinations,
            service_name=audience.service_name,
        )
        return cast("Box", Spool(plan))  # a hot class has decorators that hide its type


def _destination_status(post: Post) -> DestinationStatus:
    sent, worked = post.delivery.statistics(), post.worker.statistics()
    return DestinationStatus(
        signal=post.route.destination.signal,
        url=post.route.destination.label,
        protocol=post.route.destination.protocol,
        service_name=post.route.service_name,
        breaker=str(sent.breaker),
        is_stuck=worked.is_stuck,
        delivered=sent.delivered,
        dropped={str(reason): count for reason, count in sent.dropped.items()},
        trouble=worked.trouble,
        last_trouble=worked.last_trouble,
    )


@cache
def _version() -> str:
    try:
        return version("tickspan-spool")
    except PackageNotFoundError:
        return "unknown"
