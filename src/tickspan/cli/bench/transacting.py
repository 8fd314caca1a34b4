"""A process that runs transactions of three spans, one after another, and waits until they are delivered.

    python -m tickspan.cli.bench.transacting SECONDS

Where they go says the environment; what was measured goes out as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from itertools import count
from typing import Any, Final

from tickspan.cli.bench.timing import timed
from tickspan.cli.bench.transactions import NAMES, NUMBER, SERVICE

__all__ = ["main"]

_WARM_UP: Final = 200
_DELIVERY_MS: Final = 30_000


def main(seconds: str) -> int:
    """Print `{"timing", "transactions", "took_s", "is_delivered"}`; exit status 0."""
    import tickspan

    tickspan.init(service_name=SERVICE)
    from opentelemetry import trace

    provider: Any = trace.get_tracer_provider()
    tracer = provider.get_tracer(SERVICE)
    whole, first, second = NAMES
    numbers = count()

    def transact(_: object) -> None:
        with tickspan.transaction(whole, **{NUMBER: next(numbers)}):
            with tracer.start_as_current_span(first):
                pass
            with tracer.start_as_current_span(second):
                pass

    began_s = time.perf_counter()
    for number in range(_WARM_UP):
        transact(number)
    timing = timed(transact, range(100), float(seconds))
    is_delivered = provider.force_flush(_DELIVERY_MS)
    took_s = time.perf_counter() - began_s
    told = {
        "timing": asdict(timing),
        "transactions": next(numbers),
        "took_s": took_s,
        "is_delivered": is_delivered,
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
