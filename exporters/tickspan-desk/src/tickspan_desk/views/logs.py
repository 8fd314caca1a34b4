"""Log records in a list: filtered, counted over time by severity, each with the way to its span. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tickspan.received import Attributes, ReceivedLog
from tickspan.semconv import common, trading
from tickspan_desk.store.reading import LogEntry, LogFilter, Window
from tickspan_desk.views.records import (
    SEVERITIES,
    Severity,
    address,
    order_path,
    path_of,
    process_of,
    service_of,
    severity_of,
    text_at,
    text_of,
    time_of,
)
from tickspan_desk.views.text import shown

__all__ = ["Attribute", "Bucket", "Logs", "Record", "logs_of", "parameters_of", "record_of"]

MAX_BODY: Final = 240
"""Characters of a body in the list."""
MAX_WHOLE: Final = 4000
"""Characters that the list holds to be opened; of a longer body the record's own page shows the whole."""
MAX_ATTRIBUTES: Final = 100
MAX_VALUE: Final = 1000
BUCKETS: Final = 60
"""Bars of the picture."""
_BRIEF: Final = (
    trading.ORDER_SIDE,
    trading.INSTRUMENT_SYMBOL,
    trading.ORDER_STATUS,
    common.EXCEPTION_TYPE,
    common.ERROR_TYPE,
)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A name and its value as text."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        body: its beginning.
        whole: the body where it is longer than that; "" where it is not, or where it is too long for a list.
        length: characters of the whole body.
        path: of its span in its trace; "" outside of one.
        own_path: of the page that shows this record alone, whole.
        order_path: of the order that it names; "" where it names none.
        brief: of a record without a body, what it is about, in a few words.
    """

    number: int
    time_ns: int
    severity: Severity
    severity_text: str
    service: str
    process: str
    event: str
    scope: str
    body: str
    whole: str
    length: int
    attributes: tuple[Attribute, ...]
    resource: tuple[Attribute, ...]
    trace_id: str
    span_id: str
    path: str
    own_path: str
    order_path: str
    brief: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many records of each severity class, the gravest first, came in a stretch of time."""

    since_ns: int
    until_ns: int
    counts: tuple[int, ...]
    path: str
    """Of the logs of that time."""


@dataclass(frozen=True, slots=True)
class Logs:
    """The page of logs.

    Attributes:
        before: to be asked for to get older ones; 0 when there are none.
        severities: the classes that the buckets and `totals` count, the gravest first.
        counted: records in the buckets; `counted_up_to` at most, the newest.
        has_any: whether there is any record without the filter.
    """

    records: tuple[Record, ...]
    before: int
    wanted: LogFilter
    services: tuple[str, ...]
    severities: tuple[Severity, ...]
    buckets: tuple[Bucket, ...]
    totals: tuple[int, ...]
    counted: int
    counted_up_to: int
    has_any: bool


def logs_of(
    page: Sequence[LogEntry],
    counted: Sequence[LogEntry],
    wanted: LogFilter,
    window: Window,
    services: Sequence[str] = (),
    *,
    has_older: bool = False,
    counted_up_to: int = 0,
    has_any: bool = True,
) -> Logs:
    """The page.

    Args:
        page: the records of the list, newest first.
        counted: the newest records that are wanted, for the picture.
        wanted: by what they were chosen.
        window: in which they were looked for.
        services: all that there are.
        has_older: whether there are older ones than those of `page`.
        counted_up_to: how many were asked for in `counted`.
        has_any: whether there is any record without the filter.
    """
    records = [entry.record for entry in counted]
    buckets = _buckets(records, window, wanted, is_cut=len(records) >= counted_up_to > 0)
    return Logs(
        tuple(record_of(entry) for entry in page),
        before=page[-1].number if page and has_older else 0,
        wanted=wanted,
        services=tuple(services),
        severities=SEVERITIES,
        buckets=buckets,
        totals=tuple(map(sum, zip(*(bucket.counts for bucket in buckets), strict=True))),
        counted=len(records),
        counted_up_to=counted_up_to,
        has_any=has_any,
    )


def record_of(entry: LogEntry, *, is_whole: bool = False) -> Record:
    """A record as it is shown; `is_whole`: with all of its body and of its attributes, however long."""
    record, body = entry.record, text_of(entry.record.body)
    is_long = len(body) > MAX_BODY and not is_whole
    return Record(
        entry.number,
        time_of(record),
        severity_of(record.severity_number),
        shown(record.severity_text),
        shown(service_of(record)),
        shown(process_of(record)),
        shown(record.event_name),
        shown(record.scope),
        shown(body, MAX_BODY if is_long else len(body)),
        shown(body, MAX_WHOLE) if is_long and len(body) <= MAX_WHOLE else "",
        len(body),
        _attributes(record.attributes, is_whole=is_whole),
        _attributes(record.resource, is_whole=is_whole) if is_whole else (),
        record.trace_id or "",
        record.span_id or "",
        path_of(record),
        f"/logs/{entry.number}",
        _order_path(record.attributes),
        "" if body else shown(" ".join(filter(None, (text_at(record.attributes, name) for name in _BRIEF)))),
    )


def _order_path(attributes: Attributes) -> str:
    order_id = text_at(attributes, trading.ORDER_CLIENT_ID) or text_at(attributes, trading.ORDER_VENUE_ID)
    return order_path(order_id) if order_id else ""


def parameters_of(wanted: LogFilter) -> dict[str, str]:
    """The parameters of a page of logs that is so filtered."""
    severity = severity_of(wanted.min_severity).word if wanted.min_severity else ""
    return {
        "service": wanted.service,
        "severity": severity,
        "event": wanted.event,
        "text": wanted.text,
        "attribute": wanted.attribute,
        "trace_id": wanted.trace_id,
    }


def _attributes(given: Attributes, *, is_whole: bool) -> tuple[Attribute, ...]:
    names = sorted(given) if is_whole else sorted(given)[:MAX_ATTRIBUTES]
    texts = [(name, text_of(given[name])) for name in names]
    return tuple(
        Attribute(shown(name), shown(text, len(text) if is_whole else MAX_VALUE)) for name, text in texts
    )


def _buckets(
    records: Sequence[ReceivedLog], window: Window, wanted: LogFilter, *, is_cut: bool
) -> tuple[Bucket, ...]:
    """Equal stretches from the window's begin, or from the oldest record of those that are counted."""
    if not records:
        return ()
    times = [time_of(record) for record in records]
    since_ns = max(window.since_ns, min(times)) if is_cut else window.since_ns
    until_ns = window.until_ns
    step_ns = max(-(-(until_ns - since_ns) // BUCKETS), 1)
    counts = [[0] * len(SEVERITIES) for _ in range(BUCKETS)]
    for record, time_ns in zip(records, times, strict=True):
        at = min(max((time_ns - since_ns) // step_ns, 0), BUCKETS - 1)
        counts[at][SEVERITIES.index(severity_of(record.severity_number))] += 1
    edges = [since_ns + at * step_ns for at in range(BUCKETS + 1)]
    return tuple(
        Bucket(
            begin_ns,
            end_ns,
            tuple(row),
            address("/logs", {**parameters_of(wanted), "since": begin_ns, "until": end_ns}),
        )
        for begin_ns, end_ns, row in zip(edges, edges[1:], counts, strict=False)
    )
