"""Rules: what an evaluation of all of them costs, and whom it keeps waiting."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from statistics import median
from typing import Any, Final

from benchmarks.metrics.place import Place
from benchmarks.pipeline.figures import percentile
from benchmarks.pipeline.ground import in_turns, launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.sidebyside.lines import Child

_OURS: Final = "tickspan"
_MOST_HELD_MS: Final = 0.5
_MOST_MS: Final = 10.0
_MILLISECOND: Final = 1e6
_KINDS: Final = {
    "still": "last values that stay as they are",
    "moving": "averages of a minute that all move",
}


def evaluated(place: Place, progress: Progress) -> Section:
    """200 rules over 50 series each, again and again, in a process for each kind of readings."""
    said: dict[str, Any] = {}
    turns: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _KINDS}
    with ExitStack() as stack:
        children: dict[str, Child] = {}
        for kind in _KINDS:
            child = Child("benchmarks.metrics.evaluator", kind, launch=launch())
            children[kind] = stack.enter_context(child)
            said[kind] = child.hello()
        for number, kind in in_turns(_KINDS, place.scale.rounds):
            progress(f"round {number + 1} of {place.scale.rounds}: {kind}")
            turns[kind].append(children[kind].ask({"evaluations": place.scale.evaluations}))
    faults = tuple(f"rules: {kind}: no alert is active" for kind in _KINDS if not said[kind]["active"])
    return Section("rules", (_table(said, turns),), tuple(_targets(turns)), faults, {"turns": turns})


def _all(turns: list[dict[str, Any]], what: str) -> list[float]:
    return [each[what] for turn in turns for each in turn["evaluations"]]


def _late(turns: list[dict[str, Any]], beside: str, share: float) -> float:
    """Milliseconds."""
    return percentile([each for turn in turns for each in turn["stalls"][beside]], share) / _MILLISECOND


def _table(said: Mapping[str, Any], turns: Mapping[str, list[dict[str, Any]]]) -> Table:
    rows: list[tuple[str, ...]] = []
    for kind, label in _KINDS.items():
        pairs = said[kind]["rules"] * said[kind]["series"]
        for step, what in (("take the readings", "observe_ns"), ("evaluate", "evaluate_ns")):
            took = _all(turns[kind], what)
            rows.append(
                (
                    f"{label}: {step}",
                    f"{median(took) / _MILLISECOND:.2f}",
                    f"{percentile(took, 0.99) / _MILLISECOND:.2f}",
                    f"{median(took) / pairs / 1e3:.3f}",
                )
            )
    moving = turns["moving"]
    return Table(
        f"{said['moving']['rules']} rules over {said['moving']['series']} series each,"
        f" {said['moving']['active']} alerts active",
        ("step", "ms", "p99, ms", "µs for a series of a rule"),
        tuple(rows),
        "CPU time of the evaluating thread. A span that none of 100 event rules is about costs"
        f" {median(turn['span_ns'] for turn in moving):.0f} ns, the empty loop"
        f" {median(turn['empty_ns'] for turn in moving):.0f} ns. Beside evaluations of moving series a thread"
        f" that sleeps 1 ms at a time is late by {_late(moving, 'rules', 0.5):.2f} ms (p50),"
        f" {_late(moving, 'rules', 0.99):.2f} ms (p99); idle: {_late(moving, 'idle', 0.5):.2f} ms,"
        f" {_late(moving, 'idle', 0.99):.2f} ms.",
    )


def _targets(turns: Mapping[str, list[dict[str, Any]]]) -> list[Target]:
    found: list[Target] = []
    for kind, label in _KINDS.items():
        took_ms = median(_all(turns[kind], "evaluate_ns")) / _MILLISECOND
        found.append(
            Target(
                f"an evaluation of 200 rules over 50 series, {label}",
                _OURS,
                f"≤ {_MOST_MS:g} ms",
                f"{took_ms:.2f} ms",
                took_ms <= _MOST_MS,
            )
        )
    added_ms = _late(turns["moving"], "rules", 0.99) - _late(turns["moving"], "idle", 0.99)
    found.append(
        Target(
            "a thread beside evaluations, later than beside none, p99",
            _OURS,
            f"≤ {_MOST_HELD_MS:g} ms",
            f"{added_ms:+.2f} ms",
            added_ms <= _MOST_HELD_MS,
        )
    )
    return found
