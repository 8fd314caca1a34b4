"""sqlite3 and aiosqlite: every way to send a statement is one span, which ends with its last row."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from tickspan.instrumentation import suppressed
from tickspan.testing import Capture, RecordedSpan

Story = Callable[[], list[tuple[str, dict[str, Any]]]]
Spans = Callable[[], list[RecordedSpan]]

SELECT = "SELECT symbol FROM orders ORDER BY id"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A file with the table `orders` of three rows."""
    path = tmp_path / "book.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            CREATE TABLE orders (id INTEGER PRIMARY KEY, symbol TEXT NOT NULL UNIQUE, quantity INTEGER);
            INSERT INTO orders VALUES (1, 'A', 1), (2, 'B', 2), (3, 'C', 3);
        """)
    return path


@pytest.fixture
def recorded(book: Path, recorded: Capture) -> Capture:
    """Telemetry of what is run after the book was made."""
    return recorded


@pytest.fixture
def connection(recorded: Capture, book: Path) -> Generator[sqlite3.Connection]:
    connection = sqlite3.connect(book)
    yield connection
    connection.close()


def ended(verb: str, statements: int, writes: int) -> tuple[str, dict[str, Any]]:
    return verb, {
        "db.operation.name": verb,
        "tickspan.db.transaction.statements": statements,
        "tickspan.db.transaction.writes": writes,
    }


def test_a_query_tells_its_file_its_text_and_its_rows(connection: sqlite3.Connection, spans: Spans) -> None:
    rows = connection.execute("SELECT id FROM orders WHERE symbol = ?", ("A",)).fetchall()
    assert rows == [(1,)]
    assert spans() == [
        RecordedSpan(
            "SELECT orders",
            "client",
            1,
            1,
            None,
            {
                "db.system.name": "sqlite",
                "db.namespace": "book.db",
                "db.query.text": "SELECT id FROM orders WHERE symbol = ?",
                "db.query.summary": "SELECT orders",
                "db.response.returned_rows": 1,
            },
        )
    ]


READERS: dict[str, Callable[[Any], list[Any]]] = {
    "fetchall": lambda cursor: cursor.fetchall(),
    "iteration": list,
    "fetchmany": lambda cursor: [*cursor.fetchmany(2), *cursor.fetchmany(2)],
    "fetchone": lambda cursor: [row for row in (cursor.fetchone() for _ in range(4)) if row],
}


@pytest.mark.parametrize("way", READERS)
def test_rows_are_counted_however_they_are_read(
    connection: sqlite3.Connection, recorded: Capture, way: str
) -> None:
    assert READERS[way](connection.execute(SELECT)) == [("A",), ("B",), ("C",)]
    assert [span.attributes["db.response.returned_rows"] for span in recorded.spans()] == [3]


def test_a_long_iteration_is_counted_exactly_and_timed_in_part(
    connection: sqlite3.Connection, recorded: Capture
) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n"
    assert sum(row[0] for row in connection.execute(numbers)) == 500_500
    told = recorded.spans()[0].attributes
    assert told["db.response.returned_rows"] == 1000
    assert 0 < told["tickspan.db.fetch.duration"] < 1


def test_the_time_of_a_query_is_that_of_its_fetches(
    connection: sqlite3.Connection, recorded: Capture
) -> None:
    slow = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) "
        "SELECT i FROM n ORDER BY i % 7"
    )
    connection.execute(slow).fetchone()
    connection.close()
    point = recorded.points("db.client.operation.duration")[0]
    told = recorded.spans()[0].attributes
    assert point.value >= told["tickspan.db.fetch.duration"] > 0


@pytest.mark.parametrize("leave", ["close", "execute", "forget"])
def test_a_result_that_is_left_ends_with_the_rows_read_so_far(
    connection: sqlite3.Connection, recorded: Capture, leave: str
) -> None:
    cursor = connection.execute(SELECT)
    cursor.fetchone()
    assert recorded.spans() == []
    if leave == "close":
        cursor.close()
    elif leave == "execute":
        cursor.execute("PRAGMA user_version")
    del cursor
    gc.collect()
    assert recorded.spans()[0].attributes["db.response.returned_rows"] == 1


def test_a_transaction_begins_with_the_first_write(
    connection: sqlite3.Connection, recorded: Capture, story: Story
) -> None:
    connection.execute(SELECT).fetchall()
    connection.execute("INSERT INTO orders (symbol) VALUES (?)", ("D",))
    connection.execute(SELECT).fetchall()
    connection.commit()
    connection.commit()
    spans = recorded.spans()
    assert story()[-1] == ended("COMMIT", 2, 1)
    assert len(spans) == 4
    assert "tickspan.db.transaction.id" not in spans[0].attributes
    assert len({span.attributes["tickspan.db.transaction.id"] for span in spans[1:]}) == 1


def delete_and_fail(connection: sqlite3.Connection) -> None:
    with connection:
        connection.execute("DELETE FROM orders WHERE id = ?", (1,))
        raise ZeroDivisionError


def test_leaving_the_block_ends_the_transaction(connection: sqlite3.Connection, story: Story) -> None:
    with connection:
        connection.executemany("INSERT INTO orders (symbol) VALUES (?)", [("D",), ("E",)])
    with pytest.raises(ZeroDivisionError):
        delete_and_fail(connection)
    batch = {
        "db.query.text": "INSERT INTO orders (symbol) VALUES (?)",
        "db.operation.name": "BATCH INSERT",
        "db.operation.batch.size": 2,
        "tickspan.db.rows_affected": 2,
    }
    delete = {"db.query.text": "DELETE FROM orders WHERE id = ?", "tickspan.db.rows_affected": 1}
    assert story() == [
        ("INSERT orders", batch),
        ended("COMMIT", 1, 1),
        ("DELETE orders", delete),
        ended("ROLLBACK", 1, 1),
    ]


def test_a_transaction_may_be_ended_by_a_statement(connection: sqlite3.Connection, recorded: Capture) -> None:
    connection.isolation_level = None
    connection.execute("BEGIN")
    connection.execute("DELETE FROM orders WHERE id = ?", (1,))
    connection.execute("COMMIT")
    commit = recorded.spans()[-1].attributes
    assert (commit["tickspan.db.transaction.statements"], commit["tickspan.db.transaction.writes"]) == (1, 1)


def test_a_refused_statement_says_code_and_columns_but_no_value(
    connection: sqlite3.Connection, recorded: Capture
) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO orders (symbol) VALUES (?)", ("A",))
    refused = recorded.spans()[0]
    assert refused.description == "IntegrityError SQLITE_CONSTRAINT_UNIQUE columns orders.symbol"
    assert refused.status == "error"


def test_nothing_is_told_under_suppression(connection: sqlite3.Connection, recorded: Capture) -> None:
    with suppressed():
        connection.execute(SELECT).fetchall()
        with connection:
            connection.execute("DELETE FROM orders WHERE id = ?", (1,))
    assert recorded.spans() == []


def test_a_connection_of_a_class_of_the_users_is_left_alone(recorded: Capture, book: Path) -> None:
    with closing(sqlite3.connect(book, factory=sqlite3.Connection)) as connection:
        connection.execute(SELECT).fetchall()
    assert (type(connection) is sqlite3.Connection, recorded.spans()) == (True, [])


def test_a_told_connection_is_a_sqlite_connection(connection: sqlite3.Connection) -> None:
    assert isinstance(connection, sqlite3.Connection)
    assert isinstance(connection.cursor(), sqlite3.Cursor)
    assert (type(connection).__name__, type(connection).__module__) == ("Connection", "sqlite3")


def test_the_thread_of_aiosqlite_tells_in_the_callers_context(recorded: Capture, book: Path) -> None:
    tracer = recorded.tracer_provider.get_tracer("test")

    async def main() -> list[Any]:
        async with aiosqlite.connect(book) as connection:
            with tracer.start_as_current_span("on_tick"):
                async with connection.execute(SELECT) as cursor:
                    rows = [row async for row in cursor]
                await connection.execute("INSERT INTO orders (symbol) VALUES (?)", ("D",))
                await connection.commit()
            return rows

    assert asyncio.run(main()) == [("A",), ("B",), ("C",)]
    assert recorded.tree() == "on_tick\n  SELECT orders\n  INSERT orders\n  COMMIT"


def test_what_upstreams_instrumentor_tells_is_not_told_again(
    connection: sqlite3.Connection, recorded: Capture
) -> None:
    upstream = recorded.tracer_provider.get_tracer("opentelemetry.instrumentation.sqlite3")
    with upstream.start_as_current_span("SELECT"):
        connection.execute(SELECT).fetchall()
    assert recorded.tree() == "SELECT"


def test_after_undo_open_connections_tell_nothing(telemetry: Capture, book: Path) -> None:
    from tickspan_dbapi import DbapiInstrumentor

    DbapiInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    connection = sqlite3.connect(book)
    DbapiInstrumentor().uninstrument()
    with connection:
        connection.execute("DELETE FROM orders WHERE id = ?", (1,))
    assert connection.execute(SELECT).fetchall() == [("B",), ("C",)]
    connection.close()
    assert telemetry.spans() == []
