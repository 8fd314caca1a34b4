"""A library of plans: what the planner answered so far, and what follows from it without asking again.

Indexes are bits, sets of them integers. An answer is (offered, used, cost). When a plan of an offer used only
some of it, the same plan is there, and the best, for every set between the two. For any other set the
library has two bounds: a plan stays possible when more is offered, so the least cost of those whose indexes
are all there is a ceiling; and no offer beats a larger one, so the greatest of those is a floor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tickspan.analysis.indexes.model import IndexSpec, WorkloadQuery
from tickspan.analysis.indexes.whatif import Estimate, WhatIf

__all__ = ["Library", "Task"]

_UNEXPLAINED: Final = 0.99


@dataclass(frozen=True, slots=True)
class Task:
    """One statement to plan.

    Attributes:
        query: the statement.
        weight: of it in the workload; all together give 1.
        candidates: indexes that could serve it.
        guesses: those of them that its text alone would make one choose.
    """

    query: WorkloadQuery
    weight: float
    candidates: tuple[IndexSpec, ...]
    guesses: tuple[IndexSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answer:
    offered: int
    used: int
    cost: float


@dataclass(slots=True)
class _Shelf:
    """Answers for one statement, cheapest first; `plain_cost` is that of the first, without an offer."""

    plain_cost: float = 0.0
    answers: list[_Answer] = field(default_factory=list[_Answer])
    plans: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    bounds: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])


class Library:
    """Asks, remembers, concludes. One for one search.

    Args:
        whatif: is asked.
        limit: how often at most.
    """

    def __init__(self, whatif: WhatIf, limit: int) -> None:
        self._whatif = whatif
        self._limit = limit
        self._shelves: dict[str, _Shelf] = {}
        self._bits: dict[IndexSpec, int] = {}
        self._specs: list[IndexSpec] = []
        self.explains = 0

    def __repr__(self) -> str:
        return f"<Library {self.explains} of {self._limit} EXPLAINs, {len(self._specs)} indexes>"

    @property
    def left(self) -> int:
        """How often the planner may still be asked."""
        return max(0, self._limit - self.explains)

    def allow(self, more: int) -> None:
        """Raise the limit."""
        self._limit += more

    def bits(self, specs: Iterable[IndexSpec]) -> int:
        """The set of these."""
        found = 0
        for spec in specs:
            if spec not in self._bits:
                self._bits[spec] = len(self._specs)
                self._specs.append(spec)
            found |= 1 << self._bits[spec]
        return found

    def specs(self, bits: int) -> list[IndexSpec]:
        """The members of a set, in the order in which they were first named."""
        return [self._specs[number] for number in _numbers(bits)]

    def bounds(self, task: Task, offered: int) -> tuple[float, float]:
        """Floor and ceiling of the cost of an offer; equal when it is known."""
        shelf = self._shelf(task)
        known = shelf.bounds.get(offered)
        if known is None:
            known = shelf.bounds[offered] = _bounds(shelf.answers, offered)
        return known

    def plans(self, task: Task) -> list[tuple[int, float]]:
        """What the plans of a statement that used something used, and their costs, cheapest first."""
        return self._shelf(task).plans

    def used_sets(self, task: Task) -> list[int]:
        """Sets that plans of a statement used, best plan first."""
        return list(dict.fromkeys(answer.used for answer in self._shelf(task).answers if answer.used))

    def ask(self, task: Task, offered: int) -> tuple[float, int]:
        """Cost of an offer and what is used of it: as it is known, or else from the planner. Raises `NoPlan`.

        When nothing may be asked any more: the ceiling.
        """
        shelf = self._shelf(task)
        for answer in shelf.answers:
            if answer.used & ~offered == 0 and offered & ~answer.offered == 0:
                return answer.cost, answer.used
        if not self.left and shelf.answers:
            return self._possible(shelf, offered)
        self.explains += 1
        estimate: Estimate = self._whatif.used(task.query, self.specs(offered))
        used = self.bits(sorted(estimate.used, key=self._bits.__getitem__))
        if not used and shelf.answers and estimate.cost < shelf.plain_cost * _UNEXPLAINED:
            used = offered  # something of it was used, though the plan does not say what
        shelf.plain_cost = shelf.plain_cost or estimate.cost
        shelf.answers.append(_Answer(offered, used, estimate.cost))
        shelf.answers.sort(key=lambda answer: answer.cost)
        shelf.plans = [(answer.used, answer.cost) for answer in shelf.answers if answer.used]
        shelf.bounds.clear()
        return estimate.cost, used

    def _possible(self, shelf: _Shelf, offered: int) -> tuple[float, int]:
        best = next(answer for answer in shelf.answers if answer.used & ~offered == 0)
        return best.cost, best.used

    def _shelf(self, task: Task) -> _Shelf:
        return self._shelves.setdefault(task.query.fingerprint, _Shelf())


def _bounds(answers: list[_Answer], offered: int) -> tuple[float, float]:
    ceiling = next((answer.cost for answer in answers if answer.used & ~offered == 0), float("inf"))
    floor = next((answer.cost for answer in reversed(answers) if offered & ~answer.offered == 0), 0.0)
    return min(floor, ceiling), ceiling


def _numbers(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
