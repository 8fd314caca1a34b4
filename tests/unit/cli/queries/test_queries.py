"""`tickspan queries`: what it prints, in each format, and how it ends."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tickspan.analysis.findings import Rule, Severity
from tickspan.analysis.traces import CodeLocation, Sighting
from tickspan.cli import main
from tickspan.cli.queries.layout import count, duration, markdown_table, table
from tickspan.cli.queries.options import FORMATS
from tickspan.processors.queries.book import Book
from tickspan.processors.queries.store import FILE, Era, QueryKey, QueryStore, Told

NOW_NS = 1_800_000_000 * 10**9
MS = 10**6
KEY = QueryKey("bot", "sqlite", "book.db", "2c9c94adc56e3caf")
OTHER = QueryKey("desk", "sqlite", "book.db", "b339573230989351")
SLOW = Rule("slow_query", Severity.WARNING, "slow", "Look at its plan.")
WRITE = Rule("write_without_where", Severity.CRITICAL, "no WHERE", "Add the WHERE clause.")

Tickspan = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW_NS / 1e9)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A spool whose agent has seen two statements of two services, and found something in each."""
    store = QueryStore(tmp_path / FILE)
    for _ in range(3):
        told = Told("SELECT fills", "SELECT price FROM fills WHERE order_id = ?")
        store.note(KEY, told, NOW_NS, 100 * MS, 4_000, is_error=False)
    store.note(OTHER, Told("DELETE notes", "DELETE FROM notes"), NOW_NS, MS, 0, is_error=True)
    old = Told("SELECT old", "SELECT id FROM old")
    store.note(KEY._replace(fingerprint="0" * 16), old, NOW_NS - 7200 * 10**9, MS // 2, 0, is_error=False)
    book = Book()
    slow = SLOW.found("SELECT fills took 600.0 ms.", {"duration_s": 0.6}, fingerprint=KEY.fingerprint)
    write = WRITE.found("DELETE notes has no WHERE.", {}, fingerprint=OTHER.fingerprint)
    place = CodeLocation("bot.py", 7, "trade")
    book.take("bot", Sighting(slow, 7, 8, NOW_NS, 0.5, "sqlite", "book.db", place), NOW_NS, times=2)
    book.take("desk", Sighting(write, 9, 10, NOW_NS, 0.0, "sqlite", "book.db"), NOW_NS)
    store.write(book.changed())
    store.close()
    return tmp_path


@pytest.fixture
def tickspan(capsys: pytest.CaptureFixture[str]) -> Tickspan:
    """Runs a command; its exit status, and what it prints."""

    def run(*words: str | Path) -> tuple[int, str, str]:
        try:
            status = main(["queries", *map(str, words)])
        except SystemExit as ended:
            status = int(str(ended.code))
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_top_is_a_table_of_what_costs_most_time(tickspan: Tickspan, spool: Path) -> None:
    assert tickspan("top", "--directory", spool) == (
        0,
        (
            "    TIME  CALLS      P50      P95   ROWS  ERRORS  FINGERPRINT       STATEMENT\n"
            "300.0 ms      3  98.6 ms  98.6 ms  12.0k       0  2c9c94adc56e3caf  SELECT fills\n"
            "  1.0 ms      1   999 us   999 us      0       1  b339573230989351  DELETE notes\n"
        ),
        "",
    )


def test_top_goes_back_as_far_as_it_is_asked_to(tickspan: Tickspan, spool: Path) -> None:
    _, printed, _ = tickspan("top", "--since", "3h", "--by", "calls", "--json", "--directory", spool)
    assert [row["summary"] for row in json.loads(printed)] == ["SELECT fills", "DELETE notes", "SELECT old"]


def test_top_is_data_too(tickspan: Tickspan, spool: Path) -> None:
    _, printed, _ = tickspan("top", "--json", "--limit", "1", "--service", "desk", "--directory", spool)
    assert json.loads(printed) == [
        {
            "service": "desk",
            "database": "sqlite book.db",
            "fingerprint": "b339573230989351",
            "summary": "DELETE notes",
            "text": "DELETE FROM notes",
            "calls": 1,
            "errors": 1,
            "rows": 0,
            "time_s": 0.001,
            "p50_s": pytest.approx(0.001, rel=1 / 32),
            "p95_s": pytest.approx(0.001, rel=1 / 32),
        }
    ]


def test_top_is_sql_and_markdown_too(tickspan: Tickspan, spool: Path) -> None:
    _, sql, _ = tickspan("top", "--format", "sql", "--limit", "1", "--directory", spool)
    _, markdown, _ = tickspan("top", "--format", "markdown", "--limit", "1", "--directory", spool)
    assert sql == (
        "-- 2c9c94adc56e3caf: 3 calls, 300.0 ms (sqlite book.db)\n"
        "SELECT price FROM fills WHERE order_id = ?;\n"
    )
    assert markdown.splitlines()[2] == (
        "| 300.0 ms | 3 | 98.6 ms | 98.6 ms | 12.0k | 0 | 2c9c94adc56e3caf | SELECT fills |"
    )


def test_findings_say_what_where_and_what_to_do(tickspan: Tickspan, spool: Path) -> None:
    assert tickspan("findings", "--directory", spool) == (
        0,
        (
            "W  slow_query  bot.py:7  2 times  500.0 ms lost\n"
            "   SELECT fills took 600.0 ms.\n"
            "   -> Look at its plan.\n"
            "   fingerprint 2c9c94adc56e3caf, trace 00000000000000000000000000000007\n"
            "\n"
            "C  write_without_where\n"
            "   DELETE notes has no WHERE.\n"
            "   -> Add the WHERE clause.\n"
            "   fingerprint b339573230989351, trace 00000000000000000000000000000009\n"
            "\n"
            'no plan was asked for: findings about plans, plan_regression too, need queries.plans = "probe"\n'
            "2 findings: 1 critical, 1 warning\n"
        ),
        "",
    )


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (" ", "expected a fingerprint or a statement, got an empty text"),
        ("2c9c94ad", "a fingerprint has 16 hex digits, as in 'top', got 8"),
    ],
)
def test_what_is_neither_a_fingerprint_nor_a_statement_is_refused(
    tickspan: Tickspan, monkeypatch: pytest.MonkeyPatch, statement: str, told: str
) -> None:
    monkeypatch.setenv("BOOK_DSN", "sqlite:///book.db")
    assert tickspan("explain", statement, "--dsn-env", "BOOK_DSN") == (2, "", f"tickspan queries: {told}\n")


