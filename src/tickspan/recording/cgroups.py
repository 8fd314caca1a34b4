"""The cgroup of this process, version 2: its limits, and what it used of them.

A cgroup without limits is none that a container made. Limits hold for all that is below them: the nearest one
that is set counts, with the counters of the group that has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tickspan.recording.procfs import PROC, KernelFile, numbers, parsed

__all__ = ["Cgroup", "CgroupCpu", "CgroupMemory", "cgroup_folders", "cpu_limit", "cpu_stat", "memory_limit"]

_US_PER_S: Final = 1e6
_NS_PER_US: Final = 1_000
_NO_LIMIT: Final = b"max"
_MOST_FOLDERS: Final = 64


class CgroupCpu(NamedTuple):
    """`cpu.stat`: times of all threads, and how often and long they waited for the quota's next period."""

    user_s: float
    system_s: float
    periods: int
    throttled_periods: int
    throttled_ns: int


class CgroupMemory(NamedTuple):
    """Bytes.

    Attributes:
        usage: with the page cache.
        working_set: without the page cache that was not used of late.
        limit: that the group must not pass.
    """

    usage: int
    working_set: int
    limit: int


def cpu_limit(text: bytes) -> float | None:
    """CPUs of `cpu.max`, such as 1.5; None for no limit."""

    def parse(text: bytes) -> float | None:
        quota, period = text.split()
        return None if quota == _NO_LIMIT else int(quota) / int(period)

    try:
        return parsed(parse, text)
    except ZeroDivisionError:
        return None


def memory_limit(text: bytes) -> int | None:
    """Bytes of `memory.max`; None for no limit."""
    return parsed(lambda text: None if text.strip() == _NO_LIMIT else int(text), text)


def cpu_stat(text: bytes) -> CgroupCpu | None:
    """`cpu.stat` of a group whose CPU controller is on."""

    def parse(text: bytes) -> CgroupCpu:
        found = numbers(text)
        return CgroupCpu(
            found[b"user_usec"] / _US_PER_S,
            found[b"system_usec"] / _US_PER_S,
            found[b"nr_periods"],
            found[b"nr_throttled"],
            found[b"throttled_usec"] * _NS_PER_US,
        )

    return parsed(parse, text)


def cgroup_folders(membership: bytes, mounts: bytes) -> tuple[Path, ...]:
    """The folder of the process's cgroup and those above it, innermost first; empty without version 2.

    Args:
        membership: `/proc/self/cgroup`.
        mounts: `/proc/self/mountinfo`.
    """
    own = next((line[3:] for line in membership.splitlines() if line.startswith(b"0::/")), None)
    mount = next(_mounts(mounts), None)
    if own is None or mount is None:
        return ()
    root, point = mount
    inside = own.removeprefix(root.rstrip(b"/")).strip(b"/")
    top = Path(os.fsdecode(point))
    if not inside or b".." in inside.split(b"/"):
        return (top,)
    inner = top / os.fsdecode(inside)
    return (inner, *list(inner.parents)[: len(inner.relative_to(top).parts)][:_MOST_FOLDERS])


def _mounts(mounts: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Root and mount point of each cgroup2 file system, as proc_pid_mountinfo(5) says."""
    for line in mounts.splitlines():
        before, dash, after = line.partition(b" - ")
        fields = before.split()
        if dash and after.startswith(b"cgroup2 ") and len(fields) > 4:  # noqa: PLR2004 - root and mount point
            yield fields[3], fields[4]


class Cgroup:
    """The limits of the process and the files of the groups that have them. For one thread at a time."""

    def __init__(self, root: Path = PROC) -> None:
        """Find them; nothing is found without cgroups of version 2, or without a limit."""
        folders = cgroup_folders(_text(root / "self/cgroup"), _text(root / "self/mountinfo"))
        self._memory = next((one for one in folders if memory_limit(_text(one / "memory.max"))), None)
        self._cpu = next((one for one in folders if cpu_limit(_text(one / "cpu.max"))), None)
        files = ("memory.current", "memory.stat", "memory.max")
        self._usage, self._parts, self._limit = (_file(self._memory, name) for name in files)
        self._stat, self._quota = (_file(self._cpu, name) for name in ("cpu.stat", "cpu.max"))

    def __repr__(self) -> str:
        return f"<Cgroup memory {self._memory or 'unlimited'}, CPU {self._cpu or 'unlimited'}>"

    @property
    def has_memory_limit(self) -> bool:
        """Whether there was one when this was made."""
        return self._memory is not None

    @property
    def has_cpu_limit(self) -> bool:
        """Whether there was one when this was made."""
        return self._cpu is not None

    def cpus(self) -> float | None:
        """How many the process may use; None for no limit."""
        text = None if self._quota is None else self._quota.read()
        return None if text is None else cpu_limit(text)

    def cpu(self) -> CgroupCpu | None:
        """Times and throttling; None without a limit."""
        text = None if self._stat is None else self._stat.read()
        return None if text is None else cpu_stat(text)

    def memory_limit(self) -> int | None:
        """Bytes; None for no limit."""
        text = None if self._limit is None else self._limit.read()
        return None if text is None else memory_limit(text)

    def memory(self) -> CgroupMemory | None:
        """What is used; None without a limit."""
        limit = self.memory_limit()
        if limit is None or self._usage is None or self._parts is None:
            return None
        usage = parsed(int, self._usage.read())
        if usage is None:
            return None
        idle_cache = numbers(self._parts.read() or b"").get(b"inactive_file", 0)
        return CgroupMemory(usage, max(0, usage - idle_cache), limit)


def _text(path: Path) -> bytes:
    file = KernelFile(path)
    try:
        return file.read() or b""
    finally:
        file.close()


def _file(folder: Path | None, name: str) -> KernelFile | None:
    return None if folder is None else KernelFile(folder / name)
