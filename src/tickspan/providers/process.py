"""What this process does: `process.*`, `cpython.*` and, where a container limits it, `container.*`."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from opentelemetry.metrics import Meter, MeterProvider

from tickspan.providers.collector import COLLECTOR
from tickspan.providers.samples import Sample, Shares, Value, observe
from tickspan.recording.cgroups import Cgroup
from tickspan.recording.gc_pauses import PAUSES, GcPauses
from tickspan.recording.procfs import HostFiles, ProcessFiles, ProcessStat
from tickspan.semconv import process as names
from tickspan.semconv.catalogue import METRICS
from tickspan.semconv.host import CPU_MODE, DISK_IO_DIRECTION, SYSTEM_PAGING_FAULT_TYPE
from tickspan.version import __version__

try:
    import resource
except ImportError:  # Windows has none
    resource = None

__all__ = ["PROCESS_METRICS", "Process", "ProcessReader", "measure_process", "process_reader"]

SCOPE: Final = "tickspan.process"

PROCESS_METRICS: Final = (
    names.PROCESS_CPU_TIME,
    names.PROCESS_CPU_UTILIZATION,
    names.PROCESS_MEMORY_USAGE,
    names.PROCESS_MEMORY_VIRTUAL,
    names.PROCESS_MEMORY_UTILIZATION,
    names.PROCESS_DISK_IO,
    names.PROCESS_THREAD_COUNT,
    names.PROCESS_UNIX_FILE_DESCRIPTOR_COUNT,
    names.PROCESS_CONTEXT_SWITCHES,
    names.PROCESS_PAGING_FAULTS,
    names.PROCESS_UPTIME,
    names.CPYTHON_GC_COLLECTIONS,
    names.CPYTHON_GC_COLLECTED_OBJECTS,
    names.CPYTHON_GC_UNCOLLECTABLE_OBJECTS,
)
_CPU_LIMIT_METRICS: Final = (
    names.CONTAINER_CPU_TIME,
    names.CPU_PERIODS,
    names.CPU_THROTTLED_PERIODS,
    names.CPU_THROTTLED_TIME,
)
_MEMORY_LIMIT_METRICS: Final = (
    names.CONTAINER_MEMORY_USAGE,
    names.CONTAINER_MEMORY_WORKING_SET,
    names.MEMORY_LIMIT,
    names.TICKSPAN_CONTAINER_MEMORY_UTILIZATION,
)
_PAUSE_BOUNDS_S: Final = tuple(
    step * 10.0**power for power in range(-5, 1) for step in (1, 2, 5)
)  # to 5 s; what is longer is in the last
_NS_PER_S: Final = 1e9
_PAUSES_EVERY_S: Final = 1.0

_Told = Iterator[tuple[str, float, Mapping[str, str | int]]]


class ProcessReader(Protocol):
    """`procfs.ProcessFiles`, or psutil in its place. None is what nobody tells."""

    def stat(self) -> ProcessStat | None:
        """CPU, memory, threads."""
        ...

    def io(self) -> tuple[int, int] | None:
        """Bytes that disks read and wrote."""
        ...

    def descriptors(self) -> int | None:
        """How many are open."""
        ...


def process_reader(platform: str = sys.platform) -> ProcessReader | None:
    """What tells about this process; None on a platform where nobody does, for want of psutil."""
    if platform == "linux":
        return ProcessFiles()
    try:
        from tickspan.recording.portable import PortableProcess  # psutil: only where there is no /proc

        return PortableProcess()
    except ImportError:
        return None


class Process:
    """A sampler of this process, forked children included. For one thread at a time.

    Args:
        reader: of the operating system.
        cgroup: with the limits of the process.
        memory_bytes: of the host, where no limit is set; None is not known.
        monotonic: for shares of time.
        since_boot: seconds since the host started.
    """

    def __init__(
        self,
        reader: ProcessReader | None,
        cgroup: Cgroup,
        memory_bytes: int | None,
        monotonic: Callable[[], float] = time.monotonic,
        since_boot: Callable[[], float | None] | None = None,
    ) -> None:
        self._reader = reader
        self._cgroup = cgroup
        self._memory_bytes = memory_bytes
        self._monotonic = monotonic
        self._since_boot = since_boot or _since_boot
        self._shares = Shares()
        self.sample()  # from here on, shares are known

    def __repr__(self) -> str:
        return f"<Process {os.getpid()} by {type(self._reader).__name__}, {self._cgroup!r}>"

    @property
    def metrics(self) -> Sequence[str]:
        """Those that this process can have."""
        return (
            *PROCESS_METRICS,
            *(_CPU_LIMIT_METRICS if self._cgroup.has_cpu_limit else ()),
            *(_MEMORY_LIMIT_METRICS if self._cgroup.has_memory_limit else ()),
        )

    def sample(self) -> Sample:
        """All that can be read now."""
        told: dict[str, list[Value]] = {}
        for name, value, attributes in self._told():
            told.setdefault(name, []).append(Value(value, attributes))
        return told

    def _told(self) -> _Told:
        stat = None if self._reader is None else self._reader.stat()
        yield from self._times(stat)
        if stat is not None:
            yield from self._standing(stat)
        yield from self._files()
        yield from _collections()
        yield from self._container()

    def _times(self, stat: ProcessStat | None) -> _Told:
        usage: Any = None if resource is None else resource.getrusage(resource.RUSAGE_SELF)
        if usage is not None:
            seconds = {"user": usage.ru_utime, "system": usage.ru_stime}
            faults = usage.ru_minflt, usage.ru_majflt
            yield names.PROCESS_CONTEXT_SWITCHES, usage.ru_nvcsw, _VOLUNTARY
            yield names.PROCESS_CONTEXT_SWITCHES, usage.ru_nivcsw, _INVOLUNTARY
        elif stat is not None:
            seconds = {"user": stat.user_s, "system": stat.system_s}
            faults = stat.minor_faults, stat.major_faults
        else:
            return
        for mode, sum_s in seconds.items():
            yield names.PROCESS_CPU_TIME, sum_s, {CPU_MODE: mode}
        for mode, share in self._shares.of(seconds, self._monotonic(), self._cpus()).items():
            yield names.PROCESS_CPU_UTILIZATION, share, {CPU_MODE: mode}
        for kind, number in zip(("minor", "major"), faults, strict=True):
            yield names.PROCESS_PAGING_FAULTS, number, {SYSTEM_PAGING_FAULT_TYPE: kind}

    def _standing(self, stat: ProcessStat) -> _Told:
        yield names.PROCESS_MEMORY_USAGE, stat.resident_bytes, {}
        yield names.PROCESS_MEMORY_VIRTUAL, stat.virtual_bytes, {}
        limit = self._cgroup.memory_limit() or self._memory_bytes
        if limit:
            yield names.PROCESS_MEMORY_UTILIZATION, stat.resident_bytes / limit, {}
        yield names.PROCESS_THREAD_COUNT, stat.threads, {}
        since_boot_s = self._since_boot()
        if since_boot_s is not None:
            yield names.PROCESS_UPTIME, max(0.0, since_boot_s - stat.start_s), {}

    def _files(self) -> _Told:
        if self._reader is None:
            return
        moved = self._reader.io()
        if moved is not None:
            for direction, size in zip(("read", "write"), moved, strict=True):
                yield names.PROCESS_DISK_IO, size, {DISK_IO_DIRECTION: direction}
        descriptors = self._reader.descriptors()
        if descriptors is not None:
            yield names.PROCESS_UNIX_FILE_DESCRIPTOR_COUNT, descriptors, {}

    def _container(self) -> _Told:
        cpu, memory = self._cgroup.cpu(), self._cgroup.memory()
        if cpu is not None:
            yield names.CONTAINER_CPU_TIME, cpu.user_s, {CPU_MODE: "user"}
            yield names.CONTAINER_CPU_TIME, cpu.system_s, {CPU_MODE: "system"}
            yield names.CPU_PERIODS, cpu.periods, {}
            yield names.CPU_THROTTLED_PERIODS, cpu.throttled_periods, {}
            yield names.CPU_THROTTLED_TIME, cpu.throttled_ns, {}
        if memory is not None:
            yield names.CONTAINER_MEMORY_USAGE, memory.usage, {}
            yield names.CONTAINER_MEMORY_WORKING_SET, memory.working_set, {}
            yield names.MEMORY_LIMIT, memory.limit, {}
            yield names.TICKSPAN_CONTAINER_MEMORY_UTILIZATION, memory.working_set / memory.limit, {}

    def _cpus(self) -> float:
        """That the process may use: those it may run on, or the quota where that is less."""
        affinity: Any = getattr(os, "sched_getaffinity", None)
        number = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
        return min(float(number), self._cgroup.cpus() or float(number))


_VOLUNTARY: Final = {names.PROCESS_CONTEXT_SWITCH_TYPE: "voluntary"}
_INVOLUNTARY: Final = {names.PROCESS_CONTEXT_SWITCH_TYPE: "involuntary"}


def _collections() -> _Told:
    for generation, counts in enumerate(gc.get_stats()):
        attributes = {names.CPYTHON_GC_GENERATION: generation}
        yield names.CPYTHON_GC_COLLECTIONS, counts["collections"], attributes
        yield names.CPYTHON_GC_COLLECTED_OBJECTS, counts["collected"], attributes
        yield names.CPYTHON_GC_UNCOLLECTABLE_OBJECTS, counts["uncollectable"], attributes


def _since_boot() -> float | None:
    clock: Any = getattr(time, "CLOCK_BOOTTIME", None)
    return None if clock is None else time.clock_gettime(clock)


class PauseTeller:
    """Brings pauses of the garbage collector into a histogram, every second and before each collection."""

    interval_s: float = _PAUSES_EVERY_S

    def __init__(self, meter: Meter, pauses: GcPauses) -> None:
        metric = METRICS[names.TICKSPAN_GC_PAUSE_DURATION]
        self._pauses = pauses
        self._histogram: Any = meter.create_histogram(
            metric.name, metric.unit, metric.brief, explicit_bucket_boundaries_advisory=_PAUSE_BOUNDS_S
        )
        self._series: dict[int, Callable[[float], None]] = {}

    def __repr__(self) -> str:
        return f"<PauseTeller {self._pauses!r}>"

    def stop(self) -> None:
        """Note no more pauses."""
        COLLECTOR.leave(self)
        self._pauses.stop()

    def collect(self) -> bool:
        """Tell what waits."""
        for generation, pause_ns in self._pauses.take():
            record = self._series.get(generation)
            if record is None:
                record = self._series[generation] = self._series_of(generation)
            record(pause_ns / _NS_PER_S)
        return True

    def _series_of(self, generation: int) -> Callable[[float], None]:
        attributes = {names.CPYTHON_GC_GENERATION: generation}
        bind = getattr(self._histogram, "bind", None)  # an extension of our meter provider
        if bind is not None:
            return bind(attributes).record

        def record(seconds: float) -> None:
            self._histogram.record(seconds, attributes)

        return record


def measure_process(provider: MeterProvider) -> PauseTeller:
    """Let `provider` tell of this process; pauses of the garbage collector until the result is stopped."""
    memory = HostFiles().memory() if sys.platform == "linux" else None
    process = Process(process_reader(), Cgroup(), None if memory is None else memory.total)
    meter = provider.get_meter(SCOPE, __version__)
    teller = PauseTeller(meter, PAUSES)
    observe(meter, process, process.metrics, before=teller.collect)
    PAUSES.start()
    COLLECTOR.watch(teller)
    return teller
