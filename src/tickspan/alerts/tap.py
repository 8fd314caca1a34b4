"""The tap that looks after alerts: it runs in the agent, for all processes of the host.

It sees what the processes' own evaluators tell, evaluates the rules itself on metrics, spans and log events,
and sees to it that people are told. Notifiers have threads of their own: the tap never waits for one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from tickspan_spool.agent.semconv import PROCESS_DIED, SERVICE
from tickspan_spool.entries import StreamKey
from tickspan_spool.taps import Finding as Record
from tickspan_spool.taps import ProcessEnd, TapBatch

from tickspan.alerts.choices import thresholds_of, tiers_of
from tickspan.alerts.handover import handed_over
from tickspan.alerts.measures import SCOPE, AgentMeasures
from tickspan.alerts.notice import Notice
from tickspan.alerts.notifiers.log import LogNotifier
from tickspan.alerts.otlp import MetricReader, occurrences_of
from tickspan.alerts.station import Change, Station
from tickspan.alerts.telling import event_of, notice_in
from tickspan.alerts.wiring import configuration_folders, rule_file
from tickspan.analysis.rules.labels import HOST, INSTANCE, JOB
from tickspan.analysis.rules.model import Signal
from tickspan.analysis.rules.readings import Occurrence, Sender
from tickspan.analysis.rules.tiers import Tier
from tickspan.config import FILE_VARIABLE, read_settings
from tickspan.recording import diagnostics
from tickspan.recording.wire import encode_log
from tickspan.semconv import alerts as names
from tickspan.semconv.common import PROCESS_PID

__all__ = ["NAME", "AlertTap"]

NAME: Final = "alerts"
"""Of the tap, in the group `tickspan_tap`."""
_CHANGE: Final = names.EVENT_STATE_CHANGE.encode()
_FORGET_EVERY_S: Final = 60.0
_LOOK_FOR_RULES_EVERY_S: Final = 1.0


@dataclass(slots=True)
class _Process:
    """What is known of one process.

    Attributes:
        about: a stream of it; its resource counts.
        sender: what the resource says; None before a record of it was decoded.
    """

    about: StreamKey
    sender: Sender | None = None


class AlertTap:
    """Does nothing while there is no rule file that can be used; looks for one every second."""

    hears = frozenset({"memory"})
    """Of leaks the tap of memory tells, not the process."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str] = os.environ,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`home` is the spool's folder; settings are those of `environ`."""
        reading = read_settings(None, environ=environ, overrides={})
        self._settings = reading.settings.alerts
        self._folders = configuration_folders(reading.origins, environ, FILE_VARIABLE)
        self._home = home
        self._environ = environ
        self._wall = wall
        self._monotonic = monotonic
        self._processes: dict[str, _Process] = {}
        self._pending: list[Record] = []
        self._reader = MetricReader(is_wanted=lambda name: name in self._metrics)
        self._metrics: frozenset[str] = frozenset()
        self._forget_at_s = monotonic() + _FORGET_EVERY_S
        self._look_at_s = monotonic()
        self._log = LogNotifier(diagnostics.log)
        self._measures = AgentMeasures(round(wall() * 1e9))
        self._station: Station | None = None
        self._look_for_rules()

    def __repr__(self) -> str:
        return f"<AlertTap {len(self._processes)} processes, {self._station!r}>"

    @property
    def station(self) -> Station | None:
        """Rules, engine and delivery; None while there is no rule file."""
        return self._station

    def on_batch(self, batch: TapBatch) -> Iterable[Record] | None:
        """Pass on what processes tell of alerts; take metrics, spans and log events that rules read."""
        station = self._station
        process = self._process(batch)
        if station is None:
            return None
        now_s = self._monotonic()
        if batch.signal == "metrics":
            if self._holds(batch, self._metrics):
                readings = [timed.reading for timed in self._reader.read(batch.message, now_s)]
                if readings:
                    process.sender = readings[-1].sender
                station.engine.observe(readings, now_s)
            return self._taken()
        is_counted = False
        if batch.signal == "logs" and any(_CHANGE in bytes(entry.body) for entry in batch.entries):
            station.delivery.tell(_told_in(batch))
        for occurrence in self._occurrences(batch, station):
            process.sender = occurrence.sender
            is_counted = station.engine.happened(occurrence, now_s) or is_counted
        if is_counted:
            self._note(station.evaluate(now_s, self._wall(), only_events=True))
        return self._taken()

    def tick(self, now_s: float) -> Iterable[Record] | None:
        """Evaluate, look for a changed rule file, keep a checkpoint."""
        del now_s  # the agent's clock is ours
        now_s, wall_s = self._monotonic(), self._wall()
        self._look_for_rules()
        station = self._station
        if station is None:
            return None
        self._note(station.look(now_s, wall_s))
        self._metrics = station.engine.metrics
        self._note(station.evaluate(now_s, wall_s))
        station.delivery.tick()
        station.save(wall_s)
        if self._processes:
            last = next(reversed(self._processes))
            self._pending += self._measures.records(
                last, station.delivery.statistics(), station.rules.calendars, wall_s
            )
        if now_s >= self._forget_at_s:
            self._forget_at_s = now_s + _FORGET_EVERY_S
            self._reader.forget(now_s)
        return self._taken()

    def on_end(self, end: ProcessEnd) -> Iterable[Record] | None:
        """End the alerts of a process; where it did not say that it ends, it died."""
        station = self._station
        process = self._processes.pop(end.process, None)
        if station is None:
            return None
        now_s, wall_s = self._monotonic(), self._wall()
        sender = process.sender if process is not None else None
        if sender is None and end.resource:
            sender = self._reader.sender_of(Resource.FromString(end.resource))
        if sender is None:
            return None
        self._reader.gone(sender)
        self._note(station.gone(sender, now_s, wall_s))
        station.delivery.gone((Tier.PROCESS, end.process))
        if not end.has_exited_cleanly:
            about = {PROCESS_PID: end.pid, SERVICE: end.service_name}
            died = Occurrence(sender, Signal.LOG, PROCESS_DIED, about)
            if station.engine.happened(died, now_s):
                self._note(station.evaluate(now_s, wall_s, only_events=True))
        return self._taken()

    def close(self) -> None:
        """Keep what is known for the next agent."""
        if self._station is not None:
            self._station.save(self._wall(), at_once=True)
            self._station.close()

    def _look_for_rules(self) -> None:
        """Begin as soon as there is a rule file that can be used."""
        if self._station is not None or self._monotonic() < self._look_at_s:
            return
        self._look_at_s = self._monotonic() + _LOOK_FOR_RULES_EVERY_S
        settings = handed_over(self._home) or self._settings
        path = rule_file(settings, self._folders)
        if path is None or not path.is_file():
            return
        station = Station(
            Tier.AGENT,
            tiers_of(settings.tiers),
            path,
            self._home,
            self._environ,
            self._wall,
            self._monotonic,
            self._tell_log,
            thresholds_of(settings.thresholds),
        )
        station.begin(self._monotonic(), self._wall())
        self._station = station
        self._metrics = station.engine.metrics

    def _process(self, batch: TapBatch) -> _Process:
        about = batch.entries[-1].stream
        process = self._processes.get(batch.process)
        if process is None:
            process = self._processes[batch.process] = _Process(about)
        process.about = about
        return process

    def _occurrences(self, batch: TapBatch, station: Station) -> Iterator[Occurrence]:
        signal = Signal.SPAN if batch.signal == "traces" else Signal.LOG
        wanted = station.engine.wanted(signal)
        if wanted is not None and not self._holds(batch, wanted):
            return iter(())
        return occurrences_of(batch.message, wanted, wanted, self._reader.sender_of)

    def _holds(self, batch: TapBatch, wanted: Iterable[str]) -> bool:
        """Whether one of the names is in the bytes: most batches hold none, and are not even decoded."""
        marks = [name.encode() for name in wanted]
        return bool(marks) and any(
            mark in body for body in (bytes(entry.body) for entry in batch.entries) for mark in marks
        )

    def _note(self, changes: Iterable[Change]) -> None:
        """Put in line the log event of each change, under the resource of a process that it is about."""
        for change, notice in changes:
            process = self._about(dict(change.transition.alert.labels))
            if process is None:
                continue
            name, about = process
            event = event_of(change, notice, Tier.AGENT)
            now_ns = round(self._wall() * 1e9)
            body = encode_log(
                now_ns,
                now_ns,
                event.severity,
                event.severity_text,
                event.body,
                dict(event.attributes),
                0,
                1 if event.trace_id else 0,
                event.trace_id,
                event.span_id,
                names.EVENT_STATE_CHANGE,
            )
            stream = StreamKey("logs", about.resource, SCOPE, about.resource_schema_url, "")
            self._pending.append(Record(name, stream, body))

    def _about(self, labels: Mapping[str, str]) -> tuple[str, StreamKey] | None:
        """The process that an alert is of, else any that has the same host or service, else the last one."""
        best: tuple[int, str, StreamKey] | None = None
        for name, process in self._processes.items():
            sender = process.sender
            said = {} if sender is None else _identity(sender)
            score = sum(labels.get(label) == value for label, value in said.items() if value)
            if best is None or score >= best[0]:
                best = (score, name, process.about)
        return None if best is None else (best[1], best[2])

    def _taken(self) -> list[Record]:
        taken, self._pending = self._pending, []
        return taken

    def _tell_log(self, notice: Notice) -> None:
        self._log.send([notice], self._wall())


def _identity(sender: Sender) -> dict[str, str]:
    return {JOB: sender.job, INSTANCE: sender.instance, HOST: sender.host_name}


def _told_in(batch: TapBatch) -> Iterator[Notice]:
    """The notices of processes, as of this one."""
    message: Any = batch.message
    for resource in message.resource_logs:
        for scope in resource.scope_logs:
            for log in scope.log_records:
                if log.event_name == names.EVENT_STATE_CHANGE:
                    attributes = {pair.key: pair.value.string_value for pair in log.attributes}
                    notice = notice_in(attributes)
                    if notice is not None and notice.evaluator is Tier.PROCESS:
                        yield replace(notice, process=batch.process)
