"""A transaction that lasts."""

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
    "long_transaction",
    Severity.WARNING,
    "A transaction stays open for longer than a second: rows stay locked, and old versions of them alive.",
    "Split it into several, or take out of it what needs no transaction.",
)
NEEDS: Final = END


def check(trace: Trace, _habits: Habits, limits: Thresholds) -> Iterator[Sighting]:
    """For each transaction of more than 1 s."""
    for transaction in trace.ended_transactions:
        duration_s = transaction.duration_s
        if duration_s > limits.transaction_s:
            yield trace.sighting(
                RULE,
                transaction.example,
                f"A transaction of {transaction.statements} statements lasted {told(duration_s)}.",
                {
                    "duration_s": round(duration_s, 6),
                    "idle_s": round(transaction.idle_s, 6),
                    "statements": transaction.statements,
                    "writes": transaction.writes,
                },
                time_lost_s=duration_s - limits.transaction_s,
                scope=transaction.id,
            )
