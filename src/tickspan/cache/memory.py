"""The memory tier: values of this process, found without a lock, limited in number and bytes."""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any, Final

from tickspan.cache.entry import EvictionReason, Item, Key
from tickspan.cache.policies import Deadlines, Replacement, replacement
from tickspan.cache.rules import Policy, RegionRules
from tickspan.cache.shadow import Shadow
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.processors import cache as tallies

__all__ = ["UNCOUNTED", "MemoryStatistics", "MemoryTier"]

UNCOUNTED: Final = object()
"""As `default` of `get_nowait`: only a hit is counted; whoever asks counts what else becomes of it."""

Evicted = Callable[[Key, Item, EvictionReason], object]
PolicyChanged = Callable[[Policy, Policy], object]

_EXPIRIES: Final = 4
"""How many dead values one insertion removes at most."""
_SLICE: Final = 512
"""How many keys are looked at between two turns of others."""
_COARSEST_S: Final = 1.0
_FINEST_S: Final = 1 / 64
_LARGE: Final = 1024
"""Of so many entries on, one key in sixteen or fewer is sampled: that is worth the ghosts' answers."""
_REPLAYED: Final = 32
"""How many sampled uses an insertion replays at most."""
_REPLAYED_AT_ONCE: Final = 512
_EARLY: Final = (EvictionReason.EXPIRED, EvictionReason.INVALIDATED, EvictionReason.EXPLICIT)
"""Reasons for which a value would have left a memory of any size."""
_RESULTS: Final = ("hit", "miss", "stale", "negative", "bypass", "error")


@dataclass(frozen=True, slots=True)
class MemoryStatistics:
    """What a memory tier has done since it was made, and what it holds."""

    hits: int
    misses: int
    stale: int
    """Answers with a value that stood in for one that could not be loaded."""
    negative: int
    """Answers "there is no such thing"."""
    bypasses: int
    errors: int
    entries: int
    size_bytes: int
    evictions: Mapping[EvictionReason, int]
    policy: Policy
    """The one that decides now; under `adaptive` the one that it has chosen."""
    ghost_half: float | None = None
    """Hit ratio, from 0 to 1, that half the capacity would have had; None where it is not known."""
    ghost_double: float | None = None
    """The same for twice the capacity."""

    @property
    def hit_ratio(self) -> float:
        """Hits of all that asked for a value, from 0 to 1; 0 before the first one."""
        asked = self.hits + self.misses + self.stale + self.negative
        return self.hits / asked if asked else 0.0

    def __repr__(self) -> str:
        return (
            f"<MemoryStatistics {self.policy} {self.entries} entries, {self.size_bytes} bytes,"
            f" {self.hits} hits, {self.misses} misses, {sum(self.evictions.values())} evictions>"
        )


