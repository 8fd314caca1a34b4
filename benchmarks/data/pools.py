"""Pools: what measuring and governing add to a checkout, and how long the unluckiest thread waits."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from statistics import median
from typing import Any, Final, Protocol

from benchmarks.data.holder import BARE, CONNECTIONS, FAIR, GOVERNED, MEASURED, THREADS
from benchmarks.pipeline.figures import percentile, ratios, spread_of
from benchmarks.pipeline.ground import in_turns, launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, at_most, multiple
from benchmarks.sidebyside.costs import Spread
from benchmarks.sidebyside.lines import Child

_LABELS: Final = {
    BARE: "SQLAlchemy as it is",
    MEASURED: "measured",
    GOVERNED: "governed",
    FAIR: "governed, fair",
}
_TIMES_BARE: Final = 1.3
_ADDED_NS: Final = 2_000.0
_ROUNDS_WAITED: Final = 5.0
_NS_PER_US: Final = 1e3


class Scale(Protocol):
    """As much of a run's scale as is needed."""

    @property
    def rounds(self) -> int:
        """Of turns."""
        ...

    @property
    def batches(self) -> int:
        """Of checkouts in a turn."""
        ...

    @property
    def threads_s(self) -> float:
        """How long threads compete, in a turn."""
        ...


class Place(Protocol):
    """Where it is measured."""

    @property
    def scale(self) -> Scale:
        """How long."""
        ...


def checkouts(place: Place, progress: Progress) -> Section:
    """Taking a connection and giving it back, each kind in a process of its own, in turns."""
    scale = place.scale
    costs: dict[str, dict[int, float]] = {kind: {} for kind in _LABELS}
    waits: dict[str, list[Mapping[str, float]]] = {BARE: [], FAIR: []}
    with ExitStack() as stack:
        children = {
            kind: stack.enter_context(Child("benchmarks.data.holder", kind, launch=launch()))
            for kind in _LABELS
        }
        library = {kind: child.hello()["library"] for kind, child in children.items()}[BARE]
        for number, kind in in_turns(_LABELS, scale.rounds):
            progress(f"round {number + 1} of {scale.rounds}: {_LABELS[kind]}")
            costs[kind][number] = percentile(children[kind].ask({"batches": scale.batches}), 0.1)
            if kind in waits:
                waits[kind].append(children[kind].ask({"seconds": max(0.5, scale.threads_s)}))
    return Section(
        "pools",
        (_cost_table(costs, library), _wait_table(waits)),
        tuple(_targets(costs, waits)),
        (),
        {"costs": costs, "waits": waits},
    )


def _cost_table(costs: Mapping[str, Mapping[int, float]], library: str) -> Table:
    rows = tuple(
        (
            label,
            f"{median(costs[kind].values()) / _NS_PER_US:.2f} µs",
            "" if kind == BARE else multiple(spread_of(ratios(costs[kind], costs[BARE]))),
        )
        for kind, label in _LABELS.items()
    )
    note = f"CPU time of taking a connection of {library} and giving it back, without contention."
    return Table("A checkout", ("pool", "cost", "of the bare one"), rows, note)


def _wait_table(waits: Mapping[str, list[Mapping[str, float]]]) -> Table:
    rows = tuple(
        (
            _LABELS[kind],
            f"{median(one['longest_s'] for one in turns) * 1e3:.1f} ms",
            f"{median(one['round_s'] for one in turns) * 1e3:.1f} ms",
            multiple(_rounds_waited(turns)),
        )
        for kind, turns in waits.items()
    )
    note = (
        f"{THREADS} threads on {CONNECTIONS} connections, each used for a millisecond. A round: every thread"
        " once, as long as it took on average. Medians of the turns."
    )
    return Table("The longest wait", ("pool", "longest wait", "round", "rounds"), rows, note)


def _rounds_waited(turns: list[Mapping[str, float]]) -> Spread | None:
    """The longest wait of each turn, in rounds."""
    return spread_of([one["longest_s"] / one["round_s"] for one in turns])


def _targets(costs: Mapping[str, Mapping[int, float]], waits: Mapping[str, Any]) -> list[Target]:
    added = {number: costs[GOVERNED][number] - bare for number, bare in costs[BARE].items()}
    found_ns = median(added.values())
    return [
        at_most(
            "pool probe, a checkout",
            _LABELS[MEASURED],
            spread_of(ratios(costs[MEASURED], costs[BARE])),
            _TIMES_BARE,
        ),
        Target(
            "added to a checkout",
            _LABELS[GOVERNED],
            f"≤ {_ADDED_NS / _NS_PER_US:g} µs",
            f"{found_ns / _NS_PER_US:.2f} µs",
            found_ns <= _ADDED_NS,
        ),
        at_most("longest wait, in rounds", _LABELS[FAIR], _rounds_waited(waits[FAIR]), _ROUNDS_WAITED),
    ]
