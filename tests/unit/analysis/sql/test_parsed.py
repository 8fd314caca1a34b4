"""`parse`: text of any driver as trees, and every way in which a text may be no such thing."""

import inspect
import logging
import sys
import threading

import pytest
import sqlglot
from sqlglot import exp
from sqlglot import parser as sqlglot_parser

from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.parsed import MAX_CHARACTERS, Problem, Reason, parse, sqlglot_dialect

IS_COMPILED = not sqlglot_parser.__file__.endswith(".py")
"""Whether sqlglot is: then its calls take no frames of Python's stack."""


def rewritten(sql: str, dialect: Dialect) -> str:
    (tree,) = parse(sql, dialect).trees
    return tree.sql(dialect=sqlglot_dialect(dialect))


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("SELECT a FROM t WHERE b = ?::varchar", "SELECT a FROM t WHERE b = CAST($1 AS VARCHAR)"),
        ("SELECT a FROM t WHERE b = %s AND c = %s", "SELECT a FROM t WHERE b = $1 AND c = $2"),
        ("SELECT a FROM t WHERE b = %(x)s OR c = %(x)s", "SELECT a FROM t WHERE b = $1 OR c = $1"),
        ("SELECT a FROM t WHERE b = :name", "SELECT a FROM t WHERE b = $1"),
        ("SELECT a FROM t WHERE b ? 'key' AND c = $7", "SELECT a FROM t WHERE b ? 'key' AND c = $7"),
        ("SELECT a FROM t WHERE b > DATE ?", "SELECT a FROM t WHERE b > CAST($1 AS DATE)"),
        ("SELECT a /* $2 'x' */ FROM t -- :n", "SELECT a FROM t"),
    ],
)
def test_placeholders_of_any_driver_are_read_as_postgresql_writes_them(sql: str, read: str) -> None:
    assert rewritten(sql, Dialect.POSTGRESQL) == read


@pytest.mark.parametrize("dialect", [Dialect.MYSQL, Dialect.SQLITE, Dialect.GENERIC])
@pytest.mark.parametrize("placeholder", ["?", "%s", ":1", ":name", "%(name)s"])
def test_placeholders_are_placeholders_in_other_dialects(dialect: Dialect, placeholder: str) -> None:
    (tree,) = parse(f"SELECT a FROM t WHERE b = {placeholder}", dialect).trees
    assert len(list(tree.find_all(exp.Placeholder))) == 1
    assert [column.name for column in tree.find_all(exp.Column)] == ["a", "b"]


def test_a_double_quoted_word_of_sqlite_that_may_be_data_is_a_string() -> None:
    (tree,) = parse('SELECT "a" FROM "t" WHERE b = "AAPL" AND c LIKE "%SFT"', Dialect.SQLITE).trees
    assert [literal.name for literal in tree.find_all(exp.Literal)] == ["x", "xxxx", "%xxx"]
    assert [table.name for table in tree.find_all(exp.Table)] == ["t"]


def test_every_statement_of_a_text_has_its_tree() -> None:
    parsed = parse("SELECT a FROM t; ; DELETE FROM t WHERE a = 1;", Dialect.MYSQL)
    assert [type(tree) for tree in parsed.trees] == [exp.Select, exp.Delete]
    assert parsed.problems == ()


def test_one_statement_that_cannot_be_read_does_not_hide_the_others() -> None:
    parsed = parse("SELECT a FROM t;\nSELECT b FROM WHERE;\n SELECT (c FROM t", Dialect.POSTGRESQL)
    assert [tree.sql() for tree in parsed.trees] == ["SELECT a FROM t"]
    assert parsed.problems == (Problem(Reason.SYNTAX, 2, 15), Problem(Reason.SYNTAX, 3, 12))


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("", Problem(Reason.KIND, 1, 1)),
        ("COMMIT", Problem(Reason.KIND, 1, 1)),
        ("LISTEN fills", Problem(Reason.KIND, 1, 1)),
        ("SELEC id FROM orders", Problem(Reason.SYNTAX, 1, 1)),
        ("SAVEPOINT s1", Problem(Reason.KIND, 1, 1)),
        ("SELECT a\nFROM t WHERE b = = 1", Problem(Reason.SYNTAX, 2, 18)),
        ("SELECT a FROM t WHERE b = 'open", Problem(Reason.SYNTAX, 1, 27)),
        ("-- c\n/* '; */ SELECT a FROM t WHERE (b = 1", Problem(Reason.SYNTAX, 2, 37)),
        ("ALTER TABLE t VALIDATE CONSTRAINT c", Problem(Reason.SYNTAX, 1, 1)),
        ("SELECT " + "(" * 31 + "1" + ")" * 31, Problem(Reason.RECURSION, 1, 38)),
        ("SELECT " + "- " * 31 + "1", Problem(Reason.RECURSION, 1, 68)),
        ("SELECT 1" + " + 1" * 200, Problem(Reason.RECURSION, 1, 1)),
        ("SELECT 1 " + " " * MAX_CHARACTERS, Problem(Reason.SIZE, 1, MAX_CHARACTERS + 1)),
        ("SELECT a" + "[1]" * 32, Problem(Reason.RECURSION, 1, 102)),
        ("SELECT a" + ".b()" * 32, Problem(Reason.RECURSION, 1, 133)),
        ("SELECT a FROM t" + " JOIN t" * 11, Problem(Reason.RECURSION, 1, 87)),
        ("SELECT a FROM t JOIN t ON 1" + " LEFT JOIN t" * 900, Problem(Reason.RECURSION, 1, 154)),
    ],
)
def test_what_has_no_tree_says_why_and_where(sql: str, problem: Problem) -> None:
    parsed = parse(sql, Dialect.POSTGRESQL)
    assert (parsed.trees, parsed.problems) == ((), (problem,))


