"""What held a span up: pauses of the garbage collector and blocks of its event loop, on every span they met.

Local root spans tell as well by how much the process grew meanwhile, as far as one look a second can know. A
span that nothing held up costs a few comparisons of numbers. Loops are watched from the first span on that
starts in them. Times of spans are those of the wall, times of pauses those of a monotonic clock: they are
brought together when a span ends, so that a clock that is set meanwhile puts no old pause on a new span.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from tickspan.processors.memory.stacks import culprit
from tickspan.providers.tracer import TracerProvider
from tickspan.recording import Guard
from tickspan.recording.gc_pauses import PAUSES, GcPauses
from tickspan.recording.loops import LOOPS, Loops
from tickspan.recording.marks import SpanMarks
from tickspan.recording.usage import LOOKS, MOVED_BYTES, Looks
from tickspan.semconv import memory as names

__all__ = ["SpanMemory", "watch_spans"]

_NS_PER_S: Final = 1e9
_TOLD_FROM_NS: Final = 1_000_000
"""Shorter pauses of a span together are not told."""


class SpanMemory:
    """See the module. Its methods are called by recorders, in the thread of the span."""

    def __init__(
        self,
        pauses: GcPauses = PAUSES,
        loops: Loops | None = LOOPS,
        looks: Looks = LOOKS,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Begin; without `loops` only pauses are told."""
        self._pauses = pauses
        self._loops = loops
        self._looks = looks
        self._clock_ns = clock_ns
        self._wall_ns = wall_ns
        self._guard = Guard("processor", "memory of spans")
        self.marks = SpanMarks(self.starts, self.tell, asyncio._get_running_loop)  # noqa: SLF001 - see below
        pauses.marks = looks.marks = self.marks
        if loops is not None:
            loops.use_marks(self.marks)

    def __repr__(self) -> str:
        return f"<SpanMemory {self._pauses!r}, {self._loops!r}>"

    def started(self, span: Any, _context: object = None) -> None:
        """A span has started: where a recorder does not compare the marks itself."""
        marks = self.marks
        marks.open_spans += 1
        if marks.held_ns > span.start_time:
            self.starts(span)
            return
        loop = asyncio._get_running_loop()  # noqa: SLF001 - public, but for its name: None instead of an error
        if loop is not None and (id(loop) != marks.loop_id or marks.late_ns < span.start_time):
            self.starts(span)

    def ending(self, span: Any) -> None:
        """A span ends, and can still be changed: where a recorder does not compare the marks itself."""
        marks = self.marks
        if marks.open_spans > 0:
            marks.open_spans -= 1
        if marks.held_ns > span.start_time or marks.late_ns < span.end_time:
            self.tell(span)

    def starts(self, span: Any) -> None:
        """A span starts: in a loop that is new, rests, was stopped meanwhile, or is late; or in a pause."""
        if self._pauses.goes_on:
            self._guard.own(self._pauses.observe, default=None)
        self._guard.own(self._meet, span.start_time, default=None)

    def tell(self, span: Any) -> None:
        """Put on a span that ends what may have held it up."""
        if self._pauses.goes_on or self._pauses.last_stop_ns > span.start_time:
            self._guard.own(self._tell_pauses, span, default=None)
        if self._looks.last_move_ns > span.start_time:
            self._guard.own(self._tell_growth, span, default=None)
        loop = asyncio._get_running_loop()  # noqa: SLF001 - see above
        if loop is not None and self._loops is not None:
            self._guard.own(self._tell_blocks, span, loop, self._loops, default=None)

    def _meet(self, start_ns: int) -> None:
        loop = asyncio._get_running_loop()  # noqa: SLF001 - see above
        if loop is None:
            return
        if self._loops is None:
            self.marks.loop_id = id(loop)
            return
        watch = self._loops.meet(loop)
        if watch is not None:
            if watch.late_at_ns < start_ns or watch.late_at_ns == sys.maxsize:
                watch.resume()
            watch.wake()

    def _tell_pauses(self, span: Any) -> None:
        self._pauses.observe()
        count, pause_ns = self._pauses.within(*self._times(span))
        if pause_ns >= _TOLD_FROM_NS:
            span.set_attributes({names.GC_PAUSE: pause_ns / _NS_PER_S, names.GC_PAUSE_COUNT: count})

    def _tell_growth(self, span: Any) -> None:
        parent = span.parent
        if parent is not None and not parent.is_remote:
            return
        moved_bytes = self._looks.moved_since(span.start_time)
        if moved_bytes is not None and abs(moved_bytes) >= MOVED_BYTES:
            span.set_attributes({names.MEMORY_GROWTH: moved_bytes})

    def _tell_blocks(self, span: Any, loop: asyncio.AbstractEventLoop, loops: Loops) -> None:
        watch = loops.meet(loop)
        if watch is None or (watch.last_stop_ns <= span.start_time and watch.late_at_ns >= span.end_time):
            return
        overlap = watch.overlap(*self._times(span))
        if overlap is None:
            return
        told: dict[str, Any] = {names.EVENTLOOP_SPAN_DELAY: overlap.delay_ns / _NS_PER_S}
        by = culprit(overlap.places)
        if by is not None:
            told[names.EVENTLOOP_BLOCKED_BY] = by
        span.set_attributes(told)

    def _times(self, span: Any) -> tuple[int, int]:
        """Start and end by the clock of pauses."""
        apart_ns = self._wall_ns() - self._clock_ns()
        return span.start_time - apart_ns, span.end_time - apart_ns


def _nobody() -> None:
    """No loop is known."""


def watch_spans(
    tracers: object, pauses: GcPauses = PAUSES, loops: Loops | None = LOOPS
) -> Callable[[], None]:
    """Tell from now on, on each recorded span, what held it up; returns what stops that.

    Nothing happens with a provider of others.
    """
    if not isinstance(tracers, TracerProvider):
        return _nobody
    spans = SpanMemory(pauses, loops)
    pauses.start()
    unwatch = (
        tracers.mark_spans(spans.marks)
        if tracers.has_sink
        else tracers.watch_spans(spans.started, spans.ending)
    )

    def stop() -> None:
        unwatch()
        pauses.stop()

    return stop
