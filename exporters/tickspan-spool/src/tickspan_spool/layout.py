"""The spool's bytes: segment header, record, acknowledgement slot, page, packed stream key. Pure functions.

Everything is little endian, like every machine that maps these files. A file written by another version of
the format stands in another folder (`v1`), so nothing here asks for a version twice.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from zlib import crc32

from .entries import Signal, StreamKey
from .reasons import REASONS, Reason

SIGNALS: Final[tuple[Signal, ...]] = ("traces", "metrics", "logs")
"""Those that have a ledger."""
ALL_SIGNALS: Final[tuple[Signal, ...]] = (*SIGNALS, "profiles", "samples")
"""In the order of their codes."""
CODE_OF_SIGNAL: Final[Mapping[Signal, int]] = {signal: code for code, signal in enumerate(ALL_SIGNALS)}

# Segment -------------------------------------------------------------------------------------------------

SEGMENT_MAGIC: Final = b"TSPSEG\x01\n"
SEGMENT_HEADER_BYTES: Final = 64
FORMAT_VERSION: Final = 1
_SEGMENT: Final = struct.Struct("<8sII16sQQQ")
_CRC: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment says about itself; `number` counts from 1 within a process's folder."""

    boot_id: bytes
    pid_namespace: int
    number: int
    size_bytes: int

    def pack(self) -> bytes:
        """Its 64 bytes."""
        fields = _SEGMENT.pack(
            SEGMENT_MAGIC,
            FORMAT_VERSION,
            SEGMENT_HEADER_BYTES,
            self.boot_id,
            self.pid_namespace,
            self.number,
            self.size_bytes,
        )
        return (fields + _CRC.pack(crc32(fields))).ljust(SEGMENT_HEADER_BYTES, b"\0")


def parse_segment_header(data: bytes) -> SegmentHeader | None:
    """The header at the beginning of `data`; None when it is short, foreign or damaged."""
    if len(data) < SEGMENT_HEADER_BYTES:
        return None
    magic, version, header_size, boot_id, pid_namespace, number, size = _SEGMENT.unpack_from(data)
    (checksum,) = _CRC.unpack_from(data, _SEGMENT.size)
    known = (SEGMENT_MAGIC, FORMAT_VERSION, SEGMENT_HEADER_BYTES, crc32(data[: _SEGMENT.size]))
    if (magic, version, header_size, checksum) != known:
        return None
    return SegmentHeader(boot_id, pid_namespace, number, size)


# Record --------------------------------------------------------------------------------------------------

RECORD_MAGIC: Final = 0x4C505354
"""`TSPL` as bytes."""
RECORD_MAGIC_BYTES: Final = struct.pack("<I", RECORD_MAGIC)
RECORD_HEADER_BYTES: Final = 32
LARGEST_RECORD_BYTES: Final = 4 << 20
MOST_ITEMS: Final = 0xFFFF
_RECORD: Final = struct.Struct("<IIQIHBBII")
_CHECKED_BYTES: Final = 28

KIND_RECORD: Final = 1
KIND_DEFINITION: Final = 2
KIND_END: Final = 3
KIND_CLEAN_EXIT: Final = 4
KIND_PENDING: Final = 5
KIND_SETTLED: Final = 6
SPAN_ID_BYTES: Final = 8


class RecordHeader(NamedTuple):
    """What stands before a payload; `length` is the payload's, never 0."""

    length: int
    sequence: int
    stream: int
    items: int
    kind: int
    signal: int
    payload_crc: int


def aligned(size: int) -> int:
    """The next multiple of 8."""
    return (size + 7) & ~7


def pack_record(
    payload: bytes, *, kind: int, signal: int = 0, stream: int = 0, sequence: int = 0, items: int = 0
) -> bytes:
    """A whole record, padded to 8 bytes."""
    fields = _RECORD.pack(
        RECORD_MAGIC, len(payload), sequence, stream, items, kind, signal, crc32(payload), 0
    )
    record = fields[:_CHECKED_BYTES] + _CRC.pack(crc32(fields[:_CHECKED_BYTES])) + payload
    return record.ljust(aligned(len(record)), b"\0")


