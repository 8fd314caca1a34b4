"""Readers of Linux's `/proc`: what the kernel counts of this process and of its host.

Files stay open, so that a program without free descriptors can still be told about. Forks, and programs that
close descriptors that are not theirs, are noticed: a descriptor is used and closed only while it is the file
that was opened. Parsers are pure; a missing, truncated or unknown text gives None, never an exception.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

__all__ = [
    "CpuTimes",
    "DiskCounts",
    "HostFiles",
    "HostStat",
    "KernelFile",
    "Memory",
    "NetworkCounts",
    "ProcessFiles",
    "ProcessStat",
    "cpu_times",
    "disks",
    "established",
    "host_stat",
    "load_average",
    "memory",
    "networks",
    "numbers",
    "page_faults",
    "parsed",
    "process_io",
    "process_stat",
    "uptime",
    "waiting",
]

T = TypeVar("T")

PROC: Final = Path("/proc")
_MOST_BYTES: Final = 1 << 20
_PIECE_BYTES: Final = 1 << 14
_KIB: Final = 1024
_SECTOR_BYTES: Final = 512
"""Of `/proc/diskstats`, whatever the device's sectors are."""
_MS_PER_S: Final = 1_000


class KernelFile:
    """One file of the kernel, read from its start each time. For one thread at a time."""

    __slots__ = ("_fd", "_identity", "_path", "_pid")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._fd = -1
        self._identity = (0, 0)
        self._pid = 0

    def __repr__(self) -> str:
        return f"<KernelFile {self._path}, {'open' if self._fd >= 0 else 'closed'}>"

    def __del__(self) -> None:
        self.close()

    def read(self) -> bytes | None:
        """Its bytes, at most 1 MiB; None when it cannot be read."""
        try:
            if not self._is_ours():
                self.close()
                self._open()
            return self._all()
        except OSError:
            self.close()
            return None

    def close(self) -> None:
        """Close it, unless its number belongs to another file by now; the next `read` opens it again."""
        fd, self._fd = self._fd, -1
        with suppress(OSError):
            if fd >= 0 and _identity(fd) == self._identity:
                os.close(fd)

    def _is_ours(self) -> bool:
        """Whether the descriptor still is the file, and of this process: `/proc/self` stays the parent's."""
        if self._fd < 0 or self._pid != os.getpid():
            return False
        with suppress(OSError):
            return _identity(self._fd) == self._identity
        return False

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        self._pid = os.getpid()
        self._identity = _identity(self._fd)

    def _all(self) -> bytes:
        found = os.pread(self._fd, _PIECE_BYTES, 0)
        if len(found) < _PIECE_BYTES:
            return found
        pieces = [found]
        size = len(found)
        while size < _MOST_BYTES:
            piece = os.pread(self._fd, _PIECE_BYTES, size)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def parsed(parse: Callable[[bytes], T], text: bytes | None) -> T | None:
    """What `parse` makes of a text; None for no text, and for one that is not as expected."""
    if text is None:
        return None
    try:
        return parse(text)
    except (ValueError, IndexError, KeyError):
        return None


# --- one process


class ProcessStat(NamedTuple):
    """`/proc/<pid>/stat`.

    Attributes:
        user_s, system_s: CPU time, in steps of a clock tick.
        minor_faults, major_faults: without and with a read of a disk.
        threads: that there are.
        start_s: since the host started.
        virtual_bytes, resident_bytes: memory.
    """

    user_s: float
    system_s: float
    minor_faults: int
    major_faults: int
    threads: int
    start_s: float
    virtual_bytes: int
    resident_bytes: int


_FIRST_AFTER_NAME: Final = 3
_MINFLT, _MAJFLT, _UTIME, _STIME, _THREADS, _STARTTIME, _VSIZE, _RSS = 10, 12, 14, 15, 20, 22, 23, 24


