"""Shadow: what other policies and other capacities would hit, told from a sample of the keys."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from tickspan.cache.entry import Key
from tickspan.cache.policies import Replacement, hash_of, replacement
from tickspan.cache.rules import Policy

__all__ = ["CANDIDATES", "Shadow", "Simulation", "leader"]

CANDIDATES: Final = (Policy.LRU, Policy.S3FIFO, Policy.W_TINYLFU)
"""Among whom `adaptive` chooses."""
_LEAD: Final = 0.01
"""One point: by how much another one must hit more, in two windows, to be chosen."""
_LARGEST_SHIFT: Final = 6
_SMALLEST_SAMPLE: Final = 64
_SMALLEST_TOLD: Final = 16
"""A simulation of fewer entries tells too little to act on."""
_WINDOW_PER_ENTRY: Final = 10
_SMALLEST_WINDOW: Final = 1000
_UNHEARD: Final = 4096

_USED: Final = 0
_STALE: Final = 1
_LEFT: Final = 2


class _Footprint:
    """What a simulation keeps of a value."""

    __slots__ = ("frequency", "until")

    def __init__(self) -> None:
        self.frequency = 0
        self.until = math.inf


class Simulation:
    """One policy at one capacity, over keys without values."""

    __slots__ = ("_order", "_resident", "asked", "capacity", "hits")

    def __init__(self, policy: Policy, capacity: int) -> None:
        self.capacity = capacity
        self.hits = 0
        self.asked = 0
        self._order: Replacement = replacement(policy, capacity)
        self._resident: dict[Key, _Footprint] = {}

    def __repr__(self) -> str:
        return f"<Simulation {self._order.policy} of {self.capacity}, {self.hits}/{self.asked} hits>"

    def use(self, key: Key) -> None:
        """Ask for `key`, and store it if it is not there."""
        self.asked += 1
        footprint = self._resident.get(key)
        if footprint is None:
            self._add(key)
            return
        self.hits += 1
        footprint.frequency += 1
        if self._order.touch is not None:
            self._order.touch(key)

    def leave(self, key: Key) -> None:
        """`key` expired or was invalidated."""
        if self._resident.pop(key, None) is not None:
            self._order.remove(key)

    def turn(self, expected: float) -> float:
        """The hit ratio since the last turn, from 0 to 1; counting begins anew.

        Args:
            expected: how many uses a fair sample would have had. What is missing are uses of the few hottest
                keys, which would have been hits (SHARDS-adj, Waldspurger et al., FAST 2015).
        """
        ratio = (self.hits + expected - self.asked) / expected if expected else 0.0
        self.hits = self.asked = 0
        return min(max(ratio, 0.0), 1.0)

    def _add(self, key: Key) -> None:
        while len(self._resident) >= self.capacity:
            victim = self._order.victim()
            if victim is None:
                break
            del self._resident[victim]
        footprint = self._resident[key] = _Footprint()
        self._order.add(key, footprint)


def leader(ratios: Mapping[Policy, float], current: Policy) -> Policy | None:
    """Who hits more than `current` by a point or more, and most of all; None if nobody does."""
    best = max(ratios, key=lambda policy: ratios[policy])
    return best if ratios[best] - ratios.get(current, 0.0) >= _LEAD else None


class Shadow:
    """Replays the uses of sampled keys, so that a policy can be chosen and a capacity be judged.

    One key in `2 ** shift` is sampled, by its hash: one in 64, or more where that would leave fewer than 64
    entries. Readers only put down what they did (`used`, `was_stale`, `left`: one append to a bounded deque,
    any thread); `settle` replays it, by one thread at a time. Of more than 4096 that wait the oldest are
    forgotten.
    """

    __slots__ = (
        "_asked_before",
        "_candidates",
        "_challenger",
        "_half",
        "_is_torn",
        "_mask",
        "_twice",
        "ghost_double",
        "ghost_half",
        "heard",
        "policy",
        "seed",
        "shift",
    )

    def __init__(self, policy: Policy, capacity: int, *, seed: int = 0, asked: int = 0) -> None:
        self.shift = _shift(capacity)
        self.seed = seed
        self._mask = (1 << self.shift) - 1
        self.policy = Policy.S3FIFO if policy is Policy.ADAPTIVE else policy
        """The one in use."""
        sampled = max(1, capacity >> self.shift)
        chosen_from = CANDIDATES if policy is Policy.ADAPTIVE else ()
        self._candidates = {candidate: Simulation(candidate, sampled) for candidate in chosen_from}
        self._challenger: Policy | None = None
        self._haunt(sampled)
        self._asked_before = asked
        self._is_torn = False
        self.heard: deque[tuple[int, Key]] = deque(maxlen=_UNHEARD)
        """What waits to be replayed."""
        self.ghost_half: float | None = None
        self.ghost_double: float | None = None

    def __repr__(self) -> str:
        chosen = f" of {len(self._candidates)}" if self._candidates else ""
        return f"<Shadow {self.policy}{chosen}, 1 key in {1 << self.shift}, {len(self.heard)} uses unheard>"

    def is_sampled(self, key: Key) -> bool:
        """Whether `key` belongs to the sample: the same answer in every process of the same seed."""
        return not hash_of(key, self.seed) & self._mask

    def used(self, key: Key) -> None:
        """A sampled key was asked for, and was there or was missing."""
        self.heard.append((_USED, key))

    def was_stale(self, key: Key) -> None:
        """A sampled key was asked for and was too old, which no capacity would have helped."""
        self.heard.append((_STALE, key))

    def left(self, key: Key) -> None:
        """A sampled key expired or was invalidated."""
        self.heard.append((_LEFT, key))

    def settle(self, limit: int, capacity: int, asked: Callable[[], int]) -> Policy | None:
        """Replay up to `limit` uses.

        Args:
            limit: of uses.
            capacity: how many entries the tier holds when it is full.
            asked: tells how often the tier was asked for any key.

        Returns:
            The policy to change to, once; else None.
        """
        heard = self.heard
        window = _window(capacity >> self.shift)
        change = None
        self._is_torn = self._is_torn or len(heard) == _UNHEARD
        for _ in range(min(limit, len(heard))):
            what, key = heard.popleft()
            for simulation in (*self._candidates.values(), self._half, self._twice):
                if what == _USED:
                    simulation.use(key)
                elif what == _LEFT:
                    simulation.leave(key)
                else:
                    simulation.asked += 1
            if self._half.asked >= window:
                change = self._turn(capacity >> self.shift, asked()) or change
        return change

    def _turn(self, sampled: int, asked: int) -> Policy | None:
        """The end of a window: what it told, and whom to change to."""
        fair = (asked - self._asked_before) / (1 << self.shift)
        self._asked_before = asked
        expected = float(self._half.asked) if self._is_torn else fair
        self._is_torn = False
        half, double = self._half.turn(expected), self._twice.turn(expected)
        ratios = {policy: simulation.turn(expected) for policy, simulation in self._candidates.items()}
        # A simulation of a capacity that is far from the tier's tells nothing about it.
        is_telling = sampled >= _SMALLEST_TOLD and sampled <= self._twice.capacity <= 4 * sampled
        self.ghost_half = _smoothed(self.ghost_half, half) if is_telling else None
        self.ghost_double = _smoothed(self.ghost_double, double) if is_telling else None
        self._resize(sampled)
        ahead = leader(ratios, self.policy) if ratios and is_telling else None
        is_confirmed = ahead is not None and ahead is self._challenger
        self._challenger = None if is_confirmed else ahead
        if not is_confirmed or ahead is None:
            return None
        self.policy = ahead
        self._haunt(sampled)
        return ahead

    def _resize(self, sampled: int) -> None:
        sampled = max(1, sampled)
        for simulation in self._candidates.values():
            simulation.capacity = sampled
        self._half.capacity, self._twice.capacity = max(1, sampled // 2), 2 * sampled

    def _haunt(self, sampled: int) -> None:
        self._half = Simulation(self.policy, max(1, sampled // 2))
        self._twice = Simulation(self.policy, 2 * sampled)


def _shift(capacity: int) -> int:
    """The logarithm of one in how many keys is sampled."""
    return min(_LARGEST_SHIFT, max(0, (capacity // _SMALLEST_SAMPLE).bit_length() - 1))


def _smoothed(before: float | None, ratio: float) -> float:
    """One window tells little: a new one counts for a quarter."""
    return ratio if before is None else before + (ratio - before) / 4


def _window(sampled: int) -> int:
    """How many uses of sampled keys are compared at once."""
    return max(_SMALLEST_WINDOW, _WINDOW_PER_ENTRY * sampled)
