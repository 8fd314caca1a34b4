"""Operations: how many, how fast, how they went over time."""

from __future__ import annotations

from tickspan_desk.store.reading import Reading
from tickspan_desk.views.operations import Operations, operations_of
from tickspan_desk.web.page import Asked, Page

__all__ = ["PAGES"]


def _operations(reading: Reading, asked: Asked) -> Operations:
    window, service = asked.window(), asked.text("service")
    return operations_of(
        reading.operations(window, service),
        window,
        reading.services(),
        service,
        asked.text("sort", "time"),
        {name: asked.text(name) for name in ("range", "since", "until")},
    )


PAGES: tuple[Page, ...] = (Page("/operations", "Operations", "operations.html", _operations, key="e"),)