def process_stat(text: bytes, tick_s: float, page_bytes: int) -> ProcessStat | None:
    """As proc_pid_stat(5) says; the command's name may hold blanks and brackets."""

    def parse(text: bytes) -> ProcessStat:
        fields = text[text.rindex(b")") + 2 :].split(None, _RSS - _FIRST_AFTER_NAME + 1)

        def number(place: int) -> int:
            return int(fields[place - _FIRST_AFTER_NAME])

        return ProcessStat(
            number(_UTIME) * tick_s,
            number(_STIME) * tick_s,
            number(_MINFLT),
            number(_MAJFLT),
            number(_THREADS),
            number(_STARTTIME) * tick_s,
            number(_VSIZE),
            number(_RSS) * page_bytes,
        )

    return parsed(parse, text)


def process_io(text: bytes) -> tuple[int, int] | None:
    """Bytes that disks read and wrote for the process, of `/proc/<pid>/io`."""

    def parse(text: bytes) -> tuple[int, int]:
        found = numbers(text)
        return found[b"read_bytes"], found[b"write_bytes"]

    return parsed(parse, text)


class ProcessFiles:
    """The files of the process itself. A process that was forked off reads its own."""

    def __init__(self, root: Path = PROC) -> None:
        self._stat = KernelFile(root / "self/stat")
        self._io = KernelFile(root / "self/io")
        self._descriptors = str(root / "self/fd")
        self._tick_s = 1 / os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")

    def stat(self) -> ProcessStat | None:
        """CPU, memory, threads."""
        text = self._stat.read()
        return None if text is None else process_stat(text, self._tick_s, self._page_bytes)

    def io(self) -> tuple[int, int] | None:
        """Bytes read and written; None where the kernel does not tell."""
        text = self._io.read()
        return None if text is None else process_io(text)

    def descriptors(self) -> int | None:
        """How many are open. Kernels before 6.2 are asked for the names, which needs a free one."""
        try:
            return (
                os.stat(self._descriptors).st_size  # noqa: PTH116 - half the time of a Path
                or len(os.listdir(self._descriptors)) - 1  # noqa: PTH208 - the same
            )
        except OSError:
            return None

    def close(self) -> None:
        """Let go of the files."""
        self._stat.close()
        self._io.close()


# --- the host


class CpuTimes(NamedTuple):
    """Seconds of all CPUs by mode, as the conventions name the modes; guests count as user and nice."""

    user: float
    nice: float
    system: float
    idle: float
    iowait: float
    interrupt: float
    steal: float


class HostStat(NamedTuple):
    """`/proc/stat`.

    Attributes:
        cpus: of all.
        logical_cpus: how many there are.
        created: processes and threads since the start; None where nobody tells.
        running: threads that run or could; the same.
        booted_s: since 1970.
    """

    cpus: CpuTimes
    logical_cpus: int
    created: int | None
    running: int | None
    booted_s: float


_CPU_FIELDS: Final = 8


def cpu_times(line: bytes, tick_s: float) -> CpuTimes | None:
    """The line `cpu` of `/proc/stat`."""

    def parse(line: bytes) -> CpuTimes:
        user, nice, system, idle, iowait, irq, softirq, steal = (
            int(field) * tick_s for field in line.split()[1 : _CPU_FIELDS + 1]
        )
        return CpuTimes(user, nice, system, idle, iowait, irq + softirq, steal)

    return parsed(parse, line)


_CPU_LINE: Final = re.compile(rb"^cpu\d", re.MULTILINE)
_STAT_NUMBER: Final = re.compile(rb"^(btime|processes|procs_running) (\d+)$", re.MULTILINE)


def host_stat(text: bytes, tick_s: float) -> HostStat | None:
    """`/proc/stat`."""

    def parse(text: bytes) -> HostStat:
        cpus = cpu_times(text[: text.index(b"\n")], tick_s)
        if cpus is None:
            raise ValueError("no line of all CPUs")
        told = {name: int(value) for name, value in _STAT_NUMBER.findall(text)}
        return HostStat(
            cpus,
            len(_CPU_LINE.findall(text)),
            told[b"processes"],
            told[b"procs_running"],
            float(told[b"btime"]),
        )

    return parsed(parse, text)


