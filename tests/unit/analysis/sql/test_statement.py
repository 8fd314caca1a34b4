"""`canonicalise`, told by data files (`data/<dialect>.txt`) and by properties over generated SQL."""

from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import process_time

import pytest
import sqlglot
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlglot import expressions as exp
from sqlglot.tokenizer_core import TokenType

from tickspan.analysis.sql import SCAN_LIMIT, Dialect, Flag, Kind, Statement, canonicalise
from tickspan.testing import sql

DATA = Path(__file__).parent / "data"
SQLGLOT = {Dialect.POSTGRESQL: "postgres", Dialect.MYSQL: "mysql", Dialect.SQLITE: "sqlite"}


@dataclass(frozen=True)
class Case:
    dialect: Dialect
    sql: str
    text: str
    summary: str
    kind: Kind
    flags: frozenset[str]


def _case(dialect: Dialect, block: str) -> Case:
    fields = {key: value.strip() for key, _, value in (line.partition(":") for line in block.split("\n"))}
    flags = frozenset(fields.get("flags", "").split())
    return Case(dialect, fields["sql"], fields["text"], fields["summary"], Kind(fields["kind"]), flags)


CASES = [
    _case(dialect, block)
    for dialect in Dialect
    for block in (DATA / f"{dialect}.txt").read_text().strip().split("\n\n")
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.dialect}: {case.sql}")


def names(flags: Flag) -> frozenset[str]:
    return frozenset(flag.name or "" for flag in flags)


@every_case
def test_a_statement_is_what_its_data_file_says(case: Case) -> None:
    told = canonicalise(case.sql, case.dialect)
    assert Case(case.dialect, case.sql, told.text, told.summary, told.kind, names(told.flags)) == case


@every_case
def test_canonical_text_is_its_own_canonical_text(case: Case) -> None:
    first = canonicalise(case.sql, case.dialect)
    assert canonicalise(first.text, case.dialect).fingerprint == first.fingerprint


# sqlglot takes what stands behind the verb of other statements for one string.
TOKENIZED = [
    case
    for case in CASES
    if case.dialect in SQLGLOT and case.sql[:6] in {"SELECT", "INSERT", "UPDATE", "DELETE"}
]


@pytest.mark.parametrize("case", TOKENIZED, ids=lambda case: f"{case.dialect}: {case.sql}")
def test_another_tokenizer_finds_no_literal_in_the_text_either(case: Case) -> None:
    tokens = sqlglot.tokenize(canonicalise(case.sql, case.dialect).text, read=SQLGLOT[case.dialect])
    literals = {TokenType.STRING, TokenType.NUMBER, TokenType.NATIONAL_STRING, TokenType.HEX_STRING}
    assert [token.text for token in tokens if token.token_type in literals] == []


def test_the_fingerprint_is_64_bits_of_blake2_over_the_folded_text() -> None:
    assert canonicalise("SELECT 1", Dialect.SQLITE).fingerprint == "b9a4c90ce4157373"


def test_case_blanks_comments_and_values_do_not_change_the_fingerprint() -> None:
    one = canonicalise("SELECT * FROM orders WHERE id IN (1,2)", Dialect.POSTGRESQL)
    other = canonicalise("select *\n FROM Orders /* x */ where ID in (  %(a)s )", Dialect.POSTGRESQL)
    assert one.fingerprint == other.fingerprint


def test_a_long_text_is_cut_and_says_so() -> None:
    told = canonicalise("SELECT a FROM t WHERE note = '" + "Secret" * 3000 + "'", Dialect.POSTGRESQL)
    assert told == Statement(
        "SELECT a FROM t WHERE note = ? …",
        "SELECT t",
        canonicalise("SELECT a FROM t WHERE note = 'x'", Dialect.POSTGRESQL).fingerprint,
        Kind.SELECT,
        Flag.LITERALS | Flag.TRUNCATED,
    )


def test_a_summary_ends_with_a_whole_word_within_255_characters() -> None:
    tables = ", ".join(f"a_rather_long_table_{number}" for number in range(40))
    summary = canonicalise(f"SELECT * FROM {tables}", Dialect.SQLITE).summary
    assert summary == "SELECT " + " ".join(f"a_rather_long_table_{number}" for number in range(11))