class MemoryTier:
    """Values by key. Readers take no lock; writers hold one for a short time, and evict as the policy says.

    `get_nowait` is an attribute, not a method: one Python function without `self`, for callers to bind as
    their own. With the interpreter's lock no count is lost between threads: between reading and writing a
    count there is no point at which CPython 3.11 to 3.13 changes threads.

    Keys that the shadow samples are kept apart from the others, where `get_nowait` does not find them at
    once: their uses are put down on the way that misses take, and all others pay nothing for the sample.

    What a finalizer or a signal handler changes while its own thread is within a change is done right after
    that. `on_evicted(key, item, reason)`, also for values that were never stored, and
    `on_policy(before, after)`, when `adaptive` has changed its mind, are called outside the lock and must not
    raise.
    """

    get_nowait: Callable[..., Any]
    """`get_nowait(key, default=None)`: the value if it is fresh, else `default`; counts a hit or a miss.

    With `UNCOUNTED` as default only a hit is counted.
    """

    def __init__(
        self,
        rules: RegionRules,
        *,
        now_s: Callable[[], float] = time.monotonic,
        random: Random | None = None,
        on_evicted: Evicted | None = None,
        on_policy: PolicyChanged | None = None,
    ) -> None:
        self._rules = rules
        self._now_s = now_s
        self._seed = (random or Random()).getrandbits(32)  # noqa: S311 - which keys are sampled is no secret
        self._on_evicted = on_evicted
        self._on_policy = on_policy
        self._hot: dict[Key, Item] = {}
        """What `get_nowait` answers from at once."""
        self._cold: dict[Key, Item] = {}
        """What needs another look: sampled keys, and the knowledge that something is absent."""
        self._size_bytes = 0
        self._looked = 0
        self._capacity = rules.max_entries
        self._evictions = dict.fromkeys(EvictionReason, 0)
        self._tallies: dict[str, int] = dict.fromkeys(_RESULTS, 0)
        self._deadlines = Deadlines(min(_COARSEST_S, max(_FINEST_S, rules.hard_s / 64)))
        self.get_nowait, self._hits, self._touch_with = _hot_path(self._hot.get, now_s, self._look_again)
        self._renew_lock()
        self._begin_with(rules)
        renew_after_fork(self)

    def __repr__(self) -> str:
        return (
            f"<MemoryTier {self._policy.policy} {len(self)}/{self._rules.max_entries} entries,"
            f" {self._size_bytes}/{self._rules.max_bytes} bytes>"
        )

    def __len__(self) -> int:
        return len(self._hot) + len(self._cold)

    @property
    def size_bytes(self) -> int:
        """Of all values, as their items tell it."""
        return self._size_bytes

    def peek(self, key: Key) -> Item | None:
        """The item under `key`, dead or alive; no use of it."""
        item = self._hot.get(key)
        return self._cold.get(key) if item is None else item

    def find(self, key: Key) -> Item | None:
        """What may be served under `key`, fresh or not: stale and negative ones, none that is dead or void.

        A use of the key, but counted as nothing: `count` tells what became of it. The shadow only hears of
        what `get_nowait` was asked for.
        """
        item = self._hot.get(key) or self._cold.get(key) or self._hot.get(key)
        if item is None or self._is_dead(key, item):
            return None
        self._use(key, item)
        return item

    def put(self, key: Key, item: Item) -> bool:
        """Store `item`, making room as the policy says. The value before is counted as replaced.

        Returns:
            False when a living item of a higher version is there, or `item` is larger than `max_value_bytes`,
            which also removes what was there.
        """
        done = _Done()
        with self._lock:
            if self._is_changing:
                self._later.append(lambda: self.put(key, item))
                return True
            self._is_changing = True
            try:
                is_stored = self._put(key, item, done)
                if self._shadow is not None and self._shadow.heard:
                    self._settle_shadow(self._shadow, _REPLAYED, done)
            finally:
                self._is_changing = False
        self._tell(done)
        return is_stored

    def drop(self, key: Key, reason: EvictionReason) -> bool:
        """Remove a key; whether it was there."""
        return self._drop((key,), reason) > 0

    def drop_where(self, predicate: Callable[[Key], bool], reason: EvictionReason) -> int:
        """Remove all keys of now that satisfy `predicate`, in slices; how many there were."""
        keys = self.keys()
        dropped = 0
        for start in range(0, len(keys), _SLICE):
            chosen = tuple(key for key in keys[start : start + _SLICE] if predicate(key))
            if chosen:
                dropped += self._drop(chosen, reason)
        return dropped

    def clear(self, reason: EvictionReason) -> None:
        """Remove everything that is there now, in slices."""
        keys = self.keys()
        for start in range(0, len(keys), _SLICE):
            self._drop(tuple(keys[start : start + _SLICE]), reason)

    def keys(self) -> list[Key]:
        """All keys of now, in no order."""
        with self._lock:
            return [*self._hot, *self._cold]

    def keys_by_heat(self, limit: int) -> list[tuple[Key, int]]:
        """The `limit` keys that are used most, with how often as far as that is remembered; none negative."""
        with self._lock:
            found = ((place, key, self.peek(key)) for place, key in enumerate(self._policy))
            heat = [
                (item.frequency, place, key)
                for place, key, item in found
                if item is not None and not item.is_negative
            ]
        return [(key, frequency) for frequency, _, key in heapq.nlargest(limit, heat)]

    def count(self, result: str) -> None:
        """Count an answer that was not `get_nowait`'s: hit, miss, stale, negative, bypass or error."""
        self._tallies[result] += 1

    def statistics(self) -> MemoryStatistics:
        """Counts up to now; exact when no other thread is at work."""
        tallies = self._tallies
        done = _Done()
        with self._lock:
            shadow = self._shadow
            if shadow is not None and not self._is_changing:
                self._settle_shadow(shadow, _REPLAYED_AT_ONCE, done)
            statistics = MemoryStatistics(
                hits=self._hits() + tallies["hit"],
                misses=tallies["miss"],
                stale=tallies["stale"],
                negative=tallies["negative"],
                bypasses=tallies["bypass"],
                errors=tallies["error"],
                entries=len(self),
                size_bytes=self._size_bytes,
                evictions=MappingProxyType(dict(self._evictions)),
                policy=self._policy.policy,
                ghost_half=None if shadow is None else shadow.ghost_half,
                ghost_double=None if shadow is None else shadow.ghost_double,
            )
        self._tell(done)
        return statistics

    def set_rules(self, rules: RegionRules) -> None:
        """Other limits or another policy from now on; what is too much leaves at once."""
        done = _Done()
        with self._lock:
            if self._is_changing:
                self._later.append(lambda: self.set_rules(rules))
                return
            self._is_changing = True
            try:
                before, self._rules = self._rules, rules
                if (before.policy, before.max_entries) != (rules.policy, rules.max_entries):
                    self._begin_with(rules)
                self._make_room(0, 0, done)
            finally:
                self._is_changing = False
        self._tell(done)

    def after_fork_in_child(self) -> None:
        """Forget the parent's lock, and everything if a thread that is not here was changing it."""
        was_changing = self._is_changing
        self._renew_lock()
        if was_changing:
            self._forget()

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()
        self._is_changing = False
        self._later: deque[Callable[[], object]] = deque()

    def _forget(self) -> None:
        self._hot.clear()
        self._cold.clear()
        self._size_bytes = 0
        self._deadlines.clear()
        self._begin_with(self._rules)

    def _begin_with(self, rules: RegionRules) -> None:
        """Take up the policy and the sample of `rules`, with the values that are there."""
        self._capacity = rules.max_entries
        self._shadow = _shadow_of(rules, self._seed, self._asked())
        self._follow(rules.policy)
        for key, item in (*self._hot.items(), *self._cold.items()):
            self._place(key, item, is_sampled=self._is_sampled(key))

    def _follow(self, policy: Policy) -> None:
        """Let `policy` decide from now on; it begins with the order of the one before."""
        before: Iterable[Key] = getattr(self, "_policy", ())
        new = replacement(policy, self._capacity)
        for key in before:
            item = self.peek(key)
            if item is not None:
                new.add(key, item)
        self._policy: Replacement = new
        self._touch_with(new.touch)

    def _place(self, key: Key, item: Item, *, is_sampled: bool) -> None:
        """Readers look in both, so that there is no moment at which they find nothing."""
        into, other = (self._cold, self._hot) if is_sampled or item.is_negative else (self._hot, self._cold)
        into[key] = item
        other.pop(key, None)

    def _look_again(self, key: Key, item: Item | None, default: Any) -> Any:
        """What `get_nowait` could not answer at once."""
        self._looked += 1
        is_apart = item is None
        if item is None:
            item = self._cold.get(key) or self._hot.get(key)
        if item is not None and self._is_dead(key, item):
            item = None
        is_fresh = item is not None and item.until > self._now_s()
        if is_apart and self._shadow is not None and self._shadow.is_sampled(key):
            if item is None or is_fresh:
                self._shadow.used(key)
            else:
                self._shadow.was_stale(key)
        if item is None or not is_fresh:
            if default is not UNCOUNTED:
                self._tallies["miss"] += 1
            return default
        self._use(key, item)
        if item.is_negative:
            if default is not UNCOUNTED:
                self._tallies["negative"] += 1
            return default
        self._tallies["hit"] += 1
        tally = tallies.current.get()
        if tally is not None:
            tally.hits += 1
        return item.value()

    def _use(self, key: Key, item: Item) -> None:
        item.frequency += 1
        touch = self._policy.touch
        if touch is not None:
            try:
                touch(key)
            except KeyError:
                return  # it has just left

    def _is_dead(self, key: Key, item: Item) -> bool:
        """Whether nothing may serve `item` any more; then it is removed."""
        if item.epochs and item.is_void:
            reason = EvictionReason.INVALIDATED
        elif _dies_at(item) <= self._now_s():
            reason = EvictionReason.EXPIRED
        else:
            return False
        self._drop((key,), reason, only=item)
        return True

    def _put(self, key: Key, item: Item, done: _Done) -> bool:
        now_s = self._now_s()
        old = self.peek(key)
        if old is not None and _is_newer(old, item, now_s):
            return False
        if item.size_bytes > self._rules.max_value_bytes:
            if old is not None:
                self._remove(key, old, EvictionReason.REPLACED, done)
            self._evictions[EvictionReason.OVERSIZE] += 1
            done.gone.append((key, item, EvictionReason.OVERSIZE))
            return False
        for dead in self._deadlines.due(now_s, _EXPIRIES):
            if dead != key and (expired := self.peek(dead)) is not None:
                self._remove(dead, expired, EvictionReason.EXPIRED, done)
        if old is None:
            self._make_room(1, item.size_bytes, done)
            self._policy.add(key, item)
            self._deadlines.add(key, _dies_at(item))
            self._place(key, item, is_sampled=self._is_sampled(key))
        else:
            self._replace(key, old, item, done)
        self._size_bytes += item.size_bytes
        if self._size_bytes > self._rules.max_bytes:
            self._make_room(0, 0, done)
        return True

    def _replace(self, key: Key, old: Item, item: Item, done: _Done) -> None:
        self._evictions[EvictionReason.REPLACED] += 1
        done.gone.append((key, old, EvictionReason.REPLACED))
        self._size_bytes -= old.size_bytes
        self._deadlines.move(key, _dies_at(old), _dies_at(item))
        item.frequency = old.frequency
        self._policy.replace(key, item)
        is_sampled = self._is_sampled(key) if old.is_negative else key in self._cold
        self._place(key, item, is_sampled=is_sampled)

    def _make_room(self, entries: int, size_bytes: int, done: _Done) -> None:
        """Evict until there is room for so many more entries and bytes."""
        most_entries = self._rules.max_entries - entries
        most_bytes = self._rules.max_bytes - size_bytes
        while len(self) > most_entries or self._size_bytes > most_bytes:
            self._capacity = len(self)
            key = self._policy.victim()
            if key is None:
                # A change that an interrupt cut short has left a value that the policy does not know.
                key = next(iter(self._hot or self._cold), None)
                if key is None:
                    return
            item = self.peek(key)
            if item is not None:
                self._remove(key, item, EvictionReason.CAPACITY, done)

    def _is_sampled(self, key: Key) -> bool:
        return self._shadow is not None and self._shadow.is_sampled(key)

    def _drop(self, keys: tuple[Key, ...], reason: EvictionReason, *, only: Item | None = None) -> int:
        done = _Done()
        with self._lock:
            if self._is_changing:
                self._later.append(lambda: self._drop(keys, reason, only=only))
                return 0
            self._is_changing = True
            try:
                for key in keys:
                    item = self.peek(key)
                    if item is not None and (only is None or item is only):
                        self._remove(key, item, reason, done)
            finally:
                self._is_changing = False
        dropped = len(done.gone)
        self._tell(done)
        return dropped

    def _remove(self, key: Key, item: Item, reason: EvictionReason, done: _Done) -> None:
        done.gone.append((key, item, reason))
        shadow = self._shadow
        if shadow is not None and reason in _EARLY and key in self._cold and shadow.is_sampled(key):
            shadow.left(key)
        self._hot.pop(key, None)
        self._cold.pop(key, None)
        if reason is not EvictionReason.CAPACITY:
            self._policy.remove(key)
        self._deadlines.remove(key, _dies_at(item))
        self._size_bytes -= item.size_bytes
        self._evictions[reason] += 1

    def _settle_shadow(self, shadow: Shadow, limit: int, done: _Done) -> None:
        chosen = shadow.settle(limit, self._capacity, self._asked)
        if chosen is not None:
            done.change = (self._policy.policy, chosen)
            self._follow(chosen)

    def _asked(self) -> int:
        """How often `get_nowait` was asked for a key."""
        return self._hits() + self._looked

    def _tell(self, done: _Done) -> None:
        """Outside the lock: what was put off, and what others want to know."""
        while self._later:
            self._later.popleft()()
        if self._on_evicted is not None:
            for key, item, reason in done.gone:
                self._on_evicted(key, item, reason)
        if self._on_policy is not None and done.change is not None:
            self._on_policy(*done.change)