def test_a_fault_of_the_parser_is_a_text_that_cannot_be_read() -> None:
    parsed = parse("SELECT a FROM t WHERE a ->>", Dialect.SQLITE)
    assert (parsed.trees, [problem.reason for problem in parsed.problems]) == ((), [Reason.SYNTAX])


def test_a_place_counts_lines_in_comments_of_every_dialect() -> None:
    sql = "# one\n-- two\n/* three\n */ SELECT a FROM t WHERE"
    assert parse(sql, Dialect.MYSQL).problems == (Problem(Reason.SYNTAX, 4, 21),)
    assert parse("/* /* */ */ SELECT a b c", Dialect.POSTGRESQL).problems[0].column == 24


def test_thirty_brackets_and_long_chains_are_read() -> None:
    nested = "SELECT " + "(" * 30 + "1" + ")" * 30
    chained = "SELECT a FROM t WHERE " + " OR ".join(["b = 1"] * 1000)
    assert len(parse(nested, Dialect.SQLITE).trees) == len(parse(chained, Dialect.SQLITE).trees) == 1


def test_joins_without_a_condition_are_read_up_to_ten_and_others_without_end() -> None:
    texts = [
        "SELECT a FROM t" + " JOIN t" * 10,
        "SELECT a FROM t" + " CROSS JOIN t" * 40,
        "SELECT a FROM t" + " NATURAL JOIN t" * 40,
        "SELECT a FROM t" + " LEFT JOIN t ON 1" * 40,
    ]
    assert [len(parse(text, Dialect.SQLITE).trees) for text in texts] == [1, 1, 1, 1]


def test_a_caller_deep_in_its_stack_gets_an_answer() -> None:
    def descend(levels: int) -> Reason | None:
        if levels:
            return descend(levels - 1)
        problems = parse("SELECT ((((((((((a)))))))))) FROM t", Dialect.SQLITE).problems
        return problems[0].reason if problems else None

    left = sys.getrecursionlimit() - len(inspect.stack(0))
    assert descend(left - 120) is (None if IS_COMPILED else Reason.RECURSION)
    assert descend(0) is None


def test_names_are_words_of_the_canonical_text_without_quotes() -> None:
    parsed = parse("""SELECT "O"."Id", 'SECRET' FROM Public.Orders AS "O" """, Dialect.POSTGRESQL)
    assert parsed.names == {"select", "o", "id", "from", "public", "orders", "as"}


def test_settings_of_a_text_are_known() -> None:
    sql = "SET LOCAL lock_timeout = '1s'; SET SESSION app.user = 'x'; SELECT a FROM t"
    assert parse(sql, Dialect.POSTGRESQL).settings == {"lock_timeout", "user"}
    assert parse("SET @@innodb_lock_wait_timeout = 1", Dialect.MYSQL).settings == {"innodb_lock_wait_timeout"}


def test_the_longest_list_is_counted_before_it_is_folded() -> None:
    parsed = parse(f"SELECT a FROM t WHERE b IN ({', '.join('?' * 300)})", Dialect.SQLITE)
    assert (parsed.longest_list, parsed.statement.text) == (300, "SELECT a FROM t WHERE b IN (?)")


def test_sqlglots_warnings_are_silent_for_us_and_heard_by_others(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "sqlglot"):
        parse("ALTER TABLE t VALIDATE CONSTRAINT secret", Dialect.POSTGRESQL)
        assert caplog.messages == []
        sqlglot.parse_one("ALTER TABLE t VALIDATE CONSTRAINT mine", read="postgres")
        assert len(caplog.messages) == 1


def test_another_threads_warnings_are_heard_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    def warn() -> None:
        sqlglot.parse_one("ALTER TABLE t VALIDATE CONSTRAINT mine", read="postgres")

    with caplog.at_level(logging.WARNING, "sqlglot"):
        thread = threading.Thread(target=warn)
        thread.start()
        parse("ALTER TABLE t VALIDATE CONSTRAINT secret", Dialect.POSTGRESQL)
        thread.join()
    assert [message for message in caplog.messages if "secret" in message] == []
    assert len(caplog.messages) == 1


def test_a_problem_reads_as_a_line() -> None:
    assert str(Problem(Reason.SYNTAX, 3, 14)) == "not read: syntax not understood (line 3, column 14)"
    assert str(Problem(Reason.SIZE, 1, 16_385)) == (
        "not read: longer than 16,384 characters (line 1, column 16385)"
    )
