"""What a span, and a log record of a trace, say of themselves, bounded and ready to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tickspan.received import Attributes, ReceivedLog, ReceivedSpan
from tickspan.semconv.trading import ORDER_CLIENT_ID, ORDER_VENUE_ID
from tickspan_desk.views.text import NAME_MAX, VALUE_MAX, shown, value_shown
from tickspan_desk.views.tree import Node, Tree, service_of

__all__ = ["About", "Happening", "LogLine", "Pair", "about", "log_line", "moment_of", "orders_of"]

_ATTRIBUTES_MAX: Final = 200
_EVENTS_MAX: Final = 100
_ERROR: Final = 17
_WARN: Final = 13
_INFO: Final = 9
_SEVERITIES: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


@dataclass(frozen=True, slots=True)
class Pair:
    """An attribute."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a span, or a link to another span when `span_id` is not empty."""

    name: str
    offset_ns: int
    trace_id: str
    span_id: str
    attributes: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class About:
    """What a span says of itself.

    Attributes:
        offset_ns: of its start from the trace's.
        path_ns: how long it held the trace up.
        orders: ids of orders that it names.
        left_out: attributes, events and links that are too many to show.
    """

    span_id: str
    parent_span_id: str
    name: str
    service: str
    hue: int
    span_kind: str
    start_ns: int
    offset_ns: int
    duration_ns: int
    self_ns: int
    path_ns: int
    status: str
    description: str
    scope: str
    orders: tuple[str, ...]
    attributes: tuple[Pair, ...]
    events: tuple[Happening, ...]
    links: tuple[Happening, ...]
    resource: tuple[Pair, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class LogLine:
    """A log record of a trace; `level` is "bad", "warn", "info" or ""."""

    offset_ns: int
    span_id: str
    severity: str
    level: str
    event: str
    body: str
    attributes: tuple[Pair, ...]


def about(tree: Tree, node: Node, hue: int, path_ns: int) -> About:
    """What a span of a tree says of itself."""
    span = node.span
    sizes = (
        (len(span.attributes), _ATTRIBUTES_MAX),
        (len(span.events), _EVENTS_MAX),
        (len(span.links), _EVENTS_MAX),
    )
    return About(
        span_id=span.span_id,
        parent_span_id=span.parent_span_id or "",
        name=shown(span.name, VALUE_MAX),
        service=shown(service_of(span)),
        hue=hue,
        span_kind=span.kind.name.lower(),
        start_ns=node.start_ns,
        offset_ns=node.start_ns - tree.start_ns,
        duration_ns=node.duration_ns,
        self_ns=tree.self_ns[node.place],
        path_ns=path_ns,
        status=span.status.code.name.lower(),
        description=shown(span.status.description, VALUE_MAX),
        scope=shown(span.scope),
        orders=tuple(orders_of(span)),
        attributes=_pairs(span.attributes),
        events=tuple(
            Happening(shown(event.name), event.time_ns - tree.start_ns, "", "", _pairs(event.attributes))
            for event in span.events[:_EVENTS_MAX]
        ),
        links=tuple(
            Happening("link", 0, link.trace_id, link.span_id, _pairs(link.attributes))
            for link in span.links[:_EVENTS_MAX]
        ),
        resource=_pairs(span.resource),
        left_out=sum(max(many - limit, 0) for many, limit in sizes),
    )


def log_line(tree: Tree, record: ReceivedLog, span_id: str) -> LogLine:
    """A record beside a tree; `span_id` is that of its span there, or ""."""
    return LogLine(
        offset_ns=moment_of(record) - tree.start_ns,
        span_id=span_id,
        severity=shown(record.severity_text or _severity(record.severity_number), 20),
        level=_level(record.severity_number),
        event=shown(record.event_name),
        body="" if record.body is None else value_shown(record.body),
        attributes=_pairs(record.attributes),
    )


def moment_of(record: ReceivedLog) -> int:
    """When it was written, or seen where nobody says when it was written."""
    return record.time_ns or record.observed_ns


def orders_of(span: ReceivedSpan) -> list[str]:
    """The id of the order that a span names, if any: the client's, or the venue's where it has no other."""
    named = (span.attributes.get(name) for name in (ORDER_CLIENT_ID, ORDER_VENUE_ID))
    return [order for order in named if isinstance(order, str) and 0 < len(order) <= NAME_MAX][:1]


def _pairs(attributes: Attributes) -> tuple[Pair, ...]:
    first = sorted(attributes.items())[:_ATTRIBUTES_MAX]
    return tuple(Pair(shown(name), value_shown(value)) for name, value in first)


def _level(severity: int) -> str:
    if severity >= _ERROR:
        return "bad"
    return "warn" if severity >= _WARN else "info" if severity >= _INFO else ""


def _severity(number: int) -> str:
    return _SEVERITIES[min((number - 1) // 4, 5)] if number > 0 else ""
