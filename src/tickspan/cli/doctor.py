"""`tickspan doctor`: what is configured, what would be switched on, and whether telemetry arrives."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from tickspan.cli.errors import CommandError
from tickspan.cli.preset_option import add_preset_option, known_presets, preset_difference
from tickspan.config import read_settings

if TYPE_CHECKING:
    from tickspan.cli.finding import Finding

_MARKS: Final = {True: "ok  ", False: "FAIL", None: "info"}


class DoctorCommand:
    """Exit status 0 when all is well, 1 when a finding fails."""

    name = "doctor"
    summary = "tell what is configured, what is switched on and why not, and test the way to the collector"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="the report as data")
        parser.add_argument(
            "--settings", action="store_true", help="all settings with value, origin and meaning"
        )
        parser.add_argument(
            "--timeout", type=_timeout, default=3.0, metavar="S", help="seconds per round trip (3)"
        )
        parser.add_argument(
            "--import",
            action="append",
            default=[],
            dest="modules",
            metavar="MODULE",
            help="a module of the program's, whose classes and patches are to be seen",
        )

        add_preset_option(parser, "only what this preset would change here")

    def run(self, options: argparse.Namespace) -> int:
        """Print the report."""
        if options.preset is not None:
            print(preset_difference(known_presets(options.preset), os.environ, is_json=options.json))
            return 0
        try:
            from tickspan.cli.examination import (  # OpenTelemetry's SDK: no other verb is to wait for it
                examine,
                running_instrumentors,
                settings_table,
            )
            from tickspan.cli.logger_finding import logger_findings
            from tickspan.cli.tables import table_findings
        except ValueError as error:  # OTEL_PROPAGATORS is read while OpenTelemetry is imported
            raise CommandError(f"OpenTelemetry cannot be imported: {error}", 1) from None
        reading = read_settings(environ=os.environ)
        findings = list(examine(reading, os.environ, timeout_s=options.timeout))
        findings += table_findings(running_instrumentors(reading, os.environ), options.modules)
        findings += logger_findings()
        settings = settings_table(reading)
        if options.json:
            print(
                json.dumps({"findings": [asdict(item) for item in findings], "settings": settings}, indent=2)
            )
        else:
            _print(findings, settings if options.settings else [])
        return 1 if any(finding.is_well is False for finding in findings) else 0


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_TIMEOUT_S:
        raise argparse.ArgumentTypeError(f"expected up to {MAX_TIMEOUT_S:g} seconds, got '{text}'")
    return seconds


MAX_TIMEOUT_S: Final = 60.0


def _print(findings: Sequence[Finding], settings: Sequence[dict[str, Any]]) -> None:
    for finding in findings:
        print(f"{_MARKS[finding.is_well]}  {finding.subject}: {finding.detail}")
    for row in settings:
        print(
            f"      {row['key']} = {row['value']!r}  [{row['origin']}; {row['variable']}]  {row['meaning']}"
        )
