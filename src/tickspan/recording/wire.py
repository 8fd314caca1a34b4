"""OTLP messages as protobuf bytes, written back to front: a length is known when its prefix is written.

Interpreted or compiled from this one file (Cython's pure Python mode). Everything here takes what
`tickspan.recording.values` has cleaned: exact built-in types whose text can be encoded. Nothing foreign is
called, so that no application code runs, and no other thread comes in, while a message is half written.

Field numbers are those of opentelemetry-proto 1.x (`opentelemetry/proto/*/v1/*.proto`).
"""

# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportMissingTypeArgument=false
# pyright: reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false, reportInvalidTypeForm=false
# pyright: reportOperatorIssue=false, reportMissingImports=false, reportOptionalMemberAccess=false
# pyright: reportUnboundVariable=false, reportArgumentType=false, reportReturnType=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false, reportUninitializedInstanceVariable=false
# pyright: reportUnnecessaryComparison=false, reportAssignmentType=false, reportOptionalOperand=false
# C types are the compiler's, and what `cython.declare` gives an attribute is known to it alone.

from __future__ import annotations

import struct

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
    from cython.cimports.cpython.mem import PyMem_Free, PyMem_Malloc
    from cython.cimports.cpython.unicode import PyUnicode_AsUTF8AndSize
    from cython.cimports.libc.string import memcpy

_UINT64 = (1 << 64) - 1
_pack_double = struct.Struct("<d").pack
_pack_fixed64 = struct.Struct("<Q").pack
_pack_fixed32 = struct.Struct("<I").pack
_pack_two_times = struct.Struct("<BQBQ").pack


def _varint_bytes(value: int) -> bytes:
    low = bytearray()
    while value > 0x7F:
        low.append(value & 0x7F | 0x80)
        value >>= 7
    low.append(value)
    return bytes(low)


_SMALL = [_varint_bytes(value) for value in range(1 << 14)]
"""Varints of one and two bytes, for the interpreted form."""


@cython.cclass
class _Writer:
    """Bytes that grow towards the front; `size` of them are written."""

    size: cython.Py_ssize_t
    _room: cython.Py_ssize_t
    _data: cython.p_uchar
    _parts: list

    def __init__(self) -> None:
        self.size = 0
        if cython.compiled:
            self._room = 8192
            self._data = cython.cast(cython.p_uchar, PyMem_Malloc(self._room))
            if self._data is cython.NULL:
                self._room = 0
                raise MemoryError
        else:
            self._parts = []

    def __dealloc__(self) -> None:
        PyMem_Free(self._data)

    @cython.cfunc
    @cython.inline
    def take(self, count: cython.Py_ssize_t) -> cython.p_uchar:
        """Room for `count` bytes in front of what is written. Compiled form only."""
        if self.size + count > self._room:
            self._grow(self.size + count)
        self.size += count
        return self._data + (self._room - self.size)

    @cython.cfunc
    def _grow(self, needed: cython.Py_ssize_t) -> cython.int:
        room: cython.Py_ssize_t = self._room * 2
        if room < needed:
            room = needed * 2
        data: cython.p_uchar = cython.cast(cython.p_uchar, PyMem_Malloc(room))
        if data is cython.NULL:
            raise MemoryError
        memcpy(data + (room - self.size), self._data + (self._room - self.size), self.size)
        PyMem_Free(self._data)
        self._data = data
        self._room = room
        return 0

    @cython.cfunc
    def taken(self) -> bytes:
        """All that was written; the writer is empty again."""
        size: cython.Py_ssize_t = self.size
        self.size = 0
        if cython.compiled:
            return PyBytes_FromStringAndSize(
                cython.cast(cython.p_char, self._data) + (self._room - size), size
            )
        self._parts.reverse()
        message = b"".join(self._parts)
        self._parts = []
        return message


_KEEP = 1 << 20
_idle: _Writer | None = _Writer()


@cython.cfunc
def _writer() -> _Writer:
    """The writer that lies ready; a new one for whoever comes while it is in use."""
    global _idle
    ready = _idle
    if ready is None:
        return _Writer()
    _idle = None
    ready.size = 0
    return ready


@cython.cfunc
def _finished(w: _Writer) -> bytes:
    global _idle
    message: bytes = w.taken()
    if cython.compiled:
        if w._room <= _KEEP:
            _idle = w
    else:
        _idle = w
    return message


