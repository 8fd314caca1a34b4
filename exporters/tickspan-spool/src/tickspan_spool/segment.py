"""Tape and Stream: how a record gets into the mapped segment of its process; `scan`: how it is found there.

The hot module: interpreted or compiled from this one file (Cython's pure Python mode). One `Tape` belongs to
a process. Whoever gets its lock writes; whoever does not, parks the record for the one who has it. So nobody
waits, and a record that is ended inside an append (a garbage collection, a signal handler) is safe.

What happens under the lock and is no store into memory is asked of the *supply*: the next segment, the ring.
"""

# cython: boundscheck=False, wraparound=False
# C types are annotations that only the compiler knows:
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportMissingTypeArgument=false
# pyright: reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false, reportInvalidTypeForm=false
# pyright: reportOperatorIssue=false, reportMissingImports=false, reportOptionalMemberAccess=false
# pyright: reportUnboundVariable=false, reportArgumentType=false, reportReturnType=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false, reportUninitializedInstanceVariable=false
# pyright: reportAssignmentType=false, reportOptionalSubscript=false

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol
from zlib import crc32

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_AS_STRING
    from cython.cimports.libc.string import memcpy

from tickspan_spool.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tickspan_spool.entries import StreamKey

# As in `layout`, here as constants that a compiler can see.
_MAGIC = 0x4C505354
_HEADER = 32
_LARGEST = 4 << 20
_MOST_ITEMS = 0xFFFF
_RECORD = 1
_DEFINITION = 2
_END = 3
_CLEAN_EXIT = 4
_PENDING = 5
_SETTLED = 6
_SPAN_ID = 8
_WORD_FLAGS = 1
_WORD_CLEAN_EXITS = 2
_WORD_SEGMENT = 3
_WORD_PENDING = 4
_WORD_ENDED = 8
_WORD_RINGED = 16
_WORD_DROPS = 32
_REASON_ROOM = 16
_FLAG_RING = 1
_RING_FULL = 0
_TOO_BIG = 3
_INVALID = 4

TAIL_BYTES = 128
"""Kept free at a segment's end, for the records that end it."""
_MARKER = 40
_PARKED = 65_536
"""Most records that wait for the holder of the lock."""
_CROWDED = 32_768
"""From here on a thread gives the holder a moment to write what is parked: the alternative is a loss."""
_CROWDED_WAIT_S = 0.001
_LOSS = -1
"""The kind of a parked note that items were lost."""

_header = struct.Struct("<IIQIHBBII")
_checked = struct.Struct("<IIQIHBBI")
_word = struct.Struct("<I")
_quad = struct.Struct("<Q")
_new_tuple = tuple.__new__


class SegmentFile(Protocol):
    """A segment that is ready to be written."""

    number: int
    size: int
    view: memoryview | None
    """The mapped file; None when it is written by system calls."""
    start: int
    """Where the first record goes."""

    def write(self, offset: int, data: bytes) -> None:
        """Write without a map. Raises OSError."""
        ...


class Supply(Protocol):
    """What a tape asks for while it holds its lock. Nothing here raises."""

    room: int
    """The largest record, header and definition included, that fits an empty segment."""

    def take(self) -> SegmentFile | None:
        """The next segment, prepared ahead or made now; None when the disk refuses."""
        ...

    def retire(self, segment: Any) -> None:
        """This one is full; let somebody unmap it."""
        ...

    def keep(self, stream: Stream, kind: int, record: bytes, items: int) -> list[tuple[int, int]]:
        """Keep a record in memory; which others (signal, items) had to go for it."""
        ...

    def wake(self) -> None:
        """It will soon be time for the next segment. Must not wait."""
        ...

    def renew(self) -> None:
        """The process is a fork: begin again."""
        ...

    def fault(self) -> None:
        """The exception at hand should not have happened."""
        ...


