"""Log records as OTLP bytes: events, and records of the standard library's `logging`.

Interpreted or compiled from this one file (Cython's pure Python mode). OpenTelemetry's objects come in as
values (`span.Interop`), so that this layer imports none of it. What is recorded is clean: values by
`tickspan.recording.values`, attributes whose keys name secrets by `keys`, texts of bodies by `scan`.
"""

# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportMissingTypeArgument=false
# pyright: reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false, reportInvalidTypeForm=false
# pyright: reportOperatorIssue=false, reportMissingImports=false, reportOptionalMemberAccess=false
# pyright: reportUnboundVariable=false, reportArgumentType=false, reportReturnType=false, reportIndexIssue=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false, reportUninitializedInstanceVariable=false
# pyright: reportUnnecessaryComparison=false, reportAssignmentType=false, reportOptionalOperand=false
# C types are the compiler's, and what `cython.declare` gives an attribute is known to it alone.

from __future__ import annotations

import logging
import time
from typing import Any

from tickspan.recording.keys import KNOWN, PLAIN, key_policy
from tickspan.recording.scan import _RULES, MAX_SCANNED, scrubbed
from tickspan.recording.values import clean_key, clean_time, clean_value
from tickspan.semconv.logs import (
    CODE_FILE_PATH,
    CODE_FUNCTION_NAME,
    CODE_LINE_NUMBER,
    TICKSPAN_LOG_FORMAT_ERROR,
)

from .mentions import Mentions
from .wire import encode_log

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

MAX_TEXT = 16 * 1024
MAX_KEY = 256
_MIN_INT64 = -(1 << 63)
_MAX_INT64 = (1 << 63) - 1
_TIME_END = 1 << 64
_SPAN_ID_END = 1 << 64
_TRACE_ID_END = 1 << 128
_FLAGS_END = 1 << 32
_LOWEST_LEVEL = 10
_HIGHEST_LEVEL = 53
_HIGHEST_SEVERITY = 24

_EMPTY_BODY = object()
"""`wire` writes what it does not know as an `AnyValue` without a field: upstream's form of "no body"."""

_NATURAL = frozenset(
    """
    args asctime created exc_info exc_text filename funcName getMessage levelname levelno lineno message
    module msecs msg name pathname process processName relativeCreated stack_info taskName thread threadName
    """.split()  # noqa: SIM905 - words read better than quoted words
)
"""What every standard record has; all else is the application's `extra`."""

_SEVERITY_TEXTS = {"WARNING": "WARN", "CRITICAL": "FATAL"}
_SEVERITIES = (
    *(0 for _ in range(_LOWEST_LEVEL)),
    *(min(5 + level - 10, 8) for level in range(10, 20)),
    *(min(9 + level - 20, 12) for level in range(20, 30)),
    *(min(13 + level - 30, 16) for level in range(30, 40)),
    *(min(17 + level - 40, 20) for level in range(40, 50)),
    *(21 + level - 50 for level in range(50, _HIGHEST_LEVEL + 1)),
)
"""OTLP's severity by `levelno`: four steps for each level of Python's, the last for all above."""

_PlainRecord = logging.LogRecord
_PLAIN_SIZE = len(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)
suspicious: Mentions = Mentions((*[word for words, _ in _RULES for word in words], "://"))
"""What the scanner's rules and the rule for URLs look for: without any of it they have nothing to do."""


