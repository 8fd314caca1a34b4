"""A contender's process: it sets one recorder up, then does what it is asked, one task after the other."""

from __future__ import annotations

import faulthandler
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.sidebyside.lines import answer, questions

from . import logs, meters, pacing, spans
from .feed import listen
from .stalls import stalls_ns

_TASK_TIMEOUT_S = 180.0
_PATIENCE = 1.2
Task = Callable[..., Any]


def main(signal: str, recorder: str) -> None:
    """Say what records, or why nothing can; then carry out each task and say what came of it."""
    logging.basicConfig(handlers=[logging.NullHandler()])  # an exporter's complaint is no part of any cost
    try:
        library, tasks = _prepared(signal, recorder)
    except ImportError as error:
        answer({"unavailable": f"{error.name or error} is not installed"})
        return
    except AttributeError as error:
        answer({"unavailable": str(error)})
        return
    answer({"library": library})
    for question in questions():
        faulthandler.dump_traceback_later(_TASK_TIMEOUT_S, exit=True)
        task = tasks[question.pop("task")]
        answer(task(**question))
        faulthandler.cancel_dump_traceback_later()


def _prepared(signal: str, recorder: str) -> tuple[str, Mapping[str, Task]]:
    if signal == "metrics":
        made = meters.METERS[recorder]()
        return made.library, _meter_tasks(made)
    table = {"spans": spans.RECORDERS, "logs": logs.RECORDERS}[signal]
    recording = table[recorder]()
    return recording.library, _record_tasks(recording)


def _record_tasks(recorder: spans.Recorder) -> dict[str, Task]:
    record = recorder.record

    def fast(first: int, bursts: int, batches: int, size: int) -> dict[str, Any]:
        """Bursts that stay below an exporter's batch; between them, all is sent."""
        cpu: list[float] = []
        wall: list[float] = []
        for number in range(first, first + bursts * batches * size, batches * size):
            timed = pacing.fast(record, number, batches, size)
            recorder.flush()
            cpu += timed.cpu
            wall += timed.wall
        return {"cpu": cpu, "wall": wall}

    def paced(first: int, count: int, per_second: int, size: int) -> dict[str, Any]:
        """Who cannot keep up goes on at their own pace for a fifth of the time more."""
        limit_s = _PATIENCE * count / per_second
        return asdict(pacing.paced(record, first, count, per_second, size, limit_s))

    def burst(first: int, count: int) -> None:
        record(first, count)

    def feed(port: int, messages: int) -> list[int]:
        return listen(port, messages, record)

    def flush() -> bool:
        recorder.flush()
        return True

    return {"fast": fast, "paced": paced, "burst": burst, "feed": feed, "flush": flush}


def _meter_tasks(made: meters.Meters) -> dict[str, Task]:
    def loop(operation: str, batches: int, size: int) -> dict[str, Any] | None:
        if operation not in made.loops:
            return None
        return asdict(pacing.fast(made.loops[operation], 0, batches, size))

    def stall(series: int, times: int) -> dict[str, Any]:
        made.open_many(series)
        each_ns, took_s = stalls_ns(made.collect, times)
        return {"each_ns": each_ns, "took_s": took_s}

    def exposed() -> dict[str, int] | None:
        return made.exposed() if made.exposed else None

    return {"loop": loop, "stall": stall, "exposed": exposed, "flush": lambda: bool(made.collect())}


if __name__ == "__main__":
    main(*sys.argv[1:])
