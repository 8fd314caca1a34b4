"""The life of one order as a pure function: a state, a report, the next state and what is to be told of it.

Reports come in any order, more than once, before the acknowledgement and after the end. States only grow:
status by rank, quantities by maximum, executions by set; so every order of the same reports ends in the
same totals.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from tickspan.trading.model import (
    Execution,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Reject,
    Source,
)

MAX_SEEN: Final = 64
"""Signatures of reports that one order remembers, to tell a late report from a repeated one."""

UNHEARD: Final = (OrderStatus.PENDING_NEW, OrderStatus.UNKNOWN)
"""How an order stands while the venue has said nothing of it."""

_RANK: Final = {status: rank for rank, status in enumerate(OrderStatus)}
_ZERO: Final = Decimal(0)


class Order(NamedTuple):
    """What is known of one order. A tuple, since it is made anew with every report."""

    status: OrderStatus = OrderStatus.PENDING_NEW
    venue_id: str | None = None
    client_ids: tuple[str, ...] = ()
    """In the order in which they became known; the first one is shown."""
    root_client_id: str | None = None
    original_client_id: str | None = None
    """Of the order in whose place this one came."""
    revision: int = 0
    asked: Decimal | None = None
    """The quantity that was asked for."""
    price: Decimal | None = None
    stop_price: Decimal | None = None
    quantity: Decimal | None = None
    """As the venue confirmed it."""
    filled: Decimal = _ZERO
    """The larger of what the venue says in total and of the executions' sum."""
    executed: Decimal = _ZERO
    """Sum of the distinct executions."""
    executions: frozenset[str] = frozenset()
    average_price: Decimal | None = None
    reject: Reject | None = None
    first_fill_ns: int | None = None
    last_fill_ns: int | None = None
    last_report_ns: int | None = None
    is_settled: bool = False
    """The order call has come back, with or without an answer."""
    is_closed: bool = False
    """Terminal and settled; said once."""
    seen: tuple[int, ...] = ()
    """Signatures of pushed reports."""

    @property
    def leaves(self) -> Decimal | None:
        """What is still open of the quantity, if that is known."""
        total = self.total
        if total is None:
            return None
        return _ZERO if self.status.is_terminal else max(total - self.filled, _ZERO)

    @property
    def total(self) -> Decimal | None:
        """The order's quantity: the venue's word, else what was asked."""
        return self.quantity if self.quantity is not None else self.asked

    @property
    def filled_ratio(self) -> float | None:
        """Filled share of the quantity, 0 to 1."""
        return ratio(self.filled, self.total)

    @property
    def fills(self) -> int:
        """Distinct executions; an order that was filled without the venue telling one has one."""
        return len(self.executions) or int(bool(self.filled))

    @property
    def client_id(self) -> str | None:
        """The first client id, which is shown."""
        return self.client_ids[0] if self.client_ids else None


class Told(NamedTuple):
    """Effect: this report is news, to be told as an event."""

    status: OrderStatus
    update: OrderUpdate
    filled: Decimal
    execution: Execution | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """Effect: the order is over; its lifecycle may be written after a while."""


_CLOSED: Final = Closed()
Effect = Told | Closed
Step = tuple[Order, tuple[Effect, ...]]


def begin(request: OrderRequest, old: Order | None = None) -> Order:
    """An order that is about to be sent, in the place of `old` if that is given."""
    client_id = request.client_id
    if old is None:
        return Order(
            client_ids=(client_id,) if client_id is not None else (),
            root_client_id=client_id,
            original_client_id=request.original_client_id,
            asked=request.quantity,
            price=request.price,
            stop_price=request.stop_price,
        )
    return Order(
        client_ids=(client_id,) if client_id is not None else (),
        root_client_id=old.root_client_id,
        original_client_id=request.original_client_id or old.client_id,
        revision=old.revision + 1,
        asked=request.quantity if request.quantity is not None else old.total,
        price=request.price if request.price is not None else old.price,
        stop_price=request.stop_price if request.stop_price is not None else old.stop_price,
    )


def twin(order: Order) -> Order:
    """Another order that the venue made of the same call."""
    return Order(
        OrderStatus.NEW,
        client_ids=order.client_ids,
        root_client_id=order.root_client_id,
        asked=order.asked,
        price=order.price,
        stop_price=order.stop_price,
        is_settled=True,
    )


def is_doubled(order: Order, update: OrderUpdate) -> bool:
    """Whether the report is of a second order at the venue under the name of this one.

    An order that another one has replaced may go on under that one's id.
    """
    venue_id = update.venue_id
    return (
        venue_id is not None
        and order.venue_id is not None
        and venue_id != order.venue_id
        and order.status is not OrderStatus.REPLACED
        and not order.revision
        and update.original_client_id is None
    )


