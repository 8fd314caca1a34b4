"""What the rules of sessions ask of a store: requests as values, answered blocking or not."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

__all__ = [
    "Answer",
    "Extend",
    "Fetch",
    "Fetched",
    "Forget",
    "Insert",
    "Keeper",
    "List",
    "Listed",
    "Note",
    "Remove",
    "Replace",
    "Request",
    "Routine",
]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A record, and how long the store still keeps it."""

    raw: bytes
    left_ms: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A digest in a user's index, and when it was noted, in milliseconds since 1970."""

    digest: bytes
    noted_ms: int


@dataclass(frozen=True, slots=True)
class Fetch:
    """Records, in the order of their digests. Answered by a tuple of `Fetched` or None."""

    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Insert:
    """Keep a new record for so long. Answered by None."""

    digest: bytes
    raw: bytes
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Replace:
    """Put a record in place of one that begins with `head`. Answered by whether it was there."""

    digest: bytes
    head: bytes
    raw: bytes
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Extend:
    """Keep a record for so long from now on, if it is there. Answered by None."""

    digest: bytes
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Keep records no longer. Answered by how many there were."""

    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """Put a digest into a user's index, and keep that for so long at least. Answered by None."""

    user: str
    digest: bytes
    now_ms: int
    ttl_ms: int


@dataclass(frozen=True, slots=True)
class List:
    """A user's index. Answered by a tuple of `Listed`."""

    user: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Take digests out of a user's index. Answered by None."""

    user: str
    digests: tuple[bytes, ...]


Request = Fetch | Insert | Replace | Extend | Remove | Note | List | Forget
Answer = tuple[Fetched | None, ...] | tuple[Listed, ...] | bool | int | None
Routine = Generator[Request, Answer, R]


class Keeper(Protocol):
    """Where sessions are kept. Safe for any thread and event loop; survives a fork.

    It raises `SessionStoreUnavailable`, and nothing else.
    """

    def perform(self, request: Request, /) -> Answer:
        """Do it, blocking."""
        ...

    async def perform_async(self, request: Request, /) -> Answer:
        """Do it without blocking the event loop."""
        ...

    def close(self) -> None:
        """Give back what is the keeper's own."""
        ...
