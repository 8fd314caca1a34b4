"""A statement that ended since another held its lock: lock timeouts, deadlocks, serialization failures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.seconds import told
from tickspan.analysis.traces.shape import ERROR
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "lock_wait",
    Severity.ERROR,
    "A statement failed since another transaction held what it needed.",
    "Lock rows in one order everywhere, keep transactions short, and run the transaction again.",
)
NEEDS: Final = ERROR
_WHAT: Final = {
    "55P03": "a lock was not available in time",
    "40P01": "a deadlock was broken",
    "40001": "concurrent transactions could not be put in order",
    "1205": "a lock was not available in time",
    "1213": "a deadlock was broken",
}
_SQLITE: Final = "SQLITE_BUSY"


def check(trace: Trace, _habits: Habits, _limits: Thresholds) -> Iterator[Sighting]:
    """For each call with one of these codes."""
    for call in trace.calls:
        code = call.error_code
        what = _WHAT.get(code) or ("the database was locked" if code.startswith(_SQLITE) else None)
        if what is not None:
            waited_s = call.duration_ns / 1e9
            yield trace.sighting(
                RULE,
                call,
                f"{call.summary} failed after {told(waited_s)}: {what} ({code}).",
                {"code": code, "waited_s": round(waited_s, 6)},
                time_lost_s=waited_s,
                scope=f"{call.span.span_id:x}",
            )
