"""Database spans of other instrumentors, on both kinds of spans that our providers have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider as StockTracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.processors.queries.processor import UNCHANGED, install, retold
from tickspan.providers import TracerProvider
from tickspan.testing.sink import MemorySink
from tickspan.testing.sql import statement

SQL = "SELECT * FROM orders WHERE symbol = 'AAPL' LIMIT 10"
TEXT = "SELECT * FROM orders WHERE symbol = ? LIMIT ?"
FINGERPRINT = canonicalise(SQL, Dialect.POSTGRESQL).fingerprint
UPSTREAM = "opentelemetry.instrumentation.psycopg2"

Told = tuple[str, dict[str, Any]]
Record = Callable[..., Told]


def into_a_sink(name: str, scope: str, attributes: Mapping[str, Any]) -> Told:
    """A span of our own recording, as it is written."""
    sink = MemorySink()
    provider = TracerProvider(shutdown_on_exit=False, sink=sink)
    install(provider)
    provider.get_tracer(scope).start_span(name, attributes=attributes).end()
    (span,) = sink.telemetry().spans
    return span.name, dict(span.attributes)


def into_an_exporter(name: str, scope: str, attributes: Mapping[str, Any]) -> Told:
    """A span of the SDK's recording, as a foreign exporter gets it."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    install(provider)
    provider.get_tracer(scope).start_span(name, attributes=attributes).end()
    (span,) = exporter.get_finished_spans()
    return span.name, dict(span.attributes or {})


@pytest.fixture(params=[into_a_sink, into_an_exporter])
def record(request: pytest.FixtureRequest) -> Record:
    """What becomes of a span of this name, scope and attributes."""
    return request.param


@pytest.mark.parametrize("key", ["db.statement", "db.query.text"])
def test_a_foreign_span_is_told_as_ours_are(record: Record, key: str) -> None:
    assert record("SELECT trading", UPSTREAM, {key: SQL, "db.system": "postgresql"}) == (
        "SELECT orders",
        {
            key: TEXT,
            "db.system": "postgresql",
            "db.query.summary": "SELECT orders",
            "tickspan.db.query.fingerprint": FINGERPRINT,
        },
    )


def test_a_name_that_is_the_statement_goes(record: Record) -> None:
    name, _ = record(SQL, "app", {"db.statement": SQL, "db.system": "sqlite"})
    assert name == "SELECT orders"


def test_a_name_that_the_application_has_chosen_stays(record: Record) -> None:
    name, attributes = record("load open orders", "app", {"db.statement": SQL, "db.system": "sqlite"})
    assert (name, attributes["db.query.summary"]) == ("load open orders", "SELECT orders")


def test_a_statement_without_a_system_is_read_too(record: Record) -> None:
    name, attributes = record("SELECT", "app", {"db.query.text": SQL})
    assert (name, attributes["tickspan.db.query.fingerprint"]) == ("SELECT orders", FINGERPRINT)


def test_what_the_text_held_is_told_by_the_rules_that_it_breaks(record: Record) -> None:
    sql = "DELETE FROM orders; SELECT a FROM t WHERE note LIKE '%secret' OFFSET 5000"
    _, attributes = record("x", UPSTREAM, {"db.statement": sql, "db.system": "postgresql"})
    assert attributes["tickspan.db.findings"] == (
        "write_without_where",
        "multi_statement",
        "leading_wildcard",
        "large_offset",
    )


def test_a_statement_of_redis_loses_its_data_and_keeps_its_name(record: Record) -> None:
    given_attributes = {"db.statement": "SET key secret", "db.system": "redis"}
    assert record("SET", UPSTREAM, given_attributes) == (
        "SET",
        {"db.statement": "SET ? ?", "db.system": "redis"},
    )


def test_our_own_instrumentation_is_left_alone(record: Record) -> None:
    attributes = {"db.query.text": "SELECT ?", "db.system.name": "sqlite"}
    assert record("mine", "tickspan_sqlalchemy", attributes) == ("mine", attributes)


def test_a_span_with_a_fingerprint_was_told_by_us() -> None:
    attributes = {"db.query.text": SQL, "tickspan.db.query.fingerprint": FINGERPRINT}
    assert retold("SELECT", UPSTREAM, attributes) is UNCHANGED


def test_a_span_without_a_statement_is_left_alone(record: Record) -> None:
    assert record("GET", "app", {"http.method": "GET"}) == ("GET", {"http.method": "GET"})


@pytest.mark.parametrize("value", [5, ("SELECT 1",), b"SELECT 1"])
def test_a_statement_that_is_no_text_is_left_to_recording(value: object) -> None:
    assert retold("x", UPSTREAM, {"db.statement": value, "db.system": "sqlite"}) == UNCHANGED


def test_spans_stay_as_they_are_when_it_is_taken_out() -> None:
    sink = MemorySink()
    provider = TracerProvider(shutdown_on_exit=False, sink=sink)
    remove = install(provider)
    tracer = provider.get_tracer(UPSTREAM)
    remove()
    tracer.start_span("SELECT trading", attributes={"db.statement": SQL}).end()
    (span,) = sink.telemetry().spans
    assert (span.name, dict(span.attributes)) == ("SELECT trading", {"db.statement": TEXT})


def test_another_distributions_provider_is_left_alone() -> None:
    provider = StockTracerProvider(shutdown_on_exit=False)
    before = vars(provider).copy()
    install(provider)()
    assert vars(provider) == before


def test_processors_see_what_it_has_written() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False, sink=MemorySink())
    install(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer(UPSTREAM).start_span("SELECT", attributes={"db.statement": SQL}).end()
    assert [span.name for span in exporter.get_finished_spans()] == ["SELECT orders"]


@settings(deadline=None, max_examples=40)
@given(random=st.randoms(use_true_random=False), dialect=st.sampled_from(["postgresql", "mysql", "sqlite"]))
def test_no_secret_of_any_statement_is_recorded(random: Random, dialect: str) -> None:
    generated = statement(random, dialect)
    attributes = {"db.statement": generated.sql, "db.system": dialect}
    told = [write(generated.sql, UPSTREAM, attributes) for write in (into_a_sink, into_an_exporter)]
    assert generated.found_in(repr(told)) == ()


def test_what_nobody_can_read_is_named_by_its_system(record: Record) -> None:
    sql = "/* 'secret */ ?? 'secret"
    name, attributes = record(sql, "app", {"db.statement": sql, "db.system": "postgresql"})
    assert (name, attributes["db.statement"]) == ("postgresql", "?")
