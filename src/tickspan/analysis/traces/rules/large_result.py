"""More rows than anybody reads, or more time spent fetching than finding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.call import DatabaseCall
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.seconds import told
from tickspan.analysis.traces.shape import CALL
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace
from tickspan.semconv.db import DB_RESPONSE_RETURNED_ROWS, TICKSPAN_DB_FETCH_DURATION

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "large_result",
    Severity.WARNING,
    "A query hands out a very large result.",
    "Add a LIMIT or a time range, let the database add up, or read in parts with a server-side cursor.",
)
NEEDS: Final = CALL
_FETCH_S: Final = 0.05


def check(trace: Trace, _habits: Habits, limits: Thresholds) -> Iterator[Sighting]:
    """For each call with more than 10,000 rows, or more than 50 ms of fetching that outweigh the rest."""
    for call in trace.calls:
        rows = int(call.number(DB_RESPONSE_RETURNED_ROWS) or 0)
        fetch_s = call.number(TICKSPAN_DB_FETCH_DURATION) or 0.0
        rest_s = call.duration_ns / 1e9 - fetch_s
        if rows > limits.rows or fetch_s > max(_FETCH_S, rest_s):
            yield _sighting(trace, call, rows, fetch_s)


def _sighting(trace: Trace, call: DatabaseCall, rows: int, fetch_s: float) -> Sighting:
    return trace.sighting(
        RULE,
        call,
        f"{call.summary} handed out {rows} rows ({told(call.duration_ns / 1e9)}, fetching {told(fetch_s)}).",
        {"rows": rows, "fetch_s": round(fetch_s, 6), "duration_s": round(call.duration_ns / 1e9, 6)},
        time_lost_s=fetch_s or call.duration_ns / 1e9,
        scope=f"{call.span.span_id:x}",
    )
