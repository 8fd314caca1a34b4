"""`tickspan alerts compile`: rules as Prometheus, Grafana or a collector evaluates them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tickspan.cli.alerts.compiled import PROMETHEUS, TARGETS, compile_for, yaml_text
from tickspan.cli.alerts.rule_files import named_rules, rules_of_all, unit_tests_of
from tickspan.cli.errors import CommandError

if TYPE_CHECKING:
    from tickspan.analysis.rules.compile.prometheus import Compiled

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "compile"
SUMMARY: Final = "rules as Prometheus, Grafana or a collector evaluates them"
_DATA_SOURCE: Final = "prometheus"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", nargs="*", metavar="F", help="rule files; 'default' is the pack of tickspan")
    parser.add_argument("--to", choices=TARGETS, required=True, help="the target")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to; stdout by default")
    parser.add_argument(
        "--lossy", action="store_true", help="leave out what the target cannot say, and only tell it"
    )
    parser.add_argument(
        "--with-tests",
        nargs="+",
        default=[],
        metavar="T",
        help="unit tests, written for promtool beside the output: FILE_test_N.yaml",
    )
    parser.add_argument(
        "--data-source", default=_DATA_SOURCE, metavar="UID", help=f"of Grafana's Prometheus ({_DATA_SOURCE})"
    )
    parser.add_argument(
        "--policy", action="store_true", help="of OTTL: the policy for tail_sampling, not the filter"
    )
    parser.add_argument("--json", action="store_true", help="the document as JSON")


def run(options: argparse.Namespace) -> int:
    """Write the document; where rules are wrong or something is lost, write nothing: exit status 1."""
    if options.with_tests and (options.to != PROMETHEUS or options.output is None):
        raise CommandError("--with-tests needs --to prometheus and --output FILE")
    rules, problems = rules_of_all(named_rules(options.files))
    _tell(problems)
    if problems:
        return 1
    compiled = compile_for(options.to, rules, data_source=options.data_source, is_policy=options.policy)
    _tell(compiled.lossy)
    if compiled.lossy and not options.lossy:
        lost = len(compiled.lossy)
        _tell([f"{lost} thing{'' if lost == 1 else 's'} would be lost; --lossy compiles without them"])
        return 1
    if compiled.elsewhere:
        _tell([f"left to others: {', '.join(compiled.elsewhere)}"])
    _write(options, compiled)
    return 0


def _write(options: argparse.Namespace, compiled: Compiled) -> None:
    text = _json(compiled) if options.json else yaml_text(compiled.document)
    output: Path | None = options.output
    try:
        if output is None:
            print(text, end="")
            return
        output.write_text(text, encoding="utf-8")
        for number, file in enumerate(options.with_tests, 1):
            beside = output.with_name(f"{output.stem}_test_{number}.yaml")
            beside.write_text(_tests(file, output, compiled), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from None


def _tests(file: str, output: Path, compiled: Compiled) -> str:
    from tickspan.analysis.rules.unit_tests import promtool_document

    tests, _, problems = unit_tests_of(file)
    if problems:
        raise CommandError(str(problems[0]), 1)
    return yaml_text(promtool_document(tests, [output.name], compiled.alerts, compiled.groups))


def _json(compiled: Compiled) -> str:
    import json

    return json.dumps(compiled.document, indent=2) + "\n"


def _tell(lines: Sequence[object]) -> None:
    for line in lines:
        print(line, file=sys.stderr)
