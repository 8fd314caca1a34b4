"""The window: what was given in the last while, in at most 60 slots.

A window of `w` seconds has slots of `w / 60`. It holds what was given in `(since, now]`. A slot belongs to
it as long as the last reading in it does, so a window is too long by at most one slot, and exact where each
slot has one reading. What left a window is forgotten when something new comes, so that its size is bounded
without being read.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tickspan.analysis.rules.histograms import Histogram
from tickspan.analysis.rules.model import StatName

__all__ = ["HISTORY_VALUES", "SLOTS", "HistogramWindow", "History", "LevelWindow", "NumberWindow"]

SLOTS: Final = 60
HISTORY_VALUES: Final = 1440
"""Of a history: one a minute for a day."""


class NumberWindow:
    """Numbers that are added up: increments of counters, occurrences."""

    __slots__ = ("_amounts", "_last_index", "_times", "slot_s", "window_s")

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self.slot_s = window_s / SLOTS
        self._last_index = 0
        self._times: deque[float] = deque()
        self._amounts: deque[float] = deque()

    def __repr__(self) -> str:
        return f"<NumberWindow {self.window_s:g} s, {len(self._times)} slots>"

    def add(self, amount: float, at_s: float, started_s: float = math.inf) -> bool:
        """Adds what came between two readings, the later of them at `at_s`, the earlier at `started_s`.

        What came in a longer time than the window and a slot is not known to be of the window, and left out.
        Returns whether it was added.
        """
        if started_s < at_s - self.window_s - self.slot_s:
            return False
        index = int(at_s // self.slot_s)
        if self._times and self._last_index >= index:
            self._times[-1] = max(self._times[-1], at_s)
            self._amounts[-1] += amount
        else:
            self._forget(at_s - self.window_s)
            self._times.append(at_s)
            self._amounts.append(amount)
            self._last_index = index
        return True

    def covers(self, at_s: float, started_s: float) -> bool:
        """Whether what came between two times is known to be of the window."""
        return started_s >= at_s - self.window_s - self.slot_s

    def total(self, since_s: float) -> float:
        """What came after `since_s`."""
        self._forget(since_s)
        return sum(self._amounts)

    def points(self, since_s: float) -> list[tuple[float, float]]:
        """Time and amount of each slot after `since_s`."""
        self._forget(since_s)
        return list(zip(self._times, self._amounts, strict=True))

    @property
    def oldest_s(self) -> float:
        """When the first of what is in the window came; infinity when nothing is."""
        return self._times[0] if self._times else math.inf

    def _forget(self, since_s: float) -> None:
        times = self._times
        while times and times[0] <= since_s:
            times.popleft()
            self._amounts.popleft()

    def to_json(self, now_s: float) -> list[Any]:
        """For `restore`: age and amount of each slot."""
        return [[now_s - at_s, amount] for at_s, amount in zip(self._times, self._amounts, strict=True)]

    def restore(self, kept: Iterable[Sequence[Any]], now_s: float) -> None:
        """Adds what `to_json` wrote, as if it had been written at `now_s`."""
        for age_s, amount in kept:
            self.add(amount, now_s - age_s)


class HistogramWindow:
    """Measurements that are added up. The sum over the slots is kept, so that time costs only what leaves."""

    __slots__ = ("_amounts", "_last_index", "_times", "_total", "slot_s", "window_s")

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self.slot_s = window_s / SLOTS
        self._last_index = 0
        self._times: deque[float] = deque()
        self._amounts: deque[Histogram] = deque()
        self._total = Histogram()

    def __repr__(self) -> str:
        return f"<HistogramWindow {self.window_s:g} s, {len(self._times)} slots, {self._total!r}>"

    def add(self, amount: Histogram, at_s: float, started_s: float = math.inf) -> bool:
        """As `NumberWindow.add`. The amount is the window's from now on."""
        if started_s < at_s - self.window_s - self.slot_s:
            return False
        index = int(at_s // self.slot_s)
        if self._times and self._last_index >= index:
            self._times[-1] = max(self._times[-1], at_s)
            self._amounts[-1].add(amount)
        else:
            self._forget(at_s - self.window_s)
            self._times.append(at_s)
            self._amounts.append(amount)
            self._last_index = index
        self._total.add(amount)
        return True

    def covers(self, at_s: float, started_s: float) -> bool:
        """Whether what was measured between two times is known to be of the window."""
        return started_s >= at_s - self.window_s - self.slot_s

    def total(self, since_s: float) -> Histogram:
        """What was measured after `since_s`. It is the window's: look at it, keep nothing of it."""
        self._forget(since_s)
        return self._total

    def points(self, since_s: float) -> list[tuple[float, Histogram]]:
        """Time and measurements of each slot after `since_s`; they are the window's too."""
        self._forget(since_s)
        return list(zip(self._times, self._amounts, strict=True))

    @property
    def oldest_s(self) -> float:
        """When the first of what is in the window was measured; infinity when nothing is."""
        return self._times[0] if self._times else math.inf

    def _forget(self, since_s: float) -> None:
        times = self._times
        while times and times[0] <= since_s:
            times.popleft()
            gone = self._amounts.popleft()
            if times:
                self._total.subtract(gone)
            else:
                self._total = Histogram()

    def to_json(self, now_s: float) -> list[Any]:
        """For `restore`: age and measurements of each slot."""
        pairs = zip(self._times, self._amounts, strict=True)
        return [[now_s - at_s, amount.to_json()] for at_s, amount in pairs]

    def restore(self, kept: Iterable[Sequence[Any]], now_s: float) -> None:
        """Adds what `to_json` wrote, as if it had been written at `now_s`."""
        for age_s, amount in kept:
            self.add(Histogram.from_json(amount), now_s - age_s)


class LevelWindow:
    """Values of one gauge. One slot is enough where only the last value is asked for."""

    __slots__ = (
        "_counts",
        "_highs",
        "_last_index",
        "_lasts",
        "_lows",
        "_sums",
        "_times",
        "slot_s",
        "window_s",
    )

    def __init__(self, window_s: float, slots: int = SLOTS) -> None:
        self.window_s = window_s
        self.slot_s = window_s / slots
        self._last_index = 0
        self._times: deque[float] = deque()
        self._counts: deque[int] = deque()
        self._sums: deque[float] = deque()
        self._lows: deque[float] = deque()
        self._highs: deque[float] = deque()
        self._lasts: deque[float] = deque()

    def __repr__(self) -> str:
        return f"<LevelWindow {self.window_s:g} s, {len(self._times)} slots>"

    def add(self, value: float, at_s: float) -> None:
        """Adds a value."""
        index = int(at_s // self.slot_s)
        if self._times and self._last_index >= index:
            self._times[-1] = at_s
            self._counts[-1] += 1
            self._sums[-1] += value
            self._lows[-1] = min(self._lows[-1], value)
            self._highs[-1] = max(self._highs[-1], value)
            self._lasts[-1] = value
        else:
            self._forget(at_s - self.window_s)
            self._append(at_s, 1, value, value, value, value)

    def reduced(self, stat: StatName, since_s: float) -> float | None:
        """`last`, `avg`, `min` or `max` of the values after `since_s`; None when there is none."""
        self._forget(since_s)
        if not self._times:
            return None
        match stat:
            case StatName.LAST:
                return self._lasts[-1]
            case StatName.AVG:
                return math.fsum(self._sums) / sum(self._counts)
            case StatName.MIN:
                return min(self._lows)
            case _:
                return max(self._highs)

    def count(self, since_s: float) -> int:
        """How many values came after `since_s`."""
        self._forget(since_s)
        return sum(self._counts)

    def points(self, stat: StatName, since_s: float) -> list[tuple[float, float]]:
        """Time and statistic of each slot after `since_s`."""
        self._forget(since_s)
        match stat:
            case StatName.LAST:
                values: Iterable[float] = self._lasts
            case StatName.AVG:
                values = (total / count for total, count in zip(self._sums, self._counts, strict=True))
            case StatName.MIN:
                values = self._lows
            case _:
                values = self._highs
        return list(zip(self._times, values, strict=True))

    @property
    def oldest_s(self) -> float:
        """When the first of the values came; infinity when there is none."""
        return self._times[0] if self._times else math.inf

    @property
    def _columns(self) -> tuple[deque[float] | deque[int], ...]:
        return self._times, self._counts, self._sums, self._lows, self._highs, self._lasts

    def _append(self, at_s: float, count: int, total: float, low: float, high: float, last: float) -> None:
        self._last_index = int(at_s // self.slot_s)
        self._times.append(at_s)
        self._counts.append(count)
        self._sums.append(total)
        self._lows.append(low)
        self._highs.append(high)
        self._lasts.append(last)

    def _forget(self, since_s: float) -> None:
        while self._times and self._times[0] <= since_s:
            for column in self._columns:
                column.popleft()

    def to_json(self, now_s: float) -> list[Any]:
        """For `restore`: age, count, sum, least, greatest and last of each slot."""
        return [[now_s - at_s, *others] for at_s, *others in zip(*self._columns, strict=True)]

    def restore(self, kept: Iterable[Sequence[Any]], now_s: float) -> None:
        """Adds what `to_json` wrote, as if it had been written at `now_s`."""
        for age_s, count, total, low, high, last in kept:
            self._append(now_s - age_s, count, total, low, high, last)


class History:
    """One value now and then, for as long as a baseline needs: the last 1,440, for a moment twice as many.

    Times are wall clock, since they outlive processes.
    """

    __slots__ = ("_times", "_values", "apart_s", "reach_s")

    def __init__(self, reach_s: float) -> None:
        self.reach_s = reach_s
        self.apart_s = reach_s / HISTORY_VALUES
        self._times = array("d")
        self._values = array("d")

    def __repr__(self) -> str:
        return f"<History {self.reach_s:g} s, {len(self._times)} values>"

    def add(self, value: float, wall_s: float) -> None:
        """Keeps a value, unless the last one is too near. While a clock is set back, nothing is kept."""
        if self._times and wall_s < self._times[-1] + self.apart_s:
            return
        self._times.append(wall_s)
        self._values.append(value)
        if len(self._times) > 2 * HISTORY_VALUES:
            first = bisect_right(self._times, wall_s - self.reach_s - 2 * self.apart_s)
            first = max(first, len(self._times) - HISTORY_VALUES)
            del self._times[:first]
            del self._values[:first]

    def at(self, wall_s: float, within_s: float) -> float | None:
        """The last value at or before a time, not older than `within_s` before it."""
        number = bisect_right(self._times, wall_s) - 1
        if number < 0 or wall_s - self._times[number] > within_s:
            return None
        return self._values[number]

    def to_json(self) -> list[Any]:
        """For `restore`: time and value."""
        return [list(pair) for pair in zip(self._times, self._values, strict=True)]

    def restore(self, kept: Iterable[Sequence[float]]) -> None:
        """Adds what `to_json` wrote."""
        for wall_s, value in kept:
            self.add(value, wall_s)