@cython.final
@cython.cclass
class Tape:
    """Writes records into the segment of this process, one writer at a time, and counts them in its page.

    Args:
        supply: gives segments, takes what no disk takes.
        mark: one byte that is 1 until the process forks.
        checks_pid: whether `mark` survives a fork, so that the process id has to tell.
    """

    _supply: object
    _acquire: object
    _release: object
    _parked: object
    _lost: dict
    _mark: cython.uchar[::1]
    _pid: cython.long
    _segment: object
    _bytes: cython.uchar[::1]
    _words: cython.uint[::1]
    _page: cython.ulonglong[::1]
    _scratch: cython.uint[::1]
    _checked: object
    _position: cython.Py_ssize_t
    _limit: cython.Py_ssize_t
    _watermark: cython.Py_ssize_t
    _serial: cython.long
    _is_mapped: bool
    _is_ring: bool
    _is_away: bool

    def __init__(
        self, supply: Supply, mark: memoryview, page: memoryview, *, checks_pid: bool = False
    ) -> None:
        self._supply = supply
        self._mark = mark
        self._pid = os.getpid() if checks_pid else 0
        self._serial = 0
        scratch = memoryview(bytearray(_HEADER))
        self._scratch = scratch.cast("I")
        self._checked = scratch[:28]
        self.reset(page)

    def reset(self, page: memoryview) -> None:
        """Forget segment, lock and parked records: they are another process's."""
        lock = threading.Lock()
        self._acquire = lock.acquire
        self._release = lock.release
        self._parked = deque()
        self._lost = {}
        self._segment = None
        self._position = 0
        self._limit = 0
        self._watermark = 0
        self._serial += 1
        self._is_mapped = False
        self._is_ring = False
        self._is_away = False
        self._page = page
        if self._pid:
            self._pid = os.getpid()

    def use_page(self, page: memoryview) -> None:
        """Count here from now on; under the lock."""
        self._page = page

    @property
    def is_ring(self) -> bool:
        """Whether records go to memory, since no disk takes them."""
        return self._is_ring

    @property
    def is_away(self) -> bool:
        """Whether the holder of the lock asks the disk for a segment, which may take its time."""
        return self._is_away

    @property
    def position(self) -> int:
        """Where in the segment the next record goes; 0 without a segment."""
        return self._position

    @property
    def parked(self) -> int:
        """Records that wait for the holder of the lock."""
        return len(self._parked)

    def exclusively(self, action: Callable[[], object], timeout_s: float) -> bool:
        """Run `action` with the lock held; False when it could not be had in time."""
        release = self._release  # of the lock that is taken next, should it be replaced meanwhile
        if not self._acquire(True, timeout_s):
            return False
        try:
            self._drain()
            action()
        finally:
            release()
        self._settle()
        return True

    def break_lock(self) -> None:
        """Replace a lock whose holder never came back: an interrupt struck between taking and using it.

        Its segment stays mapped for ever, should the holder come back after all.
        """
        lock = threading.Lock()
        self._segment = None
        self._position = 0
        self._limit = 0
        self._acquire = lock.acquire
        self._release = lock.release

    def drop(self, signal: int, reason: int, items: int) -> None:
        """Count a loss; it consumes sequence numbers. Any thread."""
        try:
            if self._is_forked():
                self._supply.renew()
            self._parked.append((None, (signal, reason), items, _LOSS, 0))
            self._settle()
        except Exception:  # noqa: BLE001 - the guard of the recording side
            self._supply.fault()

    def back_to_disk(self, stream: Stream, kind: int, record: bytes, items: int) -> bool:
        """Write a record that waited in memory, under the lock; False when the disk still refuses."""
        if not self._has_room(stream, len(record)) and not self._roll():
            return False
        try:
            self._write(stream, record, items, kind, crc32(record))
        except OSError:
            self._limit = 0
            return False
        self._page[_WORD_RINGED + stream._signal] -= items
        return True

    def leave_ring(self) -> bool:
        """The ring is empty: use the disk again if it takes records, under the lock."""
        if not self._limit and not self._roll():
            return False
        self._is_ring = False
        self._page[_WORD_FLAGS] = self._page[_WORD_FLAGS] & ~_FLAG_RING
        return True

    def enter_ring(self) -> None:
        """The segment is gone: keep records in memory until there is another one, under the lock."""
        self._limit = 0
        self._position = 0
        self._is_ring = True
        self._page[_WORD_FLAGS] = self._page[_WORD_FLAGS] | _FLAG_RING

    def clean_exit(self, unix_ns: int) -> None:
        """Say that the process ends in order, under the lock."""
        self._page[_WORD_CLEAN_EXITS] = self._page[_WORD_CLEAN_EXITS] + 1
        if self._limit and self._position + 2 * _MARKER <= self._segment.size:
            self._marker(_CLEAN_EXIT, unix_ns)

    @cython.cfunc
    def _is_forked(self) -> bool:
        return self._mark[0] != 1 or (self._pid != 0 and self._pid != os.getpid())

    @cython.cfunc
    def _append(self, stream: Stream, record: bytes, items: cython.long, kind: cython.int) -> None:
        """Write one record, or leave it to the one who writes."""
        if self._is_forked():
            self._supply.renew()
        checksum: cython.uint = crc32(record)
        release = self._release  # of the lock that is taken next, should it be replaced meanwhile
        if self._acquire(False) or (len(self._parked) > _CROWDED and self._acquire(True, _CROWDED_WAIT_S)):
            try:
                if self._parked:
                    self._drain()
                self._put(stream, record, items, kind, checksum)
            finally:
                release()
        elif len(self._parked) < _PARKED:
            self._parked.append((stream, record, items, kind, checksum))
        else:
            self._lose(stream._signal, items)
        if self._parked:  # also ours, when the holder went before it saw it
            self._settle()

    @cython.cfunc
    def _lose(self, signal: cython.int, items: cython.long) -> None:
        """Count where no other thread counts: nothing here is held by a lock."""
        mine = (threading.get_ident(), signal)
        self._lost[mine] = self._lost.get(mine, 0) + items

    @cython.cfunc
    def _settle(self) -> None:
        release = self._release
        while self._parked and self._acquire(False):
            try:
                self._drain()
            finally:
                release()

    @cython.cfunc
    def _drain(self) -> None:
        """Write what is parked; under the lock."""
        while self._parked:
            stream, record, items, kind, checksum = self._parked.popleft()
            if kind == _LOSS:
                self._count_loss(record[0], record[1], items)
            else:
                self._put(stream, record, items, kind, checksum)
        if self._lost:
            self._count_lost()

    @cython.cfunc
    def _count_lost(self) -> None:
        for key in list(self._lost):
            self._count_loss(key[1], _RING_FULL, self._lost.pop(key))

    @cython.cfunc
    def _count_loss(self, signal: cython.int, reason: cython.int, items: cython.long) -> None:
        drops: cython.int = _WORD_DROPS + signal * _REASON_ROOM + reason
        self._page[drops] += items
        self._page[_WORD_ENDED + signal] += items

    @cython.cfunc
    def _put(
        self, stream: Stream, record: bytes, items: cython.long, kind: cython.int, checksum: cython.uint
    ) -> None:
        """Write one record into the segment, the next segment, or the ring; under the lock."""
        size: cython.Py_ssize_t = len(record)
        if not self._has_room(stream, size):
            if size > _LARGEST or _aligned(_HEADER + size) + stream._definition_size > self._supply.room:
                self._count_loss(stream._signal, _TOO_BIG, items)
                return
            if self._is_ring or not self._roll():
                self._keep(stream, record, items, kind)
                return
        try:
            self._write(stream, record, items, kind, checksum)
        except OSError:
            self._limit = 0
            self._keep(stream, record, items, kind)
            return
        self._page[_WORD_ENDED + stream._signal] += items
        if kind == _PENDING:
            self._page[_WORD_PENDING] += 1
        if self._position > self._watermark:
            self._watermark = self._limit
            self._supply.wake()

    @cython.cfunc
    def _has_room(self, stream: Stream, size: cython.Py_ssize_t) -> bool:
        need: cython.Py_ssize_t = _aligned(_HEADER + size)
        if stream._serial != self._serial:
            need += stream._definition_size
        return need <= self._limit - self._position and size <= _LARGEST

    @cython.cfunc
    def _write(
        self, stream: Stream, record: bytes, items: cython.long, kind: cython.int, checksum: cython.uint
    ) -> None:
        signal: cython.int = stream._signal
        if stream._serial != self._serial:
            self._define(stream)
        sequence: cython.ulonglong = self._page[_WORD_ENDED + signal] - self._page[_WORD_RINGED + signal]
        self._frame(record, checksum, sequence, stream._number, items, kind, signal)

    @cython.cfunc
    def _define(self, stream: Stream) -> None:
        """Twice: one damaged definition would cost all records of its stream."""
        definition: bytes = stream._definition
        for _ in range(2):
            self._frame(definition, crc32(definition), 0, stream._number, 0, _DEFINITION, stream._signal)
        stream._serial = self._serial

    @cython.cfunc
    def _keep(self, stream: Stream, record: bytes, items: cython.long, kind: cython.int) -> None:
        if not self._is_ring:
            self._is_ring = True
            self._page[_WORD_FLAGS] = self._page[_WORD_FLAGS] | _FLAG_RING
        gone = self._supply.keep(stream, kind, record, items)
        self._page[_WORD_ENDED + stream._signal] += items
        self._page[_WORD_RINGED + stream._signal] += items
        for signal, lost in gone:
            index: cython.int = signal
            self._page[_WORD_DROPS + index * _REASON_ROOM + _RING_FULL] += lost
            self._page[_WORD_RINGED + index] -= lost

    @cython.cfunc
    def _roll(self) -> bool:
        """Go on in the next segment; False when there is none."""
        self._is_away = True
        following = self._supply.take()
        self._is_away = False
        if following is None:
            return False
        if self._limit:
            self._marker(_END, following.number)
        finished = self._segment
        self._attach(following)
        if finished is not None:
            self._supply.retire(finished)
        return True

    @cython.cfunc
    def _attach(self, segment: object) -> None:
        view = segment.view
        self._bytes = view
        self._words = view.cast("I") if view is not None else None
        self._is_mapped = view is not None
        self._segment = segment
        self._position = segment.start
        self._limit = segment.size - TAIL_BYTES
        self._watermark = self._limit >> 3
        self._serial += 1
        self._page[_WORD_SEGMENT] = segment.number

    @cython.cfunc
    def _marker(self, kind: cython.int, value: cython.ulonglong) -> None:
        """A record about the segment itself; the room for two of them is kept."""
        payload: bytes = _quad.pack(value)
        try:
            self._frame(payload, crc32(payload), 0, 0, 0, kind, 0)
        except OSError:  # the reader finds the next segment without it
            self._limit = 0

    @cython.cfunc
    def _frame(
        self,
        payload: bytes,
        checksum: cython.uint,
        sequence: cython.ulonglong,
        stream: cython.uint,
        items: cython.long,
        kind: cython.int,
        signal: cython.int,
    ) -> None:
        """Store header and payload at the position, the length last: only then the record is there."""
        size: cython.Py_ssize_t = len(payload)
        position: cython.Py_ssize_t = self._position
        index: cython.Py_ssize_t = position >> 2
        if not self._is_mapped:
            head = _checked.pack(_MAGIC, size, sequence, stream, items, kind, signal, checksum)
            whole = head + _word.pack(crc32(head)) + payload
            self._segment.write(position, whole.ljust(_aligned(_HEADER + size), b"\0"))
        elif cython.compiled:
            memcpy(
                cython.address(self._bytes[position + _HEADER]),
                PyBytes_AS_STRING(payload),
                cython.cast(cython.size_t, size),
            )
            self._scratch[0] = _MAGIC
            self._scratch[1] = cython.cast(cython.uint, size)
            self._scratch[2] = cython.cast(cython.uint, sequence & 0xFFFFFFFF)
            self._scratch[3] = cython.cast(cython.uint, sequence >> 32)
            self._scratch[4] = stream
            self._scratch[5] = cython.cast(cython.uint, items | (kind << 16) | (signal << 24))
            self._scratch[6] = checksum
            self._scratch[7] = crc32(self._checked)  # a foreign call: no store moves across it
            memcpy(cython.address(self._words[index + 2]), cython.address(self._scratch[2]), 24)
            self._words[index] = _MAGIC
            self._words[index + 1] = cython.cast(cython.uint, size)
        else:
            head = _checked.pack(_MAGIC, size, sequence, stream, items, kind, signal, checksum)
            rest = b"".join((head[8:], _word.pack(crc32(head)), payload))
            self._bytes[position + 8 : position + _HEADER + size] = rest
            self._words[index] = _MAGIC
            self._words[index + 1] = size
        self._position = position + _aligned(_HEADER + size)


