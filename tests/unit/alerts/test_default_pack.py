"""The default pack: each rule has a unit test that comes true, and a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import pytest

from tickspan.alerts.file import catalogue_facts, load_rules
from tickspan.alerts.notice import words_of
from tickspan.alerts.templates import render
from tickspan.alerts.text import read_yaml
from tickspan.analysis.rules.alert import Alert
from tickspan.analysis.rules.model import Event, Rule
from tickspan.analysis.rules.ruleset import RuleSet
from tickspan.analysis.rules.thresholds import with_thresholds
from tickspan.analysis.rules.trial import run_unit_tests
from tickspan.analysis.rules.unit_tests import UnitTests, read_unit_tests

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules("default")


@pytest.fixture(scope="module")
def tests() -> UnitTests:
    path = resources.files("tickspan.alerts") / "pack/default_test.yaml"
    document = read_yaml(path.read_text(encoding="utf-8"))[0]
    found, problems = read_unit_tests(document.value, "default_test.yaml", document.lines)
    assert problems == ()
    return found


def annotate(rule: Rule, alert: Alert) -> Mapping[str, str]:
    words = words_of(alert.labels, alert.value, rule.threshold, rule.unit, "", "")
    return {name: render(text, words) for name, text in rule.annotations.items()}


def test_the_unit_tests_come_true(rules: RuleSet, tests: UnitTests) -> None:
    assert run_unit_tests(tests, rules, annotate) == ()


def test_each_rule_is_tested_quiet_and_firing(rules: RuleSet, tests: UnitTests) -> None:
    expected = [(one.rule, bool(one.alerts)) for test in tests.tests for one in test.alerts]
    assert set(expected) == {(rule.name, is_firing) for rule in rules.rules for is_firing in (True, False)}


def test_a_rule_whose_threshold_is_out_of_reach_fails_its_test(rules: RuleSet, tests: UnitTests) -> None:
    changed, problems = with_thresholds(rules, {"SystemOverload": "99%", "StaleFeed": "1h"})
    assert problems == ()
    assert [failure.subject for failure in run_unit_tests(tests, changed)] == ["SystemOverload", "StaleFeed"]


def test_each_rule_has_a_runbook_that_says_what_to_look_at_and_what_to_do(rules: RuleSet) -> None:
    pages = {rule.annotations["runbook_url"] for rule in rules.rules}
    assert pages == {f"runbooks/{rule.name}.md" for rule in rules.rules}
    written = {f"runbooks/{path.name}" for path in (DOCS / "runbooks").glob("[A-Z]*[a-z].md")}
    assert written == pages
    headings = [re.findall(r"^#+ (.*)$", (DOCS / page).read_text(), re.MULTILINE) for page in sorted(pages)]
    assert headings == [[Path(page).stem, "Look at", "Do"] for page in sorted(pages)]


def test_each_rule_reads_metrics_of_the_catalogue(rules: RuleSet) -> None:
    assert set(rules.metrics) <= set(catalogue_facts())
    assert [rule.name for rule in rules.rules if not rule.selectors] == [
        rule.name for rule in rules.rules if isinstance(rule.expression, Event)
    ]


def test_what_runbooks_tell_to_look_at_is_in_the_catalogue() -> None:
    known = set(catalogue_facts())
    told = {
        name
        for path in (DOCS / "runbooks").glob("*.md")
        for name in re.findall(
            r"`((?:system|process|trading|http|db|container|cpython|otelcol)[._][\w.]+)`", path.read_text()
        )
    }
    attributes = {attribute for fact in catalogue_facts().values() for attribute in fact.attributes}
    events = {"trading.feed.stale", "trading.feed.handler_error", "trading.feed.gap", "trading.feed.resync"}
    events |= {
        "trading.order.reject",
        "trading.order.unknown",
        "trading.order.new",
        "trading.resume_receive_loop",
    }
    of_spans = {"trading.order.attempt", "trading.order.client_id"}
    assert told - known - attributes - events - of_spans == set()