@pytest.mark.parametrize(
    ("items", "flags"),
    [
        (100, Flag.NONE),
        (101, Flag.LARGE_IN_LIST),
        (1000, Flag.LARGE_IN_LIST),
        (1001, Flag.LARGE_IN_LIST | Flag.HUGE_IN_LIST),
    ],
)
def test_a_long_list_of_values_has_two_levels(items: int, flags: Flag) -> None:
    values = ", ".join("?" * items)
    assert canonicalise(f"SELECT a FROM t WHERE b IN ({values})", Dialect.SQLITE).flags == flags


def test_items_behind_the_scan_limit_count_too() -> None:
    values = ", ".join(f"${number}::INTEGER" for number in range(1, 1002))
    told = canonicalise(f"SELECT a FROM t WHERE b IN ({values}) AND c = 1", Dialect.POSTGRESQL)
    assert (told.text, told.flags) == (
        "SELECT a FROM t WHERE b IN (?::INTEGER …",
        Flag.LARGE_IN_LIST | Flag.HUGE_IN_LIST | Flag.TRUNCATED,
    )


@pytest.mark.parametrize(
    "condition",
    [
        "a LIKE '%x'",
        "a LIKE '%%' || %(x)s || '%%'",
        "a NOT ILIKE E'%x'",
        "a LIKE concat('%', b)",
        "a LIKE ('%x')",
    ],
)
def test_a_pattern_that_begins_anywhere_is_flagged(condition: str) -> None:
    told = canonicalise(f"SELECT a FROM t WHERE {condition}", Dialect.POSTGRESQL)
    assert told.flags == Flag.LEADING_WILDCARD | Flag.LITERALS


@pytest.mark.parametrize("condition", ["a LIKE 'e%'", "a = '%x'", "a LIKE b || '%'", "f('%x') LIKE b"])
def test_other_patterns_are_not(condition: str) -> None:
    assert canonicalise(f"SELECT a FROM t WHERE {condition}", Dialect.POSTGRESQL).flags == Flag.LITERALS


@pytest.mark.parametrize("limit", ["LIMIT 10 OFFSET 1000", "LIMIT 1000, 10", "OFFSET 1_000"])
def test_a_large_offset_is_flagged(limit: str) -> None:
    told = canonicalise(f"SELECT a FROM t ORDER BY a {limit}", Dialect.MYSQL)
    assert told.flags == Flag.LARGE_OFFSET | Flag.LITERALS


@pytest.mark.parametrize("limit", ["LIMIT 1000", "LIMIT 10, 1000", "LIMIT 10 OFFSET 999", "OFFSET ?, 1000"])
def test_a_large_limit_is_none(limit: str) -> None:
    assert Flag.LARGE_OFFSET not in canonicalise(f"SELECT a FROM t {limit}", Dialect.MYSQL).flags


@pytest.mark.parametrize("system", ["mysql", "MariaDB", "postgresql", "sqlite", "mssql"])
def test_a_system_has_its_dialect(system: str) -> None:
    known = {"mysql": Dialect.MYSQL, "mariadb": Dialect.MYSQL, "postgresql": Dialect.POSTGRESQL}
    assert Dialect.of(system) == {**known, "sqlite": Dialect.SQLITE}.get(system.lower(), Dialect.GENERIC)


properties = settings(deadline=None, max_examples=60)
randoms = st.randoms(use_true_random=False)
every_dialect = pytest.mark.parametrize("dialect", list(Dialect))
named_dialects = pytest.mark.parametrize("dialect", [Dialect.POSTGRESQL, Dialect.MYSQL, Dialect.SQLITE])


def told(statement: Statement) -> str:
    """All that a statement shows, what the fingerprint is made of included."""
    return f"{statement.text}\n{statement.summary}\n{statement.text.casefold()}\n{statement.flags!r}"


@every_dialect
@properties
@given(random=randoms)
def test_no_literal_and_no_comment_survives(dialect: Dialect, random: Random) -> None:
    generated = sql.statement(random, dialect)
    assert generated.found_in(told(canonicalise(generated.sql, dialect))) == ()


@pytest.mark.parametrize("seed", range(4))
@every_dialect
def test_of_many_statements_none_lets_a_secret_through(dialect: Dialect, seed: int) -> None:
    leaks = [
        generated.sql
        for generated in sql.statements(seed, dialect, count=400)
        if generated.found_in(told(canonicalise(generated.sql, dialect)))
    ]
    assert leaks == []


