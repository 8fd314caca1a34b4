"""A process that reads itself and its host: what one sample costs, by the readers of each contender."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.sidebyside.lines import answer, questions

Reading = Callable[[], object]


def main(contender: str) -> None:
    """Answer each question `{"of", "samples"}` with nanoseconds of CPU time, one for each sample."""
    library, readings = _CONTENDERS[contender]()
    answer(
        {
            "library": library,
            "of": list(readings),
            "values": {name: len(_told(read())) for name, read in readings.items()},
        }
    )
    for question in questions():
        read = readings[question["of"]]
        answer([_timed(read) for _ in range(question["samples"])])


def _timed(read: Reading) -> int:
    began_ns = time.thread_time_ns()
    read()
    return time.thread_time_ns() - began_ns


def _told(sample: Any) -> Any:
    return sample if isinstance(sample, dict) else ()


def _nothing() -> tuple[str, Mapping[str, Reading]]:
    return "no telemetry", {"process": dict, "host": dict}


def _tickspan() -> tuple[str, Mapping[str, Reading]]:
    from benchmarks.pipeline.spans import our_library
    from tickspan.providers.host import Host, host_reader
    from tickspan.providers.process import Process, process_reader
    from tickspan.recording.cgroups import Cgroup

    reader = host_reader()
    assert reader is not None
    memory = reader.memory()
    process = Process(process_reader(), Cgroup(), None if memory is None else memory.total)
    return our_library(), {"process": process.sample, "host": Host(reader).sample}


def _psutil() -> tuple[str, Mapping[str, Reading]]:
    """The same figures, asked one by one as an instrumentor over psutil does."""
    import psutil

    myself = psutil.Process()

    def process() -> dict[str, object]:
        return {
            "cpu": myself.cpu_times(),
            "memory": myself.memory_info(),
            "threads": myself.num_threads(),
            "descriptors": myself.num_fds(),
            "switches": myself.num_ctx_switches(),
            "io": myself.io_counters(),
            "started": myself.create_time(),
        }

    def host() -> dict[str, object]:
        return {
            "cpu": psutil.cpu_times(),
            "cpus": psutil.cpu_count(),
            "memory": psutil.virtual_memory(),
            "swap": psutil.swap_memory(),
            "load": psutil.getloadavg(),
            "disks": psutil.disk_io_counters(perdisk=True),
            "networks": psutil.net_io_counters(pernic=True),
            "processes": len(psutil.pids()),
            "booted": psutil.boot_time(),
        }

    return f"psutil {psutil.__version__}", {"process": process, "host": host}


_CONTENDERS: Mapping[str, Callable[[], tuple[str, Mapping[str, Reading]]]] = {
    "nothing": _nothing,
    "tickspan": _tickspan,
    "psutil": _psutil,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
