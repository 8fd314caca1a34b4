"""Traces of a time: a line and a dot each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan_desk.store.reading import TraceEntry, TraceFilter, Window
from tickspan_desk.views.text import shown

__all__ = ["DOTS_MAX", "ROWS", "Mark", "TraceDot", "TraceLine", "TracesView", "traces_view"]

ROWS: Final = (100, 1000, 10_000)
"""Lines that a page may have."""
DOTS_MAX: Final = 1000

_NS: Final = 10**9
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One trace; `others` are its services but the first."""

    trace_id: str
    name: str
    service: str
    others: tuple[str, ...]
    start_ns: int
    duration_ns: int
    share: float
    """Of the longest duration shown, from 0 to 1."""
    spans: int
    errors: int


@dataclass(frozen=True, slots=True)
class TraceDot:
    """Its place: start and duration, the duration on a logarithmic scale, both from 0 to 100."""

    trace_id: str
    name: str
    duration_ns: int
    x: float
    y: float
    is_wrong: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """A time, or a duration, on an axis."""

    at: float
    ns: int


@dataclass(frozen=True, slots=True)
class TracesView:
    """The page of traces.

    Attributes:
        has_filter: whether anything but the time narrows what is shown.
        before_ns: older ones are asked for with this; 0 when there are none.
        dots_left_out: lines without a dot.
    """

    lines: tuple[TraceLine, ...]
    services: tuple[str, ...]
    has_filter: bool
    since_ns: int
    until_ns: int
    rows: int
    before_ns: int
    errors: int
    dots: tuple[TraceDot, ...]
    dots_left_out: int
    times: tuple[Mark, ...]
    durations: tuple[Mark, ...]


def traces_view(
    entries: Sequence[TraceEntry], wanted: TraceFilter, window: Window, services: Sequence[str], limit: int
) -> TracesView:
    """`entries` are newest first, one more than `limit` when there are older ones."""
    kept = entries[:limit]
    longest = max((_duration(entry) for entry in kept), default=0) or 1
    scale = _Scale.of(kept, window)
    return TracesView(
        lines=tuple(_line(entry, longest) for entry in kept),
        services=tuple(map(shown, services[:500])),
        has_filter=wanted != TraceFilter(),
        since_ns=window.since_ns,
        until_ns=window.until_ns,
        rows=limit,
        before_ns=kept[-1].start_ns if len(entries) > limit else 0,
        errors=sum(entry.errors > 0 for entry in kept),
        dots=tuple(scale.dot(entry) for entry in kept[:DOTS_MAX]),
        dots_left_out=max(len(kept) - DOTS_MAX, 0),
        times=tuple(scale.times()),
        durations=tuple(scale.durations()),
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """From when to when, and from which power of ten of nanoseconds to which."""

    since_ns: int
    until_ns: int
    low: int
    high: int

    @staticmethod
    def of(entries: Sequence[TraceEntry], window: Window) -> _Scale:
        """The window, or the part of it in which there is anything when that is less than half of it."""
        drawn = entries[:DOTS_MAX]
        durations = [max(_duration(entry), 1) for entry in drawn]
        low = math.floor(math.log10(min(durations, default=1_000_000)))
        high = max(math.ceil(math.log10(max(durations, default=10_000_000))), low + 1)
        first = min((entry.start_ns for entry in drawn), default=window.since_ns)
        last = max((entry.start_ns for entry in drawn), default=window.until_ns)
        if drawn and (last - first) * 2 < window.until_ns - window.since_ns:
            rim = max((last - first) // 50, _NS // 10)
            return _Scale(first - rim, last + rim, low, high)
        return _Scale(window.since_ns, max(window.until_ns, window.since_ns + 1), low, high)

    def dot(self, entry: TraceEntry) -> TraceDot:
        """Its place."""
        duration = max(_duration(entry), 1)
        x = (entry.start_ns - self.since_ns) / (self.until_ns - self.since_ns) * 100
        y = (math.log10(duration) - self.low) / (self.high - self.low) * 100
        return TraceDot(
            entry.trace_id,
            shown(entry.name, 80),
            _duration(entry),
            round(min(max(x, 0.0), 100.0), 2),
            round(min(max(y, 0.0), 100.0), 2),
            entry.errors > 0,
        )

    def times(self) -> Iterator[Mark]:
        """Round times, at most eight."""
        length = self.until_ns - self.since_ns
        step = next((s for s in _STEPS_S if s * _NS * 8 >= length), length // _NS // 8 + 1) * _NS
        for at_ns in range(-(-self.since_ns // step) * step, self.until_ns, step):
            yield Mark(round((at_ns - self.since_ns) / length * 100, 2), at_ns)

    def durations(self) -> Iterator[Mark]:
        """Powers of ten, at most five."""
        step = (self.high - self.low) // 5 + 1
        for power in range(self.low, self.high + 1, step):
            yield Mark(round((power - self.low) / (self.high - self.low) * 100, 2), 10**power)


def _line(entry: TraceEntry, longest: int) -> TraceLine:
    return TraceLine(
        trace_id=entry.trace_id,
        name=shown(entry.name),
        service=shown(entry.service),
        others=tuple(shown(name) for name in entry.services if name != entry.service)[:20],
        start_ns=entry.start_ns,
        duration_ns=_duration(entry),
        share=round(_duration(entry) / longest, 4),
        spans=entry.spans,
        errors=entry.errors,
    )


def _duration(entry: TraceEntry) -> int:
    return max(entry.end_ns - entry.start_ns, 0)
