"""`read_ddl`: a schema from a file of definitions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.ddl import read_ddl
from tickspan.analysis.sql.parsed import Problem, Reason
from tickspan.analysis.sql.schema import Column, ForeignKey, Index, Schema, Table

DUMP = """\
-- PostgreSQL database dump
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.trades (
    id bigserial,
    symbol varchar(20) NOT NULL,
    price numeric(18,8) DEFAULT 0,
    ts timestamptz NOT NULL,
    note jsonb
) PARTITION BY RANGE (ts);
ALTER TABLE public.trades OWNER TO trader;
COMMENT ON TABLE public.trades IS 'fills; of all venues';
ALTER TABLE ONLY public.trades ADD CONSTRAINT trades_pkey PRIMARY KEY (id, ts);
CREATE INDEX trades_symbol_ts ON ONLY public.trades
    USING btree (symbol text_pattern_ops, ts DESC) INCLUDE (price);
CREATE UNIQUE INDEX trades_lower ON trades (lower(symbol), ts) WHERE (price > 5);
CREATE INDEX CONCURRENTLY trades_ts ON public.trades USING brin (ts);
ALTER TABLE ONLY public.trades
    ADD CONSTRAINT trades_symbol_fkey FOREIGN KEY (symbol)
    REFERENCES public.symbols (symbol) ON DELETE CASCADE;
ALTER TABLE public.trades ADD COLUMN venue text;
"""


def test_a_dump_of_postgresql_is_a_schema() -> None:
    schema, problems = read_ddl(DUMP, Dialect.POSTGRESQL)
    name = "public.trades"
    assert problems == ()
    assert schema == Schema(
        (
            Table(
                name,
                (
                    Column("id", "bigint", is_nullable=False),
                    Column("symbol", "character varying(20)", is_nullable=False),
                    Column("price", "numeric(18,8)"),
                    Column("ts", "timestamp with time zone", is_nullable=False),
                    Column("note", "jsonb"),
                    Column("venue", "text"),
                ),
                (
                    Index("trades_pkey", name, ("id", "ts"), is_unique=True, is_primary=True),
                    Index("trades_symbol_ts", name, ("symbol", "ts DESC"), ("price",)),
                    Index(
                        "trades_lower", name, ("LOWER(symbol)", "ts"), predicate="(price > ?)", is_unique=True
                    ),
                    Index("trades_ts", name, ("ts",), method="brin"),
                ),
                (ForeignKey(("symbol",), "public.symbols", ("symbol",)),),
                is_partitioned=True,
            ),
        ),
        "public",
    )


def test_a_table_of_mysql_has_the_keys_of_its_definition() -> None:
    schema, problems = read_ddl(
        """CREATE TABLE `orders` (
            `id` int unsigned NOT NULL AUTO_INCREMENT, `symbol` varchar(20), `at` timestamp(6), `note` text,
            PRIMARY KEY (`id`), UNIQUE KEY `one` (`symbol`,`id`), KEY `two` (`note`(10), `at` DESC),
            CONSTRAINT `f` FOREIGN KEY (`symbol`) REFERENCES `symbols` (`symbol`)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='x';
        CREATE INDEX three ON orders (note(20), id) ALGORITHM=INPLACE LOCK=NONE;
        ALTER TABLE orders ADD INDEX four (`at`);""",
        Dialect.MYSQL,
    )
    (table,) = schema
    assert problems == ()
    assert [(column.name, column.type, column.is_nullable) for column in table.columns] == [
        ("id", "int unsigned", False),
        ("symbol", "varchar(20)", True),
        ("at", "timestamp(6)", True),
        ("note", "text", True),
    ]
    assert [(index.name, index.columns, index.is_unique) for index in table.indexes] == [
        ("orders_pkey", ("id",), True),
        ("one", ("symbol", "id"), True),
        ("two", ("note", "at DESC"), False),
        ("three", ("note", "id"), False),
        ("four", ("at",), False),
    ]
    assert table.foreign_keys == (ForeignKey(("symbol",), "symbols", ("symbol",)),)


def test_a_table_of_sqlite_may_leave_types_out() -> None:
    schema, problems = read_ddl(
        """CREATE TABLE ticks (
            symbol VARCHAR(20) UNIQUE, ts, price FLOAT, PRIMARY KEY (symbol, ts)
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS "by price" ON "ticks" ("price" DESC)""",
        Dialect.SQLITE,
    )
    (table,) = schema
    assert problems == ()
    assert [(column.name, column.type, column.is_nullable) for column in table.columns] == [
        ("symbol", "varchar(20)", False),
        ("ts", "", False),
        ("price", "double", True),
    ]
    assert [(index.name, index.columns) for index in table.indexes] == [
        ("ticks_symbol_key", ("symbol",)),
        ("ticks_pkey", ("symbol", "ts")),
        ("by price", ("price DESC",)),
    ]


def test_what_cannot_be_read_is_told_by_its_place_and_the_rest_goes_on() -> None:
    schema, problems = read_ddl(
        "CREATE TABLE a (id int PRIMARY KEY);\n"
        "CREATE TABLE b (id int PRIMARY KEY, (;\n"
        "  CREATE INDEX c ON nowhere (id);\n"
        "CREATE TABLE d (id int);\n"
        "CREATE TABLE e (id text DEFAULT 'open);",
        Dialect.POSTGRESQL,
    )
    assert [table.name for table in schema] == ["a", "d"]
    assert problems == (
        Problem(Reason.SYNTAX, 2, 37),
        Problem(Reason.TABLE, 3, 3),
        Problem(Reason.SYNTAX, 5, 33),
    )


def test_a_reference_in_a_columns_definition_is_a_foreign_key() -> None:
    schema, _ = read_ddl(
        "CREATE TABLE f (order_id bigint REFERENCES orders (id), venue text REFERENCES venues)",
        Dialect.POSTGRESQL,
    )
    assert next(iter(schema)).foreign_keys == (
        ForeignKey(("order_id",), "orders", ("id",)),
        ForeignKey(("venue",), "venues", ()),
    )


@pytest.mark.parametrize("dialect", list(Dialect))
@settings(deadline=None, max_examples=40)
@given(text=st.text(st.sampled_from("abt (),;'\"`[]\\-*/\n%0$") | st.characters()))
def test_any_text_is_some_schema(dialect: Dialect, text: str) -> None:
    assert isinstance(read_ddl(f"CREATE TABLE t (a int); {text}", dialect)[0], Schema)
    assert isinstance(read_ddl(f"CREATE TABLE t (a int {text}); CREATE INDEX i ON t (a)", dialect)[0], Schema)
