"""Loading: values that are not there, or not fresh, are made by the caller's loader, once for all who ask."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from tickspan.cache.driving import Ask, Call, Launch, Outcome, Pause, Routine, Wait
from tickspan.cache.entry import ABSENT, Item, Key
from tickspan.cache.epochs import seen
from tickspan.cache.flights import Flight
from tickspan.cache.parcels import Terms
from tickspan.cache.rules import Flight as Among
from tickspan.cache.stack import Mark, Reading, Stack
from tickspan.cache.telling import LoadTrigger, Result
from tickspan.cache.tiers import Claim, Release, TierUnavailable

__all__ = ["Given", "Loading"]

_SLICE_S: Final = 0.5
"""How long one waits before looking whether the load can still end."""
_FIRST_PAUSE_S: Final = 0.005
_LONGEST_PAUSE_S: Final = 0.25
_PAUSE_GROWTH: Final = 1.6
_OWNER_BYTES: Final = 8
_TRIES: Final = 2


@dataclass(frozen=True, slots=True)
class Given:
    """What a caller is given: an item's value, a value, or the loader's own exception."""

    item: Item | None = None
    value: Any = None
    error: BaseException | None = None
    kind: Result = Result.MISS
    """What was found before any load."""

    def result(self) -> Any:
        """The value, for this caller alone where it can be altered; or the exception, raised."""
        if self.error is not None:
            raise self.error
        return self.value if self.item is None else self.item.value()


@dataclass(frozen=True, slots=True)
class Order:
    """One load that a caller asks for."""

    key: Key
    loader: Callable[[], Any]
    terms: Terms
    trigger: LoadTrigger = LoadTrigger.MISS
    newer_than_ms: float = -1.0
    """A value below is taken in place of a load when it was stored later than this."""


class Loading:
    """The loads of one region."""

    def __init__(self, stack: Stack, random: Random) -> None:
        self._stack = stack
        self._random = random

    def get_or_load(self, key: Key, loader: Callable[[], Any], terms: Terms) -> Routine[Given]:
        """The value of a key, loaded if there is no fresh one; an old one where that fails or is slow."""
        stack = self._stack
        stack.names.value(key)  # raises TypeError for what is no key
        held = stack.memory.find(key)
        if held is not None and held.until > stack.clock.now_s():
            given = _of_item(held)
            stack.memory.count(given.kind)
        else:
            answer = Result.MISS
            try:
                given = yield from self._shared(Order(key, loader, terms))
                if given.kind is Result.STALE:
                    answer = Result.STALE
            finally:
                stack.memory.count(answer)
        stack.telemetry.found(given.kind)
        return given

    def _shared(self, order: Order) -> Routine[Given]:
        stack, key = self._stack, order.key
        for _ in range(_TRIES):
            flight, is_first = stack.flights.join(key, order.terms.tags, stack.clock.now_s())
            if flight.is_mine:
                break
            if is_first:
                is_behind = self._stand_in(key) is not None
                yield Launch(flight, lambda flight=flight: self._fly(flight, order), is_behind)
            else:
                stack.telemetry.coalesced()
            given = yield from self._awaited(flight, key)
            if given is not None:
                return given
            if not flight.is_done:
                break
        return (yield from self._alone(order))

    def load(self, key: Key, loader: Callable[[], Any], terms: Terms, trigger: LoadTrigger) -> Routine[Given]:
        """Load and store a value, whatever is held; nobody waits for older loads, and its errors pass."""
        self._stack.names.value(key)
        return (yield from self._alone(Order(key, loader, terms, trigger, float("inf"))))

    def refresh(self, key: Key, item: Item, loader: Callable[[], Any], terms: Terms) -> Routine[None]:
        """Load anew behind a caller that has been given `item`, unless a load is under way."""
        stack = self._stack
        flight, is_first = stack.flights.join(key, terms.tags, stack.clock.now_s())
        if is_first:
            order = Order(key, loader, terms, LoadTrigger.EAGER, item.stored_at_ms)
            yield Launch(flight, lambda: self._fly(flight, order), is_behind=True)

    # Waiting

    def _awaited(self, flight: Flight, key: Key) -> Routine[Given | None]:
        """What a flight gives; an old value past the soft limit; None past the hard one, or if abandoned."""
        rules, clock = self._stack.rules, self._stack.clock
        soft_at = flight.began_at + rules.load_soft_timeout_s
        if not flight.is_done and soft_at > clock.now_s():
            yield Wait(flight, soft_at - clock.now_s())
        if not flight.is_done and (stale := self._stand_in(key)) is not None:
            self._stack.telemetry.failsafe(None)
            return Given(stale, kind=Result.STALE)
        while not flight.is_done and not flight.is_lost:
            remaining_s = flight.loading_at + rules.load_timeout_s - clock.now_s()
            if remaining_s <= 0:
                return None
            yield Wait(flight, min(_SLICE_S, remaining_s))
        return flight.result

    def _stand_in(self, key: Key) -> Item | None:
        """An old value that may still be served."""
        item = self._stack.memory.find(key)
        return None if item is None or item.is_negative else item

    # The flight itself

    def _alone(self, order: Order) -> Routine[Given]:
        """As a flight that nobody else can join."""
        flight = Flight(order.key, self._stack.flights, order.terms.tags, self._stack.clock.now_s())
        yield from self._fly(flight, order)
        assert flight.result is not None, "a flight that was not cancelled has a result"
        return flight.result

    def _fly(self, flight: Flight, order: Order) -> Routine[None]:
        """Read below, load, store, and end the flight."""
        stack, key = self._stack, order.key
        mark = stack.mark(key)
        reading = Reading()
        if stack.tiers:
            (reading,) = yield from stack.read((key,), order.terms.tags)
        if self._is_enough(reading, order):
            flight.end(_of_reading(reading))
            return
        owner = None
        if stack.rules.flight is Among.FLEET and order.trigger is not LoadTrigger.WARM:
            reading, owner = yield from self._claim(flight, reading, order)
            if self._is_enough(reading, order):
                flight.end(_of_reading(reading))
                yield from self._release(key, owner)
                return
        cells = stack.epochs.cells(order.terms.tags)
        if stack.tiers and stack.tiers[0].level in reading.leases:
            yield from stack.renew(cells)
        tags_before = seen(cells[1:])
        flight.loading_at = began_at = stack.clock.now_s()
        outcome = yield from self._called(flight, order, owner)
        cost_s = stack.clock.now_s() - began_at
        if outcome.error is not None:
            given = self._failed(outcome.error, order)
        else:
            terms = replace(order.terms, load_cost_s=cost_s)
            given = yield from self._loaded(outcome.value, key, terms, tags_before, cells, mark, reading)
        flight.end(given)
        yield from self._release(key, owner)

    def _called(self, flight: Flight, order: Order, owner: bytes | None) -> Routine[Outcome]:
        telemetry, key = self._stack.telemetry, order.key
        token = telemetry.load_started(order.trigger)
        with flight.entered():
            try:
                outcome: Outcome = yield Call(order.loader)
            except BaseException as error:  # the task of the flight is cancelled
                if flight.is_mine:  # else it is collected, in a context that knows nothing of the load
                    telemetry.load_ended(token, error)
                    if owner is not None:
                        self._stack.behind.add((id(self), key), lambda: self._release(key, owner))
                raise
        telemetry.load_ended(token, outcome.error)
        if outcome.error is not None and not isinstance(outcome.error, Exception):
            yield from self._release(key, owner)
            raise outcome.error  # who was stopped stops alone: others load by themselves
        return outcome

    def _is_enough(self, reading: Reading, order: Order) -> bool:
        return (
            reading.is_fresh and reading.item is not None and reading.item.stored_at_ms > order.newer_than_ms
        )

    def _failed(self, error: BaseException, order: Order) -> Given:
        """The loader's own exception, or an old value that stands in for a while."""
        stack = self._stack
        item = self._stand_in(order.key)
        if item is None or order.trigger is LoadTrigger.WARM:
            return Given(error=error)
        now_s = stack.clock.now_s()
        pause_s = stack.rules.failsafe_throttle_s
        if item.until > now_s:
            item.early_at = now_s + pause_s  # still fresh: it was refreshed early
            return Given(item, kind=Result.HIT)
        item.until = min(now_s + pause_s, item.hard_at, item.guard_at)
        stack.telemetry.failsafe(error)
        return Given(item, kind=Result.STALE)

    def _loaded(
        self,
        value: Any,
        key: Key,
        terms: Terms,
        tags_before: Any,
        cells: Any,
        mark: Mark,
        reading: Reading,
    ) -> Routine[Given]:
        stack = self._stack
        if value is ABSENT and not stack.rules.negative_ttl_s:
            yield from self._gone(key, mark, reading)
            return Given(value=ABSENT)
        try:
            parcel = stack.parcels.wrap(value, terms, tags_before, stack.memory_s())
        except TypeError as error:
            return Given(error=error)
        if parcel is None:
            return Given(value=value)
        item = parcel.item
        given = Given(value=ABSENT) if item.is_negative else Given(item)
        is_late = bool(stack.tiers) and terms.load_cost_s > 2 * stack.rules.load_timeout_s
        if is_late:
            return given  # a tombstone from meanwhile may be gone: nobody could tell
        if item.size_bytes > stack.rules.max_value_bytes:
            stack.keep(key, item, mark)  # which counts that it is too large
            return given
        yield from stack.store(key, parcel, cells, mark, reading.leases)
        return given

    def _gone(self, key: Key, mark: Mark, reading: Reading) -> Routine[None]:
        """There is no such thing any more: what is held is void, unless something newer has come."""
        stack = self._stack
        if stack.mark(key) != mark or (reading.item is None and stack.memory.find(key) is None):
            return
        stack.forget_here(key)
        yield from stack.forget(key)

    # Among processes

    def _claim(self, flight: Flight, reading: Reading, order: Order) -> Routine[tuple[Reading, bytes | None]]:
        """Be the one process that loads, or get what the other one has loaded.

        Returns:
            What is below now, and our name as the one who loads; None where there is no such one.
        """
        stack, key = self._stack, order.key
        tier = stack.redis
        if tier is None or tier.level not in reading.leases:  # it has not answered: once is enough
            return reading, None
        name, owner = stack.names.claim(key), secrets.token_bytes(_OWNER_BYTES)
        limit_s = stack.rules.load_timeout_s
        end_s, pause_s = stack.clock.now_s() + limit_s, _FIRST_PAUSE_S
        has_waited = False
        while True:
            try:
                is_ours = yield Ask(tier, Claim(name, owner, round(limit_s * 1000)))
            except TierUnavailable:
                return reading, None
            if is_ours and not has_waited:
                return reading, owner
            (reading,) = yield from stack.read((key,), order.terms.tags)
            if is_ours or self._is_enough(reading, order):
                return reading, owner if is_ours else None
            if stack.clock.now_s() + pause_s >= end_s:
                return reading, None
            yield Pause(pause_s * (0.5 + self._random.random() / 2))
            pause_s = min(_LONGEST_PAUSE_S, pause_s * _PAUSE_GROWTH)
            has_waited = True
            flight.loading_at = stack.clock.now_s()  # who waits for the flight goes on waiting

    def _release(self, key: Key, owner: bytes | None) -> Routine[None]:
        tier = self._stack.redis
        if owner is None or tier is None:
            return
        try:
            yield Ask(tier, Release(self._stack.names.claim(key), owner))
        except TierUnavailable:
            return  # it ends by itself


def _of_item(item: Item) -> Given:
    if item.is_negative:
        return Given(value=ABSENT, kind=Result.NEGATIVE)
    return Given(item, kind=Result.HIT)


def _of_reading(reading: Reading) -> Given:
    assert reading.item is not None, "what is enough is there"
    return _of_item(reading.item)