def apply(order: Order, update: OrderUpdate, *, is_settled: bool = False) -> Step:
    """The state after `update`, and what is to be told of it. Never raises; nothing is ever taken back.

    `is_settled`: with it the order call has come back.
    """
    known, reported_filled = order.filled, update.filled_quantity
    fresh = _fresh(order, update.executions) if update.executions else ()
    executed = _sum(order.executed, fresh) if fresh else order.executed
    filled = max(known, executed)
    if reported_filled is not None and reported_filled > filled:
        filled = reported_filled
    seen, is_new = order.seen, update.source.is_pushed
    if is_new:
        signature = hash((update.status, reported_filled, update.venue_time_ns))
        is_new = signature not in seen
        if is_new and len(seen) < MAX_SEEN:
            seen = (*seen, signature)
    status = _status_after(order, update, filled)
    if is_settled and status is OrderStatus.PENDING_NEW:
        status = OrderStatus.NEW
    effects = _told(order, update, status, filled, fresh, is_new=is_new)
    first_fill_ns, last_fill_ns = order.first_fill_ns, order.last_fill_ns
    if fresh or filled > known:
        at_ns = update.received_ns
        if first_fill_ns is None or at_ns < first_fill_ns:
            first_fill_ns = at_ns
        if last_fill_ns is None or at_ns > last_fill_ns:
            last_fill_ns = at_ns
    is_settled = is_settled or order.is_settled
    is_over = is_settled and status.is_terminal
    after = Order(
        status,
        update.venue_id or order.venue_id,
        _with(order.client_ids, update.client_id),
        order.root_client_id or update.client_id,
        order.original_client_id,
        order.revision,
        order.asked,
        order.price,
        order.stop_price,
        order.quantity if update.quantity is None else update.quantity,
        filled,
        executed,
        order.executions.union([fill.id for fill in fresh]) if fresh else order.executions,
        order.average_price if update.average_price is None else update.average_price,
        order.reject or update.reject,
        first_fill_ns,
        last_fill_ns,
        update.received_ns if effects else order.last_report_ns,
        is_settled,
        is_over,
        seen,
    )
    return after, ((*effects, _CLOSED) if is_over and not order.is_closed else effects)


def lone(update: OrderUpdate) -> Told:
    """What a report says of an order of which nothing else is known: how it stands, and how much is filled.

    A report of an execution only says that the order is filled in part, or wholly if it tells the quantity.
    """
    executed = _sum(_ZERO, update.executions)
    filled = max(executed, update.filled_quantity or _ZERO)
    status = update.status
    if status is None:
        status = _status_after(Order(OrderStatus.NEW), update, filled) if filled else OrderStatus.UNKNOWN
    return Told(status, update, filled, update.executions[0] if update.executions else None)


def settle(order: Order) -> Step:
    """The order call has come back with the venue's answer (which was applied before)."""
    known = order.status if order.status is not OrderStatus.PENDING_NEW else OrderStatus.NEW
    return _closed_if_over(order._replace(status=known, is_settled=True), ())


def fail(order: Order, reject: Reject | None) -> Step:
    """The order call has failed: refused, or (`reject` is None) with nobody knowing its fate.

    A report that came meanwhile knows better than the exception.
    """
    unheard = order.status is OrderStatus.PENDING_NEW
    status = OrderStatus.REJECTED if reject is not None else OrderStatus.UNKNOWN
    after = order._replace(status=status, reject=reject) if unheard else order
    return _closed_if_over(after._replace(is_settled=True), ())


def supersede(order: Order, by: OrderUpdate) -> Step:
    """Another order, which the answer `by` is about, has taken this one's place."""
    return apply(order, OrderUpdate(by.venue, by.source, OrderStatus.REPLACED, received_ns=by.received_ns))


def revised(order: Order, client_id: str | None) -> Order:
    """`order` after a change in place, which may have given it a new name."""
    others = tuple(known for known in order.client_ids if known != client_id)
    names = order.client_ids if client_id is None else (client_id, *others)
    return order._replace(revision=order.revision + 1, client_ids=names)


def named(order: Order, client_id: str | None, venue_id: str | None) -> Order:
    """`order` with ids that became known."""
    return order._replace(
        client_ids=_with(order.client_ids, client_id),
        root_client_id=order.root_client_id or client_id,
        venue_id=venue_id or order.venue_id,
    )


