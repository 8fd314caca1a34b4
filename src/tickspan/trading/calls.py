"""One order call under way, from before its first byte until it comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from tickspan.config import TradingSettings
from tickspan.instrumentation import type_name
from tickspan.semconv import trading as names
from tickspan.semconv.common import ERROR_TYPE
from tickspan.trading import attributes
from tickspan.trading.latency import Point, Segment
from tickspan.trading.model import (
    CREATING,
    OrderOperation,
    OrderRequest,
    OrderUpdate,
    Reject,
    RejectOrigin,
    RejectReason,
)

if TYPE_CHECKING:
    from tickspan.trading.index import Entry
    from tickspan.trading.kinds import OrderKind
    from tickspan.trading.lifecycle import Order
    from tickspan.trading.moments import Anchor, Clock

_open_call: Final[ContextVar[OrderCall | None]] = ContextVar("tickspan_order_call", default=None)


def open_call() -> OrderCall | None:
    """The order call that the current context is inside of, if it is still open."""
    call = _open_call.get()
    return call if call is not None and call.is_open else None


def is_duration(value: object) -> bool:
    """Whether `value` is a number of seconds that can have passed."""
    return isinstance(value, int | float) and 0 <= value < math.inf


def forget_open_call() -> None:
    """Take the current context out of the call: for loops that outlive it."""
    _open_call.set(None)


class CallKeeper(Protocol):
    """What a call reports to: the registry that began it."""

    @property
    def clock(self) -> Clock:
        """What marks are taken by."""
        ...

    @property
    def settings(self) -> TradingSettings:
        """What may be told."""
        ...

    def announced(self, call: OrderCall) -> None:
        """The order has its name, or is about to be sent without one."""
        ...

    def named(self, call: OrderCall, client_id: str | None, venue_id: str | None) -> None:
        """Ids became known on the way."""
        ...

    def retried(self, call: OrderCall, attempt: int) -> None:
        """The request was handed to the transport once more."""
        ...

    def waited(self, call: OrderCall, segment: Segment, seconds: float) -> None:
        """So much of the call's time was `segment`."""
        ...

    def acknowledged(self, call: OrderCall, updates: Sequence[OrderUpdate]) -> Order | None:
        """The answer came; the order it is about, if it is about one."""
        ...

    def failed(self, call: OrderCall, reject: Reject | None) -> Order | None:
        """The call failed; the order that it was to create, if it was one."""
        ...

    def answered(self, call: OrderCall) -> None:
        """The venue's answer came after the call was over."""
        ...

    def finished(self, call: OrderCall) -> None:
        """The call's span is to end."""
        ...


