"""An asyncio program with many series: how late its 1 ms timer is, and what a collection costs."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any, Final

from benchmarks.pipeline.meters import METERS, Meters
from benchmarks.sidebyside.lines import answer, questions

_TICK_S: Final = 0.001


def main(contender: str, series: str) -> None:
    """Answer each question, a number of collections, with delays and CPU time in nanoseconds."""
    made = METERS[contender]()
    made.open_many(int(series))
    made.collect()
    answer({"library": made.library})
    for question in questions():
        answer(asyncio.run(_ticked(made, question["collections"])))


async def _ticked(made: Meters, collections: int) -> dict[str, Any]:
    done = threading.Event()
    cpu_ns: list[int] = []

    def collect() -> None:
        for _ in range(collections):
            began_ns = time.thread_time_ns()
            made.collect()
            cpu_ns.append(time.thread_time_ns() - began_ns)
        done.set()

    worker = threading.Thread(target=collect, name="bench-collect")
    worker.start()
    delays: list[int] = []
    while not done.is_set():
        due_ns = time.perf_counter_ns() + 1_000_000
        await asyncio.sleep(_TICK_S)
        delays.append(time.perf_counter_ns() - due_ns)
    worker.join()
    return {"delays": delays, "cpu_ns": cpu_ns}


if __name__ == "__main__":
    main(*sys.argv[1:])