@cython.cfunc
@cython.inline
def _varint(w: _Writer, value: cython.ulonglong) -> cython.int:
    if cython.compiled:
        length: cython.int = 1
        rest: cython.ulonglong = value >> 7
        while rest:
            length += 1
            rest >>= 7
        at: cython.p_uchar = w.take(length)
        i: cython.int
        for i in range(length - 1):
            at[i] = cython.cast(cython.uchar, (value & 0x7F) | 0x80)
            value >>= 7
        at[length - 1] = cython.cast(cython.uchar, value)
    else:
        data = _SMALL[value] if value < 16384 else _varint_bytes(value)
        w._parts.append(data)
        w.size += len(data)
    return 0


@cython.cfunc
@cython.inline
def _head(w: _Writer, tag: cython.uint, since: cython.Py_ssize_t) -> cython.int:
    """Tag and length of the field whose content was written since `w.size` was `since`."""
    if cython.compiled:
        length: cython.Py_ssize_t = w.size - since
        if length < 128 and tag < 128:
            at: cython.p_uchar = w.take(2)
            at[0] = cython.cast(cython.uchar, tag)
            at[1] = cython.cast(cython.uchar, length)
            return 0
        _varint(w, length)
        _varint(w, tag)
    else:
        size = w.size - since
        data = _SMALL[tag] + (_SMALL[size] if size < 16384 else _varint_bytes(size))
        w._parts.append(data)
        w.size += len(data)
    return 0


@cython.cfunc
def _bytes(w: _Writer, tag: cython.uint, value: bytes) -> cython.int:
    since: cython.Py_ssize_t = w.size
    _raw(w, value)
    _head(w, tag, since)
    return 0


@cython.cfunc
@cython.inline
def _raw(w: _Writer, value: bytes) -> cython.int:
    if cython.compiled:
        length: cython.Py_ssize_t = PyBytes_GET_SIZE(value)
        memcpy(w.take(length), PyBytes_AS_STRING(value), length)
    else:
        w._parts.append(value)
        w.size += len(value)
    return 0


def _encoded(text: str) -> bytes:
    """UTF-8 of any text; a lone surrogate becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


@cython.cfunc
def _text(w: _Writer, tag: cython.uint, value: str) -> cython.int:
    if cython.compiled:
        length: cython.Py_ssize_t = 0
        try:
            data = PyUnicode_AsUTF8AndSize(value, cython.address(length))
        except UnicodeEncodeError:
            return _bytes(w, tag, _encoded(value))
        memcpy(w.take(length), data, length)
        if length < 128 and tag < 128:
            at: cython.p_uchar = w.take(2)
            at[0] = cython.cast(cython.uchar, tag)
            at[1] = cython.cast(cython.uchar, length)
            return 0
        _varint(w, length)
        _varint(w, tag)
    else:
        try:
            data = value.encode()
        except UnicodeEncodeError:
            data = _encoded(value)
        size = len(data)
        head = _SMALL[tag] + (_SMALL[size] if size < 16384 else _varint_bytes(size))
        w._parts += (data, head)
        w.size += size + len(head)
    return 0


@cython.cfunc
@cython.inline
def _number(w: _Writer, tag: cython.uint, value: cython.ulonglong) -> cython.int:
    """A varint field."""
    if cython.compiled:
        _varint(w, value)
        _varint(w, tag)
    else:
        data = _SMALL[tag] + (_SMALL[value] if value < 16384 else _varint_bytes(value))
        w._parts.append(data)
        w.size += len(data)
    return 0


@cython.cfunc
@cython.inline
def _fixed64(w: _Writer, tag: cython.uint, value: cython.ulonglong) -> cython.int:
    if cython.compiled:
        _put64(w, value)
    else:
        w._parts.append(_pack_fixed64(value))
        w.size += 8
    _varint(w, tag)
    return 0


@cython.cfunc
@cython.inline
def _put64(w: _Writer, value: cython.ulonglong) -> cython.int:
    """Eight bytes, little endian, whatever the machine's order. Compiled form only."""
    at: cython.p_uchar = w.take(8)
    i: cython.int
    for i in range(8):
        at[i] = cython.cast(cython.uchar, value & 0xFF)
        value >>= 8
    return 0


