"""Policies: who leaves, compared with plain implementations of their own over generated traces."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.data.traces import TRACES, Trace
from tickspan.cache.entry import EvictionReason, Item, Key
from tickspan.cache.memory import MemoryTier
from tickspan.cache.policies import Deadlines, Lfu, Lru, Replacement, S3Fifo, Sketch, Ttl, WTinyLfu, hash_of
from tickspan.cache.rules import Policy, RegionRules

CAPACITY = 100
POLICIES = [Policy.S3FIFO, Policy.LRU, Policy.LFU, Policy.TTL, Policy.W_TINYLFU, Policy.ADAPTIVE]


def item(size_bytes: int = 1, *, until: float = math.inf, version: int | None = None) -> Item:
    return Item("v", soft_at=until, hard_at=math.inf, stored_at_ms=0, size_bytes=size_bytes, version=version)


def hits(policy: Policy, trace: Iterable[int], capacity: int = CAPACITY) -> int:
    """Of a tier that stores what it misses."""
    memory = MemoryTier(RegionRules(policy=policy, max_entries=capacity), random=Random(1))
    for key in trace:
        if memory.get_nowait(key) is None:
            memory.put(key, item())
    return memory.statistics().hits


def plain_s3fifo(trace: Iterable[int], capacity: int) -> int:
    """Algorithm 1 of the paper, written down plainly, with lists for queues."""
    small: deque[int] = deque()
    main: deque[int] = deque()
    ghost: deque[int] = deque()
    frequency: dict[int, int] = {}
    found = 0
    for key in trace:
        if key in frequency:
            found += 1
            frequency[key] = min(frequency[key] + 1, 3)
            continue
        while len(small) + len(main) >= capacity:
            plain_evict(small, main, ghost, frequency, capacity)
        if key in ghost:
            ghost.remove(key)
            main.append(key)
        else:
            small.append(key)
        frequency[key] = 0
    return found


def plain_evict(
    small: deque[int], main: deque[int], ghost: deque[int], frequency: dict[int, int], capacity: int
) -> None:
    if small and (len(small) >= capacity / 10 or not main):
        key = small.popleft()
        if frequency[key] > 1:
            frequency[key] = 0
            main.append(key)
            return
        ghost.append(key)
        if len(ghost) > capacity * 9 // 10:
            ghost.popleft()
    else:
        key = main.popleft()
        if frequency[key] > 0:
            frequency[key] -= 1
            main.append(key)
            return
    del frequency[key]


def plain_lru(trace: Iterable[int], capacity: int) -> int:
    order: OrderedDict[int, None] = OrderedDict()
    found = 0
    for key in trace:
        if key in order:
            found += 1
        elif len(order) >= capacity:
            order.popitem(last=False)
        order[key] = None
        order.move_to_end(key)
    return found


@pytest.mark.parametrize("name", list(TRACES))
def test_s3fifo_hits_exactly_what_the_papers_algorithm_hits(name: str) -> None:
    trace = list(TRACES[name](Trace(8000, 1000)))
    assert hits(Policy.S3FIFO, trace) == plain_s3fifo(trace, CAPACITY)


@pytest.mark.parametrize("name", list(TRACES))
def test_lru_hits_exactly_what_an_ordered_dict_hits(name: str) -> None:
    trace = list(TRACES[name](Trace(8000, 1000)))
    assert hits(Policy.LRU, trace) == plain_lru(trace, CAPACITY)


def test_s3fifo_and_tinylfu_keep_what_is_wanted_through_scans() -> None:
    trace = list(TRACES["scan"](Trace(20_000, 1000)))
    lru, *others = (hits(policy, trace) for policy in (Policy.LRU, Policy.S3FIFO, Policy.W_TINYLFU))
    assert [other > 1.1 * lru for other in others] == [True, True]


def test_tinylfu_keeps_a_part_of_a_loop_of_which_lru_keeps_nothing() -> None:
    trace = list(TRACES["loop"](Trace(20_000, 2 * CAPACITY)))
    assert (hits(Policy.LRU, trace), hits(Policy.W_TINYLFU, trace) > 0.35 * len(trace)) == (0, True)


def test_counts_of_lfu_grow_old_so_that_it_follows_a_hot_set_that_moves() -> None:
    trace = [
        key
        for start in range(0, 5000, 500)
        for key in TRACES["zipf"](Trace(3000, 300))
        for key in (key + start,)
    ]
    assert hits(Policy.LFU, trace) > 0.9 * hits(Policy.LRU, trace)


def test_lfu_keeps_the_keys_used_most() -> None:
    memory = MemoryTier(RegionRules(policy=Policy.LFU, max_entries=10))
    for key in range(10):
        memory.put(key, item())
        for _ in range(key):
            memory.get_nowait(key)
    for key in range(100, 105):
        memory.put(key, item())
        memory.drop(key, EvictionReason.EXPLICIT)
        memory.put(key, item())
    assert {6, 7, 8, 9} <= set(memory.keys())


def test_ttl_lets_go_who_expires_first_and_sees_lives_that_were_prolonged() -> None:
    order = Ttl()
    items = {key: item(until=until) for key, until in (("late", 30.0), ("soon", 10.0), ("middle", 20.0))}
    for key, there in items.items():
        order.add(key, there)
    items["soon"].until = 25.0
    assert [order.victim() for _ in range(4)] == ["middle", "soon", "late", None]


def test_a_use_of_a_key_that_has_just_left_disturbs_nobody() -> None:
    memory = MemoryTier(RegionRules(policy=Policy.LRU, max_entries=2))
    memory.put("k", item())
    memory._policy.remove("k")
    assert (memory.get_nowait("k"), memory.find("k") is not None) == ("v", True)


def built(order: Replacement) -> Replacement:
    for key in "abc":
        order.add(key, item())
    order.replace("b", item())
    order.remove("a")
    order.remove("unknown")
    return order


@pytest.mark.parametrize("order", [S3Fifo(), Lru(), Lfu(), Ttl(), WTinyLfu(10)], ids=repr)
def test_every_policy_knows_what_is_there_and_lets_go_of_each_key_once(order: Replacement) -> None:
    built(order)
    known = len(order), sorted(map(str, order))
    gone = sorted(str(order.victim()) for _ in range(2))
    assert (known, gone, order.victim(), len(order)) == ((2, ["b", "c"]), ["b", "c"], None, 0)


def test_what_policies_are_made_of_shows_itself() -> None:
    orders: list[object] = [built(order) for order in (S3Fifo(), Lru(), Lfu(), Ttl(), WTinyLfu(10))]
    deadlines = Deadlines(1.0)
    deadlines.add("k", 5.0)
    assert [repr(each) for each in (*orders, Sketch(100), deadlines)] == [
        "<S3Fifo 2 small, 0 main, 0 ghosts>",
        "<Lru 2>",
        "<Lfu 2>",
        "<Ttl 2>",
        "<WTinyLfu 1 in the window, 1 on probation, 0 protected>",
        "<Sketch of 100 keys, 512 bytes>",
        "<Deadlines of 1 keys in 1 buckets>",
    ]


# What they stand on.


def test_hashes_are_the_same_in_every_process() -> None:
    hashes = [
        hash_of("AAPL"),
        hash_of("AAPL", 7),
        hash_of(42),
        hash_of(("AAPL", 42)),
        hash_of(("AAPL", "42")),
    ]
    assert hashes == [
        14_039_683_445_941_981_290,
        2_508_623_576_874_683_938,
        13_844_136_247_080_426_468,
        14_058_874_679_338_117_473,
        78_377_267_126_262_017,
    ]


@pytest.mark.parametrize(
    "keys", [range(64_000), [f"AAPL{number}" for number in range(64_000)]], ids=["int", "str"]
)
def test_low_bits_of_hashes_sample_evenly(keys: Iterable[Key]) -> None:
    sampled = sum(not hash_of(key, 12345) & 63 for key in keys)
    assert 850 <= sampled <= 1150


def test_a_sketch_tells_frequent_from_rare_and_forgets_with_time() -> None:
    sketch = Sketch(100)
    for _ in range(12):
        sketch.add("hot")
    sketch.add("cold")
    before = sketch.estimate("hot"), sketch.estimate("cold"), sketch.estimate("unseen")
    for number in range(1000):
        sketch.add(number)
    assert (before, sketch.estimate("hot")) == ((12, 1, 0), 6)


def test_deadlines_tell_the_dead_in_portions_and_forget_the_removed() -> None:
    deadlines = Deadlines(1.0)
    for key, at_s in (("a", 1.2), ("b", 1.4), ("c", 2.5), ("never", math.inf), ("d", 1.3)):
        deadlines.add(key, at_s)
    deadlines.remove("d", 1.3)
    first = deadlines.due(2.0, 10), deadlines.due(2.0, 1)
    for key in ("a", "b"):
        deadlines.remove(key, 1.3)
    assert (first, deadlines.due(2.9, 10), deadlines.due(3.0, 10)) == ((["a", "b"], ["a"]), [], ["c"])


# Properties.

KEYS = st.integers(0, 30)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("get"), KEYS, st.just(0)),
        st.tuples(st.just("find"), KEYS, st.just(0)),
        st.tuples(st.just("put"), KEYS, st.integers(1, 25)),
        st.tuples(st.just("drop"), KEYS, st.just(0)),
        st.tuples(st.just("resize"), st.integers(1, 12), st.integers(20, 90)),
    ),
    max_size=120,
)


def stepped(memory: MemoryTier, step: tuple[str, int, int]) -> tuple[int, int]:
    """The step done; how many values were given, and how many asked for."""
    what, key, size_bytes = step
    match what:
        case "get":
            memory.get_nowait(key)
            return 0, 1
        case "find":
            memory.find(key)
        case "put":
            memory.put(key, item(size_bytes))
            return 1, 0
        case "drop":
            memory.drop(key, EvictionReason.EXPLICIT)
        case _:
            rules = memory._rules
            memory.set_rules(
                rules.replace(max_entries=key, max_bytes=size_bytes, max_value_bytes=min(20, size_bytes))
            )
    return 0, 0


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_limits_hold_and_sums_add_up_after_every_step(
    policy: Policy, steps: list[tuple[str, int, int]]
) -> None:
    memory = MemoryTier(
        RegionRules(policy=policy, max_entries=8, max_bytes=60, max_value_bytes=20), random=Random(1)
    )
    given_away = asked = 0
    for step in steps:
        more = stepped(memory, step)
        given_away, asked = given_away + more[0], asked + more[1]
        seen = memory.statistics()
        keys = memory.keys()
        items = [memory.peek(key) for key in keys]
        assert seen.entries <= memory._rules.max_entries
        assert seen.size_bytes <= memory._rules.max_bytes
        assert seen.size_bytes == sum(there.size_bytes for there in items if there is not None)
        assert sorted(map(str, keys)) == sorted(map(str, memory._policy))
        assert (seen.hits + seen.misses, seen.entries + sum(seen.evictions.values())) == (asked, given_away)
