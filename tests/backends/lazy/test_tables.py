"""Tables are read by their key: which rows come, in which form, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event, exc
from trades import TRADES, trade, trades

from tickspan import lazy
from tickspan.lazy import KeyColumn, TokenError


@contextmanager
def statements_of(engine: sa.Engine) -> Generator[list[str]]:
    """The SELECTs that run meanwhile."""
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(" ".join(statement.split()))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def made(engine: sa.Engine, *statements: str, table: str) -> Generator[None]:
    """A table while the block lasts."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    yield
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {table}")


def test_a_table_comes_whole_in_the_order_of_its_primary_key(engine: sa.Engine) -> None:
    assert list(lazy.rows(lazy.table(engine, "trades"), chunk=700)) == trades(1, 5000)


def test_a_condition_takes_its_values_by_name(engine: sa.Engine) -> None:
    source = lazy.table(
        engine,
        "trades",
        where="ts >= :t AND symbol IN :symbols  -- our markets",
        params={"t": 400, "symbols": ("S1", "S2")},
        columns=("price", "id"),
        key="-id",
    )
    wanted = [
        (price, id_)
        for id_, ts, symbol, price in trades(4000, 5000)[::-1]
        if symbol in {"S1", "S2"} and ts >= 400
    ]
    assert list(lazy.rows(source, chunk=100)) == wanted


def test_a_value_is_never_read_as_sql(engine: sa.Engine) -> None:
    source = lazy.table(engine, "trades", where="symbol = :s", params={"s": "S1' OR '1'='1"})
    assert list(lazy.rows(source)) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": 'trades"; DROP TABLE trades; --'},
        {"name": "trades`; DROP TABLE trades; --"},
        {"name": "trades", "key": "id; DROP TABLE trades"},
        {"name": "trades", "key": "-id desc"},
        {"name": "trades", "columns": ["id, 1"]},
        {"name": "trades", "schema": "x'; DROP TABLE trades; --"},
    ],
)
def test_names_that_are_none_of_the_database_are_refused(
    engine: sa.Engine, arguments: dict[str, Any]
) -> None:
    with pytest.raises((ValueError, exc.NoSuchTableError, exc.OperationalError)):
        list(lazy.rows(lazy.table(engine, **arguments)))
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(TRADES)) == 5000


def test_an_unknown_column_is_told_with_those_that_there_are(engine: sa.Engine) -> None:
    with pytest.raises(ValueError, match="no column 'time'; there are id, ts, symbol, price"):
        next(lazy.rows(lazy.table(engine, "trades", key="time")))


