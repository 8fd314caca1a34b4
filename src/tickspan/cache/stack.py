"""The stack of a region: memory above, Redis and disk below it, and how values go down and up.

What needs a tier below is a routine (`driving`): it yields requests, and goes on without a tier that cannot
answer.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tickspan.cache.behind import Behind
from tickspan.cache.clock import Clock
from tickspan.cache.debts import Debts
from tickspan.cache.driving import Ask, Routine
from tickspan.cache.entry import EpochCell, EvictionReason, Item, Key, Level
from tickspan.cache.envelope import Envelope, EnvelopeError, id_of, open_envelope
from tickspan.cache.epochs import Epochs, seen
from tickspan.cache.flights import Flights
from tickspan.cache.keys import Names
from tickspan.cache.memory import MemoryTier
from tickspan.cache.near import Near
from tickspan.cache.parcels import Parcel, Parcels, PayloadError
from tickspan.cache.rules import RegionRules
from tickspan.cache.telling import SILENT, InvalidationSource, Operation, RegionTelemetry, Result
from tickspan.cache.tiers import (
    Answer,
    AnyRequest,
    Bump,
    Bury,
    Erase,
    LowerTier,
    Read,
    TierUnavailable,
    Write,
)
from tickspan.instrumentation.forks import renew_after_fork

__all__ = ["Mark", "Reading", "Stack"]

_TURNS: Final = 1024
Mark = tuple[int, int]
"""Of a key: differs once something about the key was changed by this process, or heard of."""


@dataclass(slots=True)
class Reading:
    """What the tiers below hold under a key."""

    item: Item | None = None
    level: Level = Level.MEMORY
    is_fresh: bool = False
    is_settled: bool = False
    """No lower tier needs to be asked: there is a value, or a tombstone."""
    leases: dict[Level, bytes] = field(default_factory=dict[Level, bytes])
    """The ids of what tiers hold that have answered."""


class Stack:
    """The tiers of one region, and its rules of freshness.

    Args:
        names: of the region's things in the tiers below.
        rules: of the region.
        parcels: make items and envelopes.
        memory: the tier above.
        tiers: those below that the region uses, Redis before the disk.
        behind: does what callers do not wait for.
        clock: tells the time.
    """

    def __init__(
        self,
        names: Names,
        rules: RegionRules,
        parcels: Parcels,
        memory: MemoryTier,
        tiers: Sequence[LowerTier],
        behind: Behind,
        clock: Clock,
    ) -> None:
        self.names = names
        self.rules = rules
        self.parcels = parcels
        self.memory = memory
        self.tiers = tuple(tiers)
        self.clock = clock
        self.telemetry: RegionTelemetry = SILENT
        self.epochs = Epochs(names, clock)
        self.flights = Flights()
        self.behind = behind
        self.redis = next((tier for tier in tiers if tier.level is Level.REDIS), None)
        self.near = Near(self) if rules.near and self.redis is not None else None
        self._debts = {
            tier.level: Debts(self.epochs.whole, parcels.tombstone, clock.now_ms) for tier in tiers
        }
        self._steps = itertools.count(1)
        self._on_the_way: dict[Key, int] = {}
        """Of keys whose values are still to be written below: the step at which the last one was set."""
        self._writers: dict[Key, _Writers] = {}
        self._turns = [0] * _TURNS
        self._era = 0
        self._lock = threading.RLock()
        renew_after_fork(self)

    # What may be kept

    def memory_s(self, level: Level = Level.REDIS) -> float:
        """How long memory may answer alone with what it has from a level, or has told it."""
        if self.redis is None:
            return math.inf
        if level is Level.DISK:
            return 0.0  # others may have changed it in Redis since: it may only stand in
        if self.near is not None and self.near.is_tracked:
            return math.inf
        return self.rules.untracked_ttl_s

    def mark(self, key: Key) -> Mark:
        """Take it before a value is read or loaded that is to be kept."""
        return self._turns[hash(key) % _TURNS], self._era

    def keep(self, key: Key, item: Item, mark: Mark) -> bool:
        """Put what was read or loaded since `mark` into memory; False when things have changed since."""
        with self._lock:
            if self.mark(key) != mark:
                return False
            held = self.memory.peek(key)
            if held is not None and held.stored_at_ms > item.stored_at_ms and _is_alive(held, self.clock):
                return False
            return self.memory.put(key, item)

    def put(self, key: Key, item: Item) -> int:
        """Put what a caller sets into memory: loads that began before do not replace it.

        Returns:
            The step, for `write`, which has to follow; 0 when memory refuses the value.
        """
        with self._lock:
            step = self._turns[hash(key) % _TURNS] = next(self._steps)
            self.flights.detach(key)
            if not self.memory.put(key, item):
                return 0
            if self.tiers:
                self._on_the_way[key] = step
            return step

    def void(self, key: Key, reason: EvictionReason) -> None:
        """Forget a key in memory; loads that began before do not bring it back."""
        with self._lock:
            self._turns[hash(key) % _TURNS] = next(self._steps)
            self.flights.detach(key)
            self.memory.drop(key, reason)

    def forget_here(self, key: Key) -> int | None:
        """Forget a key in memory, by a caller's wish; the version that was held."""
        held = self.memory.peek(key)
        with self._lock:
            self._on_the_way.pop(key, None)
            self.void(key, EvictionReason.EXPLICIT)
        self.tell_invalidation()
        return None if held is None else held.version

    def clear_here(self) -> None:
        """Forget everything in memory and on the way down, by a caller's wish."""
        with self._lock:
            self.epochs.bump(self.epochs.whole)
            self._on_the_way.clear()
            self.void_all()
        self.tell_invalidation()

    def void_all(self) -> None:
        """Forget everything in memory."""
        with self._lock:
            self._era = next(self._steps)
            self.flights.detach_all()
            self.memory.clear(EvictionReason.INVALIDATED)

    def void_prefix(self, text: str) -> int:
        """Forget the keys whose text begins so; how many there were."""
        key_text = self.names.text
        with self._lock:
            self._era = next(self._steps)
            self.flights.detach_all()
            for key in [key for key in self._on_the_way if key_text(key).startswith(text)]:
                del self._on_the_way[key]
            return self.memory.drop_where(
                lambda key: key_text(key).startswith(text), EvictionReason.INVALIDATED
            )

    def void_tag(self, tag: str, cell: EpochCell) -> None:
        """Make values void that have a tag."""
        self.epochs.bump(cell)
        self.flights.detach_all(tag=tag)

    # Asking a tier

    def ask(
        self, tier: LowerTier, request: AnyRequest, operation: Operation, count: int = 1
    ) -> Routine[Answer]:
        """Ask a tier, after what it has not heard yet.

        Raises:
            TierUnavailable: it cannot answer; that has been told.
        """
        is_read = operation is Operation.GET
        if not tier.is_available:
            self.telemetry.lower_request(tier.level, operation, Result.BYPASS, count)
            if is_read:
                raise TierUnavailable(tier.level, "unavailable")
            return (yield Ask(tier, request))  # most likely it raises, and notes what it has missed
        began_at = self.clock.now_s()
        try:
            if self._debts[tier.level]:
                yield from self.pay(tier)
            answer: Answer = yield Ask(tier, request)
        except TierUnavailable:
            self.telemetry.lower_request(tier.level, operation, Result.ERROR, count)
            raise
        self.telemetry.level_timed(tier.level, self.clock.now_s() - began_at)
        return answer

    def pay(self, tier: LowerTier) -> Routine[None]:
        """Tell a tier what it has not heard. Raises `TierUnavailable`."""
        for request, is_paid in self._debts[tier.level].requests():
            yield Ask(tier, request)
            is_paid()

    def owe(self, tier: LowerTier, name: str, version: int | None = None) -> None:
        """A value is void in a tier, which has not heard it."""
        self._debts[tier.level].owe(name, version)

    def owe_all(self, name: str, version: int | None = None) -> None:
        """The same for every tier below, which are told soon."""
        if not self.tiers:
            return
        for tier in self.tiers:
            self.owe(tier, name, version)
        self.behind.add((id(self), "debts"), self._pay_all, is_urgent=True)

    def owe_prefix(self, text: str) -> None:
        """What begins so is void in every tier below, which are told soon."""
        if not self.tiers:
            return
        for debts in self._debts.values():
            debts.owe_prefix(self.names.prefix + text)
        self.behind.add((id(self), "debts"), self._pay_all, is_urgent=True)

    def _pay_all(self) -> Routine[None]:
        for tier in self.tiers:
            if tier.is_available:
                try:
                    yield from self.pay(tier)
                except TierUnavailable:
                    continue

    # Reading

    def read(self, keys: Sequence[Key], tags: Sequence[str] = ()) -> Routine[list[Reading]]:
        """What the tiers below hold; kept in memory where nothing has changed meanwhile."""
        readings = [Reading() for _ in keys]
        cells = self.epochs.cells(tags)
        for tier in self.tiers:
            wanted = [number for number, reading in enumerate(readings) if not reading.is_settled]
            if not wanted:
                break
            if not tier.is_available:
                self.telemetry.lower_request(tier.level, Operation.GET, Result.BYPASS, len(wanted))
                continue
            try:
                yield from self._read_from(tier, [(keys[n], readings[n]) for n in wanted], cells)
            except TierUnavailable:
                continue
        return readings

    def _read_from(
        self, tier: LowerTier, wanted: list[tuple[Key, Reading]], cells: Sequence[EpochCell]
    ) -> Routine[None]:
        names = [self.names.value(key) for key, _ in wanted]
        marks = [self.mark(key) for key, _ in wanted]
        level = tier.level
        watch = _Watch(tier) if self.near is not None and tier is self.redis else None
        if watch is not None:
            watch.begin([*names, *(cell.name for cell in cells)])
        request = Read(tuple(names), tuple([cell.name for cell in cells]))
        found: Any = yield from self.ask(tier, request, Operation.GET, len(names))
        numbers = dict(zip(cells, found.epochs, strict=False))
        opened = [self._opened(raw) for raw in found.values]
        tagged = [self._cells_of(envelope) for envelope in opened]
        further = dict.fromkeys([cell for some in tagged for cell in some if cell not in numbers])
        if further:
            if watch is not None:
                watch.begin([cell.name for cell in further])
            more: Any = yield from self.ask(
                tier, Read((), tuple(cell.name for cell in further)), Operation.GET, 0
            )
            numbers |= dict(zip(further, more.epochs, strict=False))
        self.learn(numbers)
        for (key, reading), name, mark, raw, envelope, tags in zip(
            wanted, names, marks, found.values, opened, tagged, strict=True
        ):
            reading.leases[level] = id_of(raw)
            reading.level = level
            if envelope is None:
                result = Result.MISS if raw is None else Result.ERROR
            else:
                result = self._fill(reading, tier, envelope, tags, numbers)
            self.telemetry.lower_request(level, Operation.GET, result)
            if key in self._on_the_way:  # a newer value, which memory could not keep
                reading.item, reading.is_fresh = None, False
            if reading.item is None:
                continue
            if not self.keep(key, reading.item, mark):
                continue
            if watch is not None and watch.has_changed(name, numbers):
                self.memory.drop(key, EvictionReason.INVALIDATED)

    def learn(self, numbers: dict[EpochCell, int], *, are_ours: bool = False) -> None:
        """Numbers of tags stand in a tier. Those that are ours void no more than was voided already."""
        whole = self.epochs.whole
        before = whole.value
        self.epochs.learn(numbers, are_ours=are_ours)
        if whole.value != before:
            self.void_all()

    def _opened(self, raw: bytes | None) -> Envelope | None:
        if raw is None:
            return None
        try:
            return open_envelope(raw)
        except EnvelopeError:
            return None

    def _cells_of(self, envelope: Envelope | None) -> tuple[EpochCell, ...]:
        """Of the tags of what was read."""
        if envelope is None:
            return ()
        return self.epochs.named([text for text, _ in envelope.tags])

    def _fill(
        self,
        reading: Reading,
        tier: LowerTier,
        envelope: Envelope,
        cells: Sequence[EpochCell],
        numbers: dict[EpochCell, int],
    ) -> Result:
        reading.is_settled = envelope.is_tombstone
        before = seen([cell for cell in cells if cell is not self.epochs.whole])
        if envelope.is_tombstone or self._is_void(tier, envelope, cells, numbers):
            return Result.MISS
        try:
            item = self.parcels.unwrap(envelope, before, self.memory_s(tier.level))
        except PayloadError:
            return Result.ERROR
        if item is None:
            return Result.MISS
        reading.item = item
        reading.is_settled = True
        reading.is_fresh = item.until > self.clock.now_s()
        return _kind(item) if reading.is_fresh else Result.STALE

    def _is_void(
        self,
        tier: LowerTier,
        envelope: Envelope,
        cells: Sequence[EpochCell],
        numbers: dict[EpochCell, int],
    ) -> bool:
        """Whether a tag was invalidated since, or nobody can tell, since its number was lost."""
        if self.epochs.whole not in cells:
            return True
        is_authority = tier is self.tiers[0]
        for cell, (_, number) in zip(cells, envelope.tags, strict=True):
            if number < cell.remote or (is_authority and numbers.get(cell, 0) == 0):
                return True
        return False

    # Writing

    def renew(self, cells: Sequence[EpochCell]) -> Routine[bool]:
        """Learn the numbers of tags where this process may not know them, and make those that are missing.

        Returns:
            False when that was tried in vain: who waits has waited long enough.
        """
        if not self.tiers or not self.tiers[0].is_available:
            return True
        tier, now_s = self.tiers[0], self.clock.now_s()
        limit_s = self.memory_s()
        unknown = tuple(cell for cell in cells if cell.read_at == -math.inf or now_s - cell.read_at > limit_s)
        if not unknown:
            return True
        try:
            found: Any = yield from self.ask(
                tier, Read((), tuple(cell.name for cell in unknown)), Operation.GET, 0
            )
            numbers = dict(zip(unknown, found.epochs, strict=False))
            missing = tuple(cell for cell, number in numbers.items() if not number)
            if missing:
                now_ms = max(self.clock.now_ms(), *(cell.remote for cell in missing))
                yield from self._bump(tier, missing, now_ms, Operation.GET)
                numbers = {cell: number for cell, number in numbers.items() if number}
        except TierUnavailable:
            return False
        self.learn(numbers)
        return True

    def _bump(
        self, tier: LowerTier, cells: Sequence[EpochCell], now_ms: int, operation: Operation
    ) -> Routine[None]:
        """Make numbers of tags larger in a tier, and learn them."""
        near = self.near if tier is self.redis else None
        if near is not None:
            near.begin_bump(cells)
        try:
            request = Bump(tuple(cell.name for cell in cells), now_ms)
            made: Any = yield from self.ask(tier, request, operation, len(cells))
            self.learn(dict(zip(cells, made, strict=True)), are_ours=operation is Operation.INVALIDATE)
        finally:
            if near is not None:
                near.end_bump(cells)

    def write(self, key: Key, parcel: Parcel, cells: Sequence[EpochCell], step: int) -> Routine[bool]:
        """Write what a caller has set to the tiers below; False where one holds a newer version.

        What was set or made void since `step` has been told below, or will be: then nothing is written.
        """
        self._expect_echo(parcel.item)
        with self._lock:
            writers = self._writers.setdefault(key, _Writers())
            writers.begin()
        try:
            return (yield from self._write(key, parcel, cells, step))
        finally:
            with self._lock:
                if self._on_the_way.get(key) == step:
                    del self._on_the_way[key]
                if is_last := writers.end():
                    del self._writers[key]
            if is_last and writers.are_mixed:
                self.owe_all(self.names.value(key), parcel.item.version)

    def _write(self, key: Key, parcel: Parcel, cells: Sequence[EpochCell], step: int) -> Routine[bool]:
        item = parcel.item
        for tier in self.tiers:
            if self._on_the_way.get(key) != step:
                return True
            request = None if _is_void(item) else self._request(self.names.value(key), parcel, cells)
            if request is None:  # nobody may read it, nor what it was to replace
                yield from self.forget(key, item.version)
                return True
            try:
                stored = yield from self.ask(tier, request, Operation.SET)
            except TierUnavailable:
                continue  # it makes the name void by itself
            result = Result.STORED if stored else Result.REFUSED
            self.telemetry.lower_request(tier.level, Operation.SET, result)
            if not stored:
                self._refused(key, tier, item)
                return False
        return True

    def store(
        self, key: Key, parcel: Parcel, cells: Sequence[EpochCell], mark: Mark, leases: dict[Level, bytes]
    ) -> Routine[bool]:
        """Store what was loaded, if nothing has changed since the leases and the mark were taken."""
        if self.near is None:
            return (yield from self._store(key, parcel, cells, mark, leases))
        name = self.names.value(key)
        before = self._generation(name)
        self._expect_echo(parcel.item)
        self.near.writing.add(key)
        is_stored = yield from self._store(key, parcel, cells, mark, leases)
        self.near.writing.discard(key)
        if is_stored and self._generation(name) != before:
            self.near.echoed(key)  # most likely of our own write; if not, reading it again shows
        return is_stored

    def _store(
        self, key: Key, parcel: Parcel, cells: Sequence[EpochCell], mark: Mark, leases: dict[Level, bytes]
    ) -> Routine[bool]:
        name, item = self.names.value(key), parcel.item
        is_led = False
        for tier in self.tiers:
            request = self._request(name, parcel, cells, leases.get(tier.level))
            if request is None or self.mark(key) != mark or _is_void(item):
                return False
            if request.expected_id is None and not is_led:
                continue  # what it held when the load began is not known
            try:
                stored = yield from self.ask(tier, request, Operation.SET)
            except TierUnavailable:
                continue
            result = Result.STORED if stored else Result.REFUSED
            self.telemetry.lower_request(tier.level, Operation.SET, result)
            if not stored:
                return False
            is_led = True
            if self.mark(key) != mark and tier is not self.redis:
                self.owe(tier, name, item.version)
        return self.keep(key, item, mark)

    def _request(
        self, name: str, parcel: Parcel, cells: Sequence[EpochCell], lease: bytes | None = None
    ) -> Write | None:
        ttl_ms = self.parcels.ttl_ms(parcel.item)
        if ttl_ms <= 0:
            return None
        tags = tuple((self.epochs.text(cell), cell.remote) for cell in cells)
        return Write(name, self.parcels.envelope(parcel, tags), ttl_ms, lease, parcel.item.version)

    def _expect_echo(self, item: Item) -> None:
        if self.near is not None:
            item.echo_until = self.clock.now_s() + self.rules.untracked_ttl_s

    def _generation(self, name: str) -> int:
        return 0 if self.redis is None or self.near is None else self.redis.generation(name)

    def _refused(self, key: Key, refusing: LowerTier, item: Item) -> None:
        """A tier holds a newer version: forget ours, here and in the tiers below that one."""
        name = self.names.value(key)
        with self._lock:
            if self.memory.peek(key) is item:
                self.memory.drop(key, EvictionReason.INVALIDATED)
        for tier in self.tiers[self.tiers.index(refusing) + 1 :]:
            self.owe(tier, name)

    # Making void

    def forget(self, key: Key, version: int | None = None) -> Routine[None]:
        """Put tombstones in the tiers below."""
        name = self.names.value(key)
        raw, ttl_ms = self.parcels.tombstone(version)
        for tier in self.tiers:
            try:
                yield from self.ask(tier, Bury((name,), (raw,), ttl_ms), Operation.INVALIDATE)
            except TierUnavailable:
                continue
            self.telemetry.lower_request(tier.level, Operation.INVALIDATE, Result.STORED)

    def forget_tag(self, cell: EpochCell) -> Routine[None]:
        """Tell the tiers below that values with a tag are void, which memory knows already."""
        for tier in self.tiers:
            try:
                yield from self._bump(tier, (cell,), cell.remote, Operation.INVALIDATE)
            except TierUnavailable:
                continue
            self.telemetry.lower_request(tier.level, Operation.INVALIDATE, Result.STORED)

    def forget_prefix(self, text: str) -> Routine[int]:
        """Remove what is below a prefix from the tiers below; how many, of the tier that had most."""
        most = 0
        for tier in self.tiers:
            try:
                count: Any = yield from self.ask(tier, Erase(self.names.prefix + text), Operation.INVALIDATE)
            except TierUnavailable:
                continue
            self.telemetry.lower_request(tier.level, Operation.INVALIDATE, Result.STORED)
            most = max(most, count)
        return most

    def tell_invalidation(self, source: InvalidationSource = InvalidationSource.LOCAL) -> None:
        """Count one."""
        self.telemetry.invalidation(source)

    def after_fork_in_child(self) -> None:
        """The parent's lock may be held by a thread that is not here; what changes is not heard of here."""
        self._lock = threading.RLock()
        self._on_the_way = {}
        self._writers = {}
        if self.near is not None:
            self.near.is_tracked = False
            self.void_all()


