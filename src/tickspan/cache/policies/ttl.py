"""TTL: who expires first leaves first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Final

from tickspan.cache.entry import Key
from tickspan.cache.policies.replacement import Weighed
from tickspan.cache.rules import Policy

__all__ = ["Ttl"]

_SLACK: Final = 64


class Ttl:
    """Keys by the end of their freshness; of equals, those that came first. Uses do not matter."""

    __slots__ = ("_heap", "_items", "_number", "policy", "touch")

    def __init__(self) -> None:
        self.policy = Policy.TTL
        self.touch: Callable[[Key], object] | None = None
        self._number = 0
        self._items: dict[Key, Weighed] = {}
        self._heap: list[tuple[float, int, Key, Weighed]] = []

    def __repr__(self) -> str:
        return f"<Ttl {len(self._items)}>"

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Key]:
        return iter(sorted(self._items, key=lambda key: self._items[key].until))

    def add(self, key: Key, item: Weighed) -> None:
        """By the time until which it is fresh."""
        self._items[key] = item
        self._push(key, item)
        if len(self._heap) > 2 * len(self._items) + _SLACK:
            self._heap = [entry for entry in self._heap if self._items.get(entry[2]) is entry[3]]
            heapq.heapify(self._heap)

    def replace(self, key: Key, item: Weighed) -> None:
        """A place by the new time."""
        self.add(key, item)

    def remove(self, key: Key) -> None:
        """Its place in the heap stays until it comes up."""
        self._items.pop(key, None)

    def victim(self) -> Key | None:
        """The one that expires first; a life that was prolonged meanwhile counts."""
        while self._heap:
            until, _, key, item = heapq.heappop(self._heap)
            if self._items.get(key) is not item:
                continue
            if item.until > until:
                self._push(key, item)
                continue
            del self._items[key]
            return key
        return None

    def _push(self, key: Key, item: Weighed) -> None:
        self._number += 1
        heapq.heappush(self._heap, (item.until, self._number, key, item))
