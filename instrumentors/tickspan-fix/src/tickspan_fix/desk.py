"""What one library sends and receives, told to the registry of orders: the same for every FIX library."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from tickspan.instrumentation import Workbench, is_suppressed
from tickspan.trading import (
    OrderCall,
    OrderOperation,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Point,
    RecentTicks,
    Reject,
    RejectOrigin,
    RejectReason,
    Source,
    TickKind,
    TickRef,
    clocks_of,
    limits_of,
    orders_of,
)

from tickspan_fix import read
from tickspan_fix.calls import DEADLINE_S, Calls, Ending, Sent
from tickspan_fix.describe import order_request
from tickspan_fix.fields import Get, MsgType, Session, Tag, is_set, text, unix_ns, whole
from tickspan_fix.read import Kind, Refusal, Report
from tickspan_fix.sessions import MARKET_DATA, Sessions, SessionState

DEADLINE_SETTING: Final = "answer_deadline_s"
NOT_LOGGED_ON: Final = "not_logged_on"
SEND_FAILED: Final = "send_failed"
_BUDGET: Final = "messages"
_NAMES_THE_ONE_BEFORE: Final = (Kind.REPLACED, Kind.CANCELED)
MARKET_DATA_TYPES: Final = (MsgType.MARKET_DATA_SNAPSHOT, MsgType.MARKET_DATA_REFRESH)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that is being sent: a request, or one that was sent before."""

    sent: Sent
    is_repeated: bool = False


