"""What statements ask of tables is read from their texts."""

import pytest

from tickspan.analysis.indexes.access import Access, NotUnderstood, Write, read
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.schema import Column, Schema, Table

_SCHEMA = Schema(
    (
        Table(
            "public.trades",
            (Column("symbol", "text"), Column("ts", "timestamptz"), Column("price", "numeric")),
        ),
        Table(
            "public.orders",
            (Column("id", "bigint"), Column("symbol", "text"), Column("status", "text")),
        ),
    ),
    "public",
)


@pytest.mark.parametrize(
    ("sql", "accesses"),
    [
        (
            "SELECT price FROM trades WHERE symbol = $1 AND ts BETWEEN $2 AND $3",
            [Access("public.trades", ("symbol",), ranges=("ts",), reads=("price", "symbol", "ts"))],
        ),
        (
            "SELECT * FROM public.trades WHERE symbol IN ($1, $2) ORDER BY ts DESC, price LIMIT 5",
            [
                Access(
                    "public.trades", ("symbol",), order=("ts DESC", "price"), reads=("price", "symbol", "ts")
                )
            ],
        ),
        (
            "SELECT o.id FROM orders o JOIN trades t ON t.symbol = o.symbol WHERE o.status = 'open'",
            [
                Access(
                    "public.orders",
                    ("status",),
                    ("symbol",),
                    reads=("id", "status", "symbol"),
                    constants=(("status", "status = 'open'"),),
                ),
                Access("public.trades", joins=("symbol",), reads=("symbol",)),
            ],
        ),
        (
            "SELECT id FROM orders WHERE status = $1 OR symbol = $2",
            [
                Access("public.orders", ("status",), reads=("id", "status", "symbol")),
                Access("public.orders", ("symbol",), reads=("id", "status", "symbol")),
            ],
        ),
        (
            "SELECT id FROM orders WHERE status = $1 OR status = $2",
            [Access("public.orders", ("status",), reads=("id", "status"))],
        ),
        (
            "SELECT symbol, count(*) FROM trades GROUP BY symbol",
            [Access("public.trades", groups=("symbol",), reads=("symbol",))],
        ),
        (
            "SELECT max(ts) FROM trades WHERE symbol = $1",
            [Access("public.trades", ("symbol",), order=("ts DESC",), reads=("symbol", "ts"))],
        ),
        (
            "SELECT id FROM orders WHERE lower(status) = $1",
            [Access("public.orders", expressions=("LOWER(status)",), reads=("id", "status"))],
        ),
        (
            "SELECT id FROM orders WHERE status LIKE '%pen' AND symbol LIKE 'AA%'",
            [
                Access(
                    "public.orders",
                    reads=("id", "status", "symbol"),
                    searched=("status",),
                    prefixed=("symbol",),
                )
            ],
        ),
        (
            "SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM trades t WHERE t.symbol = o.symbol)",
            [Access("public.trades", joins=("symbol",), reads=("symbol",))],
        ),
        ("UPDATE orders SET status = $1 WHERE id = $2", [Access("public.orders", ("id",))]),
        ("SELECT price + 1 FROM trades", []),
    ],
)
def test_a_statement_is_read_as_what_it_asks_of_each_table(sql: str, accesses: list[Access]):
    assert list(read(sql, _SCHEMA, Dialect.POSTGRESQL).accesses) == accesses


_TWO_PLACES = Schema(
    (
        Table("public.orders", (Column("id", "bigint"), Column("symbol", "text"))),
        Table("archive.orders", (Column("id", "bigint"), Column("venue", "text"))),
        Table("archive.fills", (Column("order_id", "bigint"),)),
        Table("other.fills", (Column("fill_id", "bigint"),)),
    ),
    "public",
    ("public", "archive"),
)


@pytest.mark.parametrize(
    ("sql", "accesses"),
    [
        (
            "SELECT venue FROM orders o JOIN archive.orders a USING (id) WHERE symbol = $1",
            [
                Access("public.orders", ("symbol",), ("id",), reads=("id", "symbol")),
                Access("archive.orders", joins=("id",), reads=("id", "venue")),
            ],
        ),
        (
            (
                "SELECT 1 FROM public.orders, archive.orders"
                " WHERE public.orders.id = archive.orders.id AND archive.orders.venue = $1"
            ),
            [
                Access("public.orders", joins=("id",), reads=("id",)),
                Access("archive.orders", ("venue",), ("id",), reads=("id", "venue")),
            ],
        ),
        (
            "SELECT id FROM archive.orders WHERE archive.orders.venue = $1",
            [Access("archive.orders", ("venue",), reads=("id", "venue"))],
        ),
        (  # found by the search path
            "SELECT 1 FROM fills WHERE order_id = $1",
            [Access("archive.fills", ("order_id",), reads=("order_id",))],
        ),
        (  # no table of a name in another place is taken for it
            "SELECT 1 FROM third.orders WHERE venue = $1",
            [Access("third.orders", ("venue",), reads=("venue",))],
        ),
        ("SELECT 1 FROM public.fills", []),
        (  # an expression's name hides a table's, but for itself
            "WITH orders AS (SELECT id, symbol FROM orders WHERE symbol = $1) SELECT id FROM orders",
            [Access("public.orders", ("symbol",), reads=("id", "symbol"))],
        ),
        (
            'SELECT "archive"."orders"."id" FROM "archive"."orders" WHERE venue = $1',
            [Access("archive.orders", ("venue",), reads=("id", "venue"))],
        ),
    ],
)
def test_tables_of_one_name_in_several_namespaces_are_kept_apart(sql: str, accesses: list[Access]):
    assert list(read(sql, _TWO_PLACES, Dialect.POSTGRESQL).accesses) == accesses


@pytest.mark.parametrize(
    ("sql", "write"),
    [
        (
            "UPDATE orders SET status = $1, symbol = $2 WHERE id = $3",
            Write("public.orders", ("status", "symbol")),
        ),
        ("INSERT INTO orders (id) VALUES ($1)", Write("public.orders")),
        ("DELETE FROM trades WHERE ts < $1", Write("public.trades")),
        ("SELECT 1 FROM trades", None),
    ],
)
def test_a_write_is_told_with_the_columns_that_it_changes(sql: str, write: Write | None):
    assert read(sql, _SCHEMA, Dialect.POSTGRESQL).write == write


@pytest.mark.parametrize(
    ("sql", "told", "line"),
    [
        ("SELECT * FROM trades\nWHERE AND symbol = 'AAPL'", "syntax not understood", 2),
        ("SELECT 1; SELECT 2", "2 statements where one was expected", 0),
        ("CREATE TABLE secret (id int)", "no SELECT, INSERT, UPDATE or DELETE", 0),
        ("SELECT 'AAPL", "syntax not understood", 1),
    ],
)
def test_what_is_not_understood_is_told_without_its_text(sql: str, told: str, line: int):
    with pytest.raises(NotUnderstood) as caught:
        read(sql, _SCHEMA, Dialect.POSTGRESQL)
    assert (str(caught.value), caught.value.line) == (told, line)


def test_without_a_schema_names_are_as_the_statement_writes_them():
    found = read(
        "SELECT * FROM trades WHERE symbol = 'AAPL' ORDER BY timestamp DESC", Schema(), Dialect.SQLITE
    )
    assert found.accesses == (
        Access(
            "trades",
            ("symbol",),
            order=("timestamp DESC",),
            constants=(("symbol", "symbol = 'AAPL'"),),
        ),
    )
