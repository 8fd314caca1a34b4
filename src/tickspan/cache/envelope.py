"""Envelopes: the bytes that Redis and the disk hold for a key, a value's or a tombstone's.

A head of 66 bytes whose offsets bind (scripts in Redis read id and version there), the tags with their
epochs, the payload. Nothing in it is executed or imported on reading.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tickspan.cache.tiers import NOTHING

__all__ = ["FORMAT", "HEAD_BYTES", "ID", "Envelope", "EnvelopeError", "id_of", "open_envelope", "tombstone"]

FORMAT: Final = 1
ID: Final = slice(16, 24)
"""Where the id stands: eight random bytes, new for each write."""

_HEAD: Final = struct.Struct(">2sBBIQ8sQQQQIIH")
HEAD_BYTES: Final = _HEAD.size
_EPOCH: Final = struct.Struct(">Q")
_REGION_ALONE: Final = struct.Struct(">xQ")
"""A tag without a name, that of the whole region."""
_MAGIC: Final = b"TS"
_CODEC: Final = 0b11
_NEGATIVE: Final = 0b100
_TOMBSTONE: Final = 0b1000
_KNOWN_FLAGS: Final = _CODEC | _NEGATIVE | _TOMBSTONE
_U32_MAX: Final = 2**32 - 1
_U64_MAX: Final = 2**64 - 1
_TAGS_MAX: Final = 2**16 - 1
_TAG_BYTES: Final = 255


class EnvelopeError(Exception):
    """These bytes are no envelope that can be read; `reason` is one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)  # freezing would cost each read two microseconds for its fourteen fields
class Envelope:
    """What stands in one. Times in milliseconds; times of day since 1970."""

    id: bytes
    schema: int
    stored_at_ms: int
    soft_ttl_ms: int
    hard_ttl_ms: int
    payload: bytes = b""
    codec: int = 0
    """How the payload is compressed: 0 not at all, 1 zstd, 2 zlib."""
    raw_length: int = 0
    """Of the payload before compression."""
    version: int | None = None
    as_of_ms: int | None = None
    load_cost_us: int = 0
    tags: tuple[tuple[str, int], ...] = ()
    """Names of tags as text, and their epochs when the value was made."""
    is_negative: bool = False
    is_tombstone: bool = False

    def to_bytes(self) -> bytes:
        """The bytes of it.

        Raises:
            ValueError: a tag is longer than 255 bytes, or there are more than 65 535.
        """
        flags = self.codec | (_NEGATIVE if self.is_negative else 0) | (_TOMBSTONE if self.is_tombstone else 0)
        if len(self.tags) > _TAGS_MAX:
            raise ValueError(f"expected at most {_TAGS_MAX} tags, got {len(self.tags)}")
        head = _HEAD.pack(
            _MAGIC,
            FORMAT,
            flags,
            self.schema,
            0 if self.version is None else self.version,
            self.id,
            self.stored_at_ms,
            0 if self.as_of_ms is None else self.as_of_ms,
            min(self.soft_ttl_ms, _U64_MAX),
            min(self.hard_ttl_ms, _U64_MAX),
            min(self.load_cost_us, _U32_MAX),
            self.raw_length,
            len(self.tags),
        )
        if not self.tags:
            return head + self.payload
        return b"".join((head, *map(_tag_bytes, self.tags), self.payload))


def open_envelope(raw: bytes) -> Envelope:
    """Read an envelope.

    Raises:
        EnvelopeError: it is none, is cut short, or has another format.
    """
    if len(raw) < HEAD_BYTES:
        raise EnvelopeError("short")
    (
        magic,
        form,
        flags,
        schema,
        version,
        identity,
        stored_at_ms,
        as_of_ms,
        soft_ttl_ms,
        hard_ttl_ms,
        load_cost_us,
        raw_length,
        count,
    ) = _HEAD.unpack_from(raw)
    if magic != _MAGIC:
        raise EnvelopeError("magic")
    if form != FORMAT or flags & ~_KNOWN_FLAGS:
        raise EnvelopeError("format")
    tags, start = _tags(raw, count) if count else ((), HEAD_BYTES)
    return Envelope(
        identity,
        schema,
        stored_at_ms,
        soft_ttl_ms,
        hard_ttl_ms,
        raw[start:],
        flags & _CODEC,
        raw_length,
        version or None,
        as_of_ms or None,
        load_cost_us,
        tags,
        bool(flags & _NEGATIVE),
        bool(flags & _TOMBSTONE),
    )


def tombstone(identity: bytes, stored_at_ms: int, ttl_ms: int, version: int | None = None) -> bytes:
    """What stands where a value was made void, so that loads which began before do not store."""
    return Envelope(identity, 0, stored_at_ms, ttl_ms, ttl_ms, version=version, is_tombstone=True).to_bytes()


def id_of(raw: bytes | None) -> bytes:
    """The id of what a tier holds; `NOTHING` for nothing, and the first bytes of what is no envelope.

    Scripts compare the same bytes, whatever they are: a lease on garbage works, too.
    """
    return NOTHING if raw is None else raw[ID]


def _tag_bytes(tag: tuple[str, int]) -> bytes:
    name = tag[0].encode()
    if len(name) > _TAG_BYTES:
        raise ValueError(f"expected a tag of at most {_TAG_BYTES} bytes, got {len(name)}")
    return bytes((len(name),)) + name + _EPOCH.pack(tag[1])


def _tags(raw: bytes, count: int) -> tuple[tuple[tuple[str, int], ...], int]:
    tags: list[tuple[str, int]] = []
    position = HEAD_BYTES
    try:
        if count == 1 and not raw[position]:
            return (("", _REGION_ALONE.unpack_from(raw, position)[0]),), position + _REGION_ALONE.size
        for _ in range(count):
            end = position + 1 + raw[position]
            name = raw[position + 1 : end].decode()
            (epoch,) = _EPOCH.unpack_from(raw, end)
            tags.append((name, epoch))
            position = end + _EPOCH.size
    except (IndexError, struct.error, UnicodeDecodeError):
        raise EnvelopeError("tags") from None
    return tuple(tags), position
