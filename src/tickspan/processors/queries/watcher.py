"""Rules in the application itself, for programs without an agent: those over traces and over tokens.

A finished span is put in line, about a microsecond; a thread looks at the line. No parser is loaded here:
beside one, a sleeping thread wakes milliseconds late.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry._logs import LoggerProvider, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from tickspan.analysis.traces import CLIENT, WANTED, Examination, SeenSpan, Sighting, Trace, Value
from tickspan.config import QuerySettings
from tickspan.processors.queries.book import Book, KnownFinding
from tickspan.processors.queries.limits import thresholds
from tickspan.processors.queries.store import QueryKey
from tickspan.processors.queries.telling import SEVERITY_TEXTS, finding_attributes, finding_labels
from tickspan.processors.queries.texts import Seen, Texts
from tickspan.recording import Guard
from tickspan.semconv import db
from tickspan.semconv import findings as names
from tickspan.version import __version__

__all__ = ["Watcher"]

_SCOPE: Final = "tickspan.queries"
_MAX_WAITING: Final = 10_000
_PACE_S: Final = 0.5
_LONGEST_LOOK_S: Final = 1.0
_CLIENT_NAME: Final = "CLIENT"
_HABITS_KEPT_NS: Final = 60 * 10**9


class Watcher(SpanProcessor):
    """Safe from any thread. Beyond 10,000 spans that wait, new ones are left out and counted in `dropped`."""

    def __init__(
        self,
        loggers: LoggerProvider,
        meters: MeterProvider,
        settings: QuerySettings,
        service: str = "",
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write findings to a logger of `loggers`; nothing runs before the first span ends."""
        ignored = frozenset(settings.ignore)
        self.dropped = 0
        self._ignored = ignored
        self._service = service
        self._wall_ns = wall_ns
        self._monotonic = monotonic
        self._logger = loggers.get_logger(_SCOPE, __version__)
        self._counter = meters.get_meter(_SCOPE, __version__).create_counter(
            db.TICKSPAN_DB_FINDINGS, "{finding}", "How often a rule about queries was broken."
        )
        self._examination = Examination(thresholds(settings), ignored)
        self._texts = Texts(ignored, monotonic, parses=False)
        self._book = Book()
        self._waiting: deque[SeenSpan] = deque()
        self._guard = Guard("processor", "queries")
        self._looking = threading.Lock()
        self._is_stopping = threading.Event()
        self._pid = 0

    def __repr__(self) -> str:
        return f"<Watcher {len(self._waiting)} spans wait, {self.dropped} dropped, {self._book!r}>"

    def on_end(self, span: ReadableSpan) -> None:
        """Put it in line."""
        if len(self._waiting) >= _MAX_WAITING:
            self.dropped += 1
            return
        seen = _seen(span)
        if seen is not None:
            self._waiting.append(seen)
        if self._pid != os.getpid():  # the first span of this process, or of one that was forked off
            self._begin()

    def shutdown(self) -> None:
        """Look at what waits, and end the thread."""
        self._is_stopping.set()
        self.look(is_last=True)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Look at what waits."""
        del timeout_millis
        self.look()
        return True

    def look(self, *, is_last: bool = False) -> None:
        """Ask the rules about what waits; `is_last` also about traces that are not over."""
        if self._looking.acquire(timeout=_LONGEST_LOOK_S):
            try:
                self._guard.own(self._look, is_last, default=None)
            finally:
                self._looking.release()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._looking = threading.Lock()  # a process that was forked off may have got a held one
        threading.Thread(target=self._run, name="tickspan-queries", daemon=True).start()

    def _run(self) -> None:
        while not self._is_stopping.wait(_PACE_S):
            self.look()

    def _look(self, is_last: bool) -> None:
        now_s = self._monotonic()
        found: list[Seen] = []
        last_ns = 0
        while self._waiting:
            span = self._waiting.popleft()
            last_ns = span.end_ns
            trace = self._examination.add(span, now_s)
            if trace is not None:
                found += self._of_trace(trace)
        for trace in self._examination.due(float("inf") if is_last else now_s):
            found += self._of_trace(trace)
        if last_ns:
            self._examination.habits.forget(last_ns - _HABITS_KEPT_NS)
        found += self._texts.work(_PACE_S)
        for seen in found:
            self._tell(seen.sighting, seen.times)

    def _of_trace(self, trace: Trace) -> list[Seen]:
        for call in trace.calls:
            if call.statement is not None and not call.is_end:
                key = QueryKey(self._service, call.system, call.namespace, call.fingerprint)
                self._texts.see("", key, call, is_on_order_path=trace.is_on_order_path)
        return [Seen("", sighting) for sighting in self._examination.judge(trace)]

    def _tell(self, sighting: Sighting, times: int) -> None:
        if sighting.finding.fingerprint in self._ignored:
            return
        self._counter.add(times, dict(finding_labels(sighting)))
        now_ns = self._wall_ns()
        known = self._book.take(self._service, sighting, now_ns, times)
        if known is not None:
            self._emit(known, now_ns)

    def _emit(self, known: KnownFinding, now_ns: int) -> None:
        finding, example = known.finding, known.example
        self._logger.emit(
            timestamp=example.at_ns,
            observed_timestamp=now_ns,
            context=_context(example),
            severity_number=SeverityNumber(int(finding.severity)),
            severity_text=SEVERITY_TEXTS[int(finding.severity)],
            body=finding.message,
            attributes=finding_attributes(known),
            event_name=names.EVENT,
        )


def _context(example: Sighting) -> Context:
    if not example.trace_id:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED)
    shown = SpanContext(example.trace_id, example.span_id, is_remote=False, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(shown), Context())


def _seen(span: ReadableSpan) -> SeenSpan | None:
    context, parent = span.context, span.parent
    if context is None or span.start_time is None or span.end_time is None:
        return None
    given: Mapping[str, Any] = span.attributes or {}
    wanted: dict[str, Value] = {name: value for name, value in given.items() if name in WANTED}
    return SeenSpan(
        context.trace_id,
        context.span_id,
        parent.span_id if parent is not None else 0,
        span.start_time,
        span.end_time,
        span.name,
        CLIENT if span.kind.name == _CLIENT_NAME else 1,
        wanted,
        parent is None or parent.is_remote,
    )
