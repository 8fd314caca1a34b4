"""Telemetry health: what was lost, what waits, what is broken."""

from __future__ import annotations

from typing import Final

from tickspan.semconv.metrics import OTEL_METRIC_OVERFLOW
from tickspan_desk.store.reading import Reading, TraceFilter, Window
from tickspan_desk.views.health import EVENTS, MANY_SERIES, METRICS, Health, MetricSize, health_of, sample_of
from tickspan_desk.web.page import Asked, Page

__all__ = ["PAGES"]

_TRACES: Final = 100
"""The newest, of which every span is looked at."""
_SERIES: Final = 500
_EVENTS: Final = 50
_NEVER: Final = Window(0, 0)


def _health(reading: Reading, asked: Asked) -> Health:
    window = asked.window()
    traces = reading.traces(TraceFilter(), window, limit=_TRACES)
    return health_of(
        {name: reading.series(name, window, limit=_SERIES) for name in METRICS},
        reading.latest(EVENTS, window, limit=_EVENTS),
        sample_of((reading.spans(one.trace_id) for one in traces), asked.now_ns),
        [
            MetricSize(name, series, series >= MANY_SERIES and _overflows(reading, name, series))
            for name, _, _, series in reading.metric_names()
        ],
        reading.services(),
        reading.statistics(),
        window,
    )


def _overflows(reading: Reading, name: str, series: int) -> bool:
    known = reading.series(name, _NEVER, limit=series)
    return any(one.attributes.get(OTEL_METRIC_OVERFLOW) is True for one in known)


PAGES: tuple[Page, ...] = (Page("/health", "Health", "health.html", _health, key="h"),)
