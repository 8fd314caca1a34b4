"""Which pools one workbench measures. A pool may stand in several books; one of them measures it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from tickspan.instrumentation.pooling.probe import MeasuredPool, PoolProbe, ReadCounts, measured_pool
from tickspan.instrumentation.workbench import Workbench


class PoolBook:
    """One per `Workbench`. A pool is known by an attribute of its own: it is found sooner than a weak key."""

    def __init__(self, bench: Workbench, *, takes_all: bool) -> None:
        self.bench = bench
        self.takes_all = takes_all
        """Whether every pool is measured that is met, or only those that `watch` was called for."""
        self.probe = PoolProbe(bench.meter, bench.guard("pools"))
        self.note: Final = f"_tickspan_pool_{bench.name}"
        """The attribute of pools that are in this book."""
        bench.on_undo(self.probe.close)

    def __repr__(self) -> str:
        return f"<PoolBook {self.bench.name}, {self.probe!r}>"

    @staticmethod
    def of(bench: Workbench) -> PoolBook:
        """The book of a workbench, made once."""
        found = _books.get(bench)
        return _books.setdefault(bench, PoolBook(bench, takes_all=True)) if found is None else found

    @staticmethod
    def of_governed(bench: Workbench) -> PoolBook:
        """The same, of one that measures only what it is shown."""
        found = _books.get(bench)
        return _books.setdefault(bench, PoolBook(bench, takes_all=False)) if found is None else found

    def watch(self, pool: Any, name: str, read: ReadCounts) -> MeasuredPool:
        """Measure `pool`, unless another book does; that one's measures then, until it is closed."""
        measured = self.probe.watch(pool, name, read) or measured_pool(pool)
        assert measured is not None
        vars(pool)[self.note] = (self, measured, read)
        return measured

    def knows(self, pool: Any) -> bool:
        """Whether `watch` has been called for this pool."""
        note = vars(pool).get(self.note)
        return note is not None and note[0] is self

    def measured(self, pool: Any) -> MeasuredPool | None:
        """The measures of a pool; None for one that is not measured by this book."""
        note = vars(pool).get(self.note)
        if note is None or note[0] is not self:
            return None
        measured: MeasuredPool = note[1]
        probe = measured.probe
        if probe is self.probe:
            return measured if probe.is_active else None
        if probe.is_active or not self.bench.is_active:
            return None
        taken_over = self.watch(pool, measured.name, note[2])
        return taken_over if taken_over.probe is self.probe else None

    def governed(self, pool: Any) -> MeasuredPool | None:
        """The measures that another book takes of a pool of this one, if it has a governor."""
        note = vars(pool).get(self.note)
        if note is None or note[0] is not self or note[1].governor is None:
            return None
        return note[1] if note[1].is_measured else None


_books: Final[WeakKeyDictionary[Workbench, PoolBook]] = WeakKeyDictionary()

Heard = Callable[[Any, int | None], None]
"""`(connection, wait_ns)` of a connection that is handed out after so long; with None it is given back."""


class Hearers:
    """Who wants to hear how long each connection of a library was waited for, whoever measures it."""

    __slots__ = ("all",)

    def __init__(self) -> None:
        self.all: tuple[Heard, ...] = ()

    def __repr__(self) -> str:
        return f"<Hearers {len(self.all)}>"

    def add(self, bench: Workbench, heard: Heard) -> None:
        """Tell `heard` until the workbench is undone."""
        self.all = (*self.all, heard)
        bench.on_undo(lambda: self._remove(heard))

    def tell(self, connection: Any, wait_ns: int | None) -> None:
        """Tell all."""
        for heard in self.all:
            heard(connection, wait_ns)

    def _remove(self, heard: Heard) -> None:
        self.all = tuple(other for other in self.all if other is not heard)
