"""A back-test as one span and a few counters: when it ran by the wall clock, what it replayed and traded.

Orders are counted and not told, and of a tick nothing of ours hears.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from tickspan.instrumentation import Guard, Workbench, type_name
from tickspan.semconv import trading as names
from tickspan.semconv.common import ERROR_TYPE
from tickspan.trading import OrderOperation, OrderRequest, orders_of

from tickspan_nautilus.bus import Handler
from tickspan_nautilus.describe import LIBRARY, type_word, venue_of
from tickspan_nautilus.read import LIQUIDITY, SIDES, reject_of

BACKTEST: Final = "backtest"
MAX_ASIDE: Final = 10_000
"""Commands and events that wait to be counted."""

Key = tuple[OrderOperation, Any, Any, Any]
"""Operation, strategy's id, instrument's id, order type: the library's objects, made words of at the end."""


class Tally:
    """What one kernel has ordered, and what became of it.

    While history runs, commands and events are only put aside, which costs a back-test least; they are looked
    at when many have come together, and at the end.
    """

    def __init__(self, guard: Guard) -> None:
        self.operations: Counter[Key] = Counter()
        self.fills: Counter[tuple[Key, str | None, str | None]] = Counter()
        """With side and liquidity."""
        self.rejects: Counter[tuple[Key, tuple[tuple[str, str], ...]]] = Counter()
        """With what is told of the refusal."""
        self._guard = guard
        self._aside: deque[Any] = deque()
        self._changing: set[Any] = set()
        """Orders whose change a venue has and has not answered."""
        self._of_kind: Mapping[str, Callable[[Any], None]] = {
            "SubmitOrder": self._submitted,
            "SubmitOrderList": self._list_submitted,
            "ModifyOrder": self._modified,
            "CancelOrder": self._canceled,
            "CancelAllOrders": self._canceled,
            "BatchCancelOrders": self._canceled,
            "QueryOrder": self._queried,
            "OrderFilled": self._filled,
            "OrderUpdated": self._updated,
            "OrderDenied": self._denied,
            "OrderRejected": self._rejected,
            "OrderModifyRejected": self._change_rejected,
            "OrderCancelRejected": self._cancel_rejected,
        }
        self.told: Handler = self._aside.append
        """For `events.order.*`: what became of an order."""

    def __repr__(self) -> str:
        return f"<Tally {self.operations.total()} operations, {self.fills.total()} fills>"

    @property
    def orders(self) -> int:
        """New orders."""
        return sum(count for key, count in self.operations.items() if key[0] is OrderOperation.SUBMIT)

    def clear(self) -> None:
        """Count anew."""
        for counts in (self.operations, self.fills, self.rejects, self._aside, self._changing):
            counts.clear()

    def passed(self, original: Handler) -> Handler:
        """Around `ExecEngine.execute`: what goes to a venue."""
        aside = self._aside

        def execute(command: Any) -> None:
            aside.append(command)
            if len(aside) > MAX_ASIDE:
                self.count()
            original(command)

        return execute

    def count(self) -> None:
        """Look at what was put aside."""
        aside, of_kind = self._aside, self._of_kind
        while aside:
            thing = aside.popleft()
            look = of_kind.get(type(thing).__name__)
            if look is not None:
                self._guard.own(look, thing, default=None)

    def _submitted(self, command: Any) -> None:
        self._asked(OrderOperation.SUBMIT, command, command.order.order_type)

    def _list_submitted(self, command: Any) -> None:
        for order in command.order_list.orders:
            self._asked(OrderOperation.SUBMIT, order, order.order_type)

    def _modified(self, command: Any) -> None:
        self._asked(OrderOperation.REPLACE, command)
        self._changing.add(command.client_order_id)

    def _canceled(self, command: Any) -> None:
        self._asked(OrderOperation.CANCEL, command)

    def _queried(self, command: Any) -> None:
        self._asked(OrderOperation.QUERY, command)

    def _filled(self, event: Any) -> None:
        key = (OrderOperation.SUBMIT, event.strategy_id, event.instrument_id, event.order_type)
        self.fills[key, SIDES.get(event.order_side), LIQUIDITY.get(event.liquidity_side)] += 1

    def _updated(self, event: Any) -> None:
        self._changing.discard(event.client_order_id)

    def _denied(self, event: Any) -> None:
        self._asked(OrderOperation.SUBMIT, event)
        self._refused(OrderOperation.SUBMIT, event)

    def _rejected(self, event: Any) -> None:
        self._refused(OrderOperation.SUBMIT, event)

    def _change_rejected(self, event: Any) -> None:
        is_sent = event.client_order_id in self._changing
        self._changing.discard(event.client_order_id)
        if not is_sent:
            self._asked(OrderOperation.REPLACE, event)
        self._refused(OrderOperation.REPLACE, event, is_sent=is_sent)

    def _cancel_rejected(self, event: Any) -> None:
        self._refused(OrderOperation.CANCEL, event)

    def _asked(self, operation: OrderOperation, named: Any, order_type: Any = None) -> None:
        self.operations[operation, named.strategy_id, named.instrument_id, order_type] += 1

    def _refused(self, operation: OrderOperation, event: Any, *, is_sent: bool = True) -> None:
        reject = reject_of(event, venue_of(event.instrument_id), is_sent=is_sent)
        told = (
            (names.ORDER_REJECT_CODE, reject.code),
            (names.ORDER_REJECT_REASON, reject.reason.value),
            (names.ORDER_REJECT_ORIGIN, reject.origin.value),
        )
        key = operation, event.strategy_id, event.instrument_id, None
        self.rejects[key, tuple((name, value) for name, value in told if value is not None)] += 1


