"""An order while nothing happens to it: some 250 bytes in the place of thirty objects."""

from __future__ import annotations

import binascii
import json
import struct
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from tickspan.trading.latency import Point
from tickspan.trading.lifecycle import Order
from tickspan.trading.model import OrderStatus, Reject, RejectOrigin, RejectReason, Trigger

_STATUSES: Final = tuple(OrderStatus)
_STATUS_NUMBERS: Final = {status: number for number, status in enumerate(_STATUSES)}
_TRIGGERS: Final = tuple(Trigger)
_TRIGGER_NUMBERS: Final = {trigger: number for number, trigger in enumerate(_TRIGGERS)}
_IDENTITY: Final = struct.Struct("<QQQB")
_64_BITS: Final = (1 << 64) - 1
_to_text: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Record:
    """What is known of one order: its state, its points, its place in a trace."""

    __slots__ = (
        "called_ns",
        "called_wall_ns",
        "context",
        "last_event",
        "order",
        "points",
        "submit",
        "trigger",
    )

    def __init__(
        self,
        order: Order,
        submit: Span,
        context: Context,
        trigger: Trigger,
        called_ns: int,
        called_wall_ns: int,
        points: dict[Point, int],
    ) -> None:
        self.order = order
        self.submit = submit
        """The span of the call that created it."""
        self.context = context
        """Empty but for that span."""
        self.trigger = trigger
        self.called_ns = called_ns
        self.called_wall_ns = called_wall_ns
        self.points = points
        self.last_event: Span | None = None


def context_of(span_context: SpanContext) -> Context:
    """A context, empty but for the span that `span_context` names."""
    return set_span_in_context(NonRecordingSpan(span_context), Context())


def packed(record: Record, *, is_told: bool) -> bytes:
    """`record` without its names as bytes; once its life `is_told`, without what only that needs."""
    order, submitted = record.order, record.submit.get_span_context()
    last_event = record.last_event
    fields = (
        _STATUS_NUMBERS[order.status],
        order.root_client_id if order.root_client_id != order.client_id else True,
        order.original_client_id,
        order.revision,
        _text(order.asked),
        _text(order.price),
        _text(order.stop_price),
        _text(order.quantity),
        _text(order.filled),
        _text(order.executed),
        tuple(order.executions),
        _text(order.average_price),
        None if order.reject is None else _reject_fields(order.reject),
        None if is_told else order.first_fill_ns,
        None if is_told else order.last_fill_ns,
        None if is_told else order.last_report_ns,
        order.is_settled,
        order.is_closed,
        _numbers(order.seen),
        _identity(submitted),
        submitted.trace_state.to_header() if submitted.trace_state else None,
        _TRIGGER_NUMBERS[record.trigger],
        record.called_ns,
        record.called_wall_ns,
        () if is_told else tuple(record.points),
        "" if is_told else _numbers(record.points.values()),
        None if last_event is None else _identity(last_event.get_span_context()),
    )
    return _to_text(fields).encode()


def unpacked(data: bytes, venue_id: str | None, client_ids: tuple[str, ...]) -> Record:
    """The record that was packed, of the order with these names."""
    fields: list[Any] = json.loads(data)
    (submitted, state, trigger, called_ns, wall_ns, points, moments, last_event) = fields[19:]
    for place in (4, 5, 6, 7, 8, 9, 11):
        if fields[place] is not None:
            fields[place] = Decimal(fields[place])
    shown = client_ids[0] if client_ids else None
    order = Order._make(
        (
            _STATUSES[fields[0]],
            venue_id,
            client_ids,
            shown if fields[1] is True else fields[1],
            *fields[2:10],
            frozenset(fields[10]),
            fields[11],
            None if fields[12] is None else _reject(*fields[12]),
            *fields[13:18],
            _tuple(fields[18]),
        )
    )
    submit = _span(submitted, state)
    record = Record(
        order,
        submit,
        set_span_in_context(submit, Context()),
        _TRIGGERS[trigger],
        called_ns,
        wall_ns,
        dict(zip(map(Point, points), _tuple(moments), strict=True)),
    )
    record.last_event = None if last_event is None else _span(last_event, None)
    return record


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def _reject_fields(reject: Reject) -> tuple[str | None, ...]:
    return (reject.error_type, reject.reason.value, reject.origin.value, reject.code, reject.message)


def _reject(error_type: str, reason: str, origin: str, code: str | None, message: str | None) -> Reject:
    return Reject(error_type, RejectReason(reason), RejectOrigin(origin), code, message)


def _numbers(values: Iterable[int]) -> str:
    known = tuple(values)
    return _told(struct.pack(f"<{len(known)}q", *known))


def _tuple(text: str) -> tuple[int, ...]:
    data = binascii.a2b_base64(text)
    return struct.unpack(f"<{len(data) // 8}q", data)


def _identity(context: SpanContext) -> str:
    trace_id, flags = context.trace_id, int(context.trace_flags)
    return _told(_IDENTITY.pack(trace_id >> 64, trace_id & _64_BITS, context.span_id, flags))


def _told(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _span(identity: str, state: str | None) -> Span:
    """A stand-in for a span that has ended."""
    high, low, span_id, flags = _IDENTITY.unpack(binascii.a2b_base64(identity))
    trace_state = TraceState.from_header([state]) if state else None
    return NonRecordingSpan(
        SpanContext(
            high << 64 | low, span_id, is_remote=False, trace_flags=TraceFlags(flags), trace_state=trace_state
        )
    )
