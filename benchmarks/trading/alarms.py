"""Alarms: how long after its threshold a trouble is told, and whether a doubled order always is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section, Table, Target
from benchmarks.sidebyside.costs import Spread
from benchmarks.trading.alarming import GRACE_S, STALE_S, Trouble
from benchmarks.trading.place import Place
from tickspan.received import ReceivedLog
from tickspan.semconv import trading as names

_CHANNEL: Final = {names.EVENT_FEED_STALE: "ticker", names.EVENT_FEED_HANDLER_ERROR: "connection"}
"""The stream that an alarm is about: what the bot watches, or what its loop reads."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of trouble, and the alarm that it deserves."""

    story: str
    event: str
    threshold_s: float
    trouble: str
    """Of `alarming.streams`."""


_STALE: Final = names.EVENT_FEED_STALE
_DEAD: Final = names.EVENT_FEED_HANDLER_ERROR
KINDS: Final = (
    Kind("the venue falls silent", _STALE, STALE_S, "mute"),
    Kind("the venue falls silent, and the loop is blocked", _STALE, STALE_S, "mute, loop blocked"),
    Kind("the loop is blocked, nobody reads", _STALE, STALE_S, "loop blocked"),
    Kind("the connection breaks, nobody opens it again", _STALE, STALE_S, "broken"),
    Kind("the read loop dies of a message", _DEAD, 0, "dead"),
    Kind("the read loop dies: its stream is stale, too", _STALE, STALE_S, "dead"),
    Kind("the read loop dies, and the loop is blocked", _DEAD, 0, "dead, loop blocked"),
)
DOUBLES: Final[Mapping[str, str]] = {
    "ccxt": names.EVENT_ORDER_UNSAFE_RETRY,
    "ccxt, asynchronous": names.EVENT_ORDER_UNSAFE_RETRY,
    "alpaca-py": names.EVENT_ORDER_UNSAFE_RETRY,
    "requests and urllib3": names.EVENT_ORDER_UNSAFE_RETRY,
    "the program itself": names.EVENT_ORDER_DUPLICATE_SUSPECTED,
}


def alarms(place: Place, progress: Progress) -> Section:
    """Every kind, one after the other."""
    delays: dict[Kind, list[float | None]] = {}
    faults: list[str] = []
    for trouble in dict.fromkeys(kind.trouble for kind in KINDS):
        progress(f"{place.scale.alarms} times: {trouble}")
        done, logs = _troubled(place, trouble)
        for kind in (kind for kind in KINDS if kind.trouble == trouble):
            delays[kind] = delays_of(kind, done, logs)
            extra = len(alarms_in(logs, kind.event)) - len(done)
            faults += [f"alarms: {kind.story}: {extra} alarms too many"] if extra > 0 else []
    told: dict[str, tuple[int, int]] = {}
    for kind, event in DOUBLES.items():
        progress(f"{place.scale.alarms} orders are doubled: {kind}")
        told[kind] = _doubled(place, kind, event)
    return Section(
        "alarms",
        (_delays(delays), _doubles(told)),
        tuple(_targets(delays, told)),
        (*faults, *_faults(delays, told)),
        {"delays_s": {kind.story: found for kind, found in delays.items()}, "doubled": told},
    )


def _troubled(place: Place, trouble: str) -> tuple[list[Trouble], list[ReceivedLog]]:
    """When it happened, and what was told."""
    mine = [kind for kind in KINDS if kind.trouble == trouble]
    with place.spool() as settings:
        done: list[Trouble] = place.nursery.turn(
            "alarming:streams", settings, kind=trouble, times=place.scale.alarms
        )
        place.arrived(lambda server: all(None not in delays_of(kind, done, server.logs()) for kind in mine))
        return done, place.server.logs()


def _doubled(place: Place, kind: str, event: str) -> tuple[int, int]:
    """How many orders were doubled, and how many of the second ones have their event."""
    with place.spool() as settings:
        second = place.nursery.turn("alarming:doubled", settings, kind=kind, times=place.scale.alarms)[
            "second"
        ]
        place.arrived(lambda server: told_of(event, second, server.logs()) >= len(second))
        return len(second), told_of(event, second, place.server.logs())


