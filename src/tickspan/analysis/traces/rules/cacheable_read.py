"""A read that has the same answer again and again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.call import DatabaseCall
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.shape import READ
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "cacheable_read",
    Severity.INFO,
    "The same read comes every second or more often, and its tables are hardly written to.",
    "Keep the answer for a moment: @tickspan.cache.cached(ttl=...).",
)
NEEDS: Final = READ
_WRITES_PER_READ: Final = 0.1


def check(trace: Trace, habits: Habits, limits: Thresholds) -> Iterator[Sighting]:
    """For each sixtieth read in a minute with equal parameters, when writes are a tenth as many at most."""
    groups: dict[tuple[str, str], list[DatabaseCall]] = {}
    for call in trace.calls:
        if call.is_read and call.tables and call.params_hash is not None:
            groups.setdefault((call.fingerprint, call.params_hash), []).append(call)
    for calls in groups.values():
        known = habits.reads(calls[0])
        before = known.count if known is not None else 0
        now = before + len(calls)
        if now // limits.alike_per_minute > before // limits.alike_per_minute:
            yield from _sighting(trace, calls, habits, now)


def _sighting(trace: Trace, calls: list[DatabaseCall], habits: Habits, reads: int) -> Iterator[Sighting]:
    known = habits.reads(calls[0])
    spent_ns = sum(call.duration_ns for call in calls) + (known.total_ns if known is not None else 0)
    writes = sum(habits.writes_to(table) for table in calls[0].tables)
    if writes > _WRITES_PER_READ * reads:
        return
    yield trace.sighting(
        RULE,
        calls[-1],
        f"{calls[-1].summary} came {reads} times within a minute with the same parameters ({writes} writes).",
        {"calls": reads, "writes": writes, "total_s": round(spent_ns / 1e9, 6)},
        severity=Severity.INFO,
        time_lost_s=spent_ns / 1e9 * (1 - 1 / reads),
    )
