"""psycopg2 against a real PostgreSQL: whatever classes of connection and cursor the application asks for."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import pytest
from tickspan.testing import Capture, RecordedSpan
from tickspan_dbapi import DbapiInstrumentor

pytestmark = [pytest.mark.integration, pytest.mark.backends]

Story = Callable[[], list[tuple[str, dict[str, Any]]]]
SELECT = "SELECT symbol FROM orders WHERE quantity > %s ORDER BY id"
TOLD_SELECT = {"db.query.text": "SELECT symbol FROM orders WHERE quantity > ? ORDER BY id"}
INSERT = "INSERT INTO orders (symbol, quantity) VALUES (%s, %s)"
TOLD_INSERT = {"db.query.text": "INSERT INTO orders (symbol, quantity) VALUES (?, ?)"}
TABLE = """
    DROP TABLE IF EXISTS orders;
    CREATE TABLE orders (id serial PRIMARY KEY, symbol text UNIQUE, quantity int NOT NULL);
    INSERT INTO orders (symbol, quantity) VALUES ('A', 1), ('B', 2), ('C', 3);
"""


@pytest.fixture
def url(postgresql_server: str) -> Generator[str]:
    """A database with the table `orders` of three rows."""
    connection = psycopg2.connect(postgresql_server)
    connection.autocommit = True
    connection.cursor().execute(TABLE)
    yield postgresql_server
    connection.cursor().execute("DROP TABLE orders")
    connection.close()


@pytest.fixture
def connection(url: str, recorded: Capture) -> Generator[Any]:
    connection = psycopg2.connect(url)
    yield connection
    connection.close()


def ended(verb: str, statements: int, writes: int) -> tuple[str, dict[str, Any]]:
    return verb, {
        "db.operation.name": verb,
        "tickspan.db.transaction.statements": statements,
        "tickspan.db.transaction.writes": writes,
    }


def test_statements_batches_and_their_transaction(connection: Any, story: Story) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(SELECT, (1,))
        assert cursor.fetchall() == [("B",), ("C",)]
        cursor.execute(INSERT, ("D", 4))
        cursor.executemany(INSERT, [("E", 5), ("F", 6)])
    batch = {**TOLD_INSERT, "db.operation.name": "BATCH INSERT", "db.operation.batch.size": 2}
    told = story()
    assert [name for name, _ in told] == ["SELECT orders", "INSERT orders", "INSERT orders", "COMMIT"]
    assert told[0][1] == {**TOLD_SELECT, "db.response.returned_rows": 2}
    assert told[1][1] == {**TOLD_INSERT, "tickspan.db.rows_affected": 1}
    assert {name: told[2][1][name] for name in batch} == batch
    assert told[3] == ended("COMMIT", 3, 2)


def test_where_statements_go(connection: Any, recorded: Capture, url: str) -> None:
    connection.cursor().execute("SELECT 1")
    told = recorded.spans()[0].attributes
    assert told["db.system.name"] == "postgresql"
    place = f"{told['server.address']}:{told['server.port']}/{told['db.namespace']}"
    assert place == url.partition("@")[2]


def test_an_exception_in_the_block_is_a_rollback(connection: Any, story: Story) -> None:
    def fail() -> None:
        with connection:
            connection.cursor().execute(INSERT, ("D", 4))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [name for name, _ in story()] == ["INSERT orders", "ROLLBACK"]


def test_autocommit_has_no_transaction(connection: Any, recorded: Capture) -> None:
    connection.autocommit = True
    connection.cursor().execute("DELETE FROM orders WHERE id = %s", (1,))
    assert [span.name for span in recorded.spans()] == ["DELETE orders"]
    assert "tickspan.db.transaction.id" not in recorded.spans()[0].attributes


@pytest.mark.parametrize(
    ("options", "row"),
    [
        ({"cursor_factory": psycopg2.extras.RealDictCursor}, {"symbol": "C"}),
        ({"connection_factory": psycopg2.extras.RealDictConnection}, {"symbol": "C"}),
        ({"connection_factory": psycopg2.extensions.connection}, ("C",)),
    ],
)
def test_classes_that_the_application_asks_for_are_kept(
    url: str, recorded: Capture, story: Story, options: dict[str, Any], row: Any
) -> None:
    connection = psycopg2.connect(url, **options)
    with connection.cursor() as cursor:
        cursor.execute(SELECT, (2,))
        assert cursor.fetchall() == [row]
    kind = options.get("connection_factory", psycopg2.extensions.connection)
    assert (isinstance(connection, kind), type(connection).__name__) == (True, kind.__name__)
    connection.close()
    assert story() == [("SELECT orders", {**TOLD_SELECT, "db.response.returned_rows": 1})]


def test_a_cursor_class_may_be_asked_for_at_each_cursor(connection: Any, story: Story) -> None:
    with connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
        cursor.execute(SELECT, (2,))
        assert cursor.fetchone()["symbol"] == "C"
    assert story() == [("SELECT orders", {**TOLD_SELECT, "db.response.returned_rows": 1})]


def test_a_server_cursors_fetches_carry_what_it_was_declared_for(connection: Any, story: Story) -> None:
    with connection.cursor("c") as cursor:
        cursor.execute(SELECT, (0,))
        assert cursor.fetchone() == ("A",)
        assert cursor.fetchall() == [("B",), ("C",)]
    fetch = {**TOLD_SELECT, "db.operation.name": "FETCH"}
    assert story() == [
        ("SELECT orders", TOLD_SELECT),
        ("SELECT orders", {**fetch, "db.response.returned_rows": 1}),
        ("SELECT orders", {**fetch, "db.response.returned_rows": 2}),
    ]


def test_copy_is_a_statement(connection: Any, story: Story) -> None:
    with connection.cursor() as cursor:
        cursor.copy_from(io.StringIO("D\t4\nE\t5\n"), "orders", columns=("symbol", "quantity"))
        cursor.copy_expert("COPY orders TO STDOUT", io.StringIO())
    assert [attributes["db.query.text"] for _, attributes in story()] == [
        "COPY orders FROM STDIN",
        "COPY orders TO STDOUT",
    ]


def test_values_written_into_one_statement_do_not_leave(connection: Any, recorded: Capture) -> None:
    with connection.cursor() as cursor:
        rows = [("secret", 4), ("secret2", 5)]
        psycopg2.extras.execute_values(cursor, "INSERT INTO orders (symbol, quantity) VALUES %s", rows)
    insert = recorded.spans()[0]
    assert insert.attributes["db.query.text"] == "INSERT INTO orders (symbol, quantity) VALUES (?, ?)"
    assert insert.attributes["tickspan.db.rows_affected"] == 2
    assert "secret" not in repr(recorded.spans())


def test_a_refused_row_names_its_constraint_but_not_its_value(connection: Any, recorded: Capture) -> None:
    with pytest.raises(psycopg2.errors.UniqueViolation):
        connection.cursor().execute(INSERT, ("A", 1))
    refused: RecordedSpan = recorded.spans()[0]
    assert refused.description == "UniqueViolation 23505 constraint orders_symbol_key table orders"
    assert "(A)" not in repr(refused)


def test_a_comment_reaches_the_server_and_no_span(url: str, telemetry: Capture) -> None:
    settings = {"database": {"sqlcommenter": "full"}}
    DbapiInstrumentor().instrument(tracer_provider=telemetry.tracer_provider, settings=settings)
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT query, %s FROM pg_stat_activity WHERE pid = pg_backend_pid()", ("%x",))
        found = cursor.fetchone()
    connection.close()
    DbapiInstrumentor().uninstrument()
    span = telemetry.spans()[0]
    trace = f"traceparent='00-{span.trace_id:032x}-{span.span_id:016x}-01'"
    assert found is not None
    assert found[0].endswith(f"/*application='test',db_driver='psycopg2',{trace}*/")
    assert found[1] == "%x"


def test_a_connection_that_is_gone_is_the_drivers_business(connection: Any, recorded: Capture) -> None:
    cursor = connection.cursor()
    with pytest.raises(psycopg2.OperationalError):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(psycopg2.InterfaceError):
        cursor.execute("SELECT 1")
    assert [span.status for span in recorded.spans()] == ["error"] * len(recorded.spans())
    assert [hook for hook in DbapiInstrumentor().statistics() if hook.errors] == []
