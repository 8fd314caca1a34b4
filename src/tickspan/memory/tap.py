"""The tap that judges how processes grow: it runs in the agent, over the metrics that pass.

What it finds is an event and a metric of the process it is about. On a suspicion it asks that process for a
census, and the verdict waits a moment for the answer. Once a minute it reads what the process has of pages
that it shares with others.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from tickspan_spool.entries import Entry, StreamKey, export_request
from tickspan_spool.identity import process_state
from tickspan_spool.taps import Finding as Record
from tickspan_spool.taps import ProcessEnd, TapBatch, decoded

from tickspan.analysis.leaks import ANONYMOUS, BLOCKS, LIVE_BLOCKS, MAPPED, MemoryGrowth, Suspicion
from tickspan.config import read_settings
from tickspan.memory.inquiry import SIGN_EVERY_S, Questions, key_of
from tickspan.memory.telling import SCOPE, leak_told
from tickspan.recording import diagnostics
from tickspan.recording._impl import wire
from tickspan.recording.procfs import PROC
from tickspan.semconv import memory as names
from tickspan.semconv.catalogue import METRICS
from tickspan.semconv.common import SERVICE_VERSION
from tickspan.semconv.sessions import SESSION_NAME, SESSION_OPEN
from tickspan.version import __version__

__all__ = ["NAME", "MemoryTap", "pss_bytes"]

NAME: Final = "memory"
"""Of the tap, in the group `tickspan_tap`."""
_SCOPE: Final = wire.encode_scope(SCOPE, __version__, {})
_SERIES: Final = {
    names.MEMORY_ANONYMOUS: ANONYMOUS,
    names.MEMORY_MAPPED: MAPPED,
    names.MEMORY_BLOCKS: BLOCKS,
    names.MEMORY_LIVE_BLOCKS: LIVE_BLOCKS,
}
_READ: Final = frozenset({*_SERIES, names.MEMORY_LIMIT, names.GC_CHANGES})
_METRIC_MARKS: Final = tuple(name.encode() for name in sorted({*_READ, SESSION_OPEN}))
_CENSUS_MARK: Final = names.EVENT_MEMORY_CENSUS.encode()
_DELTA: Final = 1
_MOST_PROCESSES: Final = 1_000
_PATIENCE_S: Final = 10.0
"""For which a verdict waits for a census."""
_PSS_EVERY_S: Final = 60.0
_SET_BACK_S: Final = 60.0
"""A clock that goes back by more begins all series anew."""
_KIB: Final = 1024


@dataclass(slots=True)
class _Process:
    """What is known of one process."""

    name: str
    key: str
    about: StreamKey
    version: str
    growth: MemoryGrowth
    suspicion: Suspicion = field(default_factory=Suspicion)
    at_s: float = -math.inf
    """The time of the last sample, since 1970."""
    live_blocks: float | None = None
    changes: float | None = None
    containers: tuple[str, ...] = ()
    owner: str | None = None
    told_layers: set[str] = field(default_factory=set[str])
    waits_until_s: float | None = None
    """A verdict is to be told when the census comes, or then."""
    sign_due_s: float = -math.inf
    pss_due_s: float = -math.inf


class MemoryTap:
    """See the module. Called by the agent, in one thread."""

    hears = frozenset({"alerts"})
    """Sessions open and close in the calendars of the alerts' rule file."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str] = os.environ,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        root: Path = PROC,
    ) -> None:
        """`home` is the spool's folder, where processes are asked; settings are those of `environ`."""
        settings = read_settings(None, environ=environ, overrides={}).settings.memory
        self._bucket_s = settings.leak_bucket_s
        self._questions = Questions(home)
        self._is_folder_told = False
        self._wall_ns = wall_ns
        self._monotonic = monotonic
        self._root = root
        self._processes: dict[str, _Process] = {}
        self._sessions: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<MemoryTap {len(self._processes)} processes>"

    def on_batch(self, batch: TapBatch) -> Iterable[Record] | None:
        """Take metrics of memory, and what a census says."""
        if batch.signal == "metrics":
            return self._of_metrics(batch)
        if batch.signal == "logs":
            return self._of_logs(batch)
        return None

    def tick(self, now_s: float) -> Iterable[Record] | None:
        """Tell what waited for a census in vain; say who is watched; read shares of pages."""
        del now_s  # the agent's clock is ours
        now_s = self._monotonic()
        records: list[Record] = []
        for process in self._processes.values():
            if process.waits_until_s is not None and now_s >= process.waits_until_s:
                records.append(self._verdict(process))
            if now_s >= process.sign_due_s:
                process.sign_due_s = now_s + SIGN_EVERY_S
                self._say(self._questions.say_watched, process.key)
            if now_s >= process.pss_due_s:
                process.pss_due_s = now_s + _PSS_EVERY_S
                records += self._pss(process)
        return records

    def on_end(self, end: ProcessEnd) -> Iterable[Record] | None:
        """Forget a process that ended."""
        process = self._processes.pop(end.process, None)
        self._say(self._questions.forget, key_of(end.process))
        if process is not None and process.waits_until_s is not None:
            return [self._verdict(process)]
        return None

    def _of_metrics(self, batch: TapBatch) -> list[Record]:
        wanted = [entry for entry in batch.entries if _holds(entry, _METRIC_MARKS)]
        if not wanted:
            return []
        samples: dict[int, dict[str, float]] = {}
        changed = False
        for name, point, is_delta in _points(decoded("metrics", export_request(wanted))):
            value = float(getattr(point, point.WhichOneof("value") or "as_int"))
            if name == SESSION_OPEN:
                self._session(point, value)
                continue
            changed = changed or (is_delta and name == names.GC_CHANGES and value > 0)
            samples.setdefault(point.time_unix_nano, {})[name] = value
        samples = {at_ns: one for at_ns, one in sorted(samples.items()) if names.MEMORY_ANONYMOUS in one}
        if not samples:
            return []
        process = self._process(batch, wanted[-1].stream)
        if changed:
            self._restart(process)
        return [record for at_ns, one in samples.items() for record in self._sample(process, at_ns, one)]

    def _process(self, batch: TapBatch, about: StreamKey) -> _Process:
        process = self._processes.pop(batch.process, None)
        if process is None:
            if len(self._processes) >= _MOST_PROCESSES:
                del self._processes[next(iter(self._processes))]
            growth = MemoryGrowth(bucket_s=self._bucket_s)
            process = _Process(batch.process, key_of(batch.process), about, _version_of(about), growth)
        elif process.about.resource != about.resource:
            version = _version_of(about)
            if version != process.version:
                process.version = version
                self._restart(process)
        process.about = about
        self._processes[batch.process] = process  # at the end: the first is the one not heard of longest
        return process

    def _sample(self, process: _Process, at_ns: int, sample: Mapping[str, float]) -> Iterator[Record]:
        at_s = at_ns / 1e9
        if at_s < process.at_s - _SET_BACK_S:
            self._restart(process)
            process.at_s = at_s
        process.at_s = at_s = max(at_s, process.at_s)
        changes = sample.get(names.GC_CHANGES)
        if changes is not None and process.changes is not None and changes > process.changes:
            self._restart(process)
        process.changes = changes
        limit = sample.get(names.MEMORY_LIMIT)
        process.growth.limit_bytes = None if limit is None else int(limit)
        values = {series: sample[name] for name, series in _SERIES.items() if name in sample}
        live_blocks = values.get(LIVE_BLOCKS)
        if live_blocks == process.live_blocks:  # no full collection since
            values.pop(LIVE_BLOCKS, None)
        process.live_blocks = live_blocks
        if process.growth.add(at_s, values) or process.suspicion.is_census_due(at_s):
            yield from self._judge(process, at_s)
        slopes = process.growth.report().slopes(process.told_layers)
        if slopes:
            process.told_layers.update(slopes)
            points = [
                (_attributes({names.MEMORY_LAYER: one}), 0, slope, None) for one, slope in slopes.items()
            ]
            yield _gauge(process, names.MEMORY_LEAK_SLOPE, at_ns, points)

    def _judge(self, process: _Process, at_s: float) -> Iterator[Record]:
        steps = process.suspicion.judged(process.growth.report(), at_s)
        if steps.ask and self._say(self._questions.ask, process.key) and steps.tell:
            process.waits_until_s = self._monotonic() + _PATIENCE_S
        elif steps.tell:
            yield self._verdict(process)

    def _verdict(self, process: _Process) -> Record:
        process.waits_until_s = None
        now_ns = self._wall_ns()
        told = leak_told(process.growth.report(), process.containers, process.owner)
        severity = int(told.severity.value)
        body = wire.encode_log(
            now_ns,
            now_ns,
            severity,
            told.severity.name,
            told.body,
            told.attributes,
            0,
            0,
            0,
            0,
            names.EVENT_MEMORY_LEAK,
        )
        return Record(process.name, _stream(process, "logs"), body)

    def _of_logs(self, batch: TapBatch) -> list[Record]:
        process = self._processes.get(batch.process)
        if process is None:
            return []
        wanted = [entry for entry in batch.entries if _holds(entry, (_CENSUS_MARK,))]
        for attributes in _censuses(wanted):
            process.containers = tuple(attributes.get(names.MEMORY_CENSUS_CONTAINERS, ()))
            process.owner = attributes.get(names.MEMORY_OWNER)
            process.growth.free_share = attributes.get(names.MEMORY_CENSUS_FREE)
        return [self._verdict(process)] if wanted and process.waits_until_s is not None else []

    def _session(self, point: Any, is_open: float) -> None:
        """Of a calendar: what is told every ten seconds, and when it changes."""
        name = next((one.value.string_value for one in point.attributes if one.key == SESSION_NAME), "")
        before = self._sessions.get(name)
        if len(self._sessions) < _MOST_PROCESSES:
            self._sessions[name] = is_open
        if before is not None and before != is_open:
            for process in self._processes.values():
                process.growth.restart_session()

    def _restart(self, process: _Process) -> None:
        process.growth.restart()
        process.suspicion = Suspicion()
        process.containers, process.owner, process.waits_until_s = (), None, None

    def _pss(self, process: _Process) -> list[Record]:
        size = pss_bytes(process.key, self._root)
        if size is None:
            return []
        point = (b"", 0, float(size), None)
        metric = METRICS[names.MEMORY_PSS]
        body = wire.encode_sum(
            metric.name,
            metric.brief,
            metric.unit,
            self._wall_ns(),
            [point],
            wire.CUMULATIVE,
            False,  # noqa: FBT003 - is_monotonic, of a compiled function
        )
        return [Record(process.name, _stream(process, "metrics"), body)]

    def _say(self, say: Callable[[str], None], key: str) -> bool:
        """A folder that cannot be used costs the census."""
        try:
            say(key)
        except OSError as error:
            if not self._is_folder_told:
                self._is_folder_told = True
                diagnostics.warning(
                    "memory: no census, the spool's folder cannot be used: %s", error.strerror
                )
            return False
        return True


