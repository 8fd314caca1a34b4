"""The memory tier: what it serves, what it keeps, what it counts."""

from __future__ import annotations

import gc
import math
import sys
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tickspan.cache.entry import EpochCell, EvictionReason, Item, Key
from tickspan.cache.memory import MemoryStatistics, MemoryTier
from tickspan.cache.rules import Policy, RegionRules

NONE_EVICTED = dict.fromkeys(EvictionReason, 0)
MISSING = object()


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[..., MemoryTier]


@pytest.fixture
def tier(clock: Clock) -> Make:
    """Makes a tier with some rules changed."""

    def make(on_evicted: Any = None, **rules: Any) -> MemoryTier:
        return MemoryTier(RegionRules(**rules), now_s=clock, random=Random(1), on_evicted=on_evicted)

    return make


def item(value: Any = "v", **more: Any) -> Item:
    given: dict[str, Any] = {"soft_at": 1010.0, "hard_at": 1100.0, "stored_at_ms": 0, "size_bytes": 10}
    return Item(value, **(given | more))


def evicted(tier: MemoryTier) -> dict[EvictionReason, int]:
    return {reason: count for reason, count in tier.statistics().evictions.items() if count}


# What is served.


def test_a_fresh_value_is_a_hit_till_the_end_of_its_freshness(tier: Make, clock: Clock) -> None:
    memory = tier()
    memory.put("AAPL", item(190.5, soft_at=1010.0))
    clock.now_s = 1009.999
    before = memory.get_nowait("AAPL")
    clock.now_s = 1010.0
    assert (before, memory.get_nowait("AAPL", MISSING)) == (190.5, MISSING)


def test_a_stale_value_is_no_hit_but_is_found_until_it_is_dead(tier: Make, clock: Clock) -> None:
    memory = tier()
    stale = item(soft_at=1010.0, hard_at=1100.0)
    memory.put("k", stale)
    clock.now_s = 1099.0
    found = memory.find("k")
    clock.now_s = 1100.0
    assert (found, memory.find("k"), len(memory)) == (stale, None, 0)


def test_a_value_older_than_its_guard_is_served_by_nothing(tier: Make, clock: Clock) -> None:
    memory = tier()
    memory.put("k", item(guard_at=1005.0))
    clock.now_s = 1005.0
    assert (memory.get_nowait("k"), memory.find("k"), evicted(memory)) == (
        None,
        None,
        {EvictionReason.EXPIRED: 1},
    )


def test_a_value_whose_life_was_prolonged_is_a_hit_again(tier: Make, clock: Clock) -> None:
    memory = tier()
    stale = item("old")
    memory.put("k", stale)
    clock.now_s = 1020.0
    before = memory.get_nowait("k")
    stale.until = 1021.0
    assert (before, memory.get_nowait("k")) == (None, "old")


def test_a_value_is_void_once_one_of_its_tags_was_invalidated(tier: Make) -> None:
    memory = tier()
    tag, other = EpochCell("tag", 5), EpochCell("other", 9)
    memory.put("k", item(epochs=((other, 9), (tag, 5))))
    before = memory.get_nowait("k")
    tag.value = 6
    assert (before, memory.get_nowait("k"), memory.find("k"), evicted(memory)) == (
        "v",
        None,
        None,
        {EvictionReason.INVALIDATED: 1},
    )


def test_each_hit_of_an_encoded_value_gets_an_object_of_its_own(tier: Make) -> None:
    memory = tier()
    memory.put("k", item(b"12", decode=list))
    first, second = memory.get_nowait("k"), memory.get_nowait("k")
    assert (first, second, first is second) == ([49, 50], [49, 50], False)


def test_the_knowledge_that_something_is_absent_is_no_hit_but_is_found(tier: Make) -> None:
    memory = tier()
    absent = item(None, is_negative=True)
    memory.put("k", absent)
    assert (memory.get_nowait("k", MISSING), memory.find("k"), memory.statistics().negative) == (
        MISSING,
        absent,
        1,
    )


