"""Scanning: what a protobuf body would decode to, counted on its bytes before anything is allocated.

An empty span takes two bytes on the wire and some hundred in memory, so a body of legal size may still ask
for gigabytes. The scanner walks the fields by the message's own descriptor and stops at the first excess.

A hot module: interpreted or compiled from this one file (Cython's pure Python mode).
"""

# cython: boundscheck=False, wraparound=False
# C types are annotations that only the compiler knows:
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false
# pyright: reportAttributeAccessIssue=false, reportInvalidTypeForm=false, reportMissingImports=false
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUninitializedInstanceVariable=false, reportGeneralTypeIssues=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportPossiblyUnboundVariable=false, reportMissingTypeArgument=false

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus

from google.protobuf.descriptor import Descriptor, FieldDescriptor

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_AS_STRING

from tickspan_spool.receiver.limits import Limits
from tickspan_spool.receiver.refusal import Reason, Refusal, malformed, too_large

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
    scan = Scan(body, limits)
    return scan.run(shape)


@cython.final
@cython.cclass
class Scan:
    """One walk over one body. Iterative: the sender decides the depth, the stack must not be Python's."""

    _body: bytes
    _p: cython.p_uchar
    _at: cython.Py_ssize_t
    _limits: object
    _records: cython.Py_ssize_t
    _values: cython.Py_ssize_t
    _most_records: cython.Py_ssize_t
    _most_values: cython.Py_ssize_t
    _most_nesting: cython.Py_ssize_t

    def __init__(self, body: bytes, limits: Limits) -> None:
        self._body = body
        if cython.compiled:
            self._p = cython.cast(cython.p_uchar, PyBytes_AS_STRING(body))
        else:
            self._p = body
        self._at = 0
        self._limits = limits
        self._records = 0
        self._values = 0
        self._most_records = limits.records
        self._most_values = limits.values
        self._most_nesting = limits.nesting

    def run(self, shape: object) -> int:
        """The records of a body that claims to be of this shape. Raises Refusal."""
        end: cython.Py_ssize_t = len(self._body)
        whole: cython.Py_ssize_t = end
        stop: cython.Py_ssize_t
        number: cython.ulonglong
        key: cython.ulonglong
        wire: cython.ulonglong
        length: cython.ulonglong
        room: cython.ulonglong
        size: cython.Py_ssize_t
        outer: list = []
        messages: dict = shape.messages
        while True:
            while self._at == end:
                if not outer:
                    return self._records
                shape, end = outer.pop()
                messages = shape.messages
            key = self._number(whole)
            number, wire = key >> 3, key & 7
            length = self._length(wire, whole)
            room = end - self._at if self._at <= end else 0
            if number == 0 or self._at > end or length > room:
                raise malformed(f"protobuf body: a field at byte {self._at} exceeds its message")
            size = length
            stop = self._at + size
            child = messages.get(number) if wire == 2 else None
            if child is None:
                if number in shape.lists:  # eight numbers of a list take the memory of a small message
                    self._values += 1 + size // 8
                    self._check_values()
                self._at = stop
                continue
            self._count(child.is_record, len(outer) + 1)
            outer.append((shape, end))
            shape, end = child, stop
            messages = shape.messages

    @cython.cfunc
    def _count(self, is_record: cython.bint, depth: cython.Py_ssize_t) -> None:
        if is_record:
            self._records += 1
        self._values += 1
        if depth > self._most_nesting:
            limit = self._limits.nesting
            raise Refusal(
                Reason.NESTING, HTTPStatus.BAD_REQUEST, f"protobuf body: messages nest deeper than {limit}"
            )
        if self._records > self._most_records:
            raise too_large(
                Reason.RECORDS, f"body: more than {self._limits.records} records; send less at once"
            )
        self._check_values()

    @cython.cfunc
    def _check_values(self) -> None:
        if self._values > self._most_values:
            raise too_large(
                Reason.RECORDS, f"body: more than {self._limits.values} values; send less at once"
            )

    @cython.cfunc
    def _number(self, end: cython.Py_ssize_t) -> cython.ulonglong:
        """The number at hand; beyond it afterwards."""
        value: cython.ulonglong = 0
        shift: cython.int = 0
        byte: cython.ulonglong
        while shift < 70:
            if self._at >= end:
                raise malformed("protobuf body: it ends inside a field")
            byte = self._p[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF
            shift += 7
        raise malformed(f"protobuf body: the number at byte {self._at - 1} is longer than ten bytes")

    @cython.cfunc
    def _length(self, wire: cython.ulonglong, end: cython.Py_ssize_t) -> cython.ulonglong:
        """The length of a field's content; where the content starts afterwards."""
        start: cython.Py_ssize_t = self._at
        if wire == 2:
            return self._number(end)
        if wire == 0:
            self._number(end)
            size: cython.Py_ssize_t = self._at - start
            self._at = start
            return size
        if wire == 1:
            return 8
        if wire == 5:
            return 4
        raise malformed(f"protobuf body: wire type {wire} at byte {self._at} does not occur in OTLP")
