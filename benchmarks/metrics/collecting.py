"""Collections of many series: what they cost, and how late an event loop's timer is meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from statistics import median
from typing import Any, Final

from benchmarks.metrics.place import Place
from benchmarks.pipeline.figures import is_within, percentile, ratios, spread_of
from benchmarks.pipeline.ground import in_turns, launch
from benchmarks.pipeline.payload import MANY
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, at_most, multiple
from benchmarks.sidebyside.lines import Child

SERIES: Final = 10_000
_EMPTY, _STOCK, _OURS = "no telemetry", "stock SDK", "tickspan"
_METERS: Final = {_EMPTY: "nothing", _STOCK: "stock-http", _OURS: "tickspan"}
_MILLISECOND: Final = 1e6

Turns = Mapping[str, dict[int, dict[str, Any]]]


def collected(place: Place, progress: Progress) -> Section:
    """10,000 series under the stock SDK and ours, in turns; without telemetry the same thread sleeps."""
    turns: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in _METERS}
    libraries: dict[str, str] = {}
    faults: list[str] = []
    with ExitStack() as stack:
        _, settings = stack.enter_context(place.spool())
        children: dict[str, Child] = {}
        for name, meter in _METERS.items():
            child = Child("benchmarks.metrics.meterer", meter, str(SERIES), launch=launch(settings))
            children[name] = stack.enter_context(child)
            libraries[name] = child.hello()["library"]
            came = _series_that_came(place)
            place.server.clear()
            if name != _EMPTY and came != SERIES:
                faults.append(f"collection: {name}: {came:,} of {SERIES:,} series came")
        for number, name in in_turns(_METERS, place.scale.rounds):
            progress(f"round {number + 1} of {place.scale.rounds}: {name}")
            turns[name][number] = children[name].ask({"collections": place.scale.collections})
            place.server.clear()
    data = {"libraries": libraries, "turns": turns}
    return Section("collection", (_table(turns),), _targets(turns), tuple(faults), data)


def _series_that_came(place: Place) -> int:
    """Attribute sets of the many counters in what has arrived."""
    return len(
        {
            (metric.name, str(point.attributes))
            for metric in place.server.metrics()
            if metric.name.startswith(MANY)
            for point in metric.points
        }
    )


def _cpu(turns: Turns, name: str) -> dict[int, float]:
    return {number: median(turn["cpu_ns"]) for number, turn in turns[name].items()}


def _longest(turns: Turns, name: str) -> list[float]:
    """The longest delay of each round."""
    return [max(turn["delays"]) for turn in turns[name].values()]


def _table(turns: Turns) -> Table:
    rows: list[tuple[str, ...]] = []
    for name in _METERS:
        delays = [delay for turn in turns[name].values() for delay in turn["delays"]]
        cpu = _cpu(turns, name)
        spread = spread_of(ratios(cpu, _cpu(turns, _STOCK)))
        rows.append(
            (
                name,
                f"{median(cpu.values()) / _MILLISECOND:.2f}",
                multiple(spread),
                *(f"{percentile(delays, share) / _MILLISECOND:.2f}" for share in (0.5, 0.99)),
                f"{median(_longest(turns, name)) / _MILLISECOND:.2f} … {max(delays) / _MILLISECOND:.2f}",
            )
        )
    return Table(
        f"A collection of {SERIES:,} series, beside an event loop that sleeps 1 ms at a time",
        ("contender", "CPU, ms", "x", "late p50, ms", "late p99, ms", "longest, ms"),
        tuple(rows),
        "CPU time of the collecting thread, until everything is handed over; x: of the stock SDK's in the"
        " same round. Longest: median of the rounds … worst.",
    )


def _targets(turns: Turns) -> tuple[Target, ...]:
    own, idle = _longest(turns, _OURS), _longest(turns, _EMPTY)
    return (
        at_most(
            "CPU of a collection", _OURS, spread_of(ratios(_cpu(turns, _OURS), _cpu(turns, _STOCK))), 0.1
        ),
        Target(
            "an event loop's longest delay in a collection",
            _OURS,
            "within what it shows without telemetry",
            f"{median(own) / _MILLISECOND:.2f} ms (idle {median(idle) / _MILLISECOND:.2f} …"
            f" {max(idle) / _MILLISECOND:.2f} ms)",
            is_within(own, idle),
        ),
    )
