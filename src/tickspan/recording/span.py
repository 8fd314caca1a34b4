"""Spans while they are recorded: started, filled, made current, and written as OTLP bytes when they end.

Interpreted or compiled from this one file (Cython's pure Python mode). OpenTelemetry's classes come in from
`tickspan.providers` as values (`Interop`), so that this layer imports none of it.
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
import sys
import time

from tickspan.recording.diagnostics import diagnostics
from tickspan.recording.keys import KNOWN, PLAIN, REVISION, key_policy
from tickspan.recording.values import clean_key, clean_name, clean_time, clean_value

from .wire import SPAN_ATTRIBUTES, encode_attributes, encode_span

try:
    import cython
except ImportError:  # nobody needs Cython to run the interpreted form
    from tickspan_spool._shadow import cython

if cython.compiled:
    from cython.cimports.cpython.contextvars import (
        PyContextVar_CheckExact,
        PyContextVar_Reset,
        PyContextVar_Set,
        get_value,
    )
    from cython.cimports.cpython.dict import PyDict_SetItem
    from cython.cimports.cpython.pythread import PyThread_get_thread_ident as get_ident
    from cython.cimports.posix.time import CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec
else:
    from threading import get_ident

    PyDict_SetItem = dict.__setitem__

_new = object.__new__
_known: dict = KNOWN
_revision: list = REVISION
MAX_TEXT = 16 * 1024
MAX_KEY = 256
"""Longer keys are cleaned, which cuts them at `MAX_TEXT`."""
INTERNAL = 1
SAMPLED = 1
RANDOM_TRACE_ID = 2
CALL_SAMPLER = 0
ALWAYS_ON = 1
PARENT_BASED_ALWAYS_ON = 2
HAS_IS_REMOTE = 0x100
IS_REMOTE = 0x200
_ASKED_AGAIN_NS = 100_000
"""A thread that was in a known loop is so for a while: to ask costs a system call in Python 3.11."""
_FEW = 64
FEW_MORE = 24
"""Attributes after those of a preset: with more of them, the whole is kept and bounded as usual."""
_RECORDING = 0
_ENDING = 1
_ENDED = 2


@cython.cfunc
def _wall_ns() -> cython.longlong:
    """Nanoseconds since the epoch."""
    if cython.compiled:
        now: timespec
        clock_gettime(CLOCK_REALTIME, cython.address(now))
        return now.tv_sec * cython.cast(cython.longlong, 1_000_000_000) + now.tv_nsec
    return time.time_ns()


@cython.cfunc
def _monotonic_ns() -> cython.longlong:
    if cython.compiled:
        now: timespec
        clock_gettime(CLOCK_MONOTONIC, cython.address(now))
        return now.tv_sec * cython.cast(cython.longlong, 1_000_000_000) + now.tv_nsec
    return time.monotonic_ns()


class Interop:
    """OpenTelemetry's own objects, as recorders need them. Made by `tickspan.providers`."""

    __slots__ = (
        "context_class",
        "context_var",
        "current_span_key",
        "link_of",
        "parent_of",
        "silent_span",
        "span_class",
    )

    def __init__(
        self,
        context_var: object,
        context_class: object,
        current_span_key: str,
        span_class: object,
        silent_span: object,
        parent_of: object,
        link_of: object,
    ) -> None:
        """Take the objects.

        Args:
            context_var: `get()`, `set(context)`, `reset(token)` of the current context.
            context_class: made from a mapping; a dict that may not be changed by its methods.
            current_span_key: under which a context holds its span.
            span_class: a subclass of `RecordingSpan`.
            silent_span: (trace id, span id, W3C flags, trace state, kind, attributes) to a span that records
                nothing.
            parent_of: a foreign span to (trace id, span id, is remote, W3C flags, trace state), or None.
            link_of: a link or span context to (trace id, span id, trace state as text, attributes,
                is remote), or None for one that says nothing.
        """
        self.context_var = context_var
        self.context_class = context_class
        self.current_span_key = current_span_key
        self.span_class = span_class
        self.silent_span = silent_span
        self.parent_of = parent_of
        self.link_of = link_of


