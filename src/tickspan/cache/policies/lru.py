"""LRU: who was not asked for the longest leaves first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from tickspan.cache.entry import Key
from tickspan.cache.policies.replacement import Weighed
from tickspan.cache.rules import Policy

__all__ = ["Lru"]


class Lru:
    """Keys by their last use. A use is one call into C, which the interpreter's lock makes one step."""

    __slots__ = ("_order", "policy", "touch")

    def __init__(self) -> None:
        self.policy = Policy.LRU
        self._order: OrderedDict[Key, None] = OrderedDict()
        self.touch: Callable[[Key], object] | None = self._order.move_to_end

    def __repr__(self) -> str:
        return f"<Lru {len(self._order)}>"

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._order))

    def add(self, key: Key, _item: Weighed) -> None:
        """The one used last."""
        self._order[key] = None

    def replace(self, _key: Key, _item: Weighed) -> None:
        """A write is no use."""

    def remove(self, key: Key) -> None:
        """Out of the order."""
        self._order.pop(key, None)

    def victim(self) -> Key | None:
        """The one not used the longest."""
        return self._order.popitem(last=False)[0] if self._order else None
