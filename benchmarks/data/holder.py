"""A process that takes connections from a pool of SQLAlchemy: bare, measured, governed, or fair."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any, Final

import sqlalchemy
from opentelemetry import metrics
from sqlalchemy import pool

from benchmarks.sidebyside.lines import answer, questions
from tickspan.instrumentation.pooling.on_sqlalchemy import SQLALCHEMY_POOL_ROWS, sqlalchemy_counts
from tickspan.pools import govern, measuring
from tickspan.providers import MeterProvider
from tickspan.testing.sink import MemorySink

BARE, MEASURED, GOVERNED, FAIR = "bare", "measured", "governed", "fair"
_BATCH: Final = 500
THREADS, CONNECTIONS = 8, 2
USE_S: Final = 0.001
_numbers: Final = count()


def main(kind: str) -> None:
    """Answer each question, `{"batches"}` with nanoseconds of a checkout and `{"seconds"}` with waits."""
    metrics.set_meter_provider(MeterProvider(sink=MemorySink(), shutdown_on_exit=False))
    engine = _engine(kind, pool_size=5)
    engine.raw_connection().close()
    answer({"library": f"SQLAlchemy {sqlalchemy.__version__}"})
    for question in questions():
        if "batches" in question:
            answer([_cost_ns(engine.raw_connection) for _ in range(question["batches"])])
        else:
            crowded = _engine(kind, pool_size=CONNECTIONS)
            answer(_waits(crowded, question["seconds"]))
            crowded.dispose()


def _engine(kind: str, pool_size: int) -> Any:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(":memory:", check_same_thread=False)

    engine = sqlalchemy.create_engine(
        "sqlite://", creator=connect, poolclass=pool.QueuePool, pool_size=pool_size, max_overflow=0
    )
    if kind == MEASURED:
        measuring.apply(SQLALCHEMY_POOL_ROWS)
        measuring.book().watch(engine.pool, f"{kind}-{next(_numbers)}", sqlalchemy_counts)
    elif kind in {GOVERNED, FAIR}:
        govern(engine, name=f"{kind}-{next(_numbers)}", is_fair=kind == FAIR)
    return engine


def _cost_ns(take: Callable[[], Any]) -> float:
    """Of CPU time, of taking a connection and giving it back."""
    began_ns = time.thread_time_ns()
    for _ in range(_BATCH):
        take().close()
    return (time.thread_time_ns() - began_ns) / _BATCH


def _waits(engine: Any, seconds: float) -> dict[str, float]:
    """Threads that use connections for a millisecond each: the longest wait, and an average round."""
    until_s = time.perf_counter() + seconds
    waits: list[float] = []

    def use() -> None:
        while time.perf_counter() < until_s:
            began_s = time.perf_counter()
            connection = engine.raw_connection()
            waits.append(time.perf_counter() - began_s)
            time.sleep(USE_S)
            connection.close()

    began_s = time.perf_counter()
    threads = [threading.Thread(target=use) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - began_s
    return {"longest_s": max(waits), "round_s": elapsed_s * THREADS / len(waits), "lent": len(waits)}


if __name__ == "__main__":
    main(sys.argv[1])
