"""Samples of process and host: what one costs, beside psutil."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from statistics import median
from typing import Final

from benchmarks.metrics.place import Place
from benchmarks.pipeline.figures import Cost, percentile, ratios, spread_of
from benchmarks.pipeline.ground import in_turns, launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, multiple
from benchmarks.sidebyside.lines import Child

_OURS, _PEER, _EMPTY = "tickspan", "psutil", "nothing"
_CONTENDERS: Final = (_EMPTY, _PEER, _OURS)
_OF: Final = ("process", "host")
_SHARE: Final = 0.001
_MOST_MS: Final = 1.0

Costs = Mapping[tuple[str, str], dict[int, list[float]]]


def sampled(place: Place, progress: Progress) -> Section:
    """One sample after another, in turns."""
    costs: dict[tuple[str, str], dict[int, list[float]]] = {
        (name, of): {} for name in _CONTENDERS for of in _OF
    }
    libraries: dict[str, str] = {}
    faults: list[str] = []
    with ExitStack() as stack:
        children = {
            name: stack.enter_context(Child("benchmarks.metrics.sampler", name, launch=launch()))
            for name in _CONTENDERS
        }
        for name, child in children.items():
            said = child.hello()
            libraries[name] = said["library"]
            if name != _EMPTY:
                faults += [f"samplers: {name}: {of}: no value" for of in _OF if not said["values"][of]]
        for number, name in in_turns(_CONTENDERS, place.scale.rounds):
            progress(f"round {number + 1} of {place.scale.rounds}: {name}")
            for of in _OF:
                asked = {"of": of, "samples": place.scale.samples}
                costs[name, of][number] = children[name].ask(asked)
    return Section(
        "samplers", (_table(costs),), tuple(_targets(costs)), tuple(faults), {"libraries": libraries}
    )


def _good(costs: Costs, name: str, of: str) -> dict[int, float]:
    return {number: Cost.of(each).good for number, each in costs[name, of].items()}


def _table(costs: Costs) -> Table:
    rows: list[tuple[str, ...]] = []
    for of in _OF:
        for name in _CONTENDERS:
            own = _good(costs, name, of)
            every = [each for batch in costs[name, of].values() for each in batch]
            spread = spread_of(ratios(own, _good(costs, _PEER, of), _good(costs, _EMPTY, of)))
            rows.append(
                (
                    name,
                    of,
                    f"{median(own.values()) / 1e3:.1f}",
                    f"{percentile(every, 0.99) / 1e3:.1f}",
                    "-" if name == _EMPTY else multiple(spread),
                )
            )
    return Table(
        "A sample",
        ("contender", "of", "µs", "p99, µs", "x psutil"),
        tuple(rows),
        "CPU time of the sampling thread, everything that a contender tells at once. Ours tells more: shares,"
        " page faults, the garbage collector, limits of the container.",
    )


def _targets(costs: Costs) -> list[Target]:
    found: list[Target] = []
    for of in _OF:
        share = median(_good(costs, _OURS, of).values()) / 1e9
        found.append(
            Target(
                f"a sample of the {of} each second, of a core",
                _OURS,
                f"≤ {_SHARE:.1%}",
                f"{share:.4%}",
                share <= _SHARE,
            )
        )
        slow_ms = percentile([each for batch in costs[_OURS, of].values() for each in batch], 0.99) / 1e6
        found.append(
            Target(
                f"a sample of the {of}, p99",
                _OURS,
                f"≤ {_MOST_MS:g} ms",
                f"{slow_ms:.3f} ms",
                slow_ms <= _MOST_MS,
            )
        )
    return found
