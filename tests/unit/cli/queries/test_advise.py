"""`tickspan queries advise` and `verify`: what they print, refuse and remember."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.cli import main
from tickspan.processors.queries.advised import FILE as ADVICE
from tickspan.processors.queries.advised import Advised, recall, remember
from tickspan.processors.queries.databases import namespace_of
from tickspan.processors.queries.store import FILE, QueryKey, QueryStore, Sighted, Told

Tickspan = Callable[..., tuple[int, str, str]]

_WORKLOAD = """-- what the bot runs
SELECT * FROM ticks WHERE symbol = 'AAPL' ORDER BY ts DESC LIMIT 10;
BEGIN;
SELECT price FROM ticks
WHERE AND symbol = 'AAPL';
SELEC nothing;
"""
_QUERY = "SELECT * FROM ticks WHERE symbol = ? ORDER BY ts DESC LIMIT 10"
_FINGERPRINT = canonicalise(_QUERY, Dialect.SQLITE).fingerprint


@pytest.fixture
def tickspan(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tickspan:
    """Runs a command in a folder with a workload, a schema and a database."""
    (tmp_path / "bot.sql").write_text(_WORKLOAD)
    (tmp_path / "schema.sql").write_text(
        "CREATE TABLE ticks (id bigint PRIMARY KEY, symbol text, ts timestamptz);"
    )
    database = sqlite3.connect(tmp_path / "trading.db")
    database.execute("CREATE TABLE ticks (id integer PRIMARY KEY, symbol text, ts text, price real)")
    database.executemany(
        "INSERT INTO ticks VALUES (?, ?, ?, 1)", [(n, f"S{n % 50}", f"{n:06}") for n in range(1, 5001)]
    )
    database.execute("ANALYZE")
    database.commit()
    database.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKSPAN_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("TRADING_DSN", f"sqlite:///{tmp_path}/trading.db")

    def run(*words: str) -> tuple[int, str, str]:
        status = main(["queries", *words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_a_file_is_advised_by_its_texts_and_what_is_unread_is_told_by_place(tickspan: Tickspan):
    status, printed, progress = tickspan("advise", "--from", "bot.sql", "--schema", "schema.sql")
    assert (status, progress) == (0, "1 statement to look at\n")
    assert printed.splitlines() == [
        "1. ticks (symbol, ts DESC)",
        "   +2.8 us for each row written, syntactic, advice 2a33f5604d9a",
        "   Serves equality on symbol, order by ts DESC.",
        "   SET lock_timeout = '5s';",
        "   CREATE INDEX CONCURRENTLY ix_ticks_symbol_ts_desc ON ticks (symbol, ts DESC);",
        "   undo: DROP INDEX CONCURRENTLY IF EXISTS ix_ticks_symbol_ts_desc;",
        "",
        "bot.sql:5:20: not read: syntax not understood",
        "bot.sql:6:1: not read: syntax not understood",
        "1 index, 1 read, 2 not understood",
    ]


def test_a_database_is_asked_and_left_as_it_was(tickspan: Tickspan, tmp_path: Path):
    before = (tmp_path / "trading.db").read_bytes()
    status, printed, _ = tickspan("advise", "--from", "bot.sql", "--dsn-env", "TRADING_DSN", "--json")
    told = json.loads(printed)
    (advice,) = told["advice"]
    assert (status, advice["confidence"], advice["keys"]) == (0, "what-if", ["symbol", "ts DESC"])
    assert advice["ddl"] == [
        "PRAGMA busy_timeout = 5000",
        "CREATE INDEX ix_ticks_symbol_ts_desc ON ticks (symbol, ts DESC)",
    ]
    assert told["statements"][0]["after"] < told["statements"][0]["before"] / 10
    assert told["unread"] == [
        "bot.sql:5:20: not read: syntax not understood",
        "bot.sql:6:1: not read: syntax not understood",
    ]
    assert (tmp_path / "trading.db").read_bytes() == before
    assert [item.name for item in recall(tmp_path / "spool").values()] == ["ix_ticks_symbol_ts_desc"]


@pytest.mark.parametrize("form", ["text", "json", "markdown", "sql"])
def test_no_value_of_the_workload_is_printed(tickspan: Tickspan, form: str):
    _, printed, progress = tickspan("advise", "--from", "bot.sql", "--schema", "schema.sql", "--format", form)
    assert "AAPL" not in printed + progress


def test_the_format_sql_can_be_run_as_it_is(tickspan: Tickspan, tmp_path: Path):
    _, printed, _ = tickspan("advise", "--from", "bot.sql", "--dsn-env", "TRADING_DSN", "--format", "sql")
    database = sqlite3.connect(tmp_path / "trading.db")
    database.executescript(printed)
    names = database.execute("SELECT name FROM sqlite_schema WHERE type = 'index'").fetchall()
    database.close()
    assert names == [("ix_ticks_symbol_ts_desc",)]


def test_what_the_agent_recorded_is_a_workload(tickspan: Tickspan, tmp_path: Path):
    _record(tmp_path / "spool", [(int(time.time() * 1e9), 40_000_000)] * 40)
    status, printed, _ = tickspan("advise", "--dsn-env", "TRADING_DSN", "--json")
    assert (status, [advice["keys"] for advice in json.loads(printed)["advice"]]) == (
        0,
        [["symbol", "ts DESC"]],
    )


def test_what_was_recorded_of_another_database_is_no_workload_of_this_one(tickspan: Tickspan, tmp_path: Path):
    _record(tmp_path / "spool", [(int(time.time() * 1e9), 40_000_000)] * 40)
    store = QueryStore(tmp_path / "spool" / FILE)
    other = QueryKey("desk", "sqlite", "other.db", "f" * 16)
    text = "SELECT price FROM ticks WHERE price = ?"
    store.note(other, Told("SELECT ticks", text), time.time_ns(), 90_000_000, 1, is_error=False)
    store.write()
    store.close()
    _, printed, _ = tickspan("advise", "--dsn-env", "TRADING_DSN", "--json")
    assert [one["fingerprint"] for one in json.loads(printed)["statements"]] == [_FINGERPRINT]


@pytest.mark.parametrize(
    ("dsn", "namespace"),
    [
        ("postgresql://me:s3cret@db:5432/book?sslmode=require", "book"),
        ("postgresql+psycopg://db/book%20two", "book two"),
        ("host=db dbname=book user=me", "book"),
        ("host=db user=me", ""),
        ("mysql://root@db/book", "book"),
        ("sqlite:////var/lib/bot/trading.db", "trading.db"),
    ],
)
def test_a_database_is_named_as_spans_name_it(dsn: str, namespace: str):
    assert namespace_of(dsn) == namespace


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--from", "bot.txt"), 2, "--from: expected local, FILE.sql or pg_stat_statements, got 'bot.txt'"),
        (("--from", "gone.sql"), 2, "--from: gone.sql: No such file or directory"),
        (("--from", "bot.sql", "--schema", "gone.sql"), 2, "--schema: gone.sql: No such file or directory"),
        (("--from", "bot.sql", "--schema", "bot.sql"), 2, "no CREATE TABLE in it that could be read"),
        (("--from", "bot.sql", "--schema", "schema.sql", "--dsn-env", "TRADING_DSN"), 2, "got both"),
        (("--from", "bot.sql", "--dsn-env", "NOT_SET"), 2, "--dsn-env: the variable NOT_SET is not set"),
        (("--from", "pg_stat_statements", "--dsn-env", "TRADING_DSN"), 2, "of a PostgreSQL database"),
        ((), 2, "no queries are recorded"),
    ],
)
def test_bad_input_is_told_in_one_line(tickspan: Tickspan, words: tuple[str, ...], status: int, told: str):
    ended, printed, complaint = tickspan("advise", *words)
    assert (ended, printed) == (status, "")
    assert told in complaint.splitlines()[-1]


def test_a_database_that_cannot_be_reached_ends_with_status_3(
    tickspan: Tickspan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TRADING_DSN", f"sqlite:///{tmp_path}/gone.db")
    status, _, complaint = tickspan("advise", "--from", "bot.sql", "--dsn-env", "TRADING_DSN")
    assert (status, complaint) == (3, f"tickspan queries: no file '{tmp_path}/gone.db'\n")


@pytest.mark.parametrize("size", ["5", "500kB", "1.5 GiB"])
def test_a_storage_is_a_size(tickspan: Tickspan, size: str):
    assert tickspan("advise", "--from", "bot.sql", "--schema", "schema.sql", "--storage", size)[0] == 0


def test_a_storage_that_is_no_size_is_refused(tickspan: Tickspan, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        tickspan("advise", "--storage", "much")
    assert "such as 500MB or 2GiB, got 'much'" in capsys.readouterr().err


# --- verify


def _record(spool: Path, calls: list[tuple[int, int]]) -> None:
    spool.mkdir(exist_ok=True)
    store = QueryStore(spool / FILE)
    key = QueryKey("bot", "sqlite", "trading.db", _FINGERPRINT)
    for at_ns, duration_ns in calls:
        store.note(key, Told("SELECT ticks", _QUERY), at_ns, duration_ns, 10, is_error=False)
    store.write()
    store.close()


def _advised(spool: Path, hours_ago: float) -> None:
    at_s = time.time() - hours_ago * 3_600
    remember(
        spool, [Advised("0123456789ab", "ix_ticks", "ticks", (_FINGERPRINT,), "DROP INDEX ix_ticks;", at_s)]
    )


def _calls(hours_ago: float, milliseconds: int) -> list[tuple[int, int]]:
    return [(int((time.time() - hours_ago * 3_600) * 1e9), milliseconds * 1_000_000)] * 40


@pytest.mark.parametrize(
    ("after_ms", "status", "verdict"), [(4, 0, "index_verified"), (41, 1, "index_ineffective")]
)
def test_latencies_before_and_after_judge_an_index(
    tickspan: Tickspan, tmp_path: Path, after_ms: int, status: int, verdict: str
):
    _record(tmp_path / "spool", [*_calls(3, 40), *_calls(1, after_ms)])
    _advised(tmp_path / "spool", 2)
    ended, printed, _ = tickspan("verify", "0123456789ab", "--json")
    told = json.loads(printed)
    assert (ended, told["verdict"], told["statements"][0]["samples"]) == (status, verdict, 40)


def test_the_time_at_which_it_was_built_may_be_told(tickspan: Tickspan, tmp_path: Path):
    _record(tmp_path / "spool", [*_calls(5, 40), *_calls(1, 4)])
    _advised(tmp_path / "spool", 6)
    assert "not enough samples" in tickspan("verify", "0123456789ab")[1]
    assert "index_verified" in tickspan("verify", "0123456789ab", "--built", "3h")[1]


def _sighted(spool: Path, absent_hours_ago: float, present_hours_ago: float) -> None:
    store = QueryStore(spool / FILE)
    now_s = time.time()
    times = Sighted(now_s - absent_hours_ago * 3_600, now_s - present_hours_ago * 3_600)
    store.sight("0123456789ab", times)
    store.close()


def test_the_time_at_which_the_agent_saw_it_is_taken(tickspan: Tickspan, tmp_path: Path):
    _record(tmp_path / "spool", [*_calls(5, 40), *_calls(3, 900), *_calls(1, 4)])
    _advised(tmp_path / "spool", 6)
    _sighted(tmp_path / "spool", 4, 2)
    printed = json.loads(tickspan("verify", "0123456789ab", "--json")[1])
    assert (printed["verdict"], printed["built"]["source"]) == ("index_verified", "agent")
    assert printed["statements"][0]["before_p50_s"] == pytest.approx(0.04, rel=0.1)
    assert "UTC, as the agent saw" in tickspan("verify", "0123456789ab")[1].splitlines()[0]


def test_without_anybody_who_saw_it_the_time_of_the_advice_is_taken_and_told(
    tickspan: Tickspan, tmp_path: Path
):
    _record(tmp_path / "spool", [*_calls(3, 40), *_calls(1, 4)])
    _advised(tmp_path / "spool", 2)
    told = tickspan("verify", "0123456789ab")[1].splitlines()[0]
    assert told.startswith("ix_ticks: taken as built when advised, ")
    assert told.endswith(": nobody has seen it; --built tells better")


def test_an_index_that_does_not_exist_is_not_judged(tickspan: Tickspan, tmp_path: Path):
    _record(tmp_path / "spool", [*_calls(3, 40), *_calls(1, 4)])
    _advised(tmp_path / "spool", 2)
    status, _, complaint = tickspan("verify", "0123456789ab", "--dsn-env", "TRADING_DSN")
    assert (status, "ix_ticks does not exist on ticks" in complaint) == (2, True)


def test_an_unknown_advice_is_told(tickspan: Tickspan):
    status, _, complaint = tickspan("verify", "ffffffffffff")
    assert (status, "no advice ffffffffffff is remembered" in complaint) == (2, True)


def test_what_is_remembered_is_bounded_and_survives_a_broken_file(tmp_path: Path):
    remember(tmp_path, [Advised(f"{n:012x}", "ix", "t", (), "", float(n)) for n in range(300)])
    known = recall(tmp_path)
    assert (len(known), min(item.at_s for item in known.values())) == (200, 100.0)
    (tmp_path / ADVICE).write_text("{")
    assert recall(tmp_path) == {}