@cython.final
@cython.cclass
class Stream:
    """Where the recording side puts records that share signal, resource and scope.

    Every method may be called from any thread, signal handler, finalizer, and after a fork; none raises, none
    waits.
    """

    _tape: Tape
    _key: object
    _number: cython.uint
    _signal: cython.int
    _definition: bytes
    _definition_size: cython.Py_ssize_t
    _serial: cython.long

    def __init__(self, tape: Tape, key: StreamKey, number: int, signal: int, definition: bytes) -> None:
        self._tape = tape
        self._key = key
        self._number = number
        self._signal = signal
        self._definition = definition
        self._definition_size = 2 * _aligned(_HEADER + len(definition))
        self._serial = 0

    def __repr__(self) -> str:
        return f"<Stream {self._number} of {self._key.signal}>"

    @property
    def key(self) -> StreamKey:
        """What its records share."""
        return self._key

    @property
    def signal_code(self) -> int:
        """The signal's number in the files."""
        return self._signal

    def append(self, record: object, items: object = 1) -> None:
        """Record `items` ended items.

        Args:
            record: bytes, one or more entries of field 2 of a scope group, tag and length included.
            items: how many spans, log records or metric points they hold, at most 65,535.

        What is no such record is counted as a loss, `invalid` or `too_big`.
        """
        try:
            if type(record) is bytes and record and type(items) is int and 0 <= items <= _MOST_ITEMS:
                self._tape._append(self, record, items, _RECORD)
            else:
                self._refuse(record, items)
        except Exception:  # noqa: BLE001 - the guard of the recording side
            self._tape._supply.fault()

    def pending(self, span_id: object, record: object) -> None:
        """A span that has begun and must be told of should the process die before `settled(span_id)`.

        Args:
            span_id: 8 bytes.
            record: the span as far as it is known, framed like an ended one. It counts for nothing.
        """
        try:
            if type(span_id) is bytes and len(span_id) == _SPAN_ID and type(record) is bytes:
                self._tape._append(self, span_id + record, 0, _PENDING)
        except Exception:  # noqa: BLE001 - the guard of the recording side
            self._tape._supply.fault()

    def settled(self, span_id: object) -> None:
        """The pending span of this id has ended."""
        try:
            if type(span_id) is bytes and len(span_id) == _SPAN_ID:
                self._tape._append(self, span_id, 0, _SETTLED)
        except Exception:  # noqa: BLE001 - the guard of the recording side
            self._tape._supply.fault()

    @cython.cfunc
    def _refuse(self, record: object, items: object) -> None:
        lost = items if type(items) is int and items > 0 else 1
        is_big = type(record) is bytes and lost > _MOST_ITEMS
        self._tape.drop(self._signal, _TOO_BIG if is_big else _INVALID, lost)


