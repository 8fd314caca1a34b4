"""Turns of the order path, each in a child of the nursery: what one order's whole life costs its process."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from benchmarks.pipeline import processes
from benchmarks.pipeline.spans import our_library
from benchmarks.trading import switching
from benchmarks.trading.frames import SYMBOL, Desk, client_id_of, execution_id_of
from benchmarks.trading.stock import Spans, recording

Prepare = Callable[[int], Coroutine[Any, Any, None]]
"""Makes what does something that many times; it is awaited under the clock, and was prepared before."""

SPANS_PER_ORDER: Final = 4
"""Stock spans that an order's life may cost."""
BATCH: Final = 20
_WARM_UP: Final = 3
_SENT_AFTER: Final = 6
"""Batches after which stock spans are flushed: just below the exporter's batch, far below its queue."""
_LIVES_S: Final = 1.3
"""Longer than an order's life waits to be written: late reports count."""
_CALM_S: Final = 0.3
_CALM_NS: Final = 8_000_000
"""What an agent without work uses less of in that time."""
_PATIENCE_S: Final = 8.0


def empty(batches: int) -> dict[str, Any]:
    """A loop that does nothing."""
    return asyncio.run(_timed(_plain(_nothing), batches))


def spans(endpoint: str, batches: int) -> dict[str, Any]:
    """Four stock spans in a loop of their own."""
    provider = recording(endpoint)
    made = Spans(provider.get_tracer("bench"))
    said = asyncio.run(
        _timed(
            _plain(lambda count: made.record(SPANS_PER_ORDER * count)), batches, flush=provider.force_flush
        )
    )
    return said | {"spans": made.count}


def bare(frames: Mapping[str, Any], batches: int) -> dict[str, Any]:
    """ccxt.pro without telemetry."""
    return asyncio.run(_lives(frames, batches))


def beside(frames: Mapping[str, Any], endpoint: str, batches: int) -> dict[str, Any]:
    """Four stock spans after each order of the same ccxt.pro."""
    provider = recording(endpoint)
    made = Spans(provider.get_tracer("bench"))

    def four() -> None:
        for _ in range(SPANS_PER_ORDER):
            made.one()

    said = asyncio.run(_lives(frames, batches, four, flush=provider.force_flush))
    return said | {"spans": made.count}


def ours(frames: Mapping[str, Any], batches: int) -> dict[str, Any]:
    """Ours, as `init()` sets it up: the same orders, told."""
    switching.begin()
    said = asyncio.run(_lives(frames, batches, settle=_settle))
    switching.end()
    return said | {"orders": 1 + (_WARM_UP + batches) * BATCH, "library": our_library()}


def core(batches: int) -> dict[str, Any]:
    """The core's part of the same order, without the library that it is sent by."""
    switching.begin()
    desk = _Core()
    said = asyncio.run(_timed(_plain(desk.live), batches, _settle))
    switching.end()
    return said | {"orders": desk.count}


async def _lives(
    frames: Mapping[str, Any],
    batches: int,
    after: Callable[[], object] | None = None,
    settle: Callable[[], object] | None = None,
    flush: Callable[[], object] | None = None,
) -> dict[str, Any]:
    desk = Desk(frames)
    await desk.begin()
    timed = await _timed(lambda count: desk.live(desk.lives(count), after), batches, settle, flush)
    await desk.close()
    return timed


async def _timed(
    prepare: Prepare,
    batches: int,
    settle: Callable[[], object] | None = None,
    flush: Callable[[], object] | None = None,
) -> dict[str, Any]:
    """Nanoseconds an order: of the calling thread by batch, and of the process until all has been sent.

    `settle` ends a turn; `flush` is for who loses what their queue cannot hold.
    """
    settle, flush = settle or flush or _at_once, flush or _at_once
    for _ in range(_WARM_UP):
        await prepare(BATCH)
    settle()
    agent_ns = calm_agents_ns()
    caller: list[float] = []
    prepared_ns = 0
    begun_ns = time.process_time_ns()
    for number in range(1, batches + 1):
        prepared_from_ns = time.thread_time_ns()
        work = prepare(BATCH)
        started_ns = time.thread_time_ns()
        await work
        caller.append((time.thread_time_ns() - started_ns) / BATCH)
        prepared_ns += started_ns - prepared_from_ns
        if number % _SENT_AFTER == 0:
            flush()
    settle()
    total_ns = time.process_time_ns() - begun_ns - prepared_ns
    return {"caller": caller, "total": total_ns / (batches * BATCH), "agent_ns": agent_ns}


