"""Parcels: a value as memory holds it and as the tiers below do, with its lifetimes."""

from __future__ import annotations

import math
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Final, Protocol

from tickspan.cache.clock import Clock
from tickspan.cache.entry import ABSENT, Item
from tickspan.cache.envelope import Envelope, tombstone
from tickspan.cache.epochs import Seen
from tickspan.cache.rules import Isolation, RegionRules

__all__ = ["Parcel", "Parcels", "PayloadError", "Terms", "is_duration", "milliseconds_of"]

_AHEAD_MS: Final = 1000
"""A value from the future by more is a miss."""
_EARLY_FOLD: Final = 16
"""XFetch refreshes so many load times before expiry with a chance of one in nine million."""
_ID_BYTES: Final = 8


class PayloadError(Exception):
    """A payload cannot be read; `reason` is one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Coding(Protocol):
    """What of `codec.Codec` is needed here."""

    schema: int
    max_value_bytes: int

    def encode(self, value: Any, /) -> bytes:
        """As `Codec.encode`."""
        ...

    def decode(self, payload: bytes, /) -> Any:
        """As `Codec.decode`."""
        ...

    def pack(self, payload: bytes, /) -> tuple[int, bytes]:
        """As `Codec.pack`."""
        ...

    def unpack(self, codec: int, packed: bytes, raw_length: int, /) -> bytes:
        """As `Codec.unpack`."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a value is stored."""

    ttl_s: float | None = None
    tags: tuple[str, ...] = ()
    version: int | None = None
    as_of_ms: int | None = None
    load_cost_s: float = 0.0

    def __post_init__(self) -> None:
        if self.ttl_s is not None and not is_duration("ttl_s", self.ttl_s):
            raise ValueError(f"ttl_s: expected a number of seconds above 0, got {self.ttl_s!r}")
        version: Any = self.version
        if version is None:
            return
        if not isinstance(version, int):
            raise TypeError(f"version: expected an int, got {type(version).__name__}")
        if not 1 <= version < 2**64:
            raise ValueError(f"version: expected 1 to 2**64 - 1, got {version!r}")


@dataclass(slots=True)  # one for each value that is set: freezing would double its cost
class Parcel:
    """A value on its way: the item for memory, the payload for the tiers below."""

    item: Item
    payload: bytes
    soft_ttl_ms: int
    hard_ttl_ms: int


