"""Debts: what a tier was to be told behind the callers, and has not been, for want of room.

A debt is paid before the tier is used again, so that nothing is read there which was made void here. Whatever
was to be written becomes an invalidation: a lost value costs a load, an old one a wrong price.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final

from tickspan.cache.entry import EpochCell
from tickspan.cache.tiers import AnyRequest, Bump, Bury, Erase
from tickspan.instrumentation.forks import renew_after_fork

__all__ = ["Debts"]

_NAMES_MAX: Final = 10_000
"""With more, the whole region becomes void."""
_PREFIXES_MAX: Final = 100
"""The same."""
_BATCH: Final = 500


class _Owed:
    """One debt, itself and no other."""

    __slots__ = ("version",)

    def __init__(self, version: int | None = None) -> None:
        self.version = version


class Debts:
    """Of one region towards one tier.

    Args:
        whole: the cell of the region, whose number voids all values.
        tombstone: makes one, and tells its lifetime in milliseconds.
        now_ms: the time of day.
    """

    def __init__(
        self,
        whole: EpochCell,
        tombstone: Callable[[int | None], tuple[bytes, int]],
        now_ms: Callable[[], int],
    ) -> None:
        self._whole = whole
        self._tombstone = tombstone
        self._now_ms = now_ms
        self._lock = threading.RLock()
        self._names: dict[str, _Owed] = {}
        self._cells: dict[str, EpochCell] = {}
        self._prefixes: dict[str, _Owed] = {}
        renew_after_fork(self)

    def __repr__(self) -> str:
        return (
            f"<Debts of {len(self._names)} values, {len(self._cells)} tags, {len(self._prefixes)} prefixes>"
        )

    def __bool__(self) -> bool:
        return bool(self._names or self._cells or self._prefixes)

    def owe(self, name: str, version: int | None = None) -> None:
        """The value of a name is void there."""
        with self._lock:
            if len(self._names) >= _NAMES_MAX and name not in self._names:
                self._owe_whole()
            if self._whole.name not in self._cells:
                self._names[name] = _Owed(version)

    def owe_prefix(self, prefix: str) -> None:
        """All values are void there whose names begin so."""
        with self._lock:
            if len(self._prefixes) >= _PREFIXES_MAX:
                self._owe_whole()
            if self._whole.name not in self._cells:
                self._prefixes[prefix] = _Owed()

    def requests(self) -> Iterator[tuple[AnyRequest, Callable[[], None]]]:
        """What has to be asked of the tier, each with what to call once it is done."""
        with self._lock:
            names, cells = list(self._names.items()), dict(self._cells)
            prefixes = dict(self._prefixes)
        for start in range(0, len(names), _BATCH):
            batch = dict(names[start : start + _BATCH])
            tombs = [self._tombstone(owed.version) for owed in batch.values()]
            bury = Bury(tuple(batch), tuple(raw for raw, _ in tombs), max(ttl for _, ttl in tombs))
            yield bury, lambda batch=batch: self._paid(self._names, batch)
        for name, cell in cells.items():
            number = max(self._now_ms(), cell.remote)
            yield Bump((name,), number), lambda name=name, cell=cell: self._paid_epoch(name, cell)
        for prefix, owed in prefixes.items():
            yield Erase(prefix), lambda one={prefix: owed}: self._paid(self._prefixes, one)

    def after_fork_in_child(self) -> None:
        """The parent pays its own."""
        self._lock = threading.RLock()
        self._names = {}
        self._cells = {}
        self._prefixes = {}

    def _owe_whole(self) -> None:
        self._names.clear()
        self._prefixes.clear()
        self._cells[self._whole.name] = self._whole

    def _paid(self, debts: dict[str, _Owed], paid: dict[str, _Owed]) -> None:
        """Those that were made anew meanwhile stay."""
        with self._lock:
            for name, owed in paid.items():
                if debts.get(name) is owed:
                    del debts[name]

    def _paid_epoch(self, name: str, cell: EpochCell) -> None:
        with self._lock:
            if self._cells.get(name) is cell:
                del self._cells[name]
