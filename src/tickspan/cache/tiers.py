"""What a region asks of the tiers below memory: requests as values, answered blocking or not.

A tier that cannot answer raises `TierUnavailable`, and nothing else: a region goes on without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tickspan.cache.entry import Level

__all__ = [
    "NOTHING",
    "Answer",
    "AnyRequest",
    "Bump",
    "Bury",
    "Claim",
    "Erase",
    "Found",
    "Listener",
    "LowerTier",
    "Read",
    "Release",
    "TierUnavailable",
    "Write",
]

NOTHING: Final = b""
"""The id of what is not there."""


class TierUnavailable(Exception):  # noqa: N818 - a state of a server, which the callers go on from
    """A tier cannot answer now; `reason` is one word without data, such as `timeout` or `breaker_open`."""

    def __init__(self, level: Level, reason: str) -> None:
        super().__init__(f"{level}: {reason}")
        self.level = level
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Found:
    """What was there, in the order of the request: envelopes or None; epochs, 0 for unknown ones."""

    values: tuple[bytes | None, ...]
    epochs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """Values, and the epochs of tags, by their full names, in one step. Answered by `Found`."""

    keys: tuple[str, ...]
    epochs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """Store an envelope. Answered by whether it was stored.

    Refused when the tier holds a version above `version`, or when what it holds has another id than
    `expected_id` (`NOTHING`: when it holds anything). Without either it is always stored. A tier without room
    removes what it holds and raises `TierUnavailable` (`no_room`).
    """

    key: str
    raw: bytes
    ttl_ms: int
    expected_id: bytes | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Bury:
    """Put a tombstone in place of each value: an envelope with an id of its own. Answered by None.

    A tombstone carries the version that it replaces when that is known, so that older ones stay refused.
    """

    keys: tuple[str, ...]
    tombstones: tuple[bytes, ...]
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Bump:
    """Set each epoch to the larger of `now_ms` and its number plus one. Answered by the numbers."""

    epochs: tuple[str, ...]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Erase:
    """Remove all values whose full name begins with `prefix`. Answered by how many, at least."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Ask to be the one of all processes that loads a key. Answered by whether we are."""

    key: str
    owner: bytes
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Release:
    """Give a claim back, if it is still `owner`'s. Answered by None."""

    key: str
    owner: bytes


AnyRequest = Read | Write | Bury | Bump | Erase | Claim | Release
Answer = Found | bool | int | tuple[int, ...] | None


class Listener(Protocol):
    """Who keeps in memory what a tier holds, and hears when that has changed elsewhere."""

    def invalidated(self, keys: Sequence[str], /) -> None:
        """These full names have changed; called on a thread of the tier."""
        ...

    def flushed(self) -> None:
        """Anything may have changed."""
        ...

    def lost(self, is_lost: bool, /) -> None:
        """From now on changes are not heard of (True), or are heard of again (False; after `flushed`)."""
        ...


class LowerTier(Protocol):
    """Redis or the disk. Safe for any thread and event loop; survives a fork.

    What makes values void or stores them, and could not be done for sure, is made good by the tier itself: it
    makes those names void as soon as it can, and until then answers no read of them. So it is asked for that
    also while it is not available.
    """

    @property
    def level(self) -> Level:
        """Which one it is."""
        ...

    @property
    def is_available(self) -> bool:
        """Whether a request would be tried at all; costs no I/O."""
        ...

    def perform(self, request: AnyRequest, /) -> Answer:
        """Do it, blocking.

        Raises:
            TierUnavailable: it could not be done within the tier's limits.
        """
        ...

    async def perform_async(self, request: AnyRequest, /) -> Answer:
        """Do it without blocking the event loop. Errors as `perform`; a cancelled call harms no other."""
        ...

    def listen(self, prefix: str, listener: Listener, /) -> bool:
        """Tell `listener` of changes below `prefix`, which ends in `:`; False where the tier cannot."""
        ...

    def generation(self, key: str, /) -> int:
        """A number that grows when `key` changes elsewhere; what was read under an older one is not kept."""
        ...

    def close(self) -> None:
        """Give everything back; idempotent."""
        ...
