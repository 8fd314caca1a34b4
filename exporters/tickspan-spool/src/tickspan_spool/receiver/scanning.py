"""Scanning: what a protobuf body would decode to, counted on its bytes before anything is allocated.

An empty span takes two bytes on the wire and some hundred in memory, so a body of legal size may still ask
for gigabytes. The scanner walks the fields by the message's own descriptor and stops at the first excess.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from .limits import Limits
from .refusal import Reason, Refusal, malformed, too_large

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_CONTINUED = 0x80
_VARINT_BITS = 64

# What one sender's record is, for each signal. Everything else is counted as a value only.
_RECORDS = frozenset(
    {
        "opentelemetry.proto.trace.v1.Span",
        "opentelemetry.proto.logs.v1.LogRecord",
        "opentelemetry.proto.metrics.v1.NumberDataPoint",
        "opentelemetry.proto.metrics.v1.HistogramDataPoint",
        "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint",
        "opentelemetry.proto.metrics.v1.SummaryDataPoint",
    }
)


@dataclass(slots=True, eq=False)
class Shape:
    """What the scanner needs to know of a message type: which fields lead to what."""

    is_record: bool
    messages: dict[int, Shape] = field(default_factory=dict[int, "Shape"])
    lists: set[int] = field(default_factory=set[int])  # repeated numbers


@cache
def shape_of(descriptor: Descriptor) -> Shape:
    """The shape of a message type; types that contain themselves make a cyclic shape."""
    known: dict[str, Shape] = {}
    return _build_shape(descriptor, known)


def _build_shape(descriptor: Descriptor, known: dict[str, Shape]) -> Shape:
    if descriptor.full_name in known:
        return known[descriptor.full_name]
    shape = known[descriptor.full_name] = Shape(descriptor.full_name in _RECORDS)
    for member in descriptor.fields:
        if member.message_type is not None:
            shape.messages[member.number] = _build_shape(member.message_type, known)
        elif member.is_repeated and member.type not in {
            FieldDescriptor.TYPE_STRING,
            FieldDescriptor.TYPE_BYTES,
        }:
            shape.lists.add(member.number)
    return shape


def count_records(body: bytes, shape: Shape, limits: Limits) -> int:
    """The records in a body.

    Args:
        body: a plain protobuf body.
        shape: of the message type that the body claims to be.
        limits: `nesting`, `records` and `values` are looked at.

    Raises:
        Refusal: not protobuf or too deep (400), too many records or values (413).
    """
    try:
        return _Scan(body, limits).run(shape)
    except IndexError:
        raise malformed("protobuf body: it ends inside a field") from None


class _Scan:
    """One walk over one body. Iterative: the sender decides the depth, the stack must not be Python's."""

    __slots__ = ("_body", "_limits", "_records", "_values")

    def __init__(self, body: bytes, limits: Limits) -> None:
        self._body = body
        self._limits = limits
        self._records = 0
        self._values = 0

    def run(self, shape: Shape) -> int:
        body, position, end = self._body, 0, len(self._body)
        outer: list[tuple[Shape, int]] = []
        while True:
            while position == end:
                if not outer:
                    return self._records
                shape, end = outer.pop()
            key, position = _read_varint(body, position)
            number, wire = key >> 3, key & 7
            length, position = _field_length(body, position, wire)
            stop = position + length
            if number == 0 or stop > end:
                raise malformed(f"protobuf body: a field at byte {position} exceeds its message")
            child = shape.messages.get(number) if wire == _LENGTH else None
            if child is None:
                self._count_numbers(shape, number, length)
                position = stop
                continue
            self._count_message(child, len(outer) + 1)
            outer.append((shape, end))
            shape, end = child, stop

    def _count_message(self, shape: Shape, depth: int) -> None:
        self._records += shape.is_record
        self._values += 1
        if depth > self._limits.nesting:
            limit = self._limits.nesting
            raise Refusal(
                Reason.NESTING, HTTPStatus.BAD_REQUEST, f"protobuf body: messages nest deeper than {limit}"
            )
        if self._records > self._limits.records:
            raise too_large(
                Reason.RECORDS, f"body: more than {self._limits.records} records; send less at once"
            )
        self._check_values()

    def _count_numbers(self, shape: Shape, number: int, length: int) -> None:
        """Eight numbers of a list take the memory of a small message, packed or not."""
        if number in shape.lists:
            self._values += 1 + length // 8
            self._check_values()

    def _check_values(self) -> None:
        if self._values > self._limits.values:
            raise too_large(
                Reason.RECORDS, f"body: more than {self._limits.values} values; send less at once"
            )


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    """The number at `position` and where it ends. Raises IndexError at the end of the body."""
    byte = body[position]
    if byte < _CONTINUED:
        return byte, position + 1
    value, shift = byte & 0x7F, 7
    while shift < _VARINT_BITS:
        position += 1
        byte = body[position]
        value |= (byte & 0x7F) << shift
        if byte < _CONTINUED:
            return value, position + 1
        shift += 7
    raise malformed(f"protobuf body: the number at byte {position} is longer than ten bytes")


def _field_length(body: bytes, position: int, wire: int) -> tuple[int, int]:
    """The length of a field's content, and where the content starts."""
    if wire == _LENGTH:
        return _read_varint(body, position)
    if wire == _VARINT:
        return _read_varint(body, position)[1] - position, position
    if wire == _FIXED64:
        return 8, position
    if wire == _FIXED32:
        return 4, position
    raise malformed(f"protobuf body: wire type {wire} at byte {position} does not occur in OTLP")
