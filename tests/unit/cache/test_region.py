"""A region over memory alone: lifetimes, loads, failures, tags, versions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from doubles import DAY_MS, Door, Hands

from tickspan.cache import ABSENT, Cache, Entry, Isolation, Level, Region

SOON_S = 5.0


@dataclass(frozen=True, slots=True)
class Fill:
    order: int
    price: Decimal


class Source:
    """A loader that gives what it is told, and counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.gives: Any = "loaded"
        self.cost: Callable[[], object] = lambda: None

    def __call__(self) -> Any:
        self.calls += 1
        self.cost()
        if isinstance(self.gives, BaseException):
            raise self.gives
        return self.gives


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture(params=["blocking", "asynchronous"])
def opened(request: pytest.FixtureRequest, hands: Hands) -> Callable[..., Door]:
    """A region of given rules, by one of its doors."""

    def open_region(type_: Any = None, **rules: Any) -> Door:
        cache = Cache(clock=hands.clock, random=Random(1))
        region = cache.region("fills", type_, **{"jitter": 0.0, "early_refresh": 0.0, **rules})
        return Door(region, is_async=request.param == "asynchronous")

    return open_region


def test_what_was_set_is_there_until_its_ttl(opened: Callable[..., Door], hands: Hands):
    region = opened(ttl_s=10)
    region.set("a", {"x": 1})
    hands.move(9.9)
    before = region.get("a")
    hands.move(0.2)
    assert (before, region.get("a"), region.get("a", "default")) == ({"x": 1}, None, "default")


def test_a_ttl_of_its_own_goes_before_the_regions(opened: Callable[..., Door], hands: Hands):
    region = opened(ttl_s=10)
    region.set("a", 1, ttl_s=20)
    region.set("b", 1, ttl_s=1)
    hands.move(15)
    assert region.get_many(["a", "b"]) == {"a": 1}


def test_lifetimes_are_shortened_by_chance_and_never_lengthened(hands: Hands):
    region = Cache(clock=hands.clock, random=Random(1)).region("fills", ttl_s=100, jitter=0.2)
    for number in range(100):
        region.set_nowait(number, number)
    items = [region.memory.peek(number) for number in range(100)]
    lives = sorted(item.soft_at - hands.now_s for item in items if item is not None)
    assert (80 <= lives[0] < 84, 96 < lives[-1] <= 100, len(set(lives))) == (True, True, 100)


def test_a_fresh_value_is_not_loaded_and_a_missing_one_is(opened: Callable[..., Door], source: Source):
    region = opened()
    assert [region.get_or_load("a", source) for _ in range(3)] == ["loaded"] * 3
    assert (source.calls, region.get("a")) == (1, "loaded")


def test_past_its_ttl_a_value_is_loaded_anew(opened: Callable[..., Door], hands: Hands, source: Source):
    region = opened(ttl_s=10)
    region.get_or_load("a", source)
    source.gives = "new"
    hands.move(11)
    assert (region.get_or_load("a", source), source.calls) == ("new", 2)


def test_the_loaders_own_exception_passes_and_is_not_kept(opened: Callable[..., Door], source: Source):
    region = opened()
    source.gives = error = LookupError("no")
    with pytest.raises(LookupError) as caught:
        region.get_or_load("a", source)
    source.gives = "found"
    assert (caught.value is error, region.get_or_load("a", source)) == (True, "found")


def test_an_old_value_stands_in_for_a_load_that_fails(
    opened: Callable[..., Door], hands: Hands, source: Source
):
    region = opened(ttl_s=10, failsafe_throttle_s=2)
    region.get_or_load("a", source)
    source.gives = LookupError("no")
    hands.move(11)
    assert [region.get_or_load("a", source) for _ in range(3)] == ["loaded"] * 3
    assert (source.calls, region.get_entry("a")) == (2, Entry("loaded", 11.0, Level.MEMORY, is_stale=True))
    hands.move(3)
    assert (region.get_or_load("a", source), source.calls) == ("loaded", 3)


