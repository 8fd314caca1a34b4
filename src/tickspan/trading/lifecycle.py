"""The life of one order as a pure function: a state, a report, the next state and what is to be told of it.

Reports come in any order, more than once, before the acknowledgement and after the end. States only grow:
status by rank, quantities by maximum, executions by set; so every order of the same reports ends in the
same totals.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from tickspan.trading.model import (
    Execution,
    OrderRequest,
    OrderStatus,
    OrderUpdate,
    Reject,
)

MAX_SEEN: Final = 64
"""Signatures of reports that one order remembers, to tell a late report from a repeated one."""

_RANK: Final = {status: rank for rank, status in enumerate(OrderStatus)}

Signature = tuple[OrderStatus | None, Decimal | None, int | None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is known of one order."""

    request: OrderRequest
    status: OrderStatus = OrderStatus.PENDING_NEW
    venue_id: str | None = None
    client_ids: tuple[str, ...] = ()
    """In the order in which they became known; the first one is shown."""
    quantity: Decimal | None = None
    """As the venue confirmed it."""
    filled: Decimal = Decimal(0)
    """The larger of what the venue says in total and of the executions' sum."""
    executed: Decimal = Decimal(0)
    """Sum of the distinct executions."""
    executions: frozenset[str] = frozenset()
    average_price: Decimal | None = None
    reject: Reject | None = None
    revision: int = 0
    root_client_id: str | None = None
    first_fill_ns: int | None = None
    last_fill_ns: int | None = None
    last_report_ns: int | None = None
    is_settled: bool = False
    """The order call has come back, with or without an answer."""
    is_closed: bool = False
    """Terminal and settled; said once."""
    seen: tuple[Signature, ...] = ()
    """Of pushed reports."""

    @property
    def leaves(self) -> Decimal | None:
        """What is still open of the quantity, if that is known."""
        total = self.total
        if total is None:
            return None
        return Decimal(0) if self.status.is_terminal else max(total - self.filled, Decimal(0))

    @property
    def total(self) -> Decimal | None:
        """The order's quantity: the venue's word, else what was asked."""
        return self.quantity if self.quantity is not None else self.request.quantity

    @property
    def filled_ratio(self) -> float | None:
        """Filled share of the quantity, 0 to 1."""
        return float(min(self.filled / self.total, Decimal(1))) if self.total else None


@dataclass(frozen=True, slots=True)
class Told:
    """Effect: this report is news, to be told as an event."""

    status: OrderStatus
    update: OrderUpdate
    filled: Decimal
    execution: Execution | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """Effect: the order is over; its lifecycle may be written after a while."""


Effect = Told | Closed
Step = tuple[Order, tuple[Effect, ...]]


@dataclass(frozen=True, slots=True)
class _News:
    """What a report adds to a state."""

    status: OrderStatus
    filled: Decimal
    fresh: tuple[Execution, ...] = field(default=())


def begin(request: OrderRequest, old: Order | None = None) -> Order:
    """An order that is about to be sent, in the place of `old` if that is given."""
    return Order(
        request=request,
        client_ids=(request.client_id,) if request.client_id is not None else (),
        revision=old.revision + 1 if old is not None else 0,
        root_client_id=old.root_client_id if old is not None else request.client_id,
    )


def apply(order: Order, update: OrderUpdate) -> Step:
    """The state after `update`, and what is to be told of it. Never raises; nothing is ever taken back."""
    fresh = _fresh(order, update)
    executed = sum((fill.quantity or Decimal(0) for fill in fresh), order.executed)
    filled = max(order.filled, executed, update.filled_quantity or Decimal(0))
    news = _News(_status_after(order, update, filled), filled, fresh)
    effects = _told(order, update, news)
    after = replace(
        named(order, update.client_id, update.venue_id),
        quantity=update.quantity if update.quantity is not None else order.quantity,
        status=news.status,
        filled=filled,
        executed=executed,
        executions=order.executions | {fill.id for fill in fresh} if fresh else order.executions,
        average_price=update.average_price if update.average_price is not None else order.average_price,
        reject=order.reject or update.reject,
        seen=_remembered(order, update),
        last_report_ns=update.received_ns if effects else order.last_report_ns,
        **_fill_moments(order, update, filled, fresh),
    )
    return _closed_if_over(after, effects)


def settle(order: Order) -> Step:
    """The order call has come back with the venue's answer (which was applied before)."""
    known = order.status if order.status is not OrderStatus.PENDING_NEW else OrderStatus.NEW
    return _closed_if_over(replace(order, status=known, is_settled=True), ())


def fail(order: Order, reject: Reject | None) -> Step:
    """The order call has failed: refused, or (`reject` is None) with nobody knowing its fate.

    A report that came meanwhile knows better than the exception.
    """
    unheard = order.status is OrderStatus.PENDING_NEW
    status = OrderStatus.REJECTED if reject is not None else OrderStatus.UNKNOWN
    after = replace(order, status=status, reject=reject) if unheard else order
    return _closed_if_over(replace(after, is_settled=True), ())


