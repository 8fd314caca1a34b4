"""What every request of the Binance dialect passes, by REST or by message: limits, faults, then the work."""

from __future__ import annotations

import inspect

from tickspan.testing.venue.behaviour import Fault, Point
from tickspan.testing.venue.binance.errors import (
    UNSUPPORTED,
    BinanceError,
    banned,
    refusal,
    too_many_orders,
    too_much_weight,
)
from tickspan.testing.venue.binance.operations import Call, Operation
from tickspan.testing.venue.binance.parameters import Parameters
from tickspan.testing.venue.credentials import Credentials
from tickspan.testing.venue.exchange import Exchange
from tickspan.testing.venue.limits import Budget
from tickspan.testing.venue.orders import RefusedError
from tickspan.testing.venue.truth import Unimplemented, Witness

_BAN_S = 120


class Gate:
    """Counts, refuses and runs operations. Lives on the venue's loop."""

    def __init__(self, exchange: Exchange, credentials: Credentials, witness: Witness) -> None:
        self.exchange = exchange
        self.credentials = credentials
        self.witness = witness
        self.budget = Budget(exchange.behaviour)
        self._turned_away = 0

    def charge(self, operation: Operation) -> None:
        """Count a request. Raises BinanceError when it is one too many, or scripted to be."""
        fault = self.exchange.script.strike(Point.REQUEST)
        if fault is Fault.BAN_418:
            raise banned(self.exchange.now_ms() + _BAN_S * 1_000, _BAN_S)
        if fault is Fault.RATE_LIMIT_429:
            self._turned_away = self.exchange.behaviour.rate_limit_burst
        exceeded = self.budget.use("REQUEST_WEIGHT", operation.weight)
        if self._turned_away > 0 or exceeded:
            self._turned_away = max(0, self._turned_away - 1)
            weight = self.budget.limits[0]
            raise too_much_weight(weight.limit, self.budget.seconds_left(weight))
        exceeded = self.budget.use("ORDERS", operation.orders) if operation.orders else None
        if exceeded:
            interval = f"{exceeded.interval_count} {exceeded.interval}"
            raise too_many_orders(exceeded.limit, interval, self.budget.seconds_left(exceeded))

    async def run(self, operation: Operation, parameters: Parameters, via: str) -> object:
        """Do what is asked. Raises BinanceError for every refusal."""
        try:
            result = operation.run(Call(self.exchange, self.budget, parameters, via))
            return await result if inspect.isawaitable(result) else result
        except RefusedError as refused:
            raise refusal(refused.reason) from None

    def unsupported(self, method: str, path: str) -> BinanceError:
        """The error for what this venue does not have, which it writes down."""
        self.witness.lacked(Unimplemented(method, path))
        return BinanceError(404, *UNSUPPORTED)