@cython.cfunc
@cython.inline
def _identity(w: _Writer, tag: cython.uint, value: object) -> cython.int:
    """A span id: eight bytes, big endian."""
    if cython.compiled:
        _put64_big(w, value)
        at: cython.p_uchar = w.take(2)
        at[0] = cython.cast(cython.uchar, tag)
        at[1] = 8
    else:
        w._parts += (value.to_bytes(8, "big"), _SMALL[tag] + b"\x08")
        w.size += 10
    return 0


@cython.cfunc
@cython.inline
def _trace_identity(w: _Writer, tag: cython.uint, value: object) -> cython.int:
    """A trace id: sixteen bytes, big endian."""
    _bytes(w, tag, value.to_bytes(16, "big"))
    return 0


@cython.cfunc
@cython.inline
def _put64_big(w: _Writer, value: cython.ulonglong) -> cython.int:
    """Eight bytes, big endian. Compiled form only."""
    at: cython.p_uchar = w.take(8)
    i: cython.int
    for i in range(8):
        at[7 - i] = cython.cast(cython.uchar, value & 0xFF)
        value >>= 8
    return 0


@cython.cfunc
@cython.inline
def _two_times(w: _Writer, start_tag: cython.uint, start_ns: object, end_ns: object) -> cython.int:
    """Two fixed64 fields whose tags follow one another."""
    if cython.compiled:
        _fixed64(w, start_tag + 8, end_ns)
        _fixed64(w, start_tag, start_ns)
    else:
        w._parts.append(_pack_two_times(start_tag, start_ns, start_tag + 8, end_ns))
        w.size += 18
    return 0


@cython.cfunc
@cython.inline
def _fixed32(w: _Writer, tag: cython.uint, value: cython.uint) -> cython.int:
    if cython.compiled:
        at: cython.p_uchar = w.take(4)
        i: cython.int
        for i in range(4):
            at[i] = cython.cast(cython.uchar, value & 0xFF)
            value >>= 8
        _varint(w, tag)
    else:
        data = _SMALL[tag] + _pack_fixed32(value)
        w._parts.append(data)
        w.size += len(data)
    return 0


@cython.cfunc
@cython.inline
def _double(w: _Writer, tag: cython.uint, value: cython.double) -> cython.int:
    if cython.compiled:
        bits: cython.ulonglong = 0
        memcpy(cython.address(bits), cython.address(value), 8)
        _put64(w, bits)
        _varint(w, tag)
    else:
        w._parts.append(_SMALL[tag] + _pack_double(value))
        w.size += 8 + len(_SMALL[tag])
    return 0


@cython.cfunc
def _signed(w: _Writer, tag: cython.uint, value: object) -> cython.int:
    """An int64 field as a varint."""
    if cython.compiled:
        number: cython.longlong = value
        _varint(w, cython.cast(cython.ulonglong, number))
        _varint(w, tag)
    else:
        data = _SMALL[tag] + (_SMALL[value] if 0 <= value < 16384 else _varint_bytes(value & _UINT64))
        w._parts.append(data)
        w.size += len(data)
    return 0


@cython.cfunc
def _any_value(w: _Writer, value: object) -> cython.int:
    """The fields of an `AnyValue`. None is an `AnyValue` without a field."""
    kind = type(value)
    if kind is str:
        _text(w, 0x0A, value)
    elif kind is bool:
        _number(w, 0x10, 1 if value else 0)
    elif kind is int:
        _signed(w, 0x18, value)
    elif kind is float:
        _double(w, 0x21, value)
    elif kind is bytes:
        _bytes(w, 0x3A, value)
    elif kind is tuple or kind is list:
        since: cython.Py_ssize_t = w.size
        for item in reversed(value):
            _message_value(w, 0x0A, item)
        _head(w, 0x2A, since)
    elif kind is dict:
        since = w.size
        _key_values(w, 0x0A, value)
        _head(w, 0x32, since)
    return 0


@cython.cfunc
@cython.inline
def _message_value(w: _Writer, tag: cython.uint, value: object) -> cython.int:
    since: cython.Py_ssize_t = w.size
    _any_value(w, value)
    _head(w, tag, since)
    return 0


