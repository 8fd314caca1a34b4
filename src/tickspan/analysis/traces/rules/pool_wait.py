"""A statement that waited for a connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.habits import NOTICEABLE_WAIT_S, Habits
from tickspan.analysis.traces.seconds import told
from tickspan.analysis.traces.shape import CALL
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace
from tickspan.semconv.db import TICKSPAN_DB_POOL_WAIT

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "pool_wait",
    Severity.WARNING,
    "Statements wait for a connection of the pool.",
    "Hold connections for a shorter time, or give the pool more (pool_size, max_overflow).",
)
NEEDS: Final = CALL
_FEWEST: Final = 3
"""In a minute: the first statements of a process wait for their connections to be made."""


def check(trace: Trace, habits: Habits, limits: Thresholds) -> Iterator[Sighting]:
    """For the third in a minute, and each one after it, that waits more than 10 ms or longer than it runs."""
    for call in trace.calls:
        wait_s = call.number(TICKSPAN_DB_POOL_WAIT)
        if wait_s is None or wait_s <= NOTICEABLE_WAIT_S:
            continue
        runs_s = call.duration_ns / 1e9
        if wait_s <= limits.pool_wait_s and wait_s <= runs_s:
            continue
        waits = habits.waits(call) + 1
        if waits >= _FEWEST:
            yield trace.sighting(
                RULE,
                call,
                f"{call.summary} waited {told(wait_s)} for a connection and ran for {told(runs_s)}.",
                {"wait_s": round(wait_s, 6), "statement_s": round(runs_s, 6), "waits": waits},
                time_lost_s=wait_s,
                scope=f"{call.span.span_id:x}",
            )
