"""COMMIT, ROLLBACK, savepoints, AUTOCOMMIT: what ends a transaction is a span where something was done."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import exc
from sqlalchemy.orm import Session
from tickspan.testing import Capture, RecordedSpan

INSERT = sqlalchemy.text("INSERT INTO fills (order_id) VALUES (1)")
SELECT = sqlalchemy.text("SELECT id FROM fills")


@pytest.fixture
def engine(book: Path) -> Generator[Any]:
    engine = sqlalchemy.create_engine(f"sqlite:///{book}", future=True)
    yield engine
    engine.dispose()


def test_a_transaction_tells_how_much_was_in_it(
    recorded: Capture, spans: Callable[[], list[RecordedSpan]], engine: Any
) -> None:
    with engine.begin() as connection:
        connection.execute(INSERT)
        connection.execute(SELECT).all()
        connection.execute(INSERT)
    attributes = {
        "db.system.name": "sqlite",
        "db.namespace": "book.db",
        "db.operation.name": "COMMIT",
        "tickspan.db.transaction.statements": 3,
        "tickspan.db.transaction.writes": 2,
    }
    assert spans()[-1] == RecordedSpan("COMMIT", "client", 4, 4, None, attributes)


def test_statements_of_a_transaction_and_its_end_share_an_id(recorded: Capture, engine: Any) -> None:
    for _ in range(2):
        with engine.begin() as connection:
            connection.execute(INSERT)
            connection.execute(SELECT).all()
    ids = [span.attributes["tickspan.db.transaction.id"] for span in recorded.spans()]
    assert ids == [*[ids[0]] * 3, *[ids[3]] * 3]
    assert ids[0] != ids[3]


def test_a_transaction_tells_how_long_it_took_and_how_long_it_only_waited(
    recorded: Capture, engine: Any
) -> None:
    with engine.begin() as connection:
        connection.execute(INSERT)
        time.sleep(0.05)
        connection.execute(SELECT).all()
        time.sleep(0.02)
    told = recorded.spans()[-1].attributes
    duration, idle, longest = (
        told[f"tickspan.db.transaction.{name}"] for name in ("duration", "idle", "idle_max")
    )
    assert 0.07 <= idle <= duration < 5
    assert 0.05 <= longest < idle


def test_reading_rows_is_not_idle(recorded: Capture, engine: Any) -> None:
    slow = sqlalchemy.text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000) "
        "SELECT i FROM n WHERE i IN (1, 500000)"  # the second row is worked for in a fetch
    )
    with engine.begin() as connection:
        connection.execute(INSERT)
        assert len(connection.execute(slow).fetchall()) == 2
    told = recorded.spans()[-1].attributes
    assert told["tickspan.db.transaction.idle"] < told["tickspan.db.transaction.duration"] / 2


def test_each_transaction_is_counted_for_itself(recorded: Capture, engine: Any) -> None:
    with engine.connect() as connection:
        connection.execute(INSERT)
        connection.commit()
        connection.execute(INSERT)
        connection.execute(INSERT)
        connection.rollback()
    ends = [
        (span.name, span.attributes["tickspan.db.transaction.statements"])
        for span in recorded.spans()
        if span.name in {"COMMIT", "ROLLBACK"}
    ]
    assert ends == [("COMMIT", 1), ("ROLLBACK", 2)]


def test_an_exception_in_the_block_is_a_rollback(recorded: Capture, engine: Any) -> None:
    def fail() -> None:
        with engine.begin() as connection:
            connection.execute(INSERT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert recorded.tree() == "INSERT fills\nROLLBACK"


def test_a_transaction_without_statements_is_none(recorded: Capture, engine: Any) -> None:
    with engine.begin():
        pass
    with engine.connect() as connection:
        connection.begin().rollback()
    assert recorded.spans() == []


def test_savepoints_are_statements_without_their_generated_names(recorded: Capture, engine: Any) -> None:
    with engine.begin() as connection:
        with connection.begin_nested():
            connection.execute(INSERT)
        nested = connection.begin_nested()
        connection.execute(INSERT)
        nested.rollback()
    texts = [span.attributes.get("db.query.text", span.name) for span in recorded.spans()]
    insert = "INSERT INTO fills (order_id) VALUES (?)"
    assert texts == [
        *("SAVEPOINT ?", insert, "RELEASE SAVEPOINT ?"),
        *("SAVEPOINT ?", insert, "ROLLBACK TO SAVEPOINT ?"),
        "COMMIT",
    ]
    assert recorded.spans()[-1].attributes["tickspan.db.transaction.statements"] == 2


def test_autocommit_has_no_commit(recorded: Capture, engine: Any) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(INSERT)
        connection.commit()
        connection.execute(INSERT)
    assert recorded.tree() == "INSERT fills\nINSERT fills"
    assert ["tickspan.db.transaction.id" in span.attributes for span in recorded.spans()] == [False, False]


def test_an_engine_in_autocommit_has_no_commit(recorded: Capture, book: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{book}", future=True, isolation_level="AUTOCOMMIT")
    with engine.begin() as connection:
        connection.execute(INSERT)
    engine.dispose()
    assert recorded.tree() == "INSERT fills"


def test_a_session_commits_once(recorded: Capture, engine: Any) -> None:
    with Session(engine, future=True) as session, session.begin():
        session.execute(INSERT)
        session.execute(SELECT).all()
    assert recorded.tree() == "INSERT fills\nSELECT fills\nCOMMIT"


def test_a_failing_commit_is_an_error(recorded: Capture, engine: Any) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql(
            "CREATE TABLE children (id INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)"
        )
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.exec_driver_sql("INSERT INTO children VALUES (1)")
        recorded.clear()
        with pytest.raises(exc.IntegrityError):
            connection.commit()
        commit = recorded.spans()[0]
        connection.rollback()
    code = "SQLITE_CONSTRAINT_FOREIGNKEY"
    assert (commit.name, commit.status, commit.description) == ("COMMIT", "error", f"IntegrityError {code}")
    assert commit.attributes["error.type"] == code
