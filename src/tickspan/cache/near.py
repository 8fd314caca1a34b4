"""The near cache: memory keeps what Redis holds as long as Redis tells what changes there.

A push for a key drops it. One that may be the echo of our own write is looked into: the value goes on for a
few milliseconds while Redis is asked whether it still holds what we wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from tickspan.cache.behind import Behind
from tickspan.cache.clock import Clock
from tickspan.cache.driving import Ask, Routine
from tickspan.cache.entry import EpochCell, EvictionReason, Item, Key
from tickspan.cache.envelope import id_of
from tickspan.cache.epochs import Epochs
from tickspan.cache.flights import Flights
from tickspan.cache.keys import Names
from tickspan.cache.memory import MemoryTier
from tickspan.cache.rules import RegionRules
from tickspan.cache.telling import InvalidationSource
from tickspan.cache.tiers import LowerTier, Read, TierUnavailable
from tickspan.recording import diagnostics

__all__ = ["Near"]

ECHO_S: Final = 0.005
"""How long a value goes on that we have written while it is asked for again."""
WINDOW_S: Final = 10.0
_PUSHES_MIN: Final = 1000
"""In a window; fewer cost too little to give tracking up."""


class Kept(Protocol):
    """What of a region's stack has to follow what is heard (`stack.Stack`)."""

    names: Names
    rules: RegionRules
    clock: Clock
    memory: MemoryTier
    redis: LowerTier | None
    epochs: Epochs
    flights: Flights
    behind: Behind

    def void(self, key: Key, reason: EvictionReason) -> None:
        """Forget a key in memory."""
        ...

    def void_all(self) -> None:
        """Forget everything in memory."""
        ...

    def tell_invalidation(self, source: InvalidationSource = ...) -> None:
        """Count one."""
        ...


