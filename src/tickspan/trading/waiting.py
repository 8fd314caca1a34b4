"""Reports of orders that nobody knows yet: kept for a moment, since a fill may outrun its acknowledgement."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tickspan.trading.model import OrderKey, OrderUpdate


@dataclass(frozen=True, slots=True, eq=False)
class _Guest:
    keys: tuple[OrderKey, ...]
    update: OrderUpdate
    arrived_ns: int


class WaitingRoom:
    """At most `limit` reports, first in, first out. Not thread-safe: the registry's lock covers it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[_Guest] = deque()
        self._names: Counter[OrderKey] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def expects(self, keys: Iterable[OrderKey]) -> bool:
        """Whether a report under one of these names waits already."""
        return any(key in self._names for key in keys)

    def admit(self, keys: tuple[OrderKey, ...], update: OrderUpdate, now_ns: int) -> OrderUpdate | None:
        """Let the report wait; returns the one that had to leave for it, if one had."""
        pushed_out = self._pop() if len(self._waiting) >= self._limit else None
        self._waiting.append(_Guest(keys, update, now_ns))
        self._names.update(keys)
        return pushed_out

    def take(self, keys: Collection[OrderKey]) -> list[OrderUpdate]:
        """The reports that one of `keys` names, in the order of their arrival; they wait no longer."""
        if not self._waiting or not self.expects(keys):
            return []
        called = [guest for guest in self._waiting if any(key in keys for key in guest.keys)]
        self._waiting = deque(guest for guest in self._waiting if guest not in called)
        for guest in called:
            self._forget(guest)
        return [guest.update for guest in called]

    def leave(self, arrived_until_ns: int) -> list[OrderUpdate]:
        """The reports that have waited since that moment or longer; they wait no longer."""
        left: list[OrderUpdate] = []
        while self._waiting and self._waiting[0].arrived_ns <= arrived_until_ns:
            left.append(self._pop())
        return left

    def _pop(self) -> OrderUpdate:
        guest = self._waiting.popleft()
        self._forget(guest)
        return guest.update

    def _forget(self, guest: _Guest) -> None:
        for key in guest.keys:
            self._names[key] -= 1
            if not self._names[key]:
                del self._names[key]
