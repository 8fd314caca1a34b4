"""Every order of this process: who it is, what is known of it, and which trace it belongs to.

`Orders.begin` before any byte leaves, `Orders.observe` for whatever a venue reports, from any thread. The
lock covers dictionary work only; spans, events and counts are written outside it. Nothing a venue says makes
it raise.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar

from opentelemetry import _logs
from opentelemetry import context as otel_context
from opentelemetry._logs import Logger
from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from tickspan.config import TradingSettings
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.instrumentation.suppression import bare
from tickspan.recording import Guard
from tickspan.semconv import trading as names
from tickspan.trading import attributes, audit, lifecycle, listening
from tickspan.trading.accounts import Accounts
from tickspan.trading.calls import OrderCall
from tickspan.trading.index import Entry, OrderIndex
from tickspan.trading.kinds import OrderKind, OrderKinds
from tickspan.trading.latency import Point, Segment
from tickspan.trading.lifecycle import UNHEARD, Closed, Order, Step
from tickspan.trading.measures import Extra
from tickspan.trading.model import (
    CREATING,
    ClientIdUnique,
    OrderKey,
    OrderOperation,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Reject,
    Source,
    Trigger,
)
from tickspan.trading.moments import Anchor, Clock
from tickspan.trading.observing import Readings, observe
from tickspan.trading.packing import Record
from tickspan.trading.placement import Placement
from tickspan.trading.schedule import Schedule
from tickspan.trading.scope import current_strategy, next_annotations
from tickspan.trading.sound import sound_request, sound_update
from tickspan.trading.staleness import stale_age_s, tell_stale_decision
from tickspan.trading.store import OrderStore, StoredOrder, process_store
from tickspan.trading.tally import GAUGES, Tallies
from tickspan.trading.telling import ClockAhead, Outcome, Suspicion, Teller
from tickspan.trading.ticks import Cause, RecentTicks, TickRef, cause_of, current_tick
from tickspan.trading.venues import profile_of
from tickspan.trading.waiting import WaitingRoom

T = TypeVar("T")
News = Outcome | Suspicion

_NOWHERE: Final = Context()
_LAST_QUESTION: Final = 0.8
"""The part of a report's wait after which the store is asked once more."""
_LAST_WORD_NS: Final = 500_000_000
"""How long the store is asked about what waits when the registry closes."""
_ANSWER_DELAY_S: Final = 0.05
"""After which answers are measured, many at once, off the path of the order."""
_Likeness = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class OrderStatistics:
    """Counts of one registry; of a forked child, its own orders only."""

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
class _Question:
    """Whether the store knows an order."""

    account: str | None
    account_hash: str | None
    keys: tuple[OrderKey, ...]
    is_last: bool = False


class _Coming(NamedTuple):
    """An order that is about to be sent."""

    request: OrderRequest
    kind: OrderKind
    order: Order


