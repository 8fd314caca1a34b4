"""Latency behind a socket feed: from a message's sending to the end of its handling, one span in between."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Final

from .contenders import EMPTY, OURS, PURE, STOCK, of_signal
from .figures import Tail, is_within
from .place import Place, Turn
from .race import Progress, Race, run
from .scale import Scale
from .sections import Section, Table, Target, at_most, multiple

_PER_SECOND: Final = 2_000


@dataclass(frozen=True, slots=True)
class Fed:
    """One turn behind the feed."""

    tail: Tail
    feed_latest_ns: int
    """How late the feed itself was at the worst; no part of any latency."""
    fault: str | None


def tails(place: Place, scale: Scale, progress: Progress) -> Section:
    """All contenders that record spans, at 2,000 messages a second."""
    contenders = of_signal("spans")
    race = run(place, contenders, "spans", scale.tail_rounds, lambda turn: _fed(place, turn, scale), progress)
    messages = int(scale.feed_s * _PER_SECOND)
    columns = (
        "contender",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "x p99.9",
        "max ms",
        "> 1 ms",
        "rounds within",
        "as recorded",
    )
    rows = tuple(_row(race, contender.name) for contender in contenders)
    note = (
        "Medians of the rounds (max: of all). x p99.9: multiple of the stock SDK's in the same round, "
        "nothing subtracted. > 1 ms: share of all iterations. rounds within: whose p99.9 is no greater than "
        "the greatest of the empty loop's."
    )
    title = (
        f"Behind a feed of {_PER_SECOND:,} messages a second ({race.rounds} rounds of {messages:,} messages)"
    )
    return Section(
        "tail",
        (Table(title, columns, rows, note),),
        (*_targets(race, OURS), *_targets(race, PURE)),
        race.faults("tail", _fault),
        race.data(),
        {"p99.9 behind the feed": race.bars(_p999, less_empty=False)},
    )


def _fed(place: Place, turn: Turn, scale: Scale) -> Fed:
    turn.warm_up()
    messages = int(scale.feed_s * _PER_SECOND)
    plan = {"first": turn.numbers(messages), "messages": messages, "per_second": _PER_SECOND}
    port = place.feed.ask(plan)["port"]
    latencies = turn.ask("feed", port=port, messages=messages)
    latest_ns = place.feed.hello()["latest_ns"]
    return Fed(Tail.of(latencies), latest_ns, turn.shortfall(turn.settle()))


def _targets(race: Race[Fed], name: str) -> tuple[Target, ...]:
    own, empty = race.of(name, _p999), race.of(EMPTY, _p999)
    if not own or not empty:
        return ()
    late, empty_late = (median(race.of(who, _share_late)) for who in (name, EMPTY))
    within = Target(
        "p99.9 behind the feed",
        name,
        "inside the empty loop's own range",
        f"{median(own) / 1e3:,.0f} µs; empty {min(empty) / 1e3:,.0f} … {max(empty) / 1e3:,.0f} µs",
        is_within(own, empty),
    )
    share = Target(
        "iterations above 1 ms", name, f"≤ {empty_late:.3%} (empty loop)", f"{late:.3%}", late <= empty_late
    )
    ratio = at_most("p99.9 behind the feed", name, race.over_stock(name, _p999, less_empty=False), 0.1)
    return (ratio, within, share)


def _row(race: Race[Fed], name: str) -> tuple[str, ...]:
    if name in race.missing:
        return (name, race.missing[name], *[""] * 7)
    micros = [f"{median(race.of(name, figure)) / 1e3:,.0f}" for figure in (_p50, _p99, _p999)]
    ratio = "1" if name == STOCK else multiple(race.over_stock(name, _p999, less_empty=False))
    limit = max(race.of(EMPTY, _p999), default=0.0)
    own = race.of(name, _p999)
    within = f"{sum(value <= limit for value in own)} of {len(own)}"
    longest = f"{max(race.of(name, _longest)) / 1e6:.2f}"
    late = sum(race.of(name, _share_late)) / len(own)
    whole = "" if name == EMPTY else race.first_fault(name, _fault) or "all"
    return (name, *micros, ratio, longest, f"{late:.3%}", within, whole)


def _p50(value: Fed) -> float:
    return value.tail.p50


def _p99(value: Fed) -> float:
    return value.tail.p99


def _p999(value: Fed) -> float:
    return value.tail.p999


def _longest(value: Fed) -> float:
    return value.tail.longest


def _share_late(value: Fed) -> float:
    return value.tail.share_late


def _fault(value: Fed) -> str | None:
    return value.fault
