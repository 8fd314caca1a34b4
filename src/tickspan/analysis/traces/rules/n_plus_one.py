"""One query for each row of another: SELECTs of one kind, or a pattern of several, under one parent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.call import DatabaseCall
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.repetition import busy_ns, cycles, overlaps
from tickspan.analysis.traces.seconds import told
from tickspan.analysis.traces.shape import READS
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace
from tickspan.semconv.db import TICKSPAN_DB_ORM_PATH

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "n_plus_one",
    Severity.WARNING,
    "A query runs once for each row of another, instead of once for all of them.",
    "Fetch all rows in one statement: join, or WHERE key = ANY(?) with the list of keys.",
)
NEEDS: Final = READS
_MANY: Final = 50
"""So many are an error."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Calls of one kind, or of a pattern's turns, by their start."""

    calls: Sequence[DatabaseCall]
    turns: int
    pattern: Sequence[DatabaseCall]


def check(trace: Trace, _habits: Habits, limits: Thresholds) -> Iterator[Sighting]:
    """A sighting for each group that takes a considerable part of its parent's time."""
    for parent_id, family in trace.families.items():
        reads = [call for call in family if call.is_read and call.tables]
        if len(reads) < limits.repeats:
            continue
        parent = trace.by_id.get(parent_id)
        parent_ns = parent.end_ns - parent.start_ns if parent is not None else 0
        for group in _groups(reads, limits):
            if _is_considerable(trace, group, parent_ns, limits):
                yield _sighting(trace, group, family)


def _groups(reads: Sequence[DatabaseCall], limits: Thresholds) -> Iterator[_Group]:
    patterned: set[str] = set()
    for cycle in cycles(reads):
        if len(cycle.calls) >= limits.repeats and _differ(cycle.calls):
            patterned.update(call.fingerprint for call in cycle.pattern)
            yield _Group(cycle.calls, cycle.turns, cycle.pattern)
    alike: dict[str, list[DatabaseCall]] = {}
    for call in reads:
        alike.setdefault(call.fingerprint, []).append(call)
    for fingerprint, calls in alike.items():
        if fingerprint not in patterned and len(calls) >= limits.repeats and _differ(calls):
            yield _Group(calls, len(calls), calls[:1])


def _differ(calls: Sequence[DatabaseCall]) -> bool:
    """Whether their parameters do, or may: equal ones are duplicates, which is another matter."""
    hashes = {(call.fingerprint, call.params_hash) for call in calls if call.params_hash is not None}
    return not hashes or len(hashes) > len({call.fingerprint for call in calls})


def _is_considerable(trace: Trace, group: _Group, parent_ns: int, limits: Thresholds) -> bool:
    busy = busy_ns(group.calls)
    share = limits.repeats_share * parent_ns
    if trace.is_on_order_path and parent_ns:
        return busy >= share
    return busy >= max(limits.repeats_s * 1e9, share)


def _sighting(trace: Trace, group: _Group, family: Sequence[DatabaseCall]) -> Sighting:
    worst = max(group.calls, key=lambda call: call.duration_ns)
    busy = busy_ns(group.calls)
    is_concurrent = overlaps(group.calls)
    saved = max(call.duration_ns for call in group.calls) if is_concurrent else busy // group.turns
    path = next((str(p) for call in group.calls if (p := call.span.attributes.get(TICKSPAN_DB_ORM_PATH))), "")
    before = _before(group, family)
    evidence: dict[str, str | int | float | bool] = {
        "calls": len(group.calls),
        "total_s": round(busy / 1e9, 6),
        "concurrent": is_concurrent,
    }
    if before is not None:
        evidence["after"] = before.summary
    if path:
        evidence["orm_path"] = path
    what = " + ".join(call.summary for call in group.pattern)
    if len(group.pattern) > 1:
        evidence["pattern"] = what
    return trace.sighting(
        RULE,
        worst,
        f"{what} ran {group.turns} times{_after(before)} ({told(busy / 1e9)} in all).",
        evidence,
        severity=Severity.ERROR if group.turns >= _MANY else None,
        advice=_advice(path, is_concurrent=is_concurrent),
        time_lost_s=(busy - saved) / 1e9,
        scope=f"{group.calls[0].span.parent_id:x}",
    )


def _before(group: _Group, family: Sequence[DatabaseCall]) -> DatabaseCall | None:
    """The read whose rows the group probably follows."""
    first_ns = group.calls[0].span.start_ns
    members = {call.fingerprint for call in group.pattern}
    earlier = [
        call
        for call in family
        if call.is_read and call.span.start_ns < first_ns and call.fingerprint not in members
    ]
    return earlier[-1] if earlier else None


def _after(before: DatabaseCall | None) -> str:
    return f" after {before.summary}" if before is not None else ""


def _advice(path: str, *, is_concurrent: bool) -> str | None:
    if path:
        return f"Load the relationship with the rows: .options(selectinload({path}))."
    if is_concurrent:
        return f"{RULE.advice} They run at once, each on a connection of its own."
    return None
