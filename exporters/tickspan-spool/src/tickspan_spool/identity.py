"""Who a process is: what tells it from every other that ever had its number, and from its own ghost."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

_DEAD_STATES = frozenset("ZXx")
_STATE, _START_TIME = 0, 19
"""Positions behind the name in /proc/<pid>/stat, fields 3 and 22 of proc(5)."""


class ProcessState(NamedTuple):
    """What the kernel says about a process number.

    Attributes:
        start_time: in ticks after boot.
        is_running: false of a zombie, which runs no code any more.
    """

    start_time: int
    is_running: bool


@cache
def boot_id() -> bytes:
    """16 bytes that name this boot of the machine; zeros where there is no /proc."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return bytes.fromhex(text.strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def pid_namespace() -> int:
    """The inode of this process's pid namespace: in containers everybody is pid 1. 0 where it is unknown."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - pathlib would resolve the link
    except OSError:
        return 0


def process_state(pid: int) -> ProcessState | None:
    """What runs under this number in our namespace; None when nothing does, or there is no /proc."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = text[text.rindex(")") + 2 :].split()  # the name may hold spaces and parentheses
        return ProcessState(int(fields[_START_TIME]), fields[_STATE] not in _DEAD_STATES)
    return None


def own_start_time() -> int:
    """When this process began, in ticks after boot; 0 where there is no /proc."""
    state = process_state(os.getpid())
    return state.start_time if state else 0


def environment_id(prefix: str | None = None) -> str:
    """Twelve digits that name a Python environment: two of them may share one user's spool."""
    return hashlib.sha256((prefix or sys.prefix).encode(errors="surrogateescape")).hexdigest()[:12]
