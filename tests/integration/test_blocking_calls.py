"""A synchronous driver in an event loop: named on its span by the application, a finding of the tap."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import aiosqlite
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine
from tickspan_dbapi import DbapiInstrumentor
from tickspan_spool.taps import TapBatch
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

from tickspan.processors.queries.tap import QueryTap
from tickspan.providers import TracerProvider
from tickspan.semconv import findings as names
from tickspan.testing.sink import MemorySink

SELECT = "SELECT id FROM orders WHERE id = 1"
BLOCKING = "blocking_call_in_loop"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    return path


@pytest.fixture
def sink(book: Path) -> Generator[MemorySink]:
    """What both members tell after the book was made."""
    del book
    kept = MemorySink()
    provider = TracerProvider(shutdown_on_exit=False, sink=kept)
    for instrumentor in (DbapiInstrumentor(), SQLAlchemyInstrumentor()):
        instrumentor.instrument(tracer_provider=provider)
    yield kept
    for instrumentor in (DbapiInstrumentor(), SQLAlchemyInstrumentor()):
        instrumentor.uninstrument()
    provider.shutdown()


def named(sink: MemorySink) -> list[object]:
    """Of each of our own statements, the rules that its span names: a dialect asks some, too."""
    spans = [span for span in sink.telemetry().spans if span.name.endswith(" orders")]
    return [span.attributes.get("tickspan.db.findings") for span in spans]


def ask(book: Path) -> None:
    with closing(sqlite3.connect(book)) as connection:
        connection.execute(SELECT).fetchall()


async def by_driver(book: Path) -> None:
    ask(book)


async def by_engine(book: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{book}")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(SELECT)).all()
    engine.dispose()


async def by_thread(book: Path) -> None:
    await asyncio.to_thread(ask, book)


async def by_aiosqlite(book: Path) -> None:
    async with aiosqlite.connect(book) as connection:
        await connection.execute_fetchall(SELECT)


async def by_async_engine(book: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{book}")
    async with engine.connect() as connection:
        await connection.execute(sqlalchemy.text(SELECT))
    await engine.dispose()


Use = Callable[[Path], Coroutine[Any, Any, None]]


@pytest.mark.parametrize("use", [by_driver, by_engine])
def test_a_call_that_stops_the_loop_is_named_on_its_span(sink: MemorySink, book: Path, use: Use) -> None:
    asyncio.run(use(book))
    assert named(sink) == [(BLOCKING,)]


@pytest.mark.parametrize("use", [by_thread, by_aiosqlite, by_async_engine])
def test_a_call_that_lets_the_loop_go_on_is_not(sink: MemorySink, book: Path, use: Use) -> None:
    asyncio.run(use(book))
    assert named(sink) == [None]


def test_a_call_without_a_loop_is_not(sink: MemorySink, book: Path) -> None:
    ask(book)
    assert named(sink) == [None]


def test_the_same_statement_is_named_only_where_it_stops_the_loop(sink: MemorySink, book: Path) -> None:
    asyncio.run(by_driver(book))
    ask(book)
    assert named(sink) == [(BLOCKING,), None]


def test_what_its_text_shows_is_named_beside_it(sink: MemorySink, book: Path) -> None:
    async def empty() -> None:
        with closing(sqlite3.connect(book)) as connection:
            connection.execute("DELETE FROM orders")

    asyncio.run(empty())
    assert named(sink)[0] == ("write_without_where", BLOCKING)


def test_in_a_notebook_whose_cells_run_in_a_loop_nothing_is_named(
    book: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    sink: MemorySink = request.getfixturevalue("sink")
    asyncio.run(by_driver(book))
    assert named(sink) == [None]


def test_the_tap_tells_it_as_a_finding_on_the_span_and_line(
    sink: MemorySink, book: Path, tmp_path: Path
) -> None:
    asyncio.run(by_driver(book))
    (span,) = sink.telemetry().spans
    tap = QueryTap(tmp_path, {}, lambda: span.end_ns, lambda: 0.0)
    told = MemorySink()
    for record in tap.on_batch(TapBatch("1-1-a", "bot", sink.entries)) or ():
        told.stream(record.stream).append(record.body, record.items)
    (log,) = told.telemetry().logs
    assert (log.attributes[names.FINDING_RULE], log.severity_text, log.span_id) == (
        BLOCKING,
        "ERROR",
        span.span_id,
    )
    assert log.body == "SELECT orders is run by a synchronous driver while the event loop waits."
    assert log.attributes["code.function.name"] == f"{__name__}.ask"
