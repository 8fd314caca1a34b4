"""Each rule about queries is told by data, and has its place in the reference."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from scripts import query_rules
from scripts.query_rules import SECTIONS, Section, sections
from tickspan.analysis.findings import Rule

EXEMPLIFIED = [(section, rule) for section in SECTIONS for rule in section.rules]
EVERY_RULE = [rule for section in sections() for rule in section.rules]


def test_the_reference_of_rules_is_what_they_say_now() -> None:
    assert query_rules.PAGE.read_text(encoding="utf-8") == query_rules.page()


@pytest.mark.parametrize(("section", "rule"), EXEMPLIFIED, ids=lambda value: getattr(value, "id", ""))
def test_every_rule_has_three_hits_and_three_near_misses(section: Section, rule: Rule) -> None:
    assert section.examples is not None
    kinds = Counter(example.is_hit for example in section.examples(rule.id))
    assert kinds[True] >= 3
    assert kinds[False] >= 3


def test_every_rule_has_its_anchor_in_the_reference() -> None:
    headings = re.findall(r"^### (\w+)$", query_rules.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == [rule.id for rule in EVERY_RULE]
    assert {rule.doc.partition("#")[0] for rule in EVERY_RULE} == {
        query_rules.PAGE.relative_to(query_rules.ROOT).as_posix()
    }


def test_no_two_rules_have_one_id() -> None:
    assert [name for name, count in Counter(rule.id for rule in EVERY_RULE).items() if count > 1] == []


def test_every_rule_says_in_a_sentence_what_is_wrong_and_what_to_do() -> None:
    assert [rule.id for rule in EVERY_RULE if not rule.title.endswith(".")] == []
    assert [rule.id for rule in EVERY_RULE if not rule.advice.endswith((".", ";"))] == []
