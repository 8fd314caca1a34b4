"""Which names lead to which order: client ids, venue ids and earlier ids, within a bound.

A client id leads to the order that had it last; a venue's id stays with the order that had it first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from tickspan.trading import packing
from tickspan.trading.kinds import OrderKind
from tickspan.trading.model import OrderKey
from tickspan.trading.packing import Record

MAX_AWAKE: Final = 512
"""Orders that are kept ready to be worked with; the others sleep packed, at a tenth of the memory."""
MAX_WAKEFUL: Final = 1_024
"""The same, where many have ended and their lives are to be written soon."""

_TOGETHER_NS: Final = 1_000_000_000
"""Orders that end within so short a time share the moment of their end."""

_Place = tuple[str, str | None]


class Entry:
    """One order as the registry holds it. `record` works it out again if it was packed."""

    __slots__ = (
        "client_ids",
        "ended_ns",
        "is_foreign",
        "is_held",
        "is_measured",
        "is_written",
        "kind",
        "newer",
        "older",
        "state",
        "venue_id",
    )

    def __init__(self, kind: OrderKind, record: Record, *, is_foreign: bool = False) -> None:
        self.kind = kind
        self.state: Record | bytes = record
        self.venue_id: str | None = None
        self.client_ids: str | tuple[str, ...] = ()
        """The names by which it is found; one alone is no tuple, which is half as large."""
        self.is_foreign = is_foreign
        """Another process tells its life: it was inherited, or found in the store."""
        self.is_measured = False
        """The stages up to the venue's answer count among the measurements."""
        self.is_written = False
        self.is_held = False
        self.ended_ns: int | None = None
        self.older: Entry | None = None
        self.newer: Entry | None = None

    def __repr__(self) -> str:
        ids = ", ".join([*self.names(), *([self.venue_id] if self.venue_id else ())]) or "no id yet"
        return f"<Entry {self.kind.venue} {ids}: {self.record().order.status}>"

    def names(self) -> tuple[str, ...]:
        """The client ids."""
        return (self.client_ids,) if isinstance(self.client_ids, str) else self.client_ids

    def record(self) -> Record:
        """What is known of the order; a copy, if the entry sleeps."""
        state = self.state
        return packing.unpacked(state, self.venue_id, self.names()) if isinstance(state, bytes) else state


class _Book:
    """The names of one account at one venue."""

    __slots__ = ("clients", "venues")

    def __init__(self) -> None:
        self.clients: dict[str, Entry] = {}
        self.venues: dict[str, Entry] = {}


