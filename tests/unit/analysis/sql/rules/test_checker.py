"""`Checker`: one walk for all rules, and none that raises twice."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from scripts.query_rules import CASES, read_cases
from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.parsed import parse
from tickspan.analysis.sql.rules import Checker, CheckerStatistics, Context
from tickspan.analysis.sql.rules.trees import sources

SQL = "SELECT a FROM t WHERE b = 1 AND c = 2"


def rule(name: str, check: Any) -> Any:
    return SimpleNamespace(RULE=Rule(name, Severity.INFO, "A title.", "Advice."), ON=(exp.EQ,), check=check)


def run(checker: Checker, sql: str = SQL, dialect: Dialect = Dialect.POSTGRESQL) -> tuple[Finding, ...]:
    parsed = parse(sql, dialect)
    return checker.check(parsed, Context(parsed.statement, dialect))


def test_a_rule_that_raises_is_asked_no_more_and_told_of_once() -> None:
    asked: list[str] = []
    told: list[str] = []

    def raising(node: exp.EQ, _context: Context) -> None:
        asked.append(node.sql())
        raise KeyError("secret")

    checker = Checker(rules=[rule("bad", raising)], tell=told.append)
    run(checker)
    run(checker)
    assert asked == ["b = 1"]
    assert told == ["rule 'bad' disabled after KeyError; the others go on"]
    assert checker.statistics() == CheckerStatistics(2, 0, {"bad": "KeyError"})


def test_a_stack_that_is_full_disables_no_rule() -> None:
    def deep(_node: exp.EQ, _context: Context) -> None:
        raise RecursionError

    checker = Checker(rules=[rule("deep", deep)])
    run(checker)
    assert checker.statistics().disabled == {}


def test_of_several_findings_of_one_rule_the_worst_is_kept() -> None:
    def by_column(node: exp.EQ, _context: Context) -> Finding:
        severity = Severity.ERROR if node.this.name == "c" else Severity.WARNING
        return Rule("r", Severity.INFO, "", "").found(node.this.name, {}, severity=severity)

    (found,) = run(Checker(rules=[rule("r", by_column)]))
    assert (found.message, found.severity, found.summary) == ("c", Severity.ERROR, "SELECT t")


def test_rules_share_one_outline_of_the_tree() -> None:
    seen: list[int] = []

    def look(node: exp.EQ, context: Context) -> None:
        assert context.outline is not None
        query = context.outline.query(node)
        assert query is not None
        seen.append(id(sources(query, context)[0]))

    run(Checker(rules=[rule("r", look), rule("s", look)]))
    assert len(seen) == 4
    assert len(set(seen)) == 1


def test_a_table_that_the_program_created_before_may_be_indexed() -> None:
    checker = Checker()
    run(checker, "CREATE TABLE mine (id int)")
    assert run(checker, "CREATE INDEX i ON mine (id)") == ()
    assert [found.rule for found in run(checker, "CREATE INDEX i ON others (id)")] == ["ddl_at_runtime"]


def test_canonical_text_is_enough_for_rules_over_trees() -> None:
    sql = "SELECT max(id) + ? FROM orders WHERE lower(symbol) = ?"
    assert [found.rule for found in run(Checker(), sql)] == ["max_id_plus_one", "function_on_column"]


WORDS = sorted(
    {word for path in CASES.glob("*.sql") for case in read_cases(path).cases for word in case.text.split()}
)
BEGINNINGS = [case for path in sorted(CASES.glob("*.sql")) for case in read_cases(path).cases]


@settings(deadline=None, max_examples=300)
@given(case=st.sampled_from(BEGINNINGS), words=st.lists(st.sampled_from(WORDS), max_size=4), data=st.data())
def test_no_rule_raises_over_statements_that_are_nearly_right(case: Any, words: list[str], data: Any) -> None:
    written = case.text.split()
    at = data.draw(st.integers(0, len(written)))
    left_out = data.draw(st.integers(0, 2))
    sql = " ".join([*written[:at], *words, *written[at + left_out :]])
    checker = Checker()
    schema = read_cases(CASES / f"{case.rule}.sql").schema(case.dialect)
    parsed = parse(sql, case.dialect)
    checker.check(parsed, Context(parsed.statement, case.dialect, schema))
    assert checker.statistics().disabled == {}


def test_a_checker_shows_what_it_did() -> None:
    checker = Checker()
    run(checker, "DELETE FROM t")
    assert repr(checker) == "<Checker 1 statements, 1 findings, 0 disabled>"
