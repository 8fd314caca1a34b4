"""Every rule over statements, told by its data file; `scripts/query_rules.py` says how one is written."""

from pathlib import Path
from typing import Any

import pytest

from scripts.query_rules import CASES, Case, read_cases
from tickspan.analysis.findings import Severity
from tickspan.analysis.sql import canonicalise
from tickspan.analysis.sql.parsed import parse
from tickspan.analysis.sql.rules import RULES, TOKEN_RULES, Checker, Context

FILES = {path.stem: read_cases(path) for path in sorted(CASES.glob("*.sql"))}
RULE = {rule.id: rule for rule in RULES}
ALL = [case for file in FILES.values() for case in file.cases]


def name(case: Case) -> str:
    return f"{case.rule} {'hit' if case.is_hit else 'clean'} {case.dialect}: {case.text[:60]}"


def found(case: Case, sql: str) -> list[Any]:
    schema = FILES[case.rule].schema(case.dialect)
    parsed = parse(sql, case.dialect)
    options: dict[str, Any] = dict(case.options)
    context = Context(parsed.statement, case.dialect, schema, **options)
    return [finding for finding in Checker().check(parsed, context) if finding.rule == case.rule]


@pytest.mark.parametrize("case", ALL, ids=name)
def test_a_rule_says_of_a_statement_what_its_data_file_says(case: Case) -> None:
    severities = [str(finding.severity) for finding in found(case, case.sql)]
    assert severities == ([case.severity] if case.is_hit else [])


@pytest.mark.parametrize("case", ALL, ids=name)
def test_every_statement_of_the_data_files_is_understood(case: Case) -> None:
    problems = parse(case.sql, case.dialect).problems
    assert [problem for problem in problems if problem.reason != "kind"] == []


@pytest.mark.parametrize("case", [case for case in ALL if case.is_hit], ids=name)
def test_a_finding_says_what_to_do_and_for_which_statement(case: Case) -> None:
    (finding,) = found(case, case.sql)
    statement = canonicalise(case.sql, case.dialect)
    assert (finding.fingerprint, finding.summary) == (statement.fingerprint, statement.summary)
    assert finding.message.endswith(".")
    assert finding.advice.endswith((".", ";"))


def of_canonical_text(case: Case) -> bool:
    canonical = canonicalise(case.sql, case.dialect)
    return bool(found(case, canonical.text))


def test_canonical_text_is_enough_for_a_rule_over_trees_where_no_value_decides() -> None:
    tokens = {rule.id for rule in TOKEN_RULES}
    differ = [
        case.sql for case in ALL if case.rule not in tokens and of_canonical_text(case) is not case.is_hit
    ]
    assert differ == [
        "SELECT id FROM orders WHERE venue_order_id = 4711",
        "SELECT id FROM trades WHERE ts BETWEEN '2026-01-05 09:30:00' AND '2026-01-05 16:00:00'",
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_three_hits_and_three_near_misses(rule: Any) -> None:
    cases = FILES[rule.id].cases
    assert sum(case.is_hit for case in cases) >= 3
    assert sum(not case.is_hit for case in cases) >= 3


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_some_hit_has_the_severity_that_the_rule_declares(rule: Any) -> None:
    assert str(rule.severity) in {case.severity for case in FILES[rule.id].cases if case.is_hit}


def test_every_data_file_is_of_a_rule() -> None:
    assert FILES.keys() == RULE.keys()


def test_an_ignored_rule_says_nothing() -> None:
    case = next(case for case in FILES["write_without_where"].cases if case.is_hit)
    parsed = parse(case.sql, case.dialect)
    assert Checker(ignore=[rule.id for rule in RULES]).check(parsed, Context(parsed.statement)) == ()


def test_every_token_rule_needs_no_parser() -> None:
    assert [rule.id for rule in TOKEN_RULES] == [rule.id for rule in RULES[: len(TOKEN_RULES)]]


def test_severities_are_words_that_severity_knows() -> None:
    assert {case.severity for case in ALL if case.is_hit} == {str(severity) for severity in Severity}


def test_the_folder_of_cases_is_this_one() -> None:
    assert Path(__file__).parent == CASES
