"""What a cache holds under a key, in memory and as its callers see it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

__all__ = ["ABSENT", "Absent", "Entry", "EpochCell", "EvictionReason", "Item", "Key", "Level"]

T = TypeVar("T")

Key = str | int | tuple[str | int, ...]
"""A key as callers write it; at most 512 bytes as text, no booleans."""


class Level(StrEnum):
    """Where a value came from."""

    MEMORY = "memory"
    REDIS = "redis"
    DISK = "disk"
    LOADER = "loader"


class EvictionReason(StrEnum):
    """Why a value left memory."""

    CAPACITY = "capacity"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"
    """By another process, a tag, a prefix or `clear`."""
    REPLACED = "replaced"
    EXPLICIT = "explicit"
    """By `invalidate` of its key in this process."""
    OVERSIZE = "oversize"
    """It was never stored."""


class Absent:
    """The type of `ABSENT`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent()
"""What a loader returns for "there is no such thing"; remembered for `negative_ttl_s`."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A value and what is known about it."""

    value: T
    age_s: float
    """Since the event that it tells (`as_of`) if that was given, else since it was stored."""
    level: Level
    is_stale: bool = False
    """It stands in for a value that could not be loaded."""
    version: int | None = None


class EpochCell:
    """How often a tag was invalidated, as this process knows it: a value is void that has seen fewer."""

    __slots__ = ("__weakref__", "echo_until", "name", "read_at", "remote", "value")

    def __init__(self, name: str, value: int = 0) -> None:
        self.name = name
        self.value = value
        self.remote = 0
        """The tag's number in the tiers below, as last read or set there; 0 before."""
        self.read_at = -math.inf
        """When that was, by the monotonic clock."""
        self.echo_until = -math.inf
        """Until when a tier's word that it has changed may be the echo of our own doing."""

    def __repr__(self) -> str:
        return f"<EpochCell {self.name} {self.value}>"


class Item:
    """A value in memory. Times are of the monotonic clock, those that end in `_ms` since 1970.

    One thread writes an item before others see it; afterwards only `frequency`, `until`, `early_at` and
    `echo_until` change, by single assignments.
    """

    __slots__ = (
        "as_of_ms",
        "decode",
        "early_at",
        "echo_until",
        "epochs",
        "frequency",
        "guard_at",
        "hard_at",
        "id",
        "is_negative",
        "load_cost_s",
        "payload",
        "size_bytes",
        "soft_at",
        "stored_at_ms",
        "until",
        "version",
    )

    def __init__(
        self,
        payload: Any,
        *,
        soft_at: float,
        hard_at: float,
        stored_at_ms: int,
        size_bytes: int,
        guard_at: float = math.inf,
        decode: Callable[[Any], Any] | None = None,
        as_of_ms: int | None = None,
        load_cost_s: float = 0.0,
        version: int | None = None,
        epochs: tuple[tuple[EpochCell, int], ...] = (),
        is_negative: bool = False,
        early_at: float = math.inf,
        id: bytes = b"",  # noqa: A002 - as the envelope's
    ) -> None:
        self.payload = payload
        """The value, or its encoded form where `decode` is given."""
        self.decode = decode
        self.soft_at = soft_at
        self.hard_at = hard_at
        self.guard_at = guard_at
        """When `max_age_s` is reached: nothing serves it afterwards."""
        self.until = min(soft_at, hard_at, guard_at)
        """Till when a hit needs no more thought."""
        self.stored_at_ms = stored_at_ms
        self.as_of_ms = as_of_ms
        self.load_cost_s = load_cost_s
        self.version = version
        self.size_bytes = size_bytes
        self.epochs = epochs
        """Tags, and their numbers when the value was stored."""
        self.is_negative = is_negative
        self.early_at = early_at
        """From when on a hit may be one that loads anew, by `early_refresh`."""
        self.id = id
        """Of the envelope that a lower tier holds; empty when none does."""
        self.echo_until = -math.inf
        """Until when a tier's word that the key has changed may be the echo of our own write."""
        self.frequency = 0

    def __repr__(self) -> str:
        kind = "absent" if self.is_negative else f"{self.size_bytes} bytes"
        return f"<Item {kind}, soft {self.soft_at:.3f}, hard {self.hard_at:.3f}>"

    @property
    def is_void(self) -> bool:
        """Whether a tag of it was invalidated since."""
        return any(cell.value > seen for cell, seen in self.epochs)

    def value(self) -> Any:
        """The value; a new object for each call where it is kept encoded."""
        return self.payload if self.decode is None else self.decode(self.payload)