def test_nothing_stands_in_past_the_hard_ttl(opened: Callable[..., Door], hands: Hands, source: Source):
    region = opened(ttl_s=10, hard_ttl_s=30, failsafe_throttle_s=100)
    region.get_or_load("a", source)
    source.gives = LookupError("no")
    hands.move(29)
    assert region.get_or_load("a", source) == "loaded"
    hands.move(2)
    with pytest.raises(LookupError):
        region.get_or_load("a", source)
    assert region.get("a") is None


def test_nothing_is_served_past_max_age_whatever_has_failed(
    opened: Callable[..., Door], hands: Hands, source: Source
):
    region = opened(ttl_s=10, hard_ttl_s=100, max_age_s=12, failsafe_throttle_s=100)
    region.get_or_load("a", source)
    source.gives = LookupError("no")
    hands.move(11)
    assert region.get_or_load("a", source) == "loaded"
    hands.move(1.5)
    with pytest.raises(LookupError):
        region.get_or_load("a", source)
    assert (region.get("a"), region.get_entry("a"), region.get_many(["a"])) == (None, None, {})


def test_age_counts_from_the_event_that_a_value_tells(opened: Callable[..., Door], hands: Hands):
    region = opened(ttl_s=10, max_age_s=10)
    told_at = DAY_MS / 1000 + hands.now_s - 6
    assert region.set("a", 1, as_of=told_at) is True
    hands.move(3)
    entry = region.get_entry("a")
    hands.move(2)
    assert (entry, region.get("a")) == (Entry(1, 9.0, Level.MEMORY), None)


def test_a_value_that_is_too_old_already_or_comes_from_the_future_is_not_kept(
    opened: Callable[..., Door], hands: Hands
):
    region = opened(ttl_s=10, max_age_s=10)
    now = DAY_MS / 1000 + hands.now_s
    told = [
        region.set("old", 1, as_of=now - 11),
        region.set("future", 1, as_of=now + 1.1),
        region.set("soon", 1, as_of=datetime.fromtimestamp(now + 0.9, UTC)),
    ]
    assert (told, region.get_many(["old", "future", "soon"])) == ([False, False, True], {"soon": 1})


def test_absence_is_remembered_as_long_as_the_rules_say(
    opened: Callable[..., Door], hands: Hands, source: Source
):
    region = opened(negative_ttl_s=5)
    source.gives = ABSENT
    assert [region.get_or_load("a", source) is ABSENT for _ in range(3)] == [True] * 3
    assert (source.calls, region.get("a", "default"), region.get_entry("a")) == (1, "default", None)
    hands.move(6)
    assert (region.get_or_load("a", source) is ABSENT, source.calls) == (True, 2)


def test_absence_takes_the_place_of_an_old_value(opened: Callable[..., Door], hands: Hands, source: Source):
    region = opened(ttl_s=10)
    region.set("a", "old")
    source.gives = ABSENT
    hands.move(11)
    assert region.get_or_load("a", source) is ABSENT
    source.gives = LookupError("no")
    with pytest.raises(LookupError):
        region.get_or_load("a", source)


def test_an_invalidated_value_is_gone_also_as_a_stand_in(
    opened: Callable[..., Door], hands: Hands, source: Source
):
    region = opened(ttl_s=10)
    region.set("a", 1)
    region.invalidate("a")
    source.gives = LookupError("no")
    hands.move(11)
    with pytest.raises(LookupError):
        region.get_or_load("a", source)


def test_a_tag_voids_what_has_it_and_nothing_else(opened: Callable[..., Door]):
    region = opened()
    region.set("a", 1, tags=["usd", "spot"])
    region.set("b", 2, tags=["usd"])
    region.set("c", 3, tags=["eur"])
    region.invalidate_tag("usd")
    region.set("b", 4, tags=["usd"])
    assert region.get_many(["a", "b", "c"]) == {"b": 4, "c": 3}