def delays_of(kind: Kind, troubles: Iterable[Trouble], logs: Sequence[ReceivedLog]) -> list[float | None]:
    """Seconds from the threshold of each trouble to its alarm; None of one that was not told of in time."""
    told_ns = sorted(log.time_ns for log in alarms_in(logs, kind.event))
    first = [
        next((at for at in told_ns if trouble["since_ns"] <= at <= trouble["until_ns"]), None)
        for trouble in troubles
    ]
    return [
        None if at is None else (at - trouble["since_ns"]) / 1e9 - kind.threshold_s
        for at, trouble in zip(first, troubles, strict=True)
    ]


def alarms_in(logs: Iterable[ReceivedLog], event: str) -> list[ReceivedLog]:
    """The alarms of a kind about the stream that gets into trouble."""
    return [
        log
        for log in logs
        if log.event_name == event and log.attributes.get(names.FEED_CHANNEL) == _CHANNEL[event]
    ]


def told_of(event: str, client_ids: Sequence[str], logs: Iterable[ReceivedLog]) -> int:
    """How many of these orders have that event.

    Where each attempt has an id of its own, the event names the second one; where the venue gives the ids,
    each event is of some order.
    """
    told = [log.attributes.get(names.ORDER_CLIENT_ID) for log in logs if log.event_name == event]
    return len(told) if None in told else len({*client_ids} & {str(client_id) for client_id in told})


def _delays(delays: Mapping[Kind, Sequence[float | None]]) -> Table:
    rows: list[tuple[str, ...]] = []
    for kind, found in delays.items():
        known = [delay for delay in found if delay is not None]
        spread = Spread.of(known) if known else None
        rows.append(
            (
                kind.story,
                f"`{kind.event}`",
                f"{kind.threshold_s:g}",
                f"{len(known)} of {len(found)}",
                "-" if spread is None else f"{spread.median:.3f}",
                "-" if not known else f"{min(known):.3f} … {max(known):.3f}",
            )
        )
    columns = ("what happens", "alarm", "threshold s", "told", "median delay s", "least … greatest s")
    note = (
        "From the last message that the bot saw (or the exception) and the threshold on, to the time in the "
        "event that arrived. Each trouble is one of a new ccxt.pro object at a venue on loopback."
    )
    return Table("Streams in trouble", columns, tuple(rows), note)


def _doubles(told: Mapping[str, tuple[int, int]]) -> Table:
    rows = tuple(
        (kind, f"`{DOUBLES[kind]}`", f"{doubled:,}", f"{count:,}") for kind, (doubled, count) in told.items()
    )
    columns = ("sent again by", "event", "doubled", "told")
    return Table("Orders that are doubled after HTTP 504", columns, rows)


def _targets(
    delays: Mapping[Kind, Sequence[float | None]], told: Mapping[str, tuple[int, int]]
) -> Iterable[Target]:
    for kind, found in delays.items():
        known = [delay for delay in found if delay is not None]
        is_met = len(known) == len(found) and max(known) <= GRACE_S
        worst = f"at most {max(known):.3f} s later" if known else "never"
        yield Target(
            f"alarm: {kind.story}",
            "tickspan",
            f"threshold + {GRACE_S:g} s",
            f"{worst}, {len(known)} of {len(found)}",
            is_met,
        )
    doubled, count = (sum(pair[place] for pair in told.values()) for place in (0, 1))
    found = f"{count} of {doubled}"
    yield Target("a doubled order has its event", "tickspan", "all", found, count == doubled)


def _faults(
    delays: Mapping[Kind, Sequence[float | None]], told: Mapping[str, tuple[int, int]]
) -> Iterable[str]:
    for kind, found in delays.items():
        if None in found:
            yield f"alarms: {kind.story}: {found.count(None)} of {len(found)} were not told"
    for kind, (doubled, count) in told.items():
        if doubled != count:
            yield f"alarms: doubled by {kind}: {count} events of {doubled} orders"
