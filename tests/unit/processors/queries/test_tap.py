"""The tap, given batches as the agent gives them: what it tells, and what it keeps."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool.entries import Entry, StreamKey
from tickspan_spool.taps import Finding as Record
from tickspan_spool.taps import TapBatch, installed

from tickspan.analysis.sql import Dialect, broken_rules, canonicalise
from tickspan.analysis.traces.rules import n_plus_one
from tickspan.processors.queries.store import FILE, QueryReader
from tickspan.processors.queries.tap import QueryTap
from tickspan.received import ReceivedLog, ReceivedMetric, Telemetry
from tickspan.recording.wire import (
    CUMULATIVE,
    HISTOGRAM_ATTRIBUTES,
    encode_attributes,
    encode_histogram,
    encode_resource,
    encode_span,
)
from tickspan.semconv import db
from tickspan.semconv import findings as names
from tickspan.testing.sink import MemorySink

PROCESS = "101-7-ab"
STREAM = StreamKey("traces", encode_resource({"service.name": "bot"}), b"")
START_NS = 1_700_000_000 * 10**9
MS = 10**6
CLIENT, INTERNAL = 3, 1


def span(
    name: str,
    trace_id: int,
    span_id: int,
    parent_id: int,
    start_ms: float,
    duration_ms: float,
    attributes: Mapping[str, Any] | None = None,
) -> bytes:
    start_ns = START_NS + round(start_ms * MS)
    end_ns = start_ns + round(duration_ms * MS)
    kind = INTERNAL if attributes is None else CLIENT
    return encode_span(
        trace_id, span_id, "", parent_id, 0x101, name, kind, start_ns, end_ns, dict(attributes or {}),
        0, None, 0, None, 0, 0, "",
    )  # fmt: skip


def called(sql: str, hashed: str = "", **more: Any) -> dict[str, Any]:
    statement = canonicalise(sql, Dialect.SQLITE)
    given: dict[str, Any] = {
        db.DB_SYSTEM_NAME: "sqlite",
        db.DB_NAMESPACE: "book.db",
        db.DB_QUERY_TEXT: statement.text,
        db.TICKSPAN_DB_PARAMS_HASH: hashed,
        db.TICKSPAN_DB_FINDINGS: broken_rules(statement.flags),
        **more,
    }
    return {name: value for name, value in given.items() if value}


def a_query_for_each_row(trace_id: int = 1) -> list[bytes]:
    sql = "SELECT price FROM fills WHERE order_id = ?"
    rows = [
        span("SELECT fills", trace_id, 10 + row, 2, 10 * row, 6 + row, called(sql, f"h{row}"))
        for row in range(6)
    ]
    return [*rows, span("report", trace_id, 2, 0, 0, 100)]


def batch(bodies: Iterable[bytes], process: str = PROCESS, stream: StreamKey = STREAM) -> TapBatch:
    return TapBatch(process, "bot", [Entry(stream, body, 1, number) for number, body in enumerate(bodies)])


def received(records: Iterable[Record] | None) -> Telemetry:
    sink = MemorySink()
    for record in records or ():
        sink.stream(record.stream).append(record.body, record.items)
    return sink.telemetry()


class Clock:
    """Wall clock and monotonic clock of a tap."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def wall_ns(self) -> int:
        return START_NS + round(self.now_s * 1e9)


_taps: list[QueryTap] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _taps:
        _taps.pop().close()


def tap_at(home: Path, clock: Clock | None = None, **environ: str) -> QueryTap:
    """Closed when the test is over."""
    given = clock or Clock()
    _taps.append(QueryTap(home, environ, given.wall_ns, given.monotonic))
    return _taps[-1]


def rules(logs: Iterable[ReceivedLog]) -> list[str]:
    return [str(log.attributes[names.FINDING_RULE]) for log in logs]


def points(metrics: Iterable[ReceivedMetric], name: str) -> dict[tuple[Any, ...], float | None]:
    return {
        tuple(point.attributes.values()): point.value
        for metric in metrics
        if metric.name == name
        for point in metric.points
    }


def test_a_finding_is_an_event_under_the_applications_resource_with_the_worst_span(tmp_path: Path) -> None:
    told = received(tap_at(tmp_path).on_batch(batch(a_query_for_each_row())))
    (log,) = told.logs
    assert (log.event_name, log.severity_number, log.severity_text, log.body) == (
        "tickspan.db.finding",
        13,
        "WARN",
        "SELECT fills ran 6 times (51.0 ms in all).",
    )
    assert (log.trace_id, log.span_id, log.resource) == (
        f"{1:032x}",
        f"{15:016x}",
        {"service.name": "bot"},
    )
    assert dict(log.attributes) == {
        names.FINDING_ID: log.attributes[names.FINDING_ID],
        names.FINDING_RULE: "n_plus_one",
        names.FINDING_SEVERITY: "warning",
        names.FINDING_CONFIDENCE: "measured",
        names.FINDING_EVIDENCE: '{"calls": 6, "total_s": 0.051, "concurrent": false}',
        names.FINDING_ADVICE: n_plus_one.RULE.advice,
        names.FINDING_COUNT: 1,
        names.FINDING_TIME_LOST: 0.0425,
        names.FINDING_FIRST_SEEN: (START_NS + 61 * MS) / 1e9,
        names.FINDING_ORDER_PATH: False,
        names.FINDING_DOC: "docs/reference/query-rules.md#n_plus_one",
        db.DB_SYSTEM_NAME: "sqlite",
        db.DB_NAMESPACE: "book.db",
        db.DB_QUERY_SUMMARY: "SELECT fills",
        db.TICKSPAN_DB_QUERY_FINGERPRINT: canonicalise(
            "SELECT price FROM fills WHERE order_id = ?", Dialect.SQLITE
        ).fingerprint,
    }


