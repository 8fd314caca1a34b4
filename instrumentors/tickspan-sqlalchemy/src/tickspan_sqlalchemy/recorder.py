"""What the rows share while the instrumentor is on: which engines are told, and as which databases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from tickspan.instrumentation import Workbench, is_suppressed
from tickspan.instrumentation.db import DatabaseOperations, Teller
from tickspan.instrumentation.pooling import PoolBook

from tickspan_sqlalchemy.connections import ConnectionState
from tickspan_sqlalchemy.databases import database_of

__all__ = ["Recorder"]


class Recorder:
    """One per `Workbench`. An engine is known by its dialect, which its `execution_options` copies share."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.teller = Teller(bench)
        self.pools = PoolBook.of(bench)
        self._operations: WeakKeyDictionary[Any, DatabaseOperations] = WeakKeyDictionary()
        self.selected: WeakSet[Any] | None = None

    def __repr__(self) -> str:
        engines = "all engines" if self.selected is None else f"{len(self.selected)} engines"
        return f"<Recorder {engines}, {len(self._operations)} seen>"

    @staticmethod
    def of(bench: Workbench) -> Recorder:
        """The recorder of a workbench, made once."""
        found = _recorders.get(bench)
        return _recorders.setdefault(bench, Recorder(bench)) if found is None else found

    def select(self, engines: Iterable[Any]) -> None:
        """Tell these engines, sync or async, and from now on no others."""
        if self.selected is None:
            self.selected = WeakSet()
        for engine in engines:
            self.selected.add(getattr(engine, "sync_engine", engine).dialect)

    def covers(self, dialect: Any) -> bool:
        """Whether this dialect's engine is among those that are told."""
        return self.selected is None or dialect in self.selected

    def tells(self, dialect: Any) -> bool:
        """Whether statements of this dialect's engine are recorded now."""
        return self.bench.is_active and self.covers(dialect) and not is_suppressed()

    def operations(self, state: ConnectionState, engine: Any, cursor: Any = None) -> DatabaseOperations:
        """How the database of a connection is told; asked for the first time with a cursor of it."""
        if state.recorder is self and state.operations is not None:
            return state.operations
        known = self._operations.get(engine.dialect)
        if known is None:
            known = self._operations[engine.dialect] = DatabaseOperations(database_of(engine, cursor))
        state.recorder, state.operations = self, known
        return known


_recorders: Final[WeakKeyDictionary[Workbench, Recorder]] = WeakKeyDictionary()
