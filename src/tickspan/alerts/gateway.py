"""The gateway: receives OTLP of many senders and evaluates rules over all of them.

Time is that of the points. Evaluation lags two seconds behind the wall clock, so that what senders took at
the same time is looked at together, and it happens at fixed moments, so that two gateways that get the same
come to the same at the same time.
"""

from __future__ import annotations

import heapq
import ipaddress
import itertools
import math
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError
from tickspan_spool.agent.semconv import PROCESS_DIED
from tickspan_spool.receiver import Batch, Receiver, Response
from tickspan_spool.taps import decoded

from tickspan.alerts.journal import Journal, Request
from tickspan.alerts.notice import Notice
from tickspan.alerts.otlp import MOST_SERIES, MetricReader, occurrences_of
from tickspan.alerts.station import Change, Station
from tickspan.analysis.rules.model import Signal
from tickspan.analysis.rules.readings import Occurrence, Reading
from tickspan.analysis.rules.tiers import Tier
from tickspan.recording import diagnostics

__all__ = ["INTERVAL_S", "LAG_S", "Gateway", "GatewayStatistics", "Listen", "ListenError"]

LAG_S: Final = 2.0
INTERVAL_S: Final = 0.5
"""Between two evaluations; moments are multiples of it since 1970."""
AHEAD_S: Final = 60.0
"""A point that is further ahead of our clock is refused."""
_MOST_WAITING: Final = 500_000
_RETRY_AFTER_S: Final = 30
_FORGET_EVERY_S: Final = 60.0
_TURN_EVERY_S: Final = 5.0
"""More than the lag: what one checkpoint does not hold must be in the journal until the next one."""


