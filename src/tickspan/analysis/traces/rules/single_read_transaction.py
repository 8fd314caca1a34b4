"""Three round trips for one read: most transactions are a SELECT and a ROLLBACK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.shape import END
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "single_read_transaction",
    Severity.INFO,
    "Most transactions are one read and a ROLLBACK: three round trips where one would do.",
    'Read on an engine in AUTOCOMMIT: engine.execution_options(isolation_level="AUTOCOMMIT").',
)
NEEDS: Final = END
_SHARE: Final = 0.9
_FEWEST: Final = 20


def check(trace: Trace, habits: Habits, _limits: Thresholds) -> Iterator[Sighting]:
    """When such a transaction ends, and they are more than 90 % of at least twenty in the last minute."""
    for transaction in trace.transactions:
        end = transaction.end
        if end is None or end.verb != "ROLLBACK" or transaction.writes or transaction.statements != 1:
            continue
        lately = habits.endings(end)
        if lately.all < _FEWEST or lately.single_reads <= _SHARE * lately.all:
            continue
        yield trace.sighting(
            RULE,
            end,
            f"{lately.single_reads} of {lately.all} transactions were one read and a ROLLBACK"
            f" ({end.system} {end.namespace}).".replace(" )", ")"),
            {
                "transactions": lately.all,
                "single_reads": lately.single_reads,
                "rollback_s": round(lately.round_trip_ns / 1e9, 6),
            },
            time_lost_s=end.duration_ns / 1e9,
        )
        return
