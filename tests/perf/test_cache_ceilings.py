"""How many Python functions a use of the memory tier enters: counted, not timed."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest

from tickspan.cache.entry import EpochCell, Item
from tickspan.cache.memory import MemoryTier
from tickspan.cache.rules import Policy, RegionRules
from tickspan.testing.ceilings import calls_of

pytestmark = pytest.mark.perf

EACH_POLICY = pytest.mark.parametrize("policy", list(Policy))


def item(**more: Any) -> Item:
    return Item("v", soft_at=math.inf, hard_at=math.inf, stored_at_ms=0, size_bytes=1, **more)


def filled(policy: Policy) -> MemoryTier:
    """A thousand values, of sixteen keys one sampled at most."""
    memory = MemoryTier(RegionRules(policy=policy, max_entries=1024), random=Random(1))
    for key in range(1000):
        memory.put(key, item())
    return memory


def outside_the_sample(memory: MemoryTier) -> int:
    return next(key for key in range(1000) if not memory._is_sampled(key))


@EACH_POLICY
def test_a_hit_enters_one_function_whatever_the_policy(policy: Policy) -> None:
    memory = filled(policy)
    assert calls_of(memory.get_nowait, outside_the_sample(memory)) == 1


def test_a_hit_of_a_value_with_tags_enters_one_function() -> None:
    memory = MemoryTier(RegionRules())
    memory.put("k", item(epochs=((EpochCell("a", 1), 1), (EpochCell("b", 2), 2))))
    assert calls_of(memory.get_nowait, "k") == 1


@EACH_POLICY
def test_a_miss_enters_few_functions(policy: Policy) -> None:
    """Five: the hit's, what follows it, whether it is sampled, its hash, the note."""
    assert calls_of(filled(policy).get_nowait, "missing") <= 6


def test_a_hit_of_a_sampled_key_only_puts_down_its_use() -> None:
    """Ten: as a miss, and the note, whether it is dead and when, its use, its value."""
    memory = filled(Policy.ADAPTIVE)
    sampled = next(iter(memory._cold))
    assert calls_of(memory.get_nowait, sampled) <= 12


def test_finding_for_those_who_count_themselves_enters_few_functions() -> None:
    """Four: itself, whether it is dead and when, its use."""
    memory = filled(Policy.S3FIFO)
    assert calls_of(memory.find, outside_the_sample(memory)) <= 5


@EACH_POLICY
def test_replacing_a_value_enters_few_functions(policy: Policy) -> None:
    """Eighteen: a third for the deadlines, a third for the policy and its sample."""
    memory = filled(policy)
    key = outside_the_sample(memory)
    values = [item() for _ in range(4)]
    assert calls_of(lambda: memory.put(key, values.pop())) <= 21
