"""What arrives, decoded: 50,000 spans a second for some seconds, and a burst as fast as it goes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from . import processes
from .contenders import EMPTY, OURS, PURE, of_signal
from .figures import is_flat, percent
from .place import Place, Turn
from .race import Progress, Race, run
from .scale import Scale
from .sections import Section, Table, Target

_PER_SECOND: Final = 50_000
_GROUP: Final = 50
_QUIET_S: Final = 8.0
_PEERS_QUIET_S: Final = 2.0
"""Theirs have sent all that they ever will when they have flushed."""
_MEBIBYTE: Final = 1 << 20
_ALLOWANCE: Final = 32 * _MEBIBYTE
"""Growth that is no growth with the load: three mapped segments of 8 MiB, and what an allocator keeps."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One load and what came of it."""

    offered: int
    took_s: float
    """Until the caller had made its last call."""
    settled_s: float
    """After that, until all that ever came had come and was decoded."""
    count: int
    """Came, whole and once."""
    wrong: int
    twice: int
    fault: str | None
    rss_start: int
    rss_peak: int
    rss_end: int
    private_peak: int

    @property
    def share(self) -> float:
        """Of what was offered."""
        return self.count / self.offered


def delivery(place: Place, scale: Scale, progress: Progress) -> Section:
    """Both loads, for all that send spans."""
    contenders = [contender for contender in of_signal("spans") if contender.name != EMPTY]
    steady = run(
        place,
        contenders,
        "spans",
        1,
        lambda turn: _offered(turn, scale),
        lambda said: progress(f"steady, {said}"),
    )
    burst = run(
        place,
        contenders,
        "spans",
        1,
        lambda turn: _burst(turn, scale),
        lambda said: progress(f"burst, {said}"),
    )
    names = [contender.name for contender in contenders]
    tables = (
        _table(f"{_PER_SECOND:,} spans a second offered for {scale.offered_s:g} s", steady, names),
        _table("A burst, as fast as it goes", burst, names),
    )
    targets = (
        *_targets(f"{_PER_SECOND:,} spans/s offered", steady),
        *_targets(f"burst of {scale.burst_spans:,} spans", burst),
        *_flatness(burst),
    )
    data = {"steady": steady.data(), "burst": burst.data()}
    faults = (*steady.faults("steady", _shortfall), *burst.faults("burst", _shortfall))
    return Section("delivery", tables, targets, faults, data)


def _shortfall(value: Delivered) -> str | None:
    if value.wrong:
        return f"{value.wrong:,} came with {value.fault}"
    return None if value.count == value.offered else f"{value.offered - value.count:,} spans did not come"


def _offered(turn: Turn, scale: Scale) -> Delivered:
    count = int(scale.offered_s * _PER_SECOND)
    return _loaded(turn, count, "paced", per_second=_PER_SECOND, size=_GROUP)


def _burst(turn: Turn, scale: Scale) -> Delivered:
    count = scale.burst_spans if turn.contender.is_ours else scale.peers_burst_spans
    return _loaded(turn, count, "burst")


def _loaded(turn: Turn, count: int, task: str, **arguments: Any) -> Delivered:
    turn.warm_up()
    warm = turn.recorded
    with processes.watched(turn.child.pid) as memory:
        start = time.monotonic()
        turn.ask(task, first=turn.numbers(count), count=count, **arguments)
        took_s = time.monotonic() - start
        found = turn.settle(_QUIET_S if turn.contender.is_ours else _PEERS_QUIET_S)
    settled_s = time.monotonic() - start - took_s
    return Delivered(
        count,
        took_s,
        settled_s,
        found["count"] - warm,
        found["wrong"],
        found["twice"],
        found["fault"],
        memory.start,
        memory.peak,
        memory.end,
        memory.peak_private,
    )


def _table(title: str, race: Race[Delivered], names: list[str]) -> Table:
    columns = (
        "contender",
        "offered",
        "delivered",
        "share",
        "otherwise",
        "caller s",
        "RSS MiB start",
        "peak",
        "end",
    )
    note = (
        "delivered: decoded, each of the five attributes as it was set, each span once. "
        "Who cannot keep the pace goes on for a fifth of the time more."
    )
    return Table(title, columns, tuple(_row(race, name) for name in names), note)


def _row(race: Race[Delivered], name: str) -> tuple[str, ...]:
    if name in race.missing:
        return (name, race.missing[name], *[""] * 7)
    (value,) = race.values[name].values()
    otherwise = [f"{value.wrong:,} wrong: {value.fault}"] if value.wrong else []
    otherwise += [f"{value.twice:,} twice"] if value.twice else []
    memory = [f"{size / _MEBIBYTE:.0f}" for size in (value.rss_start, value.rss_peak, value.rss_end)]
    return (
        name,
        f"{value.offered:,}",
        f"{value.count:,}",
        percent(value.share),
        "; ".join(otherwise),
        f"{value.took_s:.1f}",
        *memory,
    )


def _targets(what: str, race: Race[Delivered]) -> list[Target]:
    return [
        Target(
            what,
            name,
            "100 % delivered",
            f"{percent(value.share)} ({value.count:,} of {value.offered:,})",
            value.count == value.offered and not value.wrong,
        )
        for name in (OURS, PURE)
        for value in race.values.get(name, {}).values()
    ]


def _flatness(race: Race[Delivered]) -> list[Target]:
    return [
        Target(
            "memory in the burst",
            name,
            f"flat (grows by no more than {_ALLOWANCE // _MEBIBYTE} MiB in all)",
            f"{value.rss_start / _MEBIBYTE:.0f} → {value.rss_peak / _MEBIBYTE:.0f} MiB",
            is_flat(value.rss_start, value.rss_peak, _ALLOWANCE),
        )
        for name in (OURS, PURE)
        for value in race.values.get(name, {}).values()
    ]
