"""Orders in a row: what became of each, and where its time went. Pure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tickspan.received import ReceivedSpan
from tickspan.semconv import trading
from tickspan_desk.store.reading import OrderEntry
from tickspan_desk.views.order import TONES, ids_of
from tickspan_desk.views.records import order_path, text_at
from tickspan_desk.views.stages import IDS, names_it, way_of
from tickspan_desk.views.text import shown

__all__ = ["OrderRow", "Orders", "orders_of"]


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order; durations that telemetry does not tell are None.

    Attributes:
        tick_to_decision_ns: from the receipt of the tick to the order call.
        submit_ns: from the call to the wire.
        ack_ns: from the wire to the venue's answer.
        fill_ns: from the answer to the first fill.
        duration_ns: from the call to the last fill.
        tick_to_ack_ns: from the receipt of the tick to the venue's answer.
    """

    order_id: str
    venue: str
    symbol: str
    side: str
    status: str
    tone: str
    service: str
    start_ns: int
    tick_to_decision_ns: int | None
    submit_ns: int | None
    ack_ns: int | None
    fill_ns: int | None
    duration_ns: int | None
    tick_to_ack_ns: int | None
    traces: int
    path: str


@dataclass(frozen=True, slots=True)
class Orders:
    """The newest orders, and what there is to know of all in the window.

    Attributes:
        found: in the window; `counted_up_to` at most.
        tick_to_ack_ns: median of the rows that tell it.
        measured: how many rows tell it.
        has_any: whether there is any order without the filter.
    """

    rows: tuple[OrderRow, ...]
    found: int
    filled: int
    rejected: int
    unknown: int
    tick_to_ack_ns: int | None
    measured: int
    text: str
    has_any: bool
    counted_up_to: int


def orders_of(
    shown: Sequence[OrderEntry],
    counted: Sequence[OrderEntry],
    spans: Mapping[str, Sequence[ReceivedSpan]],
    text: str = "",
    *,
    has_any: bool = True,
    counted_up_to: int = 0,
) -> Orders:
    """The page of orders.

    Args:
        shown: orders that get a row.
        counted: orders of the window.
        spans: of traces by trace id, as far as they are needed for `shown`.
        text: by which they were filtered.
        has_any: whether there is any order without that filter.
        counted_up_to: how many were asked for in `counted`.
    """
    named, ticks = _by_order(spans)
    rows = tuple(_row(entry, named, ticks) for entry in shown)
    told = [row.tick_to_ack_ns for row in rows if row.tick_to_ack_ns is not None]
    return Orders(
        rows,
        found=len(counted),
        filled=sum(entry.status == "filled" for entry in counted),
        rejected=sum(entry.status == "rejected" for entry in counted),
        unknown=sum(entry.status == "unknown" for entry in counted),
        tick_to_ack_ns=round(statistics.median(told)) if told else None,
        measured=len(told),
        text=text,
        has_any=has_any,
        counted_up_to=counted_up_to,
    )


Grouped = Mapping[str, Sequence[ReceivedSpan]]


def _by_order(spans: Grouped) -> tuple[Grouped, Grouped]:
    """Spans by each id that they name, and ticks by their traces: a trace may have many orders."""
    named: defaultdict[str, list[ReceivedSpan]] = defaultdict(list)
    ticks: defaultdict[str, list[ReceivedSpan]] = defaultdict(list)
    for trace_id, of_trace in spans.items():
        for span in of_trace:
            if span.name == trading.SPAN_FEED_MESSAGE:
                ticks[trace_id].append(span)
            for order_id in {text_at(span.attributes, name) for name in IDS}:
                named[order_id].append(span)
    return named, ticks


def _row(entry: OrderEntry, named: Grouped, ticks: Grouped) -> OrderRow:
    ids = ids_of(entry)
    found = {
        (span.trace_id, span.span_id): span
        for order_id in ids
        for span in named.get(order_id, ())
        if names_it(span.attributes, ids)
    }
    way = way_of(list(found.values()), ticks.get(entry.trace_id, ()))
    return OrderRow(
        shown(entry.order_id),
        shown(entry.venue),
        shown(entry.symbol),
        shown(entry.side),
        shown(entry.status),
        TONES.get(entry.status, ""),
        shown(entry.service),
        entry.start_ns,
        way.tick_to_decision_ns,
        way.decision_to_wire_ns,
        way.wire_to_ack_ns,
        way.ack_to_fill_ns,
        way.duration_ns,
        way.tick_to_ack_ns,
        len(entry.trace_ids),
        order_path(entry.order_id),
    )