class Orders:
    """The registry of one instrumentor (or of the program's own helpers). Thread-safe."""

    def __init__(
        self,
        tracer: Tracer,
        meter: Meter,
        settings: TradingSettings | None = None,
        *,
        logger: Logger | None = None,
        store: OrderStore | None = None,
        clock: Clock | None = None,
        name: str = "trading",
    ) -> None:
        """Make a registry.

        `logger` takes the audit stream; None is the global provider's. `store` finds orders of others; None
        is whatever `use_store` has set.
        """
        self.settings = settings or TradingSettings()
        self.clock = clock or Clock()
        self._store = store
        self._tell = Teller(tracer, meter, logger or _logs.get_logger(name), self.settings, self.clock)
        self._placement = Placement(self._tell.journal, self._events_of)
        self._guard = Guard("trading", name)
        self._accounts = Accounts(self.settings.salt)
        self._tallies = Tallies()
        self._kinds = OrderKinds(self.settings, self._tallies)
        self._index = OrderIndex(self.settings.max_orders, self.settings.terminal_ttl_s)
        self._room = WaitingRoom(self.settings.max_waiting)
        self._lost: dict[_Likeness, Entry] = {}
        """Orders whose fate nobody knows, by what another one would have to be to double them."""
        self._schedule = Schedule(f"tickspan-{name}")
        self._answers = self._schedule.line(_ANSWER_DELAY_S, self._guarded(self._measure_answer))
        self._lives = self._schedule.line(self.settings.lifecycle_delay_s, self._guarded(self._write_life))
        self._doubts = self._schedule.line(self.settings.unknown_after_s, self._guarded(self._tell_unknown))
        self._evicted = self._schedule.line(0.0, self._guarded(self._tell_evicted))
        self._questions = self._schedule.line(0.0, self._guarded(self._ask_store))
        self._last_questions = self._schedule.line(
            self.settings.waiting_s * _LAST_QUESTION, self._guarded(self._ask_store)
        )
        self._unmatched = 0
        self._is_sweep_due = False
        self._is_closed = False
        self._asks_until_ns: int | None = None
        """Set while the registry closes."""
        self._lock = threading.Lock()
        _register(self)
        observe(meter, GAUGES, self)

    def __repr__(self) -> str:
        return f"<Orders {self.statistics()}>"

    def use_clock_ahead(self, clock_ahead: ClockAhead) -> None:
        """How far venues' clocks are ahead of ours, for `trading.fill.delivery_lag`."""
        self._tell.clock_ahead = clock_ahead

    def begin(self, request: OrderRequest, *, recent: RecentTicks | None = None) -> OrderCall:
        """An order operation is about to be sent: its span, its entry, and of a new order the event.

        `recent` is the client's memory of ticks, for a context that has lost its own.
        """
        anchor = self.clock.anchor()
        request = sound_request(request)
        kind = self._kind_of(request)
        self._is_closed = False
        if not request.emulated:  # what it is made of is counted
            self._tell.measures.add(kind, names.METRIC_ORDER_OPERATIONS)
        if kind.is_untold:
            return self._begin_untold(request, kind, anchor)
        target, submitted = self._target(request, kind)
        cause = self._cause(recent.newest(request.instrument) if recent is not None else None, anchor)
        place = self._placement.of_order(request.operation, kind.strategy, submitted, cause, anchor)
        known = attributes.of_request(kind, request, self.settings)
        known[names.TRIGGER] = cause.trigger._value_
        known |= _annotations(request)
        stale_s = stale_age_s(cause.tick, anchor.monotonic_ns, self.settings)
        if stale_s is not None:
            known[names.FEED_AGE] = stale_s
        span = self._tell.journal.operation(kind, known, place.parent, place.links, anchor.wall_ns)
        points, context = _points(cause, anchor), set_span_in_context(span, _NOWHERE)

        def record_of(order: Order) -> Record:
            return Record(order, span, context, cause.trigger, anchor.monotonic_ns, anchor.wall_ns, points)

        coming = self._coming(request, kind, target)
        entries = self._entered(coming, record_of) if coming else ()
        is_announced = not (request.is_named_later and len(coming) == 1)
        for one in coming if is_announced else ():
            self._tell.new(one.kind, one.order, one.request, context, anchor.wall_ns)
            listening.hear(one.kind.venue, one.order)
        if stale_s is not None and cause.tick is not None:
            tell_stale_decision(self._tell.events, cause.tick, stale_s, known, span.get_span_context())
        # A venue gets nothing of ours, whoever makes the request.
        within = bare(set_span_in_context(span))
        call = OrderCall(self, request, kind, span, within, context, points, anchor, entries, target)
        call.is_announced = is_announced
        return call

    def count(self, request: OrderRequest, metric: str, amount: int, extra: Extra = ()) -> None:
        """Add to a counter of orders like `request`, which a member counts itself and does not tell.

        Where a back-test places thousands of orders a second, that is all there is time for.
        """
        self._tell.measures.add(self._kind_of(sound_request(request)), metric, amount, extra)

    def observe(self, update: OrderUpdate) -> tuple[OrderKey, ...]:
        """A report of any source; of an unknown order it waits if it was pushed, and is ignored if polled.

        Returns the names of the order it is about, for a `TickRef` that carries the report.
        """
        account, account_hash = self._accounts.hashes(update.account)
        update = sound_update(update)
        if not update.received_ns:
            update = update.received_at(self.clock.monotonic_ns(), update.source)
        keys = _keys(update.venue, account, update.venue_id, update.client_id, update.original_client_id)
        news: list[News] = []
        pushed_out, question = None, None
        with self._lock:
            entry = self._index.find(
                update.venue, account, update.venue_id, update.client_id, update.original_client_id
            )
            if entry is not None:
                self._applied(entry, update, news)
            elif update.source.is_pushed:
                if (self._store or process_store()) is not None and not self._room.expects(keys):
                    question = _Question(account, account_hash, keys)
                pushed_out = self._admitted(keys, update)
        self._perform(news)
        if question is not None and len(self._last_questions) < self.settings.max_waiting:
            self._questions.add(question)
        if pushed_out is not None:
            self._tell_unmatched(pushed_out)
        return keys

    def charged(self, update: OrderUpdate) -> None:
        """What executions have cost, where the venue tells that apart from them.

        Of `update` only the order's names and the fees are read; of an unknown order nothing is told.
        """
        account, _ = self._accounts.hashes(update.account)
        with self._lock:
            entry = self._index.find(
                update.venue, account, update.venue_id, update.client_id, update.original_client_id
            )
            record = entry.record() if entry is not None else None
        if entry is None or record is None:
            return
        for execution in update.executions:
            self._tell.charged(entry.kind, record, execution)

    def cause_context(self) -> Context | None:
        """What an operation without a span above it comes from now: the tick at hand, or a report."""
        if current_tick() is None:
            return None
        anchor = self.clock.anchor()
        return self._placement.of_cause(self._cause(None, anchor), anchor)

    def statistics(self) -> OrderStatistics:
        """The counts now."""
        with self._lock:
            return OrderStatistics(
                open=self._tallies.open,
                unknown=self._tallies.unknown,
                waiting=len(self._room),
                unmatched=self._unmatched,
                evicted=self._index.evicted,
            )

    def readings(self, name: str) -> Readings:
        """What the gauge `name` is now; nothing once the registry is closed."""
        if self._is_closed:
            return ()
        with self._lock:
            return self._tallies.readings(name, self.clock.monotonic_ns())

    def close(self) -> None:
        """Tell what is still to be told: reports that wait, lifecycles that are due, orders that are open."""
        self._ask_a_last_time()
        with self._lock:
            left = self._room.leave(self.clock.monotonic_ns())
        for update in left:
            self._guard.own(self._tell_unmatched, update, default=None)
        self._schedule.flush()
        with self._lock:
            entries = tuple(self._index)
        for entry in entries:
            self._guard.own(self._write_life, entry, default=None)
        self._guard.own(self._tell.close, default=None)
        self._is_closed = True

    def after_fork_in_child(self) -> None:
        """Orders of the parent are only matched here; the parent tells their lives."""
        self._lock = threading.Lock()
        self._room = WaitingRoom(self.settings.max_waiting)
        self._is_sweep_due = False
        self._tell.after_fork_in_child()
        self._schedule.after_fork_in_child()
        self._tallies.clear()
        self._lost.clear()
        audit.count_anew()
        for entry in self._index:
            entry.is_foreign = True

    # What an OrderCall asks for.

    def announced(self, call: OrderCall) -> None:
        """The call's order has its name, or is about to be sent without one: it is written down."""
        if len(call.entries) != 1:
            return
        with self._lock:
            order = self._index.open(call.entries[0]).order
        self._tell.new(call.kind, order, call.request, call.order_context, call.anchor.wall_ns)

    def named(self, call: OrderCall, client_id: str | None, venue_id: str | None) -> None:
        """An id of the call's order has become known before its answer."""
        if len(call.entries) != 1:
            return
        entry = call.entries[0]
        with self._lock:
            record = self._index.open(entry)
            is_second = bool(
                client_id and record.order.client_ids and client_id not in record.order.client_ids
            )
            record.order = lifecycle.named(record.order, client_id, venue_id)
            self._index.name(entry, record)
        if is_second and call.attempts > 1 and call.retry_is_safe:
            # Each attempt had an id of its own: the venue could not tell that they were one order.
            self._tell_retry(call, call.attempts, is_safe=False)

    def retried(self, call: OrderCall, attempt: int) -> None:
        """The request was handed to the transport once more; to ask twice how an order stands is no retry."""
        if call.operation is OrderOperation.QUERY:
            return
        self._tell_retry(
            call, attempt, is_safe=call.operation not in CREATING or self._is_refused_twice(call)
        )

    def waited(self, call: OrderCall, segment: Segment, seconds: float) -> None:
        """So much of the call's time was `segment`."""
        self._tell.waited(call, self._order_of(call), segment, seconds)

    def acknowledged(self, call: OrderCall, updates: Sequence[OrderUpdate]) -> Order | None:
        """The call's answer; returns the state of the order that it was about, if it was about one."""
        received_ns = call.points.get(Point.ANSWERED) or self.clock.monotonic_ns()
        # The answer to a cancel carries a client id of that request's own.
        is_anonymous = call.operation is OrderOperation.CANCEL
        answers = [_as_answer(sound_update(update), received_ns, is_anonymous) for update in updates]
        news: list[News] = []
        with self._lock:
            announced = self._answered(call, answers, news)
        if announced is not None and call.target is not None:
            self._tell.replaced_in_place(call.target.kind, call.target.record(), announced)
        self._perform(news)
        return self._order_of(call) or (call.target.record().order if call.target is not None else None)

    def failed(self, call: OrderCall, reject: Reject | None) -> Order | None:
        """The call has failed; a replacement that was refused leaves the old order as it was."""
        news: list[News] = []
        if reject is not None and call.operation is OrderOperation.REPLACE:
            self._refuse_replacement(call, reject)
            return None
        with self._lock:
            for entry in call.entries:
                record = self._index.open(entry)
                self._stepped(entry, record, lifecycle.fail(record.order, reject), news)
        if reject is not None and not call.entries and not call.request.emulated:
            self._tell.refused(call.kind, reject)
        self._perform(news)
        return self._order_of(call)

    def answered(self, call: OrderCall) -> None:
        """The venue has answered, and the call is over."""
        for entry in call.entries:
            if not entry.kind.is_untold:
                self._answers.add(entry)

    def finished(self, call: OrderCall) -> None:
        """The call's span ends now."""
        if call.operation is OrderOperation.CANCEL:
            self._tell.cancel_answered(call)
        if Point.ANSWERED in call.points:
            self.answered(call)
        call.span.end(call.anchor.wall(self.clock.monotonic_ns()))

    # Who an order is, and why.

    def _cause(self, newest: TickRef | None, anchor: Anchor) -> Cause:
        return cause_of(current_tick(), newest, anchor.monotonic_ns, self.settings)

    def _kind_of(self, request: OrderRequest) -> OrderKind:
        account, account_hash = self._accounts.hashes(request.account)
        strategy = request.strategy if request.strategy is not None else current_strategy.get()
        return self._kinds.of(request, strategy, account, account_hash)

    def _target(self, request: OrderRequest, kind: OrderKind) -> tuple[Entry | None, SpanContext | None]:
        """The order that is meant, and the span of its call."""
        if request.operation is OrderOperation.SUBMIT:
            return None, None
        client_id = request.original_client_id or request.client_id
        with self._lock:
            entry = self._index.find(kind.venue, kind.account, request.venue_id, client_id)
            return (entry, entry.record().submit.get_span_context()) if entry is not None else (None, None)

    def _coming(self, request: OrderRequest, kind: OrderKind, target: Entry | None) -> list[_Coming]:
        """The orders that the request is to create."""
        if request.operation not in CREATING or request.emulated:
            return []
        old = target.record().order if target is not None else None
        if not request.batch:
            return [_Coming(request, kind, lifecycle.begin(request, old))]
        singles = [sound_request(single) for single in request.batch]
        return [_Coming(single, self._kind_of(single), lifecycle.begin(single, old)) for single in singles]

    def _entered(self, coming: Sequence[_Coming], record_of: Callable[[Order], Record]) -> tuple[Entry, ...]:
        """An entry for each order; which of them may double one that is lost, is told."""
        entries: list[Entry] = []
        news: list[News] = []
        with self._lock:
            for one in coming:
                record = record_of(one.order)
                lost = self._lost.get(_likeness(one.kind, one.order)) if self._lost else None
                if lost is not None:
                    news.append(Suspicion(one.kind, one.order, lost.record().order, record.context))
                entries.append(self._held(Entry(one.kind, record), record))
        if news:
            self._perform(news)
        return tuple(entries)

    def _held(self, entry: Entry, record: Record) -> Entry:
        """`entry`, which is in the index now; the open one that had to leave for it is told of, later."""
        evicted = self._index.add(entry, record, self.clock.monotonic_ns())
        if evicted is not None:
            self._stands(evicted, evicted.record(), None)
            self._evicted.add(evicted)
        if not entry.is_foreign:
            entry.kind.tally.change(entry, None, record.order.status, record.called_ns)
        return entry

    def _begin_untold(self, request: OrderRequest, kind: OrderKind, anchor: Anchor) -> OrderCall:
        """Of a back-test, orders are counted only: no span, no event, no cause."""
        self._tell.begun_backtest(kind, anchor.wall_ns)
        target, _ = self._target(request, kind)
        points, here = {Point.CALLED: anchor.monotonic_ns}, otel_context.get_current()

        def record_of(order: Order) -> Record:
            return Record(
                order, INVALID_SPAN, here, Trigger.MANUAL, anchor.monotonic_ns, anchor.wall_ns, points
            )

        coming = self._coming(request, kind, target)
        entries = self._entered(coming, record_of) if coming else ()
        return OrderCall(self, request, kind, INVALID_SPAN, bare(here), here, points, anchor, entries, target)

    def _order_of(self, call: OrderCall) -> Order | None:
        """The order that the call creates, if it is one."""
        return call.entries[0].record().order if len(call.entries) == 1 else None

    def _events_of(self, keys: Iterable[OrderKey]) -> tuple[SpanContext, ...]:
        """The last event of each of the orders that `keys` name."""
        with self._lock:
            entries = {entry: None for key in keys if (entry := self._index.find_key(key)) is not None}
            events = [entry.record().last_event for entry in entries]
        return tuple(event.get_span_context() for event in events if event is not None)

    def _is_refused_twice(self, call: OrderCall) -> bool:
        """Whether the venue would never take a second order like those of the call."""
        unique = call.request.client_id_unique or profile_of(call.kind.venue).client_id_unique
        if unique is not ClientIdUnique.ALWAYS:
            return False
        return bool(call.entries) and all(entry.record().order.client_ids for entry in call.entries)

    # What changes; under the lock. News are told afterwards.

    def _answered(self, call: OrderCall, answers: Sequence[OrderUpdate], news: list[News]) -> Order | None:
        """Returns the order that was announced as another's replacement, if that one goes on in its place."""
        if call.operation is OrderOperation.REPLACE and call.entries:
            return self._replaced(call, answers, news)
        if call.operation in CREATING:
            self._created(call.entries, answers, news)
            return None
        for answer in answers:
            entry = self._meant(call, answer)
            if entry is None:
                continue
            if call.target is None and len(answers) == 1:
                call.target = entry
            nameless = answer.received_at(answer.received_ns, answer.source, is_anonymous=True)
            self._applied(entry, nameless, news)
        return None

    def _created(self, entries: Sequence[Entry], answers: Sequence[OrderUpdate], news: list[News]) -> None:
        """The call has come back, with an answer for each order, for some, or for more than were known."""
        pairs = self._paired(entries, answers)
        if len(answers) > len(entries) > 0:
            pairs += self._further(entries, answers, pairs)
        for entry, answer in pairs:
            self._applied(entry, answer, news, is_settled=True)
        for entry in dict.fromkeys([*entries, *(entry for entry, _ in pairs)]):
            record = self._index.open(entry)
            if not record.order.is_settled:
                self._stepped(entry, record, lifecycle.settle(record.order), news)
            for update in self._room.take(self._names_of(entry, record)) if len(self._room) else ():
                self._applied(entry, update, news)

    def _replaced(self, call: OrderCall, answers: Sequence[OrderUpdate], news: list[News]) -> Order | None:
        entry, target = call.entries[0], self._still_meant(call)
        if target is None or not answers:
            self._created(call.entries, answers, news)
            return None
        call.target = target
        record = self._index.open(target)
        if answers[0].venue_id is not None and answers[0].venue_id == record.order.venue_id:
            announced = self._dropped(entry)
            call.entries = ()  # the call is about the old order, which is the new one
            record.order = lifecycle.revised(record.order, answers[0].client_id)
            self._index.name(target, record)
            self._applied(target, answers[0], news)
            return announced
        self._stepped(target, record, lifecycle.supersede(record.order, answers[0]), news)
        self._created(call.entries, answers, news)
        return None

    def _dropped(self, entry: Entry) -> Order:
        """The order of `entry`, which is forgotten: it never was one of its own."""
        record = entry.record()
        self._stands(entry, record, None)
        self._index.remove(entry)
        return record.order

    def _still_meant(self, call: OrderCall) -> Entry | None:
        """The order to be replaced: its name may have gone to another entry since the call began."""
        kind, request = call.kind, call.request
        if call.target is None:
            return None
        found = self._index.find(kind.venue, kind.account, request.venue_id, request.original_client_id)
        return found or call.target

    def _meant(self, call: OrderCall, answer: OrderUpdate) -> Entry | None:
        """The order that an answer to a cancel or query is about: by its venue id, else the call's.

        A query by a venue id that is not known here may find an order whose own answer was lost: by its
        client id, if nothing says that the venue knows that order under another id.
        """
        found = self._index.find(answer.venue, call.kind.account, answer.venue_id)
        if found is not None:
            return found
        meant = call.target or self._index.find(answer.venue, call.kind.account, None, answer.client_id)
        if meant is None:
            return None
        known = meant.record().order.venue_id
        return meant if answer.venue_id is None or known in (None, answer.venue_id) else None

    def _paired(
        self, entries: Sequence[Entry], answers: Sequence[OrderUpdate]
    ) -> list[tuple[Entry, OrderUpdate]]:
        """Which answer is about which order: by client id, else by place when there are equally many."""
        if len(entries) == len(answers):
            return list(zip(entries, answers, strict=True))
        by_id = {client_id: entry for entry in entries for client_id in entry.record().order.client_ids}
        return [(by_id[answer.client_id], answer) for answer in answers if answer.client_id in by_id]

    def _further(
        self,
        entries: Sequence[Entry],
        answers: Sequence[OrderUpdate],
        pairs: Sequence[tuple[Entry, OrderUpdate]],
    ) -> list[tuple[Entry, OrderUpdate]]:
        """Of a call by which the venue makes as many orders as it likes: the answers that have no entry yet.

        The first ones are of the entries without a name, the others get entries of their own in the call's
        trace.
        """
        paired, told = {id(entry) for entry, _ in pairs}, {id(answer) for _, answer in pairs}
        left = [answer for answer in answers if id(answer) not in told]
        nameless = [
            entry for entry in entries if id(entry) not in paired and not entry.record().order.client_ids
        ]
        return [(nameless.pop(0) if nameless else self._sibling(entries[0]), answer) for answer in left]

    def _sibling(self, entry: Entry) -> Entry:
        """Another order of the same call, of which nothing is known yet."""
        record = self._index.open(entry)
        order = lifecycle.twin(record.order)._replace(
            status=OrderStatus.PENDING_NEW, client_ids=(), root_client_id=None, is_settled=False
        )
        other = _beside(record, order)
        return self._held(Entry(entry.kind, other, is_foreign=entry.is_foreign), other)

    def _names_of(self, entry: Entry, record: Record) -> tuple[OrderKey, ...]:
        order = record.order
        return _keys(entry.kind.venue, entry.kind.account, order.venue_id, *order.client_ids)

    def _applied(
        self, entry: Entry, update: OrderUpdate, news: list[News], *, is_settled: bool = False
    ) -> None:
        record = self._index.open(entry)
        before = record.order
        if before.venue_id != update.venue_id and lifecycle.is_doubled(before, update):
            entry, record = self._twin(entry, record, update, news)
            before = record.order
        step = lifecycle.apply(before, update, is_settled=is_settled)
        self._stepped(entry, record, step, news, update)
        after = record.order
        if after.venue_id is not before.venue_id or after.client_ids is not before.client_ids:
            self._index.name(entry, record)

    def _twin(
        self, entry: Entry, record: Record, update: OrderUpdate, news: list[News]
    ) -> tuple[Entry, Record]:
        """The venue has made a second order of one call: an entry of its own, in the first one's trace."""
        order = lifecycle.twin(record.order)._replace(venue_id=update.venue_id)
        other = _beside(record, order)
        twin = self._held(Entry(entry.kind, other, is_foreign=entry.is_foreign), other)
        news.append(Suspicion(entry.kind, order, record.order, record.context))
        return twin, other

    def _stepped(
        self, entry: Entry, record: Record, step: Step, news: list[News], update: OrderUpdate | None = None
    ) -> None:
        before = record.order
        after, effects = step
        has_changed = after.status is not before.status
        if has_changed:
            self._stands(entry, record, after.status)
            if after.status.is_terminal:
                self._index.end(entry, self.clock.monotonic_ns())
        record.order = after
        if effects or has_changed or after.filled != before.filled:
            news.append(Outcome(entry, record, before, after, effects, update))

    def _stands(self, entry: Entry, record: Record, after: OrderStatus | None) -> None:
        """Keep the counts of what is open and what is lost."""
        before, kind = record.order.status, entry.kind
        if before is after or entry.is_foreign:
            return
        kind.tally.change(entry, before, after, record.called_ns)
        if after is OrderStatus.UNKNOWN:
            self._lost.setdefault(_likeness(kind, record.order), entry)
        elif before is OrderStatus.UNKNOWN:
            likeness = _likeness(kind, record.order)
            if self._lost.get(likeness) is entry:
                del self._lost[likeness]

    def _admitted(self, keys: tuple[OrderKey, ...], update: OrderUpdate) -> OrderUpdate | None:
        """A pushed report waits for its order; returns the report that had to leave for it, if one had."""
        if not self._is_sweep_due:
            self._is_sweep_due = True
            self._schedule.after(self.settings.waiting_s, self._sweep)
        if update.account is not None:
            update = replace(update, account=None)  # hashed, and kept no longer
        return self._room.admit(keys, update, self.clock.monotonic_ns())

    # What is told; outside the lock.

    def _perform(self, news: Iterable[News]) -> None:
        for one in news:
            if isinstance(one, Suspicion):
                self._tell.suspected(one)
                continue
            one.record.last_event = self._tell.tell(one) or one.record.last_event
            if not one.entry.kind.is_untold:
                listening.hear(one.entry.kind.venue, one.after)
            if one.after.status is OrderStatus.UNKNOWN and one.before.status is not OrderStatus.UNKNOWN:
                self._doubts.add(one.entry)
            if one.effects and isinstance(one.effects[-1], Closed):
                self._lives.add(one.entry)

    def _tell_retry(self, call: OrderCall, attempt: int, *, is_safe: bool) -> None:
        call.retry_is_safe = is_safe
        call.span.set_attribute(names.ORDER_RETRY_SAFE, is_safe)
        self._tell.retried(call, self._order_of(call), attempt, is_safe=is_safe)

    def _refuse_replacement(self, call: OrderCall, reject: Reject) -> None:
        with self._lock:
            announced = [self._dropped(entry) for entry in call.entries]
        for order in announced:
            self._tell.refused_replacement(call, order, reject)
        if not announced and not call.request.emulated:
            self._tell.refused(call.kind, reject)

    def _tell_unknown(self, entry: Entry) -> None:
        """The order has been lost for a while: is it still?"""
        record = entry.record()
        if record.order.status is OrderStatus.UNKNOWN and not entry.is_foreign:
            self._tell.unknown(entry.kind, record)

    def _sweep(self) -> None:
        """Tell of reports that have waited too long; come back while others wait."""
        waiting_ns = int(self.settings.waiting_s * 1e9)
        with self._lock:
            left = self._room.leave(self.clock.monotonic_ns() - waiting_ns)
            self._is_sweep_due = bool(len(self._room))
        for update in left:
            self._guard.own(self._tell_unmatched, update, default=None)
        if self._is_sweep_due:
            self._schedule.after(self.settings.waiting_s / 10, self._sweep)

    def _tell_unmatched(self, update: OrderUpdate) -> None:
        self._unmatched += 1
        kind = self._kinds.of(_as_request(update), None, None, None)
        self._tell.unmatched(kind, update)

    def _measure_answer(self, entry: Entry) -> None:
        """The stages up to the venue's answer, once."""
        with self._lock:
            if entry.is_measured or entry.is_written or entry.is_foreign:
                return
            entry.is_measured = True
            record = entry.record()
        self._tell.answered(entry.kind, record)

    def _write_life(self, entry: Entry) -> None:
        """The order's lifecycle span, once; of an order that is still open as incomplete."""
        with self._lock:
            if entry.is_written or entry.is_foreign:
                return
            entry.is_written = True
            record = entry.record()
        self._tell.life(entry.kind, record, self.clock.monotonic_ns(), is_measured=entry.is_measured)
        with self._lock:
            if record.order.is_closed:
                self._index.rest(entry)

    def _tell_evicted(self, entry: Entry) -> None:
        self._tell.evicted(entry.kind)
        self._write_life(entry)

    def _ask_a_last_time(self) -> None:
        """The store may know by now whose reports wait; a program that ends asks only for a moment."""
        self._asks_until_ns = self.clock.monotonic_ns() + _LAST_WORD_NS
        self._questions.flush()
        self._last_questions.flush()
        self._asks_until_ns = None

    def _ask_store(self, question: _Question) -> None:
        """Whether an order that a venue has pushed is in the store; then it is known here, with its reports.

        Asked at once, and again shortly before its reports count as nobody's: who fills a store may be slower
        than a venue.
        """
        store = self._store or process_store()
        if store is None or not self._room.expects(question.keys):
            return
        if self._asks_until_ns is not None and self.clock.monotonic_ns() > self._asks_until_ns:
            return
        for key in question.keys:
            asked = key._replace(account=question.account_hash)
            stored = self._guard.user(store.find, asked, default=None)
            if stored is not None:
                self._adopt(stored, question)
                return
        if not question.is_last:
            self._last_questions.add(replace(question, is_last=True))

    def _adopt(self, stored: StoredOrder, question: _Question) -> None:
        request = OrderRequest(
            stored.operation,
            stored.venue,
            stored.library,
            environment=stored.environment,
            strategy=stored.strategy,
            instrument=stored.instrument,
            side=stored.side,
            type=stored.type,
        )
        kind = self._kinds.of(request, stored.strategy, question.account, question.account_hash)
        anchor = self.clock.anchor()
        record = _restored(stored, anchor)
        news: list[News] = []
        with self._lock:
            if self._index.find(kind.venue, kind.account, stored.venue_id, *stored.client_ids) is None:
                entry = Entry(kind, record, is_foreign=True)
                self._index.add(entry, record, anchor.monotonic_ns)
                if record.order.status.is_terminal:
                    self._index.end(entry, anchor.monotonic_ns)
                names_of_it = (*question.keys, *self._names_of(entry, record))
                for update in self._room.take(names_of_it):
                    self._applied(entry, update, news)
        self._perform(news)

    def _guarded(self, action: Callable[[T], None]) -> Callable[[T], None]:
        return lambda thing: self._guard.own(action, thing, default=None)


