"""What a host does: `system.*` out of `/proc`. One process of a host tells it, mostly the agent."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from tickspan.providers.samples import Sample, Shares, Value
from tickspan.recording.procfs import CpuTimes, DiskCounts, HostFiles, HostStat, Memory, NetworkCounts
from tickspan.semconv import host as names

__all__ = ["HOST_METRICS", "Host", "HostReader", "host_reader"]

_READ: Final = {names.DISK_IO_DIRECTION: "read"}
_WRITE: Final = {names.DISK_IO_DIRECTION: "write"}
_RECEIVE: Final = {names.NETWORK_IO_DIRECTION: "receive"}
_TRANSMIT: Final = {names.NETWORK_IO_DIRECTION: "transmit"}
_TCP: Final = {names.NETWORK_TRANSPORT: "tcp"}
_NS_PER_S: Final = 1e9

HOST_METRICS: Final = (
    names.SYSTEM_CPU_TIME,
    names.SYSTEM_CPU_UTILIZATION,
    names.SYSTEM_CPU_LOGICAL_COUNT,
    names.LOAD_AVERAGE_1M,
    names.SYSTEM_MEMORY_USAGE,
    names.SYSTEM_MEMORY_UTILIZATION,
    names.SYSTEM_MEMORY_LIMIT,
    names.SYSTEM_MEMORY_LINUX_AVAILABLE,
    names.SYSTEM_PAGING_USAGE,
    names.SYSTEM_PAGING_FAULTS,
    names.SYSTEM_DISK_IO,
    names.SYSTEM_DISK_OPERATIONS,
    names.SYSTEM_DISK_IO_TIME,
    names.SYSTEM_NETWORK_IO,
    names.SYSTEM_NETWORK_ERRORS,
    names.SYSTEM_NETWORK_PACKET_COUNT,
    names.SYSTEM_NETWORK_PACKET_DROPPED,
    names.SYSTEM_NETWORK_CONNECTION_COUNT,
    names.SYSTEM_PROCESS_COUNT,
    names.SYSTEM_PROCESS_CREATED,
    names.SYSTEM_UPTIME,
)


_Told = Iterator[tuple[str, float, Mapping[str, str]]]


class HostReader(Protocol):
    """`procfs.HostFiles`, or psutil in its place. None, or nothing, is what nobody tells."""

    def stat(self) -> HostStat | None:
        """CPUs and processes."""
        ...

    def memory(self) -> Memory | None:
        """Memory and swap."""
        ...

    def load_average(self) -> tuple[float, int | None] | None:
        """Of a minute, and threads."""
        ...

    def uptime(self) -> float | None:
        """In seconds."""
        ...

    def disks(self) -> Mapping[str, DiskCounts]:
        """By device."""
        ...

    def networks(self) -> Mapping[str, NetworkCounts]:
        """By interface."""
        ...

    def connections(self) -> Mapping[str, int]:
        """TCP connections by state."""
        ...

    def faults(self) -> tuple[int, int] | None:
        """All page faults, and the major ones among them."""
        ...

    def processes(self) -> int | None:
        """How many there are."""
        ...


def host_reader(platform: str = sys.platform) -> HostReader | None:
    """What tells about this host; None on a platform where nobody does, for want of psutil."""
    if platform == "linux":
        return HostFiles()
    try:
        from tickspan.recording.portable import PortableHost  # psutil: only where there is no /proc

        return PortableHost()
    except ImportError:
        return None


class Host:
    """A sampler of the host. For one thread at a time."""

    def __init__(self, reader: HostReader, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._monotonic = monotonic
        self._shares = Shares()
        stat = reader.stat()
        self.booted_ns = int((time.time() if stat is None else stat.booted_s) * _NS_PER_S)
        """When the host started, since 1970; of a host that does not tell, when this was made."""

    def __repr__(self) -> str:
        return f"<Host by {type(self._reader).__name__}>"

    def sample(self) -> Sample:
        """All of `HOST_METRICS` that can be read now; utilization from the second time on."""
        told: dict[str, list[Value]] = {}
        for name, value, attributes in self._told():
            told.setdefault(name, []).append(Value(value, attributes))
        return told

    def _told(self) -> _Told:
        yield from self._cpus()
        yield from self._memory()
        yield from self._disks()
        yield from self._networks()
        yield from self._rest()

    def _cpus(self) -> _Told:
        stat = self._reader.stat()
        if stat is None:
            return
        seconds = dict(zip(CpuTimes._fields, stat.cpus, strict=True))
        for mode, sum_s in seconds.items():
            yield names.SYSTEM_CPU_TIME, sum_s, {names.CPU_MODE: mode}
        for mode, share in self._shares.of(seconds, self._monotonic(), parallel=0).items():
            yield names.SYSTEM_CPU_UTILIZATION, share, {names.CPU_MODE: mode}
        yield names.SYSTEM_CPU_LOGICAL_COUNT, stat.logical_cpus, {}
        if stat.created is not None:
            yield names.SYSTEM_PROCESS_CREATED, stat.created, {}

    def _memory(self) -> _Told:
        memory = self._reader.memory()
        if memory is None:
            return
        states = {"used": memory.used, "free": memory.free, "cached": memory.cached}
        states["buffers"] = memory.buffers
        for state, size in states.items():
            yield names.SYSTEM_MEMORY_USAGE, size, {names.SYSTEM_MEMORY_STATE: state}
            if memory.total:
                share = size / memory.total
                yield names.SYSTEM_MEMORY_UTILIZATION, share, {names.SYSTEM_MEMORY_STATE: state}
        yield names.SYSTEM_MEMORY_LIMIT, memory.total, {}
        yield names.SYSTEM_MEMORY_LINUX_AVAILABLE, memory.available, {}
        swapped = memory.swap_total - memory.swap_free
        yield names.SYSTEM_PAGING_USAGE, swapped, {names.SYSTEM_PAGING_STATE: "used"}
        yield names.SYSTEM_PAGING_USAGE, memory.swap_free, {names.SYSTEM_PAGING_STATE: "free"}

    def _disks(self) -> _Told:
        for device, counts in self._reader.disks().items():
            named = {names.SYSTEM_DEVICE: device}
            yield names.SYSTEM_DISK_IO, counts.read_bytes, named | _READ
            yield names.SYSTEM_DISK_IO, counts.written_bytes, named | _WRITE
            yield names.SYSTEM_DISK_OPERATIONS, counts.reads, named | _READ
            yield names.SYSTEM_DISK_OPERATIONS, counts.writes, named | _WRITE
            yield names.SYSTEM_DISK_IO_TIME, counts.busy_s, named

    def _networks(self) -> _Told:
        for interface, counts in self._reader.networks().items():
            named = {names.NETWORK_INTERFACE_NAME: interface}
            device = {names.SYSTEM_DEVICE: interface}
            yield names.SYSTEM_NETWORK_IO, counts.received_bytes, named | _RECEIVE
            yield names.SYSTEM_NETWORK_IO, counts.sent_bytes, named | _TRANSMIT
            yield names.SYSTEM_NETWORK_ERRORS, counts.receive_errors, named | _RECEIVE
            yield names.SYSTEM_NETWORK_ERRORS, counts.send_errors, named | _TRANSMIT
            yield names.SYSTEM_NETWORK_PACKET_COUNT, counts.received_packets, device | _RECEIVE
            yield names.SYSTEM_NETWORK_PACKET_COUNT, counts.sent_packets, device | _TRANSMIT
            yield names.SYSTEM_NETWORK_PACKET_DROPPED, counts.receive_drops, named | _RECEIVE
            yield names.SYSTEM_NETWORK_PACKET_DROPPED, counts.send_drops, named | _TRANSMIT
        for state, number in self._reader.connections().items():
            attributes = _TCP | {names.NETWORK_CONNECTION_STATE: state}
            yield names.SYSTEM_NETWORK_CONNECTION_COUNT, number, attributes

    def _rest(self) -> _Told:
        load = self._reader.load_average()
        if load is not None:
            yield names.LOAD_AVERAGE_1M, load[0], {}
        faults = self._reader.faults()
        if faults is not None:
            every, major = faults
            yield names.SYSTEM_PAGING_FAULTS, every - major, {names.SYSTEM_PAGING_FAULT_TYPE: "minor"}
            yield names.SYSTEM_PAGING_FAULTS, major, {names.SYSTEM_PAGING_FAULT_TYPE: "major"}
        processes = self._reader.processes()
        if processes is not None:
            yield names.SYSTEM_PROCESS_COUNT, processes, {}
        uptime_s = self._reader.uptime()
        if uptime_s is not None:
            yield names.SYSTEM_UPTIME, uptime_s, {}
