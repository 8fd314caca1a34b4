"""What placeholders stand beside, and what stands in for them."""

from __future__ import annotations

import pytest

from tickspan.analysis.plans.placeholders import Place, Role, places
from tickspan.analysis.plans.stand_ins import with_stand_ins
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.schema import Column, Schema, Table

OTHER = Place(Role.OTHER)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM t WHERE a = $1", (Place(Role.COLUMN, "", "a"),)),
        ('SELECT * FROM t WHERE t."A" >= $1', (Place(Role.COLUMN, "t", "A"),)),
        ("SELECT * FROM t WHERE s.t.a IN ($1, $2)", (Place(Role.COLUMN, "t", "a"),) * 2),
        ("SELECT * FROM t WHERE a NOT IN ($1)", (Place(Role.COLUMN, "", "a"),)),
        ("SELECT * FROM t WHERE a BETWEEN $1 AND $2", (Place(Role.COLUMN, "", "a"),) * 2),
        ("SELECT * FROM t WHERE a NOT LIKE $1", (Place(Role.COLUMN, "", "a"),)),
        ("SELECT * FROM t WHERE $1 < a", (Place(Role.COLUMN, "", "a"),)),
        ("SELECT * FROM t WHERE a = ANY ($1)", (Place(Role.ARRAY, "", "a"),)),
        ("SELECT * FROM t LIMIT $1 OFFSET $2", (Place(Role.LIMIT), Place(Role.OFFSET))),
        ("UPDATE t SET a = $2 WHERE b = $1", (Place(Role.COLUMN, "", "b"), Place(Role.COLUMN, "", "a"))),
        ("SELECT $1 FROM t WHERE lower(a) = $2", (OTHER, OTHER)),
        ("SELECT $3", (OTHER, OTHER, OTHER)),
        ("SELECT $1 + 1 FROM t WHERE a = $1", (Place(Role.COLUMN, "", "a"),)),
        ("INSERT INTO t (a) VALUES ($1)", (OTHER,)),
        ("SELECT 1", ()),
    ],
)
def test_a_placeholder_stands_beside_a_column_or_a_limit(sql: str, expected: tuple[Place, ...]) -> None:
    assert places(sql, Dialect.POSTGRESQL) == expected


SCHEMA = Schema(
    (
        Table(
            "db.orders",
            (
                Column("id", "bigint(20)"),
                Column("symbol", "varchar(20)"),
                Column("placed_at", "datetime(6)"),
                Column("day", "date"),
                Column("at", "time"),
                Column("price", "decimal(18,8)"),
            ),
        ),
        Table("db.fills", (Column("symbol", "int"),)),
    ),
    "db",
)


@pytest.mark.parametrize(
    ("condition", "filled"),
    [
        ("id = ?", "id = 1"),
        ("o.symbol = ?", "o.symbol = '1'"),
        ("placed_at > ?", "placed_at > '2001-01-01 00:00:00'"),
        ("day BETWEEN ? AND ?", "day BETWEEN '2001-01-01' AND '2002-01-01'"),
        ("id > ? AND id < ?", "id > 1 AND id < 2"),
        ("at = ?", "at = '01:00:00'"),
        ("price IN (?)", "price IN (1)"),
        ("unknown = ?", "unknown = '1'"),
        ("x.id = ?", "x.id = '1'"),
        ("id > 0 LIMIT ?", "id > 0 LIMIT 10"),
    ],
)
def test_a_stand_in_has_the_type_of_the_column(condition: str, filled: str) -> None:
    sql = f"SELECT * FROM orders o WHERE {condition}"
    aliases = {"o": "orders"}
    expected = f"SELECT * FROM orders o WHERE {filled}"
    assert with_stand_ins(sql, Dialect.MYSQL, aliases, SCHEMA) == expected


def test_without_a_schema_a_stand_in_is_a_text_that_reads_as_a_number() -> None:
    assert (
        with_stand_ins("SELECT * FROM t WHERE a = ?", Dialect.MYSQL, {}, None)
        == "SELECT * FROM t WHERE a = '1'"
    )
