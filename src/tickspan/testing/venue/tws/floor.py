"""Where the API's orders meet the venue: places, changes and cancels them, and tells what became of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Final, Protocol

from tickspan.testing.venue.behaviour import Fault
from tickspan.testing.venue.delivery import Report
from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.orders import NewOrder, Reason, RefusedError, Side, Status, VenueOrder
from tickspan.testing.venue.tws import messages, refusals
from tickspan.testing.venue.tws.contracts import Instruments
from tickspan.testing.venue.tws.orders import ApiOrder, ApiOrders
from tickspan.testing.venue.tws.refusals import REFUSALS, Refusal, TwsError
from tickspan.testing.venue.tws.requests import Placement
from tickspan.testing.venue.tws.wire import Message

MASTER: Final = 0
"""The client that sees every client's orders."""

_TYPES: Final = {"LMT": "LIMIT", "MKT": "MARKET"}
_MARGIN: Final = Decimal("0.25")
_FIRST_REFUSED_ID: Final = 2_000_000_001


class Clients(Protocol):
    """Whoever is connected."""

    def tell(self, client_id: int, told: Iterable[Message]) -> None:
        """Send to this client, if it is connected."""
        ...

    def cut(self, client_id: int) -> None:
        """Break this client's connection."""
        ...


class Floor:
    """The orders of all clients. Lives on the venue's loop."""

    def __init__(self, exchange: Exchange, instruments: Instruments, account: str, clients: Clients) -> None:
        self._exchange = exchange
        self._instruments = instruments
        self._account = account
        self._clients = clients
        self._orders = ApiOrders()
        self._refused_ids = itertools.count(_FIRST_REFUSED_ID)

    def next_id(self, client_id: int) -> int:
        """The first number that a client may give its next order."""
        return self._orders.next_id(client_id)

    async def place(self, client_id: int, asked: Placement) -> None:
        """Take, hold or change an order, and tell its client when that is due."""
        try:
            await self._place(client_id, asked)
        except RefusedError as refused:
            self._tell(client_id, [messages.notice(REFUSALS[refused.reason], asked.order_id)])
        except TwsError as error:
            self._tell(client_id, [messages.notice(error.refusal, asked.order_id)])

    def cancel(self, client_id: int, order_id: int) -> None:
        """Cancel one order, or tell its client why not."""
        order = self._orders.of_client(client_id, order_id)
        refusal = refusals.not_found(order_id) if order is None else self._cancel(order)
        if refusal is not None:
            self._tell(client_id, [messages.notice(refusal, order_id)])

    def cancel_all(self) -> None:
        """Cancel every open order of every client."""
        for order in tuple(self._orders):
            booked = self._booked(order)
            if booked is None or booked.status.is_open:
                self._cancel(order)

    def open_orders(self, client_id: int | None) -> list[Message]:
        """The open orders of one client, or of all."""
        open_ones = [
            (order, booked)
            for order in self._seen_by(client_id)
            if (booked := self._booked(order)) is not None and booked.status.is_open
        ]
        return [
            message
            for order, booked in open_ones
            for message in (
                messages.open_order(order, messages.state_of(booked)),
                messages.order_status(order, booked),
            )
        ]

    def completed_orders(self, client_id: int) -> list[Message]:
        """The orders that are over, of one client; the master sees all."""
        return [
            messages.completed_order(order, booked)
            for order in self._seen_by(client_id)
            if (booked := self._booked(order)) is not None and not booked.status.is_open
        ]

    def executions(self, client_id: int, request_id: int) -> list[Message]:
        """All fills of one client's orders; the master sees all."""
        told: list[Message] = []
        for order in self._seen_by(client_id):
            booked = self._booked(order)
            if booked is None:
                continue
            quantity, quote = Decimal(0), Decimal(0)
            for fill in self._exchange.desk.executions_of(order.perm_id):
                quantity, quote = quantity + fill.quantity, quote + fill.quantity * fill.price
                then = replace(booked, filled_quantity=quantity, filled_quote=quote)
                told += [messages.execution(order, then, fill, request_id), messages.commission(fill)]
        return told

    def on_report(self, report: Report) -> None:
        """The venue reports: a fill at once, an end only of an order that its client was told of."""
        order = self._orders.find(report.order.order_id, report.order.client_id)
        if order is None or report.kind == "NEW":
            return
        if order.perm_id == 0:
            self._orders.booked(order, report.order.order_id)
        if report.execution is not None:
            told = [messages.execution(order, report.order, report.execution)]
            if order.is_acknowledged:
                told += self._state(order, report.order)
            self._tell(order.client_id, [*told, messages.commission(report.execution)])
            return
        self._tell(
            order.client_id,
            [
                messages.order_status(order, report.order),
                messages.notice(refusals.CANCELED, order.order_id),
            ],
        )

    async def _place(self, client_id: int, asked: Placement) -> None:
        instrument = self._instruments.find(asked.contract)
        if instrument is None:
            raise RefusedError(Reason.UNKNOWN_SYMBOL)
        if asked.type not in _TYPES or asked.parent_id:
            raise TwsError(refusals.UNSUPPORTED_TYPE)
        if self._orders.is_spent(client_id, asked.order_id):
            raise RefusedError(Reason.DUPLICATE_ID)
        known = self._orders.of_client(client_id, asked.order_id)
        booked = self._booked(known) if known is not None else None
        if known is not None and booked is not None:
            await self._change(known, booked, asked)
            return
        order = ApiOrder(client_id, asked, instrument, asked.account or self._account)
        if asked.is_what_if:
            margin = self._worth(order) * _MARGIN
            self._tell(client_id, [messages.open_order(order, "PreSubmitted", margin)])
            return
        self._orders.add(order)
        if asked.transmit:
            await self._transmit(order)

    async def _transmit(self, order: ApiOrder) -> None:
        try:
            accepted = await self._exchange.place(_new(order))
        except RefusedError as refused:
            self._orders.forget(order)
            self._refuse(order, REFUSALS[refused.reason])
            return
        self._orders.booked(order, accepted.order.order_id)
        order.is_acknowledged = True
        self._acknowledge(order, accepted.order, accepted.fault)

    async def _change(self, order: ApiOrder, booked: VenueOrder, asked: Placement) -> None:
        if booked.status is Status.FILLED:
            raise TwsError(refusals.FILLED_ALREADY)
        if not booked.status.is_open:
            raise RefusedError(Reason.DUPLICATE_ID)
        price = asked.limit_price if asked.type == "LMT" else None
        accepted = await self._exchange.amend(booked, asked.quantity, price or Decimal(0))
        order.asked = asked
        self._acknowledge(order, accepted.order, accepted.fault)

    def _acknowledge(self, order: ApiOrder, booked: VenueOrder, fault: Fault | None) -> None:
        if fault is Fault.ACCEPT_THEN_RESET:
            self._clients.cut(order.client_id)
        elif fault is not Fault.ACCEPT_THEN_504:
            self._tell(order.client_id, self._state(order, booked))

    def _refuse(self, order: ApiOrder, refusal: Refusal) -> None:
        """A new order is refused: by an error, which for a rejection the order's last state follows."""
        told = [messages.notice(refusal, order.order_id)]
        if refusal.code == refusals.REJECTED:
            order.perm_id = next(self._refused_ids)
            told += [
                messages.open_order(order, "Inactive"),
                messages.order_status(order, None, "Inactive"),
            ]
        self._tell(order.client_id, told)

    def _cancel(self, order: ApiOrder) -> Refusal | None:
        """Cancel `order`; the refusal, if that cannot be."""
        booked = self._booked(order)
        if booked is None:
            self._orders.forget(order)  # held back until now: nothing but its client knew of it
            self._tell(order.client_id, [messages.notice(refusals.CANCELED, order.order_id)])
            return None
        try:
            self._exchange.cancel(booked, order.name)
        except RefusedError:
            return refusals.not_cancelable(order.order_id, messages.state_of(booked))
        return None

    def _state(self, order: ApiOrder, booked: VenueOrder) -> list[Message]:
        return [
            messages.open_order(order, messages.state_of(booked)),
            messages.order_status(order, booked),
        ]

    def _booked(self, order: ApiOrder) -> VenueOrder | None:
        """The order as the venue has it; None for one that is held back, or refused."""
        desk = self._exchange.desk
        if order.perm_id:
            return desk.order(order.perm_id)
        try:
            booked = desk.find(order.instrument.market.id, None, order.name)
        except RefusedError:
            return None
        self._orders.booked(order, booked.order_id)  # its acknowledgement is still to come
        return booked

    def _seen_by(self, client_id: int | None) -> list[ApiOrder]:
        return [order for order in self._orders if client_id in (None, MASTER, order.client_id)]

    def _worth(self, order: ApiOrder) -> Decimal:
        price = order.asked.limit_price
        touch = self._exchange.prices(order.instrument.market.id).best_ask[0]
        return order.asked.quantity * (price or touch)

    def _tell(self, client_id: int, told: list[Message]) -> None:
        self._clients.tell(client_id, told)
        if client_id != MASTER:
            self._clients.tell(MASTER, told)


def _new(order: ApiOrder) -> NewOrder:
    asked = order.asked
    return NewOrder(
        order.instrument.market.id,
        Side.BUY if asked.action == "BUY" else Side.SELL,
        _TYPES[asked.type],
        asked.quantity,
        price=asked.limit_price if asked.type == "LMT" else None,
        time_in_force=asked.time_in_force,
        client_id=order.name,
        via="tws",
    )