def test_a_prefix_voids_the_keys_below_it(opened: Callable[..., Door]):
    region = opened()
    keys = ["AAPL", "AAP", ("AAPL", 1), ("AAPL", 2), ("AAP", 1), 7]
    for key in keys:
        region.set(key, 1)
    assert (region.invalidate_prefix("AAPL"), set(region.get_many(keys))) == (3, {"AAP", ("AAP", 1), 7})


def test_a_prefix_of_parts_voids_itself_and_what_has_more_parts(opened: Callable[..., Door]):
    region = opened()
    keys = [("x", "a"), ("x", "a", 1), ("x", "ab"), ("x",), "x"]
    for key in keys:
        region.set(key, 1)
    assert (region.invalidate_prefix(("x", "a")), set(region.get_many(keys))) == (
        2,
        {("x", "ab"), ("x",), "x"},
    )


def test_clear_voids_everything(opened: Callable[..., Door]):
    region = opened()
    region.set("a", 1)
    region.set("b", 1)
    region.clear()
    region.set("b", 2)
    assert region.get_many(["a", "b"]) == {"b": 2}


def test_an_older_version_does_not_take_the_place_of_a_newer_one(opened: Callable[..., Door]):
    region = opened()
    told = [region.set("a", "two", version=2), region.set("a", "one", version=1)]
    entry = region.get_entry("a")
    assert (told, entry, region.set("a", "three", version=3)) == (
        [True, False],
        Entry("two", 0.0, Level.MEMORY, version=2),
        True,
    )


def test_too_large_a_value_is_returned_and_not_kept(opened: Callable[..., Door], source: Source):
    region = opened(max_value_bytes=100)
    region.set("a", "small")
    source.gives = "x" * 200
    assert (
        region.set("a", "x" * 200),
        region.get("a"),
        region.get_or_load("a", source),
        region.get("a"),
    ) == (
        False,
        None,
        "x" * 200,
        None,
    )


def test_nobody_alters_what_others_get(opened: Callable[..., Door], source: Source):
    region = opened()
    value = {"bids": [1]}
    region.set("a", value)
    value["bids"].append(2)
    region.get("a")["bids"].append(3)
    source.gives = {"asks": [1]}
    region.get_or_load("b", source)["asks"].append(2)
    assert (region.get("a"), region.get("b")) == ({"bids": [1]}, {"asks": [1]})


def test_immutable_values_of_a_typed_region_are_shared(opened: Callable[..., Door]):
    region = opened(Fill)
    fill = Fill(1, Decimal("1.1"))
    region.set("a", fill)
    assert region.get("a") is fill


def test_isolation_can_be_chosen(opened: Callable[..., Door]):
    decoded = opened(Fill, isolate=Isolation.DECODED)
    fill = Fill(1, Decimal("1.1"))
    decoded.set("a", fill)
    shared = opened(isolate=Isolation.SHARED)
    value = {object(): {1}}
    shared.set("a", value)
    assert (decoded.get("a") is fill, decoded.get("a") == fill, shared.get("a") is value) == (
        False,
        True,
        True,
    )


def test_a_value_that_would_come_back_changed_is_refused_in_memory_too(
    opened: Callable[..., Door], source: Source
):
    region = opened()
    source.gives = {"price": Decimal(1)}
    with pytest.raises(TypeError, match=r"the Decimal at \$\.price"):
        region.set("a", {"price": Decimal(1)})
    with pytest.raises(TypeError, match=r"the Decimal at \$\.price"):
        region.get_or_load("a", source)