def supersede(order: Order, by: OrderUpdate) -> Step:
    """Another order, which the answer `by` is about, has taken this one's place."""
    return apply(order, OrderUpdate(by.venue, by.source, OrderStatus.REPLACED, received_ns=by.received_ns))


def revised(order: Order) -> Order:
    """`order` after a change in place."""
    return replace(order, revision=order.revision + 1)


def named(order: Order, client_id: str | None, venue_id: str | None) -> Order:
    """`order` with ids that became known."""
    is_new = client_id is not None and client_id not in order.client_ids
    return replace(
        order,
        client_ids=(*order.client_ids, client_id) if is_new and client_id is not None else order.client_ids,
        root_client_id=order.root_client_id or client_id,
        venue_id=venue_id or order.venue_id,
    )


def _fresh(order: Order, update: OrderUpdate) -> tuple[Execution, ...]:
    known: set[str] = set(order.executions)
    fresh: list[Execution] = []
    for execution in update.executions:
        if execution.id not in known:
            known.add(execution.id)
            fresh.append(execution)
    return tuple(fresh)


def _status_after(order: Order, update: OrderUpdate, filled: Decimal) -> OrderStatus:
    status = _higher(order.status, update.status)
    if status.is_terminal:
        return status
    confirmed = update.quantity if update.quantity is not None else order.quantity
    if confirmed and filled >= confirmed:
        return OrderStatus.FILLED
    return _higher(status, OrderStatus.PARTIALLY_FILLED) if filled else status


def _higher(known: OrderStatus, reported: OrderStatus | None) -> OrderStatus:
    return known if reported is None or _RANK[reported] <= _RANK[known] else reported


def _told(order: Order, update: OrderUpdate, news: _News) -> tuple[Effect, ...]:
    if news.fresh:
        return tuple(_fill_told(order, update, news))
    has_grown = news.filled > order.filled or _RANK[news.status] > _RANK[order.status]
    if has_grown:
        is_answer = update.source.is_response and news.status in (OrderStatus.NEW, OrderStatus.REJECTED)
        return () if is_answer else (Told(news.status, update, news.filled, late=_is_late(order, news)),)
    is_new = update.source.is_pushed and _signature(update) not in order.seen
    if is_new and _is_behind(order, update):
        return (Told(update.status or order.status, update, order.filled, late=True),)
    return ()


def _fill_told(order: Order, update: OrderUpdate, news: _News) -> list[Effect]:
    """One event per execution; the last one says what the report says of the order."""
    late = _is_late(order, news) or _is_lower(order, update)
    told: list[Effect] = []
    running = order.executed
    for fill in news.fresh[:-1]:
        running += fill.quantity or Decimal(0)
        told.append(Told(OrderStatus.PARTIALLY_FILLED, update, running, fill, late))
    status = news.status if update.status is None else _higher(OrderStatus.PARTIALLY_FILLED, update.status)
    filled = update.filled_quantity if update.filled_quantity is not None else news.filled
    told.append(Told(status, update, filled, news.fresh[-1], late))
    return told


def _is_late(order: Order, news: _News) -> bool:
    """Whether a terminal order still got something."""
    return order.status.is_terminal and news.filled > order.filled


def _is_behind(order: Order, update: OrderUpdate) -> bool:
    """Whether the report tells of an earlier state than the known one."""
    if _is_lower(order, update):
        return True
    if order.status is OrderStatus.REPLACED and update.status is OrderStatus.CANCELED:
        return False  # some venues' word for what happened to the old order
    return update.status is not None and _RANK[update.status] < _RANK[order.status]


def _is_lower(order: Order, update: OrderUpdate) -> bool:
    return update.filled_quantity is not None and update.filled_quantity < order.filled


def _signature(update: OrderUpdate) -> Signature:
    return update.status, update.filled_quantity, update.venue_time_ns


def _remembered(order: Order, update: OrderUpdate) -> tuple[Signature, ...]:
    signature = _signature(update)
    if not update.source.is_pushed or len(order.seen) >= MAX_SEEN or signature in order.seen:
        return order.seen
    return (*order.seen, signature)


def _fill_moments(
    order: Order, update: OrderUpdate, filled: Decimal, fresh: tuple[Execution, ...]
) -> dict[str, int | None]:
    has_filled = bool(fresh) or filled > order.filled
    if not has_filled:
        return {"first_fill_ns": order.first_fill_ns, "last_fill_ns": order.last_fill_ns}
    at_ns = update.received_ns
    first = at_ns if order.first_fill_ns is None else min(order.first_fill_ns, at_ns)
    last = at_ns if order.last_fill_ns is None else max(order.last_fill_ns, at_ns)
    return {"first_fill_ns": first, "last_fill_ns": last}


def _closed_if_over(order: Order, effects: tuple[Effect, ...]) -> Step:
    if order.is_closed or not (order.is_settled and order.status.is_terminal):
        return order, effects
    return replace(order, is_closed=True), (*effects, Closed())
