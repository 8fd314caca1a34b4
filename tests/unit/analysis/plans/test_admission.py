"""Which statements may be explained, as far as their text tells."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.plans.admission import MARKER, Admitted, CatalogFacts, FunctionFact, admit, judge
from tickspan.analysis.plans.probe import Refused
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.lexer import tokenise
from tickspan.analysis.sql.tokens import SEMICOLON
from tickspan.testing.sql import statement

NEVER = Path(__file__).with_name("never.sql").read_text(encoding="utf-8")
ENTRIES = re.findall(r"^-- (postgresql|mysql|sqlite): (.*)\n(.*)$", NEVER, re.MULTILINE)
BY_CATALOG = (
    "* is volatile",
    "*is a function of the user's: planning may run it",
    "* is no function that the catalog knows",
    "* is a sequence",
    "* has row security: planning may run its policies",
    "* is no table that this account can see",
    "* is no built-in type and no enumeration",
)
BY_TEXT = [entry for entry in ENTRIES if not any(fnmatchcase(entry[1], known) for known in BY_CATALOG)]


@pytest.mark.parametrize(("dialect", "reason", "sql"), BY_TEXT, ids=[entry[2] for entry in BY_TEXT])
def test_a_statement_that_could_act_is_refused_with_its_reason(dialect: str, reason: str, sql: str) -> None:
    with pytest.raises(Refused) as refused:
        admit(sql, Dialect(dialect))
    assert fnmatchcase(str(refused.value), reason)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("dialect", "least"), [("postgresql", 50), ("mysql", 20), ("sqlite", 8)])
def test_every_dialect_has_its_share_of_the_corpus(dialect: str, least: int) -> None:
    assert sum(entry[0] == dialect for entry in ENTRIES) >= least


@pytest.mark.parametrize(
    ("dialect", "sql", "text", "parameters"),
    [
        (
            Dialect.POSTGRESQL,
            "SELECT * FROM orders WHERE id = %(id)s AND side = %(side)s::side OR id = %(id)s",
            "SELECT * FROM orders WHERE id = $1 AND side = $2::side OR id = $1",
            2,
        ),
        (
            Dialect.POSTGRESQL,
            "SELECT now() - interval ? -- comment",
            "SELECT now() - $1::interval",
            1,
        ),
        (
            Dialect.MYSQL,
            "SELECT * FROM t WHERE a IN (%s) LIMIT %s",
            "SELECT * FROM t WHERE a IN (?) LIMIT ?",
            2,
        ),
        (Dialect.SQLITE, "DELETE FROM t WHERE a = :a", "DELETE FROM t WHERE a = ?", 1),
    ],
)
def test_what_is_admitted_has_the_text_that_the_database_is_asked_with(
    dialect: Dialect, sql: str, text: str, parameters: int
) -> None:
    admitted = admit(sql, dialect)
    assert (admitted.text, admitted.parameters) == (text, parameters)


def test_what_is_admitted_says_what_it_names() -> None:
    admitted = admit(
        'WITH x(a) AS (SELECT lower(symbol) FROM "Orders" o) SELECT a::side, public.f(1) FROM x'
        " JOIN public.fills AS f ON (VALUES (1)) IS NOT NULL",
        Dialect.POSTGRESQL,
    )
    assert set(admitted.relations) == {"Orders", "public.fills"}
    assert admitted.functions == {"lower", "public.f"}
    assert admitted.types == {"side"}
    assert dict(admitted.aliases) == {"o": "Orders", "x": "x", "f": "public.fills"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'a \0 b'",
        "SELECT '\ud800'",
        f"SELECT 1 /* {MARKER} */",
        "SELECT " + "(" * 200 + "1" + ")" * 200,
        "SELECT " + ", ".join(["1"] * 9_000),
        "",
        ";",
    ],
    ids=["NUL", "surrogate", "ours", "deep", "long", "empty", "semicolon"],
)
@pytest.mark.parametrize("dialect", [Dialect.POSTGRESQL, Dialect.MYSQL, Dialect.SQLITE])
def test_what_no_database_should_get_is_refused(dialect: Dialect, sql: str) -> None:
    with pytest.raises(Refused):
        admit(sql, dialect)


@given(st.randoms(use_true_random=False), st.sampled_from(["postgresql", "mysql", "sqlite"]))
def test_what_is_admitted_is_one_statement_to_the_lexer_too(source: object, name: str) -> None:
    dialect = Dialect(name)
    generated = statement(source, name)  # type: ignore[arg-type] - hypothesis's randoms are `Random`
    outcome = admitted_or_refused(generated.sql, dialect)
    if isinstance(outcome, Refused):
        assert generated.found_in(str(outcome)) == ()
    else:
        kinds = [token[0] for token in tokenise(outcome.text, dialect)]
        assert SEMICOLON not in kinds[:-1]
        assert outcome.text.lstrip("( ").split()[0].upper() in VERBS


def admitted_or_refused(sql: str, dialect: Dialect) -> Admitted | Refused:
    try:
        return admit(sql, dialect)
    except Refused as refused:
        return refused


VERBS = {"SELECT", "WITH", "INSERT", "UPDATE", "DELETE"}
ADMITTED = Admitted(
    statement=admit("SELECT 1", Dialect.POSTGRESQL).statement,
    text="",
    parameters=0,
    aliases={},
    relations=("orders",),
    functions=frozenset({"lower"}),
    types=frozenset({"side"}),
)
SAFE = FunctionFact("pg_catalog", "i")
FACTS = CatalogFacts(
    functions={"lower": [SAFE]},
    relations={"orders": "r"},
    secured=frozenset(),
    types={"side": "e"},
)


def test_what_the_catalog_knows_to_be_harmless_is_let_pass() -> None:
    judge(ADMITTED, FACTS)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (replace(FACTS, functions={}), "lower is no function that the catalog knows"),
        (replace(FACTS, functions={"lower": [FunctionFact("pg_catalog", "v")]}), "lower is volatile"),
        (
            replace(
                FACTS, functions={"lower": [FunctionFact("pg_catalog", "i"), FunctionFact("public", "i")]}
            ),
            "lower is a function of the user's: planning may run it",
        ),
        (replace(FACTS, relations={}), "orders is no table that this account can see"),
        (replace(FACTS, relations={"orders": "f"}), "orders is a foreign table: its server would be asked"),
        (replace(FACTS, relations={"orders": "c"}), "orders is no table"),
        (
            replace(FACTS, secured=frozenset({"orders"})),
            "orders has row security: planning may run its policies",
        ),
        (replace(FACTS, types={"side": "d"}), "side is no built-in type and no enumeration"),
        (replace(FACTS, types={}), "side is no built-in type and no enumeration"),
    ],
)
def test_what_the_catalog_knows_to_act_is_refused(facts: CatalogFacts, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        judge(ADMITTED, facts)
    assert str(refused.value) == reason