def test_findings_are_counted_each_time_and_told_once(tmp_path: Path) -> None:
    clock = Clock()
    tap = tap_at(tmp_path, clock)
    first = received(tap.on_batch(batch(a_query_for_each_row(1))))
    clock.now_s = 30.0
    again = received(tap.on_batch(batch(a_query_for_each_row(2))))
    labels = ("n_plus_one", "warning", "sqlite", "book.db")
    assert (rules(first.logs), rules(again.logs)) == (["n_plus_one"], [])
    assert points(first.metrics, db.TICKSPAN_DB_FINDINGS) == {labels: 1}
    assert points(again.metrics, db.TICKSPAN_DB_FINDINGS) == {labels: 2}


def test_a_finding_is_not_told_again_after_a_restart(tmp_path: Path) -> None:
    tap_at(tmp_path).on_batch(batch(a_query_for_each_row(1)))
    told = received(tap_at(tmp_path).on_batch(batch(a_query_for_each_row(2))))
    assert (rules(told.logs), points(told.metrics, db.TICKSPAN_DB_FINDINGS)) == (
        [],
        {("n_plus_one", "warning", "sqlite", "book.db"): 1},
    )
    with QueryReader(tmp_path / FILE) as reader:
        kept = [(one.service, one.finding.rule, one.count) for one in reader.findings()]
    assert kept == [("bot", "n_plus_one", 2)]


def test_what_costs_most_time_is_told_first(tmp_path: Path) -> None:
    slow = span("SELECT orders", 9, 9, 0, 0, 900, called("SELECT id FROM orders"))
    told = received(tap_at(tmp_path).on_batch(batch([*a_query_for_each_row(), slow])))
    assert rules(told.logs) == ["slow_query", "n_plus_one"]


def test_a_text_is_read_once_and_what_the_application_saw_in_it_counts(tmp_path: Path) -> None:
    tap = tap_at(tmp_path)
    danger = called("DELETE FROM notes")
    wild = called("SELECT id FROM accounts WHERE name LIKE '%x'")
    told = received(
        tap.on_batch(
            batch([span("DELETE notes", 1, 1, 0, 0, 1, danger), span("SELECT accounts", 2, 2, 0, 5, 1, wild)])
        )
    )
    again = received(tap.on_batch(batch([span("DELETE notes", 3, 3, 0, 9, 1, danger)])))
    assert sorted(zip(rules(told.logs), [log.span_id for log in told.logs], strict=True)) == [
        ("leading_wildcard", f"{2:016x}"),
        ("write_without_where", f"{1:016x}"),
    ]
    assert rules(again.logs) == []


def test_on_the_path_of_an_order_it_is_a_step_worse(tmp_path: Path) -> None:
    wild = called("SELECT id FROM accounts WHERE name LIKE '%x'")
    bodies = [
        span("SELECT accounts", 1, 3, 2, 1, 1, wild),
        span("trading.order.submit", 1, 4, 2, 3, 5, {"trading.order.side": "buy"}),
        span("decision", 1, 2, 0, 0, 10),
    ]
    told = received(tap_at(tmp_path).on_batch(batch(bodies)))
    assert [
        (log.attributes[names.FINDING_RULE], log.severity_text, log.attributes[names.FINDING_ORDER_PATH])
        for log in told.logs
    ] == [("leading_wildcard", "ERROR", True)]


def test_what_cannot_be_read_is_counted_by_reason(tmp_path: Path) -> None:
    bad = called("SELECT FROM WHERE (")
    told = received(tap_at(tmp_path).on_batch(batch([span("SELECT", 1, 1, 0, 0, 1, bad)])))
    assert points(told.metrics, names.QUERIES_SKIPPED) == {("syntax",): 1}


def test_rules_and_statements_that_are_ignored_are_not_told(tmp_path: Path) -> None:
    fingerprint = canonicalise("DELETE FROM notes", Dialect.SQLITE).fingerprint
    tap = tap_at(tmp_path, TICKSPAN_QUERIES_IGNORE=f"n_plus_one,{fingerprint}")
    danger = span("DELETE notes", 9, 9, 0, 0, 1, called("DELETE FROM notes"))
    assert received(tap.on_batch(batch([*a_query_for_each_row(), danger]))) == Telemetry((), (), ())


