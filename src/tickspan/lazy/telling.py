"""What telemetry hears of iterations: one span each, times by stage, waits by side, chunks that wait."""

from __future__ import annotations

import contextvars
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Span, Status, StatusCode

from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.instrumentation.suppression import is_suppressed
from tickspan.recording import AttributeValue, Guard
from tickspan.semconv.catalogue import METRICS
from tickspan.semconv.common import ERROR_TYPE
from tickspan.semconv.datasets import (
    TICKSPAN_DATASET_CHUNK_DURATION,
    TICKSPAN_DATASET_CHUNKS,
    TICKSPAN_DATASET_END,
    TICKSPAN_DATASET_NAME,
    TICKSPAN_DATASET_PREFETCH_DEPTH,
    TICKSPAN_DATASET_RESUMED,
    TICKSPAN_DATASET_ROWS,
    TICKSPAN_DATASET_SIDE,
    TICKSPAN_DATASET_SIZE,
    TICKSPAN_DATASET_STAGE,
    TICKSPAN_DATASET_STALL_DURATION,
)
from tickspan.semconv.db import DB_CLIENT_RESPONSE_RETURNED_ROWS
from tickspan.version import __version__

SCOPE: Final = "tickspan.lazy"
_ROW_BOUNDS: Final = tuple(
    float(digit * 10**power) for power in range(7) for digit in (1, 2, 5)
)  # 1 to 5,000,000: the conventions end at 10,000, an analytic chunk does not
_Record = Callable[[float], None]


class Stage(StrEnum):
    """Of a chunk."""

    FETCH = "fetch"
    DECODE = "decode"
    CONSUME = "consume"


class Side(StrEnum):
    """Who waited."""

    PRODUCER = "producer"
    CONSUMER = "consumer"


class End(StrEnum):
    """Of an iteration."""

    EXHAUSTED = "exhausted"
    ABANDONED = "abandoned"
    FAILED = "failed"


class Depth(Protocol):
    """Whoever has chunks that wait."""

    @property
    def name(self) -> str: ...  # noqa: D102 - the dataset's
    @property
    def waiting_chunks(self) -> int: ...  # noqa: D102 - fetched and not yet taken


guard: Final = Guard("lazy", "telemetry")
_live: Final[weakref.WeakSet[Any]] = weakref.WeakSet()