@pytest.mark.parametrize("key", [True, 1.0, None, b"a", (), (1, True), ("x" * 513,)])
def test_what_is_no_key_is_a_type_error_everywhere(opened: Callable[..., Door], source: Source, key: Any):
    region = opened()
    region.set(1, "one")
    region.set((1, 1), "both")
    calls: list[Callable[[], Any]] = [
        lambda: region.get(key),
        lambda: region.get_many([key]),
        lambda: region.get_entry(key),
        lambda: region.set(key, 1),
        lambda: region.get_or_load(key, source),
        lambda: region.load(key, source),
        lambda: region.invalidate(key),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="key: expected"):
            call()
    assert source.calls == 0


def test_tags_are_several_str(opened: Callable[..., Door]):
    region = opened()
    with pytest.raises(TypeError, match="tags: expected several str, got one str"):
        region.set("a", 1, tags="usd")
    with pytest.raises(TypeError, match="tag: expected a str"):
        region.set("a", 1, tags=[7])


@pytest.mark.parametrize(
    ("terms", "problem"),
    [
        ({"ttl_s": 0}, "ttl_s: expected a number of seconds above 0"),
        ({"ttl_s": float("nan")}, "ttl_s: expected a number"),
        ({"version": 0}, "version: expected 1 to"),
        ({"as_of": datetime(2026, 1, 1)}, "as_of: expected a datetime with a time zone"),  # noqa: DTZ001 - refused
        ({"as_of": -1.0}, "as_of: expected seconds since 1970"),
    ],
)
def test_terms_out_of_range_are_value_errors(opened: Callable[..., Door], terms: Any, problem: str):
    with pytest.raises(ValueError, match=problem):
        opened().set("a", 1, **terms)


def test_a_costly_value_is_loaded_anew_before_it_expires(hands: Hands, source: Source):
    region = Cache(clock=hands.clock, random=Random(1)).region("fills", ttl_s=10, jitter=0.0)
    source.cost = lambda: hands.move(1)
    region.sync.get_or_load("a", source)
    source.cost = lambda: None
    source.gives = "new"
    hands.move(0.5)
    early = {region.sync.get_or_load("a", source) for _ in range(50)}
    calls_early = source.calls
    hands.move(9.45)
    late = region.sync.get_or_load("a", source)
    for _ in until(lambda: region.get_nowait("a") == "new"):
        region.sync.get_or_load("a", source)
    assert (early, calls_early, late, source.calls) == ({"loaded"}, 1, "loaded", 2)


def test_in_an_event_loop_it_is_loaded_anew_in_a_task(hands: Hands, source: Source):
    region = Cache(clock=hands.clock, random=Random(1)).region("fills", ttl_s=10, jitter=0.0)
    source.cost = lambda: hands.move(1)

    async def story() -> tuple[str, str]:
        await region.get_or_load("a", source)
        source.cost = lambda: None
        source.gives = "new"
        hands.move(9.95)
        late = await region.get_or_load("a", source)
        while region.get_nowait("a") != "new":
            await region.get_or_load("a", source)
            await asyncio.sleep(0.001)
        return late, await region.get_or_load("a", source)

    assert (asyncio.run(asyncio.wait_for(story(), SOON_S)), source.calls) == (("loaded", "new"), 2)


def test_a_refresh_that_fails_is_not_tried_again_at_once(hands: Hands, source: Source):
    region = Cache(clock=hands.clock, random=Random(1)).region(
        "fills", ttl_s=100, jitter=0.0, failsafe_throttle_s=5
    )
    source.cost = lambda: hands.move(50)
    region.sync.get_or_load("a", source)
    source.cost = lambda: None
    source.gives = LookupError("no")
    hands.move(99.9)
    for _ in until(lambda: source.calls == 2 and not len(region.stack.flights)):
        region.sync.get_or_load("a", source)
    given = {region.sync.get_or_load("a", source) for _ in range(20)}
    assert (given, source.calls) == ({"loaded"}, 2)