class Desk:
    """The order messages and sessions of one library. Thread-safe."""

    def __init__(self, bench: Workbench, library: str) -> None:
        self.library = library
        self.orders = orders_of(bench)
        self.sessions = Sessions(bench, library)
        self.recent = RecentTicks()
        """Of all sessions: market data often has one of its own."""
        self._limits = limits_of(bench)
        self._clocks = clocks_of(bench)
        deadline_s = float(bench.settings.get(DEADLINE_SETTING) or DEADLINE_S)
        self.calls = Calls(self.orders.clock.monotonic_ns, bench.guard("deadline"), deadline_s)
        bench.on_undo(self.calls.close)

    def __repr__(self) -> str:
        return f"<Desk {self.library}, {self.calls}>"

    def now_ns(self) -> int:
        """The monotonic clock."""
        return self.orders.clock.monotonic_ns()

    # Out.

    def begin(self, msg_type: str, get: Get, session: Session) -> Outgoing | None:
        """An order message is about to be sent; None if there is nothing to tell of it.

        A second message with the id of an earlier one is that order once more, not another one.
        """
        request = order_request(msg_type, get, session, self.library)
        if request is None:
            return None
        if is_suppressed():
            self._silence(request, session)
            return None
        client_id = request.client_id or ""
        is_query = request.operation is OrderOperation.QUERY
        known = None if is_query else self.calls.sent_as(session, client_id)
        if known is not None and known.msg_type == msg_type:
            return Outgoing(known, is_repeated=True)
        call = self.orders.begin(request, recent=self.recent)
        sent = Sent(call, session, msg_type, text(get, Tag.ORD_STATUS_REQ_ID) or client_id)
        self.calls.add(sent)
        return Outgoing(sent)

    def _silence(self, request: OrderRequest, session: Session) -> None:
        """Reports of an order that was placed in silence say nothing, whatever thread they come in."""
        is_new = request.operation is OrderOperation.SUBMIT
        if is_new or self.calls.is_silent(session, request.original_client_id):
            self.calls.silence(session, request.client_id or "")

    def refuse(self, sent: Sent, error_type: str) -> None:
        """Nothing was sent, and nothing will be."""
        reject = Reject(error_type, RejectReason.OTHER, RejectOrigin.CLIENT_LIBRARY)
        self.calls.end(sent, lambda call: call.fail(error_type, reject))

    def lose(self, sent: Sent, error_type: str) -> None:
        """Sending failed in the middle: nobody knows what the venue has."""
        self.calls.end(sent, lambda call: call.fail(error_type))

    def fail(self, sent: Sent, error: BaseException) -> None:
        """The library has raised out of the sending."""
        self.calls.end(sent, lambda call: call.fail_with(error))

    # In.

    def receive(self, msg_type: str, get: Get, state: SessionState, at_ns: int) -> TickRef | None:
        """A message of the venue has come at `at_ns`; returns it as a cause of what follows, if it is one."""
        if msg_type in MARKET_DATA_TYPES:
            self.sessions.followed(state, msg_type, get)
            return self.receive_market_data(state, get(Tag.SYMBOL), get(Tag.SENDING_TIME), at_ns)
        self.sessions.received(state, msg_type, get, at_ns)
        if msg_type == MsgType.EXECUTION_REPORT:
            return self._receive_report(get, state.session, at_ns)
        if msg_type in _REFUSALS:
            refusal = _REFUSALS[msg_type](get, state.session)
            self._receive_refusal(refusal, state.session, at_ns)
        return None

    def receive_market_data(
        self, state: SessionState, symbol: str | None, sending_time: str | None, at_ns: int
    ) -> TickRef:
        """A W or X has come: what a session carries most of, so that it costs little."""
        venue_time_ns = unix_ns(sending_time)
        state.feed.received(at_ns)
        feed = state.market_data or self.sessions.market_data(state)
        feed.received(at_ns, venue_time_ns=venue_time_ns)
        venue = state.session.venue
        tick = TickRef(venue, at_ns, instrument=symbol, channel=MARKET_DATA, venue_time_ns=venue_time_ns)
        self.recent.note(tick)
        return tick

    def _receive_report(self, get: Get, session: Session, at_ns: int) -> TickRef | None:
        report = read.execution_report(get, session, self.library)
        if report is None or report.kind is Kind.PENDING:
            return None
        if self.calls.is_silent(session, report.update.client_id):
            return None
        update = replace(report.update, received_ns=at_ns)
        if report.kind in _NAMES_THE_ONE_BEFORE:
            self._accept(session, report.original_id, update)
        answered = self._answered(session, report)
        if answered is not None:
            if report.reject is None:
                self._accept(session, answered.original_id, update)
            answered.call.mark(Point.ANSWERED, at_ns)
            self.calls.end(answered, _ending(report, update))
        elif report.kind is Kind.REJECTED and read.is_duplicate_refusal(get):
            return None  # of a repeated message: the order that came first stands as it did
        # An answer is observed too: that says nothing new, and names the order for what follows.
        keys = self.orders.observe(update)
        return TickRef(
            session.venue,
            at_ns,
            instrument=update.instrument,
            channel="executions",
            kind=TickKind.ORDER,
            venue_time_ns=update.venue_time_ns,
            reports=keys,
        )

    def _accept(self, session: Session, client_id: str | None, later: OrderUpdate) -> None:
        """A later report names an order by this id: so it was accepted, though the word of that is lost."""
        sent = self.calls.waiting(session, client_id)
        if sent is None or sent.call.operation is OrderOperation.CANCEL:
            return
        self._accept(session, sent.original_id, later)
        accepted = OrderUpdate(
            session.venue,
            Source.FIX,
            OrderStatus.NEW,
            library=self.library,
            client_id=client_id,
            original_client_id=sent.original_id,
            venue_id=later.venue_id,
            received_ns=later.received_ns,
        )
        self.calls.end(sent, lambda call: call.acknowledge([accepted]))

    def _answered(self, session: Session, report: Report) -> Sent | None:
        """The message that a report answers."""
        if report.kind is Kind.ANSWER:
            asked = self.calls.waiting(session, report.request_id, is_query=True)
            return asked or self.calls.waiting(session, report.update.client_id)
        sent = self.calls.waiting(session, report.request_id)
        if sent is None and report.kind is Kind.CANCELED:
            return self.calls.waiting_cancel(session, report.update.client_id)
        return sent

    def _receive_refusal(self, refusal: Refusal, session: Session, at_ns: int) -> None:
        reject = refusal.reject
        if reject.reason is RejectReason.RATE_LIMIT:
            self._limits.refused(session.venue, _BUDGET, library=self.library)
        if reject.reason is RejectReason.CLOCK_SKEW:
            self._clocks.suspected(session.venue, library=self.library)
        sent = self.calls.waiting(session, refusal.request_id) or self.calls.waiting_as(
            session, refusal.number
        )
        if sent is not None:
            sent.call.mark(Point.ANSWERED, at_ns)
            self.calls.end(sent, lambda call: call.fail(reject.error_type, reject))


def is_resent(get: Get) -> bool:
    """Whether the session layer sends a message again, under its old number (PossDup)."""
    return is_set(get, Tag.POSS_DUP_FLAG)


def number_of(get: Get) -> int | None:
    """MsgSeqNum."""
    return whole(get, Tag.MSG_SEQ_NUM)


def desk_of(bench: Workbench, library: str) -> Desk:
    """The desk that all rows of one library share."""
    desks = _desks.setdefault(bench, {})
    known = desks.get(library)
    if known is None:
        known = desks[library] = Desk(bench, library)
    return known


def _ending(report: Report, update: OrderUpdate) -> Ending:
    reject = report.reject

    def end(call: OrderCall) -> None:
        if reject is not None:
            call.fail(reject.error_type, reject)
        else:
            call.acknowledge([update])

    return end


_REFUSALS: Final[Mapping[str, Callable[[Get, Session], Refusal]]] = {
    MsgType.ORDER_CANCEL_REJECT: read.cancel_refusal,
    MsgType.REJECT: read.session_refusal,
    MsgType.BUSINESS_REJECT: read.business_refusal,
}
_desks: Final[weakref.WeakKeyDictionary[Workbench, dict[str, Desk]]] = weakref.WeakKeyDictionary()
