"""RingTrack: the records in memory as a source for a sender in the same process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from .entries import Entry, Signal
from .layout import CODE_OF_SIGNAL, REASON_ROOM, WORD_DROPS, WORD_HANDED, WORD_RINGED
from .reasons import REASONS, Reason
from .ring import Kept
from .stock import Stock

if TYPE_CHECKING:
    from .segment import Tape

_LOCK_WAIT_S: Final = 1.0


class RingTrack:
    """Reads and settles like a track on disk. For one thread.

    A record under way that has to make room, or goes back to the disk, is not settled here any more.
    """

    destination: Final = 0

    def __init__(self, signal: Signal, stock: Stock, tape: Tape) -> None:
        self.signal: Signal = signal
        self._code = CODE_OF_SIGNAL[signal]
        self._stock = stock
        self._tape = tape
        self._batch: list[Kept] = []

    def __repr__(self) -> str:
        return f"<RingTrack {self.signal}, {len(self._batch)} records under way>"

    def read(self, max_records: int = 512, max_bytes: int = 1 << 20) -> list[Entry]:
        """The oldest records; the same ones again until they are acknowledged."""
        if not self._batch:
            self._tape.exclusively(lambda: self._choose(max_records, max_bytes), _LOCK_WAIT_S)
        return [Entry(kept.stream.key, kept.record, kept.items, 0) for kept in self._batch]

    def acknowledge(
        self,
        entries: Sequence[Entry],
        delivered: int,  # noqa: ARG002 - what the reasons leave is what counts
        dropped: Mapping[Reason, int],
    ) -> None:
        """These are settled: take them out of memory and count them."""
        batch = self._batch[: len(entries)]
        self._tape.exclusively(lambda: self._settle(batch, dropped), _LOCK_WAIT_S)
        self._batch = self._batch[len(entries) :]

    def rewind(self) -> None:
        """Forget what is under way: it is read again."""
        self._batch = []

    @property
    def is_drained(self) -> bool:
        """Whether nothing of its signal waits in memory."""
        return not self._stock.page[WORD_RINGED + self._code]

    def _choose(self, max_records: int, max_bytes: int) -> None:
        self._batch = self._stock.ring.of_signal(self._code, max_records, max_bytes)

    def _settle(self, batch: list[Kept], dropped: Mapping[Reason, int]) -> None:
        page, code = self._stock.page, self._code
        left = sum(kept.items for kept in self._stock.ring.remove(batch))
        page[WORD_RINGED + code] -= left
        for reason, count in dropped.items():
            counted = min(count, left)
            page[WORD_DROPS + code * REASON_ROOM + REASONS.index(reason)] += counted
            left -= counted
        page[WORD_HANDED + code] += left