class _Writers:
    """Those who write one key below at the same time. Those of one thread do it in order, others may not."""

    __slots__ = ("_count", "_thread", "are_mixed")

    def __init__(self) -> None:
        self._count = 0
        self._thread = threading.get_ident()
        self.are_mixed = False
        """Whether nobody knows whose value a tier holds in the end."""

    def begin(self) -> None:
        self._count += 1
        if self._thread != threading.get_ident():
            self.are_mixed = True

    def end(self) -> bool:
        """Whether it was the last one."""
        self._count -= 1
        return not self._count


class _Watch:
    """Generations of names from before they were read."""

    def __init__(self, tier: LowerTier) -> None:
        self._tier = tier
        self._before: dict[str, int] = {}

    def begin(self, names: Sequence[str]) -> None:
        generation = self._tier.generation
        for name in names:
            self._before.setdefault(name, generation(name))

    def has_changed(self, name: str, cells: dict[EpochCell, int]) -> bool:
        generation, before = self._tier.generation, self._before
        return any(generation(each) != before[each] for each in (name, *(cell.name for cell in cells)))


def _is_alive(item: Item, clock: Clock) -> bool:
    return min(item.hard_at, item.guard_at) > clock.now_s() and not item.is_void


def _is_void(item: Item) -> bool:
    return bool(item.epochs) and item.is_void


def _kind(item: Item) -> Result:
    return Result.NEGATIVE if item.is_negative else Result.HIT