@cython.cfunc
def _key_values(w: _Writer, tag: cython.uint, attributes: dict) -> cython.int:
    """One `KeyValue` for each attribute, in the dict's order."""
    since: cython.Py_ssize_t
    for key, value in reversed(attributes.items()):
        if not cython.compiled:
            entry = _short_entry(tag, key, value)
            if entry is not None:
                w._parts.append(entry)
                w.size += len(entry)
                continue
        since = w.size
        _message_value(w, 0x12, value)
        _text(w, 0x0A, key)
        _head(w, tag, since)
    return 0


_REMEMBERED_LENGTH = 64
_REMEMBERED = 4096
_remembered: dict = {}
"""Attributes whose value is a short text, by (tag, key, value), and names by (kind, name): the same few come
again and again, and the interpreted form is ten times slower at encoding one than at looking it up. Emptied
when it is full."""


def _short_entry(tag: int, key: str, value: object) -> bytes | None:
    """A `KeyValue` whose value is a number or a short text, by what is remembered of its key; else None."""
    kind = type(value)
    if kind is str:
        if len(value) >= _REMEMBERED_LENGTH:
            return None
        return _remembered.get((tag, key, value)) or _remember(tag, key, value)
    if kind is float:
        data = b"\x21" + _pack_double(value)
    elif kind is int:
        data = b"\x18" + (_SMALL[value] if 0 <= value < 16384 else _varint_bytes(value & _UINT64))
    elif kind is bool:
        data = b"\x10\x01" if value else b"\x10\x00"
    else:
        return None
    size = len(data)
    return (_remembered.get((tag, key, size, None)) or _remember_key(tag, key, size)) + data


def _remember_key(tag: int, key: str, size: int) -> bytes:
    """What stands before the value of an attribute, when the value takes `size` bytes."""
    w: _Writer = _Writer()
    w.size = size
    _head(w, 0x12, 0)
    _text(w, 0x0A, key)
    _head(w, tag, 0)
    return _keep(w, (tag, key, size, None))


def _remember(tag: int, key: str, value: str) -> bytes:
    w: _Writer = _Writer()
    _message_value(w, 0x12, value)
    _text(w, 0x0A, key)
    _head(w, tag, 0)
    return _keep(w, (tag, key, value))


def _keep(w: _Writer, remembered: tuple) -> bytes:
    entry: bytes = w.taken()
    if len(_remembered) >= _REMEMBERED:
        _remembered.clear()
    _remembered[remembered] = entry
    return entry


@cython.cfunc
def _event(w: _Writer, event: tuple) -> cython.int:
    since: cython.Py_ssize_t = w.size
    if event[3]:
        _number(w, 0x20, event[3])
    _key_values(w, 0x1A, event[2])
    _text(w, 0x12, event[1])
    _fixed64(w, 0x09, event[0])
    _head(w, 0x5A, since)
    return 0


@cython.cfunc
def _link(w: _Writer, link: tuple) -> cython.int:
    since: cython.Py_ssize_t = w.size
    _fixed32(w, 0x35, link[5])
    if link[4]:
        _number(w, 0x28, link[4])
    _key_values(w, 0x22, link[3])
    if link[2]:
        _text(w, 0x1A, link[2])
    _identity(w, 0x12, link[1])
    _trace_identity(w, 0x0A, link[0])
    _head(w, 0x6A, since)
    return 0


_LOCAL_PARENT = 0x100
_UNSET_STATUS = b"\x7a\x00\x85\x01\x00\x01\x00\x00"
"""An empty `Status`, present as upstream writes it, and the flags of a span with a local parent or none."""


@cython.cfunc
def _status(w: _Writer, code: cython.int, text: str) -> cython.int:
    since: cython.Py_ssize_t = w.size
    if code:
        _number(w, 0x18, code)
    if text:
        _text(w, 0x12, text)
    _head(w, 0x7A, since)
    return 0