class OrderCall:
    """What `Orders.begin` returns. One caller owns it; marks may come from other threads.

    It ends once, by `acknowledge` or by `fail`; later calls of either do nothing.
    """

    __slots__ = (
        "_attempts",
        "_context_token",
        "_open_token",
        "_orders",
        "anchor",
        "context",
        "entries",
        "is_announced",
        "is_open",
        "kind",
        "operation",
        "order_context",
        "points",
        "refused_by",
        "request",
        "retry_is_safe",
        "segments",
        "span",
        "target",
    )

    def __init__(
        self,
        orders: CallKeeper,
        request: OrderRequest,
        kind: OrderKind,
        span: Span,
        context: Context,
        order_context: Context,
        points: dict[Point, int],
        anchor: Anchor,
        entries: tuple[Entry, ...],
        target: Entry | None,
    ) -> None:
        self._orders = orders
        self.request = request
        self.operation: OrderOperation = request.operation
        """What is asked of the venue."""
        self.kind = kind
        self.span = span
        self.context = context
        """In which the call runs."""
        self.order_context = order_context
        """Empty but for the call's span."""
        self.points = points
        self.anchor = anchor
        self.entries = entries
        self.target = target
        """The order that is canceled, replaced or asked for, if it is known here."""
        self.is_open = True
        self.is_announced = True
        """Whether the event of the new order is written."""
        self.segments: dict[Segment, float] = {}
        """Seconds of named parts of the call."""
        self.refused_by: str | None = None
        """The risk check that said no inside the call."""
        self.retry_is_safe: bool | None = None
        """None: there was no retry."""
        self._attempts: dict[str, int] = {}
        self._context_token: Token[Context] | None = None
        self._open_token: Token[OrderCall | None] | None = None

    def __repr__(self) -> str:
        state = "open" if self.is_open else "over"
        return f"<OrderCall {self.request.operation} {self.request.venue} {state}>"

    @property
    def attempts(self) -> int:
        """How often the same request was handed to the transport."""
        return max(self._attempts.values(), default=0)

    @property
    def is_sent(self) -> bool:
        """Whether the request may have reached the venue."""
        return Point.SENT in self.points

    def resume(self) -> None:
        """Make the call's span current, and the call the open one, until `release`."""
        if self._context_token is None:
            self._context_token = otel_context.attach(self.context)
            self._open_token = _open_call.set(self)

    def release(self) -> None:
        """Stop being current; the call goes on."""
        token, self._context_token = self._context_token, None
        open_token, self._open_token = self._open_token, None
        if token is None or open_token is None:
            return
        try:
            _open_call.reset(open_token)
            otel_context._RUNTIME_CONTEXT.detach(token)  # noqa: SLF001 - `detach` logs what is no fault here
        except ValueError:
            # Closed from another context (a coroutine that was thrown away): nothing is current there.
            return

    def mark(self, point: Point, at_ns: int | None = None) -> None:
        """The order has reached `point`, now or at a monotonic moment.

        The last mark counts. When the call is over, only what was not marked before is taken: some libraries
        return before they send.
        """
        if not self.is_announced and point is Point.SENT:
            self._announce()
        if self.is_open or point not in self.points:
            self.points[point] = at_ns if at_ns is not None else self._orders.clock.monotonic_ns()
            if point is Point.ANSWERED and not self.is_open:
                self._orders.answered(self)

    def attempt(self, route: str) -> None:
        """The request is handed to the transport: once more, if the route (without its query) was before.

        A second attempt of a call that creates an order may create a second one: it is told at once, unless
        the venue refuses a second order with this client id for ever.
        """
        self.mark(Point.SENT)
        attempts = self._attempts[route] = self._attempts.get(route, 0) + 1
        if attempts > 1:
            self.span.set_attribute(names.ORDER_ATTEMPT, attempts)
            self._orders.retried(self, attempts)

    def waited(self, segment: Segment, seconds: float) -> None:
        """So much of the call's time was `segment`; several of one kind add up, also after the call.

        What is negative, or no number, is left out.
        """
        if is_duration(seconds):
            self.segments[segment] = self.segments.get(segment, 0.0) + seconds
            self._orders.waited(self, segment, seconds)

    def annotate(self, known: Mapping[str, Any]) -> None:
        """Attributes of the program's own for the call's span."""
        if self.is_open:
            self.span.set_attributes({**known})

    def enrich(self, *, client_id: str | None = None, venue_id: str | None = None) -> None:
        """Ids of the order that became known on the way."""
        if self.is_open:
            self._orders.named(self, client_id, venue_id)
            if not self.is_announced and client_id is not None:
                self._announce()

    def acknowledge(self, updates: Sequence[OrderUpdate] = ()) -> None:
        """The call has come back with the venue's answer."""
        if not self.is_open:
            return
        if not self.is_announced:
            self._announce()
        self.mark(Point.ACKNOWLEDGED)
        self.is_open = False
        self.release()
        order = self._orders.acknowledged(self, updates)
        if order is not None:
            known = attributes.of_answer(order)
            if self.operation not in CREATING and self.request.client_id is not None:
                known.pop(names.ORDER_CLIENT_ID, None)  # by FIX, a cancel has an id of its own
            self.span.set_attributes({**known})
        self._orders.finished(self)

    def fail_with(self, error: BaseException) -> None:
        """The call has failed with `error`: refused here if nothing was sent, else its fate is unknown."""
        kind = type_name(error)
        refused = None if self.is_sent else Reject(kind, origin=RejectOrigin.CLIENT_LIBRARY)
        self.fail(kind, refused)

    def fail(self, error_type: str, reject: Reject | None = None) -> None:
        """The call has failed: refused (`reject`), or with nobody knowing what became of it.

        What a risk check of the program's own has refused inside the call was not sent, and is its refusal.
        """
        if not self.is_open:
            return
        if not self.is_announced:
            self._announce()
        if self.refused_by is not None and not self.is_sent:
            reject = Reject(error_type, RejectReason.RISK, RejectOrigin.CLIENT_RISK, self.refused_by)
        self.is_open = False
        self.release()
        order = self._orders.failed(self, reject)
        told = {ERROR_TYPE: error_type}
        if reject is not None:
            told = attributes.of_reject(reject, self._orders.settings)
        self.span.set_attributes({**(attributes.of_answer(order) if order is not None else {}), **told})
        self.span.set_status(Status(StatusCode.ERROR))
        self._orders.finished(self)

    def _announce(self) -> None:
        self.is_announced = True
        self._orders.announced(self)