@cython.cclass
class LogRecorder:
    """Writes the records of one instrumentation scope to `stream` (`append(record)`). Safe from any thread.

    `is_direct` belongs to the layer above: whether a record needs nothing but to be written here.
    """

    stream = cython.declare(object, visibility="public")
    is_direct = cython.declare(cython.bint, visibility="public")
    _context_var: Any
    _span_key: Any
    _span_class: Any
    _parent_of: Any
    _max_attributes: cython.Py_ssize_t
    _max_length: cython.Py_ssize_t

    def __init__(
        self,
        interop: Any,
        stream: Any,
        max_attributes: int | None = None,
        max_length: int | None = None,
    ) -> None:
        """Make a recorder.

        Args:
            interop: OpenTelemetry's objects, a `span.Interop`.
            stream: takes finished records.
            max_attributes: of one record, the oldest go first; None is no limit.
            max_length: characters of a text that is or is in an attribute's value; None is no limit.
        """
        self.stream = stream
        self.is_direct = True
        self._context_var = interop.context_var
        self._span_key = interop.current_span_key
        self._span_class = interop.span_class
        self._parent_of = interop.parent_of
        self._max_attributes = -1 if max_attributes is None else max_attributes
        self._max_length = -1 if max_length is None else max_length

    def record(
        self,
        time_ns: Any,
        observed_ns: Any,
        context: Any,
        severity: Any,
        severity_text: Any,
        body: Any,
        attributes: Any,
        event_name: Any,
    ) -> None:
        """Append one record; any object will do as any argument, None for what is not there.

        Args:
            time_ns: when it happened, since the epoch.
            observed_ns: when it was seen, since the epoch; None is now.
            context: whose span it belongs to; None is the current one.
            severity: OTLP's number, or an enum member with that value.
            severity_text: as the source calls it.
            body: text, a structure, or any object.
            attributes: a mapping.
            event_name: of an event.
        """
        kept, dropped = self.cleaned(attributes)
        trace_id, span_id, flags = self.ids(context)
        self.stream.append(
            encode_log(
                _time(time_ns),
                time.time_ns() if observed_ns is None else _time(observed_ns),
                _severity(severity),
                _text(severity_text),
                _body(body),
                kept,
                dropped,
                flags,
                trace_id,
                span_id,
                _text(event_name),
            )
        )

    def record_given(self, record: Any, attributes: Any, dropped: int) -> None:
        """Append what an OpenTelemetry `LogRecord` says, with these attributes in place of its own.

        Args:
            record: only read; its ids count, not its context.
            attributes: a mapping, or None.
            dropped: how many were left out before.
        """
        kept, left_out = self.cleaned(attributes)
        self.stream.append(
            encode_log(
                _time(record.timestamp),
                _time(record.observed_timestamp),
                _severity(record.severity_number),
                _text(record.severity_text),
                _body(record.body),
                kept,
                left_out + dropped,
                _bits(record.trace_flags, _FLAGS_END),
                _bits(record.trace_id, _TRACE_ID_END),
                _bits(record.span_id, _SPAN_ID_END),
                _text(record.event_name),
            )
        )

    def record_standard(self, record: Any, text: Any, exception: Any) -> None:
        """Append one record of the standard library, under the current span.

        Args:
            record: a `logging.LogRecord`.
            text: what a formatter made of it; None for the record's own message.
            exception: attributes of its exception; None for no exception.
        """
        values: dict = record.__dict__
        kept: dict = {}
        dropped: cython.Py_ssize_t = 0
        limit: cython.Py_ssize_t = self._max_attributes
        if 0 <= limit < len(values):
            kept, dropped = self.cleaned(_extra(values))
        elif not _is_bare(record, values):
            self._keep_extra(kept, values)
        kept[CODE_FILE_PATH] = self._limited(values["pathname"])
        kept[CODE_FUNCTION_NAME] = self._limited(values["funcName"])
        kept[CODE_LINE_NUMBER] = self._limited(values["lineno"])
        if exception is not None:
            for key, value in exception.items():
                kept[key] = self._limited(value)
        body = text
        if text is None:
            body = _message(record, values, kept)
        if limit >= 0:
            while len(kept) > limit:
                del kept[next(iter(kept))]
                dropped += 1
        trace_id, span_id, flags = self.ids(None)
        self.stream.append(
            encode_log(
                int(values["created"] * 1e9),
                time.time_ns(),
                _severity_of(values["levelno"]),
                _severity_text_of(values["levelname"]),
                _body(body),
                kept,
                dropped,
                flags,
                trace_id,
                span_id,
                "",
            )
        )

    def ids(self, context: Any) -> tuple:
        """Trace id, span id, W3C flags of the span in `context`, or in the current one; zeros for none."""
        span = (context or self._context_var.get()).get(self._span_key)
        if span is None:
            return 0, 0, 0
        if type(span) is self._span_class:
            return span.trace_id, span.span_id, span.trace_flags
        known = self._parent_of(span)
        return (0, 0, 0) if known is None else (known[0], known[1], known[3])

    def cleaned(self, attributes: Any) -> tuple:
        """Clean attributes within the limits, and how many were left out. Does not raise."""
        kept: dict = {}
        if not attributes:
            return kept, 0
        limit: cython.Py_ssize_t = self._max_attributes
        # as it is now: what cleans a value may change it, and so may another thread
        given: dict = dict.copy(attributes) if type(attributes) is dict else _mapping(attributes)
        count: cython.Py_ssize_t = len(given)
        skipped: cython.Py_ssize_t = count - limit if 0 <= limit < count else 0
        for key, value in given.items():
            if skipped > 0:
                skipped -= 1
                continue
            name = key if type(key) is str and 0 < len(key) <= MAX_KEY else clean_key(key)
            kept[name] = _clean(name, value, self._max_length)
        return kept, count - len(kept)

    @cython.cfunc
    def _keep_extra(self, kept: dict, values: dict) -> cython.int:
        for key, value in _extra(values).items():
            name = key if type(key) is str and 0 < len(key) <= MAX_KEY else clean_key(key)
            kept[name] = _clean(name, value, self._max_length)
        return 0

    @cython.cfunc
    def _limited(self, value: Any) -> Any:
        """A value of ours, whose key has no rule."""
        value = _plain(value)
        return value if self._max_length < 0 else _cut(value, self._max_length)