def numbers(text: bytes) -> dict[bytes, int]:
    """Lines of a name and a whole number; a unit after it, and lines that are otherwise, are left out."""
    found: dict[bytes, int] = {}
    for line in text.splitlines():
        fields = line.split(None, 2)
        if len(fields) > 1 and fields[1].isdigit():
            found[fields[0].rstrip(b":")] = int(fields[1])
    return found


class Memory(NamedTuple):
    """`/proc/meminfo`, in bytes; used is what is left of the total, as `free` shows it."""

    total: int
    used: int
    free: int
    cached: int
    buffers: int
    available: int
    swap_total: int
    swap_free: int


def memory(text: bytes) -> Memory | None:
    """`/proc/meminfo`. Cached holds the slabs that can be reclaimed; the states add up to the total."""

    def parse(text: bytes) -> Memory:
        found = numbers(text)
        total, free, buffers = found[b"MemTotal"], found[b"MemFree"], found[b"Buffers"]
        cached = found[b"Cached"] + found.get(b"SReclaimable", 0)
        used = max(0, total - free - buffers - cached)
        available = found.get(b"MemAvailable", free + buffers + cached)
        swap = found.get(b"SwapTotal", 0), found.get(b"SwapFree", 0)
        return Memory(*(kib * _KIB for kib in (total, used, free, cached, buffers, available, *swap)))

    return parsed(parse, text)


def load_average(text: bytes) -> tuple[float, int] | None:
    """The load of a minute, and how many threads the host has, of `/proc/loadavg`."""

    def parse(text: bytes) -> tuple[float, int]:
        fields = text.split()
        return float(fields[0]), int(fields[3].partition(b"/")[2])

    return parsed(parse, text)


def uptime(text: bytes) -> float | None:
    """Seconds since the host started, of `/proc/uptime`."""
    return parsed(lambda text: float(text.split(None, 1)[0]), text)


_FAULTS: Final = re.compile(rb"^(pgfault|pgmajfault) (\d+)$", re.MULTILINE)


def page_faults(text: bytes) -> tuple[int, int] | None:
    """All page faults and the major ones among them, of `/proc/vmstat`."""

    def parse(text: bytes) -> tuple[int, int]:
        found = {name: int(value) for name, value in _FAULTS.findall(text)}
        return found[b"pgfault"], found[b"pgmajfault"]

    return parsed(parse, text)


class DiskCounts(NamedTuple):
    """One disk of `/proc/diskstats`."""

    reads: int
    read_bytes: int
    writes: int
    written_bytes: int
    busy_s: float


_DISK_FIELDS: Final = 14
_NO_DISKS: Final = (b"loop", b"ram", b"zram", b"fd", b"sr", b"dm-", b"md")
_PARTITION: Final = re.compile(rb"(?:(?:nvme\d+n\d+|mmcblk\d+)p\d+|(?:[shv]d|xvd)[a-z]+\d+)$")


def disks(text: bytes) -> Mapping[str, DiskCounts]:
    """Whole disks that were used: partitions, and what stands on top of disks, would count twice."""
    found: dict[str, DiskCounts] = {}
    for line in text.splitlines():
        fields = line.split(None, _DISK_FIELDS)
        if len(fields) < _DISK_FIELDS - 1 or _is_no_disk(fields[2]):
            continue
        counts = parsed(_disk, line)
        if counts is not None and (counts.reads or counts.writes):
            found[fields[2].decode("ascii", "replace")] = counts
    return found


def _is_no_disk(name: bytes) -> bool:
    return name.startswith(_NO_DISKS) or _PARTITION.match(name) is not None


def _disk(line: bytes) -> DiskCounts:
    fields = line.split()
    reads, sectors_read, writes, sectors_written, busy_ms = (int(fields[place]) for place in (3, 5, 7, 9, 12))
    return DiskCounts(
        reads, sectors_read * _SECTOR_BYTES, writes, sectors_written * _SECTOR_BYTES, busy_ms / _MS_PER_S
    )


