"""What outlives its caller: the program's own context stays, ours is left behind."""

from __future__ import annotations

import types
from collections.abc import Generator
from contextvars import ContextVar
from typing import Any

from opentelemetry import baggage, trace
from opentelemetry import context as otel_context

from tickspan.instrumentation import is_suppressed, suppressed
from tickspan.testing.capture import Capture
from tickspan.trading import (
    OrderOperation,
    OrderRequest,
    Orders,
    TickRef,
    current_tick,
    open_call,
    tick_scope,
)
from tickspan.trading.detachment import detached_context, stepped_in

USERS_OWN: ContextVar[str] = ContextVar("users_own")


def test_a_detached_context_keeps_the_programs_variables_and_nothing_of_the_call(telemetry: Capture) -> None:
    orders = Orders(telemetry.tracer_provider.get_tracer("test"), telemetry.meter_provider.get_meter("test"))
    tick = TickRef("sim", orders.clock.monotonic_ns())
    USERS_OWN.set("mine")
    token = otel_context.attach(baggage.set_baggage("book", "eu"))
    call = orders.begin(OrderRequest(OrderOperation.CANCEL, "sim", "test"))
    call.resume()
    with tick_scope(tick), suppressed():
        context = detached_context()
        inside = (open_call() is call, current_tick() is tick, is_suppressed())
    assert inside == (True, True, True)
    assert context.run(
        lambda: (
            USERS_OWN.get(),
            baggage.get_baggage("book"),
            trace.get_current_span().get_span_context().is_valid,
            current_tick(),
            open_call(),
            is_suppressed(),
        )
    ) == ("mine", "eu", False, None, None, False)
    call.acknowledge()
    otel_context.detach(token)


def test_a_call_that_is_released_elsewhere_harms_nothing(telemetry: Capture) -> None:
    orders = Orders(telemetry.tracer_provider.get_tracer("test"), telemetry.meter_provider.get_meter("test"))
    call = orders.begin(OrderRequest(OrderOperation.CANCEL, "sim", "test"))
    context = detached_context()
    context.run(call.resume)
    call.acknowledge()
    assert open_call() is None
    assert context.run(open_call) is None


def test_a_coroutine_that_is_thrown_away_is_closed_once() -> None:
    ended: list[str] = []

    @types.coroutine
    def forever() -> Generator[None]:
        while True:
            yield

    async def loop() -> None:
        try:
            await forever()
        finally:
            ended.append("closed")

    coroutine = loop()
    steps: Any = stepped_in(detached_context(), coroutine)
    steps.send(None)
    coroutine.close()
    steps.close()
    assert ended == ["closed"]
