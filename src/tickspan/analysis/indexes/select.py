"""Selection: of all candidates, the few indexes that a workload gains most from, by asking a planner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tickspan.analysis.indexes.candidates import MAX_PARTIAL_SHARE
from tickspan.analysis.indexes.exploration import explore
from tickspan.analysis.indexes.library import Library, Task
from tickspan.analysis.indexes.model import IndexSpec, WorkloadQuery
from tickspan.analysis.indexes.search import Search
from tickspan.analysis.indexes.whatif import Estimate, WhatIf
from tickspan.analysis.indexes.worth import Worth

__all__ = ["MAX_EXPLAINS", "Limits", "Selected", "Selection", "select", "weights"]

MAX_EXPLAINS: Final = 500
"""A search that asks more holds up a server longer than its answer is worth."""

_MAX_SHARE: Final = 0.2
_EXPLORATION_SHARE: Final = 0.5
_PREDICATES: Final = 10
"""One in so many EXPLAINs may go to how many rows a partial index would hold."""

_Predicate: TypeAlias = tuple[str, str]
_LEAST_ASKS_EACH: Final = 4
"""Of a statement: as it is, with everything, with plain indexes, and with what was chosen."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the selection may use; None is without limit."""

    storage_bytes: int | None = None
    indexes: int | None = None
    explains: int = MAX_EXPLAINS


@dataclass(frozen=True, slots=True)
class Selected:
    """One index of the selection: its size, and the share of the workload that writing to it costs."""

    index: IndexSpec
    size_bytes: int | None
    penalty: float


@dataclass(frozen=True, slots=True)
class Selection:
    """What was chosen.

    Attributes:
        indexes: in the order of what each added.
        before: per fingerprint, the cost without any of them.
        after: per fingerprint, with all of them: the cost, and which are used.
        unplanned: fingerprints of statements that were not planned, and why.
        explains: how often the planner was asked.
    """

    indexes: tuple[Selected, ...]
    before: dict[str, float]
    after: dict[str, Estimate]
    unplanned: dict[str, str]
    explains: int


def weights(queries: Sequence[WorkloadQuery]) -> list[float]:
    """Shares of the workload's time, each at most a fifth before they are made to give 1.

    Where no time is known, a call counts as a call.
    """
    has_times = any(query.mean_s > 0 for query in queries)
    times = [query.calls * (query.mean_s if has_times else 1.0) for query in queries]
    total = sum(times) or 1.0
    capped = [min(time / total, _MAX_SHARE) for time in times]
    whole = sum(capped) or 1.0
    return [share / whole for share in capped]


def select(
    tasks: Sequence[Task],
    whatif: WhatIf,
    limits: Limits,
    *,
    penalty: Callable[[IndexSpec], float] = lambda _: 0.0,
    progress: Callable[[str], None] = lambda _: None,
) -> Selection:
    """Choose indexes for a workload.

    Args:
        tasks: its statements. When they are too many for the EXPLAINs, the lightest are left out.
        whatif: plans them.
        limits: of storage, number and EXPLAINs.
        penalty: of an index, what writing to it costs, as a share of the workload's time.
        progress: told what goes on.
    """
    heavy, unplanned = _affordable(tasks, limits)
    predicates = _rare(heavy, whatif, limits.explains // _PREDICATES)
    heavy = [_tried(task, limits, whatif, predicates) for task in heavy]
    library = Library(whatif, limits.explains - len(heavy) - len(predicates))
    asks_each = max(_LEAST_ASKS_EACH - 1, int(library.left * _EXPLORATION_SHARE / max(1, len(heavy))))
    planned, refused = explore(heavy, library, asks_each, progress)
    worth = Worth(planned, library, whatif.size, penalty)
    progress(f"choosing among {worth.pool.bit_count()} indexes that a plan would use")
    chosen = Search(planned, library, worth, limits.storage_bytes, limits.indexes).best()
    library.allow(len(heavy))
    before = {task.query.fingerprint: library.ask(task, 0)[0] for task in planned}
    after = {task.query.fingerprint: _final(task, chosen, library) for task in planned}
    explains = library.explains + len(predicates)
    progress(f"{len(chosen)} chosen with {explains} EXPLAINs")
    return Selection(
        tuple(Selected(index, whatif.size(index), penalty(index)) for index in chosen),
        before,
        after,
        unplanned | refused,
        explains,
    )


def _affordable(tasks: Sequence[Task], limits: Limits) -> tuple[list[Task], dict[str, str]]:
    ordered = sorted(tasks, key=lambda task: -task.weight)
    most = max(1, limits.explains // _LEAST_ASKS_EACH)
    why = f"not planned: only the {most} heaviest statements are"
    return ordered[:most], {task.query.fingerprint: why for task in ordered[most:]}


def _rare(tasks: Sequence[Task], whatif: WhatIf, most: int) -> dict[_Predicate, bool]:
    """Tables and predicates of partial candidates: whether few rows fulfil it. Each costs an EXPLAIN."""
    specs = {
        (spec.table, spec.predicate): spec for task in tasks for spec in task.candidates if spec.predicate
    }
    asked = list(specs.items())[:most]
    return {place: whatif.share(spec) < MAX_PARTIAL_SHARE for place, spec in asked}


def _tried(task: Task, limits: Limits, whatif: WhatIf, predicates: Mapping[_Predicate, bool]) -> Task:
    """Without candidates that alone are too big, and without partial ones that hold too many rows."""
    storage = float("inf") if limits.storage_bytes is None else limits.storage_bytes
    candidates, guesses = (
        tuple(
            spec
            for spec in specs
            if (not spec.predicate or predicates.get((spec.table, spec.predicate)))
            and (limits.storage_bytes is None or (whatif.size(spec) or 0) <= storage)
        )
        for specs in (task.candidates, task.guesses)
    )
    return Task(task.query, task.weight, candidates, guesses)


def _final(task: Task, chosen: Sequence[IndexSpec], library: Library) -> Estimate:
    """With everything that was chosen on its tables on offer, also what was never tried with it."""
    tables = {spec.table for spec in task.candidates}
    cost, used = library.ask(task, library.bits(spec for spec in chosen if spec.table in tables))
    return Estimate(cost, frozenset(library.specs(used)))