def ratio(filled: Decimal, total: Decimal | None) -> float | None:
    """Share of `total`, 0 to 1; None where there is no total to speak of."""
    return float(min(filled / total, Decimal(1))) if total else None


def _with(client_ids: tuple[str, ...], client_id: str | None) -> tuple[str, ...]:
    return client_ids if client_id is None or client_id in client_ids else (*client_ids, client_id)


def _fresh(order: Order, executions: tuple[Execution, ...]) -> tuple[Execution, ...]:
    if len(executions) == 1:
        return () if executions[0].id in order.executions else executions
    known: set[str] = set(order.executions)
    fresh: list[Execution] = []
    for execution in executions:
        if execution.id not in known:
            known.add(execution.id)
            fresh.append(execution)
    return tuple(fresh)


def _sum(executed: Decimal, fresh: tuple[Execution, ...]) -> Decimal:
    for fill in fresh:
        if fill.quantity is not None:
            executed += fill.quantity
    return executed


def _status_after(order: Order, update: OrderUpdate, filled: Decimal) -> OrderStatus:
    """Any report at all ends the doubt about an order; a word that nobody knows says: the venue has it."""
    known, reported = order.status, update.status
    if known is OrderStatus.UNKNOWN or (known is OrderStatus.PENDING_NEW and reported is OrderStatus.UNKNOWN):
        known = OrderStatus.NEW
    status = _higher(known, reported)
    if status.is_terminal:
        return status
    confirmed = order.quantity if update.quantity is None else update.quantity
    if confirmed and filled >= confirmed:
        return OrderStatus.FILLED
    return _higher(status, OrderStatus.PARTIALLY_FILLED) if filled else status


def _higher(known: OrderStatus, reported: OrderStatus | None) -> OrderStatus:
    return known if reported is None or _RANK[reported] <= _RANK[known] else reported


def _told(
    order: Order,
    update: OrderUpdate,
    status: OrderStatus,
    filled: Decimal,
    fresh: tuple[Execution, ...],
    *,
    is_new: bool,
) -> tuple[Effect, ...]:
    has_grown = filled > order.filled
    is_late = has_grown and order.status.is_terminal
    if fresh:
        return _fills_told(order, update, status, filled, fresh, late=is_late or _is_lower(order, update))
    if has_grown or _RANK[status] > _RANK[order.status]:
        is_answer = status in (OrderStatus.NEW, OrderStatus.REJECTED) and _is_answer(order, update)
        return () if is_answer else (Told(status, update, filled, None, is_late),)
    if not is_new:
        return ()
    if update.status is OrderStatus.UNKNOWN:
        return (Told(OrderStatus.UNKNOWN, update, order.filled),)
    if _is_behind(order, update):
        return (Told(update.status or order.status, update, order.filled, late=True),)
    return ()


def _is_answer(order: Order, update: OrderUpdate) -> bool:
    """Whether the report answers the order call; by FIX the first one does, which is pushed as well."""
    return update.source.is_response or (update.source is Source.FIX and not order.is_settled)


def _fills_told(
    order: Order,
    update: OrderUpdate,
    status: OrderStatus,
    filled: Decimal,
    fresh: tuple[Execution, ...],
    *,
    late: bool,
) -> tuple[Effect, ...]:
    """One event per execution; the last one says what the report says of the order."""
    if update.status is not None:
        status = _higher(OrderStatus.PARTIALLY_FILLED, update.status)
    if update.filled_quantity is not None:
        filled = update.filled_quantity
    last = Told(status, update, filled, fresh[-1], late)
    if len(fresh) == 1:
        return (last,)
    told: list[Effect] = []
    running = order.executed
    for fill in fresh[:-1]:
        running += fill.quantity or _ZERO
        told.append(Told(OrderStatus.PARTIALLY_FILLED, update, running, fill, late))
    return (*told, last)


def _is_behind(order: Order, update: OrderUpdate) -> bool:
    """Whether the report tells of an earlier state than the known one."""
    if _is_lower(order, update):
        return True
    if order.status is OrderStatus.REPLACED and update.status is OrderStatus.CANCELED:
        return False  # some venues' word for what happened to the old order
    return update.status is not None and _RANK[update.status] < _RANK[order.status]


def _is_lower(order: Order, update: OrderUpdate) -> bool:
    return update.filled_quantity is not None and update.filled_quantity < order.filled


def _closed_if_over(order: Order, effects: tuple[Effect, ...]) -> Step:
    if order.is_closed or not (order.is_settled and order.status.is_terminal):
        return order, effects
    return order._replace(is_closed=True), (*effects, _CLOSED)
