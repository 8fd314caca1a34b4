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

import itertools
import logging
import threading
import time
from typing import Any

from tickspan.recording.keys import KNOWN, PLAIN, key_policy
from tickspan.recording.scan import _RULES, MAX_SCANNED, scrubbed
from tickspan.recording.values import clean_key, clean_time, clean_value
from tickspan.semconv.logs import (
    CODE_FILE_PATH,
    CODE_FUNCTION_NAME,
    CODE_LINE_NUMBER,
    TICKSPAN_LOG_CATEGORY,
    TICKSPAN_LOG_FORMAT_ERROR,
    TICKSPAN_LOG_TEMPLATE,
)

from .mentions import Mentions
from .wire import encode_log, encode_log_constants

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

if cython.compiled:
    from cython.cimports.cpython.long import PyLong_AsLongLongAndOverflow

MAX_TEXT = 16 * 1024
MAX_KEY = 256
_MOST_NAMES = 4096
_MIN_INT64 = -(1 << 63)
_MAX_INT64 = (1 << 63) - 1
_TIME_END = 1 << 64
_LAST_SECOND = 9e9
_SPAN_ID_END = 1 << 64
_TRACE_ID_END = 1 << 128
_FLAGS_END = 1 << 32
_LOWEST_LEVEL = 10
_HIGHEST_LEVEL = 53
_HIGHEST_SEVERITY = 24
_LEVEL_TEXTS = {10: "DEBUG", 20: "INFO", 30: "WARN", 40: "ERROR", 50: "FATAL"}
_NS_PER_S = 1_000_000_000

NEVER = 1 << 30
"""A level that no record has."""
MAX_DEPTH = 4
"""Of records that were logged while another one of the same thread is being recorded."""
_OWN_THREADS = ("tickspan", "OtelBatch")
_PERFORMANCE = "performance"
_AUDIT = "audit"
_SYSTEM = "system"
_PLACES = frozenset({CODE_FILE_PATH, CODE_FUNCTION_NAME, CODE_LINE_NUMBER})
_ROOM_FOR_OURS = 40
"""Attributes of ours, of a block and of an exception that may stand beside a record's own."""
_OURS = frozenset({*_PLACES, TICKSPAN_LOG_CATEGORY, TICKSPAN_LOG_TEMPLATE})
"""What we say of a record ourselves: a field of the same name does not stand beside it."""

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
_LAST_KEY = next(reversed(logging.LogRecord("", 0, "", 0, "", (), None).__dict__))
suspicious: Mentions = Mentions((*[word for words, _ in _RULES for word in words], "://"))
"""What the scanner's rules and the rule for URLs look for: without any of it they have nothing to do."""

# What each record needs, as variables of C: those of a module are looked up in its dictionary.
_c_may_be_in = cython.declare(object, suspicious.may_be_in)
_c_known = cython.declare(dict, KNOWN)
_c_plain = cython.declare(object, PLAIN)
_c_names = cython.declare(dict, {})
_c_ours = cython.declare(object, _OURS)
_c_natural = cython.declare(object, _NATURAL)
_c_record = cython.declare(object, _PlainRecord)
_c_last_key = cython.declare(object, _LAST_KEY)
_c_encode = cython.declare(object, encode_log)
_c_plain_size = cython.declare(cython.Py_ssize_t, _PLAIN_SIZE)
_c_max_text = cython.declare(cython.Py_ssize_t, MAX_TEXT)
_c_max_key = cython.declare(cython.Py_ssize_t, MAX_KEY)
_c_max_scanned = cython.declare(cython.Py_ssize_t, MAX_SCANNED)
_c_ns_per_s = cython.declare(cython.longlong, _NS_PER_S)
_c_max_depth = cython.declare(cython.int, MAX_DEPTH)


