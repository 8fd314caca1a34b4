"""What the how-to about queries shows is what happens."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "integration/queries"))  # importlib mode adds nothing

import tickspan
from tickspan.cli import main

SCHEMA = "CREATE TABLE fills (id bigint PRIMARY KEY, order_id bigint, venue text);"
RUNNING = (
    ("SELECT id, status FROM orders WHERE account_id = 7", 30, 41),
    ("UPDATE orders SET price = 101.5 WHERE id = 5", 3, 2),
    ("DELETE FROM notes", 1, 3),
)
"""What the program of the how-to runs: text, how often, milliseconds."""


@pytest.fixture
def text(root: Path) -> str:
    return (root / "docs/how-to/queries.md").read_text(encoding="utf-8")


def test_every_example_prints_what_stands_behind_it(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "schema.sql").write_text(SCHEMA)
    monkeypatch.chdir(tmp_path)
    tickspan.get_query_optimizer.cache_clear()
    examples = re.findall(r"```python\n(.*?)```(?:(?:(?!```).)*?```text\n(.*?)```)?", text, re.DOTALL)
    printed: list[str] = []
    for code, _ in examples:
        exec(compile(code, "queries.md", "exec"), {})
        printed.append(capsys.readouterr().out)
    assert len(examples) == 4
    assert printed == [told for _, told in examples]


@pytest.fixture
def _running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program of the how-to has run, and its agent may ask the database."""
    from probing import START_S, Probing  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

    path = tmp_path / "trading.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            CREATE TABLE orders (id INTEGER PRIMARY KEY, account_id INTEGER, status TEXT, price REAL);
            CREATE TABLE notes (id INTEGER PRIMARY KEY);
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                INSERT INTO orders (account_id, status) SELECT i % 500, 'open' FROM n;
            CREATE INDEX orders_status ON orders (status);
            ANALYZE;
        """)
    spool = tmp_path / "spool"
    probing = Probing(spool, f"sqlite:///{path}", "sqlite", "trading.db")
    for sql, times, duration_ms in RUNNING:
        probing.ran(sql, times, duration_ms)
    probing.until(lambda: bool(probing.findings("seq_scan_selective") and probing.findings("money_as_float")))
    monkeypatch.setenv("TICKSPAN_SPOOL_DIR", str(spool))
    monkeypatch.setenv("TRADING_DSN", f"sqlite:///{path}")
    monkeypatch.setattr("time.time", lambda: float(START_S + 60))


@pytest.mark.usefixtures("_running")
def test_every_command_prints_what_stands_behind_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    sessions = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    shown = [part for session in sessions for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]]
    printed = [_printed(part.partition("\n")[0], capsys.readouterr) for part in shown]
    assert len(shown) == 4
    assert printed == shown


def _printed(line: str, read: Callable[[], object]) -> str:
    main(line.split()[1:])
    told = read()
    return f"{line}\n{told.out}"  # pyright: ignore[reportAttributeAccessIssue]
