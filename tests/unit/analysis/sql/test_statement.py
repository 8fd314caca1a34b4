"""`canonicalise`, told by data files (`data/<dialect>.txt`) and by properties over generated SQL."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import pytest
import sqlglot
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlglot import expressions as exp
from sqlglot.tokenizer_core import TokenType

from tickspan.analysis.sql import SCAN_LIMIT, Dialect, Flag, Kind, Statement, canonicalise

DATA = Path(__file__).parent / "data"
SQLGLOT = {Dialect.POSTGRESQL: "postgres", Dialect.MYSQL: "mysql", Dialect.SQLITE: "sqlite"}
MARK = "Secret"
DIGITS = "917235"


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
    told = canonicalise("SELECT a FROM t WHERE note = '" + MARK * 3000 + "'", Dialect.POSTGRESQL)
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


def test_a_list_of_more_than_100_values_is_flagged() -> None:
    values = ", ".join("?" * 101)
    assert canonicalise(f"SELECT a FROM t WHERE b IN ({values})", Dialect.SQLITE).flags == Flag.LARGE_IN_LIST


@pytest.mark.parametrize("system", ["mysql", "MariaDB", "postgresql", "sqlite", "mssql"])
def test_a_system_has_its_dialect(system: str) -> None:
    known = {"mysql": Dialect.MYSQL, "mariadb": Dialect.MYSQL, "postgresql": Dialect.POSTGRESQL}
    assert Dialect.of(system) == {**known, "sqlite": Dialect.SQLITE}.get(system.lower(), Dialect.GENERIC)


properties = settings(deadline=None, max_examples=60)

contents = st.text("aZ09 _%'\"`\\$?:;,()[]*/-#\n\té💰", max_size=12).map(lambda text: MARK + text)


def _standard(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _escaped(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _double_quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _double_quoted_escaped(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _dollar_quoted(text: str) -> str:
    return f"$tag${text}$tag$"


QUOTINGS: dict[Dialect, list[Callable[[str], str]]] = {
    Dialect.POSTGRESQL: [_standard, lambda text: "E" + _escaped(text), _dollar_quoted],
    Dialect.MYSQL: [_escaped, _double_quoted_escaped, lambda text: "N" + _escaped(text)],
    Dialect.SQLITE: [_standard, _double_quoted],
    Dialect.GENERIC: [_standard, lambda text: "N" + _standard(text), _double_quoted],
}
NUMBERS = [DIGITS, f"-{DIGITS}", f"{DIGITS}.5", f"1.{DIGITS}", f"{DIGITS}e3", f"0x{DIGITS}", f".{DIGITS}"]
COMMENTS = [f"/* {MARK} {DIGITS} */", f"-- {MARK} {DIGITS}\n"]


def _quoted(quote: Callable[[str], str], text: str) -> str:
    return quote(text)


def _values(dialect: Dialect) -> st.SearchStrategy[str]:
    return st.builds(_quoted, st.sampled_from(QUOTINGS[dialect]), contents) | st.sampled_from(NUMBERS)


def _statements(dialect: Dialect) -> st.SearchStrategy[str]:
    value = _values(dialect)
    gap = st.sampled_from([" ", "  ", "\n", *[f" {comment} " for comment in COMMENTS]])
    in_list = st.lists(value, min_size=1, max_size=4).map(", ".join)
    row = st.tuples(value, value).map(lambda pair: f"({pair[0]},{pair[1]})")
    rows = st.lists(row, min_size=1, max_size=3).map(", ".join)
    conditions = st.one_of(
        st.builds("{}{}={}{}".format, st.just("orders.a"), gap, gap, value),
        st.builds("b IN ({})".format, in_list),
        st.builds("c BETWEEN {} AND {}".format, value, value),
        st.builds("f({}, {}) <> {}".format, value, value, value),
        st.builds("d LIKE {} || {}".format, value, value),
        st.builds("CASE WHEN e = {} THEN {} ELSE {} END > 0".format, value, value, value),
    )
    where = st.lists(conditions, min_size=1, max_size=3).map(" AND ".join)
    select = st.builds("SELECT{}x, {} FROM orders{}WHERE {}".format, gap, value, gap, where)
    return st.one_of(
        select,
        st.builds("{} UNION {}".format, select, select),
        st.builds("SELECT * FROM ({}) AS s WHERE y = {}".format, select, value),
        st.builds("INSERT INTO orders (a, b){}VALUES {}".format, gap, rows),
        st.builds("UPDATE orders SET a = {}, b={} WHERE {}".format, value, value, where),
        st.builds("DELETE FROM orders WHERE {}".format, where),
    )


def _told(statement: Statement) -> str:
    return f"{statement.text}\n{statement.summary}"


@pytest.mark.parametrize("dialect", list(Dialect))
@properties
@given(data=st.data())
def test_no_literal_and_no_comment_survives(dialect: Dialect, data: st.DataObject) -> None:
    statement = canonicalise(data.draw(_statements(dialect)), dialect)
    assert (MARK in _told(statement), DIGITS in _told(statement)) == (False, False)


@pytest.mark.parametrize("dialect", list(Dialect))
@properties
@given(data=st.data())
def test_generated_statements_are_understood(dialect: Dialect, data: st.DataObject) -> None:
    statement = canonicalise(data.draw(_statements(dialect)), dialect)
    assert (Flag.MALFORMED in statement.flags, "orders" in statement.summary) == (False, True)


@pytest.mark.parametrize("dialect", list(Dialect))
@properties
@given(data=st.data(), cut=st.integers(1, 80))
def test_no_literal_survives_a_cut_off_statement(dialect: Dialect, data: st.DataObject, cut: int) -> None:
    statement = canonicalise(data.draw(_statements(dialect))[:-cut], dialect)
    assert MARK not in _told(statement)


@pytest.mark.parametrize("dialect", list(Dialect))
@properties
@given(data=st.data())
def test_the_fingerprint_of_generated_text_is_stable(dialect: Dialect, data: st.DataObject) -> None:
    first = canonicalise(data.draw(_statements(dialect)), dialect)
    assert canonicalise(first.text, dialect).fingerprint == first.fingerprint


@pytest.mark.parametrize("dialect", list(Dialect))
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


@pytest.mark.parametrize("dialect", list(Dialect))
@properties
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=60))
def test_no_mixture_of_sqls_own_pieces_raises(dialect: Dialect, pieces: list[str]) -> None:
    assert len(canonicalise("".join(pieces), dialect).summary) <= 255


REPEATED = [
    "'",
    "''a",
    '"',
    "/*",
    "/* ",
    "(",
    ",(",
    "[a ",
    "$a$ ",
    "--\n",
    "a.",
    "IN (",
    "?,",
    "1e",
    "E'\\'",
    " ",
    "%(",
    ":a",
]


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("piece", REPEATED)
def test_time_grows_with_the_length_only(dialect: Dialect, piece: str) -> None:
    sql = "SELECT " + piece * (SCAN_LIMIT // len(piece))
    started = process_time()
    canonicalise(sql, dialect)
    assert process_time() - started < 1.0  # a quadratic pass over 8 KiB takes many seconds


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
