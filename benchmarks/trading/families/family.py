"""What a schedule needs to know of a client library, and how to wait until its venue has said everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tickspan.semconv import trading as names
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

Play = Callable[[VenueSimulator, Capture, int], None]
"""Trades at a venue by the lots of a seed, and returns when nothing more comes."""

FAULTS: Final[Mapping[Fault, float]] = {
    Fault.DUPLICATE_EVENT: 0.2,
    Fault.REORDER: 0.2,
    Fault.LATE_FILL: 0.2,
    Fault.FILL_BEFORE_ACK: 0.15,
    Fault.ACCEPT_THEN_504: 0.1,
    Fault.ACCEPT_THEN_RESET: 0.05,
    Fault.REJECT: 0.1,
    Fault.RATE_LIMIT_429: 0.02,
}
"""Chances, per order, per report of a fill or per request."""
KNOBS: Final[Mapping[str, Any]] = {"partials": (0.3, 0.3, 0.4), "late_fill_s": 0.02, "tick_interval_s": 0.02}
_QUIET_S: Final = 0.3
_PATIENCE_S: Final = 8.0
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Family:
    """A client library, or one way to use it."""

    dialect: str
    instrumentor: str
    """`module:Class`."""
    play: Play
    knobs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of the venue, beside `KNOBS`."""
    without: frozenset[Fault] = frozenset()
    """Faults that do not strike, since no program could know of what they take away."""
    more: Mapping[Fault, float] = field(default_factory=dict[Fault, float])
    """Faults beside `FAULTS`."""
    adds_up: bool = False
    """Of an order that takes another's place, the protocol tells what both have filled."""
    execution_number: Callable[[str], str] = str
    """From the library's name of an execution to the venue's number."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of the instrumentor, beside those of all."""

    @property
    def rates(self) -> dict[Fault, float]:
        """The chances of all faults."""
        return {fault: rate for fault, rate in {**FAULTS, **self.more}.items() if fault not in self.without}


def settle(venue: VenueSimulator, told: Capture, number: Callable[[str], str] = str) -> None:
    """Wait until every execution of the venue is told and nothing more comes, or for eight seconds."""
    deadline, quiet_since, seen = time.monotonic() + _PATIENCE_S, time.monotonic(), -1
    while time.monotonic() - quiet_since < _QUIET_S and time.monotonic() < deadline:
        spans = told.sink.telemetry().spans
        executions = {
            number(str(span.attributes[names.EXECUTION_ID]))
            for span in spans
            if names.EXECUTION_ID in span.attributes
        }
        is_missing = {str(fill.execution_id) for fill in venue.executions} - executions
        if is_missing or len(spans) != seen:
            quiet_since, seen = time.monotonic(), len(spans)
        time.sleep(_LOOK_S)


async def settled(venue: VenueSimulator, told: Capture, number: Callable[[str], str] = str) -> None:
    """The same beside a running loop."""
    await asyncio.to_thread(settle, venue, told, number)
