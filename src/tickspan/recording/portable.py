"""Where there is no `/proc`: the same readings out of psutil, at twenty times the cost.

Needs the package `psutil`. What a platform does not tell is None, or left out.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from tickspan.recording.procfs import CpuTimes, DiskCounts, HostStat, Memory, NetworkCounts, ProcessStat

__all__ = ["PortableHost", "PortableProcess"]

T = TypeVar("T")

_MS_PER_S: Final = 1_000
_LOOPBACK: Final = ("lo", "Loopback")


class PortableProcess:
    """As `procfs.ProcessFiles`. Raises ImportError without psutil."""

    def __init__(self) -> None:
        self._psutil = importlib.import_module("psutil")
        self._process = self._psutil.Process()

    def stat(self) -> ProcessStat | None:
        """CPU, memory, threads."""
        return self._told(self._stat)

    def io(self) -> tuple[int, int] | None:
        """Bytes read and written."""
        return self._told(self._io)

    def descriptors(self) -> int | None:
        """How many are open."""
        return self._told(lambda: self._current().num_fds())

    def close(self) -> None:
        """Nothing is open."""

    def _current(self) -> Any:
        """This process, also after a fork."""
        if not self._process.is_running():
            self._process = self._psutil.Process()
        return self._process

    def _stat(self) -> ProcessStat:
        process = self._current()
        with process.oneshot():
            times, held = process.cpu_times(), process.memory_info()
            return ProcessStat(
                times.user,
                times.system,
                getattr(held, "num_page_faults", 0),
                getattr(held, "pageins", 0),
                process.num_threads(),
                max(0.0, process.create_time() - self._psutil.boot_time()),
                held.vms,
                held.rss,
            )

    def _io(self) -> tuple[int, int]:
        counts = self._current().io_counters()
        return counts.read_bytes, counts.write_bytes

    def _told(self, ask: Callable[[], T]) -> T | None:
        with suppress(self._psutil.Error, OSError, AttributeError):
            return ask()
        return None


class PortableHost:
    """As `procfs.HostFiles`. Raises ImportError without psutil."""

    def __init__(self) -> None:
        self._psutil = importlib.import_module("psutil")

    def stat(self) -> HostStat | None:
        """CPUs and processes; nobody tells how many were made."""
        psutil = self._psutil
        times: Any = self._told(psutil.cpu_times)
        if times is None:
            return None
        interrupt = getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
        interrupt += getattr(times, "interrupt", 0.0)
        nice, iowait, steal = (getattr(times, name, 0.0) for name in ("nice", "iowait", "steal"))
        cpus = CpuTimes(times.user, nice, times.system, times.idle, iowait, interrupt, steal)
        return HostStat(cpus, psutil.cpu_count() or 1, None, None, psutil.boot_time())

    def memory(self) -> Memory | None:
        """Memory and swap."""
        held: Any = self._told(self._psutil.virtual_memory)
        swap: Any = self._told(self._psutil.swap_memory)
        if held is None:
            return None
        cached, buffers = getattr(held, "cached", 0), getattr(held, "buffers", 0)
        used = max(0, held.total - held.free - cached - buffers)
        swapped = (0, 0) if swap is None else (swap.total, swap.free)
        return Memory(held.total, used, held.free, cached, buffers, held.available, *swapped)

    def load_average(self) -> tuple[float, int | None] | None:
        """Of a minute; nobody tells how many threads there are."""
        found = self._told(self._psutil.getloadavg)
        return None if found is None else (found[0], None)

    def uptime(self) -> float | None:
        """In seconds."""
        booted = self._told(self._psutil.boot_time)
        return None if booted is None else max(0.0, time.time() - booted)

    def disks(self) -> Mapping[str, DiskCounts]:
        """By device."""
        counts: Mapping[str, Any] = self._told(lambda: self._psutil.disk_io_counters(perdisk=True)) or {}
        return {
            name: DiskCounts(
                one.read_count,
                one.read_bytes,
                one.write_count,
                one.write_bytes,
                getattr(one, "busy_time", 0) / _MS_PER_S,
            )
            for name, one in counts.items()
            if one.read_count or one.write_count
        }

    def networks(self) -> Mapping[str, NetworkCounts]:
        """By interface."""
        counts: Mapping[str, Any] = self._told(lambda: self._psutil.net_io_counters(pernic=True)) or {}
        return {
            name: NetworkCounts(
                one.bytes_recv,
                one.packets_recv,
                one.errin,
                one.dropin,
                one.bytes_sent,
                one.packets_sent,
                one.errout,
                one.dropout,
            )
            for name, one in counts.items()
            if not name.startswith(_LOOPBACK) and (one.bytes_recv or one.bytes_sent)
        }

    def connections(self) -> Mapping[str, int]:
        """Nobody tells without looking at each one."""
        return {}

    def faults(self) -> tuple[int, int] | None:
        """Nobody tells."""
        return None

    def processes(self) -> int | None:
        """How many there are."""
        found = self._told(self._psutil.pids)
        return None if found is None else len(found)

    def _told(self, ask: Callable[[], Any]) -> Any:
        with suppress(self._psutil.Error, OSError, AttributeError, RuntimeError):
            return ask()
        return None
