"""Tells what became of orders: spans, events, counts. Called outside the registry's lock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.trace import Span, Tracer

from tickspan.config import Quantities, TradingSettings
from tickspan.semconv import trading as names
from tickspan.trading import attributes, lifecycle
from tickspan.trading.audit import Fact, Trail, facts
from tickspan.trading.events import ERROR, INFO, WARN, Events
from tickspan.trading.journal import Journal
from tickspan.trading.latency import CANCEL_TO_ACK, UP_TO_THE_ANSWER, Point, Segment, elapsed_s, stages
from tickspan.trading.lifecycle import Effect, Order, Told
from tickspan.trading.measures import Extra, Measures
from tickspan.trading.model import (
    Attributes,
    AttributeValue,
    Execution,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Reject,
    RejectOrigin,
    RejectReason,
)
from tickspan.trading.moments import Anchor, Clock
from tickspan.trading.tally import PLACE_KEYS

if TYPE_CHECKING:
    from tickspan.trading.calls import OrderCall
    from tickspan.trading.index import Entry
    from tickspan.trading.kinds import OrderKind
    from tickspan.trading.packing import Record

ClockAhead = Callable[[str, str], int]
"""(venue, environment) to nanoseconds by which the venue's clock is ahead of ours, as far as is known."""

USER_CHANNEL: Final = "user"
"""The channel of reports about own orders."""
_WAITS: Final = (Segment.THROTTLE_WAIT, Segment.QUEUE_WAIT)
_SEGMENT_ATTRIBUTES: Final = {
    Segment.THROTTLE_WAIT: names.LATENCY_THROTTLE_WAIT,
    Segment.QUEUE_WAIT: names.LATENCY_QUEUE_WAIT,
    Segment.SIGN: names.LATENCY_SIGNING,
}
_UNSAID: Final = Reject("", RejectReason.OTHER, RejectOrigin.VENUE)
"""Of a refusal that came without a word."""


class Outcome(NamedTuple):
    """What a report or an answer has made of an order."""

    entry: Entry
    record: Record
    before: Order
    after: Order
    effects: tuple[Effect, ...]
    update: OrderUpdate | None = None


class Suspicion(NamedTuple):
    """An order that may double another one."""

    kind: OrderKind
    order: Order
    other: Order
    context: Context
    """Of the suspected order."""


