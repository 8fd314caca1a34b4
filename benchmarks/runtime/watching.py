"""Spans that say what held them up: how many say it rightly, and what it costs those that nothing held up."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from benchmarks.pipeline.figures import percent
from benchmarks.pipeline.ground import launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.runtime import twins
from benchmarks.runtime.held import KINDS
from benchmarks.runtime.place import Place
from benchmarks.runtime.watched import FORMS, PLAIN, SHARE, WATCHED
from benchmarks.sidebyside.lines import Child

_MOST: Final = 0.05
"""Of the cost of a span."""
_MOST_SPANS: Final = 1_600
_CHILD: Final = "benchmarks.runtime.watched"
_CASES: Final[Mapping[str, Mapping[str, bool]]] = {
    "bare, in a thread": {"attributes": False, "loop": False},
    "bare, in a loop": {"attributes": False, "loop": True},
    "four attributes, in a thread": {"attributes": True, "loop": False},
    "four attributes, in a loop": {"attributes": True, "loop": True},
}
_COUNTED: Final = 20_000

Costs = Mapping[str, Sequence[Mapping[str, float]]]
Told = Mapping[str, Mapping[str, int]]


def watched(place: Place, progress: Progress) -> Section:
    """Attribution over all kinds of programs, then the cost of a span with and without it."""
    scale = place.scale
    spans = min(_MOST_SPANS, scale.samples // 6) // 8 * 8
    with _child(place) as child:
        told: dict[str, Mapping[str, int]] = {}
        for number, kind in enumerate(KINDS):
            progress(f"{spans} spans: {kind}")
            told[kind] = child.ask({"kind": kind, "spans": spans, "seed": number})
        costs: dict[str, list[Mapping[str, float]]] = {case: [] for case in _CASES}
        for number in range(scale.rounds):
            for case, how in _CASES.items():
                progress(f"round {number + 1} of {scale.rounds}: {case}")
                costs[case].append(child.ask({**how, "turns": scale.calls // 20}))
        progress("allocations")
        allocated: Mapping[str, int] = child.ask({"allocated": _COUNTED})
    return Section(
        "watching",
        (_told_table(told), _cost_table(costs)),
        targets(told, costs, allocated),
        tuple(faults(told)),
        {"told": told, "costs": costs, "allocated": allocated},
    )


def _child(place: Place) -> Child:
    """With compiled recorders: as installed, or built for the purpose."""
    child = Child(_CHILD, launch=launch())
    if child.hello()["is_compiled"]:
        return child
    child.stop()
    path = twins.built(sys.executable, place.folder / "watching", "recording.span", "recording.wire")
    child = Child(_CHILD, launch=launch(None, *path))
    child.hello()
    return child


def _told_table(told: Told) -> Table:
    columns = ("program", "spans", "met a pause", "met a block", "missing", "wrong")
    keys = ("spans", "paused", "blocked", "missing", "wrong")
    rows = tuple((kind, *(f"{counts[key]:,}" for key in keys)) for kind, counts in told.items())
    note = (
        "Eight tasks or threads open spans, a thread collects garbage, and now and then a task blocks its"
        " loop for two and a half to five heartbeats. A pause counts from 1 ms, a block from two heartbeats"
        " on, which is to be told to within one; the truth is measured without tickspan."
    )
    return Table("Spans that say what held them up", columns, rows, note)


def _cost_table(costs: Costs) -> Table:
    rows: list[tuple[str, ...]] = []
    for case, rounds in costs.items():
        cells = [f"{min(one[form] for one in rounds):,.0f}" for form in FORMS]
        rows.append((case, *cells, percent(_added(rounds))))
    note = (
        "Nanoseconds of one span that is recorded and let go, of the best round; forms take turns of 200"
        " spans in one process, and in a loop it comes round in between. What is added is the median of"
        " neighbours."
    )
    return Table(
        "What watching costs a span that nothing held up", ("span", *FORMS, "added"), tuple(rows), note
    )


def _added(rounds: Sequence[Mapping[str, float]]) -> float:
    """The median of the rounds: turns of both forms are neighbours, whatever else the machine does."""
    return median(one[SHARE] for one in rounds) - 1


def targets(told: Told, costs: Costs, allocated: Mapping[str, int]) -> tuple[Target, ...]:
    """None missing, none wrong, next to no cost, no allocation."""
    spans = sum(counts["spans"] for counts in told.values())
    missing = sum(counts["missing"] for counts in told.values())
    wrong = sum(counts["wrong"] for counts in told.values())
    worst = max(map(_added, costs.values()))
    more = allocated[WATCHED] - allocated[PLAIN]
    return (
        Target("held-up spans that do not say so", "tickspan", "0", f"{missing} of {spans:,}", missing == 0),
        Target("spans that say so wrongly", "tickspan", "0", f"{wrong} of {spans:,}", wrong == 0),
        Target(
            "watching a span that nothing held up, of the span's cost, at worst",
            "tickspan",
            f"≤ {_MOST:.0%}",
            percent(worst),
            worst <= _MOST,
        ),
        Target(
            f"blocks that watching {_COUNTED:,} spans leaves allocated", "tickspan", "0", f"{more}", more <= 0
        ),
    )


def faults(told: Told) -> list[str]:
    """Spans that say too little or too much, and programs that gave too few to say so."""
    return [
        f"watching: {kind}: {counts['missing']} spans miss, {counts['wrong']} are wrong"
        for kind, counts in told.items()
        if counts["missing"] or counts["wrong"]
    ] + [f"watching: {kind}: no span was held up" for kind, counts in told.items() if not counts["paused"]]
