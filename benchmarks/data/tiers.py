"""Tiers: what a quote costs that is written to memory, Redis or disk by one cache and read by another one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from statistics import median
from typing import Any, Final

from benchmarks.data.contenders import OURS
from benchmarks.data.keeper import TASKS
from benchmarks.data.place import Place
from benchmarks.pipeline.figures import ratios, spread_of
from benchmarks.pipeline.ground import in_turns
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, multiple

_CONTENDERS: Final = ("redis-py", "dogpile.cache", "aiocache", "cashews", "diskcache", OURS)
_TIERS: Final = ("memory", "Redis", "disk")
_MEASURED: Final = {each for tier in _TIERS for each in (tier, f"{tier}, blocking")}
"""Others have measurements of their own."""
_MICROSECOND: Final = 1e3
_ROUNDS: Final = 3
"""At most: files and sockets are slow."""

Turns = Mapping[tuple[str, str], dict[int, dict[str, Any]]]
"""By contender and tier."""


def tiers(place: Place, progress: Progress) -> Section:
    """All tiers of all contenders, in turns, each turn with keys that nobody has seen."""
    names, missing = place.present(_CONTENDERS)
    rounds, keys = min(place.scale.rounds, _ROUNDS), place.scale.keys
    turns: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    with ExitStack() as stack:
        children = {
            name: stack.enter_context(place.child("keeper", name, place.url, str(place.folder)))
            for name in names
        }
        said = {name: child.hello() for name, child in children.items()}
        for number, name in in_turns(names, rounds):
            progress(f"round {number + 1} of {rounds}: {name}")
            for tier in said[name]["tiers"]:
                if tier in _MEASURED:
                    asked = {"of": tier, "first": number * keys, "keys": keys}
                    turns.setdefault((name, tier), {})[number] = children[name].ask(asked)
    faults = tuple(
        f"tiers: {name}, {tier}: {turn['wrong']} of {keys} quotes came back otherwise"
        for (name, tier), taken in turns.items()
        for turn in taken.values()
        if turn["wrong"]
    )
    data = {"versions": {name: said[name]["library"] for name in names}, "turns": _plain(turns)}
    return Section("tiers", (_table(turns, missing),), (), faults, data)


def _plain(turns: Turns) -> dict[str, Any]:
    return {f"{name}: {tier}": taken for (name, tier), taken in turns.items()}


def cpu(turns: Turns, name: str, tier: str, what: str) -> dict[int, float]:
    """Nanoseconds of CPU time of a call, by round."""
    return {number: turn[what]["cpu_ns"] for number, turn in turns.get((name, tier), {}).items()}


def _table(turns: Turns, missing: tuple[str, ...]) -> Table:
    rows = [
        _row(turns, name, tier) for place in _TIERS for name, tier in turns if tier.partition(",")[0] == place
    ]
    note = (
        "µs on the wall clock, one call after another; until written: with closing the cache that"
        " wrote. x CPU: CPU time of the process, beside ours of the same kind in the same round. The"
        " reading cache is new, so ours finds nothing in memory: it reads the tier, checks and"
        " decodes the envelope, and keeps the value. Peers write what they write by default: pickles"
        " (cashews, dogpile, diskcache) or JSON (aiocache); redis-py stands for one command with JSON."
    )
    return Table(
        "A quote in a tier: written through one cache, read through another one",
        (
            "tier",
            "contender",
            "set, µs",
            "p99",
            "until written, µs",
            "x CPU",
            "get, µs",
            "p99",
            "x CPU",
            f"get/s of {TASKS} tasks",
        ),
        tuple(rows),
        " ".join((note, *missing)),
    )


def _row(turns: Turns, name: str, tier: str) -> tuple[str, ...]:
    taken = list(turns[name, tier].values())

    def middle(what: str, figure: str) -> str:
        return f"{median(turn[what][figure] for turn in taken) / _MICROSECOND:,.1f}"

    def times(what: str) -> str:
        if name == OURS:
            return "1"
        return multiple(spread_of(ratios(cpu(turns, name, tier, what), cpu(turns, OURS, tier, what))))

    rates = [turn["rate"] for turn in taken if turn["rate"] is not None]
    return (
        tier,
        name,
        middle("write", "wall_ns"),
        middle("write", "p99_ns"),
        f"{median(turn['settled_ns'] for turn in taken) / _MICROSECOND:,.1f}",
        times("write"),
        middle("read", "wall_ns"),
        middle("read", "p99_ns"),
        times("read"),
        f"{median(rates):,.0f}" if rates else "-",
    )