class ListenError(ValueError):
    """The gateway must not listen as it is asked to; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how to listen.

    Attributes:
        host: loopback, or with TLS and a token any address.
        port: 0 lets the system choose.
        certificate: of TLS, a PEM file with its chain; None is plain HTTP.
        key: of the certificate; None when it is in the same file.
        token: that senders must show; "" lets everybody in.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    token: str = field(default="", repr=False)

    def checked(self) -> ssl.SSLContext | None:
        """The TLS context, if there is one.

        Raises:
            ListenError: other machines could send, without TLS or without a token; or TLS cannot be used.
        """
        if not _is_loopback(self.host):
            lacking = [
                what
                for what, given in (
                    ("TLS (--tls-cert)", self.certificate),
                    ("--token-file", self.token),
                )
                if not given
            ]
            if lacking:
                needed = " and ".join(lacking)
                raise ListenError(f"{self.host} is open to other machines: expected {needed}, or 127.0.0.1")
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise ListenError(
                f"{self.certificate}: {getattr(error, 'reason', None) or error.strerror}"
            ) from None
        return context


@dataclass(frozen=True, slots=True)
class GatewayStatistics:
    """What the gateway took and refused.

    Attributes:
        readings: that were taken.
        occurrences: spans and log events that some rule counts.
        ahead: points that were refused, because their time is not yet.
        refused: points that were refused, because there are too many series.
        series: that are known.
        waiting: readings and occurrences whose time has not come.
    """

    readings: int = 0
    occurrences: int = 0
    ahead: int = 0
    refused: int = 0
    series: int = 0
    waiting: int = 0


class Gateway:
    """Receives in threads of its own; `step` and `run` belong to one thread."""

    def __init__(
        self,
        rules: Path,
        listen: Listen,
        folder: Path | None = None,
        *,
        tiers: AbstractSet[Tier] = frozenset({Tier.PROCESS, Tier.AGENT, Tier.GATEWAY}),
        most_series: int = MOST_SERIES,
        environ: Mapping[str, str] = os.environ,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[Change], None] | None = None,
        on_word: Callable[[Notice], None] | None = None,
    ) -> None:
        """Take up what an earlier gateway left in the folder; nothing is received yet.

        Args:
            rules: the rule file.
            listen: where.
            folder: for queue, silences, checkpoint and journal; None keeps nothing over a restart.
            tiers: that are configured; the slowest that evaluates a rule owns its alerts.
            most_series: that are known at once; what is more is answered with 429.
            environ: for secrets and proxies.
            wall: seconds since 1970.
            clock: monotonic seconds.
            on_change: called with each change of an alert.
            on_word: called with each notice that is told.

        Raises:
            ListenError: see `Listen.checked`.
            RuleFileError: the rule file cannot be used.
            OSError: the folder cannot.
        """
        tls = listen.checked()
        self._wall = wall
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._reader = MetricReader(most_series, lambda name: name in self._station.engine.metrics)
        self._waiting: list[tuple[float, int, Reading | Occurrence]] = []
        self._order = itertools.count()
        self._counts = [0, 0, 0]  # readings, occurrences, ahead
        self._station = Station(
            Tier.GATEWAY, tiers | {Tier.GATEWAY}, rules, folder, environ, wall, clock, on_word, is_strict=True
        )
        self._evaluated_s = self._boundary(wall() - LAG_S)
        self._journal: Journal | None = None
        self._forget_at_s = clock() + _FORGET_EVERY_S
        self._turn_at_s = clock() + _TURN_EVERY_S
        self._go_on(folder)
        self._receiver = Receiver(
            answer=self._answer, host=listen.host, port=listen.port, token=listen.token, tls=tls
        )

    def __repr__(self) -> str:
        return f"<Gateway {self._station!r}, {self.statistics()}>"

    @property
    def endpoint(self) -> str:
        """The base URL for senders."""
        return self._receiver.endpoint

    @property
    def station(self) -> Station:
        """Rules, engine and delivery."""
        return self._station

    def statistics(self) -> GatewayStatistics:
        """Counters at this moment."""
        with self._lock:
            readings, occurrences, ahead = self._counts
            reader = self._reader
            return GatewayStatistics(
                readings, occurrences, ahead, reader.refused, reader.series, len(self._waiting)
            )

    def start(self) -> None:
        """Listen. Raises OSError when the address cannot be had."""
        self._receiver.start()

    def run(self, is_told_to_end: threading.Event) -> None:
        """Evaluate until told to end."""
        while not is_told_to_end.is_set():
            self.step()
            left_s = self._evaluated_s + INTERVAL_S + LAG_S - self._wall()
            is_told_to_end.wait(min(max(left_s, 0.01), INTERVAL_S))

    def step(self) -> list[Change]:
        """Evaluate at each moment that has come."""
        changes: list[Change] = []
        wall_s = self._wall()
        latest_s = self._boundary(wall_s - LAG_S)
        if latest_s - self._evaluated_s > AHEAD_S or latest_s < self._evaluated_s - AHEAD_S:
            self._evaluated_s = latest_s - INTERVAL_S  # the machine slept, or its clock was set
        offset_s = wall_s - self._clock()
        while self._evaluated_s < latest_s:
            self._evaluated_s += INTERVAL_S
            changes += self._evaluate(self._evaluated_s, offset_s)
        now_s = self._evaluated_s - offset_s
        changes += self._station.look(now_s, self._evaluated_s)
        self._station.delivery.tick()
        self._save()
        self._tell(changes)
        return changes

    def close(self) -> None:
        """Stop receiving, keep what is known, end the delivery."""
        self._receiver.stop()
        self.step()
        self._save(at_once=True)
        self._station.close()
        if self._journal is not None:
            self._journal.close()

    def _evaluate(self, at_s: float, offset_s: float) -> list[Change]:
        """What is due by then, in the order of time, then all rules."""
        now_s = at_s - offset_s
        changes: list[Change] = []
        engine = self._station.engine
        for due_s, item in self._due(at_s):
            if isinstance(item, Reading):
                engine.observe((item,), min(due_s - offset_s, now_s))
                continue
            if item.name == PROCESS_DIED and item.signal is Signal.LOG:
                changes += self._station.gone(item.sender, now_s, at_s)
            engine.happened(item, now_s)
        return changes + self._station.evaluate(now_s, at_s)

    def _due(self, at_s: float) -> Iterable[tuple[float, Reading | Occurrence]]:
        with self._lock:
            due: list[tuple[float, Reading | Occurrence]] = []
            while self._waiting and self._waiting[0][0] <= at_s:
                due_s, _, item = heapq.heappop(self._waiting)
                due.append((due_s, item))
            if self._clock() >= self._forget_at_s:
                self._forget_at_s = self._clock() + _FORGET_EVERY_S
                self._reader.forget(self._clock())
            return due

    def _answer(self, batch: Batch) -> Response | None:
        """From a connection's thread: take a request, and say whether there was room for all of it."""
        arrived_s = self._wall()
        with self._lock:
            if len(self._waiting) >= _MOST_WAITING:
                return _too_much()
            refused = self._reader.refused
            self._take(batch.signal, batch.message, arrived_s)
            if self._journal is not None:
                try:
                    self._journal.add(Request(arrived_s, batch.signal, batch.body))
                except OSError as error:
                    diagnostics.warning("alerts: the journal cannot be written: %s", error.strerror)
            return _too_much() if self._reader.refused > refused else None

    def _take(self, signal: str, message: Any, arrived_s: float, after_s: float = -math.inf) -> None:
        """Put in line what a request holds; what is due before `after_s` was looked at already."""
        evaluated_s = self._boundary(arrived_s - LAG_S)
        if signal == "metrics":
            for time_s, reading in self._reader.read(message, self._clock()):
                if time_s > arrived_s + AHEAD_S:
                    self._counts[2] += 1
                    continue
                due_s = max(time_s or arrived_s, evaluated_s)
                if due_s > after_s:
                    self._counts[0] += 1
                    due_s = max(due_s, self._evaluated_s)
                    heapq.heappush(self._waiting, (due_s, next(self._order), reading))
            return
        engine = self._station.engine
        logs = engine.wanted(Signal.LOG)
        wanted_logs = None if logs is None else {*logs, PROCESS_DIED}
        for item in occurrences_of(message, engine.wanted(Signal.SPAN), wanted_logs, self._reader.sender_of):
            if arrived_s > after_s:
                self._counts[1] += 1
                heapq.heappush(self._waiting, (arrived_s, next(self._order), item))

    def _go_on(self, folder: Path | None) -> None:
        """Take up the checkpoint, and what came after it."""
        kept = self._station.begin(self._evaluated_s - (self._wall() - self._clock()), self._evaluated_s)
        if folder is None:
            return
        self._journal = Journal(folder)
        after_s = -math.inf if kept is None else float(kept.state.get("evaluated_s", kept.written_s))
        for arrived_s, signal, body in self._journal.requests():
            if arrived_s > self._wall() - 3600.0:
                try:
                    self._take(signal, decoded(signal, body), arrived_s, after_s)
                except DecodeError:
                    continue

    def _save(self, *, at_once: bool = False) -> None:
        journal = self._journal
        is_full = journal is not None and journal.is_full
        with self._lock:
            is_saved = self._station.save(self._evaluated_s, at_once=at_once or is_full)
            if is_saved and journal is not None and self._clock() >= self._turn_at_s:
                self._turn_at_s = self._clock() + _TURN_EVERY_S
                journal.turn()

    def _tell(self, changes: Iterable[Change]) -> None:
        if self._on_change is not None:
            for change in changes:
                self._on_change(change)

    @staticmethod
    def _boundary(wall_s: float) -> float:
        return math.floor(wall_s / INTERVAL_S) * INTERVAL_S


def _too_much() -> Response:
    return Response(429, {"Retry-After": str(_RETRY_AFTER_S)})


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
