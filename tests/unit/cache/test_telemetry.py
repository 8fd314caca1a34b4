"""What a cache tells while it is used: the whole story of spans, metrics and events, and no key or value."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest
from doubles import Hands, Shelf

from tickspan.cache import Cache, Level, Region, cached
from tickspan.cache.measuring import SCOPE, Measures
from tickspan.processors import cache as tallies
from tickspan.semconv import cache as names
from tickspan.semconv.common import ERROR_TYPE
from tickspan.testing import Capture, Point, RecordedLogEvent, RecordedSpan, capture

SECRET = "s3cr3t"


@pytest.fixture
def captured() -> Generator[Capture]:
    with capture() as made:
        stop = tallies.install(made.tracer_provider)
        yield made
        stop()


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def measures(captured: Capture, hands: Hands) -> Measures:
    return Measures(
        captured.tracer_provider.get_tracer(SCOPE),
        captured.meter_provider.get_meter(SCOPE),
        captured.logger_provider.get_logger(SCOPE),
        now_s=lambda: hands.now_s,
    )


def _of(region: str, **labels: object) -> dict[str, object]:
    return {names.CACHE_NAME: region, **labels}


def _requests(captured: Capture, region: str) -> dict[tuple[object, ...], float]:
    return {
        tuple(
            point.attributes[key] for key in (names.CACHE_LEVEL, names.CACHE_OPERATION, names.CACHE_RESULT)
        ): point.value
        for point in captured.points(names.CACHE_REQUESTS)
        if point.attributes[names.CACHE_NAME] == region
    }


def test_a_strategy_that_misses_loads_and_hits(captured: Capture, measures: Measures, hands: Hands) -> None:
    cache = Cache(tiers=[Shelf(Level.REDIS, hands)], clock=hands.clock, measures=measures)
    tracer = captured.tracer_provider.get_tracer("strategy")

    async def load() -> str:
        with tracer.start_as_current_span("GET /quote"):
            hands.move(0.25)
        return SECRET

    async def decide() -> None:
        with tracer.start_as_current_span("decide"):
            for _ in range(3):
                await cache.get_or_load(f"key-{SECRET}", load)
            cache.get_nowait(f"key-{SECRET}")
            await cache.get(f"other-{SECRET}")

    asyncio.run(decide())
    assert captured.tree() == "decide\n  cache load default\n    GET /quote"
    assert captured.spans()[:2] == [
        RecordedSpan(
            "decide",
            "internal",
            1,
            1,
            None,
            {names.CACHE_HITS: 3, names.CACHE_MISSES: 2, names.CACHE_STALE: 0},
        ),
        RecordedSpan(
            "cache load default", "internal", 1, 2, 1, _of("default", **{names.CACHE_LOAD_TRIGGER: "miss"})
        ),
    ]
    assert _requests(captured, "default") == {
        ("memory", "get", "hit"): 3,
        ("memory", "get", "miss"): 2,
        ("redis", "get", "miss"): 2,
        ("redis", "set", "stored"): 1,
    }
    assert captured.points(names.CACHE_LOAD_DURATION) == [
        Point(_of("default", **{names.CACHE_LOAD_TRIGGER: "miss"}), 0.25, 1)
    ]
    assert captured.events() == []
    assert SECRET not in repr(captured.received())


def test_an_old_value_that_stands_in_is_told(captured: Capture, measures: Measures, hands: Hands) -> None:
    cache = Cache(clock=hands.clock, measures=measures)
    region = cache.region("risk", ttl_s=1, jitter=0.0)
    region.set_nowait("a", 1)
    hands.move(2)

    def fail() -> int:
        raise LookupError(SECRET)

    tracer = captured.tracer_provider.get_tracer("strategy")
    with tracer.start_as_current_span("decide"):
        assert region.sync.get_or_load("a", fail) == 1
    assert captured.spans() == [
        RecordedSpan(
            "decide",
            "internal",
            1,
            1,
            None,
            {names.CACHE_HITS: 0, names.CACHE_MISSES: 0, names.CACHE_STALE: 1},
        ),
        RecordedSpan(
            "cache load risk",
            "internal",
            1,
            2,
            1,
            _of("risk", **{names.CACHE_LOAD_TRIGGER: "miss", ERROR_TYPE: "LookupError"}),
            status="error",
        ),
    ]
    assert captured.events() == [
        RecordedLogEvent(
            names.EVENT_FAILSAFE,
            "WARN",
            _of("risk", **{names.CACHE_FAILSAFE_COUNT: 1, ERROR_TYPE: "LookupError"}),
            "Region risk gives old values: a load failed with LookupError",
        )
    ]
    assert _requests(captured, "risk") == {("memory", "get", "stale"): 1}
    assert SECRET not in repr(captured.received())


def test_every_hit_is_in_the_tally_also_of_keys_that_are_sampled(
    captured: Capture, measures: Measures, hands: Hands
) -> None:
    region = Cache(clock=hands.clock, measures=measures).region("all", policy="adaptive")
    for number in range(1000):
        region.set_nowait(number, number)
    with captured.tracer_provider.get_tracer("strategy").start_as_current_span("decide"):
        for number in range(1000):
            region.get_nowait(number)
    assert captured.spans()[0].attributes == {
        names.CACHE_HITS: 1000,
        names.CACHE_MISSES: 0,
        names.CACHE_STALE: 0,
    }


def test_a_tier_that_fails_is_counted_by_operation(
    captured: Capture, measures: Measures, hands: Hands
) -> None:
    shelf = Shelf(Level.REDIS, hands)
    cache = Cache(tiers=[shelf], clock=hands.clock, measures=measures)
    shelf.fails = lambda _: True
    cache.sync.set("a", 1)
    assert cache.drain(5)
    shelf.is_available = False
    cache.sync.get("b")
    found = _requests(captured, "default")
    assert found["redis", "set", "error"] == 1
    assert found["redis", "get", "bypass"] == 1


def test_what_others_and_we_invalidate_is_told_apart(
    captured: Capture, measures: Measures, hands: Hands
) -> None:
    cache = Cache(tiers=[Shelf(Level.REDIS, hands)], clock=hands.clock, measures=measures)
    asyncio.run(cache.invalidate("a"))
    asyncio.run(cache.invalidate_tag("t"))
    asyncio.run(cache.clear())
    assert Point(_of("default", **{names.CACHE_INVALIDATION_SOURCE: "local"}), 3) in captured.points(
        names.CACHE_INVALIDATIONS
    )


def test_callers_that_wait_for_one_load_are_counted(
    captured: Capture, measures: Measures, hands: Hands
) -> None:
    cache = Cache(clock=hands.clock, measures=measures)

    @cached(cache)
    async def price(symbol: str) -> str:
        await asyncio.sleep(0)
        return symbol

    async def ask() -> None:
        await asyncio.gather(*(price("AAPL") for _ in range(5)))

    asyncio.run(ask())
    assert captured.points(names.CACHE_LOAD_COALESCED)[0] == Point(_of("default"), 4)
    assert [span.name for span in captured.spans()] == ["cache load default"]


def test_a_change_of_the_policy_is_told_when_it_happens(
    captured: Capture, measures: Measures, hands: Hands
) -> None:
    cache = Cache(clock=hands.clock, measures=measures)
    region = cache.region("small", max_entries=64, policy="adaptive")
    _loop(region)
    chosen = region.memory.statistics().policy
    (event,) = captured.events(names.EVENT_POLICY_CHANGE)
    assert event.attributes == _of(
        "small", **{names.CACHE_POLICY_FROM: "s3fifo", names.CACHE_POLICY_TO: chosen.value}
    )


def _loop(region: Region[int]) -> None:
    """Ask for a hundred keys in turn, of which two thirds fit."""
    for number in range(20_000):
        key = number % 100
        if region.get_nowait(key) is None:
            region.set_nowait(key, 1)


def test_the_ghosts_tell_what_another_capacity_would_give(
    captured: Capture, measures: Measures, hands: Hands
) -> None:
    cache = Cache(clock=hands.clock, measures=measures)
    region = cache.region("small", max_entries=64, policy="adaptive")
    _loop(region)
    factors = [
        (point.attributes[names.CACHE_FACTOR], 0 <= point.value <= 1)
        for point in captured.points(names.CACHE_GHOST_HIT_RATIO)
        if point.attributes[names.CACHE_NAME] == "small"
    ]
    assert factors == [(0.5, True), (2.0, True)]
