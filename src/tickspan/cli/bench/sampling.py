"""A full sample of the host and of this process: what the agent and a program read every few seconds."""

from __future__ import annotations

from typing import Final

from tickspan.cli.bench.report import Figure
from tickspan.cli.bench.timing import Timing, timed
from tickspan.cli.errors import CommandError

__all__ = ["TARGET", "WHAT", "figure", "measured"]

WHAT: Final = "a sample of host and process"
_TARGET_PER_S: Final = 100
_TARGET_S: Final = 0.01
TARGET: Final = f"below {_TARGET_S * 1e3:g} ms, {_TARGET_PER_S} a second"


def measured(seconds: float) -> tuple[Timing, int]:
    """Samples one after another for so many seconds, and how many values one of them has.

    Raises:
        CommandError: nobody reads hosts on this system.
    """
    from tickspan.providers.host import Host, host_reader
    from tickspan.providers.process import Process, process_reader
    from tickspan.recording.cgroups import Cgroup

    reader = host_reader()
    if reader is None:
        raise CommandError("the host cannot be read here without psutil: pip install psutil")
    memory = reader.memory()
    host, process = (
        Host(reader),
        Process(process_reader(), Cgroup(), None if memory is None else memory.total),
    )
    values = sum(len(series) for sample in (host.sample(), process.sample()) for series in sample.values())

    def sample(_: None) -> None:
        host.sample()
        process.sample()

    return timed(sample, (None,), seconds), values


def figure(timing: Timing, values: int) -> Figure:
    """What is asked of a sample, and what `measured` found."""
    return Figure(
        WHAT,
        TARGET,
        f"p99 {timing.p99_s * 1e3:.2f} ms, {timing.per_second:,.0f} a second",
        f"{values} values each time: CPUs, memory, disks, network and connections of the host; CPU, memory,"
        " files, threads and garbage collection of this process",
        "the kernel writes what is read anew each time: files of /proc, one for each value or group of them",
        timing.p99_s < _TARGET_S and timing.per_second >= _TARGET_PER_S,
    )
