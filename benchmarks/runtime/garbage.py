"""What the collector costs a session on a large heap, untuned and under each plan; what pools save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.pipeline.figures import percentile, ratios, spread_of
from benchmarks.pipeline.ground import in_turns, launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, at_most, multiple
from benchmarks.runtime import pooled, spinner, trader
from benchmarks.runtime.place import FULL, Place
from benchmarks.sidebyside.lines import Child

__all__ = ["collected"]

_TICKS, _FEWER_TICKS = 120_000, 20_000
_MOST_ROUNDS: Final = 2
"""Each is a heap of two million objects for each plan."""
_POOL_ROUNDS: Final = 5
_SPIN_ROUNDS: Final = 2
_HOLD_MS: Final = 1.0
_SHORTER: Final = 1 / 20
_LARGER: Final = 1.25
_MIB: Final = 1 << 20

Sessions = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""By plan and round."""


def collected(place: Place, progress: Progress) -> Section:
    """The same session under each plan, in turns, each in a fresh process; then the pools."""
    ticks = _TICKS if place.scale == FULL else _FEWER_TICKS
    rounds = min(_MOST_ROUNDS, place.scale.rounds)
    sessions: dict[str, dict[int, Mapping[str, Any]]] = {}
    for number, plan in in_turns(trader.PLANS, rounds):
        progress(f"round {number + 1} of {rounds}: {plan}")
        with Child("benchmarks.runtime.trader", plan, str(place.scale.objects), launch=launch()) as child:
            child.hello()
            sessions.setdefault(plan, {})[number] = child.ask({"ticks": ticks})
    gaps: dict[str, list[float]] = {}
    for way in (spinner.WITHOUT, spinner.WITH):
        progress(f"a thread that spins, {way} us")
        gaps[way] = _gaps(place, way)
    progress("pools")
    pools = _pools()
    return Section(
        "garbage",
        (
            _plans(sessions, place.scale.objects, ticks),
            _holds(gaps, place.scale.objects),
            _objects(pools),
            _buffers(pools),
        ),
        (*_targets_of_plans(sessions), _target_of_holds(gaps), *_targets_of_pools(pools)),
        tuple(_faults(sessions)),
        {"sessions": _without_pauses(sessions), "gaps_ms": gaps, "pools": pools},
    )


def _gaps(place: Place, way: str) -> list[float]:
    """Milliseconds for which a thread had to wait for the interpreter."""
    with place.ground.spool() as (_, settings):
        started = launch(settings)
        with Child("benchmarks.runtime.spinner", way, str(place.scale.objects), launch=started) as child:
            child.hello()
            return child.ask({"seconds": _SPIN_ROUNDS * place.scale.sampled_s})["gaps_ms"]


def _pools() -> list[Mapping[str, Any]]:
    with Child("benchmarks.runtime.pooled", launch=launch()) as child:
        child.hello()
        return [child.ask({"round": number}) for number in range(_POOL_ROUNDS)]


def _of(sessions: Sessions, plan: str, figure: str) -> dict[int, float]:
    """One figure of a plan by round."""
    return {number: _figures(found)[figure] for number, found in sessions[plan].items()}


def _figures(found: Mapping[str, Any]) -> dict[str, float]:
    pauses = found["pauses_ms"] or [0.0]
    return {
        "p50": percentile(pauses, 0.5),
        "p99": percentile(pauses, 0.99),
        "longest": max(pauses),
        "count": float(len(found["pauses_ms"])),
        "share": sum(pauses) / 1e3 / found["cpu_s"],
        "cpu_s": found["cpu_s"],
        "peak": found["peak_bytes"] / _MIB,
    }


def _plans(sessions: Sessions, objects: int, ticks: int) -> Table:
    rows = [
        (
            plan,
            *(
                f"{median(_of(sessions, plan, figure).values()):.2f} ms"
                for figure in ("p50", "p99", "longest")
            ),
            f"{median(_of(sessions, plan, 'count').values()):,.0f}",
            f"{median(_of(sessions, plan, 'share').values()):.0%}",
            f"{median(_of(sessions, plan, 'cpu_s').values()):.2f} s",
            f"{median(_of(sessions, plan, 'peak').values()):,.0f} MiB",
        )
        for plan in sessions
    ]
    note = (
        f"{ticks:,} ticks, an order with every second one, on a heap of {objects:,} objects. Pauses are CPU "
        "time of the thread that collects, of all generations; medians of rounds."
    )
    columns = ("plan", "pause p50", "p99", "longest", "collections", "share of CPU", "CPU", "memory")
    return Table("Pauses of the collector", columns, tuple(rows), note)


