"""Runtime: memory, garbage collection, event loops, pools, caches and profiles of every process."""

from __future__ import annotations

from typing import Final

from tickspan_desk.store.reading import Reading
from tickspan_desk.views.runtime import EVENTS, METRICS, Runtime, runtime_of
from tickspan_desk.web.page import Asked, Page

__all__ = ["PAGES"]

_SERIES: Final = 500
_EVENTS: Final = 300


def _runtime(reading: Reading, asked: Asked) -> Runtime:
    window = asked.window()
    return runtime_of(
        {name: reading.series(name, window, limit=_SERIES) for name in METRICS},
        reading.latest(EVENTS, window, limit=_EVENTS),
        window,
        service=asked.text("service"),
        profile=asked.text("profile"),
    )


PAGES: tuple[Page, ...] = (Page("/runtime", "Runtime", "runtime.html", _runtime, key="r"),)
