"""PyMySQL and aiomysql against a real MariaDB tell the same."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import Callable, Generator
from typing import Any

import aiomysql
import pymysql
import pytest
from tickspan.testing import Capture, RecordedSpan
from tickspan_dbapi import DbapiInstrumentor

pytestmark = [pytest.mark.integration, pytest.mark.backends]

Story = Callable[[], list[tuple[str, dict[str, Any]]]]
Spans = Callable[[], list[RecordedSpan]]
DATABASE = "tickspan_dbapi"
SELECT = "SELECT symbol FROM orders WHERE quantity > %s ORDER BY id"
INSERT = "INSERT INTO orders (symbol, quantity) VALUES (%s, %s)"
TOLD_SELECT = {"db.query.text": "SELECT symbol FROM orders WHERE quantity > ? ORDER BY id"}
TOLD_INSERT = {"db.query.text": "INSERT INTO orders (symbol, quantity) VALUES (?, ?)"}

Use = Callable[[Any], Generator[Any, Any, Any]]
"""A generator that yields what a connection or cursor returns: a value, or something to await."""


@pytest.fixture
def server(mariadb_server: Any) -> Generator[Any]:
    """A database with the table `orders` of three rows."""
    where = {"host": mariadb_server.host, "port": mariadb_server.port, "user": mariadb_server.user}
    with pymysql.connect(**where) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        cursor.execute(
            f"CREATE TABLE {DATABASE}.orders "
            "(id int AUTO_INCREMENT PRIMARY KEY, symbol varchar(9) UNIQUE, quantity int NOT NULL)"
        )
        cursor.execute(
            f"INSERT INTO {DATABASE}.orders (symbol, quantity) VALUES ('A', 1), ('B', 2), ('C', 3)"
        )
        cursor.execute(f"CREATE PROCEDURE {DATABASE}.answer(IN n int) SELECT n + 1")
        connection.commit()
    yield where
    with pymysql.connect(**where) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE}")


def _sync(where: Any, use: Use, **options: Any) -> None:
    connection = pymysql.connect(**where, database=DATABASE, **options)
    try:
        steps = use(connection)
        value = next(steps, None)
        while True:
            try:
                value = steps.send(value)
            except StopIteration:
                return
    finally:
        connection.close()


def _async(where: Any, use: Use, **options: Any) -> None:
    async def main() -> None:
        connection = await aiomysql.connect(**where, db=DATABASE, **options)
        try:
            steps = use(connection)
            value = next(steps, None)
            while True:
                if inspect.isawaitable(value):
                    value = await value
                try:
                    value = steps.send(value)
                except StopIteration:
                    return
        finally:
            connection.close()

    asyncio.run(main())


@pytest.fixture(params=[_sync, _async], ids=["pymysql", "aiomysql"])
def run(request: pytest.FixtureRequest, server: Any) -> Callable[..., None]:
    """Runs a scenario on one driver."""

    def on_it(use: Use, **options: Any) -> None:
        request.param(server, use, **options)

    return on_it


@pytest.fixture
def recorded(server: Any, recorded: Capture) -> Capture:
    """Telemetry of what is run after the table was made."""
    return recorded


def cursor_of(connection: Any) -> Generator[Any, Any, Any]:
    cursor = yield connection.cursor()
    return cursor


def transaction(connection: Any) -> Generator[Any, Any, None]:
    cursor = yield from cursor_of(connection)
    assert (yield cursor.execute(SELECT, (1,))) == 2
    yield cursor.execute(INSERT, ("D", 4))
    yield cursor.executemany(INSERT, [("E", 5), ("F", 6)])
    yield connection.commit()
    yield cursor.execute("DELETE FROM orders WHERE id = %s", (1,))
    yield connection.rollback()
    yield cursor.close()


def test_statements_batches_and_transactions(
    run: Callable[..., None], server: Any, recorded: Capture, spans: Spans
) -> None:
    run(transaction)
    where = {
        "db.system.name": "mariadb",
        "db.namespace": DATABASE,
        "server.address": server["host"],
        "server.port": server["port"],
    }
    insert = {**TOLD_INSERT, "db.query.summary": "INSERT orders"}
    told: list[tuple[str, dict[str, Any]]] = [
        (
            "SELECT orders",
            {**TOLD_SELECT, "db.query.summary": "SELECT orders", "db.response.returned_rows": 2},
        ),
        ("INSERT orders", {**insert, "tickspan.db.rows_affected": 1}),
        (
            "INSERT orders",
            {
                **insert,
                "db.operation.name": "BATCH INSERT",
                "db.operation.batch.size": 2,
                "tickspan.db.rows_affected": 2,
            },
        ),
        ended("COMMIT", 3, 2),
        (
            "DELETE orders",
            {
                "db.query.text": "DELETE FROM orders WHERE id = ?",
                "db.query.summary": "DELETE orders",
                "tickspan.db.rows_affected": 1,
            },
        ),
        ended("ROLLBACK", 1, 1),
    ]
    assert spans() == [
        RecordedSpan(name, "client", number, number, None, {**where, **attributes})
        for number, (name, attributes) in enumerate(told, start=1)
    ]


def ended(verb: str, statements: int, writes: int) -> tuple[str, dict[str, Any]]:
    return verb, {
        "db.operation.name": verb,
        "tickspan.db.transaction.statements": statements,
        "tickspan.db.transaction.writes": writes,
    }


def in_autocommit(connection: Any) -> Generator[Any, Any, None]:
    cursor = yield from cursor_of(connection)
    yield cursor.execute("DELETE FROM orders WHERE id = %s", (1,))
    yield connection.commit()
    yield cursor.close()


def test_autocommit_has_no_transaction(run: Callable[..., None], recorded: Capture) -> None:
    run(in_autocommit, autocommit=True)
    spans = recorded.spans()
    assert [span.name for span in spans] == ["DELETE orders"]
    assert "tickspan.db.transaction.id" not in spans[0].attributes


def procedure(connection: Any) -> Generator[Any, Any, None]:
    cursor = yield from cursor_of(connection)
    yield cursor.callproc("answer", (41,))
    yield cursor.close()


def test_a_procedure_is_one_statement_without_its_arguments(
    run: Callable[..., None], recorded: Capture
) -> None:
    run(procedure, autocommit=True)
    assert [span.attributes["db.query.text"] for span in recorded.spans()] == ["CALL `answer`(?)"]


def refused(connection: Any) -> Generator[Any, Any, None]:
    cursor = yield from cursor_of(connection)
    yield cursor.execute(INSERT, ("A", 1))


def test_a_refused_row_tells_its_code_and_no_value(run: Callable[..., None], recorded: Capture) -> None:
    with pytest.raises(pymysql.err.IntegrityError):
        run(refused)
    span = recorded.spans()[0]
    assert (span.status, span.description) == ("error", "IntegrityError 1062")
    assert span.attributes["db.response.status_code"] == "1062"
    assert "'A'" not in repr(span)


def streaming_cursor(connection: Any) -> Generator[Any, Any, Any]:
    streaming = aiomysql.SSCursor if hasattr(connection, "_reader") else pymysql.cursors.SSCursor
    cursor = yield connection.cursor(streaming)
    yield cursor.execute(SELECT, (0,))
    return cursor


def read_all(connection: Any) -> Generator[Any, Any, None]:
    cursor = yield from streaming_cursor(connection)
    rows = yield cursor.fetchall()
    assert [row[0] for row in rows] == ["A", "B", "C"]
    yield cursor.close()


def read_some(connection: Any) -> Generator[Any, Any, None]:
    cursor = yield from streaming_cursor(connection)
    assert (yield cursor.fetchone()) == ("A",)
    assert list((yield cursor.fetchmany(1))) == [("B",)]
    yield cursor.close()


def read_anew(connection: Any) -> Generator[Any, Any, None]:
    cursor = yield from streaming_cursor(connection)
    yield cursor.fetchone()
    yield cursor.execute("DELETE FROM orders WHERE id = 0")
    yield cursor.close()


@pytest.mark.filterwarnings("ignore:Previous unbuffered result was left incomplete")
@pytest.mark.parametrize(("use", "rows"), [(read_all, 3), (read_some, 2), (read_anew, 1)])
def test_an_unbuffered_cursor_counts_what_is_read(
    run: Callable[..., None], recorded: Capture, use: Use, rows: int
) -> None:
    run(use)
    select = recorded.spans()[0]
    assert (select.name, select.attributes["db.response.returned_rows"]) == ("SELECT orders", rows)
    assert select.attributes["tickspan.db.fetch.duration"] > 0


def slow(connection: Any) -> Generator[Any, Any, None]:
    streaming = aiomysql.SSCursor if hasattr(connection, "_reader") else pymysql.cursors.SSCursor
    cursor = yield connection.cursor(streaming)
    yield cursor.execute("SELECT id, SLEEP(0.1) FROM orders")
    yield cursor.fetchall()
    yield cursor.close()


def test_an_unbuffered_cursor_ends_with_its_last_row(run: Callable[..., None], recorded: Capture) -> None:
    run(slow)
    assert [span.attributes["db.response.returned_rows"] for span in recorded.spans()] == [3]
    assert [point.value >= 0.3 for point in recorded.points("db.client.operation.duration")] == [True]


def broken_off(connection: Any) -> Generator[Any, Any, None]:
    cursor = yield from streaming_cursor(connection)
    yield cursor.fetchone()
    del cursor


def test_an_unbuffered_cursor_that_is_let_go_is_over(run: Callable[..., None], recorded: Capture) -> None:
    run(broken_off)
    gc.collect()
    assert [span.attributes["db.response.returned_rows"] for span in recorded.spans()] == [1]


def after_close(connection: Any) -> Generator[Any, Any, None]:
    cursor = yield from cursor_of(connection)
    yield cursor.close()
    yield cursor.execute("SELECT 1")


def test_a_closed_cursor_is_the_drivers_business(run: Callable[..., None], recorded: Capture) -> None:
    with pytest.raises((pymysql.err.ProgrammingError, pymysql.err.InterfaceError)):
        run(after_close)
    assert [hook for hook in DbapiInstrumentor().statistics() if hook.errors] == []