def standard_attributes(record: Any, exception: Any) -> dict:
    """The attributes of a standard record, clean: `extra`, the place in the code, the exception."""
    values: dict = record.__dict__
    kept: dict = {}
    for key, value in _extra(values).items():
        name = key if type(key) is str and 0 < len(key) <= MAX_KEY else clean_key(key)
        kept[name] = _clean(name, value, -1)
    kept[CODE_FILE_PATH] = _plain(values["pathname"])
    kept[CODE_FUNCTION_NAME] = _plain(values["funcName"])
    kept[CODE_LINE_NUMBER] = _plain(values["lineno"])
    if exception is not None:
        kept.update(exception)
    return kept


def standard_body(record: Any, attributes: dict) -> Any:
    """A standard record's message, or the object that was logged without arguments; clean. Does not raise.

    Where the template and its arguments do not fit, or an argument's `__str__` raises, the body is the
    template, and the error is added to `attributes`.
    """
    return clean_body(_message(record, record.__dict__, attributes))


def clean_body(body: Any) -> Any:
    """A body as it may leave, for others to see; None for none, and lists stay lists."""
    return None if body is None else _like(body, _body(body))


def severity_of(level: Any) -> int:
    """OTLP's number for a level of the standard library's."""
    return _severity_of(level)


def severity_text_of(level_name: Any) -> str:
    """OpenTelemetry's word for the name of a level."""
    return _severity_text_of(level_name)


@cython.cfunc
def _is_bare(record: Any, values: dict) -> cython.bint:
    """Whether nobody has added anything, seen without looking at each key: what is added stands last."""
    if type(record) is not _PlainRecord or len(values) != _PLAIN_SIZE:
        return False
    return next(reversed(values)) in _NATURAL


@cython.cfunc
def _extra(values: dict) -> dict:
    return {key: value for key, value in values.copy().items() if key not in _NATURAL}


@cython.cfunc
def _message(record: Any, values: dict, attributes: dict) -> Any:
    message = values["msg"]
    arguments = values["args"]
    if type(message) is str:
        if not arguments and type(record) is _PlainRecord:
            return message
    elif not arguments and not issubclass(type(message), str):
        return message
    try:
        if type(record) is _PlainRecord:
            return str(message) % arguments
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - formatting runs the application's code, whose caller only logs
        attributes[TICKSPAN_LOG_FORMAT_ERROR] = type(error).__qualname__
        return message