class Teller:
    """Writes spans, facts and counts of one registry. Thread-safe."""

    def __init__(
        self, tracer: Tracer, meter: Meter, logger: Logger, settings: TradingSettings, clock: Clock
    ) -> None:
        self.journal = Journal(tracer)
        self.measures = Measures(meter)
        self.clock_ahead: ClockAhead = lambda _venue, _environment: 0
        self.events = Events(logger, clock)
        self._trail = Trail(self.events)
        self._settings = settings
        self._clock = clock
        self._event_window_ns = int(settings.event_window_s * 1e9)
        self._backtest: Span | None = None
        self._lock = threading.Lock()

    def after_fork_in_child(self) -> None:
        """What is open is the parent's."""
        self._lock = threading.Lock()
        self._backtest = None
        self.journal.after_fork_in_child()

    def close(self) -> None:
        """The back-test is over, if there was one."""
        with self._lock:
            span, self._backtest = self._backtest, None
        if span is not None:
            span.end(self._clock.wall_ns())

    # Calls.

    def begun_backtest(self, kind: OrderKind, started_at: int) -> None:
        """An order of a back-test: the first one begins the run."""
        if self._backtest is not None:
            return
        known = {key: value for key, value in kind.of_order.items() if key in PLACE_KEYS}
        with self._lock:
            if self._backtest is None:
                self._backtest = self.journal.backtest(known, started_at)

    def new(
        self, kind: OrderKind, order: Order, request: OrderRequest, context: Context, wall_ns: int
    ) -> None:
        """An order is about to be sent: written before the first byte leaves."""
        known = attributes.of_new(kind, order, request, self._settings)
        self._trail.write(names.EVENT_ORDER_NEW, INFO, known, context, wall_ns=wall_ns)

    def retried(self, call: OrderCall, order: Order | None, attempt: int, *, is_safe: bool) -> None:
        """The request was handed to the transport once more."""
        self.measures.add(call.kind, names.METRIC_ORDER_RETRIES, extra=((names.ORDER_RETRY_SAFE, is_safe),))
        if not is_safe:
            known = self._known(call, order)
            known[names.ORDER_ATTEMPT] = attempt
            known[names.ORDER_RETRY_SAFE] = False
            self._write(
                call, names.EVENT_ORDER_UNSAFE_RETRY, ERROR, known, "An order was sent again that may be live"
            )

    def waited(self, call: OrderCall, order: Order | None, segment: Segment, seconds: float) -> None:
        """So much of a call's time was `segment`."""
        self.measures.record(
            call.kind,
            names.METRIC_ORDER_SEGMENT_DURATION,
            seconds,
            ((names.SEGMENT, segment.value),),
        )
        if call.is_open:
            call.span.set_attribute(_SEGMENT_ATTRIBUTES[segment], call.segments[segment])
        if segment not in _WAITS:
            return
        waits = {wait: call.segments[wait] for wait in _WAITS if wait in call.segments}
        total_s = sum(waits.values())
        if total_s - seconds < self._settings.throttle_warn_s <= total_s:
            known = self._known(call, order)
            known[names.SEGMENT] = max(waits, key=waits.__getitem__).value
            known |= {_SEGMENT_ATTRIBUTES[wait]: waited_s for wait, waited_s in waits.items()}
            body = f"An order waited {total_s:.3f} s in its client"
            self._write(call, names.EVENT_ORDER_THROTTLED, WARN, known, body)

    def cancel_answered(self, call: OrderCall) -> None:
        """How long the venue took to answer a cancel."""
        seconds = elapsed_s(CANCEL_TO_ACK, call.points)
        if seconds is not None and not call.kind.is_untold:
            call.span.set_attribute(CANCEL_TO_ACK.attribute, seconds)
            self.measures.record(call.kind, names.METRIC_CANCEL_TO_ACK, seconds, context=call.order_context)

    def refused(self, kind: OrderKind, reject: Reject | None) -> None:
        """An operation was refused; an order that was refused is counted by what it becomes."""
        reject = reject or _UNSAID
        extra: Extra = (
            (names.ORDER_REJECT_REASON, reject.reason.value),
            (names.ORDER_REJECT_ORIGIN, reject.origin.value),
        )
        if reject.code is not None:
            extra = ((names.ORDER_REJECT_CODE, reject.code), *extra)
        self.measures.add(kind, names.METRIC_ORDER_REJECTS, extra=extra)

    def refused_replacement(self, call: OrderCall, order: Order, reject: Reject) -> None:
        """A replacement does not come: the order that was announced is none."""
        self.refused(call.kind, reject)
        known = attributes.of_order(call.kind, order) | attributes.of_reject(reject, self._settings)
        known[names.ORDER_STATUS] = OrderStatus.REJECTED.value
        self._write(call, names.EVENT_ORDER_REJECT, WARN, known)

    def replaced_in_place(self, kind: OrderKind, record: Record, announced: Order) -> None:
        """An order goes on with other terms; `announced` is what was said of them before."""
        if kind.is_untold:
            return
        known = attributes.of_order(kind, record.order)
        known[names.ORDER_REVISION] = record.order.revision
        if announced.client_id is not None and announced.client_id != record.order.client_id:
            known[names.ORDER_CLIENT_ID] = announced.client_id
            if record.order.client_id is not None:
                known[names.ORDER_ORIGINAL_CLIENT_ID] = record.order.client_id
        self._trail.write(names.EVENT_ORDER_REPLACE, INFO, known, record.context)

    # Orders.

    def tell(self, outcome: Outcome) -> Span | None:
        """Whatever is new about an order; returns the span of its last event, if it had one."""
        kind, before, after = outcome.entry.kind, outcome.before, outcome.after
        told = [effect for effect in outcome.effects if type(effect) is Told]
        if before is not after:
            self._count(kind, before, after, told)
        if kind.is_untold:
            return None
        record, anchor, last = outcome.record, self._clock.anchor(), None
        known = [attributes.of_event(kind, after, effect, self._settings) for effect in told]
        is_old = anchor.monotonic_ns - record.called_ns > self._event_window_ns
        for effect, attributes_of_it in zip(told, known, strict=True):
            received_at = anchor.wall(effect.update.received_ns)
            link = record.submit.get_span_context() if is_old else None
            last = self.journal.event(
                effect.status, attributes_of_it, record.context, link, received_at, anchor.wall_ns
            )
        for fact in facts(before, after, told):
            self._write_fact(outcome, fact, told, known)
        if told:
            self._measure_delivery(outcome, told, anchor)
        return last

    def unknown(self, kind: OrderKind, record: Record) -> None:
        """Nobody has known the fate of an order for a while."""
        if not kind.is_untold:
            known = attributes.of_order(kind, record.order)
            body = "Nobody knows whether the venue has this order"
            self._trail.write(names.EVENT_ORDER_UNKNOWN, ERROR, known, record.context, body=body)

    def suspected(self, suspicion: Suspicion) -> None:
        """An order may double another one."""
        kind, order, other, context = suspicion
        self.measures.add(kind, names.METRIC_ORDER_DUPLICATES_SUSPECTED)
        if kind.is_untold:
            return
        known = attributes.of_order(kind, order)
        del known[names.ORDER_STATUS]
        if other.client_id is not None:
            known[names.ORDER_DUPLICATE_CLIENT_ID] = other.client_id
        if other.venue_id is not None:
            known[names.ORDER_DUPLICATE_VENUE_ID] = other.venue_id
        body = "This order may double another one"
        self._trail.write(names.EVENT_ORDER_DUPLICATE_SUSPECTED, WARN, known, context, body=body)

    def unmatched(self, kind: OrderKind, update: OrderUpdate) -> None:
        """A report of an order that nobody here placed."""
        source = ((names.ORDER_EVENT_SOURCE, update.source._value_),)
        self.measures.add(kind, names.METRIC_ORDER_UNMATCHED_EVENTS, extra=source)
        if kind.is_untold:
            return
        told = lifecycle.lone(update)
        names_of_it = (update.client_id,) if update.client_id else ()
        order = Order(told.status, update.venue_id, names_of_it, quantity=update.quantity)
        known = attributes.of_event(kind, order, told, self._settings)
        del known[names.ORDER_OPERATION]  # nobody here asked for anything
        known[names.ORDER_MATCHED] = False
        anchor = self._clock.anchor()
        received_at = anchor.wall(update.received_ns)
        self.journal.event(told.status, known, Context(), None, received_at, anchor.wall_ns)

    def charged(self, kind: OrderKind, record: Record, execution: Execution) -> None:
        """What an execution has cost, which the venue tells apart from it; only where quantities are full."""
        if kind.is_untold or execution.fee is None or self._settings.quantities is not Quantities.FULL:
            return
        known = attributes.of_order(kind, record.order)
        known[names.EXECUTION_ID] = execution.id
        known[names.EXECUTION_FEE] = execution.fee
        self._trail.write(names.EVENT_ORDER_FEE, INFO, known, record.context)

    def evicted(self, kind: OrderKind) -> None:
        """An open order had to leave a full registry."""
        self.measures.add(kind, names.METRIC_ORDER_EVICTIONS)

    def answered(self, kind: OrderKind, record: Record) -> None:
        """The stages up to the venue's answer, as measurements: an order may stand for days after it."""
        for stage, seconds in stages(record.points).items():
            if stage in UP_TO_THE_ANSWER and stage.metric is not None:
                self.measures.record(kind, stage.metric, seconds, context=record.context)

    def life(self, kind: OrderKind, record: Record, now_ns: int, *, is_measured: bool) -> None:
        """The whole life of an order, when it is over or when we are; and its stages as measurements.

        Those up to the answer are left out if they are measured already.
        """
        if kind.is_untold:
            return
        order, points = record.order, dict(record.points)
        if order.first_fill_ns is not None and order.last_fill_ns is not None:
            points[Point.FIRST_FILL] = order.first_fill_ns
            points[Point.LAST_FILL] = order.last_fill_ns
        known = attributes.of_life(kind, order, self._settings, complete=order.is_closed)
        known[names.TRIGGER] = record.trigger._value_
        for stage, seconds in stages(points).items():
            known[stage.attribute] = seconds
            if stage.metric is not None and not (is_measured and stage in UP_TO_THE_ANSWER):
                self.measures.record(kind, stage.metric, seconds, context=record.context)
        ended_ns = max(*points.values(), order.last_report_ns or 0) if order.is_closed else now_ns
        anchor = Anchor(record.called_ns, record.called_wall_ns)
        self.journal.life(known, record.context, record.called_wall_ns, anchor.wall(ended_ns))

    def _count(self, kind: OrderKind, before: Order, after: Order, told: Sequence[Told]) -> None:
        if after.status is not before.status:
            if after.status is OrderStatus.REJECTED:
                self.refused(kind, after.reject)
            elif after.status is OrderStatus.UNKNOWN:
                self.measures.add(kind, names.METRIC_ORDER_UNKNOWN_STATE)
        more = after.fills - before.fills
        if not more and after.filled == before.filled:
            return
        fills = [effect.execution for effect in told if effect.execution is not None]
        for execution in [*fills, *[None] * (more - len(fills))][-more:] if more > 0 else ():
            extra: Extra = ((names.ORDER_SIDE, kind.side),) if kind.side is not None else ()
            if execution is not None and execution.liquidity is not None:
                extra = (*extra, (names.EXECUTION_LIQUIDITY, execution.liquidity))
            self.measures.add(kind, names.METRIC_ORDER_FILLS, extra=extra)
        if before.status.is_terminal:
            late = sum(effect.late for effect in told)
            self.measures.add(kind, names.METRIC_ORDER_LATE_FILLS, late)

    def _write_fact(
        self, outcome: Outcome, fact: Fact, told: Sequence[Told], known: Sequence[Attributes]
    ) -> None:
        for effect, attributes_of_it in zip(told, known, strict=True):
            if effect is fact.told:
                self._trail.write(fact.event, fact.severity, attributes_of_it, outcome.record.context)
                return
        plain = attributes.of_order(outcome.entry.kind, outcome.after)
        if fact.event == names.EVENT_ORDER_ACK:
            plain[names.ORDER_STATUS] = OrderStatus.NEW.value
        elif outcome.after.reject is not None:
            plain |= attributes.of_reject(outcome.after.reject, self._settings)
        if outcome.update is not None:
            plain[names.ORDER_EVENT_SOURCE] = outcome.update.source._value_
        self._trail.write(fact.event, fact.severity, plain, outcome.record.context)

    def _measure_delivery(self, outcome: Outcome, told: Sequence[Told], anchor: Anchor) -> None:
        """How long ago the venue made the fill that a report tells of, by the venue's clock if known."""
        update, kind = told[-1].update, outcome.entry.kind
        if update.venue_time_ns is None or outcome.after.filled <= outcome.before.filled:
            return
        ahead_ns = self.clock_ahead(kind.venue, kind.environment)
        lag_s = (anchor.wall(update.received_ns) + ahead_ns - update.venue_time_ns) / 1e9
        if lag_s < 0:
            self.measures.add(
                kind, names.METRIC_CLOCK_NEGATIVE_LAG, extra=((names.FEED_CHANNEL, USER_CHANNEL),)
            )
            return
        source = ((names.ORDER_EVENT_SOURCE, update.source._value_),)
        self.measures.record(kind, names.METRIC_FILL_DELIVERY_LAG, lag_s, source, outcome.record.context)

    def _known(self, call: OrderCall, order: Order | None) -> Attributes:
        """Which order a call is about."""
        if order is not None:
            known = attributes.of_order(call.kind, order)
            del known[names.ORDER_STATUS]
            return known
        return {
            key: value
            for key, value in attributes.of_request(call.kind, call.request, self._settings).items()
            if key in _OF_ORDER
        }

    def _write(
        self,
        call: OrderCall,
        event: str,
        severity: SeverityNumber,
        known: Mapping[str, AttributeValue],
        body: str | None = None,
    ) -> None:
        if not call.kind.is_untold:
            self._trail.write(event, severity, known, call.order_context, body=body)


_OF_ORDER: Final = {
    *PLACE_KEYS,
    names.INSTRUMENT_SYMBOL,
    names.ORDER_OPERATION,
    names.ORDER_TYPE,
    names.ORDER_SIDE,
    names.ORDER_CLIENT_ID,
    names.ORDER_ROOT_CLIENT_ID,
    names.ORDER_VENUE_ID,
}
