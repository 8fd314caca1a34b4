"""How long a thread could not run: one that looks at the clock at 1 kHz while another works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_TICK_S = 0.001


def stalls_ns(work: Callable[[], object], times: int) -> tuple[list[int], float]:
    """The longest delay of the calling thread beyond its 1 ms in each run, and how long the shortest took."""
    runs = [_stall_ns(work) for _ in range(times)]
    return [stall for stall, _ in runs], min(took for _, took in runs)


def _stall_ns(work: Callable[[], object]) -> tuple[int, float]:
    done = threading.Event()
    took: list[float] = []

    def run() -> None:
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
        done.set()

    worker = threading.Thread(target=run, name="bench-collect")
    worker.start()
    longest = 0
    while not done.is_set():
        due = time.perf_counter_ns() + 1_000_000
        time.sleep(_TICK_S)
        longest = max(longest, time.perf_counter_ns() - due)
    worker.join()
    return longest, took[0]