def test_a_value_takes_the_place_of_its_absence_and_leaves_it_again(tier: Make) -> None:
    memory = tier()
    memory.put("k", item(None, is_negative=True))
    memory.put("k", item("there"))
    there = memory.get_nowait("k")
    memory.put("k", item(None, is_negative=True))
    assert (there, memory.get_nowait("k"), len(memory), memory.size_bytes) == ("there", None, 1, 10)


@pytest.mark.parametrize("key", ["AAPL", 7, ("AAPL", 7)])
def test_keys_are_text_numbers_and_tuples_of_them(tier: Make, key: Key) -> None:
    memory = tier(policy=Policy.ADAPTIVE)
    memory.put(key, item("v"))
    assert (memory.get_nowait(key), memory.keys()) == ("v", [key])


@pytest.mark.parametrize("policy", [Policy.S3FIFO, Policy.ADAPTIVE])
def test_a_look_in_passing_sees_what_is_there_dead_or_alive(tier: Make, clock: Clock, policy: Policy) -> None:
    memory = tier(policy=policy, max_entries=64)
    there = item(is_negative=True), item(soft_at=1001.0, hard_at=1001.0)
    for key, each in zip("ab", there, strict=True):
        memory.put(key, each)
    clock.now_s = 1002.0
    assert ([memory.peek(key) for key in "abc"], len(memory)) == ([*there, None], 2)


# What is kept.


def test_an_older_version_is_refused_and_an_equal_one_is_not(tier: Make) -> None:
    memory = tier()
    stored = [memory.put("k", item(version, version=version)) for version in (5, 4, 5, None)]
    assert (stored, evicted(memory)) == ([True, False, True, True], {EvictionReason.REPLACED: 2})


def test_a_dead_version_refuses_nobody(tier: Make, clock: Clock) -> None:
    memory = tier()
    memory.put("k", item(version=5, soft_at=1001.0, hard_at=1001.0))
    clock.now_s = 1002.0
    assert (memory.put("k", item("new", version=4)), memory.get_nowait("k")) == (True, "new")


def test_a_value_that_is_too_large_is_counted_and_takes_the_older_one_with_it(tier: Make) -> None:
    memory = tier(max_value_bytes=100)
    memory.put("k", item("small"))
    is_stored = memory.put("k", item("large", size_bytes=101))
    assert (is_stored, memory.get_nowait("k"), memory.size_bytes, evicted(memory)) == (
        False,
        None,
        0,
        {EvictionReason.REPLACED: 1, EvictionReason.OVERSIZE: 1},
    )


def test_bytes_are_a_limit_as_the_number_is(tier: Make) -> None:
    memory = tier(max_bytes=100, max_value_bytes=100)
    for key in range(10):
        memory.put(key, item())
    memory.put("large", item(size_bytes=95))
    assert (memory.keys(), memory.size_bytes, evicted(memory)) == (
        ["large"],
        95,
        {EvictionReason.CAPACITY: 10},
    )


def test_a_value_that_grows_in_its_place_makes_room_for_itself(tier: Make) -> None:
    memory = tier(max_bytes=100, max_value_bytes=100, policy=Policy.LRU)
    for key in range(10):
        memory.put(key, item())
    memory.put(9, item("grown", size_bytes=50))
    assert (sorted(map(str, memory.keys())), memory.size_bytes) == (["4", "5", "6", "7", "8", "9"], 100)


def test_an_insertion_removes_a_few_of_the_dead(tier: Make, clock: Clock) -> None:
    memory = tier()
    for key in range(10):
        memory.put(key, item(soft_at=1001.0, hard_at=1001.0))
    clock.now_s = 1003.0
    memory.put("new", item())
    first = len(memory)
    memory.put("newer", item())
    assert (first, len(memory), evicted(memory)) == (7, 4, {EvictionReason.EXPIRED: 8})


