"""A finding about a statement, seen in one of its calls."""

from __future__ import annotations

from dataclasses import replace

from tickspan.analysis.findings import Finding
from tickspan.analysis.traces import DatabaseCall, Sighting

__all__ = ["sighting_in"]


def sighting_in(
    call: DatabaseCall, finding: Finding, *, time_lost_s: float = 0.0, is_on_order_path: bool = False
) -> Sighting:
    """The finding under the call's statement, a step worse on the path of an order."""
    named = replace(finding, fingerprint=call.fingerprint, summary=call.summary)
    return Sighting(
        replace(named, severity=named.severity.raised()) if is_on_order_path else named,
        call.span.trace_id,
        call.span.span_id,
        call.span.end_ns,
        time_lost_s,
        call.system,
        call.namespace,
        call.location,
        is_on_order_path,
    )