class Limits:
    """How much one span may hold; None is no limit. `attribute_length` counts characters."""

    __slots__ = (
        "attribute_length",
        "attributes",
        "event_attributes",
        "events",
        "link_attributes",
        "links",
        "other_length",
    )

    def __init__(
        self,
        attributes: int | None = 128,
        events: int | None = 128,
        links: int | None = 128,
        event_attributes: int | None = 128,
        link_attributes: int | None = 128,
        attribute_length: int | None = None,
        other_length: int | None = None,
    ) -> None:
        self.attributes = attributes
        self.events = events
        self.links = links
        self.event_attributes = event_attributes
        self.link_attributes = link_attributes
        self.attribute_length = attribute_length
        self.other_length = other_length
        """Of attributes of events and links."""


class Hooks:
    """What foreign span processors want to be asked; None is nobody."""

    __slots__ = ("on_end", "on_ending", "on_start")

    def __init__(self, on_start: object = None, on_ending: object = None, on_end: object = None) -> None:
        self.on_start = on_start
        self.on_ending = on_ending
        self.on_end = on_end


@cython.cclass
class SpanMarks:
    """Marks that are compared for each span, so that whoever watches spans is seldom called.

    A span that began after everything that can have held it up had ended, and that ends before its loop can
    be late, costs a few comparisons of numbers. A mark that is too early lets somebody look in vain; one that
    is too late would let a span be missed. Set by any thread, also while garbage is collected: numbers only.

    `held_ns`: a span that began before this moment is told of when it ends, and one that starts before it.
    `late_ns`: so is one that ends after it, and one that starts after it in a loop.
    `loop_id`: `id` of the loop in which a start need not be told; 0 is none.
    `open_spans`: that have started and not ended.
    """

    held_ns = cython.declare(cython.longlong, visibility="public")
    late_ns = cython.declare(cython.longlong, visibility="public")
    loop_id = cython.declare(cython.size_t, visibility="public")
    open_spans = cython.declare(cython.longlong, visibility="public")
    started = cython.declare(object, visibility="public")
    ending = cython.declare(object, visibility="public")
    _running_loop: object
    _asked_thread: cython.ulong
    _asked_ns: cython.longlong

    def __init__(self, started: object = None, ending: object = None, running_loop: object = None) -> None:
        """Call `started` and `ending` with the span; they do not raise.

        `running_loop` returns the loop that runs in this thread, or None; without it no loop is told of.
        """
        self._running_loop = running_loop
        self._asked_thread = 0
        self._asked_ns = 0
        self.held_ns = 0
        self.late_ns = sys.maxsize
        self.loop_id = 0
        self.open_spans = 0
        self.started = started
        self.ending = ending

    def __repr__(self) -> str:
        return f"<SpanMarks {self.open_spans} open>"

    @cython.cfunc
    def _start(self, span: object, start_ns: cython.longlong) -> cython.int:
        self.open_spans += 1
        if self.held_ns > start_ns:
            self.started(span)
            return 0
        if self.loop_id != 0 and self.late_ns >= start_ns:
            if 0 <= start_ns - self._asked_ns < _ASKED_AGAIN_NS and get_ident() == self._asked_thread:
                return 0
        loop = None if self._running_loop is None else self._running_loop()
        if loop is None:
            return 0
        if _id_of(loop) != self.loop_id or self.late_ns < start_ns:
            self.started(span)
        else:
            self._asked_thread = get_ident()
            self._asked_ns = start_ns
        return 0

    @cython.cfunc
    def _end(self, span: object, start_ns: cython.longlong, end_ns: cython.longlong) -> cython.int:
        if self.open_spans > 0:
            self.open_spans -= 1
        if self.held_ns > start_ns or self.late_ns < end_ns:
            self.ending(span)
        return 0


@cython.cfunc
@cython.inline
def _id_of(one: object) -> cython.size_t:
    if cython.compiled:
        return cython.cast(cython.size_t, cython.cast(cython.p_void, one))
    return id(one)


@cython.cclass
class Preset:
    """Attributes that many spans of one recorder have in common: cleaned and encoded once.

    Made by `SpanRecorder.preset`; never changed.
    """

    values = cython.declare(dict, visibility="readonly")
    encoded = cython.declare(bytes, visibility="readonly")
    _made_at: object


