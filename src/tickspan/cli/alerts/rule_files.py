"""Rule files and their unit tests, as they are named on the command line."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import reduce
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tickspan.alerts.wiring import FILE_NAMES, configuration_folders, rule_file
from tickspan.cli.errors import CommandError
from tickspan.config import FILE_VARIABLE, read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tickspan.analysis.rules.problems import RuleProblem
    from tickspan.analysis.rules.ruleset import RuleSet
    from tickspan.analysis.rules.unit_tests import UnitTests

__all__ = ["DEFAULT_TESTS", "named_rules", "rules_of", "rules_of_all", "unit_tests_of"]

DEFAULT_TESTS: Final = "default"
"""The tests of the pack that tickspan brings."""


def named_rules(files: Sequence[str]) -> list[str]:
    """The files that are named, else the one that a program here would read. Raises `CommandError`."""
    if files:
        return list(files)
    reading = read_settings(environ=os.environ)
    found = rule_file(
        reading.settings.alerts, configuration_folders(reading.origins, os.environ, FILE_VARIABLE)
    )
    if found is None:
        raise CommandError(
            f"name a rule file, or set TICKSPAN_ALERTS_FILE: there is no {' and no '.join(FILE_NAMES)}"
        )
    return [str(found)]


def rules_of(file: str) -> tuple[RuleSet, tuple[RuleProblem, ...]]:
    """The right rules of a file, or of the pack `default`, and what is wrong in it."""
    from tickspan.alerts.file import read_rules

    try:
        return read_rules(file)
    except ImportError as error:
        raise CommandError(
            f"{file}: rule files in YAML need the extra 'tickspan[alerts]' ({error})"
        ) from None


def rules_of_all(files: Sequence[str]) -> tuple[RuleSet, list[RuleProblem]]:
    """The rules of several files together; of one name the last one stands."""
    from tickspan.analysis.rules.ruleset import RuleSet

    read = [rules_of(file) for file in files]
    return reduce(_joined, (rules for rules, _ in read), RuleSet()), [
        problem for _, problems in read for problem in problems
    ]


def unit_tests_of(file: str) -> tuple[UnitTests, RuleSet, list[RuleProblem]]:
    """Unit tests, the rules that they are of, and what is wrong in both. Raises `CommandError`."""
    from tickspan.alerts.text import TextError, read_yaml
    from tickspan.analysis.rules.unit_tests import read_unit_tests

    path = _pack_tests() if file == DEFAULT_TESTS else Path(file)
    try:
        documents = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    except (TextError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: {error}", 1) from None
    except ImportError as error:
        raise CommandError(f"{file}: unit tests need the extra 'tickspan[alerts]' ({error})") from None
    if len(documents) != 1:
        raise CommandError(f"{file}: expected one document, got {len(documents)}", 1)
    tests, problems = read_unit_tests(documents[0].value, str(path), documents[0].lines)
    rules, of_rules = rules_of_all([str(path.parent / name) for name in tests.rule_files])
    return tests, rules, [*problems, *of_rules]


def _joined(first: RuleSet, second: RuleSet) -> RuleSet:
    by_name = {rule.name: rule for rule in (*first.rules, *second.rules)}
    return replace(
        second,
        rules=tuple(by_name.values()),
        calendars={**first.calendars, **second.calendars},
        notifiers={**first.notifiers, **second.notifiers},
        metrics={**first.metrics, **second.metrics},
    )


def _pack_tests() -> Path:
    return Path(str(resources.files("tickspan.alerts"))) / "pack" / "default_test.yaml"
