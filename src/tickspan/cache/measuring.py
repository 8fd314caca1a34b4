"""Metrics, spans and events of caches: counts are read when metrics are collected, times go to bound series.

Nothing here is asked for on a hit. Providers are OpenTelemetry's global ones, found when they are first
needed, so that a program that calls `tickspan.init()` later is measured too.
"""

from __future__ import annotations

import operator
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import Token
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from opentelemetry import _logs, metrics, trace
from opentelemetry import context as otel_context
from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from tickspan.cache.counts import Count
from tickspan.cache.entry import EvictionReason, Level
from tickspan.cache.memory import MemoryStatistics
from tickspan.cache.rules import RegionRules
from tickspan.cache.telling import (
    InvalidationSource,
    LoadTrigger,
    Operation,
    Result,
    WarmOutcome,
    WarmProgress,
)
from tickspan.cache.tiers import LowerTier
from tickspan.instrumentation import type_name
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.instrumentation.watch import process_watch
from tickspan.processors import cache as tallies
from tickspan.recording import AttributeValue, Guard
from tickspan.semconv import cache as names
from tickspan.semconv.catalogue import METRICS
from tickspan.semconv.common import ERROR_TYPE
from tickspan.version import __version__

__all__ = ["Measures", "RegionCounts", "RegionMeasures", "process_measures"]

_K = TypeVar("_K")
_R = TypeVar("_R")

SCOPE: Final = "tickspan.cache"
FAILSAFE_TOLD_EVERY_S: Final = 10.0
UNBOUND_SAMPLE: Final = 64
"""Of requests to a tier, one in so many is timed where a series cannot be bound (providers of others)."""

_LEVEL_BOUNDS: Final = (1e-7, 2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, *SECONDS_FROM_10_US)
"""A hit of memory is a fraction of a microsecond."""
_CLOSED: Final = "closed"
_OPEN: Final = "open"
_WANTED: Final = "closed"
"""The word of a tier that was given back."""
_BREAKER_NUMBERS: Final = {_CLOSED: 0, _OPEN: 2}
"""1 is any state between them."""


class _Memory(Protocol):
    def statistics(self) -> MemoryStatistics: ...
    def after_fork_in_child(self) -> None: ...


class RegionCounts(NamedTuple):
    """What has been told of one region, so far."""

    lower: Mapping[tuple[str, str, str], int]
    """Requests to the tiers below memory by level, operation and result."""
    invalidations: Mapping[InvalidationSource, int]
    coalesced: int
    failsafe: int
    loads: Mapping[LoadTrigger, int]
    failed_loads: int
    load_time_s: float
    """Of all loads together."""
    level_times: Mapping[str, tuple[int, float]]
    """Of each level that was timed: how many requests, and their time together."""


class _Memories(NamedTuple):
    """The counts of a memory tier, or how they have grown."""

    results: tuple[int, ...] = ()
    """By `_MEMORY_RESULTS`."""
    evictions: Mapping[EvictionReason, int] = MappingProxyType({})


_MEMORY_RESULTS: Final = (Result.HIT, Result.MISS, Result.STALE, Result.NEGATIVE, Result.BYPASS, Result.ERROR)


class _Load(NamedTuple):
    span: Span
    token: Token[Context]
    trigger: LoadTrigger
    began_s: float


