"""Market data: which message a handler is called for, and the newest tick of each instrument."""

from __future__ import annotations

import functools
from typing import Any, Final

from tickspan.instrumentation import Workbench
from tickspan.trading import TickRef, current_tick, open_message, set_current_tick

from tickspan_ib.describe import instrument_of
from tickspan_ib.sessions import Session, sessions_of
from tickspan_ib.streams import BARS, TICKS
from tickspan_ib.venue import VENUE

BARS_OF: Final = ("realtimeBar", "historicalDataUpdate")
"""Methods of the wrapper that get a bar of a subscription."""


def delivering(original: Any, bench: Workbench, library: str) -> Any:
    """`Wrapper.tcpDataProcessed()`: all that came in one piece is decoded, now the handlers run.

    `updateEvent` and `pendingTickersEvent` are about several instruments at once: an order of their handlers
    finds its own among them.
    """
    sessions, guard = sessions_of(bench), bench.guard("Wrapper.tcpDataProcessed")
    monotonic_ns = sessions.orders.clock.monotonic_ns

    def note(wrapper: Any) -> None:
        session = sessions.of(library, wrapper.ib.client)
        message, now_ns = open_message(), monotonic_ns()
        received_ns = message.received_ns if message is not None else now_ns
        tick: TickRef | None = None
        for ticker in wrapper.pendingTickers:
            if ticker.contract is not None:
                tick = _tick(instrument_of(ticker.contract), TICKS, received_ns, now_ns)
                session.recent.note(tick)
                if message is not None:
                    message.ticks[tick.instrument] = tick
        if tick is None or len(wrapper.pendingTickers) > 1:
            tick = _tick(None, TICKS, received_ns, now_ns)
        set_current_tick(tick)
        session.streams.ticked(wrapper, received_ns, now_ns)

    @functools.wraps(original)
    def tcp_data_processed(wrapper: Any) -> Any:
        if not bench.is_active or not wrapper.pendingTickers:
            return original(wrapper)
        before = current_tick()
        guard.own(note, wrapper, default=None)
        try:
            return original(wrapper)
        finally:
            set_current_tick(before)

    return tcp_data_processed


def updating(original: Any, bench: Workbench) -> Any:
    """`TickerUpdateEvent.emit(ticker)`: the handlers of one instrument."""
    guard = bench.guard("TickerUpdateEvent.emit")

    def tick_of(ticker: Any) -> TickRef | None:
        message = open_message()
        return message.ticks.get(instrument_of(ticker.contract)) if message is not None else None

    @functools.wraps(original)
    def emit(event: Any, *args: Any) -> Any:
        before = current_tick()
        if not bench.is_active or not len(event) or before is None or before.instrument is not None:
            return original(event, *args)  # nobody listens, or there is one tick only
        tick = guard.own(tick_of, args[0], default=None)
        if tick is None:
            return original(event, *args)
        set_current_tick(tick)
        try:
            return original(event, *args)
        finally:
            set_current_tick(before)

    return emit


def bar_arriving(original: Any, bench: Workbench, library: str, name: str) -> Any:
    """`Wrapper.realtimeBar(reqId, …)` and `historicalDataUpdate(reqId, bar)`: handlers of bars run inside."""
    sessions, guard = sessions_of(bench), bench.guard(f"Wrapper.{name}")

    def note(wrapper: Any, request_id: int) -> None:
        bars = wrapper.reqId2Subscriber.get(request_id)
        contract = getattr(bars, "contract", None)
        if contract is None:
            return
        session = sessions.of(library, wrapper.ib.client)
        message, now_ns = open_message(), sessions.orders.clock.monotonic_ns()
        tick = _tick(
            instrument_of(contract), BARS, message.received_ns if message is not None else now_ns, now_ns
        )
        session.recent.note(tick)
        set_current_tick(tick)
        session.streams.ticked(wrapper, tick.received_ns, now_ns)

    @functools.wraps(original)
    def call(wrapper: Any, reqId: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N803 - the library's name
        if not bench.is_active:
            return original(wrapper, reqId, *args, **kwargs)
        before = current_tick()
        guard.own(note, wrapper, reqId, default=None)
        try:
            return original(wrapper, reqId, *args, **kwargs)
        finally:
            set_current_tick(before)

    return call


def unsubscribing(original: Any, bench: Workbench) -> Any:
    """`Wrapper.endTicker(ticker, tickType)`: silence is no fault once nothing is watched."""
    sessions, guard = sessions_of(bench), bench.guard("Wrapper.endTicker")

    def note(wrapper: Any) -> None:
        session: Session | None = sessions.known(wrapper.ib.client)
        if session is not None and not any(wrapper.ticker2ReqId.values()):
            session.streams.unsubscribed()

    @functools.wraps(original)
    def end_ticker(wrapper: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(wrapper, *args, **kwargs)
        if bench.is_active:
            guard.own(note, wrapper, default=None)
        return result

    return end_ticker


def _tick(instrument: str | None, channel: str, received_ns: int, delivered_ns: int) -> TickRef:
    tick = TickRef(VENUE, received_ns, instrument=instrument, channel=channel)
    tick.delivered_ns = delivered_ns
    return tick