def calm_agents_ns(folder: str | None = None) -> int:
    """CPU time of the agents of a spool, this process's if none is given, once they have nothing to do."""
    folder = folder or os.environ.get("TICKSPAN_SPOOL_DIR")
    if folder is None:
        return 0
    until, before, now = time.monotonic() + _PATIENCE_S, -_CALM_NS, 0
    while now - before >= _CALM_NS and time.monotonic() < until:
        before = now
        time.sleep(_CALM_S)
        now = sum(map(processes.cpu_ns, processes.agents(Path(folder))))
    return now


def _at_once() -> None:
    """Nothing is left to be sent."""


def _settle() -> None:
    """The last lives are due and have been written, by the thread that does so; all of it is in the spool."""
    time.sleep(_LIVES_S)
    switching.flush()


def _nothing(count: int) -> None:
    for _ in range(count):
        pass


def _plain(function: Callable[[int], object]) -> Prepare:
    async def loop(count: int) -> None:
        function(count)

    return loop


class _Core:
    """Orders as a member tells them: sent, acknowledged, reported as new, filled in two parts."""

    def __init__(self) -> None:
        from opentelemetry import metrics, trace
        from opentelemetry._logs import get_logger

        from tickspan.trading import Orders

        self._orders = Orders(
            trace.get_tracer("bench"), metrics.get_meter("bench"), logger=get_logger("bench")
        )
        self.count = 0

    def live(self, count: int) -> None:
        """So many."""
        from tickspan.trading import Execution, OrderOperation, OrderRequest, OrderStatus, Point, Source

        orders, quantity = self._orders, Decimal("0.01")
        for number in range(self.count + 1, self.count + count + 1):
            request = OrderRequest(
                OrderOperation.SUBMIT,
                "binance",
                "bench",
                account="key",
                environment="simulated",
                instrument=SYMBOL,
                instrument_class="spot",
                client_id=client_id_of(number),
                side="buy",
                type="limit",
                time_in_force="good_till_cancel",
                quantity=quantity,
                price=Decimal(90_000),
            )
            call = orders.begin(request)
            call.mark(Point.SIGNED)
            call.attempt("POST /order")
            call.mark(Point.ANSWERED)
            call.acknowledge([_update(number, Source.REST_RESPONSE, OrderStatus.NEW)])
            orders.observe(_update(number, Source.USER_STREAM, OrderStatus.NEW))
            first, second = (
                Execution(str(execution_id_of(number, part)), share, Decimal(60_000))
                for part, share in ((1, Decimal("0.004")), (2, Decimal("0.006")))
            )
            orders.observe(
                _update(
                    number,
                    Source.USER_STREAM,
                    OrderStatus.PARTIALLY_FILLED,
                    filled_quantity=Decimal("0.004"),
                    executions=(first,),
                )
            )
            orders.observe(
                _update(
                    number,
                    Source.USER_STREAM,
                    OrderStatus.FILLED,
                    filled_quantity=quantity,
                    executions=(second,),
                )
            )
        self.count += count


def _update(number: int, source: Any, status: Any, **known: Any) -> Any:
    from tickspan.trading import OrderUpdate

    return OrderUpdate(
        "binance",
        source,
        status,
        account="key",
        client_id=client_id_of(number),
        venue_id=str(1_000_000 + number),
        quantity=Decimal("0.01"),
        venue_time_ns=time.time_ns() - 5_000_000,
        **known,
    )
