"""The traces that are not over yet: their spans are kept until the root has ended or nothing more comes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tickspan.analysis.traces.span import SeenSpan

__all__ = ["Window", "WindowStatistics"]


@dataclass(frozen=True, slots=True)
class WindowStatistics:
    """What the window holds and did.

    Attributes:
        spans: that are kept.
        traces: that they belong to.
        evicted: spans of traces that had to go unfinished, since too many were kept.
    """

    spans: int
    traces: int
    evicted: int


@dataclass(slots=True)
class _OpenTrace:
    spans: list[SeenSpan]
    changed_s: float
    began_s: float


@dataclass(slots=True)
class Window:
    """Of one process; for one thread. `add` costs a look-up and an append.

    A trace is given out when its local root has ended, when nothing has come for `quiet_s`, when it has been
    kept for `idle_s`, or when it has `max_trace_spans`; what comes of it later is a trace of its own. Beyond
    `max_spans` the oldest go without being looked at.
    """

    max_spans: int = 50_000
    max_trace_spans: int = 5_000
    quiet_s: float = 5.0
    idle_s: float = 60.0
    evicted: int = 0
    _open: dict[int, _OpenTrace] = field(default_factory=dict[int, _OpenTrace])
    _kept: int = 0

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<Window {now.spans} spans of {now.traces} traces, {now.evicted} evicted>"

    def statistics(self) -> WindowStatistics:
        """At this moment."""
        return WindowStatistics(self._kept, len(self._open), self.evicted)

    def add(self, span: SeenSpan, now_s: float) -> list[SeenSpan] | None:
        """Keep a span; if its trace is over with it, that comes back. `now_s` is monotonic."""
        found = self._open.get(span.trace_id)
        if found is None:
            if span.is_root:
                return [span]  # all of it: what ended before would be here
            found = self._open[span.trace_id] = _OpenTrace([], now_s, now_s)
        spans = found.spans
        spans.append(span)
        found.changed_s = now_s
        self._kept += 1
        if span.is_root or len(spans) >= self.max_trace_spans:
            return self._take_out(span.trace_id)
        if self._kept > self.max_spans:
            self.evicted += len(self._take_out(next(iter(self._open))))
        return None

    def due(self, now_s: float) -> Iterator[list[SeenSpan]]:
        """Traces of which nothing more is waited for."""
        over = [
            trace_id
            for trace_id, found in self._open.items()
            if now_s - found.changed_s >= self.quiet_s or now_s - found.began_s >= self.idle_s
        ]
        for trace_id in over:
            yield self._take_out(trace_id)

    def _take_out(self, trace_id: int) -> list[SeenSpan]:
        spans = self._open.pop(trace_id).spans
        self._kept -= len(spans)
        return spans
