"""Tables of one name in several schemas of a PostgreSQL database are told apart, from statement to DDL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
import pytest

from scripts.servers import DatabaseServer
from tickspan import QueryOptimizer
from tickspan.analysis.indexes import IndexAdvice, WorkloadQuery
from tickspan.analysis.indexes.advice import advise
from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.processors.queries.probes.postgresql import PostgresqlProbe
from tickspan.processors.queries.whatif.hypopg import HypopgWhatIf

pytestmark = pytest.mark.backends

_NAME = "namespaces"
_SCHEMA = (
    "CREATE EXTENSION hypopg",
    "CREATE SCHEMA trading",
    "CREATE SCHEMA archive",
    'CREATE SCHEMA "My Desk"',
    "CREATE TABLE trading.orders (id int PRIMARY KEY, symbol text, note text)",
    "CREATE TABLE archive.orders (id int PRIMARY KEY, symbol text, venue text, note text)",
    'CREATE TABLE "My Desk".orders (id int PRIMARY KEY, symbol text, note text)',
    "CREATE TABLE archive.fills (id int PRIMARY KEY, order_id int, note text)",
    "INSERT INTO trading.orders SELECT n, 'S' || n % 2000, repeat('x', 60) FROM generate_series(1, 20000) n",
    """INSERT INTO archive.orders SELECT n, 'S' || n % 2000, 'V' || n % 3000, repeat('x', 60)
       FROM generate_series(1, 30000) n""",
    """INSERT INTO "My Desk".orders SELECT n, 'S' || n % 2000, repeat('x', 60)
       FROM generate_series(1, 20000) n""",
    "INSERT INTO archive.fills SELECT n, n % 9000, repeat('x', 60) FROM generate_series(1, 30000) n",
    "VACUUM ANALYZE",
)

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def database(hypopg_server: DatabaseServer) -> Iterator[str]:
    address = f"{hypopg_server.url.rpartition('/')[0]}/{_NAME}"
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_NAME}")
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in _SCHEMA:
            connection.execute(statement.encode())
    yield address
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {_NAME} WITH (FORCE)")


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened


def _with_path(database: str, *namespaces: str) -> str:
    return f"{database}?options=-csearch_path%3D{','.join(namespaces)}"


def _advised(database: str, *statements: str) -> list[IndexAdvice]:
    queries = [WorkloadQuery(sql, canonicalise(sql, Dialect.POSTGRESQL).fingerprint) for sql in statements]
    with PostgresqlProbe(database) as probe:
        schema = probe.schema()
        with HypopgWhatIf(probe, schema) as whatif:
            found = advise(queries, schema, Dialect.POSTGRESQL, whatif=whatif)
    assert found.unknown == ()
    return sorted(found.advice, key=lambda advice: advice.index.table)


def _run(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement.encode())


def _plan(connection: Connection, sql: str) -> str:
    return "\n".join(str(row[0]) for row in connection.execute(f"EXPLAIN {sql}".encode()))


def test_the_ddl_names_a_table_outside_of_the_search_path_with_its_schema(
    database: str, connection: Connection
) -> None:
    sql = "SELECT * FROM archive.orders WHERE venue = 'V7'"
    (advice,) = _advised(database, sql)
    _run(connection, advice.ddl)
    plan = _plan(connection, sql)
    again = _advised(database, sql)
    _run(connection, advice.rollback_ddl)
    gone = connection.execute("SELECT to_regclass(%s)", (f"archive.{advice.name}",)).fetchone()
    assert (advice.ddl[1], advice.rollback_ddl[1]) == (
        "CREATE INDEX CONCURRENTLY ix_orders_venue ON archive.orders (venue)",
        "DROP INDEX CONCURRENTLY IF EXISTS archive.ix_orders_venue",
    )
    assert ("ix_orders_venue" in plan, again, gone) == (True, [], (None,))


def test_tables_of_one_name_each_get_their_own_index_under_a_name_of_its_own(
    database: str, connection: Connection
) -> None:
    places = ('"My Desk"', "archive", "trading")
    statements = [f"SELECT * FROM {place}.orders WHERE symbol = 'S7'" for place in places]
    advised = _advised(database, *statements)
    for advice in advised:
        _run(connection, advice.ddl)
    plans = [_plan(connection, sql) for sql in statements]
    for advice in advised:
        _run(connection, advice.rollback_ddl)
    assert [advice.index.table for advice in advised] == [
        "My Desk.orders",
        "archive.orders",
        "trading.orders",
    ]
    assert len({advice.name for advice in advised}) == len({advice.id for advice in advised}) == 3
    assert [advice.name in plan for advice, plan in zip(advised, plans, strict=True)] == [True] * 3
    left = connection.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'ix\\_%'").fetchone()
    assert left == (0,)


def test_a_name_without_a_schema_is_the_first_of_the_search_path(database: str) -> None:
    address = _with_path(database, "trading", "archive")
    advised = _advised(
        address, "SELECT * FROM orders WHERE symbol = 'S7'", "SELECT * FROM fills WHERE order_id = 7"
    )
    assert [advice.index.table for advice in advised] == ["archive.fills", "trading.orders"]


def test_a_join_of_tables_of_one_name_is_read_column_by_column(database: str) -> None:
    sql = "SELECT o.note FROM trading.orders o JOIN archive.orders a ON a.venue = o.symbol WHERE o.id = 7"
    assert [(advice.index.table, advice.index.keys) for advice in _advised(database, sql)] == [
        ("archive.orders", ("venue",))
    ]


def test_findings_about_a_plan_name_the_table_with_its_schema(database: str) -> None:
    with PostgresqlProbe(database) as probe:
        optimizer = QueryOptimizer(probe=probe)
        asked = {
            sql: [
                found.advice
                for found in optimizer.analyze_query(sql).findings
                if found.rule == "seq_scan_selective"
            ]
            for sql in (
                "SELECT id FROM archive.orders WHERE venue = 'V7'",
                """SELECT id FROM "My Desk".orders WHERE symbol = 'S7'""",
            )
        }
    assert list(asked.values()) == [
        ["CREATE INDEX CONCURRENTLY ON archive.orders (venue);"],
        ['CREATE INDEX CONCURRENTLY ON "My Desk".orders (symbol);'],
    ]
