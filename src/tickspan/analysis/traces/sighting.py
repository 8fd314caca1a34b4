"""A sighting: a finding, with where it was seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from tickspan.analysis.findings import Finding
from tickspan.analysis.traces.call import CodeLocation

__all__ = ["Sighting"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One finding in one trace.

    Attributes:
        finding: what was found.
        trace_id: of the worst example.
        span_id: of the worst example.
        at_ns: when that ended.
        time_lost_s: by it, estimated.
        system: a `db.system.name`.
        namespace: of the database.
        location: where the application made the call, if that is told.
        is_on_order_path: whether an order was placed in the same trace.
        scope: what tells it from others of its rule and statement in the same trace.
    """

    finding: Finding
    trace_id: int
    span_id: int
    at_ns: int
    time_lost_s: float = 0.0
    system: str = ""
    namespace: str = ""
    location: CodeLocation = field(default_factory=CodeLocation)
    is_on_order_path: bool = False
    scope: str = ""
