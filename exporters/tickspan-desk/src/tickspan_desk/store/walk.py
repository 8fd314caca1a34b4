"""Walk: what an index needs of a request, read from its bytes; and the records in it that are looked for.

A hot module: interpreted or compiled from this one file (Cython's pure Python mode). Records repeat their
attributes, so an attribute is understood once per request, by its bytes.
"""

# cython: boundscheck=False, wraparound=False, cdivision=True
# C types are annotations that only the compiler knows:
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportMissingTypeArgument=false
# pyright: reportAttributeAccessIssue=false, reportInvalidTypeForm=false, reportMissingImports=false
# pyright: reportOptionalMemberAccess=false, reportUninitializedInstanceVariable=false
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportArgumentType=false, reportIndexIssue=false
# pyright: reportPossiblyUnboundVariable=false, reportUnboundVariable=false

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import log
from typing import Any
from zlib import crc32

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_AS_STRING

MINUTE_NS = 60_000_000_000
GROWTH = 1.02
"""From one bucket of a duration sketch to the next."""
LONGEST_NAME = 1_000
"""Bytes of a name that an index knows."""
SLOW_ONES = 5
"""Exemplars of an operation in a minute."""

_MOST_DEPTH = 64
_LAST_NS = 0x7FFF_FFFF_FFFF_FFFF
AHEAD_NS = 315_360_000_000_000_000
"""Ten years: how far ahead of its arrival a time may be before it counts as none."""
_PER_BUCKET = 1.0 / log(GROWTH)
_ERROR = 2
_LOG_NAMES = (74, 82, 98)
"""Fields of a log record by which it is found: the ids of its trace and span, its event's name."""
_SPAN_NAMES = (10, 18, 42)
"""Those of a span: its ids and its name."""
_double = struct.Struct("<d")


class Malformed(ValueError):  # noqa: N818 - what the bytes are
    """These bytes are no export request."""


def hash_of(data: bytes) -> int:
    """By which a value, a name or an id is posted."""
    return crc32(data)


class Told:
    """What one request tells.

    Attributes:
        records: spans or log records.
        errors: spans that failed.
        since_ns, until_ns: the earliest start and the latest, or times of log records.
        severity: the highest.
        values: hashes of names, ids and attribute values.
        traces: (service, trace id) to [start, end, spans, errors, start of the root or -1, its operation,
            start of the first span, its operation]; an operation is (name, kind).
        operations: (service, name, kind, minute) to [calls, errors, sketch, slow ones]; a sketch is bucket to
            count, a slow one (duration, trace id).
        orders: (start, end, trace id, service, attribute names to values, name of the record).
        services: their names.
    """

    __slots__ = (
        "errors",
        "operations",
        "orders",
        "records",
        "services",
        "severity",
        "since_ns",
        "traces",
        "until_ns",
        "values",
    )

    def __init__(self) -> None:
        self.records = 0
        self.errors = 0
        self.since_ns = _LAST_NS
        self.until_ns = 0
        self.severity = 0
        self.values: set[int] = set()
        self.traces: dict[Any, list[Any]] = {}
        self.operations: dict[Any, list[Any]] = {}
        self.orders: list[Any] = []
        self.services: dict[bytes, None] = {}


class Sought:
    """Which records are looked for.

    Attributes:
        hashes: each is of a name, an id, or a value of an attribute of the record or its resource.
        severity: of log records, at least.
    """

    __slots__ = ("hashes", "severity")

    def __init__(self, hashes: tuple[int, ...], severity: int = 0) -> None:
        self.hashes = hashes
        self.severity = severity


def tell(
    body: bytes, *, is_logs: bool, service_key: bytes, order_keys: Mapping[bytes, str], came_ns: int
) -> Told:
    """What a request of traces or logs tells.

    Args:
        body: an export request in protobuf.
        is_logs: or traces.
        service_key: the attribute of a resource that names the service.
        order_keys: attributes by which orders are known, and what they are called in `Told.orders`.
        came_ns: stands for times that are zero or far ahead of it.

    Raises:
        Malformed: it is none.
    """
    told = Told()
    walk = Walk(body, is_logs, service_key, order_keys, came_ns, told, ())
    walk.run()
    return told