@cython.final
@cython.cclass
class Site:
    """A line of code that logs: what its records have in common, and how many it wrote in this second.

    `account` belongs to whoever tells of records that did not pass.
    """

    window_ns = cython.declare(cython.longlong, visibility="public")
    used = cython.declare(cython.longlong, visibility="public")
    account = cython.declare(object, visibility="public")
    _file: Any
    _line: Any
    _known: tuple

    def __init__(self, file: Any, line: Any, now_ns: int) -> None:
        """Begin to count at `now_ns`."""
        self.window_ns = now_ns
        self.used = 0
        self.account = None
        self._file = file
        self._line = line
        self._known = (None, None, None, None, None, b"")

    @cython.cfunc
    @cython.inline
    def passes(self, now_ns: cython.longlong, per_second: cython.longlong) -> cython.bint:
        """Whether one more record may be written. A clock that is set back begins a new second."""
        since_ns: cython.longlong = now_ns - self.window_ns
        if since_ns < 0 or since_ns >= _c_ns_per_s:
            self.window_ns = now_ns
            self.used = 0
        self.used += 1
        return self.used <= per_second

    @cython.cfunc
    def told(self, level: Any, level_name: Any, function: Any, template: Any, category: Any) -> bytes:
        """Severity, place, template and category, encoded: made once while they are the same."""
        known: tuple = self._known
        if (
            known[0] is template
            and known[1] is category
            and known[2] is function
            and known[3] is level_name
            and known[4] is level
        ):
            return known[5]
        attributes: dict = {}
        if category is not None:
            attributes[TICKSPAN_LOG_CATEGORY] = category
        if template is not None:
            attributes[TICKSPAN_LOG_TEMPLATE] = _scrubbed(template)
        attributes[CODE_FILE_PATH] = _plain(self._file)
        attributes[CODE_FUNCTION_NAME] = _plain(function)
        attributes[CODE_LINE_NUMBER] = _plain(self._line)
        told: bytes = encode_log_constants(_severity_of(level), _severity_text_of(level_name), attributes)
        self._known = (template, category, function, level_name, level, told)
        return told


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
            _c_encode(
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
            _c_encode(
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

    def record_standard(
        self, record: Any, text: Any, exception: Any, added: Any = None, event_name: str = ""
    ) -> None:
        """Append one record of the standard library, under the current span.

        Args:
            record: a `logging.LogRecord`.
            text: what a formatter made of it; None for the record's own message.
            exception: attributes of its exception; None for no exception.
            added: clean attributes beside the record's own, which are stronger. With it the template of a
                message is told too; None for a record as upstream makes it.
            event_name: of an event; empty for a plain record.
        """
        values: dict = record.__dict__
        kept: dict = {} if added is None else dict(added)
        dropped: cython.Py_ssize_t = 0
        limit: cython.Py_ssize_t = self._max_attributes
        if 0 <= limit < len(values):
            extra, dropped = self.cleaned(_extra(values))
            kept.update(extra)
        elif not _is_bare(record, values):
            self._keep_fields(kept, _extra(values), None)
        kept[CODE_FILE_PATH] = self._limited(values["pathname"])
        kept[CODE_FUNCTION_NAME] = self._limited(values["funcName"])
        kept[CODE_LINE_NUMBER] = self._limited(values["lineno"])
        if exception is not None:
            for key, value in exception.items():
                kept[key] = self._limited(value)
        body = text
        if text is None:
            body = _message(record, values, kept)
            if added is not None and values["args"] and type(values["msg"]) is str:
                kept[TICKSPAN_LOG_TEMPLATE] = self._limited(_scrubbed(values["msg"]))
        if limit >= 0:
            while len(kept) > limit:
                del kept[next(iter(kept))]
                dropped += 1
        trace_id, span_id, flags = self.ids(None)
        self.stream.append(
            _c_encode(
                _created_ns(values["created"], 0),
                time.time_ns(),
                _severity_of(values["levelno"]),
                _severity_text_of(values["levelname"]),
                _body(body),
                kept,
                dropped,
                flags,
                trace_id,
                span_id,
                event_name,
            )
        )

    @cython.cfunc
    def captured(
        self,
        record: Any,
        values: dict,
        site: Site,
        context: Any,
        fields: Any,
        more: Any,
        category: Any,
        exception: Any,
        now_ns: Any,
    ) -> cython.int:
        """As `record_standard`, of a record within the limits; `site` knows what its line always tells.

        `fields` and `more` are clean attributes; of one name the later counts, the record's own above all.
        """
        kept: dict = {}
        if fields:
            kept.update(fields)
        if more:
            kept.update(more)
        ours: cython.Py_ssize_t = 0
        if type(record) is not _c_record:
            ours = self._keep_fields(kept, _extra(values), category)
        elif not _is_bare(record, values):
            ours = self._keep_added(kept, values, category)
        if exception is not None:
            kept.update(exception)
        template = values["msg"] if values["args"] and type(values["msg"]) is str else None
        if ours:
            for key in _PLACES:
                kept.pop(key, None)
            if template is not None:
                kept.pop(TICKSPAN_LOG_TEMPLATE, None)
        body = _message(record, values, kept)
        self._put(
            _created_ns(values["created"], now_ns),
            now_ns,
            body,
            kept,
            context,
            site.told(values["levelno"], values["levelname"], values["funcName"], template, category),
        )
        return 0

    @cython.cfunc
    def direct(
        self,
        level: Any,
        level_name: Any,
        message: Any,
        given: dict,
        context: Any,
        fields: Any,
        category: Any,
        now_ns: Any,
    ) -> cython.int:
        """One record of a caller that has no `LogRecord`; `given` are its fields, `fields` its block's."""
        kept: dict = {}
        if fields:
            kept.update(fields)
        if given:
            self._keep_fields(kept, given, category)
        self._put(now_ns, now_ns, message, kept, context, _constants(level, level_name, category))
        return 0

    @cython.cfunc
    @cython.inline
    def _put(
        self,
        time_ns: Any,
        now_ns: Any,
        body: Any,
        kept: dict,
        context: Any,
        before: bytes,
    ) -> cython.int:
        trace_id: Any = 0
        span_id: Any = 0
        flags: Any = 0
        if context:
            span = context.get(self._span_key)
            if span is not None:
                if type(span) is self._span_class:
                    trace_id, span_id, flags = span.trace_id, span.span_id, span.trace_flags
                else:
                    trace_id, span_id, flags = self.ids(context)
        self.stream.append(
            _c_encode(
                time_ns,
                now_ns,
                0,
                "",
                _body(body),
                kept,
                0,
                flags,
                trace_id,
                span_id,
                "",
                before,
            )
        )
        return 0

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
            name = key if type(key) is str and 0 < len(key) <= _c_max_key else clean_key(key)
            kept[name] = _clean(name, value, self._max_length)
        return kept, count - len(kept)

    @cython.cfunc
    def _keep_fields(self, kept: dict, fields: dict, category: Any) -> cython.Py_ssize_t:
        """How many of them are named as what we say of a record ourselves; of a category ours counts."""
        ours: cython.Py_ssize_t = 0
        for key, value in fields.items():
            ours += self._keep_field(kept, key, value, category)
        return ours

    @cython.cfunc
    def _keep_field(self, kept: dict, key: Any, value: Any, category: Any) -> cython.Py_ssize_t:
        """1 for one that is named as what we say of a record ourselves."""
        name = _c_names.get(key) if type(key) is str else None
        if name is None:
            name = _named(key)
        is_ours: cython.bint = name in _c_ours
        if is_ours and category is not None and name == TICKSPAN_LOG_CATEGORY:
            return 0
        kind = type(value)
        if kind is float or kind is bool or kind is int:
            kept[name] = _clean(name, value, -1)
        else:
            kept[name] = _scanned(_clean(name, value, self._max_length))
        return is_ours

    @cython.cfunc
    def _keep_added(self, kept: dict, values: dict, category: Any) -> cython.Py_ssize_t:
        """As `_keep_fields`, of a plain record: what is added stands behind what it was made with."""
        keys: list = []
        others: cython.Py_ssize_t = 0
        try:
            for key in reversed(values):
                if key is _c_last_key:
                    break
                if key in _c_natural:
                    others += 1
                else:
                    keys.append(key)
        except RuntimeError:  # somebody adds to it at this moment
            return self._keep_fields(kept, _extra(values), category)
        if len(keys) + others + _c_plain_size != len(values):  # what it was made with is not as it was
            return self._keep_fields(kept, _extra(values), category)
        keys.reverse()
        ours: cython.Py_ssize_t = 0
        for key in keys:
            ours += self._keep_field(kept, key, values[key], category)
        return ours

    @cython.cfunc
    @cython.inline
    def is_within(self, values: dict) -> cython.bint:
        """Whether no limit can matter to such a record, with some attributes of ours beside it."""
        return self._max_length < 0 and (
            self._max_attributes < 0 or len(values) + _ROOM_FOR_OURS < self._max_attributes
        )

    @cython.cfunc
    def _limited(self, value: Any) -> Any:
        """A value of ours, whose key has no rule."""
        value = _plain(value)
        return value if self._max_length < 0 else _cut(value, self._max_length)


_MOST_CONSTANTS = 1024
_direct_constants: dict = {}
"""What direct records of a level and category have in common, encoded."""


@cython.cfunc
def _constants(level: Any, level_name: Any, category: Any) -> bytes:
    known = (level, level_name, category)
    told = _direct_constants.get(known)
    if told is None:
        attributes: dict = {} if category is None else {TICKSPAN_LOG_CATEGORY: category}
        told = encode_log_constants(_severity_of(level), level_name, attributes)
        if len(_direct_constants) >= _MOST_CONSTANTS:
            _direct_constants.clear()
        _direct_constants[known] = told
    return told


@cython.final
@cython.cclass
class Here:
    """What is known of a thread that logs.

    Attributes:
        depth: records of it that are being recorded.
        is_left_out: whether it exports, so that what it logs would come back to it; None before it is known.
        note: a message that one of our loggers is giving to the standard library, and what it knows of it. It
            stands here and not in the record, whose attributes formatters of the application may print.
        taken: a record that is recorded already, on its way to handlers.
    """

    depth = cython.declare(cython.int, visibility="public")
    is_left_out = cython.declare(object, visibility="public")
    note = cython.declare(object, visibility="public")
    taken = cython.declare(object, visibility="public")

    def __init__(self) -> None:
        self.depth = 0
        self.is_left_out = None
        self.note = None
        self.taken = None


class _Threads(threading.local):
    def __init__(self) -> None:
        self.here = Here()


@cython.final
@cython.cclass
class Source:
    """Who takes the records of a logger: nobody, a recorder of ours, or a logger of others'."""

    logger = cython.declare(object, visibility="public")
    recorder: LogRecorder

    def __init__(self, logger: Any, recorder: Any) -> None:
        """Args: `logger` of OpenTelemetry's or None for nobody, `recorder` None where it is not ours."""
        self.logger = logger
        self.recorder = recorder


@cython.cclass
class Intake:
    """The way of a log record that is captured, as far as it is the same for each.

    `take` and `take_direct` may be called from any thread, and raise nothing. What is rare is asked of a
    subclass, which implements the methods at the end.

    Attributes:
        level: the lowest that is recorded; `NEVER` while off.
        floor: the lowest rank that is recorded now; 0 is everything.
        per_second: records of one line; 0 is no limit.
        clock: nanoseconds since the epoch, for when a record was observed and for `per_second`.
        sites: lines that logged, by file and line.
        sources: who takes records, by name of the logger; what is not in it is asked for.
        nested: records that were left out since recording one logged another one, again and again.
        console: is given each record and its category too; None for nobody.
        counters: an `itertools.count` of the records of each category.
    """

    level = cython.declare(object, visibility="public")
    floor = cython.declare(cython.int, visibility="public")
    per_second = cython.declare(cython.longlong, visibility="public")
    clock = cython.declare(object, visibility="public")
    sites = cython.declare(dict, visibility="public")
    sources = cython.declare(dict, visibility="public")
    nested = cython.declare(cython.longlong, visibility="public")
    console = cython.declare(object, visibility="public")
    counters = cython.declare(dict, visibility="public")
    _guard: Any
    _context_var: Any
    _key: Any
    _threads: Any
    _kinds: dict

    def __init__(self, guard: Any, context_var: Any, key: Any) -> None:
        """Make one that is off.

        Args:
            guard: a `Guard`, told of what is raised here.
            context_var: OpenTelemetry's, see `span.Interop`.
            key: of a block's `category` and `fields` in the context.
        """
        self.level = NEVER
        self.floor = 0
        self.per_second = 0
        self.clock = time.time_ns
        self.sites = {}
        self.sources = {}
        self.nested = 0
        self.console = None
        self.counters = {}
        self._guard = guard
        self._context_var = context_var
        self._key = key
        self._threads = _Threads()
        self._kinds = {}

    @property
    def here(self) -> Here:
        """What is known of this thread."""
        return self._threads.here

    def forget_threads(self) -> None:
        """A forked child has none of them."""
        self._threads = _Threads()

    def take(self, logger: Any, record: Any, note: Any = None) -> bool:
        """Record it, unless its level is too low; whether it is. The tee calls this before any handler.

        Args:
            logger: whose handlers may record it already; None where they do not matter.
            record: a `logging.LogRecord`.
            note: what one of our loggers knows beside it: `category`, `fields` and `event_name`.
        """
        guard = self._guard
        try:
            values: dict = record.__dict__
            if values["levelno"] < self.level or guard.is_disabled:
                return False
            return self._take(logger, record, values, note)
        except Exception:  # noqa: BLE001 - a record may be anything: once more, with what of it is usable
            return guard.own(self._take_mended, record, note, default=False)

    def _take_mended(self, record: Any, note: Any) -> bool:
        mended = self.mended(record)
        if mended.levelno < self.level:
            return False
        return self._take(None, mended, mended.__dict__, note)

    def take_whatever(self, record: Any, note: Any) -> bool:
        """Record it whatever its level and handlers; whether it is. It may raise."""
        return self._take(None, record, record.__dict__, note)

    def take_direct(self, name: Any, category: Any, level: Any, message: Any, fields: dict) -> None:
        """Record a message of a caller that has no record of the standard library; it is not throttled."""
        guard = self._guard
        try:
            if level < self.level or guard.is_disabled:
                return
            source: Source = self._source(name)
            if source.logger is None:
                return
            context = self._context_var.get()
            more = None
            if context:
                block = context.get(self._key)
                if block is not None:
                    more = block.fields
                    if category is None:
                        category = block.category
            if (self.floor or category == _PERFORMANCE) and not self.admits(category, level, source.logger):
                return
            recorder: LogRecorder = source.recorder
            text = _LEVEL_TEXTS.get(level)
            if text is None:
                text = _severity_text_of(logging.getLevelName(level))  # pyright: ignore[reportDeprecated] - of a number
            if recorder is not None and recorder.is_direct and recorder.is_within(fields):
                recorder.direct(level, text, message, fields, context, more, category, self.clock())
            else:
                self.emit_direct(source.logger, level, text, message, fields, more, category)
            self._count(category)
        except Exception as error:  # noqa: BLE001 - as in `take`
            guard.caught(error)

    @cython.cfunc
    @cython.inline
    def _source(self, name: Any) -> Source:
        source = self.sources.get(name)
        return self.source_of(name) if source is None else source

    @cython.cfunc
    def _take(self, logger: Any, record: Any, values: dict, note: Any) -> cython.bint:
        source: Source = self._source(values["name"])
        if source.logger is None or (logger is not None and self._is_handled(logger)):
            return False
        here: Here = self._threads.here
        if here.taken is not None and here.taken is record:
            return False
        if here.note is not None and note is None and here.note[0] is values["msg"]:
            note = here.note[1]
            here.note = None
        if here.is_left_out is None:
            here.is_left_out = threading.current_thread().name.startswith(_OWN_THREADS)
        if here.is_left_out:
            return False
        if here.depth >= _c_max_depth:
            self.nested += 1
            return False
        here.depth += 1
        try:
            return self._record(source, record, values, note)
        finally:
            here.depth -= 1

    @cython.cfunc
    def _record(self, source: Source, record: Any, values: dict, note: Any) -> cython.bint:
        context = self._context_var.get()
        category: Any = None
        fields: Any = None
        more: Any = None
        event_name: Any = ""
        if context:
            block = context.get(self._key)
            if block is not None:
                category = block.category
                fields = block.fields
        if note is not None:
            more = note.fields
            event_name = note.event_name
            if note.category is not None:
                category = note.category
        level = values["levelno"]
        if (self.floor or category == _PERFORMANCE) and not self.admits(category, level, source.logger):
            return False
        now_ns = self.clock()
        place = (values["pathname"], values["lineno"])
        found = self.sites.get(place)
        site: Site = self.open_site(place, now_ns) if found is None else found
        if self.per_second and category != _AUDIT and not site.passes(now_ns, self.per_second):
            self.suppress(site, place, now_ns, values, category)
            return False
        exception = self.exception_of(record) if values["exc_info"] else None
        recorder: LogRecorder = source.recorder
        if recorder is not None and recorder.is_direct and not event_name and recorder.is_within(values):
            recorder.captured(record, values, site, context, fields, more, category, exception, now_ns)
        else:
            self.emit(source.logger, record, exception, fields, more, category, event_name)
        self._count(category)
        if self.console is not None:
            self.console(record, category)
        return True

    @cython.cfunc
    @cython.inline
    def _count(self, category: Any) -> cython.int:
        counter = self.counters.get(_SYSTEM if category is None else category)
        if counter is None:
            counter = self.counters.setdefault(_SYSTEM if category is None else category, itertools.count())
        next(counter)
        return 0

    @cython.cfunc
    def _is_handled(self, logger: Any) -> cython.bint:
        """Whether a handler of OpenTelemetry's in the chain records it already."""
        kinds: dict = self._kinds
        while logger is not None:
            for handler in logger.handlers:
                kind = type(handler)
                is_theirs = kinds.get(kind)
                if is_theirs is None:
                    is_theirs = kinds[kind] = self.records_itself(kind)
                if is_theirs:
                    return True
            if not logger.propagate:
                return False
            logger = logger.parent
        return False

    def mended(self, record: Any) -> Any:
        """A plain record of what is usable of one that is not as the standard library makes it."""
        raise NotImplementedError

    def source_of(self, name: str) -> Source:
        """Who takes the records of that logger."""
        raise NotImplementedError

    def records_itself(self, kind: type) -> bool:
        """Whether a handler of this class records what it gets."""
        raise NotImplementedError

    def open_site(self, place: tuple[str, int], now_ns: int) -> Site:
        """A line that logs for the first time."""
        raise NotImplementedError

    def admits(self, category: str | None, level: int, logger: Any) -> bool:
        """Whether there is room for such a record; counts it as dropped where there is none."""
        raise NotImplementedError

    def suppress(
        self, site: Site, place: tuple[str, int], now_ns: int, values: dict[str, Any], category: str | None
    ) -> None:
        """Count a record of a line that wrote too many."""
        raise NotImplementedError

    def exception_of(self, record: Any) -> Any:
        """Attributes of a record's exception; None where there is none after all."""
        raise NotImplementedError

    def emit(
        self,
        logger: Any,
        record: Any,
        exception: Any,
        fields: Any,
        more: Any,
        category: str | None,
        event_name: str,
    ) -> None:
        """Record what this class does not: events, within limits, with processors, for loggers of others."""
        raise NotImplementedError

    def emit_direct(
        self,
        logger: Any,
        level: int,
        level_name: str,
        message: Any,
        given: Any,
        fields: Any,
        category: str | None,
    ) -> None:
        """The same of a direct record."""
        raise NotImplementedError


def standard_attributes(record: Any, exception: Any) -> dict:
    """The attributes of a standard record, clean: `extra`, the place in the code, the exception."""
    values: dict = record.__dict__
    kept: dict = {}
    for key, value in _extra(values).items():
        name = _named(key)
        kept[name] = _scanned(_clean(name, value, -1))
    kept[CODE_FILE_PATH] = _plain(values["pathname"])
    kept[CODE_FUNCTION_NAME] = _plain(values["funcName"])
    kept[CODE_LINE_NUMBER] = _plain(values["lineno"])
    if exception is not None:
        kept.update(exception)
    return kept


def clean_fields(fields: Any) -> dict:
    """Fields of a log record as they may be recorded, texts scanned for secrets. Does not raise."""
    kept: dict = {}
    for key, value in _mapping(fields).items():
        name = _named(key)
        kept[name] = _scanned(_clean(name, value, -1))
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
def _created_ns(created: Any, otherwise_ns: Any) -> Any:
    """When a record was made, from its seconds; `otherwise_ns` for what is no time since the epoch."""
    if type(created) is not float or not 0 <= created < _LAST_SECOND:
        return otherwise_ns
    if cython.compiled:
        seconds: cython.double = created
        return cython.cast(cython.longlong, seconds * 1e9)
    return int(created * 1e9)


@cython.cfunc
def _is_bare(record: Any, values: dict) -> cython.bint:
    """Whether nobody has added anything, seen without looking at each key: what is added stands last."""
    if type(record) is not _c_record or len(values) != _c_plain_size:
        return False
    return next(reversed(values)) in _c_natural


@cython.cfunc
def _extra(values: dict) -> dict:
    return {key: value for key, value in values.copy().items() if key not in _c_natural}


@cython.cfunc
def _message(record: Any, values: dict, attributes: dict) -> Any:
    message = values["msg"]
    arguments = values["args"]
    if type(message) is str:
        if not arguments and type(record) is _c_record:
            return message
    elif not arguments and not issubclass(type(message), str):
        return message
    try:
        if type(record) is _c_record:
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
    policy = _c_known.get(key)
    if policy is None:
        policy = key_policy(key)
    if policy is not _c_plain:
        value = policy.apply(value)
    return value if max_length < 0 else _cut(value, max_length)


@cython.cfunc
def _plain(value: Any) -> Any:
    """A value that the wire knows, and that is within the bounds of values."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= _c_max_text else clean_value(value)
    if kind is int:
        if cython.compiled:
            overflow: cython.int = 0
            PyLong_AsLongLongAndOverflow(value, cython.address(overflow))
            return clean_value(value) if overflow else value
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
        return {_scrubbed(key): _scanned(item) for key, item in value.items()}
    return value


@cython.cfunc
def _named(key: Any) -> Any:
    """The name of a field: a short text without secrets. Names that are so already are remembered."""
    name = _scrubbed(key if type(key) is str and 0 < len(key) <= _c_max_key else clean_key(key))
    if type(key) is str and name == key:
        if len(_c_names) >= _MOST_NAMES:
            _c_names.clear()
        _c_names[name] = name
    return name


@cython.cfunc
def _scrubbed(text: str) -> Any:
    return scrubbed(text) if len(text) > _c_max_scanned or _c_may_be_in(text) else text


@cython.cfunc
def _text(value: Any) -> Any:
    """A short text; empty for None."""
    if type(value) is str and len(value) <= _c_max_text:
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
