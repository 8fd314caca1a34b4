"""What the analysis of statements disturbs: how late a thread ticks beside a process, the agent, a thread."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks.pipeline import processes
from benchmarks.pipeline.figures import percentile
from benchmarks.pipeline.ground import in_turns, launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.queries.place import Place
from benchmarks.sidebyside.lines import Child
from tickspan.processors.queries.store import FILE, QueryReader

_BESIDE: Final = ("idle", "a process that analyses", "the agent", "a thread that analyses")
_MILLISECOND: Final = 1e6
_NOISE_MS: Final = 0.1
_MOST_ROUNDS: Final = 4
_PATIENCE_S: Final = 60.0
Delays = Mapping[str, list[list[int]]]
"""Nanoseconds by which each tick was late, by round."""


def stalls(place: Place, progress: Progress) -> Section:
    """All of them in turns, each tick noted."""
    delays: dict[str, list[list[int]]] = {name: [] for name in _BESIDE}
    done: dict[str, list[float]] = {name: [] for name in _BESIDE}
    agents: list[dict[str, float]] = []
    rounds = min(place.scale.rounds, _MOST_ROUNDS)
    count = str(place.scale.statements)
    with ExitStack() as stack:
        ticker = stack.enter_context(Child("benchmarks.queries.ticker", count, launch=launch()))
        analyst = stack.enter_context(Child("benchmarks.queries.analyst", count, launch=launch()))
        ticker.hello()
        analyst.hello()
        for number, name in in_turns(_BESIDE, rounds):
            progress(f"round {number + 1} of {rounds}: beside {name}")
            said, amount = _turn(place, name, ticker, analyst)
            delays[name].append(said["delays"])
            done[name].append(amount)
            if name == "the agent":
                agents.append({key: said[key] for key in ("findings", "cpu_s")})
    return Section(
        "stall",
        (_table(delays, done, agents),),
        tuple(_targets(delays)),
        tuple(_faults(place, done, agents)),
        {
            "delays": {name: [_figures(one) for one in many] for name, many in delays.items()},
            "done": done,
            "agents": agents,
        },
    )


def _turn(place: Place, name: str, ticker: Child, analyst: Child) -> tuple[Any, float]:
    """What the ticker tells, and how many statements were read meanwhile."""
    seconds = place.scale.ticking_s
    if name == "the agent":
        return _beside_the_agent(place, seconds)
    if name == "a process that analyses":
        amounts: list[int] = []
        asking = threading.Thread(target=lambda: amounts.append(analyst.ask(seconds)))
        asking.start()
        said = ticker.ask({"seconds": seconds, "beside": "nothing"})
        asking.join()
        return said, amounts[0]
    said = ticker.ask({"seconds": seconds, "beside": "nothing" if name == "idle" else "thread"})
    return said, said["done"]


def _beside_the_agent(place: Place, seconds: float) -> tuple[Any, float]:
    """A process that has just recorded all statements; it ticks until its agent finds no more."""
    with place.spool() as (folder, settings):
        count = place.scale.statements
        with Child("benchmarks.queries.ticker", str(count), launch=launch(settings)) as ticker:
            ticker.hello()
            said = ticker.ask({"seconds": seconds, "beside": "recorded"})
            end_s = time.monotonic() + _PATIENCE_S
            before, read = (0, 0), _read(folder)
            while (read[0] < count or read != before) and time.monotonic() < end_s:
                said["delays"] += ticker.ask({"seconds": seconds, "beside": "nothing"})["delays"]
                before, read = read, _read(folder)
            said["cpu_s"] = sum(processes.cpu_ns(pid) for pid in processes.agents(folder)) / 1e9
        said["findings"] = read[1]
        return said, read[0]


def _read(folder: Path) -> tuple[int, int]:
    """How many statements an agent has noted, and what it has found in them."""
    path = next(folder.rglob(FILE), None)
    if path is None:
        return 0, 0
    with contextlib.suppress(sqlite3.OperationalError), QueryReader(path) as reader:
        return len(reader.statements()), sum(1 for _ in reader.findings())
    return 0, 0  # the agent is about to make the file


def _figures(delays: Sequence[int]) -> dict[str, float]:
    """Milliseconds."""
    return {
        "p50": percentile(delays, 0.5) / _MILLISECOND,
        "p99": percentile(delays, 0.99) / _MILLISECOND,
        "longest": max(delays) / _MILLISECOND,
    }


def _of_all(delays: Delays, name: str) -> dict[str, float]:
    return _figures([delay for one in delays[name] for delay in one])


def _table(delays: Delays, done: Mapping[str, list[float]], agents: Sequence[Mapping[str, float]]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name in _BESIDE:
        figures = _of_all(delays, name)
        told = f"{sum(done[name]) / len(done[name]):,.0f} statements"
        if name == "the agent":
            findings, cpu_s = (sum(one[key] for one in agents) / len(agents) for key in ("findings", "cpu_s"))
            told += f", {findings:,.0f} findings, {cpu_s:.2f} s of CPU time"
        rows.append((name, *(f"{figures[key]:.2f}" for key in ("p50", "p99", "longest")), told))
    return Table(
        "How late a thread is that sleeps 1 ms at a time",
        ("beside", "p50, ms", "p99, ms", "longest, ms", "read in a turn"),
        tuple(rows),
        "The agent's turn begins with as many new statements as the scale says, recorded by the same process,"
        " and ends when it finds nothing more in them: its tap has a share of a core. CPU time is that of the"
        " agent's whole life.",
    )


def _targets(delays: Delays) -> list[Target]:
    idle = _of_all(delays, "idle")
    found: list[Target] = []
    for name in ("a process that analyses", "the agent"):
        figures = _of_all(delays, name)
        added = figures["p50"] - idle["p50"]
        found.append(
            Target(
                f"a tick beside {name}, later than beside nothing",
                "tickspan",
                f"≤ {_NOISE_MS:g} ms at p50",
                f"{added:+.3f} ms (p99 {figures['p99'] - idle['p99']:+.2f} ms)",
                added <= _NOISE_MS,
            )
        )
    return found


def _faults(
    place: Place, done: Mapping[str, list[float]], agents: Sequence[Mapping[str, float]]
) -> list[str]:
    """Where nothing was read, nothing was measured."""
    faults = [
        f"stall: {name}: {amount:,.0f} of {place.scale.statements:,} statements"
        for name in _BESIDE[1:]
        for amount in done[name]
        if amount < place.scale.statements
    ]
    return faults + ["stall: the agent: no finding" for one in agents if not one["findings"]]
