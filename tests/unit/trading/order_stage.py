"""What tests of orders have in common: a registry on a clock that stands still, and what comes out of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tickspan.testing.capture import Capture
from tickspan.trading import (
    Clock,
    Execution,
    OrderCall,
    OrderOperation,
    OrderRequest,
    Orders,
    OrderStatus,
    OrderStore,
    OrderUpdate,
    Source,
    TradingSettings,
)

SECOND = 1_000_000_000
PLACE = {
    "trading.venue.name": "sim",
    "trading.venue.environment": "live",
    "trading.client.library": "test",
}


def submit(client_id: str | None = "c-1", **known: Any) -> OrderRequest:
    """A new order."""
    venue = known.pop("venue", "sim")
    return OrderRequest(OrderOperation.SUBMIT, venue, "test", client_id=client_id, **known)


def replace_of(venue_id: str | None, client_id: str | None = None, **known: Any) -> OrderRequest:
    """A change of an order."""
    return OrderRequest(
        OrderOperation.REPLACE, "sim", "test", venue_id=venue_id, client_id=client_id, **known
    )


def report(status: OrderStatus | None, venue_id: str | None = "v-1", **known: Any) -> OrderUpdate:
    """Something that the venue pushes."""
    return OrderUpdate("sim", known.pop("source", Source.USER_STREAM), status, venue_id=venue_id, **known)


def answer(status: OrderStatus = OrderStatus.NEW, venue_id: str | None = "v-1", **known: Any) -> OrderUpdate:
    """The venue's answer to a call."""
    return report(status, venue_id, source=Source.REST_RESPONSE, **known)


def fill(name: str, quantity: int = 1, **known: Any) -> Execution:
    """One execution."""
    return Execution(name, Decimal(quantity), **known)


@dataclass
class OrderStage:
    """A registry and its telemetry."""

    telemetry: Capture
    now_ns: int = 1_000 * SECOND
    made: list[Orders] = field(default_factory=list[Orders])

    def clock(self) -> Clock:
        """Both clocks stand still until `pass_time`."""
        return Clock(lambda: self.now_ns, lambda: self.now_ns)

    def pass_time(self, seconds: float) -> None:
        """Move both clocks."""
        self.now_ns += round(seconds * SECOND)

    def orders(self, *, store: OrderStore | None = None, **settings: Any) -> Orders:
        """A registry that tells lives and doubts when it is closed, unless settings say otherwise."""
        calm: dict[str, Any] = {"lifecycle_delay_s": 3600, "waiting_s": 3600, "unknown_after_s": 3600}
        orders = Orders(
            self.telemetry.tracer_provider.get_tracer("test"),
            self.telemetry.meter_provider.get_meter("test"),
            TradingSettings(**{**calm, **settings}),
            logger=self.telemetry.logger_provider.get_logger("test"),
            store=store,
            clock=self.clock(),
        )
        self.made.append(orders)
        return orders

    def placed(
        self, orders: Orders, client_id: str = "c-1", venue_id: str = "v-1", **known: Any
    ) -> OrderCall:
        """An order that the venue has acknowledged."""
        call = orders.begin(submit(client_id, **known))
        call.acknowledge([answer(OrderStatus.NEW, venue_id)])
        return call

    def said(self) -> list[tuple[str, str]]:
        """The events so far, without their namespace, and how serious they are."""
        return [(event.name.removeprefix("trading."), event.severity) for event in self.telemetry.events()]

    def names(self) -> list[str]:
        """The spans so far, without their namespace."""
        return [span.name.removeprefix("trading.") for span in self.telemetry.spans()]

    def points(self, metric: str) -> dict[tuple[tuple[str, Any], ...], float]:
        """Values of a metric by what its attributes say beside the place."""
        return {
            tuple(sorted(beside_place(point.attributes).items())): point.value
            for point in self.telemetry.points(f"trading.{metric}")
        }

    def total(self, metric: str) -> float:
        """The sum over all series of a counter."""
        return sum(point.value for point in self.telemetry.points(f"trading.{metric}"))


def beside_place(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes without what all orders of a test share, and without their namespace."""
    return {
        name.removeprefix("trading."): value
        for name, value in attributes.items()
        if PLACE.get(name, ...) != value
    }


def eventually(look: Callable[[], Any]) -> Any:
    """The first thing that `look` finds, within five seconds."""
    pause = threading.Event()
    for _ in range(500):
        found = look()
        if found:
            return found
        pause.wait(0.01)
    raise AssertionError(f"nothing came of {look}")
