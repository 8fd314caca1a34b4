"""A commit for each row: writes outside of a transaction, or alone in one, again and again in a trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.call import DatabaseCall
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.shape import WRITES
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace
from tickspan.semconv.db import TICKSPAN_DB_ROWS_AFFECTED

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "autocommit_burst",
    Severity.WARNING,
    "Each of several writes is committed by itself, which waits for the disk each time.",
    "Put the writes of one step into one transaction, and commit once.",
)
NEEDS: Final = WRITES
_WRITES: Final = 5


def check(trace: Trace, _habits: Habits, _limits: Thresholds) -> Iterator[Sighting]:
    """For each table that is written to at least five times with a commit of its own each time."""
    commits = {
        transaction.id: transaction.end.duration_ns
        for transaction in trace.transactions
        if transaction.end is not None
        and transaction.end.verb == "COMMIT"
        and transaction.id
        and (transaction.statements, transaction.writes) == (1, 1)
    }
    groups: dict[tuple[str, ...], list[DatabaseCall]] = {}
    for call in trace.calls:
        if call.is_write and call.tables and (call.transaction_id in commits or _is_alone(call)):
            groups.setdefault(call.tables, []).append(call)
    for calls in groups.values():
        if len(calls) >= _WRITES:
            yield _sighting(trace, calls, sum(commits.get(call.transaction_id, 0) for call in calls))


def _is_alone(call: DatabaseCall) -> bool:
    """Whether it is known to run outside of a transaction: only who counts rows tells transactions, too."""
    return not call.transaction_id and TICKSPAN_DB_ROWS_AFFECTED in call.span.attributes


def _sighting(trace: Trace, calls: list[DatabaseCall], commits_ns: int) -> Sighting:
    worst = max(calls, key=lambda call: call.duration_ns)
    spent_ns = commits_ns or sum(call.duration_ns for call in calls)
    return trace.sighting(
        RULE,
        worst,
        f"{len(calls)} writes to {' '.join(worst.tables)} were committed one by one in a trace.",
        {"writes": len(calls), "commit_s": round(commits_ns / 1e9, 6)},
        time_lost_s=spent_ns / 1e9 * (1 - 1 / len(calls)),
        scope=" ".join(worst.tables),
    )
