"""What an addition to a counter costs, bound or not, a histogram's value, and a collection of many series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from benchmarks.sidebyside.costs import Spread

from .contenders import EMPTY, OURS, of_signal
from .figures import Cost
from .payload import series_totals
from .place import Place, Turn
from .race import Progress, Race, run
from .scale import Scale
from .sections import Section, Table, Target, at_most

_BATCHES: Final = 200
_BATCH: Final = 200
_SERIES: Final = 10_000
_COLLECTIONS: Final = 5
_LATE_NS: Final = 1_000_000
_ARRIVAL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Metered:
    """One turn."""

    calls: dict[str, Cost]
    """By operation: CPU time of the calling thread, nanoseconds per call."""
    stalls_ns: list[int]
    """The longest delay of another thread in each collection, encoding and sending of 10,000 series."""
    collect_s: float
    """How long the quickest collection took."""
    fault: str | None


def metrics(place: Place, scale: Scale, progress: Progress) -> Section:
    """A counter, bound series, a histogram, and a thread's longest stall while all is collected."""
    race = run(place, of_signal("metrics"), "metrics", scale.rounds, _metered, progress)
    columns = (
        "contender",
        "counter.add ns",
        "x",
        "bound ns",
        "x",
        "histogram ns",
        "x",
        "stall ms",
        "as recorded",
    )
    rows = tuple(_row(race, contender.name) for contender in of_signal("metrics"))
    note = (
        "ns: CPU time of the calling thread, 10th percentile of the batches, less the empty loop's. "
        "x: multiple of the stock SDK's in the same round (bound: of its unbound call). "
        "stall: how long a thread that asks for 1 ms at a time could not run beyond that in a collection: "
        "median … worst."
    )
    title = f"Metrics: 16 series; {_SERIES:,} series collected ({race.rounds} rounds)"
    return Section(
        "metrics",
        (Table(title, columns, rows, note),),
        _targets(race),
        race.faults("metrics", _fault),
        race.data(),
        {"counter.add with attributes": race.bars(_call("add")), "bound counter": _bound_bars(race)},
    )


def _metered(turn: Turn) -> Metered:
    loops: dict[str, Any] = {
        operation: turn.ask("loop", operation=operation, batches=_BATCHES, size=_BATCH)
        for operation in ("add", "bound", "record")
    }
    turn.ask("flush")
    counted = sum(loops[name] is not None for name in ("add", "bound")) * _BATCHES * _BATCH
    fault = _miscounted(turn, counted)
    stall = turn.ask("stall", series=_SERIES, times=_COLLECTIONS)
    calls = {name: Cost.of(timed["cpu"]) for name, timed in loops.items() if timed is not None}
    return Metered(calls, stall["each_ns"], stall["took_s"], fault or _uncollected(turn))


def _miscounted(turn: Turn, counted: int) -> str | None:
    """What is wrong with the counter's series after so many additions of 1."""
    exposed = turn.ask("exposed")
    if exposed is None and not turn.contender.sends:
        return None
    came = exposed if exposed is not None else turn.arrived(counted)["series"]
    if came == series_totals(counted):
        return None
    return f"{sum(came.values()):,} of {counted:,} additions came, in {len(came)} series"


def _uncollected(turn: Turn) -> str | None:
    if not turn.contender.sends:
        return None
    many = turn.arrived(0, _ARRIVAL_S)["many"]
    return None if many == _SERIES else f"{many:,} of {_SERIES:,} series came"


def _targets(race: Race[Metered]) -> tuple[Target, ...]:
    stalls, bases = (_stalls(race, name) for name in (OURS, EMPTY))
    told, is_met = "not measured", None
    if stalls and bases:
        told = f"{_milliseconds(stalls)} ms (without telemetry {_milliseconds(bases)} ms)"
        is_met = median(stalls) <= _LATE_NS and max(stalls) <= max(_LATE_NS, *bases)
    return (
        at_most("counter.add with attributes", OURS, race.over_stock(OURS, _call("add")), 0.15),
        at_most("bound counter", OURS, _bound_over_stock(race, OURS), 0.05),
        Target(
            f"stall while {_SERIES:,} series are collected",
            OURS,
            "≤ 1 ms, or none that is longer than without telemetry",
            told,
            is_met,
        ),
    )


def _row(race: Race[Metered], name: str) -> tuple[str, ...]:
    if name in race.missing:
        return (name, race.missing[name], *[""] * 7)
    cells = (
        *race.cells(name, _call("add"), 1),
        *_bound_cells(race, name),
        *race.cells(name, _call("record"), 1),
    )
    whole = "" if name == EMPTY else race.first_fault(name, _fault) or "all"
    return (name, *cells, _milliseconds(_stalls(race, name)), whole)


def _bound_cells(race: Race[Metered], name: str) -> tuple[str, str]:
    return race.cells(name, _call("bound"), 1) if _binds(race, name) else ("none", "")


def _bound_over_stock(race: Race[Metered], name: str) -> Spread | None:
    return race.over_stock(name, _call("bound")) if _binds(race, name) else None


def _bound_bars(race: Race[Metered]) -> dict[str, float]:
    spreads = {name: _bound_over_stock(race, name) for name in race.values if name != EMPTY}
    return {name: spread.median for name, spread in spreads.items() if spread is not None}


def _binds(race: Race[Metered], name: str) -> bool:
    values = race.values.get(name, {}).values()
    return bool(values) and all("bound" in value.calls for value in values)


def _call(operation: str) -> Callable[[Metered], float]:
    """Who has no bound series, as stock, pays there for the call with attributes."""
    return lambda value: value.calls.get(operation, value.calls["add"]).good


def _stalls(race: Race[Metered], name: str) -> list[int]:
    return [stall for value in race.values.get(name, {}).values() for stall in value.stalls_ns]


def _milliseconds(stalls_ns: list[int]) -> str:
    return f"{median(stalls_ns) / 1e6:.2f} … {max(stalls_ns) / 1e6:.2f}"


def _fault(value: Metered) -> str | None:
    return value.fault
