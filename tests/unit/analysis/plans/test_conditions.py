"""Which columns a canonical expression compares with values."""

from __future__ import annotations

import pytest

from tickspan.analysis.plans.conditions import Comparison, compared, where_of


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("((code)::text = ?::text)", [("", "code", True)]),
        ("((price > ?::numeric) AND (symbol_id = $1))", [("", "price", False)]),
        ("((price > ?::numeric) AND (symbol_id = ?))", [("", "symbol_id", True), ("", "price", False)]),
        ("((note)::character varying(?) = ?)", [("", "note", True)]),
        ("(o.placed_at < ?::timestamp with time zone)", [("o", "placed_at", False)]),
        ("(id = ANY (?::bigint[]))", [("", "id", True)]),
        ("(note ~~ ?::text)", [("", "note", False)]),
        ('(o."Side" = ?::text)', [("o", "Side", True)]),
        ("s.`code` like ? and `db`.`s`.`venue` = ?", [("s", "venue", True), ("s", "code", False)]),
        ("a in (?) and a > ?", [("", "a", True)]),
        ("(lower(code) = ?::text)", []),
        ("(order_id = r.id)", []),
        ("", []),
    ],
)
def test_a_column_beside_a_value_is_one_that_an_index_could_serve(
    expression: str, expected: list[tuple[str, str, bool]]
) -> None:
    assert compared(expression) == tuple(Comparison(*one) for one in expected)


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("SELECT a FROM t WHERE b = ? ORDER BY c", " b = ? "),
        ("DELETE FROM t WHERE b = ? RETURNING a", " b = ? "),
        ("SELECT a FROM t ORDER BY c", ""),
    ],
)
def test_a_condition_ends_where_the_next_clause_begins(statement: str, where: str) -> None:
    assert where_of(statement) == where
