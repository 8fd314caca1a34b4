"""Plans of slow statements: asked for once, beside the tap, of databases that settings name."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tickspan.analysis.findings import Finding
from tickspan.analysis.plans.probe import Unreachable
from tickspan.analysis.plans.rules import CHECKS, spill
from tickspan.analysis.traces import CLIENT, Calls, DatabaseCall, SeenSpan
from tickspan.processors.queries.databases import addresses, probe_of, system_of
from tickspan.processors.queries.desks import Desk
from tickspan.processors.queries.plans import Catalog, Explained, Plans, Urgency
from tickspan.processors.queries.store import QueryKey
from tickspan.semconv import db


@pytest.fixture
def book(tmp_path: Path) -> str:
    """The DSN of a file with a table and no index."""
    path = tmp_path / "book.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE fills (id INTEGER PRIMARY KEY, order_id INTEGER, price TEXT)")
        connection.commit()
    return f"sqlite:///{path}"


@pytest.fixture
def indexed_book(book: str) -> str:
    """The same with an index and no statistics, so that SQLite does not know whether it is any good."""
    with closing(sqlite3.connect(book.removeprefix("sqlite:///"))) as connection:
        connection.execute("CREATE INDEX fills_order ON fills (order_id)")
        connection.commit()
    return book


def slow(sql: str, namespace: str = "book.db") -> DatabaseCall:
    attributes = {db.DB_SYSTEM_NAME: "sqlite", db.DB_NAMESPACE: namespace, db.DB_QUERY_TEXT: sql}
    call = Calls().of(SeenSpan(7, 8, 0, 0, 10**9, "SELECT", CLIENT, attributes, is_root=True))
    assert call is not None
    return call


def want(plans: Plans, call: DatabaseCall, now_s: float = 0.0, urgency: Urgency = Urgency.SLOW) -> bool:
    key = QueryKey("bot", call.system, call.namespace, call.fingerprint)
    return plans.want("101", key, call, now_s, urgency)


SELECT = "SELECT price FROM fills WHERE order_id = ?"


def answered(plans: Plans, holds: Callable[[], bool] = lambda: False) -> list[Explained | Catalog]:
    end_s = time.monotonic() + 20
    found: list[Explained | Catalog] = []
    while not (found := plans.take()) and not holds():
        assert time.monotonic() < end_s, plans
        time.sleep(0.01)
    return found


def explained(plans: Plans) -> Explained:
    (found,) = answered(plans)
    assert isinstance(found, Explained)
    return found


def test_a_slow_statement_is_explained_and_its_plan_is_names_and_numbers(book: str) -> None:
    plans = Plans({"book.db": book}, frozenset())
    assert want(plans, slow(SELECT))
    found = explained(plans)
    (scan,) = json.loads(found.body)["children"]
    assert (found.process, scan["kind"], scan["relation"]) == ("101", "SCAN", "fills")


def test_what_rules_say_of_the_plan_is_about_the_slow_span(indexed_book: str) -> None:
    plans = Plans({"book.db": indexed_book}, frozenset())
    want(plans, slow(SELECT))
    found = explained(plans)
    assert [(one.finding.rule, one.trace_id, one.span_id) for one in found.sightings] == [
        ("stale_statistics", 7, 8)
    ]
    assert {one.finding.fingerprint for one in found.sightings} == {found.call.fingerprint}


def test_a_table_without_statistics_is_told_of_once(indexed_book: str) -> None:
    plans = Plans({"book.db": indexed_book}, frozenset())
    want(plans, slow(SELECT))
    want(plans, slow("SELECT id FROM fills WHERE order_id = ?"))
    rules = [[one.finding.rule for one in explained(plans).sightings] for _ in range(2)]
    assert rules == [["stale_statistics"], []]


def test_it_is_asked_for_once_a_day(book: str) -> None:
    plans = Plans({"book.db": book}, frozenset())
    asked = [want(plans, slow(SELECT), hour * 3600.0) for hour in (0, 1, 23, 25)]
    assert asked == [True, False, False, True]


def test_a_statement_that_became_slower_is_asked_for_again_after_ten_minutes(book: str) -> None:
    plans = Plans({"book.db": book}, frozenset())
    asked = [
        want(plans, slow(SELECT), minute * 60.0, urgency)
        for minute, urgency in (
            (0, Urgency.ROUTINE),
            (1, Urgency.SHIFTED),
            (5, Urgency.SHIFTED),
            (11, Urgency.SHIFTED),
            (12, Urgency.ROUTINE),
        )
    ]
    assert asked == [True, True, False, True, False]


def test_what_is_slow_goes_ahead_and_the_catalog_before_it(book: str) -> None:
    plans = Plans({"book.db": book}, frozenset())
    first = want(plans, slow("SELECT id FROM fills"), urgency=Urgency.ROUTINE)
    explained(plans)  # from now on the line is empty, and the budget allows nothing for a second
    want(plans, slow(SELECT), urgency=Urgency.ROUTINE)
    want(plans, slow("SELECT id FROM fills WHERE price = ?"), urgency=Urgency.SLOW)
    plans.want_catalog("101", "sqlite", "book.db", 0.0)
    came: list[Explained | Catalog] = []
    while len(came) < 3:
        came += answered(plans)
    told = [one.urgency.name if isinstance(one, Explained) else "catalog" for one in came]
    assert (first, told) == (True, ["catalog", "SLOW", "ROUTINE"])


def test_routine_leaves_half_of_the_line_to_what_is_slow() -> None:
    plans = Plans({"book.db": "sqlite:////nowhere"}, frozenset())
    plans._thread = threading.current_thread()  # nobody takes from the line
    asked = [
        sum(want(plans, slow(f"SELECT id FROM {urgency.name}{n}"), urgency=urgency) for n in range(150))
        for urgency in (Urgency.ROUTINE, Urgency.SLOW)
    ]
    assert asked == [50, 50]


def test_a_catalog_is_read_once_a_day_and_its_indexes_are_judged(indexed_book: str) -> None:
    with closing(sqlite3.connect(indexed_book.removeprefix("sqlite:///"))) as connection:
        connection.execute("CREATE INDEX fills_order_price ON fills (order_id, price)")
        connection.commit()
    plans = Plans({"book.db": indexed_book}, frozenset())
    asked = [plans.want_catalog("101", "sqlite", "book.db", hour * 3600.0) for hour in (0, 23)]
    (catalog,) = answered(plans)
    assert isinstance(catalog, Catalog)
    assert (asked, [table.name for table in catalog.schema]) == ([True, False], ["fills"])
    assert [(found.rule, found.evidence["index"]) for found in catalog.findings] == [
        ("redundant_index", "fills_order")
    ]


def test_a_database_that_is_not_named_and_what_is_no_query_are_not_asked_for(book: str) -> None:
    plans = Plans({"book.db": book}, frozenset())
    asked = [want(plans, call) for call in (slow(SELECT, "other.db"), slow("VACUUM"))]
    assert (asked, repr(plans)) == ([False, False], "<Plans of 1 databases, 0 wait>")


def test_a_database_that_is_not_there_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    plans = Plans({"book.db": "sqlite:////nowhere/book.db"}, frozenset())
    for sql in (SELECT, "SELECT id FROM fills"):
        want(plans, slow(sql))
    answered(plans, lambda: repr(plans).endswith("0 wait>") and bool(caplog.messages))
    assert caplog.messages == ["no plan from database 'book.db': no file '/nowhere/book.db'"]


def test_what_a_database_that_is_not_there_was_asked_is_asked_again(tmp_path: Path) -> None:
    plans = Plans({"book.db": f"sqlite:///{tmp_path}/book.db"}, frozenset())
    first = [want(plans, slow(SELECT)), plans.want_catalog("101", "sqlite", "book.db", 0.0)]
    answered(plans, lambda: repr(plans).endswith("0 wait>") and not plans._lately and not plans._read_s)
    again = [want(plans, slow(SELECT)), plans.want_catalog("101", "sqlite", "book.db", 1.0)]
    assert (first, again) == ([True, True], [True, True])


def test_a_rule_that_raises_is_asked_no_more_and_told_once(
    book: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_context: object) -> Iterator[Finding]:
        raise ZeroDivisionError

    statement = slow(SELECT).statement
    assert statement is not None
    monkeypatch.setattr("tickspan.processors.queries.desks.CHECKS", ((spill.RULE, broken), *CHECKS))
    with Desk(book, frozenset()) as desk:
        first, _ = desk.explain(statement, with_values=False)
        while not desk.may_be_asked(time.monotonic()):
            time.sleep(0.01)
        again, _ = desk.explain(statement, with_values=False)
    assert first == again
    assert caplog.messages == ["rule 'spill' disabled after ZeroDivisionError; the others go on"]


def test_databases_are_named_by_variables() -> None:
    environ = {"BOOK_DSN": "sqlite:///book.db", "EMPTY": ""}
    assert addresses(("book.db=BOOK_DSN", "a = EMPTY", "b=UNSET", "broken"), environ) == {
        "book.db": "sqlite:///book.db"
    }


@pytest.mark.parametrize(
    ("dsn", "system"),
    [
        ("postgresql+psycopg://me@host/db", "postgresql"),
        ("postgres://host/db", "postgresql"),
        ("host=localhost dbname=x", "postgresql"),
        ("mariadb+pymysql://host/db", "mysql"),
        ("sqlite:///book.db", "sqlite"),
    ],
)
def test_a_dsn_says_which_database_it_is(dsn: str, system: str) -> None:
    assert system_of(dsn) == system


@pytest.mark.parametrize("dsn", ["oracle://me:s3cret@host", "s3cret", ""])
def test_another_dsn_is_refused_and_not_shown(dsn: str) -> None:
    with pytest.raises(ValueError, match=r"^expected postgresql://, mysql://, mariadb:// or sqlite:///file$"):
        system_of(dsn)


def test_a_file_that_is_not_there_cannot_be_reached() -> None:
    with pytest.raises(Unreachable, match="no file '/nowhere'"), probe_of("sqlite:////nowhere"):
        pass