def encode_span(
    trace_id: int,
    span_id: int,
    trace_state: str,
    parent_id: int,
    flags: int,
    name: str,
    kind: int,
    start_ns: int,
    end_ns: int,
    attributes: dict,
    dropped_attributes: int,
    events: list | None,
    dropped_events: int,
    links: list | None,
    dropped_links: int,
    status_code: int,
    status_text: str,
    before: bytes = b"",
) -> bytes:
    """A `Span`, framed as an entry of `ScopeSpans.spans`.

    Args:
        trace_id: 128 bits.
        span_id: 64 bits.
        trace_state: as a header; empty for none.
        parent_id: 64 bits; 0 for none.
        flags: OTLP's: 0x100 "is remote is known", 0x200 "the parent is remote".
        name: of the span.
        kind: OTLP's number, 1 to 5.
        start_ns: since the epoch.
        end_ns: since the epoch.
        attributes: clean.
        dropped_attributes: how many did not fit.
        events: tuples (time_ns, name, attributes, dropped attributes).
        dropped_events: how many did not fit.
        links: tuples (trace id, span id, trace state, attributes, dropped attributes, flags).
        dropped_links: how many did not fit.
        status_code: OTLP's number: 0 unset, 1 ok, 2 error.
        status_text: of an error.
        before: attributes that come before `attributes`, encoded with `SPAN_ATTRIBUTES`.
    """
    w: _Writer = _writer()
    if status_code or flags != _LOCAL_PARENT:
        _fixed32(w, 0x85, flags)
        _status(w, status_code, status_text)
    else:
        _raw(w, _UNSET_STATUS)
    if dropped_links:
        _number(w, 0x70, dropped_links)
    if links:
        for link in reversed(links):
            _link(w, link)
    if dropped_events:
        _number(w, 0x60, dropped_events)
    if events:
        for event in reversed(events):
            _event(w, event)
    if dropped_attributes:
        _number(w, 0x50, dropped_attributes)
    _key_values(w, 0x4A, attributes)
    if before:
        _raw(w, before)
    _two_times(w, 0x39, start_ns, end_ns)
    _kind_and_name(w, kind, name)
    if parent_id:
        _identity(w, 0x22, parent_id)
    if trace_state:
        _text(w, 0x1A, trace_state)
    _identity(w, 0x12, span_id)
    _trace_identity(w, 0x0A, trace_id)
    _head(w, 0x12, 0)
    return _finished(w)


@cython.cfunc
@cython.inline
def _kind_and_name(w: _Writer, kind: cython.int, name: str) -> cython.int:
    if not cython.compiled and len(name) < _REMEMBERED_LENGTH:
        entry = _remembered.get((kind, name)) or _remember_name(kind, name)
        w._parts.append(entry)
        w.size += len(entry)
        return 0
    _number(w, 0x30, kind)
    _text(w, 0x2A, name)
    return 0


def _remember_name(kind: int, name: str) -> bytes:
    w: _Writer = _Writer()
    _number(w, 0x30, kind)
    _text(w, 0x2A, name)
    return _keep(w, (kind, name))


def encode_log(
    time_ns: int,
    observed_ns: int,
    severity_number: int,
    severity_text: str,
    body: object,
    attributes: dict,
    dropped_attributes: int,
    flags: int,
    trace_id: int,
    span_id: int,
    event_name: str,
    before: bytes = b"",
) -> bytes:
    """A `LogRecord`, framed as an entry of `ScopeLogs.log_records`.

    Zero and empty arguments are left out. `body` is a clean value; None is no body. `flags` are W3C's.
    `before` are attributes that come before `attributes`, and a severity, by `encode_log_constants`.
    """
    w: _Writer = _writer()
    since: cython.Py_ssize_t
    if event_name:
        _text(w, 0x62, event_name)
    if observed_ns:
        _fixed64(w, 0x59, observed_ns)
    if span_id:
        _identity(w, 0x52, span_id)
    if trace_id:
        _trace_identity(w, 0x4A, trace_id)
    if flags:
        _fixed32(w, 0x45, flags)
    if dropped_attributes:
        _number(w, 0x38, dropped_attributes)
    _key_values(w, 0x32, attributes)
    if before:
        _raw(w, before)
    if body is not None:
        since = w.size
        _any_value(w, body)
        _head(w, 0x2A, since)
    if severity_text:
        _text(w, 0x1A, severity_text)
    if severity_number:
        _number(w, 0x10, severity_number)
    if time_ns:
        _fixed64(w, 0x09, time_ns)
    _head(w, 0x12, 0)
    return _finished(w)


def encode_log_constants(severity_number: int, severity_text: str, attributes: dict) -> bytes:
    """What records of one line have in common, for `before` of `encode_log`: made once, used each time.

    Severity and text of such a record are 0 and empty there.
    """
    w: _Writer = _writer()
    _key_values(w, 0x32, attributes)
    if severity_text:
        _text(w, 0x1A, severity_text)
    if severity_number:
        _number(w, 0x10, severity_number)
    return _finished(w)


