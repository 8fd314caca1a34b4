"""Metrics: all of them, and one over time."""

from __future__ import annotations

from typing import Final

from tickspan_desk.store.reading import Reading, Window
from tickspan_desk.views.metrics import MOST_LINES, Metrics, MetricView, metric_view, metrics_of
from tickspan_desk.web.page import Asked, NotFound, Page

__all__ = ["PAGES"]

_PREFIX: Final = "a."
"""Of parameters that filter by an attribute: `a.db.system.name=sqlite`."""
_READ: Final = 1_000
"""Series that are looked at, so that those that told nothing in the range take nobody's place."""
_NEVER: Final = Window(0, 0)


def _metrics(reading: Reading, asked: Asked) -> Metrics:
    return metrics_of(reading.metric_names(), asked.text("q"))


def _metric(reading: Reading, asked: Asked) -> MetricView:
    name, window = asked.path["name"], asked.window()
    known = reading.series(name, _NEVER, limit=_READ)
    if not known:
        raise NotFound(f"No metric {name!r} is kept. /metrics lists those that are.")
    where = {
        key.removeprefix(_PREFIX): value
        for key, value in asked.query.items()
        if key.startswith(_PREFIX) and key != _PREFIX and value
    }
    service = asked.text("service")
    found = reading.series(name, window, where, limit=_READ)
    shown = [one for one in found if one.points and service in {"", one.service}][:MOST_LINES]
    total = next((series for kept, _, _, series in reading.metric_names() if kept == name), len(known))
    return metric_view(known, shown, window, total=total, where=where, service=service, by=asked.text("by"))


PAGES: tuple[Page, ...] = (
    Page("/metrics", "Metrics", "metrics.html", _metrics, key="m"),
    Page("/metrics/{name:path}", "", "metric.html", _metric),
)
