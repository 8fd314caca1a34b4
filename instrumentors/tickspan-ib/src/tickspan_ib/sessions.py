"""What is under way on each connection: order calls that wait for their answer, and the newest ticks.

`placeOrder` returns at once. The call that it began is answered later, by a message in the read loop, or
never: then it ends at its deadline, which counts while the client's loop runs.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from contextvars import Context
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from opentelemetry.trace import Status, StatusCode
from tickspan.instrumentation import Guard, Workbench
from tickspan.semconv.common import ERROR_TYPE
from tickspan.trading import (
    OrderCall,
    OrderKey,
    OrderOperation,
    OrderRequest,
    Orders,
    OrderStatus,
    OrderUpdate,
    Point,
    RecentTicks,
    Reject,
    RejectOrigin,
    Segment,
    Source,
    TickKind,
    TickRef,
    current_tick,
    feeds_of,
    open_message,
    orders_of,
    tick_scope,
)

from tickspan_ib import read
from tickspan_ib.describe import Terms, place_of
from tickspan_ib.read import Receipt, Report
from tickspan_ib.streams import Streams
from tickspan_ib.venue import REJECTION, VENUE, Meaning, meaning_of

Name = TypeVar("Name", int, str)

ACK_DEADLINE_S: Final = 5.0
_MOST_KEPT: Final = 1_000
_CONNECTION_LOST: Final = "ConnectionError"
_TIMED_OUT: Final = "timeout"
_CANCELED: Final = f"{VENUE}:202"
_ERROR: Final = Status(StatusCode.ERROR)


@dataclass(slots=True, eq=False)
class Waiting:
    """An order call whose answer is still to come."""

    call: OrderCall
    terms: Terms | None = None
    """Of a change in place: by which its answer is known."""
    expects_answer: bool = True
    """TWS keeps silent about what it is not to transmit, and about a cancel of all orders."""
    queued_ns: int | None = None
    """Since when it stands in the library's queue, if it has to."""
    heard: OrderUpdate | None = None
    """The last that was told of the order meanwhile."""
    deadline: asyncio.TimerHandle | None = None


class Newest(Generic[Name]):
    """The newest thousand numbers of orders, or ids of executions."""

    def __init__(self) -> None:
        self._newest: dict[Name, None] = {}

    def __contains__(self, name: Name) -> bool:
        return name in self._newest

    def discard(self, name: Name) -> None:
        """Forget `name`."""
        self._newest.pop(name, None)

    def add(self, name: Name) -> None:
        """Remember `name`; the oldest one leaves for it."""
        self._newest[name] = None
        if len(self._newest) > _MOST_KEPT:
            del self._newest[next(iter(self._newest))]


