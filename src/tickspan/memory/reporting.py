"""The report: what is known of the memory of this process, as a value and as a text."""

from __future__ import annotations

import gc
import math
import sys
from dataclasses import dataclass

from tickspan.memory.censor import Census
from tickspan.memory.governor import governor
from tickspan.memory.leak import LeakReport
from tickspan.memory.object_pool import ObjectPoolStatistics, object_pools
from tickspan.memory.watching import the_watch
from tickspan.recording.gc_pauses import PAUSES, PauseTotals
from tickspan.recording.loops import LOOPS
from tickspan.recording.sections import sections
from tickspan.recording.usage import Usage, UsageReader

__all__ = ["MemoryReport", "report"]

_MIB = 1 << 20
_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What is known now."""

    usage: Usage | None
    """None where the system does not tell."""
    blocks: int
    frozen: int
    thresholds: tuple[int, int, int]
    pauses: tuple[PauseTotals, ...]
    """Of each generation, since they have been noted."""
    plan: str | None
    """The plan that the governor holds to."""
    sections_closed: int
    sections_aborted: int
    loops: tuple[str, ...]
    """That are watched, by name."""
    leak: LeakReport | None
    """None where nobody looks: `memory.leaks` is off, or the distribution was not started."""
    census: Census | None
    """The last one that a suspicion led to."""
    object_pools: tuple[ObjectPoolStatistics, ...]

    def __str__(self) -> str:
        return "\n".join([*self._of_memory(), *self._of_collector(), *self._of_pools()])

    def _of_memory(self) -> list[str]:
        lines: list[str] = []
        if self.usage is not None:
            lines.append(
                f"memory: {self.usage.resident / _MIB:.1f} MiB resident, "
                f"{self.usage.anonymous / _MIB:.1f} MiB of it in no file; {self.blocks:,} blocks"
            )
        if self.leak is not None:
            told = f"growth: {self.leak.state.value}"
            if self.leak.layer is not None:
                told += f", {self.leak.layer.value}, {self.leak.bytes_per_hour / _MIB:.1f} MiB an hour"
            if math.isfinite(self.leak.hours_left):
                told += f", {self.leak.hours_left:.1f} hours to the limit"
            lines.append(told)
        return [*lines, *([] if self.census is None else str(self.census).splitlines())]

    def _of_collector(self) -> list[str]:
        pauses = "; ".join(
            f"generation {number}: {one.count} pauses, {one.total_ns / _NS_PER_MS:.1f} ms, "
            f"longest {one.longest_ns / _NS_PER_MS:.2f} ms"
            for number, one in enumerate(self.pauses)
        )
        return [
            f"collector: {self.plan or 'no plan'}, thresholds {self.thresholds}, {self.frozen:,} frozen",
            f"pauses: {pauses}",
            f"critical sections: {self.sections_closed} closed, {self.sections_aborted} aborted",
            f"event loops: {', '.join(self.loops) or 'none watched'}",
        ]

    def _of_pools(self) -> list[str]:
        verdicts = {True: "worth it", False: "making is faster", None: "not measured"}
        return [
            f"pool {one.name}: {one.idle} idle, {one.used} used, {one.made} made, {one.reused} reused, "
            f"{verdicts[one.worth_it]}"
            for one in self.object_pools
        ]


def report() -> MemoryReport:
    """What is known of the memory of this process."""
    watch, plan, known = the_watch(), governor().current, sections()
    return MemoryReport(
        usage=UsageReader().read(),
        blocks=sys.getallocatedblocks(),
        frozen=gc.get_freeze_count(),
        thresholds=gc.get_threshold(),
        pauses=PAUSES.totals(),
        plan=None if plan is None else plan.name,
        sections_closed=known.closed,
        sections_aborted=known.aborted,
        loops=tuple(watched.name for watched in LOOPS.watches()),
        leak=None if watch is None else watch.report(),
        census=None if watch is None else watch.census,
        object_pools=tuple(pool.statistics() for pool in object_pools()),
    )
