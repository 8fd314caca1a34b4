"""The shadow: `adaptive` follows whoever would hit most, and ghosts tell what other capacities would hit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from random import Random

import pytest

from benchmarks.data.traces import TRACES, Trace
from tickspan.cache.entry import EvictionReason, Item
from tickspan.cache.memory import MemoryTier
from tickspan.cache.policies import hash_of
from tickspan.cache.rules import Policy, RegionRules
from tickspan.cache.shadow import CANDIDATES, Shadow, Simulation, leader

CAPACITY = 128
LONG = 16_000


def item(size_bytes: int = 1, *, soft_at: float = math.inf) -> Item:
    return Item("v", soft_at=soft_at, hard_at=math.inf, stored_at_ms=0, size_bytes=size_bytes)


def asked(memory: MemoryTier, trace: Iterable[int]) -> float:
    """The hit ratio of a tier that stores what it misses."""
    for key in trace:
        if memory.get_nowait(key) is None:
            memory.put(key, item())
    return memory.statistics().hit_ratio


def tier(policy: Policy, capacity: int = CAPACITY) -> MemoryTier:
    return MemoryTier(RegionRules(policy=policy, max_entries=capacity), random=Random(3))


def trace(name: str, capacity: int = CAPACITY, length: int = LONG) -> list[int]:
    return list(TRACES[name](Trace(length, 2 * capacity if name == "loop" else 10 * capacity)))


@pytest.mark.parametrize("name", list(TRACES))
def test_adaptive_comes_near_its_best_candidate_whatever_the_trace(name: str) -> None:
    keys = trace(name)
    adaptive = tier(Policy.ADAPTIVE)
    asked(adaptive, keys[: LONG // 2])
    before = adaptive.statistics()
    asked(adaptive, keys[LONG // 2 :])
    after = adaptive.statistics()
    ratio = (after.hits - before.hits) / (LONG // 2)
    best = max(asked(tier(candidate), keys) for candidate in CANDIDATES)
    assert ratio >= best - 0.02


def test_adaptive_changes_its_policy_for_a_loop_and_says_so() -> None:
    told: list[tuple[Policy, Policy]] = []
    rules = RegionRules(policy=Policy.ADAPTIVE, max_entries=CAPACITY)
    memory = MemoryTier(rules, random=Random(3), on_policy=lambda before, after: told.append((before, after)))
    asked(memory, trace("loop"))
    assert (told, memory.statistics().policy) == ([(Policy.S3FIFO, Policy.W_TINYLFU)], Policy.W_TINYLFU)


@pytest.mark.parametrize("policy", [Policy.LRU, Policy.ADAPTIVE])
def test_ghosts_tell_what_half_and_twice_the_capacity_hit(policy: Policy) -> None:
    keys = trace("zipf", 1024, 40_000)
    memory = tier(policy, 1024)
    asked(memory, keys)
    seen = memory.statistics()
    half, double = (asked(tier(policy, capacity), keys) for capacity in (512, 2048))
    assert (seen.ghost_half, seen.ghost_double) == (
        pytest.approx(half, abs=0.06),
        pytest.approx(double, abs=0.06),
    )


def test_hits_of_keys_outside_the_sample_are_not_slowed_by_it() -> None:
    memory = tier(Policy.ADAPTIVE, 10_000)
    for key in range(10_000):
        memory.put(key, item())
    assert (len(memory._hot) > 9700, 100 < len(memory._cold) < 300) == (True, True)


def test_small_tiers_and_those_that_go_by_expiry_have_no_ghosts() -> None:
    small, by_expiry = tier(Policy.S3FIFO, 1000), tier(Policy.TTL, 5000)
    keys = trace("zipf", 1000, 3000)
    asked(small, keys)
    asked(by_expiry, keys)
    seen = small.statistics(), by_expiry.statistics()
    assert [(each.ghost_half, each.ghost_double) for each in seen] == [(None, None)] * 2


@pytest.mark.parametrize(
    ("ratios", "current", "expected"),
    [
        ((0.50, 0.509, 0.30), Policy.LRU, None),
        ((0.50, 0.511, 0.30), Policy.LRU, Policy.S3FIFO),
        ((0.50, 0.511, 0.60), Policy.LRU, Policy.W_TINYLFU),
        ((0.50, 0.511, 0.60), Policy.W_TINYLFU, None),
    ],
)
def test_who_leads_by_a_point_is_the_leader(
    ratios: tuple[float, ...], current: Policy, expected: Policy | None
) -> None:
    assert leader(dict(zip(CANDIDATES, ratios, strict=True)), current) is expected


class Asked:
    """How often a tier was asked: as often as its sample says."""

    def __init__(self, shift: int) -> None:
        self.count = 0
        self.shift = shift

    def __call__(self) -> int:
        return self.count << self.shift


def replayed(shadow: Shadow, told: Asked, keys: Iterable[int], capacity: int = 64) -> list[Policy]:
    """The policies that the shadow chooses on its way."""
    chosen: list[Policy] = []
    for key in keys:
        shadow.used(key)
        told.count += 1
        change = shadow.settle(1, capacity, told)
        if change is not None:
            chosen.append(change)
    return chosen


def test_one_window_is_not_enough_to_change() -> None:
    told = Asked(0)
    shadow = Shadow(Policy.ADAPTIVE, 64)
    keys = [key % 100 for key in range(2000)]
    first = replayed(shadow, told, keys[:1999])
    assert (shadow.shift, first, replayed(shadow, told, keys[1999:])) == (0, [], [Policy.W_TINYLFU])


def test_what_is_stale_or_has_left_is_a_hit_at_no_capacity() -> None:
    told = Asked(0)
    shadow = Shadow(Policy.LRU, 64)
    for _ in range(250):
        told.count += 4
        for happens in (shadow.used, shadow.left, shadow.used, shadow.was_stale, shadow.used):
            happens(1)
            shadow.settle(1, 64, told)
    assert (shadow.ghost_half, shadow.ghost_double) == (0.499, 0.499)


def test_a_sample_that_is_too_small_tells_nothing() -> None:
    told = Asked(0)
    shadow = Shadow(Policy.ADAPTIVE, 64)
    chosen = replayed(shadow, told, [key % 20 for key in range(5000)], capacity=10)
    assert (chosen, shadow.ghost_half, shadow.ghost_double) == ([], None, None)


def test_a_tier_full_of_bytes_is_simulated_with_the_entries_that_it_holds() -> None:
    rules = RegionRules(policy=Policy.LRU, max_entries=2048, max_bytes=10_240, max_value_bytes=10)
    memory = MemoryTier(rules, random=Random(3))
    for key in trace("zipf", 2048, 34_000):
        if memory.get_nowait(key) is None:
            memory.put(key, item(10))
    assert memory._shadow is not None
    assert (memory._shadow._half.capacity, memory._shadow._twice.capacity) == (16, 64)


def test_uses_that_nobody_replays_are_bounded_and_the_oldest_are_forgotten() -> None:
    shadow = Shadow(Policy.LRU, 64)
    for key in range(5000):
        shadow.used(key)
    assert (len(shadow.heard), shadow.heard[0], repr(shadow)) == (
        4096,
        (0, 904),
        "<Shadow lru, 1 key in 1, 4096 uses unheard>",
    )


def test_a_simulation_counts_hits_of_what_it_would_hold() -> None:
    simulation = Simulation(Policy.LRU, 2)
    for key in (1, 2, 1, 3, 2, 1):
        simulation.use(key)
    shown = repr(simulation)
    assert (shown, simulation.turn(6), simulation.turn(0)) == ("<Simulation lru of 2, 1/6 hits>", 1 / 6, 0.0)


def test_the_sample_of_a_seed_is_the_same_everywhere() -> None:
    shadow = Shadow(Policy.ADAPTIVE, 4096, seed=99)
    sampled = [key for key in range(1000) if shadow.is_sampled(key)]
    assert (shadow.shift, sampled) == (6, [key for key in range(1000) if not hash_of(key, 99) & 63])


def test_a_sampled_key_that_is_invalidated_leaves_the_simulations() -> None:
    memory = tier(Policy.ADAPTIVE, 64)
    steps: list[Callable[[], object]] = [
        lambda: memory.put(1, item()),
        lambda: memory.get_nowait(1),
        lambda: memory.drop(1, EvictionReason.EXPLICIT),
        lambda: memory.get_nowait(1),
    ]
    for step in steps:
        step()
    memory.statistics()
    assert memory._shadow is not None
    assert (memory._shadow._half.hits, memory._shadow._half.asked) == (0, 2)