def parse_record_header(data: bytes, offset: int = 0) -> RecordHeader | None:
    """The header at `offset`; None when it is unfinished, damaged, or no header at all."""
    if offset < 0 or offset + RECORD_HEADER_BYTES > len(data):
        return None
    magic, length, sequence, stream, items, kind, signal, payload_crc, checksum = _RECORD.unpack_from(
        data, offset
    )
    if magic != RECORD_MAGIC or not length or checksum != crc32(data[offset : offset + _CHECKED_BYTES]):
        return None
    return RecordHeader(length, sequence, stream, items, kind, signal, payload_crc)


def next_record(data: bytes, offset: int) -> int:
    """Where the first whole header at or after `offset` stands, in steps of 8; -1 when there is none."""
    found = data.find(RECORD_MAGIC_BYTES, offset)
    while found >= 0:
        if not found % 8 and parse_record_header(data, found) is not None:
            return found
        found = data.find(RECORD_MAGIC_BYTES, found + 1)
    return -1


# Stream key ----------------------------------------------------------------------------------------------

_KEY: Final = struct.Struct("<BIIII")


def pack_stream_key(key: StreamKey) -> bytes:
    """A stream key as the payload of a definition."""
    parts = (
        key.resource,
        key.scope,
        key.resource_schema_url.encode(errors="replace"),
        key.scope_schema_url.encode(errors="replace"),
    )
    return _KEY.pack(CODE_OF_SIGNAL[key.signal], *map(len, parts)) + b"".join(parts)


def unpack_stream_key(data: bytes) -> StreamKey | None:
    """The stream key of a definition; None when the bytes are none."""
    if len(data) < _KEY.size:
        return None
    code, *lengths = _KEY.unpack_from(data)
    if code >= len(ALL_SIGNALS) or _KEY.size + sum(lengths) != len(data):
        return None
    parts: list[bytes] = []
    start = _KEY.size
    for length in lengths:
        parts.append(data[start : start + length])
        start += length
    resource, scope, resource_schema_url, scope_schema_url = parts
    return StreamKey(
        ALL_SIGNALS[code],
        resource,
        scope,
        resource_schema_url.decode(errors="replace"),
        scope_schema_url.decode(errors="replace"),
    )


# Acknowledgement -----------------------------------------------------------------------------------------

ACK_SLOT_BYTES: Final = 512
_ACK: Final = struct.Struct(f"<QQQQQ{len(REASONS)}Q")


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """How far one track has come: everything before `segment`, `offset` is settled.

    Attributes:
        generation: counts the writes; the higher one of two slots is true.
        segment: number of the segment.
        offset: in that segment.
        next_sequence: number of the first item that is not settled.
        delivered: items that the receiver took.
        dropped: items that it did not, by reason, in the order of `REASONS`.
    """

    generation: int = 0
    segment: int = 0
    offset: int = SEGMENT_HEADER_BYTES
    next_sequence: int = 0
    delivered: int = 0
    dropped: tuple[int, ...] = (0,) * len(REASONS)

    def pack(self) -> bytes:
        """One slot of 512 bytes."""
        fields = _ACK.pack(
            self.generation, self.segment, self.offset, self.next_sequence, self.delivered, *self.dropped
        )
        return (fields + _CRC.pack(crc32(fields))).ljust(ACK_SLOT_BYTES, b"\0")

    @property
    def place(self) -> int:
        """Where this generation's slot stands in its file."""
        return self.generation % 2 * ACK_SLOT_BYTES


def parse_acknowledgement(data: bytes) -> Acknowledgement | None:
    """The newer whole slot of an acknowledgement file; None when both are missing or damaged."""
    slots = [_parse_slot(data[start : start + ACK_SLOT_BYTES]) for start in (0, ACK_SLOT_BYTES)]
    whole = [slot for slot in slots if slot is not None]
    return max(whole, key=lambda slot: slot.generation, default=None)


