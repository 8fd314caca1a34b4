"""The same error many times in a minute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.shape import ERROR
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "error_burst",
    Severity.ERROR,
    "The database answers with the same error again and again.",
    "Look the code up in the database's manual; back off before trying again.",
)
NEEDS: Final = ERROR
_ERRORS: Final = 10
_WITHIN_NS: Final = 60 * 10**9


def check(trace: Trace, habits: Habits, _limits: Thresholds) -> Iterator[Sighting]:
    """For the tenth error of one code within 60 s, and each one after it."""
    fresh: dict[tuple[str, str], list[int]] = {}
    for call in trace.calls:
        if not call.error_code:
            continue
        known = habits.errors(call)
        times = fresh.setdefault((call.system, call.error_code), list(known.times_ns) if known else [])
        times.append(call.span.start_ns)
        if len(times) < _ERRORS or times[-1] - times[-_ERRORS] > _WITHIN_NS:
            continue
        seconds = (times[-1] - times[-_ERRORS]) / 1e9
        yield trace.sighting(
            RULE,
            call,
            f"{call.system} answered {_ERRORS} times with {call.error_code} within {seconds:.1f} s.",
            {"code": call.error_code, "errors": _ERRORS, "within_s": round(seconds, 3)},
            time_lost_s=call.duration_ns / 1e9,
            scope=f"{call.span.span_id:x}",
        )
