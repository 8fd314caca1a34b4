"""Rows written one by one: many single-row statements on one table in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.call import DatabaseCall
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.repetition import busy_ns
from tickspan.analysis.traces.seconds import told
from tickspan.analysis.traces.shape import WRITES
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace
from tickspan.semconv.db import DB_OPERATION_BATCH_SIZE, TICKSPAN_DB_ROWS_AFFECTED

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "row_by_row_writes",
    Severity.WARNING,
    "A transaction writes rows of one table one by one.",
    "Write them in one statement: executemany, INSERT with several rows, or UPDATE ... FROM (VALUES ...).",
)
NEEDS: Final = WRITES
_ROWS: Final = 10


def check(trace: Trace, _habits: Habits, _limits: Thresholds) -> Iterator[Sighting]:
    """For each statement that writes a single row at least ten times in a transaction."""
    groups: dict[tuple[str, str], list[DatabaseCall]] = {}
    for call in trace.calls:
        if _writes_one_row(call) and call.transaction_id:
            groups.setdefault((call.transaction_id, call.fingerprint), []).append(call)
    for (transaction, _), calls in groups.items():
        if len(calls) >= _ROWS:
            yield _sighting(trace, calls, transaction)


def _sighting(trace: Trace, calls: list[DatabaseCall], transaction: str) -> Sighting:
    busy_s = busy_ns(calls) / 1e9
    worst = max(calls, key=lambda call: call.duration_ns)
    return trace.sighting(
        RULE,
        worst,
        f"{worst.summary} wrote {len(calls)} rows one by one in a transaction ({told(busy_s)}).",
        {"calls": len(calls), "total_s": round(busy_s, 6)},
        time_lost_s=busy_s * (1 - 1 / len(calls)),
        scope=transaction,
    )


def _writes_one_row(call: DatabaseCall) -> bool:
    rows = call.number(TICKSPAN_DB_ROWS_AFFECTED)
    is_batch = call.number(DB_OPERATION_BATCH_SIZE) is not None
    return call.is_write and bool(call.tables) and not is_batch and (rows is None or rows <= 1)
