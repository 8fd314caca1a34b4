"""S3-FIFO: three queues, so that what came once leaves soon (Yang et al., SOSP 2023, algorithm 1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from tickspan.cache.entry import Key
from tickspan.cache.policies.replacement import Weighed
from tickspan.cache.rules import Policy

__all__ = ["S3Fifo"]

_MOST_FREQUENT: Final = 3
_ROUNDS: Final = 4
"""Without new uses the fourth finds a victim; readers may go on using what is looked at."""
_SMALL_SHARE: Final = 10
"""The small queue aims at one in so many."""


class S3Fifo:
    """A small queue for newcomers, a main one for those used twice there, a ghost of who left the small one.

    The queues' shares are of what is resident, so one rule serves limits of entries and of bytes. The ghost
    holds as many keys as the main queue may.
    """

    __slots__ = ("_ghost", "_main", "_small", "policy", "touch")

    def __init__(self) -> None:
        self.policy = Policy.S3FIFO
        self.touch: Callable[[Key], object] | None = None
        self._small: OrderedDict[Key, Weighed] = OrderedDict()
        self._main: OrderedDict[Key, Weighed] = OrderedDict()
        self._ghost: OrderedDict[Key, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<S3Fifo {len(self._small)} small, {len(self._main)} main, {len(self._ghost)} ghosts>"

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    def __iter__(self) -> Iterator[Key]:
        yield from self._small
        yield from self._main

    def add(self, key: Key, item: Weighed) -> None:
        """Into the main queue if it left lately, else into the small one."""
        if key in self._ghost:
            del self._ghost[key]
            self._main[key] = item
        else:
            self._small[key] = item

    def replace(self, key: Key, item: Weighed) -> None:
        """Same place, other value."""
        queue = self._small if key in self._small else self._main
        queue[key] = item

    def remove(self, key: Key) -> None:
        """Out of its queue, without a ghost."""
        if self._small.pop(key, None) is None:
            self._main.pop(key, None)

    def victim(self) -> Key | None:
        """The oldest unused one, of the small queue while that holds its share."""
        resident = len(self._small) + len(self._main)
        while self._small and (len(self._small) * _SMALL_SHARE >= resident or not self._main):
            key, item = self._small.popitem(last=False)
            if item.frequency <= 1:
                self._haunt(key, resident)
                return key
            item.frequency = 0
            self._main[key] = item
        return self._main_victim()

    def _main_victim(self) -> Key | None:
        """The oldest that was not used since it was last looked at; after four rounds the oldest of all."""
        main = self._main
        for _ in range(_ROUNDS * len(main)):
            key, item = main.popitem(last=False)
            frequency = item.frequency
            if frequency <= 0:
                return key
            item.frequency = min(frequency, _MOST_FREQUENT) - 1
            main[key] = item
        return main.popitem(last=False)[0] if main else None

    def _haunt(self, key: Key, resident: int) -> None:
        ghost = self._ghost
        ghost[key] = None
        while len(ghost) > max(1, resident - resident // _SMALL_SHARE):
            ghost.popitem(last=False)