class Backtest:
    """The runs of one back-test engine, one after the other."""

    def __init__(self, bench: Workbench, *, is_counting: bool) -> None:
        self._bench = bench
        self._orders = orders_of(bench)
        self._is_counting = is_counting
        """Whether the counters are ours to add to, and not the registry's, which is told of each order."""
        self._span: Span | None = None
        self._started_ns = 0
        self._messages = 0
        self.tally = Tally(bench.guard("tally"))
        self.number = 0
        """Of the run."""
        self.is_running = False
        """Whether a run has come to its history, and not ended."""

    def __repr__(self) -> str:
        return f"<Backtest run {self.number}, {'running' if self.is_running else 'at rest'}>"

    def begin(self, venues: Sequence[str], simulated_ns: int, messages: int) -> None:
        """A run begins at the moment `simulated_ns` of history, after so many messages in all."""
        known = {names.VENUE_ENVIRONMENT: BACKTEST, names.CLIENT_LIBRARY: LIBRARY}
        if len(venues) == 1:
            known[names.VENUE_NAME] = venues[0]
        self.number += 1
        self.tally.clear()
        self._started_ns = simulated_ns
        self._messages = messages
        self._span = self._bench.tracer.start_span(
            names.SPAN_BACKTEST_RUN,
            kind=SpanKind.INTERNAL,
            attributes=known,
            record_exception=False,
            set_status_on_exception=False,
        )
        pend = getattr(self._span, "pend", None)  # a provider of ours that records into a spool
        if pend is not None:
            pend()

    def end(
        self, simulated_ns: int, messages: int, *, complete: bool, error: BaseException | None = None
    ) -> None:
        """The run is over. Its span is in real time; moments of history are attributes."""
        span, self._span = self._span, None
        self.is_running = False
        if span is None:
            return
        self.tally.count()
        span.set_attributes(
            {
                names.BACKTEST_MESSAGES: messages - self._messages,
                names.BACKTEST_ORDERS: self.tally.orders,
                names.BACKTEST_FILLS: self.tally.fills.total(),
                names.BACKTEST_REJECTS: self.tally.rejects.total(),
                names.BACKTEST_START_UNIX_NANO: self._started_ns,
                names.BACKTEST_END_UNIX_NANO: simulated_ns,
                names.BACKTEST_COMPLETE: complete,
            }
        )
        if error is not None:
            span.set_attribute(ERROR_TYPE, type_name(error))
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        if self._is_counting:
            self._measure()

    def _measure(self) -> None:
        for key, count in self.tally.operations.items():
            self._orders.count(_request(*key), names.METRIC_ORDER_OPERATIONS, count)
        for (key, side, liquidity), count in self.tally.fills.items():
            told = ((names.ORDER_SIDE, side), (names.EXECUTION_LIQUIDITY, liquidity))
            extra = tuple((name, value) for name, value in told if value is not None)
            self._orders.count(_request(*key), names.METRIC_ORDER_FILLS, count, extra)
        for (key, reject), count in self.tally.rejects.items():
            self._orders.count(_request(*key), names.METRIC_ORDER_REJECTS, count, reject)


def _request(
    operation: OrderOperation, strategy_id: Any, instrument_id: Any, order_type: Any
) -> OrderRequest:
    return OrderRequest(
        operation,
        venue_of(instrument_id),
        LIBRARY,
        environment=BACKTEST,
        strategy=str(strategy_id),
        instrument=str(instrument_id.symbol),
        type=type_word(order_type),
    )
