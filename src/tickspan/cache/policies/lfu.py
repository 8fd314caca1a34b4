"""LFU whose counts grow old: who was asked for least lately leaves first."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from typing import Final

from tickspan.cache.entry import Key
from tickspan.cache.policies.replacement import Weighed
from tickspan.cache.rules import Policy

__all__ = ["Lfu"]

_LIFE: Final = 2.0
"""A count is worth half after so many evictions for each resident key."""
_SLACK: Final = 64


class _Counted:
    """A key's uses: their weight as a logarithm to base 2, and how many of the item's are in it."""

    __slots__ = ("item", "key", "seen", "weight")

    def __init__(self, key: Key, item: Weighed, weight: float) -> None:
        self.key = key
        self.item = item
        self.weight = weight
        self.seen = item.frequency


class Lfu:
    """Forward decay (Cormode et al., ICDE 2009): later uses weigh more, so that nothing has to be halved.

    A use weighs 2^age, where `age` grows by one with every `_LIFE` evictions for each resident key. The heap
    is mended when its top has been used since: a weight can only have grown.
    """

    __slots__ = ("_age", "_counted", "_heap", "_number", "policy", "touch")

    def __init__(self) -> None:
        self.policy = Policy.LFU
        self.touch: Callable[[Key], object] | None = None
        self._age = 0.0
        self._number = 0
        self._counted: dict[Key, _Counted] = {}
        self._heap: list[tuple[float, int, _Counted]] = []

    def __repr__(self) -> str:
        return f"<Lfu {len(self._counted)}>"

    def __len__(self) -> int:
        return len(self._counted)

    def __iter__(self) -> Iterator[Key]:
        ordered = sorted(self._counted.values(), key=lambda counted: (counted.weight, counted.item.frequency))
        return iter([counted.key for counted in ordered])

    def add(self, key: Key, item: Weighed) -> None:
        """With the weight of one use now."""
        counted = self._counted[key] = _Counted(key, item, self._age)
        self._push(counted)
        if len(self._heap) > 2 * len(self._counted) + _SLACK:
            self._heap = [entry for entry in self._heap if self._counted.get(entry[2].key) is entry[2]]
            heapq.heapify(self._heap)

    def replace(self, key: Key, item: Weighed) -> None:
        """Same weight, other value; the uses of the old one are carried over by whoever replaces it."""
        counted = self._counted.get(key)
        if counted is not None:
            counted.item = item

    def remove(self, key: Key) -> None:
        """Its place in the heap stays until it comes up."""
        self._counted.pop(key, None)

    def victim(self) -> Key | None:
        """The one of least weight."""
        while self._heap:
            counted = self._heap[0][2]
            if self._counted.get(counted.key) is not counted:
                heapq.heappop(self._heap)
                continue
            frequency = counted.item.frequency
            if frequency > counted.seen:
                counted.weight = _sum(counted.weight, math.log2(frequency - counted.seen) + self._age)
                counted.seen = frequency
                self._number += 1
                heapq.heapreplace(self._heap, (counted.weight, self._number, counted))
                continue
            heapq.heappop(self._heap)
            self._age += 1 / (_LIFE * len(self._counted))
            del self._counted[counted.key]
            return counted.key
        return None

    def _push(self, counted: _Counted) -> None:
        self._number += 1
        heapq.heappush(self._heap, (counted.weight, self._number, counted))


def _sum(one: float, other: float) -> float:
    """The logarithm of the sum of two numbers given by theirs, to base 2."""
    larger, smaller = (one, other) if one > other else (other, one)
    return larger + math.log2(1 + 2 ** (smaller - larger))
