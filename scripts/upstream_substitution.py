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
    parser.addoption(
        "--forced",
        action="store_true",
        help="with --ours: record as with a sink, also where a test gives none",
    )
    parser.addoption("--outcomes", type=Path, help="write {test: outcome} as JSON to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Substitute before anything is collected: test modules bind the classes when they are imported."""
    if config.getoption("--ours"):
        substitute(is_forced=bool(config.getoption("--forced")))


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


class Nowhere:
    """A sink that keeps nothing."""

    def stream(self, key: Any) -> Nowhere:
        """Where records go: here."""
        del key
        return self

    def append(self, record: bytes, items: int = 1) -> None:
        """Forget it."""

    def drop(self, signal: str, reason: str, items: int = 1) -> None:
        """Forget it."""

    def force_flush(self, timeout_s: float) -> bool:
        """Nothing waits."""
        del timeout_s
        return True


def forced(provider: type[Any]) -> type[Any]:
    """A provider that has a sink whatever it is given."""

    class Forced(provider):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{"sink": Nowhere(), **kwargs})

    Forced.__name__ = Forced.__qualname__ = provider.__name__
    return Forced


def _as_it_is(provider: type[Any]) -> type[Any]:
    return provider


def substitute(*, is_forced: bool) -> None:
    """Replace the SDK's provider and span classes in every module that names them.

    Tracers need no replacement: they come from the provider.
    """
    take = forced if is_forced else _as_it_is
    from opentelemetry.sdk import _logs, metrics, trace

    from tickspan import providers

    pairs: Sequence[tuple[Any, Any]] = (
        (trace.TracerProvider, take(providers.TracerProvider)),
        (trace._Span, providers.Span),  # noqa: SLF001 - the name by which the tests make spans
        (metrics.MeterProvider, take(providers.MeterProvider)),
        (_logs.LoggerProvider, take(providers.LoggerProvider)),
    )
    importlib.reload = _reload
    for name, module in list(sys.modules.items()):
        if name.startswith("opentelemetry."):
            _replace_in(module, pairs)
    _require_ours()


def _require_ours() -> None:
    """Raise `RuntimeError` when a provider is not ours: a run must not pass on stock classes."""
    from opentelemetry.sdk import trace

    from tickspan.providers import RecordedSpan, Span

    span = trace.TracerProvider(shutdown_on_exit=False).get_tracer("check").start_span("check")
    if type(span) not in (Span, RecordedSpan):
        raise RuntimeError(f"expected spans of ours, got {type(span)}: the SDK's classes came back")


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
