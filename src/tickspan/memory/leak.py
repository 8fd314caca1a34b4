"""Whether the process leaks: a look each second, a verdict at each full window, and who has what grows.

Where an agent watches, it judges and tells, over the metrics of the looks; the report is the process's own.
A change of the collector's plan means something else for all series, so they begin anew.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from tickspan.analysis.growth import GrowthState
from tickspan.analysis.leaks import (
    ANONYMOUS,
    BLOCKS,
    BUCKET_S,
    LIVE_BLOCKS,
    MAPPED,
    LeakReport,
    MemoryGrowth,
    Suspicion,
)
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.memory import libc
from tickspan.memory.censor import Censor, Census
from tickspan.memory.governor import Governor, governor
from tickspan.memory.inquest import Inquest
from tickspan.memory.inquiry import Inquiry
from tickspan.memory.pressure import SoftLimit
from tickspan.memory.telling import event, leak_told
from tickspan.recording.gc_pauses import PAUSES, GcPauses
from tickspan.recording.usage import LOOKS, Looks, Usage, UsageReader
from tickspan.semconv import memory as names
from tickspan.semconv.catalogue import METRICS

__all__ = ["LeakReport", "LeakWatch", "observe_leaks"]

INTERVAL_S: Final = 1.0
_FULL: Final = 2
"""The generation of a full collection."""
_BLOCKS_SHARE: Final = 0.001
"""Of a CPU, that counting blocks may take."""


class LeakWatch:
    """See the module. `look` is the ticker's; the report is for any thread.

    Args:
        limit_bytes: that the process must not reach, or None.
        soft_limit: told and acted on at each crossing, or None.
        bucket_s: seconds of the shortest bucket.
        inquiry: what the agent says and asks; None where there is none.
        open_sessions: names of the sessions that are open.
        read: memory of the process.
        blocks: of the interpreter.
        monotonic: seconds.
        pauses: of the garbage collector.
        plans: whose changes begin all series anew.
        looks: where resident memory is noted for spans.
        free_share: of the C library's heap.
        wall_ns: the clock of spans.
    """

    def __init__(
        self,
        limit_bytes: int | None = None,
        soft_limit: SoftLimit | None = None,
        *,
        bucket_s: float = BUCKET_S,
        inquiry: Inquiry | None = None,
        open_sessions: Callable[[], AbstractSet[str]] = frozenset,
        read: Callable[[], Usage | None] | None = None,
        blocks: Callable[[], int] = sys.getallocatedblocks,
        monotonic: Callable[[], float] = time.monotonic,
        pauses: GcPauses = PAUSES,
        plans: Callable[[], Governor] = governor,
        looks: Looks = LOOKS,
        free_share: Callable[[], float | None] = libc.free_share,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.limit_bytes = limit_bytes
        self.interval_s = min(INTERVAL_S, bucket_s / 4)
        """Between two looks."""
        self.censor = Censor(lambda: max(0, blocks() - plans().frozen_blocks))
        self.inquest = Inquest(self.censor, free_share)
        self._soft_limit = soft_limit
        self._inquiry = inquiry
        self._open_sessions = open_sessions
        self._sessions = open_sessions()
        self._read = read or UsageReader().read
        self._blocks = blocks
        self._monotonic = monotonic
        self._pauses = pauses
        self._plans = plans
        self._looks = looks
        self._free_share = free_share
        self._wall_ns = wall_ns
        self._growth = MemoryGrowth(limit_bytes, bucket_s)
        self._suspicion = Suspicion()
        self._changes = plans().changes
        self._full_collections = self._count_full()
        self._blocks_due_s = 0.0
        self.usage: Usage | None = None
        self.blocks = 0
        self.live_blocks: int | None = None
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<LeakWatch {self.state}>"

    @property
    def state(self) -> GrowthState:
        """What was known when a window had last become full."""
        return self._suspicion.state

    @property
    def census(self) -> Census | None:
        """The last one that a suspicion led to."""
        return self.inquest.census

    @property
    def changes(self) -> int:
        """How often the collector was changed."""
        return self._plans().changes

    def is_left_to_agent(self) -> bool:
        """Whether the agent judges and tells."""
        return self._inquiry is not None and self._inquiry.is_watched()

    def look(self) -> None:
        """One look at everything; when a window has become full, a verdict."""
        now_s = self._monotonic()
        self._begin_anew_where_due()
        judged = [self._look_at_memory(now_s), self._look_at_blocks(now_s)]
        if any(judged) or self._suspicion.is_census_due(now_s):
            self._judge(now_s)
        if self._inquiry is not None and self._inquiry.take():
            self.inquest.begin()

    def restart(self) -> None:
        """Begin the series anew: what they compare has changed."""
        self._growth.restart()
        self._suspicion = Suspicion()

    def after_fork_in_child(self) -> None:
        """Another process, with a memory of its own."""
        self.restart()
        self._looks.forget()
        self._full_collections = 0
        self.live_blocks = None

    def report(self) -> LeakReport:
        """What is known now."""
        return self._growth.report()

    def _begin_anew_where_due(self) -> None:
        if self.changes != self._changes:
            self._changes = self.changes
            self.restart()
        sessions = self._open_sessions()
        if sessions != self._sessions:
            self._sessions = sessions
            self._growth.restart_session()

    def _look_at_memory(self, now_s: float) -> bool:
        usage = self._read()
        if usage is None:
            return False
        self.usage = usage
        self._looks.note(self._wall_ns(), usage.resident)
        if self._soft_limit is not None:
            self._soft_limit.look(usage.resident)
        return self._growth.add(now_s, {ANONYMOUS: usage.anonymous, MAPPED: usage.mapped})

    def _look_at_blocks(self, now_s: float) -> bool:
        if now_s < self._blocks_due_s:
            return False
        started_s = time.perf_counter()
        self.blocks = self._blocks()
        cost_s = time.perf_counter() - started_s
        self._blocks_due_s = now_s + max(self.interval_s / 2, cost_s / _BLOCKS_SHARE)
        values = {BLOCKS: self.blocks}
        collections = self._count_full()
        if collections != self._full_collections:
            self._full_collections = collections
            self.live_blocks = values[LIVE_BLOCKS] = self.blocks
        return self._growth.add(now_s, values)

    def _count_full(self) -> int:
        return self._pauses.totals()[_FULL].count

    def _judge(self, now_s: float) -> None:
        steps = self._suspicion.judged(self.report(), now_s)
        if not (steps.ask or steps.tell) or self.is_left_to_agent():
            return
        then = self._tell if steps.tell else None
        if (not steps.ask or not self.inquest.begin(then)) and steps.tell:
            self._tell()

    def _tell(self) -> None:
        """After a census, so that whoever holds what grows is named with it."""
        self._growth.free_share = self.inquest.free
        census = self.census
        lines, owner = ((), None) if census is None else (census.container_lines, census.owner)
        told = leak_told(self.report(), lines, owner)
        event(names.EVENT_MEMORY_LEAK, told.body, told.attributes, severity=told.severity)


def observe_leaks(meter: Meter, watch: LeakWatch) -> None:
    """Let gauges tell what the watch has seen at its last look."""
    told: set[str] = set()

    def blocks(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(watch.blocks)] if watch.blocks else []

    def live_blocks(_: CallbackOptions) -> Iterable[Observation]:
        return [] if watch.live_blocks is None else [Observation(watch.live_blocks)]

    def anonymous(_: CallbackOptions) -> Iterable[Observation]:
        return [] if watch.usage is None else [Observation(watch.usage.anonymous)]

    def mapped(_: CallbackOptions) -> Iterable[Observation]:
        return [] if watch.usage is None else [Observation(watch.usage.mapped)]

    def limit(_: CallbackOptions) -> Iterable[Observation]:
        return [] if watch.limit_bytes is None else [Observation(watch.limit_bytes)]

    def changes(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(watch.changes)]

    def slope(_: CallbackOptions) -> Iterable[Observation]:
        if watch.is_left_to_agent():
            return []
        slopes = watch.report().slopes(told)
        told.update(slopes)
        return [Observation(value, {names.MEMORY_LAYER: layer}) for layer, value in slopes.items()]

    made: tuple[tuple[str, Any, Any], ...] = (
        (names.MEMORY_BLOCKS, meter.create_observable_up_down_counter, blocks),
        (names.MEMORY_LIVE_BLOCKS, meter.create_observable_gauge, live_blocks),
        (names.MEMORY_ANONYMOUS, meter.create_observable_up_down_counter, anonymous),
        (names.MEMORY_MAPPED, meter.create_observable_up_down_counter, mapped),
        (names.MEMORY_LIMIT, meter.create_observable_up_down_counter, limit),
        (names.GC_CHANGES, meter.create_observable_counter, changes),
        (names.MEMORY_LEAK_SLOPE, meter.create_observable_gauge, slope),
    )
    for name, create, callback in made:
        metric = METRICS[name]
        create(name, callbacks=[callback], unit=metric.unit, description=metric.brief)