def sift(body: bytes, *, is_logs: bool, sought: Sought) -> list[tuple[bytes, bytes, int, bytes]]:
    """Records that may be what is sought: a hash may be shared.

    Returns:
        (resource, scope, number in the request, record) each, as bytes. Raises Malformed.
    """
    walk = Walk(body, is_logs, b"", {}, 0, None, sought.hashes)
    walk.sought_severity(sought.severity)
    return walk.run()


def frame(number: int, content: bytes) -> bytes:
    """A field of a protobuf message that holds bytes."""
    size, head = len(content), bytearray((number << 3 | 2,))
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + content


def add_sketch(into: dict[int, int], packed: bytes) -> None:
    """Add the calls of a packed sketch: buckets in two bytes, their calls in four, little end first."""
    at: cython.Py_ssize_t
    bucket: cython.uint
    calls: cython.ulonglong
    size: cython.Py_ssize_t = len(packed) // 6 * 6
    p: cython.p_uchar
    if cython.compiled:
        p = cython.cast(cython.p_uchar, PyBytes_AS_STRING(packed))
    else:
        p = packed
    for at in range(0, size, 6):
        bucket = p[at] | p[at + 1] << 8
        calls = p[at + 2] | p[at + 3] << 8 | p[at + 4] << 16
        calls |= (p[at + 5] << 24) & 0xFF00_0000
        known = into.get(bucket)
        into[bucket] = calls if known is None else known + calls