@cython.cclass
class SpanRecorder:
    """Starts the spans of one instrumentation scope. Safe from any thread; nothing it does raises.

    `stream` is where finished spans go (`append(record)`); without one only hooks see them.
    """

    hooks = cython.declare(object, visibility="public")
    marks = cython.declare(SpanMarks, visibility="public")
    is_enabled = cython.declare(cython.bint, visibility="public")
    sampling = cython.declare(cython.int, visibility="public")
    owner = cython.declare(object, visibility="public")
    _stream: object
    _append: object
    _span_class: object
    _silent_span: object
    _context_var: object
    _is_variable: cython.bint
    _context_class: object
    _span_key: object
    _parent_of: object
    _link_of: object
    _new_span_id: object
    _new_trace_id: object
    _decide: object
    _clock: object
    _counted: object
    _root_flags: cython.int
    _max_attributes: cython.Py_ssize_t
    _max_events: cython.Py_ssize_t
    _max_links: cython.Py_ssize_t
    _max_event_attributes: cython.Py_ssize_t
    _max_link_attributes: cython.Py_ssize_t
    _max_length: cython.Py_ssize_t
    _max_other_length: cython.Py_ssize_t

    def __init__(
        self,
        owner: object,
        interop: Interop,
        limits: Limits,
        new_trace_id: object,
        new_span_id: object,
        has_random_ids: bool,
        sampling: int,
        decide: object,
        stream: object = None,
        clock: object = None,
        counted: object = None,
    ) -> None:
        """Make a recorder.

        Args:
            owner: the tracer; spans reach resource and scope by it.
            interop: OpenTelemetry's objects.
            limits: of each span.
            new_trace_id: () to 128 random bits.
            new_span_id: () to 64 random bits.
            has_random_ids: whether W3C's random flag is set on roots.
            sampling: `ALWAYS_ON`, `PARENT_BASED_ALWAYS_ON`, or `CALL_SAMPLER` to ask `decide`.
            decide: (context, trace id, name, kind, attributes, links) to (is recorded, is sampled,
                attributes, trace state). Does not raise.
            stream: takes finished spans.
            clock: wall-clock nanoseconds; None is the system's, with a monotonic end.
            counted: (parent id or None, is remote, is recorded, is sampled) to what is called at the end;
                None unless OpenTelemetry's own metrics are asked for.
        """
        self.owner = owner
        self.hooks = None
        self.marks = None
        self.is_enabled = True
        self.sampling = sampling
        self.stream = stream
        self._span_class = interop.span_class
        self._silent_span = interop.silent_span
        self._context_var = interop.context_var
        self._is_variable = PyContextVar_CheckExact(interop.context_var) if cython.compiled else False
        self._context_class = interop.context_class
        self._span_key = interop.current_span_key
        self._parent_of = interop.parent_of
        self._link_of = interop.link_of
        self._new_trace_id = new_trace_id
        self._new_span_id = new_span_id
        self._decide = decide
        self._clock = clock
        self._counted = counted
        self._root_flags = RANDOM_TRACE_ID if has_random_ids else 0
        self._max_attributes = _bound(limits.attributes)
        self._max_events = _bound(limits.events)
        self._max_links = _bound(limits.links)
        self._max_event_attributes = _bound(limits.event_attributes)
        self._max_link_attributes = _bound(limits.link_attributes)
        self._max_length = _bound(limits.attribute_length)
        self._max_other_length = _bound(limits.other_length)

    @property
    def span_class(self):
        """Of the spans that it records."""
        return self._span_class

    @property
    def stream(self):
        """Where finished spans go; None is nowhere."""
        return self._stream

    @stream.setter
    def stream(self, stream):
        self._stream = stream
        self._append = None if stream is None else stream.append

    def start_span(
        self,
        name,
        context=None,
        kind=None,
        attributes=None,
        links=None,
        start_time=None,
        record_exception=True,
        set_status_on_exception=True,
    ):
        """As OpenTelemetry's `Tracer.start_span`; whatever is wrong with an argument, a span comes back."""
        return self._start(
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception,
            set_status_on_exception,
            None,
        )

    def preset(self, attributes):
        """What `start_preset` takes: `attributes` in the form in which spans keep them.

        None where this recorder's spans may keep no more than a few attributes.
        """
        if 0 <= self._max_attributes < _FEW:
            return None
        made: Preset = Preset.__new__(Preset)
        made._made_at = _revision[0]
        made.values, _ = _clean_all(attributes, -1, self._max_length)
        if len(made.values) > _FEW - FEW_MORE:
            return None
        made.encoded = encode_attributes(SPAN_ATTRIBUTES, made.values)
        return made

    def start_preset(self, name, context, kind, preset: Preset, attributes):
        """Start a span that has the attributes of a preset of this recorder, and `attributes` after them.

        Args:
            name: of the span.
            context: of its parent; None is the current one.
            kind: an OpenTelemetry `SpanKind`.
            preset: made by this recorder.
            attributes: a dict that the span may keep. They are taken as they are: keys that nothing is held
                back under and none of the preset's, values that are clean. At most `FEW_MORE`.

        No exception is recorded on leaving a `with` block.
        """
        if preset._made_at != _revision[0]:
            attributes = _whole(preset, attributes)
            preset = None
        return self._start(name, context, kind, attributes, None, None, False, False, preset)

    @cython.cfunc
    def _start(
        self,
        name: object,
        context: object,
        kind: object,
        attributes: object,
        links: object,
        start_time: object,
        record_exception: cython.bint,
        set_status_on_exception: cython.bint,
        preset: Preset | None,
    ) -> object:
        span: RecordingSpan
        parent: RecordingSpan
        if type(context) is not self._context_class and not issubclass(type(context), dict):
            context = self._current()  # none given, or what is no context
        current = context.get(self._span_key)
        trace_id = None
        parent_id = None
        trace_state = None
        flags: cython.int = 0
        parent_flags: cython.int = 0
        is_remote: cython.bint = False
        if current is not None:
            if type(current) is self._span_class:
                parent = current
                trace_id = parent.trace_id
                parent_id = parent.span_id
                flags = parent.trace_flags
                trace_state = parent.trace_state
            else:
                known = self._parent_of(current)
                if known is not None:
                    trace_id, parent_id, is_remote, flags, trace_state = known
                    flags &= SAMPLED | RANDOM_TRACE_ID
        parent_flags = flags
        if not self.is_enabled:
            given = _whole(preset, attributes)
            return self._silent_span(trace_id or 0, parent_id or 0, flags, trace_state, kind, given)
        if trace_id is None:
            trace_id = self._new_trace_id() or self._new_trace_id()
            flags = SAMPLED | self._root_flags
        span_id = self._new_span_id() or self._new_span_id()
        is_recorded: cython.bint = True
        if self.sampling == ALWAYS_ON:
            flags |= SAMPLED
        elif self.sampling == CALL_SAMPLER:
            given = _whole(preset, attributes)
            preset = None
            decided = self._decide(context, trace_id, name, kind, given, links)
            is_recorded, is_sampled, attributes, trace_state = decided
            if not is_recorded:
                attributes = given
            flags = (flags & ~SAMPLED) | (SAMPLED if is_sampled else 0)
        else:
            is_recorded = flags & SAMPLED != 0
        ended = None
        if self._counted is not None:
            ended = self._counted(parent_id, is_remote, is_recorded, flags & SAMPLED != 0)
        if not is_recorded:
            given = _whole(preset, attributes)
            return self._silent_span(trace_id, span_id, flags, trace_state, kind, given)
        span = _new(self._span_class) if not cython.compiled else self._span_class.__new__(self._span_class)
        span.recorder = self
        span.trace_id = trace_id
        span.span_id = span_id
        span.parent_id = parent_id
        span.parent_is_remote = is_remote
        span.parent_flags = parent_flags
        span.trace_flags = flags
        span.trace_state = trace_state
        span.records_exception = record_exception
        span.sets_status = set_status_on_exception
        span._preset = preset
        if preset is None or attributes is None:
            span._values = {}
        else:
            span._values = attributes
            attributes = None
        span._state = _RECORDING
        span._ended = ended
        span._status_code = 0
        span._status_text = ""
        span._name = name if type(name) is str and 0 < len(name) <= MAX_TEXT else clean_name(name)
        span._kind = INTERNAL if kind is None else _kind_number(kind)
        if self._clock is not None:
            span._start_ns = self._clock() if start_time is None else clean_time(start_time, self._clock)
        else:
            span._started_at = _monotonic_ns()
            span._start_ns = _wall_ns() if start_time is None else clean_time(start_time, time.time_ns)
            span._has_given_start = start_time is not None
        if attributes:
            span.set_attributes(attributes)
        if links:
            span._add_links(links)
        if self.marks is not None:
            self.marks._start(span, span._start_ns)
        if self.hooks is not None and self.hooks.on_start is not None:
            self.hooks.on_start(span, context)
        return span

    def start_as_current_span(
        self,
        name,
        context=None,
        kind=None,
        attributes=None,
        links=None,
        start_time=None,
        record_exception=True,
        set_status_on_exception=True,
        end_on_exit=True,
    ):
        """As OpenTelemetry's: a context manager, and a decorator of functions and coroutine functions."""
        current: CurrentSpan = CurrentSpan.__new__(CurrentSpan)
        current._recorder = self
        current._arguments = (
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception,
            set_status_on_exception,
        )
        current._ends = end_on_exit
        return current

    @cython.cfunc
    @cython.inline
    def _current(self) -> object:
        """The current context."""
        if cython.compiled:
            if self._is_variable:
                return get_value(self._context_var)
        return self._context_var.get()


