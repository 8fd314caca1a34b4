"""The reference of rule files is what the schema says now."""

from __future__ import annotations

import re

from scripts import alert_rules
from tickspan.alerts.file import catalogue_facts
from tickspan.alerts.text import read_yaml
from tickspan.analysis.rules.document import read


def test_the_reference_of_rule_files_is_what_the_schema_says_now() -> None:
    assert alert_rules.PAGE.read_text(encoding="utf-8") == alert_rules.page()


def test_every_example_of_the_reference_is_a_rule_file() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", alert_rules.PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (objective,) = [example for example in examples if example.startswith("slos:")]
    wrong = [
        problem
        for example in examples
        for problem in read(
            read_yaml(example if example is objective else f"{example}{objective}")[0].value,
            catalogue_facts(),
        )[1]
    ]
    assert len(examples) == 8
    assert wrong == []
