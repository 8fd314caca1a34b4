"""What rows come from: a source is asked for the rows after a position, a chunk at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from tickspan.recording import AttributeValue

T = TypeVar("T")

Position: TypeAlias = Any
"""Where a fetch starts: None is the beginning; else what `tickspan.lazy.token` can write down."""


class MissingLibraryError(ImportError):
    """A source needs a library that is not installed; the message names the extra that brings it."""


@dataclass(frozen=True, slots=True)
class Chunk(Generic[T]):
    """What one fetch has brought.

    Attributes:
        rows: in their order; fewer than asked for, or none, is no end.
        position: where the next fetch starts; None when there is nothing more.
        size_bytes: of the rows in memory; estimated from a sample of them when not given.
        position_at: the position after the first `n` rows, for n from 1 on; without it whoever goes on from
            the middle of a chunk fetches that chunk again and skips what was handed out.
        decode_s: how much of the fetch went into making rows of what had arrived.
    """

    rows: Sequence[T]
    position: Position
    size_bytes: int | None = None
    position_at: Callable[[int], Position] | None = None
    decode_s: float = 0.0


class Source(Protocol[T]):
    """Anything that fetches; `fetch` may be a coroutine function. It is never called twice at once.

    An exception of `fetch` ends the iteration and reaches whoever iterates, as the same object, after the
    rows that were fetched before.
    """

    def fetch(self, position: Position, limit: int) -> Chunk[T] | Awaitable[Chunk[T]]:
        """At most about `limit` rows after `position`."""
        ...


@dataclass(frozen=True, slots=True)
class Notes:
    """What telemetry says of a reader; names only, never data."""

    returned_rows: Mapping[str, AttributeValue] | None = None
    """Attributes of `db.client.response.returned_rows`; None when the source is no database."""


class Reader(ABC, Generic[T]):
    """One reading of a dataset: holds connections, files, cursors. Used by one thread, but for `cancel`."""

    notes: Notes = Notes()
    total_rows: int | None = None
    """Rows of the whole dataset, where they are known without counting."""

    @abstractmethod
    def fetch(self, position: Position, limit: int) -> Chunk[T]:
        """See `Source.fetch`."""

    def cancel(self) -> None:
        """End the fetch that runs, if that can be done. Called from another thread; does not wait."""

    def close(self) -> None:
        """Give back what it holds. Called once, by whoever has fetched."""


class AsyncReader(ABC, Generic[T]):
    """As `Reader`, on an event loop. A fetch is cancelled as any task is."""

    notes: Notes = Notes()
    total_rows: int | None = None

    @abstractmethod
    async def fetch(self, position: Position, limit: int) -> Chunk[T]:
        """See `Source.fetch`."""

    async def close(self) -> None:
        """Give back what it holds. Called once, by whoever has fetched."""


class Dataset(ABC, Generic[T]):
    """A description of rows, which may be read many times. The sources of `tickspan.lazy` are such."""

    is_resumable: ClassVar[bool] = True
    """Whether a token can say where to go on."""
    is_bound_to_thread: bool = False
    """Whether only the thread that iterates may fetch; then nothing is fetched ahead."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What telemetry calls it: a table, a key, a file's name; no data."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Text that differs between datasets whose positions must not be mixed up."""

    @abstractmethod
    def open(self) -> Reader[T] | AsyncReader[T]:
        """Begin to read. Connects to nothing: the first fetch does."""


@dataclass(slots=True)
class Fetching(Reader[T]):
    """Reads from an object that has no more than `fetch`."""

    source: Source[T]
    total_rows: int | None = None
    notes: Notes = field(default_factory=Notes)

    def fetch(self, position: Position, limit: int) -> Chunk[T]:
        """Ask the source. Raises TypeError when it answers with an awaitable or something else."""
        return checked(self.source.fetch(position, limit))


@dataclass(slots=True)
class FetchingAsync(AsyncReader[T]):
    """Reads from an object whose `fetch` is a coroutine function."""

    source: Source[T]
    total_rows: int | None = None
    notes: Notes = field(default_factory=Notes)

    async def fetch(self, position: Position, limit: int) -> Chunk[T]:
        """Ask the source. Raises TypeError when it answers with no chunk."""
        fetched = self.source.fetch(position, limit)
        return checked(await fetched if isinstance(fetched, Awaitable) else fetched)


def checked(fetched: object) -> Chunk[Any]:
    """`fetched`, when it is a chunk. Raises TypeError for anything else."""
    if isinstance(fetched, Chunk):
        return fetched
    if isinstance(fetched, Awaitable):
        close = getattr(fetched, "close", None)
        if close is not None:
            close()
        raise TypeError("fetch returned an awaitable: make it an `async def`, and iterate with `async for`")
    raise TypeError(f"fetch must return a tickspan.lazy.Chunk, not {type(fetched).__name__}")
