"""The same question again: equal SELECTs with equal parameters, and no write in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.call import DatabaseCall
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.seconds import told
from tickspan.analysis.traces.shape import READ
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "duplicate_query",
    Severity.WARNING,
    "The same query runs again with the same parameters, and nothing was written in between.",
    "Ask once and hand the rows on, or keep them for a moment (tickspan.cache).",
)
NEEDS: Final = READ
_WITHIN_NS: Final = 10 * 10**9
_ROOTS: Final = 10


def check(trace: Trace, habits: Habits, _limits: Thresholds) -> Iterator[Sighting]:
    """For each statement of a trace that is asked again within 10 s; for roots, ten times within 10 s."""
    if len(trace.calls) > 1:
        yield from _in_one_trace(trace)
        return
    call = trace.calls[0]
    if call.span.parent_id or not _is_question(call):
        return
    known = habits.root_reads(call)
    if known is None:
        return
    before_s = known.span_s(_ROOTS - 1)
    if before_s is None or call.span.start_ns - known.times_ns[-(_ROOTS - 1)] > _WITHIN_NS:
        return
    seconds = (call.span.start_ns - known.times_ns[-(_ROOTS - 1)]) / 1e9
    yield trace.sighting(
        RULE,
        call,
        f"{call.summary} ran {_ROOTS} times with the same parameters within {seconds:.1f} s.",
        {"calls": _ROOTS, "within_s": round(seconds, 3)},
        time_lost_s=call.duration_ns / 1e9,
    )


def _in_one_trace(trace: Trace) -> Iterator[Sighting]:
    groups: dict[tuple[str, str], list[DatabaseCall]] = {}
    last: dict[tuple[str, str], DatabaseCall] = {}
    for call in trace.calls:
        if call.is_write or (call.statement is not None and not call.is_read and not call.is_end):
            _forget(last, call)
        elif _is_question(call):
            key = (call.fingerprint, call.params_hash or "")
            before = last.get(key)
            last[key] = call
            if before is not None and call.span.start_ns - before.span.start_ns <= _WITHIN_NS:
                groups.setdefault(key, [before]).append(call)
    for calls in groups.values():
        yield _sighting(trace, calls)


def _sighting(trace: Trace, calls: list[DatabaseCall]) -> Sighting:
    again = calls[1:]
    lost_s = sum(call.duration_ns for call in again) / 1e9
    worst = max(again, key=lambda call: call.duration_ns)
    return trace.sighting(
        RULE,
        worst,
        f"{worst.summary} ran {len(calls)} times with the same parameters in one trace"
        f" ({told(lost_s)} again).",
        {"calls": len(calls), "again_s": round(lost_s, 6)},
        time_lost_s=lost_s,
        scope=calls[0].params_hash or "",
    )


def _is_question(call: DatabaseCall) -> bool:
    """Whether equal answers may be expected: `SELECT 1` or `SELECT now()` asks no table."""
    return call.is_read and bool(call.tables) and call.params_hash is not None and not call.error_code


def _forget(last: dict[tuple[str, str], DatabaseCall], write: DatabaseCall) -> None:
    """What a write may have changed: reads of its tables; all, when its tables are not known."""
    changed = set(write.tables)
    for key in [key for key, call in last.items() if not changed or changed & set(call.tables)]:
        del last[key]
