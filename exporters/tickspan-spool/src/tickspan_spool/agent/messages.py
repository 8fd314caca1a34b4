"""The few OTLP messages that the agent itself writes: by hand, since protobuf would double its memory."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tickspan_spool.entries import varint

Value = str | bool | int | float
Attributes = Mapping[str, Value]

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_RECORD: Final = 2
"""Spans, log records and metrics are field 2 of their scope group."""
_SPAN_END_TIME, _SPAN_ATTRIBUTE = 8, 9
_CUMULATIVE: Final = 2
_UINT64: Final = struct.Struct("<Q")
_INT64: Final = struct.Struct("<q")
_DOUBLE: Final = struct.Struct("<d")


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric."""

    value: int | float
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Instrument:
    """A metric's name, unit, and whether it only grows (a sum) or is what it is now (a gauge)."""

    name: str
    unit: str
    is_sum: bool = False


def resource(attributes: Attributes) -> bytes:
    """A `Resource`."""
    return b"".join(_attribute(1, name, value) for name, value in attributes.items())


def scope(name: str, version: str) -> bytes:
    """An `InstrumentationScope`."""
    return _text(1, name) + _text(2, version)


def log_record(
    *, event: str, body: str, severity: int, severity_text: str, time_unix_ns: int, attributes: Attributes
) -> bytes:
    """A `LogRecord` that is an event, framed as an entry of its scope."""
    message = (
        _fixed64(1, time_unix_ns)
        + _number(2, severity)
        + _text(3, severity_text)
        + _message(5, _any_value(body))
        + b"".join(_attribute(6, name, value) for name, value in attributes.items())
        + _fixed64(11, time_unix_ns)
        + _text(12, event)
    )
    return _message(_RECORD, message)


def metric(instrument: Instrument, points: Iterable[Point], start_unix_ns: int, time_unix_ns: int) -> bytes:
    """A `Metric`, framed as an entry of its scope; sums are cumulative and monotonic."""
    data = b"".join(_message(1, _data_point(point, start_unix_ns, time_unix_ns)) for point in points)
    if instrument.is_sum:
        data += _number(2, _CUMULATIVE) + _number(3, 1)
    kind = 7 if instrument.is_sum else 5
    return _message(_RECORD, _text(1, instrument.name) + _text(3, instrument.unit) + _message(kind, data))


def ended_span(record: bytes, end_unix_ns: int, attributes: Attributes) -> bytes:
    """A started span's record with an end and more attributes: a later field wins, a repeated one grows.

    Raises ValueError when `record` is not exactly one framed span.
    """
    size, start = _read_length(record)
    if record[:1] != b"\x12" or start + size != len(record):
        raise ValueError(f"expected one framed span, got {len(record)} bytes")
    more = b"".join(_attribute(_SPAN_ATTRIBUTE, name, value) for name, value in attributes.items())
    return _message(_RECORD, record[start:] + _fixed64(_SPAN_END_TIME, end_unix_ns) + more)


def _data_point(point: Point, start_unix_ns: int, time_unix_ns: int) -> bytes:
    attributes = b"".join(_attribute(7, name, value) for name, value in point.attributes.items())
    times = _fixed64(2, start_unix_ns) + _fixed64(3, time_unix_ns)
    if isinstance(point.value, int):
        return attributes + times + _tag(6, _FIXED64) + _INT64.pack(point.value)
    return attributes + times + _tag(4, _FIXED64) + _DOUBLE.pack(point.value)


def _attribute(field: int, name: str, value: Value) -> bytes:
    return _message(field, _text(1, name) + _message(2, _any_value(value)))


def _any_value(value: Value) -> bytes:
    match value:
        case bool():  # before int, of which it is one
            return _tag(2, _VARINT) + varint(value)
        case int():
            return _tag(3, _VARINT) + varint(value & 0xFFFF_FFFF_FFFF_FFFF)
        case float():
            return _tag(4, _FIXED64) + _DOUBLE.pack(value)
        case str():
            return _message(1, value.encode(errors="replace"))


def _tag(field: int, kind: int) -> bytes:
    return varint(field << 3 | kind)


def _message(field: int, content: bytes) -> bytes:
    return _tag(field, _BYTES) + varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode(errors="replace")) if text else b""


def _number(field: int, number: int) -> bytes:
    return _tag(field, _VARINT) + varint(number)


def _fixed64(field: int, number: int) -> bytes:
    return _tag(field, _FIXED64) + _UINT64.pack(number)


def _read_length(record: bytes) -> tuple[int, int]:
    """The length behind the first byte, and where what it measures begins. Raises ValueError when cut."""
    length = shift = 0
    for position, byte in enumerate(record[1:11], 2):
        length |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says "more"
            return length, position
        shift += 7
    raise ValueError("expected a length, got none")