def shutdown() -> None:
    """Close every registry: called before the providers shut down, and at exit. Safe to call twice."""
    for orders in tuple(_live):
        orders.close()


_live: Final[weakref.WeakSet[Orders]] = weakref.WeakSet()
_hooks_are_set = False


def _register(orders: Orders) -> None:
    global _hooks_are_set
    _live.add(orders)
    renew_after_fork(orders)
    if not _hooks_are_set:
        _hooks_are_set = True
        # After the providers' own hook, which is why this one runs before theirs.
        atexit.register(shutdown)


def _beside(record: Record, order: Order) -> Record:
    """`order` in the place of the one that `record` is of: the same call, the same trace."""
    return Record(
        order,
        record.submit,
        record.context,
        record.trigger,
        record.called_ns,
        record.called_wall_ns,
        dict(record.points),
    )


def _points(cause: Cause, anchor: Anchor) -> dict[Point, int]:
    points = {Point.CALLED: anchor.monotonic_ns}
    tick = cause.message
    if tick is not None:
        points[Point.RECEIVED] = tick.received_ns
        if tick.delivered_ns is not None:
            points[Point.DELIVERED] = tick.delivered_ns
    return points


def _annotations(request: OrderRequest) -> Mapping[str, Any]:
    """What the program has said of this order beforehand; said once."""
    said = next_annotations.get() if request.operation in CREATING else None
    if said is None:
        return {}
    next_annotations.set(None)
    return said


