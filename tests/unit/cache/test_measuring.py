"""What a region tells: metrics that are read, series that are bound, spans of loads, events."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from opentelemetry import _logs, trace

from tickspan.cache.entry import EvictionReason, Item, Level
from tickspan.cache.measuring import (
    FAILSAFE_TOLD_EVERY_S,
    SCOPE,
    UNBOUND_SAMPLE,
    Measures,
    RegionMeasures,
)
from tickspan.cache.memory import MemoryTier
from tickspan.cache.remote.breaker import Breaker
from tickspan.cache.rules import RegionRules
from tickspan.cache.telling import (
    SILENT,
    InvalidationSource,
    LoadTrigger,
    Operation,
    Result,
    WarmOutcome,
    WarmProgress,
)
from tickspan.processors import cache as tallies
from tickspan.providers import MeterProvider
from tickspan.semconv import cache as names
from tickspan.semconv.common import ERROR_TYPE
from tickspan.testing import Capture, Point, RecordedLogEvent, RecordedSpan, capture
from tickspan.testing.sink import MemorySink

_NAME = {names.CACHE_NAME: "quotes"}


class _Now:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def captured() -> Generator[Capture]:
    with capture() as made:
        yield made


@pytest.fixture
def now() -> _Now:
    return _Now()


@pytest.fixture
def measures(captured: Capture, now: _Now) -> Measures:
    return Measures(
        captured.tracer_provider.get_tracer(SCOPE),
        captured.meter_provider.get_meter(SCOPE),
        captured.logger_provider.get_logger(SCOPE),
        now_s=now,
    )


@pytest.fixture
def memory(now: _Now) -> MemoryTier:
    return MemoryTier(RegionRules(max_entries=2), now_s=now)


@pytest.fixture
def region(measures: Measures, memory: MemoryTier) -> RegionMeasures:
    return measures.region("quotes", memory, lambda: RegionRules(max_entries=2))


def _item(now: _Now) -> Item:
    return Item(1, soft_at=now.s + 10, hard_at=now.s + 20, stored_at_ms=0, size_bytes=7)


def _asked(level: str, operation: str, result: str) -> dict[str, str]:
    return {
        **_NAME,
        names.CACHE_LEVEL: level,
        names.CACHE_OPERATION: operation,
        names.CACHE_RESULT: result,
    }


def test_requests_are_what_memory_has_counted_and_what_was_told_of_the_tiers_below(
    captured: Capture, region: RegionMeasures, memory: MemoryTier, now: _Now
) -> None:
    memory.put("a", _item(now))
    memory.get_nowait("a")
    memory.get_nowait("b")
    memory.count("stale")
    region.lower_request(Level.REDIS, Operation.GET, Result.HIT, 3)
    region.lower_request(Level.REDIS, Operation.GET, Result.HIT)
    region.lower_request(Level.DISK, Operation.SET, Result.ERROR)
    assert captured.points(names.CACHE_REQUESTS) == [
        Point(_asked("memory", "get", "hit"), 1),
        Point(_asked("memory", "get", "miss"), 1),
        Point(_asked("memory", "get", "stale"), 1),
        Point(_asked("redis", "get", "hit"), 4),
        Point(_asked("disk", "set", "error"), 1),
    ]


def test_evictions_have_their_reason_and_only_those_that_occurred_are_told(
    captured: Capture, region: RegionMeasures, memory: MemoryTier, now: _Now
) -> None:
    for key in ("a", "b", "c"):
        memory.put(key, _item(now))
    memory.drop(memory.keys()[0], EvictionReason.EXPLICIT)
    assert captured.points(names.CACHE_EVICTIONS) == [
        Point({**_NAME, names.CACHE_EVICTION_REASON: "capacity"}, 1),
        Point({**_NAME, names.CACHE_EVICTION_REASON: "explicit"}, 1),
    ]
    assert repr(region).startswith("<RegionMeasures quotes ")


def test_the_gauges_are_what_memory_holds_and_may_hold(
    captured: Capture, region: RegionMeasures, memory: MemoryTier, now: _Now
) -> None:
    memory.put("a", _item(now))
    in_memory = {**_NAME, names.CACHE_LEVEL: "memory"}
    assert [
        captured.points(name) for name in (names.CACHE_ENTRIES, names.CACHE_SIZE, names.CACHE_CAPACITY)
    ] == [[Point(in_memory, 1)], [Point(in_memory, 7)], [Point(in_memory, 2)]]
    assert region.name == "quotes"


def test_regions_of_one_name_are_added_up_and_one_that_is_gone_is_not(
    captured: Capture, measures: Measures, region: RegionMeasures, memory: MemoryTier
) -> None:
    second = measures.region("quotes", memory, RegionRules)
    third = measures.region("quotes", memory, RegionRules)
    region.coalesced()
    second.coalesced()
    third.coalesced()
    del third
    assert captured.points(names.CACHE_LOAD_COALESCED) == [Point(_NAME, 2)]


def test_what_is_told_is_counted(captured: Capture, region: RegionMeasures) -> None:
    region.coalesced()
    region.failsafe()
    region.failsafe()
    region.invalidation(InvalidationSource.TRACKING, 5)
    region.invalidation(InvalidationSource.LOCAL)
    assert [
        captured.points(name)
        for name in (
            names.CACHE_LOAD_COALESCED,
            names.CACHE_FAILSAFE_ACTIVATIONS,
            names.CACHE_INVALIDATIONS,
        )
    ] == [
        [Point(_NAME, 1)],
        [Point(_NAME, 2)],
        [
            Point({**_NAME, names.CACHE_INVALIDATION_SOURCE: "local"}, 1),
            Point({**_NAME, names.CACHE_INVALIDATION_SOURCE: "tracking"}, 5),
        ],
    ]


def test_a_load_is_a_span_below_its_caller_with_what_it_does_below_it(
    captured: Capture, region: RegionMeasures, now: _Now
) -> None:
    tracer = captured.tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("decide"):
        token = region.load_started(LoadTrigger.MISS)
        with tracer.start_as_current_span("SELECT quotes"):
            now.s += 0.25
        region.load_ended(token)
        with tracer.start_as_current_span("order"):
            pass
    assert captured.tree() == "decide\n  cache load quotes\n    SELECT quotes\n  order"
    assert captured.spans()[1] == RecordedSpan(
        "cache load quotes", "internal", 1, 2, 1, {**_NAME, names.CACHE_LOAD_TRIGGER: "miss"}
    )
    assert captured.points(names.CACHE_LOAD_DURATION) == [
        Point({**_NAME, names.CACHE_LOAD_TRIGGER: "miss"}, 0.25, 1)
    ]


def test_a_load_that_failed_tells_the_class_of_its_error_and_no_text(
    captured: Capture, region: RegionMeasures
) -> None:
    region.load_ended(region.load_started(LoadTrigger.EAGER), ValueError("account 4711"))
    attributes = {**_NAME, names.CACHE_LOAD_TRIGGER: "eager", ERROR_TYPE: "ValueError"}
    assert captured.spans() == [
        RecordedSpan("cache load quotes", "internal", 1, 1, None, attributes, status="error")
    ]
    assert captured.points(names.CACHE_LOAD_DURATION) == [Point(attributes, 0.0, 1)]
    assert (region.counts().loads, region.counts().failed_loads) == ({LoadTrigger.EAGER: 1}, 1)


def test_times_of_a_level_are_one_series_of_a_provider_that_binds(now: _Now, memory: MemoryTier) -> None:
    sink = MemorySink()
    meters = MeterProvider(sink=sink, shutdown_on_exit=False)
    silent = (trace.NoOpTracer(), meters.get_meter(SCOPE), _logs.NoOpLogger(SCOPE))
    region = Measures(*silent, now_s=now).region("quotes", memory, RegionRules)
    region.level_timed(Level.REDIS, 0.25)
    region.level_timed(Level.REDIS, 0.5)
    meters.force_flush()
    (metric,) = [one for one in sink.telemetry().metrics if one.name == names.CACHE_LEVEL_DURATION]
    assert [(point.attributes, point.sum, point.count) for point in metric.points] == [
        ({**_NAME, names.CACHE_LEVEL: "redis"}, 0.75, 2)
    ]
    assert region.counts().level_times == {"redis": (2, 0.75)}


def test_of_a_provider_that_cannot_bind_only_a_sample_is_timed(
    captured: Capture, region: RegionMeasures
) -> None:
    for _ in range(UNBOUND_SAMPLE + 1):
        region.level_timed(Level.REDIS, 0.25)
    assert captured.points(names.CACHE_LEVEL_DURATION) == [
        Point({**_NAME, names.CACHE_LEVEL: "redis"}, 0.5, 2)
    ]
    assert region.counts().level_times == {"redis": (65, 16.25)}


def test_failsafe_is_told_at_once_and_then_every_ten_seconds_with_how_often(
    captured: Capture, region: RegionMeasures, now: _Now
) -> None:
    region.failsafe(KeyError("secret"))
    region.failsafe()
    now.s += FAILSAFE_TOLD_EVERY_S
    region.failsafe()
    assert captured.events() == [
        RecordedLogEvent(
            names.EVENT_FAILSAFE,
            "WARN",
            {**_NAME, names.CACHE_FAILSAFE_COUNT: 1, ERROR_TYPE: "KeyError"},
            "Region quotes gives old values: a load failed with KeyError",
        ),
        RecordedLogEvent(
            names.EVENT_FAILSAFE,
            "WARN",
            {**_NAME, names.CACHE_FAILSAFE_COUNT: 2},
            "Region quotes gives old values: a load took too long",
        ),
    ]


class _Tier:
    """A tier as far as its telemetry looks at it."""

    level = Level.DISK
    is_available = True
    reason = ""
    size_bytes = 4096

    def statistics(self) -> _Tier:
        return self


class _Link:
    """A link whose breaker a test moves."""

    def __init__(self, now: _Now) -> None:
        self.breaker = Breaker(failures=1, now_s=now)
        self.failures = {"timeout": 3, "refused": 1}

    def statistics(self) -> _Link:
        return self


class _Redis:
    level = Level.REDIS
    is_available = True
    lag_s: float | None = None

    def __init__(self, now: _Now) -> None:
        self.link = _Link(now)


def test_an_outage_of_redis_is_told_once_and_its_breaker_is_a_gauge(
    captured: Capture, measures: Measures, now: _Now
) -> None:
    redis: Any = _Redis(now)
    breaker, states = redis.link.breaker, list[float]()
    kept = measures.tier("bot", redis)
    states.append(captured.points(names.CACHE_BREAKER_STATE)[0].value)
    breaker.failed(breaker.admit())
    states.append(captured.points(names.CACHE_BREAKER_STATE)[0].value)
    now.s += 2
    ticket = breaker.admit()
    states.append(captured.points(names.CACHE_BREAKER_STATE)[0].value)
    breaker.failed(ticket)
    now.s += 4
    breaker.succeeded(breaker.admit())
    breaker.failed(breaker.admit())
    of_tier = {names.CACHE_NAME: "bot", names.CACHE_LEVEL: "redis"}
    lost = RecordedLogEvent(
        names.EVENT_TIER_UNAVAILABLE,
        "WARN",
        {**of_tier, names.CACHE_REASON: "timeout"},
        "The cache goes on without redis: timeout",
    )
    assert states == [0, 2, 1]
    assert (kept.breaker, repr(kept).startswith("<TierMeasures bot ")) == ("open", True)
    assert captured.events() == [
        lost,
        _breaker_change("closed", "open"),
        _breaker_change("open", "probing"),
        _breaker_change("probing", "open"),
        _breaker_change("open", "probing"),
        _breaker_change("probing", "closed"),
        lost,
        _breaker_change("closed", "open"),
    ]


def _breaker_change(previous: str, new: str) -> RecordedLogEvent:
    return RecordedLogEvent(
        names.EVENT_BREAKER_CHANGE,
        "WARN" if new == "open" else "INFO",
        {
            names.CACHE_NAME: "bot",
            names.CACHE_LEVEL: "redis",
            names.CACHE_BREAKER_FROM: previous,
            names.CACHE_BREAKER_TO: new,
        },
        f"The breaker of redis is {new}",
    )


def test_a_disk_that_is_off_is_told_once_and_again_after_it_was_back(
    captured: Capture, measures: Measures
) -> None:
    disk: Any = _Tier()
    tier = measures.tier("bot", disk)
    tier.look()
    for reason in ("full", "full", "", "full", "closed"):
        disk.reason = reason
        tier.look()
    assert [event.attributes[names.CACHE_REASON] for event in captured.events()] == ["full", "full"]
    assert captured.points(names.CACHE_BREAKER_STATE) == []
    assert captured.points(names.CACHE_SIZE) == [
        Point({names.CACHE_NAME: "bot", names.CACHE_LEVEL: "disk"}, 4096)
    ]


def test_the_lag_of_invalidations_is_what_the_tier_says(
    captured: Capture, measures: Measures, now: _Now
) -> None:
    redis: Any = _Redis(now)
    kept = measures.tier("bot", redis)
    assert captured.points(names.CACHE_INVALIDATION_LAG) == []
    redis.lag_s = 0.002
    assert captured.points(names.CACHE_INVALIDATION_LAG) == [Point({names.CACHE_NAME: "bot"}, 0.002)]
    assert kept.lag_s == 0.002


def test_a_change_of_the_policy_is_an_event(captured: Capture, region: RegionMeasures) -> None:
    region.policy_changed("s3fifo", "lru")
    assert captured.events() == [
        RecordedLogEvent(
            names.EVENT_POLICY_CHANGE,
            "INFO",
            {**_NAME, names.CACHE_POLICY_FROM: "s3fifo", names.CACHE_POLICY_TO: "lru"},
            "Region quotes goes by lru instead of s3fifo",
        )
    ]


def test_a_warming_tells_its_progress_and_its_end(captured: Capture, region: RegionMeasures) -> None:
    region.warmed(WarmProgress("quotes", 10, loaded=3, present=1, elapsed_s=5.0))
    region.warmed(
        WarmProgress("quotes", 10, loaded=6, present=1, failed=2, elapsed_s=9.0, outcome=WarmOutcome.DEADLINE)
    )
    assert captured.events() == [
        RecordedLogEvent(
            names.EVENT_WARM_PROGRESS,
            "INFO",
            {
                **_NAME,
                names.CACHE_WARM_PLANNED: 10,
                names.CACHE_WARM_LOADED: 3,
                names.CACHE_WARM_PRESENT: 1,
                names.CACHE_WARM_FAILED: 0,
                names.CACHE_WARM_ELAPSED: 5.0,
            },
            "Region quotes warms: 4 of 10 keys",
        ),
        RecordedLogEvent(
            names.EVENT_WARM_FINISH,
            "WARN",
            {
                **_NAME,
                names.CACHE_WARM_PLANNED: 10,
                names.CACHE_WARM_LOADED: 6,
                names.CACHE_WARM_PRESENT: 1,
                names.CACHE_WARM_FAILED: 2,
                names.CACHE_WARM_ELAPSED: 9.0,
                names.CACHE_WARM_OUTCOME: "deadline",
            },
            "Region quotes is warm: 9 of 10 keys, 2 failed (deadline)",
        ),
    ]


def test_the_local_root_span_tells_what_its_trace_found(captured: Capture, region: RegionMeasures) -> None:
    stop = tallies.install(captured.tracer_provider)
    tracer = captured.tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("decide"):
        region.found(Result.HIT)
        with tracer.start_as_current_span("ask"):
            for result in (Result.HIT, Result.MISS, Result.NEGATIVE, Result.STALE):
                region.found(result)
    with tracer.start_as_current_span("idle"):
        pass
    stop()
    with tracer.start_as_current_span("later"):
        region.found(Result.HIT)
    assert [(span.name, span.attributes) for span in captured.spans()] == [
        ("decide", {names.CACHE_HITS: 2, names.CACHE_MISSES: 2, names.CACHE_STALE: 1}),
        ("ask", {}),
        ("idle", {}),
        ("later", {}),
    ]


def test_a_forked_child_counts_from_zero(
    captured: Capture, measures: Measures, region: RegionMeasures, memory: MemoryTier
) -> None:
    memory.get_nowait("a")
    region.coalesced()
    measures.after_fork_in_child()
    memory.get_nowait("a")
    memory.get_nowait("a")
    assert captured.points(names.CACHE_REQUESTS) == [Point(_asked("memory", "get", "miss"), 2)]
    assert captured.points(names.CACHE_LOAD_COALESCED) == [Point(_NAME, 0)]


_CALLS: tuple[Callable[[], object], ...] = (
    lambda: SILENT.load_ended(SILENT.load_started(LoadTrigger.MISS)),
    SILENT.coalesced,
    SILENT.failsafe,
    lambda: SILENT.level_timed(Level.REDIS, 1.0),
    lambda: SILENT.lower_request(Level.REDIS, Operation.GET, Result.HIT),
    lambda: SILENT.invalidation(InvalidationSource.LOCAL),
    lambda: SILENT.found(Result.HIT),
    lambda: SILENT.policy_changed("s3fifo", "lru"),
    lambda: SILENT.warmed(WarmProgress("quotes", 1)),
)


def test_the_silent_one_takes_everything() -> None:
    assert [call() for call in _CALLS] == [None] * len(_CALLS)
