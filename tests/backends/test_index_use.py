"""Rules that call an index useless are right: real planners do not use it either."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pymysql
import pytest

from scripts.servers import DatabaseServer
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.ddl import read_ddl
from tickspan.analysis.sql.parsed import parse
from tickspan.analysis.sql.rules import Checker, Context

UsesIndex = Callable[[str, str], bool]
"""Whether the index on a column serves a query."""

RULES = {"implicit_cast", "function_on_column"}


def is_called_useless(sql: str, dialect: Dialect, definitions: str) -> bool:
    schema, problems = read_ddl(definitions, dialect)
    parsed = parse(sql, dialect)
    assert problems == parsed.problems == ()
    found = Checker().check(parsed, Context(parsed.statement, dialect, schema))
    return bool({finding.rule for finding in found} & RULES)


POSTGRESQL = """
CREATE TABLE index_use (whole bigint, exact numeric(18,8), floating double precision, padded char(8),
    word varchar(20), moment timestamptz);
CREATE INDEX index_use_whole ON index_use (whole);
CREATE INDEX index_use_exact ON index_use (exact);
CREATE INDEX index_use_floating ON index_use (floating);
CREATE INDEX index_use_padded ON index_use (padded);
CREATE INDEX index_use_word ON index_use (word);
CREATE INDEX index_use_moment ON index_use (moment);
"""


@pytest.fixture
def postgresql(postgresql_server: str) -> Iterator[UsesIndex]:
    with psycopg.connect(postgresql_server) as connection:
        connection.execute(POSTGRESQL)
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("SET LOCAL enable_indexonlyscan = off")

        def uses_index(column: str, sql: str) -> bool:
            plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {sql}".encode()))
            return f"index_use_{column}" in plan and "Index Cond" in plan

        yield uses_index
        connection.rollback()


@pytest.mark.backends
@pytest.mark.parametrize(
    ("column", "condition"),
    [
        ("whole", "whole = 5"),
        ("whole", "whole = 5::smallint"),
        ("whole", "whole = 5::numeric"),
        ("whole", "whole = 1.5"),
        ("whole", "whole > 5::float8"),
        ("whole", "whole + 1 = 5"),
        ("whole", "whole = 5 - 1"),
        ("exact", "exact = 5"),
        ("exact", "exact = 1.5"),
        ("exact", "exact = 1.5::float8"),
        ("exact", "abs(exact) = 1.5"),
        ("floating", "floating = 1.5"),
        ("floating", "floating = 5"),
        ("floating", "floating = 1.5::numeric"),
        ("padded", "padded = 'a'"),
        ("padded", "padded = 'a'::text"),
        ("padded", "padded = 'a'::varchar"),
        ("word", "word = 'a'"),
        ("word", "word = 'a'::text"),
        ("word", "word::text = 'a'"),
        ("word", "lower(word) = 'a'"),
        ("word", "word = lower('A')"),
        ("word", "coalesce(word, '') = 'a'"),
        ("moment", "moment::date = '2026-01-05'"),
        ("moment", "date_trunc('day', moment) = '2026-01-05'"),
        ("moment", "moment >= '2026-01-05' AND moment < '2026-01-06'"),
        ("moment", "moment > now() - interval '1 day'"),
        ("moment", "moment + interval '1 day' > now()"),
    ],
)
def test_postgresql_uses_an_index_where_the_rules_find_nothing(
    postgresql: UsesIndex, column: str, condition: str
) -> None:
    sql = f"SELECT 1 FROM index_use WHERE {condition}"
    assert is_called_useless(sql, Dialect.POSTGRESQL, POSTGRESQL) is not postgresql(column, sql)


def advised_index(sql: str, dialect: Dialect) -> str:
    parsed = parse(sql, dialect)
    found = Checker().check(parsed, Context(parsed.statement, dialect))
    (advice,) = [finding.advice for finding in found if finding.rule == "function_on_column"]
    return advice[advice.index("CREATE INDEX") :]


@pytest.mark.backends
@pytest.mark.parametrize("expression", ["lower(word)", "abs(exact)", "upper(trim(word))"])
def test_postgresql_uses_the_index_that_is_advised(postgresql_server: str, expression: str) -> None:
    sql = f"SELECT 1 FROM advised WHERE {expression} = '1'"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("CREATE TABLE advised (word text, exact numeric)")
        connection.execute(advised_index(sql, Dialect.POSTGRESQL).encode())
        connection.execute("SET enable_seqscan = off")
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {sql}".encode()))
        connection.execute("DROP TABLE advised")
    assert "Index Cond" in plan


def test_sqlite_uses_the_index_that_is_advised() -> None:
    sql = "SELECT 1 FROM advised WHERE lower(word) = 'a'"
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE advised (word text)")
        connection.execute(advised_index(sql, Dialect.SQLITE))
        steps = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql)]
    assert [step.replace("COVERING ", "") for step in steps] == [
        "SEARCH advised USING INDEX advised_word_expression (<expr>=?)"
    ]


MYSQL = """
CREATE TABLE index_use (id int PRIMARY KEY, whole int, exact decimal(18,8), word varchar(20), moment datetime,
    KEY whole (whole), KEY exact (exact), KEY word (word), KEY moment (moment));