def encode_resource(attributes: dict) -> bytes:
    """A `Resource` message, not framed."""
    w: _Writer = _writer()
    _key_values(w, 0x0A, attributes)
    return _finished(w)


def encode_scope(name: str, version: str, attributes: dict) -> bytes:
    """An `InstrumentationScope` message, not framed."""
    w: _Writer = _writer()
    _key_values(w, 0x1A, attributes)
    if version:
        _text(w, 0x12, version)
    if name:
        _text(w, 0x0A, name)
    return _finished(w)


def encode_attributes(tag: int, attributes: dict) -> bytes:
    """`KeyValue` entries under a field's tag: made once for a metric series or spans alike, used each time.

    `NUMBER_ATTRIBUTES`, `HISTOGRAM_ATTRIBUTES` and `EXPONENTIAL_ATTRIBUTES` are the tags of data points,
    `SPAN_ATTRIBUTES` is that of spans.
    """
    w: _Writer = _writer()
    _key_values(w, tag, attributes)
    return _finished(w)


NUMBER_ATTRIBUTES = 0x3A
HISTOGRAM_ATTRIBUTES = 0x4A
EXPONENTIAL_ATTRIBUTES = 0x0A
SPAN_ATTRIBUTES = 0x4A
DELTA = 1
CUMULATIVE = 2


@cython.cfunc
def _measured(w: _Writer, double_tag: cython.uint, int_tag: cython.uint, value: object) -> cython.int:
    """A value that is a double or an sfixed64, each under its own tag."""
    if type(value) is float:
        _double(w, double_tag, value)
    elif cython.compiled:
        number: cython.longlong = value
        _fixed64(w, int_tag, cython.cast(cython.ulonglong, number))
    else:
        _fixed64(w, int_tag, value & _UINT64)
    return 0


@cython.cfunc
def _exemplars(w: _Writer, tag: cython.uint, exemplars: list | None) -> cython.int:
    """Tuples (time_ns, value, trace id, span id, filtered attributes); ids are 0 for none."""
    if not exemplars:
        return 0
    since: cython.Py_ssize_t
    for exemplar in reversed(exemplars):
        since = w.size
        _key_values(w, 0x3A, exemplar[4])
        if exemplar[2]:
            _trace_identity(w, 0x2A, exemplar[2])
            _identity(w, 0x22, exemplar[3])
        _measured(w, 0x19, 0x31, exemplar[1])
        _fixed64(w, 0x11, exemplar[0])
        _head(w, tag, since)
    return 0


@cython.cfunc
def _metric(w: _Writer, tag: cython.uint, name: str, description: str, unit: str) -> bytes:
    """The frame around data that is already written: the whole of it is under `tag`."""
    _head(w, tag, 0)
    if unit:
        _text(w, 0x1A, unit)
    if description:
        _text(w, 0x12, description)
    _text(w, 0x0A, name)
    _head(w, 0x12, 0)
    return _finished(w)


def encode_gauge(name: str, description: str, unit: str, time_ns: int, points: list) -> bytes:
    """A gauge `Metric`, framed as an entry of `ScopeMetrics.metrics`; points as in `encode_sum`."""
    w: _Writer = _writer()
    for point in reversed(points):
        _number_point(w, time_ns, point)
    return _metric(w, 0x2A, name, description, unit)


def encode_sum(
    name: str,
    description: str,
    unit: str,
    time_ns: int,
    points: list,
    temporality: int,
    is_monotonic: bool,
) -> bytes:
    """A sum `Metric`, framed as an entry of `ScopeMetrics.metrics`.

    Points are tuples (encoded attributes, start_ns, value, exemplars or None); a start of 0 is left out.
    """
    w: _Writer = _writer()
    if is_monotonic:
        _number(w, 0x18, 1)
    _number(w, 0x10, temporality)
    for point in reversed(points):
        _number_point(w, time_ns, point)
    return _metric(w, 0x3A, name, description, unit)


