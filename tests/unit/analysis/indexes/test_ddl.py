"""Names and statements of indexes are safe to run as they are."""

from random import Random

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.indexes import IndexSpec
from tickspan.analysis.indexes.ddl import (
    column_of,
    create,
    definition,
    drop,
    family_of,
    index_name,
    index_names,
    quoted,
)
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


def _close(column: str) -> st.SearchStrategy[str]:
    return st.sampled_from([column, f"{column} DESC", f"{column}_desc", f"lower({column})", column.upper()])


_CLOSE_COLUMNS = st.sampled_from(["a", "b", "a_b", "a b", "x" * 40, "x" * 41, "ß"]).flatmap(_close)
_CLOSE_SPECS = st.builds(
    IndexSpec,
    st.sampled_from(["t", "t_a", "public.t", "audit.t", "y" * 63]),
    st.lists(_CLOSE_COLUMNS, min_size=1, max_size=3).map(tuple),
    st.lists(_CLOSE_COLUMNS, max_size=2).map(tuple),
    st.sampled_from(["btree", "brin"]),
    st.sampled_from(["", "a = 1", "a = 2"]),
)
_CLOSE_FAMILIES = st.lists(
    st.tuples(_CLOSE_SPECS, st.lists(st.sampled_from(["t_1", "t_2"]), max_size=2, unique=True)), max_size=8
)


@given(_CLOSE_FAMILIES, st.randoms())
def test_no_two_indexes_of_an_advice_have_one_name(told: list[tuple[IndexSpec, list[str]]], random: Random):
    families = [family_of(spec, parts) for spec, parts in dict(told).items()]
    names = index_names(families)
    shuffled = random.sample(families, len(families))
    assert len(set(names.values())) == len(names) == len({spec for family in families for spec in family})
    assert all(len(name.encode()) <= 63 and name.replace("_", "").isalnum() for name in names.values())
    assert index_names(shuffled) == names


@given(_CLOSE_FAMILIES)
def test_no_name_of_another_relation_is_taken(told: list[tuple[IndexSpec, list[str]]]):
    families = [family_of(spec, parts) for spec, parts in dict(told).items()]
    taken = {name.upper() for name in index_names(families).values()}
    taken |= {f"{namespace}.{name}" for namespace in ("public", "audit") for name in taken}
    assert not {name.upper() for name in index_names(families, taken).values()} & taken


def test_names_that_are_alike_get_a_digest_and_others_stay_as_they_are():
    one, other, third = IndexSpec("t", ("a_b",)), IndexSpec("t", ("a", "b")), IndexSpec("t", ("c",))
    assert index_names([(one,), (other,), (third,)]) == {
        one: "ix_t_a_b_8a68ef",
        other: "ix_t_a_b_47453e",
        third: "ix_t_c",
    }


def test_an_index_of_another_namespace_takes_no_name():
    here, there = IndexSpec("public.t", ("a",)), IndexSpec("audit.t", ("a",))
    assert index_names([(here,)], {"audit.ix_t_a"}) == {here: "ix_t_a"}
    assert set(index_names([(there,)], {"audit.IX_t_a"}).values()) != {"ix_t_a"}


@pytest.mark.parametrize(
    ("spec", "dialect", "text"),
    [
        (IndexSpec("t", ("a", "b DESC"), ("c",)), Dialect.POSTGRESQL, "(a, b DESC) INCLUDE (c)"),
        (IndexSpec("t", ("a", "b DESC"), ("c",)), Dialect.SQLITE, "(a, b DESC, c)"),
        (IndexSpec("t", ("order", "Price")), Dialect.POSTGRESQL, '("order", "Price")'),
        (IndexSpec("t", ("order", "Price")), Dialect.MYSQL, "(`order`, Price)"),
        (IndexSpec("t", ("LOWER(a)", "a + (b)")), Dialect.POSTGRESQL, "(LOWER(a), (a + (b)))"),
        (IndexSpec("t", ("a",), predicate="b = 1"), Dialect.POSTGRESQL, "(a) WHERE b = 1"),
        (
            IndexSpec("t", ("ts",), method="brin"),
            Dialect.POSTGRESQL,
            "USING brin (ts) WITH (autosummarize = on)",
        ),
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
