"""How far an iteration is: the positions it has passed, and what is said of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tickspan.lazy.rules import LazyRules
from tickspan.lazy.sizing import ChunkSizer, bytes_of
from tickspan.lazy.source import Chunk, Position
from tickspan.lazy.token import Mark

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Delivery(Generic[T]):
    """A chunk on its way to the consumer, without the rows that an earlier reader has had."""

    rows: Sequence[T]
    chunk: Chunk[T]
    start: Position
    skipped: int
    size_bytes: int
    fetch_s: float

    def mark(self, consumed: int) -> Mark:
        """The place after the first `consumed` rows of this delivery."""
        passed = self.skipped + consumed
        if self.chunk.position_at is not None and passed:
            return Mark(self.chunk.position_at(passed))
        if passed == len(self.chunk.rows) and self.chunk.position is not None:
            return Mark(self.chunk.position)
        return Mark(self.start, passed)


class Course(Generic[T]):
    """Where the next fetch starts and how many rows it asks for. Belongs to whoever fetches."""

    __slots__ = ("_skip", "is_ended", "position", "sizer")

    def __init__(self, mark: Mark, rules: LazyRules) -> None:
        self.position = mark.position
        self.is_ended = False
        self._skip = mark.skip
        self.sizer = ChunkSizer(
            rules.chunk, rules.fetch_s, rules.prefetch_bytes / 2, is_adaptive=rules.is_adaptive
        )

    def __repr__(self) -> str:
        return f"<Course {self.sizer!r}{', ended' if self.is_ended else ''}>"

    @property
    def limit(self) -> int:
        """Rows to ask for; when rows are skipped, enough to get past them."""
        return self.sizer.limit + self._skip

    def took(self, chunk: Chunk[T], fetch_s: float) -> Delivery[T] | None:
        """Go on after `chunk`; what of it is to be delivered, None when there is nothing in it."""
        start, skipped = self.position, min(self._skip, len(chunk.rows))
        self._skip -= skipped
        self.position = chunk.position
        self.is_ended = chunk.position is None
        rows = chunk.rows if isinstance(chunk.rows, list | tuple) else list(chunk.rows)
        rows = rows[skipped:] if skipped else rows
        size = bytes_of(chunk.rows) if chunk.size_bytes is None else chunk.size_bytes
        self.sizer.learn(len(chunk.rows), fetch_s, size)
        return Delivery(rows, chunk, start, skipped, size, fetch_s) if rows else None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an iteration is, told after each chunk.

    Attributes:
        rows: handed out so far, by this iteration and those that it goes on from in this `Rows`.
        chunks: that these rows came in.
        size_bytes: that they took in memory, about.
        elapsed_s: since the first row was asked for.
        total_rows: of the whole dataset, where the source knows it.
    """

    rows: int
    chunks: int
    size_bytes: int
    elapsed_s: float
    total_rows: int | None = None

    @property
    def rows_per_s(self) -> float:
        """The average rate so far."""
        return self.rows / self.elapsed_s if self.elapsed_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class RowsStatistics:
    """What an iteration has done.

    Attributes:
        rows: handed out.
        chunks: handed out, the one begun included.
        size_bytes: of these chunks in memory, about.
        chunk_rows: that the next fetch asks for.
        row_bytes: of a row on average, in the last chunk.
        fetch_s: spent in fetches, without the making of rows.
        decode_s: spent in the making of rows.
        consumer_stall_s: that the consumer has waited for rows.
        producer_stall_s: that the one who fetches has waited for room.
        waiting_chunks: fetched and not yet taken.
        waiting_bytes: of them.
        peak_waiting_bytes: the most that waited at once.
        is_open: whether anything is held: a thread or task, a connection, a file.
    """

    rows: int = 0
    chunks: int = 0
    size_bytes: int = 0
    chunk_rows: int = 0
    row_bytes: float = 0.0
    fetch_s: float = 0.0
    decode_s: float = 0.0
    consumer_stall_s: float = 0.0
    producer_stall_s: float = 0.0
    waiting_chunks: int = 0
    waiting_bytes: int = 0
    peak_waiting_bytes: int = 0
    is_open: bool = False


def seconds_since(began: float) -> float:
    """Seconds of the performance counter since `began`."""
    return time.perf_counter() - began
