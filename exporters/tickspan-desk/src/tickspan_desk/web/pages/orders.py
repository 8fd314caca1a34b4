"""Orders, newest first; and one order whole."""

from __future__ import annotations

import itertools
from typing import Final

from tickspan.received import ReceivedLog, ReceivedSpan
from tickspan.semconv import alerts, trading
from tickspan_desk.store.reading import LogFilter, OrderEntry, Reading, Window
from tickspan_desk.views.order import OrderStory, ids_of, story_of
from tickspan_desk.views.orders import Orders, orders_of
from tickspan_desk.views.ordertext import markdown_of
from tickspan_desk.views.stages import IDS, names_it
from tickspan_desk.views.text import shown
from tickspan_desk.web.page import Asked, Document, NotFound, Page

__all__ = ["DOCUMENTS", "PAGES"]

ROWS: Final = 50
COUNTED: Final = 2000
MAX_TRACES: Final = 50
"""Of one order: a stop order that was replaced for weeks has many."""
MAX_LOGS: Final = 1000
_EVER: Final = Window(0, 2**63 - 1)
_AROUND_NS: Final = 600_000_000_000
"""How long after an order an alert may still be about it."""
_DOUBLES: Final = (trading.ORDER_DUPLICATE_CLIENT_ID, trading.ORDER_DUPLICATE_VENUE_ID)
"""By which another order says that it may double this one."""
MAX_IDS: Final = 20


def _orders(reading: Reading, asked: Asked) -> Orders:
    window, text = asked.window(), asked.text("text").strip()
    counted = reading.orders(window, text, limit=COUNTED)
    newest = counted[:ROWS]
    traces = dict.fromkeys(trace_id for entry in newest for trace_id in entry.trace_ids[:MAX_TRACES])
    spans = {trace_id: reading.spans(trace_id) for trace_id in traces}
    has_any = bool(counted) or bool(text and reading.orders(window, limit=1))
    return orders_of(newest, counted, spans, text, has_any=has_any, counted_up_to=COUNTED)


def _order(reading: Reading, asked: Asked) -> OrderStory:
    order_id = asked.path["order_id"]
    entry = reading.order(order_id)
    if entry is None:
        raise NotFound(
            f"No order is known by the id {shown(order_id)}. An order is found by its client id, by the"
            " venue's id or by the client id of an order that it replaced: each whole, as it was told. It may"
            " be older than what is kept, or its program is not recorded: start it with `tickspan run`."
        )
    spans = [span for trace_id in entry.trace_ids[:MAX_TRACES] for span in reading.spans(trace_id)]
    return story_of(entry, spans, _records(reading, entry, spans))


def _records(reading: Reading, entry: OrderEntry, spans: list[ReceivedSpan]) -> list[ReceivedLog]:
    """Those of its traces, those elsewhere that name it, and alerts that name it; each once."""
    found: dict[int, ReceivedLog] = {}
    for trace_id in entry.trace_ids[:MAX_TRACES]:
        for one in reading.logs(LogFilter(trace_id=trace_id), _EVER, limit=MAX_LOGS):
            found[one.number] = one.record
    ids = ids_of(entry)
    for name, order_id in itertools.product((*IDS, *_DOUBLES), sorted(ids)[:MAX_IDS]):
        for one in reading.logs(LogFilter(attribute=f"{name}={order_id}"), _EVER, limit=MAX_LOGS):
            if name in _DOUBLES or names_it(one.record.attributes, ids):
                found[one.number] = one.record
    until_ns = max([entry.end_ns, *(span.end_ns for span in spans)]) + _AROUND_NS
    for one in reading.latest((alerts.EVENT_STATE_CHANGE,), Window(entry.start_ns, until_ns)):
        told = " ".join(str(value) for value in (one.record.body, *one.record.attributes.values()))
        if any(name in told for name in (*ids, *entry.trace_ids)):
            found[one.number] = one.record
    return list(found.values())


def _as_markdown(reading: Reading, asked: Asked) -> str:
    return markdown_of(_order(reading, asked))


PAGES: tuple[Page, ...] = (
    Page("/orders", "Orders", "orders.html", _orders, key="o"),
    Page("/orders/{order_id:path}", "", "order.html", _order),
)
DOCUMENTS: tuple[Document, ...] = (Document("/orders/{order_id:path}.md", "text/markdown", _as_markdown),)