def test_values_leave_by_key_by_predicate_and_all_together(tier: Make) -> None:
    memory = tier()
    for key in range(1000):
        memory.put(key, item())
    dropped = memory.drop(0, EvictionReason.EXPLICIT), memory.drop(0, EvictionReason.EXPLICIT)
    slices = memory.drop_where(lambda key: key != 7, EvictionReason.INVALIDATED)
    rest = memory.keys()
    memory.clear(EvictionReason.INVALIDATED)
    assert (dropped, slices, rest, len(memory), memory.size_bytes, evicted(memory)) == (
        (True, False),
        998,
        [7],
        0,
        0,
        {EvictionReason.EXPLICIT: 1, EvictionReason.INVALIDATED: 999},
    )


def test_who_leaves_is_told_with_the_reason(tier: Make) -> None:
    told: list[tuple[Key, Any, EvictionReason]] = []

    def note(key: Key, gone: Item, reason: EvictionReason) -> None:
        told.append((key, gone.payload, reason))

    memory = tier(on_evicted=note, max_entries=1, max_value_bytes=100)
    memory.put("a", item(1))
    memory.put("a", item(2))
    memory.put("b", item(3))
    memory.put("c", item(4, size_bytes=101))
    memory.drop("b", EvictionReason.EXPLICIT)
    assert told == [
        ("a", 1, EvictionReason.REPLACED),
        ("a", 2, EvictionReason.CAPACITY),
        ("c", 4, EvictionReason.OVERSIZE),
        ("b", 3, EvictionReason.EXPLICIT),
    ]


def test_the_keys_used_most_come_first(tier: Make) -> None:
    memory = tier()
    for key, uses in (("a", 1), ("b", 3), ("c", 0), ("d", 2)):
        memory.put(key, item())
        for _ in range(uses):
            memory.get_nowait(key)
    memory.put("absent", item(None, is_negative=True))
    assert memory.keys_by_heat(3) == [("b", 3), ("d", 2), ("a", 1)]


# What changes while it runs.


def test_smaller_limits_hold_at_once(tier: Make) -> None:
    memory = tier()
    for key in range(100):
        memory.put(key, item())
    memory.set_rules(RegionRules(max_entries=10))
    assert (len(memory), evicted(memory)) == (10, {EvictionReason.CAPACITY: 90})


def test_another_policy_takes_over_what_is_there_and_who_bound_the_hit_notices_nothing(tier: Make) -> None:
    memory = tier(max_entries=3)
    get_nowait = memory.get_nowait
    for key in "abc":
        memory.put(key, item(key))
    memory.set_rules(RegionRules(max_entries=3, policy=Policy.LRU))
    values = [get_nowait(key) for key in "cba"]
    memory.put("d", item("d"))
    assert (values, sorted(map(str, memory.keys())), memory.statistics().policy) == (
        ["c", "b", "a"],
        ["a", "b", "d"],
        Policy.LRU,
    )


def test_a_finalizer_may_use_the_cache_while_its_thread_is_within_a_change(tier: Make) -> None:
    memory = tier()
    memory.put("victim", item())

    class Last:
        def __del__(self) -> None:
            memory.drop("victim", EvictionReason.EXPLICIT)
            memory.put("late", item("late"))

    class Clumsy(str):
        __slots__ = ()

        def __hash__(self) -> int:
            Last()
            return super().__hash__()

    memory.put(Clumsy("k"), item("v"))
    assert (memory.get_nowait("late"), memory.get_nowait("victim"), memory.get_nowait("k")) == (
        "late",
        None,
        "v",
    )


def test_a_forked_child_goes_on_with_a_lock_of_its_own(tier: Make) -> None:
    memory = tier()
    memory.put("k", item("v"))
    with memory._lock:
        memory.after_fork_in_child()
    assert (memory.put("l", item("w")), memory.get_nowait("k"), memory.get_nowait("l")) == (True, "v", "w")


