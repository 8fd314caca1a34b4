"""An instrumentor is a table of rows: applied as modules are imported, taken back exactly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any, ClassVar

from opentelemetry import _logs, metrics, trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from tickspan.instrumentation.faults import type_name
from tickspan.instrumentation.hooks import when_imported
from tickspan.instrumentation.patch import MissingTargetError, Row
from tickspan.instrumentation.report import InstrumentorReport, RowReport, RowState, meddlers
from tickspan.instrumentation.workbench import Workbench
from tickspan.recording import GuardStatistics


class Instrumentor(BaseInstrumentor):
    """Base of every member. A subclass names its scope, version, library and rows, and nothing else.

    `instrument(tracer_provider=None, meter_provider=None, logger_provider=None, settings=None)` registers
    post-import hooks: the library is never imported by us. `uninstrument()` puts the very same objects back.
    Settings are a value handed in by the distribution; a member reads no configuration.
    """

    scope: ClassVar[str]
    version: ClassVar[str]
    dependencies: ClassVar[tuple[str, ...]]
    tested: ClassVar[tuple[str, ...]] = ()
    """Requirements that the table is tested against: `tickspan doctor` tells of other versions."""
    rows: ClassVar[tuple[Row, ...]]

    _bench: Workbench | None = None
    _applied: tuple[_Applied, ...] = ()
    _cancel: tuple[Callable[[], None], ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._instance = None  # the base keeps one instance a class, and a subclass would inherit its parent's

    def instrumentation_dependencies(self) -> Collection[str]:
        """Requirement strings of the instrumented library."""
        return self.dependencies

    def statistics(self) -> tuple[GuardStatistics, ...]:
        """Faults of ours, by hook; all zero when well."""
        return () if self._bench is None else tuple(guard.statistics() for guard in self._bench.guards())

    def report(self) -> InstrumentorReport:
        """How the table fits what is installed, and who else has a hand on it; empty when switched off."""
        if self._bench is None or not self._bench.is_active:
            return InstrumentorReport(self.scope, (), ())
        rows = tuple(applied.report() for applied in self._applied)
        return InstrumentorReport(self.scope, rows, meddlers(self._bench.replacements()))

    def table(self, bench: Workbench) -> tuple[Row, ...]:
        """The rows to apply; a subclass whose rows share state builds them here."""
        del bench
        return self.rows

    def _instrument(self, **kwargs: Any) -> None:
        tracer = trace.get_tracer(self.scope, self.version, kwargs.get("tracer_provider"))
        meter = metrics.get_meter(self.scope, self.version, kwargs.get("meter_provider"))
        logger = _logs.get_logger(self.scope, self.version, kwargs.get("logger_provider"))
        settings: Mapping[str, Any] = kwargs.get("settings") or {}
        bench = self._bench = Workbench(self.scope, tracer, meter, logger, settings)
        self._applied = tuple(_Applied(row, bench) for row in self.table(bench))
        self._cancel = tuple(when_imported(applied.row.module, applied) for applied in self._applied)

    def _uninstrument(self, **kwargs: Any) -> None:
        del kwargs
        for cancel in self._cancel:
            cancel()
        if self._bench is not None:
            self._bench.undo()


class _Applied:
    """One row, and what became of it when its module was imported."""

    __slots__ = ("_bench", "_detail", "_guard", "_state", "_target", "row")

    def __init__(self, row: Row, bench: Workbench) -> None:
        self.row = row
        self._bench = bench
        self._target = str(getattr(row, "target", type(row).__name__))
        self._guard = bench.guard(f"{row.module}:{self._target}")
        self._state = RowState.WAITING
        self._detail: str | None = None

    def __call__(self, module: ModuleType) -> None:
        if self._bench.is_active:
            self._guard.own(self._apply, module, default=None)

    def report(self) -> RowReport:
        return RowReport(self.row.module, self._target, self._state, self._detail)

    def _apply(self, module: ModuleType) -> None:
        before = self._bench.changes
        self._state = RowState.FAILED
        try:
            self.row.apply(module, self._bench)
        except Exception as error:
            self._detail = str(error) if isinstance(error, MissingTargetError) else type_name(error)
            raise
        is_changed = self._bench.changes > before
        self._state = RowState.APPLIED if is_changed or not self._is_optional() else RowState.ABSENT

    def _is_optional(self) -> bool:
        return bool(getattr(self.row, "optional", False))
