"""Writes what happens to orders as spans. It decides nothing: the lifecycle did."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
)

from tickspan.semconv import trading as names
from tickspan.semconv.common import ERROR_TYPE
from tickspan.trading import attributes
from tickspan.trading.kinds import OrderKind
from tickspan.trading.model import Attributes, AttributeValue, OrderStatus
from tickspan.trading.moments import Anchor
from tickspan.trading.ticks import TickRef

_ERROR: Final = Status(StatusCode.ERROR)
_EVENT_NAMES: Final = {status: f"{names.SPAN_ORDER_EVENT} {status.value}" for status in OrderStatus}
_NOWHERE: Final = Context()


class Journal:
    """Spans of orders. Thread-safe; called outside the registry's lock."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
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
                    _NOWHERE,
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
        kind: OrderKind,
        known: Mapping[str, AttributeValue],
        parent: Context,
        links: Sequence[SpanContext],
        started_at: int,
    ) -> Span:
        """The running span of one wire request (or, emulated, of several); a crash before its end is told."""
        span = self._tracer.start_span(
            kind.span_name,
            parent,
            kind.span_kind,
            known,
            [Link(context) for context in links] if links else None,
            start_time=started_at,
            record_exception=False,
            set_status_on_exception=False,
        )
        pend = getattr(span, "pend", None)  # a provider of ours that records into a spool
        if pend is not None:
            pend()
        return span

    def event(
        self,
        status: OrderStatus,
        known: Mapping[str, AttributeValue],
        parent: Context,
        link: SpanContext | None,
        received_at: int,
        told_at: int,
    ) -> Span:
        """One report of an order: a child of its submit span; long after it, a trace that links to it."""
        span = self._tracer.start_span(
            _EVENT_NAMES[status],
            parent if link is None else _NOWHERE,
            SpanKind.CONSUMER,
            known,
            None if link is None else [Link(link)],
            start_time=received_at,
        )
        if ERROR_TYPE in known:
            span.set_status(_ERROR)
        span.end(max(received_at, told_at))
        return span

    def life(
        self, known: Mapping[str, AttributeValue], parent: Context, started_at: int, ended_at: int
    ) -> None:
        """The whole life of an order in one span, with its stages."""
        span = self._tracer.start_span(
            names.SPAN_ORDER_LIFECYCLE, parent, SpanKind.INTERNAL, known, start_time=started_at
        )
        if ERROR_TYPE in known:
            span.set_status(_ERROR)
        span.end(ended_at)

    def backtest(self, known: Mapping[str, AttributeValue], started_at: int) -> Span:
        """The running span of a whole back-test."""
        return self._tracer.start_span(
            names.SPAN_BACKTEST_RUN, None, SpanKind.INTERNAL, known, start_time=started_at
        )
