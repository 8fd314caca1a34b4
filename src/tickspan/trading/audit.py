"""The audit stream: what becomes of each order, as events in the trace of its call, numbered by the process.

`new` is written before a byte leaves. An order that the venue has, has exactly one `ack`; every execution is
in exactly one fill. Whoever reads the stream knows of each order its ids, its state and its span.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context

from tickspan.semconv import trading as names
from tickspan.trading.events import INFO, WARN, Events
from tickspan.trading.lifecycle import UNHEARD, Order, Told
from tickspan.trading.model import AttributeValue, OrderStatus

_ENDS: Final = {
    OrderStatus.CANCELED: (names.EVENT_ORDER_CANCEL, INFO),
    OrderStatus.EXPIRED: (names.EVENT_ORDER_EXPIRE, INFO),
    OrderStatus.REPLACED: (names.EVENT_ORDER_REPLACE, INFO),
    OrderStatus.REJECTED: (names.EVENT_ORDER_REJECT, WARN),
}
_FILLED: Final = (OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED)


class Fact(NamedTuple):
    """What has become of an order; `told` is the report that says so, if it is one that is told."""

    event: str
    severity: SeverityNumber
    told: Told | None = None


def facts(before: Order, after: Order, told: Sequence[Told]) -> list[Fact]:
    """What `after` says that `before` did not."""
    found: list[Fact] = []
    if before.status in UNHEARD and after.status not in UNHEARD and after.status is not OrderStatus.REJECTED:
        found.append(Fact(names.EVENT_ORDER_ACK, INFO))
    for effect in told:
        if effect.execution is not None or (effect.status in _FILLED and after.filled > before.filled):
            event = (
                names.EVENT_ORDER_FILL
                if effect.status is OrderStatus.FILLED
                else names.EVENT_ORDER_PARTIAL_FILL
            )
            found.append(Fact(event, WARN if effect.late else INFO, effect))
    if after.status is not before.status and after.status in _ENDS:
        found.append(Fact(*_ENDS[after.status], told[-1] if told else None))
    return found


class Trail:
    """Writes facts. Thread-safe."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def write(
        self,
        event: str,
        severity: SeverityNumber,
        known: Mapping[str, AttributeValue],
        context: Context,
        *,
        body: str | None = None,
        wall_ns: int | None = None,
    ) -> None:
        """The next event of this process's audit stream, in the span of `context`."""
        self._events.emit(
            event,
            severity,
            {**known, names.EVENT_SEQUENCE: next(_numbers)},
            body=body,
            context=context,
            wall_ns=wall_ns,
        )


_numbers = itertools.count(1)


def count_anew() -> None:
    """Begin at 1: this is a forked child, another process."""
    global _numbers
    _numbers = itertools.count(1)
