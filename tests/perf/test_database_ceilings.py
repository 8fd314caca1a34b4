"""How many Python functions a statement enters on top of its library: counted, the same on every machine.

A ceiling is what was counted, with a little head room for other versions of Python, the SDK and the library.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from typing import Any

import pytest
import sqlalchemy
from opentelemetry.sdk.metrics import MeterProvider as StockMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as StockTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tickspan_dbapi import DbapiInstrumentor
from tickspan_spool import twins
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

from tickspan.analysis.sql import statement as statements
from tickspan.instrumentation import suppressed
from tickspan.providers import MeterProvider, TracerProvider
from tickspan.testing.ceilings import calls_of
from tickspan.testing.sink import MemorySink

pytestmark = pytest.mark.perf

CEILINGS = {
    "compiled": {
        "statement": 4,
        "stock": 120,
        "silent": 2,
        "checkout": 20,
        "sqlite3": 44,
        "silent sqlite3": 6,
    },
    "pure": {
        "statement": 84,
        "stock": 160,
        "silent": 9,
        "checkout": 28,
        "sqlite3": 112,
        "silent sqlite3": 10,
    },
}[twins.implementation()]
"""By the form of the hot modules that runs. In the pure form each step of theirs is a function, too."""
Ask = Callable[[], Any]
ORDERS = sqlalchemy.Table(
    "orders",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("symbol", sqlalchemy.String),
)
SELECT = sqlalchemy.select(ORDERS).where(ORDERS.c.id == sqlalchemy.bindparam("id"))


@pytest.fixture
def ask() -> Generator[Ask]:
    """Reads a row by its key through SQLAlchemy's cache."""
    engine = sqlalchemy.create_engine("sqlite://", future=True)
    with engine.connect() as connection:
        ORDERS.create(connection)
        connection.execute(ORDERS.insert(), [{"id": number, "symbol": "A"} for number in range(4)])
        yield lambda: connection.execute(SELECT, {"id": 1}).one()
    engine.dispose()


@pytest.fixture
def check_out() -> Generator[Ask]:
    """Takes a connection from its pool and gives it back."""
    engine = sqlalchemy.create_engine("sqlite://", future=True, poolclass=sqlalchemy.pool.QueuePool)
    yield lambda: engine.raw_connection().close()
    engine.dispose()


@pytest.fixture
def ours() -> Generator[dict[str, Any]]:
    """Our providers, which keep what is recorded."""
    sink = MemorySink()
    tracers = TracerProvider(shutdown_on_exit=False, sink=sink)
    meters = MeterProvider(resource=Resource({}), shutdown_on_exit=False, sink=sink)
    yield {"tracer_provider": tracers, "meter_provider": meters}
    tracers.shutdown()
    meters.shutdown()


@pytest.fixture
def stock() -> Generator[dict[str, Any]]:
    """The SDK's providers. Spans wait in a batch: its thread has nothing to do while we count."""
    tracers = StockTracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    meters = StockMeterProvider(shutdown_on_exit=False)
    yield {"tracer_provider": tracers, "meter_provider": meters}
    tracers.shutdown()
    meters.shutdown()


@pytest.fixture
def switch_on(request: pytest.FixtureRequest) -> Callable[[Any, dict[str, Any]], None]:
    """Switches an instrumentor on until the test is over."""

    def instrument(instrumentor: Any, providers: dict[str, Any]) -> None:
        instrumentor.instrument(**providers)
        request.addfinalizer(instrumentor.uninstrument)

    return instrument


Switch = Callable[[Any, dict[str, Any]], None]


def test_a_told_statement_of_sqlalchemy(switch_on: Switch, ask: Ask, ours: dict[str, Any]) -> None:
    """Three in the compiled form: two are `MemorySink`'s, which keeps the span."""
    bare = calls_of(ask)
    switch_on(SQLAlchemyInstrumentor(), ours)
    assert calls_of(ask) - bare <= CEILINGS["statement"]


def test_the_drivers_instrumentation_below_adds_little(
    switch_on: Switch, ask: Ask, ours: dict[str, Any]
) -> None:
    """Nothing for a connection that was made before; a made one's methods ask for silence, see below."""
    switch_on(SQLAlchemyInstrumentor(), ours)
    alone = calls_of(ask)
    switch_on(DbapiInstrumentor(), ours)
    assert calls_of(ask) == alone


def test_a_told_statement_on_the_stock_sdk(switch_on: Switch, ask: Ask, stock: dict[str, Any]) -> None:
    """107 in the compiled form: all but a few are the SDK's own, for a span and a measurement."""
    bare = calls_of(ask)
    switch_on(SQLAlchemyInstrumentor(), stock)
    assert calls_of(ask) - bare <= CEILINGS["stock"]


def test_a_suppressed_statement_only_looks_at_the_context(
    switch_on: Switch, ask: Ask, ours: dict[str, Any]
) -> None:
    bare = calls_of(ask)
    switch_on(SQLAlchemyInstrumentor(), ours)
    with suppressed():
        assert calls_of(ask) - bare <= CEILINGS["silent"]


def test_a_cached_text_is_never_read_again(
    monkeypatch: pytest.MonkeyPatch, switch_on: Switch, ask: Ask, ours: dict[str, Any]
) -> None:
    switch_on(SQLAlchemyInstrumentor(), ours)
    ask()
    monkeypatch.setattr(statements, "tokenise", None)  # whoever reads a text now fails
    ask()


def test_a_measured_checkout(switch_on: Switch, check_out: Ask, ours: dict[str, Any]) -> None:
    """Fifteen in the compiled form: the pool is known, the wait is measured, the connection comes back."""
    bare = calls_of(check_out)
    switch_on(SQLAlchemyInstrumentor(), ours)
    assert calls_of(check_out) - bare <= CEILINGS["checkout"]


@pytest.fixture
def read() -> Generator[Callable[[], Ask]]:
    """Makes a connection of sqlite3's, and what reads a row from it."""
    made: list[sqlite3.Connection] = []

    def connect() -> Ask:
        connection = sqlite3.connect(":memory:")
        made.append(connection)
        return lambda: connection.execute("SELECT ?", (1,)).fetchone()

    yield connect
    for connection in made:
        connection.close()


def test_a_told_statement_of_sqlite3(
    switch_on: Switch, read: Callable[[], Ask], ours: dict[str, Any]
) -> None:
    """38 in the compiled form: the cursor's methods, the link to the connection, the statement, its end."""
    switch_on(DbapiInstrumentor(), ours)
    assert calls_of(read()) <= CEILINGS["sqlite3"]


def test_a_suppressed_statement_of_sqlite3_is_short(
    switch_on: Switch, read: Callable[[], Ask], ours: dict[str, Any]
) -> None:
    switch_on(DbapiInstrumentor(), ours)
    with suppressed():
        assert calls_of(read()) <= CEILINGS["silent sqlite3"]
