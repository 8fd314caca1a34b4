"""A small order book in a SQLite file, the instrumentor switched on, and spans as lists to compare."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tickspan.testing import Capture, RecordedEvent, RecordedSpan
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

INDIVIDUAL = (
    "code.",
    "tickspan.db.fetch.duration",
    "tickspan.db.params_hash",
    "tickspan.db.pool.wait",
    "tickspan.db.query.fingerprint",
    "tickspan.db.transaction.duration",
    "tickspan.db.transaction.id",
    "tickspan.db.transaction.idle",
)
"""Beginnings of attributes whose values differ between any two runs; each has tests of its own."""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A file with the tables `orders` (three rows) and `fills` (none)."""
    path = tmp_path / "book.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            CREATE TABLE orders (id INTEGER PRIMARY KEY, symbol TEXT NOT NULL UNIQUE, quantity INTEGER);
            CREATE TABLE fills (id INTEGER PRIMARY KEY, order_id INTEGER, price TEXT);
            INSERT INTO orders VALUES (1, 'AAPL', 10), (2, 'MSFT', 20), (3, 'NVDA', 30);
        """)
    return path


@pytest.fixture
def recorded(telemetry: Capture) -> Generator[Capture]:
    """Telemetry of all engines."""
    SQLAlchemyInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    yield telemetry
    SQLAlchemyInstrumentor().uninstrument()


@pytest.fixture
def spans(telemetry: Capture) -> Callable[[], list[RecordedSpan]]:
    """Finished spans without stack traces and what else differs between any two runs."""
    return lambda: [_comparable(span) for span in telemetry.spans()]


def _comparable(span: RecordedSpan) -> RecordedSpan:
    attributes = {name: value for name, value in span.attributes.items() if not name.startswith(INDIVIDUAL)}
    return replace(span, attributes=attributes, events=tuple(_without_stack(event) for event in span.events))


def _without_stack(event: RecordedEvent) -> RecordedEvent:
    kept = {name: value for name, value in event.attributes.items() if name != "exception.stacktrace"}
    return RecordedEvent(event.name, kept)


@pytest.fixture
def roots() -> Callable[..., list[RecordedSpan]]:
    """`(where, (name, attributes), …)`: client spans without a parent, numbered as they start."""

    def build(where: Mapping[str, Any], *told: tuple[str, Mapping[str, Any]]) -> list[RecordedSpan]:
        return [
            RecordedSpan(name, "client", number, number, None, {**where, **attributes})
            for number, (name, attributes) in enumerate(_named(told), start=1)
        ]

    return build


def _named(told: Sequence[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, Mapping[str, Any]]]:
    """A statement's summary is its name; it stands there only once."""
    return [
        (name, {"db.query.summary": name, **attributes} if "db.query.text" in attributes else attributes)
        for name, attributes in told
    ]
