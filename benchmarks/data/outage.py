"""Redis goes away: killed, or stopped so that it stays silent; how long calls take under each library."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from statistics import median
from typing import Any, Final

from benchmarks.data.contenders import OURS
from benchmarks.data.place import Place
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.sidebyside.lines import Child
from scripts import backends, servers

_TIERS: Final = (
    ("redis-py", "Redis, blocking"),
    ("redis-py", "Redis, blocking, from_url"),
    ("redis-py", "Redis"),
    ("dogpile.cache", "Redis, blocking"),
    ("aiocache", "Redis"),
    ("cashews", "Redis"),
    (OURS, "Redis, blocking"),
    (OURS, "Redis"),
)
_KINDS: Final = {"killed": signal.SIGKILL, "silent": signal.SIGSTOP}
_CALLS: Final = 100
_LONGEST_MS: Final = 250 * 1.1
"""Our limit for a connection, and 10 %."""
_OPEN_US: Final = 20.0

Called = Mapping[tuple[str, str, str], Mapping[str, Any]]
"""By contender, tier and kind of outage."""


def outages(place: Place, progress: Progress) -> Section:
    """All are connected when it happens. Peers wait side by side; ours is called when they have ended."""
    names, missing = place.present([name for name, _ in _TIERS])
    called: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for kind, number in _KINDS.items():
        progress(kind)
        for group in (
            [pair for pair in _TIERS if pair[0] != OURS],
            [pair for pair in _TIERS if pair[0] == OURS],
        ):
            pairs = [pair for pair in group if pair[0] in names]
            if not pairs:
                continue
            for pair, came in zip(pairs, _without_redis(place, pairs, number), strict=True):
                called[*pair, kind] = came
    return Section(
        "outage", (_table(called, missing),), tuple(targets(called)), (), {"called": _plain(called)}
    )


def _without_redis(
    place: Place, pairs: list[tuple[str, str]], number: signal.Signals
) -> list[Mapping[str, Any]]:
    """What each has to say of its calls, in the order of `pairs`; the server is one of its own."""
    found = backends.backend("redis-server")
    assert isinstance(found, backends.Backend)
    with ExitStack() as stack:
        server = stack.enter_context(servers.redis_server(found.executable))
        stack.callback(_let_go, server.pid)
        children = [
            stack.enter_context(place.child("caller", name, tier, server.url)) for name, tier in pairs
        ]
        for child in children:
            child.hello()
        os.kill(server.pid, number)
        asked = {"calls": _CALLS, "patience_s": place.scale.patience_s}

        def ask(child: Child) -> Mapping[str, Any]:
            said: Mapping[str, Any] = child.ask(asked)
            return said

        with ThreadPoolExecutor(len(children)) as pool:
            return list(pool.map(ask, children))


def _let_go(pid: int) -> None:
    """A stopped server cannot end."""
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


def _plain(called: Called) -> dict[str, Any]:
    return {", ".join(key): came for key, came in called.items()}


def later(seconds: Sequence[float]) -> float:
    """The middle of the last half: what a call takes when the library has understood."""
    return median(seconds[len(seconds) // 2 :])


def _later(seconds: Sequence[float], *, is_over: bool = True) -> str:
    """In microseconds; a call that still waited may take any time."""
    if not seconds:
        return "-"
    return f"{'' if is_over else '> '}{later(seconds) * 1e6:,.0f}"


def _table(called: Called, missing: tuple[str, ...]) -> Table:
    rows: list[tuple[str, ...]] = []
    for (name, tier, kind), came in called.items():
        seconds, outcomes = came["seconds"], came["outcomes"]
        is_over = "still waits" not in outcomes
        rows.append(
            (
                name,
                tier,
                kind,
                f"{len(seconds)}",
                f"{seconds[0] * 1e3:,.2f}",
                f"{max(seconds) * 1e3:,.1f}",
                _later(seconds, is_over=is_over),
                _later(came["quickly"]),
                ", ".join(f"{outcome} ({times})" for outcome, times in outcomes.items()),
            )
        )
    note = (
        f"Up to {_CALLS} reads of keys that memory does not know, one after another with 10 ms between them,"
        " on connections that were there when it happened; libraries as installed. Later: the median of the"
        " last half; quickly: the same of calls without a pause. `still waits`: the patience of this"
        " benchmark ended first."
    )
    return Table(
        "Reads while Redis is away",
        (
            "contender",
            "tier",
            "Redis",
            "calls",
            "first, ms",
            "longest, ms",
            "later, µs",
            "quickly, µs",
            "outcomes",
        ),
        tuple(rows),
        " ".join((note, *missing)),
    )


def targets(called: Called) -> list[Target]:
    targets: list[Target] = []
    for (name, tier, kind), came in called.items():
        if name != OURS:
            continue
        longest_ms = max(came["seconds"]) * 1e3
        later_us = later(came["quickly"] or came["seconds"]) * 1e6
        targets += [
            Target(
                f"longest call, {tier}, {kind}",
                OURS,
                f"≤ {_LONGEST_MS:g} ms",
                f"{longest_ms:.1f} ms",
                longest_ms <= _LONGEST_MS,
            ),
            Target(
                f"a call with the breaker open, {tier}, {kind}",
                OURS,
                f"≤ {_OPEN_US:g} µs",
                f"{later_us:.1f} µs",
                later_us <= _OPEN_US,
            ),
        ]
    return targets
