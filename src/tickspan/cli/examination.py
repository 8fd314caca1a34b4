"""Findings about an environment: settings, distribution, instrumentors, the way to the collector."""

from __future__ import annotations

import platform
import sys
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any, Final, cast

from opentelemetry.instrumentation.dependencies import get_dependency_conflicts
from tickspan_spool.entries import Signal

from tickspan.cli.cache_finding import cache_findings
from tickspan.cli.delivery import delivery_findings
from tickspan.cli.finding import Finding
from tickspan.cli.log_finding import log_findings
from tickspan.cli.memory_finding import memory_findings
from tickspan.cli.round_trip import grpc_round_trip, round_trip
from tickspan.config import AgentMode, QueryMode, Reading, Settings, setting_keys
from tickspan.distro import destinations, disabled_names, missing_defaults, reason_to_skip
from tickspan.instrumentation import redact
from tickspan.version import __version__

_SIGNALS: Final = ("traces", "metrics", "logs")
_MEMBERS: Final = {
    "aiomysql": "tickspan-dbapi",
    "aiosqlite": "tickspan-dbapi",
    "alpaca-py": "tickspan-alpaca",
    "asyncpg": "tickspan-dbapi",
    "ccxt": "tickspan-ccxt",
    "ib_async": "tickspan-ib",
    "ib_insync": "tickspan-ib",
    "nautilus_trader": "tickspan-nautilus",
    "psycopg": "tickspan-dbapi",
    "psycopg2": "tickspan-dbapi",
    "psycopg2-binary": "tickspan-dbapi",
    "pymysql": "tickspan-dbapi",
    "python-binance": "tickspan-binance",
    "quickfix": "tickspan-fix",
    "quickfix-tls": "tickspan-fix",
    "redis": "tickspan-redis",
    "simplefix": "tickspan-fix",
    "sqlalchemy": "tickspan-sqlalchemy",
}
"""Distribution of a library to the member that knows it."""


def examine(reading: Reading, environ: Mapping[str, str], *, timeout_s: float) -> Iterable[Finding]:
    """All findings, in the order of a start-up."""
    yield Finding("tickspan", None, f"{__version__} on Python {platform.python_version()} ({sys.executable})")
    yield from _of_settings(reading)
    distros = sorted(entry.name for entry in entry_points(group="opentelemetry_distro"))
    yield distro_finding(distros, environ.get("OTEL_PYTHON_DISTRO"))
    names = {entry.name for entry in entry_points(group="opentelemetry_instrumentor")}
    for entry in sorted(entry_points(group="opentelemetry_instrumentor"), key=lambda entry: entry.name):
        reason = reason_to_skip(entry.name, names, reading.settings.prefer_upstream, disabled_names(environ))
        yield instrumentor_finding(entry, reason)
    yield from _of_missing_members(names)
    yield from query_findings(reading.settings)
    yield from cache_findings(reading.settings, timeout_s)
    yield from memory_findings(reading.settings.memory)
    yield from log_findings(reading.settings)
    completed = {**environ, **missing_defaults(environ)}
    yield from delivery_findings(reading, completed)
    yield from _of_round_trips(completed, timeout_s)


def running_instrumentors(reading: Reading, environ: Mapping[str, str]) -> list[EntryPoint]:
    """The instrumentors that the distribution would switch on here."""
    entries = sorted(entry_points(group="opentelemetry_instrumentor"), key=lambda entry: entry.name)
    names, upstream = {entry.name for entry in entries}, reading.settings.prefer_upstream
    disabled = disabled_names(environ)
    return [entry for entry in entries if reason_to_skip(entry.name, names, upstream, disabled) is None]


def settings_table(reading: Reading) -> list[dict[str, Any]]:
    """Every setting with value, origin, variable and meaning; secrets masked."""
    table: list[dict[str, Any]] = []
    for key in setting_keys():
        value = key.value_in(reading.settings)
        table.append(
            {
                "key": key.name,
                "value": "***" if key.is_secret and value else value,
                "origin": str(reading.origins[key.name]),
                "variable": key.variable,
                "meaning": key.meaning,
            }
        )
    return table


