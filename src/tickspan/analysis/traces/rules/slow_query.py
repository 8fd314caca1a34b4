"""A statement that takes long, or much longer than it mostly does."""

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
    "slow_query",
    Severity.WARNING,
    "A statement takes more than half a second, or three times as long as it mostly does.",
    "Look at its plan: tickspan queries explain FINGERPRINT --dsn-env VARIABLE.",
)
NEEDS: Final = CALL
_TIMES: Final = 3
_SAMPLES: Final = 100
_LEAST_S: Final = 0.005


def check(trace: Trace, habits: Habits, limits: Thresholds) -> Iterator[Sighting]:
    """For each statement of more than 0.5 s, or more than 5 ms and three times the p95 of a hundred."""
    for call in trace.calls:
        duration_s = call.duration_ns / 1e9
        if call.statement is None or call.is_end or duration_s <= _LEAST_S:
            continue
        usual = habits.latencies(call)
        p95_s = usual.quantile(0.95) if usual.count >= _SAMPLES else None
        evidence: dict[str, str | int | float | bool] = {"duration_s": round(duration_s, 6)}
        if p95_s is not None:
            evidence |= {"p95_s": round(p95_s, 6), "samples": usual.count}
        if duration_s > limits.slow_s:
            message = f"{call.summary} took {told(duration_s)}."
        elif p95_s is not None and duration_s > _TIMES * p95_s:
            message = (
                f"{call.summary} took {told(duration_s)}; 95 % of {usual.count} calls took less than"
                f" {told(p95_s)}."
            )
        else:
            continue
        usual_s = usual.quantile(0.5)
        yield trace.sighting(
            RULE,
            call,
            message,
            evidence,
            time_lost_s=max(0.0, duration_s - usual_s),
            scope=f"{call.span.span_id:x}",
        )
