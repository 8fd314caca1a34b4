"""A planted trading workload gets the indexes that are best for it, on every database, and without harm."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pymysql
import pytest

from scripts.servers import DatabaseServer
from tickspan.analysis.indexes import IndexSpec, WorkloadQuery
from tickspan.analysis.indexes.advice import WorkloadAnalysis, advise
from tickspan.analysis.indexes.whatif import NoPlan, WhatIf
from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.analysis.sql.schema import Schema
from tickspan.processors.queries.catalogs.postgresql import read_statistics_age_s
from tickspan.processors.queries.probes.mysql import MysqlProbe
from tickspan.processors.queries.probes.postgresql import PostgresqlProbe
from tickspan.processors.queries.probes.sqlite import SqliteProbe
from tickspan.processors.queries.whatif.hypopg import HypopgWhatIf
from tickspan.processors.queries.whatif.mariadb import MariadbWhatIf
from tickspan.processors.queries.whatif.sqlite import SqliteWhatIf

pytestmark = pytest.mark.backends

_NAME = "index_advice"
_SCRATCH = "index_advice_scratch"
_TABLES = (
    "CREATE TABLE accounts (id integer PRIMARY KEY, owner varchar(20), region varchar(8))",
    """CREATE TABLE orders (id integer PRIMARY KEY, account_id integer, symbol varchar(8), status varchar(8),
       price decimal(18,8), created_at timestamp, note varchar(100))""",
    """CREATE TABLE fills (id integer PRIMARY KEY, order_id integer, venue varchar(8), price decimal(18,8),
       note varchar(100))""",
    """CREATE TABLE ticks (id integer PRIMARY KEY, symbol varchar(8), bid decimal(18,8), ask decimal(18,8),
       ts timestamp)""",
)
_QUERIES = {
    "latest ticks": "SELECT * FROM ticks WHERE symbol = ? ORDER BY ts DESC LIMIT 10",
    "fills of an order": "SELECT * FROM fills WHERE order_id = ?",
    "orders in a window": (
        "SELECT o.*, a.owner FROM orders o JOIN accounts a ON a.id = o.account_id"
        " WHERE o.symbol = ? AND o.created_at > ? AND o.created_at < ?"
    ),
    "an account": "SELECT owner FROM accounts WHERE id = ?",
    "a write": "INSERT INTO fills (id, order_id, venue, price) VALUES (?, ?, ?, ?)",
}
_BEST = {
    ("fills", ("order_id",)),
    ("orders", ("symbol", "created_at")),
    ("ticks", ("symbol", "ts DESC")),
}


def _rows() -> dict[str, list[tuple[Any, ...]]]:
    random, begun = Random(7), datetime(2026, 1, 5, 9, 30)  # noqa: DTZ001 - the columns know no zone
    symbols = [f"S{number:03}" for number in range(200)]
    return {
        "accounts": [(n, f"owner {n}", random.choice(("eu", "us"))) for n in range(1, 2001)],
        "orders": [
            (
                n,
                random.randrange(1, 2001),
                random.choice(symbols),
                "open",
                n / 8,
                str(begun + timedelta(seconds=n)),
                "x" * 60,
            )
            for n in range(1, 20_001)
        ],
        "fills": [
            (n, random.randrange(1, 20_001), random.choice("ABC"), n / 8, "x" * 60) for n in range(1, 20_001)
        ],
        "ticks": [
            (n, random.choice(symbols), 1, 2, str(begun + timedelta(seconds=n))) for n in range(1, 40_001)
        ],
    }


def _fill(connection: Any, mark: str) -> None:
    cursor = connection.cursor()
    for table in _TABLES:
        cursor.execute(table)
    for name, rows in _rows().items():
        marks = ", ".join([mark] * len(rows[0]))
        cursor.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)


def _workload(dialect: Dialect, *more: str) -> list[WorkloadQuery]:
    texts = [*_QUERIES.items(), *((sql, sql) for sql in more)]
    return [WorkloadQuery(sql, canonicalise(sql, dialect).fingerprint, name=name) for name, sql in texts]


def _advised(found: WorkloadAnalysis) -> set[tuple[str, tuple[str, ...]]]:
    return {(advice.index.table.rpartition(".")[2], advice.index.keys) for advice in found.advice}


def _relative(whatif: WhatIf, queries: Sequence[WorkloadQuery], indexes: Sequence[IndexSpec]) -> list[float]:
    return [whatif.used(query, indexes).cost / whatif.used(query, ()).cost for query in queries]


# --- PostgreSQL


@pytest.fixture(scope="module")
def postgresql(hypopg_server: DatabaseServer) -> Iterator[str]:
    address = f"{hypopg_server.url.rpartition('/')[0]}/{_NAME}"
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_NAME}")
        connection.execute(f"ALTER DATABASE {_NAME} SET log_statement = 'all'")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION hypopg")
        connection.execute("CREATE EXTENSION pg_stat_statements")
        _fill(connection, "%s")
        connection.execute("VACUUM ANALYZE")
    yield address
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {_NAME} WITH (FORCE)")


def test_postgresql_is_advised_the_best_indexes_and_each_is_worth_it_when_built(postgresql: str) -> None:
    queries = _workload(Dialect.POSTGRESQL)
    with PostgresqlProbe(postgresql) as probe:
        schema = probe.schema()
        with HypopgWhatIf(probe, schema) as whatif:
            found = advise(queries, schema, Dialect.POSTGRESQL, whatif=whatif)
        assert (_advised(found), found.unknown) == (_BEST, ())
        reads = queries[:3]
        with psycopg.connect(postgresql, autocommit=True) as connection:
            for advice in found.advice:
                for statement in advice.ddl:
                    connection.execute(statement.encode())
            try:
                built = HypopgWhatIf(probe, schema)
                real = [built.used(query, ()).cost for query in reads]
                sizes = dict(
                    connection.execute(
                        "SELECT relname::text, pg_relation_size(oid) FROM pg_class"
                        " WHERE relname LIKE 'ix\\_%'"
                    ).fetchall()
                )
            finally:
                for advice in found.advice:
                    for statement in advice.rollback_ddl:
                        connection.execute(statement.encode())
    after = {change.query.fingerprint: change.after for change in found.queries}
    assert real == pytest.approx([after[query.fingerprint] for query in reads], rel=0.3)
    assert {advice.name: advice.size_bytes for advice in found.advice} == {
        name: pytest.approx(size, rel=0.25) for name, size in sizes.items()
    }


def test_an_index_that_is_there_is_not_advised_again(postgresql: str) -> None:
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("CREATE INDEX known ON ticks (symbol, ts)")
        try:
            with PostgresqlProbe(postgresql) as probe:
                schema = probe.schema()
                with HypopgWhatIf(probe, schema) as whatif:
                    found = advise(_workload(Dialect.POSTGRESQL), schema, Dialect.POSTGRESQL, whatif=whatif)
        finally:
            connection.execute("DROP INDEX known")
    assert _advised(found) == {best for best in _BEST if best[0] != "ticks"}


def test_advice_stays_within_the_storage_it_may_take(postgresql: str) -> None:
    with PostgresqlProbe(postgresql) as probe:
        schema = probe.schema()
        with HypopgWhatIf(probe, schema) as whatif:
            found = advise(
                _workload(Dialect.POSTGRESQL),
                schema,
                Dialect.POSTGRESQL,
                whatif=whatif,
                storage_bytes=1_000_000,
            )
    assert found.size_bytes is not None
    assert 0 < found.size_bytes <= 1_000_000


def test_what_the_server_counted_is_a_workload(postgresql: str) -> None:
    with PostgresqlProbe(postgresql) as probe:
        with psycopg.connect(postgresql, autocommit=True) as connection:
            connection.execute("SELECT pg_stat_statements_reset()")
            for order in range(5):
                connection.execute("SELECT * FROM fills WHERE order_id = %s", (order,))
            connection.execute("SELECT count(*) FROM ticks WHERE ts > now() - interval '1 day'")
        queries = [
            WorkloadQuery(counted.sql, counted.sql, counted.calls, counted.total_s / counted.calls)
            for counted in probe.counted()
        ]
        schema = probe.schema()
        with HypopgWhatIf(probe, schema) as whatif:
            found = advise(queries, schema, Dialect.POSTGRESQL, whatif=whatif)
        age_s = read_statistics_age_s(probe.session())
    assert max(query.calls for query in queries if "FROM fills" in query.sql) == 5
    assert {"ticks", "fills"} <= {advice.index.table.rpartition(".")[2] for advice in found.advice}
    assert age_s > 0


_HARMLESS = re.compile(
    r"(?:/\* .* \*/ )?(?:BEGIN READ ONLY|ROLLBACK|SET LOCAL \w+ = \w+|PREPARE tickspan_probe AS "
    r"(?:SELECT|INSERT INTO|UPDATE|DELETE)|EXPLAIN \(FORMAT JSON\) |DEALLOCATE tickspan_probe|"
    r"SELECT \S*hypopg_(?:reset|create_index|drop_index)\(|SELECT indexrelid, indexname FROM \S*hypopg_|"
    r"\s*SELECT (?:(?!\bINTO\b).)*\bpg_catalog\.|SELECT coalesce\(pg_catalog)",
    re.DOTALL,
)


def test_the_log_shows_catalog_reads_plans_and_hypotheses_alone(
    postgresql: str, hypopg_server: DatabaseServer
) -> None:
    begun = hypopg_server.log.stat().st_size
    hostile = _workload(
        Dialect.POSTGRESQL,
        "SELECT 1; DROP TABLE fills",
        "SELECT pg_sleep(9) FROM fills WHERE order_id = 1",
        "WITH gone AS (DELETE FROM fills RETURNING id) SELECT * FROM gone WHERE id = 4",
        "SELECT nextval('x') FROM fills WHERE venue = 'A'",
        "EXPLAIN ANALYZE DELETE FROM fills WHERE id = 4",
        "DELETE FROM fills WHERE price > 1",
        "SELECT * FROM fills WHERE note = E'\\'; DROP TABLE fills; --'",
        "CALL boom()",
    )
    with PostgresqlProbe(postgresql) as probe:
        schema = probe.schema()
        with HypopgWhatIf(probe, schema) as whatif:
            advise(hostile, schema, Dialect.POSTGRESQL, whatif=whatif)
    with psycopg.connect(postgresql) as connection:
        assert connection.execute("SELECT count(*) FROM fills").fetchone() == (20_000,)
    with hypopg_server.log.open(encoding="utf-8") as log:
        log.seek(begun)
        written = log.read()
    lines = re.split(r"\n(?=\d{4}-\d\d-\d\d )", written)
    asked = [
        match[1]
        for line in lines
        if f"@{_NAME} tickspan" in line
        and (match := re.search(r"LOG:  (?:statement|execute [^:]+): (.*)", line, re.DOTALL))
    ]
    assert len(asked) > 100
    assert [text for text in asked if not _HARMLESS.match(text)] == []


def test_without_hypopg_it_says_what_to_do(hypopg_server: DatabaseServer) -> None:
    with (
        PostgresqlProbe(hypopg_server.url) as probe,
        pytest.raises(LookupError, match="CREATE EXTENSION hypopg"),
    ):
        HypopgWhatIf(probe, Schema())


def test_a_partitioned_table_is_read_with_its_partitions_and_gets_a_valid_index(postgresql: str) -> None:
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE bars (symbol text, at timestamptz, high numeric) PARTITION BY RANGE (at)"
        )
        try:
            for year in (2025, 2026):
                partition = (
                    f"CREATE TABLE bars_{year} PARTITION OF bars"
                    f" FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
                )
                connection.execute(partition.encode())
            with PostgresqlProbe(postgresql) as probe:
                schema = probe.schema()
            table = schema.table("bars")
            assert table is not None
            query = WorkloadQuery("SELECT max(high) FROM bars WHERE symbol = 'A' AND at > now()", "f")
            (advice,) = advise(
                [query], Schema((replace(table, rows=9_000),), "public"), Dialect.POSTGRESQL
            ).advice
            for statement in advice.ddl:
                connection.execute(statement.encode())
            with PostgresqlProbe(postgresql) as probe:
                built = probe.schema().table("bars")
            assert built is not None
            for statement in advice.rollback_ddl:
                connection.execute(statement.encode())
        finally:
            connection.execute("DROP TABLE bars")
    assert (table.is_partitioned, table.partition_key, table.partitions) == (
        True,
        ("at",),
        ("bars_2025", "bars_2026"),
    )
    assert [(index.columns, index.is_valid) for index in built.indexes] == [(("symbol", "at"), True)]


# --- MariaDB


@pytest.fixture(scope="module")
def mariadb(mariadb_server: DatabaseServer) -> Iterator[str]:
    with _mariadb(mariadb_server) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {_NAME}")
        cursor.execute(f"CREATE DATABASE {_SCRATCH}")
        cursor.execute(f"USE {_NAME}")
        _fill(connection, "%s")
        for name in ("accounts", "orders", "fills", "ticks"):
            cursor.execute(f"ANALYZE TABLE {name} PERSISTENT FOR ALL")
        yield f"mysql://root@127.0.0.1:{mariadb_server.port}/{_NAME}"
        cursor.execute(f"DROP DATABASE {_NAME}")
        cursor.execute(f"DROP DATABASE {_SCRATCH}")


def _mariadb(server: DatabaseServer) -> pymysql.Connection[Any]:
    return pymysql.connect(host="127.0.0.1", port=server.port, user="root", autocommit=True)


def _left_behind(server: DatabaseServer) -> list[tuple[int]]:
    with _mariadb(server) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = %s"
            " UNION ALL SELECT count(*) FROM mysql.table_stats WHERE db_name = %s"
            " UNION ALL SELECT count(*) FROM mysql.column_stats WHERE db_name = %s"
            " UNION ALL SELECT count(*) FROM mysql.index_stats WHERE db_name = %s",
            (_SCRATCH,) * 4,
        )
        return list(cursor.fetchall())


def test_mariadb_is_advised_the_best_indexes_from_empty_twins_that_go(
    mariadb: str, mariadb_server: DatabaseServer
) -> None:
    with MysqlProbe(mariadb) as probe:
        schema = probe.schema()
    with MariadbWhatIf(mariadb, schema, _SCRATCH) as whatif:
        found = advise(_workload(Dialect.MYSQL), schema, Dialect.MYSQL, whatif=whatif)
    assert (_advised(found), found.unknown) == (_BEST, ())
    assert _left_behind(mariadb_server) == [(0,)] * 4
    with _mariadb(mariadb_server) as connection, connection.cursor() as cursor:
        for advice in found.advice:
            for statement in (*advice.ddl, *advice.rollback_ddl):
                cursor.execute(statement)


def test_twins_go_when_the_search_fails(mariadb: str, mariadb_server: DatabaseServer) -> None:
    with MysqlProbe(mariadb) as probe:
        schema = probe.schema()
    with pytest.raises(NoPlan), MariadbWhatIf(mariadb, schema, _SCRATCH) as whatif:
        whatif.used(WorkloadQuery("SELECT sleep(9)", "f"), [IndexSpec(f"{_NAME}.fills", ("order_id",))])
    assert _left_behind(mariadb_server) == [(0,)] * 4


def test_only_an_empty_scratch_schema_is_written_to(mariadb: str) -> None:
    with MysqlProbe(mariadb) as probe:
        schema = probe.schema()
    for name, told in (
        (_NAME, "the database itself"),
        ("nowhere", "no schema nowhere"),
        ("mysql", "not empty"),
    ):
        with pytest.raises(LookupError, match=told):
            MariadbWhatIf(mariadb, schema, name)


# --- SQLite


def test_sqlite_is_advised_the_best_indexes_and_its_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "trading.db"
    with sqlite3.connect(path) as file:
        _fill(file, "?")
        file.execute("ANALYZE")
    before = path.read_bytes()
    queries = _workload(Dialect.SQLITE)
    with SqliteProbe(path) as probe:
        schema = probe.schema()
        with SqliteWhatIf(probe, schema) as whatif:
            found = advise(queries, schema, Dialect.SQLITE, whatif=whatif)
            relative = _relative(whatif, queries[:3], [advice.index for advice in found.advice])
    assert (_advised(found), found.unknown) == (_BEST, ())
    assert max(relative) < 0.1
    assert path.read_bytes() == before
    with sqlite3.connect(path) as file:
        for advice in found.advice:
            for statement in advice.ddl:
                file.execute(statement)
        file.execute("ANALYZE")
        used = {
            row[3].partition("USING INDEX ")[2].partition(" ")[0]
            for query in queries[:3]
            for row in file.execute(f"EXPLAIN QUERY PLAN {query.sql}", [None] * query.sql.count("?"))
        }
    file.close()
    assert {advice.name for advice in found.advice} <= used
