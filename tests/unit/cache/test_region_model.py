"""Two processes over a server and a disk that fail at random: no call raises, no old value is fresh.

Values are numbers that grow, so that a later one is a newer one. For each key the model remembers the least
number that a process may still be given.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from doubles import Hands, Shelf
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tickspan.cache import Cache, Level, Region
from tickspan.cache.tiers import AnyRequest, Read

MAX_AGE_S = 15.0
UNTRACKED_S = 1.0
RULES: dict[str, Any] = {
    "ttl_s": 5.0,
    "hard_ttl_s": 60.0,
    "max_age_s": MAX_AGE_S,
    "failsafe_throttle_s": 2.0,
    "untracked_ttl_s": UNTRACKED_S,
    "load_soft_timeout_s": 5.0,  # loads behind a caller would make the order of things a matter of chance
    "early_refresh": 0.0,
    "flight": "process",  # who waits for another process's claim waits for a clock that stands still here
}
KEYS = st.sampled_from(["a", "b", ("a", 1)])
PROCESSES = st.sampled_from([0, 1])
FAILURES: dict[str, Callable[[Random], Callable[[AnyRequest], bool]]] = {
    "none": lambda _: lambda _request: False,
    "all": lambda _: lambda _request: True,
    "reads": lambda _: lambda request: isinstance(request, Read),
    "changes": lambda _: lambda request: not isinstance(request, Read),
    "some": lambda random: lambda _request: random.random() < 0.4,
}


class LoadFailedError(Exception):
    """The loader's own."""


