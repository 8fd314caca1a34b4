"""Processes, CPython and hosts."""

from typing import Final

from scripts.dashboards.board import Board, Limit, Panel, Section
from scripts.dashboards.boards.parts import BAD, WARN
from scripts.dashboards.queries import HOST, INSTANCE, JOB, level, quantile, rate

__all__ = ["BOARD"]

BOARD: Final = Board(
    "runtime",
    "runtime",
    "What the processes and their hosts do: CPU, memory, garbage collection, files, threads.",
    (
        Section(
            "Processes",
            (
                Panel(
                    "CPU",
                    (rate("process.cpu.time", JOB, INSTANCE),),
                    "Cores that each process uses. A Python thread uses one at most.",
                ),
                Panel(
                    "Memory", (level("process.memory.usage", JOB, INSTANCE, how="max"),), "Resident memory."
                ),
                Panel(
                    "Threads",
                    (level("process.thread.count", JOB, INSTANCE, how="max"),),
                    "Threads of each process.",
                ),
                Panel(
                    "Open files",
                    (level("process.unix.file_descriptor.count", JOB, INSTANCE, how="max"),),
                    "File descriptors. A line that only rises is a leak.",
                ),
                Panel(
                    "Context switches",
                    (rate("process.context_switches", JOB, "process.context_switch.type"),),
                    "Involuntary ones are time that others took.",
                ),
                Panel(
                    "Page faults",
                    (rate("process.paging.faults", JOB, "system.paging.fault.type"),),
                    "Major ones wait for the disk.",
                ),
            ),
        ),
        Section(
            "Python",
            (
                Panel(
                    "GC pauses",
                    tuple(
                        quantile("tickspan.cpython.gc.pause.duration", which, JOB) for which in (0.5, 0.99)
                    ),
                    "How long a collection stops every thread.",
                    limits=(Limit(0.01, WARN), Limit(0.1, BAD)),
                ),
                Panel(
                    "Collections",
                    (rate("cpython.gc.collections", JOB, "cpython.gc.generation"),),
                    "Those of generation 2 are the long ones.",
                ),
                Panel(
                    "Collected objects",
                    (rate("cpython.gc.collected_objects", JOB, "cpython.gc.generation"),),
                    "Objects in cycles. Many of them are work for nothing.",
                ),
            ),
        ),
        Section(
            "Hosts",
            (
                Panel(
                    "CPU",
                    (level("system.cpu.utilization", HOST, "cpu.mode", how="avg"),),
                    "Share of each mode.",
                    is_stacked=True,
                ),
                Panel(
                    "Memory",
                    (level("system.memory.utilization", HOST, how="max"),),
                    "Share in use.",
                    limits=(Limit(0.85, WARN),),
                ),
                Panel(
                    "Load", (level("system.cpu.load_average.1m", HOST, how="max"),), "Average of one minute."
                ),
                Panel(
                    "Disk", (rate("system.disk.io", HOST, "disk.io.direction"),), "Bytes read and written."
                ),
                Panel(
                    "Network", (rate("system.network.io", HOST, "network.io.direction"),), "Bytes in and out."
                ),
                Panel(
                    "CPU throttling",
                    (rate("container.cpu.throttling_data.throttled_time", JOB),),
                    "Time in which the container's limit let nobody run.",
                ),
            ),
        ),
    ),
)
