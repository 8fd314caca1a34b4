"""What the program does when its memory runs short: calls that are made at each crossing of a limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from opentelemetry._logs import SeverityNumber

from tickspan.memory.telling import event
from tickspan.recording import Guard
from tickspan.semconv import memory as names

__all__ = ["SoftLimit", "on_pressure"]

_WELL_BELOW: Final = 0.9
"""Of the limit: below it, a next crossing is told."""
_MIB: Final = 1 << 20

Relief = Callable[[], object]
_calls: Final[dict[Relief, Guard]] = {}


def on_pressure(call: Relief) -> Callable[[], None]:
    """Make a call when the process crosses `memory.soft_limit_bytes`, once each time; returns what stops it.

    It is made in a thread of ours, so it should take no longer than a millisecond: an event that is set, a
    cache that is told to shrink. What it raises is counted, and told once.
    """
    name = str(getattr(call, "__qualname__", type(call).__qualname__))
    _calls[call] = Guard("pressure call", name)

    def stop() -> None:
        _calls.pop(call, None)

    return stop


class SoftLimit:
    """One limit of resident memory."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._is_beyond = False

    def __repr__(self) -> str:
        return f"<SoftLimit {self._limit_bytes / _MIB:.0f} MiB, {'beyond' if self._is_beyond else 'kept'}>"

    def look(self, resident_bytes: int) -> None:
        """Tell of a crossing, and make the calls."""
        if resident_bytes < self._limit_bytes * _WELL_BELOW:
            self._is_beyond = False
        if self._is_beyond or resident_bytes <= self._limit_bytes:
            return
        self._is_beyond = True
        event(
            names.EVENT_MEMORY_SOFT_LIMIT,
            f"The process has {resident_bytes / _MIB:.0f} MiB, more than {self._limit_bytes / _MIB:.0f} MiB",
            {names.MEMORY_USED: resident_bytes, names.MEMORY_ALLOWED: self._limit_bytes},
            severity=SeverityNumber.WARN,
        )
        for call, guard in tuple(_calls.items()):
            guard.user(call, default=None)
