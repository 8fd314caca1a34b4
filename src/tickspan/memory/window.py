"""A detailed look: a time in which each allocation is noted with where it was made.

It costs: with one frame a program that allocates much runs eight to ten times as long. So it ends by itself,
is told at both ends, and is declined in a critical section and while somebody else traces.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, Final, NamedTuple, Self

from opentelemetry import trace

from tickspan.analysis.profiles import Profile
from tickspan.memory.heap import Allocated, heap_profile
from tickspan.memory.heap_tracing import BACKENDS, DeclinedError, Seen, Tracing, tracing
from tickspan.memory.telling import event
from tickspan.recording import AttributeValue, Guard
from tickspan.recording.sections import depth
from tickspan.recording.ticker import Ticker, ticker
from tickspan.semconv import memory as names

__all__ = ["AllocatedAt", "DeclinedError", "Detail", "SpanGrowth", "Window", "detailed"]

_MAX_FRAMES: Final = 25
_SHOWN: Final = 30
_TOLD: Final = 10
_LONGEST_S: Final = 3_600.0
_MOST_OPEN: Final = 10_000
_MOST_NAMES: Final = 1_000
_OTHERS: Final = "others"


class AllocatedAt(NamedTuple):
    """What one line has allocated in a window, and is still there.

    Attributes:
        place: `file:line`, innermost first, as many as frames were asked for.
        size_bytes: of all.
        number: of blocks.
    """

    place: str
    size_bytes: int
    number: int


class SpanGrowth(NamedTuple):
    """By how much what is allocated has grown while spans of one name ran, whoever allocated it.

    Attributes:
        name: of the spans.
        spans: that ended in the window.
        grown_bytes: in all.
    """

    name: str
    spans: int
    grown_bytes: int


@dataclass(frozen=True, slots=True)
class Detail:
    """What a window has seen."""

    traced_bytes: int
    """That were allocated in it and are still there."""
    peak_bytes: int
    lines: tuple[AllocatedAt, ...]
    """The largest first."""
    spans: tuple[SpanGrowth, ...] = ()
    """By name, the largest first; with `tracemalloc` only."""
    profile: Profile | None = None
    """All stacks; `tickspan profile record --heap` writes one as pprof or as a flame graph."""

    def __str__(self) -> str:
        head = f"{self.traced_bytes:,} bytes, {self.peak_bytes:,} at the peak"
        return "\n".join([head, *(f"{one.place}: {one.size_bytes:,} bytes" for one in self.lines)])


class Window:
    """A detailed look that goes on until its time is over, or `stop`."""

    def __init__(
        self,
        seconds: float,
        frames: int,
        clock: Callable[[], Ticker] = ticker,
        backend: str = BACKENDS[0],
        provider: Any = None,
    ) -> None:
        """Begin. Spans of `provider`, or of the process's, are told by how much memory grew meanwhile."""
        self.detail: Detail | None = None
        """Once it is over."""
        self._frames = frames
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._tracing = tracing(backend, frames)
        self._tracing.start()
        self._started_unix_ns, self._started_ns = time.time_ns(), time.perf_counter_ns()
        self._spans = _Spans(self._tracing)
        self._unwatch = self._spans.watch(provider or trace.get_tracer_provider())
        self._cancel = clock().once(seconds, self._run_out)
        self._tell("begin", f"Allocations are traced for {seconds:g} s", {names.MEMORY_FRAMES: frames})

    def __repr__(self) -> str:
        return f"<Window {'over' if self.detail else 'open'}, {self._frames} frames>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Detail:
        """End it, if it is not over; what it has seen."""
        with self._lock:
            if self.detail is None:
                self._cancel()
                self._unwatch()
                duration_ns = time.perf_counter_ns() - self._started_ns
                seen = self._tracing.stop()
                profile = heap_profile(seen.allocated, self._started_unix_ns, duration_ns)
                self.detail = _detail(seen, self._spans.growths(), profile)
                self._over.set()
                self._tell("end", str(self.detail).partition("\n")[0], _attributes(self.detail))
            return self.detail

    def wait(self, timeout_s: float | None = None) -> Detail | None:
        """Wait until it is over; None when time ran out."""
        self._over.wait(timeout_s)
        return self.detail

    def _run_out(self) -> None:
        """In a thread of its own: much may have been seen, and the ticker's other calls would wait."""
        guard = Guard("thread", "detailed look")
        threading.Thread(
            target=guard.closing,
            args=(self.stop,),
            kwargs={"default": None},
            name="tickspan-window",
            daemon=True,
        ).start()

    @staticmethod
    def _tell(phase: str, body: str, attributes: dict[str, AttributeValue]) -> None:
        event(names.EVENT_MEMORY_WINDOW, body, {names.MEMORY_PHASE: phase, **attributes})