def test_odd_names_are_quoted(engine: sa.Engine) -> None:
    value = 'it\'s a : % "day"'
    odd = sa.Table(
        "odd.select",
        sa.MetaData(),
        sa.Column("order", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column(value, sa.Integer),
    )
    odd.create(engine)
    try:
        with engine.begin() as connection:
            connection.execute(odd.insert(), [{"order": one, value: one * 10} for one in (1, 2, 3)])
        source = lazy.table(engine, "odd.select", schema="", key="-order", into="dict")
        assert list(lazy.rows(source, chunk=1)) == [{"order": one, value: one * 10} for one in (3, 2, 1)]
    finally:
        odd.drop(engine)


@dataclass
class Trade:
    id: int
    ts: int
    symbol: str
    price: int | None


@pytest.mark.parametrize(
    ("into", "first"),
    [
        ("tuple", (1, 0, "S1", 3)),
        ("dict", {"id": 1, "ts": 0, "symbol": "S1", "price": 3}),
        (Trade, Trade(1, 0, "S1", 3)),
    ],
)
def test_rows_take_the_form_that_is_asked_for(engine: sa.Engine, into: Any, first: object) -> None:
    rows = lazy.rows(lazy.table(engine, "trades", into=into, key="ts"), chunk=10)
    (row,) = islice(rows, 1)
    assert row == first
    assert type(row) is type(first)
    again = lazy.rows(lazy.table(engine, "trades", key="ts"), resume=rows.token)
    assert next(again) == trade(2)
    again.close()


def test_named_rows_have_the_columns_as_attributes(engine: sa.Engine) -> None:
    (row,) = islice(lazy.rows(lazy.table(engine, "trades", into="named")), 1)
    assert (row, row.symbol, type(row).__name__) == (trade(1), "S1", "Trades")


@pytest.mark.parametrize(
    ("key", "order"),
    [
        ("ts", "ts, id"),
        ("-ts", "ts DESC, id DESC"),
        (("ts", "-id"), "ts, id DESC"),
        (("id", "ts"), "id, ts"),
        (None, "id"),
        (KeyColumn("ts", is_descending=True), "ts DESC, id DESC"),
    ],
)
def test_the_primary_key_is_appended_unless_the_key_is_unique(
    engine: sa.Engine, key: Any, order: str
) -> None:
    with statements_of(engine) as statements:
        next(iter(lazy.rows(lazy.table(engine, "trades", key=key), chunk=10)))
    assert orders_of(statements, "trades") == {order}


def test_a_unique_index_is_a_key_and_a_partial_or_nullable_one_is_not(engine: sa.Engine) -> None:
    with (
        made(
            engine,
            "CREATE TABLE quotes (id INTEGER PRIMARY KEY, code INTEGER NOT NULL UNIQUE, maybe INTEGER)",
            "CREATE UNIQUE INDEX quotes_maybe ON quotes (maybe)",
            "INSERT INTO quotes VALUES (1, 9, NULL), (2, 8, NULL), (3, 7, 5)",
            table="quotes",
        ),
        statements_of(engine) as statements,
    ):
        by_code = list(lazy.rows(lazy.table(engine, "quotes", key="code"), chunk=1))
        by_maybe = list(lazy.rows(lazy.table(engine, "quotes", key="-maybe"), chunk=1))
    assert [row[0] for row in by_code] == [3, 2, 1]
    assert {row[0] for row in by_maybe} == {1, 2, 3}
    assert orders_of(statements, "quotes") == {"code", "maybe DESC, id DESC"}


def orders_of(statements: list[str], table: str) -> set[str]:
    """What pages of a table are ordered by."""
    plain = [statement.replace('"', "").replace("`", "").replace(" ASC", "") for statement in statements]
    pages = [one for one in plain if f"FROM {table}" in one and "LIMIT" in one]
    return {page.partition("ORDER BY ")[2].partition(" LIMIT")[0] for page in pages}


def test_a_view_needs_a_query_with_a_key(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE VIEW recent AS SELECT id, ts FROM trades WHERE id > 4990")
    try:
        with pytest.raises(ValueError, match="no primary key"):
            next(lazy.rows(lazy.table(engine, "recent", key="id")))
        source = lazy.select(engine, "SELECT * FROM recent;", key="id", not_null=True)
        assert list(lazy.rows(source, chunk=3)) == [row[:2] for row in trades(4991, 5000)]
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP VIEW recent")


def test_a_query_in_text_is_paged_by_its_key(engine: sa.Engine) -> None:
    text = (
        "SELECT ts, count(*) AS trades, max(price) AS high FROM trades WHERE ts >= :t GROUP BY ts -- seconds"
    )
    source = lazy.select(engine, text, key="-ts", params={"t": 490}, into="dict")
    rows = lazy.rows(source, chunk=3)
    got = [*islice(rows, 4), *lazy.rows(source, chunk=2, resume=rows.token)]
    assert [row["ts"] for row in got] == list(range(500, 489, -1))
    assert got[1] == {"ts": 499, "trades": 10, "high": max(row[3] or 0 for row in trades(4990, 4999))}


def test_a_core_statement_keeps_the_types_of_its_columns(engine: sa.Engine) -> None:
    events = sa.Table(
        "events",
        sa.MetaData(),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("price", sa.Numeric(10, 2)),
    )
    moments = [datetime(2026, 1, 2, 3, 4, second) for second in (7, 7, 6, 8)]  # noqa: DTZ001 - the column has no zone
    events.create(engine)
    try:
        with engine.begin() as connection:
            connection.execute(
                events.insert(),
                [{"id": id_, "at": at, "price": Decimal("1.25")} for id_, at in enumerate(moments, 1)],
            )
        source = lazy.select(engine, sa.select(events).where(events.c.id < 9), key=("-at", "id"))
        rows = lazy.rows(source, chunk=1)
        (first,) = islice(rows, 1)
        assert (first.at, first.id, first.price) == (moments[3], 4, Decimal("1.25"))
        assert [row.id for row in lazy.rows(source, chunk=1, resume=rows.token)] == [1, 2, 3]
        assert [row.id for row in rows] == [1, 2, 3]
    finally:
        events.drop(engine)


@pytest.mark.parametrize("chunk", [4, 10, 1000])
def test_a_key_that_is_not_unique_is_refused_rather_than_losing_rows(engine: sa.Engine, chunk: int) -> None:
    source = lazy.select(engine, "SELECT * FROM trades", key="ts", not_null=True)
    with pytest.raises(ValueError, match="the key ts is not unique"):
        list(lazy.rows(source, chunk=chunk))


def test_a_key_that_the_query_does_not_have_is_refused(engine: sa.Engine) -> None:
    with pytest.raises((ValueError, exc.DBAPIError)):
        list(lazy.rows(lazy.select(engine, "SELECT id FROM trades", key="when")))
    with pytest.raises(ValueError, match="no column 'when'; there are id"):
        list(lazy.rows(lazy.select(engine, sa.select(TRADES.c.id), key="when")))


def test_a_tokens_source_is_table_condition_values_and_key(engine: sa.Engine) -> None:
    def source(**arguments: Any) -> Any:
        usual: dict[str, Any] = {"where": "ts > :t", "params": {"t": 1}, "key": "ts"}
        usual.update(arguments)
        return lazy.table(engine, "trades", **usual)

    rows = lazy.rows(source())
    next(iter(rows))
    next(iter(lazy.rows(source(columns=["symbol"], into="dict"), resume=rows.token)))
    for other in (
        source(params={"t": 2}),
        source(where="ts >= :t"),
        source(key="-ts"),
        source(key=("ts", "id")),
    ):
        with pytest.raises(TokenError, match="belongs to another source"):
            lazy.rows(other, resume=rows.token)


def test_a_stream_reads_by_one_cursor_and_has_no_token(engine: sa.Engine) -> None:
    source = lazy.stream(engine, "SELECT * FROM trades WHERE id > :i ORDER BY id", params={"i": 10})
    rows = lazy.rows(source, chunk=100)
    with statements_of(engine) as statements:
        assert list(rows) == trades(11, 5000)
    assert len([one for one in statements if "trades" in one]) == 1
    assert len(list(islice(lazy.rows(source, chunk=10), 25))) == 25
    with pytest.raises(TokenError, match="has no positions to go on from"):
        rows.token  # noqa: B018 - raises
    with pytest.raises(TokenError, match="cannot be resumed"):
        lazy.rows(source, resume="x")


def test_a_core_stream_gives_rows_of_sqlalchemy(engine: sa.Engine) -> None:
    source = lazy.stream(engine, sa.select(TRADES).order_by(TRADES.c.id), into=Trade)
    assert next(iter(lazy.rows(source))) == Trade(*trade(1))


def test_offset_works_and_warns(engine: sa.Engine) -> None:
    with pytest.warns(lazy.OffsetWarning, match="lazy.select with a key does not") as warned:
        source = lazy.offset(engine, "SELECT * FROM trades WHERE id > :i ORDER BY id;", params={"i": 4900})
    assert warned[0].filename == __file__
    rows = lazy.rows(source, chunk=7)
    first = list(islice(rows, 30))
    assert first + list(lazy.rows(source, chunk=9, resume=rows.token)) == trades(4901, 5000)
    with pytest.warns(lazy.OffsetWarning):
        core = lazy.offset(engine, sa.select(TRADES).order_by(TRADES.c.id), snapshot=True, into="dict")
    assert len(list(lazy.rows(core, chunk=999))) == 5000


Make = Callable[..., object]
TABLE: Make = lazy.table
SELECT: Make = lazy.select
STREAM: Make = lazy.stream


@pytest.mark.integration
@pytest.mark.parametrize(
    ("make", "what", "arguments", "said"),
    [
        (TABLE, "", {}, "expected the name of a table"),
        (TABLE, "t", {"key": ("a", "-a")}, "a column stands twice in the key"),
        (TABLE, "t", {"key": "-"}, "expected the name of a column"),
        (TABLE, "t", {"until": "end"}, "until must be 'start' or None, not 'end'"),
        (TABLE, "t", {"settle_s": -1}, "settle_s must not be negative"),
        (TABLE, "t", {"into": "list"}, "into must be"),
        (SELECT, "SELECT 1", {"key": ()}, "a query needs a key"),
        (SELECT, 7, {"key": "id"}, "expected SQL text or a SQLAlchemy select"),
        (STREAM, 7, {}, "expected SQL text or a SQLAlchemy select"),
    ],
)
def test_wrong_arguments_are_refused_at_once(make: Make, what: object, arguments: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        make("sqlite:///nowhere.db", what, **arguments)
    with pytest.raises(TypeError, match="expected a SQLAlchemy Engine or AsyncEngine"):
        make(7, "t", key="id") if make is SELECT else make(7, "t")