@cython.cfunc
def _severity_of(level: Any) -> Any:
    if type(level) is int:
        if level < _LOWEST_LEVEL:
            return 0
        return _SEVERITIES[level] if level <= _HIGHEST_LEVEL else _HIGHEST_SEVERITY
    return _severity_of(int(level)) if issubclass(type(level), int | float) else 0


@cython.cfunc
def _severity_text_of(level_name: Any) -> Any:
    name = _text(level_name)
    return _SEVERITY_TEXTS.get(name, name)


@cython.cfunc
def _mapping(attributes: Any) -> dict:
    """A foreign mapping as it is now; empty where it raises."""
    try:
        return dict(attributes)
    except Exception:  # noqa: BLE001 - a mapping of the application's
        return {}


@cython.cfunc
def _clean(key: Any, value: Any, max_length: cython.Py_ssize_t) -> Any:
    """A value as it may be kept under `key`."""
    value = _plain(value)
    policy = KNOWN.get(key)
    if policy is None:
        policy = key_policy(key)
    if policy is not PLAIN:
        value = policy.apply(value)
    return value if max_length < 0 else _cut(value, max_length)


@cython.cfunc
def _plain(value: Any) -> Any:
    """A value that the wire knows, and that is within the bounds of values."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= MAX_TEXT else clean_value(value)
    if kind is int:
        return value if _MIN_INT64 <= value <= _MAX_INT64 else clean_value(value)
    if kind is bool or kind is float or value is None:
        return value
    return clean_value(value)


@cython.cfunc
def _cut(value: Any, length: cython.Py_ssize_t) -> Any:
    """A clean value whose texts are at most `length` characters long."""
    kind = type(value)
    if kind is str:
        return value[:length] if len(value) > length else value
    if kind is tuple:
        return tuple([_cut(item, length) for item in value])
    if kind is dict:
        return {key: _cut(item, length) for key, item in value.items()}
    return value


@cython.cfunc
def _body(body: Any) -> Any:
    """A body that may leave: its texts scanned; `clean_value` has replaced what secret keys hold."""
    if type(body) is str:
        return _scrubbed(body)
    return _EMPTY_BODY if body is None else _scanned(_plain(body))


@cython.cfunc
def _like(given: Any, value: Any) -> Any:
    """The clean `value` of `given`, where lists are lists again."""
    if type(given) is list and type(value) is tuple:
        return [_like(before, after) for before, after in zip(given, value, strict=False)]
    if type(given) is dict and type(value) is dict:
        return {key: _like(given.get(key), item) for key, item in value.items()}
    return value


@cython.cfunc
def _scanned(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return _scrubbed(value)
    if kind is tuple:
        return tuple([_scanned(item) for item in value])
    if kind is dict:
        return {key: _scanned(item) for key, item in value.items()}
    return value


@cython.cfunc
def _scrubbed(text: str) -> Any:
    return scrubbed(text) if len(text) > MAX_SCANNED or suspicious.may_be_in(text) else text


@cython.cfunc
def _text(value: Any) -> Any:
    """A short text; empty for None."""
    if type(value) is str and len(value) <= MAX_TEXT:
        return value
    return "" if value is None else clean_key(value)


@cython.cfunc
def _time(value: Any) -> Any:
    """Nanoseconds since the epoch; 0 for None, which is left out."""
    if type(value) is int and 0 <= value < _TIME_END:
        return value
    return 0 if value is None else clean_time(value, time.time_ns())


@cython.cfunc
def _severity(value: Any) -> Any:
    """OTLP's number of a severity; 0, which is "unspecified", for what is none."""
    number = value if type(value) is int else getattr(value, "_value_", None)
    return number if type(number) is int and 0 <= number <= _HIGHEST_SEVERITY else 0


@cython.cfunc
def _bits(value: Any, end: Any) -> Any:
    """A number below `end` of any integer type; 0 for what is none."""
    number = value if type(value) is int else int.__int__(value) if issubclass(type(value), int) else 0
    return number if 0 <= number < end else 0
