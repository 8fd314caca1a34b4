"""Two traces against each other."""

from __future__ import annotations

from typing import Final

from tickspan.received import ReceivedSpan
from tickspan_desk.store.reading import Reading
from tickspan_desk.views.compare import CompareView, compare_view
from tickspan_desk.web.page import Asked, NotFound, Page

__all__ = ["PAGES"]

_TWO: Final = 2


def _compare(reading: Reading, asked: Asked) -> CompareView:
    a, b = _asked_for(asked)
    return compare_view(_spans(reading, a), _spans(reading, b))


def _asked_for(asked: Asked) -> tuple[str, str]:
    """`a` and `b`, or the two `trace`s that were checked; of those the list has the newest first."""
    checked = asked.every("trace")
    newer, older = checked[:_TWO] if len(checked) >= _TWO else ("", "")
    a, b = asked.text("a") or older, asked.text("b") or newer
    if not a or not b:
        raise NotFound("Two traces are compared: check two of them on the page of traces.")
    return a, b


def _spans(reading: Reading, trace_id: str) -> list[ReceivedSpan]:
    spans = reading.spans(trace_id)
    if not spans:
        raise NotFound(f"No span of trace {trace_id[:64]} is kept: it has not come yet, or it had to go.")
    return spans


PAGES: Final[tuple[Page, ...]] = (Page("/compare", "", "compare.html", _compare),)
