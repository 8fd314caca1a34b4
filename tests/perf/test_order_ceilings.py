"""What orders cost: Python functions that one order's life enters, and the memory of a full registry."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from tickspan_spool import twins

from tickspan import providers
from tickspan.testing.ceilings import calls_of
from tickspan.testing.sink import MemorySink
from tickspan.trading import (
    Execution,
    OrderCall,
    OrderOperation,
    OrderRequest,
    Orders,
    OrderStatus,
    OrderUpdate,
    Point,
    Source,
    TradingSettings,
)

pytestmark = pytest.mark.perf

CEILINGS = {"compiled": 310, "pure": 920}
"""Of one order from its call to its life, audit stream and counters included; 288 and 877 were counted."""
FULL_MIB = 15.0
"""Of 20,000 orders; 13.7 were measured."""
UNWRITTEN_MIB = 19.5
"""The same when all of them end at once, and their lives are still to be written; 18.1 were measured."""


class Hole:
    """A sink that keeps nothing."""

    def stream(self, _key: Any) -> Hole:
        return self

    def append(self, _record: bytes, _items: int = 1) -> None:
        """Nothing is kept."""

    def pending(self, _span_id: bytes, _record: bytes) -> None:
        """The same."""

    def settled(self, _span_id: bytes) -> None:
        """The same."""


@pytest.fixture
def orders() -> Generator[Orders]:
    sink = MemorySink()
    tracers = providers.TracerProvider(shutdown_on_exit=False, sink=sink)
    loggers = providers.LoggerProvider(shutdown_on_exit=False, sink=sink)
    meters = providers.MeterProvider(shutdown_on_exit=False, sink=sink)
    made = Orders(
        tracers.get_tracer("test"),
        meters.get_meter("test"),
        TradingSettings(lifecycle_delay_s=3600),
        logger=loggers.get_logger("test"),
    )
    yield made
    made.close()
    meters.shutdown()


def request_of(number: int) -> OrderRequest:
    return OrderRequest(
        OrderOperation.SUBMIT,
        "binance",
        "ccxt",
        account="key",
        strategy="mm-1",
        instrument="BTC/USDT",
        instrument_class="spot",
        client_id=f"x-R4BD3S82{number:022d}",
        side="buy",
        type="limit",
        time_in_force="good_till_cancel",
        quantity=Decimal("0.01"),
        price=Decimal("50000.1"),
    )


def update_of(number: int, status: OrderStatus, filled: str | None = None, **known: Any) -> OrderUpdate:
    return OrderUpdate(
        "binance",
        known.pop("source", Source.USER_STREAM),
        status,
        account="key",
        client_id=f"x-R4BD3S82{number:022d}",
        venue_id=str(100_000_000 + number),
        quantity=Decimal("0.01"),
        filled_quantity=Decimal(filled) if filled is not None else None,
        venue_time_ns=1_700_000_000_000_000_000 + number,
        **known,
    )


def acknowledged(orders: Orders, number: int) -> OrderCall:
    call = orders.begin(request_of(number))
    call.mark(Point.SIGNED)
    call.attempt("POST /order")
    call.mark(Point.ANSWERED)
    call.acknowledge([update_of(number, OrderStatus.NEW, source=Source.REST_RESPONSE)])
    return call


def life(orders: Orders, number: int) -> None:
    """One order, filled at once; its life is written."""
    call = acknowledged(orders, number)
    fill = Execution(str(number), Decimal("0.01"), Decimal(50_000))
    orders.observe(update_of(number, OrderStatus.FILLED, "0.01", executions=(fill,)))
    orders._write_life(call.entries[0])


def test_an_orders_life_enters_few_python_functions(orders: Orders) -> None:
    for number in range(3):
        life(orders, number)
    assert calls_of(life, orders, 4, warm_up=0) <= CEILINGS[twins.implementation()]


@pytest.fixture
def full() -> Generator[Orders]:
    """A registry of 20,000 that tells spans to nobody."""
    hole: Any = Hole()
    tracers = providers.TracerProvider(shutdown_on_exit=False, sink=hole)
    made = Orders(
        tracers.get_tracer("test"),
        NoOpMeterProvider().get_meter("test"),
        TradingSettings(lifecycle_delay_s=3600),
    )
    yield made
    made.close()


def fill_up(orders: Orders, flush_every: int) -> float:
    """MiB that 20,000 orders hold: an eighth of them open, half of the others filled in two parts."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(20_000):
        acknowledged(orders, number)
        if number % 8 == 0:
            continue
        if number % 2:
            for part, filled in enumerate(("0.004", "0.01")):
                fill = Execution(f"{number}{part}", Decimal(filled), Decimal(50_000))
                orders.observe(update_of(number, OrderStatus.PARTIALLY_FILLED, filled, executions=(fill,)))
        else:
            orders.observe(update_of(number, OrderStatus.CANCELED, "0"))
        if number % flush_every == 0:
            orders._schedule.flush()
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / 2**20


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("flush_every", "ceiling_mib"), [(500, FULL_MIB), (30_000, UNWRITTEN_MIB)])
def test_a_full_registry_holds_little_memory(full: Orders, flush_every: int, ceiling_mib: float) -> None:
    held_mib = fill_up(full, flush_every)
    assert full.statistics().open == 2_500
    assert held_mib <= ceiling_mib