@cython.final
@cython.cclass
class Walk:
    """One walk over one request."""

    _body: bytes
    _p: cython.p_uchar
    _at: cython.Py_ssize_t
    _is_logs: cython.bint
    _is_sought: cython.bint
    _service_key: bytes
    _order_keys: object
    _came_ns: cython.ulonglong
    _latest_ns: cython.ulonglong
    _told: object
    _hashes: tuple
    _severity: cython.ulonglong
    _all_bits: cython.ulonglong
    _seen: dict
    _values: set
    _traces: dict
    _operations: dict
    _found: list
    _records: cython.Py_ssize_t
    _errors: cython.Py_ssize_t
    _since: cython.ulonglong
    _until: cython.ulonglong
    _highest: cython.ulonglong
    _service: bytes
    _group_bits: cython.ulonglong
    _resource: bytes
    _scope: bytes

    def __init__(self, body, is_logs, service_key, order_keys, came_ns, told, hashes) -> None:
        self._body = body
        if cython.compiled:
            self._p = cython.cast(cython.p_uchar, PyBytes_AS_STRING(body))
        else:
            self._p = body
        self._at = 0
        self._is_logs = is_logs
        self._service_key = service_key
        self._order_keys = order_keys
        self._came_ns = came_ns
        self._latest_ns = min(came_ns + AHEAD_NS, _LAST_NS)
        self._told = told
        self._is_sought = told is None
        self._hashes = hashes
        self._severity = 0
        self._all_bits = (1 << len(hashes)) - 1
        self._seen = {}
        self._values = set()
        self._traces = {}
        self._operations = {}
        self._found = []
        self._records = 0
        self._errors = 0
        self._since = _LAST_NS
        self._until = 0
        self._highest = 0
        self._service = b""
        self._group_bits = 0
        self._resource = b""
        self._scope = b""

    def sought_severity(self, severity: int) -> None:
        """Leave out log records below it."""
        self._severity = severity

    def run(self) -> list:
        """Walk to the end; what was found, if something is sought."""
        end: cython.Py_ssize_t = len(self._body)
        key: cython.ulonglong
        stop: cython.Py_ssize_t
        while self._at < end:
            key = self._number(end)
            if key == 10:
                stop = self._stop(end)
                self._group(stop)
                self._at = stop
            else:
                self._skip(key, end)
        if not self._is_sought:
            self._hand_over()
        return self._found

    @cython.cfunc
    def _hand_over(self) -> None:
        told = self._told
        told.records = self._records
        told.errors = self._errors
        told.since_ns = min(self._since, self._until)
        told.until_ns = self._until
        told.severity = self._highest
        told.values = self._values
        told.traces = self._traces
        told.operations = self._operations

    # Bytes.

    @cython.cfunc
    def _number(self, end: cython.Py_ssize_t) -> cython.ulonglong:
        value: cython.ulonglong = 0
        shift: cython.int = 0
        byte: cython.ulonglong
        while shift < 70:
            if self._at >= end:
                raise Malformed("it ends inside a field")
            byte = self._p[self._at]
            self._at += 1
            if shift < 64:
                value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF
            shift += 7
        raise Malformed("a number is longer than ten bytes")

    @cython.cfunc
    def _stop(self, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        size: cython.ulonglong = self._number(end)
        left: cython.ulonglong = end - self._at
        if size > left:
            raise Malformed("a field is longer than its message")
        start: cython.Py_ssize_t = self._at
        length: cython.Py_ssize_t = size
        return start + length

    @cython.cfunc
    def _bytes(self, end: cython.Py_ssize_t) -> bytes:
        stop: cython.Py_ssize_t = self._stop(end)
        start: cython.Py_ssize_t = self._at
        self._at = stop
        return self._body[start:stop]

    @cython.cfunc
    def _fixed(self, end: cython.Py_ssize_t) -> cython.ulonglong:
        value: cython.ulonglong = 0
        place: cython.int
        if end - self._at < 8:
            raise Malformed("it ends inside a field")
        for place in range(7, -1, -1):
            value = value << 8 | self._p[self._at + place]
        self._at += 8
        return value

    @cython.cfunc
    def _skip(self, key: cython.ulonglong, end: cython.Py_ssize_t) -> None:
        wire: cython.ulonglong = key & 7
        if wire == 2:
            self._at = self._stop(end)
        elif wire == 0:
            self._number(end)
        elif wire == 1 or wire == 5:
            self._at += 8 if wire == 1 else 4
            if self._at > end:
                raise Malformed("it ends inside a field")
        else:
            raise Malformed("a wire type that does not occur in OTLP")

    # Groups: a resource, its scopes, their records.

    @cython.cfunc
    def _group(self, end: cython.Py_ssize_t) -> None:
        start: cython.Py_ssize_t = self._at
        stop: cython.Py_ssize_t
        key: cython.ulonglong
        self._service = b""
        self._group_bits = 0
        self._resource = b""
        while self._at < end:  # the resource may stand behind its records
            key = self._number(end)
            if key == 10:
                stop = self._stop(end)
                self._resource = self._body[self._at : stop]
                self._about(stop)
                self._at = stop
            else:
                self._skip(key, end)
        if not self._is_sought:
            self._values.add(crc32(self._service))
            self._told.services[self._service] = None
        else:
            self._group_bits |= self._bits_of(self._service)
        self._at = start
        while self._at < end:
            key = self._number(end)
            if key == 18:
                stop = self._stop(end)
                self._scoped(stop)
                self._at = stop
            else:
                self._skip(key, end)

    @cython.cfunc
    def _about(self, end: cython.Py_ssize_t) -> None:
        key: cython.ulonglong
        while self._at < end:
            key = self._number(end)
            if key == 10:
                raw = self._bytes(end)
                learnt = self._learn(raw, True)
                if self._is_sought:
                    self._group_bits |= learnt
            else:
                self._skip(key, end)

    @cython.cfunc
    def _scoped(self, end: cython.Py_ssize_t) -> None:
        start: cython.Py_ssize_t = self._at
        stop: cython.Py_ssize_t
        key: cython.ulonglong
        self._scope = b""
        if self._is_sought:
            while self._at < end:
                key = self._number(end)
                if key == 10:
                    self._scope = self._bytes(end)
                else:
                    self._skip(key, end)
            self._at = start
        while self._at < end:
            key = self._number(end)
            if key == 18:
                stop = self._stop(end)
                if self._is_sought:
                    self._consider(stop)
                elif self._is_logs:
                    self._log(stop)
                else:
                    self._span(stop)
                self._records += 1
                self._at = stop
            else:
                self._skip(key, end)

    # Records.

    @cython.cfunc
    def _span(self, end: cython.Py_ssize_t) -> None:
        key: cython.ulonglong
        stop: cython.Py_ssize_t
        start_ns: cython.ulonglong = 0
        end_ns: cython.ulonglong = 0
        kind: cython.ulonglong = 0
        is_error: cython.bint = False
        is_root: cython.bint = True
        trace_id: bytes = b""
        name: bytes = b""
        fields = None
        while self._at < end:
            key = self._number(end)
            if key == 74:
                learnt = self._known(self._bytes(end))
                if learnt is not None:
                    if fields is None:
                        fields = {}
                    fields[learnt[0]] = learnt[1]
            elif key == 10:
                trace_id = self._bytes(end)
            elif key == 18:
                self._values.add(crc32(self._bytes(end)))
            elif key == 34:
                stop = self._stop(end)
                is_root = stop == self._at
                self._at = stop
            elif key == 42:
                name = self._bytes(end)
            elif key == 48:
                kind = self._number(end)
            elif key == 57:
                start_ns = self._fixed(end)
            elif key == 65:
                end_ns = self._fixed(end)
            elif key == 122:
                stop = self._stop(end)
                is_error = self._is_error(stop)
                self._at = stop
            elif key == 90 or key == 106:
                stop = self._stop(end)
                self._beside(stop, key == 90)
                self._at = stop
            else:
                self._skip(key, end)
        if start_ns == 0 or start_ns > self._latest_ns:
            start_ns = self._came_ns
        if end_ns < start_ns or end_ns > _LAST_NS:
            end_ns = start_ns
        if kind > 5:
            kind = 0
        self._place(start_ns)
        name = name[:LONGEST_NAME]
        self._values.add(crc32(name))
        operation = (name, kind)
        self._add_to_trace(trace_id, start_ns, end_ns, is_error, is_root, operation)
        self._add_to_operation(trace_id, start_ns, end_ns - start_ns, is_error, operation)
        if fields is not None:
            self._told.orders.append((start_ns, end_ns, trace_id, self._service, fields, name))

    @cython.cfunc
    def _add_to_trace(
        self,
        trace_id: bytes,
        start_ns: cython.ulonglong,
        end_ns: cython.ulonglong,
        is_error: cython.bint,
        is_root: cython.bint,
        operation: tuple,
    ) -> None:
        trace_key = (self._service, trace_id)
        known = self._traces.get(trace_key)
        if known is None:
            self._values.add(crc32(trace_id))
            root_ns: object = -1  # no number of C: those here have no sign
            if is_root:
                root_ns = start_ns
            self._traces[trace_key] = [
                start_ns,
                end_ns,
                1,
                1 if is_error else 0,
                root_ns,
                operation,
                start_ns,
                operation,
            ]
            return
        trace: list = known
        if start_ns < trace[0]:
            trace[0] = start_ns
            trace[6] = start_ns
            trace[7] = operation
        if end_ns > trace[1]:
            trace[1] = end_ns
        trace[2] += 1
        if is_error:
            trace[3] += 1
        if is_root and (trace[4] < 0 or start_ns < trace[4]):
            trace[4] = start_ns
            trace[5] = operation

    @cython.cfunc
    def _add_to_operation(
        self,
        trace_id: bytes,
        start_ns: cython.ulonglong,
        duration: cython.ulonglong,
        is_error: cython.bint,
        operation: tuple,
    ) -> None:
        minute: cython.ulonglong = start_ns // MINUTE_NS
        key = (self._service, operation, minute)
        known = self._operations.get(key)
        if known is None:
            known = self._operations[key] = [0, 0, {}, []]
        counted: list = known
        counted[0] += 1
        if is_error:
            counted[1] += 1
            self._errors += 1
        bucket: cython.int = 0
        if duration > 0:
            bucket = int(log(duration) * _PER_BUCKET) + 1
        sketch: dict = counted[2]
        sketch[bucket] = sketch.get(bucket, 0) + 1
        slow: list = counted[3]
        if len(slow) < SLOW_ONES or duration > slow[0][0]:
            slow.append((duration, trace_id))
            slow.sort()
            if len(slow) > SLOW_ONES:
                del slow[0]

    @cython.cfunc
    def _log(self, end: cython.Py_ssize_t) -> None:
        key: cython.ulonglong
        time_ns: cython.ulonglong = 0
        observed_ns: cython.ulonglong = 0
        severity: cython.ulonglong
        trace_id: bytes = b""
        name: bytes = b""
        fields = None
        while self._at < end:
            key = self._number(end)
            if key == 50:
                learnt = self._known(self._bytes(end))
                if learnt is not None:
                    if fields is None:
                        fields = {}
                    fields[learnt[0]] = learnt[1]
            elif key == 9:
                time_ns = self._fixed(end)
            elif key == 89:
                observed_ns = self._fixed(end)
            elif key == 16:
                severity = self._number(end)
                if self._highest < severity <= 24:
                    self._highest = severity
            elif key == 74:
                trace_id = self._bytes(end)
                self._values.add(crc32(trace_id))
            elif key == 82:
                self._values.add(crc32(self._bytes(end)))
            elif key == 98:
                name = self._bytes(end)[:LONGEST_NAME]
                self._values.add(crc32(name))
            else:
                self._skip(key, end)
        if time_ns == 0 or time_ns > self._latest_ns:
            time_ns = observed_ns
        if time_ns == 0 or time_ns > self._latest_ns:
            time_ns = self._came_ns
        self._place(time_ns)
        if fields is not None:
            self._told.orders.append((time_ns, time_ns, trace_id, self._service, fields, name))

    @cython.cfunc
    def _place(self, time_ns: cython.ulonglong) -> None:
        if time_ns < self._since:
            self._since = time_ns
        if time_ns > self._until:
            self._until = time_ns

    @cython.cfunc
    def _is_error(self, end: cython.Py_ssize_t) -> cython.bint:
        key: cython.ulonglong
        code: cython.ulonglong = 0
        while self._at < end:
            key = self._number(end)
            if key == 24:
                code = self._number(end)
            else:
                self._skip(key, end)
        return code == _ERROR

    @cython.cfunc
    def _beside(self, end: cython.Py_ssize_t, is_event: cython.bint) -> None:
        """An event or a link of a span: names, ids and attributes."""
        key: cython.ulonglong
        while self._at < end:
            key = self._number(end)
            if key == (26 if is_event else 34):
                self._known(self._bytes(end))
            elif key == 18 or (key == 10 and not is_event):
                self._values.add(crc32(self._bytes(end)[:LONGEST_NAME]))
            else:
                self._skip(key, end)

    @cython.cfunc
    def _consider(self, end: cython.Py_ssize_t) -> None:
        """Whether the record at hand is sought."""
        start: cython.Py_ssize_t = self._at
        stop: cython.Py_ssize_t
        key: cython.ulonglong
        severity: cython.ulonglong = 0
        bits: cython.ulonglong = self._group_bits
        pairs: cython.ulonglong = 50 if self._is_logs else 74
        names: tuple = _LOG_NAMES if self._is_logs else _SPAN_NAMES
        while self._at < end:
            key = self._number(end)
            if key == pairs:
                bits |= self._bits_of_pair(self._bytes(end))
            elif key == 16 and self._is_logs:
                severity = self._number(end)
            elif key in names:
                bits |= self._bits_of(self._bytes(end))
            elif not self._is_logs and (key == 90 or key == 106):
                stop = self._stop(end)
                bits |= self._bits_beside(stop, key == 90)
                self._at = stop
            else:
                self._skip(key, end)
        if bits == self._all_bits and severity >= self._severity:
            self._found.append((self._resource, self._scope, self._records, self._body[start:end]))

    @cython.cfunc
    def _bits_beside(self, end: cython.Py_ssize_t, is_event: cython.bint) -> cython.ulonglong:
        key: cython.ulonglong
        bits: cython.ulonglong = 0
        while self._at < end:
            key = self._number(end)
            if key == (26 if is_event else 34):
                bits |= self._bits_of_pair(self._bytes(end))
            elif key == 18 or (key == 10 and not is_event):
                bits |= self._bits_of(self._bytes(end))
            else:
                self._skip(key, end)
        return bits

    # Attributes.

    @cython.cfunc
    def _known(self, raw: bytes) -> object:
        """The (name, value) by which an attribute tells of an order; None for all others."""
        learnt = self._seen.get(raw, False)
        if learnt is False:
            learnt = self._learn(raw, False)
        return learnt

    @cython.cfunc
    def _bits_of_pair(self, raw: bytes) -> cython.ulonglong:
        learnt = self._seen.get(raw)
        if learnt is None:
            learnt = self._learn(raw, False)
        return learnt

    @cython.cfunc
    def _bits_of(self, value: bytes) -> cython.ulonglong:
        bits: cython.ulonglong = 0
        bit: cython.ulonglong = 1
        hashed = crc32(value[:LONGEST_NAME])
        for wanted in self._hashes:
            if wanted == hashed:
                bits |= bit
            bit <<= 1
        return bits

    @cython.cfunc
    def _learn(self, raw: bytes, is_resource: cython.bint) -> object:
        """Understand an attribute that was not met before in this request."""
        key, texts = attribute(raw)
        if is_resource and key == self._service_key and texts:
            self._service = texts[0][:LONGEST_NAME]
        if self._is_sought:
            bits = 0
            for text in texts:
                bits |= self._bits_of(text)
            if not is_resource:
                self._seen[raw] = bits
            return bits
        for text in texts:
            self._values.add(crc32(text[:LONGEST_NAME]))
        called = self._order_keys.get(key)
        learnt = None
        if called is not None and texts:
            learnt = (called, texts[0][:LONGEST_NAME].decode("utf-8", "replace"))
        if not is_resource:
            self._seen[raw] = learnt
        return learnt


def attribute(raw: bytes) -> tuple[bytes, list[bytes]]:
    """The key of a KeyValue, and its value as text; several of an array or a map. Raises Malformed."""
    key, texts = b"", list[bytes]()
    for number, content in fields_of(raw):
        if number == 1 and isinstance(content, bytes):
            key = content
        elif number == 2 and isinstance(content, bytes):
            texts = []
            value_texts(content, texts, 0)
    return key, texts


def value_texts(raw: bytes, texts: list[bytes], depth: int) -> None:
    """The leaves of an AnyValue as text, onto `texts`. Raises Malformed."""
    if depth > _MOST_DEPTH:
        return
    for number, content in fields_of(raw):
        if isinstance(content, bytes):
            if number == 1:
                texts.append(content)
            elif number == 4:
                texts.append(repr(_double.unpack(content)[0]).encode())
            elif number == 5:
                for _, item in fields_of(content):
                    if isinstance(item, bytes):
                        value_texts(item, texts, depth + 1)
            elif number == 6:
                for _, item in fields_of(content):
                    if isinstance(item, bytes):
                        for part, held in fields_of(item):
                            if part == 2 and isinstance(held, bytes):
                                value_texts(held, texts, depth + 1)
            elif number == 7:
                texts.append(content.hex().encode())
        elif number == 2:
            texts.append(b"true" if content else b"false")
        elif number == 3:
            texts.append(str(content - (1 << 64) if content >> 63 else content).encode())


def fields_of(raw: bytes) -> list[tuple[int, Any]]:
    """The fields of a message: (number, content); content is a number, or bytes. Raises Malformed."""
    found, position, end = [], 0, len(raw)
    while position < end:
        key, position = _varint(raw, position, end)
        number, wire = key >> 3, key & 7
        if wire == 0:
            content, position = _varint(raw, position, end)
            found.append((number, content))
            continue
        if wire == 2:
            size, position = _varint(raw, position, end)
        elif wire in {1, 5}:
            size = 8 if wire == 1 else 4
        else:
            raise Malformed("a wire type that does not occur in OTLP")
        if size > end - position:
            raise Malformed("a field is longer than its message")
        found.append((number, raw[position : position + size]))
        position += size
    return found


def _varint(raw: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
    raise Malformed("it ends inside a number")