def test_where_plans_are_known_nothing_is_said_of_a_probe(tickspan: Tickspan, spool: Path) -> None:
    store = QueryStore(spool / FILE)
    store.write(eras={KEY: [Era("a" * 16, NOW_NS)]})
    store.close()
    _, printed, _ = tickspan("findings", "--json", "--directory", spool)
    assert json.loads(printed)["remarks"] == []


@pytest.mark.parametrize(
    ("words", "status", "rules"),
    [
        ((), 0, ["slow_query", "write_without_where"]),
        (("--severity", "E"), 0, ["write_without_where"]),
        (("--service", "bot"), 0, ["slow_query"]),
        (("--fail-on", "E"), 1, ["slow_query", "write_without_where"]),
        (("--fail-on", "error", "--service", "bot"), 0, ["slow_query"]),
        (("--since", "1s"), 0, ["slow_query", "write_without_where"]),
    ],
)
def test_findings_are_chosen_and_fail_as_asked(
    tickspan: Tickspan, spool: Path, words: tuple[str, ...], status: int, rules: list[str]
) -> None:
    ended, printed, _ = tickspan("findings", *words, "--json", "--directory", spool)
    assert (ended, [one["rule"] for one in json.loads(printed)["findings"]]) == (status, rules)


def test_findings_are_sql_and_markdown_too(tickspan: Tickspan, spool: Path) -> None:
    _, sql, _ = tickspan("findings", "--severity", "C", "--format", "sql", "--directory", spool)
    _, markdown, _ = tickspan("findings", "--severity", "C", "--format", "markdown", "--directory", spool)
    assert sql == (
        "-- C write_without_where: DELETE notes has no WHERE.\n"
        "-- Add the WHERE clause.\n"
        "DELETE FROM notes;\n"
        "\n"
        '-- no plan was asked for: findings about plans, plan_regression too, need queries.plans = "probe"\n'
        "-- 1 finding: 1 critical\n"
    )
    assert markdown.splitlines()[2] == (
        "| critical | [write_without_where](docs/reference/query-rules.md#write_without_where) |  "
        "| DELETE notes has no WHERE. | Add the WHERE clause. |  |"
    )


