"""The tap asks a real SQLite file: plans that change, indexes, tables, and what became of advice."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds nothing

from probing import START_S, Probing

from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.processors.queries.advised import Advised, remember
from tickspan.semconv import db
from tickspan.semconv import findings as names

SQL = "SELECT price FROM fills WHERE order_id = ?"
FINGERPRINT = canonicalise(SQL, Dialect.SQLITE).fingerprint
HOUR_S = 3_600.0


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Orders and their fills, with an index of each fill's order."""
    path = tmp_path / "book.db"
    changed(
        path,
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, account TEXT)",
        "CREATE TABLE fills (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders (id), price REAL)",
        "CREATE INDEX fills_order ON fills (order_id)",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO fills (order_id, price) SELECT i % 100, 1.5 FROM n",
        "ANALYZE",
    )
    return path


@pytest.fixture
def probing(book: Path, tmp_path: Path) -> Probing:
    return Probing(tmp_path / "spool", f"sqlite:///{book}", "sqlite", "book.db")


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_plan_that_changes_and_makes_calls_slower_is_told(probing: Probing, book: Path) -> None:
    probing.ran(SQL, 30, 2)
    probing.until_explained(1)
    probing.ran(SQL, 30, 2)
    changed(book, "DROP INDEX fills_order")
    probing.ran(SQL, 30, 20)
    probing.until_explained(2)
    probing.ran(SQL, 29, 20)
    before = probing.findings("plan_regression")
    probing.ran(SQL, 1, 21)
    (told,) = probing.findings("plan_regression")
    evidence = json.loads(str(told.attributes[names.FINDING_EVIDENCE]))
    hashes = [plan.attributes[db.TICKSPAN_DB_PLAN_HASH] for plan in probing.plans()]
    assert (before, told.severity_text, told.span_id) == ([], "ERROR", f"{probing.spans:016x}")
    assert [evidence["before"], evidence["after"]] == hashes
    assert (round(evidence["p95_before_s"], 3), round(evidence["p95_after_s"], 2)) == (0.002, 0.02)


def test_a_rule_that_is_ignored_is_not_told(probing: Probing, book: Path) -> None:
    probing.tap._ignored = frozenset({"plan_regression"})
    probing.ran(SQL, 30, 2)
    probing.until_explained(1)
    probing.ran(SQL, 30, 2)
    changed(book, "DROP INDEX fills_order")
    probing.ran(SQL, 30, 20)
    probing.until_explained(2)
    probing.ran(SQL, 30, 20)
    assert "plan_regression" not in probing.rules()


def test_slower_calls_under_the_same_plan_are_no_regression(probing: Probing) -> None:
    probing.ran(SQL, 30, 2)
    probing.until_explained(1)
    probing.ran(SQL, 30, 2)
    probing.ran(SQL, 30, 20)
    probing.until_explained(2)
    probing.ran(SQL, 60, 20)
    first, again = (plan.attributes[db.TICKSPAN_DB_PLAN_HASH] for plan in probing.plans())
    assert (first == again, probing.findings("plan_regression")) == (True, [])


def test_a_regression_is_found_across_a_restart_of_the_agent(
    probing: Probing, book: Path, tmp_path: Path
) -> None:
    probing.ran(SQL, 30, 2)
    probing.until_explained(1)
    probing.ran(SQL, 30, 2)
    changed(book, "DROP INDEX fills_order")
    again = Probing(tmp_path / "spool", f"sqlite:///{book}", "sqlite", "book.db")
    again.ran(SQL, 30, 20)
    again.until_explained(1)
    again.ran(SQL, 30, 20)
    assert again.rules().count("plan_regression") == 1


def test_indexes_of_a_database_are_judged_by_its_catalog(probing: Probing, book: Path) -> None:
    changed(
        book,
        "CREATE INDEX fills_order_price ON fills (order_id, price)",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders (id))",
        "CREATE INDEX orders_account ON orders (account)",
        "CREATE INDEX orders_account_id ON orders (account, id)",
    )
    probing.ran(SQL, 1, 2)
    probing.until(lambda: len(probing.findings("redundant_index")) == 2)
    told = {
        (rule, str(log.attributes[db.DB_NAMESPACE]), log.body)
        for rule in ("redundant_index", "unindexed_fk")
        for log in probing.findings(rule)
    }
    assert told == {
        (
            "redundant_index",
            "book.db",
            "fills_order on fills (order_id) is contained in fills_order_price (order_id, price).",
        ),
        (
            "redundant_index",
            "book.db",
            "orders_account on orders (account) is contained in orders_account_id (account, id).",
        ),
        (
            "unindexed_fk",
            "book.db",
            "(order_id) of notes has no index: it is read whole when rows of orders go.",
        ),
    }
    assert len({str(log.attributes[names.FINDING_ID]) for log in probing.findings("redundant_index")}) == 2


