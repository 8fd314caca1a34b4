"""Names and statements of indexes are safe to run as they are."""

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.indexes import IndexSpec
from tickspan.analysis.indexes.ddl import column_of, create, definition, drop, index_name, quoted
from tickspan.analysis.sql import Dialect

_NAMES = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_characters='().,"`\\'),
    min_size=1,
    max_size=70,
)


@given(_NAMES, st.lists(_NAMES, min_size=1, max_size=3), st.sampled_from(["", "price > 0"]))
def test_a_name_has_at_most_63_bytes_and_needs_no_quotes(table: str, keys: list[str], predicate: str):
    name = index_name(IndexSpec(table, tuple(keys), predicate=predicate))
    assert len(name.encode()) <= 63
    assert name.replace("_", "").isalnum()


def test_names_differ_where_indexes_do():
    specs = [
        IndexSpec("t", ("a",)),
        IndexSpec("t", ("a DESC",)),
        IndexSpec("t", ("a",), includes=("b",)),
        IndexSpec("t", ("a",), predicate="b = 1"),
        IndexSpec("t", ("a",), method="brin"),
        IndexSpec("t", ("a" * 70,)),
        IndexSpec("t", ("a" * 71,)),
    ]
    assert len({index_name(spec) for spec in specs}) == len(specs)


@pytest.mark.parametrize(
    ("spec", "dialect", "text"),
    [
        (IndexSpec("t", ("a", "b DESC"), ("c",)), Dialect.POSTGRESQL, "(a, b DESC) INCLUDE (c)"),
        (IndexSpec("t", ("a", "b DESC"), ("c",)), Dialect.SQLITE, "(a, b DESC, c)"),
        (IndexSpec("t", ("order", "Price")), Dialect.POSTGRESQL, '("order", "Price")'),
        (IndexSpec("t", ("order", "Price")), Dialect.MYSQL, "(`order`, Price)"),
        (IndexSpec("t", ("LOWER(a)", "a + (b)")), Dialect.POSTGRESQL, "(LOWER(a), (a + (b)))"),
        (IndexSpec("t", ("a",), predicate="b = 1"), Dialect.POSTGRESQL, "(a) WHERE b = 1"),
        (IndexSpec("t", ("ts",), method="brin"), Dialect.POSTGRESQL, "USING brin (ts)"),
        (IndexSpec("t", ("a text_pattern_ops",)), Dialect.POSTGRESQL, "(a text_pattern_ops)"),
    ],
)
def test_the_body_of_an_index_is_in_the_dialects_words(spec: IndexSpec, dialect: Dialect, text: str):
    assert definition(spec, dialect) == text


@given(_NAMES, _NAMES)
def test_a_hostile_name_stays_a_name(table: str, column: str):
    (_, ddl) = create(IndexSpec(table, (column,)), Dialect.SQLITE)
    (_, undo) = drop(IndexSpec(table, (column,)), Dialect.SQLITE)
    parsed = sqlglot.parse(ddl, read="sqlite")
    assert [type(statement).__name__ for statement in parsed] == ["Create"]
    assert undo.startswith("DROP INDEX IF EXISTS ix_")


def test_a_key_knows_its_column():
    keys = ("a", "a DESC", "a text_pattern_ops", "lower(a)", "a b DESC")
    assert [column_of(key) for key in keys] == ["a", "a", "a", "", "a b"]


def test_names_with_quotes_are_quoted_for_each_dialect():
    assert quoted('my "t"', Dialect.POSTGRESQL) == '"my ""t"""'
    assert quoted("my `t`", Dialect.MYSQL) == "`my ``t```"