@cython.cfunc
def _whole(preset: Preset | None, attributes: object) -> object:
    """All attributes, for whoever asks for them before there is a span."""
    return attributes if preset is None else {**preset.values, **(attributes or {})}


@cython.cfunc
def _bound(limit: object) -> cython.Py_ssize_t:
    return -1 if limit is None else limit


@cython.cfunc
def _kind_number(kind: object) -> cython.int:
    """OTLP's number of OpenTelemetry's `SpanKind`, which counts from 0."""
    try:
        number: cython.int = kind._value_ + 1
    except (AttributeError, TypeError):
        return INTERNAL
    return number if 1 <= number <= 5 else INTERNAL


@cython.cclass
class RecordingSpan:
    """One span from its start to its end. Methods never raise; after the end they do nothing.

    Attributes are public where the layer above builds OpenTelemetry's view of the span from them.
    """

    recorder = cython.declare(SpanRecorder, visibility="public")
    trace_id = cython.declare(object, visibility="public")
    span_id = cython.declare(object, visibility="public")
    parent_id = cython.declare(object, visibility="public")
    parent_is_remote = cython.declare(cython.bint, visibility="public")
    parent_flags = cython.declare(cython.int, visibility="public")
    trace_flags = cython.declare(cython.int, visibility="public")
    trace_state = cython.declare(object, visibility="public")
    records_exception = cython.declare(cython.bint, visibility="public")
    sets_status = cython.declare(cython.bint, visibility="public")
    dropped_attribute_count = cython.declare(cython.int, visibility="public")
    event_tuples = cython.declare(list, visibility="public")
    dropped_event_count = cython.declare(cython.int, visibility="public")
    link_tuples = cython.declare(list, visibility="public")
    dropped_link_count = cython.declare(cython.int, visibility="public")
    _values: dict
    _preset: Preset | None
    _state: cython.int
    _name: object
    _kind: cython.int
    _start_ns: object
    _end_ns: object
    _started_at: cython.longlong
    _has_given_start: cython.bint
    _status_code: cython.int
    _status_text: object
    _ended: object
    _is_pending: cython.bint

    if not cython.compiled:
        _is_pending = False
        dropped_attribute_count = 0
        dropped_event_count = 0
        dropped_link_count = 0
        event_tuples = None
        link_tuples = None
        _end_ns = None
        _has_given_start = False

    @property
    def attribute_values(self):
        """The attributes so far."""
        if self._preset is not None:
            self._unfold()
        return self._values

    @cython.cfunc
    def _unfold(self) -> cython.int:
        """Keep the attributes of the preset like all others."""
        preset: Preset = self._preset
        self._preset = None
        self._values = {**preset.values, **self._values}
        return 0

    def is_recording(self):
        """Whether the span can still be changed: until its hooks have seen its end."""
        return self._state != _ENDED

    def set_attribute(self, key, value):
        """Set one attribute; any object will do as key or value."""
        if self._state == _ENDED:
            _too_late("Setting attribute on ended span.")
            return
        self._put(key, value)

    def set_attributes(self, attributes):
        """Set several."""
        if self._state == _ENDED:
            _too_late("Setting attribute on ended span.")
            return
        try:
            if type(attributes) is dict:
                for key, value in attributes.items():
                    self._put(key, value)
            else:
                for key in attributes:
                    self._put(key, attributes[key])
        except Exception as error:  # noqa: BLE001 - a foreign mapping may raise, or change while it is read
            _unreadable(error)

    @cython.cfunc
    def _put(self, key: object, value: object) -> cython.int:
        recorder: SpanRecorder = self.recorder
        if recorder._max_attributes == 0:
            self.dropped_attribute_count += 1
            return 0
        if type(key) is not str or not 0 < len(key) <= MAX_KEY:
            key = clean_key(key)
        value = _clean(key, value, recorder._max_length)
        preset: Preset = self._preset
        if preset is not None and (key in preset.values or len(self._values) >= FEW_MORE):
            self._unfold()
        values: dict = self._values
        before: cython.Py_ssize_t = len(values)
        values[key] = value
        if len(values) == before:
            del values[key]  # as the SDK: a changed attribute is the youngest
            values[key] = value
        elif 0 <= recorder._max_attributes < len(values):
            del values[next(iter(values))]
            self.dropped_attribute_count += 1
        return 0

    def add_event(self, name, attributes=None, timestamp=None):
        """Add an event, now or at `timestamp` in nanoseconds since the epoch."""
        if self._state == _ENDED:
            _too_late("Tried calling _add_event on an ended span.")
            return
        recorder: SpanRecorder = self.recorder
        time_ns = self._now() if timestamp is None else clean_time(timestamp, self._now)
        cleaned, dropped = _clean_all(attributes, recorder._max_event_attributes, recorder._max_other_length)
        event = (
            time_ns,
            name if type(name) is str and 0 < len(name) <= MAX_TEXT else clean_name(name),
            cleaned,
            dropped,
        )
        if self.event_tuples is None:
            self.event_tuples = []
        self.event_tuples.append(event)
        if 0 <= recorder._max_events < len(self.event_tuples):
            del self.event_tuples[0]
            self.dropped_event_count += 1

    def add_link(self, context, attributes=None):
        """Add a link to another span."""
        if self._state == _ENDED:
            _too_late("Tried calling _add_link on an ended span.")
            return
        self._add_link(self.recorder._link_of(context, attributes))

    @cython.cfunc
    def _add_links(self, links: object) -> cython.int:
        try:
            for link in links:
                self._add_link(self.recorder._link_of(link, None))
        except Exception as error:  # noqa: BLE001 - a foreign sequence
            _unreadable(error)
        return 0

    @cython.cfunc
    def _add_link(self, known: object) -> cython.int:
        if known is None:
            return 0
        recorder: SpanRecorder = self.recorder
        trace_id, span_id, trace_state, attributes, is_remote = known
        cleaned, dropped = _clean_all(attributes, recorder._max_link_attributes, recorder._max_other_length)
        flags = HAS_IS_REMOTE | (IS_REMOTE if is_remote else 0)
        if self.link_tuples is None:
            self.link_tuples = []
        self.link_tuples.append((trace_id, span_id, trace_state, cleaned, dropped, flags))
        if 0 <= recorder._max_links < len(self.link_tuples):
            del self.link_tuples[0]
            self.dropped_link_count += 1
        return 0

    def update_name(self, name):
        """Give the span another name."""
        if self._state == _ENDED:
            _too_late("Tried calling update_name on an ended span.")
            return
        self._name = name if type(name) is str and 0 < len(name) <= MAX_TEXT else clean_name(name)

    def put_status(self, code: int, text: str):
        """Set OTLP's status (0 unset, 1 ok, 2 error). Ok is final, and unset changes nothing."""
        if self._state == _ENDED:
            _too_late("Tried calling set_status on an ended span.")
            return
        if code == 0 or self._status_code == 1:
            return
        self._status_code = code
        self._status_text = text if code == 2 else ""

    def end_with(self, attributes, end_time=None):
        """End the span with a few more attributes, clean as those of `start_preset`."""
        if self._preset is not None and self._state == _RECORDING:
            self._values.update(attributes)
        else:
            self.set_attributes(attributes)
        self._end(end_time)

    def end(self, end_time=None):
        """End the span at `end_time` (nanoseconds since the epoch) or now: hooks, then it is written."""
        self._end(end_time)

    @cython.cfunc
    def _end(self, end_time: object) -> cython.int:
        if self._state != _RECORDING:
            _too_late("Calling end() on an ended span.")
            return 0
        self._end_ns = self._now() if end_time is None else clean_time(end_time, self._now)
        self._state = _ENDING
        recorder: SpanRecorder = self.recorder
        hooks = recorder.hooks
        if self._ended is not None:
            self._ended()
        if recorder.marks is not None:
            recorder.marks._end(self, self._start_ns, self._end_ns)
        if hooks is not None and hooks.on_ending is not None:
            hooks.on_ending(self)
        self._state = _ENDED
        if recorder._append is not None and self.trace_flags & SAMPLED:
            recorder._append(self.encoded())
            if self._is_pending:
                recorder._stream.settled(self.span_id.to_bytes(8, "big"))
        if hooks is not None and hooks.on_end is not None:
            hooks.on_end(self)
        return 0

    def pend(self):
        """Write the span down as it is now: if the process dies before its end, it is told as abandoned.

        For the few spans whose end matters most when it does not come, such as a submitted order's.
        """
        stream = self.recorder.stream
        if self._state == _RECORDING and self.trace_flags & SAMPLED and hasattr(stream, "pending"):
            self._is_pending = True
            stream.pending(self.span_id.to_bytes(8, "big"), self.encoded())

    def encoded(self) -> bytes:
        """The span as it is now, an entry of `ScopeSpans.spans`."""
        trace_state = self.trace_state
        return encode_span(
            self.trace_id,
            self.span_id,
            trace_state.to_header() if trace_state else "",
            self.parent_id or 0,
            HAS_IS_REMOTE | (IS_REMOTE if self.parent_is_remote else 0),
            self._name,
            self._kind,
            self._start_ns,
            self._end_ns or 0,
            self._values,
            self.dropped_attribute_count,
            self.event_tuples,
            self.dropped_event_count,
            self.link_tuples,
            self.dropped_link_count,
            self._status_code,
            self._status_text,
            b"" if self._preset is None else self._preset.encoded,
        )

    @cython.cfunc
    def _now(self) -> object:
        """Nanoseconds since the epoch by the span's own clock: its start plus what has passed since."""
        recorder: SpanRecorder = self.recorder
        if recorder._clock is not None:
            return recorder._clock()
        if self._has_given_start:
            return _wall_ns()
        return self._start_ns + (_monotonic_ns() - self._started_at)

    @property
    def name(self):
        """The name."""
        return self._name

    @property
    def kind_number(self):
        """OTLP's number of the kind, 1 to 5."""
        return self._kind

    @property
    def start_time(self):
        """Nanoseconds since the epoch."""
        return self._start_ns

    @property
    def end_time(self):
        """Nanoseconds since the epoch; None before the end."""
        return self._end_ns

    @property
    def status_code(self):
        """OTLP's number: 0 unset, 1 ok, 2 error."""
        return self._status_code

    @property
    def status_text(self):
        """Of an error; empty otherwise."""
        return self._status_text

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        """End the span; an error that passes through is recorded."""
        if error is not None and self._state == _RECORDING:
            self._note(error, True)
        self.end()

    @cython.cfunc
    def _note(self, error: object, escaped: cython.bint) -> cython.int:
        if self.records_exception:
            self.record_exception(error, None, None, escaped)
        if self.sets_status:
            self.set_error(error)
        return 0


