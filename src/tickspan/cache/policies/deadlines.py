"""Deadlines: which keys are dead by now, without looking at those that are not."""

from __future__ import annotations

import heapq
import math

from tickspan.cache.entry import Key

__all__ = ["Deadlines"]


class Deadlines:
    """Keys by the time of their death, in buckets of `step_s`; a key is due at most one step late.

    Nothing here is kept for keys that were removed. One thread at a time.
    """

    __slots__ = ("_buckets", "_order", "_step_s")

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._buckets: dict[int, dict[Key, None]] = {}
        self._order: list[int] = []

    def __repr__(self) -> str:
        return f"<Deadlines of {sum(map(len, self._buckets.values()))} keys in {len(self._buckets)} buckets>"

    def add(self, key: Key, at_s: float) -> None:
        """`key` dies at `at_s`; never, if that is infinite."""
        if at_s == math.inf:
            return
        number = int(at_s // self._step_s)
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
            heapq.heappush(self._order, number)
        bucket[key] = None

    def remove(self, key: Key, at_s: float) -> None:
        """Forget `key`, which was added with the same `at_s`."""
        if at_s == math.inf:
            return
        number = int(at_s // self._step_s)
        bucket = self._buckets.get(number)
        if bucket is not None:
            bucket.pop(key, None)

    def move(self, key: Key, from_s: float, to_s: float) -> None:
        """Instead of at `from_s` `key` dies at `to_s`."""
        if from_s // self._step_s != to_s // self._step_s:
            self.remove(key, from_s)
            self.add(key, to_s)

    def due(self, now_s: float, limit: int) -> list[Key]:
        """Up to `limit` keys that are dead at `now_s`; they stay until they are removed."""
        found: list[Key] = []
        while self._order and (self._order[0] + 1) * self._step_s <= now_s:
            bucket = self._buckets[self._order[0]]
            if bucket:
                found.extend(key for key, _ in zip(bucket, range(limit), strict=False))
                break
            del self._buckets[heapq.heappop(self._order)]
        return found

    def clear(self) -> None:
        """Forget all."""
        self._buckets.clear()
        self._order.clear()
