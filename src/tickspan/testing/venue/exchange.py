"""The venue behind every dialect: it plays the script in time and tells its listeners what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from tickspan.testing.venue.behaviour import Behaviour, Fault, Point
from tickspan.testing.venue.delivery import Delivery, Report
from tickspan.testing.venue.orders import (
    Balance,
    Desk,
    Execution,
    NewOrder,
    Reason,
    RefusedError,
    Side,
    Status,
    VenueOrder,
)
from tickspan.testing.venue.prices import Prices, Tick
from tickspan.testing.venue.script import OrderPlan, Script
from tickspan.testing.venue.timers import Timers


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a placement, at the moment of the acknowledgement."""

    order: VenueOrder
    executions: tuple[Execution, ...]
    fault: Fault | None


class Exchange:
    """One account on a few markets. Lives on one event loop; only `desk` may be read from elsewhere."""

    def __init__(self, behaviour: Behaviour, seed: int) -> None:
        self.behaviour = behaviour
        self.desk = Desk(behaviour)
        self.script = Script(seed, behaviour)
        self._timers = Timers()
        self.delivery = Delivery(self.script, self._timers, behaviour.late_fill_s)
        now_ms = self.now_ms()
        self._prices = {market.id: Prices(market, seed, now_ms) for market in behaviour.markets()}
        self.tick_listeners: set[Callable[[Tick], None]] = set()
        self.disconnect_listeners: set[Callable[[], None]] = set()
        self._resting: dict[int, OrderPlan] = {}
        self._unannounced: dict[int, VenueOrder] = {}

    def now_ms(self) -> int:
        """The venue's clock, skewed as its behaviour says."""
        return time.time_ns() // 1_000_000 + round(self.behaviour.clock_skew_s * 1_000)

    def prices(self, symbol: str) -> Prices:
        """The market data of `symbol`. Raises RefusedError(UNKNOWN_SYMBOL)."""
        self.desk.market(symbol)
        return self._prices[symbol]

    def start(self) -> None:
        """Let the markets tick, if they do so by themselves. Must run on the loop."""
        if self.behaviour.tick_interval_s > 0:
            self._timers.after(self.behaviour.tick_interval_s, self._tick_and_repeat)

    def stop(self) -> None:
        """Cancel everything that was still going to happen."""
        self._timers.cancel()

    async def place(self, new: NewOrder) -> Accepted:
        """Take an order and return when its acknowledgement is due. Raises RefusedError."""
        prices = self.prices(new.symbol)
        checked = self.desk.check(new, prices.best_bid[0], prices.best_ask[0])
        plan = self.script.plan_order()
        if plan.fault is Fault.REJECT:
            raise RefusedError(Reason.SCRIPTED)
        order = self.desk.accept(checked, self.now_ms())
        self._unannounced[order.order_id] = order
        if plan.fault is Fault.LATE_FILL:
            self.delivery.hold_one_fill(order.order_id)
        fills_first = plan.fill_delay_s <= 0 and not order.is_maker
        if fills_first:
            self._timers.after(plan.ack_delay_s + plan.fill_delay_s, self._start_filling, order, plan)
        await asyncio.sleep(plan.ack_delay_s)
        if not fills_first:
            # Soon, not now: the acknowledgement that the caller is about to write goes first.
            asyncio.get_running_loop().call_soon(self._open, order, plan)
        return Accepted(self.desk.order(order.order_id), self.desk.executions_of(order.order_id), plan.fault)

    async def amend(self, order: VenueOrder, quantity: Decimal, price: Decimal) -> Accepted:
        """Change an open order in place and return when that is to be acknowledged. Raises RefusedError."""
        prices = self.prices(order.symbol)
        plan = self.script.plan_order()
        if plan.fault is Fault.REJECT:
            raise RefusedError(Reason.SCRIPTED)
        touch = prices.best_bid[0], prices.best_ask[0]
        amended = self.desk.amend(order.order_id, quantity, price, *touch, self.now_ms())
        was_resting = self._resting.pop(order.order_id, None) is not None
        if amended.is_maker:
            self._resting[order.order_id] = plan
        await asyncio.sleep(plan.ack_delay_s)
        if was_resting and not amended.is_maker:
            self._timers.after(plan.fill_delay_s, self._start_filling, amended, plan)
        return Accepted(self.desk.order(order.order_id), self.desk.executions_of(order.order_id), plan.fault)

    def cancel(self, order: VenueOrder, client_id: str) -> VenueOrder:
        """Cancel an open order; `client_id` names the cancel itself. Raises RefusedError(NOT_OPEN)."""
        if not self.desk.is_open(order.order_id):
            raise RefusedError(Reason.NOT_OPEN)
        if self.delivery.lacks_a_fill(order.order_id):
            halves = _split(order.leaves_quantity, (0.5, 0.5), self._step(order))
            if len(halves) > 1:
                self._fill(order.order_id, halves[0])
        canceled = self.desk.end(order.order_id, Status.CANCELED, self.now_ms())
        self._resting.pop(order.order_id, None)
        asyncio.get_running_loop().call_soon(self._report, "CANCELED", canceled, None, client_id)
        return canceled

    def tick(self, symbol: str | None = None) -> None:
        """Let one market, or each, take one step."""
        fault = self.script.strike(Point.TICK)
        if fault is Fault.MUTE:
            self.delivery.mute(self.behaviour.mute_s)
        if fault is Fault.DISCONNECT:
            for disconnect in tuple(self.disconnect_listeners):
                disconnect()
        for prices in [self.prices(symbol)] if symbol else self._prices.values():
            tick = prices.tick(self.now_ms(), has_gap=fault is Fault.SEQUENCE_GAP)
            self._fill_crossed(tick)
            if not self.delivery.is_mute:
                for listen in tuple(self.tick_listeners):
                    listen(tick)

    def fill(self, client_id: str) -> None:
        """Begin to fill the order that rests under `client_id`. Raises LookupError when none does."""
        for order_id, plan in self._resting.items():
            if self.desk.order(order_id).client_id == client_id:
                del self._resting[order_id]
                self._start_filling(self.desk.order(order_id), plan)
                return
        raise LookupError(f"no order rests under the client id {client_id!r}")

    def _tick_and_repeat(self) -> None:
        for _ in range(self.behaviour.tick_burst):
            self.tick()
        self._timers.after(self.behaviour.tick_interval_s, self._tick_and_repeat)

    def _open(self, order: VenueOrder, plan: OrderPlan) -> None:
        """What follows an acknowledgement: the order is announced, then fills, rests or expires."""
        self._announce(order.order_id)
        if not self.desk.is_open(order.order_id):
            return
        if not order.is_maker:
            self._timers.after(plan.fill_delay_s, self._start_filling, order, plan)
        elif order.time_in_force in ("IOC", "FOK"):
            expired = self.desk.end(order.order_id, Status.EXPIRED, self.now_ms())
            self._report("EXPIRED", expired, None, expired.client_id)
        else:
            self._resting[order.order_id] = plan

    def _start_filling(self, order: VenueOrder, plan: OrderPlan) -> None:
        if order.order_id in self._resting:
            return  # changed in between: it waits for the market now
        leaves = self.desk.order(order.order_id).leaves_quantity
        quantities = _split(leaves, plan.partials, self._step(order))
        self._fill_next(order.order_id, quantities, plan.fill_gap_s)

    def _fill_next(self, order_id: int, quantities: tuple[Decimal, ...], gap_s: float) -> None:
        if not self.desk.is_open(order_id):
            return  # canceled in between
        leaves = self.desk.order(order_id).leaves_quantity  # less than planned, if it was changed in between
        self._fill(order_id, min(quantities[0], leaves) if quantities[1:] else leaves)
        if quantities[1:]:
            self._timers.after(gap_s, self._fill_next, order_id, quantities[1:], gap_s)

    def _fill(self, order_id: int, quantity: Decimal) -> None:
        order, execution = self.desk.fill(order_id, quantity, self.now_ms())
        self._report("TRADE", order, execution, order.client_id)

    def _fill_crossed(self, tick: Tick) -> None:
        for order_id, plan in tuple(self._resting.items()):
            order = self.desk.order(order_id)
            if order.symbol == tick.market.id and _is_crossed(order, tick):
                del self._resting[order_id]
                self._start_filling(order, plan)

    def _announce(self, order_id: int) -> None:
        order = self._unannounced.pop(order_id, None)
        if order is not None:
            self.delivery.deliver(self._make_report("NEW", order, None, order.client_id))

    def _report(self, kind: str, order: VenueOrder, execution: Execution | None, client_id: str) -> None:
        self._announce(order.order_id)
        self.delivery.deliver(self._make_report(kind, order, execution, client_id))

    def _make_report(
        self, kind: str, order: VenueOrder, execution: Execution | None, client_id: str
    ) -> Report:
        market = self.desk.market(order.symbol)
        balances = self.desk.balances
        owned = {asset: balances.get(asset, Balance()) for asset in (market.base, market.quote)}
        return Report(kind, order, execution, client_id, self.now_ms(), owned)

    def _step(self, order: VenueOrder) -> Decimal:
        return self.desk.market(order.symbol).step_size


def _split(quantity: Decimal, shares: tuple[float, ...], step: Decimal) -> tuple[Decimal, ...]:
    """Cut `quantity` into shares on the market's grid; the last takes what rounding left over."""
    parts = [(quantity * Decimal(str(share))).quantize(step, ROUND_DOWN) for share in shares[:-1]]
    parts.append(quantity - sum(parts, Decimal(0)))
    return tuple(part for part in parts if part > 0)


def _is_crossed(order: VenueOrder, tick: Tick) -> bool:
    if order.side is Side.BUY:
        return tick.best_ask[0] <= order.price
    return tick.best_bid[0] >= order.price
