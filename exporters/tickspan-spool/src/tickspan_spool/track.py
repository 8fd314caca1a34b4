"""Track: one signal of one process on its way to one destination: what is read, and what is settled.

Several tracks read the same segments, each at its own pace. Nothing is ever locked against the writer, who
may be alive: a record is there when its header is whole.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from ._impl import segment
from .entries import Entry, Signal, StreamKey
from .layout import (
    CODE_OF_SIGNAL,
    RECORD_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    Acknowledgement,
    Page,
    PageCounts,
    aligned,
    next_record,
    parse_record_header,
    unpack_stream_key,
)
from .ledger import Ledger, balance
from .reasons import REASONS, Reason
from .uids import with_uid

TAP_TRACK: Final = -1
"""Where taps stand among the destinations of a process: they settle for themselves."""
VIEWER_TRACK: Final = -2
"""The same of viewers, who come and go: what they saw, or did not, is nobody's account."""
_CHUNK_BYTES: Final = 256 << 10
_WHOLE_BYTES: Final = 1 << 40
_SEARCH_EVERY_S: Final = 1.0
_QUAD: Final = struct.Struct("<Q")
_OFFSET_BITS: Final = 40
"""A place as one number, which is added to faster than a tuple is made."""


class Place(NamedTuple):
    """Where something is: in which segment, and how far in it."""

    segment: int
    offset: int


class Shelf(Protocol):
    """What a track needs of a process's folder."""

    path: Path
    streams: dict[int, StreamKey]

    def is_alive(self) -> bool: ...
    def page(self) -> Page: ...
    def read_segment(self, number: int, offset: int, size: int) -> bytes | None: ...
    def segment_after(self, number: int) -> int | None: ...
    def has_records(self, number: int) -> bool: ...
    def know_streams_before(self, number: int, offset: int) -> None: ...
    def find_streams(self) -> None: ...
    def note_damage(self, number: int) -> None: ...
    def count_items(self, number: int, place: Place, code: int) -> tuple[int, int]: ...
    def read_acknowledgement(self, name: str) -> Acknowledgement: ...
    def write_acknowledgement(self, name: str, ack: Acknowledgement) -> None: ...
    def tell_losses(self, signal: Signal, dropped: Mapping[Reason, int]) -> None: ...
    def remove_read_segments(self) -> list[int]: ...


