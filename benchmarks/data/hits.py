"""Hits in memory: what one costs, its tail, what four threads make of it, what is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from benchmarks.data.contenders import OURS, PLAIN
from benchmarks.data.place import Place
from benchmarks.data.reader import EMPTY, OWN_COPY
from benchmarks.pipeline.figures import percent, percentile, ratios, spread_of
from benchmarks.pipeline.ground import in_turns
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, at_least, multiple
from benchmarks.sidebyside.costs import Spread

GET, AWAIT_GET = "get", "await get"
DECORATED, DECORATED_ASYNC = "decorated", "decorated, async"
WITH_COUNTER: Final = "get, counter.add"
_OPERATIONS: Final = (GET, WITH_COUNTER, AWAIT_GET, DECORATED, DECORATED_ASYNC, OWN_COPY)
_CONTENDERS: Final = (PLAIN, "cachebox", "cachetools", "dogpile.cache", "aiocache", "cashews", OURS)
_MULTI_LEVEL: Final = ("dogpile.cache", "aiocache", "cashews")
_THREADS: Final = 4
_HITS_A_SECOND: Final = 1_000_000
_TIMES_THE_COUNTER: Final = 8
_TIMES_THE_PEERS: Final = 5
_TOGETHER: Final = 0.8


@dataclass(slots=True)
class Turns:
    """What was measured of one operation of one contender, by round."""

    costs: dict[int, float] = field(default_factory=dict[int, float])
    """Nanoseconds of CPU time, the tenth percentile of the batches; the empty loop is still in them."""
    tails: list[float] = field(default_factory=list[float])
    """The 99th percentile of single calls, in nanoseconds."""
    rates: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])


Measured = Mapping[tuple[str, str], Turns]


def hits(place: Place, progress: Progress) -> Section:
    """All operations of all contenders, in turns."""
    scale = place.scale
    names, missing = place.present(_CONTENDERS)
    measured: dict[tuple[str, str], Turns] = {}
    with ExitStack() as stack:
        children = {name: stack.enter_context(place.child("reader", name)) for name in names}
        said = {name: child.hello() for name, child in children.items()}
        for number, name in in_turns(names, scale.rounds):
            progress(f"round {number + 1} of {scale.rounds}: {name}")
            for operation, is_async in {EMPTY: True, **said[name]["operations"]}.items():
                turns = measured.setdefault((name, operation), Turns())
                ask = {"of": operation}
                costs = children[name].ask({**ask, "batches": scale.batches})
                turns.costs[number] = percentile(costs, 0.1)
                turns.tails.append(children[name].ask({**ask, "calls": scale.calls})["p99"])
                if not is_async:
                    threads = {"threads": _THREADS, "seconds": scale.threads_s}
                    turns.rates.append(children[name].ask({**ask, **threads}))
    faults = (
        *(
            f"hits: {name}: {wrong} values of {operation} came back otherwise"
            for name in names
            for operation, wrong in said[name]["wrong"].items()
            if wrong
        ),
        *(f"hits: {missed}" for missed in uncounted(measured)),
    )
    return Section(
        "hits",
        (_table(measured, missing),),
        tuple(_targets(measured)),
        faults,
        {
            "versions": {name: said[name]["library"] for name in names},
            "costs": {f"{name}: {operation}": turns.costs for (name, operation), turns in measured.items()},
        },
    )


def net(measured: Measured, name: str, operation: str) -> dict[int, float]:
    """Nanoseconds of a call by round, without the empty loop; empty when it was not measured."""
    if (name, operation) not in measured:
        return {}
    empty = measured[name, EMPTY].costs
    return {number: cost - empty[number] for number, cost in measured[name, operation].costs.items()}


def beside(measured: Measured, own: tuple[str, str], other: tuple[str, str]) -> Spread | None:
    """How many times as much `other` costs as `own`, round by round."""
    return spread_of(ratios(net(measured, *other), net(measured, *own)))


def best_of(measured: Measured, names: Sequence[str], operation: str) -> str | None:
    """Whose operation costs least."""
    known = {name: median(cost.values()) for name in names if (cost := net(measured, name, operation))}
    return min(known, key=known.__getitem__) if known else None


def together(turns: Turns) -> Spread | None:
    """What several threads do in a time, as a multiple of what one does."""
    return spread_of([rate["together"] / rate["alone"] for rate in turns.rates])


def counted(turns: Turns) -> float | None:
    """The share of the calls of threads that the library has counted; None when it does not count."""
    told = [rate for rate in turns.rates if rate["counted"] is not None]
    if not told:
        return None
    return sum(rate["counted"] for rate in told) / sum(rate["calls"] for rate in told)


def uncounted(measured: Measured) -> list[str]:
    """Ours must have counted every call."""
    shares = {operation: counted(turns) for (name, operation), turns in measured.items() if name == OURS}
    return [
        f"{OURS}: {operation}: counted {percent(share)} of the calls"
        for operation, share in shares.items()
        if share is not None and share != 1
    ]


def _table(measured: Measured, missing: tuple[str, ...]) -> Table:
    rows: list[tuple[str, ...]] = []
    empty = [
        cost
        for (_, operation), turns in measured.items()
        if operation == EMPTY
        for cost in turns.costs.values()
    ]
    late = [tail for (_, operation), turns in measured.items() if operation == EMPTY for tail in turns.tails]
    rows.append(("-", EMPTY, f"{median(empty):.0f}", f"{median(late):.0f}", "-", "-", "-"))
    for operation in _OPERATIONS:
        for name in _CONTENDERS:
            turns = measured.get((name, operation))
            if turns is None:
                continue
            own = (OURS, operation)
            share = counted(turns)
            rows.append(
                (
                    name,
                    operation,
                    f"{median(net(measured, name, operation).values()):,.0f}",
                    f"{median(turns.tails):,.0f}",
                    multiple(beside(measured, own, (name, operation))) if name != OURS else "1",
                    multiple(together(turns)),
                    "-" if share is None else percent(share),
                )
            )
    note = (
        "ns: CPU time of the calling thread without the empty loop's; p99 of single calls on the"
        f" wall clock, with the clock's own. x: of ours in the same round. {_THREADS} threads: calls"
        " in a time, beside one thread's. counted: of the threads' calls, by the library itself; -"
        f" does not count. Values are texts that are shared; {OWN_COPY}: a mapping that no caller can"
        " alter for others. cachetools stands behind a lock, since threads need one."
    )
    return Table(
        "A hit in memory",
        ("contender", "operation", "ns", "p99, ns", "x", f"{_THREADS} threads", "counted"),
        tuple(rows),
        " ".join((note, *missing)),
    )


def _targets(measured: Measured) -> list[Target]:
    if (OURS, GET) not in measured:
        return []
    cost_ns = median(net(measured, OURS, GET).values())
    threads = together(measured[OURS, GET])
    targets = [
        Target(
            "hits of `get_nowait` a second, counted",
            OURS,
            f"≥ {_HITS_A_SECOND:,}",
            f"{1e9 / cost_ns:,.0f}",
            1e9 / cost_ns >= _HITS_A_SECOND,
        ),
        at_least(
            "a hit that is counted by `counter.add`, beside ours",
            OURS,
            beside(measured, (OURS, GET), (OURS, WITH_COUNTER)),
            _TIMES_THE_COUNTER,
        ),
        at_least(f"hits of {_THREADS} threads, beside one thread's", OURS, threads, _TOGETHER),
    ]
    for operation in (AWAIT_GET, DECORATED, DECORATED_ASYNC):
        best = best_of(measured, _MULTI_LEVEL, operation)
        what = f"`{operation}` of {best or 'a multi-level peer'}, the best of its kind, beside ours"
        spread = None if best is None else beside(measured, (OURS, operation), (best, operation))
        targets.append(at_least(what, OURS, spread, _TIMES_THE_PEERS))
    return targets
