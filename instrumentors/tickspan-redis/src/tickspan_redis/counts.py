"""A counter whose adding takes no lock: the garbage collector may close a connection amid anything."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from tickspan.instrumentation import AttributeValue
from tickspan.instrumentation.forks import renew_after_fork

Series = tuple[tuple[str, AttributeValue], ...]
"""Attributes as pairs, so that they can be looked up."""

_FOLD_AT: Final = 512
MOST_SERIES: Final = 1_000
"""Further ones are counted together, without attributes."""


class Count:
    """How often something has happened, by attributes; read when metrics are collected.

    Safe for any thread, for a finalizer, and after a fork, where it begins at zero.
    """

    def __init__(self, meter: Meter, name: str, unit: str, description: str) -> None:
        self.is_active = True
        self._name = name
        self._pending: deque[Series] = deque()
        self._totals: Counter[Series] = Counter()
        self._folding = threading.Lock()
        meter.create_observable_counter(name, [self._observe], unit, description)
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<Count {self._name} {self._totals.total() + len(self._pending)}>"

    def add(self, series: Series) -> None:
        """One more."""
        self._pending.append(series)
        if len(self._pending) >= _FOLD_AT and self._folding.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._folding.release()

    def close(self) -> None:
        """Tell nothing any more."""
        self.is_active = False

    def after_fork_in_child(self) -> None:
        """What a child counts is not its parent's, and its lock may be held by nobody."""
        self._folding = threading.Lock()
        self._pending = deque()
        self._totals = Counter()

    def _observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        if not self.is_active:
            return ()
        with self._folding:
            self._fold()
            return [Observation(count, dict(series)) for series, count in self._totals.items()]

    def _fold(self) -> None:
        for _ in range(len(self._pending)):
            series = self._pending.popleft()
            is_known = series in self._totals or len(self._totals) < MOST_SERIES
            self._totals[series if is_known else ()] += 1
