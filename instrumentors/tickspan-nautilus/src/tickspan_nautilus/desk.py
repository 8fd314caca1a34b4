"""What one kernel orders and what it hears of it: commands on their way, events on theirs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from opentelemetry.trace import SpanKind
from tickspan.instrumentation import Duration, Guard, Operation, Workbench, is_suppressed
from tickspan.semconv import trading as names
from tickspan.trading import (
    OrderKey,
    OrderOperation,
    OrderRequest,
    OrderUpdate,
    Point,
    Segment,
    TickKind,
    TickRef,
    current_tick,
    orders_of,
    set_current_tick,
)

from tickspan_nautilus import describe, read
from tickspan_nautilus.bus import Handler
from tickspan_nautilus.describe import Place
from tickspan_nautilus.flights import Flight, Flights, Later
from tickspan_nautilus.market import Market

_MAX_ARRIVALS: Final = 1_000
"""Events between their arrival and their turn; of further ones the turn counts as arrival."""
_MAX_PLACES: Final = 10_000

_CHECK: Final = "risk_engine"
_CHECK_DURATION: Final = Duration(
    names.METRIC_RISK_CHECK_DURATION,
    "Time that a check before an order takes",
    (names.RISK_CHECK_NAME, names.RISK_CHECK_OUTCOME),
)

Described = tuple[OrderRequest, Sequence[str], Sequence[str]]
"""The request, the client ids that it is about, and those of them whose answer rests for now."""


class Desk:
    """The orders of one kernel, told to the registry. Used by the kernel's own thread."""

    def __init__(
        self,
        bench: Workbench,
        cache: Any,
        market: Market,
        environment_at: Callable[[str], str | None],
        *,
        later: Later | None = None,
    ) -> None:
        self._bench = bench
        self._orders = orders_of(bench)
        self._cache = cache
        self._market = market
        self._environment_at = environment_at
        self._account: str | None = None
        self._is_live = later is not None
        self._flights = Flights(later)
        self._accounts: dict[str, str | None] = {}
        self._places: dict[Any, Place] = {}
        self._arrivals: OrderedDict[int, tuple[Any, int]] = OrderedDict()

    def trade_as(self, account: str) -> None:
        """From now on all orders are this account's: a back-test gives the same ids again in its next run."""
        self._account = account
        self._accounts.clear()
        self._places.clear()

    def close(self) -> None:
        """Nothing more will be heard of what is under way."""
        self._flights.close()

    # Endpoints: what the engines are told.

    def asked(self, original: Handler) -> Handler:
        """Around `RiskEngine.execute`, P4: a new order, or a change of one."""
        engine = getattr(original, "__self__", None)

        def ask(command: Any, operation: OrderOperation) -> None:
            flight = self._begun(command, operation)
            if self._is_live:
                flight.queued_ns = self._orders.clock.monotonic_ns()
            else:
                self._check(flight, engine)

        return self._around(original, self._bench.guard("RiskEngine.execute"), ask)

    def passed(self, original: Handler) -> Handler:
        """Around `ExecEngine.execute`, P6: what has passed the checks, or needs none, goes to the venue."""

        def ask(command: Any, operation: OrderOperation) -> None:
            flight = self._flights.of_command(command) or self._begun(command, operation)
            flight.checked("pass")
            flight.queued_ns = self._orders.clock.monotonic_ns()
            flight.call.mark(Point.SENT, flight.queued_ns)
            if not flight.ids:
                self._flights.land(flight)

        return self._around(original, self._bench.guard("ExecEngine.execute"), ask)

    def heard(self, original: Handler) -> Handler:
        """Around `ExecEngine.process`, P7: the venue's client has an event."""
        guard = self._bench.guard("ExecEngine.process")

        def process(event: Any) -> None:
            tick = current_tick()
            if self._is_told():
                guard.own(self._arrived, event, default=None)
            try:
                original(event)
            finally:
                # A back-test handles the event at once; then the strategy goes on with what it was at.
                set_current_tick(tick)

        return process

    def reconciled(self, original: Handler) -> Handler:
        """Around `ExecEngine.reconcile_execution_report`: the answer to a query."""
        guard = self._bench.guard("ExecEngine.reconcile_execution_report")

        def reconcile(report: Any) -> None:
            received_ns = self._orders.clock.monotonic_ns()
            original(report)
            if self._is_told():
                guard.own(self._reported, report, received_ns, default=None)

        return reconcile

    # Queues of the live engines: the turn of a command.

    def checking(self, command: Any, engine: Any) -> None:
        """The risk engine takes `command` from its queue."""
        flight = self._flights.of_command(command)
        if flight is not None:
            self._end_wait(flight)
            self._check(flight, engine)

    def sending(self, command: Any) -> Flight | None:
        """The execution engine takes `command` from its queue: what it starts now belongs to the call."""
        flight = self._flights.of_command(command)
        if flight is not None:
            self._end_wait(flight)
            flight.call.mark(Point.SENT)
        return flight

    # Events, as the library publishes them.

    def told(self, event: Any) -> None:
        """What became of an order; after us the strategies hear of it."""
        arrival = self._arrivals.pop(id(event), None)
        if type(event).__name__ not in read.ANSWERED or not self._is_told():
            return
        now_ns = self._orders.clock.monotonic_ns()
        received_ns = arrival[1] if arrival is not None else now_ns
        order = self._cache.order(event.client_order_id)
        update = read.update_of(event, order, self._place(event.instrument_id), received_ns)
        if update is None:
            return
        reports = self._tell(event, order, update)
        if reports is None:
            return
        tick = TickRef(
            update.venue,
            received_ns,
            instrument=update.instrument,
            channel="orders",
            kind=TickKind.ORDER,
            venue_time_ns=update.venue_time_ns,
            reports=reports,
        )
        tick.delivered_ns = now_ns
        set_current_tick(tick)

    def _tell(self, event: Any, order: Any, update: OrderUpdate) -> tuple[OrderKey, ...] | None:
        """The orders that the event is about; None if no order of that name has left, or is about to."""
        name, client_id = type(event).__name__, update.client_id or ""
        flights = self._flights_answered_by(name, client_id)
        is_its_own = order is not None and order.status_string() == "DENIED"
        if name == "OrderDenied" and not (flights and is_its_own):
            self._denied(event)
            return None
        for flight in flights:
            if Point.ANSWERED not in flight.call.points:
                flight.call.mark(Point.ANSWERED, update.received_ns)
        if name in read.REFUSALS and flights:
            self._refuse(flights[0], event, update)
            return ()
        if not flights and update.venue_id is None and not (order is not None and order.ts_submitted):
            return None
        is_answer = name in ("OrderAccepted", "OrderUpdated")
        reports = () if is_answer else self._orders.observe(update)
        for flight in flights:
            self._flights.answer(flight, client_id, self._answer(flight, update) if is_answer else None)
        return self._orders.observe(update) if is_answer else reports

    def _flights_answered_by(self, name: str, client_id: str) -> list[Flight]:
        flights = (self._flights.about(operation, client_id) for operation in read.ANSWERED.get(name, ()))
        return [flight for flight in flights if flight is not None]

    def _answer(self, flight: Flight, update: OrderUpdate) -> OrderUpdate:
        """A changed order is the same one, also where the venue has given it another id."""
        if flight.call.operation is not OrderOperation.REPLACE:
            return update
        return replace(update, venue_id=flight.call.request.venue_id)

    def _refuse(self, flight: Flight, event: Any, update: OrderUpdate) -> None:
        reject = read.reject_of(event, update.venue, is_sent=flight.call.is_sent)
        flight.checked("reject")
        self._flights.answer(flight, update.client_id or "", update, reject)

    def _denied(self, event: Any) -> None:
        """An order that was refused without a command, for another one has its id: a call that failed."""
        place = self._place(event.instrument_id)
        reject = read.reject_of(event, place.venue)
        call = self._orders.begin(describe.denied(event, place), recent=self._market.recent)
        call.fail(reject.error_type, reject)

    def _arrived(self, event: Any) -> None:
        now_ns = self._orders.clock.monotonic_ns()
        self._arrivals[id(event)] = event, now_ns
        if len(self._arrivals) > _MAX_ARRIVALS:
            self._arrivals.popitem(last=False)
        name, client_id = type(event).__name__, str(event.client_order_id)
        if name == "OrderSubmitted":
            flight = self._flights.about(OrderOperation.SUBMIT, client_id)
            if flight is not None and Point.ANSWERED not in flight.call.points:
                flight.call.mark(Point.SENT, now_ns)  # clients say so right before the bytes leave
            return
        for flight in self._flights_answered_by(name, client_id):
            flight.call.mark(Point.ANSWERED, now_ns)

    def _reported(self, report: Any, received_ns: int) -> None:
        update = read.report_of(report, self._place(report.instrument_id), received_ns)
        if update is None:
            return
        flight = self._flights.about(OrderOperation.QUERY, update.client_id or "")
        if flight is None:
            self._orders.observe(update)
            return
        flight.call.mark(Point.ANSWERED, received_ns)
        self._flights.answer(flight, update.client_id or "", update)

    # Commands.

    def _around(self, original: Handler, guard: Guard, ask: Callable[[Any, OrderOperation], None]) -> Handler:
        def execute(command: Any) -> None:
            operation = describe.operation_of(command) if self._is_told() else None
            if operation is not None:
                guard.own(ask, command, operation, default=None)
            try:
                original(command)
            except BaseException as error:
                if operation is not None:
                    guard.own(self._flights.broke, command, error, default=None)
                raise

        return execute

    def _begun(self, command: Any, operation: OrderOperation) -> Flight:
        request, ids, resting = self._described(command, operation)
        recent = self._market.recent
        if not self._is_live and command.ts_init != self._market.moment_ns:
            # History has gone on since the newest tick: a timer acts, in the only context there is.
            recent, tick = None, current_tick()
            set_current_tick(tick if tick is not None and tick.kind is TickKind.ORDER else None)
        return self._flights.begin(command, self._orders.begin(request, recent=recent), ids, resting)

    def _described(self, command: Any, operation: OrderOperation) -> Described:
        place = self._place(command.instrument_id)
        name = type(command).__name__
        if name == "SubmitOrder":
            return describe.submit(command.order, place), [str(command.order.client_order_id)], ()
        if name == "SubmitOrderList":
            return self._described_list(command.order_list.orders)
        if name in ("CancelAllOrders", "BatchCancelOrders"):
            return self._described_cancels(command, place)
        named = [str(command.client_order_id)]
        if operation is OrderOperation.REPLACE:
            return describe.modify(command, place, self._cache.order(command.client_order_id)), named, ()
        if operation is OrderOperation.CANCEL:
            return describe.cancel(command, place), named, ()
        return describe.query(command, place), named, ()

    def _described_list(self, orders: Sequence[Any]) -> Described:
        requests = [describe.submit(order, self._place(order.instrument_id)) for order in orders]
        resting = [str(order.client_order_id) for order in orders if order.parent_order_id is not None]
        return describe.submit_list(requests), [str(order.client_order_id) for order in orders], resting

    def _described_cancels(self, command: Any, place: Place) -> Described:
        targets = getattr(command, "cancels", None)
        if targets is None:
            targets = self._cache.orders_open(
                instrument_id=command.instrument_id, strategy_id=command.strategy_id, side=command.order_side
            )
        named = [str(target.client_order_id) for target in targets]
        if len(targets) == 1:
            return describe.cancel(targets[0], place), named, ()
        return describe.cancel_many(command, place, targets), named, ()

    def _check(self, flight: Flight, engine: Any) -> None:
        if not getattr(engine, "is_bypassed", False):
            known = {names.RISK_CHECK_NAME: _CHECK}
            parent = flight.call.context
            operation = Operation(f"{names.SPAN_RISK_CHECK} {_CHECK}", known, SpanKind.INTERNAL, parent)
            flight.check = self._bench.start(operation, duration=_CHECK_DURATION, is_current=False)

    def _end_wait(self, flight: Flight) -> None:
        since_ns, flight.queued_ns = flight.queued_ns, None
        if since_ns is not None:
            waited_s = (self._orders.clock.monotonic_ns() - since_ns) / 1e9
            flight.call.waited(Segment.QUEUE_WAIT, waited_s)

    def _is_told(self) -> bool:
        return self._bench.is_active and not is_suppressed()

    def _place(self, instrument_id: Any) -> Place:
        known = self._places.get(instrument_id)
        if known is not None:
            return known
        venue = describe.venue_of(instrument_id)
        if venue not in self._accounts:
            self._accounts[venue] = self._account or _text(self._cache.account_id(instrument_id.venue))
        instrument = self._cache.instrument(instrument_id)
        place = describe.place_of(
            instrument_id,
            instrument,
            environment=self._environment_at(venue),
            account=self._accounts[venue],
        )
        if instrument is not None and len(self._places) < _MAX_PLACES:
            self._places[instrument_id] = place
        return place


def _text(value: Any) -> str | None:
    return str(value) if value is not None else None
