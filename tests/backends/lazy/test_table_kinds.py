"""What is particular to a database: row numbers of SQLite, inexact floats, engines of every kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import sqlalchemy as sa
from trades import create_trades, trades

from tickspan import lazy


@pytest.fixture
def memory() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", connect_args={"isolation_level": None})
    yield engine
    engine.dispose()


def filled(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.integration
def test_a_database_in_memory_is_read_on_its_own_thread(memory: sa.Engine) -> None:
    create_trades(memory, 100)
    rows = lazy.rows(lazy.table(memory, "trades"), chunk=7)
    assert list(rows) == trades(1, 100)
    assert list(lazy.rows(lazy.table(memory, "trades", snapshot=True), chunk=7)) == trades(1, 100)


@pytest.mark.integration
def test_a_table_of_sqlite_without_a_key_is_read_by_its_row_number(memory: sa.Engine) -> None:
    filled(
        memory,
        "CREATE TABLE log (rowid TEXT, line TEXT)",
        "INSERT INTO log VALUES ('x', 'b'), ('y', 'a'), ('z', 'b')",
    )
    source = lazy.table(memory, "log")
    rows = lazy.rows(source, chunk=1)
    first = list(islice(rows, 1))
    assert first + list(lazy.rows(source, chunk=1, resume=rows.token)) == [("x", "b"), ("y", "a"), ("z", "b")]
    assert list(lazy.rows(lazy.table(memory, "log", key="-line"), chunk=1)) == [
        ("z", "b"),
        ("x", "b"),
        ("y", "a"),
    ]


@pytest.mark.integration
def test_a_primary_key_of_sqlite_that_may_be_null_is_not_taken_for_unique(memory: sa.Engine) -> None:
    filled(
        memory,
        "CREATE TABLE names (name TEXT PRIMARY KEY)",
        "INSERT INTO names VALUES (NULL), ('b'), (NULL), ('a'), (NULL)",
    )
    got = list(lazy.rows(lazy.table(memory, "names"), chunk=1))
    assert got == [(None,), (None,), (None,), ("a",), ("b",)]


@pytest.mark.integration
def test_a_table_without_row_numbers_is_read_by_its_primary_key(memory: sa.Engine) -> None:
    filled(
        memory,
        "CREATE TABLE pairs (a INTEGER, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID",
        "INSERT INTO pairs VALUES (1, 'y'), (1, 'x'), (0, 'z')",
    )
    assert list(lazy.rows(lazy.table(memory, "pairs"), chunk=1)) == [(0, "z"), (1, "x"), (1, "y")]


@pytest.mark.integration
def test_values_of_different_kinds_in_one_column_keep_sqlites_order(memory: sa.Engine) -> None:
    filled(
        memory,
        "CREATE TABLE odd (id INTEGER PRIMARY KEY, value)",
        "INSERT INTO odd (value) VALUES ('10'), (2), (x'01'), (NULL), (1.5), ('2'), (9007199254740993), (-1)",
    )
    with memory.connect() as connection:
        wanted = [row[0] for row in connection.exec_driver_sql("SELECT value FROM odd ORDER BY value, id")]
    source = lazy.table(memory, "odd", key="value", columns=["value"])
    assert [row[0] for row in lazy.rows(source, chunk=1)] == wanted


@pytest.mark.integration
def test_a_url_and_a_function_that_connects_are_engines_too(sqlite: sa.URL) -> None:
    path = sqlite.database or ""
    by_url = lazy.rows(lazy.table(f"sqlite:///{path}", "trades"), chunk=1000)
    assert list(by_url) == trades(1, 5000)
    made: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        made.append(sqlite3.connect(path, check_same_thread=False))
        return made[-1]

    assert list(islice(lazy.rows(lazy.table(connect, "trades"), chunk=1000), 1500)) == trades(1, 1500)
    with pytest.raises(sqlite3.ProgrammingError):
        made[-1].execute("SELECT 1")  # it was closed


@pytest.mark.backends
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_key_of_single_precision_loses_nothing_on_postgresql(postgresql: sa.URL, driver: str) -> None:
    engine = sa.create_engine(postgresql.set(drivername=f"postgresql+{driver}"))
    filled(
        engine,
        "CREATE TABLE floats (id integer PRIMARY KEY, value real)",
        "INSERT INTO floats SELECT n, n * 0.1 FROM generate_series(1, 50) n",
        "INSERT INTO floats VALUES (51, 'NaN'), (52, 'infinity'), (53, 'NaN'), (54, '-infinity'), (55, NULL)",
    )
    try:
        got = [row[0] for row in lazy.rows(lazy.table(engine, "floats", key="value"), chunk=1)]
        assert got == [54, *range(1, 51), 52, 51, 53, 55]
    finally:
        filled(engine, "DROP TABLE floats")
        engine.dispose()


@pytest.mark.backends
def test_keys_that_do_not_come_back_exactly_are_refused_on_mariadb(mariadb: sa.URL) -> None:
    engine = sa.create_engine(mariadb)
    filled(
        engine,
        "CREATE TABLE inexact (id INTEGER PRIMARY KEY, f FLOAT, e ENUM('z', 'a'), d DOUBLE NOT NULL)",
        "INSERT INTO inexact VALUES (1, 0.1, 'z', 0.1), (2, 0.1, 'a', 1e-300)",
        "INSERT INTO inexact VALUES (3, 0.2, 'a', 0.30000000000000004)",
    )
    try:
        for column, kind in (("f", "FLOAT"), ("e", "ENUM")):
            with pytest.raises(ValueError, match=f"{column} cannot be paged by: a {kind}"):
                next(lazy.rows(lazy.table(engine, "inexact", key=column)))
        got = [row[0] for row in lazy.rows(lazy.table(engine, "inexact", key="d"), chunk=1)]
        assert got == [2, 1, 3]
    finally:
        filled(engine, "DROP TABLE inexact")
        engine.dispose()


@pytest.mark.backends
def test_keys_of_every_type_come_back_on_postgresql(postgresql: sa.URL) -> None:
    columns: dict[str, list[str]] = {
        "numeric": ["1.10", "2", "-3.000000000000000000001"],
        "timestamptz": ["2026-01-01 00:00:00.000001+03", "2026-01-01 00:00:00+00", "1999-12-31 23:59:59-05"],
        "timestamp": ["2026-01-01 00:00:00.000001", "2025-01-01", "2027-01-01"],
        "date": ["2026-01-01", "2025-01-01", "2027-01-01"],
        "interval": ["1 day", "-1 hour", "3 microseconds"],
        "uuid": [f"{digit * 8}-0000-0000-0000-000000000000" for digit in "1f0"],
        "bytea": ["\\x00ff", "\\x", "\\x01"],
        "double precision": ["0.1", "0.30000000000000004", "-1e-300"],
        "text": ["é", "", "zz"],
        "char(3)": ["a", "ab", "b"],
        "boolean": ["t", "f", "t"],
    }
    engine = sa.create_engine(postgresql)
    try:
        for kind, values in columns.items():
            filled(
                engine,
                "DROP TABLE IF EXISTS typed",
                f"CREATE TABLE typed (id integer PRIMARY KEY, value {kind})",
                *(f"INSERT INTO typed VALUES ({number}, '{value}')" for number, value in enumerate(values)),
            )
            with engine.connect() as connection:
                wanted = connection.exec_driver_sql("SELECT id FROM typed ORDER BY value, id").fetchall()
            assert resumed_each(lazy.table(engine, "typed", key="value", columns=["id"])) == wanted, kind
    finally:
        filled(engine, "DROP TABLE typed")
        engine.dispose()


def resumed_each(source: Any) -> list[Any]:
    """The rows, each by a token of the one before."""
    got: list[Any] = []
    token = None
    while True:
        rows = lazy.rows(source, chunk=1, resume=token)
        some = list(islice(rows, 1))
        if not some:
            return got
        got += some
        token = rows.token
