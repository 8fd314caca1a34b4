"""Turns of a full registry, each in a child of the nursery: the memory of the orders that it remembers."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from benchmarks.pipeline import processes
from benchmarks.trading.frames import SYMBOL

_WRITE_EVERY: Final = 500
_MIB: Final = 2**20


def held(state: str, orders: int, by: str) -> dict[str, Any]:
    """MiB that so many orders hold in a `state`, `by` "tracemalloc" or "rss"; and how many are open."""
    from opentelemetry.metrics import NoOpMeterProvider
    from tickspan_spool import twins

    from tickspan import providers
    from tickspan.trading import Orders, TradingSettings

    sink: Any = _Hole()
    provider = providers.TracerProvider(shutdown_on_exit=False, sink=sink)
    made = Orders(
        provider.get_tracer("bench"),
        NoOpMeterProvider().get_meter("bench"),
        TradingSettings(lifecycle_delay_s=3600, max_orders=orders),
    )
    fill: Callable[[Any, int], None] = {"open": _open, "mixed": _mixed, "ended": _ended}[state]
    fill(made, -1)  # what is imported, made and cached once
    gc.collect()
    before = _MEASURES[by]()
    for number in range(1, orders + 1):
        fill(made, number)
        if state == "mixed" and number % _WRITE_EVERY == 0:
            made._schedule.flush()  # noqa: SLF001 - what a second brings about
    gc.collect()
    held_mib = (_MEASURES[by]() - before) / _MIB
    still_open = made.statistics().open
    made.close()
    return {"mib": held_mib, "open": still_open, "form": twins.implementation()}


def _traced() -> int:
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def _resident() -> int:
    """Bytes that belong to no file."""
    return processes.resident_bytes(os.getpid())[1]


_MEASURES: Final[dict[str, Callable[[], int]]] = {"tracemalloc": _traced, "rss": _resident}


class _Hole:
    """A sink that keeps nothing: what the orders hold is looked for, not what waits to be sent."""

    def stream(self, _key: Any) -> _Hole:
        return self

    def append(self, _record: bytes, _items: int = 1) -> None:
        """Nothing is kept."""

    def pending(self, _span_id: bytes, _record: bytes) -> None:
        """The same."""

    def settled(self, _span_id: bytes) -> None:
        """The same."""


def _open(orders: Any, number: int) -> None:
    """Sent and acknowledged; it rests in the book."""
    from tickspan.trading import OrderOperation, OrderRequest, OrderStatus, Point, Source

    request = OrderRequest(
        OrderOperation.SUBMIT,
        "binance",
        "ccxt",
        account="key",
        strategy="mm-1",
        instrument=SYMBOL,
        instrument_class="spot",
        client_id=_name(number),
        side="buy",
        type="limit",
        time_in_force="good_till_cancel",
        quantity=Decimal("0.01"),
        price=Decimal("50000.1"),
    )
    call = orders.begin(request)
    call.mark(Point.SIGNED)
    call.attempt("POST /order")
    call.mark(Point.ANSWERED)
    call.acknowledge([_update(number, Source.REST_RESPONSE, OrderStatus.NEW)])


def _mixed(orders: Any, number: int) -> None:
    """An eighth stays open; of the others, half are canceled and half are filled in two parts."""
    from tickspan.trading import OrderStatus, Source

    if number % 2:
        _ended(orders, number)
        return
    _open(orders, number)
    if number % 8:
        orders.observe(_update(number, Source.USER_STREAM, OrderStatus.CANCELED, filled_quantity=Decimal(0)))


def _ended(orders: Any, number: int) -> None:
    """Filled in two parts; its life is still to be written."""
    from tickspan.trading import Execution, OrderStatus, Source

    _open(orders, number)
    parts = (("0.004", OrderStatus.PARTIALLY_FILLED), ("0.01", OrderStatus.FILLED))
    for part, (filled, status) in enumerate(parts):
        execution = Execution(f"{number}{part}", Decimal(filled), Decimal(50_000))
        orders.observe(
            _update(
                number,
                Source.USER_STREAM,
                status,
                filled_quantity=Decimal(filled),
                executions=(execution,),
            )
        )


def _name(number: int) -> str:
    """As long as ccxt's are."""
    return f"x-R4BD3S82{number:022d}"


def _update(number: int, source: Any, status: Any, **known: Any) -> Any:
    from tickspan.trading import OrderUpdate

    return OrderUpdate(
        "binance",
        source,
        status,
        account="key",
        client_id=_name(number),
        venue_id=str(100_000_000 + number),
        quantity=Decimal("0.01"),
        venue_time_ns=1_700_000_000_000_000_000 + number,
        **known,
    )
