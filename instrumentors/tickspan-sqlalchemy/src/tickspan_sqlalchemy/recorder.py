"""What the rows share while the instrumentor is on: which engines are told, and as which databases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from tickspan.instrumentation import Workbench, is_suppressed
from tickspan.instrumentation.db import DatabaseOperations

from tickspan_sqlalchemy.databases import database_of

__all__ = ["Recorder"]


class Recorder:
    """One per `Workbench`. An engine is known by its dialect, which its `execution_options` copies share."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self._operations: WeakKeyDictionary[Any, DatabaseOperations] = WeakKeyDictionary()
        self._selected: WeakSet[Any] | None = None

    def __repr__(self) -> str:
        engines = "all engines" if self._selected is None else f"{len(self._selected)} engines"
        return f"<Recorder {engines}, {len(self._operations)} seen>"

    @staticmethod
    def of(bench: Workbench) -> Recorder:
        """The recorder of a workbench, made once."""
        found = _recorders.get(bench)
        return _recorders.setdefault(bench, Recorder(bench)) if found is None else found

    def select(self, engines: Iterable[Any]) -> None:
        """Tell these engines, sync or async, and from now on no others."""
        if self._selected is None:
            self._selected = WeakSet()
        for engine in engines:
            self._selected.add(getattr(engine, "sync_engine", engine).dialect)

    def tells(self, dialect: Any) -> bool:
        """Whether statements of this dialect's engine are recorded now."""
        if not self.bench.is_active or (self._selected is not None and dialect not in self._selected):
            return False
        return not is_suppressed()

    def operations(self, engine: Any, cursor: Any = None) -> DatabaseOperations:
        """How this engine's database is told; asked for the first time with a cursor of it."""
        known = self._operations.get(engine.dialect)
        if known is None:
            known = DatabaseOperations(database_of(engine, cursor))
            self._operations[engine.dialect] = known
        return known


_recorders: Final[WeakKeyDictionary[Workbench, Recorder]] = WeakKeyDictionary()
