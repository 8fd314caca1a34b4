"""Critical sections: a short time without garbage collection, which ends by itself when it gets too long."""

from __future__ import annotations

import contextvars
import gc
import math
import time
from collections.abc import Callable
from typing import Final, Self

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context

from tickspan.memory.telling import event
from tickspan.processors.memory.blocks import span_of
from tickspan.recording import AttributeValue, Guard
from tickspan.recording.sections import Sections, sections
from tickspan.recording.ticker import Ticker, ticker
from tickspan.recording.usage import UsageReader
from tickspan.semconv import memory as names

__all__ = ["Overseer", "critical", "overseer"]

MAX_S: Final = 0.05
MAX_GROWTH_BYTES: Final = 64 << 20
MAX_OBJECTS: Final = 5_000_000
"""Containers that may be born in a section."""
_LOOK_S: Final = 0.05
"""Time between two looks at a section that may last longer."""
_NS_PER_S: Final = 1e9


class Overseer:
    """Ends sections that last too long or during which the process grows too much. Called by the ticker.

    Args:
        open_sections: those of the process.
        clock: the ticker.
        resident: bytes that the process has, or None.
        clock_ns: that of `open_sections`.
    """

    def __init__(
        self,
        open_sections: Callable[[], Sections] = sections,
        clock: Callable[[], Ticker] = ticker,
        resident: Callable[[], int | None] | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._sections = open_sections
        self._clock = clock
        self._resident = resident or _Resident()
        self._clock_ns = clock_ns
        self._guard = Guard("memory", "critical sections")
        self._is_armed = False
        self._era = 0
        self._max_s = math.inf
        self._max_growth_bytes = 0
        self._first_bytes: int | None = None
        self._context: contextvars.Context | None = None

    def __repr__(self) -> str:
        return f"<Overseer {'armed' if self._is_armed else 'at rest'}, {self._sections()!r}>"

    def opened(self, era: int, max_s: float, max_growth_bytes: int) -> None:
        """A section has been opened. The least bounds of all that overlap hold."""
        if era != self._era:
            self._era = era
            self._max_s, self._max_growth_bytes = max_s, max_growth_bytes
            self._first_bytes = None
            self._context = contextvars.copy_context()
        else:
            self._max_s = min(self._max_s, max_s)
            self._max_growth_bytes = min(self._max_growth_bytes, max_growth_bytes)
        if not self._is_armed:
            self._is_armed = True
            self._guard.own(self._arm, min(self._max_s, _LOOK_S), default=None)

    def closed(self) -> None:
        """The last one was closed: what it held of its caller is let go."""
        self._context = None

    def look(self) -> None:
        """For the ticker: end what has come to a bound, and look again while one is open."""
        self._is_armed = False
        open_sections = self._sections()
        era = open_sections.era
        if not open_sections.depth or era != self._era:
            return
        age_s = (self._clock_ns() - open_sections.opened_ns) / _NS_PER_S
        reason = self._reason(age_s)
        if reason is None:
            self._is_armed = True
            self._arm(max(0.001, min(self._max_s - age_s, _LOOK_S)))
            return
        context = self._context
        if open_sections.abort(era):
            self._context = None
            self._tell(reason, age_s, context)

    def _arm(self, seconds: float) -> None:
        self._clock().once(seconds, self.look)

    def _reason(self, age_s: float) -> str | None:
        if age_s >= self._max_s:
            return "time"
        if gc.get_count()[0] >= MAX_OBJECTS:
            return "objects"
        now_bytes = self._resident()
        if self._first_bytes is None:
            self._first_bytes = now_bytes
        elif now_bytes is not None and now_bytes - self._first_bytes >= self._max_growth_bytes:
            return "growth"
        return None

    def _tell(self, reason: str, age_s: float, context: contextvars.Context | None) -> None:
        attributes: dict[str, AttributeValue] = {
            names.GC_SECTION_REASON: reason,
            names.GC_SECTION_DURATION: age_s,
        }
        found = None if context is None else span_of(context)
        within = None
        if found is not None:
            within = trace.set_span_in_context(trace.NonRecordingSpan(found.context), Context())
        event(
            names.EVENT_GC_SECTION_ABORTED,
            f"A critical section was ended after {age_s * 1e3:.0f} ms: too much {reason}; collection is on",
            attributes,
            severity=SeverityNumber.WARN,
            context=within,
        )


class _Resident:
    def __init__(self) -> None:
        self._reader = UsageReader()

    def __call__(self) -> int | None:
        usage = self._reader.read()
        return None if usage is None else usage.resident


_made: Final[list[Overseer]] = []


def overseer() -> Overseer:
    """The one of this process."""
    if not _made:
        _made.append(Overseer())
    return _made[0]


class critical:  # noqa: N801 - used as a function: `with critical():`
    """A time without garbage collection, in which nothing of ours samples.

    It nests, and overlaps with those of other threads: the last to close lets the collector be as it was. The
    ticker ends one that lasts longer than `max_s`, or during which the process grows by `max_growth_bytes` or
    five million containers; what it protects runs on. About a microsecond each.

    Raises:
        ValueError: a bound is not above 0.
    """

    __slots__ = ("_era", "_max_growth_bytes", "_max_s")

    def __init__(self, max_s: float = MAX_S, max_growth_bytes: int = MAX_GROWTH_BYTES) -> None:
        if not 0 < max_s < math.inf:
            raise ValueError(f"max_s: expected seconds above 0, got {max_s!r}")
        if max_growth_bytes <= 0:
            raise ValueError(f"max_growth_bytes: expected bytes above 0, got {max_growth_bytes!r}")
        self._max_s = max_s
        self._max_growth_bytes = max_growth_bytes
        self._era = 0

    def __enter__(self) -> Self:
        self._era = sections().enter()
        overseer().opened(self._era, self._max_s, self._max_growth_bytes)
        return self

    def __exit__(self, *_: object) -> None:
        if sections().leave(self._era) and not sections().depth:
            overseer().closed()
