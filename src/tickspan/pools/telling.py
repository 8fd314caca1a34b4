"""How pools tell of themselves: counters, a histogram and events of the scope `tickspan.pools`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import ClassVar, Final

from opentelemetry._logs import Logger, LoggerProvider, SeverityNumber, get_logger
from opentelemetry.context import Context
from opentelemetry.metrics import Meter, MeterProvider, get_meter

from tickspan.instrumentation.faults import type_name
from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.recording import AttributeValue
from tickspan.semconv.common import ERROR_TYPE
from tickspan.semconv.db import DB_CLIENT_CONNECTION_POOL_NAME
from tickspan.semconv.pools import (
    TICKSPAN_POOL_CLOSE_REASON,
    TICKSPAN_POOL_CONNECTIONS_CLOSED,
    TICKSPAN_POOL_HEALTH_CHECK_DURATION,
    TICKSPAN_POOL_LEAKS,
)
from tickspan.version import __version__

SCOPE: Final = "tickspan.pools"
_TEXTS: Final = {severity: severity.name for severity in (SeverityNumber.INFO, SeverityNumber.WARN)}


class _Instruments:
    def __init__(self) -> None:
        made = meter()
        self.closed = made.create_counter(
            TICKSPAN_POOL_CONNECTIONS_CLOSED, "{connection}", "Connections that a pool closed, by reason."
        )
        self.leaks = made.create_counter(
            TICKSPAN_POOL_LEAKS, "{leak}", "Connections that were held too long."
        )
        self.health_checks = made.create_histogram(
            TICKSPAN_POOL_HEALTH_CHECK_DURATION,
            "s",
            "Time of a health check.",
            explicit_bucket_boundaries_advisory=SECONDS_FROM_10_US,
        )


class _Providers:
    """Whose meters and loggers are used: None is what the process has, now or later."""

    meter: ClassVar[MeterProvider | None] = None
    logger: ClassVar[LoggerProvider | None] = None


_instruments: Final = cache(_Instruments)
"""Made when the first pool has something to tell."""
_undo: Final[list[Callable[[], None]]] = []


def meter() -> Meter:
    """The meter of pools."""
    return get_meter(SCOPE, __version__, _Providers.meter)


def logger() -> Logger:
    """The logger of their events."""
    return get_logger(SCOPE, __version__, _Providers.logger)


def on_undo(forget: Callable[[], None]) -> None:
    """Call `forget` when other providers are used: what was made of the former ones is of no use then."""
    _undo.append(forget)


def use(meter_provider: MeterProvider | None, logger_provider: LoggerProvider | None) -> None:
    """Tell by these providers, or by the process's own where they are None. Pools made before keep theirs."""
    while _undo:
        _undo.pop()()
    _instruments.cache_clear()
    _Providers.meter, _Providers.logger = meter_provider, logger_provider


class Teller:
    """Tells of one pool, by its name."""

    def __init__(self, name: str) -> None:
        self._name: Final[dict[str, AttributeValue]] = {DB_CLIENT_CONNECTION_POOL_NAME: name}
        self.closed_by_reason: dict[str, int] = {}
        self.leaks = 0

    def closed(self, reason: str) -> None:
        """A connection was closed."""
        self.closed_by_reason[reason] = self.closed_by_reason.get(reason, 0) + 1
        _instruments().closed.add(1, {**self._name, TICKSPAN_POOL_CLOSE_REASON: reason})

    def leaked(self) -> None:
        """A connection has been held too long."""
        self.leaks += 1
        _instruments().leaks.add(1, self._name)

    def checked(self, elapsed_s: float, error: BaseException | None = None) -> None:
        """A connection's health was asked for."""
        attributes = self._name if error is None else {**self._name, ERROR_TYPE: type_name(error)}
        _instruments().health_checks.record(elapsed_s, attributes)

    def event(
        self,
        name: str,
        body: str,
        attributes: Mapping[str, AttributeValue],
        *,
        is_warning: bool = True,
        context: Context | None = None,
    ) -> None:
        """Write an event, in the trace of `context`."""
        severity = SeverityNumber.WARN if is_warning else SeverityNumber.INFO
        logger().emit(
            timestamp=time.time_ns(),
            observed_timestamp=time.time_ns(),
            context=context or Context(),
            severity_number=severity,
            severity_text=_TEXTS[severity],
            body=body,
            attributes={**self._name, **attributes},
            event_name=name,
        )
