"""What samplers cost: CPU time of their own, how much longer work takes beside them, and a feed's latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.pipeline.figures import Tail, is_within, spread_of
from benchmarks.pipeline.ground import ROOT, in_turns, launch
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target, multiple
from benchmarks.runtime import outside
from benchmarks.runtime.place import Place
from benchmarks.sidebyside.lines import Child, ChildError, Launch

OURS, NOTHING = "tickspan", "none"
THREADS: Final = (1, 50)
BUDGET: Final = 0.01
"""The share of a processor that `cpu_budget` allows unless it is set."""
_ALLOWANCE: Final = 0.005
_WARM_UP: Final = 20_000
_TRACED: Final = 5
"""How many times longer a call takes that is traced: such a contender gets so much less work."""
_TURNS_IN_A_LOOK: Final = 6
_PER_SECOND: Final = 2_000
_FEED_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Contender:
    """A profiler at a rate."""

    name: str
    hz: float = 0.0
    is_tracer: bool = False

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.name}, {self.hz:g} Hz" if self.hz else self.name

    @property
    def inside(self) -> str:
        """What the process itself is to start."""
        return "" if self.name == NOTHING or self.name in outside.PROGRAMS else self.name


CONTENDERS: Final = (
    Contender(NOTHING),
    *(Contender(name, hz) for name in (OURS, "py-spy", "austin", "pyinstrument") for hz in (10.0, 100.0)),
    Contender("cProfile", is_tracer=True),
)
_AT_A_FEED: Final = tuple(one for one in CONTENDERS if one.hz <= 10.0 and not one.is_tracer)

Turn = Mapping[str, Any]
Turns = Mapping[tuple[str, int], Mapping[int, Turn]]
"""By the contender's title and number of threads: what came in each round."""
Tails = Mapping[str, Sequence[Tail]]


def sampled(place: Place, progress: Progress) -> Section:
    """Everybody on a fixed amount of work, in 1 and in 50 threads; and who samples, behind a feed."""
    missing = _missing(place)
    with ExitStack() as stack:
        child = stack.enter_context(Child("benchmarks.runtime.workload", launch=_launch(place)))
        feed = stack.enter_context(Child("benchmarks.pipeline.feed", launch=launch()))
        child.hello()
        feed.hello()
        turns = _worked(place, child, missing, progress)
        tails = _fed(place, child, feed, missing, progress)
    return section(turns, tails, missing)


def _launch(place: Place) -> Launch:
    """Our interpreter, which finds the peers' packages behind its own."""
    packages = next((place.peers.home / "lib").glob("python*/site-packages"))
    return Launch(path=(ROOT, packages), settings={"PYTHONHASHSEED": "0"})


def _missing(place: Place) -> dict[str, str]:
    """Why a peer takes no part, by name."""
    folder = Path(place.peers.python).parent
    found = {name: outside.lacking(folder / name) for name in outside.PROGRAMS}
    found["pyinstrument"] = place.peers.missing.get("pyinstrument", "")
    return {name: reason for name, reason in found.items() if reason}


