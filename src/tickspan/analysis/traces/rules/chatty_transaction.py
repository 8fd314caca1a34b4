"""A transaction of many round trips, or one that mostly waits for its program."""

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
    "chatty_transaction",
    Severity.WARNING,
    "A transaction makes many round trips, or mostly waits for its program.",
    "Send fewer, larger statements, and compute before the transaction begins.",
)
NEEDS: Final = END
_IDLE_SHARE: Final = 0.5
_FEWEST: Final = 3
_SHORTEST_S: Final = 0.02


def check(trace: Trace, _habits: Habits, limits: Thresholds) -> Iterator[Sighting]:
    """For each transaction of more than 20 statements, or one idle for more than half of at least 20 ms."""
    for transaction in trace.ended_transactions:
        duration_s, idle_s = transaction.duration_s, transaction.idle_s
        is_long_enough = duration_s >= _SHORTEST_S and transaction.statements >= _FEWEST
        if transaction.statements > limits.round_trips:
            what = f"A transaction made {transaction.statements} round trips"
        elif is_long_enough and transaction.writes and idle_s > _IDLE_SHARE * duration_s:
            what = f"A transaction waited for its program for {idle_s / duration_s:.0%} of its time"
        else:
            continue
        yield trace.sighting(
            RULE,
            transaction.example,
            f"{what} ({told(duration_s)}, idle {told(idle_s)}).",
            {
                "statements": transaction.statements,
                "writes": transaction.writes,
                "duration_s": round(duration_s, 6),
                "idle_s": round(idle_s, 6),
            },
            time_lost_s=idle_s,
            scope=transaction.id,
        )