def _parse_slot(slot: bytes) -> Acknowledgement | None:
    if len(slot) < _ACK.size + _CRC.size or not any(slot[: _ACK.size]):
        return None
    if _CRC.unpack_from(slot, _ACK.size) != (crc32(slot[: _ACK.size]),):
        return None
    generation, segment, offset, next_sequence, delivered, *dropped = _ACK.unpack_from(slot)
    return Acknowledgement(generation, segment, offset, next_sequence, delivered, tuple(dropped))


# Page ----------------------------------------------------------------------------------------------------

PAGE_BYTES: Final = 4096
PAGE_MAGIC: Final = int.from_bytes(b"TSPPAGE\x01", "little")
_PAGE: Final = struct.Struct(f"<{PAGE_BYTES // 8}Q")

# Indices of 8-byte words.
WORD_MAGIC: Final = 0
WORD_FLAGS: Final = 1
WORD_CLEAN_EXITS: Final = 2
WORD_SEGMENT: Final = 3
"""Number of the segment that is being written."""
WORD_PENDING: Final = 4
"""Pending spans ever written; 0 spares the reader a look for them."""
WORD_ENDED: Final = 8
WORD_RINGED: Final = 16
"""Items that wait in memory and have no sequence number yet."""
WORD_HANDED: Final = 24
"""Items delivered out of memory, without touching a segment."""
WORD_DROPS: Final = 32
WORD_AGENT_DROPS: Final = 256
"""The agent's words; the process tells its user what they say."""
REASON_ROOM: Final = 16

FLAG_RING: Final = 1
FLAG_LAGS: Final = 2
"""The page is written once a second, not with each record: what it says is a lower bound."""


@dataclass(frozen=True, slots=True)
class PageCounts:
    """One signal's words."""

    ended: int = 0
    ringed: int = 0
    handed: int = 0
    drops: tuple[int, ...] = (0,) * len(REASONS)

    @property
    def passed(self) -> int:
        """Items whose sequence numbers no record in a segment carries."""
        return self.handed + sum(self.drops)


@dataclass(frozen=True, slots=True)
class Page:
    """What a process says about itself while it lives, and what is left of it afterwards."""

    flags: int = 0
    clean_exits: int = 0
    segment: int = 0
    pending: int = 0
    counts: tuple[PageCounts, ...] = (PageCounts(),) * len(ALL_SIGNALS)
    agent_drops: tuple[tuple[int, ...], ...] = ((0,) * len(REASONS),) * len(ALL_SIGNALS)

    @property
    def is_exact(self) -> bool:
        """Whether each record is counted here as soon as it can be read."""
        return not self.flags & FLAG_LAGS


def parse_page(data: bytes) -> Page | None:
    """The page; None when it is short or foreign."""
    if len(data) < PAGE_BYTES:
        return None
    words = _PAGE.unpack_from(data)
    if words[WORD_MAGIC] != PAGE_MAGIC:
        return None
    return Page(
        words[WORD_FLAGS],
        words[WORD_CLEAN_EXITS],
        words[WORD_SEGMENT],
        words[WORD_PENDING],
        tuple(
            PageCounts(
                words[WORD_ENDED + code],
                words[WORD_RINGED + code],
                words[WORD_HANDED + code],
                _reasons(words, WORD_DROPS + code * REASON_ROOM),
            )
            for code in range(len(ALL_SIGNALS))
        ),
        tuple(_reasons(words, WORD_AGENT_DROPS + code * REASON_ROOM) for code in range(len(ALL_SIGNALS))),
    )


def _reasons(words: tuple[int, ...], start: int) -> tuple[int, ...]:
    return words[start : start + len(REASONS)]


def by_reason(counts: tuple[int, ...]) -> dict[Reason, int]:
    """The reasons that occurred."""
    return {reason: count for reason, count in zip(REASONS, counts, strict=True) if count}
