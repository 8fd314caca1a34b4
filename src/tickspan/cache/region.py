"""A region: values of one type under one set of rules, in memory and in the tiers below."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from random import Random
from typing import Any, Final, Generic, TypeVar, overload

from tickspan.cache.behind import Behind
from tickspan.cache.clock import Clock
from tickspan.cache.driving import Routine, drive, drive_async, drive_to_end, in_loop, resumed
from tickspan.cache.entry import ABSENT, Absent, Entry, EpochCell, EvictionReason, Item, Key, Level
from tickspan.cache.epochs import seen
from tickspan.cache.keys import Names, prefix_of, text_of
from tickspan.cache.loading import Given, Loading
from tickspan.cache.memory import UNCOUNTED, MemoryTier
from tickspan.cache.parcels import Parcel, Parcels, Terms, milliseconds_of
from tickspan.cache.rules import Isolation, Policy, RegionRules
from tickspan.cache.stack import Stack
from tickspan.cache.telling import SILENT, LoadTrigger, Operation, RegionTelemetry, Result
from tickspan.cache.tiers import LowerTier

__all__ = ["Loader", "Region", "SyncRegion", "check_tags"]

T = TypeVar("T")
D = TypeVar("D")

Loader = Callable[[], Awaitable[T] | T]
"""Makes a value; takes no arguments. The asynchronous calls run a plain function in a worker thread."""

_MISSING: Final = object()
_CHOSEN_ONCE: Final = ("near", "isolate", "remote", "disk")


class Region(Generic[T]):
    """Values of one type; made by `Cache.region`.

    Keys are str, int or tuples of them, at most 512 bytes as text; others are a `TypeError`, as are values
    that would not come back from Redis or the disk as they are. Tags are str of at most 255 bytes as text. A
    tier that fails never raises here: the region goes on without it. Any thread, task and loop may call.

    Where no other process may be heard, memory answers alone for `untracked_ttl_s` at most (`RegionRules`).
    A region with Redis and a disk takes from the disk only what stands in when a load fails or is slow, since
    others may have changed it in Redis.
    """

    get_nowait: Callable[..., Any]
    """`get_nowait(key, default=None)`: the value in memory if it is fresh, else `default`.

    No I/O, no lock, no look at the key's type: `True` finds what is under `1`.
    """

    def __init__(
        self,
        name: str,
        type_: Any,
        rules: RegionRules,
        *,
        namespace: str,
        tiers: Iterable[LowerTier] = (),
        behind: Behind | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        compress: bool = True,
    ) -> None:
        clock = Clock() if clock is None else clock
        random = Random() if random is None else random  # noqa: S311 - spreads lifetimes, is no secret
        names = Names(namespace, name)
        used = [tier for tier in tiers if (rules.remote if tier.level is Level.REDIS else rules.disk)]
        self.name = name
        self.type = type_
        self._clock = clock
        self._memory = MemoryTier(rules, now_s=clock.now_s, random=random, on_policy=self._policy_changed)
        self._parcels = _parcels(type_, rules, clock, random, is_alone=not used, compress=compress)
        self._stack = Stack(
            names, rules, self._parcels, self._memory, used, Behind() if behind is None else behind, clock
        )
        self._loading = Loading(self._stack, random)
        self._sync = SyncRegion(self)
        self._found: Callable[[Result], None] | None = None
        self._is_eager = rules.early_refresh > 0
        self.get_nowait = self._memory.get_nowait
        if self._stack.near is not None:
            self._stack.near.start()

    def __repr__(self) -> str:
        kind = "untyped" if self.type is None else getattr(self.type, "__name__", str(self.type))
        return f"<Region {self.name}, {kind}, {self._memory!r}>"

    @property
    def rules(self) -> RegionRules:
        """By which it lives."""
        return self._stack.rules

    def use_rules(self, rules: RegionRules) -> None:
        """Go by other rules from now on; what memory holds is forgotten where it may now be too old.

        Raises:
            ValueError: as `check_rules`.
        """
        self.check_rules(rules)
        is_stricter = _oldest_s(rules) < _oldest_s(self.rules)
        self._stack.rules = rules
        self._parcels.use_rules(rules)
        self._memory.set_rules(rules)
        self._is_eager = rules.early_refresh > 0
        if is_stricter:
            self._stack.void_all()

    def check_rules(self, rules: RegionRules) -> None:
        """Raise `ValueError` where a rule would change that is chosen once: near, isolate, remote, disk."""
        for name in _CHOSEN_ONCE:
            before, now = getattr(self.rules, name), getattr(rules, name)
            if before != now and not (name == "near" and self._stack.redis is None):
                raise ValueError(f"region {self.name}: {name} is {before!r} since it was made, not {now!r}")

    @property
    def memory(self) -> MemoryTier:
        """The tier above; its statistics are the region's."""
        return self._memory

    @property
    def tracking(self) -> str:
        """Of a `near` region: tracked, lost, refused or flooded; "off" for others."""
        return "off" if self._stack.near is None else self._stack.near.state

    @property
    def telemetry(self) -> RegionTelemetry:
        """Who hears what happens here."""
        return self._stack.telemetry

    @telemetry.setter
    def telemetry(self, telemetry: RegionTelemetry) -> None:
        self._stack.telemetry = telemetry
        self._found = None if telemetry is SILENT else telemetry.found

    @property
    def sync(self) -> SyncRegion[T]:
        """The same calls, blocking."""
        return self._sync

    @property
    def stack(self) -> Stack:
        """The tiers and how they are used."""
        return self._stack

    @property
    def loading(self) -> Loading:
        """The loads that run now, and how callers wait for them."""
        return self._loading

    # Without waiting

    def set_nowait(
        self,
        key: Key,
        value: T | Absent,
        *,
        ttl_s: float | None = None,
        tags: Iterable[str] = (),
        version: int | None = None,
        as_of: datetime | float | None = None,
    ) -> bool:
        """Store in memory now, and in the tiers below behind the caller. Arguments and errors as `set`.

        Of many values for a key only the last one is written below. Where there is no room for what waits,
        the value is made void there: others load it.
        """
        stack, terms = self._stack, Terms(ttl_s, _tags(tags), version, milliseconds_of(as_of))
        name = stack.names.value(key)
        cells = stack.epochs.cells(terms.tags)
        parcel = self._parcels.wrap(value, terms, seen(cells[1:]), stack.memory_s())
        if parcel is None:
            return False
        step = stack.put(key, parcel.item)
        if not step:
            if self._is_oversize(parcel):
                stack.owe_all(name, version)
            return False
        if stack.tiers:
            self._write_behind(key, parcel, cells, step)
        return True

    def invalidate_nowait(self, key: Key) -> None:
        """Forget in memory now, and in the tiers below behind the caller, before they are read again."""
        stack = self._stack
        name = stack.names.value(key)
        stack.owe_all(name, stack.forget_here(key))

    # Asynchronous

    async def get(self, key: Key, default: D = None) -> T | D:
        """The fresh value of a key, from the first tier that has one, else `default`."""
        if not (key.__class__ is str or key.__class__ is int):
            _check(key)
        value = self.get_nowait(key, UNCOUNTED)
        if value is not UNCOUNTED:
            return value
        return await drive_async(self.getting(key, default))

    async def get_many(self, keys: Iterable[Key]) -> dict[Key, T]:
        """The fresh values of keys, in one step per tier; keys without one are left out."""
        return await drive_async(self.getting_many(keys))

    async def get_entry(self, key: Key) -> Entry[T] | None:
        """The value of a key with what is known about it; None where there is none to serve.

        A stale one only while it stands in for a load that has failed.
        """
        return await drive_async(self.getting_entry(key))

    async def set(
        self,
        key: Key,
        value: T | Absent,
        *,
        ttl_s: float | None = None,
        tags: Iterable[str] = (),
        version: int | None = None,
        as_of: datetime | float | None = None,
    ) -> bool:
        """Store a value in every tier; behind the caller where the first one does not answer in time.

        Args:
            key: of the value.
            value: of the region's type, or `ABSENT`, which is remembered for `negative_ttl_s`.
            ttl_s: its soft lifetime, the region's by default.
            tags: by which it can be invalidated together with others.
            version: 1 or more; a tier that holds a higher one refuses.
            as_of: when what it tells happened, aware or in seconds since 1970; its age counts from there.

        Returns:
            False when it was not stored: a tier holds a newer version, it is larger than `max_value_bytes`,
            older than `max_age_s`, or from the future by more than a second.

        Raises:
            TypeError: what is no key, tag, or value of the region.
            ValueError: `ttl_s`, `version` or `as_of` is out of range.
        """
        terms = Terms(ttl_s, _tags(tags), version, milliseconds_of(as_of))
        return await drive_to_end(self.setting(key, value, terms))

    @overload
    async def get_or_load(
        self, key: Key, loader: Loader[T], *, ttl_s: float | None = None, tags: Iterable[str] = ()
    ) -> T: ...
    @overload
    async def get_or_load(
        self, key: Key, loader: Loader[T | Absent], *, ttl_s: float | None = None, tags: Iterable[str] = ()
    ) -> T | Absent: ...
    async def get_or_load(
        self, key: Key, loader: Loader[Any], *, ttl_s: float | None = None, tags: Iterable[str] = ()
    ) -> Any:
        """The value of a key; if no tier has a fresh one, what `loader` makes, called once for all who ask.

        All who wait get the loader's own exception, which is never kept, unless an old value may stand in. A
        caller with an old value waits `load_soft_timeout_s` at most. A loader may return `ABSENT`, which is
        given back as it is.

        Raises:
            TypeError: what is no key or tag, or a value that would not come back as it is.
        """
        if not (key.__class__ is str or key.__class__ is int):
            _check(key)
        value = self.get_nowait(key, UNCOUNTED)
        if value is UNCOUNTED:
            terms = Terms(ttl_s, _tags(tags))
            given: Given = await drive_async(self._loading.get_or_load(key, loader, terms))
            return given.result()
        if self._is_eager and (item := self._memory.peek(key)) is not None:
            early_at = item.early_at
            if early_at <= self._clock.now_s() and self._parcels.is_due_early(item):
                await drive_async(self._loading.refresh(key, item, loader, Terms(ttl_s, _tags(tags))))
        return value

    async def load(
        self,
        key: Key,
        loader: Loader[T],
        *,
        ttl_s: float | None = None,
        tags: Iterable[str] = (),
        trigger: LoadTrigger = LoadTrigger.WARM,
    ) -> T:
        """Load and store whatever is held; the loader's own exceptions pass."""
        terms = Terms(ttl_s, _tags(tags))
        given: Given = await drive_async(self._loading.load(key, loader, terms, trigger))
        return given.result()

    async def invalidate(self, key: Key) -> None:
        """Forget a key in every tier; loads that began before do not bring it back."""
        await drive_to_end(self.invalidating(key))

    async def invalidate_tag(self, tag: str) -> None:
        """Forget all values that have a tag, however many there are, in one step per tier."""
        await drive_to_end(self.invalidating_tag(tag))

    async def invalidate_prefix(self, prefix: str | tuple[str | int, ...]) -> int:
        """Forget all keys below a prefix; how many there were, as far as known, of the tier that had most.

        A str means the strs that begin with it, and the tuples whose first part does; a tuple means itself
        and the tuples that begin with all its parts. Redis is scanned for it: prefer tags where it is often.
        """
        return await drive_to_end(self.invalidating_prefix(prefix))

    async def clear(self) -> None:
        """Forget everything, in one step per tier."""
        await drive_to_end(self.clearing())

    # Routines, for both doors

    def getting(self, key: Key, default: Any) -> Routine[Any]:
        """`get` after memory had no hit."""
        item = yield from self._looked_up(key)
        if item is None or item.is_negative:
            self._tell(Result.MISS if item is None else Result.NEGATIVE)
            return default
        self._tell(Result.HIT)
        return item.value()

    def getting_many(self, keys: Iterable[Key]) -> Routine[dict[Key, Any]]:
        """The steps of `get_many`, for callers with and without an event loop."""
        found: dict[Key, Any] = {}
        absent: list[Key] = []
        wanted = dict.fromkeys(keys)
        below: list[Key] = []
        for key in wanted:
            _check(key)
            value = self.get_nowait(key, UNCOUNTED)
            if value is not UNCOUNTED:
                found[key] = value
                continue
            text_of(key)  # raises for what is too long
            below.append(key)
            is_known_absent = self._is_known_absent(key)
            self._memory.count("negative" if is_known_absent else "miss")
            if not is_known_absent:
                absent.append(key)
        if absent and self._stack.tiers:
            readings = yield from self._stack.read(absent)
            for key, reading in zip(absent, readings, strict=True):
                if reading.is_fresh and reading.item is not None and not reading.item.is_negative:
                    found[key] = reading.item.value()
        if self._found is not None:
            for key in below:
                self._found(Result.HIT if key in found else Result.MISS)
        return {key: found[key] for key in wanted if key in found}

    def getting_entry(self, key: Key) -> Routine[Entry[Any] | None]:
        """The steps of `get_entry`, for callers with and without an event loop."""
        text_of(key)
        now_s = self._clock.now_s()
        item, level = self._memory.find(key), Level.MEMORY
        if item is not None and item.until <= now_s:
            item = None
        if item is None and self._stack.tiers:
            (reading,) = yield from self._stack.read((key,))
            item, level = (reading.item if reading.is_fresh else None), reading.level
        if item is None or item.is_negative:
            self._memory.count("miss" if item is None or level is not Level.MEMORY else "negative")
            self._tell(Result.MISS if item is None else Result.NEGATIVE)
            return None
        is_stale = item.soft_at <= now_s
        if level is Level.MEMORY:
            self._memory.count("stale" if is_stale else "hit")
        else:
            self._memory.count("miss")
        self._tell(Result.STALE if is_stale else Result.HIT)
        return Entry(item.value(), self._parcels.age_s(item), level, is_stale, item.version)

    def setting(self, key: Key, value: Any, terms: Terms) -> Routine[bool]:
        """The steps of `set`, for callers with and without an event loop."""
        stack = self._stack
        name = stack.names.value(key)
        if value is ABSENT and not stack.rules.negative_ttl_s:
            yield from self.invalidating(key)
            return True
        cells = stack.epochs.cells(terms.tags)
        is_heard = yield from stack.renew(cells)
        parcel = self._parcels.wrap(value, terms, seen(cells[1:]), stack.memory_s())
        if parcel is None:
            return False
        step = stack.put(key, parcel.item)
        if not step:
            if self._is_oversize(parcel):
                stack.owe_all(name, terms.version)
            return False
        if not is_heard:
            self._write_behind(key, parcel, cells, step)
            return True
        return (yield from stack.write(key, parcel, cells, step))

    def _write_behind(self, key: Key, parcel: Parcel, cells: tuple[EpochCell, ...], step: int) -> None:
        stack = self._stack
        name = stack.names.value(key)

        def write() -> Routine[None]:
            yield from stack.renew(cells)
            yield from stack.write(key, parcel, cells, step)

        if not stack.behind.add((id(stack), name), write):
            stack.owe_all(name, parcel.item.version)

    def invalidating(self, key: Key) -> Routine[None]:
        """The steps of `invalidate`, for callers with and without an event loop."""
        stack = self._stack
        stack.names.value(key)
        yield from stack.forget(key, stack.forget_here(key))
        if stack.tiers:  # what was read there meanwhile
            stack.void(key, EvictionReason.INVALIDATED)

    def invalidating_tag(self, tag: str) -> Routine[None]:
        """The steps of `invalidate_tag`, for callers with and without an event loop."""
        stack = self._stack
        cell = stack.epochs.cells((tag,))[1]
        stack.void_tag(tag, cell)
        stack.tell_invalidation()
        yield from stack.forget_tag(cell)

    def invalidating_prefix(self, prefix: str | tuple[str | int, ...]) -> Routine[int]:
        """The steps of `invalidate_prefix`, for callers with and without an event loop."""
        stack = self._stack
        text = prefix_of(prefix)
        count = stack.void_prefix(text)
        stack.tell_invalidation()
        count = max(count, (yield from stack.forget_prefix(text)))
        if stack.tiers:  # what was read there meanwhile
            stack.void_prefix(text)
        if isinstance(prefix, tuple) and len(prefix) > 1:
            count += self._memory.peek(prefix) is not None
            yield from self.invalidating(prefix)
        return count

    def clearing(self) -> Routine[None]:
        """The steps of `clear`, for callers with and without an event loop."""
        stack = self._stack
        stack.clear_here()
        yield from stack.forget_tag(stack.epochs.whole)

    def _looked_up(self, key: Key) -> Routine[Item | None]:
        """The fresh item of a key that memory had no hit for, also a negative one."""
        text_of(key)
        held = self._memory.find(key)
        if held is not None and held.until > self._clock.now_s():
            self._memory.count("negative" if held.is_negative else "hit")
            return held
        self._memory.count("miss")
        if not self._stack.tiers:
            return None
        (reading,) = yield from self._stack.read((key,))
        return reading.item if reading.is_fresh else None

    def _is_known_absent(self, key: Key) -> bool:
        held = self._memory.find(key)
        return held is not None and held.is_negative and held.until > self._clock.now_s()

    def _is_oversize(self, parcel: Parcel) -> bool:
        return parcel.item.size_bytes > self._stack.rules.max_value_bytes

    def _policy_changed(self, before: Policy, after: Policy) -> None:
        self.telemetry.policy_changed(before, after)

    def _tell(self, result: Result) -> None:
        if self._found is not None:
            self._found(result)