def _objects(pools: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            f"{fields} fields",
            *(
                f"{_cost(pools, fields, way):.0f} ns"
                for way in (pooled.POSITION, pooled.KEYWORD, pooled.POOLED)
            ),
            multiple(spread_of(_against(pools, fields, pooled.POSITION))),
            multiple(spread_of(_against(pools, fields, pooled.KEYWORD))),
        )
        for fields in pooled.FIELDS
    ]
    columns = ("slotted object", "by position", "by keyword", "pool", "pool, of position", "pool, of keyword")
    note = "Taking and giving back against making and dropping; without the empty loop."
    return Table("Pools of objects", columns, tuple(rows), note)


def _buffers(pools: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (way, f"{median(found['buffers'][way] for found in pools) / 1e3:.2f} µs")
        for way in (pooled.BUILT_BUFFER, pooled.POOLED_BUFFER)
    ]
    return Table("Buffers of 1 MiB", ("way", "cost"), tuple(rows))


def _holds(gaps: Mapping[str, Sequence[float]], objects: int) -> Table:
    rows = [
        (way, f"{max(found, default=0.0):.2f} ms", str(sum(gap > _HOLD_MS for gap in found)))
        for way, found in gaps.items()
    ]
    note = (
        f"A thread that reads a clock beside {objects:,} objects, spans and an idle loop; the collector is "
        "off. What threads waited for a CPU is taken off."
    )
    return Table("Waiting for the interpreter", ("tickspan", "longest", "over 1 ms"), tuple(rows), note)


def _target_of_holds(gaps: Mapping[str, Sequence[float]]) -> Target:
    longest = max(gaps[spinner.WITH], default=0.0)
    found = f"{longest:.2f} ms ({max(gaps[spinner.WITHOUT], default=0.0):.2f} ms without us)"
    return Target("the interpreter is held for at most", spinner.WITH, "≤ 1 ms", found, longest <= _HOLD_MS)


def _less_empty(found: Mapping[str, Any], fields: int, way: str) -> float:
    costs = found["ns"][str(fields)]
    return costs[way] - costs[pooled.EMPTY]


def _cost(pools: Sequence[Mapping[str, Any]], fields: int, way: str) -> float:
    return median(_less_empty(found, fields, way) for found in pools)


def _against(pools: Sequence[Mapping[str, Any]], fields: int, way: str) -> list[float]:
    return [_less_empty(found, fields, pooled.POOLED) / _less_empty(found, fields, way) for found in pools]


def _targets_of_plans(sessions: Sessions) -> list[Target]:
    own, untuned = (_of(sessions, plan, "longest") for plan in (trader.HFT, trader.UNTUNED))
    grown, before = (_of(sessions, plan, "peak") for plan in (trader.HFT, trader.UNTUNED))
    return [
        at_most("longest pause, of untuned", trader.HFT, spread_of(ratios(own, untuned)), _SHORTER),
        at_most("memory, of untuned", trader.HFT, spread_of(ratios(grown, before)), _LARGER),
    ]


def _targets_of_pools(pools: Sequence[Mapping[str, Any]]) -> list[Target]:
    buffers = [
        found["buffers"][pooled.POOLED_BUFFER] / found["buffers"][pooled.BUILT_BUFFER] for found in pools
    ]
    return [
        at_most(
            "4 fields, of making by keyword", "ObjectPool", spread_of(_against(pools, 4, pooled.KEYWORD)), 1.0
        ),
        at_most(
            "4 fields, of making by position",
            "ObjectPool",
            spread_of(_against(pools, 4, pooled.POSITION)),
            1.0,
        ),
        at_most("1 MiB, of a new bytearray", "BufferPool", spread_of(buffers), 1.0),
    ]


def _faults(sessions: Sessions) -> list[str]:
    """Each plan must do the same work, and give the collector back as it was."""
    traded = sessions[trader.UNTUNED][0]["traded"]
    return [
        f"garbage: {plan}: {said}"
        for plan, rounds in sessions.items()
        for found in rounds.values()
        for said, is_wrong in (
            (f"{found['traded']:,} fills instead of {traded:,}", found["traded"] != traded),
            ("revert() did not restore what was there", not found["restored"]),
        )
        if is_wrong
    ]


def _without_pauses(sessions: Sessions) -> dict[str, dict[int, dict[str, float]]]:
    return {
        plan: {number: _figures(found) for number, found in rounds.items()}
        for plan, rounds in sessions.items()
    }
