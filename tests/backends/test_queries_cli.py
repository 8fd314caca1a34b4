"""`tickspan queries` about a PostgreSQL server: what it counted itself, and its plans."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from scripts.servers import DatabaseServer
from tickspan.cli import main

pytestmark = pytest.mark.backends

Tickspan = Callable[..., tuple[int, str, str]]
_NAME = "queries_cli"
_QUERY = "SELECT price FROM fills WHERE order_id = 4711 AND note = 's3cret'"


@pytest.fixture(scope="module")
def address(hypopg_server: DatabaseServer) -> Iterator[str]:
    """A database of this file's own, with a table whose rows are read without an index."""
    address = f"{hypopg_server.url.rpartition('/')[0]}/{_NAME}"
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(_NAME)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_NAME)))
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("CREATE TABLE fills (id int PRIMARY KEY, order_id int, price numeric, note text)")
        connection.execute("INSERT INTO fills SELECT n, n % 5000, 1, 'x' FROM generate_series(1, 50000) n")
        connection.execute("ANALYZE fills")
        for _ in range(3):
            connection.execute(_QUERY)
        connection.execute("DELETE FROM fills WHERE false")
    yield address
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(_NAME)))


@pytest.fixture
def tickspan(address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tickspan:
    """Runs a command about that database; its exit status, and what it prints."""
    monkeypatch.setenv("FILLS_DSN", address)

    def run(*words: str | Path) -> tuple[int, str, str]:
        status = main(["queries", *map(str, words), "--dsn-env", "FILLS_DSN"])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_top_shows_what_the_server_counted_without_values(tickspan: Tickspan) -> None:
    status, printed, told = tickspan("top", "--from", "pg_stat_statements", "--json", "--limit", "1000")
    rows = {row["summary"]: row for row in json.loads(printed)}
    reads = rows["SELECT fills"]
    assert (status, told, reads["calls"], reads["database"]) == (0, "", 3, f"postgresql {_NAME}")
    assert reads["text"] == "SELECT price FROM fills WHERE order_id = ? AND note = ?"
    assert "s3cret" not in printed


def test_findings_are_told_of_what_the_server_counted(tickspan: Tickspan) -> None:
    status, printed, _ = tickspan("findings", "--from", "pg_stat_statements", "--fail-on", "C")
    unread, read, found = printed.splitlines()
    assert (status, unread, found) == (
        0,
        "CREATE EXTENSION pg_stat_statements: not read: syntax not understood",
        "no findings",
    )
    assert read.endswith(" read, 1 not understood")


@pytest.mark.parametrize("words", [(), ("--analyze",)])
def test_a_statement_is_explained_and_its_values_stay_away(
    tickspan: Tickspan, words: tuple[str, ...]
) -> None:
    status, printed, told = tickspan("explain", _QUERY, *words)
    assert (status, told, "Seq Scan on fills" in printed) == (0, "", True)
    assert ("s3cret" in printed, "4711" in printed) == (False, False)


def test_a_write_is_not_run_for_its_plan(tickspan: Tickspan) -> None:
    status, _, told = tickspan("explain", "DELETE FROM fills WHERE id = 1", "--analyze")
    assert (status, told.startswith("tickspan queries: not explained: ")) == (2, True)