@named_dialects
@properties
@given(random=randoms)
def test_a_statement_of_a_known_dialect_is_understood(dialect: Dialect, random: Random) -> None:
    generated = sql.statement(random, dialect, may_be_cut=False)
    statement = canonicalise(generated.sql, dialect)
    mentioned = [table for table in generated.tables if table in statement.summary.split()]
    assert (Flag.MALFORMED in statement.flags, mentioned) == (False, list(generated.tables))


@every_dialect
@properties
@given(random=randoms)
def test_the_fingerprint_of_generated_text_is_stable(dialect: Dialect, random: Random) -> None:
    first = canonicalise(sql.statement(random, dialect).sql, dialect)
    assert canonicalise(first.text, dialect).fingerprint == first.fingerprint


@every_dialect
@properties
@given(sql=st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_no_text_raises(dialect: Dialect, sql: str) -> None:
    assert len(canonicalise(sql, dialect).fingerprint) == 16


PIECES = [
    "'",
    '"',
    "`",
    "$$",
    "$a$",
    "/*",
    "*/",
    "--",
    "#",
    "\\",
    "E'",
    "(",
    ")",
    ",",
    "[",
    "]",
    ";",
    "?",
    "1",
    "a.",
    "SELECT",
    "FROM",
    "VALUES",
    "IN",
    "WITH",
    "ON",
    "\n",
    " ",
    "é",
    "\x00",
    "\ud800",
    "%",
    ":",
    "@",
    "__[",
]


@every_dialect
@properties
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=60))
def test_no_mixture_of_sqls_own_pieces_raises(dialect: Dialect, pieces: list[str]) -> None:
    assert len(canonicalise("".join(pieces), dialect).summary) <= 255


REPEATED = [
    *("'", "''a", '"', "/*", "/* ", "(", ",(", "[a ", "$a$ ", "--\n", "a.", "IN (", "?,", "1e", "E'\\'", " "),
    *(
        "%(",
        ":a",
        "'\\",
        '"\\',
        "q'[",
        "nq'!",
        "__[POSTCOMPILE_a~~",
        "$a",
        "%(a ",
        "#> ",
        "/*!",
        "e'",
        "LIKE ('%'",
    ),
]


@every_dialect
@pytest.mark.parametrize("piece", REPEATED)
def test_time_grows_with_the_length_only(dialect: Dialect, piece: str) -> None:
    sql = "SELECT " + piece * (SCAN_LIMIT // len(piece))
    # A pass over all that is left, from each character, takes longer; so does a garbage collection, at times.
    assert min(_seconds(sql, dialect) for _ in range(3)) < 0.2


def _seconds(sql: str, dialect: Dialect) -> float:
    started = process_time()
    canonicalise(sql, dialect)
    return process_time() - started


tables = st.sampled_from(["orders", "fills", "public.trades", '"my table"', "wallets"])
joins = st.sampled_from([", ", " JOIN ", " CROSS JOIN ", " LEFT JOIN "])


@st.composite
def _queries(draw: st.DrawFn, depth: int = 2) -> str:
    sources = draw(st.lists(tables, min_size=1, max_size=3))
    text = sources[0]
    for index, source in enumerate(sources[1:]):
        text += f"{draw(joins)}{source} AS s{index}"
    if depth and draw(st.booleans()):
        text += f", ({draw(_queries(depth - 1))}) AS d{depth}"
    where = (
        f" WHERE EXISTS ({draw(_queries(depth - 1))})"
        if depth and draw(st.booleans())
        else " WHERE a IN (1, 2)"
    )
    text = f"SELECT extract(year FROM t), count(*) FROM {text}{where} ORDER BY 1, 2"
    if depth and draw(st.booleans()):
        return f"WITH c{depth} AS ({draw(_queries(depth - 1))}) {text}"
    return text


@properties
@given(sql=_queries())
def test_the_summarys_targets_are_the_tables_that_a_parser_finds(sql: str) -> None:
    summary = canonicalise(sql, Dialect.POSTGRESQL).summary
    assume(len(summary) < 200)  # longer ones are cut
    parsed = sqlglot.parse_one(sql, read="postgres")
    defined = {cte.alias for cte in parsed.find_all(exp.CTE)}
    found = sorted(
        table.sql("postgres", comments=False).split(" AS ")[0] for table in parsed.find_all(exp.Table)
    )
    told = summary.replace('"my table"', '"my_table"').split()
    targets = sorted(word.replace('"my_table"', '"my table"') for word in told if word != "SELECT")
    assert targets == [name for name in found if name not in defined]
