"""Pauses of the garbage collector, as its callbacks see them.

A callback runs in whatever thread allocates, perhaps while that thread holds a lock: here it takes none,
makes no container, and calls nothing but the clocks. It writes numbers into places that are there.
Collections follow one another, so one start is remembered. Readers take no lock either: the count of pauses
is raised last.

Threads that wait for the interpreter run before the callback that notes the end of a collection: who ends a
span there looks whether the collector is done (`observe`), so that the pause neither misses nor outlasts it.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tickspan.recording.marks import SpanMarks

__all__ = ["PAUSES", "GcPauses", "Pause", "PauseTotals", "pauses_since"]

MOST: Final = 4_096
"""Pauses that are remembered, and that wait to be taken; beyond that the oldest go."""
RECENT: Final = 256
"""Pauses that `since` tells of at most."""
GENERATIONS: Final = 3


class Pause(NamedTuple):
    """One collection, by `time.perf_counter_ns`."""

    start_ns: int
    stop_ns: int
    generation: int


@dataclass(frozen=True, slots=True)
class PauseTotals:
    """All collections of one generation since the start."""

    count: int = 0
    total_ns: int = 0
    longest_ns: int = 0


class GcPauses:
    """Notes each collection from `start` to `stop`.

    Args:
        clock: that pauses are told by.
        most: pauses that are remembered.
        wall_ns: the clock of spans.
    """

    def __init__(
        self,
        clock: Callable[[], int] = time.perf_counter_ns,
        most: int = MOST,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._clock = clock
        self._wall_ns = wall_ns
        self._most = most
        self.marks = SpanMarks()
        self._users = 0
        self._is_known_to_forks = False
        self._starts = array("q", bytes(8 * most))
        self._stops = array("q", bytes(8 * most))
        self._sums = array("q", bytes(8 * most))
        self._generations = array("b", bytes(most))
        self._counts = array("q", bytes(8 * GENERATIONS))
        self._totals = array("q", bytes(8 * GENERATIONS))
        self._longest = array("q", bytes(8 * GENERATIONS))
        self._done_before = array("q", bytes(8 * GENERATIONS))
        self._forget()

    def __repr__(self) -> str:
        return f"<GcPauses {self._noted} noted, {self._noted - self._next} wait, {self.lost} lost>"

    def start(self) -> None:
        """Be called by the garbage collector from now on, until `stop` was called as often."""
        self._users += 1
        if self._note not in gc.callbacks:
            self._forget_what_goes_on()
            gc.callbacks.append(self._note)
        if not self._is_known_to_forks:
            self._is_known_to_forks = True
            os.register_at_fork(after_in_child=self._forget)

    def stop(self) -> None:
        """One user less; after the last one, be called no more."""
        self._users = max(0, self._users - 1)
        if not self._users and self._note in gc.callbacks:
            gc.callbacks.remove(self._note)
            self._forget_what_goes_on()

    @property
    def is_on(self) -> bool:
        """Whether the garbage collector calls."""
        return self._note in gc.callbacks

    @property
    def goes_on(self) -> bool:
        """Whether a collection has begun whose end is not noted yet."""
        return self._began_ns != 0

    def observe(self) -> None:
        """For a thread that runs while a collection goes on: if the collector is done, the pause ends now."""
        if self._began_ns and not self._seen_ns:
            done = gc.get_stats()[self._generation]["collections"]
            if done - self._done_before[self._generation] > self._counts[self._generation]:
                self._seen_ns = self._clock()

    @property
    def noted(self) -> int:
        """Pauses so far."""
        return self._noted

    @property
    def lost(self) -> int:
        """Pauses that were forgotten because nobody took them in time."""
        return self._lost + max(0, self._noted - self._next - self._most)

    def take(self) -> Iterator[tuple[int, int]]:
        """Generation and nanoseconds of what was not taken yet, oldest first. For one taker."""
        noted = self._noted
        first = max(self._next, noted - self._most)
        self._lost += first - self._next
        self._next = noted
        for number in range(first, noted):
            place = number % self._most
            yield self._generations[place], self._stops[place] - self._starts[place]

    def since(self, ns: int) -> list[Pause]:
        """Pauses that ended after `ns`, of the last 256, oldest first. Safe for any thread."""
        noted = self._noted
        found: list[Pause] = []
        for number in range(noted - 1, max(-1, noted - 1 - min(RECENT, self._most)), -1):
            place = number % self._most
            if self._stops[place] <= ns:
                break
            found.append(Pause(self._starts[place], self._stops[place], self._generations[place]))
        found.reverse()
        return found

    def within(self, start_ns: int, stop_ns: int) -> tuple[int, int]:
        """How many pauses overlap a time, and their nanoseconds inside it, of those that are remembered."""
        noted = self._noted
        oldest = max(0, noted - self._most)
        first = self._ended_by(start_ns, oldest, noted)
        number = first
        count = inside_ns = 0
        last = self._ended_by(stop_ns, first, noted)
        if last > first:
            inside_ns = self._sums[(last - 1) % self._most] - self._sum_before(first)
            inside_ns -= max(0, start_ns - self._starts[first % self._most])
            count, number = last - first, last
        if number < noted and self._starts[number % self._most] < stop_ns:  # the one during which it ended
            inside_ns += stop_ns - max(start_ns, self._starts[number % self._most])
            count += 1
        began_ns = self._began_ns
        if number == noted and 0 < began_ns < stop_ns:
            common_ns = min(stop_ns, self._seen_ns or stop_ns) - max(start_ns, began_ns)
            if common_ns > 0 and noted == self._noted:
                return count + 1, inside_ns + common_ns
        return count, inside_ns

    def totals(self) -> tuple[PauseTotals, ...]:
        """Of each generation."""
        found = [
            PauseTotals(self._counts[generation], self._totals[generation], self._longest[generation])
            for generation in range(GENERATIONS)
        ]
        return tuple(
            found
        )  # of a generator, each would leave one more in the interpreter's list of free ones

    def _sum_before(self, number: int) -> int:
        place = number % self._most
        return self._sums[place] - (self._stops[place] - self._starts[place])

    def _ended_by(self, ns: int, first: int, last: int) -> int:
        """The first pause from `first` on that ended after `ns`; `last` when there is none."""
        while first < last:
            middle = (first + last) // 2
            if self._stops[middle % self._most] <= ns:
                first = middle + 1
            else:
                last = middle
        return first

    def _note(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._generation = info["generation"]
            self._seen_ns = 0
            self._began_ns = self._clock()
            self.marks.held_ns = sys.maxsize
        elif self._began_ns:
            began_ns = self._began_ns
            now_ns = self._seen_ns or self._clock()
            generation = info["generation"]
            pause_ns = now_ns - began_ns
            place = self._noted % self._most
            self._starts[place] = began_ns
            self._stops[place] = now_ns
            self._generations[place] = generation
            self._sum_ns += pause_ns
            self._sums[place] = self._sum_ns
            self._counts[generation] += 1
            self._totals[generation] += pause_ns
            self._longest[generation] = max(self._longest[generation], pause_ns)
            self._noted += 1
            self._began_ns = 0
            self.last_stop_ns = self.marks.held_ns = self._wall_ns()

    def _forget(self) -> None:
        """A new process: what happened is the parent's."""
        self._noted = self._next = self._lost = 0
        self._sum_ns = 0
        self.last_stop_ns = 0
        """When the last pause ended, by the clock of spans."""
        for generation in range(GENERATIONS):
            self._counts[generation] = self._totals[generation] = self._longest[generation] = 0
        self._forget_what_goes_on()

    def _forget_what_goes_on(self) -> None:
        self._began_ns = self._seen_ns = self._generation = 0
        if self.marks.held_ns == sys.maxsize:
            self.marks.held_ns = self._wall_ns()
        for generation, known in enumerate(gc.get_stats()[:GENERATIONS]):
            self._done_before[generation] = known["collections"] - self._counts[generation]


PAUSES: Final = GcPauses()
"""Those of this process, once somebody has started them."""


def pauses_since(ns: int) -> list[Pause]:
    """Pauses of this process that ended after `ns` of `time.perf_counter_ns`, at most the last 256."""
    return PAUSES.since(ns)
