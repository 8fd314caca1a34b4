"""Traces: those of a time, one of them, and one as OTLP/JSON or Markdown."""

from __future__ import annotations

import json
from typing import Final

from tickspan_desk.store.reading import LogFilter, Reading, TraceFilter, Window
from tickspan_desk.views.markdown import trace_as_markdown
from tickspan_desk.views.otlp import traces_as_otlp
from tickspan_desk.views.trace import TraceView, trace_view
from tickspan_desk.views.traces import ROWS, TracesView, traces_view
from tickspan_desk.web.page import Asked, Document, NotFound, Page

__all__ = ["DOCUMENTS", "PAGES"]

_LOGS_MAX: Final = 1000
_AROUND_NS: Final = 3600 * 10**9
"""Records of a trace are looked for that long before and after it."""


def _traces(reading: Reading, asked: Asked) -> TracesView:
    rows = asked.integer("rows", ROWS[0])
    wanted = TraceFilter(
        service=asked.text("service"),
        name=asked.text("name"),
        min_duration_ns=round(max(asked.number("min_ms"), 0.0) * 1e6),
        has_error=asked.text("errors") != "",
        text=asked.text("text"),
    )
    limit = min(max(rows, 1), ROWS[-1])
    window = asked.window()
    found = reading.traces(wanted, window, limit + 1, asked.integer("before_ns"))
    return traces_view(found, wanted, window, reading.services(), limit)


def _trace(reading: Reading, asked: Asked) -> TraceView:
    trace_id = asked.path["trace_id"]
    spans = reading.spans(trace_id)
    if not spans:
        raise NotFound(_missing(trace_id))
    times = [time for span in spans for time in (span.start_ns, span.end_ns)]
    window = Window(max(min(times) - _AROUND_NS, 0), max(times) + _AROUND_NS)
    logs = reading.logs(LogFilter(trace_id=trace_id), window, _LOGS_MAX)
    return trace_view(
        spans,
        [entry.record for entry in logs],
        part=asked.text("part"),
        selected=asked.text("selected"),
    )


def _otlp(reading: Reading, asked: Asked) -> str:
    trace_id = asked.path["trace_id"]
    spans = reading.spans(trace_id)
    if not spans:
        raise NotFound(_missing(trace_id))
    return json.dumps(traces_as_otlp(spans), ensure_ascii=False)


def _markdown(reading: Reading, asked: Asked) -> str:
    trace_id = asked.path["trace_id"]
    spans = reading.spans(trace_id)
    if not spans:
        raise NotFound(_missing(trace_id))
    return trace_as_markdown(spans)


def _missing(trace_id: str) -> str:
    return (
        f"No span of trace {trace_id[:64]} is kept: it has not come yet, or it had to go by age or size. "
        "The page of health says how far back the store goes."
    )


PAGES: Final[tuple[Page, ...]] = (
    Page("/traces", "Traces", "traces.html", _traces, "t"),
    Page("/traces/{trace_id}", "", "trace.html", _trace),
)
DOCUMENTS: Final = (
    Document("/traces/{trace_id}.json", "application/json", _otlp),
    Document("/traces/{trace_id}.md", "text/markdown", _markdown),
)
