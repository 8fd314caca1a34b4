"""What is told of event loops besides spans: how late they are, their load, and an event for each block.

The collector's thread asks each second; nothing is recorded in a loop's own thread.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry._logs import LoggerProvider, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import SpanContext

from tickspan.processors.memory.stacks import culprit, stack_lines
from tickspan.providers.collector import COLLECTOR
from tickspan.recording import AttributeValue, Guard
from tickspan.recording.gc_pauses import PAUSES, GcPauses
from tickspan.recording.loops import LOOPS, Block, Load, Loops
from tickspan.semconv import memory as names
from tickspan.semconv.catalogue import METRICS
from tickspan.version import __version__

__all__ = ["BlockTeller", "BlockedSpan", "block_attributes", "span_of"]

_SCOPE: Final = "tickspan.memory"
_NS_PER_S: Final = 1e9
_MOST_EVENTS: Final = 10
"""A second."""
_BOUNDS_S: Final = tuple(step * 10.0**power for power in range(-4, 1) for step in (1, 2, 5))


class BlockedSpan(NamedTuple):
    """The span that was current in the callback that blocked: its identity only."""

    context: SpanContext


def span_of(context: Any) -> BlockedSpan | None:
    """Of another thread's context; None without a span."""
    current: Any = context_api._RUNTIME_CONTEXT  # noqa: SLF001 - the API reads the caller's context only
    variable = getattr(current, "_current_context", None)
    known: Any = None if variable is None else context.get(variable)
    if not known:
        return None
    identity = trace.get_current_span(known).get_span_context()
    return BlockedSpan(identity) if identity.is_valid else None


def block_attributes(name: str, block: Block, pauses: GcPauses) -> Mapping[str, AttributeValue]:
    """What an event tells of a block of the loop `name`."""
    told: dict[str, AttributeValue] = {
        names.EVENTLOOP_NAME: name,
        names.EVENTLOOP_SPAN_DELAY: (block.stop_ns - block.start_ns) / _NS_PER_S,
        names.EVENTLOOP_GC_PAUSE: pauses.within(block.start_ns, block.stop_ns)[1] / _NS_PER_S,
    }
    by = culprit(block.places)
    if by is not None:
        told[names.EVENTLOOP_BLOCKED_BY] = by
        told[names.EVENTLOOP_STACK] = stack_lines(block.places)
    return told


class BlockTeller:
    """See the module."""

    interval_s: float = 1.0

    def __init__(
        self,
        meters: MeterProvider,
        loggers: LoggerProvider,
        loops: Loops = LOOPS,
        pauses: GcPauses = PAUSES,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        metric = METRICS[names.EVENTLOOP_SPAN_DELAY]
        self._loops = loops
        self._pauses = pauses
        self._clock_ns = clock_ns
        self._wall_ns = wall_ns
        self._guard = Guard("exit", "event loops")
        self._logger = loggers.get_logger(_SCOPE, __version__)
        meter = meters.get_meter(_SCOPE, __version__)
        self._delays: Any = meter.create_histogram(
            metric.name, metric.unit, metric.brief, explicit_bucket_boundaries_advisory=_BOUNDS_S
        )
        self._loads: dict[str, Load] = {}
        self._shares: dict[str, float] = {}
        metric = METRICS[names.EVENTLOOP_UTILIZATION]
        meter.create_observable_gauge(
            metric.name, [self._observe], unit=metric.unit, description=metric.brief
        )

    def __repr__(self) -> str:
        return f"<BlockTeller {self._loops!r}>"

    def start(self) -> None:
        """Be asked each second."""
        self._loops.span_of = span_of
        _started.add(self)
        COLLECTOR.watch(self)
        atexit.register(self._tell_the_last)

    def stop(self) -> None:
        """Be asked no more."""
        COLLECTOR.leave(self)
        _started.discard(self)
        atexit.unregister(self._tell_the_last)
        self._loops.span_of = None

    def collect(self) -> bool:
        """Tell what happened since the last time."""
        news = self._loops.news
        while news.lates:
            name, late_s = news.lates.popleft()
            self._delays.record(late_s, {names.EVENTLOOP_NAME: name})
        for _ in range(min(_MOST_EVENTS, len(news.blocks))):
            self._event(*news.blocks.popleft())
        return True

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """The share of each loop since it was asked for last."""
        now: dict[str, Load] = {}
        for watch in self._loops.watches():
            load, known = watch.load_now(), now.get(watch.name, Load())
            now[watch.name] = Load(known.busy_ns + load.busy_ns, known.watched_ns + load.watched_ns)
        self._shares = {
            name: share
            for name, load in now.items()
            if (share := _share(load, self._loads.get(name, Load()), self._shares.get(name))) is not None
        }
        self._loads = now
        return [Observation(share, {names.EVENTLOOP_NAME: name}) for name, share in self._shares.items()]

    def _tell_the_last(self) -> None:
        """At exit, before the providers close: whoever was switched on later goes first."""
        self._guard.closing(self.collect, default=False)

    def _event(self, name: str, block: Block) -> None:
        attributes = block_attributes(name, block, self._pauses)
        apart_ns = self._wall_ns() - self._clock_ns()
        self._logger.emit(
            timestamp=block.stop_ns + apart_ns,
            context=_context(block.span),
            severity_number=SeverityNumber.WARN,
            severity_text="WARN",
            body=_sentence(name, attributes, is_over=block.is_over),
            attributes=attributes,
            event_name=names.EVENT_EVENTLOOP_BLOCKED,
        )


_started: Final[set[BlockTeller]] = set()
"""The collector's thread holds nobody."""


def _context(span: object) -> Context:
    if isinstance(span, BlockedSpan):
        return trace.set_span_in_context(trace.NonRecordingSpan(span.context), Context())
    return Context()


def _sentence(name: str, attributes: Mapping[str, Any], *, is_over: bool) -> str:
    delay_ms = attributes[names.EVENTLOOP_SPAN_DELAY] * 1e3
    by = attributes.get(names.EVENTLOOP_BLOCKED_BY, "code that nobody caught")
    still = "" if is_over else ", and still does not"
    return f"The event loop of {name} ran nothing else for {delay_ms:.0f} ms{still}: {by}"


def _share(now: Load, before: Load, known: float | None) -> float | None:
    """Of the time since; what is known while no beat has come; None while nothing is."""
    watched_ns, busy_ns = now.watched_ns - before.watched_ns, now.busy_ns - before.busy_ns
    if watched_ns < 0:  # a loop of that name has ended
        watched_ns, busy_ns = now.watched_ns, now.busy_ns
    return min(1.0, max(0.0, busy_ns / watched_ns)) if watched_ns > 0 else known
