"""Fixtures for every test folder: real servers, found or installed, and a word when one is missing."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(
    0, str(Path(__file__).parent)
)  # importlib mode adds nothing; `make backends` runs the same module

from tickspan_spool import twins

from scripts import backends, semconv, servers, strays

if TYPE_CHECKING:
    from tickspan.testing import Capture

_BACKEND_OF_FIXTURE: Mapping[str, str] = {
    "otelcol": "otelcol",
    "promtool": "promtool",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "kafka": "kafka",
    "redis_server": "redis-server",
    "postgresql_server": "postgresql",
    "hypopg_server": "hypopg",
    "mariadb_server": "mariadb",
    "chromium": "chromium",
}
_HYPOPG_SETTINGS: Mapping[str, str] = {
    "shared_preload_libraries": "auto_explain,pg_stat_statements",
    "track_commit_timestamp": "on",
    "log_line_prefix": "%m [%p] %u@%d %a ",
}


@dataclass(slots=True)
class _Session:
    """What this session asked for, what it found, and which servers it runs."""

    findings: dict[str, backends.Finding] = field(default_factory=dict[str, backends.Finding])
    running: dict[str, servers.Server] = field(default_factory=dict[str, servers.Server])

    def ask(self, name: str) -> backends.Finding:
        if name not in self.findings:
            self.findings[name] = backends.backend(name)
        return self.findings[name]

    def require(self, name: str) -> backends.Backend:
        """The back end; a visible skip without it, or a failure when TICKSPAN_TEST_REQUIRE=all."""
        found = self.ask(name)
        if isinstance(found, backends.Backend):
            return found
        if os.environ.get("TICKSPAN_TEST_REQUIRE") == "all":
            pytest.fail(f"{found} (TICKSPAN_TEST_REQUIRE=all)", pytrace=False)
        pytest.skip(str(found))


_SESSION = pytest.StashKey[_Session]()


def pytest_configure(config: pytest.Config) -> None:
    """Start with nothing asked for."""
    config.stash[_SESSION] = _Session()


def pytest_report_header() -> str:
    """Which form of the hot modules is tested."""
    from tickspan import recording  # asking for the hot modules is what chooses them

    del recording
    reasons = sorted({twin.reason for twin in twins.chosen() if twin.reason})
    return f"hot modules: {twins.implementation()} {'; '.join(reasons)}".rstrip()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests for another version of a library: they run where that version is installed."""
    others = [item for item in items if not all(_fits(mark) for mark in item.iter_markers("library"))]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def _fits(mark: pytest.Mark) -> bool:
    try:
        installed = tuple(int(part) for part in version(mark.args[0]).split(".")[:2])
    except PackageNotFoundError:
        return False
    return mark.kwargs.get("at_least", (0,)) <= installed < mark.kwargs.get("below", (10_000,))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Find, and if asked for install, before the first test: a build takes longer than any test may.

    What was collected stays to the end, a million objects: a collection of garbage need not look at it in the
    middle of a test that measures time.
    """
    gc.collect()
    gc.freeze()
    if session.config.option.collectonly:
        return
    wanted = {name for item in session.items for name in _fixtures(item)}
    for fixture, name in _BACKEND_OF_FIXTURE.items():
        if fixture in wanted:
            session.config.stash[_SESSION].ask(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line about the back ends that this session asked for."""
    findings = config.stash[_SESSION].findings
    gone = tuple(
        f"Skipped: {finding}" for finding in findings.values() if isinstance(finding, backends.Missing)
    )
    reports = [
        report for report in terminalreporter.getreports("skipped") if isinstance(report.longrepr, tuple)
    ]
    skipped = sum(report.longrepr[2] in gone for report in reports)
    if findings:
        terminalreporter.write_line(
            backends.describe(list(findings.values()), skipped), yellow=bool(gone), bold=bool(gone)
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the end of the logs of the servers it used."""
    report = yield
    if report.failed:
        for fixture, server in item.config.stash[_SESSION].running.items():
            if fixture in _fixtures(item):
                report.sections.append((f"log of {fixture}", server.log_tail()))
    return report


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


@functools.cache
def _declared() -> strays.Declared:
    return strays.declared(semconv.read())


@pytest.fixture
def telemetry(telemetry: Capture) -> Generator[Capture]:
    """The plugin's; no test may leave in it what the registry of `trading.*` does not declare so."""
    yield telemetry
    found = [*telemetry.undeclared(), *_declared().strays(telemetry.received())]
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.fixture(scope="session")
def otelcol(request: pytest.FixtureRequest) -> Path:
    """An OpenTelemetry Collector with the components of `collector-config/manifest.yaml`."""
    return request.config.stash[_SESSION].require("otelcol").executable


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest) -> Path:
    """A browser."""
    return request.config.stash[_SESSION].require("chromium").executable


@pytest.fixture(scope="session")
def promtool(request: pytest.FixtureRequest) -> Path:
    """Prometheus's command-line tool, which checks and tests rules."""
    return request.config.stash[_SESSION].require("promtool").executable


@pytest.fixture(scope="session")
def prometheus(request: pytest.FixtureRequest) -> Path:
    """A Prometheus server; `scripts.prometheus.running_prometheus` starts it."""
    return request.config.stash[_SESSION].require("prometheus").executable


@pytest.fixture(scope="session")
def alertmanager(request: pytest.FixtureRequest) -> Path:
    """An Alertmanager, `amtool` beside it; `scripts.alertmanager.running_alertmanager` starts it."""
    return request.config.stash[_SESSION].require("alertmanager").executable


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Path:
    """A Kafka broker in memory; `scripts.kafka_broker.running_kafka` starts it."""
    return request.config.stash[_SESSION].require("kafka").executable


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a Redis server that this session has for itself; each test sees to its own keys."""
    session = request.config.stash[_SESSION]
    with servers.redis_server(session.require("redis-server").executable) as server:
        session.running["redis_server"] = server
        yield server.url


@pytest.fixture(scope="session")
def postgresql_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database of this session, `postgresql://postgres@127.0.0.1:…/postgres`."""
    session = request.config.stash[_SESSION]
    with servers.postgresql_server(session.require("postgresql").executable) as server:
        session.running["postgresql_server"] = server
        yield server.url


@pytest.fixture(scope="session")
def hypopg_server(request: pytest.FixtureRequest) -> Iterator[servers.DatabaseServer]:
    """A PostgreSQL 15 with auto_explain and pg_stat_statements loaded and hypopg at hand.

    Extensions are created per database; each test file makes a database of its own.
    """
    session = request.config.stash[_SESSION]
    executable = session.require("hypopg").executable
    with servers.postgresql_server(executable, _HYPOPG_SETTINGS) as server:
        session.running["hypopg_server"] = server
        yield server


@pytest.fixture(scope="session")
def mariadb_server(request: pytest.FixtureRequest) -> Iterator[servers.DatabaseServer]:
    """A MariaDB server of this session; each test file makes a database of its own."""
    session = request.config.stash[_SESSION]
    with servers.mariadb_server(session.require("mariadb").executable) as server:
        session.running["mariadb_server"] = server
        yield server