def test_a_file_of_sql_is_read_and_what_is_not_understood_is_listed(
    tickspan: Tickspan, tmp_path: Path
) -> None:
    path = tmp_path / "queries.sql"
    path.write_text(
        "-- a; comment\nDELETE FROM notes;\n\nSELECT 'a;b';\nSELECT FROM WHERE (;\nSET x = 1;\n  SELEC id;\n"
    )
    status, printed, _ = tickspan("findings", "--from", path, "--fail-on", "C")
    assert (status, printed.startswith("C  write_without_where  …")) == (1, True)
    assert printed.splitlines()[0].endswith("queries.sql:2")
    assert printed.splitlines()[-4:] == [
        f"{path}:5:13: not read: syntax not understood",
        f"{path}:7:3: not read: syntax not understood",
        "3 read, 2 not understood",
        "1 finding: 1 critical",
    ]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("top", "--directory", "/nowhere"), 2, "no queries are recorded in /nowhere"),
        (("top", "--since", "1x"), 2, "expected a duration such as 90s, 15m, 1h or 7d, got '1x'"),
        (("top", "--limit", "0"), 2, "expected a number above 0, got '0'"),
        (("top", "--from", "file.sql"), 2, "expected local or pg_stat_statements, got 'file.sql'"),
        (("findings", "--severity", "X"), 2, "expected a severity (info (I), warning (W)"),
        (("findings", "--from", "else"), 2, "expected local, FILE.sql or pg_stat_statements, got 'else'"),
        (("findings", "--from", "no.sql"), 2, "no.sql: No such file or directory"),
        (("top", "--from", "pg_stat_statements"), 2, "name its DSN's variable with --dsn-env VARIABLE"),
        (("explain", "SELECT 1", "--dsn-env", "NO_SUCH"), 2, "the variable NO_SUCH is not set"),
        (("explain", "SELECT 1", "--dsn-env", "postgresql://a:b@c/d"), 2, "got a DSN"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    tickspan: Tickspan, words: tuple[str, ...], status: int, said: str
) -> None:
    ended, printed, told = tickspan(*words)
    assert (ended, printed, told.count("\n"), said in told) == (status, "", 1, True)


def test_a_database_that_is_not_there_has_a_status_of_its_own_and_its_dsn_is_not_shown(
    tickspan: Tickspan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOK_DSN", "postgresql://me:s3cret@127.0.0.1:1/book")
    ended, _, told = tickspan("top", "--from", "pg_stat_statements", "--dsn-env", "BOOK_DSN")
    assert (ended, told) == (
        3,
        "tickspan queries: PostgreSQL at 127.0.0.1:1: nobody answers there; is the server up?\n",
    )


@pytest.fixture
def dsn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The variable that names a database with a table and no index."""
    with closing(sqlite3.connect(tmp_path / "book.db")) as connection:
        connection.execute("CREATE TABLE fills (id INTEGER PRIMARY KEY, order_id INTEGER, price TEXT)")
    monkeypatch.setenv("BOOK_DSN", f"sqlite:///{tmp_path / 'book.db'}")
    return "BOOK_DSN"


def test_a_recorded_statement_is_explained_by_its_fingerprint(
    tickspan: Tickspan, spool: Path, dsn: str
) -> None:
    ended, printed, _ = tickspan("explain", KEY.fingerprint, "--dsn-env", dsn, "--directory", spool)
    assert (ended, printed.splitlines()[0], "SCAN on fills" in printed) == (0, "sqlite, generic", True)
    assert "CREATE INDEX ix_fills_order_id ON fills (order_id);" in printed


def test_a_plan_is_data_too_and_holds_no_literal(tickspan: Tickspan, dsn: str) -> None:
    sql = "SELECT price FROM fills WHERE price = 's3cret'"
    outputs = [tickspan("explain", sql, "--dsn-env", dsn, "--format", kind)[1] for kind in FORMATS]
    assert json.loads(outputs[1])["text"] == "SELECT price FROM fills WHERE price = ?"
    assert [("fills" in printed, "s3cret" in printed) for printed in outputs] == [(True, False)] * 4


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP TABLE fills", "not explained: "),
        ("0123456789abcdef", "no statement 0123456789abcdef is recorded; see 'tickspan queries top'"),
    ],
)
def test_what_is_not_explained_says_why(
    tickspan: Tickspan, spool: Path, dsn: str, statement: str, said: str
) -> None:
    ended, printed, told = tickspan("explain", statement, "--dsn-env", dsn, "--directory", spool)
    assert (ended, printed, said in told) == (2, "", True)


def test_a_table_stays_within_a_hundred_columns() -> None:
    lines = table(("A", "B", "C"), [("1", "x" * 60, "y" * 80)])
    assert [len(line) <= 100 for line in lines] == [True, True]
    assert lines[1].endswith("y…")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0000004, "0 us"),
        (0.000789, "789 us"),
        (0.0456, "45.6 ms"),
        (1.234, "1.23 s"),
        (123, "123 s"),
        (9000, "2.5 h"),
    ],
)
def test_a_duration_is_told_in_the_unit_that_suits(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0"), (9999, "9999"), (12_345, "12.3k"), (4_500_000, "4.5M")]
)
def test_a_count_is_short(number: int, said: str) -> None:
    assert count(number) == said


def test_a_bar_does_not_end_a_cell_of_markdown() -> None:
    assert markdown_table(("a",), [("x | y",)])[2] == "| x \\| y |"
