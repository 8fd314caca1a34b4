"""Rules in the application's own thread: findings in its own logs, and no parser in its memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, Tracer

from tickspan.analysis.sql import Dialect, broken_rules, canonicalise
from tickspan.config import QuerySettings
from tickspan.processors.queries.watcher import Watcher
from tickspan.semconv import db
from tickspan.semconv import findings as names
from tickspan.testing import Capture, capture


@pytest.fixture
def telemetry() -> Iterator[Capture]:
    with capture() as captured:
        yield captured


def watched(telemetry: Capture, settings: QuerySettings | None = None) -> tuple[Watcher, Tracer]:
    watcher = Watcher(telemetry.logger_provider, telemetry.meter_provider, settings or QuerySettings(), "bot")
    telemetry.tracer_provider.add_span_processor(watcher)
    return watcher, telemetry.tracer_provider.get_tracer("program")


def call(tracer: Tracer, sql: str, hashed: str = "") -> None:
    statement = canonicalise(sql, Dialect.SQLITE)
    given: dict[str, Any] = {
        db.DB_SYSTEM_NAME: "sqlite",
        db.DB_QUERY_TEXT: statement.text,
        db.TICKSPAN_DB_PARAMS_HASH: hashed,
        db.TICKSPAN_DB_FINDINGS: broken_rules(statement.flags),
    }
    with tracer.start_as_current_span(statement.summary, kind=SpanKind.CLIENT, attributes=given):
        pass


def told(telemetry: Capture) -> list[tuple[str, str, str]]:
    """Rule, severity and span of each finding."""
    spans = {span.span_id: span.name for span in telemetry.spans()}
    return [
        (str(event.attributes[names.FINDING_RULE]), event.severity, spans[event.span_id])
        for event in telemetry.events(names.EVENT)
    ]


def test_traces_and_tokens_are_looked_at(telemetry: Capture) -> None:
    watcher, tracer = watched(telemetry)
    with tracer.start_as_current_span("request"):
        for _ in range(2):
            call(tracer, "SELECT name FROM accounts WHERE id = ?", "seven")
        call(tracer, "DELETE FROM notes")
    watcher.look()
    assert told(telemetry) == [
        ("duplicate_query", "WARN", "SELECT accounts"),
        ("write_without_where", "FATAL", "DELETE notes"),
    ]
    assert sum(point.value for point in telemetry.points(db.TICKSPAN_DB_FINDINGS)) == 2


def test_its_thread_looks_without_being_asked(telemetry: Capture) -> None:
    _, tracer = watched(telemetry)
    call(tracer, "DELETE FROM notes")
    end_s = time.monotonic() + 10
    while not told(telemetry):
        assert time.monotonic() < end_s
        time.sleep(0.02)
    assert told(telemetry) == [("write_without_where", "FATAL", "DELETE notes")]


def test_what_is_not_over_is_looked_at_in_the_end(telemetry: Capture) -> None:
    watcher, tracer = watched(telemetry)
    with tracer.start_as_current_span("request"):
        call(tracer, "DELETE FROM notes")
        watcher.look()
        assert told(telemetry) == []
        watcher.shutdown()
        assert told(telemetry) == [("write_without_where", "FATAL", "DELETE notes")]


def test_what_is_ignored_is_not_told(telemetry: Capture) -> None:
    watcher, tracer = watched(telemetry, QuerySettings(ignore=("write_without_where",)))
    call(tracer, "DELETE FROM notes")
    watcher.look()
    assert told(telemetry) == []


def _nothing(watcher: Watcher) -> None:
    del watcher


def test_spans_that_wait_are_bounded_and_the_others_are_counted(
    telemetry: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickspan.processors.queries.watcher._MAX_WAITING", 2)
    monkeypatch.setattr(Watcher, "_begin", _nothing)
    watcher, tracer = watched(telemetry)
    for _ in range(5):
        call(tracer, "DELETE FROM notes")
    assert repr(watcher) == "<Watcher 2 spans wait, 3 dropped, <Book 0 findings>>"


def test_no_parser_is_loaded(monkeypatch: pytest.MonkeyPatch, telemetry: Capture) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    watcher, tracer = watched(telemetry)
    call(tracer, "DELETE FROM notes")
    watcher.look()
    assert told(telemetry) == [("write_without_where", "FATAL", "DELETE notes")]
