"""The agent's report: what it counted, as OTLP metrics, and losses as events. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tickspan_spool.entries import Signal
from tickspan_spool.layout import SIGNALS
from tickspan_spool.ledger import Ledger, add
from tickspan_spool.reasons import Reason

from . import semconv as names
from .messages import Instrument, Point, log_record, metric

_ERROR_SEVERITY: Final = 17
_BREAKER_NUMBER: Final = {"closed": 0, "full": 1, "small": 2, "open": 3}

_LEDGER = Instrument(names.LEDGER_RECORDS, "{record}", is_sum=True)
_SIZE = Instrument(names.SPOOL_SIZE, "By")
_AGE = Instrument(names.SPOOL_OLDEST_AGE, "s")
_BREAKER = Instrument(names.BREAKER_STATE, "1")


Counts = Mapping[Signal, Ledger]


def total(parts: Iterable[Counts]) -> dict[Signal, Ledger]:
    """The sum, signal by signal."""
    found = list(parts)
    return {signal: add(part[signal] for part in found if signal in part) for signal in SIGNALS}


class Way(NamedTuple):
    """What the sending side says about one destination."""

    signal: Signal
    place: str
    delivered: int
    dropped: Mapping[Reason, int]
    breaker: str


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be told at one moment.

    Attributes:
        counts: the ledger.
        ways: the destinations.
        size_bytes: of the spool's segments.
        oldest_age_s: of what waits; 0 when nothing does.
    """

    counts: Counts
    ways: Sequence[Way]
    size_bytes: int
    oldest_age_s: float


def metrics(report: Report, start_unix_ns: int, time_unix_ns: int) -> list[tuple[bytes, int]]:
    """The records of a report, each with its number of points."""
    told = [
        (_LEDGER, _ledger_points(report.counts)),
        (_SIZE, [Point(report.size_bytes, {})]),
        (_AGE, [Point(float(report.oldest_age_s), {})]),
        (_BREAKER, [_breaker_point(way) for way in report.ways]),
        *((_exported(signal), _exported_points(report.ways, signal)) for signal in SIGNALS),
    ]
    return [
        (metric(instrument, points, start_unix_ns, time_unix_ns), len(points))
        for instrument, points in told
        if points
    ]


def loss_event(service_name: str, lost: Mapping[Signal, Mapping[Reason, int]], time_unix_ns: int) -> bytes:
    """The record that tells a loss, when data flows again."""
    by_reason = [
        (signal, reason, number)
        for signal, reasons in lost.items()
        for reason, number in reasons.items()
        if number
    ]
    told = ", ".join(f"{number} {signal} ({reason})" for signal, reason, number in by_reason)
    counts = {f"{names.LOST}.{signal}.{reason}": number for signal, reason, number in by_reason}
    return log_record(
        event=names.LOSS,
        body=f"telemetry was lost: {told}",
        severity=_ERROR_SEVERITY,
        severity_text="ERROR",
        time_unix_ns=time_unix_ns,
        attributes={names.SERVICE: service_name, **counts},
    )


def death_event(service_name: str, pid: int, time_unix_ns: int) -> bytes:
    """The record that tells that a process died without a clean exit."""
    return log_record(
        event=names.PROCESS_DIED,
        body=f"process {pid} of service '{service_name}' died without a clean exit",
        severity=_ERROR_SEVERITY,
        severity_text="ERROR",
        time_unix_ns=time_unix_ns,
        attributes={names.SERVICE: service_name, names.PROCESS_PID: pid},
    )


def _ledger_points(counts: Counts) -> list[Point]:
    return [
        Point(number, {names.SIGNAL: signal, **attributes})
        for signal, count in counts.items()
        if count.ended
        for number, attributes in (
            (count.ended, {names.OUTCOME: "ended"}),
            (count.delivered, {names.OUTCOME: "delivered"}),
            *(
                (number, {names.OUTCOME: "dropped", names.DROP_REASON: str(reason)})
                for reason, number in count.dropped.items()
            ),
        )
    ]


def _breaker_point(way: Way) -> Point:
    return Point(
        _BREAKER_NUMBER.get(way.breaker, 0), {names.SIGNAL: way.signal, names.DESTINATION: way.place}
    )


def _exported(signal: Signal) -> Instrument:
    return Instrument(names.EXPORTED[signal], names.UNITS[signal], is_sum=True)


def _exported_points(ways: Iterable[Way], signal: Signal) -> list[Point]:
    return [
        Point(number, {**_component(way), **attributes})
        for way in ways
        if way.signal == signal
        for number, attributes in (
            (way.delivered, {}),
            *((number, {names.ERROR_TYPE: str(reason)}) for reason, number in way.dropped.items()),
        )
    ]


def _component(way: Way) -> dict[str, str]:
    return {names.COMPONENT_NAME: f"tickspan_agent/{way.place}", names.COMPONENT_TYPE: "tickspan_agent"}