class SyncRegion(Generic[T]):
    """The calls of a region, blocking.

    Inside a running event loop they would block everything there: then they touch memory only, what the tiers
    below have to hear is told behind, a loader is called in place, and the tiers' `bypass` is counted.
    """

    def __init__(self, region: Region[T]) -> None:
        self._region = region

    def __repr__(self) -> str:
        return f"<SyncRegion of {self._region!r}>"

    def get_nowait(self, key: Key, default: Any = None) -> Any:
        """As the region's."""
        return self._region.get_nowait(key, default)

    def set_nowait(self, key: Key, value: T | Absent, **terms: Any) -> bool:
        """As the region's."""
        return self._region.set_nowait(key, value, **terms)

    def get(self, key: Key, default: D = None) -> T | D:
        """As `Region.get`."""
        _check(key)
        region = self._region
        value = region.get_nowait(key, UNCOUNTED)
        if value is not UNCOUNTED:
            return value
        if self._is_bypassed(Operation.GET):
            region.memory.count("miss")
            return default
        return drive(region.getting(key, default))

    def get_many(self, keys: Iterable[Key]) -> dict[Key, T]:
        """As `Region.get_many`."""
        if self._is_bypassed(Operation.GET):
            found = {key: self._region.get_nowait(key, _MISSING) for key in dict.fromkeys(keys)}
            return {key: value for key, value in found.items() if value is not _MISSING}
        return drive(self._region.getting_many(keys))

    def get_entry(self, key: Key) -> Entry[T] | None:
        """As `Region.get_entry`."""
        region = self._region
        if self._is_bypassed(Operation.GET):
            item = region.memory.find(key)
            if item is None or item.is_negative or item.until <= region.stack.clock.now_s():
                return None
            is_stale = item.soft_at <= region.stack.clock.now_s()
            age_s = region.stack.parcels.age_s(item)
            return Entry(item.value(), age_s, Level.MEMORY, is_stale, item.version)
        return drive(region.getting_entry(key))

    def set(
        self,
        key: Key,
        value: T | Absent,
        *,
        ttl_s: float | None = None,
        tags: Iterable[str] = (),
        version: int | None = None,
        as_of: datetime | float | None = None,
    ) -> bool:
        """As `Region.set`."""
        if self._is_bypassed(Operation.SET):
            return self._region.set_nowait(key, value, ttl_s=ttl_s, tags=tags, version=version, as_of=as_of)
        terms = Terms(ttl_s, _tags(tags), version, milliseconds_of(as_of))
        return drive(self._region.setting(key, value, terms))

    @overload
    def get_or_load(
        self, key: Key, loader: Loader[T], *, ttl_s: float | None = None, tags: Iterable[str] = ()
    ) -> T: ...
    @overload
    def get_or_load(
        self, key: Key, loader: Loader[T | Absent], *, ttl_s: float | None = None, tags: Iterable[str] = ()
    ) -> T | Absent: ...
    def get_or_load(
        self, key: Key, loader: Loader[Any], *, ttl_s: float | None = None, tags: Iterable[str] = ()
    ) -> Any:
        """As `Region.get_or_load`. The first caller's thread loads; an old value is given as there."""
        _check(key)
        region = self._region
        value = region.get_nowait(key, UNCOUNTED)
        if value is not UNCOUNTED:
            item = region.memory.peek(key)
            if item is not None and region.stack.parcels.is_due_early(item) and not in_loop():
                drive(region.loading.refresh(key, item, loader, Terms(ttl_s, _tags(tags))))
            return value
        terms = Terms(ttl_s, _tags(tags))
        if in_loop():
            return self._load_in_place(key, loader, terms)
        given: Given = drive(region.loading.get_or_load(key, loader, terms))
        return given.result()

    def load(
        self,
        key: Key,
        loader: Loader[T],
        *,
        ttl_s: float | None = None,
        tags: Iterable[str] = (),
        trigger: LoadTrigger = LoadTrigger.WARM,
    ) -> T:
        """As `Region.load`."""
        terms = Terms(ttl_s, _tags(tags))
        if in_loop():
            return self._load_in_place(key, loader, terms)
        given: Given = drive(self._region.loading.load(key, loader, terms, trigger))
        return given.result()

    def invalidate(self, key: Key) -> None:
        """As `Region.invalidate`."""
        if self._is_bypassed(Operation.INVALIDATE):
            self._region.invalidate_nowait(key)
        else:
            drive(self._region.invalidating(key))

    def invalidate_tag(self, tag: str) -> None:
        """As `Region.invalidate_tag`."""
        self._drive_or_behind(self._region.invalidating_tag(tag))

    def invalidate_prefix(self, prefix: str | tuple[str | int, ...]) -> int:
        """As `Region.invalidate_prefix`; inside an event loop the count of memory."""
        region, stack = self._region, self._region.stack
        if not self._is_bypassed(Operation.INVALIDATE):
            return drive(region.invalidating_prefix(prefix))
        text = prefix_of(prefix)
        count = stack.void_prefix(text)
        stack.tell_invalidation()
        stack.owe_prefix(text)
        if isinstance(prefix, tuple) and len(prefix) > 1:
            count += region.memory.peek(prefix) is not None
            region.invalidate_nowait(prefix)
        return count

    def clear(self) -> None:
        """As `Region.clear`."""
        self._drive_or_behind(self._region.clearing())

    def _drive_or_behind(self, routine: Routine[None]) -> None:
        if self._is_bypassed(Operation.INVALIDATE):
            self._behind(routine)
        else:
            drive(routine)

    def _behind(self, routine: Routine[Any]) -> None:
        """Take the steps before the routine's first request now, and the others behind."""
        stack = self._region.stack
        first = next(routine, None)
        if first is None:
            return

        def rest() -> Routine[Any]:
            return (yield from resumed(routine, first))

        if not stack.behind.add((id(stack), object()), rest, is_urgent=True):
            routine.close()

    def _is_bypassed(self, operation: Operation) -> bool:
        stack = self._region.stack
        if not stack.tiers or not in_loop():
            return False
        for tier in stack.tiers:
            stack.telemetry.lower_request(tier.level, operation, Result.BYPASS)
        stack.memory.count("bypass")
        return True

    def _load_in_place(self, key: Key, loader: Callable[[], Any], terms: Terms) -> Any:
        """Inside an event loop: nobody can be waited for."""
        region = self._region
        stack = region.stack
        self._is_bypassed(Operation.GET)
        stack.memory.count("miss")
        mark = stack.mark(key)
        cells = stack.epochs.cells(terms.tags)
        before = seen(cells[1:])
        token = stack.telemetry.load_started(LoadTrigger.MISS)
        try:
            value = loader()
        except BaseException as error:
            stack.telemetry.load_ended(token, error)
            raise
        stack.telemetry.load_ended(token)
        if inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            raise TypeError("loader: a blocking call inside a running event loop cannot await it")
        parcel = stack.parcels.wrap(value, terms, before, stack.memory_s())
        if parcel is not None and not (value is ABSENT and not stack.rules.negative_ttl_s):
            stack.keep(key, parcel.item, mark)
        return value