class Session:
    """One client object, through all its connections. Used from the thread of its loop."""

    def __init__(
        self, library: str, streams: Streams, orders: Orders, guard: Guard, deadline_s: float
    ) -> None:
        self.library = library
        self.streams = streams
        self.recent = RecentTicks()
        self.made = 0
        """Messages about new and changed orders so far."""
        self.untold = Newest[int]()
        """Orders that were placed while nothing was to be recorded, or that the program tells of itself."""
        self._orders = orders
        self._guard = guard
        self._deadline_s = deadline_s
        self._charged = Newest[str]()
        """Executions whose cost is told: after each reconnection TWS tells them again."""
        self._waiting: dict[int, deque[Waiting]] = {}
        self._refused = Newest[int]()
        """TWS calls an order canceled, or inactive, after it has refused it."""

    def receipt(self, wrapper: Any, source: Source = Source.USER_STREAM) -> Receipt:
        """Where and when the message at hand has come."""
        message = open_message()
        received_ns = message.received_ns if message is not None else self._orders.clock.monotonic_ns()
        return Receipt(place_of(self.library, wrapper), received_ns, source)

    # Calls.

    def begin(self, request: OrderRequest) -> OrderCall:
        """An order operation is about to be sent."""
        tick, newest = current_tick(), self.recent.newest(request.instrument)
        if tick is not None and newest is not None and _is_part_of(newest, tick):
            with tick_scope(newest):
                return self._orders.begin(request)
        return self._orders.begin(request, recent=self.recent)

    def expect(self, order_id: int, waiting: Waiting) -> None:
        """The message of `waiting` is about to be made; the answer will name `order_id`."""
        if waiting.call.operation is OrderOperation.SUBMIT:
            # The same number was another order's, when this object was connected as another client.
            self.untold.discard(order_id)
            self._refused.discard(order_id)
        self._waiting.setdefault(order_id, deque()).append(waiting)

    def withdraw(self, order_id: int, waiting: Waiting) -> None:
        """The message was not made after all."""
        self._take(order_id, waiting)

    def returned(self, order_id: int, waiting: Waiting) -> None:
        """The message is made: it is sent by now, or stands in the library's queue."""
        if not waiting.call.is_open:
            return
        if not waiting.call.is_sent:
            waiting.queued_ns = self._orders.clock.monotonic_ns()
        self._set_deadline(order_id, waiting)

    def sent(self, operation: OrderOperation, order_id: int) -> None:
        """P6: the message is handed to the socket, in whatever context the library's queue runs."""
        is_cancel = operation is OrderOperation.CANCEL
        for waiting in self._under_way(order_id):
            call = waiting.call
            if not call.is_sent and (call.operation is OrderOperation.CANCEL) is is_cancel:
                self._mark_sent(order_id, waiting)
                return

    def lost(self) -> None:
        """The connection is gone: nobody knows the fate of what was sent, and the rest never left."""
        for order_id, waiting in tuple(self._all()):
            self._take(order_id, waiting)
            if waiting.call.is_sent:
                self._give_up(waiting, _CONNECTION_LOST)
            else:
                reject = Reject(_CONNECTION_LOST, origin=RejectOrigin.CLIENT_LIBRARY)
                waiting.call.fail(_CONNECTION_LOST, reject)

    def close(self) -> None:
        """Nobody listens any longer: calls end without a word about their orders."""
        for order_id, waiting in tuple(self._all()):
            self._take(order_id, waiting)
            waiting.call.span.end()

    # Messages. Each returns the names of the order that it is about.

    def reported(self, report: Report) -> tuple[OrderKey, ...]:
        """TWS tells of an order."""
        if report.order_id in self.untold:
            return ()
        update = self._read_rightly(report)
        for waiting in self._sent(report.order_id):
            waiting.heard = update
            if read.answers(report, waiting.call.operation, waiting.terms):
                self._take(report.order_id, waiting)
                return self._answered(waiting, update)
        return self._orders.observe(update)

    def executed(self, order_id: int, update: OrderUpdate) -> tuple[OrderKey, ...]:
        """TWS tells of an execution."""
        return () if order_id in self.untold else self._orders.observe(update)

    def charged(self, order_id: int, update: OrderUpdate | None) -> None:
        """TWS tells what an execution has cost."""
        if update is None or order_id in self.untold or update.executions[0].id in self._charged:
            return
        self._charged.add(update.executions[0].id)
        self._orders.charged(update)

    def told(self, update: OrderUpdate) -> None:
        """TWS answers a question about orders that are over."""
        self._orders.observe(update)

    def failed(
        self, receipt: Receipt, order_id: int, code: int, text: str, *, is_order: bool
    ) -> tuple[OrderKey, ...]:
        """An error message about `order_id`, which may be the number of something else."""
        meaning = meaning_of(code, text)
        if order_id in self.untold:
            return ()
        if meaning is Meaning.CANCELED:
            return self._canceled(receipt, order_id, is_order=is_order)
        waiting = self._refused_call(order_id, meaning)
        if waiting is not None:
            self._take(order_id, waiting)
            reject = read.refusal(code, text)
            waiting.call.mark(Point.ANSWERED, receipt.received_ns)
            waiting.call.fail(reject.error_type, reject)
            if waiting.call.operation is OrderOperation.SUBMIT:
                self._refused.add(order_id)
            return ()
        if code != REJECTION or not is_order:
            return ()
        self._refused.add(order_id)
        update = read.ended(receipt, order_id, OrderStatus.REJECTED, read.refusal(code, text))
        return self._orders.observe(update)

    # How it goes on.

    def _mark_sent(self, order_id: int, waiting: Waiting) -> None:
        call = waiting.call
        call.attempt(call.operation)
        if waiting.queued_ns is not None:
            waited_ns = self._orders.clock.monotonic_ns() - waiting.queued_ns
            call.waited(Segment.QUEUE_WAIT, waited_ns / 1e9)
        if not waiting.expects_answer:
            self._take(order_id, waiting)
            call.acknowledge()

    def _answered(self, waiting: Waiting, update: OrderUpdate) -> tuple[OrderKey, ...]:
        call, answer = waiting.call, replace(update, source=Source.WS_API)
        call.mark(Point.ANSWERED, update.received_ns)
        if call.operation is not OrderOperation.REPLACE:
            call.acknowledge([answer])
            return self._orders.observe(update)
        # First, so that the venue's number tells that this is the same order still.
        keys = self._orders.observe(update)
        call.acknowledge([answer])
        return keys

    def _canceled(self, receipt: Receipt, order_id: int, *, is_order: bool) -> tuple[OrderKey, ...]:
        """The order is over: whatever was asked about it is answered by that."""
        if not is_order and not self._under_way(order_id):
            return ()
        update = read.ended(receipt, order_id, OrderStatus.CANCELED)
        for waiting in self._sent(order_id):
            self._take(order_id, waiting)
            if waiting.call.operation is OrderOperation.REPLACE:
                self._give_up(waiting, _CANCELED)
            else:
                self._answered(waiting, update)
        return () if order_id in self._refused else self._orders.observe(update)

    def _give_up(self, waiting: Waiting, error_type: str) -> None:
        """No answer will come."""
        call, heard = waiting.call, waiting.heard
        if call.operation is OrderOperation.REPLACE:
            self._give_up_change(call, heard, error_type)
        elif call.operation is OrderOperation.SUBMIT and heard is not None:
            call.acknowledge([replace(heard, source=Source.WS_API)])
        else:
            call.fail(error_type)

    def _give_up_change(self, call: OrderCall, heard: OrderUpdate | None, error_type: str) -> None:
        """A change in place makes no second order, whatever has become of it: the order is known."""
        venue_id = call.request.venue_id or (heard.venue_id if heard is not None else None)
        if venue_id is None:
            call.fail(error_type, Reject(error_type, origin=RejectOrigin.GATEWAY))
            return
        call.span.set_attribute(ERROR_TYPE, error_type)
        call.span.set_status(_ERROR)
        now_ns = self._orders.clock.monotonic_ns()
        call.acknowledge([OrderUpdate(VENUE, Source.WS_API, venue_id=venue_id, received_ns=now_ns)])

    def _expired(self, order_id: int, waiting: Waiting) -> None:
        if not waiting.call.is_sent:
            self._set_deadline(order_id, waiting)  # it still stands in the queue
        elif self._take(order_id, waiting):
            self._give_up(waiting, _TIMED_OUT)

    def _set_deadline(self, order_id: int, waiting: Waiting) -> None:
        loop = self._loop()
        if loop.is_closed():
            return
        expire = functools.partial(self._guard.own, self._expired, order_id, waiting, default=None)
        waiting.deadline = loop.call_later(self._deadline_s, expire, context=Context())

    def _loop(self) -> asyncio.AbstractEventLoop:
        """The loop that reads the answer; without one that runs it is the library's own."""
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return sys.modules[f"{self.library}.util"].getLoop()

    # Who is meant.

    def _read_rightly(self, report: Report) -> OrderUpdate:
        update = report.update
        if update.status is OrderStatus.CANCELED and report.order_id in self._refused:
            return replace(update, status=None)
        return update

    def _refused_call(self, order_id: int, meaning: Meaning) -> Waiting | None:
        if meaning not in (Meaning.REFUSED, Meaning.RATE_LIMIT, Meaning.CANCEL_REFUSED):
            return None
        is_cancel = meaning is Meaning.CANCEL_REFUSED
        return next(
            (
                waiting
                for waiting in self._sent(order_id)
                if (waiting.call.operation is OrderOperation.CANCEL) is is_cancel
            ),
            None,
        )

    def _sent(self, order_id: int) -> tuple[Waiting, ...]:
        return tuple(waiting for waiting in self._under_way(order_id) if waiting.call.is_sent)

    def _under_way(self, order_id: int) -> tuple[Waiting, ...]:
        return tuple(self._waiting.get(order_id, ()))

    def _all(self) -> Iterator[tuple[int, Waiting]]:
        return ((order_id, waiting) for order_id, calls in self._waiting.items() for waiting in calls)

    def _take(self, order_id: int, waiting: Waiting) -> bool:
        """Wait no longer; False if it was waited for no longer before."""
        calls = self._waiting.get(order_id)
        if calls is None or waiting not in calls:
            return False
        calls.remove(waiting)
        if not calls:
            del self._waiting[order_id]
        if waiting.deadline is not None:
            waiting.deadline.cancel()
        return True


