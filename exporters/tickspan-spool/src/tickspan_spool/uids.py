"""Uid: what tells a log record from all others: the folder of its process, and its number there.

It goes out with the record, so that a back end drops what came twice, and stands in the lines of log files,
so that a record is found there. The writing side is not bothered with it.
"""

from __future__ import annotations

from typing import Final

from tickspan_spool.entries import Entry, varint
from tickspan_spool.semconv import LOG_RECORD_UID

__all__ = ["with_uid"]

_KEY: Final = LOG_RECORD_UID.encode()
_CONTINUED: Final = 0x80


def with_uid(entry: Entry, process: str) -> Entry:
    """A log record with its uid as an attribute; as it is where it has one, or is more than one record."""
    body = entry.body
    if entry.items != 1 or _KEY in body:
        return entry
    start = 1
    while start < len(body) and body[start] >= _CONTINUED:
        start += 1
    content = b"".join((body[start + 1 :], _attribute(f"{process}-{entry.sequence}".encode())))
    return entry._replace(body=b"".join((body[:1], varint(len(content)), content)))


def _attribute(uid: bytes) -> bytes:
    """`LogRecord.attributes` with one `KeyValue`; fields of protobuf may come in any order."""
    value = b"\x0a" + varint(len(uid)) + uid
    pair = b"\x0a" + varint(len(_KEY)) + _KEY + b"\x12" + varint(len(value)) + value
    return b"\x32" + varint(len(pair)) + pair