class Track:
    """Reads and settles. `read` and `acknowledge` are for one thread; segments may be dropped meanwhile.

    Args:
        folder: of the process.
        signal: which of its records.
        destination: position of the destination in the process's description.
        viewer: the viewer's name, where it is for one.
    """

    def __init__(
        self,
        folder: Shelf,
        signal: Signal,
        destination: int,
        clock: Callable[[], float] = time.monotonic,
        viewer: str = "",
    ) -> None:
        self.signal: Signal = signal
        self.destination = destination
        self._folder = folder
        self._code = CODE_OF_SIGNAL[signal]
        self._clock = clock
        self._lock = threading.RLock()
        self._name = f"{signal}-{viewer or destination}.ack"
        self._ack = folder.read_acknowledgement(self._name)
        self._is_finished = False
        self._searched_at_s = float("-inf")
        self._searched: set[int] = set()
        self._start_over()

    def __repr__(self) -> str:
        name = f"{self._folder.path.name} {self.signal}-{self.destination}"
        return f"<Track {name}, {self._ack.delivered} delivered>"

    def _start_over(self) -> None:
        self._place = Place(self._ack.segment, self._ack.offset)
        self._next = self._ack.next_sequence
        self._batch: list[Entry] = []
        self._ends: list[int] = []

    # Reading ---------------------------------------------------------------------------------------------

    def read(self, max_records: int = 512, max_bytes: int = 1 << 20) -> list[Entry]:
        """The oldest records that are not settled; the same ones again until they are.

        At least one if there is any, however large it is. Damage is passed over. Raises OSError when the disk
        cannot be read.
        """
        with self._lock:
            before = self._place.segment
            if not self._batch and not self._is_finished:
                self._fill(max_records, max_bytes)
            batch, has_passed = list(self._batch), self._place.segment > before and not self._batch
        if has_passed:
            self._folder.remove_read_segments()
        return batch

    def _fill(self, max_records: int, max_bytes: int) -> None:
        is_final = not self._folder.is_alive()  # asked first: what the dead wrote is all there
        page = self._folder.page()
        counts = page.counts[self._code]
        is_expected = self._expected(counts) > 0
        if not is_final and page.is_exact and not is_expected:
            self._skip_to(page.segment)
            return
        self._collect(max_records, max_bytes, is_final=is_final, is_expected=is_expected)
        if is_final and not self._batch:
            self._finish(counts)

    def _expected(self, counts: PageCounts) -> int:
        """Items that lie in segments and are not read; never too few."""
        settled = self._ack.delivered + sum(self._ack.dropped) + sum(entry.items for entry in self._batch)
        explained = max(0, counts.passed - (self._next - settled))
        return counts.ended - counts.ringed - self._next - explained

    def _skip_to(self, number: int) -> None:
        """No segment before this one has anything for us, or the page would have counted it."""
        if number > self._place.segment:
            self._place = Place(number, SEGMENT_HEADER_BYTES)

    def _collect(self, max_records: int, max_bytes: int, *, is_final: bool, is_expected: bool) -> None:
        chunk_bytes = _CHUNK_BYTES
        while True:
            place = self._place
            data = self._folder.read_segment(place.segment, place.offset, chunk_bytes)
            if data is None:
                if not self._follow():
                    return
                continue
            self._folder.know_streams_before(place.segment, place.offset)
            position, stop = self._scan(data, max_records, max_bytes)
            self._place = Place(place.segment, place.offset + position)
            if stop == segment.FULL:
                return
            if stop == segment.SHORT and len(data) == chunk_bytes:
                chunk_bytes = _CHUNK_BYTES if position else chunk_bytes * 2
            elif stop == segment.ENDED:
                if not self._follow(_QUAD.unpack_from(data, position + RECORD_HEADER_BYTES)[0]):
                    return
            elif not self._resume(stop, is_searched=is_final or is_expected or stop != segment.BLANK):
                return

    def _scan(self, data: bytes, max_records: int, max_bytes: int) -> tuple[int, int]:
        known = len(self._batch)
        room = max_bytes - sum(len(entry.body) for entry in self._batch)
        ends: list[int] = []
        position, stop = segment.scan(
            data, 0, self._code, self._folder.streams, unpack_stream_key, self._batch, ends, max_records, room
        )
        if self.signal == "logs" and self.destination != TAP_TRACK:
            self._batch[known:] = [with_uid(entry, self._folder.path.name) for entry in self._batch[known:]]
        base = self._place.segment << _OFFSET_BITS | self._place.offset
        self._ends.extend(map(base.__add__, ends))
        if len(self._batch) > known:
            last = self._batch[-1]
            self._next = max(self._next, last.sequence + last.items)
        return position, stop

    def _follow(self, named: int = 0) -> bool:
        """Go on in the next segment that is there, not before the named one; False when there is none."""
        following = self._folder.segment_after(max(self._place.segment, named - 1))
        if following is None:
            return False
        self._place = Place(following, SEGMENT_HEADER_BYTES)
        return True

    def _resume(self, stop: int, *, is_searched: bool) -> bool:
        """Find the next whole record behind something that is none; False when there is none yet."""
        place = self._place
        if stop == segment.SPOILED and place.segment not in self._searched:
            self._searched.add(place.segment)
            self._folder.find_streams()  # perhaps only its definition is damaged here
            return True
        if not is_searched or not self._may_search():
            return False
        following = self._next_whole(place, stop)
        if following is None:
            return False
        if stop != segment.SPOILED and self._is_whole_now(place):
            return True
        if following.segment == place.segment or place.offset > SEGMENT_HEADER_BYTES:
            self._folder.note_damage(place.segment)  # else it was prepared ahead and never used
        self._place = following
        return True

    def _next_whole(self, place: Place, stop: int) -> Place | None:
        """Where the next record is that can be read, behind one that cannot."""
        rest = self._folder.read_segment(place.segment, place.offset, _WHOLE_BYTES) or b""
        header = parse_record_header(rest) if stop == segment.SPOILED else None
        found = next_record(rest, aligned(RECORD_HEADER_BYTES + header.length) if header else 8)
        if found >= 0:
            return Place(place.segment, place.offset + found)
        following = self._folder.segment_after(place.segment)
        if following is None or not self._folder.has_records(following):
            return None
        return Place(following, SEGMENT_HEADER_BYTES)

    def _is_whole_now(self, place: Place) -> bool:
        """Whether a record that was being written when it was looked at is there by now.

        Asked last, behind every search: a copy of a segment is not of one moment, so that a record behind the
        one that was unfinished may be in it.
        """
        head = self._folder.read_segment(place.segment, place.offset, RECORD_HEADER_BYTES) or b""
        header = parse_record_header(head)
        if header is None:
            return False
        end = RECORD_HEADER_BYTES + header.length
        whole = self._folder.read_segment(place.segment, place.offset, end) or b""
        return len(whole) == end

    def _may_search(self) -> bool:
        """A search reads all that is left of a segment: at a living writer's end, once a second at most."""
        if self._folder.is_alive():
            now_s = self._clock()
            if now_s < self._searched_at_s + _SEARCH_EVERY_S:
                return False
            self._searched_at_s = now_s
        return True

    def _finish(self, counts: PageCounts) -> None:
        """Its process is dead and everything is settled: what is missing now was unfinished."""
        settled = self._ack.delivered + sum(self._ack.dropped)
        explained = max(0, counts.passed - (self._next - settled))
        torn = max(0, counts.ended - self._next - explained)
        self._is_finished = True
        if torn or self._ack.next_sequence < max(self._next, counts.ended):
            self._advance(self._place, max(self._next, counts.ended), 0, {Reason.TORN: torn})

    # Settling --------------------------------------------------------------------------------------------

    def acknowledge(
        self,
        entries: Sequence[Entry],
        delivered: int,  # noqa: ARG002 - what the reasons leave is what counts
        dropped: Mapping[Reason, int],
    ) -> None:
        """The first records of the batch are settled: durably, and then segments nobody needs are removed.

        Args:
            entries: as `read` gave them, from the first on. Nothing happens when their segment was dropped
                meanwhile: they are counted already.
            delivered: items that the destination took. What the reasons leave of the batch is what counts, so
                that the ledger is exact whatever a receiver claims.
            dropped: items that it did not.

        Raises OSError when the disk refuses; the batch is unsettled then.
        """
        with self._lock:
            count = len(entries)
            if not count or not self._batch or entries[0].sequence != self._batch[0].sequence:
                return
            last = self._batch[count - 1]
            items = sum(entry.items for entry in entries)
            lost = _within(dropped, items)
            self._advance(
                _place(self._ends[count - 1]), last.sequence + last.items, items - sum(lost.values()), lost
            )
            del self._batch[:count], self._ends[:count]
        if self.destination != VIEWER_TRACK:
            self._folder.tell_losses(self.signal, lost)
        self._folder.remove_read_segments()

    def _advance(
        self, place: Place, next_sequence: int, delivered: int, dropped: Mapping[Reason, int]
    ) -> None:
        before = self._ack
        now = Acknowledgement(
            before.generation + 1,
            place.segment,
            place.offset,
            next_sequence,
            before.delivered + delivered,
            tuple(
                count + dropped.get(reason, 0) for reason, count in zip(REASONS, before.dropped, strict=True)
            ),
        )
        self._folder.write_acknowledgement(self._name, now)
        self._ack = now

    def rewind(self) -> None:
        """Read again from what is settled."""
        with self._lock:
            self._start_over()

    def drop_segment(self, number: int, reason: Reason) -> int:
        """Settle everything of the oldest segment as lost; how many items that are."""
        with self._lock:
            if self._ack.segment > number:
                return 0
            self._start_over()
            lost, next_sequence = self._folder.count_items(number, self._place, self._code)
            place = Place(number + 1, SEGMENT_HEADER_BYTES)
            self._advance(place, max(self._next, next_sequence), 0, {reason: lost})
            self._start_over()
        self._folder.tell_losses(self.signal, {reason: lost})
        return lost

    @property
    def oldest_segment(self) -> int:
        """The first segment that it still needs."""
        with self._lock:
            return _place(self._ends[0]).segment if self._ends else self._place.segment

    @property
    def is_drained(self) -> bool:
        """Whether everything that is there is settled; for good, when the process is dead."""
        with self._lock:
            if self._batch:
                return False
            if self._is_finished:
                return True
            page = self._folder.page()
            return page.is_exact and self._folder.is_alive() and self._expected(page.counts[self._code]) <= 0

    def ledger(self) -> Ledger:
        """What became of every item of its signal, as far as this destination goes."""
        with self._lock:
            return balance(self._folder.page().counts[self._code], self._ack)


def _place(number: int) -> Place:
    return Place(number >> _OFFSET_BITS, number & ((1 << _OFFSET_BITS) - 1))


def _within(dropped: Mapping[Reason, int], items: int) -> dict[Reason, int]:
    """The losses, cut where a receiver claims more than it was sent."""
    left, counted = items, dict[Reason, int]()
    for reason, count in dropped.items():
        counted[reason] = min(max(count, 0), left)
        left -= counted[reason]
    return counted


__all__ = ["Page", "Place", "Track"]