class Near:
    """Listens for one region. Its methods are called on a thread of Redis's tier."""

    def __init__(self, stack: Kept) -> None:
        self._stack = stack
        self.is_tracked = False
        """Whether changes are heard of now."""
        self.is_refused = False
        """Whether the server does not tell changes: it is too old, or does not allow it."""
        self.is_flooded = False
        """Whether tracking was given up, since more was told than asked for."""
        self.writing: Final[set[Key]] = set()
        """Keys whose loaded values are on their way to Redis, and not in memory yet."""
        self._bumping: dict[str, bool] = {}
        """Names of numbers that we are making larger; whether the tier has told so already."""
        self._pushes = 0
        self._window_from = 0.0
        self._hits_before = 0

    def __repr__(self) -> str:
        return f"<Near {self.state}>"

    @property
    def state(self) -> str:
        """One word: tracked, lost, refused, flooded."""
        if self.is_refused:
            return "refused"
        if self.is_flooded:
            return "flooded"
        return "tracked" if self.is_tracked else "lost"

    def start(self) -> None:
        """Begin to listen."""
        tier, names = self._stack.redis, self._stack.names
        assert tier is not None, "only a region with Redis has a near cache"
        self._window_from = self._stack.clock.now_s()
        self.is_tracked = True  # before listening: `lost` may be called at once
        for prefix in (names.prefix, names.tag_prefix, names.all_prefix):
            if not tier.listen(prefix, self):
                self.is_tracked = False
                self.is_refused = True
                return

    def _stop(self) -> None:
        tier, names = self._stack.redis, self._stack.names
        unlisten = getattr(tier, "unlisten", None)  # not every tier can stop
        if unlisten is not None:
            for prefix in (names.prefix, names.tag_prefix, names.all_prefix):
                unlisten(prefix, self)

    def invalidated(self, keys: Sequence[str], /) -> None:
        """These names have changed."""
        self._pushes += len(keys)
        if self.is_flooded:
            return
        stack, names = self._stack, self._stack.names
        for name in keys:
            if name.startswith(names.prefix):
                key = names.key(name)
                if key is not None:
                    self._changed(key)
            elif name in self._bumping:
                self._bumping[name] = True
            elif (cell := stack.epochs.known(name)) is not None:
                self._bumped(cell)
        self._judge()

    def begin_bump(self, cells: Sequence[EpochCell]) -> None:
        """We are about to make numbers larger: that this is told is no news."""
        until = self._stack.clock.now_s() + self._stack.rules.untracked_ttl_s
        for cell in cells:
            cell.echo_until = until
            self._bumping[cell.name] = False

    def end_bump(self, cells: Sequence[EpochCell]) -> None:
        """It is done, or has failed; what was told meanwhile is looked into."""
        for cell in cells:
            if self._bumping.pop(cell.name, False):
                self._bumped(cell)

    def flushed(self) -> None:
        """Anything may have changed."""
        stack = self._stack
        stack.epochs.forget_numbers()
        stack.void_all()
        stack.tell_invalidation(InvalidationSource.FLUSH)

    def lost(self, is_lost: bool, /) -> None:
        """Changes are not heard of any more, or are again."""
        self.is_tracked = not is_lost and not self.is_flooded
        self.flushed()

    def echoed(self, key: Key) -> None:
        """What we wrote ourselves has changed: see whether by us."""
        stack = self._stack
        item = stack.memory.peek(key)
        if item is None:
            return
        item.until = min(item.until, stack.clock.now_s() + ECHO_S)
        if not stack.behind.add((id(self), key), lambda: self._look(key, item)):
            stack.void(key, EvictionReason.INVALIDATED)

    def _bumped(self, cell: EpochCell) -> None:
        stack = self._stack
        is_echo = cell.echo_until > stack.clock.now_s()
        if is_echo and stack.behind.add((id(self), cell.name), lambda: self._look_at_epoch(cell)):
            return
        self._void(cell)

    def _void(self, cell: EpochCell) -> None:
        stack = self._stack
        stack.epochs.heard(cell)
        if cell is stack.epochs.whole:
            stack.void_all()
        else:
            stack.flights.detach_all(tag=stack.epochs.tag(cell))
        stack.tell_invalidation(InvalidationSource.TRACKING)

    def _look_at_epoch(self, cell: EpochCell) -> Routine[None]:
        """Whether a number is what we have made of it."""
        tier = self._stack.redis
        assert tier is not None, "only a region with Redis has a near cache"
        try:
            found: Any = yield Ask(tier, Read((), (cell.name,)))
        except TierUnavailable:
            self._void(cell)
            return
        if found.epochs[0] != cell.remote:
            self._void(cell)

    def _changed(self, key: Key) -> None:
        stack = self._stack
        item = stack.memory.peek(key)
        if item is not None and item.echo_until > stack.clock.now_s():
            self.echoed(key)
            return
        if key in self.writing:
            stack.memory.drop(key, EvictionReason.INVALIDATED)  # who writes looks at the generation
            return
        stack.void(key, EvictionReason.INVALIDATED)
        stack.tell_invalidation(InvalidationSource.TRACKING)

    def _look(self, key: Key, item: Item) -> Routine[None]:
        stack = self._stack
        tier = stack.redis
        assert tier is not None, "only a region with Redis has a near cache"
        name = stack.names.value(key)
        before = tier.generation(name)
        try:
            found: Any = yield Ask(tier, Read((name,)))
        except TierUnavailable:
            stack.void(key, EvictionReason.INVALIDATED)
            return
        raw = found.values[0]
        if raw is None or id_of(raw) != item.id:
            if stack.memory.peek(key) is item:
                stack.void(key, EvictionReason.INVALIDATED)
                stack.tell_invalidation(InvalidationSource.TRACKING)
        elif self.is_tracked and tier.generation(name) == before:
            item.until = min(item.soft_at, item.hard_at, item.guard_at)

    def _judge(self) -> None:
        """Give tracking up when every write goes to every process and few values are asked for."""
        stack = self._stack
        now_s = stack.clock.now_s()
        if now_s - self._window_from < WINDOW_S:
            return
        hits = stack.memory.statistics().hits
        asked, told = hits - self._hits_before, self._pushes
        self._window_from, self._hits_before, self._pushes = now_s, hits, 0
        if told >= _PUSHES_MIN and told > asked:
            self.is_flooded = True
            self.is_tracked = False
            self._stop()
            stack.void_all()
            diagnostics.warning(
                "cache region %s: tracking is off: %d changes were told in 10 s and %d values asked for;"
                " memory answers for %g s",
                stack.names.region,
                told,
                asked,
                stack.rules.untracked_ttl_s,
            )