class TwoProcesses(RuleBasedStateMachine):
    """What callers do, what fails, and what they may see."""

    tiers: tuple[Level, ...] = ()
    near = False

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.hands = Hands()
        self.random = Random(seed)
        self.shelves = {level: Shelf(level, self.hands) for level in self.tiers}
        self.regions: list[Region[Any]] = []
        for number in range(2):
            cache = Cache(
                namespace="bot",
                tiers=tuple(self.shelves.values()),
                clock=self.hands.clock,
                random=Random(seed + number),
            )
            self.regions.append(cache.region("quotes2", **RULES, near=self.near))
        self.number = 0
        self.made_at: dict[int, float] = {}
        self.stands_in_until: dict[tuple[int, Any], float] = {}
        self.least = [dict[Any, int](), dict[Any, int]()]
        """What a process may be given at least, since it has changed the key itself."""
        self.least_of_all: dict[Any, tuple[int, float]] = {}
        """What any process may be given as fresh at least, and from when on."""

    @property
    def is_partitioned(self) -> bool:
        """Whether the server has not heard of a change yet: then it can tell nobody of it."""
        return self.near and self.shelves[Level.REDIS].has_missed

    def new(self) -> int:
        self.number += 1
        self.made_at[self.number] = self.hands.now_s
        return self.number

    def changed(self, process: int, key: Any, least: int) -> None:
        self.least[process][key] = least
        self.least_of_all[key] = (least, self.hands.now_s + UNTRACKED_S)

    def check(self, process: int, key: Any, value: int | None, *, is_fresh: bool) -> None:
        if value is None:
            return
        age_s = self.hands.now_s - self.made_at[value]
        assert age_s <= MAX_AGE_S, f"{key} is {age_s} s old"
        assert value >= self.least[process].get(key, 0), f"{key}: older than what this process has made void"
        least, from_s = self.least_of_all.get(key, (0, 0.0))
        stands_in = self.hands.now_s <= self.stands_in_until.get((process, key), 0.0)
        if is_fresh and not stands_in and self.hands.now_s > from_s and not self.is_partitioned:
            assert value >= least, f"{key}: older than what another process has made void"

    @invariant()
    def all_is_done_behind(self) -> None:
        for region in self.regions:
            assert region.stack.behind.drain(5)

    @rule(process=PROCESSES, key=KEYS, is_tagged=st.booleans(), behind=st.booleans())
    def set(self, process: int, key: Any, is_tagged: bool, behind: bool) -> None:
        value = self.new()
        tags = ("t",) if is_tagged else ()
        region = self.regions[process]
        if behind:
            assert region.set_nowait(key, value, tags=tags)
            assert region.stack.behind.drain(5)
        else:
            assert region.sync.set(key, value, tags=tags)
        self.changed(process, key, value)

    @rule(process=PROCESSES, key=KEYS)
    def get(self, process: int, key: Any) -> None:
        self.check(process, key, self.regions[process].sync.get(key), is_fresh=True)

    @rule(process=PROCESSES, key=KEYS)
    def get_nowait(self, process: int, key: Any) -> None:
        self.check(process, key, self.regions[process].get_nowait(key), is_fresh=True)

    @rule(process=PROCESSES)
    def get_many(self, process: int) -> None:
        for key, value in self.regions[process].sync.get_many(["a", "b", ("a", 1)]).items():
            self.check(process, key, value, is_fresh=True)

    @rule(process=PROCESSES, key=KEYS, is_tagged=st.booleans())
    def load(self, process: int, key: Any, is_tagged: bool) -> None:
        tags = ("t",) if is_tagged else ()
        value = self.regions[process].sync.get_or_load(key, self.new, tags=tags)
        self.check(process, key, value, is_fresh=False)

    @rule(process=PROCESSES, key=KEYS)
    def load_and_fail(self, process: int, key: Any) -> None:
        def fail() -> int:
            raise LoadFailedError

        try:
            value = self.regions[process].sync.get_or_load(key, fail)
        except LoadFailedError:
            return
        self.stands_in_until[process, key] = self.hands.now_s + RULES["failsafe_throttle_s"]
        self.check(process, key, value, is_fresh=False)

    @rule(process=PROCESSES, key=KEYS, other=PROCESSES)
    def load_while_it_is_made_void(self, process: int, key: Any, other: int) -> None:
        def load() -> int:
            value = self.new()
            self.regions[other].sync.invalidate(key)
            self.changed(other, key, self.number + 1)
            return value

        self.regions[process].sync.get_or_load(key, load)

    @rule(process=PROCESSES, key=KEYS, behind=st.booleans())
    def invalidate(self, process: int, key: Any, behind: bool) -> None:
        region = self.regions[process]
        if behind:
            region.invalidate_nowait(key)
            assert region.stack.behind.drain(5)
        else:
            region.sync.invalidate(key)
        self.changed(process, key, self.number + 1)

    @rule(process=PROCESSES)
    def invalidate_prefix(self, process: int) -> None:
        self.regions[process].sync.invalidate_prefix("a")
        for key in ("a", ("a", 1)):
            self.changed(process, key, self.number + 1)

    @rule(process=PROCESSES)
    def clear(self, process: int) -> None:
        self.regions[process].sync.clear()
        for key in ("a", "b", ("a", 1)):
            self.changed(process, key, self.number + 1)

    @rule(process=PROCESSES)
    def set_and_void_by_tag(self, process: int) -> None:
        self.regions[process].sync.set("b", self.new(), tags=["t", "u"])
        self.regions[process].sync.invalidate_tag("u")
        self.changed(process, "b", self.number + 1)

    @rule(seconds=st.sampled_from([0.1, 0.7, 1.5, 4.0, 9.0]))
    def time_passes(self, seconds: float) -> None:
        self.hands.move(seconds)

    @rule(level=st.sampled_from(list(Level)), how=st.sampled_from(sorted(FAILURES)))
    def fails(self, level: Level, how: str) -> None:
        if level in self.shelves:
            self.shelves[level].fails = FAILURES[how](self.random)

    @rule()
    def flush(self) -> None:
        if Level.REDIS in self.shelves:
            self.shelves[Level.REDIS].flush()

    @rule(is_lost=st.booleans())
    def tracker(self, is_lost: bool) -> None:
        if Level.REDIS in self.shelves:
            self.shelves[Level.REDIS].lose(is_lost=is_lost)


@pytest.mark.parametrize(
    ("tiers", "near"),
    [
        ((Level.REDIS,), False),
        ((Level.REDIS,), True),
        ((Level.REDIS, Level.DISK), False),
        ((Level.REDIS, Level.DISK), True),
    ],
    ids=["redis", "near", "redis and disk", "near and disk"],
)
def test_no_value_is_served_that_is_too_old_or_was_made_void(tiers: tuple[Level, ...], near: bool):
    machine = type("Machine", (TwoProcesses,), {"tiers": tiers, "near": near})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.data_too_large,
                HealthCheck.filter_too_much,
            ],
        ),
    )
