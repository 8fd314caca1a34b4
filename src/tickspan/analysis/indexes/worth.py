"""What a set of indexes is worth to a workload: what a library of plans proves, allows, or suggests.

Worth is Σ w (1 - cost / cost now) over the statements, minus what writing to the indexes costs. Every
statement counts by its relative cost: with plain sums, one that is a thousand times dearer than the others
decides alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from tickspan.analysis.indexes.candidates import covers
from tickspan.analysis.indexes.library import Library, Task
from tickspan.analysis.indexes.model import IndexSpec

__all__ = ["Worth", "singly"]

_PARTLY: Final = 2.0
"""Exponent of the share of a plan's indexes that are there, in the share of its gain that is guessed."""

_FLOOR: Final = 50.0
"""Added to every cost: what a handful of pages costs. Below that nothing is worth an index."""

_LEAST_GAP: Final = 0.0002
"""Share of the workload that is not worth an EXPLAIN."""

_NOTICEABLE: Final = 0.05
"""Share of a statement's cost below which a change is noise."""

_Cost: TypeAlias = Callable[[int, int], float]


def singly(bits: int) -> Iterator[int]:
    """The members of a set, each as a set."""
    while bits:
        lowest = bits & -bits
        yield lowest
        bits ^= lowest


class Worth:
    """Of sets of those indexes that some plan used; grows by `admit`.

    Args:
        tasks: statements, explored.
        library: what is known of their plans.
        size: of an index in bytes, None when unknown.
        penalty: of an index, what writing to it costs, as a share of the workload's time.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        library: Library,
        size: Callable[[IndexSpec], int | None],
        penalty: Callable[[IndexSpec], float],
    ) -> None:
        self._tasks = tasks
        self._library = library
        self._size_of = size
        self._penalty_of = penalty
        self._first = [library.ask(task, 0)[0] + _FLOOR for task in tasks]
        self._likely_costs: list[tuple[int, dict[int, float]]] = [(0, {}) for _ in tasks]
        self._concerned: dict[int, list[int]] = {}
        self._sizes: dict[int, int] = {}
        self._penalties: dict[int, float] = {}
        self._covered: dict[int, int] = {}
        self._relevant = [0 for _ in tasks]
        self.pool = 0
        used = [library.used_sets(task) for task in tasks]
        for sets in used:
            for some in sets:
                for spec in library.specs(some):
                    self.admit(spec)
        for number, sets in enumerate(used):
            self._make_relevant(number, sets)

    def admit(self, spec: IndexSpec, like: int = 0) -> int:
        """Let an index be chosen from now on, for the statements that `like` is for; returns it as a set."""
        bit = self._library.bits([spec])
        if bit & self.pool:
            return bit
        self.pool |= bit
        self._sizes[bit] = self._size_of(spec) or 0
        self._penalties[bit] = self._penalty_of(spec)
        self._covered[bit] = 0
        for other in singly(self.pool & ~bit):
            known = self._library.specs(other)[0]
            if covers(known, spec):
                self._covered[bit] |= other
            if covers(spec, known):
                self._covered[other] |= bit
        self._concerned[bit] = []
        for number, relevant in enumerate(self._relevant):
            if relevant & (self._covered[bit] | like):
                self._concern(number, bit)
        return bit

    def covered(self, chosen: int) -> int:
        """What a set's members do besides: indexes that they make superfluous."""
        found = 0
        for bit in singly(chosen):
            found |= self._covered[bit]
        return found

    def size(self, chosen: int) -> int:
        """Bytes of all together."""
        return sum(self._sizes[bit] for bit in singly(chosen))

    def proven(self, chosen: int) -> float:
        """Worth that known plans prove."""
        return self._worth(chosen, self._ceiling)

    def hoped(self, chosen: int) -> float:
        """Worth that known plans do not rule out."""
        return self._worth(chosen, self._floor)

    def guessed(self, chosen: int) -> float:
        """Worth when plans whose indexes are partly there are credited with a part of their gain."""
        return self._worth(chosen, self._likely)

    def guessed_change(self, chosen: int, step: int) -> float:
        """`guessed(step) - guessed(chosen)`, looking only at statements that the difference concerns."""
        numbers: set[int] = set()
        change = 0.0
        for bit in singly(chosen ^ step):
            numbers.update(self._concerned[bit])
            change += self._penalties[bit] if bit & chosen else -self._penalties[bit]
        for number in sorted(numbers):
            relevant = self._relevant[number]
            before, after = self._likely(number, chosen & relevant), self._likely(number, step & relevant)
            change += self._tasks[number].weight * (before - after) / self._first[number]
        return change

    def summed_gain(self, chosen: int, rest: int) -> float:
        """Shares by which costs fall from `rest` to `chosen`, by known plans, of statements that notice."""
        gained = 0.0
        for number in range(len(self._tasks)):
            relevant = self._relevant[number]
            before = self._ceiling(number, rest & relevant)
            gain = 1 - self._ceiling(number, chosen & relevant) / before
            gained += gain if gain >= _NOTICEABLE else 0.0
        return gained

    def largest_rise(self, chosen: int, step: int) -> float:
        """Share by which the cost of some statement rises, by known plans, from `chosen` to `step`."""
        rises = [0.0]
        for number in range(len(self._tasks)):
            relevant = self._relevant[number]
            before = self._ceiling(number, chosen & relevant)
            rises.append(self._ceiling(number, step & relevant) / before - 1)
        return max(rises)

    def verify(self, chosen: int, least: float = float("-inf")) -> int:
        """Ask for what is uncertain of a set, the widest gaps first; returns how often.

        No more is asked when the answers rule out a worth of `least`.
        """
        gaps: list[tuple[float, int]] = []
        for number, task in enumerate(self._tasks):
            offered = chosen & self._relevant[number]
            floor, ceiling = self._bounds(number, offered)
            gap = task.weight * (ceiling - floor) / self._first[number]
            if gap > _LEAST_GAP:
                gaps.append((-gap, number))
        before = self._library.explains
        for _, number in sorted(gaps):
            if not self._library.left or self.hoped(chosen) <= least:
                break
            self._library.ask(self._tasks[number], chosen & self._relevant[number])
        return self._library.explains - before

    def _make_relevant(self, number: int, sets: Sequence[int]) -> None:
        """What plans of a statement used, and what does the same and more."""
        seen = 0
        for some in sets:
            seen |= some
        for bit in singly(self.pool):
            if bit & seen or self._covered[bit] & seen:
                self._concern(number, bit)

    def _concern(self, number: int, bit: int) -> None:
        if not self._relevant[number] & bit:
            self._relevant[number] |= bit
            self._concerned[bit].append(number)

    def _worth(self, chosen: int, cost: _Cost) -> float:
        worth = 0.0
        for number, task in enumerate(self._tasks):
            offered = chosen & self._relevant[number]
            if offered:
                worth += task.weight * (1 - cost(number, offered) / self._first[number])
        return worth - sum(self._penalties[bit] for bit in singly(chosen))

    def _ceiling(self, number: int, offered: int) -> float:
        return self._bounds(number, offered)[1]

    def _floor(self, number: int, offered: int) -> float:
        return self._bounds(number, offered)[0]

    def _bounds(self, number: int, offered: int) -> tuple[float, float]:
        floor, ceiling = self._library.bounds(self._tasks[number], offered)
        return floor + _FLOOR, ceiling + _FLOOR

    def _likely(self, number: int, offered: int) -> float:
        plans = self._library.plans(self._tasks[number])
        count, known = self._likely_costs[number]
        if count != len(plans):
            known = {}
            self._likely_costs[number] = (len(plans), known)
        likely = known.get(offered)
        if likely is None:
            floor, likely = self._bounds(number, offered)
            if floor < likely:
                likely = max(floor, min(likely, self._partly(plans, offered, self._first[number])))
            known[offered] = likely
        return likely

    def _partly(self, plans: Sequence[tuple[int, float]], offered: int, first: float) -> float:
        """Least cost of a known plan, were an index as good as those it does more than."""
        served = offered | self.covered(offered)
        least = first
        for used, cost in plans:
            share = (used & served).bit_count() / used.bit_count()
            if share:
                least = min(least, first - (first - _FLOOR - cost) * share**_PARTLY)
        return least