def distro_finding(distros: Collection[str], chosen: str | None) -> Finding:
    """Which distribution `opentelemetry-instrument` would use: the named one, or the only one."""
    if chosen is not None or list(distros) == ["tickspan"]:
        winner = chosen or "tickspan"
        return Finding("distro", winner == "tickspan", f"opentelemetry-instrument would use '{winner}'")
    advice = "set OTEL_PYTHON_DISTRO=tickspan OTEL_PYTHON_CONFIGURATOR=tickspan, or use 'tickspan run'"
    return Finding("distro", is_well=False, detail=f"several are installed ({', '.join(distros)}): {advice}")


def instrumentor_finding(entry: EntryPoint, reason: str | None) -> Finding:
    """Whether an instrumentor would run here, with the version of its library, or why not.

    `reason` is that for which the distribution keeps it off, if any.
    """
    subject = f"instrumentor {entry.name}"
    if reason is not None:
        return Finding(subject, None, f"off: {reason}")
    try:
        dependencies = tuple(entry.load()().instrumentation_dependencies())
    except ModuleNotFoundError as error:
        return Finding(subject, None, f"off: {error}")
    except Exception as error:  # noqa: BLE001 - whatever a foreign instrumentor raises is the finding
        told = f"{type(error).__name__} while it was loaded: {redact.text(str(error))}"
        return Finding(subject, is_well=False, detail=f"off: {told}")
    conflict = get_dependency_conflicts(dependencies)
    if conflict is not None:
        found = conflict.found or "not installed"
        return Finding(subject, None, f"off: needs {conflict.required}, found {found}")
    versions = ", ".join(_with_version(item) for item in dependencies)
    return Finding(subject, is_well=True, detail=f"on: {versions}" if versions else "on")


def _of_settings(reading: Reading) -> Iterable[Finding]:
    for problem in reading.problems:
        yield Finding("settings", is_well=False, detail=str(problem))
    changed = [
        f"{name} from {origin}" for name, origin in reading.origins.items() if origin.layer != "default"
    ]
    yield Finding("settings", None, ", ".join(changed) or "all defaults (--settings lists them)")


def query_findings(settings: Settings) -> Iterable[Finding]:
    """Where fewer rules about queries are asked than could be, or none."""
    mode = settings.queries.mode
    if mode is QueryMode.THREAD:
        yield Finding(
            "queries", None, "a thread of the program looks: rules that need a parser are not asked"
        )
    elif mode is QueryMode.AGENT and settings.agent in {AgentMode.THREAD, AgentMode.OFF}:
        detail = (
            f"agent={settings.agent}: nobody looks; queries.mode=thread asks the rules that need no parser"
        )
        yield Finding("queries", None, detail)


def _of_missing_members(names: Collection[str]) -> Iterable[Finding]:
    for library, member in _MEMBERS.items():
        if member.replace("-", "_") not in names and _version_of(library) is not None:
            yield Finding(library, None, f"{_version_of(library)} is installed: add {member}")


def _of_round_trips(environ: Mapping[str, str], timeout_s: float) -> Iterable[Finding]:
    for signal in _SIGNALS:
        subject, reason = f"OTLP {signal}", _reason_for_no_round_trip(signal, environ)
        if reason is not None:
            yield Finding(subject, None, reason)
            continue
        send = grpc_round_trip if _protocol(signal, environ) == "grpc" else round_trip
        answer = send(signal, environ, timeout_s)
        yield Finding(subject, answer.is_delivered, answer.explanation)


def _reason_for_no_round_trip(signal: str, environ: Mapping[str, str]) -> str | None:
    if environ.get("OTEL_CONFIG_FILE"):
        return "exporters are those of OTEL_CONFIG_FILE: not tested"
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "not exported: OTEL_SDK_DISABLED is true"
    exporters = [name.strip() for name in environ.get(f"OTEL_{signal.upper()}_EXPORTER", "none").split(",")]
    if not {"otlp", "otlp_proto_http", "otlp_proto_grpc", "tickspan_spool"}.intersection(exporters):
        told = "" if exporters == ["none"] else f" over OTLP but to {', '.join(exporters)}"
        return f"not exported{told}: set OTEL_EXPORTER_OTLP_ENDPOINT to send it to a collector"
    return None


def _protocol(signal: str, environ: Mapping[str, str]) -> str:
    found = {destination.signal: destination.protocol for destination in destinations(environ)}
    return found.get(cast("Signal", signal), "http/protobuf")


def _with_version(requirement: str) -> str:
    name = requirement.replace("<", " ").replace(">", " ").replace("=", " ").replace("~", " ").split()[0]
    return f"{name} {_version_of(name) or 'unknown'}"


def _version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
