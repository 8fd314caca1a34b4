"""Loggers with a category, over the standard library's: its handlers, levels and filters stay in force."""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from tickspan.logs.audit import AUDIT
from tickspan.logs.capture import CAPTURE, Capture, Note
from tickspan.logs.category import Category, category_name
from tickspan.recording import Guard
from tickspan.recording._impl import logrecord
from tickspan.recording.urls import REDACTED

__all__ = ["CategoryLogger", "DirectLogger", "get_direct_logger", "get_logger"]

F = TypeVar("F", bound=Callable[..., Any])

_DEBUG: Final = logging.DEBUG
_INFO: Final = logging.INFO
_NAMES_OF_RECORDS: Final = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", (), None).__dict__, "message", "asctime"}
)
"""Fields of these names cannot be attributes of a record: the standard library raises KeyError."""


def _part_of_logging(function: F) -> F:
    """The function with a code that stands in the file of `logging`.

    Whoever walks the stack to find who logs skips that file: `findCaller`, loguru's `InterceptHandler`.
    """
    place = logging.Logger.getEffectiveLevel.__code__
    code: types.CodeType = function.__code__
    function.__code__ = code.replace(co_filename=place.co_filename)
    return function


class CategoryLogger(logging.LoggerAdapter[logging.Logger]):
    """As a logger of the standard library, whose records have a category and fields.

    `log.info("filled", symbol="AAPL", quantity=100)`: any keyword but `exc_info`, `extra`, `stack_info`,
    `stacklevel` and `event_name` is a field; `extra=` and `%`-arguments work as ever. Handlers see fields as
    attributes of the record, except those that are named like one of its own.

    From `logs.level` up records are captured also where the standard library's levels, which are WARNING
    unless somebody sets them, keep them from handlers. A level that is set on this very logger holds for
    both. Nothing is raised for bad fields or a template that does not fit.
    """

    def __init__(
        self, logger: logging.Logger, category: str | None = None, capture: Capture = CAPTURE
    ) -> None:
        """`get_logger` is the usual way. Raises `ValueError` for what is no category."""
        super().__init__(logger, {})
        self.category = None if category is None else category_name(category)
        self._capture = capture
        self._note = Note(self.category, {})
        self._guard = Guard("logger", "logs")
        has_own_rule = type(logger).isEnabledFor is not logging.Logger.isEnabledFor
        known: dict[int, bool] = {} if has_own_rule else getattr(logger, "_cache", {})
        self._verdict = known.get
        """What the standard library remembers of a level: looking there costs less than asking."""

    def __repr__(self) -> str:
        return f"<CategoryLogger {self.logger.name} {self.category or 'without category'}>"

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the standard library's name
        """Whether a record of this level goes anywhere."""
        return self.logger.isEnabledFor(level) or self._is_captured(level)

    @_part_of_logging
    def debug(self, msg: object, /, *args: object, **fields: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - any word is a field
        """At level DEBUG, as `log`."""
        if self._verdict(_DEBUG) is False and self._capture.level > _DEBUG:
            return
        self._emit(_DEBUG, msg, args, fields)

    @_part_of_logging
    def info(self, msg: object, /, *args: object, **fields: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        """At level INFO, as `log`."""
        if self._verdict(_INFO) is False and self._capture.level > _INFO:
            return
        self._emit(_INFO, msg, args, fields)

    @_part_of_logging
    def warning(self, msg: object, /, *args: object, **fields: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        """At level WARNING, as `log`."""
        self._emit(logging.WARNING, msg, args, fields)

    @_part_of_logging
    def error(self, msg: object, /, *args: object, **fields: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        """At level ERROR, as `log`."""
        self._emit(logging.ERROR, msg, args, fields)

    @_part_of_logging
    def exception(self, msg: object, /, *args: object, **fields: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        """At level ERROR, with the exception that is being handled."""
        fields.setdefault("exc_info", True)
        self._emit(logging.ERROR, msg, args, fields)

    @_part_of_logging
    def critical(self, msg: object, /, *args: object, **fields: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        """At level CRITICAL, as `log`."""
        self._emit(logging.CRITICAL, msg, args, fields)

    @_part_of_logging
    def log(self, level: int, msg: object, /, *args: object, **fields: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        """Log at a level.

        Args:
            level: its number.
            msg: a text, a template, or any object.
            *args: of the template.
            **fields: what the record holds; `exc_info`, `extra`, `stack_info` and `stacklevel` are as the
                standard library's, and `event_name` makes it an event.
        """
        self._emit(level, msg, args, fields)

    @_part_of_logging
    def _emit(self, level: int, msg: object, args: tuple[object, ...], fields: dict[str, Any]) -> None:
        logger = self.logger
        is_on = logger.isEnabledFor(level)
        if not is_on and not self._is_captured(level):
            return
        exc_info = extra = None
        stack_info, stacklevel, event_name = False, 1, ""
        if fields:
            exc_info = fields.pop("exc_info", None)
            extra = fields.pop("extra", None)
            stack_info = fields.pop("stack_info", False)
            stacklevel = fields.pop("stacklevel", 1)
            event_name = fields.pop("event_name", "")
        note = self._noted(extra, fields, event_name)
        if not is_on:
            record = self._made(
                level, msg, args, exc_info, fields, stack_info=stack_info, stacklevel=stacklevel
            )
            if self._passes(record):
                self._capture.take(logger, record, note)
            return
        here = self._capture.here
        here.note = (msg, note)
        try:
            logger._log(level, msg, args, exc_info, fields, stack_info, stacklevel)  # noqa: SLF001 - as adapters do
        finally:
            here.note = None

    @_part_of_logging
    def audit(
        self,
        msg: object,
        /,
        *args: object,
        durable: bool = False,
        timeout_s: float = 0.05,
        extra: Mapping[str, object] | None = None,
        event_name: str = "",
        **fields: object,
    ) -> bool:
        """Record what must not be lost, with the next number of this process; never throttled.

        Args:
            msg: as of `log`.
            *args: as of `log`.
            durable: wait until the disk has it, so that it survives the machine. Without it, it survives the
                process.
            timeout_s: how long to wait at most.
            extra: more fields.
            event_name: as of `log`.
            **fields: what the record holds.

        Returns:
            Whether it is recorded; with `durable`, whether the disk has said so in time.
        """
        note = self._noted(extra, fields, event_name)
        record = self._made(logging.INFO, msg, args, None, fields, stack_info=False, stacklevel=1)
        is_recorded = AUDIT.record(self._capture, record, note)
        if self.logger.isEnabledFor(logging.INFO):
            here = self._capture.here
            here.taken = record
            try:
                self.logger.handle(record)
            finally:
                here.taken = None
        if durable and is_recorded:
            return AUDIT.is_on_disk(timeout_s)
        return is_recorded

    def _is_captured(self, level: int) -> bool:
        logger = self.logger
        return (
            level >= self._capture.level
            and not logger.disabled
            and logger.manager.disable < level
            and logger.level <= level
        )

    def _passes(self, record: logging.LogRecord) -> bool:
        """Whether the logger's own filters let it through; one that raises keeps it back."""
        kept = self._guard.privacy(self.logger.filter, record)
        return bool(kept) and kept != REDACTED

    def _noted(self, extra: Mapping[str, object] | None, fields: dict[str, Any], event_name: str) -> Note:
        """What the record cannot hold; `fields` become what it can, those of `extra` among them."""
        if extra:
            for name, value in self._guard.user(dict, extra, default={}).items():
                fields.setdefault(name, value)
        if _NAMES_OF_RECORDS.isdisjoint(fields):
            return Note(self.category, {}, event_name) if event_name else self._note
        taken = [name for name in fields if name in _NAMES_OF_RECORDS]
        apart = logrecord.clean_fields({name: fields.pop(name) for name in taken})
        return Note(self.category, apart, event_name)

    @_part_of_logging
    def _made(
        self,
        level: int,
        msg: object,
        args: tuple[object, ...],
        exc_info: Any,
        attributes: Mapping[str, object],
        *,
        stack_info: bool,
        stacklevel: int,
    ) -> logging.LogRecord:
        """A record as `Logger._log` makes it."""
        logger = self.logger
        file, line, function, stack = logger.findCaller(stack_info, stacklevel)
        if isinstance(exc_info, BaseException):
            exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
        elif exc_info and not isinstance(exc_info, tuple):
            exc_info = sys.exc_info()
        return logger.makeRecord(
            logger.name, level, file, line, msg, args, exc_info or None, function, attributes, stack
        )


class DirectLogger:
    """A logger whose records go straight to the spool: no record of the standard library, no handlers.

    For what is logged thousands of times a second. It tells neither file nor line, and is not throttled.
    The message is not formatted: what varies belongs into fields.
    """

    __slots__ = ("_capture", "category", "name")

    def __init__(self, name: str, category: str | None = None, capture: Capture = CAPTURE) -> None:
        """`get_direct_logger` is the usual way. Raises `ValueError` for what is no category."""
        self.name = name
        self.category = None if category is None else category_name(category)
        self._capture = capture

    def __repr__(self) -> str:
        return f"<DirectLogger {self.name} {self.category or 'without category'}>"

    def log(self, level: int, message: object, /, **fields: object) -> None:
        """Record, if `level` is at least `logs.level`."""
        if level >= self._capture.level:
            self._capture.take_direct(self.name, self.category, level, message, fields)

    def debug(self, message: object, /, **fields: object) -> None:
        """At level DEBUG."""
        if self._capture.level <= _DEBUG:
            self._capture.take_direct(self.name, self.category, _DEBUG, message, fields)

    def info(self, message: object, /, **fields: object) -> None:
        """At level INFO."""
        if self._capture.level <= _INFO:
            self._capture.take_direct(self.name, self.category, _INFO, message, fields)

    def warning(self, message: object, /, **fields: object) -> None:
        """At level WARNING."""
        if self._capture.level <= logging.WARNING:
            self._capture.take_direct(self.name, self.category, logging.WARNING, message, fields)

    def error(self, message: object, /, **fields: object) -> None:
        """At level ERROR."""
        if self._capture.level <= logging.ERROR:
            self._capture.take_direct(self.name, self.category, logging.ERROR, message, fields)

    def critical(self, message: object, /, **fields: object) -> None:
        """At level CRITICAL."""
        if self._capture.level <= logging.CRITICAL:
            self._capture.take_direct(self.name, self.category, logging.CRITICAL, message, fields)


def get_logger(name: str, category: Category | str | None = None) -> CategoryLogger:
    """A logger over `logging.getLogger(name)` whose records have a category.

    Raises:
        ValueError: `category` is none.
    """
    return CategoryLogger(logging.getLogger(name), category)


def get_direct_logger(name: str, category: Category | str | None = None) -> DirectLogger:
    """A logger that goes straight to the spool.

    Raises:
        ValueError: `category` is none.
    """
    return DirectLogger(name, category)
