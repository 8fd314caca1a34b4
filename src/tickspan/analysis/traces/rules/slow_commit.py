"""A COMMIT that takes much longer than others on its database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.seconds import told
from tickspan.analysis.traces.shape import CALL
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace

__all__ = ["NEEDS", "RULE", "check"]

RULE: Final = Rule(
    "slow_commit",
    Severity.WARNING,
    "A COMMIT took much longer than usual: the disk, a synchronous replica or a deferred constraint is slow.",
    "Look at the log's disk and at synchronous replicas; commit less often.",
)
NEEDS: Final = CALL
_TIMES: Final = 5
_LEAST_S: Final = 0.02
_SAMPLES: Final = 20


def check(trace: Trace, habits: Habits, _limits: Thresholds) -> Iterator[Sighting]:
    """For each COMMIT of more than 20 ms and more than five times the median of at least twenty."""
    for call in trace.calls:
        duration_s = call.duration_ns / 1e9
        if not call.is_end or call.verb == "ROLLBACK" or duration_s <= _LEAST_S:
            continue
        usual = habits.latencies(call)
        median_s = usual.quantile(0.5)
        if usual.count >= _SAMPLES and duration_s > _TIMES * median_s:
            yield trace.sighting(
                RULE,
                call,
                f"A COMMIT took {told(duration_s)}; half of them take less than {told(median_s)}.",
                {"duration_s": round(duration_s, 6), "p50_s": round(median_s, 6), "samples": usual.count},
                time_lost_s=duration_s - median_s,
                scope=f"{call.span.span_id:x}",
            )
