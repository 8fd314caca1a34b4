"""psycopg 3 against a real PostgreSQL: every way to send a statement is one span, sync and async alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tickspan.instrumentation import suppressed
from tickspan.testing import Capture, RecordedSpan
from tickspan_dbapi import DbapiInstrumentor

pytestmark = [pytest.mark.integration, pytest.mark.backends]

Story = Callable[[], list[tuple[str, dict[str, Any]]]]
Spans = Callable[[], list[RecordedSpan]]

INSERT = "INSERT INTO orders (symbol, quantity) VALUES (%s, %s)"
TOLD_INSERT = "INSERT INTO orders (symbol, quantity) VALUES (?, ?)"


@pytest.fixture
def url(postgresql_server: str) -> Generator[str]:
    """A database with the table `orders` of three rows."""
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS orders")
        connection.execute(
            "CREATE TABLE orders (id serial PRIMARY KEY, symbol text UNIQUE, quantity int NOT NULL)"
        )
        connection.execute("INSERT INTO orders (symbol, quantity) VALUES ('A', 1), ('B', 2), ('C', 3)")
    yield postgresql_server
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("DROP TABLE orders")


def ended(verb: str, statements: int, writes: int) -> tuple[str, dict[str, Any]]:
    return verb, {
        "db.operation.name": verb,
        "tickspan.db.transaction.statements": statements,
        "tickspan.db.transaction.writes": writes,
    }


def test_a_transaction_of_statements(url: str, recorded: Capture, spans: Spans) -> None:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT id FROM orders WHERE symbol = %s", ("A",)).fetchall()
        connection.execute(INSERT, ("D", 4))
        info = connection.info
        where = {
            "db.system.name": "postgresql",
            "db.namespace": info.dbname,
            "server.address": info.host,
            "server.port": info.port,
        }
    assert rows == [(1,)]
    select = {
        "db.query.text": "SELECT id FROM orders WHERE symbol = ?",
        "db.query.summary": "SELECT orders",
        "db.response.returned_rows": 1,
    }
    insert = {
        "db.query.text": TOLD_INSERT,
        "db.query.summary": "INSERT orders",
        "tickspan.db.rows_affected": 1,
    }
    told = [("SELECT orders", select), ("INSERT orders", insert), ended("COMMIT", 2, 1)]
    assert spans() == [
        RecordedSpan(name, "client", number, number, None, {**where, **attributes})
        for number, (name, attributes) in enumerate(told, start=1)
    ]


def test_statements_of_a_transaction_share_its_id(url: str, recorded: Capture) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
        connection.execute("SELECT 2")
        connection.commit()
        connection.execute("SELECT 3")
    ids = [span.attributes["tickspan.db.transaction.id"] for span in recorded.spans()]
    assert ids == [ids[0], ids[0], ids[0], ids[3], ids[3]]
    assert ids[0] != ids[3]


def test_autocommit_has_no_transaction(url: str, recorded: Capture) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM orders WHERE id = %s", (1,))
    spans = recorded.spans()
    assert [span.name for span in spans] == ["DELETE orders"]
    assert "tickspan.db.transaction.id" not in spans[0].attributes


def use_blocks(connection: Any) -> None:
    with connection.transaction():
        connection.execute("DELETE FROM orders WHERE id = %s", (1,))
        with connection.transaction():
            connection.execute("DELETE FROM orders WHERE id = %s", (2,))
        with connection.transaction("secret"):
            raise psycopg.Rollback
    with connection.transaction(force_rollback=True):
        connection.execute("DELETE FROM orders WHERE id = %s", (3,))


async def use_blocks_async(connection: Any) -> None:
    async with connection.transaction():
        await connection.execute("DELETE FROM orders WHERE id = %s", (1,))
        async with connection.transaction():
            await connection.execute("DELETE FROM orders WHERE id = %s", (2,))
        async with connection.transaction("secret"):
            raise psycopg.Rollback
    async with connection.transaction(force_rollback=True):
        await connection.execute("DELETE FROM orders WHERE id = %s", (3,))


def sync(url: str, use: Callable[[Any], None], **options: Any) -> None:
    with psycopg.connect(url, **options) as connection:
        use(connection)


def asynchronous(url: str, use: Callable[[Any], Any], **options: Any) -> None:
    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(url, **options) as connection:
            await use(connection)

    asyncio.run(main())


BOTH = pytest.mark.parametrize("kind", ["sync", "async"])


@BOTH
def test_a_transaction_block_ends_where_it_is_left(
    url: str, recorded: Capture, story: Story, kind: str
) -> None:
    if kind == "sync":
        sync(url, use_blocks, autocommit=True)
    else:
        asynchronous(url, use_blocks_async, autocommit=True)
    delete = (
        "DELETE orders",
        {"db.query.text": "DELETE FROM orders WHERE id = ?", "tickspan.db.rows_affected": 1},
    )
    assert story() == [
        delete,
        savepoint("SAVEPOINT"),
        delete,
        savepoint("RELEASE"),
        savepoint("SAVEPOINT"),
        savepoint("ROLLBACK TO"),
        ended("COMMIT", 2, 2),
        delete,
        ended("ROLLBACK", 1, 1),
    ]


def savepoint(verb: str) -> tuple[str, dict[str, Any]]:
    return verb, {"db.query.text": f"{verb} ?"}


def batch(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(INSERT, [("D", 4), ("E", 5)])


async def batch_async(connection: Any) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(INSERT, [("D", 4), ("E", 5)])


@BOTH
def test_executemany_is_one_batch(url: str, recorded: Capture, story: Story, kind: str) -> None:
    sync(url, batch) if kind == "sync" else asynchronous(url, batch_async)
    told = {
        "db.query.text": TOLD_INSERT,
        "db.operation.name": "BATCH INSERT",
        "db.operation.batch.size": 2,
        "tickspan.db.rows_affected": 2,
    }
    assert story() == [("INSERT orders", told), ended("COMMIT", 1, 1)]


def copy(connection: Any) -> None:
    with connection.cursor() as cursor:
        with cursor.copy("COPY orders (symbol, quantity) FROM STDIN") as stream:
            stream.write_row(("D", 4))
            stream.write_row(("E", 5))
        with cursor.copy("COPY orders TO STDOUT") as stream:
            assert len(list(stream.rows())) == 5


async def copy_async(connection: Any) -> None:
    async with connection.cursor() as cursor:
        async with cursor.copy("COPY orders (symbol, quantity) FROM STDIN") as stream:
            await stream.write_row(("D", 4))
            await stream.write_row(("E", 5))
        async with cursor.copy("COPY orders TO STDOUT") as stream:
            assert len([row async for row in stream.rows()]) == 5


@BOTH
def test_copy_is_one_statement_from_begin_to_end(
    url: str, recorded: Capture, story: Story, kind: str
) -> None:
    sync(url, copy) if kind == "sync" else asynchronous(url, copy_async)
    names = [name for name, _ in story()]
    assert names[-1] == "COMMIT"
    assert [attributes.get("db.query.text") for _, attributes in story()][:2] == [
        "COPY orders (symbol, quantity) FROM STDIN",
        "COPY orders TO STDOUT",
    ]


def stream(connection: Any) -> None:
    with connection.cursor() as cursor:
        assert [row[0] for row in cursor.stream("SELECT symbol FROM orders ORDER BY id")] == ["A", "B", "C"]


async def stream_async(connection: Any) -> None:
    async with connection.cursor() as cursor:
        rows = cursor.stream("SELECT symbol FROM orders ORDER BY id")
        assert [row[0] async for row in rows] == ["A", "B", "C"]


@BOTH
def test_a_stream_is_one_statement(url: str, recorded: Capture, story: Story, kind: str) -> None:
    sync(url, stream) if kind == "sync" else asynchronous(url, stream_async)
    assert [name for name, _ in story()] == ["SELECT orders", "COMMIT"]


def serve(connection: Any) -> None:
    with connection.cursor("c", withhold=False) as cursor:
        cursor.execute("SELECT symbol FROM orders WHERE quantity > %s ORDER BY id", (0,))
        assert cursor.fetchone() == ("A",)
        assert cursor.fetchall() == [("B",), ("C",)]


async def serve_async(connection: Any) -> None:
    async with connection.cursor("c", withhold=False) as cursor:
        await cursor.execute("SELECT symbol FROM orders WHERE quantity > %s ORDER BY id", (0,))
        assert await cursor.fetchone() == ("A",)
        assert await cursor.fetchall() == [("B",), ("C",)]


@BOTH
def test_a_server_cursors_fetches_carry_what_it_was_declared_for(
    url: str, recorded: Capture, story: Story, kind: str
) -> None:
    sync(url, serve) if kind == "sync" else asynchronous(url, serve_async)
    text = {"db.query.text": "SELECT symbol FROM orders WHERE quantity > ? ORDER BY id"}
    fetch = {**text, "db.operation.name": "FETCH"}
    assert story() == [
        ("SELECT orders", text),
        ("SELECT orders", {**fetch, "db.response.returned_rows": 1}),
        ("SELECT orders", {**fetch, "db.response.returned_rows": 2}),
        ended("COMMIT", 3, 0),
    ]


def test_composed_statements_are_read_without_their_literals(url: str, recorded: Capture) -> None:
    query = sql.SQL("SELECT {} FROM orders WHERE symbol = {}").format(
        sql.Identifier("id"), sql.Literal("secret")
    )
    with psycopg.connect(url) as connection:
        connection.execute(query)
        connection.execute(b"SELECT 'secret'")
    texts = [span.attributes.get("db.query.text") for span in recorded.spans()][:2]
    assert texts == ['SELECT "id" FROM orders WHERE symbol = ?', "SELECT ?"]


def test_a_refused_row_names_its_constraint_but_not_its_value(url: str, recorded: Capture) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation), psycopg.connect(url) as connection:
        connection.execute(INSERT, ("A", 1))
    insert, rollback = recorded.spans()
    assert insert.description == "UniqueViolation 23505 constraint orders_symbol_key table orders"
    assert insert.attributes["db.response.status_code"] == "23505"
    assert rollback.attributes["tickspan.db.transaction.writes"] == 1
    assert "(A)" not in repr(recorded.spans())


def test_a_delayed_commit_shows_its_delay(url: str, recorded: Capture) -> None:
    deferred = """
        CREATE TEMP TABLE slow (id int);
        CREATE FUNCTION pg_temp.wait() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION pg_temp.wait();
    """
    with psycopg.connect(url) as connection:
        connection.execute(deferred)
        connection.commit()
        recorded.clear()
        connection.execute("INSERT INTO slow VALUES (1)")
        connection.commit()
    insert, commit = recorded.spans()
    points = recorded.points("db.client.operation.duration")
    slowest = max(points, key=lambda point: point.value)
    assert (insert.name, commit.name) == ("INSERT slow", "COMMIT")
    assert (slowest.attributes["db.operation.name"], slowest.value >= 0.2) == ("COMMIT", True)
    assert commit.attributes["tickspan.db.transaction.duration"] >= 0.2


def test_nothing_is_told_under_suppression(url: str, recorded: Capture) -> None:
    with suppressed(), psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
    assert recorded.spans() == []


@pytest.fixture
def commented(request: pytest.FixtureRequest, telemetry: Capture) -> Callable[[str], None]:
    """Switches the instrumentor on with a mode of comments until the test is over."""

    def instrument(mode: str) -> None:
        settings = {"database": {"sqlcommenter": mode}}
        DbapiInstrumentor().instrument(tracer_provider=telemetry.tracer_provider, settings=settings)
        request.addfinalizer(DbapiInstrumentor().uninstrument)

    return instrument


@BOTH
def test_a_comment_reaches_the_server_and_no_span(
    url: str, commented: Callable[[str], None], telemetry: Capture, kind: str
) -> None:
    commented("full")
    seen: list[str] = []
    query = "SELECT query, %s FROM pg_stat_activity WHERE pid = pg_backend_pid() AND query LIKE '%%SELECT%%'"

    def use(connection: Any) -> None:
        seen.extend(connection.execute(query, ("x",)).fetchone())

    async def use_async(connection: Any) -> None:
        seen.extend(await (await connection.execute(query, ("x",))).fetchone())

    if kind == "sync":
        sync(url, use, prepare_threshold=None)
    else:
        asynchronous(url, use_async, prepare_threshold=None)
    span = telemetry.spans()[0]
    trace = f"traceparent='00-{span.trace_id:032x}-{span.span_id:016x}-01'"
    assert seen[0].endswith(f"/*application='test',db_driver='psycopg',{trace}*/")
    assert "/*" not in repr(span.attributes)


def test_a_statement_that_may_be_prepared_gets_no_trace(
    url: str, commented: Callable[[str], None], telemetry: Capture
) -> None:
    commented("full")
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert found is not None
    assert found[0].endswith("/*application='test',db_driver='psycopg'*/")


def test_a_connection_that_is_gone_is_the_drivers_business(url: str, recorded: Capture) -> None:
    connection = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    unused = psycopg.connect(url)
    cursor = unused.cursor()
    unused.close()
    with pytest.raises(psycopg.OperationalError):
        cursor.execute("SELECT 1")
    assert {span.status for span in recorded.spans()} == {"error"}
    assert [hook for hook in DbapiInstrumentor().statistics() if hook.errors] == []
