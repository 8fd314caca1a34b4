"""What pages ask of a store, and what they get: values, no rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tickspan.received import Attributes, MetricKind, ReceivedLog, ReceivedPoint, ReceivedSpan, Temporality

__all__ = [
    "LogEntry",
    "LogFilter",
    "Match",
    "Operation",
    "OrderEntry",
    "Reading",
    "Series",
    "StoreStatistics",
    "TraceEntry",
    "TraceFilter",
    "Window",
]


@dataclass(frozen=True, slots=True)
class Window:
    """From a moment up to, and not including, another; nanoseconds since the epoch."""

    since_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """Which traces are wanted; what is empty does not matter.

    Attributes:
        service: `service.name` of any span of it.
        name: of any span of it.
        min_duration_ns: of the whole trace.
        has_error: whether a span of it failed.
        text: `key=value`, or a value alone, of any attribute of a span, or an id; exact.
    """

    service: str = ""
    name: str = ""
    min_duration_ns: int = 0
    has_error: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One line about a trace; ids in hex. `name` and `service` are those of its first root, or first span."""

    trace_id: str
    name: str
    service: str
    start_ns: int
    end_ns: int
    spans: int
    errors: int
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderEntry:
    """One order that some span or event named.

    Attributes:
        order_id: the client's id, or the venue's where there is none.
        other_ids: the other ids by which it is found.
        trace_id: of its lifecycle or submit span.
        trace_ids: of everything that names it.
        status: the last that was told, such as "filled".
    """

    order_id: str
    other_ids: tuple[str, ...]
    venue: str
    symbol: str
    side: str
    status: str
    service: str
    start_ns: int
    end_ns: int
    trace_id: str
    trace_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """All spans of one name of one service in a window.

    Attributes:
        quantiles_ns: 0.5, 0.99 and 0.999 to their duration, within 2 %.
        minutes: for each whole minute of the window, of its last week at most: calls, errors, the 0.99
            quantile in nanoseconds.
        exemplars: (duration, trace id) of slow ones, slowest first.
    """

    service: str
    name: str
    kind: str
    calls: int
    errors: int
    quantiles_ns: Mapping[float, int]
    minutes: tuple[tuple[int, int, int], ...]
    exemplars: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which records are wanted; what is empty does not matter. `text` is in the body, whatever its case."""

    service: str = ""
    min_severity: int = 0
    event: str = ""
    text: str = ""
    trace_id: str = ""
    attribute: str = ""
    """`key=value`, exact."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A record and its number, by which it is found again and older ones are asked for."""

    number: int
    record: ReceivedLog


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a metric: its identity, and its points in a window, oldest first."""

    number: int
    service: str
    name: str
    unit: str
    description: str
    kind: MetricKind
    temporality: Temporality
    is_monotonic: bool
    attributes: Attributes
    resource: Attributes = field(repr=False)
    points: tuple[ReceivedPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """Something that a search found: `kind` is trace, span, log, order, metric or operation."""

    kind: str
    title: str
    detail: str
    path: str
    """Of the page that shows it."""
    time_ns: int


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """What is kept, and what had to go.

    Attributes:
        spans, logs, points, traces, series: kept now.
        bytes: of the file.
        max_bytes, max_age_s: bounds of the store.
        oldest_ns: when the oldest kept batch came; 0 when nothing is kept.
        evicted: records that had to go, by "age" and "size".
        version: changes whenever something came or went.
    """

    spans: int
    logs: int
    points: int
    traces: int
    series: int
    bytes: int
    max_bytes: int
    max_age_s: float
    oldest_ns: int
    evicted: Mapping[str, int]
    version: int


class Reading(Protocol):
    """Questions. Each is answered from one consistent state, in the caller's thread; any thread may ask."""

    def traces(
        self, wanted: TraceFilter, window: Window, limit: int = 100, before_ns: int = 0
    ) -> list[TraceEntry]:
        """Newest start first; with `before_ns`, those that started before it."""
        ...

    def spans(self, trace_id: str) -> list[ReceivedSpan]:
        """Of a trace, by start; empty when nothing is known of it."""
        ...

    def spans_with(
        self, attribute: str, window: Window, value: str = "", limit: int = 20_000
    ) -> list[ReceivedSpan]:
        """Spans that have an attribute of this name, and where `value` is not empty, with this value as text.

        Those that started in the window, newest first. What pages ask it for: `db.system.name`, and
        `tickspan.db.query.fingerprint` with a value.
        """
        ...

    def logs(self, wanted: LogFilter, window: Window, limit: int = 200, before: int = 0) -> list[LogEntry]:
        """Newest first; with `before`, those with a smaller number."""
        ...

    def orders(self, window: Window, text: str = "", limit: int = 100) -> list[OrderEntry]:
        """Newest first; `text` is in an id, or equals the venue, symbol, side or status."""
        ...

    def order(self, order_id: str) -> OrderEntry | None:
        """By any of its ids."""
        ...

    def operations(self, window: Window, service: str = "") -> list[Operation]:
        """Those with the most time spent first."""
        ...

    def services(self) -> list[str]:
        """All `service.name`s, sorted."""
        ...

    def metric_names(self) -> list[tuple[str, str, str, int]]:
        """(name, unit, kind, series) of every metric, by name."""
        ...

    def series(
        self, name: str, window: Window, attributes: Mapping[str, str] | None = None, limit: int = 100
    ) -> list[Series]:
        """Series of a metric that have all these attributes, with their points in the window."""
        ...

    def search(self, text: str, window: Window, limit: int = 50) -> list[Match]:
        """An id, a `key=value`, a value or a name: whatever of it is kept, best first."""
        ...

    def statistics(self) -> StoreStatistics:
        """Cheap: may be asked every second."""
        ...

    def latest(self, event_names: Sequence[str], window: Window, limit: int = 200) -> list[LogEntry]:
        """Events with one of these names, newest first."""
        ...
