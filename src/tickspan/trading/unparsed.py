"""Values of venues and programs that could not be read: left out, and counted.

The counter belongs to the global meter provider: readers are pure functions, which have none of their own.
"""

from __future__ import annotations

import functools

from opentelemetry import metrics
from opentelemetry.metrics import Counter

from tickspan.semconv import trading as names

SCOPE = "tickspan.trading"


def note(kind: str) -> None:
    """One more value that could not be read."""
    counter().add(1, {names.UNPARSED_KIND: kind})


@functools.cache
def counter() -> Counter:
    """The counter; made when the first value is counted."""
    return metrics.get_meter(SCOPE).create_counter(
        names.METRIC_UNPARSED,
        unit="{value}",
        description="Values of reports that could not be read and were left out",
    )
