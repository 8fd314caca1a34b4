"""A gap in a transaction: its locks are held, and its snapshot kept, while nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.seconds import told
from tickspan.analysis.traces.shape import END
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "idle_in_transaction",
    Severity.WARNING,
    "A transaction stays open while its program does something else.",
    "End the transaction before the pause, and begin another one behind it.",
)
NEEDS: Final = END
_SEVERE: Final = 10


def check(trace: Trace, _habits: Habits, limits: Thresholds) -> Iterator[Sighting]:
    """For each transaction with a gap of more than 0.1 s; an error from 1 s on."""
    for transaction in trace.ended_transactions:
        gap_s = transaction.idle_max_s
        if gap_s <= limits.idle_s:
            continue
        yield trace.sighting(
            RULE,
            transaction.example,
            f"A transaction of {transaction.statements} statements stood idle for {told(gap_s)}.",
            {
                "gap_s": round(gap_s, 6),
                "statements": transaction.statements,
                "writes": transaction.writes,
                "duration_s": round(transaction.duration_s, 6),
            },
            severity=Severity.ERROR if gap_s > _SEVERE * limits.idle_s else None,
            time_lost_s=transaction.idle_s,
            scope=transaction.id,
        )
