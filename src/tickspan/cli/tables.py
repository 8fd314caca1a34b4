"""Findings about the tables of instrumentors: whether they fit the libraries that are installed here.

The tables are applied for that, to the real libraries, in the process of `tickspan doctor`. What the program
itself does to a library shows only if its modules are imported too.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final

from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider
from packaging.requirements import Requirement
from packaging.version import Version

from tickspan.cli.finding import Finding
from tickspan.instrumentation import Instrumentor, InstrumentorReport, Meddler, Meddling, RowState, redact
from tickspan.recording import diagnostics, strict

_HOW: Final = {
    Meddling.BEFORE: "was replaced by {by} before us: we tell calls of that",
    Meddling.AFTER: "is replaced by {by}: calls are told only if they come through to the library's own",
    Meddling.OVERRIDDEN: "is overridden by {by}: its calls are told only where it calls the library's own",
}


def table_findings(entries: Iterable[EntryPoint], modules: Sequence[str]) -> Iterable[Finding]:
    """Apply the tables of our instrumentors among `entries`, import `modules`, and tell what came of it."""
    with _faults_as_findings():
        loaded = [(entry.name, instrumentor) for entry in entries if (instrumentor := _loaded(entry))]
        for _, instrumentor in loaded:
            _switch_on(instrumentor)
        problems = [problem for module in modules if (problem := _imported("program", module))]
        for name, instrumentor in loaded:
            problems += _library_imported(f"table {name}", instrumentor)
        reports = [(name, instrumentor, instrumentor.report()) for name, instrumentor in loaded]
        for _, instrumentor in loaded:
            instrumentor.uninstrument()
    yield from problems
    for name, instrumentor, report in reports:
        yield from _of_versions(f"table {name}", instrumentor.tested)
        yield from of_report(f"table {name}", report)


def of_report(subject: str, report: InstrumentorReport) -> Iterable[Finding]:
    """What a report says, worst first."""
    failed, absent = report.of_state(RowState.FAILED), report.of_state(RowState.ABSENT)
    applied = report.of_state(RowState.APPLIED)
    for row in failed:
        yield Finding(subject, is_well=False, detail=f"{row}: {row.detail}")
    if applied:
        fit = f"{len(applied)} of {len(applied) + len(failed)} rows fit what is installed"
        yield Finding(subject, None if failed else True, fit)
    if absent:
        missing = ", ".join(str(row) for row in absent)
        yield Finding(subject, None, f"{len(absent)} optional rows found nothing: {missing}")
    for meddler in report.meddlers:
        yield Finding(subject, None, _sentence(meddler))


def _sentence(meddler: Meddler) -> str:
    return f"{meddler.place} {_HOW[meddler.how].format(by=meddler.by)}"


def _loaded(entry: EntryPoint) -> Instrumentor | None:
    """The instrumentor, if it is one of ours; what fails is told by another finding."""
    try:
        made = entry.load()()
    except Exception:  # noqa: BLE001 - whatever a foreign instrumentor raises
        return None
    return made if isinstance(made, Instrumentor) else None


def _switch_on(instrumentor: Instrumentor) -> None:
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(
            tracer_provider=NoOpTracerProvider(),
            meter_provider=NoOpMeterProvider(),
            logger_provider=NoOpLoggerProvider(),
        )


def _library_imported(subject: str, instrumentor: Instrumentor) -> list[Finding]:
    """Import what the rows wait for, where the library is installed."""
    waiting = dict.fromkeys(row.module for row in instrumentor.report().of_state(RowState.WAITING))
    installed = [module for module in waiting if find_spec(module.partition(".")[0]) is not None]
    return [problem for module in installed if (problem := _imported(subject, module)) is not None]


def _imported(subject: str, module: str) -> Finding | None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an import runs whatever it likes
        told = redact.text(str(error))
        return Finding(
            subject, is_well=False, detail=f"{module} cannot be imported: {type(error).__name__}: {told}"
        )
    return None


def _of_versions(subject: str, tested: Sequence[str]) -> Iterable[Finding]:
    for text in tested:
        known = Requirement(text)
        try:
            installed = Version(version(known.name))
        except PackageNotFoundError:
            continue
        if not known.specifier.contains(installed, prereleases=True):
            is_newer = all(installed > Version(bound.version) for bound in known.specifier)
            how = "newer than all" if is_newer else "none of the"
            detail = f"{known.name} {installed} is {how} versions that the table is tested with ({text})"
            yield Finding(subject, None, detail)


@contextmanager
def _faults_as_findings() -> Generator[None]:
    """A row that does not fit neither raises nor warns: the findings say it."""
    before = diagnostics.level
    diagnostics.setLevel(logging.CRITICAL)
    try:
        with strict(value=False):
            yield
    finally:
        diagnostics.setLevel(before)
