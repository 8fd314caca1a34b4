"""`tickspan doctor`: what is configured, what would be switched on, and whether telemetry arrives."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any, Final

from opentelemetry.instrumentation.dependencies import get_dependency_conflicts

from tickspan.cli.round_trip import Answer, round_trip
from tickspan.config import Reading, read_settings, setting_keys
from tickspan.distro import missing_defaults, reason_to_skip
from tickspan.version import __version__

SECRET_SETTINGS: Final = frozenset({"trading.salt"})
_SIGNALS: Final = ("traces", "metrics", "logs")
_MEMBERS: Final = {"ccxt": "tickspan-ccxt", "redis": "tickspan-redis", "sqlalchemy": "tickspan-sqlalchemy"}
_MARKS: Final = {True: "ok  ", False: "FAIL", None: "info"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `is_well` is None where there is nothing to be well or ill."""

    subject: str
    is_well: bool | None
    detail: str


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
        parser.add_argument("--timeout", type=float, default=3.0, metavar="S", help="seconds per round trip")

    def run(self, options: argparse.Namespace) -> int:
        """Print the report."""
        reading = read_settings(environ=os.environ)
        findings = list(examine(reading, timeout_s=options.timeout))
        settings = settings_table(reading)
        if options.json:
            print(
                json.dumps({"findings": [asdict(item) for item in findings], "settings": settings}, indent=2)
            )
        else:
            _print(findings, settings if options.settings else [])
        return 1 if any(finding.is_well is False for finding in findings) else 0


def examine(reading: Reading, *, timeout_s: float) -> Iterable[Finding]:
    """All findings, in the order of a start-up."""
    yield Finding("tickspan", None, f"{__version__} on Python {platform.python_version()} ({sys.executable})")
    yield from _of_settings(reading)
    yield from _of_distro(os.environ.get("OTEL_PYTHON_DISTRO"))
    names = {entry.name for entry in entry_points(group="opentelemetry_instrumentor")}
    for entry in sorted(entry_points(group="opentelemetry_instrumentor"), key=lambda entry: entry.name):
        yield instrumentor_finding(entry, names, reading.settings.prefer_upstream)
    yield from _of_missing_members(names)
    yield from _of_round_trips(timeout_s)


def settings_table(reading: Reading) -> list[dict[str, Any]]:
    """Every setting with value, origin, variable and meaning; secrets masked."""
    table: list[dict[str, Any]] = []
    for key in setting_keys():
        value: Any = reading.settings
        for part in key.name.split("."):
            value = getattr(value, part)
        shown = "***" if key.name in SECRET_SETTINGS and value else value
        origin = str(reading.origins[key.name])
        table.append(
            {
                "key": key.name,
                "value": shown,
                "origin": origin,
                "variable": key.variable,
                "meaning": key.meaning,
            }
        )
    return table


def instrumentor_finding(entry: EntryPoint, names: set[str], prefer_upstream: Sequence[str]) -> Finding:
    """Whether an instrumentor would run here, with the version of its library, or why not."""
    subject = f"instrumentor {entry.name}"
    reason = reason_to_skip(entry.name, names, prefer_upstream)
    if reason is not None:
        return Finding(subject, None, f"off: {reason}")
    try:
        dependencies = tuple(entry.load()().instrumentation_dependencies())
    except Exception as error:  # noqa: BLE001 - whatever a foreign instrumentor raises is the finding
        return Finding(
            subject, is_well=False, detail=f"off: {type(error).__name__} while it was loaded: {error}"
        )
    conflict = get_dependency_conflicts(dependencies)
    if conflict is not None:
        found = conflict.found or "not installed"
        return Finding(subject, None, f"off: needs {conflict.required}, found {found}")
    return Finding(
        subject, is_well=True, detail=f"on: {', '.join(_with_version(item) for item in dependencies)}"
    )


def _of_settings(reading: Reading) -> Iterable[Finding]:
    for problem in reading.problems:
        yield Finding("settings", is_well=False, detail=str(problem))
    changed = [
        f"{name} from {origin}" for name, origin in reading.origins.items() if origin.layer != "default"
    ]
    yield Finding("settings", None, ", ".join(changed) or "all defaults (--settings lists them)")


def _of_distro(chosen: str | None) -> Iterable[Finding]:
    distros = sorted(entry.name for entry in entry_points(group="opentelemetry_distro"))
    if chosen is not None or distros == ["tickspan"]:
        winner = chosen or "tickspan"
        yield Finding("distro", winner == "tickspan", f"opentelemetry-instrument would use '{winner}'")
        return
    advice = "set OTEL_PYTHON_DISTRO=tickspan OTEL_PYTHON_CONFIGURATOR=tickspan, or use 'tickspan run'"
    yield Finding("distro", is_well=False, detail=f"several are installed ({', '.join(distros)}): {advice}")


def _of_missing_members(names: set[str]) -> Iterable[Finding]:
    for library, member in _MEMBERS.items():
        if f"tickspan_{library}" not in names and _version_of(library) is not None:
            yield Finding(library, None, f"{_version_of(library)} is installed: add {member}")


def _of_round_trips(timeout_s: float) -> Iterable[Finding]:
    environ = {**os.environ, **missing_defaults(os.environ)}
    for signal in _SIGNALS:
        if environ.get(f"OTEL_{signal.upper()}_EXPORTER", "none") != "otlp":
            detail = "not exported: set OTEL_EXPORTER_OTLP_ENDPOINT to send it to a collector"
            yield Finding(f"OTLP {signal}", None, detail)
            continue
        answer: Answer = round_trip(signal, environ, timeout_s)
        yield Finding(f"OTLP {signal}", answer.is_delivered, answer.explanation)


def _with_version(requirement: str) -> str:
    name = requirement.replace("<", " ").replace(">", " ").replace("=", " ").replace("~", " ").split()[0]
    return f"{name} {_version_of(name) or 'unknown'}"


def _version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _print(findings: Sequence[Finding], settings: Sequence[dict[str, Any]]) -> None:
    for finding in findings:
        print(f"{_MARKS[finding.is_well]}  {finding.subject}: {finding.detail}")
    for row in settings:
        print(
            f"      {row['key']} = {row['value']!r}  [{row['origin']}; {row['variable']}]  {row['meaning']}"
        )
