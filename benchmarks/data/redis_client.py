"""redis-py, told: what spans and metrics of its calls add, beside upstream's and its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from statistics import median
from typing import Any, Final

from benchmarks.data.contenders import OURS
from benchmarks.data.place import Place
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, at_most
from benchmarks.sidebyside.costs import Spread

_BARE: Final = "redis-py"
_BOTH: Final = "contrib + native"
_KINDS: Final = (_BARE, "native", "contrib", _BOTH, "tickspan")
_LIMIT: Final = 0.2
_CALLS: Final = 1_500
_OURS_TELLS: Final = frozenset(
    {
        "db.client.operation.duration",
        *(f"db.client.connection.{name}" for name in ("count", "create_time", "use_time", "wait_time")),
    }
)

Costs = Mapping[str, list[Mapping[str, float]]]
"""By contender, a mapping a round: nanoseconds by kind of call."""


def told(place: Place, progress: Progress) -> Section:
    """Each contender is a process; in each round each takes one turn, in changing order."""
    rounds = place.scale.rounds
    costs: dict[str, list[Mapping[str, float]]] = {kind: [] for kind in _KINDS}
    seen: dict[str, Any] = {}
    with ExitStack() as stack:
        children = {
            kind: stack.enter_context(place.path(OURS, "redis_calls", kind, place.url)) for kind in _KINDS
        }
        versions = {kind: child.hello()["library"] for kind, child in children.items()}
        for number in range(rounds + 1):
            progress(f"round {number} of {rounds}")
            start = number % len(_KINDS)
            for kind in _KINDS[start:] + _KINDS[:start]:
                said = children[kind].ask({"calls": _CALLS})
                seen[kind] = said["seen"]
                if number:  # the first turn warms up
                    costs[kind].append(said["costs"])
    calls = tuple(costs[_BARE][0])
    return Section(
        "redis-client",
        (_table(costs, calls, versions[_BARE]),),
        tuple(_target(costs, call) for call in calls),
        tuple(_faults(seen)),
        {"costs": dict(costs), "seen": seen},
    )


def added(costs: Costs, kind: str, call: str) -> list[float]:
    """What a contender adds to the bare call, by round, in nanoseconds."""
    return [mine[call] - bare[call] for mine, bare in zip(costs[kind], costs[_BARE], strict=True)]


def ratios(costs: Costs, call: str) -> list[float]:
    """What ours adds, as a multiple of what upstream's and redis-py's own add together, by round."""
    return [
        ours / theirs
        for ours, theirs in zip(added(costs, "tickspan", call), added(costs, _BOTH, call), strict=True)
    ]


def _table(costs: Costs, calls: tuple[str, ...], version: str) -> Table:
    rows = [
        (
            kind,
            call,
            f"{median(each[call] for each in costs[kind]) / 1e3:,.1f}",
            "-" if kind == _BARE else f"{median(added(costs, kind, call)) / 1e3:,.1f}",
        )
        for call in calls
        for kind in _KINDS
    ]
    note = (
        f"CPU time of the calling thread, redis-py {version}, blocking client. native: durations,"
        " connections and errors by redis-py's own observability; contrib: spans by"
        " `opentelemetry-instrumentation-redis`; both on the stock SDK, their spans batched. tickspan:"
        " spans, durations, and a pool's counts, waits, uses and errors."
    )
    return Table("redis-py, told", ("contender", "call", "µs", "added, µs"), tuple(rows), note)


def _target(costs: Costs, call: str) -> Target:
    spread = Spread.of(ratios(costs, call))
    return at_most(f"added CPU, {call}, beside contrib + native", OURS, spread, _LIMIT)


def _faults(seen: Mapping[str, Any]) -> list[str]:
    """What ours should have told and did not."""
    mine = seen["tickspan"]
    missing = sorted(_OURS_TELLS - set(mine["metrics"]))
    lost = [] if mine["spans"] else ["tickspan told no span of redis-py"]
    return lost + [f"tickspan measured no {name}" for name in missing]