def test_thresholds_are_settings(tmp_path: Path) -> None:
    tap = tap_at(tmp_path, TICKSPAN_QUERIES_SLOW_S="0.05", TICKSPAN_QUERIES_REPEATS="7")
    slow = span("SELECT orders", 9, 9, 0, 0, 60, called("SELECT id FROM orders WHERE id = ?"))
    told = received(tap.on_batch(batch([*a_query_for_each_row(), slow])))
    assert rules(told.logs) == ["slow_query"]


def test_a_trace_whose_root_never_comes_is_looked_at_when_it_is_quiet(tmp_path: Path) -> None:
    clock = Clock()
    tap = tap_at(tmp_path, clock)
    before = received(tap.on_batch(batch(a_query_for_each_row()[:-1])))
    quiet = [rules(received(tap.tick(now_s)).logs) for now_s in (4.0, 6.0)]
    assert (rules(before.logs), quiet) == ([], [[], ["n_plus_one"]])


def test_each_statement_is_kept_by_the_minute(tmp_path: Path) -> None:
    tap_at(tmp_path).on_batch(batch(a_query_for_each_row()))
    with QueryReader(tmp_path / FILE) as reader:
        ((key, told),) = reader.statements().items()
        (minute,) = reader.history(key.fingerprint)
    assert (key[:3], told.summary) == (("bot", "sqlite", "book.db"), "SELECT fills")
    assert (minute.at_s, minute.usage.calls, minute.usage.time_ns) == (1_699_999_980, 6, 51 * MS)


def test_pools_that_make_a_connection_for_each_checkout_are_told(tmp_path: Path) -> None:
    tap = tap_at(tmp_path)
    told = [received(tap.on_batch(batch(pool_metrics(made, taken), stream=METRICS))) for made, taken in POOL]
    assert [[log.body for log in one.logs] for one in told] == [
        [],
        ["The pool main made 30 connections for 31 checkouts."],
    ]


METRICS = StreamKey("metrics", STREAM.resource, b"")
POOL = ((5, 50), (35, 81))
"""Connections made and taken, cumulative."""


def pool_metrics(made: int, taken: int) -> list[bytes]:
    labels = encode_attributes(HISTOGRAM_ATTRIBUTES, {db.DB_CLIENT_CONNECTION_POOL_NAME: "main"})
    return [
        encode_histogram(
            name, "", "s", START_NS, [(labels, 1, count, 0.5, None, None, [], b"", None)], CUMULATIVE
        )
        for name, count in (
            (db.DB_CLIENT_CONNECTION_CREATE_TIME, made),
            (db.DB_CLIENT_CONNECTION_USE_TIME, taken),
        )
    ]


def test_other_metrics_and_logs_are_not_even_decoded(tmp_path: Path) -> None:
    tap = tap_at(tmp_path)
    for signal in ("metrics", "logs"):
        stream = StreamKey(signal, b"", b"")  # pyright: ignore[reportArgumentType] - of a loop
        assert tap.on_batch(batch([b"\xff broken"], stream=stream)) is None


def test_a_file_that_cannot_be_used_costs_the_history_and_not_the_findings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database, but long enough to be taken for one " * 20)
    told = received(tap_at(tmp_path).on_batch(batch(a_query_for_each_row())))
    assert rules(told.logs) == ["n_plus_one"]
    assert "cannot be used: DatabaseError" in caplog.text


def test_the_agent_finds_it_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TICKSPAN_QUERIES_IGNORE", raising=False)
    assert repr(installed(tmp_path)("queries")()) == "<QueryTap 0 processes, <Book 0 findings>>"


def test_a_slow_statement_of_a_database_that_is_named_gets_its_plan(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "book.db")) as connection:
        connection.execute("CREATE TABLE fills (id INTEGER PRIMARY KEY, order_id INTEGER, price TEXT)")
    tap = tap_at(
        tmp_path,
        TICKSPAN_QUERIES_PLANS="probe",
        TICKSPAN_QUERIES_DATABASES="book.db=BOOK_DSN",
        BOOK_DSN=f"sqlite:///{tmp_path / 'book.db'}",
    )
    sql = "SELECT price FROM fills WHERE order_id = ?"
    tap.on_batch(batch([span("SELECT fills", 1, 5, 0, 0, 900, called(sql))]))
    end_s = time.monotonic() + 20
    plans: list[ReceivedLog] = []
    while not plans:
        assert time.monotonic() < end_s, tap
        plans = [log for log in received(tap.tick(1.0)).logs if log.event_name == db.EVENT_QUERY_PLAN]
        time.sleep(0.01)
    (plan,) = plans
    assert (plan.trace_id, plan.span_id, plan.attributes[db.DB_QUERY_TEXT]) == (
        f"{1:032x}",
        f"{5:016x}",
        sql,
    )
