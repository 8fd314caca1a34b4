"""Tables that change while they are read: what comes, what does not, and nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from trades import TRADES, create_trades, insert_trades, trade, trades

from tickspan import lazy

SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


@pytest.fixture
def changing(engine: sa.Engine) -> Iterator[sa.Engine]:
    """A table of its first 100 trades, whose readers and writers do not wait for one another."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    create_trades(engine, 100)
    yield engine
    create_trades(engine, 5_000)


def change(engine: sa.Engine, statement: Any) -> None:
    with engine.begin() as connection:
        connection.execute(statement)


def test_what_is_inserted_ahead_comes_and_what_is_inserted_behind_does_not(changing: sa.Engine) -> None:
    change(changing, TRADES.delete().where(TRADES.c.id.in_((3, 90))))
    rows = lazy.rows(lazy.table(changing, "trades"), chunk=10, prefetch=0)
    first = list(islice(rows, 50))
    insert_trades(changing, 3, 3)
    insert_trades(changing, 90, 90)
    insert_trades(changing, 101, 103)
    assert first + list(rows) == [row for row in trades(1, 103) if row[0] != 3]


def test_what_is_deleted_ahead_does_not_come_and_a_deleted_place_is_no_obstacle(changing: sa.Engine) -> None:
    rows = lazy.rows(lazy.table(changing, "trades"), chunk=10, prefetch=0)
    first = list(islice(rows, 50))
    change(changing, TRADES.delete().where(TRADES.c.id.between(45, 60)))
    assert first + list(rows) == trades(1, 50) + trades(61, 100)


def test_a_row_whose_key_moves_may_come_twice_and_in_a_snapshot_comes_once(changing: sa.Engine) -> None:
    move = TRADES.update().where(TRADES.c.id == 1).values(ts=1000)
    by_time = lazy.rows(lazy.table(changing, "trades", key="ts"), chunk=10, prefetch=0)
    first = list(islice(by_time, 50))
    change(changing, move)
    assert first + list(by_time) == [*trades(1, 100), (1, 1000, "S1", 3)]
    change(changing, TRADES.update().where(TRADES.c.id == 1).values(ts=0))
    with lazy.rows(lazy.table(changing, "trades", key="ts", snapshot=True), chunk=10) as fixed:
        first = [next(fixed) for _ in range(50)]
        change(changing, move)
        assert first + list(fixed) == trades(1, 100)


def test_a_snapshot_sees_one_moment(changing: sa.Engine) -> None:
    with lazy.rows(lazy.table(changing, "trades", snapshot=True), chunk=10) as rows:
        first = [next(rows)]
        insert_trades(changing, 101, 110)
        change(changing, TRADES.delete().where(TRADES.c.id == 99))
        change(changing, TRADES.update().where(TRADES.c.id == 98).values(symbol="X"))
        assert first + list(rows) == trades(1, 100)
    assert list(lazy.rows(lazy.table(changing, "trades", where="id > 96"))) == [
        trade(97),
        (98, 9, "X", trade(98)[3]),
        trade(100),
        *trades(101, 110),
    ]


def test_a_snapshot_writes_nothing_and_leaves_no_transaction(changing: sa.Engine) -> None:
    with lazy.rows(lazy.table(changing, "trades", snapshot=True), chunk=10) as rows:
        next(rows)
    change(changing, TRADES.delete())  # would wait for a lock
    assert list(lazy.rows(lazy.table(changing, "trades"))) == []


@pytest.mark.parametrize("key", ["id", "-ts"])
def test_reading_until_the_start_ends_at_the_key_that_was_last_then(changing: sa.Engine, key: str) -> None:
    source = lazy.table(changing, "trades", key=key, until="start")
    wanted = list(lazy.rows(lazy.table(changing, "trades", key=key)))
    rows = lazy.rows(source, chunk=10, prefetch=0)
    first = list(islice(rows, 5))
    with lazy.rows(source, chunk=10, prefetch=0) as held:
        second = [next(held) for _ in range(5)]
        change(changing, TRADES.insert().values(id=101, ts=1000, symbol="X", price=None))
        change(changing, TRADES.insert().values(id=102, ts=-1000, symbol="X", price=None))
        got = second + list(held)
    assert first == second == wanted[:5]
    assert got == wanted


def test_an_empty_table_has_an_end_at_once(changing: sa.Engine) -> None:
    change(changing, TRADES.delete())
    rows = lazy.rows(lazy.table(changing, "trades", until="start", settle_s=0.01))
    assert list(rows) == []
    insert_trades(changing, 1, 3)
    assert list(rows) == trades(1, 3)


@pytest.mark.backends
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"], indirect=True)  # SQLite has one writer
def test_a_lower_key_that_is_committed_later_is_not_lost_when_the_head_settles(changing: sa.Engine) -> None:
    seen = threading.Event()

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "DESC" in statement:  # the head was looked up
            seen.set()

    event.listen(changing, "after_cursor_execute", note)
    late = changing.connect()
    transaction = late.begin()
    late.execute(TRADES.insert().values(id=101, ts=10, symbol="late", price=1))
    change(changing, TRADES.insert().values(id=102, ts=10, symbol="early", price=1))

    def commit() -> None:
        assert seen.wait(5)
        transaction.commit()
        late.close()

    committer = threading.Thread(target=commit)
    committer.start()
    source = lazy.table(changing, "trades", where="id > 100", settle_s=0.25)
    rows = lazy.rows(source)
    got = list(rows)
    committer.join()
    change(changing, TRADES.insert().values(id=103, ts=10, symbol="later", price=1))
    got += list(lazy.rows(source, resume=rows.token))
    event.remove(changing, "after_cursor_execute", note)
    assert [(row[0], row[2]) for row in got] == [(101, "late"), (102, "early"), (103, "later")]


def test_closing_ends_the_wait_for_the_head(changing: sa.Engine) -> None:
    rows = lazy.rows(lazy.table(changing, "trades", settle_s=60))
    reader = threading.Thread(target=lambda: list(rows))
    reader.start()
    while not rows.statistics().is_open:
        pass
    rows.close()
    reader.join(5)
    assert not reader.is_alive()


CHANGES = st.lists(
    st.tuples(st.sampled_from(["insert", "delete", "stop", "resume"]), st.integers(1, 60), st.integers(1, 9)),
    max_size=12,
)


@SETTINGS
@given(changes=CHANGES, chunk=st.integers(1, 9), prefetch=st.integers(0, 2))
def test_rows_that_stay_come_once_whatever_else_changes(
    changing: sa.Engine, changes: list[tuple[str, int, int]], chunk: int, prefetch: int
) -> None:
    there = set(range(2, 61, 2))
    change(changing, TRADES.delete())
    for number in sorted(there):
        insert_trades(changing, number, number)
    stay = set(there)
    source = lazy.table(changing, "trades", key=("ts", "id"))
    rows = lazy.rows(source, chunk=chunk, prefetch=prefetch)
    got: list[Any] = []
    for what, number, count in changes:
        got += islice(rows, count)
        if what == "delete":
            stay.discard(number)
            change(changing, TRADES.delete().where(TRADES.c.id == number))
        elif what == "insert":
            with suppress(sa.exc.IntegrityError):  # pyright: ignore[reportAttributeAccessIssue] - a lazy module
                insert_trades(changing, number, number)
        elif what == "resume":
            rows = lazy.rows(source, chunk=chunk, prefetch=prefetch, resume=rows.token)
    got += rows
    ids = [row[0] for row in got]
    assert ids == sorted(set(ids))
    assert stay <= set(ids)
