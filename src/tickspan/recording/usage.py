"""How much memory the process has, by what it is: of `/proc/self/statm`, about five microseconds a look.

What belongs to no file is anonymous: the heap of the interpreter and of C libraries. What is shared belongs
to files, such as libraries and the spool.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from pathlib import Path
from typing import Final, NamedTuple

from tickspan.recording.marks import SpanMarks
from tickspan.recording.procfs import PROC, KernelFile, parsed

__all__ = ["LOOKS", "Looks", "Usage", "UsageReader", "usage_of"]

MOVED_BYTES: Final = 8 << 20
"""A change of resident memory that is told."""
_LOOKS_KEPT: Final = 600


class Usage(NamedTuple):
    """Bytes."""

    resident: int
    anonymous: int
    mapped: int


def usage_of(text: bytes, page_bytes: int) -> Usage | None:
    """As proc_pid_statm(5) says: size, resident and shared pages."""

    def parse(text: bytes) -> Usage:
        fields = text.split(None, 3)
        resident, shared = int(fields[1]) * page_bytes, int(fields[2]) * page_bytes
        return Usage(resident, resident - shared, shared)

    return parsed(parse, text)


class UsageReader:
    """Reads of this process. A process that was forked off reads its own. For one thread at a time."""

    def __init__(self, root: Path = PROC) -> None:
        self._file = KernelFile(root / "self/statm")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4_096

    def __repr__(self) -> str:
        return f"<UsageReader {self._file!r}>"

    def read(self) -> Usage | None:
        """Now; None where the kernel does not tell."""
        text = self._file.read()
        return None if text is None else usage_of(text, self._page_bytes)


class Looks:
    """Resident memory at the looks of the last minutes. One thread notes, any thread asks."""

    def __init__(self) -> None:
        self.marks = SpanMarks()
        self.forget()

    def __repr__(self) -> str:
        return f"<Looks {len(self._kept)} kept>"

    def forget(self) -> None:
        """Begin anew."""
        self._kept: tuple[tuple[int, int], ...] = ()
        self._reference = 0
        self.last_move_ns = 0
        """When resident memory had last changed by 8 MiB, by the clock of spans."""

    def note(self, at_ns: int, resident_bytes: int) -> None:
        """A look; a clock that was set back lets all earlier ones be forgotten."""
        if self._kept and at_ns < self._kept[-1][0]:
            self.forget()
        if not self._kept:
            self._reference = resident_bytes
        if abs(resident_bytes - self._reference) >= MOVED_BYTES:
            self._reference = resident_bytes
            self.last_move_ns = at_ns
            self.marks.held_ns = max(self.marks.held_ns, at_ns)
        self._kept = (*self._kept[1 - _LOOKS_KEPT :], (at_ns, resident_bytes))

    def moved_since(self, start_ns: int) -> int | None:
        """By how much memory has changed since the last look before a time; None without such a look."""
        kept = self._kept
        place = bisect_right(kept, start_ns, key=lambda look: look[0])
        return kept[-1][1] - kept[place - 1][1] if place else None


LOOKS: Final = Looks()
"""Those at this process, once somebody looks."""
