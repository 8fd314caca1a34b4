"""The pytest plugin of `check_upstream.py`: our classes for the SDK's, and each test's outcome as data."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

_importlib_reload: Final = importlib.reload
_outcomes: Final[dict[str, str]] = {}  # pytest gives the report hook no config to keep them in


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register `--ours` and `--outcomes`."""
    parser.addoption("--ours", action="store_true", help="put tickspan's classes in place of the SDK's")
    parser.addoption("--outcomes", type=Path, help="write {test: outcome} as JSON to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Substitute before anything is collected: test modules bind the classes when they are imported."""
    if config.getoption("--ours"):
        substitute()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Which classes are under test."""
    return [f"providers: {'tickspan' if config.getoption('--ours') else 'opentelemetry-sdk'}"]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the worst of set-up, call and tear-down. A subtest's failure is its test's."""
    if report.when == "call" or report.outcome != "passed":
        worst = _outcomes.get(report.nodeid) == "failed"
        _outcomes[report.nodeid] = "failed" if worst else report.outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes."""
    if session.config.getoption("--ours"):
        _require_ours()
    path: Path | None = session.config.getoption("--outcomes")
    if path is not None:
        path.write_text(json.dumps(_outcomes))


def substitute() -> None:
    """Replace the SDK's provider and span classes in every module that names them.

    Tracers need no replacement: they come from the provider.
    """
    from opentelemetry.sdk import _logs, metrics, trace

    from tickspan import providers

    pairs: Sequence[tuple[Any, Any]] = (
        (trace.TracerProvider, providers.TracerProvider),
        (trace._Span, providers.Span),  # noqa: SLF001 - the name by which the tests make spans
        (metrics.MeterProvider, providers.MeterProvider),
        (_logs.LoggerProvider, providers.LoggerProvider),
    )
    importlib.reload = _reload
    for name, module in list(sys.modules.items()):
        if name.startswith("opentelemetry."):
            _replace_in(module, pairs)
    _require_ours()


def _require_ours() -> None:
    """Raise `RuntimeError` when a provider is not ours: a run must not pass on stock classes."""
    from opentelemetry.sdk import trace

    from tickspan.providers import Span

    span = trace.TracerProvider(shutdown_on_exit=False).get_tracer("check").start_span("check")
    if type(span) is not Span:
        raise RuntimeError(f"expected spans of {Span}, got {type(span)}: the SDK's classes came back")


def _reload(module: ModuleType) -> ModuleType:
    """In place of `importlib.reload`: some tests reload the SDK, which would bring its own classes back.

    They do so that the environment is read again; the SDK now reads it when a provider is made.
    """
    return module if module.__name__.startswith("opentelemetry.") else _importlib_reload(module)


def _replace_in(module: object, pairs: Sequence[tuple[Any, Any]]) -> None:
    for key, value in list(vars(module).items()):
        for stock, ours in pairs:
            if value is stock:
                setattr(module, key, ours)