@cython.cfunc
@cython.inline
def _aligned(size: cython.Py_ssize_t) -> cython.Py_ssize_t:
    return (size + 7) & ~7


# What `scan` stopped at.
FULL = 0
"""As much as was asked for."""
SHORT = 1
"""The record goes on behind the data."""
BLANK = 2
"""Nothing is written here, or not yet."""
BAD = 3
"""This is no whole header."""
SPOILED = 4
"""The header is whole, its payload is not (or its stream is unknown)."""
ENDED = 5
"""The segment ends here; the next one goes on."""


def scan(  # noqa: PLR0911 - each return is a thing that reading can stop at
    data: bytes,
    start: int,
    signal: int,
    streams: dict[int, Any],
    define: Callable[[bytes], Any],
    entries: list[Entry],
    ends: list[int],
    most_records: int,
    most_bytes: int,
) -> tuple[int, int]:
    """Collect the records of one signal, and note the streams that are defined on the way.

    Args:
        data: a part of a segment that begins at a multiple of 8.
        start: where in `data` to begin.
        signal: code of the signal that is wanted.
        streams: keys by number; grows.
        define: makes a key of a definition's payload, None of a damaged one.
        entries: grows by what is found.
        ends: where in `data` each of them ends.
        most_records: stop when `entries` is as long as this.
        most_bytes: stop before the bodies found here exceed this, but not before the first.

    Returns:
        Where it stopped, and at what: one of the constants above.
    """
    position: cython.Py_ssize_t = start
    size: cython.Py_ssize_t = len(data)
    count: cython.Py_ssize_t = len(entries)
    most: cython.Py_ssize_t = most_records
    room: cython.Py_ssize_t = most_bytes
    body: cython.Py_ssize_t
    end: cython.Py_ssize_t
    kind: cython.int
    wanted: cython.int = signal
    while count < most:
        body = position + _HEADER
        if body > size:
            return position, SHORT
        magic, length, sequence, stream, items, kind, code, payload_crc, checksum = _header.unpack_from(
            data, position
        )
        if magic != _MAGIC or not length or crc32(data[position : position + 28]) != checksum:
            return position, BLANK if magic == 0 and length == 0 else BAD
        end = body + length
        if end > size:
            return position, SHORT
        if kind == _RECORD:
            if code == wanted:
                payload = data[body:end]
                key = streams.get(stream)
                if crc32(payload) != payload_crc or key is None:
                    return position, SPOILED
                if length > room and count:
                    return position, FULL
                entries.append(_new_tuple(Entry, (key, payload, items, sequence)))
                ends.append((end + 7) & ~7)
                room -= length
                count += 1
        elif kind == _DEFINITION:
            if stream not in streams:
                payload = data[body:end]
                key = define(payload) if crc32(payload) == payload_crc else None
                if key is not None:
                    streams[stream] = key
        elif kind == _END:
            return position, ENDED if crc32(data[body:end]) == payload_crc else SPOILED
        position = (end + 7) & ~7
    return position, FULL


def walk(data: bytes, start: int, kinds: tuple[int, ...]) -> list[tuple[int, int, int, bytes]]:
    """The whole records of these kinds as (kind, stream, signal, payload), damaged ones passed over."""
    found: list[tuple[int, int, int, bytes]] = []
    position: cython.Py_ssize_t = start
    size: cython.Py_ssize_t = len(data)
    while position + _HEADER <= size:
        magic, length, _, stream, _, kind, code, payload_crc, checksum = _header.unpack_from(data, position)
        if magic != _MAGIC or not length or crc32(data[position : position + 28]) != checksum:
            position = _resume(data, position + 8)
            if position < 0:
                break
            continue
        payload = data[position + _HEADER : position + _HEADER + length]
        if kind in kinds and len(payload) == length and crc32(payload) == payload_crc:
            found.append((kind, stream, code, payload))
        position = _aligned(position + _HEADER + length)
    return found


def _resume(data: bytes, start: int) -> int:
    """The next place at which a magic number stands in step; -1 when there is none."""
    found = data.find(b"TSPL", start)
    while found >= 0 and found % 8:
        found = data.find(b"TSPL", found + 1)
    return found
