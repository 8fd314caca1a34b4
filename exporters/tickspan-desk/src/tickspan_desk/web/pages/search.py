"""Search: an id, `key=value`, a value or a name."""

from __future__ import annotations

from typing import Final

from tickspan_desk.store.reading import Reading
from tickspan_desk.views.search import Found, exact_of, found_of
from tickspan_desk.web.page import Asked, Page

__all__ = ["PAGES"]

LIMIT: Final = 100
_DAY_S: Final = 86_400.0


def _search(reading: Reading, asked: Asked) -> Found:
    text, window = asked.text("q").strip(), asked.window(_DAY_S)
    kept_since_ns = reading.statistics().oldest_ns
    if not text:
        return found_of("", None, (), window, kept_since_ns, LIMIT)
    matches = reading.search(text, window, limit=LIMIT)
    exact = exact_of(text, reading.order(text), matches)
    return found_of(text, exact, matches, window, kept_since_ns, LIMIT)


PAGES: tuple[Page, ...] = (Page("/search", "", "search.html", _search),)