def _restored(stored: StoredOrder, anchor: Anchor) -> Record:
    """What a store knows, as the registry knows it; its moment is as long ago as the wall clock says."""
    age_ns = max(0, anchor.wall_ns - stored.submitted_unix_ns) if stored.submitted_unix_ns else 0
    filled = stored.filled if stored.filled is not None else Decimal(0)
    order = Order(
        stored.status if stored.status not in UNHEARD else OrderStatus.NEW,
        stored.venue_id,
        stored.client_ids,
        stored.root_client_id,
        revision=stored.revision,
        asked=stored.quantity,
        filled=filled,
        executed=filled,
        executions=frozenset(stored.executions),
        is_settled=True,
        is_closed=stored.status.is_terminal,
    )
    submit = NonRecordingSpan(
        SpanContext(
            stored.trace_id, stored.span_id, is_remote=True, trace_flags=TraceFlags(stored.trace_flags)
        )
    )
    called_ns = anchor.monotonic_ns - age_ns
    return Record(
        order,
        submit,
        set_span_in_context(submit, _NOWHERE),
        Trigger.MANUAL,
        called_ns,
        anchor.wall_ns - age_ns,
        {Point.CALLED: called_ns},
    )


def _likeness(kind: OrderKind, order: Order) -> _Likeness:
    """What two orders have in common that may be one."""
    return (kind.venue, kind.account, kind.instrument, kind.side, kind.type, order.asked, order.price)


def _as_answer(update: OrderUpdate, received_ns: int, is_anonymous: bool) -> OrderUpdate:
    # A report by FIX answers the call, and is pushed: it stays what it is.
    is_answer = update.source.is_response or update.source is Source.FIX
    source = update.source if is_answer else Source.REST_RESPONSE
    return update.received_at(received_ns, source, is_anonymous=is_anonymous)


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


def _keys(
    venue: str, account: str | None, venue_id: str | None, *client_ids: str | None
) -> tuple[OrderKey, ...]:
    named = tuple([OrderKey(venue, account, client_id) for client_id in client_ids if client_id is not None])
    return named if venue_id is None else (OrderKey(venue, account, venue_id, is_venue_id=True), *named)
