"""The probe of SQLite: a copy of the schema in memory, without a row and without effect on the file."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tickspan.analysis.plans import PlanSource
from tickspan.analysis.plans.budget import Budget, BudgetLimits
from tickspan.analysis.plans.probe import Refused, Unreachable
from tickspan.processors.queries.probes.sqlite import SqliteProbe

_NEVER = Path(__file__).parents[2] / "analysis/plans/never.sql"
_CASES = re.findall(r"^-- sqlite: (.*)\n(.*)$", _NEVER.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trades.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.create_function("shout", 1, str.upper, deterministic=True)
        connection.executescript(
            """
            CREATE TABLE orders (id INTEGER PRIMARY KEY, symbol TEXT, side TEXT);
            CREATE INDEX orders_symbol ON orders (symbol);
            CREATE INDEX orders_side ON orders (side);
            CREATE INDEX orders_shouted ON orders (shout(symbol));
            CREATE VIEW newest AS SELECT max(id) AS id FROM orders;
            CREATE VIRTUAL TABLE notes USING fts5(body);
            """
        )
        connection.executemany(
            "INSERT INTO orders (symbol, side) VALUES (?, ?)", [(f"S{i % 900}", "buy") for i in range(2000)]
        )
        connection.execute("ANALYZE")
        connection.commit()
    return path


@pytest.mark.parametrize(("reason", "sql"), _CASES, ids=[sql for _, sql in _CASES])
def test_a_statement_that_could_act_is_refused_with_its_reason(file: Path, reason: str, sql: str) -> None:
    with SqliteProbe(file) as probe, pytest.raises(Refused) as refused:
        probe.explain(sql)
    assert fnmatchcase(str(refused.value), reason)


def test_a_plan_is_chosen_by_the_statistics_of_the_file(file: Path) -> None:
    with SqliteProbe(file) as probe:
        plan = probe.explain("SELECT * FROM orders o WHERE o.side = ? AND o.symbol = ?")
    (node,) = plan.root.children
    assert (plan.source, node.kind, node.relation, node.alias, node.index) == (
        PlanSource.GENERIC,
        "SEARCH",
        "orders",
        "o",
        "orders_symbol",
    )
    assert node.details == {"columns": "symbol = ?"}


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO orders (symbol) VALUES (:symbol)",
        "UPDATE orders SET side = ? WHERE id = ?",
        "DELETE FROM orders WHERE symbol = 'S1'",
        "SELECT * FROM newest WHERE id > ?",
    ],
)
def test_a_statement_that_writes_is_explained_and_does_not(file: Path, sql: str) -> None:
    before = file.read_bytes()
    with SqliteProbe(file) as probe:
        probe.explain(sql)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["trades.db"]


def test_nothing_is_left_open_on_the_file_while_plans_are_asked(file: Path) -> None:
    with SqliteProbe(file) as probe:
        probe.explain("SELECT * FROM orders")
        with closing(sqlite3.connect(file, timeout=0)) as writer:
            writer.execute("CREATE TABLE later (id)")
            writer.commit()
        probe.explain("SELECT * FROM orders")


def index_used(probe: SqliteProbe) -> str:
    return probe.explain("SELECT id FROM orders WHERE side = ? AND symbol = ?").root.children[0].index


def test_the_copy_is_made_anew_when_the_schema_is_another(file: Path) -> None:
    with SqliteProbe(file, clock=lambda: 0.0) as probe:
        before = index_used(probe)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("DROP INDEX orders_symbol")
        assert (before, index_used(probe)) == ("orders_symbol", "")


def test_the_statistics_of_the_copy_are_renewed_after_five_minutes(file: Path) -> None:
    now_s = [0.0]
    used: list[str] = []
    with SqliteProbe(file, clock=lambda: now_s[0]) as probe:
        used.append(index_used(probe))
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("UPDATE sqlite_stat1 SET stat = '2000 1' WHERE idx = 'orders_side'")
            connection.commit()
        for now_s[0] in (299.0, 300.0):
            used.append(index_used(probe))
    assert used == ["orders_symbol", "orders_symbol", "orders_side"]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT * FROM nowhere", "no such table"),
        ("SELECT * FROM notes", "no such table"),
        ("SELECT missing FROM orders", "no such column"),
    ],
)
def test_what_the_copy_does_not_know_is_refused(file: Path, sql: str, why: str) -> None:
    with SqliteProbe(file) as probe, pytest.raises(Refused) as refused:
        probe.explain(sql)
    assert str(refused.value) == f"SQLite does not plan it: {why}"


def test_a_plan_is_never_measured(file: Path) -> None:
    with SqliteProbe(file) as probe, pytest.raises(Refused, match="SQLite measures no plans"):
        probe.explain("SELECT 1", analyze=True)


def test_a_file_that_is_not_there_is_unreachable_and_not_made(tmp_path: Path) -> None:
    with SqliteProbe(tmp_path / "none.db") as probe, pytest.raises(Unreachable, match="SQLITE_CANTOPEN"):
        probe.explain("SELECT 1")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, and long enough to be seen as none" * 20)
    with SqliteProbe(tmp_path / "text.db") as probe, pytest.raises(Unreachable, match="SQLITE_NOTADB"):
        probe.explain("SELECT 1")


def test_a_budget_bounds_how_often_it_is_asked(file: Path) -> None:
    budget = Budget(BudgetLimits(interval_s=60.0))
    with SqliteProbe(file, budget=budget) as probe:
        probe.explain("SELECT id FROM orders")
        with pytest.raises(Refused, match="asked less than 60 s ago"):
            probe.explain("SELECT id FROM orders")


def test_the_schema_is_that_of_the_file(file: Path) -> None:
    with SqliteProbe(file) as probe:
        table = probe.schema().table("orders")
    assert table is not None
    assert [column.name for column in table.columns] == ["id", "symbol", "side"]
