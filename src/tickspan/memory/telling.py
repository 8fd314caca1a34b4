"""How the toolbox of memory tells of itself: events and instruments of the scope `tickspan.memory`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, NamedTuple

from opentelemetry._logs import LoggerProvider, SeverityNumber, get_logger
from opentelemetry.context import Context
from opentelemetry.metrics import Meter, MeterProvider, get_meter

from tickspan.analysis.growth import GrowthState
from tickspan.analysis.leaks import RISING, Layer, LeakReport
from tickspan.recording import AttributeValue
from tickspan.semconv import memory as names
from tickspan.version import __version__

__all__ = ["SCOPE", "LeakTold", "event", "leak_told", "meter", "use"]

SCOPE: Final = "tickspan.memory"
_MIB: Final = 1 << 20
_SHOWN: Final = 5


class _Providers:
    """Whose meters and loggers are used: None is what the process has, now or later."""

    meter: ClassVar[MeterProvider | None] = None
    logger: ClassVar[LoggerProvider | None] = None


def meter() -> Meter:
    """The meter of memory."""
    return get_meter(SCOPE, __version__, _Providers.meter)


def use(meter_provider: MeterProvider | None, logger_provider: LoggerProvider | None) -> None:
    """Tell by these providers, or by the process's own where they are None."""
    _Providers.meter, _Providers.logger = meter_provider, logger_provider


def event(
    name: str,
    body: str,
    attributes: Mapping[str, AttributeValue],
    *,
    severity: SeverityNumber = SeverityNumber.INFO,
    context: Context | None = None,
) -> None:
    """Write an event, in the trace of `context`."""
    now_ns = time.time_ns()
    get_logger(SCOPE, __version__, _Providers.logger).emit(
        timestamp=now_ns,
        observed_timestamp=now_ns,
        context=context or Context(),
        severity_number=severity,
        severity_text=severity.name,
        body=body,
        attributes=dict(attributes),
        event_name=name,
    )


class LeakTold(NamedTuple):
    """What an event says of a verdict."""

    severity: SeverityNumber
    body: str
    attributes: dict[str, AttributeValue]


def leak_told(report: LeakReport, containers: Sequence[str], owner: str | None) -> LeakTold:
    """The event of a verdict.

    Args:
        report: the verdict.
        containers: of the last census, what has grown most first.
        owner: the container that has grown most; None where no census knows.
    """
    attributes: dict[str, AttributeValue] = {
        names.MEMORY_VERDICT: report.state.value,
        names.MEMORY_LAYER: "" if report.layer is None else report.layer.value,
        names.MEMORY_LEAK_SLOPE: report.bytes_per_hour,
        names.MEMORY_LEAK_WINDOW: report.bucket_s,
        names.MEMORY_SERIES: tuple(name for name, state in report.series.items() if state in RISING),
    }
    if math.isfinite(report.hours_left):
        attributes[names.MEMORY_LEAK_HOURS_LEFT] = report.hours_left
    if containers:
        attributes[names.MEMORY_CENSUS_CONTAINERS] = tuple(containers[:_SHOWN])
    if report.layer is not Layer.PYTHON:
        owner = None  # no container holds it
    if owner is not None:
        attributes[names.MEMORY_OWNER] = owner
    is_leak = report.state is GrowthState.LEAKING
    severity = SeverityNumber.ERROR if is_leak else SeverityNumber.WARN
    pace = f"{report.bytes_per_hour / _MIB:.1f} MiB an hour"
    held = "" if owner is None else f"; {owner}"
    layer = "no layer" if report.layer is None else report.layer.value
    return LeakTold(severity, f"Memory is {report.state.value}: {pace}, {layer}{held}", attributes)
