"""Replacement: what a policy decides, namely which key leaves a full memory tier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from tickspan.cache.entry import Key
from tickspan.cache.rules import Policy

__all__ = ["Replacement", "Weighed"]


class Weighed(Protocol):
    """What a policy knows of a value; readers add one to `frequency` at each use, without a lock."""

    frequency: int
    until: float


class Replacement(Protocol):
    """Order of the keys in memory. All methods but `touch` are called by one thread at a time.

    A use of a key is one more in its item's `frequency`, and a call of `touch` where there is one: by any
    thread, without a lock, also for a key that has just left. A new value under a known key is no use of it.
    """

    policy: Policy
    touch: Callable[[Key], object] | None

    def add(self, key: Key, item: Weighed, /) -> None:
        """A new key is there."""
        ...

    def replace(self, key: Key, item: Weighed, /) -> None:
        """A known key has another value; its place stays."""
        ...

    def remove(self, key: Key, /) -> None:
        """A key has left for another reason than room; unknown ones are ignored."""
        ...

    def victim(self) -> Key | None:
        """The key that has to make room, which is forgotten here; None when there is none."""
        ...

    def __iter__(self) -> Iterator[Key]:
        """All keys, those first that would leave first, as far as that is known."""
        ...

    def __len__(self) -> int: ...
