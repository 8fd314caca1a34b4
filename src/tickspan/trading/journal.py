"""Writes what happens to orders as spans and histograms. It decides nothing: the lifecycle did."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, Meter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from tickspan.config import TradingSettings
from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.semconv import trading as names
from tickspan.semconv.common import ERROR_TYPE
from tickspan.trading import attributes
from tickspan.trading.attributes import Attributes
from tickspan.trading.latency import CANCEL_TO_ACK, Points, Stage, elapsed_s, stages
from tickspan.trading.lifecycle import Order, Told
from tickspan.trading.model import OrderOperation, OrderRequest, OrderStatus, OrderUpdate, Trigger
from tickspan.trading.moments import Anchor
from tickspan.trading.ticks import TickRef

_ERROR: Final = Status(StatusCode.ERROR)


def context_of(span_context: SpanContext) -> Context:
    """A context, empty but for the span that `span_context` names."""
    return set_span_in_context(NonRecordingSpan(span_context), Context())


@dataclass(frozen=True, slots=True)
class Life:
    """All that the lifecycle span needs; moments are monotonic nanoseconds."""

    order: Order
    points: Points
    submitted: SpanContext
    trigger: Trigger
    anchor: Anchor
    started_ns: int
    ended_ns: int
    is_complete: bool


class Journal:
    """Spans and histograms of orders. Thread-safe; called outside the registry's lock."""

    def __init__(self, tracer: Tracer, meter: Meter, settings: TradingSettings) -> None:
        self._tracer = tracer
        self._meter = meter
        self._settings = settings
        self._histograms: dict[Stage, Histogram] = {}
        self._lock = threading.Lock()

    def after_fork_in_child(self) -> None:
        """Forget a lock that the parent may have held."""
        self._lock = threading.Lock()

    def tick(self, tick: TickRef, anchor: Anchor) -> SpanContext:
        """The span of the message that caused an order: written once, shared by later orders."""
        with self._lock:
            if tick.span_context is None:
                span = self._tracer.start_span(
                    names.SPAN_FEED_MESSAGE,
                    Context(),
                    SpanKind.CONSUMER,
                    attributes.of_tick(tick),
                    start_time=anchor.wall(tick.received_ns),
                )
                span.end(anchor.wall(tick.delivered_ns or anchor.monotonic_ns))
                tick.span_context = span.get_span_context()
            return tick.span_context

    def decision(
        self, name: str, parent: Context, strategy: str | None, started_at: int, ended_at: int
    ) -> SpanContext:
        """The strategy's part between a tick and its order; times are wall nanoseconds."""
        known: Attributes = {names.STRATEGY_ID: strategy} if strategy is not None else {}
        span = self._tracer.start_span(name, parent, SpanKind.INTERNAL, known, start_time=started_at)
        span.end(ended_at)
        return span.get_span_context()

    def operation(
        self,
        request: OrderRequest,
        known: Mapping[str, attributes.AttributeValue],
        parent: Context,
        links: Sequence[SpanContext],
        started_at: int,
    ) -> Span:
        """The running span of one wire request (or, emulated, of several); a crash before its end is told."""
        span = self._tracer.start_span(
            f"{names.SPAN_ORDER}.{request.operation} {request.venue}",
            parent,
            SpanKind.INTERNAL if request.emulated else SpanKind.CLIENT,
            dict(known),
            [Link(context) for context in links],
            start_time=started_at,
            record_exception=False,
            set_status_on_exception=False,
        )
        pend = getattr(span, "pend", None)  # a provider of ours that records into a spool
        if pend is not None:
            pend()
        return span

    def cancel_answered(
        self, span: Span, points: Points, known: Mapping[str, attributes.AttributeValue]
    ) -> None:
        """How long the venue took to answer a cancel."""
        seconds = elapsed_s(CANCEL_TO_ACK, points)
        if seconds is None:
            return
        span.set_attribute(CANCEL_TO_ACK.attribute, seconds)
        self._histogram(CANCEL_TO_ACK).record(seconds, attributes.for_metrics(known))

    def event(
        self, told: Told, order: Order, submitted: SpanContext, anchor: Anchor, *, is_child: bool
    ) -> SpanContext:
        """One report of an order: a child of its submit span; long after it, a trace that links to it."""
        return self._report(
            told.status.value,
            attributes.of_event(told, order, self._settings),
            context_of(submitted) if is_child else Context(),
            () if is_child else (submitted,),
            (anchor.wall(told.update.received_ns), anchor.wall_ns),
        )

    def unmatched(self, update: OrderUpdate, anchor: Anchor) -> SpanContext:
        """A report of an order that nobody here placed."""
        status = update.status or OrderStatus.UNKNOWN
        request = _as_request(update)
        order = Order(
            request, status, update.venue_id, (update.client_id,) if update.client_id else (), update.quantity
        )
        execution = update.executions[0] if update.executions else None
        told = Told(status, update, update.filled_quantity or order.filled, execution)
        known = attributes.of_event(told, order, self._settings)
        del known[names.ORDER_OPERATION]  # nobody here asked for anything
        known[names.ORDER_MATCHED] = False
        times = (anchor.wall(update.received_ns), anchor.wall_ns)
        return self._report(status.value, known, Context(), (), times)

    def life(self, life: Life) -> None:
        """The whole life of an order in one span, with its stages; and the stages as measurements."""
        told = stages(life.points)
        known = attributes.of_life(life.order, self._settings, complete=life.is_complete)
        known |= {stage.attribute: seconds for stage, seconds in told.items()}
        known[names.TRIGGER] = life.trigger.value
        span = self._tracer.start_span(
            names.SPAN_ORDER_LIFECYCLE,
            context_of(life.submitted),
            SpanKind.INTERNAL,
            known,
            start_time=life.anchor.wall(life.started_ns),
        )
        if ERROR_TYPE in known:
            span.set_status(_ERROR)
        span.end(life.anchor.wall(life.ended_ns))
        kept = attributes.for_metrics(known)
        for stage, seconds in told.items():
            self._histogram(stage).record(seconds, kept)

    def _report(
        self,
        status: str,
        known: Attributes,
        parent: Context,
        links: Sequence[SpanContext],
        times: tuple[int, int],
    ) -> SpanContext:
        span = self._tracer.start_span(
            f"{names.SPAN_ORDER_EVENT} {status}",
            parent,
            SpanKind.CONSUMER,
            known,
            [Link(context) for context in links],
            start_time=times[0],
        )
        if ERROR_TYPE in known:
            span.set_status(_ERROR)
        span.end(max(times))
        return span.get_span_context()

    def _histogram(self, stage: Stage) -> Histogram:
        known = self._histograms.get(stage)
        if known is None:
            known = self._histograms[stage] = self._meter.create_histogram(
                stage.metric,
                unit="s",
                description=stage.description,
                explicit_bucket_boundaries_advisory=SECONDS_FROM_10_US,
            )
        return known


def _as_request(update: OrderUpdate) -> OrderRequest:
    return OrderRequest(
        OrderOperation.QUERY,
        update.venue,
        update.library,
        environment=update.environment,
        instrument=update.instrument,
        side=update.side,
        type=update.type,
    )