def _is_part_of(newest: TickRef, tick: TickRef) -> bool:
    """Whether `tick` tells of several instruments, and `newest` is its part about one of them."""
    is_of_many = tick.kind is TickKind.MARKET and tick.instrument is None
    return is_of_many and newest.received_ns == tick.received_ns


class Sessions:
    """The sessions of one instrumentor; client objects are held weakly."""

    def __init__(self, bench: Workbench) -> None:
        self.orders = orders_of(bench)
        self._feeds = feeds_of(bench)
        self._guard = bench.guard("deadline")
        self._deadline_s = float(bench.settings.get("ack_deadline_s", ACK_DEADLINE_S))
        self._by_client: weakref.WeakKeyDictionary[Any, Session] = weakref.WeakKeyDictionary()
        self._by_connection: weakref.WeakKeyDictionary[Any, Session] = weakref.WeakKeyDictionary()

    def of(self, library: str, client: Any) -> Session:
        """The session of a client object."""
        known = self._by_client.get(client)
        if known is None:
            streams = Streams(self._feeds, library, client)
            known = Session(library, streams, self.orders, self._guard, self._deadline_s)
            self._by_client[client] = self._by_connection[client.conn] = known
        return known

    def of_connection(self, connection: Any) -> Session | None:
        """The session that has orders on a connection; None if it has none."""
        return self._by_connection.get(connection)

    def known(self, client: Any) -> Session | None:
        """The session of a client object, if it has one."""
        return self._by_client.get(client)

    def close(self) -> None:
        """End every call that is still open."""
        for session in tuple(self._by_client.values()):
            session.close()


def sessions_of(bench: Workbench) -> Sessions:
    """The sessions that all rows of one instrumentor share."""
    known = _sessions.get(bench)
    if known is None:
        known = _sessions[bench] = Sessions(bench)
        bench.on_undo(known.close)
    return known


_sessions: Final[weakref.WeakKeyDictionary[Workbench, Sessions]] = weakref.WeakKeyDictionary()
