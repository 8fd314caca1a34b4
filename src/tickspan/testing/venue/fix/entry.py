"""Order entry: what clients ask becomes orders of the exchange, what happens to these becomes reports."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from tickspan.testing.venue.behaviour import Fault
from tickspan.testing.venue.delivery import Report
from tickspan.testing.venue.exchange import Accepted, Exchange
from tickspan.testing.venue.fix import reports
from tickspan.testing.venue.fix.reports import Known, Occasion
from tickspan.testing.venue.fix.requests import Asked, order_asked, required
from tickspan.testing.venue.fix.session import Session
from tickspan.testing.venue.fix.tags import MsgType, Tag
from tickspan.testing.venue.fix.wire import Message
from tickspan.testing.venue.orders import Desk, Reason, RefusedError, Status, VenueOrder

_NO_EXECUTION: Final = "0"  # the ExecID of a report that answers a question

_KINDS: Final = {"TRADE": reports.TRADE, "CANCELED": reports.CANCELED, "EXPIRED": reports.EXPIRED}


@dataclass(slots=True)
class _Ticket:
    """An order as its client knows it, over its replacements."""

    session: Session
    asked: Asked
    """The newest of what was asked and accepted."""
    order_id: int = 0
    """OrderID: the venue's id of its first order; 0 until that is accepted."""
    current: int = 0
    """The venue's id of the order that stands for it now."""
    is_pending: bool = True
    """A placement or replacement is under way."""


@dataclass(frozen=True, slots=True)
class _Leg:
    """One order of the exchange as a part of a ticket, with what the ticket had filled before it."""

    ticket: _Ticket
    asked: Asked
    filled: Decimal = Decimal(0)
    filled_quote: Decimal = Decimal(0)

    def known(self, order: VenueOrder) -> Known:
        """The ticket when the order of this leg stands as `order` does."""
        filled = self.filled + order.filled_quantity
        is_partial = order.status is Status.NEW and filled > 0
        return Known(
            self.ticket.order_id,
            self.asked.client_id,
            self.asked.symbol,
            self.asked.account,
            self.asked.new.quantity or order.quantity,
            filled,
            self.filled_quote + order.filled_quote,
            Status.PARTIALLY_FILLED if is_partial else order.status,
            order,
        )


