"""Messages about orders, as the library's wrapper gets them: read before the program's handlers see them.

They are read here and not at IB's events: those tell nothing of executions that were asked for after a
reconnection, nothing of orders that the library does not know, and report the library's own guesses too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from tickspan.instrumentation import Workbench
from tickspan.trading import (
    OrderKey,
    Orders,
    Source,
    TickKind,
    TickRef,
    current_tick,
    open_message,
    set_current_tick,
)

from tickspan_ib import read
from tickspan_ib.describe import number
from tickspan_ib.sessions import Session, sessions_of
from tickspan_ib.streams import ORDERS
from tickspan_ib.venue import VENUE

Keys = tuple[OrderKey, ...]
Read = Callable[[Session, Any, tuple[Any, ...]], Keys]
"""`(session, wrapper, arguments)` to the names of the order that TWS tells of."""


def order_status(session: Session, wrapper: Any, args: tuple[Any, ...]) -> Keys:
    """`Wrapper.orderStatus`."""
    return session.reported(read.order_status(session.receipt(wrapper, _source(wrapper)), *args))


def open_order(session: Session, wrapper: Any, args: tuple[Any, ...]) -> Keys:
    """`Wrapper.openOrder`; the answer to a what-if is no order."""
    if args[2].whatIf:
        return ()
    return session.reported(read.open_order(session.receipt(wrapper, _source(wrapper)), *args))


def completed_order(session: Session, wrapper: Any, args: tuple[Any, ...]) -> Keys:
    """`Wrapper.completedOrder`, which is always asked for."""
    session.told(read.completed_order(session.receipt(wrapper, Source.POLL), *args))
    return ()


def execution(session: Session, wrapper: Any, args: tuple[Any, ...]) -> Keys:
    """`Wrapper.execDetails`; with a request's number it was asked for, after the orders of that time."""
    request_id, contract, fill = args
    own_id = fill.orderId if fill.clientId == wrapper.clientId else 0
    is_pushed = request_id < 0
    receipt = session.receipt(wrapper, Source.USER_STREAM if is_pushed else Source.POLL)
    trade = wrapper.permId2Trade.get(fill.permId)
    is_under_change = is_pushed and own_id  # the library has written a change's quantity there already
    quantity = number(trade.order.totalQuantity) if trade is not None and not is_under_change else None
    return session.executed(own_id, read.execution(receipt, contract, fill, quantity))


def commission(session: Session, wrapper: Any, args: tuple[Any, ...]) -> Keys:
    """`Wrapper.commissionReport`, which follows each execution, and each one that was asked for."""
    (report,) = args
    fill = wrapper.fills.get(report.execId)
    if fill is not None:
        own_id = fill.execution.orderId if fill.execution.clientId == wrapper.clientId else 0
        session.charged(own_id, read.fee(session.receipt(wrapper), fill.execution, report))
    return ()


def error(session: Session, wrapper: Any, args: tuple[Any, ...]) -> Keys:
    """`Wrapper.error`: the number may be an order's, a request's, or none."""
    number, code, text, *_ = args
    is_order = (wrapper.clientId, number) in wrapper.trades
    return session.failed(session.receipt(wrapper), number, code, text, is_order=is_order)


REPORTS: Final[Mapping[str, Read]] = {
    "orderStatus": order_status,
    "openOrder": open_order,
    "completedOrder": completed_order,
    "execDetails": execution,
    "commissionReport": commission,
    "error": error,
}
"""Methods of the wrapper, and what they tell."""


def reporting(original: Any, bench: Workbench, library: str, name: str) -> Any:
    """A method of the wrapper that gets a message about an order: what its handlers do is caused by that."""
    sessions, guard, tell = sessions_of(bench), bench.guard(f"Wrapper.{name}"), REPORTS[name]

    def note(wrapper: Any, args: tuple[Any, ...]) -> None:
        session = sessions.of(library, wrapper.ib.client)
        keys = tell(session, wrapper, args)
        if keys:
            tick = _tick(keys, sessions.orders)
            session.streams.reported(tick.received_ns)
            set_current_tick(tick)

    @functools.wraps(original)
    def call(wrapper: Any, *args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return original(wrapper, *args, **kwargs)
        before = current_tick()
        guard.own(note, wrapper, args, default=None)
        try:
            return original(wrapper, *args, **kwargs)
        finally:
            set_current_tick(before)

    return call


def _tick(keys: Keys, orders: Orders) -> TickRef:
    message, now_ns = open_message(), orders.clock.monotonic_ns()
    received_ns = message.received_ns if message is not None else now_ns
    tick = TickRef(VENUE, received_ns, channel=ORDERS, kind=TickKind.ORDER, reports=keys)
    tick.delivered_ns = now_ns
    return tick


def _source(wrapper: Any) -> Source:
    """Pushed, unless the library is waiting for the list of open orders."""
    return Source.POLL if "openOrders" in wrapper._results else Source.USER_STREAM  # noqa: SLF001 - as it asks itself
