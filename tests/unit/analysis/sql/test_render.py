"""`render`: canonical text becomes what sqlglot reads in the same dialect."""

from pathlib import Path
from random import Random

import pytest
import sqlglot
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlglot import expressions as exp

from tickspan.analysis.sql import Dialect, Flag, Kind, canonicalise
from tickspan.analysis.sql.lexer import tokenise
from tickspan.analysis.sql.render import pieces, render
from tickspan.testing.sql import statement

SQLGLOT = {Dialect.POSTGRESQL: "postgres", Dialect.MYSQL: "mysql", Dialect.SQLITE: "sqlite"}
PARSED = {Kind.SELECT, Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE}
DATA = Path(__file__).parent / "data"


def block(text: str) -> tuple[str, str]:
    before, _, after = text.partition("\n")
    return before.partition(":")[2].strip(), after.partition(":")[2].strip()


def blocks(dialect: Dialect) -> list[tuple[str, str]]:
    return [block(text) for text in (DATA / f"render.{dialect}.txt").read_text().strip().split("\n\n")]


RENDERED = [(dialect, *pair) for dialect in Dialect for pair in blocks(dialect)]


@pytest.mark.parametrize(("dialect", "sql", "rendered"), RENDERED)
def test_a_text_is_rendered_as_its_data_file_says(dialect: Dialect, sql: str, rendered: str) -> None:
    assert render(sql, dialect) == rendered


@pytest.mark.parametrize(
    ("dialect", "sql"), [(dialect, sql) for dialect, sql, _ in RENDERED if dialect in SQLGLOT]
)
def test_sqlglot_reads_what_the_data_files_hold(dialect: Dialect, sql: str) -> None:
    assert commands(render(sql, dialect), dialect) == []


def commands(text: str, dialect: Dialect) -> list[str]:
    """What sqlglot has not read, of that which it takes without an error."""
    parsed = sqlglot.parse(text, read=SQLGLOT[dialect])
    return [tree.sql() for tree in parsed if tree is not None and tree.find(exp.Command) is not None]


@pytest.mark.parametrize("dialect", SQLGLOT)
@settings(deadline=None, max_examples=60)
@given(random=st.randoms(use_true_random=False))
def test_sqlglot_reads_the_canonical_text_of_any_query(dialect: Dialect, random: Random) -> None:
    told = canonicalise(statement(random, dialect, may_be_cut=False).sql, dialect)
    assume(told.kind in PARSED)
    assert commands(render(told.text, dialect), dialect) == []


@pytest.mark.parametrize("dialect", list(Dialect))
@settings(deadline=None, max_examples=60)
@given(random=st.randoms(use_true_random=False))
def test_canonical_text_rendered_tells_no_secret_and_stays_the_same_statement(
    dialect: Dialect, random: Random
) -> None:
    generated = statement(random, dialect)
    rendered = render(canonicalise(generated.sql, dialect).text, dialect)
    assert generated.found_in(rendered) == ()


@settings(deadline=None, max_examples=100)
@given(dialect=st.sampled_from(Dialect), sql=st.text(max_size=100))
def test_no_text_raises(dialect: Dialect, sql: str) -> None:
    assert len(pieces(tokenise(sql, dialect), dialect)) == len(tokenise(sql, dialect))


def test_what_was_cut_off_is_rendered_up_to_there() -> None:
    told = canonicalise("SELECT a FROM t WHERE b IN (" + "1, " * 5000, Dialect.SQLITE)
    assert (Flag.TRUNCATED in told.flags, render(told.text, Dialect.SQLITE)) == (
        True,
        "SELECT a FROM t WHERE b IN (?",
    )