def pss_bytes(key: str, root: Path = PROC) -> int | None:
    """Of the process that `key_of` names; None where we may not read it, or its number is another's by now.

    The kernel walks all its pages for it, under a lock that the process needs too: once a minute is enough.
    """
    pid, _, start_time = key.partition("-")
    if not pid.isdecimal() or not start_time.isdecimal():
        return None
    state = process_state(int(pid))
    if state is None or state.start_time != int(start_time):
        return None
    try:
        text = (root / pid / "smaps_rollup").read_bytes()
    except OSError:
        return None
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[0] == b"Pss:" and fields[1].isdigit():  # noqa: PLR2004 - name and number
            return int(fields[1]) * _KIB
    return None


def _holds(entry: Entry, marks: Iterable[bytes]) -> bool:
    """Whether a name is in its bytes: most entries are not even decoded."""
    body = bytes(entry.body)
    return any(mark in body for mark in marks)


def _points(request: Any) -> Iterator[tuple[str, Any, bool]]:
    """Points of the metrics that are read, and whether they tell what came since the last."""
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name in _READ or metric.name == SESSION_OPEN:
                    kind = metric.WhichOneof("data")
                    if kind in {"sum", "gauge"}:
                        data = getattr(metric, kind)
                        is_delta = kind == "sum" and data.aggregation_temporality == _DELTA
                        for point in data.data_points:
                            yield metric.name, point, is_delta


def _censuses(entries: list[Entry]) -> Iterator[dict[str, Any]]:
    request: Any = decoded("logs", export_request(entries))
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for log in scope.log_records:
                if log.event_name == names.EVENT_MEMORY_CENSUS:
                    yield {pair.key: _plain(pair.value) for pair in log.attributes}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(one.string_value for one in value.array_value.values)
    return None if kind is None else getattr(value, kind)


def _version_of(about: StreamKey) -> str:
    resource = Resource.FromString(about.resource)
    return next((one.value.string_value for one in resource.attributes if one.key == SERVICE_VERSION), "")


def _gauge(process: _Process, name: str, at_ns: int, points: list[tuple[bytes, int, float, None]]) -> Record:
    metric = METRICS[name]
    body = wire.encode_gauge(name, metric.brief, metric.unit, at_ns, points)
    return Record(process.name, _stream(process, "metrics"), body, len(points))


def _attributes(attributes: Mapping[str, str]) -> bytes:
    return wire.encode_attributes(wire.NUMBER_ATTRIBUTES, dict(attributes))


def _stream(process: _Process, signal: Any) -> StreamKey:
    about = process.about
    return StreamKey(signal, about.resource, _SCOPE, about.resource_schema_url, "")