class _Done:
    """What a change did, told after it; values that left end their lives here, outside the lock."""

    __slots__ = ("change", "gone")

    def __init__(self) -> None:
        self.gone: list[tuple[Key, Item, EvictionReason]] = []
        self.change: tuple[Policy, Policy] | None = None


def _shadow_of(rules: RegionRules, seed: int, asked: int) -> Shadow | None:
    """None where no sample could tell anything without slowing a good part of the hits."""
    is_small = rules.max_entries < _LARGE
    if rules.policy is not Policy.ADAPTIVE and (is_small or rules.policy is Policy.TTL):
        return None
    return Shadow(rules.policy, rules.max_entries, seed=seed, asked=asked)


def _dies_at(item: Item) -> float:
    """When nothing serves it any more."""
    return min(item.hard_at, item.guard_at)


def _is_newer(old: Item, item: Item, now_s: float) -> bool:
    """Whether `old`, while it lives, has a higher version than `item`."""
    if old.version is None or item.version is None or old.version <= item.version:
        return False
    return _dies_at(old) > now_s and not old.is_void


def _hot_path(  # noqa: C901 - a hit is to be one function
    look: Callable[[Key], Item | None],
    now_s: Callable[[], float],
    look_again: Callable[[Key, Item | None, Any], Any],
) -> tuple[Callable[..., Any], Callable[[], int], Callable[[Callable[[Key], object] | None], None]]:
    """`get_nowait`, the number of its hits, and how to name who hears of each use."""
    hits = 0
    touch: Callable[[Key], object] | None = None
    tally_now = tallies.current.get

    def get_nowait(key: Key, default: Any = None) -> Any:
        nonlocal hits
        item = look(key)
        if item is None or item.until <= now_s():
            return look_again(key, item, default)
        if item.epochs:
            for cell, seen in item.epochs:
                if cell.value > seen:
                    return look_again(key, item, default)
        hits += 1
        tally = tally_now()
        if tally is not None:
            tally.hits += 1
        item.frequency += 1
        told = touch
        if told is not None:
            try:  # noqa: SIM105 - `suppress` would be two more calls
                told(key)
            except KeyError:  # it has just left
                pass
        decode = item.decode
        return item.payload if decode is None else decode(item.payload)

    def hits_so_far() -> int:
        return hits

    def touch_with(other: Callable[[Key], object] | None) -> None:
        nonlocal touch
        touch = other

    return get_nowait, hits_so_far, touch_with
