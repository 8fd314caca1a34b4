"""An instrumentor is a table of rows: applied as modules are imported, taken back exactly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any, ClassVar

from opentelemetry import _logs, metrics, trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from tickspan.instrumentation.hooks import when_imported
from tickspan.instrumentation.patch import Row
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
    rows: ClassVar[tuple[Row, ...]]

    _bench: Workbench | None = None
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
        self._cancel = tuple(when_imported(row.module, _applied(row, bench)) for row in self.table(bench))

    def _uninstrument(self, **kwargs: Any) -> None:
        del kwargs
        for cancel in self._cancel:
            cancel()
        if self._bench is not None:
            self._bench.undo()


def _applied(row: Row, bench: Workbench) -> Callable[[ModuleType], None]:
    guard = bench.guard(f"{row.module}:{getattr(row, 'target', type(row).__name__)}")

    def apply(module: ModuleType) -> None:
        if bench.is_active:
            guard.own(row.apply, module, bench, default=None)

    return apply
