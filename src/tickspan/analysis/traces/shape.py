"""What a trace has at all, as bits: a rule is asked only where it has something to look at."""

from __future__ import annotations

from typing import Final

from tickspan.analysis.traces.trace import Trace

__all__ = ["CALL", "END", "ERROR", "READ", "READS", "WRITES", "shape_of"]

CALL: Final = 1
"""A database call."""
READ: Final = 2
READS: Final = 4
"""More than one."""
WRITES: Final = 8
"""More than one."""
END: Final = 16
"""A transaction's end, or an id of one."""
ERROR: Final = 32


def shape_of(trace: Trace) -> int:
    """All that holds, added up."""
    calls = trace.calls
    if not calls:
        return 0
    reads = sum(call.is_read for call in calls)
    shape = CALL | (READ if reads else 0) | (READS if reads > 1 else 0)
    if len(calls) > 1 and sum(call.is_write for call in calls) > 1:
        shape |= WRITES
    if trace.transactions:
        shape |= END
    if any(call.error_code for call in calls):
        shape |= ERROR
    return shape
