"""Questions: how long a store of a million spans takes to answer what pages ask."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tickspan_desk.store import LogFilter, Store, TraceFilter, Window
from tickspan_spool.receiver import Batch

from benchmarks.desk.scale import Place
from benchmarks.desk.traffic import IN_TRACE, SPANS, Traffic
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from tickspan.semconv import trading

_HOUR_NS: Final = 3_600_000_000_000
_LOGS: Final = 50
"""In a request of log records, one for each request of spans."""
_WANTED_MS: Final = 100.0
_SEED: Final = 7


def asked(place: Place, progress: Progress) -> Section:
    """Fill a store with one hour's spans, then ask."""
    count = place.scale.kept_spans // SPANS
    start_ns = time.time_ns() - _HOUR_NS
    path = place.folder / "questions.sqlite"
    with Store(path, max_bytes=4 << 30) as store:
        progress(f"filling it with {count * SPANS:,} spans")
        _fill(store, count, start_ns)
        told = store.statistics()
        progress("asking")
        timings = {
            what: _timed(ask, place.scale.asked)
            for what, ask in _questions(
                store, Window(start_ns - _HOUR_NS, start_ns + 2 * _HOUR_NS), count
            ).items()
        }
    rows = tuple((what, f"{median(found):.1f}", f"{max(found):.1f}") for what, found in timings.items())
    size = path.stat().st_size
    path.unlink()
    note = (
        f"{told.spans:,} spans in {told.traces:,} traces with as many orders, {told.logs:,} log records, "
        f"{size / 1e6:,.0f} MB; each question {place.scale.asked} times, each time about something else."
    )
    return Section(
        "questions",
        (Table("Answers, milliseconds", ("question", "p50", "worst"), rows, note),),
        tuple(
            Target(
                f"{what}, worst",
                "desk",
                f"≤ {_WANTED_MS:.0f} ms",
                f"{max(found):.1f} ms",
                max(found) <= _WANTED_MS,
            )
            for what, found in timings.items()
        ),
        () if told.spans == count * SPANS else (f"{count * SPANS} spans were taken, {told.spans} are kept",),
        {"timings_ms": timings},
    )


def _fill(store: Store, count: int, start_ns: int) -> None:
    traffic, empty = Traffic(_SEED), ExportTraceServiceRequest()
    for number in range(count):
        at_ns = start_ns + number * _HOUR_NS // count
        store.take(Batch("traces", empty, traffic.traces(at_ns), {}, SPANS))
        store.take(Batch("logs", ExportLogsServiceRequest(), traffic.logs(at_ns, _LOGS), {}, _LOGS))
    store.settle()


def _questions(store: Store, window: Window, count: int) -> dict[str, Callable[[], Sequence[object]]]:
    seeded = random.Random(_SEED)  # noqa: S311 - not a secret
    newest = store.traces(TraceFilter(), window, limit=500)
    first = _SEED * 10_000_000

    def an_order() -> str:
        return f"x-{first + seeded.randrange(1, count * SPANS // IN_TRACE):012d}"

    return {
        "newest 100 traces": lambda: store.traces(TraceFilter(), window),
        "100 traces before a moment": lambda: store.traces(
            TraceFilter(), window, before_ns=window.since_ns + _HOUR_NS + seeded.randrange(_HOUR_NS)
        ),
        "newest 100 with an error": lambda: store.traces(TraceFilter(has_error=True), window),
        "100 traces longer than 20 ms": lambda: store.traces(TraceFilter(min_duration_ns=20_000_000), window),
        "100 traces with a span of a name": lambda: store.traces(TraceFilter(name="SELECT quotes"), window),
        "traces by key=value, one of a million": lambda: store.traces(
            TraceFilter(text=f"{trading.ORDER_CLIENT_ID}={an_order()}"), window
        ),
        "100 traces by a frequent key=value": lambda: store.traces(
            TraceFilter(text=f"{trading.VENUE_NAME}=binance"), window
        ),
        "one trace": lambda: store.spans(seeded.choice(newest).trace_id),
        "operations of an hour": lambda: store.operations(
            Window(window.since_ns + _HOUR_NS, window.since_ns + 2 * _HOUR_NS)
        ),
        "newest 100 orders": lambda: store.orders(window),
        "an order by its id": lambda: [store.order(an_order())],
        "search for an order's id": lambda: store.search(an_order(), window),
        "newest 200 log records": lambda: store.logs(LogFilter(), window),
        "newest 200 warnings": lambda: store.logs(LogFilter(min_severity=13), window),
        "200 log records by a word": lambda: store.logs(LogFilter(text="eth/usdt"), window),
        "statistics": lambda: [store.statistics()],
    }


def _timed(ask: Callable[[], Sequence[object]], times: int) -> list[float]:
    found: list[float] = []
    for _ in range(times):
        begun = time.perf_counter()
        answer = ask()
        found.append((time.perf_counter() - begun) * 1e3)
        if not answer:
            raise AssertionError("a question about what is kept was not answered")
    return found
