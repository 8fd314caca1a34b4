"""Processes from outside: CPU time and memory of an application, its children and its agent."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_AGENT: Final = b"tickspan_spool.agent"
_SAMPLE_S: Final = 0.02
_KIB: Final = 1024
_SCHEDULED: Final = 2
"""Which of a process's clocks: the one that the scheduler keeps, in nanoseconds."""


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process, also of those that have ended; 0 when it is gone."""
    try:
        return time.clock_gettime_ns(~pid << 3 | _SCHEDULED)  # what `clock_getcpuclockid` makes of a pid
    except OSError:
        return 0


def family(pid: int) -> list[int]:
    """A process and what it has started that still lives."""
    members = [pid]
    for member in members:
        members += _children(member)
    return members


def agents(folder: Path) -> list[int]:
    """The agents that work on a spool below `folder`, wherever they hang in the tree of processes."""
    wanted = os.fsencode(folder)
    return [
        pid
        for pid in _pids()
        if _AGENT in (line := _read(pid, "cmdline")) and (wanted in line or wanted in _read(pid, "environ"))
    ]


def end_agents(folder: Path, patience_s: float = 5.0) -> None:
    """Ask the agents of a spool to end, and kill those that do not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in agents(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        until = time.monotonic() + patience_s
        while agents(folder):
            if time.monotonic() > until:
                break
            time.sleep(_SAMPLE_S)


@dataclass(slots=True)
class Memory:
    """Resident bytes of a process, looked at every 20 ms."""

    start: int = 0
    peak: int = 0
    end: int = 0
    peak_private: int = 0
    """Without files that are mapped: what is not given back under pressure."""
    samples: list[int] = field(default_factory=list[int])


@contextlib.contextmanager
def watched(pid: int) -> Generator[Memory]:
    """Memory of a process while the block lasts."""
    memory, done = Memory(), threading.Event()
    memory.start = resident_bytes(pid)[0]

    def watch() -> None:
        while not done.wait(_SAMPLE_S):
            _note(memory, pid)

    watcher = threading.Thread(target=watch, name="bench-memory")
    watcher.start()
    try:
        yield memory
    finally:
        done.set()
        watcher.join()
        memory.end = resident_bytes(pid)[0]


def resident_bytes(pid: int) -> tuple[int, int]:
    """Resident bytes in all, and those that belong to no file; zeros when the process is gone."""
    fields = dict(
        line.split(b":", 1)
        for line in _read(pid, "status").splitlines()
        if line.startswith((b"VmRSS", b"RssAnon"))
    )
    kibibytes = [int(fields.get(name, b"0 kB").split()[0]) for name in (b"VmRSS", b"RssAnon")]
    return kibibytes[0] * _KIB, kibibytes[1] * _KIB


def _note(memory: Memory, pid: int) -> None:
    resident, private = resident_bytes(pid)
    memory.samples.append(resident)
    memory.peak = max(memory.peak, resident)
    memory.peak_private = max(memory.peak_private, private)


def _children(pid: int) -> list[int]:
    threads = (_PROC / str(pid) / "task").glob("*/children")
    return [int(child) for children in threads for child in _lines(children)]


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split()
    except OSError:
        return []


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())


def _read(pid: int, name: str) -> bytes:
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:  # it ended meanwhile, or is not ours
        return b""