class Parcels:
    """Makes items of values, envelopes of items, items of envelopes, by the rules of one region.

    Args:
        rules: of the region.
        codec: of the region; None where values are shared objects that never leave memory.
        is_immutable: whether callers may share a value, for `Isolation.AUTO`.
        clock: tells the time.
        random: for the spread of lifetimes.
    """

    def __init__(
        self,
        rules: RegionRules,
        codec: Coding | None,
        is_immutable: Callable[[Any], bool],
        clock: Clock,
        random: Random,
    ) -> None:
        self._codec = codec
        self.use_rules(rules)
        self._is_immutable = is_immutable
        self._clock = clock
        self._random = random

    def use_rules(self, rules: RegionRules) -> None:
        """Go by these rules from now on."""
        self._rules = rules
        if self._codec is not None:
            self._codec.max_value_bytes = rules.max_value_bytes

    def wrap(self, value: Any, terms: Terms, seen: Seen, memory_s: float) -> Parcel | None:
        """The parcel of a value that is new now; None when it is too old to be of use.

        Args:
            value: what to store; `ABSENT` for "there is no such thing".
            terms: of storing it.
            seen: its tags, from before it was made.
            memory_s: how long memory may answer alone.

        Raises:
            TypeError: the value would not come back as it is.
        """
        now_s, now_ms = self._clock.now_s(), self._clock.now_ms()
        guard_at = self._guard_at(now_s, now_ms, terms.as_of_ms, now_ms)
        if guard_at is None or guard_at <= now_s:
            return None
        is_negative = value is ABSENT
        soft_s, hard_s = self._lives(terms.ttl_s, is_negative=is_negative)
        stored, decode, payload, size = self._form(value)
        item = Item(
            stored,
            soft_at=now_s + soft_s,
            hard_at=now_s + hard_s,
            guard_at=guard_at,
            decode=decode,
            stored_at_ms=now_ms,
            as_of_ms=terms.as_of_ms,
            load_cost_s=terms.load_cost_s,
            version=terms.version,
            size_bytes=size,
            epochs=seen,
            is_negative=is_negative,
            early_at=self._early_at(now_s + soft_s, terms.load_cost_s),
            id=b"" if self._codec is None else secrets.token_bytes(_ID_BYTES),
        )
        item.until = min(item.until, now_s + memory_s)
        return Parcel(item, payload, _milliseconds(soft_s), _milliseconds(hard_s))

    def envelope(self, parcel: Parcel, tags: Sequence[tuple[str, int]]) -> bytes:
        """What the tiers below hold of it, with the numbers of its tags."""
        item, codec = parcel.item, self._codec
        assert codec is not None, "what never leaves memory has no envelope"
        packing, packed = codec.pack(parcel.payload)
        return Envelope(
            id=item.id,
            schema=codec.schema,
            stored_at_ms=item.stored_at_ms,
            soft_ttl_ms=parcel.soft_ttl_ms,
            hard_ttl_ms=parcel.hard_ttl_ms,
            payload=packed,
            codec=packing,
            raw_length=len(parcel.payload),
            version=item.version,
            as_of_ms=item.as_of_ms,
            load_cost_us=round(item.load_cost_s * 1e6),
            tags=tuple(tags),
            is_negative=item.is_negative,
        ).to_bytes()

    def ttl_ms(self, item: Item) -> int:
        """How long a tier below may keep it from now on; 0 for no longer."""
        return _milliseconds(min(item.hard_at, item.guard_at) - self._clock.now_s())

    def unwrap(self, envelope: Envelope, seen: Seen, memory_s: float) -> Item | None:
        """The item of an envelope, fresh or stale; None for one that nobody may serve.

        Raises:
            PayloadError: it is of another type than this region's, or damaged.
        """
        codec = self._codec
        if codec is None or envelope.schema != codec.schema:
            raise PayloadError("schema")
        now_s, now_ms = self._clock.now_s(), self._clock.now_ms()
        guard_at = self._guard_at(now_s, now_ms, envelope.as_of_ms, envelope.stored_at_ms)
        since_s = max(0, now_ms - envelope.stored_at_ms) / 1000
        hard_at = now_s + envelope.hard_ttl_ms / 1000 - since_s
        if guard_at is None or min(guard_at, hard_at) <= now_s:
            return None
        soft_at = now_s + envelope.soft_ttl_ms / 1000 - since_s
        stored: Any = ABSENT
        decode: Callable[[Any], Any] | None = None
        if not envelope.is_negative:
            payload = codec.unpack(envelope.codec, envelope.payload, envelope.raw_length)
            stored, decode = self._shared(codec.decode(payload), payload)
        cost_s = envelope.load_cost_us / 1e6
        item = Item(
            stored,
            soft_at=soft_at,
            hard_at=hard_at,
            guard_at=guard_at,
            decode=decode,
            stored_at_ms=envelope.stored_at_ms,
            as_of_ms=envelope.as_of_ms,
            load_cost_s=cost_s,
            version=envelope.version,
            size_bytes=envelope.raw_length,
            epochs=seen,
            is_negative=envelope.is_negative,
            early_at=self._early_at(soft_at, cost_s),
            id=envelope.id,
        )
        item.until = min(item.until, now_s + memory_s)
        return item

    def tombstone(self, version: int | None = None) -> tuple[bytes, int]:
        """What stands where a value was made void, and for how many milliseconds."""
        ttl_ms = _milliseconds(2 * self._rules.load_timeout_s)
        return tombstone(secrets.token_bytes(_ID_BYTES), self._clock.now_ms(), ttl_ms, version), ttl_ms

    def is_due_early(self, item: Item) -> bool:
        """Whether a caller that is about to be given `item` should load it anew (XFetch)."""
        now_s = self._clock.now_s()
        if now_s < item.early_at:
            return False
        ahead_s = item.load_cost_s * self._rules.early_refresh * -math.log(1.0 - self._random.random())
        return now_s + ahead_s >= item.soft_at

    def age_s(self, item: Item) -> float:
        """Since the event that it tells, or else since it was stored."""
        event_ms = item.stored_at_ms if item.as_of_ms is None else item.as_of_ms
        return max(0, self._clock.now_ms() - event_ms) / 1000

    def _form(self, value: Any) -> tuple[Any, Callable[[Any], Any] | None, bytes, int]:
        """How memory holds a value: object or bytes, what decodes them, the payload, the size."""
        if value is ABSENT:
            return ABSENT, None, b"", 0
        if self._codec is None:
            return value, None, b"", sys.getsizeof(value)
        payload = self._codec.encode(value)
        stored, decode = self._shared(value, payload)
        return stored, decode, payload, len(payload)

    def _shared(self, value: Any, payload: bytes) -> tuple[Any, Callable[[Any], Any] | None]:
        assert self._codec is not None
        isolation = self._rules.isolate
        if isolation is Isolation.SHARED or (isolation is Isolation.AUTO and self._is_immutable(value)):
            return value, None
        return payload, self._codec.decode

    def _lives(self, ttl_s: float | None, *, is_negative: bool) -> tuple[float, float]:
        """Soft and hard, in seconds; the soft one shortened by chance."""
        rules = self._rules
        if is_negative:
            return rules.negative_ttl_s, rules.negative_ttl_s
        soft_s = rules.ttl_s if ttl_s is None else ttl_s
        hard_s = 10 * soft_s if rules.hard_ttl_s is None else max(rules.hard_ttl_s, soft_s)
        return soft_s * (1 - rules.jitter * self._random.random()), hard_s

    def _guard_at(self, now_s: float, now_ms: int, as_of_ms: int | None, stored_at_ms: int) -> float | None:
        """When `max_age_s` is reached; None for what comes from the future."""
        max_age_s = self._rules.max_age_s
        if as_of_ms is not None and as_of_ms - now_ms > _AHEAD_MS:
            return None
        if max_age_s is None:
            return math.inf
        age_ms = now_ms - (stored_at_ms if as_of_ms is None else as_of_ms)
        return None if age_ms < -_AHEAD_MS else now_s + max_age_s - max(0, age_ms) / 1000

    def _early_at(self, soft_at: float, cost_s: float) -> float:
        beta = self._rules.early_refresh
        return soft_at - _EARLY_FOLD * beta * cost_s if beta and cost_s else math.inf


def milliseconds_of(moment: datetime | float | None) -> int | None:
    """A moment as milliseconds since 1970; a number is seconds since 1970.

    Raises:
        TypeError: neither a datetime nor a number.
        ValueError: a datetime without a time zone, or a number that is none of these.
    """
    if moment is None:
        return None
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("as_of: expected a datetime with a time zone, or seconds since 1970")
        moment = moment.timestamp()
    if not is_duration("as_of", moment):
        raise ValueError(f"as_of: expected seconds since 1970, got {moment!r}")
    return round(moment * 1000)


def is_duration(name: str, value: Any) -> bool:
    """Whether it is finite and above 0. Raises `TypeError`, which says `name`, for what is no number."""
    try:
        return math.isfinite(value) and value > 0
    except TypeError:
        raise TypeError(f"{name}: expected a number of seconds, got {type(value).__name__}") from None


def _milliseconds(seconds: float) -> int:
    return max(0, math.floor(seconds * 1000))
