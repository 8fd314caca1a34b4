"""Connections are made again and again, instead of being used again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Confidence, Rule, Severity
from tickspan.analysis.traces.connections import Connections
from tickspan.analysis.traces.sighting import Sighting

__all__ = ["RULE", "check_pool"]

RULE: Final = Rule(
    "connect_storm",
    Severity.WARNING,
    "A pool makes a new connection for more than a fifth of its checkouts.",
    "Keep connections: a QueuePool, not a NullPool; a pool_size that is enough; no short recycle.",
)
_SHARE: Final = 0.2
_FEWEST: Final = 20


def check_pool(pool: Connections) -> Iterator[Sighting]:
    """When at least 20 were made lately, and they are more than a fifth of the checkouts."""
    if pool.creates < _FEWEST or pool.creates <= _SHARE * pool.checkouts:
        return
    yield Sighting(
        RULE.found(
            f"The pool {pool.name} made {pool.creates} connections for {pool.checkouts} checkouts.",
            {
                "pool": pool.name,
                "creates": pool.creates,
                "checkouts": pool.checkouts,
                "create_s": round(pool.create_s, 6),
            },
            confidence=Confidence.MEASURED,
        ),
        trace_id=0,
        span_id=0,
        at_ns=pool.at_ns,
        time_lost_s=pool.create_s,
        namespace=pool.name,
    )