CREATE TABLE joined (id int PRIMARY KEY, whole int, word varchar(20));
"""


@pytest.fixture
def mariadb(mariadb_server: DatabaseServer) -> Iterator[UsesIndex]:
    server = mariadb_server
    with (
        closing(pymysql.connect(host=server.host, port=server.port, user=server.user)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("CREATE DATABASE index_use")
        cursor.execute("USE index_use")
        for definition in filter(str.strip, MYSQL.split(";")):
            cursor.execute(definition)
        numbers = ",".join(f"({n}, {n}, {n}, '{n}', '2026-01-05')" for n in range(500))
        cursor.execute("INSERT INTO index_use VALUES " + numbers)
        cursor.execute("INSERT INTO joined VALUES (1, 1, '1'), (2, 2, '2')")

        def uses_index(column: str, sql: str) -> bool:
            cursor.execute(
                "EXPLAIN " + sql.replace("index_use AS t", f"index_use AS t FORCE INDEX ({column})")
            )
            accesses = {row[2]: row[3] for row in cursor.fetchall()}
            return accesses["t"] in {"ref", "range", "const", "eq_ref"}

        yield uses_index
        cursor.execute("DROP DATABASE index_use")


@pytest.mark.backends
@pytest.mark.parametrize(
    ("column", "rest"),
    [
        ("whole", "index_use AS t WHERE t.whole = 5"),
        ("whole", "index_use AS t WHERE t.whole = '5'"),
        ("whole", "index_use AS t WHERE t.whole + 1 = 5"),
        ("exact", "index_use AS t WHERE t.exact = 5"),
        ("exact", "index_use AS t WHERE t.exact = '5'"),
        ("word", "index_use AS t WHERE t.word = '5'"),
        ("word", "index_use AS t WHERE t.word = 5"),
        ("word", "index_use AS t WHERE t.word IN (5, 6)"),
        ("word", "index_use AS t WHERE lower(t.word) = 'a'"),
        ("moment", "index_use AS t WHERE year(t.moment) + 0 = 2026"),
        ("moment", "index_use AS t WHERE t.moment >= '2026-01-06' AND t.moment < '2026-01-07'"),
        ("whole", "joined AS j STRAIGHT_JOIN index_use AS t ON t.whole = j.whole"),
        ("word", "joined AS j STRAIGHT_JOIN index_use AS t ON t.word = j.word"),
        ("word", "joined AS j STRAIGHT_JOIN index_use AS t ON t.word = j.whole"),
    ],
)
def test_mariadb_uses_an_index_where_the_rules_find_nothing(
    mariadb: UsesIndex, column: str, rest: str
) -> None:
    sql = f"SELECT t.id FROM {rest}"
    assert is_called_useless(sql, Dialect.MYSQL, MYSQL) is not mariadb(column, sql)


SQLITE = """
CREATE TABLE index_use (whole INTEGER, word TEXT, moment TEXT);
CREATE INDEX index_use_whole ON index_use (whole);
CREATE INDEX index_use_word ON index_use (word);
CREATE INDEX index_use_moment ON index_use (moment);
CREATE TABLE joined (whole INTEGER, word TEXT);
"""


@pytest.mark.parametrize(
    ("column", "rest"),
    [
        ("whole", "index_use AS t WHERE t.whole = 5"),
        ("whole", "index_use AS t WHERE t.whole = '5'"),
        ("whole", "index_use AS t WHERE t.whole + 1 = 5"),
        ("word", "index_use AS t WHERE t.word = 'a'"),
        ("word", "index_use AS t WHERE t.word = 5"),
        ("word", "index_use AS t WHERE lower(t.word) = 'a'"),
        ("moment", "index_use AS t WHERE date(t.moment) = '2026-01-05'"),
        ("moment", "index_use AS t WHERE t.moment >= '2026-01-05' AND t.moment < '2026-01-06'"),
        ("whole", "joined AS j CROSS JOIN index_use AS t ON t.whole = j.whole"),
        ("word", "joined AS j CROSS JOIN index_use AS t ON t.word = j.word"),
        ("word", "joined AS j CROSS JOIN index_use AS t ON t.word = j.whole"),
    ],
)
def test_sqlite_uses_an_index_where_the_rules_find_nothing(column: str, rest: str) -> None:
    sql = f"SELECT 1 FROM {rest}"
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SQLITE)
        steps = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql)]
    is_used = any(step.startswith("SEARCH t") and f"index_use_{column}" in step for step in steps)
    assert is_called_useless(sql, Dialect.SQLITE, SQLITE) is not is_used