def test_a_child_forked_amid_a_change_forgets_everything(tier: Make) -> None:
    memory = tier()
    memory.put("k", item("v"))
    memory._is_changing = True
    memory.after_fork_in_child()
    assert (memory.get_nowait("k"), memory.size_bytes, memory.put("k", item("w"))) == (None, 0, True)


# What is counted.


def test_the_statistics_tell_all_that_was_asked(tier: Make, clock: Clock) -> None:
    memory = tier()
    memory.put("k", item())
    memory.put("absent", item(None, is_negative=True))
    for key in ("k", "k", "absent", "missing"):
        memory.get_nowait(key)
    clock.now_s = 1020.0
    memory.get_nowait("k")
    for result in ("hit", "miss", "stale", "negative", "bypass", "error"):
        memory.count(result)
    assert memory.statistics() == MemoryStatistics(
        hits=3,
        misses=3,
        stale=1,
        negative=2,
        bypasses=1,
        errors=1,
        entries=2,
        size_bytes=20,
        evictions=NONE_EVICTED,
        policy=Policy.S3FIFO,
    )


def test_the_statistics_and_the_tier_show_what_a_human_needs(tier: Make) -> None:
    memory = tier(max_entries=5, max_bytes=100, max_value_bytes=100)
    memory.put("k", item())
    memory.get_nowait("k")
    assert (repr(memory), repr(memory.statistics()), memory.statistics().hit_ratio) == (
        "<MemoryTier s3fifo 1/5 entries, 10/100 bytes>",
        "<MemoryStatistics s3fifo 1 entries, 10 bytes, 1 hits, 0 misses, 0 evictions>",
        1.0,
    )


@pytest.fixture
def restless() -> Any:
    """Threads change as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[int], object], count: int = 4) -> None:
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("policy", list(Policy))
def test_no_count_is_lost_between_threads(policy: Policy) -> None:
    memory = MemoryTier(RegionRules(policy=policy, max_entries=64), random=Random(1))
    keys = tuple(range(32))
    for key in keys:
        memory.put(key, Item(key, soft_at=math.inf, hard_at=math.inf, stored_at_ms=0, size_bytes=1))

    def ask(_number: int) -> None:
        get_nowait, count = memory.get_nowait, memory.count
        for _ in range(200):
            for key in keys:
                get_nowait(key)
                get_nowait("missing")
                count("hit")
                count("stale")

    in_threads(ask)
    seen = memory.statistics()
    assert (seen.hits, seen.misses, seen.stale) == (4 * 200 * 64, 4 * 200 * 32, 4 * 200 * 32)


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("policy", list(Policy))
def test_readers_and_writers_at_once_leave_sums_that_add_up(policy: Policy) -> None:
    memory = MemoryTier(RegionRules(policy=policy, max_entries=50, max_bytes=300, max_value_bytes=20))
    wrong: list[object] = []

    def work(number: int) -> None:
        rng = Random(number)
        for _ in range(1500):
            key = rng.randrange(100)
            value = memory.get_nowait(key)
            if value is None:
                size = rng.randrange(1, 22)
                memory.put(
                    key, Item(key, soft_at=math.inf, hard_at=math.inf, stored_at_ms=0, size_bytes=size)
                )
            elif value != key:
                wrong.append((key, value))
            if rng.random() < 0.02:
                memory.drop(key, EvictionReason.EXPLICIT)

    in_threads(work)
    seen = memory.statistics()
    keys = memory.keys()
    kept = [memory.find(key) for key in keys]
    assert (wrong, seen.hits + seen.misses, seen.size_bytes, len(memory._policy), len(kept) <= 50) == (
        [],
        4 * 1500,
        sum(found.size_bytes for found in kept if found is not None),
        len(kept),
        True,
    )


def test_values_die_outside_the_lock(tier: Make) -> None:
    memory = tier(max_entries=1)
    seen: list[bool] = []

    class Value:
        def __del__(self) -> None:
            seen.append(memory._is_changing)

    memory.put("a", item(Value()))
    memory.put("a", item(Value()))
    memory.put("b", item())
    gc.collect()
    assert seen == [False, False]
