"""What a store holds of a session: a version that it can compare as bytes, and MessagePack."""

from __future__ import annotations

import dataclasses
import struct
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from tickspan.cache.codec import Codec, PayloadError

__all__ = [
    "HEAD_BYTES",
    "MAX_DATA_BYTES",
    "Record",
    "head_of",
    "packed",
    "packed_data",
    "unpacked",
    "unpacked_data",
]

MAX_DATA_BYTES: Final = 1024 * 1024
"""Of the data of one session."""
_HEAD: Final = struct.Struct(">2sBxQ")
_MAGIC: Final = b"TK"
_FORMAT: Final = 1
HEAD_BYTES: Final = _HEAD.size
"""Magic, format, version: what must be the same for a record to be replaced."""
_codec: Final = Codec(max_value_bytes=MAX_DATA_BYTES, compress=False)


@dataclass(frozen=True, slots=True)
class Record:
    """All but the data. Times are milliseconds since 1970."""

    user_id: str
    created_ms: int
    ends_ms: int
    version: int = 1
    is_replaced: bool = False
    """Its token was rotated."""
    twin: bytes | None = None
    """The digest that it replaced, or that replaced it."""

    def next(self, **changes: Any) -> Record:
        """The record after one more write."""
        return dataclasses.replace(self, version=self.version + 1, **changes)


@dataclass(frozen=True, slots=True)
class _Held:
    """A record as it is encoded; decoding checks the types."""

    record: Record
    digest: bytes
    data: bytes


_records: Final = Codec(_Held, max_value_bytes=2 * MAX_DATA_BYTES, compress=False)


class Unpacked(NamedTuple):
    """A record that was read."""

    record: Record
    digest: bytes
    """Under which it was stored."""
    data: bytes


def head_of(record: Record) -> bytes:
    """What the stored form of a record begins with."""
    return _HEAD.pack(_MAGIC, _FORMAT, record.version)


def packed(record: Record, digest: bytes, data: bytes) -> bytes:
    """The stored form."""
    return head_of(record) + _records.encode(_Held(record, digest, data))


def unpacked(raw: bytes) -> Unpacked | None:
    """A stored form, read; None for one that is damaged, or of another form."""
    if len(raw) < HEAD_BYTES:
        return None
    magic, form, version = _HEAD.unpack_from(raw)
    if (magic, form) != (_MAGIC, _FORMAT):
        return None
    try:
        held = _records.decode(raw[HEAD_BYTES:])
    except PayloadError:
        return None
    return Unpacked(held.record, held.digest, held.data) if held.record.version == version else None


def packed_data(data: Any) -> bytes:
    """The stored form of a session's data.

    Raises:
        TypeError: it is no dict with names, or holds what would not come back as it is; with the path.
        ValueError: it is too large.
    """
    if not isinstance(data, dict):
        raise TypeError(f"session data: expected a dict, got {type(data).__name__}")
    try:
        encoded = _codec.encode(data)
    except TypeError as error:
        told = str(error).removeprefix("value: ").partition(";")[0]
        raise TypeError(f"session data: {told}") from None
    if len(encoded) > MAX_DATA_BYTES:
        raise ValueError(f"session data: expected at most {MAX_DATA_BYTES} bytes, got {len(encoded)}")
    return encoded


def unpacked_data(data: bytes) -> dict[str, Any] | None:
    """The data of a session; None where it is damaged."""
    try:
        value = _codec.decode(data)
    except PayloadError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
