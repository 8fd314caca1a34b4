"""An application whose thread sleeps a millisecond at a time: how much longer it slept each time."""

from __future__ import annotations

import sys
import threading
import time
from typing import Final

from benchmarks.queries.analyst import analyse, new_statements
from benchmarks.sidebyside.lines import answer, questions
from tickspan.analysis.sql import Statement

_TICK_S: Final = 0.001
_SYSTEM: Final = "postgresql"


def main(count: str) -> None:
    """Answer each question `{"seconds", "beside"}` with delays in nanoseconds and what was done beside.

    `beside` is "nothing", "thread" (one of this process analyses) or "recorded" (statements were recorded
    before, so that the agent has them to analyse).
    """
    known = new_statements(int(count))
    answer({"statements": len(known)})
    for question in questions():
        done: list[int] = []
        until_s = time.perf_counter() + question["seconds"]
        worker = threading.Thread(target=_analyse, args=(known, until_s, done))
        if question["beside"] == "recorded":
            done.append(_record(known))
            until_s = time.perf_counter() + question["seconds"]
        if question["beside"] == "thread":
            worker.start()
        delays = _ticks(until_s)
        if worker.ident is not None:
            worker.join()
        answer({"delays": delays, "done": sum(done)})


def _analyse(known: list[Statement], until_s: float, done: list[int]) -> None:
    done.append(analyse(known, until_s))


def _ticks(until_s: float) -> list[int]:
    delays: list[int] = []
    while time.perf_counter() < until_s:
        due_ns = time.perf_counter_ns() + 1_000_000
        time.sleep(_TICK_S)
        delays.append(time.perf_counter_ns() - due_ns)
    return delays


def _record(known: list[Statement]) -> int:
    """One span for each statement, as our instrumentors write them."""
    from opentelemetry import trace

    import tickspan
    from tickspan.semconv import db

    tickspan.init(service_name="ticker")
    tracer = trace.get_tracer("tickspan_bench")
    for statement in known:
        attributes = {
            db.DB_SYSTEM_NAME: _SYSTEM,
            db.DB_QUERY_TEXT: statement.text,
            db.DB_QUERY_SUMMARY: statement.summary,
            db.TICKSPAN_DB_QUERY_FINGERPRINT: statement.fingerprint,
        }
        tracer.start_span(statement.summary, kind=trace.SpanKind.CLIENT, attributes=attributes).end()
    return len(known)


if __name__ == "__main__":
    main(*sys.argv[1:])