@cython.cfunc
def _clean(key: object, value: object, max_length: cython.Py_ssize_t) -> object:
    """A value as it may be kept under `key`."""
    kind = type(value)
    if kind is str:
        if len(value) > MAX_TEXT:
            value = clean_value(value)
    elif kind is int:
        if not -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
            value = clean_value(value)
    elif kind is not bool and kind is not float and value is not None:
        value = clean_value(value)
    policy = _known.get(key)
    if policy is not PLAIN:
        if policy is None:
            policy = key_policy(key)
        if policy is not PLAIN:
            value = policy.apply(value)
    if max_length >= 0:
        value = _cut(value, max_length)
    return value


@cython.cfunc
def _cut(value: object, length: cython.Py_ssize_t) -> object:
    kind = type(value)
    if kind is str:
        return value[:length] if len(value) > length else value
    if kind is tuple:
        return tuple([_cut(item, length) for item in value])
    if kind is dict:
        return {key: _cut(item, length) for key, item in value.items()}
    return value


@cython.cfunc
def _clean_all(attributes: object, limit: cython.Py_ssize_t, max_length: cython.Py_ssize_t) -> tuple:
    """Clean attributes of an event or a link, and how many of them did not fit."""
    cleaned: dict = {}
    dropped: cython.int = 0
    if not attributes:
        return cleaned, dropped
    try:
        for key, value in dict(attributes).items():
            if limit == 0:
                dropped += 1
                continue
            name = key if type(key) is str and 0 < len(key) <= MAX_KEY else clean_key(key)
            if 0 < limit <= len(cleaned):
                del cleaned[next(iter(cleaned))]
                dropped += 1
            cleaned[name] = _clean(name, value, max_length)
    except Exception as error:  # noqa: BLE001 - a foreign mapping
        _unreadable(error)
    return cleaned, dropped


