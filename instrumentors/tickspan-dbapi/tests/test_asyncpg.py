"""asyncpg against a real PostgreSQL: every way to send a statement is one span."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import asyncpg
import pytest
from tickspan.testing import Capture

pytestmark = [pytest.mark.integration, pytest.mark.backends]

Story = Callable[[], list[tuple[str, dict[str, Any]]]]
Use = Callable[[Any], Any]

TABLE = """
    DROP TABLE IF EXISTS orders;
    CREATE TABLE orders (id serial PRIMARY KEY, symbol text UNIQUE, quantity int NOT NULL);
    INSERT INTO orders (symbol, quantity) VALUES ('A', 1), ('B', 2), ('C', 3);
"""
SELECT = "SELECT symbol FROM orders WHERE quantity > $1 ORDER BY id"
TOLD_SELECT = {"db.query.text": "SELECT symbol FROM orders WHERE quantity > ? ORDER BY id"}


async def _with_connection(url: str, use: Use) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await use(connection)
    finally:
        await connection.close()


@pytest.fixture
def run(postgresql_server: str) -> Generator[Callable[[Use], Any]]:
    """Runs a coroutine function of a connection; the table `orders` holds three rows."""

    async def script(connection: Any, text: str) -> None:
        await connection.execute(text)

    asyncio.run(_with_connection(postgresql_server, lambda connection: script(connection, TABLE)))
    yield lambda use: asyncio.run(_with_connection(postgresql_server, use))
    asyncio.run(
        _with_connection(postgresql_server, lambda connection: script(connection, "DROP TABLE orders"))
    )


@pytest.fixture
def recorded(run: Callable[[Use], Any], recorded: Capture) -> Capture:
    """Telemetry of what is run after the table was made."""
    return recorded


def test_every_kind_of_fetch_is_one_span_with_its_rows(
    run: Callable[[Use], Any], recorded: Capture, story: Story
) -> None:
    async def use(connection: Any) -> None:
        assert len(await connection.fetch(SELECT, 0)) == 3
        assert (await connection.fetchrow(SELECT, 1))["symbol"] == "B"
        assert await connection.fetchval(SELECT, 2) == "C"
        assert await connection.execute("UPDATE orders SET quantity = $1", 9) == "UPDATE 3"

    run(use)
    assert story() == [
        ("SELECT orders", {**TOLD_SELECT, "db.response.returned_rows": 3}),
        ("SELECT orders", {**TOLD_SELECT, "db.response.returned_rows": 1}),
        ("SELECT orders", {**TOLD_SELECT, "db.response.returned_rows": 1}),
        (
            "UPDATE orders",
            {
                "db.query.text": "UPDATE orders SET quantity = ?",
                "tickspan.db.findings": ("write_without_where",),
                "tickspan.db.rows_affected": 3,
            },
        ),
    ]


def test_where_statements_go(run: Callable[[Use], Any], recorded: Capture, postgresql_server: str) -> None:
    async def use(connection: Any) -> None:
        await connection.fetch(SELECT, 0)

    run(use)
    told = recorded.spans()[0].attributes
    server = f"postgresql://postgres@{told['server.address']}:{told['server.port']}/{told['db.namespace']}"
    assert (told["db.system.name"], server.partition("@")[2]) == (
        "postgresql",
        postgresql_server.partition("@")[2],
    )


def test_a_transaction_is_begun_and_ended_by_statements(
    run: Callable[[Use], Any], recorded: Capture, story: Story
) -> None:
    async def use(connection: Any) -> None:
        async with connection.transaction():
            await connection.fetch(SELECT, 0)
            async with connection.transaction():
                await connection.execute("DELETE FROM orders WHERE id = $1", 1)

    run(use)
    told = story()
    commit = dict(told[-1][1])
    assert [name for name, _ in told] == [
        *("BEGIN", "SELECT orders", "SAVEPOINT", "DELETE orders", "RELEASE SAVEPOINT", "COMMIT"),
    ]
    assert (
        commit["tickspan.db.transaction.statements"],
        commit["tickspan.db.transaction.writes"],
    ) == (2, 1)
    ids = {span.attributes["tickspan.db.transaction.id"] for span in recorded.spans()}
    assert len(ids) == 1


def test_a_prepared_statement_tells_each_execution(
    run: Callable[[Use], Any], recorded: Capture, story: Story
) -> None:
    async def use(connection: Any) -> None:
        prepared = await connection.prepare(SELECT)
        assert len(await prepared.fetch(0)) == 3
        assert await prepared.fetchval(2) == "C"
        insert = await connection.prepare("INSERT INTO orders (symbol, quantity) VALUES ($1, $2)")
        await insert.executemany([("D", 4), ("E", 5)])

    run(use)
    assert story() == [
        ("SELECT orders", {**TOLD_SELECT, "db.response.returned_rows": 3}),
        ("SELECT orders", {**TOLD_SELECT, "db.response.returned_rows": 1}),
        ("INSERT orders", {"db.query.text": "INSERT INTO orders (symbol, quantity) VALUES (?, ?)"}),
    ]


def test_executemany_is_one_batch(run: Callable[[Use], Any], recorded: Capture, story: Story) -> None:
    async def use(connection: Any) -> None:
        await connection.executemany(
            "INSERT INTO orders (symbol, quantity) VALUES ($1, $2)", [("D", 4), ("E", 5)]
        )

    run(use)
    batch = {
        "db.query.text": "INSERT INTO orders (symbol, quantity) VALUES (?, ?)",
        "db.operation.name": "BATCH INSERT",
        "db.operation.batch.size": 2,
    }
    assert story() == [("INSERT orders", batch)]


def test_a_cursor_tells_each_time_it_asks_for_rows(
    run: Callable[[Use], Any], recorded: Capture, story: Story
) -> None:
    async def use(connection: Any) -> None:
        async with connection.transaction():
            found = [row["symbol"] async for row in connection.cursor(SELECT, 0, prefetch=2)]
            assert found == ["A", "B", "C"]

    run(use)
    assert story()[1:3] == [
        ("SELECT orders", {**TOLD_SELECT, "db.response.returned_rows": 2}),
        ("SELECT orders", {**TOLD_SELECT, "db.response.returned_rows": 1}),
    ]


def test_copy_is_a_statement(run: Callable[[Use], Any], recorded: Capture, story: Story) -> None:
    async def use(connection: Any) -> None:
        await connection.copy_records_to_table(
            "orders", records=[("D", 4), ("E", 5)], columns=["symbol", "quantity"]
        )
        sent: list[bytes] = []

        async def take(data: bytes) -> None:
            sent.append(data)

        assert await connection.copy_from_query("SELECT symbol FROM orders", output=take) == "COPY 5"

    run(use)
    told = story()
    assert [name for name, _ in told] == ["COPY orders", "COPY SELECT orders"]
    assert told[0][1] == {"db.query.text": "COPY orders FROM STDIN", "tickspan.db.rows_affected": 2}


def test_cleaning_a_pools_connection_is_not_the_applications(
    run: Callable[[Use], Any], recorded: Capture, postgresql_server: str
) -> None:
    async def main() -> None:
        async with asyncpg.create_pool(postgresql_server, min_size=1, max_size=1) as pool:
            for _ in range(2):
                assert await pool.fetchval("SELECT 1") == 1

    asyncio.run(main())
    assert [span.name for span in recorded.spans()] == ["SELECT", "SELECT"]


def test_a_cancelled_statement_ends_with_the_cancellation(
    run: Callable[[Use], Any], recorded: Capture
) -> None:
    async def use(connection: Any) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(connection.fetch("SELECT pg_sleep(30)"), timeout=0.2)

    run(use)
    cancelled = recorded.spans()[0]
    assert (cancelled.status, cancelled.attributes["error.type"]) == (
        "error",
        "asyncio.exceptions.CancelledError",
    )


def test_a_refused_row_names_its_constraint(run: Callable[[Use], Any], recorded: Capture) -> None:
    async def use(connection: Any) -> None:
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO orders (symbol, quantity) VALUES ($1, 1)", "A")

    run(use)
    refused = recorded.spans()[0]
    assert refused.description == "UniqueViolationError 23505 constraint orders_symbol_key table orders"
    assert "(A)" not in repr(refused)
