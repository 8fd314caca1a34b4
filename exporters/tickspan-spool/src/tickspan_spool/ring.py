"""Ring: records in memory while no disk takes them, bounded by number and by bytes; the oldest make room."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from .segment import Stream

LARGEST_RING_BYTES: Final = 32 << 20


class Kept(NamedTuple):
    """One record in memory."""

    stream: Stream
    kind: int
    record: bytes
    items: int


class Ring:
    """First in, first out. Its owner's lock guards it.

    Args:
        most_records: its bound.
        most_bytes: the other one.
    """

    def __init__(self, most_records: int, most_bytes: int = LARGEST_RING_BYTES) -> None:
        self._most_records = most_records
        self._most_bytes = most_bytes
        self._kept: deque[Kept] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<Ring {len(self._kept)} of {self._most_records} records, {self._bytes / 2**20:.1f} MiB>"

    @property
    def size_bytes(self) -> int:
        """Of the records that it holds."""
        return self._bytes

    def keep(self, kept: Kept) -> list[Kept]:
        """Add one; returns those that had to go: the oldest, whose news is worth least."""
        gone: list[Kept] = []
        self._kept.append(kept)
        self._bytes += len(kept.record)
        while len(self._kept) > self._most_records or self._bytes > self._most_bytes:
            gone.append(self.take())
        return gone

    def oldest(self) -> Kept | None:
        """The one that goes next."""
        return self._kept[0] if self._kept else None

    def take(self) -> Kept:
        """Remove the oldest."""
        kept = self._kept.popleft()
        self._bytes -= len(kept.record)
        return kept

    def remove(self, wanted: list[Kept]) -> list[Kept]:
        """Remove these very records where they are still there; returns those that were."""
        identities = set(map(id, wanted))
        found = [kept for kept in self._kept if id(kept) in identities]
        self._kept = deque(kept for kept in self._kept if id(kept) not in identities)
        self._bytes -= sum(len(kept.record) for kept in found)
        return found

    def of_signal(self, signal: int, most_records: int, most_bytes: int) -> list[Kept]:
        """The oldest records (kind 1) of one signal, at least one if there is any."""
        chosen: list[Kept] = []
        size = 0
        for kept in self._kept:
            if kept.stream.signal_code != signal or kept.kind != 1:
                continue
            size += len(kept.record)
            if chosen and (size > most_bytes or len(chosen) >= most_records):
                break
            chosen.append(kept)
        return chosen
