"""Full detail: a span for each message that reaches its consumer, whether an order follows or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.trace import Tracer

from tickspan.recording import Guard
from tickspan.trading.journal import Journal
from tickspan.trading.moments import Clock
from tickspan.trading.ticks import TickKind, TickRef

__all__ = ["trace_every_tick"]


class _Delivery:
    """In place of the slot `TickRef.delivered_ns`: whoever says when a tick was delivered has it told."""

    def __init__(self, slot: Any, tell: Callable[[TickRef], None]) -> None:
        self._slot = slot
        self._tell = tell

    def __get__(self, tick: TickRef | None, owner: type | None = None) -> Any:
        return self._slot if tick is None else self._slot.__get__(tick, owner)

    def __set__(self, tick: TickRef, moment_ns: int | None) -> None:
        self._slot.__set__(tick, moment_ns)
        if moment_ns is not None and tick.kind is TickKind.MARKET:
            self._tell(tick)


def trace_every_tick(tracer: Tracer) -> Callable[[], None]:
    """Begin with it; returns what ends it.

    An order that follows has the same span above it. Ticks pay nothing before, and about a span each from
    then on.
    """
    journal, clock = Journal(tracer), Clock()
    guard = Guard("trading", "every tick")
    slot = TickRef.__dict__["delivered_ns"]

    def tell(tick: TickRef) -> None:
        guard.own(journal.tick, tick, clock.anchor(), default=None)

    TickRef.delivered_ns = _Delivery(slot, tell)  # pyright: ignore[reportAttributeAccessIssue] - a descriptor for another

    def stop() -> None:
        TickRef.delivered_ns = slot

    return stop
