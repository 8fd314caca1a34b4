"""Queries: statements by their time, and one of them."""

from __future__ import annotations

from typing import Final

from tickspan.received import ReceivedSpan
from tickspan.semconv import db, findings, foreign
from tickspan_desk.store.reading import LogEntry, Reading, Window
from tickspan_desk.views.queries import Queries, StatementView, fingerprint_of, queries_of, statement_view
from tickspan_desk.web.page import Asked, NotFound, Page

__all__ = ["PAGES"]

CALLS: Final = 5_000
"""That are looked at, the newest: about half a second of work."""
_EVENTS: Final = 2_000


def _queries(reading: Reading, asked: Asked) -> Queries:
    window = asked.window()
    return queries_of(
        _calls(reading, window),
        _told(reading, window),
        window,
        service=asked.text("service"),
        limit=CALLS,
    )


def _query(reading: Reading, asked: Asked) -> StatementView:
    fingerprint, window = asked.path["fingerprint"], asked.window()
    spans = reading.spans_with(db.TICKSPAN_DB_QUERY_FINGERPRINT, window, fingerprint, limit=CALLS)
    # Statements of others, and of stores without statements, have a fingerprint of ours that no span carries.
    spans = spans or [span for span in _calls(reading, window) if fingerprint_of(span) == fingerprint]
    if not spans:
        raise NotFound(f"No call of statement {fingerprint!r} in this range: choose a longer one.")
    return statement_view(fingerprint, spans, _told(reading, window), window)


def _calls(reading: Reading, window: Window) -> list[ReceivedSpan]:
    found = reading.spans_with(db.DB_SYSTEM_NAME, window, limit=CALLS)
    old = reading.spans_with(foreign.DB_SYSTEM_OLD, window, limit=CALLS)
    return [*found, *(span for span in old if db.DB_SYSTEM_NAME not in span.attributes)]


def _told(reading: Reading, window: Window) -> list[LogEntry]:
    return reading.latest((findings.EVENT, db.EVENT_QUERY_PLAN), window, limit=_EVENTS)


PAGES: tuple[Page, ...] = (
    Page("/queries", "Queries", "queries.html", _queries, key="q"),
    Page("/queries/{fingerprint:path}", "", "query.html", _query),
)
