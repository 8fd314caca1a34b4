"""Every order of this process: who it is, what is known of it, and which trace it belongs to.

`Orders.begin` before any byte leaves, `Orders.observe` for whatever a venue reports, from any thread. The
lock covers dictionary work only; spans are written outside it. Nothing a venue says makes it raise.
"""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.trace import SpanContext, Tracer

from tickspan.config import TradingSettings
from tickspan.recording import Guard
from tickspan.semconv import trading as names
from tickspan.trading import attributes, lifecycle
from tickspan.trading.calls import OrderCall
from tickspan.trading.index import Entry, OrderIndex
from tickspan.trading.journal import Journal, Life
from tickspan.trading.latency import Point
from tickspan.trading.lifecycle import Effect, Order, Step, Told
from tickspan.trading.model import (
    CREATING,
    OrderKey,
    OrderOperation,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Reject,
    Source,
)
from tickspan.trading.moments import Anchor, Clock
from tickspan.trading.placement import Placement
from tickspan.trading.privacy import account_hash
from tickspan.trading.schedule import Schedule
from tickspan.trading.scope import current_strategy
from tickspan.trading.ticks import Cause, RecentTicks, TickRef, cause_of, current_tick
from tickspan.trading.waiting import WaitingRoom


@dataclass(frozen=True, slots=True)
class OrderStatistics:
    """Counts of one registry."""

    open: int
    unknown: int
    """Sent, and nobody knows their fate."""
    waiting: int
    """Reports of orders not known yet."""
    unmatched: int
    """Reports of orders that nobody here placed, so far."""
    evicted: int
    """Open orders that had to leave a full registry, so far."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """An effect, with the order as it was when it came about."""

    entry: Entry
    order: Order
    effect: Effect


class Orders:
    """The registry of one instrumentor (or of the program's own helpers). Thread-safe."""

    def __init__(
        self,
        tracer: Tracer,
        meter: Meter,
        settings: TradingSettings | None = None,
        *,
        clock: Clock | None = None,
        name: str = "trading",
    ) -> None:
        self.settings = settings or TradingSettings()
        self.clock = clock or Clock()
        self._journal = Journal(tracer, meter, self.settings)
        self._placement = Placement(self._journal, self._events_of)
        self._guard = Guard("trading", name)
        self._schedule = Schedule(f"tickspan-{name}")
        self._index = OrderIndex(self.settings.max_orders, self.settings.terminal_ttl_s)
        self._room = WaitingRoom(self.settings.max_waiting)
        self._unmatched = 0
        self._is_sweep_due = False
        self._lock = threading.Lock()
        # Accounts are told apart also where no salt allows to export their hash.
        self._private_salt = secrets.token_bytes(16)
        _register(self)

    def __repr__(self) -> str:
        return f"<Orders {self.statistics()}>"

    def begin(self, request: OrderRequest, *, recent: RecentTicks | None = None) -> OrderCall:
        """An order operation is about to be sent: its span, its entry.

        `recent` is the client's memory of ticks, for a context that has lost its own.
        """
        anchor = self.clock.anchor()
        request, account, exported = self._known_as(request)
        target = self._target(request, account)
        cause = self._cause(recent.newest(request.instrument) if recent is not None else None, anchor)
        submitted = target.submitted if target is not None else None
        place = self._placement.of_order(request, submitted, cause, anchor)
        known = attributes.of_request(request, exported, self.settings)
        known[names.TRIGGER] = cause.trigger.value
        span = self._journal.operation(request, known, place.parent, place.links, anchor.wall_ns)
        points, own = _points(cause, anchor), span.get_span_context()
        entries = self._entered(
            request,
            target,
            lambda order: Entry(order, account, own, points, cause.trigger, anchor),
            anchor.monotonic_ns,
        )
        return OrderCall(self, request, span, points, anchor, entries, target)

    def observe(self, update: OrderUpdate) -> tuple[OrderKey, ...]:
        """A report of any source; of an unknown order it waits if it was pushed, and is ignored if polled.

        Returns the names of the order it is about, for a `TickRef` that carries the report.
        """
        account = self._account(update.account)
        received_ns = update.received_ns or self.clock.monotonic_ns()
        update = replace(update, account=None, received_ns=received_ns)
        keys = _keys(update.venue, account, update)
        with self._lock:
            entry = self._index.find(keys)
            outcomes = self._applied(entry, update) if entry is not None else []
            pushed_out = self._admitted(keys, update) if entry is None else None
        self._perform(outcomes)
        if pushed_out is not None:
            self._tell_unmatched(pushed_out)
        return keys

    def cause_context(self) -> Context | None:
        """What an operation without a span above it comes from now: the tick at hand, or a report."""
        if current_tick() is None:
            return None
        anchor = self.clock.anchor()
        return self._placement.of_cause(self._cause(None, anchor), anchor)

    def statistics(self) -> OrderStatistics:
        """The counts now."""
        with self._lock:
            orders = [entry.order for entry in self._index.entries()]
            return OrderStatistics(
                open=sum(not order.status.is_terminal for order in orders),
                unknown=sum(order.status is OrderStatus.UNKNOWN for order in orders),
                waiting=len(self._room),
                unmatched=self._unmatched,
                evicted=self._index.evicted,
            )

    def close(self) -> None:
        """Tell what is still to be told: reports that wait, lifecycles that are due, orders that are open."""
        with self._lock:
            left = self._room.leave(self.clock.monotonic_ns())
        for update in left:
            self._guard.own(self._tell_unmatched, update, default=None)
        self._schedule.flush()
        with self._lock:
            entries = self._index.entries()
        for entry in entries:
            self._guard.own(self._write_life, entry, default=None)

    def after_fork_in_child(self) -> None:
        """Orders of the parent are only matched here; the parent tells their lives."""
        self._lock = threading.Lock()
        self._room = WaitingRoom(self.settings.max_waiting)
        self._is_sweep_due = False
        self._journal.after_fork_in_child()
        self._schedule.after_fork_in_child()
        for entry in self._index.entries():
            entry.is_inherited = True

    # What an OrderCall asks for.

    def named(self, call: OrderCall, client_id: str | None, venue_id: str | None) -> None:
        """An id of the call's order has become known before its answer."""
        if len(call.entries) != 1:
            return
        entry = call.entries[0]
        with self._lock:
            entry.order = lifecycle.named(entry.order, client_id, venue_id)
            self._index.name(entry, _entry_keys(entry))

    def acknowledged(self, call: OrderCall, updates: Sequence[OrderUpdate]) -> Order | None:
        """The call's answer; returns the state of the order that it was about, if it was about one."""
        received_ns = call.points.get(Point.ANSWERED) or self.clock.monotonic_ns()
        answers = [_as_answer(update, received_ns) for update in updates]
        with self._lock:
            outcomes = self._answered(call, answers)
        self._perform(outcomes)
        if call.entries:
            return call.entries[0].order if len(call.entries) == 1 else None
        return call.target.order if call.target is not None else None

    def failed(self, call: OrderCall, reject: Reject | None) -> Order | None:
        """The call has failed; a replacement that was refused leaves the old order as it was."""
        with self._lock:
            if reject is not None and call.operation is OrderOperation.REPLACE:
                for entry in call.entries:
                    self._index.remove(entry)
                return None
            steps = [(entry, lifecycle.fail(entry.order, reject)) for entry in call.entries]
            outcomes = [outcome for entry, step in steps for outcome in self._stepped(entry, step)]
        self._perform(outcomes)
        return call.entries[0].order if len(call.entries) == 1 else None

    def finished(self, call: OrderCall) -> None:
        """The call's span ends now."""
        if call.operation is OrderOperation.CANCEL:
            known = attributes.of_request(call.request, None, self.settings)
            self._journal.cancel_answered(call.span, call.points, known)
        call.span.end(call.anchor.wall(self.clock.monotonic_ns()))

    # Who an order is, and why.

    def _cause(self, newest: TickRef | None, anchor: Anchor) -> Cause:
        return cause_of(current_tick(), newest, anchor.monotonic_ns, self.settings)

    def _account(self, account: str | None) -> str | None:
        """By which accounts are told apart in this process; never exported."""
        return account_hash(account, self._private_salt) if account is not None else None

    def _known_as(self, request: OrderRequest) -> tuple[OrderRequest, str | None, str | None]:
        """The request without its account number; the account's private and its exported hash."""
        account, salt = request.account, self.settings.salt
        exported = account_hash(account, salt.encode()) if account is not None and salt else None
        strategy = request.strategy if request.strategy is not None else current_strategy.get()
        return replace(request, account=None, strategy=strategy), self._account(account), exported

    def _target(self, request: OrderRequest, account: str | None) -> Entry | None:
        if request.operation is OrderOperation.SUBMIT:
            return None
        keys = _named_keys(
            request.venue, account, request.venue_id, request.original_client_id or request.client_id
        )
        with self._lock:
            return self._index.find(keys)

    def _entered(
        self,
        request: OrderRequest,
        target: Entry | None,
        entry_of: Callable[[Order], Entry],
        now_ns: int,
    ) -> tuple[Entry, ...]:
        """An entry for each order that the request creates."""
        if request.operation not in CREATING or request.emulated:
            return ()
        old = target.order if target is not None else None
        entries = tuple(entry_of(lifecycle.begin(order, old)) for order in request.batch or (request,))
        with self._lock:
            evicted = [self._index.add(entry, _entry_keys(entry), now_ns) for entry in entries]
        for entry in evicted:
            if entry is not None:
                self._write_life(entry)
        return entries

    def _events_of(self, keys: Iterable[OrderKey]) -> tuple[SpanContext, ...]:
        """The last event of each of the orders that `keys` name."""
        with self._lock:
            entries = {id(entry): entry for key in keys if (entry := self._index.find((key,)))}
        return tuple(entry.last_event for entry in entries.values() if entry.last_event is not None)

    # What changes; under the lock.

    def _answered(self, call: OrderCall, answers: Sequence[OrderUpdate]) -> list[_Outcome]:
        if call.operation is OrderOperation.REPLACE and call.entries:
            return self._replaced(call, answers)
        if call.operation in CREATING:
            return self._created(call.entries, answers)
        return [
            outcome
            for answer in answers
            if (entry := self._meant(call, answer)) is not None
            for outcome in self._applied(entry, replace(answer, client_id=None))
        ]

    def _created(self, entries: Sequence[Entry], answers: Sequence[OrderUpdate]) -> list[_Outcome]:
        outcomes: list[_Outcome] = []
        for entry, answer in _paired(entries, answers):
            outcomes += self._applied(entry, answer)
        for entry in entries:
            outcomes += self._stepped(entry, lifecycle.settle(entry.order))
            for update in self._room.take(entry.keys):
                outcomes += self._applied(entry, update)
        return outcomes

    def _replaced(self, call: OrderCall, answers: Sequence[OrderUpdate]) -> list[_Outcome]:
        entry, target = call.entries[0], call.target
        if target is None or not answers:
            return self._created(call.entries, answers)
        if answers[0].venue_id is not None and answers[0].venue_id == target.order.venue_id:
            self._index.remove(entry)
            target.order = lifecycle.revised(target.order)
            return self._applied(target, answers[0])
        gone = lifecycle.supersede(target.order, answers[0])
        return [*self._stepped(target, gone), *self._created(call.entries, answers)]

    def _meant(self, call: OrderCall, answer: OrderUpdate) -> Entry | None:
        """The order that an answer to a cancel or query is about: by its venue id, else the call's."""
        account = call.target.account if call.target is not None else None
        found = self._index.find(_named_keys(answer.venue, account, answer.venue_id, None))
        return found if found is not None else call.target

    def _applied(self, entry: Entry, update: OrderUpdate) -> list[_Outcome]:
        outcomes = self._stepped(entry, lifecycle.apply(entry.order, update))
        self._index.name(entry, _entry_keys(entry))
        return outcomes

    def _stepped(self, entry: Entry, step: Step) -> list[_Outcome]:
        entry.order, effects = step
        if entry.order.status.is_terminal:
            self._index.end(entry, self.clock.monotonic_ns())
        return [_Outcome(entry, entry.order, effect) for effect in effects]

    def _admitted(self, keys: tuple[OrderKey, ...], update: OrderUpdate) -> OrderUpdate | None:
        """A pushed report waits for its order; returns the report that had to leave for it, if one had."""
        if not update.source.is_pushed:
            return None
        if not self._is_sweep_due:
            self._is_sweep_due = True
            self._later(self.settings.waiting_s, self._sweep)
        return self._room.admit(keys, update, self.clock.monotonic_ns())

    # What is told; outside the lock.

    def _perform(self, outcomes: Iterable[_Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome.effect, Told):
                self._tell(outcome.entry, outcome.order, outcome.effect)
            else:
                delay_s = self.settings.lifecycle_delay_s
                self._later(delay_s, functools.partial(self._write_life, outcome.entry))

    def _tell(self, entry: Entry, order: Order, told: Told) -> None:
        anchor = self.clock.anchor()
        age_s = (anchor.monotonic_ns - entry.points[Point.CALLED]) / 1e9
        is_child = age_s <= self.settings.event_window_s
        entry.last_event = self._journal.event(told, order, entry.submitted, anchor, is_child=is_child)

    def _sweep(self) -> None:
        """Tell of reports that have waited too long; come back while others wait."""
        waiting_ns = int(self.settings.waiting_s * 1e9)
        with self._lock:
            left = self._room.leave(self.clock.monotonic_ns() - waiting_ns)
            self._is_sweep_due = bool(len(self._room))
        for update in left:
            self._tell_unmatched(update)
        if self._is_sweep_due:
            self._later(self.settings.waiting_s / 10, self._sweep)

    def _tell_unmatched(self, update: OrderUpdate) -> None:
        self._unmatched += 1
        self._journal.unmatched(update, self.clock.anchor())

    def _write_life(self, entry: Entry) -> None:
        """The order's lifecycle span, once; of an order that is still open as incomplete."""
        with self._lock:
            order = entry.order
            if entry.is_written or entry.is_inherited:
                return
            entry.is_written = True
        self._journal.life(_life(entry, order, self.clock.monotonic_ns()))

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        self._schedule.after(delay_s, lambda: self._guard.own(action, default=None))


def shutdown() -> None:
    """Close every registry: called before the providers shut down, and at exit. Safe to call twice."""
    for orders in tuple(_live):
        orders.close()


_live: Final[weakref.WeakSet[Orders]] = weakref.WeakSet()
_hooks_are_set = False


def _register(orders: Orders) -> None:
    global _hooks_are_set
    _live.add(orders)
    if not _hooks_are_set:
        _hooks_are_set = True
        # After the providers' own hook, which is why this one runs before theirs.
        atexit.register(shutdown)
        os.register_at_fork(after_in_child=_after_fork_in_child)


def _after_fork_in_child() -> None:
    for orders in tuple(_live):
        orders.after_fork_in_child()


def _points(cause: Cause, anchor: Anchor) -> dict[Point, int]:
    points = {Point.CALLED: anchor.monotonic_ns}
    tick = cause.message
    if tick is not None:
        points[Point.RECEIVED] = tick.received_ns
        if tick.delivered_ns is not None:
            points[Point.DELIVERED] = tick.delivered_ns
    return points


def _life(entry: Entry, order: Order, now_ns: int) -> Life:
    points = dict(entry.points)
    if order.first_fill_ns is not None and order.last_fill_ns is not None:
        points |= {Point.FIRST_FILL: order.first_fill_ns, Point.LAST_FILL: order.last_fill_ns}
    last_ns = max([*points.values(), order.last_report_ns or 0])
    return Life(
        order=order,
        points=points,
        submitted=entry.submitted,
        trigger=entry.trigger,
        anchor=entry.anchor,
        started_ns=points[Point.CALLED],
        ended_ns=last_ns if order.is_closed else now_ns,
        is_complete=order.is_closed,
    )


def _as_answer(update: OrderUpdate, received_ns: int) -> OrderUpdate:
    source = update.source if update.source.is_response else Source.REST_RESPONSE
    return replace(update, account=None, received_ns=received_ns, source=source)


def _keys(venue: str, account: str | None, update: OrderUpdate) -> tuple[OrderKey, ...]:
    return _named_keys(venue, account, update.venue_id, update.client_id, update.original_client_id)


def _entry_keys(entry: Entry) -> tuple[OrderKey, ...]:
    order = entry.order
    return _named_keys(order.request.venue, entry.account, order.venue_id, *order.client_ids)


def _named_keys(
    venue: str, account: str | None, venue_id: str | None, *client_ids: str | None
) -> tuple[OrderKey, ...]:
    named = tuple(OrderKey(venue, account, client_id) for client_id in client_ids if client_id is not None)
    if venue_id is None:
        return named
    return (OrderKey(venue, account, venue_id, is_venue_id=True), *named)


def _paired(entries: Sequence[Entry], answers: Sequence[OrderUpdate]) -> list[tuple[Entry, OrderUpdate]]:
    """Which answer is about which order: by client id, else by place when there are equally many."""
    if len(entries) == len(answers):
        return list(zip(entries, answers, strict=True))
    by_id = {client_id: entry for entry in entries for client_id in entry.order.client_ids}
    return [(by_id[answer.client_id], answer) for answer in answers if answer.client_id in by_id]
