"""Logger provider: the SDK's, and with a sink one whose records become OTLP bytes when they are emitted."""

from __future__ import annotations

import atexit
import copy
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk import _logs as sdk
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs._internal._logger_metrics import NoOpLoggerMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.util.types import AnyValue, Attributes
from tickspan_spool.reasons import Reason

from tickspan.instrumentation import exception_attributes
from tickspan.providers.forked import of_this_process
from tickspan.providers.log_processors import GuardedProcessors
from tickspan.providers.recorders import interop
from tickspan.providers.sink import Closed, Records, Sink, key_of
from tickspan.recording import Guard, clean_attributes
from tickspan.recording._impl import logrecord


class EventNoticer(Protocol):
    """Wants to see log events when they are emitted. It does not raise."""

    def wants(self, event_name: str) -> bool:
        """Whether events of that name matter."""
        ...

    def happened(self, event_name: str, attributes: Mapping[str, Any], trace_id: int, span_id: int) -> None:
        """An event was emitted. Attributes are clean; ids are 0 where there is no span."""
        ...


class Logger(sdk.Logger):
    """Records one scope: foreign processors first, then the sink gets the record as they left it."""

    recorder: logrecord.LogRecorder
    _sink: Sink
    _guard: Guard
    _is_on: bool
    _has_processors: bool
    noticer: EventNoticer | None = None
    """Sees log events; set by the provider."""

    @staticmethod
    def like(logger: sdk.Logger, sink: Sink) -> Logger:
        """A logger of ours in the state of the SDK's."""
        ours = Logger.__new__(Logger)
        vars(ours).update(vars(logger))
        ours._sink = sink  # noqa: SLF001 - our own class
        ours._guard = Guard("recording", "log")  # noqa: SLF001
        limits = ours._log_record_limits  # noqa: SLF001
        ours.recorder = logrecord.LogRecorder(
            interop(),
            _Late(ours),
            limits.max_log_record_attributes,
            limits.max_log_record_attribute_length,
        )
        ours.note_changes()
        return ours

    def note_changes(self) -> None:
        """Do from now on what configuration and processors ask for."""
        self._is_on = self._is_enabled()
        self._has_processors = bool(self._multi_log_record_processor._log_record_processors)  # noqa: SLF001 - upstream's name for them
        is_counted = not isinstance(self._logger_metrics, NoOpLoggerMetrics)
        self.recorder.is_direct = self._is_on and not self._has_processors and not is_counted

    def close(self) -> None:
        """Count what is recorded from now on as lost."""
        self.recorder.stream = Closed(self._sink, "logs")

    def bind(self) -> Records:
        """The sink's stream for what the resource is now, in use from now on unless recording has ended."""
        if isinstance(self.recorder.stream, Closed):
            return self.recorder.stream
        stream = self._sink.stream(key_of("logs", self._resource, self._instrumentation_scope))
        self.recorder.stream = stream
        return stream

    def enabled(
        self,
        *,
        context: Context | None = None,
        severity_number: SeverityNumber | None = None,
        event_name: str | None = None,
    ) -> bool:
        """Whether records of this scope are wanted: always, unless the configuration disables the scope."""
        del context, severity_number, event_name  # the sink takes every record
        return self._is_on

    def emit(
        self,
        record: LogRecord | ReadWriteLogRecord | None = None,
        *,
        timestamp: int | None = None,
        observed_timestamp: int | None = None,
        context: Context | None = None,
        severity_number: SeverityNumber | None = None,
        severity_text: str | None = None,
        body: AnyValue | None = None,
        attributes: Attributes = None,
        event_name: str | None = None,
        exception: BaseException | None = None,
    ) -> None:
        """Record, as the API says. Never raises."""
        if not self._is_on:
            return
        if self.noticer is not None:
            self._guard.own(self._notice, self.noticer, record, context, attributes, event_name, default=None)
        if record is not None:
            self._guard.own(self._emit_given, record, default=None)
            return
        self._guard.own(
            self._emit_asked if self._has_processors else self._record,
            timestamp,
            observed_timestamp,
            context,
            severity_number,
            severity_text,
            body,
            attributes,
            event_name,
            exception,
            default=None,
        )

    def _notice(
        self,
        noticer: EventNoticer,
        record: LogRecord | ReadWriteLogRecord | None,
        context: Context | None,
        attributes: Attributes,
        event_name: str | None,
    ) -> None:
        given = record.log_record if isinstance(record, ReadWriteLogRecord) else record
        name = event_name if given is None else given.event_name
        if not name or not noticer.wants(name):
            return
        if given is None:
            trace_id, span_id, _ = self.recorder.ids(context)
        else:
            trace_id, span_id, attributes = given.trace_id or 0, given.span_id or 0, given.attributes
        noticer.happened(name, clean_attributes(attributes or {}), trace_id, span_id)

    def _notice_standard(self, noticer: EventNoticer, record: LogRecord) -> None:
        trace_id, span_id, _ = self.recorder.ids(None)
        noticer.happened(
            record.event_name or "", clean_attributes(record.attributes or {}), trace_id, span_id
        )

    def emit_standard(
        self,
        record: logging.LogRecord,
        text: str | None = None,
        added: Mapping[str, Any] | None = None,
        event_name: str = "",
    ) -> None:
        """Record what the standard library's `logging` made.

        It may raise: its caller is a handler, which has a guard.

        Args:
            record: as a handler gets it.
            text: what a formatter made of it; None for the record's own message.
            added: clean attributes beside its own.
            event_name: of an event.
        """
        if not self._is_on:
            return
        if event_name and self.noticer is not None and self.noticer.wants(event_name):
            given = standard_record(record, text, added, event_name)
            self._guard.own(self._notice_standard, self.noticer, given, default=None)
        if self._has_processors:
            self._emit_given(standard_record(record, text, added, event_name))
            return
        self._logger_metrics.emit_log()
        self.recorder.record_standard(record, text, exception_of(record), added, event_name)

    def lost(self, items: int = 1) -> None:
        """Count records that there was no room for."""
        self._sink.drop("logs", Reason.DISK_BOUND, items)

    def _record(
        self,
        timestamp: int | None,
        observed_timestamp: int | None,
        context: Context | None,
        severity_number: SeverityNumber | None,
        severity_text: str | None,
        body: AnyValue,
        attributes: Attributes,
        event_name: str | None,
        exception: BaseException | None,
    ) -> None:
        self._logger_metrics.emit_log()
        self.recorder.record(
            timestamp,
            observed_timestamp,
            context,
            severity_number,
            severity_text,
            body,
            attributes if exception is None else _with_exception(attributes, exception),
            event_name,
        )

    def _emit_asked(
        self,
        timestamp: int | None,
        observed_timestamp: int | None,
        context: Context | None,
        severity_number: SeverityNumber | None,
        severity_text: str | None,
        body: AnyValue,
        attributes: Attributes,
        event_name: str | None,
        exception: BaseException | None,
    ) -> None:
        self._emit_given(
            LogRecord(
                timestamp=timestamp,
                observed_timestamp=observed_timestamp,
                context=context,
                severity_number=severity_number,
                severity_text=severity_text,
                body=body,
                attributes=attributes,
                event_name=event_name,
                exception=exception,
            )
        )

    def _emit_given(self, record: LogRecord | ReadWriteLogRecord) -> None:
        self._logger_metrics.emit_log()
        if isinstance(record, ReadWriteLogRecord):
            _add_exception(record.log_record)
        elif self._has_processors:
            record = self._writable(record)
        else:
            self.recorder.record_given(record, _attributes_of(record), 0)
            return
        self._multi_log_record_processor.on_emit(record)
        log_record = record.log_record
        self._recorder_of(record).record_given(log_record, log_record.attributes, record.dropped_attributes)

    def _writable(self, record: LogRecord) -> ReadWriteLogRecord:
        """The SDK's form for processors, of clean values: its container and encoders raise on others."""
        kept, dropped = self.recorder.cleaned(_attributes_of(record))
        record = copy.copy(record)
        record.attributes = kept
        record.body = logrecord.clean_body(record.body)
        writable = ReadWriteLogRecord(
            record, self._resource, self._instrumentation_scope, self._log_record_limits
        )
        bounded = writable.log_record.attributes
        if dropped and isinstance(bounded, BoundedAttributes):
            bounded.dropped = dropped
        return writable

    def _recorder_of(self, record: ReadWriteLogRecord) -> logrecord.LogRecorder:
        """One for the record's own resource and scope, without limits: the record has kept them itself."""
        resource = record.resource or self._resource
        scope = record.instrumentation_scope or self._instrumentation_scope
        stream = self.recorder.stream
        is_ours = resource is self._resource and scope is self._instrumentation_scope
        if not is_ours and not isinstance(stream, Closed):
            stream = self._sink.stream(key_of("logs", resource, scope))
        return logrecord.LogRecorder(interop(), stream)

    def _set_resource(self, resource: Resource) -> None:
        super()._set_resource(resource)
        if not isinstance(self.recorder.stream, Closed):
            self.recorder.stream = _Late(self)

    def _set_logger_config(self, logger_config: Any) -> None:
        super()._set_logger_config(logger_config)
        self.note_changes()