def test_rules_that_need_the_tables_are_asked_once_the_tables_are_known(probing: Probing) -> None:
    sql = "UPDATE fills SET price = ? WHERE id = ?"
    probing.ran(sql, 1, 2)
    before = probing.rules()
    probing.until(lambda: bool(probing.findings("money_as_float")))
    (told,) = probing.findings("money_as_float")
    assert (before, told.attributes[db.TICKSPAN_DB_QUERY_FINGERPRINT], told.span_id) == (
        [],
        canonicalise(sql, Dialect.SQLITE).fingerprint,
        f"{1:016x}",
    )


def test_a_catalog_is_read_once_a_day(probing: Probing, book: Path) -> None:
    probing.ran(SQL, 1, 2)
    probing.until(lambda: "book.db" in probing.tap._texts._schemas)
    changed(book, "CREATE INDEX fills_order_price ON fills (order_id, price)")
    told: list[int] = []
    for probing.now_s in (23 * HOUR_S, 25 * HOUR_S):
        probing.ran(SQL, 1, 2)
        reads_s = probing.tap._plans._read_s["book.db"]
        told.append(round(reads_s / HOUR_S))
    probing.until(lambda: bool(probing.findings("redundant_index")))
    assert told == [0, 25]


def advise(probing: Probing, table: str = "orders") -> None:
    given = Advised(
        "abc123", "ix_orders_account", table, (ORDERS_FINGERPRINT,), "DROP INDEX ix_orders_account;", START_S
    )
    remember(probing.home, [given])


ORDERS = "SELECT id FROM orders WHERE account = ?"
ORDERS_FINGERPRINT = canonicalise(ORDERS, Dialect.SQLITE).fingerprint


def built_and_tried(probing: Probing, book: Path, after_ms: float) -> None:
    """An advised index is built; the statement runs on both sides of that."""
    advise(probing)
    probing.until(lambda: probing.tap._awaits_index)
    probing.ran(ORDERS, 40, 10)
    probing.now_s = 700.0
    probing.ran(ORDERS, 1, 10)  # the catalog is read again, and has no such index yet
    probing.until(lambda: bool(probing.tap._trials and probing.tap._trials._absent_s))
    changed(book, "CREATE INDEX ix_orders_account ON orders (account)")
    probing.now_s = 1400.0
    probing.ran(ORDERS, 1, 10)
    probing.until(lambda: bool(probing.tap._trials and probing.tap._trials._sighted))
    probing.now_s = 1500.0
    probing.ran(ORDERS, 30, after_ms)
    probing.now_s = 1600.0


def test_an_advised_index_that_helps_is_told_when_it_appears(probing: Probing, book: Path) -> None:
    built_and_tried(probing, book, 1)
    probing.until(lambda: bool(probing.findings("index_verified")))
    (told,) = probing.findings("index_verified")
    assert (told.body, told.attributes[db.DB_QUERY_SUMMARY], told.attributes[db.DB_NAMESPACE]) == (
        "Since ix_orders_account exists, p50 of SELECT orders fell from 10.2 to 0.999 ms.",
        "SELECT orders",
        "book.db",
    )


def test_an_advised_index_that_does_not_help_is_told_with_its_removal(probing: Probing, book: Path) -> None:
    built_and_tried(probing, book, 10)
    probing.until(lambda: bool(probing.findings("index_ineffective")))
    (told,) = probing.findings("index_ineffective")
    assert (told.severity_text, told.attributes[names.FINDING_ADVICE]) == (
        "WARN",
        "DROP INDEX ix_orders_account;",
    )


def test_a_verdict_is_told_once_over_restarts(probing: Probing, book: Path) -> None:
    built_and_tried(probing, book, 1)
    probing.until(lambda: bool(probing.findings("index_verified")))
    again = Probing(probing.home, probing.dsn, "sqlite", "book.db", now_s=1700.0)
    again.ran(ORDERS, 1, 1)
    again.until(lambda: bool(again.tap._trials and again.tap._trials._places))
    again.now_s = 1800.0
    again.ran(ORDERS, 1, 1)
    assert again.findings("index_verified") == []


def test_an_advice_for_another_table_is_not_taken_for_it(probing: Probing, book: Path) -> None:
    advise(probing, table="nowhere")
    changed(book, "CREATE INDEX ix_orders_account ON orders (account)")
    probing.ran(ORDERS, 1, 2)
    probing.until(lambda: bool(probing.tap._trials and probing.tap._trials._absent_s))
    assert repr(probing.tap._trials) == "<Trials of 1 indexes: 0 exist, 0 judged>"
