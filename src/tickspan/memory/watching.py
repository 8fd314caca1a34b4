"""What a process watches of its memory: one look each second, gauges, counts of sections and pools."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

from tickspan.config import MemorySettings
from tickspan.memory import telling
from tickspan.memory.inquiry import Inquiry
from tickspan.memory.leak import LeakWatch, observe_leaks
from tickspan.memory.object_pool import object_pools
from tickspan.memory.pressure import SoftLimit
from tickspan.recording.cgroups import Cgroup
from tickspan.recording.gc_pauses import PAUSES
from tickspan.recording.procfs import HostFiles
from tickspan.recording.sections import sections
from tickspan.recording.ticker import ticker
from tickspan.semconv import memory as names
from tickspan.semconv.catalogue import METRICS

__all__ = ["start", "the_watch"]

_SHORTEST_BUCKET_S: Final = 0.04
_watches: Final[list[LeakWatch]] = []


def the_watch() -> LeakWatch | None:
    """The one of this process; None where nobody looks."""
    return _watches[-1] if _watches else None


def start(
    meters: MeterProvider, loggers: LoggerProvider, settings: MemorySettings, spool: Path | None = None
) -> Callable[[], None]:
    """Begin; returns what stops it.

    Args:
        meters: of the process.
        loggers: of the process.
        settings: of memory.
        spool: the folder in which an agent says whether it watches; None where there is none.
    """
    telling.use(meters, loggers)
    observe_sections(telling.meter())
    observe_pools(telling.meter())
    if not settings.leaks:
        return lambda: telling.use(None, None)
    soft_limit = SoftLimit(settings.soft_limit_bytes) if settings.soft_limit_bytes > 0 else None
    watch = LeakWatch(
        _limit_bytes(settings),
        soft_limit,
        bucket_s=max(_SHORTEST_BUCKET_S, settings.leak_bucket_s),
        inquiry=None if spool is None else Inquiry(spool),
        open_sessions=open_sessions,
    )
    observe_leaks(telling.meter(), watch)
    PAUSES.start()
    _watches.append(watch)
    cancel = ticker().every(watch.interval_s, watch.look)

    def stop() -> None:
        cancel()
        _watches.remove(watch)
        PAUSES.stop()
        telling.use(None, None)

    return stop


def open_sessions(wall: Callable[[], float] = time.time) -> frozenset[str]:
    """Names of the calendars of the rule file that are open now; none where this process has no rules."""
    running: Any = getattr(
        sys.modules.get("tickspan.alerts.process"), "running", None
    )  # it may still be loading
    tier = None if running is None else running()
    calendars: Mapping[str, Any] = {} if tier is None else tier.calendars
    now_s = wall()
    return frozenset(name for name, calendar in calendars.items() if calendar.opened_at(now_s) is not None)


def _limit_bytes(settings: MemorySettings) -> int | None:
    """Of the container, else what is configured, else the host's memory."""
    limit = Cgroup().memory_limit() or settings.limit_bytes or settings.soft_limit_bytes
    if limit:
        return limit
    memory = HostFiles().memory() if sys.platform == "linux" else None
    return None if memory is None else memory.total


def observe_sections(meter: Meter) -> None:
    """Count critical sections by how they ended."""

    def observed(_: CallbackOptions) -> Iterable[Observation]:
        known = sections()
        return [
            Observation(known.closed, {names.GC_SECTION_OUTCOME: "closed"}),
            Observation(known.aborted, {names.GC_SECTION_OUTCOME: "aborted"}),
        ]

    _observe(meter.create_observable_counter, names.GC_SECTIONS, observed)


def observe_pools(meter: Meter) -> None:
    """Count the objects of each pool by state, and takes and returns by result."""

    def objects(_: CallbackOptions) -> Iterable[Observation]:
        for pool in object_pools():
            idle, used = pool.sizes()
            for state, number in (("idle", idle), ("used", used)):
                yield Observation(number, {names.OBJECT_POOL_NAME: pool.name, names.OBJECT_POOL_STATE: state})

    def operations(_: CallbackOptions) -> Iterable[Observation]:
        for pool in object_pools():
            for result, number in pool.counts().items():
                yield Observation(
                    number, {names.OBJECT_POOL_NAME: pool.name, names.OBJECT_POOL_RESULT: result}
                )

    _observe(meter.create_observable_up_down_counter, names.OBJECT_POOL_OBJECTS, objects)
    _observe(meter.create_observable_counter, names.OBJECT_POOL_OPERATIONS, operations)


def _observe(
    create: Callable[..., Any], name: str, callback: Callable[[CallbackOptions], Iterable[Observation]]
) -> None:
    metric = METRICS[name]
    create(name, callbacks=[callback], unit=metric.unit, description=metric.brief)