def _worked(place: Place, child: Child, missing: dict[str, str], progress: Progress) -> Turns:
    turn_s = place.scale.sampled_s / _TURNS_IN_A_LOOK
    rounds = max(1, place.scale.rounds // 2)
    _turn(place, child, Contender(NOTHING), threads=1, units=_WARM_UP)
    once = _turn(place, child, Contender(NOTHING), threads=1, units=_WARM_UP)
    units = int(_WARM_UP * turn_s / once["wall_s"])
    turns: dict[tuple[str, int], dict[int, Turn]] = {}
    known = {one.title: one for one in CONTENDERS}
    for number, title in in_turns(known, rounds):
        contender = known[title]
        progress(f"work, round {number + 1} of {rounds}: {title}")
        for threads in THREADS:
            if contender.name in missing:
                continue
            share = _TRACED if contender.is_tracer else 1
            try:
                came = _turn(place, child, contender, threads=threads, units=units // share)
            except ChildError as error:
                missing[contender.name] = str(error)
                continue
            turns.setdefault((title, threads), {})[number] = {**came, "share": share}
    return turns


def _turn(place: Place, child: Child, contender: Contender, **task: int) -> dict[str, Any]:
    """One amount of work under one profiler."""
    question = {"task": "work", "profiler": contender.inside, "hz": contender.hz, **task}
    if contender.name not in outside.PROGRAMS:
        return child.ask(question)
    with outside.looking(Path(place.peers.python).parent, contender.name, child.pid, contender.hz) as looks:
        came = child.ask(question)
    return {**came, **looks.figures}


def _fed(place: Place, child: Child, feed: Child, missing: dict[str, str], progress: Progress) -> Tails:
    messages = int(_PER_SECOND * min(_FEED_S, place.scale.sampled_s))
    tails: dict[str, list[Tail]] = {}
    known = {one.title: one for one in _AT_A_FEED}
    for number, title in in_turns(known, place.scale.rounds):
        contender = known[title]
        if contender.name in missing:
            continue
        progress(f"feed, round {number + 1} of {place.scale.rounds}: {title}")
        port = feed.ask({"first": 0, "messages": messages, "per_second": _PER_SECOND})["port"]
        came = _listening(place, child, contender, port, messages)
        feed.hello()
        tails.setdefault(title, []).append(Tail.of(came["latencies_ns"]))
    return tails


def _listening(place: Place, child: Child, contender: Contender, port: int, messages: int) -> dict[str, Any]:
    question = {"task": "feed", "profiler": contender.inside, "hz": contender.hz}
    question |= {"port": port, "messages": messages}
    if contender.name not in outside.PROGRAMS:
        return child.ask(question)
    with outside.looking(Path(place.peers.python).parent, contender.name, child.pid, contender.hz):
        return child.ask(question)


def section(turns: Turns, tails: Tails, missing: Mapping[str, str]) -> Section:
    """What was measured, as tables, targets and faults."""
    return Section(
        "samplers",
        (_work_table(turns, missing), _feed_table(tails, missing)),
        (*_budgets(turns), *_inside(tails)),
        tuple(_faults(turns)),
        {
            "missing": dict(missing),
            "turns": {f"{title} / {threads}": dict(came) for (title, threads), came in turns.items()},
            "p999_ns": {title: [tail.p999 for tail in came] for title, came in tails.items()},
        },
    )


def slowdown(turns: Turns, title: str, threads: int) -> list[float]:
    """The work's time as a multiple of its time without a profiler, in each round that both have."""
    own, without = turns.get((title, threads), {}), turns.get((NOTHING, threads), {})
    return [
        came["wall_s"] * came["share"] / without[number]["wall_s"]
        for number, came in own.items()
        if number in without
    ]


def own_share(turns: Turns, title: str, threads: int) -> list[float]:
    """CPU time of the profiler's own thread or process, of one processor; nothing where it has neither."""
    came = turns.get((title, threads), {}).values()
    return [turn["own_cpu_s"] / turn["wall_s"] for turn in came if "own_cpu_s" in turn]


def _rate(turns: Turns, title: str, threads: int) -> str:
    came = [turn["samples"] / turn["wall_s"] for turn in turns[title, threads].values() if "samples" in turn]
    return f"{median(came):,.0f}" if came else "-"


def _work_table(turns: Turns, missing: Mapping[str, str]) -> Table:
    columns = (
        "contender",
        *(f"{what}, {n} threads" for n in THREADS for what in ("time", "own CPU", "a second")),
    )
    rows: list[tuple[str, ...]] = []
    for one in CONTENDERS:
        if one.name in missing:
            rows.append((one.title, missing[one.name], *[""] * (len(columns) - 2)))
            continue
        cells: list[str] = []
        for threads in THREADS:
            own = own_share(turns, one.title, threads)
            cells += [
                multiple(spread_of(slowdown(turns, one.title, threads))),
                f"{median(own):.2%}" if own else "-",
                _rate(turns, one.title, threads),
            ]
        rows.append((one.title, *cells))
    note = (
        "A fixed amount of small calls. time: as a multiple of the same work without a profiler in the same"
        " round, for all threads together. own CPU: of a profiler's own thread or process, of one processor;"
        " pyinstrument and cProfile run in the program's threads, so theirs is in the time. a second: looks;"
        " of py-spy samples of threads, of cProfile calls. pyinstrument looks at one thread only."
    )
    return Table("Samplers beside work", columns, tuple(rows), note)


def _feed_table(tails: Tails, missing: Mapping[str, str]) -> Table:
    rows: list[tuple[str, ...]] = []
    limit = max((tail.p999 for tail in tails.get(NOTHING, ())), default=0.0)
    for one in _AT_A_FEED:
        if one.name in missing:
            rows.append((one.title, missing[one.name], "", "", "", ""))
            continue
        came = tails[one.title]
        within = sum(tail.p999 <= limit for tail in came)
        middles = [f"{median(values) / 1e3:,.0f}" for values in zip(*map(_points, came), strict=True)]
        ordered = sorted(tail.p999 / 1e3 for tail in came)
        rows.append(
            (one.title, *middles, f"{ordered[0]:,.0f} … {ordered[-1]:,.0f}", f"{within} of {len(came)}")
        )
    columns = ("contender", "p50 µs", "p99 µs", "p99.9 µs", "p99.9 of the rounds", "rounds within")
    note = (
        "From sending to the end of handling, with a span around it. Medians of the rounds. rounds within:"
        " whose p99.9 is no greater than the greatest without a profiler."
    )
    return Table(f"An asyncio feed of {_PER_SECOND:,} messages a second", columns, tuple(rows), note)


def _points(tail: Tail) -> tuple[float, float, float]:
    return tail.p50, tail.p99, tail.p999


def _budgets(turns: Turns) -> list[Target]:
    found: list[Target] = []
    for one in CONTENDERS:
        for threads in THREADS if one.name == OURS else ():
            own = own_share(turns, one.title, threads)
            found.append(
                Target(
                    f"CPU of the sampler at {one.hz:g} Hz beside {threads} threads",
                    OURS,
                    f"≤ {BUDGET + _ALLOWANCE:.1%} of a processor",
                    f"{median(own):.2%}" if own else "not measured",
                    median(own) <= BUDGET + _ALLOWANCE if own else None,
                )
            )
    return found


def _inside(tails: Tails) -> list[Target]:
    without = [tail.p999 for tail in tails.get(NOTHING, ())]
    own = [tail.p999 for one in _AT_A_FEED if one.name == OURS for tail in tails.get(one.title, ())]
    if not own or not without:
        return []
    return [
        Target(
            "p99.9 of a feed sampled at 10 Hz",
            OURS,
            "inside its range without",
            f"{median(own) / 1e3:,.0f} µs; without {min(without) / 1e3:,.0f} … {max(without) / 1e3:,.0f} µs",
            is_within(own, without),
        )
    ]


def _faults(turns: Turns) -> list[str]:
    return [
        f"samplers: {title}, {threads} threads: no look in round {number + 1}"
        for (title, threads), came in turns.items()
        for number, turn in came.items()
        if title.startswith(OURS) and not turn["samples"]
    ]
