"""A contender's process: one workload on one telemetry, run and timed whenever it is asked to."""

from __future__ import annotations

import faulthandler
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sidebyside import ccxt_orders, library_calls, plain_spans
from sidebyside.costs import Cost
from sidebyside.lines import answer, questions
from sidebyside.stories import Expected
from sidebyside.telemetry import Kind, Telemetry
from sidebyside.workload import Prepare, UnavailableError, Workload

_WORKLOADS: Mapping[str, Prepare] = {
    "nothing": plain_spans.nothing,
    "span": plain_spans.five_attributes,
    "redis": library_calls.redis_get,
    "sqlalchemy": library_calls.sqlalchemy_select,
    "tick": ccxt_orders.tick,
    "order": ccxt_orders.tick_and_order,
}
_TURN_TIMEOUT_S = 30.0


def main(service: str, name: str, kind: str, endpoint: str, server: str) -> None:
    """Say what was prepared, or why it cannot be; then answer each number of operations with their cost."""
    telemetry = Telemetry(Kind(kind), service, endpoint)
    try:
        workload = _WORKLOADS[name](telemetry, server)
    except UnavailableError as reason:
        answer({"unavailable": str(reason)})
        return
    except ImportError as error:
        answer({"unavailable": f"{error.name} is not installed"})
        return
    telemetry.flush()
    telemetry.taken()  # what preparing it has told is no part of any turn
    answer({"library": workload.library, "expected": [asdict(each) for each in workload.expected]})
    for operations in questions():
        faulthandler.dump_traceback_later(_TURN_TIMEOUT_S, exit=True)
        cost = _timed(workload, telemetry, operations)
        answer({"cost": asdict(cost), "spans": telemetry.taken()})
        faulthandler.cancel_dump_traceback_later()
    workload.close()
    telemetry.shutdown()


def _timed(workload: Workload, telemetry: Telemetry, operations: int) -> Cost:
    """The caller's clocks stop with the last call; the process's, when everything has been sent."""
    total_ns, caller_ns, wall_ns = time.process_time_ns(), time.thread_time_ns(), time.perf_counter_ns()
    workload.run(operations)
    wall_ns, caller_ns = time.perf_counter_ns() - wall_ns, time.thread_time_ns() - caller_ns
    workload.finish()
    telemetry.flush()
    total_ns = time.process_time_ns() - total_ns
    return Cost(caller_ns / operations, total_ns / operations, wall_ns / operations)


def expected_of(said: Mapping[str, Any]) -> tuple[Expected, ...]:
    """In the parent: what the contender has announced."""
    return tuple(Expected(**each) for each in said["expected"])


if __name__ == "__main__":
    main(*sys.argv[1:])
