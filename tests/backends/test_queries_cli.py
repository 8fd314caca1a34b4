"""`tickspan queries` about a PostgreSQL server: what it counted itself, and its plans."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from scripts.servers import DatabaseServer
from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.cli import main
from tickspan.processors.queries.advised import Advised, remember
from tickspan.processors.queries.store import FILE, QueryKey, QueryStore, Sighted, Told

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


@pytest.fixture
def shy(address: str) -> Iterator[str]:
    """The DSN of an account without rights."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE ROLE shy LOGIN")
        yield address.replace("//postgres@", "//shy@")
        connection.execute("DROP ROLE shy")


@pytest.mark.parametrize("action", ["top", "findings", "advise"])
def test_an_account_that_is_shown_no_statement_is_told_what_it_lacks(
    tickspan: Tickspan, shy: str, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setenv("FILLS_DSN", shy)
    status, printed, told = tickspan(action, "--from", "pg_stat_statements")
    why = "pg_stat_statements shows this account no statement: GRANT pg_read_all_stats TO the account"
    assert (status, printed, told) == (3, "", f"tickspan queries: {why}\n")


def test_what_is_hidden_from_an_account_is_counted_beside_what_it_is_shown(
    tickspan: Tickspan, shy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILLS_DSN", shy)
    with psycopg.connect(shy, autocommit=True) as connection:
        connection.execute("SELECT 5 + 5")
    status, printed, told = tickspan("top", "--from", "pg_stat_statements", "--json")
    assert (status, [row["text"] for row in json.loads(printed)]) == (0, ["SELECT ? + ?"])
    assert told.endswith("statements of other accounts are hidden: GRANT pg_read_all_stats TO the account\n")


def test_questions_of_ours_are_no_workload(tickspan: Tickspan) -> None:
    tickspan("explain", _QUERY)
    _, printed, _ = tickspan("top", "--from", "pg_stat_statements", "--json", "--limit", "1000")
    assert [row["text"] for row in json.loads(printed) if "pg_catalog" in row["text"]] == []


def test_findings_are_told_of_what_the_server_counted(tickspan: Tickspan) -> None:
    status, printed, _ = tickspan("findings", "--from", "pg_stat_statements", "--fail-on", "C")
    *unread, read, found = printed.splitlines()
    assert (status, found) == (0, "no findings")
    assert "CREATE EXTENSION pg_stat_statements: not read: syntax not understood" in unread
    assert read.endswith(f" read, {len(unread)} not understood")


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


def _recorded(spool: Path, advice: str) -> None:
    """Forty calls of 40 ms in the hour before, forty of 4 ms in the time to come, an advice of yesterday."""
    statement = canonicalise(_QUERY, Dialect.POSTGRESQL)
    key = QueryKey("bot", "postgresql", _NAME, statement.fingerprint)
    store, now_ns = QueryStore(spool / FILE), time.time_ns()
    for at_ns, duration_ns in ((now_ns - 3600 * 10**9, 40_000_000), (now_ns + 120 * 10**9, 4_000_000)):
        for _ in range(40):
            store.note(key, Told("SELECT fills", statement.text), at_ns, duration_ns, 1, is_error=False)
    store.write()
    store.close()
    at_s = now_ns / 1e9 - 86_400
    rollback = "DROP INDEX ix_fills_order_id;"
    advised = Advised(advice, "ix_fills_order_id", "public.fills", (statement.fingerprint,), rollback, at_s)
    remember(spool, [advised])


@pytest.fixture
def built(address: str) -> Iterator[float]:
    """An index that exists from now on; the moment, in seconds since 1970."""
    with psycopg.connect(address, autocommit=True) as connection:
        begun_s = time.time()
        connection.execute("CREATE INDEX CONCURRENTLY ix_fills_order_id ON fills (order_id)")
        yield begun_s
        connection.execute("DROP INDEX ix_fills_order_id")


def test_the_catalog_tells_when_an_index_was_built(tickspan: Tickspan, built: float, tmp_path: Path) -> None:
    _recorded(tmp_path, "0123456789ab")
    status, printed, _ = tickspan("verify", "0123456789ab", "--json", "--directory", tmp_path)
    told = json.loads(printed)
    assert (status, told["verdict"], told["built"]["source"]) == (0, "index_verified", "catalog")
    assert told["built"]["absent_s"] == told["built"]["present_s"] == pytest.approx(built, abs=5)


@pytest.mark.parametrize(("hours", "source"), [(1, "catalog"), (0.5, "agent")])
def test_what_the_agent_saw_outweighs_what_came_later(
    tickspan: Tickspan, built: float, tmp_path: Path, hours: float, source: str
) -> None:
    """An index that was clustered or rebuilt since has a newer record in the catalog."""
    _recorded(tmp_path, "0123456789ab")
    store = QueryStore(tmp_path / FILE)
    store.sight("0123456789ab", Sighted(built - 3600, built + 3600 * (hours - 0.75)))
    store.close()
    _, printed, _ = tickspan("verify", "0123456789ab", "--json", "--directory", tmp_path)
    assert json.loads(printed)["built"]["source"] == source


def test_an_index_that_is_not_there_is_not_judged(tickspan: Tickspan, tmp_path: Path) -> None:
    _recorded(tmp_path, "0123456789ab")
    status, printed, told = tickspan("verify", "0123456789ab", "--directory", tmp_path)
    assert (status, printed) == (2, "")
    assert told == (
        "tickspan queries: ix_fills_order_id does not exist on public.fills: there is nothing to verify\n"
    )
