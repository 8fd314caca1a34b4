"""Which names lead to which order: client ids, venue ids and earlier ids, within a bound."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

from opentelemetry.trace import SpanContext

from tickspan.trading.latency import Point
from tickspan.trading.lifecycle import Order
from tickspan.trading.model import OrderKey, Trigger
from tickspan.trading.moments import Anchor


class Entry:
    """One order as the registry holds it: its state, its points, its place in a trace."""

    __slots__ = (
        "account",
        "anchor",
        "ended_ns",
        "is_inherited",
        "is_written",
        "keys",
        "last_event",
        "order",
        "points",
        "submitted",
        "trigger",
    )

    def __init__(
        self,
        order: Order,
        account: str | None,
        submitted: SpanContext,
        points: dict[Point, int],
        trigger: Trigger,
        anchor: Anchor,
    ) -> None:
        self.order = order
        self.account = account
        self.submitted = submitted
        self.points = points
        self.trigger = trigger
        self.anchor = anchor
        self.keys: tuple[OrderKey, ...] = ()
        self.last_event: SpanContext | None = None
        self.ended_ns: int | None = None
        self.is_written = False
        self.is_inherited = False

    def __repr__(self) -> str:
        ids = ", ".join(sorted(key.id for key in self.keys)) or "no id yet"
        return f"<Entry {self.order.request.venue} {ids}: {self.order.status}>"


class OrderIndex:
    """At most `max_orders` entries; ended ones leave after a while, open ones only under pressure.

    Not thread-safe: the registry's lock covers it.
    """

    def __init__(self, max_orders: int, terminal_ttl_s: float) -> None:
        self._max_orders = max_orders
        self._terminal_ttl_ns = int(terminal_ttl_s * 1e9)
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._by_key: dict[OrderKey, Entry] = {}
        self._ended: deque[Entry] = deque()
        self.evicted = 0
        """Open orders that had to leave."""

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> tuple[Entry, ...]:
        """All entries, oldest first."""
        return tuple(self._entries.values())

    def find(self, keys: Iterable[OrderKey]) -> Entry | None:
        """The entry that the first known key names."""
        return next((self._by_key[key] for key in keys if key in self._by_key), None)

    def add(self, entry: Entry, keys: Iterable[OrderKey], now_ns: int) -> Entry | None:
        """Hold `entry`; returns the open one that had to leave for it, if one had."""
        self._purge(now_ns)
        evicted = self._make_room()
        self._entries[id(entry)] = entry
        self.name(entry, keys)
        return evicted

    def name(self, entry: Entry, keys: Iterable[OrderKey]) -> None:
        """Further names of `entry`; a name that another order has stays with that order."""
        for key in keys:
            if self._by_key.setdefault(key, entry) is entry and key not in entry.keys:
                entry.keys = (*entry.keys, key)

    def end(self, entry: Entry, now_ns: int) -> None:
        """The order is over: it may leave after a while."""
        if entry.ended_ns is None:
            entry.ended_ns = now_ns
            self._ended.append(entry)

    def remove(self, entry: Entry) -> None:
        """Forget `entry` and its names."""
        self._entries.pop(id(entry), None)
        for key in entry.keys:
            if self._by_key.get(key) is entry:
                del self._by_key[key]

    def _purge(self, now_ns: int) -> None:
        while self._ended and now_ns - (self._ended[0].ended_ns or now_ns) > self._terminal_ttl_ns:
            self.remove(self._ended.popleft())

    def _make_room(self) -> Entry | None:
        if len(self._entries) < self._max_orders:
            return None
        if self._ended:
            self.remove(self._ended.popleft())
            return None
        oldest = next(iter(self._entries.values()))
        self.remove(oldest)
        self.evicted += 1
        return oldest
