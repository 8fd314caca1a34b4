"""Rules: what an evaluation of all of them costs, and whom it keeps waiting."""

from __future__ import annotations

from statistics import median
from typing import Any, Final

from benchmarks.metrics.place import Place
from benchmarks.pipeline.figures import percentile
from benchmarks.pipeline.ground import launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.sidebyside.lines import Child

_OURS: Final = "tickspan"
_MOST_HELD_MS: Final = 0.5
_MOST_MS: Final = 10.0
_MILLISECOND: Final = 1e6


def evaluated(place: Place, progress: Progress) -> Section:
    """200 rules over 50 series each, again and again in a process of their own."""
    turns: list[dict[str, Any]] = []
    with Child("benchmarks.metrics.evaluator", launch=launch()) as child:
        said = child.hello()
        for number in range(place.scale.rounds):
            progress(f"round {number + 1} of {place.scale.rounds}")
            turns.append(child.ask({"evaluations": place.scale.evaluations}))
    faults = () if said["active"] else ("rules: no alert is active",)
    return Section("rules", (_table(said, turns),), tuple(_targets(turns)), faults, {"turns": turns})


def _all(turns: list[dict[str, Any]], what: str) -> list[float]:
    return [each[what] for turn in turns for each in turn["evaluations"]]


def _late(turns: list[dict[str, Any]], beside: str, share: float) -> float:
    """Milliseconds."""
    return percentile([each for turn in turns for each in turn["stalls"][beside]], share) / _MILLISECOND


def _table(said: dict[str, Any], turns: list[dict[str, Any]]) -> Table:
    series = said["rules"] * said["series"]
    evaluate, observe = _all(turns, "evaluate_ns"), _all(turns, "observe_ns")
    rows = (
        (
            "take the readings",
            f"{median(observe) / _MILLISECOND:.2f}",
            f"{percentile(observe, 0.99) / _MILLISECOND:.2f}",
            f"{median(observe) / series / 1e3:.3f}",
        ),
        (
            "evaluate",
            f"{median(evaluate) / _MILLISECOND:.2f}",
            f"{percentile(evaluate, 0.99) / _MILLISECOND:.2f}",
            f"{median(evaluate) / series / 1e3:.3f}",
        ),
    )
    return Table(
        f"{said['rules']} rules over {said['series']} series each, {said['active']} alerts active",
        ("step", "ms", "p99, ms", "µs for a series of a rule"),
        rows,
        "CPU time of the evaluating thread; every series has a new value each time. A span that none of"
        f" 100 event rules is about costs {median(turn['span_ns'] for turn in turns):.0f} ns, the empty loop"
        f" {median(turn['empty_ns'] for turn in turns):.0f} ns. Beside evaluations a thread that sleeps 1 ms"
        f" at a time is late by {_late(turns, 'rules', 0.5):.2f} ms (p50),"
        f" {_late(turns, 'rules', 0.99):.2f} ms (p99); idle: {_late(turns, 'idle', 0.5):.2f} ms,"
        f" {_late(turns, 'idle', 0.99):.2f} ms.",
    )


def _targets(turns: list[dict[str, Any]]) -> list[Target]:
    took_ms = median(_all(turns, "evaluate_ns")) / _MILLISECOND
    added_ms = _late(turns, "rules", 0.99) - _late(turns, "idle", 0.99)
    return [
        Target(
            "an evaluation of 200 rules over 50 series",
            _OURS,
            f"≤ {_MOST_MS:g} ms",
            f"{took_ms:.2f} ms",
            took_ms <= _MOST_MS,
        ),
        Target(
            "a thread beside evaluations, later than beside none, p99",
            _OURS,
            f"≤ {_MOST_HELD_MS:g} ms",
            f"{added_ms:+.2f} ms",
            added_ms <= _MOST_HELD_MS,
        ),
    ]
