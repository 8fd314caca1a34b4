"""A handler of the standard library's `logging` whose records go through our logger provider."""

from __future__ import annotations

import logging
from typing import Any, Final

from opentelemetry._logs import LoggerProvider as ApiLoggerProvider
from opentelemetry._logs import NoOpLogger, get_logger_provider

from tickspan.providers.logger import Logger, exception_of, standard_record
from tickspan.recording import Guard
from tickspan.recording.urls import REDACTED

_OWN_THREADS: Final = ("tickspan", "OtelBatch")
"""Beginnings of the names of threads that export: what they log would come back to them."""
_OWN_LOGGERS: Final = ("opentelemetry", "tickspan", "tickspan_spool")


class OTLPHandler(logging.Handler):
    """Records what reaches it, as upstream's `LoggingHandler` would: same severities, body, attributes.

    Without a formatter the body is the message, or the object itself that was logged without arguments.
    It never raises, whatever the record holds, and takes no lock. Where a filter raises, the message is
    `[redacted]`. Records of OpenTelemetry's and our own loggers and exporting threads are left out, since
    they would feed themselves. It works on after `close()`, which `logging.config.dictConfig` calls on every
    handler.

    Args:
        level: the lowest that is recorded.
        logger_provider: where records go; None is OpenTelemetry's global provider at the time of each record.
    """

    def __init__(
        self, level: int | str = logging.NOTSET, logger_provider: ApiLoggerProvider | None = None
    ) -> None:
        super().__init__(level)
        self._given_provider = logger_provider
        self._guard = Guard("handler", "logs")
        self._filter_guard = Guard("filter", "logs")
        self._loggers: dict[str, Logger | None] = {}
        """Loggers of ours by name; None for those that are left out."""

    def handle(self, record: logging.LogRecord) -> Any:
        """Record unless a filter objects. As the standard library's, without its lock."""
        if self.filters:
            kept = self._filter_guard.privacy(self.filter, record)
            if not kept:
                return kept
            if isinstance(kept, logging.LogRecord):
                record = kept
            elif kept == REDACTED:
                record = _without_content(record)
        self._guard.own(self._emit, record, default=None)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Record."""
        self._guard.own(self._emit, record, default=None)

    def flush(self) -> None:
        """Do nothing: the handler keeps nothing, and whatever processors keep is the provider's to flush.

        `dictConfig` calls this while it holds logging's lock. Upstream starts a thread here, and that start
        waits for ever when a garbage collection in the new thread frees a handler, which takes the lock.
        """

    def _emit(self, record: logging.LogRecord) -> None:
        try:
            logger = self._loggers[record.name]
        except KeyError:
            self._emit_first(record)
            return
        if logger is None or str(record.threadName).startswith(_OWN_THREADS):
            return
        text = None if self.formatter is None else self._formatted(record)
        if logger.recorder.is_direct:
            error = exception_of(record) if record.exc_info else None
            logger.recorder.record_standard(record, text, error)
        else:
            logger.emit_standard(record, text)

    def _emit_first(self, record: logging.LogRecord) -> None:
        """The first record of a name, and each one that goes to loggers of others."""
        if record.name.partition(".")[0] in _OWN_LOGGERS:
            self._loggers[record.name] = None
            return
        logger = (self._given_provider or get_logger_provider()).get_logger(record.name)
        if isinstance(logger, Logger):
            self._loggers[record.name] = logger
            self._emit(record)
        elif not isinstance(logger, NoOpLogger) and not str(record.threadName).startswith(_OWN_THREADS):
            logger.emit(standard_record(record, None if self.formatter is None else self._formatted(record)))

    def _formatted(self, record: logging.LogRecord) -> str | None:
        """The formatter's text; None where it raises, as it does when template and arguments do not fit."""
        try:
            return self.format(record)
        except Exception:  # noqa: BLE001 - a formatter is the application's code, whose caller only logs
            return None


def _without_content(record: logging.LogRecord) -> logging.LogRecord:
    """What is left of a record whose filter raised: the filter may have been there to take a secret out."""
    bare = logging.LogRecord(
        record.name, record.levelno, record.pathname, record.lineno, REDACTED, (), None, record.funcName
    )
    bare.created = record.created
    return bare
