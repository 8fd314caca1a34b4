"""Where a span stands: below the program's own span, the order that is meant, or the tick that caused it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from tickspan.semconv import trading as names
from tickspan.trading.journal import Journal
from tickspan.trading.model import CREATING, OrderKey, OrderOperation, Trigger
from tickspan.trading.moments import Anchor
from tickspan.trading.packing import context_of
from tickspan.trading.scope import OpenDecision, open_decision
from tickspan.trading.ticks import Cause, TickRef

EventsOf = Callable[[tuple[OrderKey, ...]], tuple[SpanContext, ...]]
"""Names of orders to their last events."""


_NOWHERE: Final = Context()


class Place(NamedTuple):
    """Below what, and linked to what."""

    parent: Context
    links: tuple[SpanContext, ...] = ()


class Placement:
    """Finds places; writes the spans of ticks and decisions that a place needs."""

    def __init__(self, journal: Journal, events_of: EventsOf) -> None:
        self._journal = journal
        self._events_of = events_of

    def of_order(
        self,
        operation: OrderOperation,
        strategy: str | None,
        target: SpanContext | None,
        cause: Cause,
        anchor: Anchor,
    ) -> Place:
        """The place of an order operation; `target` is the submit span of the order that it is about.

        The parent is a span of the program; else the order that is meant; else the tick, if there is one.
        """
        links = self._reports_behind(cause)
        is_creating = operation in CREATING and target is None
        told = self._told(cause.message, anchor, is_creating=is_creating)
        current = otel_context.get_current()
        above = trace.get_current_span(current).get_span_context()
        if above.is_valid:
            return Place(self._decided(current, above, strategy, anchor), (*_present(told), *links))
        if target is not None:
            return Place(sampled(target), (*_present(told), *links))
        if told is None:
            return Place(self._decided(_NOWHERE, None, strategy, anchor), links)
        below = context_of(told)
        if operation is OrderOperation.SUBMIT and open_decision.get() is None:
            return Place(self._decided_by_itself(below, strategy, cause.message, anchor), links)
        return Place(self._decided(below, told, strategy, anchor), links)

    def of_cause(self, cause: Cause, anchor: Anchor) -> Context | None:
        """What any other operation is to be a child of: the tick, or the event that made the program act.

        A tick becomes a span for it, as for an order: a query or cache call before the order belongs to it.
        """
        if cause.tick is None:
            return None
        if cause.trigger is Trigger.TICK:
            return set_span_in_context(NonRecordingSpan(self._journal.tick(cause.tick, anchor)))
        reports = self._reports_behind(cause)
        return set_span_in_context(NonRecordingSpan(reports[0])) if reports else None

    def _told(self, tick: TickRef | None, anchor: Anchor, *, is_creating: bool) -> SpanContext | None:
        """The tick's span: written for a new order, only used by what changes an order."""
        if tick is None:
            return None
        return self._journal.tick(tick, anchor) if is_creating else tick.span_context

    def _decided_by_itself(
        self, parent: Context, strategy: str | None, tick: TickRef | None, anchor: Anchor
    ) -> Context:
        """Below `parent`, the decision from the tick's delivery to its order."""
        delivered_ns = tick.delivered_ns if tick is not None else None
        started_at = anchor.wall(delivered_ns or anchor.monotonic_ns)
        name = names.SPAN_STRATEGY_DECISION
        return sampled(self._journal.decision(name, parent, strategy, started_at, anchor.wall_ns))

    def _decided(
        self, parent: Context, above: SpanContext | None, strategy: str | None, anchor: Anchor
    ) -> Context:
        """Below `parent`, whose span is `above`, the decision that the program has opened, if it has."""
        opened = open_decision.get()
        if opened is not None:
            return sampled(self._opened(opened, parent, strategy, anchor))
        return parent if above is None or above.trace_flags & TraceFlags.SAMPLED else sampled(above, parent)

    def _opened(
        self, opened: OpenDecision, parent: Context, strategy: str | None, anchor: Anchor
    ) -> SpanContext:
        """The span of a decision that the program has opened: written for its first order."""
        if opened.span_context is None:
            started_at = anchor.wall(opened.started_ns)
            opened.span_context = self._journal.decision(
                opened.name, parent, strategy, started_at, anchor.wall_ns
            )
        return opened.span_context

    def _reports_behind(self, cause: Cause) -> tuple[SpanContext, ...]:
        """The events of the orders whose reports made the program act."""
        if cause.trigger is not Trigger.ORDER_EVENT or cause.tick is None:
            return ()
        return self._events_of(cause.tick.reports)


def sampled(span_context: SpanContext, within: Context | None = None) -> Context:
    """`within` whose span `span_context` counts as sampled: better a missing root than a missing order."""
    if not span_context.trace_flags & TraceFlags.SAMPLED:
        span_context = SpanContext(
            span_context.trace_id,
            span_context.span_id,
            span_context.is_remote,
            TraceFlags(span_context.trace_flags | TraceFlags.SAMPLED),
            span_context.trace_state,
        )
    return set_span_in_context(NonRecordingSpan(span_context), _NOWHERE if within is None else within)


def _present(context: SpanContext | None) -> tuple[SpanContext, ...]:
    return (context,) if context is not None else ()