class OrderIndex:
    """At most `max_orders` entries; ended ones leave after a while, open ones only under pressure.

    Not thread-safe: the registry's lock covers it.
    """

    def __init__(self, max_orders: int, terminal_ttl_s: float) -> None:
        self._max_orders = max_orders
        self._terminal_ttl_ns = int(terminal_ttl_s * 1e9)
        self._books: dict[_Place, _Book] = {}
        self._oldest: Entry | None = None
        self._newest: Entry | None = None
        self._count = 0
        self._ended: deque[Entry] = deque()
        self._last_end_ns = -_TOGETHER_NS
        self._awake: deque[Entry] = deque()
        """The latest to be worked with, and some that sleep again."""
        self.evicted = 0
        """Open orders that had to leave."""

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Entry]:
        """All entries, oldest first."""
        entry = self._oldest
        while entry is not None:
            newer = entry.newer
            yield entry
            entry = newer

    def find(
        self, venue: str, account: str | None, venue_id: str | None, *client_ids: str | None
    ) -> Entry | None:
        """The entry that the venue's id names, else the first client id that is known."""
        book = self._books.get((venue, account))
        if book is None:
            return None
        found = book.venues.get(venue_id) if venue_id is not None else None
        if found is not None:
            return found
        for client_id in client_ids:
            if client_id is not None and (found := book.clients.get(client_id)) is not None:
                return found
        return None

    def find_key(self, key: OrderKey) -> Entry | None:
        """The entry that has this name."""
        book = self._books.get((key.venue, key.account))
        if book is None:
            return None
        return (book.venues if key.is_venue_id else book.clients).get(key.id)

    def add(self, entry: Entry, record: Record, now_ns: int) -> Entry | None:
        """Hold `entry`; returns the open one that had to leave for it, if one had."""
        if self._ended:
            self._purge(now_ns)
        evicted = self._make_room() if self._count >= self._max_orders else None
        entry.is_held = True
        entry.older = self._newest
        if self._newest is None:
            self._oldest = entry
        else:
            self._newest.newer = entry
        self._newest = entry
        self._count += 1
        self.name(entry, record)
        self._wake(entry)
        return evicted

    def name(self, entry: Entry, record: Record) -> None:
        """Its names lead to `entry`, but a venue's id or an open order's client id that is another's."""
        if not entry.is_held:
            return
        order, place = record.order, (entry.kind.venue, entry.kind.account)
        client_ids = order.client_ids
        entry.venue_id = order.venue_id
        entry.client_ids = client_ids[0] if len(client_ids) == 1 else client_ids
        book = self._books.get(place)
        if book is None:
            book = self._books[place] = _Book()
        if order.venue_id is not None:
            book.venues.setdefault(order.venue_id, entry)
        for client_id in client_ids:
            holder = book.clients.setdefault(client_id, entry)
            if holder is not entry and holder.ended_ns is not None and entry.ended_ns is None:
                book.clients[client_id] = entry

    def open(self, entry: Entry) -> Record:
        """What is known of the order, to be changed; others may fall asleep for it."""
        state = entry.state
        if isinstance(state, Record):
            return state
        record = entry.state = entry.record()
        if entry.is_held:
            self._wake(entry)
        return record

    def rest(self, entry: Entry) -> None:
        """Nothing is expected of the order: it may sleep."""
        state = entry.state
        if isinstance(state, Record) and entry.is_held:
            entry.state = packing.packed(state, is_told=entry.is_written)

    def end(self, entry: Entry, now_ns: int) -> None:
        """The order is over: it may leave after a while."""
        if entry.ended_ns is None:
            if now_ns - self._last_end_ns >= _TOGETHER_NS:
                self._last_end_ns = now_ns
            entry.ended_ns = self._last_end_ns
            self._ended.append(entry)

    def remove(self, entry: Entry) -> None:
        """Forget `entry` and its names."""
        if not entry.is_held:
            return
        entry.is_held = False
        self._count -= 1
        self._unlink(entry)
        place = (entry.kind.venue, entry.kind.account)
        book = self._books.get(place)
        if book is None:
            return
        if entry.venue_id is not None and book.venues.get(entry.venue_id) is entry:
            del book.venues[entry.venue_id]
        for client_id in entry.names():
            if book.clients.get(client_id) is entry:
                del book.clients[client_id]
        if not book.venues and not book.clients:
            del self._books[place]

    def _unlink(self, entry: Entry) -> None:
        older, newer = entry.older, entry.newer
        if older is None:
            self._oldest = newer
        else:
            older.newer = newer
        if newer is None:
            self._newest = older
        else:
            newer.older = older
        entry.older = entry.newer = None

    def _wake(self, entry: Entry) -> None:
        """`entry` is worked with; of too many that are awake, the one that is so for longest falls asleep."""
        awake = self._awake
        awake.append(entry)
        if len(awake) <= MAX_AWAKE:
            return
        tired = awake.popleft()
        state = tired.state
        if not isinstance(state, Record) or not tired.is_held:
            return
        is_due = state.order.is_closed and not tired.is_written
        if not state.order.is_settled or (is_due and len(awake) < MAX_WAKEFUL):
            awake.append(tired)  # its call may still mark points, or its life is written soon
        else:
            self.rest(tired)

    def _purge(self, now_ns: int) -> None:
        while self._ended and now_ns - (self._ended[0].ended_ns or now_ns) > self._terminal_ttl_ns:
            self.remove(self._ended.popleft())

    def _make_room(self) -> Entry | None:
        while self._count >= self._max_orders and self._ended:
            self.remove(self._ended.popleft())
        oldest = self._oldest
        if self._count < self._max_orders or oldest is None:
            return None
        self.remove(oldest)
        self.evicted += 1
        return oldest
