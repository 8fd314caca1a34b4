"""Instruments that are asked at collection: what is counted in slots costs nothing until somebody looks.

OpenTelemetry keeps one value per attribute set and collection, and an instrument for each time it is made. So
there is one set of instruments per meter, whoever comes and goes, and equal attribute sets are put together.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from tickspan.trading.model import AttributeValue

Series = tuple[tuple[str, AttributeValue], ...]
"""An attribute set that can be a key."""
Readings = Iterable[tuple[Series, float]]


class Together(Enum):
    """What several readings under one attribute set become."""

    SUM = "sum"
    MOST = "most"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Observed:
    """One instrument: its name, and which reading of its sources it tells."""

    name: str
    unit: str
    description: str
    is_counter: bool = False
    together: Together = Together.SUM


class Readable(Protocol):
    """Whoever has something to tell at collection. Asked from the collecting thread."""

    def readings(self, name: str) -> Readings:
        """What the metric `name` is now."""
        ...


_boards: Final[weakref.WeakKeyDictionary[Meter, _Board]] = weakref.WeakKeyDictionary()
_making: Final = threading.Lock()


def observe(meter: Meter, table: Sequence[Observed], source: Readable) -> None:
    """Ask `source` for the metrics of `table` from now on, as long as it lives."""
    with _making:
        board = _boards.get(meter)
        if board is None:
            board = _boards[meter] = _Board()
    board.add(meter, table, source)


class _Board:
    """The instruments of one meter."""

    def __init__(self) -> None:
        self._sources: dict[str, weakref.WeakSet[Any]] = {}

    def add(self, meter: Meter, table: Sequence[Observed], source: Readable) -> None:
        for row in table:
            known = self._sources.get(row.name)
            if known is None:
                known = self._sources[row.name] = weakref.WeakSet[Any]()
                _make(meter, row, known)
            known.add(source)


def _make(meter: Meter, row: Observed, sources: weakref.WeakSet[Any]) -> None:
    create = meter.create_observable_counter if row.is_counter else meter.create_observable_gauge
    create(row.name, [_asking(row, sources)], row.unit, row.description)


def _asking(
    row: Observed, sources: weakref.WeakSet[Any]
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def ask(_options: CallbackOptions) -> Iterable[Observation]:
        readings = [reading for source in tuple(sources) for reading in source.readings(row.name)]
        return [Observation(value, dict(series)) for series, value in put_together(row, readings).items()]

    return ask


def put_together(row: Observed, readings: Readings) -> Mapping[Series, float]:
    """One value per attribute set."""
    told: dict[Series, float] = {}
    for series, value in readings:
        before = told.get(series)
        if before is None or row.together is Together.LAST:
            told[series] = value
        elif row.together is Together.SUM:
            told[series] = before + value
        else:
            told[series] = max(before, value)
    return told
