"""A recording span as OpenTelemetry sees it: its API, and what others read of the SDK's spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from opentelemetry import trace as trace_api
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationInfo, InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import AnyValue, Attributes
from typing_extensions import deprecated

from tickspan.instrumentation import redact
from tickspan.instrumentation.faults import exception_event, safe_message
from tickspan.recording import RecordingSpan, clean_attributes, clean_text
from tickspan.recording.values import foreign_text, type_text
from tickspan.semconv.common import EXCEPTION_ESCAPED, EXCEPTION_EVENT, EXCEPTION_MESSAGE, EXCEPTION_TYPE

_KINDS = (None, SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER)
_CODES = (StatusCode.UNSET, StatusCode.OK, StatusCode.ERROR)
_UNSET = Status(StatusCode.UNSET)
_FLAGS = tuple(TraceFlags(number) for number in range(4))


def context_of(
    trace_id: int, span_id: int, is_remote: bool, flags: int, trace_state: TraceState | None
) -> SpanContext:
    """OpenTelemetry's value of an identity."""
    return SpanContext(trace_id, span_id, is_remote, _FLAGS[flags & 3], trace_state)


class FinishedSpan(sdk.ReadableSpan):
    """What an SDK processor gets in `on_end`: the span's values, frozen."""

    def __init__(self, span: RecordedSpan) -> None:
        """Take the values of `span` as they are now."""
        super().__init__(
            name=span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes=dict(span.attribute_values),
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self._instrumentation_info = span.recorder.owner.instrumentation_info
        self._dropped = (span.dropped_attributes, span.dropped_events, span.dropped_links)

    @property
    def dropped_attributes(self) -> int:
        """How many attributes did not fit."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """How many events did not fit."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """How many links did not fit."""
        return self._dropped[2]


class RecordedSpan(RecordingSpan, sdk.Span):  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride] - attributes of a C class
    """Made by recorders only. Its views of itself are built when they are asked for."""

    _known_context: SpanContext | None = None

    def __repr__(self) -> str:
        state = "recording" if self.is_recording() else "ended"
        return f"<Span {self.name!r} {self.trace_id:032x} {self.span_id:016x} {state}>"

    def get_span_context(self) -> SpanContext:
        """The identity that children and other processes need."""
        known = self._known_context
        if known is None:
            known = self._known_context = SpanContext(
                self.trace_id,
                self.span_id,
                is_remote=False,
                trace_flags=_FLAGS[self.trace_flags & 3],
                trace_state=self.trace_state,
            )
        return known

    @property
    def context(self) -> SpanContext:
        """As `get_span_context`."""
        return self.get_span_context()

    @property
    def parent(self) -> SpanContext | None:
        """The parent's identity; None for a root."""
        if self.parent_id is None:
            return None
        return context_of(
            self.trace_id, self.parent_id, bool(self.parent_is_remote), self.parent_flags, self.trace_state
        )

    @property
    def kind(self) -> SpanKind:
        """The kind."""
        return _KINDS[self.kind_number] or SpanKind.INTERNAL

    @property
    def status(self) -> Status:
        """The status so far."""
        code = self.status_code
        return Status(_CODES[code], self.status_text or None) if code else _UNSET

    @property
    def attributes(self) -> Attributes:
        """The attributes so far, read only."""
        return MappingProxyType(self.attribute_values)

    @property
    def events(self) -> Sequence[sdk.Event]:
        """The events so far."""
        return tuple(
            sdk.Event(name, _bounded(attributes, dropped), time_ns)
            for time_ns, name, attributes, dropped in self.event_tuples or ()
        )

    @property
    def links(self) -> Sequence[Link]:
        """The links so far."""
        return tuple(
            Link(
                SpanContext(
                    trace_id, span_id, is_remote=bool(flags & 0x200), trace_state=_trace_state(trace_state)
                ),
                _bounded(attributes, dropped),
            )
            for trace_id, span_id, trace_state, attributes, dropped, flags in self.link_tuples or ()
        )

    @property
    def resource(self) -> Resource:
        """Of the provider."""
        return self.recorder.owner.resource

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        """Of the tracer."""
        return self.recorder.owner._instrumentation_scope  # noqa: SLF001 - the SDK's tracer has no public name for it

    @property
    def _span_processor(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride] - upstream's attribute
        return self.recorder.owner.span_processor

    @property
    @deprecated("You should use instrumentation_scope. Deprecated since version 1.11.1.")
    def instrumentation_info(self) -> InstrumentationInfo:  # pyright: ignore[reportIncompatibleMethodOverride] - deprecated upstream
        """Of the tracer, in its old form."""
        return self.recorder.owner.instrumentation_info

    @property
    def dropped_attributes(self) -> int:
        """How many attributes did not fit."""
        return self.dropped_attribute_count

    @property
    def dropped_events(self) -> int:
        """How many events did not fit."""
        return self.dropped_event_count

    @property
    def dropped_links(self) -> int:
        """How many links did not fit."""
        return self.dropped_link_count

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status; its text is scrubbed, since it often is an exception's."""
        given: Any = status
        code, text = given, description
        if issubclass(type(given), Status):  # never `isinstance`: a lazy proxy would be asked what it is
            code, text = given.status_code, given.description
            if description is not None:
                sdk.logger.warning(
                    "Description %s ignored. Use either `Status` or `(StatusCode, Description)`",
                    redact.text(foreign_text(description)),
                )
        number = code.value if type(code) is StatusCode else 0
        is_text = issubclass(type(text), str)
        self.put_status(number, redact.text(clean_text(cast("str", text))) if is_text else "")

    def set_error(self, error: BaseException) -> None:
        """What an exception that passes through means: status error, with its scrubbed text."""
        self.put_status(2, f"{type(error).__name__}: {safe_message(error)}")

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, AnyValue] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an `exception` event whose texts are scrubbed: URLs of venues carry signatures."""
        told: dict[str, Any] = _told_of(exception, with_source=self.recorder.owner.tells_source)
        values = {**told, EXCEPTION_ESCAPED: str(escaped), **clean_attributes(attributes or {})}
        self.add_event(EXCEPTION_EVENT, values, timestamp)

    def _readable_span(self) -> sdk.ReadableSpan:
        return FinishedSpan(self)

    def to_json(self, indent: int | None = 4) -> str:
        """As the SDK's."""
        return FinishedSpan(self).to_json(indent)


