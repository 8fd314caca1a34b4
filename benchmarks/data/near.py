"""Near caches: what a hit costs, and how soon a change elsewhere is heard of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.data.contenders import OURS
from benchmarks.data.neighbour import summed
from benchmarks.data.place import Place
from benchmarks.pipeline.figures import percentile
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target

_CONTENDERS: Final = ("redis-py", "cashews", OURS)
_BATCHES: Final = 10
_LAG_US: Final = 1_000.0

Told = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]


def neighbours(place: Place, progress: Progress) -> Section:
    """Changes one after another, each watched until it is heard of; then hits."""
    names, missing = place.present(_CONTENDERS)
    rounds = place.scale.neighbours
    told: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for number, (name, tier) in _turns(place, names, rounds):
        progress(f"round {number + 1} of {rounds}: {name}, {tier}")
        with place.child("neighbour", name, place.url) as child:
            child.hello()
            asked = {"of": tier, "changes": place.scale.changes, "batches": _BATCHES}
            told.setdefault((name, tier), []).append(child.ask(asked))
    return Section(
        "near", (_table(told, missing),), tuple(targets(told)), tuple(faults(told)), {"told": _plain(told)}
    )


def _turns(place: Place, names: Sequence[str], rounds: int) -> Iterator[tuple[int, tuple[str, str]]]:
    """Each tier of each contender in each round; a process for each, since they set up what is global."""
    tiers: dict[tuple[str, str], str] = {}
    for name in names:
        with place.child("neighbour", name, place.url) as child:
            tiers |= {(name, tier): tier for tier in child.hello()["tiers"]}
    for number in range(rounds):
        for key in tiers:
            yield number, key


def _plain(told: Told) -> dict[str, Any]:
    return {f"{name}: {tier}": came for (name, tier), came in told.items()}


def _table(told: Told, missing: tuple[str, ...]) -> Table:
    rows: list[tuple[str, ...]] = []
    for (name, tier), came in told.items():
        done = [each for each in came if each.get("lags_ns")]
        if not done:
            rows.append((name, tier, *("-",) * 4, *_why_not(came)))
            continue
        lags = summed({"lags_ns": [lag for each in done for lag in each["lags_ns"]]})
        lost, stale = (sum(each[what] for each in done) for what in ("lost", "stale"))
        for call in done[0]["hits"]:
            cost = median(percentile(each["hits"][call], 0.1) for each in done)
            rows.append(
                (
                    name,
                    f"{tier}: `{call}`",
                    f"{cost / 1e3:,.2f}",
                    *(f"{lags[what]:,.0f}" for what in ("p50", "p99", "longest")),
                    str(stale),
                    f"{lost} changes never heard of" if lost else "",
                )
            )
    note = (
        "A hit: CPU time of the calling thread. Heard of: from the end of the other one's write"
        " until a read gives the new value; both are in one process. Stale: values that are old when"
        " all has been quiet for 0.2 s. redis-py wants a server of version 7.4 for its client-side"
        " caching and refuses an older one; its second row lowers that limit, since what it asks of"
        " the server is there from 6.0 on. cashews hears nothing over the protocol that redis-py 8"
        " speaks by default (RESP3); its second row asks for RESP2."
    )
    return Table(
        "A near cache",
        ("contender", "tier", "hit, µs", "heard of, p50 µs", "p99", "longest", "stale", ""),
        tuple(rows),
        " ".join((note, *missing)),
    )


def _why_not(came: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Stale values, and a word."""
    refused = next((each["unavailable"] for each in came if "unavailable" in each), None)
    if refused is not None:
        return "-", refused
    return str(sum(each["stale"] for each in came)), "no change was heard of"


def faults(told: Told) -> list[str]:
    """Ours must not be stale, nor miss a change."""
    return [
        f"near: {name}, {tier}: {each.get('unavailable') or _counts(each)}"
        for (name, tier), came in told.items()
        if name == OURS
        for each in came
        if "unavailable" in each or each["stale"] or each["lost"]
    ]


def _counts(each: Mapping[str, Any]) -> str:
    return f"{each['stale']} stale, {each['lost']} changes never heard of"


def targets(told: Told) -> list[Target]:
    done = [each for (name, _), came in told.items() if name == OURS for each in came if each.get("lags_ns")]
    if not done:
        return []
    lags = [lag for each in done for lag in each["lags_ns"]]
    p50 = percentile(lags, 0.5) / 1e3
    stale = sum(each["stale"] for each in done)
    return [
        Target(
            "a change elsewhere is heard of, p50",
            OURS,
            f"≤ {_LAG_US:,.0f} µs",
            f"{p50:,.0f} µs",
            p50 <= _LAG_US,
        ),
        Target("stale reads once all is quiet", OURS, "0", f"{stale} of {len(lags):,} changes", stale == 0),
    ]