class Measures:
    """All caches of a process, measured by one set of instruments. Thread-safe; no method raises.

    Args:
        tracer: makes the spans of loads.
        meter: makes the instruments.
        logger: takes the events.
        now_s: monotonic seconds.
        wall_ns: nanoseconds since 1970.
    """

    def __init__(
        self,
        tracer: Tracer,
        meter: Meter,
        logger: Logger,
        *,
        now_s: Callable[[], float] = time.perf_counter,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.now_s = now_s
        self.tracer = tracer
        self._logger = logger
        self._wall_ns = wall_ns
        self.guard = Guard("cache", "telemetry")
        self._lock = threading.RLock()
        self._regions: weakref.WeakSet[RegionMeasures] = weakref.WeakSet()
        self._tiers: weakref.WeakSet[TierMeasures] = weakref.WeakSet()
        self.load_duration = _histogram(meter, names.CACHE_LOAD_DURATION, SECONDS_FROM_10_US)
        self.level_duration = _histogram(meter, names.CACHE_LEVEL_DURATION, _LEVEL_BOUNDS)
        self._observe(meter)
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<Measures {len(self._regions)} regions>"

    def region(self, name: str, memory: _Memory, rules: Callable[[], RegionRules]) -> RegionMeasures:
        """The telemetry of one region; several of one name are added up."""
        made = RegionMeasures(self, name, memory, rules)
        with self._lock:
            self._regions.add(made)
        return made

    def tier(self, name: str, tier: LowerTier) -> TierMeasures:
        """The telemetry of a tier that regions share; `name` is the cache's namespace."""
        made = TierMeasures(self, name, tier)
        with self._lock:
            self._tiers.add(made)
        return made

    def emit(
        self, event: str, severity: SeverityNumber, attributes: Mapping[str, AttributeValue], body: str
    ) -> None:
        """Write an event of this moment, in the trace at hand."""
        self.guard.own(self._emit, event, severity, attributes, body, default=None)

    def after_fork_in_child(self) -> None:
        """What a child counts is not its parent's."""
        self._lock = threading.RLock()
        for region in tuple(self._regions):
            region.begin_anew()

    def _emit(
        self, event: str, severity: SeverityNumber, attributes: Mapping[str, AttributeValue], body: str
    ) -> None:
        now_ns = self._wall_ns()
        self._logger.emit(
            timestamp=now_ns,
            observed_timestamp=now_ns,
            context=otel_context.get_current(),
            severity_number=severity,
            severity_text=severity.name,
            body=body,
            attributes={**attributes},
            event_name=event,
        )

    def _observe(self, meter: Meter) -> None:
        readers: tuple[tuple[str, _ReadRegion], ...] = (
            (names.CACHE_REQUESTS, _requests),
            (names.CACHE_EVICTIONS, _evictions),
            (names.CACHE_LOAD_COALESCED, _coalesced),
            (names.CACHE_FAILSAFE_ACTIVATIONS, _failsafe),
            (names.CACHE_INVALIDATIONS, _invalidations),
            (names.CACHE_ENTRIES, _entries),
            (names.CACHE_SIZE, _size),
            (names.CACHE_CAPACITY, _capacity),
            (names.CACHE_GHOST_HIT_RATIO, _ghosts),
        )
        for name, read in readers:
            create = {
                "counter": meter.create_observable_counter,
                "updowncounter": meter.create_observable_up_down_counter,
                "gauge": meter.create_observable_gauge,
            }[METRICS[name].instrument]
            observed = [self._observing(self._of_regions, read)]
            if name == names.CACHE_SIZE:
                observed.append(self._observing(self._of_tiers, _tier_size))
            create(name, observed, METRICS[name].unit, METRICS[name].brief)
        for name, read_tier in (
            (names.CACHE_BREAKER_STATE, _breaker_state),
            (names.CACHE_INVALIDATION_LAG, _lag),
        ):
            row = METRICS[name]
            meter.create_observable_gauge(
                name, [self._observing(self._of_tiers, read_tier)], row.unit, row.brief
            )

    def _observing(
        self, observed: Callable[[_R], list[Observation]], read: _R
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            return self.guard.own(observed, read, default=())

        return observe

    def _of_regions(self, read: _ReadRegion) -> list[Observation]:
        with self._lock:
            regions = sorted(self._regions, key=_name_of)
        combine = max if read is _ghosts else operator.add
        found: dict[tuple[tuple[str, AttributeValue], ...], float] = {}
        for region in regions:
            for labels, number in read(region):
                key = ((names.CACHE_NAME, region.name), *labels)
                found[key] = combine(found[key], number) if key in found else number
        return [Observation(number, dict(key)) for key, number in found.items()]

    def _of_tiers(self, read: _ReadTier) -> list[Observation]:
        with self._lock:
            tiers = sorted(self._tiers, key=_name_of)
        worst: dict[tuple[str, str | None], float] = {}
        for tier in tiers:
            value = read(tier)
            if value is not None:
                key = (tier.name, tier.level.value if read is _tier_size else None)
                worst[key] = max(value, worst.get(key, value))
        return [Observation(value, _labels_of_tier(*key)) for key, value in worst.items()]


class RegionMeasures:
    """The telemetry of one region: a `RegionTelemetry`, and the counts that were told to it."""

    def __init__(
        self, measures: Measures, name: str, memory: _Memory, rules: Callable[[], RegionRules]
    ) -> None:
        self.name = name
        self.memory = memory
        self.rules = rules
        self._measures = measures
        self._before = _Memories()
        self._labels: dict[str, AttributeValue] = {names.CACHE_NAME: name}
        self._load_series: dict[tuple[LoadTrigger, str | None], _Series] = {}
        self._level_series = {
            level: _Series(
                measures.level_duration, {**self._labels, names.CACHE_LEVEL: level.value}, UNBOUND_SAMPLE
            )
            for level in Level
        }
        self._failsafe_told_s = -FAILSAFE_TOLD_EVERY_S
        self._failsafe_told = 0
        self._begin()

    def __repr__(self) -> str:
        return f"<RegionMeasures {self.name} {self.counts()}>"

    def begin_anew(self) -> None:
        """Count from zero, and from what memory has counted so far: this is a forked child."""
        self.memory.after_fork_in_child()  # its lock may be held by nobody, and others may be told before it
        self._before = _memories(self.memory.statistics())
        self._begin()

    def memory_counts(self) -> _Memories:
        """What memory has counted in this process."""
        return _memories(self.memory.statistics(), self._before)

    def _begin(self) -> None:
        self._lower: dict[tuple[str, str, str], Count] = {}
        self._invalidations = {source: Count() for source in InvalidationSource}
        self._loads = {trigger: Count() for trigger in LoadTrigger}
        self._failed_loads = Count()
        self._coalesced = Count()
        self._failsafe = Count()
        self._failsafe_told = 0

    def counts(self) -> RegionCounts:
        """The counts so far; of kinds that have occurred."""
        return RegionCounts(
            lower=_occurred(self._lower),
            invalidations=_occurred(self._invalidations),
            coalesced=self._coalesced.value(),
            failsafe=self._failsafe.value(),
            loads=_occurred(self._loads),
            failed_loads=self._failed_loads.value(),
            load_time_s=sum(series.total_s for series in tuple(self._load_series.values())),
            level_times={
                level.value: (series.number, series.total_s)
                for level, series in self._level_series.items()
                if series.number
            },
        )

    def load_started(self, trigger: LoadTrigger) -> _Load | None:
        """See `RegionTelemetry`."""
        self._loads[trigger].add()
        return self._measures.guard.own(self._load_started, trigger, default=None)

    def load_ended(self, token: _Load | None, error: BaseException | None = None) -> None:
        """See `RegionTelemetry`."""
        if error is not None:
            self._failed_loads.add()
        if token is not None:
            self._measures.guard.closing(self._load_ended, token, error, default=None)

    def coalesced(self) -> None:
        """See `RegionTelemetry`."""
        self._coalesced.add()

    def failsafe(self, error: BaseException | None = None) -> None:
        """See `RegionTelemetry`."""
        self._failsafe.add()
        now_s = self._measures.now_s()
        if now_s - self._failsafe_told_s >= FAILSAFE_TOLD_EVERY_S:
            self._failsafe_told_s = now_s
            self._measures.guard.own(self._tell_failsafe, error, default=None)

    def level_timed(self, level: Level, seconds: float) -> None:
        """See `RegionTelemetry`."""
        self._level_series[level].record(seconds)

    def lower_request(self, level: Level, operation: Operation, result: Result, count: int = 1) -> None:
        """See `RegionTelemetry`."""
        # An enumeration's own hash is a Python function.
        key = (level._value_, operation._value_, result._value_)
        known = self._lower.get(key)
        if known is None:
            known = self._lower.setdefault(key, Count())
        known.add(count)

    def invalidation(self, source: InvalidationSource, count: int = 1) -> None:
        """See `RegionTelemetry`."""
        self._invalidations[source].add(count)

    def found(self, result: Result) -> None:
        """See `RegionTelemetry`."""
        tally = tallies.current.get()
        if tally is None:
            return
        if result is Result.HIT:
            tally.hits += 1
        elif result is Result.STALE:
            tally.stale += 1
        else:
            tally.misses += 1

    def warmed(self, progress: WarmProgress) -> None:
        """See `RegionTelemetry`."""
        labels: dict[str, AttributeValue] = {
            **self._labels,
            names.CACHE_WARM_PLANNED: progress.planned,
            names.CACHE_WARM_LOADED: progress.loaded,
            names.CACHE_WARM_PRESENT: progress.present,
            names.CACHE_WARM_FAILED: progress.failed,
            names.CACHE_WARM_ELAPSED: progress.elapsed_s,
        }
        told = f"{progress.planned - progress.left} of {progress.planned} keys"
        if progress.outcome is None:
            self._measures.emit(
                names.EVENT_WARM_PROGRESS, SeverityNumber.INFO, labels, f"Region {self.name} warms: {told}"
            )
            return
        labels[names.CACHE_WARM_OUTCOME] = progress.outcome.value
        is_well = progress.outcome is WarmOutcome.COMPLETE and not progress.failed
        self._measures.emit(
            names.EVENT_WARM_FINISH,
            SeverityNumber.INFO if is_well else SeverityNumber.WARN,
            labels,
            f"Region {self.name} is warm: {told}, {progress.failed} failed ({progress.outcome})",
        )

    def policy_changed(self, previous: str, new: str) -> None:
        """See `RegionTelemetry`."""
        self._measures.emit(
            names.EVENT_POLICY_CHANGE,
            SeverityNumber.INFO,
            {**self._labels, names.CACHE_POLICY_FROM: str(previous), names.CACHE_POLICY_TO: str(new)},
            f"Region {self.name} goes by {new} instead of {previous}",
        )

    def _load_started(self, trigger: LoadTrigger) -> _Load:
        span = self._measures.tracer.start_span(
            f"cache load {self.name}",
            kind=SpanKind.INTERNAL,
            attributes={**self._labels, names.CACHE_LOAD_TRIGGER: trigger.value},
        )
        token = otel_context.attach(set_span_in_context(span))
        return _Load(span, token, trigger, self._measures.now_s())

    def _load_ended(self, load: _Load, error: BaseException | None) -> None:
        elapsed_s = self._measures.now_s() - load.began_s
        otel_context.detach(load.token)
        kind = None if error is None else type_name(error)
        if kind is not None:
            load.span.set_attribute(ERROR_TYPE, kind)
            load.span.set_status(Status(StatusCode.ERROR))
        load.span.end()
        self._series_of(load.trigger, kind).record(elapsed_s)

    def _series_of(self, trigger: LoadTrigger, error_type: str | None) -> _Series:
        known = self._load_series.get((trigger, error_type))
        if known is not None:
            return known
        labels = {**self._labels, names.CACHE_LOAD_TRIGGER: trigger.value}
        if error_type is not None:
            labels[ERROR_TYPE] = error_type
        return self._load_series.setdefault(
            (trigger, error_type), _Series(self._measures.load_duration, labels)
        )

    def _tell_failsafe(self, error: BaseException | None) -> None:
        total = self._failsafe.value()
        since, self._failsafe_told = total - self._failsafe_told, total
        labels = {**self._labels, names.CACHE_FAILSAFE_COUNT: since}
        if error is not None:
            labels[ERROR_TYPE] = type_name(error)
        reason = "a load took too long" if error is None else f"a load failed with {type_name(error)}"
        self._measures.emit(
            names.EVENT_FAILSAFE,
            SeverityNumber.WARN,
            labels,
            f"Region {self.name} gives old values: {reason}",
        )


class TierMeasures:
    """What is told of a tier that regions share: its breaker, and that it does not answer, once an outage.

    A tier without a breaker is looked at each second.
    """

    def __init__(self, measures: Measures, name: str, tier: LowerTier) -> None:
        self.name = name
        self._tier: Any = tier
        self._measures = measures
        self._is_told = False
        self._labels: dict[str, AttributeValue] = {
            names.CACHE_NAME: name,
            names.CACHE_LEVEL: tier.level.value,
        }
        breaker: Any = getattr(getattr(tier, "link", None), "breaker", None)
        self._breaker = breaker
        if breaker is not None:
            breaker.observe(self.breaker_changed)
        elif hasattr(tier, "statistics"):
            process_watch().add(self)

    def __repr__(self) -> str:
        return f"<TierMeasures {self.name} {self._tier!r}>"

    @property
    def level(self) -> Level:
        """Which tier it is."""
        return self._tier.level

    @property
    def size_bytes(self) -> int | None:
        """What the tier holds, where it tells that."""
        if self._breaker is not None or not hasattr(self._tier, "statistics"):
            return None
        return getattr(self._tier.statistics(), "size_bytes", None)

    @property
    def breaker(self) -> str | None:
        """closed, probing or open; None for a tier without one."""
        return None if self._breaker is None else str(self._breaker.state)

    @property
    def lag_s(self) -> float | None:
        """How late the last invalidation arrived, where the tier tells that."""
        return getattr(self._tier, "lag_s", None)

    def breaker_changed(self, previous: str, new: str) -> None:
        """The breaker has changed its state."""
        level = self.level
        if new == _OPEN:
            failures: Mapping[str, int] = self._tier.link.statistics().failures
            self._unavailable(max(failures, key=failures.__getitem__, default="unknown"))
        elif new == _CLOSED:
            self._is_told = False
        self._measures.emit(
            names.EVENT_BREAKER_CHANGE,
            SeverityNumber.WARN if new == _OPEN else SeverityNumber.INFO,
            {**self._labels, names.CACHE_BREAKER_FROM: str(previous), names.CACHE_BREAKER_TO: str(new)},
            f"The breaker of {level} is {new}",
        )

    def look(self) -> None:
        """Tell it when the tier is off."""
        reason = self._tier.statistics().reason
        if reason and reason != _WANTED:
            self._unavailable(reason)
        else:
            self._is_told = False

    def _unavailable(self, reason: str) -> None:
        if self._is_told:
            return
        self._is_told = True
        self._measures.emit(
            names.EVENT_TIER_UNAVAILABLE,
            SeverityNumber.WARN,
            {**self._labels, names.CACHE_REASON: reason},
            f"The cache goes on without {self._tier.level}: {reason.replace('_', ' ')}",
        )


class _Series:
    """Adds to one series of a histogram: bound as soon as it can be, else a sample of the measurements."""

    __slots__ = ("_bound", "_every", "_histogram", "_labels", "number", "total_s")

    def __init__(self, histogram: Histogram, labels: Mapping[str, AttributeValue], every: int = 1) -> None:
        self._histogram = histogram
        self._labels = dict(labels)
        self._every = every
        self._bound: Callable[[float], None] | None = None
        self.number = 0
        self.total_s = 0.0

    def record(self, seconds: float) -> None:
        self.number += 1
        self.total_s += seconds
        if self._bound is not None:
            self._bound(seconds)
        else:
            self._record_unbound(seconds)

    def _record_unbound(self, seconds: float) -> None:
        # A proxy of the API stands for an instrument that is made once there is a provider.
        real: Any = getattr(self._histogram, "_real_instrument", self._histogram)
        if real is None:
            return
        bind = getattr(real, "bind", None)
        if bind is not None:
            record = self._bound = bind(self._labels).record
            record(seconds)
            return
        if (self.number - 1) % self._every == 0:
            real.record(seconds, self._labels, Context())


def _histogram(meter: Meter, name: str, bounds: Sequence[float]) -> Histogram:
    row = METRICS[name]
    return meter.create_histogram(name, row.unit, row.brief, explicit_bucket_boundaries_advisory=bounds)


def _memories(now: MemoryStatistics, before: _Memories | None = None) -> _Memories:
    results = (now.hits, now.misses, now.stale, now.negative, now.bypasses, now.errors)
    if before is None or not before.results:
        return _Memories(results, dict(now.evictions))
    return _Memories(
        tuple(map(operator.sub, results, before.results)),
        {reason: number - before.evictions.get(reason, 0) for reason, number in now.evictions.items()},
    )


def _name_of(measured: RegionMeasures | TierMeasures) -> str:
    return measured.name


def _occurred(counts: Mapping[_K, Count]) -> dict[_K, int]:
    return {kind: number for kind, count in tuple(counts.items()) if (number := count.value())}


# What each metric reads of a region: labels beside its name, and the number.

_Labelled = tuple[tuple[tuple[str, AttributeValue], ...], float]
_ReadRegion = Callable[[RegionMeasures], Iterator[_Labelled]]
_ReadTier = Callable[[TierMeasures], float | None]
_LOWER_LABELS: Final = (names.CACHE_LEVEL, names.CACHE_OPERATION, names.CACHE_RESULT)
_IN_MEMORY: Final = (names.CACHE_LEVEL, Level.MEMORY.value)


def _requests(region: RegionMeasures) -> Iterator[_Labelled]:
    asked = (names.CACHE_OPERATION, Operation.GET.value)
    for result, number in zip(_MEMORY_RESULTS, region.memory_counts().results, strict=True):
        if number:
            yield (_IN_MEMORY, asked, (names.CACHE_RESULT, result.value)), number
    for key, number in region.counts().lower.items():
        yield tuple(zip(_LOWER_LABELS, key, strict=True)), number


def _evictions(region: RegionMeasures) -> Iterator[_Labelled]:
    for reason, number in region.memory_counts().evictions.items():
        if number:
            yield ((names.CACHE_EVICTION_REASON, reason.value),), number


def _coalesced(region: RegionMeasures) -> Iterator[_Labelled]:
    yield (), region.counts().coalesced


def _failsafe(region: RegionMeasures) -> Iterator[_Labelled]:
    yield (), region.counts().failsafe


def _invalidations(region: RegionMeasures) -> Iterator[_Labelled]:
    for source, number in region.counts().invalidations.items():
        yield ((names.CACHE_INVALIDATION_SOURCE, source.value),), number


def _entries(region: RegionMeasures) -> Iterator[_Labelled]:
    yield (_IN_MEMORY,), region.memory.statistics().entries


def _size(region: RegionMeasures) -> Iterator[_Labelled]:
    yield (_IN_MEMORY,), region.memory.statistics().size_bytes


def _capacity(region: RegionMeasures) -> Iterator[_Labelled]:
    yield (_IN_MEMORY,), region.rules().max_entries


def _ghosts(region: RegionMeasures) -> Iterator[_Labelled]:
    statistics = region.memory.statistics()
    for factor, share in ((0.5, statistics.ghost_half), (2.0, statistics.ghost_double)):
        if share is not None:
            yield ((names.CACHE_FACTOR, factor),), share


def _breaker_state(tier: TierMeasures) -> float | None:
    return None if tier.breaker is None else _BREAKER_NUMBERS.get(tier.breaker, 1)


def _tier_size(tier: TierMeasures) -> float | None:
    return tier.size_bytes


def _labels_of_tier(name: str, level: str | None) -> dict[str, AttributeValue]:
    return {names.CACHE_NAME: name} if level is None else {names.CACHE_NAME: name, names.CACHE_LEVEL: level}


def _lag(tier: TierMeasures) -> float | None:
    return tier.lag_s


_process: Measures | None = None
_making = threading.RLock()


def _in_child() -> None:
    global _making
    _making = threading.RLock()  # the parent's may be held by a thread that is not here


os.register_at_fork(after_in_child=_in_child)


def process_measures() -> Measures:
    """Those of this process, over OpenTelemetry's global providers."""
    global _process
    with _making:
        if _process is None:
            _process = Measures(
                trace.get_tracer(SCOPE, __version__),
                metrics.get_meter(SCOPE, __version__),
                _logs.get_logger(SCOPE, __version__),
            )
            tallies.install(trace.get_tracer_provider())
        return _process