def test_past_the_soft_limit_an_old_value_is_given_and_the_load_goes_on(hands: Hands, source: Source):
    region = Cache(clock=hands.clock, random=Random(1)).region(
        "fills", ttl_s=10, jitter=0.0, load_soft_timeout_s=0.02
    )
    gate = threading.Event()
    region.set_nowait("a", "old")
    hands.move(11)
    source.cost = lambda: gate.wait(SOON_S)
    source.gives = "new"
    began_behind = region.sync.get_or_load("a", source)
    gate.set()
    for _ in until(lambda: region.get_nowait("a") == "new"):
        pass
    assert (began_behind, source.calls) == ("old", 1)


def test_load_loads_whatever_is_held_and_passes_errors(opened: Callable[..., Door], source: Source):
    region = opened()
    region.set("a", "held")
    assert (region.load("a", source), region.get("a")) == ("loaded", "loaded")
    source.gives = LookupError("no")
    with pytest.raises(LookupError):
        region.load("a", source)
    assert region.get("a") == "loaded"


def test_a_load_that_began_before_an_invalidation_does_not_store(opened: Callable[..., Door], source: Source):
    region = opened()
    source.cost = lambda: region._region.invalidate_nowait("a")
    assert (region.get_or_load("a", source), region.get("a")) == ("loaded", None)


CHANGES: dict[str, Callable[[Region[Any]], object]] = {
    "tag": lambda region: region.sync.invalidate_tag("usd"),
    "prefix": lambda region: region.sync.invalidate_prefix("a"),
    "clear": lambda region: region.sync.clear(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nor_before_an_invalidation_of_its_tag_its_prefix_or_everything(
    opened: Callable[..., Door], source: Source, change: str
):
    region = opened()
    source.cost = lambda: CHANGES[change](region._region)
    assert (region.get_or_load("a", source, tags=["usd"]), region.get("a")) == ("loaded", None)


def test_a_load_that_began_before_a_set_does_not_replace_it(opened: Callable[..., Door], source: Source):
    region = opened()
    source.cost = lambda: region._region.set_nowait("a", "set")
    assert (region.get_or_load("a", source), region.get("a")) == ("loaded", "set")


def test_who_asks_after_an_invalidation_does_not_get_what_was_under_way(hands: Hands):
    region = Cache(clock=hands.clock).region("fills")
    began, gate = threading.Event(), threading.Event()

    def slow() -> str:
        began.set()
        gate.wait(SOON_S)
        return "before"

    thread = threading.Thread(target=region.sync.get_or_load, args=("a", slow))
    thread.start()
    began.wait(SOON_S)
    region.invalidate_nowait("a")
    after = region.sync.get_or_load("a", lambda: "after")
    gate.set()
    thread.join(SOON_S)
    assert (after, region.get_nowait("a")) == ("after", "after")


def test_statistics_count_hits_misses_and_stale_answers(
    opened: Callable[..., Door], hands: Hands, source: Source
):
    region = opened(ttl_s=10, negative_ttl_s=5)
    region.get_or_load("a", source)
    region.get("a")
    hands.move(11)
    source.gives = LookupError("no")
    region.get_or_load("a", source)
    told = region._region.memory.statistics()
    assert (told.hits, told.misses, told.stale, told.entries) == (1, 1, 1, 1)


def test_a_region_shows_what_a_human_needs(hands: Hands):
    region = Cache(clock=hands.clock).region("fills", Fill, max_entries=5)
    region.set_nowait("a", Fill(1, Decimal(1)))
    assert repr(region).startswith("<Region fills, Fill, <MemoryTier s3fifo 1/5 entries")
    assert repr(region.sync).startswith("<SyncRegion of <Region fills")


def until(condition: Callable[[], bool]) -> Iterator[None]:
    """Look again, a little later, until `condition` holds."""
    waiting = threading.Event()
    for _ in range(500):
        if condition():
            return
        yield
        waiting.wait(0.01)
    raise AssertionError("it did not come about")
