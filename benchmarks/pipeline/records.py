"""What a span or a log record costs the caller, and all processes of a contender together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

from .contenders import EMPTY, OURS, PURE, of_signal
from .figures import Cost
from .place import Place, Turn
from .race import Progress, Race, run
from .scale import Scale
from .sections import Section, Table, Target, at_most

_BATCHES: Final = 8
_BATCH: Final = 50
"""A burst: 400 records stay below an exporter's batch of 512."""
_PER_SECOND: Final = 5_000
_GROUP: Final = 10
_MICROSECOND: Final = 1_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """One turn, in nanoseconds per record."""

    fast: Cost
    """CPU time of the calling thread, as fast as it goes."""
    paced: Cost
    """Time that the caller waited, at 5,000 a second, with all that runs beside it."""
    total: float
    """CPU time of all processes of the contender, the same records."""
    agent: float
    """The part of it that is an agent's."""
    count: int
    """Recorded in the turn, and compared."""
    fault: str | None


def spans(place: Place, scale: Scale, progress: Progress) -> Section:
    """Spans with five attributes."""
    race = _race(place, "spans", scale, progress)
    return _section("caller", "span of five attributes", "spans", race, _span_targets(race))


def logs(place: Place, scale: Scale, progress: Progress) -> Section:
    """Log records with two arguments and two attributes."""
    race = _race(place, "logs", scale, progress)
    targets = tuple(
        at_most("caller CPU per log record", name, race.over_stock(name, _fast), 0.3) for name in (OURS, PURE)
    )
    return _section("logs", "log record", "logs", race, targets)


def _race(place: Place, signal: str, scale: Scale, progress: Progress) -> Race[Recorded]:
    def measure(turn: Turn) -> Recorded:
        return _recorded(turn, scale)

    return run(place, of_signal(signal), signal, scale.rounds, measure, progress)


def _recorded(turn: Turn, scale: Scale) -> Recorded:
    turn.warm_up()
    fast = turn.ask(
        "fast",
        first=turn.numbers(scale.bursts * _BATCHES * _BATCH),
        bursts=scale.bursts,
        batches=_BATCHES,
        size=_BATCH,
    )
    turn.settle()
    count = int(scale.paced_s * _PER_SECOND)
    before = turn.cpu_ns()
    paced = turn.ask("paced", first=turn.numbers(count), count=count, per_second=_PER_SECOND, size=_GROUP)
    found = turn.settle()
    total, agent = (now - then for now, then in zip(turn.cpu_ns(), before, strict=True))
    return Recorded(
        Cost.of(fast["cpu"]),
        Cost.of(paced["wall"]),
        total / count,
        agent / count,
        turn.recorded,
        turn.shortfall(found),
    )


def _section(name: str, what: str, signal: str, race: Race[Recorded], targets: tuple[Target, ...]) -> Section:
    columns = (
        "contender",
        "fast: caller µs",
        "x",
        "paced: caller µs",
        "x",
        "total CPU µs",
        "x",
        "of it agent",
        "compared",
    )
    rows = tuple(_row(race, contender.name) for contender in of_signal(signal))
    note = (
        f"fast: CPU time of the calling thread. paced: time that it waited, {_PER_SECOND:,} a second in "
        f"groups of {_GROUP}. total: CPU time of application, children and agent at that pace. "
        "10th percentile of the batches in a round, less the empty loop's, whose row says what that is; "
        "µs is the median of the rounds. x: multiple of the stock SDK's in the same round."
    )
    return Section(
        name,
        (Table(f"Cost of a {what} ({race.rounds} rounds)", columns, rows, note),),
        targets,
        race.faults(name, _fault),
        race.data(),
        {f"caller CPU per {what}": race.bars(_fast), f"total CPU per {what}": race.bars(_total)},
    )


def _row(race: Race[Recorded], name: str) -> tuple[str, ...]:
    if name in race.missing:
        return (name, race.missing[name], *[""] * 7)
    cells = [cell for figure in _FIGURES for cell in race.cells(name, figure, _MICROSECOND)]
    count = sum(race.of(name, lambda value: value.count))
    compared = "" if name == EMPTY else race.first_fault(name, _fault) or f"{count:,.0f}"
    agent = median(race.of(name, lambda value: value.agent)) / _MICROSECOND
    return (name, *cells, f"{agent:.2f}" if agent else "", compared)


def _span_targets(race: Race[Recorded]) -> tuple[Target, ...]:
    limits = ((OURS, 0.15, 0.05), (PURE, 0.35, None))
    callers = [
        at_most(f"caller time per span, {phase}", name, race.over_stock(name, figure), limit, goal)
        for name, limit, goal in limits
        for phase, figure in (("fast", _fast), ("paced", _paced))
    ]
    total = at_most("total CPU per span", OURS, race.over_stock(OURS, _total), 0.15, 0.08)
    return (*callers, total)


def _fast(value: Recorded) -> float:
    return value.fast.good


def _paced(value: Recorded) -> float:
    return value.paced.good


def _total(value: Recorded) -> float:
    return value.total


def _fault(value: Recorded) -> str | None:
    return value.fault


_FIGURES: Final[tuple[Callable[[Recorded], float], ...]] = (_fast, _paced, _total)