class _Late:
    """Stands for a stream until the first record: a fork gives all loggers a resource, and must be quick."""

    __slots__ = ("_logger",)

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def append(self, record: bytes, items: int = 1) -> None:
        self._logger.bind().append(record, items)


class LoggerProvider(sdk.LoggerProvider):
    """The SDK's provider; zero arguments will do. With a `sink`, records go there as OTLP bytes at once.

    Args:
        resource: of all records.
        shutdown_on_exit: whether processors are shut down at exit. Recording goes on until `shutdown()`.
        multi_log_record_processor: foreign processors.
        sink: where records go; None is exactly the SDK.
        extras: the SDK's other arguments.
    """

    def __init__(
        self,
        resource: Resource | None = None,
        shutdown_on_exit: bool = True,
        multi_log_record_processor: Any = None,
        *,
        sink: Sink | None = None,
        **extras: Any,
    ) -> None:
        self._sink = sink
        self._is_shut_down = False
        self._noticer: EventNoticer | None = None
        if sink is None:
            super().__init__(resource, shutdown_on_exit, multi_log_record_processor, **extras)
            return
        foreign = () if multi_log_record_processor is None else (multi_log_record_processor,)
        super().__init__(
            resource, shutdown_on_exit=False, multi_log_record_processor=GuardedProcessors(*foreign), **extras
        )
        self._let_locks_be_taken_again()
        if shutdown_on_exit:
            self._at_exit_handler = atexit.register(self._multi_log_record_processor.shutdown)

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        """Let a processor see records from now on; with a sink it is asked behind a guard."""
        super().add_log_record_processor(log_record_processor)
        for logger in self._own_loggers():
            logger.note_changes()

    def notice_events(self, noticer: EventNoticer | None) -> None:
        """Let somebody see log events, with a sink, when they are emitted; None ends that."""
        self._noticer = noticer
        if self._sink is not None:
            for logger in self._own_loggers():
                logger.noticer = noticer

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the processors, then the sink, within one budget. Returns whether both did."""
        if self._sink is None:
            return super().force_flush(timeout_millis)
        deadline = time.monotonic() + timeout_millis / 1e3
        is_flushed = super().force_flush(timeout_millis)
        return self._sink.force_flush(max(0.0, deadline - time.monotonic())) and is_flushed

    def shutdown(self) -> None:
        """Shut the processors down. With a sink, which stays open, records count as lost from now on."""
        self._is_shut_down = True
        for logger in self._own_loggers():
            logger.close()
        if self._at_exit_handler is not None:
            atexit.unregister(self._at_exit_handler)
        super().shutdown()

    def close(self) -> None:
        """The process ends: shut the processors down. Recording goes on to its last moment."""
        if self._sink is None:
            self.shutdown()
        else:
            self._multi_log_record_processor.shutdown()

    def _handle_fork(self) -> None:
        if self._sink is None:
            super()._handle_fork()
            return
        self._let_locks_be_taken_again()
        self._update_resource(of_this_process(self._resource))

    def _let_locks_be_taken_again(self) -> None:
        """A signal handler or finalizer that logs may interrupt the making of a logger in the same thread."""
        self._logger_cache_lock = threading.RLock()
        self._active_loggers_lock = threading.RLock()

    def _get_logger_no_cache(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> sdk.Logger:
        logger = super()._get_logger_no_cache(name, version, schema_url, attributes)
        if self._sink is None:
            return logger
        ours = Logger.like(logger, self._sink)
        ours.noticer = self._noticer
        if self._is_shut_down:
            ours.close()
        return ours

    def _own_loggers(self) -> list[Logger]:
        with self._active_loggers_lock:
            return [logger for logger in self._active_loggers if isinstance(logger, Logger)]


def standard_record(
    record: logging.LogRecord,
    text: str | None = None,
    added: Mapping[str, Any] | None = None,
    event_name: str = "",
) -> LogRecord:
    """A record of the standard library as OpenTelemetry's; arguments as of `Logger.emit_standard`."""
    attributes: dict[str, Any] = dict(added or {})
    attributes |= logrecord.standard_attributes(record, exception_of(record))
    return LogRecord(
        timestamp=int(record.created * 1e9),
        severity_text=logrecord.severity_text_of(record.levelname),
        severity_number=SeverityNumber(logrecord.severity_of(record.levelno)),
        body=logrecord.standard_body(record, attributes) if text is None else logrecord.clean_body(text),
        attributes=attributes,
        event_name=event_name or None,
    )


def exception_of(record: logging.LogRecord) -> Mapping[str, Any] | None:
    """What may be told of the exception that a record of the standard library carries."""
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return None if error is None else exception_attributes(error)


def _attributes_of(record: LogRecord) -> Attributes:
    return (
        record.attributes
        if record.exception is None
        else _with_exception(record.attributes, record.exception)
    )


def _with_exception(attributes: Attributes, error: BaseException) -> dict[str, Any]:
    """The exception's attributes under those that the caller gave."""
    return {**exception_attributes(error), **(attributes or {})}


def _add_exception(record: LogRecord) -> None:
    """Put the exception's attributes, where they are missing, into a record of the SDK's form."""
    if record.exception is None:
        return
    kept: dict[str, Any] = dict(record.attributes or {})
    missing = {key: value for key, value in exception_attributes(record.exception).items() if key not in kept}
    if isinstance(record.attributes, BoundedAttributes):
        record.attributes.update(missing)
    else:
        record.attributes = kept | missing
