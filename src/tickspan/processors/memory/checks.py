"""Memory checks at the end of spans: during which of them the process grew, and whether it is beyond a limit.

The kernel is asked at most every `interval_s`, about 15 microseconds each; a span that ends in between costs
a look at the clock. So growth is a sample: it is told of spans that began after one look and end at another,
and it is the whole process's, whoever took the memory meanwhile.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from opentelemetry._logs import LoggerProvider, SeverityNumber
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import set_span_in_context

from tickspan.config import MemorySettings
from tickspan.providers.process import ProcessReader, process_reader
from tickspan.providers.tracer import TracerProvider
from tickspan.recording import Guard
from tickspan.recording.cgroups import Cgroup
from tickspan.semconv import memory as names
from tickspan.version import __version__

__all__ = ["MemoryChecks", "Sighting", "install"]

_SCOPE: Final = "tickspan.memory"
_LOOKS_KEPT: Final = 600
_TOLD_AGAIN_S: Final = 60.0
_MAX_NAMES: Final = 1_000
_SHARE: Final = 0.8
_WELL_BELOW: Final = 0.9
"""Of the limit: below it, a next crossing is told at once."""
_MIB: Final = 1 << 20


class Sighting(NamedTuple):
    """What a check has found.

    Attributes:
        reason: `growth` or `limit`.
        used_bytes: resident memory.
        grown_bytes: during the span; 0 where that is not known.
        allowed_bytes: that was crossed.
    """

    reason: str
    used_bytes: int
    grown_bytes: int
    allowed_bytes: int


class MemoryChecks:
    """Looks at the memory of this process. Safe from any thread: two at once do not both look."""

    def __init__(
        self,
        settings: MemorySettings,
        meters: MeterProvider,
        loggers: LoggerProvider,
        reader: ProcessReader,
        limit_bytes: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Begin. `limit_bytes` counts where settings have none; 0 is no limit."""
        self._reader = reader
        self._interval_s = settings.interval_s
        self._growth_bytes = settings.growth_bytes
        self._limit_bytes = settings.limit_bytes or limit_bytes
        self._monotonic = monotonic
        self._wall_ns = wall_ns
        self._guard = Guard("processor", "memory")
        self._logger = loggers.get_logger(_SCOPE, __version__)
        self._growth = meters.get_meter(_SCOPE, __version__).create_histogram(
            names.MEMORY_SPAN_GROWTH,
            "By",
            "How much the process grew while a span ran.",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )
        self._begin()

    def __repr__(self) -> str:
        used = self._used[-1] if self._used else 0
        return f"<MemoryChecks {used / _MIB:.0f} MiB at the last of {len(self._used)} looks>"

    def ended(self, span: Any) -> None:
        """A span has ended: for `TracerProvider.notice_endings`."""
        now_s = self._monotonic()
        if now_s >= self._next_s:
            self._guard.own(self._check, span, now_s, default=None)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._looking = threading.Lock()
        self._next_s = 0.0
        self._at_ns: list[int] = []
        self._used: list[int] = []
        self._told_s: dict[str, float] = {}
        self._is_beyond = False

    def _check(self, span: Any, now_s: float) -> None:
        if self._pid != os.getpid():  # a forked child has its own memory, and maybe a lock that nobody holds
            self._begin()
        if not self._looking.acquire(blocking=False):
            return
        try:
            if now_s < self._next_s:
                return
            self._next_s = now_s + self._interval_s
            stat = self._reader.stat()
            if stat is not None:
                self._judge(span, stat.resident_bytes, now_s)
        finally:
            self._looking.release()

    def _judge(self, span: Any, used_bytes: int, now_s: float) -> None:
        before = self._used_at(span.start_time)
        self._keep(used_bytes)
        if before is not None:
            grown = used_bytes - before
            self._growth.record(max(0, grown), {names.MEMORY_SPAN_NAME: span.name})
            if 0 < self._growth_bytes < grown and self._is_news(span.name, now_s):
                self._tell(span, Sighting("growth", used_bytes, grown, self._growth_bytes))
        if not self._limit_bytes:
            return
        is_beyond = used_bytes > self._limit_bytes
        if is_beyond and (not self._is_beyond or self._is_news("", now_s)):
            self._told_s[""] = now_s
            self._is_beyond = True
            grown = 0 if before is None else used_bytes - before
            self._tell(span, Sighting("limit", used_bytes, grown, self._limit_bytes))
        elif used_bytes < self._limit_bytes * _WELL_BELOW:
            self._is_beyond = False

    def _used_at(self, start_ns: int | None) -> int | None:
        """At the last look before a span began; None when there was none."""
        place = bisect_right(self._at_ns, start_ns) if start_ns is not None else 0
        return self._used[place - 1] if place else None

    def _keep(self, used_bytes: int) -> None:
        at_ns = self._wall_ns()
        if self._at_ns and at_ns < self._at_ns[-1]:  # the clock was set back
            self._at_ns, self._used = [], []
        self._at_ns.append(at_ns)
        self._used.append(used_bytes)
        if len(self._used) > 2 * _LOOKS_KEPT:
            del self._at_ns[:_LOOKS_KEPT], self._used[:_LOOKS_KEPT]

    def _is_news(self, name: str, now_s: float) -> bool:
        """Whether nothing was told under this name lately."""
        if now_s - self._told_s.get(name, -_TOLD_AGAIN_S) < _TOLD_AGAIN_S:
            return False
        if len(self._told_s) >= _MAX_NAMES:
            self._told_s.clear()
        self._told_s[name] = now_s
        return True

    def _tell(self, span: Any, sighting: Sighting) -> None:
        is_limit = sighting.reason == "limit"
        self._logger.emit(
            timestamp=self._wall_ns(),
            context=set_span_in_context(span),
            severity_number=SeverityNumber.ERROR if is_limit else SeverityNumber.WARN,
            severity_text="ERROR" if is_limit else "WARN",
            body=_sentence(sighting),
            attributes={
                names.MEMORY_REASON: sighting.reason,
                names.MEMORY_SPAN_NAME: span.name,
                names.MEMORY_USED: sighting.used_bytes,
                names.MEMORY_GROWN: sighting.grown_bytes,
                names.MEMORY_ALLOWED: sighting.allowed_bytes,
            },
            event_name=names.EVENT_MEMORY,
        )


_BOUNDS: Final = tuple(float(1 << power) for power in range(16, 35, 2))
"""64 KiB to 16 GiB."""


def _sentence(sighting: Sighting) -> str:
    used, allowed = sighting.used_bytes / _MIB, sighting.allowed_bytes / _MIB
    if sighting.reason == "limit":
        return f"The process has {used:.0f} MiB, more than the limit of {allowed:.0f} MiB"
    return (
        f"The process grew by {sighting.grown_bytes / _MIB:.0f} MiB while the span ran; it has {used:.0f} MiB"
    )


def install(
    tracers: object, meters: MeterProvider, loggers: LoggerProvider, settings: MemorySettings
) -> Callable[[], None]:
    """Check at the end of every recorded span from now on; returns what stops that.

    Nothing happens with a provider of others, and where nobody tells how much memory the process has.
    """
    reader = process_reader()
    if reader is None or not isinstance(tracers, TracerProvider):
        return _nothing
    limit_bytes = int((Cgroup().memory_limit() or 0) * _SHARE)
    return tracers.notice_endings(MemoryChecks(settings, meters, loggers, reader, limit_bytes).ended)


def _nothing() -> None:
    """Stops nothing."""
