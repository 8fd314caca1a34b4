"""Redis as fast as one process can ask: our multiplexer beside clients, pipelines and a socket."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from benchmarks.data.asker import PIPELINE, stored
from benchmarks.data.contenders import OURS
from benchmarks.data.place import Place
from benchmarks.pipeline.figures import ratios, spread_of
from benchmarks.pipeline.ground import in_turns
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, at_least, multiple

_PEER: Final = "redis.asyncio"
_TASKS: Final = (1, 20, 100)
_MANY: Final = 100
_GETS_A_SECOND: Final = 100_000
_TIMES_THE_PEER: Final = 5
_CANCELLED_ROUNDS: Final = 100


@dataclass(frozen=True, slots=True)
class _Path:
    """A way to Redis, and the contender in whose environment it is taken."""

    contender: str
    label: str


_PATHS: Final[Mapping[str, _Path]] = {
    "socket": _Path("redis-py", "bare socket and hiredis, one command a call"),
    "socket, pipelines": _Path("redis-py", f"bare socket and hiredis, {PIPELINE} commands a call"),
    "redis-py": _Path("redis-py", "redis-py, blocking, one command a call"),
    "redis-py, pipelines": _Path("redis-py", f"redis-py, pipelines of {PIPELINE}"),
    _PEER: _Path("redis-py", "redis.asyncio"),
    "redis.asyncio, coalesced": _Path("redis-py", "redis.asyncio, the requests of a loop turn in a pipeline"),
    OURS: _Path(OURS, "tickspan, `cache.mux`"),
}

Turns = Mapping[tuple[str, int], dict[int, dict[str, float]]]
"""By path and number of tasks; 0 tasks: it blocks."""


def asked(place: Place, progress: Progress) -> Section:
    """GETs of known quotes, each compared, in turns."""
    import redis

    redis.Redis.from_url(place.url).mset(stored())  # pyright: ignore[reportArgumentType] - a mapping will do
    turns: dict[tuple[str, int], dict[int, dict[str, float]]] = {}
    names, missing = place.present([path.contender for path in _PATHS.values()])
    paths = [name for name, path in _PATHS.items() if path.contender in names]
    with ExitStack() as stack:
        children = {
            name: stack.enter_context(place.path(_PATHS[name].contender, "asker", name, place.url))
            for name in paths
        }
        said = {name: child.hello() for name, child in children.items()}
        for number, name in in_turns(paths, place.scale.rounds):
            progress(f"round {number + 1} of {place.scale.rounds}: {name}")
            for tasks in _TASKS if said[name]["is_async"] else (0,):
                came = children[name].ask({"tasks": tasks, "seconds": place.scale.asking_s})
                turns.setdefault((name, tasks), {})[number] = came
        cancelled = {
            name: children[name].ask({"cancelled": _CANCELLED_ROUNDS})
            for name in paths
            if said[name]["is_async"]
        }
    return Section(
        "mux",
        (_table(turns, missing), _cancelled_table(cancelled)),
        tuple(_targets(turns, cancelled)),
        tuple(_faults(turns, cancelled)),
        {
            "versions": {name: said[name]["library"] for name in paths},
            "turns": {f"{name}, {tasks} tasks": came for (name, tasks), came in turns.items()},
        },
    )


def rates(turns: Turns, name: str, tasks: int) -> dict[int, float]:
    """GETs a second on the wall clock, by round."""
    return {number: turn["asked"] / turn["seconds"] for number, turn in turns.get((name, tasks), {}).items()}


def _table(turns: Turns, missing: tuple[str, ...]) -> Table:
    rows: list[tuple[str, ...]] = []
    for (name, tasks), taken in turns.items():
        per_second = rates(turns, name, tasks)
        over_peer = spread_of(ratios(per_second, rates(turns, _PEER, tasks or _MANY)))
        cpu_us = median(turn["cpu_s"] / turn["asked"] for turn in taken.values()) * 1e6
        rows.append(
            (
                _PATHS[name].label,
                str(tasks or "-"),
                f"{median(per_second.values()):,.0f}",
                f"{cpu_us:.1f}",
                multiple(over_peer),
            )
        )
    note = (
        f"One process, one server, loopback. x: of {_PEER} with as many tasks in the same round, of"
        f" {_MANY} tasks for those that block. Client and server share the machine's cores: a rate on"
        " the wall clock includes the server's work where it has no core of its own."
    )
    return Table(
        "GETs of 70 bytes",
        ("path", "tasks", "GET/s", "CPU of the client, µs", f"x {_PEER}"),
        tuple(rows),
        " ".join((note, *missing)),
    )


def _cancelled_table(cancelled: Mapping[str, Mapping[str, int]]) -> Table:
    rows = tuple(
        (name, *(f"{came[what]:,}" for what in ("answered", "crossed", "failed")))
        for name, came in cancelled.items()
    )
    return Table(
        f"{_CANCELLED_ROUNDS} times {_MANY} GETs at once, a third of them cancelled",
        ("path", "answered", "with another's value", "not cancelled, but failed"),
        rows,
    )


def _faults(turns: Turns, cancelled: Mapping[str, Mapping[str, int]]) -> list[str]:
    wrong = [
        f"mux: {name}, {tasks} tasks: {turn['wrong']:.0f} of {turn['asked']:.0f} values came back otherwise"
        for (name, tasks), taken in turns.items()
        for turn in taken.values()
        if turn["wrong"]
    ]
    ours: Mapping[str, Any] = cancelled.get(OURS, {})
    return [
        *wrong,
        *(
            f"mux: {ours[what]} requests {what} beside cancelled ones"
            for what in ("crossed", "failed")
            if ours.get(what)
        ),
    ]


def _targets(turns: Turns, cancelled: Mapping[str, Mapping[str, int]]) -> list[Target]:
    own = rates(turns, OURS, _MANY)
    if not own:
        return []
    found = median(own.values())
    crossed = cancelled[OURS]["crossed"]
    return [
        Target(
            f"GETs a second of {_MANY} tasks",
            OURS,
            f"≥ {_GETS_A_SECOND:,}",
            f"{found:,.0f}",
            found >= _GETS_A_SECOND,
        ),
        at_least(
            f"the same, beside {_PEER}",
            OURS,
            spread_of(ratios(own, rates(turns, _PEER, _MANY))),
            _TIMES_THE_PEER,
        ),
        Target("replies to somebody else beside cancelled requests", OURS, "0", str(crossed), crossed == 0),
    ]
