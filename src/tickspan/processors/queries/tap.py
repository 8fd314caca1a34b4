"""The tap that looks at queries: it runs in the agent, off every statement's path."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from tickspan_spool.entries import StreamKey
from tickspan_spool.taps import Finding as Record
from tickspan_spool.taps import TapBatch

from tickspan.analysis.traces import Calls, DatabaseCall, Examination, Sighting, Trace
from tickspan.analysis.traces.rules import slow_query
from tickspan.config import PlanMode, read_settings
from tickspan.processors.queries.book import Book, KnownFinding
from tickspan.processors.queries.databases import addresses
from tickspan.processors.queries.eras import Eras, Need
from tickspan.processors.queries.limits import thresholds
from tickspan.processors.queries.plans import DAY_S, Catalog, Explained, Plans, Urgency
from tickspan.processors.queries.seen import POOL_METRICS, Pools, spans_of
from tickspan.processors.queries.sightings import sighting_in
from tickspan.processors.queries.store import FILE, QueryKey, QueryStore, Told
from tickspan.processors.queries.telling import Counts, finding_labels, finding_record, plan_record
from tickspan.processors.queries.texts import Seen, Texts
from tickspan.processors.queries.trials import Trials
from tickspan.recording import diagnostics
from tickspan.semconv import db
from tickspan.semconv import findings as names

__all__ = ["NAME", "QueryTap"]

NAME: Final = "queries"
"""Of the tap, in the group `tickspan_tap`."""
_FORGET_EVERY_S: Final = 600.0
_IDLE_PROCESS_S: Final = 900.0
_MAX_PROCESSES: Final = 200
_COUNTS_EVERY_S: Final = 10.0
_HABITS_KEPT_NS: Final = 60 * 10**9
_MAX_GROUPS: Final = 50_000
_TEXTS_IN_A_BATCH_S: Final = 0.25
_TEXTS_IN_A_TICK_S: Final = 0.05
_AWAITED_S: Final = 600.0
"""How often a catalog is read while an index that was advised may appear in it."""
_TRIALS_EVERY_S: Final = 30.0
_POOL_MARKS: Final = tuple(name.encode() for name in POOL_METRICS)


T = TypeVar("T")


@dataclass(slots=True)
class _Process:
    """What is known of one process."""

    name: str
    service: str
    about: StreamKey
    examination: Examination
    counts: Counts
    pools: Pools = field(default_factory=Pools)
    heard_s: float = 0.0
    counted_s: float = -math.inf
    faulty_told: int = 0


class QueryTap:
    """Looks at each trace and each new statement, keeps what it counted and found, and tells what is new."""

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str] = os.environ,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`home` is the spool's folder; settings are those of `environ`."""
        self._settings: Final = read_settings(None, environ=environ, overrides={}).settings.queries
        self._wall_ns = wall_ns
        self._monotonic = monotonic
        self._store = QueryStore(home / FILE)
        self._book = Book(self._kept(self._store.findings, []))
        self._calls = Calls()
        self._ignored = frozenset(self._settings.ignore)
        self._texts = Texts(self._ignored, monotonic)
        asks = self._settings.plans is PlanMode.PROBE
        named = addresses(self._settings.databases, environ) if asks else {}
        self._plans = Plans(named, self._ignored)
        self._eras = Eras(self._kept(self._store.eras, {}) if named else {})
        self._trials = self._kept(lambda: Trials(home, self._store), None) if named else None
        self._awaits_index = False
        self._tried_s = -math.inf
        self._speakers: dict[str, str] = {}
        self._processes: dict[str, _Process] = {}
        self._forgotten_s: float | None = None

    def __repr__(self) -> str:
        return f"<QueryTap {len(self._processes)} processes, {self._book!r}>"

    def close(self) -> None:
        """Let go of the file; the end of a process does the same."""
        self._store.close()

    def on_batch(self, batch: TapBatch) -> Iterable[Record] | None:
        """Look at spans, and at the metrics of pools."""
        now_s = self._monotonic()
        if batch.signal == "traces":
            process = self._process(batch, now_s)
            sightings = self._of_spans(process, batch, now_s)
            sightings += self._texts.work(_TEXTS_IN_A_BATCH_S)
        elif batch.signal == "metrics" and _tells_of_pools(batch):
            process = self._process(batch, now_s)
            changes = process.pools.changes(batch.message)
            sightings = [Seen(process.name, one) for one in process.examination.judge_pools(changes)]
        else:
            return None
        return self._told(sightings, now_s)

    def tick(self, now_s: float) -> Iterable[Record] | None:
        """Look at traces of which nothing more comes, and at new statements; forget, now and then."""
        sightings: list[Seen] = []
        for process in list(self._processes.values()):
            for trace in process.examination.due(now_s):
                sightings += self._of_trace(process, trace)
            if now_s - process.heard_s > _IDLE_PROCESS_S:
                del self._processes[process.name]
        plans: list[Record] = []
        for answer in self._plans.take():
            if isinstance(answer, Catalog):
                sightings += self._learnt(answer)
            else:
                plans += self._explained(answer)
                sightings += [Seen(answer.process, sighting) for sighting in answer.sightings]
        sightings += self._texts.work(_TEXTS_IN_A_TICK_S)
        sightings += self._verdicts(now_s)
        if self._forgotten_s is None or now_s - self._forgotten_s >= _FORGET_EVERY_S:
            self._forgotten_s = now_s
            self._kept(lambda: self._store.forget(self._wall_ns()), None)
        return [*plans, *self._told(sightings, now_s)]

    def _process(self, batch: TapBatch, now_s: float) -> _Process:
        process = self._processes.pop(batch.process, None)
        if process is None:
            if len(self._processes) >= _MAX_PROCESSES:
                del self._processes[next(iter(self._processes))]
            process = _Process(
                batch.process,
                batch.service_name,
                batch.entries[0].stream,
                Examination(thresholds(self._settings), self._ignored, self._calls),
                Counts(self._wall_ns()),
            )
        self._processes[batch.process] = process  # at the end: the first is the one not heard of longest
        process.about = batch.entries[-1].stream
        process.heard_s = now_s
        return process

    def _of_spans(self, process: _Process, batch: TapBatch, now_s: float) -> list[Seen]:
        found: list[Seen] = []
        add = process.examination.add
        for span in spans_of(batch.message):
            trace = add(span, now_s)
            if trace is not None:
                found += self._of_trace(process, trace)
        habits = process.examination.habits
        habits.forget(batch_end_ns(batch) - _HABITS_KEPT_NS)
        return found

    def _of_trace(self, process: _Process, trace: Trace) -> Iterator[Seen]:
        for call in trace.calls:
            if call.statement is not None and not call.is_end:
                self._note(process, call, is_on_order_path=trace.is_on_order_path)
        for sighting in process.examination.judge(trace):
            if sighting.finding.rule == slow_query.RULE.id:
                self._want_plan(process, trace, sighting)
            yield Seen(process.name, sighting)
        for reign in self._eras.due():
            finding = reign.regression()
            if finding is not None and reign.slowest is not None:
                reign.is_told = True
                name, call, is_on_order_path = reign.slowest
                seen = sighting_in(
                    call, finding, time_lost_s=reign.time_lost_s, is_on_order_path=is_on_order_path
                )
                yield Seen(name, seen)

    def _want_plan(self, process: _Process, trace: Trace, slow: Sighting) -> None:
        for call in trace.calls:
            if call.span.span_id == slow.span_id:
                key = QueryKey(process.service, call.system, call.namespace, call.fingerprint)
                on_path = trace.is_on_order_path
                self._plans.want(process.name, key, call, self._monotonic(), is_on_order_path=on_path)

    def _note(self, process: _Process, call: DatabaseCall, *, is_on_order_path: bool) -> None:
        statement = call.statement
        if statement is None:
            return
        key = QueryKey(process.service, call.system, call.namespace, statement.fingerprint)
        rows = int(call.number(db.DB_RESPONSE_RETURNED_ROWS) or 0)
        self._store.note(
            key,
            Told(statement.summary or call.verb, statement.text),
            call.span.start_ns,
            call.duration_ns,
            rows,
            is_error=bool(call.error_code),
        )
        self._texts.see(process.name, key, call, is_on_order_path=is_on_order_path)
        if self._plans.knows(call.namespace):
            self._compare(process, key, call, is_on_order_path=is_on_order_path)

    def _compare(
        self, process: _Process, key: QueryKey, call: DatabaseCall, *, is_on_order_path: bool
    ) -> None:
        """Count a call of a database that may be asked; ask it what there is to ask."""
        now_s = self._monotonic()
        self._speakers[call.namespace] = process.name
        again_s = _AWAITED_S if self._awaits_index else DAY_S
        self._plans.want_catalog(process.name, call.system, call.namespace, now_s, again_s)
        if call.error_code:
            return
        need = self._eras.note(process.name, key, call, is_on_order_path=is_on_order_path)
        if need is not None:
            urgency = Urgency.SHIFTED if need is Need.SHIFTED else Urgency.ROUTINE
            self._plans.want(process.name, key, call, now_s, urgency, is_on_order_path=is_on_order_path)

    def _explained(self, answer: Explained) -> list[Record]:
        """Note a plan; it is told when somebody may look for it, or it is another one than before."""
        is_new = self._eras.explained(answer.key, answer.plan, self._wall_ns())
        process = self._processes.get(answer.process)
        if process is None or (answer.urgency is Urgency.ROUTINE and not is_new):
            return []
        return [plan_record(process.name, process.about, answer, self._wall_ns())]

    def _learnt(self, answer: Catalog) -> list[Seen]:
        """Tables are known now: what rules say of their indexes; statements are read again."""
        now_ns = self._wall_ns()
        self._texts.learn(answer.namespace, answer.schema)
        trials = self._trials
        if trials is not None:
            self._kept(
                lambda: trials.look(answer.system, answer.namespace, answer.schema, now_ns / 1e9), None
            )
        speaker = self._speakers.get(answer.namespace, answer.process)
        return [
            Seen(speaker, Sighting(finding, 0, 0, now_ns, 0.0, answer.system, answer.namespace))
            for finding in answer.findings
        ]

    def _verdicts(self, now_s: float) -> list[Seen]:
        """What became of indexes that were advised."""
        trials = self._trials
        if trials is None or now_s - self._tried_s < _TRIALS_EVERY_S:
            return []
        self._tried_s = now_s
        wall_s = self._wall_ns() / 1e9
        self._awaits_index = trials.awaits(wall_s)
        found = self._kept(lambda: trials.judge(wall_s), [])
        return [Seen(self._speakers.get(one.namespace, ""), one) for one in found]

    def _told(self, sightings: Iterable[Seen], now_s: float) -> list[Record]:
        """Note what was seen; what is to be told of it, what costs most time first."""
        now_ns = self._wall_ns()
        due: dict[str, tuple[_Process, KnownFinding]] = {}
        for name, sighting, times in sightings:
            process = self._processes.get(name)
            finding = sighting.finding
            if process is None or {finding.rule, finding.fingerprint} & self._ignored:
                continue
            process.counts.add(db.TICKSPAN_DB_FINDINGS, finding_labels(sighting), times)
            known = self._book.take(process.service, sighting, now_ns, times)
            if known is not None:
                due[known.id + process.service] = (process, known)
        self._count_skipped()
        self._kept(lambda: self._store.write(self._book.changed(), self._eras.changed()), None)
        ranked = sorted(due.values(), key=lambda pair: -pair[1].time_lost_s)
        records = [finding_record(process.name, process.about, known, now_ns) for process, known in ranked]
        for process in self._processes.values():
            if ranked or now_s - process.counted_s >= _COUNTS_EVERY_S:
                process.counted_s = now_s
                records += process.counts.records(process.name, process.about, now_ns)
        return records

    def _count_skipped(self) -> None:
        for name, reason in self._texts.skipped():
            process = self._processes.get(name)
            if process is not None:
                process.counts.add(names.QUERIES_SKIPPED, ((names.SKIPPED_REASON, reason),))
        for process in self._processes.values():
            faulty = process.examination.faulty
            for one in faulty[process.faulty_told :]:
                diagnostics.warning("rule '%s' disabled after %s; the others go on", one.rule, one.error)
            process.faulty_told = len(faulty)

    def _kept(self, act: Callable[[], T], otherwise: T) -> T:
        """A file that cannot be used costs its history, not the findings."""
        try:
            return act()
        except (sqlite3.Error, OSError, ValueError) as error:
            diagnostics.warning("queries: %s cannot be used: %s", self._store.path, type(error).__name__)
            return otherwise


def batch_end_ns(batch: TapBatch) -> int:
    """When the last span of a batch of traces ended, since 1970."""
    last = batch.message.resource_spans[-1].scope_spans[-1].spans[-1]  # pyright: ignore[reportAttributeAccessIssue]
    return int(last.end_time_unix_nano)


def _tells_of_pools(batch: TapBatch) -> bool:
    """Most metrics tell of none: they are not even decoded."""
    return any(mark in bytes(entry.body) for entry in batch.entries for mark in _POOL_MARKS)
