"""`tickspan alerts test`: unit tests of rules, in promtool's format, run in our engine."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.alerts.compiled import yaml_text
from tickspan.cli.alerts.rule_files import unit_tests_of
from tickspan.cli.errors import CommandError

if TYPE_CHECKING:
    from tickspan.analysis.rules.alert import Alert
    from tickspan.analysis.rules.model import Rule
    from tickspan.analysis.rules.problems import RuleProblem
    from tickspan.analysis.rules.ruleset import RuleSet
    from tickspan.analysis.rules.trial import Failure
    from tickspan.analysis.rules.unit_tests import UnitTests

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "test"
SUMMARY: Final = "run unit tests of rules, in promtool's format"
_ORACLE_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class _Tested:
    """One file of tests.

    Attributes:
        file: its name.
        tests: how many there are.
        problems: in it and in its rules.
        failures: of our engine.
        oracle: what promtool says otherwise, "" when it agrees or is not asked.
    """

    file: str
    tests: int
    problems: tuple[RuleProblem, ...]
    failures: tuple[Failure, ...]
    oracle: str = ""

    @property
    def is_well(self) -> bool:
        """Whether everything came true."""
        return not (self.problems or self.failures or self.oracle)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "files", nargs="+", metavar="F", help="files of unit tests; 'default' are those of tickspan's pack"
    )
    parser.add_argument(
        "--oracle",
        metavar="PROMTOOL",
        help="promtool, or its path: run the compiled rules there too, as far as Prometheus can say them",
    )
    parser.add_argument("--json", action="store_true", help="the answer as data")


def run(options: argparse.Namespace) -> int:
    """Print what did not come true; exit status 1 when that is anything."""
    oracle = _oracle(options.oracle) if options.oracle else None
    tested = [_tested(file, oracle) for file in options.files]
    print(_json(tested) if options.json else _text(tested))
    return int(not all(one.is_well for one in tested))


def _tested(file: str, oracle: Path | None) -> _Tested:
    from tickspan.analysis.rules.problems import Misread
    from tickspan.analysis.rules.trial import run_unit_tests

    tests, rules, problems = unit_tests_of(file)
    try:
        failures = run_unit_tests(tests, rules, _annotations)
    except Misread as problem:
        raise CommandError(f"{file}: {problem}", 1) from None
    otherwise = _asked(oracle, tests, rules) if oracle else ""
    return _Tested(file, len(tests.tests), tuple(problems), failures, otherwise)


def _annotations(rule: Rule, alert: Alert) -> Mapping[str, str]:
    """As people are told them."""
    from tickspan.alerts.notice import words_of
    from tickspan.alerts.templates import render

    words = words_of(alert.labels, alert.value, rule.threshold, rule.unit, "", "")
    return {name: render(text, words) for name, text in rule.annotations.items()}


def _oracle(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise CommandError(f"--oracle: there is no program {name}")
    return Path(found)


def _asked(promtool: Path, tests: UnitTests, rules: RuleSet) -> str:
    """What promtool says of the compiled rules; "" when all tests come true there."""
    with tempfile.TemporaryDirectory(prefix="tickspan-rules-") as name:
        folder = Path(name)
        files = [_written(folder, number, tests, rules) for number in range(len(tests.tests))]
        done = subprocess.run(  # noqa: S603 - the program that the user named
            [promtool, "test", "rules", *files],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_ORACLE_TIMEOUT_S,
        )
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()


def _written(folder: Path, number: int, tests: UnitTests, rules: RuleSet) -> str:
    """One test beside the rules that it is about: promtool evaluates all that it is given."""
    from tickspan.analysis.rules.compile.prometheus import compile_rules
    from tickspan.analysis.rules.unit_tests import promtool_document

    test = tests.tests[number]
    named = {expected.rule for expected in test.alerts}
    meant = tuple(rule for rule in rules.rules if test.samples or rule.name in named)
    compiled = compile_rules(replace(rules, rules=meant))
    rule_file, file = f"rules_{number}.yaml", f"tests_{number}.yaml"
    document = promtool_document(replace(tests, tests=(test,)), [rule_file], compiled.alerts, compiled.groups)
    (folder / rule_file).write_text(yaml_text(compiled.document), encoding="utf-8")
    (folder / file).write_text(yaml_text(document), encoding="utf-8")
    return file


def _json(tested: Sequence[_Tested]) -> str:
    told: list[dict[str, Any]] = [
        {
            "file": one.file,
            "tests": one.tests,
            "problems": [{**asdict(problem), "text": str(problem)} for problem in one.problems],
            "failures": [failure._asdict() for failure in one.failures],
            "oracle": one.oracle,
        }
        for one in tested
    ]
    return json.dumps({"files": told}, indent=2)


def _text(tested: Sequence[_Tested]) -> str:
    lines: list[str] = []
    for one in tested:
        lines += [str(problem) for problem in one.problems]
        lines += [f"{one.file}: {failure}" for failure in one.failures]
        lines += [f"{one.file}: promtool says otherwise:\n{one.oracle}"] if one.oracle else []
    tests, failures = (
        sum(numbers) for numbers in zip(*((one.tests, len(one.failures)) for one in tested), strict=True)
    )
    return "\n".join(
        [*lines, f"{tests} test{'' if tests == 1 else 's'}, {failures} failure{'' if failures == 1 else 's'}"]
    )