_sdk_logger = logging.getLogger("opentelemetry.sdk.trace")
_told = set()


def _unreadable(error: Exception) -> None:
    """Attributes or links that raise when they are read: told once for each kind of error."""
    kind = type(error).__name__
    if kind not in _told and len(_told) < 100:
        _told.add(kind)
        diagnostics.warning("attributes or links that raise %s when they are read are left out", kind)


_TOLD_AGAIN_AFTER_S = 60.0
_told_at: dict = {}
"""When a slip of the caller's was last told, by its text."""


def _too_late(text: str) -> None:
    """A call on a span that has ended: told in the SDK's words where the SDK tells it, once a minute."""
    now_s = time.monotonic()
    if now_s - _told_at.get(text, -_TOLD_AGAIN_AFTER_S) >= _TOLD_AGAIN_AFTER_S:
        _told_at[text] = now_s
        _sdk_logger.warning(text)


@cython.cclass
class CurrentSpan:
    """A span that is current inside a `with` block, or inside each call of a decorated function."""

    _recorder: SpanRecorder
    _arguments: tuple
    _ends: cython.bint
    _span: object
    _token: object

    def __enter__(self):
        recorder: SpanRecorder = self._recorder
        given = self._arguments
        span = recorder._start(
            given[0], given[1], given[2], given[3], given[4], given[5], given[6], given[7], None
        )
        context = recorder._context_class(recorder._current())
        PyDict_SetItem(context, recorder._span_key, span)
        if cython.compiled:
            if recorder._is_variable:
                self._token = PyContextVar_Set(recorder._context_var, context)
            else:
                self._token = recorder._context_var.set(context)
        else:
            self._token = recorder._context_var.set(context)
        self._span = span
        return span

    def __exit__(self, kind, error, traceback):
        span = self._span
        recorder: SpanRecorder = self._recorder
        try:
            if cython.compiled:
                if recorder._is_variable:
                    PyContextVar_Reset(recorder._context_var, self._token)
                else:
                    recorder._context_var.reset(self._token)
            else:
                recorder._context_var.reset(self._token)
        except ValueError:  # left in another context than entered, as an abandoned async generator is
            diagnostics.debug("a current span was left in another context than it was entered in")
        self._token = None
        if error is not None and isinstance(error, Exception) and span.is_recording():
            if self._arguments[6]:
                span.record_exception(error)
            if self._arguments[7]:
                span.set_error(error)
        if self._ends:
            span.end()
        return False

    def __call__(self, function):
        """Decorate: each call of `function` has a span of its own."""
        return decorated(self, function)

    def again(self):
        """The same, not entered yet."""
        twin: CurrentSpan = CurrentSpan.__new__(CurrentSpan)
        twin._recorder = self._recorder
        twin._arguments = self._arguments
        twin._ends = self._ends
        return twin


def decorated(current: CurrentSpan, function):
    """`function` with a current span around each call; a coroutine function stays one."""
    import functools
    import inspect

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args, **kwargs):
            with current.again():
                return await function(*args, **kwargs)

        return call_async

    @functools.wraps(function)
    def call(*args, **kwargs):
        with current.again():
            return function(*args, **kwargs)

    return call
