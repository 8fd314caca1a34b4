"""Why a database cannot be reached is told; who wanted to reach it, and with what password, is not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tickspan.processors.queries.probes import reasons


@pytest.mark.parametrize(
    ("dsn", "told"),
    [
        ("postgresql://me:s3cret@db.example:5432/book", "PostgreSQL at db.example:5432: why"),
        ("postgresql://me:s3cret@db.example/book?sslmode=require", "PostgreSQL at db.example: why"),
        ("postgresql://me:s3cret@[::1]:5432/book", "PostgreSQL at [::1]:5432: why"),
        ("postgresql:///book?host=/run/postgresql", "PostgreSQL: why"),
        ("host=db.example user=me password=s3cret", "PostgreSQL: why"),
        ("postgresql://me:s3cret@db.example:port/book", "PostgreSQL: why"),
        ("postgresql://me:s3cret@[::1/book", "PostgreSQL: why"),
    ],
)
def test_the_place_is_host_and_port_of_a_url_and_nothing_else(dsn: str, told: str) -> None:
    assert str(reasons.unreachable("PostgreSQL", dsn, "why")) == told


class _FakeError(Exception):
    sqlstate: str | None = None


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ('connection to server at "127.0.0.1", port 1 failed: Connection refused', "nobody answers there"),
        ('could not translate host name "s3cret" to address', "its host has no address"),
        ('FATAL: password authentication failed for user "s3cret"', "the account or its password is refused"),
        ('FATAL: database "s3cret" does not exist', "there is no such database or account"),
        ("FATAL: sorry, too many clients already", "it has no connection left"),
        ("connection timeout expired", "it did not answer in time"),
        ("server does not support SSL, but SSL was required", "TLS does not come about"),
        ("consuming input failed: server closed the connection unexpectedly", "the connection is lost"),
        ("SSL connection has been closed unexpectedly", "the connection is lost"),
        ("s3cret", "_FakeError"),
    ],
)
def test_a_message_of_libpq_is_understood_and_not_shown(said: str, meaning: str) -> None:
    told = reasons.of_postgresql(_FakeError(said))
    assert (told.startswith(meaning), "s3cret" in told) == (True, False)


def test_a_sqlstate_comes_before_the_words() -> None:
    error = _FakeError("connection refused")
    error.sqlstate = "57P01"
    assert reasons.of_postgresql(error) == "it shut down, or somebody ended the connection (57P01)"
    error.sqlstate = "XX000"
    assert reasons.of_postgresql(error) == "_FakeError (XX000)"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((1045, "Access denied for user 's3cret'"), "the account or its password is refused (1045)"),
        ((2003, "Can't connect"), "nobody answers there; is the server up? (2003)"),
        ((9999, "s3cret"), "Exception (9999)"),
        (("s3cret",), "Exception"),
        ((), "Exception"),
    ],
)
def test_an_error_of_mysql_is_known_by_its_number(arguments: tuple[object, ...], told: str) -> None:
    assert reasons.of_mysql(Exception(*arguments)) == told


def _error_of(path: Path, statement: str) -> sqlite3.Error:
    address = f"file:{path}?mode=ro"
    with pytest.raises(sqlite3.Error) as caught, closing(sqlite3.connect(address, uri=True)) as connection:
        connection.execute(statement)
    return caught.value


def test_an_error_of_a_sqlite_file_is_told_as_the_files(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, and long enough to hold a header" * 40)
    assert [
        reasons.of_sqlite(_error_of(tmp_path / name, "SELECT 1 FROM t")) for name in ("gone", "text")
    ] == [
        "there is no such file, or it may not be read (SQLITE_CANTOPEN)",
        "the file is no SQLite database (SQLITE_NOTADB)",
    ]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT * FROM s3cret", "no such table"),
        ('SELECT s3cret."x" FROM sqlite_schema', "no such column"),
        ("SELECT s3cret()", "no such function"),
        ("SELECT 's3cret' 's3cret' 's3cret'", "syntax error"),
        ("SELECT abs(1, 2)", "SQLITE_ERROR"),
    ],
)
def test_an_error_of_a_statement_is_told_without_quoting_it(
    tmp_path: Path, statement: str, told: str
) -> None:
    sqlite3.connect(tmp_path / "book.db").close()
    error = _error_of(tmp_path / "book.db", statement)
    assert (reasons.of_sqlite(error), reasons.of_sqlite_refusal(error)) == (None, told)