@cython.cfunc
def _number_point(w: _Writer, time_ns: cython.ulonglong, point: tuple) -> cython.int:
    since: cython.Py_ssize_t = w.size
    _raw(w, point[0])
    _exemplars(w, 0x2A, point[3])
    _measured(w, 0x21, 0x31, point[2])
    _fixed64(w, 0x19, time_ns)
    if point[1]:
        _fixed64(w, 0x11, point[1])
    _head(w, 0x0A, since)
    return 0


def encode_histogram(
    name: str, description: str, unit: str, time_ns: int, points: list, temporality: int
) -> bytes:
    """A histogram `Metric`, framed as an entry of `ScopeMetrics.metrics`.

    Points are tuples (encoded attributes, start_ns, count, sum, min, max, bucket counts, encoded bounds,
    exemplars or None). `sum`, `min` and `max` are floats, or None to leave them out. Bounds are packed once
    by `encode_bounds`.
    """
    w: _Writer = _writer()
    _number(w, 0x10, temporality)
    since: cython.Py_ssize_t
    inner: cython.Py_ssize_t
    for point in reversed(points):
        since = w.size
        if point[5] is not None:
            _double(w, 0x61, point[5])
        if point[4] is not None:
            _double(w, 0x59, point[4])
        _raw(w, point[0])
        _exemplars(w, 0x42, point[8])
        _raw(w, point[7])
        inner = w.size
        for count in reversed(point[6]):
            _packed_fixed64(w, count)
        _head(w, 0x32, inner)
        if point[3] is not None:
            _double(w, 0x29, point[3])
        _fixed64(w, 0x21, point[2])
        _fixed64(w, 0x19, time_ns)
        if point[1]:
            _fixed64(w, 0x11, point[1])
        _head(w, 0x0A, since)
    return _metric(w, 0x4A, name, description, unit)


@cython.cfunc
@cython.inline
def _packed_fixed64(w: _Writer, value: cython.ulonglong) -> cython.int:
    if cython.compiled:
        _put64(w, value)
    else:
        w._parts.append(_pack_fixed64(value))
        w.size += 8
    return 0


def encode_bounds(bounds: tuple) -> bytes:
    """The field `explicit_bounds` of a histogram's points; empty when there are none."""
    if not bounds:
        return b""
    packed = struct.pack(f"<{len(bounds)}d", *bounds)
    return b"\x3a" + _varint_bytes(len(packed)) + packed


def encode_exponential_histogram(
    name: str, description: str, unit: str, time_ns: int, points: list, temporality: int
) -> bytes:
    """An exponential histogram `Metric`, framed as an entry of `ScopeMetrics.metrics`.

    Points are tuples (encoded attributes, start_ns, count, sum, min, max, scale, zero count, positive offset,
    positive counts, negative offset, negative counts, exemplars or None); `sum`, `min`, `max` as in
    `encode_histogram`.
    """
    w: _Writer = _writer()
    _number(w, 0x10, temporality)
    since: cython.Py_ssize_t
    for point in reversed(points):
        since = w.size
        if point[5] is not None:
            _double(w, 0x69, point[5])
        if point[4] is not None:
            _double(w, 0x61, point[4])
        _exemplars(w, 0x5A, point[12])
        _buckets(w, 0x4A, point[10], point[11])
        _buckets(w, 0x42, point[8], point[9])
        if point[7]:
            _fixed64(w, 0x39, point[7])
        _zigzag(w, 0x30, point[6])
        if point[3] is not None:
            _double(w, 0x29, point[3])
        _fixed64(w, 0x21, point[2])
        _fixed64(w, 0x19, time_ns)
        if point[1]:
            _fixed64(w, 0x11, point[1])
        _raw(w, point[0])
        _head(w, 0x0A, since)
    return _metric(w, 0x52, name, description, unit)


@cython.cfunc
def _buckets(w: _Writer, tag: cython.uint, offset: object, counts: list) -> cython.int:
    since: cython.Py_ssize_t = w.size
    if counts:
        for count in reversed(counts):
            _varint(w, count)
        _head(w, 0x12, since)
    if offset:
        _zigzag(w, 0x08, offset)
    _head(w, tag, since)
    return 0


@cython.cfunc
def _zigzag(w: _Writer, tag: cython.uint, value: object) -> cython.int:
    """A sint32 field; 0 is left out."""
    if value:
        _number(w, tag, value * 2 if value > 0 else -value * 2 - 1)
    return 0
