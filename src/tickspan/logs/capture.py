"""Capture: what the application logs becomes records, whatever its handlers and their configuration do.

It is a tee in `logging.Logger.callHandlers`, no handler: `basicConfig()`, `lastResort`, `dictConfig` and
`propagate` work as without it. It sees what the application's own levels let through.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry._logs import LoggerProvider, NoOpLogger, SeverityNumber
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from tickspan.config import LogCapture, LogSettings
from tickspan.logs.category import Category
from tickspan.logs.context import KEY
from tickspan.logs.counts import CategoryCounts
from tickspan.logs.overflow import floor_at, rank_of
from tickspan.logs.tee import teed
from tickspan.logs.throttle import Place, Suppressed, Throttle
from tickspan.providers.handler import OTLPHandler
from tickspan.providers.logger import Logger, exception_of, standard_record
from tickspan.providers.recorders import interop
from tickspan.recording import Guard
from tickspan.recording._impl import logrecord
from tickspan.recording.ticker import ticker
from tickspan.semconv import logs as names
from tickspan.semconv.catalogue import METRICS
from tickspan.semconv.logs import TICKSPAN_LOG_CATEGORY

__all__ = ["CAPTURE", "NEVER", "Capture", "CaptureStatistics", "Note", "level_number"]

NEVER: Final = logrecord.NEVER
"""A level that no record has."""
_OWN_LOGGERS: Final = frozenset({"opentelemetry", "tickspan", "tickspan_spool"})
_LOOK_EVERY_S: Final = 1.0
_SCOPE: Final = "tickspan.logs"
_PERFORMANCE: Final = Category.PERFORMANCE.value


@dataclass(frozen=True, slots=True)
class Note:
    """What one of our loggers knows of a record beside what the standard library carries.

    Attributes:
        category: of the record; None for the block's, or none.
        fields: clean attributes.
        event_name: of an event.
    """

    category: str | None
    fields: dict[str, Any]
    event_name: str = ""


@dataclass(frozen=True, slots=True)
class CaptureStatistics:
    """What was recorded so far, by category.

    Attributes:
        records: written.
        dropped: left out since the spool was nearly full.
        suppressed: left out since their line wrote too many.
        nested: left out since recording one logged another one, again and again.
    """

    records: dict[str, int]
    dropped: dict[str, int]
    suppressed: dict[str, int]
    nested: int


class Capture(logrecord.Intake):
    """Records of this process: off until `start`. Safe from any thread; nothing of it raises."""

    def __init__(self) -> None:
        shared: Any = interop()
        self._guard = Guard("capture", "logs")
        super().__init__(self._guard, shared.context_var, KEY)
        self._provider: LoggerProvider | None = None
        self._replacement: Any = None
        self._original: Any = None
        self._stop_ticking: Callable[[], None] | None = None
        self._share: Callable[[], float] | None = None
        self.is_performance_on = True
        self.throttle = Throttle(self.sites)
        self.records = CategoryCounts(self.counters)
        self.dropped = CategoryCounts()
        self.suppressed = CategoryCounts()
        self._settings = LogSettings(capture=LogCapture.OFF)
        os.register_at_fork(after_in_child=self._forget)

    def __repr__(self) -> str:
        state = "off" if self.level == NEVER else f"from level {self.level}"
        return f"<Capture {state}, {sum(self.records.counts().values())} records>"

    @property
    def is_on(self) -> bool:
        """Whether records are written."""
        return self.level != NEVER

    @property
    def settings(self) -> LogSettings:
        """As it was started, or configured since."""
        return self._settings

    def start(
        self,
        provider: LoggerProvider,
        settings: LogSettings,
        meter_provider: MeterProvider | None = None,
        share: Callable[[], float] | None = None,
    ) -> None:
        """Record from now on, as `settings` say. A second call changes provider and settings.

        Args:
            provider: takes the records.
            settings: level, throttle, categories.
            meter_provider: gets the counts of records by category.
            share: how much of the spool's bound is taken, 0 to 1, asked for each second; None is no bound.

        Raises:
            ValueError: `settings.level` is no level.
        """
        level = level_number(settings.level)
        self._provider = provider
        self.sources.clear()
        self._share = share
        self.configure(settings)
        if settings.capture is LogCapture.OFF:
            self.level = NEVER
            return
        if self._stop_ticking is None:
            self._stop_ticking = ticker().every(_LOOK_EVERY_S, self.look)
            if meter_provider is not None:
                self._measure(meter_provider)
        self._put_tee_in()
        self.level = level

    def configure(self, settings: LogSettings) -> None:
        """Take level, throttle and categories of `settings`. Raises `ValueError` as `start`."""
        level = level_number(settings.level)
        self.per_second = settings.throttle
        self.is_performance_on = settings.performance
        self._settings = settings
        if self.is_on:
            self.level = level

    def stop(self) -> None:
        """Tell what was suppressed; record nothing from now on. `callHandlers` is as before."""
        self.look(is_last=True)
        self.level = NEVER
        self.show_on(None)
        if self._stop_ticking is not None:
            self._stop_ticking()
            self._stop_ticking = None
        if self._replacement is not None and logging.Logger.callHandlers is self._replacement:
            logging.Logger.callHandlers = self._original
            self._replacement = None

    def show_on(self, console: Callable[[logging.LogRecord, str | None], None] | None) -> None:
        """Give each record and its category to somebody who prints it too; None for nobody."""
        shown: Any = None if console is None else _guarded(console)
        self.console = shown

    def statistics(self) -> CaptureStatistics:
        """So far."""
        return CaptureStatistics(
            dict(self.records.counts()),
            dict(self.dropped.counts()),
            dict(self.suppressed.counts()),
            self.nested,
        )

    def look(self, *, is_last: bool = False) -> None:
        """Once a second: tell what was suppressed for ten seconds, look how full the spool is."""
        clock: Any = self.clock
        for suppressed in self.throttle.due(clock(), everything=is_last):
            self._guard.own(self._tell, suppressed, default=None)
        if self._share is not None:
            self.floor = floor_at(self._guard.own(self._share, default=0.0))

    def take_audit(self, record: logging.LogRecord, note: Note) -> bool:
        """Record it, whatever its level and handlers; whether it is."""
        return self._guard.closing(self.take_whatever, record, note, default=False)

    def admits(self, category: str | None, level: int, logger: Any) -> bool:
        """Whether there is room for such a record; counts it as dropped where there is none."""
        if category == _PERFORMANCE and not self.is_performance_on:
            return False
        if self.floor and rank_of(category, level) < self.floor:
            self.dropped.add(category)
            if isinstance(logger, Logger):
                logger.lost()
            return False
        return True

    def logger_of(self, name: str) -> Any:
        """The OpenTelemetry logger of that name; None for names that are never recorded, and while off."""
        return (self.sources.get(name) or self.source_of(name)).logger

    def mended(self, record: logging.LogRecord) -> logging.LogRecord:
        """A plain record of what is usable of one that is not as the standard library makes it."""
        values: dict[str, Any] = {**vars(record)}
        level, line = values.get("levelno"), values.get("lineno")
        name, file = (
            found if isinstance(found := values.get(key), str) else "" for key in ("name", "pathname")
        )
        made = logging.LogRecord(
            name,
            level if isinstance(level, int) else logging.INFO,
            file,
            line if isinstance(line, int) else 0,
            values.get("msg"),
            None,
            None,
            found if isinstance(found := values.get("funcName"), str) else None,
        )
        made.args = values.get("args")
        made.__dict__.update({key: value for key, value in values.items() if key not in made.__dict__})
        return made

    def source_of(self, name: str) -> logrecord.Source:
        """Who takes the records of that logger; remembered."""
        provider = self._provider
        found: Any = None
        if provider is not None and name.partition(".")[0] not in _OWN_LOGGERS:
            found = provider.get_logger(name)
            if isinstance(found, NoOpLogger):
                found = None
        source = logrecord.Source(found, found.recorder if isinstance(found, Logger) else None)
        self.sources[name] = source
        return source

    def records_itself(self, kind: type) -> bool:
        """Whether a handler is OpenTelemetry's or ours: what it gets it records."""
        return issubclass(kind, OTLPHandler) or any(
            base.__module__.startswith("opentelemetry.") for base in kind.__mro__
        )

    def open_site(self, place: Place, now_ns: int) -> logrecord.Site:
        """A line that logs for the first time."""
        return self.throttle.opened(place, now_ns)

    def suppress(
        self, site: logrecord.Site, place: Place, now_ns: int, values: dict[str, Any], category: str | None
    ) -> None:
        """Count a record of a line that wrote too many."""
        about = (values["name"], category or "", values["levelno"], values["funcName"] or "")
        self.throttle.suppress(site, place, now_ns, about, lambda: _told(values))
        self.suppressed.add(category)

    def exception_of(self, record: logging.LogRecord) -> Mapping[str, Any] | None:
        """Attributes of a record's exception; None where there is none after all."""
        return exception_of(record)

    def emit(
        self,
        logger: Any,
        record: logging.LogRecord,
        exception: Any,
        fields: Any,
        more: Any,
        category: str | None,
        event_name: str,
    ) -> None:
        """Record what is no plain record of a logger of ours without processors, within the limits."""
        del exception  # it is told where the record is made
        added = _added(fields, more, category)
        if isinstance(logger, Logger):
            logger.emit_standard(record, None, added, event_name)
        else:
            logger.emit(standard_record(record, None, added, event_name))

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
        logger.emit(
            severity_number=SeverityNumber(logrecord.severity_of(level)),
            severity_text=level_name,
            body=logrecord.clean_body(message),
            attributes=_added(fields, logrecord.clean_fields(given), category),
        )

    def _tell(self, suppressed: Suppressed) -> None:
        """One event for the records of a line that were left out."""
        name, category, level, function = suppressed.about
        logger = self.logger_of(name)
        if logger is None:
            return
        attributes: dict[str, Any] = {
            names.CODE_FILE_PATH: suppressed.site[0],
            names.CODE_LINE_NUMBER: suppressed.site[1],
            names.CODE_FUNCTION_NAME: function,
            names.TICKSPAN_LOG_SUPPRESSED_COUNT: suppressed.count,
            names.TICKSPAN_LOG_SUPPRESSED_FIRST: suppressed.first,
            names.TICKSPAN_LOG_SUPPRESSED_LAST: suppressed.last,
        }
        if category:
            attributes[TICKSPAN_LOG_CATEGORY] = category
        logger.emit(
            severity_number=SeverityNumber(max(1, logrecord.severity_of(level))),
            severity_text=logrecord.severity_text_of(logging.getLevelName(level)),
            body=f"{suppressed.count:,} more",
            attributes=attributes,
            event_name=names.EVENT_LOG_SUPPRESSED,
        )

    def _put_tee_in(self) -> None:
        if self._replacement is not None:  # there, or wrapped by somebody who came later
            return
        self._original = logging.Logger.callHandlers
        self._replacement = teed(self._original, self.take)
        logging.Logger.callHandlers = self._replacement

    def _measure(self, meter_provider: MeterProvider) -> None:
        meter = meter_provider.get_meter(_SCOPE)
        for name, counts in (
            (names.LOG_RECORDS, self.records),
            (names.LOG_DROPPED, self.dropped),
            (names.EVENT_LOG_SUPPRESSED, self.suppressed),
        ):
            metric = METRICS[name]
            meter.create_observable_counter(
                name, [_observer(counts)], unit=metric.unit, description=metric.brief
            )

    def _forget(self) -> None:
        self.forget_threads()
        self.nested = 0
        self.throttle.forget()
        for counts in (self.records, self.dropped, self.suppressed):
            counts.forget()


