"""A process with a large heap, with us or without: how long a thread of it has to wait for the interpreter.

The thread reads a clock all the time. What passes between two readings is a gap: another thread held the
interpreter, or the machine ran something else. The kernel counts for how long each thread waited for a CPU,
and that is taken off, also what others waited: one of them may have held the interpreter meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import Final

from benchmarks.sidebyside.lines import answer, questions

WITHOUT, WITH = "without", "with"
_GAP_NS: Final = 300_000
_READ_EVERY: Final = 5_000
_WARM_UP_S: Final = 2.0


def main(way: str, objects: int) -> None:
    """Answer each question, `{"seconds"}`, with milliseconds of the gaps."""
    heap = [[number] for number in range(objects)]
    gc.collect()
    gc.freeze()
    gc.disable()  # what is looked for are our holds, not the collector's
    if way == WITH:
        import tickspan

        tickspan.init()
    answer({"objects": len(heap)})
    for question in questions():
        answer({"gaps_ms": asyncio.run(_gaps(question["seconds"]))})


async def _gaps(seconds: float) -> list[float]:
    """While spans start in a loop that is watched."""
    from opentelemetry import trace

    tracer = trace.get_tracer("bench")
    with tracer.start_as_current_span("warm up"):
        await asyncio.sleep(_WARM_UP_S)
    gaps: list[float] = []
    is_over = threading.Event()
    thread = threading.Thread(target=_spin, args=(gaps, is_over))
    thread.start()
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        with tracer.start_as_current_span("tick"):
            await asyncio.sleep(0.2)
    is_over.set()
    thread.join()
    return gaps


def _spin(gaps: list[float], is_over: threading.Event) -> None:
    clock, passes = time.perf_counter_ns, 0
    files = [os.open(task / "schedstat", os.O_RDONLY) for task in Path("/proc/self/task").iterdir()]
    waited_ns, last_ns = _waited_ns(files), clock()
    while not is_over.is_set():
        now_ns = clock()
        if now_ns - last_ns > _GAP_NS:
            before_ns, waited_ns = waited_ns, _waited_ns(files)
            gaps.append(max(0, now_ns - last_ns - (waited_ns - before_ns)) / 1e6)
            now_ns = clock()
        passes += 1
        if passes % _READ_EVERY == 0:
            waited_ns, now_ns = _waited_ns(files), clock()
        last_ns = now_ns
    for file in files:
        os.close(file)


def _waited_ns(files: list[int]) -> int:
    """For a CPU, by all threads, so far."""
    return sum(int(os.pread(file, 100, 0).split()[1]) for file in files)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
