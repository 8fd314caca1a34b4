"""`tickspan doctor` on tables: whether they fit what is installed, and what the program does to it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tickspan.cli.doctor import DoctorCommand
from tickspan.cli.examination import Finding, running_instrumentors
from tickspan.cli.main import build_parser
from tickspan.cli.tables import table_findings
from tickspan.config import read_settings
from tickspan.instrumentation import Instrumentor, Wrap
from tickspan.recording import diagnostics

LIBRARY = """
class Client:
    def place(self):
        return "library"
"""
BOT = """
import lib_examined

class Careful(lib_examined.Client):
    def place(self):
        return "bot"

def quick(self):
    return "bot"

lib_examined.Client.place = quick
"""


def same(original: Any, bench: object) -> Any:
    """A wrapper that changes nothing."""
    del bench

    def call(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    return call


class Fitting(Instrumentor):
    scope = "tickspan_examined"
    version = "1"
    dependencies = ()
    tested = ("pytest >= 0.9, < 1", "pytest > 99", "of-nobody > 5")
    rows = (
        Wrap("lib_examined", "Client.place", same),
        Wrap("lib_examined", "Client.newer", same, optional=True),
        Wrap("of_nobody", "anything", same),
    )


class Outdated(Instrumentor):
    scope = "tickspan_outdated"
    version = "1"
    dependencies = ()
    rows = (
        Wrap("lib_examined", "Client.place", same),
        Wrap("lib_examined", "Client.renamed", same),
        Wrap("lib_examined.gone", "anything", same),
    )


@dataclass(frozen=True)
class _EntryPoint:
    """Stands for `importlib.metadata.EntryPoint`."""

    name: str
    make: Callable[[], Any]

    def load(self) -> Callable[[], Any]:
        return self.make


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """A library and a program on the path; forgotten afterwards."""
    (tmp_path / "lib_examined").mkdir()
    (tmp_path / "lib_examined/__init__.py").write_text(LIBRARY)
    (tmp_path / "bot_examined.py").write_text(textwrap.dedent(BOT))
    (tmp_path / "bot_broken.py").write_text("raise SystemExit('api_key=4711')")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("lib_examined", "bot_examined", "bot_broken"):
        sys.modules.pop(name, None)


def found(make: Callable[[], Any], *modules: str) -> list[Finding]:
    entries: list[Any] = [_EntryPoint("lib", make)]
    return list(table_findings(entries, modules))


def test_a_table_that_fits_is_well_and_says_what_is_particular() -> None:
    ours, tested = f"pytest {pytest.__version__} is", "versions that the table is tested with"
    assert found(Fitting) == [
        Finding("table lib", None, f"{ours} newer than all {tested} (pytest >= 0.9, < 1)"),
        Finding("table lib", None, f"{ours} none of the {tested} (pytest > 99)"),
        Finding("table lib", is_well=True, detail="1 of 1 rows fit what is installed"),
        Finding("table lib", None, "1 optional rows found nothing: lib_examined:Client.newer"),
    ]


def test_rows_that_find_nothing_and_modules_that_are_gone_are_ill() -> None:
    reason = "lib_examined has no Client.renamed: is this version of the library supported?"
    gone = "lib_examined.gone cannot be imported: ModuleNotFoundError: No module named 'lib_examined.gone'"
    assert found(Outdated) == [
        Finding("table lib", is_well=False, detail=gone),
        Finding("table lib", is_well=False, detail=f"lib_examined:Client.renamed: {reason}"),
        Finding("table lib", None, "1 of 2 rows fit what is installed"),
    ]
    assert diagnostics.level != 50


def test_what_the_program_does_to_a_library_is_told_when_its_module_is_named() -> None:
    details = [finding.detail for finding in found(Outdated, "bot_examined")][3:]
    through = "calls are told only if they come through to the library's own"
    inside = "its calls are told only where it calls the library's own"
    assert details == [
        f"lib_examined:Client.place is replaced by bot_examined.quick: {through}",
        f"lib_examined:Client.place is overridden by bot_examined.Careful: {inside}",
    ]


def test_a_program_that_does_not_let_itself_be_imported_is_told_without_its_secrets() -> None:
    (finding, *_) = found(Fitting, "bot_broken")
    assert finding.detail == "bot_broken cannot be imported: SystemExit: api_key=[redacted]"
    assert (finding.subject, finding.is_well) == ("program", False)


def test_everything_is_taken_back() -> None:
    found(Fitting)
    assert sys.modules["lib_examined"].Client().place.__qualname__ == "Client.place"
    assert not Fitting().is_instrumented_by_opentelemetry


def test_instrumentors_of_others_and_broken_ones_have_no_table() -> None:
    def broken() -> Any:
        raise ZeroDivisionError

    assert found(broken) == []
    assert found(object) == []


def test_the_tables_of_those_that_would_run_are_looked_at(tmp_path: Path) -> None:
    environ = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "tickspan_ccxt"}
    entries = running_instrumentors(read_settings(environ={}, directory=tmp_path), environ)
    names = {entry.name for entry in entries}
    assert "tickspan_redis" in names
    assert not {"redis", "tickspan_ccxt"} & names


def test_modules_are_named_on_the_command_line() -> None:
    options = build_parser().parse_args(["doctor", "--import", "a", "--import", "b"])
    assert options.modules == ["a", "b"]
    assert options.run.__self__.__class__ is DoctorCommand