class _Spans:
    """How much is allocated when spans start and end."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._guard = Guard("processor", "growth in a detailed look")
        self._open: dict[int, int] = {}
        self._grown: dict[str, tuple[int, int]] = {}

    def watch(self, provider: Any) -> Callable[[], None]:
        """Begin, if anybody can tell; returns what ends it."""
        if self._tracing.current() is None or not hasattr(provider, "watch_spans"):
            return _nothing
        return provider.watch_spans(self._started, self._ending)

    def growths(self) -> tuple[SpanGrowth, ...]:
        """So far, the largest first."""
        found = [SpanGrowth(name, spans, grown) for name, (spans, grown) in dict(self._grown).items()]
        return tuple(sorted(found, key=lambda one: (-one.grown_bytes, one.name)))

    def _started(self, span: Any, _context: object) -> None:
        current = self._tracing.current()
        if current is not None and len(self._open) < _MOST_OPEN:
            self._open[span.get_span_context().span_id] = current

    def _ending(self, span: Any) -> None:
        self._guard.own(self._note, span, default=None)

    def _note(self, span: Any) -> None:
        before, current = self._open.pop(span.get_span_context().span_id, None), self._tracing.current()
        if before is None or current is None:
            return
        span.set_attribute(names.MEMORY_GROWTH_TRACED, current - before)
        name = span.name if span.name in self._grown or len(self._grown) < _MOST_NAMES else _OTHERS
        spans, grown = self._grown.get(name, (0, 0))
        self._grown[name] = (spans + 1, grown + current - before)


def _nothing() -> None:
    """Ends nothing."""


def detailed(seconds: float = 60.0, frames: int = 1, backend: str = "tracemalloc") -> Window:
    """Trace allocations for some time, with the innermost `frames` of each.

    Args:
        seconds: until it ends by itself, an hour at most.
        frames: of each stack. `tracemalloc` takes about six times as long with 25 as with one.
        backend: `tracemalloc`, of what the interpreter allocates; or `memray`, of C libraries too.

    Raises:
        ValueError: `seconds`, `frames` or `backend` is out of bounds.
        DeclinedError: a critical section is open, or allocations are traced already.
        ModuleNotFoundError: memray is asked for and not installed.
    """
    if not 0 < seconds <= _LONGEST_S:
        raise ValueError(f"seconds: expected a number above 0, {_LONGEST_S:g} at most, got {seconds!r}")
    if not 1 <= frames <= _MAX_FRAMES:
        raise ValueError(f"frames: expected 1 to {_MAX_FRAMES}, got {frames!r}")
    if backend not in BACKENDS:
        raise ValueError(f"backend: expected 'tracemalloc' or 'memray', got {backend!r}")
    if depth():
        raise DeclinedError("a critical section is open: tracing would make it last ten times as long")
    return Window(seconds, math.floor(frames), backend=backend)


def _detail(seen: Seen, spans: tuple[SpanGrowth, ...], profile: Profile) -> Detail:
    lines = tuple(AllocatedAt(_place(one), one.size_bytes, one.number) for one in seen.allocated[:_SHOWN])
    return Detail(seen.traced_bytes, seen.peak_bytes, lines, spans, profile)


def _place(one: Allocated) -> str:
    return " < ".join(f"{'/'.join(PurePath(frame.file).parts[-2:])}:{frame.line}" for frame in one.frames)


def _attributes(detail: Detail) -> dict[str, AttributeValue]:
    return {
        names.MEMORY_TRACED: detail.traced_bytes,
        names.MEMORY_TRACED_GROWTH: tuple(f"{one.place} {one.size_bytes}" for one in detail.lines[:_TOLD]),
        names.MEMORY_TRACED_SPANS: tuple(f"{one.name} {one.grown_bytes}" for one in detail.spans[:_TOLD]),
    }


def taken(seconds: float, frames: int, backend: str) -> Callable[[str, str], Profile]:
    """For who asks a running process: begin a detailed look; what is returned ends it, and gives its profile.

    Raises:
        ValueError: a bound is not kept.
        DeclinedError: as `detailed`.
        ModuleNotFoundError: as `detailed`.
    """
    window = detailed(seconds, frames, backend)

    def end(service: str, version: str) -> Profile:
        profile = window.stop().profile
        assert profile is not None
        return replace(profile, service=service, version=version)

    return end
