"""Guest: a process whose folder this agent has claimed, with everything that is read from it."""

from __future__ import annotations

import mmap
import os
import struct
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tickspan_spool.entries import Entry, Signal
from tickspan_spool.folder import ProcessFolder
from tickspan_spool.home import PAGE
from tickspan_spool.layout import (
    CODE_OF_SIGNAL,
    FLAG_LAGS,
    PAGE_BYTES,
    WORD_ENDED,
    WORD_FLAGS,
    WORD_RINGED,
    WORD_SEGMENT,
)
from tickspan_spool.reasons import Reason
from tickspan_spool.sender import Destination
from tickspan_spool.track import Track

_WORD_BYTES: Final = 8
_QUAD: Final = struct.Struct("<Q")
_ALWAYS_NEW: Final = ()

_READING: Final = threading.Lock()
"""One thread reads at a time: a look for what a dead process left may hold a whole segment in memory."""

Losses = Mapping[Signal, Mapping[Reason, int]]


class PageView:
    """A process's counters as memory: to look whether one moved costs no system call."""

    def __init__(self, folder: ProcessFolder) -> None:
        self._map: mmap.mmap | None = None
        with suppress(OSError, ValueError):
            fd = os.open(folder.path / PAGE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                self._map = mmap.mmap(fd, PAGE_BYTES, prot=mmap.PROT_READ)
            finally:
                os.close(fd)

    def stamp(self, code: int) -> tuple[int, ...]:
        """Changes whenever a record of this signal may have come; empty when that cannot be told."""
        if self._map is None or self._word(WORD_FLAGS) & FLAG_LAGS:
            return _ALWAYS_NEW
        words = (WORD_SEGMENT, WORD_ENDED + code, WORD_RINGED + code)
        return tuple(self._word(word) for word in words)

    def _word(self, number: int) -> int:
        assert self._map is not None
        return _QUAD.unpack_from(self._map, number * _WORD_BYTES)[0]


class TrackSource:
    """A track for a courier, which is not read while nothing new can be in it. Read by one thread."""

    def __init__(self, guest: Guest, track: Track) -> None:
        self._guest = guest
        self._track = track
        self._code = CODE_OF_SIGNAL[track.signal]
        self._seen: tuple[int, ...] = _ALWAYS_NEW

    def __repr__(self) -> str:
        return f"<TrackSource {self._track}>"

    @property
    def signal(self) -> Signal:
        """What kind of records."""
        return self._track.signal

    @property
    def is_drained(self) -> bool:
        """Whether all that is there is settled."""
        return self._track.is_drained

    @property
    def has_news(self) -> bool:
        """Whether to read makes sense. Any thread."""
        if not self._guest.folder.is_alive():
            return not self._track.is_drained
        return not self._seen or self._guest.page.stamp(self._code) != self._seen

    def read(self, max_records: int, max_bytes: int) -> list[Entry]:
        """The oldest records that are not acknowledged."""
        if not self.has_news:
            return []
        stamp = self._guest.page.stamp(self._code)  # before: what comes while we read is news the next time
        with _READING:
            entries = self._track.read(max_records, max_bytes)
        if entries:
            self._seen = _ALWAYS_NEW
            self._guest.resource = entries[-1].stream.resource
        else:
            self._seen = stamp
        return entries

    def acknowledge(self, entries: Sequence[Entry], delivered: int, dropped: Mapping[Reason, int]) -> None:
        """These are settled, durably."""
        self._track.acknowledge(entries, delivered, dropped)


@dataclass(slots=True, eq=False)
class Guest:
    """A claimed folder.

    Attributes:
        folder: on disk.
        destinations: where its records go, None for one that cannot be used.
        is_own: whether it is an outbox of this very agent.
        page: its counters.
        sources: what is sent, each with its destination.
        resource: of the records seen last; empty while none was.
        told_lost: how many lost items were told so far.
        is_viewed: whether the taps run that it wants while somebody looks on.
        viewed: what those taps read, where it has no other taps.
    """

    folder: ProcessFolder
    destinations: tuple[Destination, ...]
    is_own: bool
    page: PageView
    sources: list[tuple[TrackSource, Destination]] = field(
        default_factory=list[tuple[TrackSource, Destination]]
    )
    resource: bytes = b""
    told_lost: Losses = field(default_factory=dict[Signal, Mapping[Reason, int]])
    is_viewed: bool = False
    viewed: tuple[TrackSource, ...] = ()

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the taps that look at its records now."""
        description = self.folder.description
        return (*description.taps, *description.viewed_taps) if self.is_viewed else description.taps