def level_number(level: str | int) -> int:
    """The number of a level.

    Raises:
        ValueError: it is neither a number nor a name that `logging` knows.
    """
    if isinstance(level, int) and not isinstance(level, bool):
        return level
    text = str(level).strip().upper()
    if text.isdigit():
        return int(text)
    known = logging.getLevelNamesMapping()
    if text not in known:
        raise ValueError(f"logs.level: expected one of {', '.join(known)}, or a number; got {level!r}")
    return known[text]


def _added(fields: Any, more: Any, category: str | None) -> dict[str, Any]:
    """Attributes beside the record's own: the block's, then the call's."""
    added: dict[str, Any] = {**(fields or {}), **(more or {})}
    if category is not None:
        added[TICKSPAN_LOG_CATEGORY] = category
    return added


def _told(values: dict[str, Any]) -> str:
    """A suppressed record's text; of one with arguments its template, since forming it is what costs."""
    message = values["msg"]
    return logrecord.clean_body(message if type(message) is str else str(type(message)))


def _guarded(
    console: Callable[[logging.LogRecord, str | None], None],
) -> Callable[[logging.LogRecord, str | None], None]:
    guard = Guard("console", "logs")

    def show(record: logging.LogRecord, category: str | None) -> None:
        guard.own(console, record, category, default=None)

    return show


def _observer(counts: CategoryCounts) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(count, {TICKSPAN_LOG_CATEGORY: category})
            for category, count in counts.counts().items()
        ]

    return observe


CAPTURE: Final = Capture()
"""Of this process."""
