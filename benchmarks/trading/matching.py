"""Matching: random schedules of faults, and whether every execution is told in its own order's trace."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Final

from benchmarks.pipeline.figures import percent
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.sidebyside.lines import ChildError
from benchmarks.trading.nursery import Nursery
from benchmarks.trading.place import Place, crew
from benchmarks.trading.scheduling import FAMILIES, Verdict

_WORKERS: Final = 3
_AT_ONCE: Final = 5
"""Seeds that a child plays before the next child is born."""
_FIRST_SEED: Final = 1
_DOUBLED: Final = ("duplicate_event",)
_LATE: Final = ("late_fill", "reorder", "fill_before_ack")
_LOST: Final = ("accept_then_504", "accept_then_reset", "lost_event", "disconnect", "mute")
Played = Mapping[str, Sequence[Mapping[str, Any]]]
"""Verdicts by family; one that `failed` says why."""


def schedules(place: Place, progress: Progress) -> Section:
    """Each client library plays the same seeds; several do so at a time."""
    seeds = range(_FIRST_SEED, _FIRST_SEED + place.scale.schedules)
    tasks = [
        (family, list(seeds[first : first + _AT_ONCE]))
        for first in range(0, len(seeds), _AT_ONCE)
        for family in FAMILIES
    ]
    played: dict[str, list[dict[str, Any]]] = {family: [] for family in FAMILIES}
    with crew(_WORKERS) as nurseries, ThreadPoolExecutor(_WORKERS) as pool:
        idle: SimpleQueue[Nursery] = SimpleQueue()
        for one in nurseries:
            idle.put(one)

        def turn(task: tuple[str, list[int]]) -> tuple[str, list[dict[str, Any]]]:
            family, some = task
            child = idle.get()
            try:
                return family, child.turn("scheduling:play", family=family, seeds=some)
            except ChildError as error:
                return family, [{"seed": seed, "failed": str(error)} for seed in some]
            finally:
                idle.put(child)

        for number, (family, verdicts) in enumerate(pool.map(turn, tasks), 1):
            progress(f"{number} of {len(tasks)}: {family}")
            played[family] += verdicts
    return Section(
        "matching",
        (_table(played, place.scale.schedules),),
        tuple(_targets(played)),
        tuple(faults_of(played)),
        {"schedules": played},
    )


def faults_of(played: Played) -> Iterable[str]:
    """What was told wrongly, schedule by schedule."""
    for family, verdicts in played.items():
        for verdict in verdicts:
            wrong = [verdict["failed"]] if "failed" in verdict else Verdict(**verdict).shortfalls
            if wrong:
                yield f"matching, {family}, seed {verdict['seed']}: {'; '.join(wrong)}"


def _table(played: Played, schedules: int) -> Table:
    rows = [_row(family, verdicts) for family, verdicts in played.items()]
    rows.append(_row("all", list(itertools.chain.from_iterable(played.values()))))
    columns = (
        "client library",
        "schedules",
        "orders",
        "executions",
        "matched",
        "reports doubled",
        "late or out of order",
        "answers, reports or connections lost",
        "totals changed",
        "told of nobody's order",
    )
    note = (
        f"{schedules} seeds for each library: they decide what the bot does and what goes wrong with each "
        "order, report and request. Matched: told once, in the one trace of the order that the venue booked "
        "it for. Totals: the filled quantity of each order at its end, and the counter of fills."
    )
    return Table("Random schedules of faults", columns, tuple(rows), note)


def _row(family: str, verdicts: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    known = [Verdict(**verdict) for verdict in verdicts if "failed" not in verdict]
    struck = sum((Counter(verdict.faults) for verdict in known), Counter[str]())
    executions = sum(verdict.executions for verdict in known)
    matched = sum(verdict.matched for verdict in known)
    return (
        family,
        f"{len(known):,} of {len(verdicts):,}",
        f"{sum(verdict.orders for verdict in known):,}",
        f"{executions:,}",
        percent(matched / executions) if executions else "-",
        *(f"{sum(struck[name] for name in kind):,}" for kind in (_DOUBLED, _LATE, _LOST)),
        f"{sum(changed(verdict) for verdict in known):,}",
        f"{sum(verdict.unmatched for verdict in known):,}",
    )


def changed(verdict: Verdict) -> int:
    """Totals that duplicates or late reports have changed: quantities of orders, and the count of fills."""
    return verdict.totals_wrong + (verdict.fills_counted != verdict.executions)


def _targets(played: Played) -> Iterable[Target]:
    everything = list(itertools.chain.from_iterable(played.values()))
    known = [Verdict(**verdict) for verdict in everything if "failed" not in verdict]
    executions, matched = (sum(getattr(one, name) for one in known) for name in ("executions", "matched"))
    told = sum(one.told for one in known)
    yield Target(
        "executions matched to one order's trace",
        "tickspan",
        "100 %",
        f"{matched:,} of {executions:,}, {told - matched:,} told elsewhere or twice",
        None if not executions else matched == executions == told and len(known) == len(everything),
    )
    wrong = sum(changed(one) for one in known)
    yield Target("totals that duplicates and late reports change", "tickspan", "0", f"{wrong}", wrong == 0)