class OrderEntry:
    """Handles D, F, G, H and AF. Lives on the venue's loop.

    Every method may raise SessionRefusedError or BusinessRefusedError, before anything is done.
    """

    def __init__(self, exchange: Exchange, cut: Callable[[Session], None]) -> None:
        self._exchange = exchange
        self._cut = cut
        self._tickets: dict[tuple[str, str], _Ticket] = {}
        self._legs: dict[int, _Leg] = {}
        self._unaccepted: list[_Leg] = []
        self._replaced: set[int] = set()
        self._report_ids = itertools.count(1)
        self._last_told: Report | None = None
        self._running: set[asyncio.Task[None]] = set()

    def place(self, session: Session, message: Message) -> None:
        """NewOrderSingle (D)."""
        asked = order_asked(message)
        known = self._tickets.get((session.client, asked.client_id))
        if known is not None and message.is_set(Tag.POSS_RESEND):
            self._answer_status(session, message, known)
        elif known is not None and not self._exchange.behaviour.server_assigned_ids:
            self._refuse_order(session, message, Reason.DUPLICATE_ID)
        else:
            ticket = _Ticket(session, asked)
            self._tickets[session.client, asked.client_id] = ticket
            self._run(self._place(_Leg(ticket, asked), message))

    def cancel(self, session: Session, message: Message) -> None:
        """OrderCancelRequest (F)."""
        cancel_id = required(message, Tag.CL_ORD_ID)
        ticket = self._found(session, message)
        refusal = self._uncancelable(session, ticket, cancel_id)
        if ticket is None or refusal is not None:
            self._refuse_cancel(session, message, ticket, refusal or reports.UNKNOWN_ORDER)
            return
        self._tickets[session.client, cancel_id] = ticket
        self._exchange.cancel(self._exchange.desk.order(ticket.current), cancel_id)

    def replace(self, session: Session, message: Message) -> None:
        """OrderCancelReplaceRequest (G): to the exchange a cancel and a new order, to the client one."""
        asked = order_asked(message)
        ticket = self._found(session, message)
        refusal = self._uncancelable(session, ticket, asked.client_id)
        if ticket is None or refusal is not None:
            self._refuse_cancel(session, message, ticket, refusal or reports.UNKNOWN_ORDER)
            return
        leg, refusal = self._replacement(ticket, asked)
        if refusal is not None:
            self._refuse_cancel(session, message, ticket, refusal)
            return
        self._tickets[session.client, asked.client_id] = ticket
        ticket.is_pending = True
        self._replaced.add(ticket.current)
        self._exchange.cancel(self._desk.order(ticket.current), asked.client_id)
        self._run(self._replace(leg, message))

    def tell_status(self, session: Session, message: Message) -> None:
        """OrderStatusRequest (H)."""
        ticket = self._found(session, message)
        if ticket is None or not ticket.order_id:
            session.send(MsgType.EXECUTION_REPORT, reports.status_unknown(message))
        else:
            self._answer_status(session, message, ticket)

    def tell_all(self, session: Session, message: Message) -> None:
        """OrderMassStatusRequest (AF): every order of the session that is open."""
        request_id = required(message, Tag.MASS_STATUS_REQ_ID)
        current = {ticket.current: ticket for ticket in self._tickets.values() if ticket.session is session}
        tickets = [t for order_id, t in current.items() if order_id and self._desk.is_open(order_id)]
        if not tickets:
            session.send(MsgType.EXECUTION_REPORT, reports.status_unknown(message))
        for ticket in tickets:
            request = (
                (Tag.MASS_STATUS_REQ_ID, request_id),
                (Tag.TOT_NUM_REPORTS, len(tickets)),
                (Tag.LAST_RPT_REQUESTED, "Y" if ticket is tickets[-1] else "N"),
            )
            self._send_status(session, ticket, request)

    def on_report(self, report: Report) -> None:
        """Something happened to an order. Acceptance is told by `place`, when it is due."""
        kind = _KINDS.get(report.kind)
        leg = self._leg_of(report.order)
        if kind is None or leg is None:
            return
        if kind == reports.CANCELED and report.order.order_id in self._replaced:
            return  # its client hears of a replacement
        is_cancel = kind == reports.CANCELED
        occasion = Occasion(
            str(report.execution.execution_id) if report.execution else self._report_id(),
            kind,
            report.time_ms,
            report.client_id if is_cancel else leg.asked.client_id,
            leg.asked.client_id if is_cancel else None,
            report.execution,
        )
        is_repeated, self._last_told = report is self._last_told, report
        body = reports.execution_report(leg.known(report.order), occasion)
        leg.ticket.session.send(MsgType.EXECUTION_REPORT, body, is_repeated=is_repeated)

    @property
    def _desk(self) -> Desk:
        return self._exchange.desk

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _place(self, leg: _Leg, message: Message) -> None:
        session = leg.ticket.session
        try:
            accepted = await self._accepted(leg)
        except RefusedError as refused:
            leg.ticket.is_pending = False
            self._refuse_order(session, message, refused.reason)
            return
        self._acknowledge(leg, accepted, Occasion(*self._now(reports.NEW), leg.asked.client_id))

    async def _replace(self, leg: _Leg, message: Message) -> None:
        ticket, session = leg.ticket, leg.ticket.session
        original_id, old_id = ticket.asked.client_id, ticket.current
        try:
            accepted = await self._accepted(leg)
        except RefusedError as refused:
            # The old order is gone: a venue whose replacement is a cancel and a new order says both.
            ticket.is_pending = False
            self._refuse_cancel(session, message, ticket, reports.refused_with(refused.reason))
            gone = self._legs[old_id].known(self._desk.order(old_id))
            occasion = Occasion(*self._now(reports.CANCELED), original_id)
            session.send(MsgType.EXECUTION_REPORT, reports.execution_report(gone, occasion))
            return
        occasion = Occasion(*self._now(reports.REPLACED), leg.asked.client_id, original_id)
        self._acknowledge(leg, accepted, occasion)

    async def _accepted(self, leg: _Leg) -> Accepted:
        """The exchange's order for this leg, when its acknowledgement is due. Raises RefusedError."""
        quantity = leg.asked.new.quantity
        left = quantity - leg.filled if quantity is not None else None
        self._unaccepted.append(leg)
        try:
            accepted = await self._exchange.place(replace(leg.asked.new, quantity=left))
        finally:
            if leg in self._unaccepted:
                self._unaccepted.remove(leg)
        self._adopt(leg, accepted.order)
        leg.ticket.is_pending = False
        return accepted

    def _acknowledge(self, leg: _Leg, accepted: Accepted, occasion: Occasion) -> None:
        if accepted.fault is Fault.ACCEPT_THEN_504:
            return
        if accepted.fault is Fault.ACCEPT_THEN_RESET:
            self._cut(leg.ticket.session)
        # What it says was true when the order was accepted; fills may have been told before.
        untouched = replace(
            accepted.order, filled_quantity=Decimal(0), filled_quote=Decimal(0), status=Status.NEW
        )
        body = reports.execution_report(leg.known(untouched), occasion)
        leg.ticket.session.send(MsgType.EXECUTION_REPORT, body)

    def _adopt(self, leg: _Leg, order: VenueOrder) -> None:
        ticket = leg.ticket
        ticket.order_id = ticket.order_id or order.order_id
        ticket.current, ticket.asked = order.order_id, leg.asked
        self._legs[order.order_id] = leg

    def _leg_of(self, order: VenueOrder) -> _Leg | None:
        """The leg of an order; one that fills before it is acknowledged is found by what it asks for."""
        known = self._legs.get(order.order_id)
        if known is not None:
            return known
        for leg in self._unaccepted:
            if self._is_for(leg, order):
                self._unaccepted.remove(leg)
                self._adopt(leg, order)
                return leg
        return None

    def _is_for(self, leg: _Leg, order: VenueOrder) -> bool:
        if not self._exchange.behaviour.server_assigned_ids:
            return leg.asked.client_id == order.client_id
        new = leg.asked.new
        return (new.symbol, new.side, new.type) == (order.symbol, order.side, order.type)

    def _found(self, session: Session, message: Message) -> _Ticket | None:
        """The order that is meant: by the id that its client gave it last, or by the venue's."""
        meant = message.get(Tag.ORIG_CL_ORD_ID) or message.get(Tag.CL_ORD_ID) or ""
        ticket = self._tickets.get((session.client, meant))
        if ticket is not None:
            return ticket
        order_id = message.whole(Tag.ORDER_ID)
        leg = self._legs.get(order_id) if order_id is not None else None
        return leg.ticket if leg is not None and leg.ticket.session is session else None

    def _uncancelable(
        self, session: Session, ticket: _Ticket | None, new_id: str
    ) -> reports.CancelRefusal | None:
        if ticket is None:
            return reports.UNKNOWN_ORDER
        if (session.client, new_id) in self._tickets:
            return reports.DUPLICATE_ID
        if ticket.is_pending:
            return reports.ALREADY_PENDING
        if not ticket.current:
            return reports.UNKNOWN_ORDER
        return None if self._desk.is_open(ticket.current) else reports.TOO_LATE

    def _replacement(self, ticket: _Ticket, asked: Asked) -> tuple[_Leg, reports.CancelRefusal | None]:
        """The leg that would take the place of the ticket's, and what speaks against it."""
        order, old = self._desk.order(ticket.current), self._legs[ticket.current]
        filled = old.filled + order.filled_quantity
        leg = _Leg(ticket, asked, filled, old.filled_quote + order.filled_quote)
        if asked.quantity <= filled:
            return leg, reports.NOTHING_LEFT
        new = replace(asked.new, quantity=asked.quantity - filled)
        try:
            prices = self._exchange.prices(new.symbol)
            self._desk.check(new, prices.best_bid[0], prices.best_ask[0])
        except RefusedError as refused:
            return leg, reports.refused_with(refused.reason)
        return leg, None

    def _refuse_order(self, session: Session, message: Message, reason: Reason) -> None:
        body = reports.order_reject(message, self._report_id(), reason, self._exchange.now_ms())
        session.send(MsgType.EXECUTION_REPORT, body)

    def _refuse_cancel(
        self, session: Session, message: Message, ticket: _Ticket | None, refusal: reports.CancelRefusal
    ) -> None:
        known = self._known(ticket) if ticket is not None and ticket.current else None
        session.send(MsgType.ORDER_CANCEL_REJECT, reports.cancel_reject(message, known, refusal))

    def _answer_status(self, session: Session, message: Message, ticket: _Ticket) -> None:
        if not ticket.current:
            return  # its acknowledgement is on the way
        request_id = message.get(Tag.ORD_STATUS_REQ_ID)
        self._send_status(session, ticket, ((Tag.ORD_STATUS_REQ_ID, request_id),))

    def _send_status(self, session: Session, ticket: _Ticket, request: reports.Body) -> None:
        known = self._known(ticket)
        time_ms = self._exchange.now_ms()
        occasion = Occasion(_NO_EXECUTION, reports.ORDER_STATUS, time_ms, known.client_id, request=request)
        session.send(MsgType.EXECUTION_REPORT, reports.execution_report(known, occasion))

    def _known(self, ticket: _Ticket) -> Known:
        return self._legs[ticket.current].known(self._desk.order(ticket.current))

    def _report_id(self) -> str:
        return f"R{next(self._report_ids)}"

    def _now(self, kind: str) -> tuple[str, str, int]:
        return self._report_id(), kind, self._exchange.now_ms()