def _parcels(
    type_: Any, rules: RegionRules, clock: Clock, random: Random, *, is_alone: bool, compress: bool
) -> Parcels:
    """Raises `TypeError` for a type that cannot be stored, `ImportError` without msgspec."""
    if is_alone and rules.isolate is Isolation.SHARED:
        return Parcels(rules, None, _shared, clock, random)
    from tickspan.cache import codec  # needs msgspec, which is optional

    coding = codec.Codec(type_, max_value_bytes=rules.max_value_bytes, compress=compress)
    return Parcels(rules, coding, codec.is_immutable, clock, random)


def _shared(value: Any) -> bool:
    del value
    return True


def _oldest_s(rules: RegionRules) -> float:
    """How old a value may be that is given."""
    return min(rules.hard_s, math.inf if rules.max_age_s is None else rules.max_age_s)


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags, if a region takes them. Raises `TypeError` where it would."""
    given = _tags(tags)
    names = Names("-", "-")
    for tag in given:
        names.tag(tag)
    return given


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise TypeError("tags: expected several str, got one str")
    return tuple(tags)


def _check(key: Any) -> None:
    """Raise `TypeError` for what looks like a key that is there but is none, such as True for 1."""
    kind = type(key)
    if kind is str or kind is int:
        return
    if kind is tuple and key and all(type(part) is str or type(part) is int for part in key):
        return
    text_of(key)
