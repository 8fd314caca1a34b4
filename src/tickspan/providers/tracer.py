"""Tracer provider, tracer and span: the SDK's classes, extended where they fall short of our promises.

`on_ending` may still change the span (upstream freezes it first, opentelemetry-python #5614), exception and
status texts are scrubbed before they are kept, ids are private, and the clock can be given.
"""

from __future__ import annotations

import atexit
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AnyValue, Attributes

from tickspan.instrumentation import exception_message, redact, type_name
from tickspan.providers.forked import of_this_process
from tickspan.providers.ids import PrivateIdGenerator
from tickspan.providers.observers import (
    Observers,
    RootProcessor,
    RootWatch,
    SpanWatch,
    SpanWatchProcessor,
)
from tickspan.providers.recorders import recorder_of
from tickspan.providers.sink import Closed, Records, Sink, key_of
from tickspan.recording import SpanRecorder
from tickspan.recording.marks import SpanMarks
from tickspan.recording.scan import MAX_SCANNED
from tickspan.semconv.common import (
    EXCEPTION_ESCAPED,
    EXCEPTION_EVENT,
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
)

_OURS = "tickspan"
"""How the names of our own scopes begin."""

Clock = Callable[[], int]
"""Wall-clock nanoseconds since the epoch."""


class Span(sdk._Span):  # noqa: SLF001 - the SDK's constructor guard leaves no public base
    """A recording span."""

    _clock: Clock = staticmethod(time.time_ns)
    _ending_at: int | None = None

    @property
    def end_time(self) -> int | None:
        """Nanoseconds since the epoch; known from the moment the span is ending."""
        return self._ending_at

    def start(self, start_time: int | None = None, parent_context: Context | None = None) -> None:
        """Start the span, at the provider's clock unless a time is given."""
        super().start(self._clock() if start_time is None else start_time, parent_context)

    def end(self, end_time: int | None = None) -> None:
        """End the span: hooks may still change it, then it is frozen and handed on."""
        with self._lock:
            if self._start_time is None:  # pyright: ignore[reportUnnecessaryComparison] - the SDK sets it late
                raise RuntimeError("Calling end() on a not started span.")
            if self._ending_at is not None:
                sdk.logger.warning("Calling end() on an ended span.")
                return
            self._ending_at = self._clock() if end_time is None else end_time
        if self._record_end_metrics:
            self._record_end_metrics()
        try:
            self._span_processor._on_ending(self)  # noqa: SLF001 - the specification's OnEnding, still private upstream
        finally:
            with self._lock:
                self._end_time = self._ending_at
                self._attributes._immutable = True  # noqa: SLF001
        self._span_processor.on_end(self._readable_span())

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status; its text is scrubbed, since it often is an exception's."""
        if isinstance(status, Status) and status.description:
            status = Status(status.status_code, redact.text(status.description))
        super().set_status(status, redact.text(description) if description else description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an `exception` event whose texts are scrubbed: URLs of venues carry signatures."""
        values: dict[str, AnyValue] = {
            EXCEPTION_TYPE: type_name(exception),
            EXCEPTION_MESSAGE: redact.text(exception_message(exception)),
            EXCEPTION_STACKTRACE: redact.text(_stack(exception)),
            EXCEPTION_ESCAPED: str(escaped),
            **(attributes or {}),
        }
        self.add_event(EXCEPTION_EVENT, values, timestamp)


def _stack(exception: BaseException) -> str:
    """The traceback as Python prints it; of a long one whole lines of its end, where the cause stands."""
    text = "".join(traceback.format_exception(exception))
    return text if len(text) <= MAX_SCANNED else text[-MAX_SCANNED:].partition("\n")[2]


class Tracer(sdk.Tracer):
    """Starts our spans with the SDK's semantics."""

    _clock: Clock = staticmethod(time.time_ns)

    _recorder: SpanRecorder | None = None
    tells_source: bool = False
    """Whether stacks of recorded exceptions hold source lines."""

    @staticmethod
    def like(tracer: sdk.Tracer, clock: Clock) -> Tracer:
        """A tracer of ours in the state of the SDK's."""
        ours = Tracer.__new__(Tracer)
        vars(ours).update(vars(tracer))
        ours._clock = clock  # noqa: SLF001 - our own class
        return ours

    def record(self, recorder: SpanRecorder) -> None:
        """Start spans by `recorder` from now on: its methods take the place of this class's."""
        self._recorder = recorder
        recorder.is_enabled = self._is_enabled()
        self.start_span = recorder.start_span  # pyright: ignore[reportAttributeAccessIssue] - shadows the method on purpose
        self.start_as_current_span = recorder.start_as_current_span  # pyright: ignore[reportAttributeAccessIssue]

    def _set_tracer_config(self, tracer_config: Any) -> None:
        super()._set_tracer_config(tracer_config)
        if self._recorder is not None:
            self._recorder.is_enabled = self._is_enabled()

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[trace_api.Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace_api.Span:
        """As the API says. Raises `TypeError` for a parent that carries no span context."""
        parent = trace_api.get_current_span(context).get_span_context()
        if parent is not None and not isinstance(parent, SpanContext):  # pyright: ignore[reportUnnecessaryIsInstance, reportUnnecessaryComparison] - foreign spans return what they like
            raise TypeError("parent_span_context must be a SpanContext or None.")
        if not self._is_enabled():
            return trace_api.NonRecordingSpan(context=parent)
        known = parent if parent is not None and parent.is_valid else None  # pyright: ignore[reportUnnecessaryComparison]
        trace_id = self.id_generator.generate_trace_id() if known is None else known.trace_id
        links = links or ()
        decided = self.sampler.should_sample(context, trace_id, name, kind, attributes, links)
        span_context = self._context_of(trace_id, known, decided)
        record_end_metrics = self._tracer_metrics.start_span(known, decided.decision)
        if not decided.decision.is_recording():
            return trace_api.NonRecordingSpan(context=span_context)
        span = Span(
            name=name,
            context=span_context,
            parent=known,
            sampler=self.sampler,
            resource=self.resource,
            attributes=decided.attributes,
            span_processor=self.span_processor,
            kind=kind,
            links=links,
            instrumentation_info=self.instrumentation_info,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
            limits=self._span_limits,
            instrumentation_scope=self._instrumentation_scope,
            record_end_metrics=record_end_metrics,
        )
        span._clock = self._clock  # noqa: SLF001 - our own class
        span.start(start_time=start_time, parent_context=context)
        return span

    def _context_of(self, trace_id: int, parent: SpanContext | None, decided: SamplingResult) -> SpanContext:
        flags = TraceFlags.SAMPLED if decided.decision.is_sampled() else TraceFlags.DEFAULT
        if self.id_generator.is_trace_id_random() if parent is None else parent.trace_flags.random_trace_id:
            flags |= TraceFlags.RANDOM_TRACE_ID
        return SpanContext(
            trace_id,
            self.id_generator.generate_span_id(),
            is_remote=False,
            trace_flags=TraceFlags(flags),
            trace_state=decided.trace_state,
        )


class TracerProvider(sdk.TracerProvider):
    """The SDK's provider with our tracers. Same constructor, plus `clock` and `sink`; zero arguments will do.

    With a sink, spans are recorded as OTLP bytes when they end, and processors of the user see them beside
    that. Without one, spans are the SDK's.
    """

    def __init__(
        self,
        sampler: Sampler | None = None,
        resource: Resource | None = None,
        shutdown_on_exit: bool = True,
        active_span_processor: Any = None,
        id_generator: IdGenerator | None = None,
        span_limits: sdk.SpanLimits | None = None,
        *,
        clock: Clock | None = None,
        sink: Sink | None = None,
        tells_source: bool = False,
        **extras: Any,
    ) -> None:
        super().__init__(
            sampler,
            resource,
            shutdown_on_exit,
            active_span_processor,
            id_generator or PrivateIdGenerator(),
            span_limits,
            **extras,
        )
        self._tells_source = tells_source
        self._clock = clock
        self._sink = sink
        self._is_shut_down = False
        self._must_renew = False
        self._rewrite: Callable[[Any], None] | None = None
        self._notice: tuple[Callable[[Any], None], ...] = ()
        self._roots: RootWatch | None = None
        self._watched: tuple[SpanWatch, ...] = ()
        self._marks: SpanMarks | None = None
        self._observers = Observers(lambda: self._active_span_processor._span_processors)  # noqa: SLF001

    @property
    def has_sink(self) -> bool:
        """Whether spans are recorded by our own recorders."""
        return self._sink is not None

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, AnyValue] | None = None,
    ) -> trace_api.Tracer:
        """The tracer of a scope; the same object each time."""
        self.renew()
        tracer = super().get_tracer(
            instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        )
        if not isinstance(tracer, sdk.Tracer) or isinstance(tracer, Tracer):
            return tracer
        with self._tracers_lock:
            scope = tracer._instrumentation_scope  # noqa: SLF001 - the key the SDK keeps it under
            kept = self._tracers[scope]
            if not isinstance(kept, Tracer):
                kept = self._tracers[scope] = Tracer.like(tracer, self._clock or time.time_ns)
                kept.tells_source = self._tells_source
                if self._sink is not None:
                    kept.record(recorder_of(kept, self._records(self._sink, kept), self._clock))
                    self._hook(kept)
            return kept

    def add_span_processor(self, span_processor: sdk.SpanProcessor) -> None:
        """Let a processor see spans from now on; it is asked behind a guard."""
        super().add_span_processor(span_processor)
        self._hook(*self._tracers.values())

    def rewrite_endings(self, rewrite: Callable[[Any], None] | None) -> None:
        """Let `rewrite` change each ending span that is not of our own instrumentation; None ends that.

        It comes before all processors and must not raise.
        """
        self._rewrite = rewrite
        if self._sink is not None:
            self._hook(*self._tracers.values())
            return
        several = self._active_span_processor
        others = [known for known in several._span_processors if not isinstance(known, _Rewriter)]  # noqa: SLF001 - the SDK's own list
        first = [] if rewrite is None else [_Rewriter(rewrite)]
        several._span_processors = (*first, *others)  # noqa: SLF001

    def notice_endings(self, notice: Callable[[Any], None]) -> Callable[[], None]:
        """Let `notice` see each recorded span, sampled or not, when it has ended; returns what stops it.

        It gets the span itself, where a processor gets a copy, and must not raise.
        """
        self._let_notice((*self._notice, notice))
        return lambda: self._let_notice(tuple(known for known in self._notice if known is not notice))

    def watch_roots(
        self, started: Callable[[Any], None], ending: Callable[[Any], None]
    ) -> Callable[[], None]:
        """Let a pair see each recorded local root span; returns what stops that.

        `started` is called in the context in which the span starts, `ending` while it can still be changed;
        neither must raise. There is one such pair: a second one takes the place of the first.
        """
        self._let_watch(started, ending)
        return lambda: self._let_watch(None, None)

    def mark_spans(self, marks: SpanMarks) -> Callable[[], None]:
        """Let recorders compare `marks` for every span; returns what stops that. There is one such value.

        Without a sink nothing is compared: `watch_spans` has to do.
        """
        self._let_mark(marks)
        return lambda: self._let_mark(None)

    def _let_mark(self, marks: SpanMarks | None) -> None:
        self._marks = marks
        self._hook(*self._tracers.values())

    def watch_spans(
        self, started: Callable[[Any, Any], None], ending: Callable[[Any], None]
    ) -> Callable[[], None]:
        """As `watch_roots` for every recorded span, and for any number of pairs."""
        watch = SpanWatch(started, ending)
        self._let_all_watch((*self._watched, watch))
        return lambda: self._let_all_watch(tuple(known for known in self._watched if known is not watch))

    def _let_all_watch(self, watched: tuple[SpanWatch, ...]) -> None:
        self._watched = watched
        if self._sink is not None:
            self._hook(*self._tracers.values())
            return
        several = self._active_span_processor
        others = [known for known in several._span_processors if not isinstance(known, SpanWatchProcessor)]  # noqa: SLF001 - the SDK's own list
        several._span_processors = (*map(SpanWatchProcessor, watched), *others)  # noqa: SLF001

    def _let_watch(self, started: Callable[[Any], None] | None, ending: Callable[[Any], None] | None) -> None:
        self._roots = None if started is None or ending is None else RootWatch(started, ending)
        if self._sink is not None:
            self._hook(*self._tracers.values())
            return
        several = self._active_span_processor
        others = [known for known in several._span_processors if not isinstance(known, RootProcessor)]  # noqa: SLF001 - the SDK's own list
        first = [] if started is None or ending is None else [RootProcessor(started, ending)]
        several._span_processors = (*first, *others)  # noqa: SLF001

    def _let_notice(self, notice: tuple[Callable[[Any], None], ...]) -> None:
        self._notice = notice
        if self._sink is not None:
            self._hook(*self._tracers.values())
            return
        several = self._active_span_processor
        others = [known for known in several._span_processors if not isinstance(known, _Noticer)]  # noqa: SLF001 - the SDK's own list
        several._span_processors = (*others, *map(_Noticer, notice))  # noqa: SLF001

    def _hook(self, *tracers: sdk.Tracer) -> None:
        """Let recorders call those who want to see or to change spans."""
        for recorder in self._recorders(*tracers):
            recorder.marks = self._marks
            is_ours = recorder.owner._instrumentation_scope.name.startswith(_OURS)  # noqa: SLF001
            recorder.hooks = self._observers.hooks(
                None if is_ours else self._rewrite, self._notice, self._roots, self._watched
            )

    def shutdown(self) -> None:
        """Shut the processors down. What is recorded afterwards is counted as lost."""
        if self._sink is None:
            super().shutdown()
            return
        if self._is_shut_down:
            return
        self._is_shut_down = True
        for recorder in self._recorders(*self._tracers.values()):
            recorder.stream = Closed(self._sink, "traces")
        self._observers.shutdown()
        if self._atexit_handler is not None:
            atexit.unregister(self._atexit_handler)
            self._atexit_handler = None

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the processors, then wait until all spans so far are delivered; False when time ran out."""
        if self._sink is None:
            return super().force_flush(timeout_millis)
        deadline = time.monotonic() + timeout_millis / 1e3
        is_flushed = self._observers.force_flush(timeout_millis)
        return self._sink.force_flush(max(0.0, deadline - time.monotonic())) and is_flushed

    def close(self) -> None:
        """Shut the processors down at the end of the process; recording goes on to its last moment."""
        if self._sink is None:
            self.shutdown()
        else:
            self._observers.shutdown()

    def _handle_fork(self) -> None:
        if self._sink is None:
            super()._handle_fork()
            return
        self._tracers_lock = threading.Lock()
        self._must_renew = True
        for recorder in self._recorders(*self._tracers.values()):
            recorder.stream = _AfterFork(self, recorder)

    def renew(self) -> None:
        """Take over the resource of a forked child, once: for tracers that are there, and those to come."""
        with self._tracers_lock:
            if not self._must_renew:
                return
            self._must_renew = False
            self._resource = of_this_process(self._resource)
            for tracer in self._tracers.values():
                tracer._set_resource(self._resource)  # noqa: SLF001 - what upstream does after a fork
            self._restart_streams()

    def _update_resource(self, resource: Resource) -> None:
        super()._update_resource(resource)
        self._restart_streams()

    def _restart_streams(self) -> None:
        if self._sink is not None:
            for recorder in self._recorders(*self._tracers.values()):
                recorder.stream = self._records(self._sink, recorder.owner)

    def _records(self, sink: Sink, tracer: Tracer) -> Records:
        if self._is_shut_down:
            return Closed(sink, "traces")
        return sink.stream(key_of("traces", tracer.resource, tracer._instrumentation_scope))  # noqa: SLF001

    @staticmethod
    def _recorders(*tracers: sdk.Tracer) -> list[SpanRecorder]:
        ours = (tracer._recorder for tracer in tracers if isinstance(tracer, Tracer))  # noqa: SLF001
        return [recorder for recorder in ours if recorder is not None]


class _Rewriter(sdk.SpanProcessor):
    """Brings `rewrite` among the processors of the SDK's spans."""

    def __init__(self, rewrite: Callable[[Any], None]) -> None:
        self._rewrite = rewrite

    def _on_ending(self, span: sdk.Span) -> None:
        scope = span.instrumentation_scope
        if scope is None or not scope.name.startswith(_OURS):
            self._rewrite(span)


class _Noticer(sdk.SpanProcessor):
    """Brings one of `notice_endings` among the processors of the SDK's spans."""

    def __init__(self, notice: Callable[[Any], None]) -> None:
        self._notice = notice

    def on_end(self, span: sdk.ReadableSpan) -> None:
        self._notice(span)


class _AfterFork:
    """In place of a recorder's stream in a forked child until its first record: `fork()` stays quick."""

    def __init__(self, provider: TracerProvider, recorder: SpanRecorder) -> None:
        self._provider = provider
        self._recorder = recorder

    def append(self, record: bytes, items: int = 1) -> None:
        """Renew the provider, then hand the record on."""
        self._provider.renew()
        self._recorder.stream.append(record, items)
