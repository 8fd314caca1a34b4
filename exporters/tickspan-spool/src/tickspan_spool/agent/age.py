"""How long the oldest record of a process waits, read from the record itself. Writes nothing."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from tickspan_spool.entries import Signal
from tickspan_spool.folder import ProcessFolder
from tickspan_spool.layout import (
    CODE_OF_SIGNAL,
    KIND_RECORD,
    RECORD_HEADER_BYTES,
    Acknowledgement,
    next_record,
    parse_record_header,
)

_CHUNK_BYTES: Final = 256 << 10
_UINT64: Final = struct.Struct("<Q")
_RECORD: Final = 2
_SPAN_END: Final = 8
_LOG_OBSERVED: Final = 11
_LOG_TIME: Final = 1
_METRIC_DATA: Final = frozenset({5, 7, 9, 10, 11})
_POINT: Final = 1
_POINT_TIME: Final = 3


def oldest_age_s(folder: ProcessFolder, now_unix_ns: int | None = None) -> float:
    """Seconds since the oldest waiting record of a process ended; 0 when none waits, or it has no time."""
    now = time.time_ns() if now_unix_ns is None else now_unix_ns
    waiting: set[Signal] = {signal for signal, ledger in folder.ledger().items() if ledger.in_spool}
    times = [
        recorded
        for index, destination in enumerate(folder.description.destinations)
        for signal in waiting
        if destination.get("signal") == signal
        for recorded in [_oldest_unix_ns(folder, signal, index)]
        if recorded
    ]
    return max(0.0, (now - min(times)) / 1e9) if times else 0.0


def _oldest_unix_ns(folder: ProcessFolder, signal: Signal, index: int) -> int:
    with suppress(OSError, ValueError):
        ack = folder.read_acknowledgement(f"{signal}-{index}.ack")
        body = _first_body(folder, ack, CODE_OF_SIGNAL[signal])
        return recorded_unix_ns(signal, body) if body else 0
    return 0


def _first_body(folder: ProcessFolder, ack: Acknowledgement, code: int) -> bytes | None:
    for number in folder.segments():
        if number < ack.segment:
            continue
        data = folder.read_segment(number, ack.offset if number == ack.segment else 0, _CHUNK_BYTES) or b""
        position = next_record(data, 0)
        while position >= 0:
            header = parse_record_header(data, position)
            assert header is not None
            start = position + RECORD_HEADER_BYTES
            if header.kind == KIND_RECORD and header.signal == code:
                return data[start : start + header.length]
            position = next_record(data, start + header.length)
    return None


def recorded_unix_ns(signal: Signal, body: bytes) -> int:
    """When the first record of an entry's body ended or was observed; 0 when it does not say.

    Raises ValueError for bytes that are no protobuf.
    """
    record = next((value for number, value in _fields(body) if number == _RECORD), b"")
    if not isinstance(record, bytes):
        return 0
    match signal:
        case "traces":
            return _number(record, _SPAN_END)
        case "logs":
            return _number(record, _LOG_OBSERVED) or _number(record, _LOG_TIME)
        case "metrics":
            data = next((value for number, value in _fields(record) if number in _METRIC_DATA), b"")
            point = next((value for number, value in _fields(_bytes(data)) if number == _POINT), b"")
            return _number(_bytes(point), _POINT_TIME)
        case "profiles" | "samples":
            return 0


def _bytes(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else b""


def _number(message: bytes, wanted: int) -> int:
    found = next((value for number, value in _fields(message) if number == wanted), 0)
    return found if isinstance(found, int) else 0


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        match key & 7:
            case 0:
                value, position = _varint(message, position)
                yield key >> 3, value
            case 1 if position + 8 <= len(message):
                yield key >> 3, _UINT64.unpack_from(message, position)[0]
                position += 8
            case 2:
                length, position = _varint(message, position)
                yield key >> 3, message[position : position + length]
                position += length
            case 5:
                position += 4
            case kind:
                raise ValueError(f"expected protobuf, got wire type {kind}")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    for index in range(position, min(position + 10, len(message))):
        value |= (message[index] & 0x7F) << shift
        if message[index] < 0x80:  # noqa: PLR2004 - the bit that says "more"
            return value, index + 1
        shift += 7
    raise ValueError("expected a number, got none")