class Telling:
    """Tells of one iteration. Its methods may be called by two threads, each for its own stages and side."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._instruments: _Instruments | None = None
        self._series: dict[tuple[Any, ...], _Record] = {}
        self._span: Span | None = None
        self._depth: weakref.ref[Any] = weakref.ref(self)
        self._is_silent = is_suppressed()

    def __repr__(self) -> str:
        return f"<Telling of {self._name}>"

    def begin(self, depth: Depth, *, is_resumed: bool) -> contextvars.Context:
        """Start the span; the context in which fetches run, so that their spans are its children."""
        context = contextvars.copy_context()
        if not self._is_silent:
            guard.own(self._begin, context, depth, is_resumed, default=None)
        return context

    def _begin(self, context: contextvars.Context, depth: Depth, is_resumed: bool) -> None:
        _live.add(depth)
        self._depth = weakref.ref(depth)
        tracer = trace.get_tracer(SCOPE, __version__)
        attributes = {TICKSPAN_DATASET_NAME: self._name, TICKSPAN_DATASET_RESUMED: is_resumed}
        self._span = tracer.start_span(f"iterate {self._name}", attributes=attributes)
        context.run(otel_context.attach, trace.set_span_in_context(self._span))

    def end(self, end: End, rows: int, chunks: int, size_bytes: int, error: BaseException | None) -> None:
        """End the span; what was fetched ahead waits no longer."""
        _live.discard(self._depth())
        if self._span is not None:
            guard.closing(self._end, self._span, end, rows, chunks, size_bytes, error, default=None)
            self._span = None

    def _end(
        self, span: Span, end: End, rows: int, chunks: int, size_bytes: int, error: BaseException | None
    ) -> None:
        span.set_attributes(
            {
                TICKSPAN_DATASET_END: end.value,
                TICKSPAN_DATASET_ROWS: rows,
                TICKSPAN_DATASET_CHUNKS: chunks,
                TICKSPAN_DATASET_SIZE: size_bytes,
            }
        )
        if error is not None:
            span.set_attribute(ERROR_TYPE, type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def stage(self, stage: Stage, seconds: float) -> None:
        """A chunk spent so long in a stage."""
        self._record(seconds, TICKSPAN_DATASET_CHUNK_DURATION, TICKSPAN_DATASET_STAGE, stage)

    def stall(self, side: Side, seconds: float) -> None:
        """A side waited for the other."""
        self._record(seconds, TICKSPAN_DATASET_STALL_DURATION, TICKSPAN_DATASET_SIDE, side)

    def returned(self, rows: int, attributes: Mapping[str, AttributeValue]) -> None:
        """A database has answered with so many rows."""
        if not self._is_silent:
            guard.own(self._record_rows, rows, attributes, default=None)

    def _record(self, value: float, metric: str, key: str, word: StrEnum) -> None:
        if not self._is_silent:
            guard.own(self._record_word, value, metric, key, word, default=None)

    def _record_word(self, value: float, metric: str, key: str, word: StrEnum) -> None:
        record = self._series.get((metric, word)) or self._bound(
            (metric, word), metric, {TICKSPAN_DATASET_NAME: self._name, key: word.value}
        )
        if record is not None:
            record(value)

    def _record_rows(self, rows: int, attributes: Mapping[str, AttributeValue]) -> None:
        metric = DB_CLIENT_RESPONSE_RETURNED_ROWS
        record = self._series.get((metric,)) or self._bound((metric,), metric, attributes)
        if record is not None:
            record(rows)

    def _bound(
        self, series: tuple[Any, ...], metric: str, attributes: Mapping[str, AttributeValue]
    ) -> _Record | None:
        """What adds to a series; None while there is no meter provider."""
        instruments = self._instruments = self._instruments or _instruments()
        if instruments is None:
            return None
        record = self._series[series] = _measuring(instruments.histograms[metric], dict(attributes))
        return record


class _Instruments:
    """Those of one meter provider."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter(SCOPE, __version__)
        self.provider = provider
        self.histograms = {
            name: meter.create_histogram(
                name, METRICS[name].unit, METRICS[name].brief, explicit_bucket_boundaries_advisory=bounds
            )
            for name, bounds in (
                (TICKSPAN_DATASET_CHUNK_DURATION, SECONDS_FROM_10_US),
                (TICKSPAN_DATASET_STALL_DURATION, SECONDS_FROM_10_US),
                (DB_CLIENT_RESPONSE_RETURNED_ROWS, _ROW_BOUNDS),
            )
        }
        depth = METRICS[TICKSPAN_DATASET_PREFETCH_DEPTH]
        meter.create_observable_up_down_counter(depth.name, [_depths], depth.unit, depth.brief)


_made: _Instruments | None = None


def _instruments() -> _Instruments | None:
    global _made
    provider = metrics.get_meter_provider()
    if type(provider).__name__ == "_ProxyMeterProvider":  # nobody has set one yet
        return None
    if _made is None or _made.provider is not provider:
        _made = _Instruments(provider)
    return _made


def _depths(_: CallbackOptions) -> Iterable[Observation]:
    return guard.own(_observed_depths, default=())


def _observed_depths() -> list[Observation]:
    depths: Counter[str] = Counter()
    for one in tuple(_live):
        depths[one.name] += one.waiting_chunks
    return [Observation(depth, {TICKSPAN_DATASET_NAME: name}) for name, depth in depths.items()]


def _measuring(histogram: Any, attributes: dict[str, AttributeValue]) -> _Record:
    """What adds to one series: bound where the histogram can be."""
    bind = getattr(histogram, "bind", None)  # an extension of our meter provider
    if bind is not None:
        return bind(attributes).record

    def record(value: float) -> None:
        histogram.record(value, attributes, Context())

    return record
