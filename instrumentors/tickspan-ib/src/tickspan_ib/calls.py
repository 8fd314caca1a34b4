"""Order calls: begun when the program makes them, handed to their session when the message is made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tickspan.instrumentation import Workbench, is_suppressed
from tickspan.trading import OrderCall, OrderOperation, OrderRequest, open_call

from tickspan_ib import describe, read
from tickspan_ib.sessions import Session, Waiting, sessions_of

Arguments = Mapping[str, Any]

_ALL: Final = 0
"""No order's number: a cancel of all."""
_CREATING: Final = (OrderOperation.SUBMIT, OrderOperation.REPLACE)


@dataclass(frozen=True, slots=True)
class Made:
    """An order call while the library makes its message."""

    session: Session
    order_id: int
    waiting: Waiting

    def returned(self) -> None:
        """The message is sent, or stands in the library's queue; the call goes on without its caller."""
        self.waiting.call.release()
        self.session.returned(self.order_id, self.waiting)

    def raised(self, error: BaseException) -> None:
        """There is no message."""
        self.session.withdraw(self.order_id, self.waiting)
        self.waiting.call.fail_with(error)


def placing(original: Any, bench: Workbench, library: str) -> Any:
    """`IB.placeOrder(contract, order)`: where it fails before `Client.placeOrder`, which would tell of it."""
    sessions, guard = sessions_of(bench), bench.guard("IB.placeOrder")

    def made(ib: Any) -> int:
        return sessions.of(library, ib.client).made

    def failed(
        ib: Any, args: tuple[Any, ...], kwargs: Arguments, made_before: int, error: BaseException
    ) -> None:
        given = _bound(("contract", "order"), args, kwargs)
        order, session = given["order"], sessions.of(library, ib.client)
        if session.made == made_before and not order.whatIf and _foreign_call() is None:
            request = _placement(session, ib.wrapper, given["contract"], order, order.orderId)
            session.begin(request).fail_with(error)

    @functools.wraps(original)
    def place_order(ib: Any, *args: Any, **kwargs: Any) -> Any:
        if not bench.is_active or is_suppressed():
            return original(ib, *args, **kwargs)
        made_before = guard.own(made, ib, default=0)
        try:
            return original(ib, *args, **kwargs)
        except BaseException as error:
            guard.own(failed, ib, args, kwargs, made_before, error, default=None)
            raise

    return place_order


def sending(original: Any, bench: Workbench, library: str) -> Any:
    """`Client.placeOrder(orderId, contract, order)`: a new order, or a change of the one with this number."""
    sessions = sessions_of(bench)

    def begin(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> Made | None:
        given = _bound(("orderId", "contract", "order"), args, kwargs)
        order_id, contract, order = given["orderId"], given["contract"], given["order"]
        if order.whatIf:
            return None
        session = sessions.of(library, client)
        session.made += 1
        if is_suppressed():
            session.untold.add(order_id)
            return None
        foreign = _foreign_call()
        if foreign is not None:
            foreign.enrich(client_id=describe.order_name(client.wrapper.clientId, order_id))
            session.untold.add(order_id)  # the program tells of it
            return None
        request = _placement(session, client.wrapper, contract, order, order_id)
        waiting = Waiting(session.begin(request), describe.terms_of(order), expects_answer=order.transmit)
        return _made(session, order_id, waiting)

    return _making(original, bench, "Client.placeOrder", begin)


def canceling(original: Any, bench: Workbench, library: str) -> Any:
    """`Client.cancelOrder(orderId, …)`."""
    sessions = sessions_of(bench)

    def begin(client: Any, args: tuple[Any, ...], kwargs: Arguments) -> Made | None:
        if is_suppressed():
            return None
        order_id = _bound(("orderId",), args, kwargs)["orderId"]
        session, wrapper = sessions.of(library, client), client.wrapper
        trade = wrapper.trades.get((wrapper.clientId, order_id))
        request = describe.cancel(describe.place_of(library, wrapper), order_id, trade)
        return _made(session, order_id, Waiting(session.begin(request)))

    return _making(original, bench, "Client.cancelOrder", begin)


def canceling_all(original: Any, bench: Workbench, library: str) -> Any:
    """`Client.reqGlobalCancel()`: TWS answers by the end of each order, not of the request."""
    sessions = sessions_of(bench)

    def begin(client: Any, _args: tuple[Any, ...], _kwargs: Arguments) -> Made | None:
        if is_suppressed():
            return None
        session = sessions.of(library, client)
        request = describe.cancel_all(describe.place_of(library, client.wrapper))
        return _made(session, _ALL, Waiting(session.begin(request), expects_answer=False))

    return _making(original, bench, "Client.reqGlobalCancel", begin)


def handing_over(original: Any, bench: Workbench) -> Any:
    """`Connection.sendMsg(msg)`: P6, of the order that the bytes name."""
    sessions, guard = sessions_of(bench), bench.guard("Connection.sendMsg")

    def note(connection: Any, data: Any) -> None:
        session = sessions.of_connection(connection)
        operation, order_id = read.sent_order(data) if session is not None else (None, _ALL)
        if session is not None and operation is not None:
            session.sent(operation, order_id)

    @functools.wraps(original)
    def send_msg(connection: Any, msg: Any) -> Any:
        if bench.is_active:
            guard.own(note, connection, msg, default=None)
        return original(connection, msg)

    return send_msg


Begin = Callable[[Any, tuple[Any, ...], Arguments], Made | None]


def _making(original: Any, bench: Workbench, name: str, begin: Begin) -> Any:
    """A method of the client that makes the message of an order operation."""
    guard = bench.guard(name)

    @functools.wraps(original)
    def call(client: Any, *args: Any, **kwargs: Any) -> Any:
        made: Made | None = None
        if bench.is_active:
            made = guard.own(begin, client, args, kwargs, default=None)
        if made is None:
            return original(client, *args, **kwargs)
        try:
            result = original(client, *args, **kwargs)
        except BaseException as error:
            guard.own(made.raised, error, default=None)
            raise
        guard.own(made.returned, default=None)
        return result

    return call


def _made(session: Session, order_id: int, waiting: Waiting) -> Made:
    waiting.call.resume()
    session.expect(order_id, waiting)
    return Made(session, order_id, waiting)


def _placement(session: Session, wrapper: Any, contract: Any, order: Any, order_id: int) -> OrderRequest:
    # The venue's number says so too: of an order that the library has forgotten when it reconnected.
    is_change = bool(order.permId) or (wrapper.clientId, order_id) in wrapper.trades
    operation = OrderOperation.REPLACE if is_change else OrderOperation.SUBMIT
    place = describe.place_of(session.library, wrapper)
    return describe.placement(place, contract, order, order_id, operation)


def _foreign_call() -> OrderCall | None:
    """A call that the program has opened itself, for the order that it is about to place."""
    call = open_call()
    return call if call is not None and call.operation in _CREATING and not call.request.emulated else None


def _bound(parameters: tuple[str, ...], args: tuple[Any, ...], kwargs: Arguments) -> Arguments:
    return {**dict(zip(parameters, args, strict=False)), **kwargs}
