"""Which message of the venue a decision came from: the tick at hand, and the newest of an instrument.

Per delivered message there is one `TickRef`. It becomes a span only when an order follows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, cast

from tickspan.config import TradingSettings
from tickspan.trading.model import Trigger

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from tickspan.trading.model import OrderKey

MAX_INSTRUMENTS: Final = 1_000
"""Instruments of one client whose newest tick is remembered."""


class TickKind(StrEnum):
    """What the message tells."""

    MARKET = "market"
    ORDER = "order"
    POLL = "poll"
    """Market data that was asked for by a request."""


_MARKET: Final = TickKind.MARKET


class Pulse(Protocol):
    """The stream that a message came from."""

    def silence_ns(self, now_ns: int) -> int | None:
        """For how long it has been silent, if longer than its pace allows."""
        ...

    def delivered(self, queued_ns: int) -> None:
        """A message has reached its consumer."""
        ...


class TickRef:
    """One delivered message; moments are monotonic nanoseconds.

    `reports` name the orders whose updates it carried, `feed` is the stream that it came from, if anybody
    watches that. `span_context` is set by the first order that follows.
    """

    __slots__ = (
        "channel",
        "delivered_ns",
        "feed",
        "instrument",
        "kind",
        "received_ns",
        "reports",
        "span_context",
        "venue",
        "venue_time_ns",
    )

    def __init__(
        self,
        venue: str,
        received_ns: int,
        instrument: str | None = None,
        channel: str | None = None,
        kind: TickKind = TickKind.MARKET,
        venue_time_ns: int | None = None,
        reports: tuple[OrderKey, ...] = (),
        feed: Pulse | None = None,
    ) -> None:
        self.venue = venue
        self.instrument = instrument
        self.channel = channel
        self.kind = kind
        self.venue_time_ns = venue_time_ns
        self.received_ns = received_ns
        self.delivered_ns: int | None = None
        self.reports = reports
        self.feed = feed
        self.span_context: SpanContext | None = None

    def __repr__(self) -> str:
        told = " told" if self.span_context is not None else ""
        return f"<TickRef {self.venue} {self.channel} {self.instrument}{told}>"


_current: Final[ContextVar[TickRef | None]] = ContextVar("tickspan_tick", default=None)


def current_tick() -> TickRef | None:
    """The message that this task is handling; pass it along where the work moves to another task."""
    return _current.get()


set_current_tick: Final = cast("Callable[[TickRef | None], None]", _current.set)
"""Make a tick the current one in this context, until the next."""


@contextmanager
def tick_scope(tick: TickRef | None) -> Generator[None]:
    """Work on behalf of `tick` (for example one taken from a queue) while the context lasts."""
    token = _current.set(tick)
    try:
        yield
    finally:
        _current.reset(token)


class RecentTicks:
    """The newest market tick per instrument of one client, for orders whose context lost theirs.

    Bounded: the instruments that were silent longest leave first.
    """

    __slots__ = ("_newest",)

    def __init__(self) -> None:
        self._newest: dict[str, TickRef] = {}

    def __len__(self) -> int:
        return len(self._newest)

    def note(self, tick: TickRef) -> None:
        """Remember `tick` if it is market data of one instrument."""
        instrument, newest = tick.instrument, self._newest
        if instrument is None or tick.kind is not _MARKET:
            return
        if instrument not in newest and len(newest) >= MAX_INSTRUMENTS:
            self._forget_silent()
        newest[instrument] = tick

    def newest(self, instrument: str | None) -> TickRef | None:
        """The last tick noted for `instrument`."""
        return self._newest.get(instrument) if instrument is not None else None

    def _forget_silent(self) -> None:
        """A tenth leaves at once, so that to find them costs each tick next to nothing."""
        ages = [(tick.received_ns, instrument) for instrument, tick in tuple(self._newest.items())]
        for _, instrument in sorted(ages)[: MAX_INSTRUMENTS // 10]:
            self._newest.pop(instrument, None)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an order was placed, as far as can be told."""

    trigger: Trigger
    tick: TickRef | None = None

    @property
    def message(self) -> TickRef | None:
        """The tick, where it is a message that the venue sent unasked: such a one can be told as a span."""
        return None if self.trigger is Trigger.POLL else self.tick


_TRIGGERS: Final = {
    TickKind.MARKET: Trigger.TICK,
    TickKind.ORDER: Trigger.ORDER_EVENT,
    TickKind.POLL: Trigger.POLL,
}


def cause_of(
    current: TickRef | None, newest: TickRef | None, now_ns: int, settings: TradingSettings
) -> Cause:
    """The cause of an order placed now.

    `current` is the tick at hand; `newest` the last one of the order's instrument at the same client, which
    counts only where the context lost its own (`gather`, executors, `wait_for` before Python 3.12).
    """
    if current is not None and _age_s(current, now_ns) <= settings.max_tick_age_s:
        return Cause(_TRIGGERS[current.kind], current)
    if newest is not None and _age_s(newest, now_ns) <= settings.inferred_window_s:
        return Cause(Trigger.INFERRED, newest)
    return Cause(Trigger.MANUAL)


def _age_s(tick: TickRef, now_ns: int) -> float:
    return (now_ns - tick.received_ns) / 1e9