class NetworkCounts(NamedTuple):
    """One interface of `/proc/net/dev`."""

    received_bytes: int
    received_packets: int
    receive_errors: int
    receive_drops: int
    sent_bytes: int
    sent_packets: int
    send_errors: int
    send_drops: int


def networks(text: bytes) -> Mapping[str, NetworkCounts]:
    """Interfaces that have carried something, without the loopback."""
    found: dict[str, NetworkCounts] = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(b":")
        name = name.strip()
        counts = parsed(_network, rest) if colon and name != b"lo" else None
        if counts is not None and (counts.received_bytes or counts.sent_bytes):
            found[name.decode("ascii", "replace")] = counts
    return found


def _network(text: bytes) -> NetworkCounts:
    fields = [int(field) for field in text.split()]
    (received, packets, errors, drops), (sent, sent_packets, failed, lost) = fields[0:4], fields[8:12]
    return NetworkCounts(received, packets, errors, drops, sent, sent_packets, failed, lost)


def established(text: bytes) -> int | None:
    """TCP connections that are established, or wait for our side to close, of `/proc/net/snmp`."""

    def parse(text: bytes) -> int:
        header, values = (line.split() for line in text.splitlines() if line.startswith(b"Tcp:"))
        return int(dict(zip(header, values, strict=True))[b"CurrEstab"])

    return parsed(parse, text)


def waiting(text: bytes) -> int | None:
    """TCP connections in time wait, of `/proc/net/sockstat`."""

    def parse(text: bytes) -> int:
        line = text[text.index(b"TCP:") :].splitlines()[0].split()
        return int(dict(zip(line[1::2], line[2::2], strict=False))[b"tw"])

    return parsed(parse, text)


class HostFiles:
    """The files of the host. In a container the kernel shows most of the host's own."""

    def __init__(self, root: Path = PROC) -> None:
        self._stat = KernelFile(root / "stat")
        self._memory = KernelFile(root / "meminfo")
        self._load = KernelFile(root / "loadavg")
        self._uptime = KernelFile(root / "uptime")
        self._disks = KernelFile(root / "diskstats")
        self._faults = KernelFile(root / "vmstat")
        self._network = KernelFile(root / "net/dev")
        self._counters = KernelFile(root / "net/snmp")
        self._sockets = KernelFile(root / "net/sockstat")
        self._root = root
        self._tick_s = 1 / os.sysconf("SC_CLK_TCK")

    def stat(self) -> HostStat | None:
        """CPUs and processes."""
        text = self._stat.read()
        return None if text is None else host_stat(text, self._tick_s)

    def memory(self) -> Memory | None:
        """Memory and swap."""
        return _parsed_file(memory, self._memory)

    def load_average(self) -> tuple[float, int] | None:
        """Of a minute, and threads."""
        return _parsed_file(load_average, self._load)

    def uptime(self) -> float | None:
        """In seconds."""
        return _parsed_file(uptime, self._uptime)

    def disks(self) -> Mapping[str, DiskCounts]:
        """By device."""
        return _parsed_file(disks, self._disks) or {}

    def networks(self) -> Mapping[str, NetworkCounts]:
        """By interface."""
        return _parsed_file(networks, self._network) or {}

    def connections(self) -> Mapping[str, int]:
        """TCP connections by state, those of it that the kernel counts anyway: established, time_wait."""
        found = {
            "established": _parsed_file(established, self._counters),
            "time_wait": _parsed_file(waiting, self._sockets),
        }
        return {state: number for state, number in found.items() if number is not None}

    def faults(self) -> tuple[int, int] | None:
        """All page faults and the major ones among them."""
        return _parsed_file(page_faults, self._faults)

    def processes(self) -> int | None:
        """How many there are: their folders."""
        try:
            return sum(name.isdigit() for name in os.listdir(self._root))  # noqa: PTH208 - names are enough
        except OSError:
            return None


def _parsed_file(parse: Callable[[bytes], T], file: KernelFile) -> T | None:
    """What `parse` makes of a file; None when it cannot be read."""
    text = file.read()
    return None if text is None else parse(text)