def _told_of(exception: Any, *, with_source: bool) -> dict[str, Any]:
    """An exception's event; also of what is none, since any object may be handed over as one."""
    if issubclass(type(exception), BaseException):
        return dict(exception_event(exception, with_source=with_source))
    return {EXCEPTION_TYPE: type_text(type(exception)), EXCEPTION_MESSAGE: foreign_text(exception)}


class SilentSpan(NonRecordingSpan):
    """A span that is not recorded; its identity is made when somebody asks for it."""

    __slots__ = ("_identity", "attributes", "kind")

    def __init__(
        self,
        trace_id: int,
        span_id: int,
        flags: int,
        trace_state: TraceState | None,
        kind: SpanKind | None,
        attributes: Any,
    ) -> None:
        self._identity = (trace_id, span_id, flags, trace_state)
        self.kind = SpanKind.INTERNAL if kind is None else kind
        self.attributes = attributes or {}
        """What it was started with: a propagator asks where the call goes."""

    def get_span_context(self) -> SpanContext:
        """The identity that children and other processes need."""
        trace_id, span_id, flags, trace_state = self._identity
        return context_of(trace_id, span_id, is_remote=False, flags=flags, trace_state=trace_state)

    @property
    def _context(self) -> SpanContext:  # pyright: ignore[reportIncompatibleVariableOverride] - upstream's attribute, made late
        return self.get_span_context()


def _bounded(attributes: dict[str, Any], dropped: int) -> BoundedAttributes:
    """Clean attributes in the container in which the SDK counts those that did not fit."""
    bounded = BoundedAttributes(attributes=attributes)
    bounded.dropped = dropped
    return bounded


def _trace_state(text: str) -> TraceState | None:
    return TraceState.from_header([text]) if text else None


def parent_of(span: Any) -> tuple[int, int, bool, int, TraceState | None] | None:
    """What a recorder needs of a span that it did not make; None for one that names no parent."""
    if type(span) is SilentSpan:
        trace_id, span_id, flags, trace_state = span._identity  # noqa: SLF001 - our own class
        return (trace_id, span_id, False, flags, trace_state) if trace_id and span_id else None
    known: Any = span.get_span_context() if issubclass(type(span), trace_api.Span) else None
    if not issubclass(type(known), SpanContext) or not known.is_valid:
        return None
    return (known.trace_id, known.span_id, known.is_remote, int(known.trace_flags), known.trace_state or None)


def link_of(link: Any, attributes: Any) -> tuple[int, int, str, Any, bool] | None:
    """What a recorder needs of a link, or of the context it leads to; None for one that says nothing."""
    context: Any = link
    if not issubclass(type(link), SpanContext):
        context, attributes = getattr(link, "context", None), getattr(link, "attributes", None)
    if not issubclass(type(context), SpanContext):
        return None
    if not (context.is_valid or attributes or context.trace_state):
        return None
    return (
        context.trace_id,
        context.span_id,
        _header_of(context.trace_state),
        attributes,
        context.is_remote,
    )


def _header_of(state: Any) -> str:
    """A trace state as it travels; others may have put something else in its place."""
    if isinstance(state, TraceState):
        return state.to_header() if state else ""
    return clean_text(state) if isinstance(state, str) else ""


__all__ = ["FinishedSpan", "RecordedSpan", "SilentSpan", "link_of", "parent_of"]
