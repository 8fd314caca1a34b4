"""Rows by the million in flat memory: fetched ahead, handed out one by one, gone on with anywhere."""

from __future__ import annotations

import asyncio
import inspect
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from itertools import chain
from operator import length_hint
from types import TracebackType
from typing import Any, Final, Generic, NamedTuple, Self, TypeAlias, TypeVar

from tickspan.lazy import token as tokens
from tickspan.lazy.feeds import LET_GO_S, DirectFeed, Ended, TaskFeed, ThreadFeed
from tickspan.lazy.progress import Delivery, Progress, RowsStatistics, seconds_since
from tickspan.lazy.rules import LazyRules, current_rules
from tickspan.lazy.source import AsyncReader, Dataset, Fetching, FetchingAsync, Reader, Source
from tickspan.lazy.telling import End, Stage, Telling, guard
from tickspan.lazy.token import Mark, TokenError
from tickspan.recording import Guard

T = TypeVar("T")

_AnyFeed: TypeAlias = DirectFeed[T] | ThreadFeed[T] | TaskFeed[T]
_NOTHING: Final[Any] = object()
_progress_guard: Final = Guard("lazy", "progress")


def rows(
    source: Dataset[T] | Source[T],
    chunk: int | None = None,
    *,
    resume: str | None = None,
    prefetch: int | None = None,
    prefetch_bytes: int | None = None,
    progress: Callable[[Progress], object] | None = None,
    name: str | None = None,
) -> Rows[T]:
    """The rows of a source, one by one, by `for` or `async for`.

    ```python
    rows = lazy.rows(lazy.table(engine, "trades", key=("ts", "id")), resume=token)
    for trade in rows: ...
    token = rows.token
    ```

    A `break`, an error or the end gives everything back: thread, connection, cursor. Iterating again goes on
    after the last row that was handed out, as `resume` does in another process.

    Args:
        source: one of this package, or any object with `fetch(position, limit) -> Chunk`.
        chunk: rows of the first fetch; later ones follow from time and size.
        resume: the `token` of earlier rows of the same source.
        prefetch: chunks that are fetched ahead; 0 fetches when asked.
        prefetch_bytes: what they may take in memory. All in all there is at most that and two chunks.
        progress: called after each chunk, by whoever iterates. What it raises is reported and not raised.
        name: of the dataset in telemetry, instead of the source's own.

    Raises:
        TokenError: `resume` is damaged or belongs to another source.
        ValueError: a number is out of its range.
        TypeError: `source` is none, or `progress` cannot be called.
    """
    rules = current_rules()
    wanted = {"chunk": chunk, "prefetch": prefetch, "prefetch_bytes": prefetch_bytes}
    rules = replace(rules, **{key: value for key, value in wanted.items() if value is not None})
    return Rows(source, rules, resume=resume, progress=progress, name=name)


class Rows(Generic[T]):
    """Rows that are handed out one by one; made by `rows`. One consumer at a time.

    `for`, `async for` and `next` share one reading while it lasts. A loop that is left ends it; what `next`
    has begun lasts until the end of the rows, `close`, or the end of this object.
    """

    def __init__(
        self,
        source: Dataset[T] | Source[T],
        rules: LazyRules,
        *,
        resume: str | None = None,
        progress: Callable[[Progress], object] | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(source, Dataset) and not callable(getattr(source, "fetch", None)):
            raise TypeError(f"expected a source with `fetch(position, limit)`, got {type(source).__name__}")
        if progress is not None and not callable(progress):
            raise TypeError(f"progress: expected a function, got {type(progress).__name__}")
        self._source = source
        self._rules = rules
        self._name = name or _name_of(source)
        self._fingerprint = _fingerprint_of(source)
        self._progress = progress
        self._is_closed = False
        self._reading: _Reading[T] | None = None
        self._own: Iterator[T] | None = None
        self._total = RowsStatistics()
        self._mark = Mark() if resume is None else self._resumed(resume)
        self._is_resumed = resume is not None

    def _resumed(self, token: str) -> Mark:
        if not _is_resumable(self._source):
            raise TokenError(
                f"{self._name} cannot be resumed: it has no positions; use lazy.table or lazy.select"
            )
        return tokens.read(token, self._fingerprint)

    def __repr__(self) -> str:
        told = self.statistics()
        state = "open" if told.is_open else "closed" if self._is_closed else "at rest"
        waiting = f", {told.waiting_chunks} wait" if told.is_open else ""
        return f"<Rows {self._name}: {told.rows:,} in {told.chunks:,} chunks{waiting}, {state}>"

    @property
    def token(self) -> str:
        """Where to go on after the last row that was handed out: for `resume`, also in another process.

        Raises:
            TokenError: the source has no positions, or this one is too long or of a type that no token holds.
        """
        if not _is_resumable(self._source):
            raise TokenError(f"{self._name} has no positions to go on from; use lazy.table or lazy.select")
        return tokens.write(self._place(), self._fingerprint)

    def statistics(self) -> RowsStatistics:
        """What has been done so far, by all readings of this object."""
        reading = self._reading
        return self._total if reading is None else _sum(self._total, reading.statistics())

    # --- by `for`

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(_Chunks(self._open(is_async=False)))

    def __next__(self) -> T:
        if self._own is None:
            self._own = iter(self)
        return next(self._own)

    def chunks(self) -> Iterator[list[T]]:
        """The rows as they are fetched, a list each: for what takes many at once, such as numpy."""
        return map(list, _Chunks(self._open(is_async=False)))

    def close(self) -> None:
        """Give everything back and read no more; `token` and `statistics` stay.

        Raises:
            TypeError: the source is asynchronous: `await rows.aclose()`.
        """
        self._is_closed = True
        self._own = None
        reading = self._reading
        if reading is not None:
            reading.close()
            self._settle(reading)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- by `async for`

    def __aiter__(self) -> AsyncIterator[T]:
        return _AsyncRows(self._open(is_async=True))

    async def aclose(self) -> None:
        """As `close`, without blocking the event loop."""
        self._is_closed = True
        self._own = None
        reading = self._reading
        if reading is not None:
            await reading.aclose()
            self._settle(reading)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # --- readings

    def _place(self) -> Mark:
        reading = self._reading
        return self._mark if reading is None else reading.mark()

    def _open(self, *, is_async: bool) -> _Reading[T]:
        """The reading that is under way, or another one from where the last has stopped."""
        if self._is_closed:
            raise ValueError(
                "these rows are closed: go on with tickspan.lazy.rows(source, resume=rows.token)"
            )
        reading = self._reading
        if reading is not None and not reading.has_ended:
            return reading
        if reading is not None:
            self._settle(reading)
        is_resumed = self._is_resumed or self._total.chunks > 0
        self._reading = _Reading(
            _Plan(self._source, self._rules, self._name, self._progress),
            self._mark,
            self._total.rows,
            is_async=is_async,
            is_resumed=is_resumed,
        )
        return self._reading

    def _settle(self, reading: _Reading[T]) -> None:
        """Keep what a reading that has ended leaves behind."""
        if self._reading is reading:
            self._mark = reading.mark()
            self._total = _sum(self._total, reading.statistics())
            self._reading = None


class _Plan(NamedTuple):
    """What readings of the same rows have in common."""

    source: Any
    rules: LazyRules
    name: str
    progress: Callable[[Progress], object] | None


class _Reading(Generic[T]):
    """One way through a source, from a mark on: the consumer's side of a feed, which starts at the first row.

    It knows nothing of `Rows`, so that neither keeps the other alive. Iterators hold it; with the last of
    them it is given up.
    """

    def __init__(
        self, plan: _Plan, mark: Mark, rows_before: int, *, is_async: bool, is_resumed: bool
    ) -> None:
        self.has_ended = False
        self.current: Iterator[T] = iter(())
        self._plan = plan
        self._rows_before = rows_before
        self._is_async = is_async
        self._is_resumed = is_resumed
        self._before = mark
        self._delivery: Delivery[T] | None = None
        self._past_rows = self._chunks = self._size_bytes = self._holders = 0
        self._began_s = self._consume_began_s = 0.0
        self._telling = Telling(plan.name)
        self._feed: _AnyFeed[T] | None = None

    def hold(self, holder: object) -> None:
        """Last as long as `holder` lives, or another one does."""
        self._holders += 1
        weakref.finalize(holder, self._let_go)

    def _let_go(self) -> None:
        self._holders -= 1
        if not self._holders:
            guard.closing(self._abandon, default=None)

    # --- handing out

    def advance(self) -> Iterator[T]:
        """What is left of the current chunk, or the next one. Raises StopIteration, or the source's error."""
        if length_hint(self.current):
            return self.current
        feed = self._started()
        if feed is None:
            raise StopIteration
        if isinstance(feed, TaskFeed):
            raise self._only_async()
        item = self._take(feed)
        if self.has_ended:  # closed meanwhile, by another thread
            raise StopIteration
        if isinstance(item, Ended):
            self._end(item)
            raise StopIteration
        return self._hand_out(item, feed)

    async def advance_async(self) -> Iterator[T]:
        """As `advance`; raises StopAsyncIteration at the end."""
        if length_hint(self.current):
            return self.current
        feed = self._started()
        if feed is None:
            raise StopAsyncIteration
        await asyncio.sleep(0)  # who reads fast must not keep the loop from everybody else
        item = self._take(feed) if isinstance(feed, DirectFeed) else await feed.take_async()
        if self.has_ended:  # closed meanwhile
            raise StopAsyncIteration
        if isinstance(item, Ended):
            self._end(item)
            raise StopAsyncIteration
        return self._hand_out(item, feed)

    def _started(self) -> _AnyFeed[T] | None:
        """The feed, when the current chunk is used up and more may come."""
        if self.has_ended:
            return None
        if self._feed is None:
            self._began_s = time.perf_counter()
            self._feed = self._make_feed()
        elif self._delivery is not None:
            self._telling.stage(Stage.CONSUME, seconds_since(self._consume_began_s))
            self._leave_chunk()
        return self._feed

    def _make_feed(self) -> _AnyFeed[T]:
        source, rules, name, _ = self._plan
        reader = _opened(source)
        wanted = (name, self._before, rules, self._telling, self._is_resumed)
        if isinstance(reader, AsyncReader):
            if not self._is_async:
                raise self._only_async()
            return TaskFeed(reader, *wanted)
        is_bound = isinstance(source, Dataset) and source.is_bound_to_thread
        if is_bound or (rules.prefetch == 0 and not self._is_async):
            return DirectFeed(reader, *wanted)
        return ThreadFeed(reader, *wanted)

    def _only_async(self) -> TypeError:
        return TypeError(
            f"{self._plan.name} is read asynchronously: use `async for`, `async with` and `aclose`"
        )

    def _take(self, feed: DirectFeed[T] | ThreadFeed[T]) -> Delivery[T] | Ended:
        try:
            return feed.take()
        except BaseException:  # such as Ctrl-C while it waits
            self._abandon()
            raise

    def _hand_out(self, delivery: Delivery[T], feed: _AnyFeed[T]) -> Iterator[T]:
        self._delivery = delivery
        self.current = iter(delivery.rows)
        self._chunks += 1
        self._size_bytes += delivery.size_bytes
        progress = self._plan.progress
        if progress is not None:
            _progress_guard.user(progress, self._progressed(delivery, feed), default=None)
        self._consume_began_s = time.perf_counter()
        return self.current

    def _progressed(self, delivery: Delivery[T], feed: _AnyFeed[T]) -> Progress:
        return Progress(
            rows=self._rows_before + self._past_rows + len(delivery.rows),
            chunks=self._chunks,
            size_bytes=self._size_bytes,
            elapsed_s=seconds_since(self._began_s),
            total_rows=feed.total_rows,
        )

    def mark(self) -> Mark:
        """The place after the last row that was handed out."""
        handed = self._handed_of_chunk()
        return self._delivery.mark(handed) if self._delivery is not None and handed else self._before

    def _handed_of_chunk(self) -> int:
        return 0 if self._delivery is None else len(self._delivery.rows) - length_hint(self.current)

    def _leave_chunk(self) -> None:
        self._before, self._past_rows = self.mark(), self._past_rows + self._handed_of_chunk()
        self._delivery, self.current = None, iter(())

    # --- ending

    def _end(self, ended: Ended) -> None:
        error = ended.error
        self._finish(End.EXHAUSTED if error is None else End.FAILED, error)
        if error is not None:
            raise _unlike_an_end(error)

    def _finish(self, end: End, error: BaseException | None = None) -> None:
        if not self.has_ended:
            self.has_ended = True
            self._leave_chunk()
            self._telling.end(end, self._past_rows, self._chunks, self._size_bytes, error)

    def _abandon(self) -> None:
        """Nobody hands out rows any more. Safe on any thread."""
        self._finish(End.ABANDONED)
        feed = self._feed
        if feed is None:
            return
        if isinstance(feed, ThreadFeed) and not self._is_async:
            feed.close(LET_GO_S)
        else:
            feed.stop()

    def close(self) -> None:
        """Stop, and wait until everything is given back."""
        feed = self._feed
        if isinstance(feed, TaskFeed):
            raise self._only_async()
        self._finish(End.ABANDONED)
        if feed is not None:
            feed.close()

    async def aclose(self) -> None:
        """As `close`."""
        self._finish(End.ABANDONED)
        feed = self._feed
        if isinstance(feed, TaskFeed):
            await feed.aclose()
        elif isinstance(feed, ThreadFeed):
            await asyncio.get_running_loop().run_in_executor(None, feed.close)
        elif feed is not None:
            feed.close()

    def statistics(self) -> RowsStatistics:
        """What this reading has done."""
        told = RowsStatistics() if self._feed is None else self._feed.statistics()
        if self.has_ended:  # what was fetched ahead is thrown away
            told = replace(told, waiting_chunks=0, waiting_bytes=0)
        handed = self._past_rows + self._handed_of_chunk()
        return replace(told, rows=handed, chunks=self._chunks, size_bytes=self._size_bytes)


class _Chunks(Generic[T]):
    """The chunks of a reading, an iterator each: several holders share one chunk's iterator."""

    __slots__ = ("__weakref__", "_reading")

    def __init__(self, reading: _Reading[T]) -> None:
        self._reading = reading
        reading.hold(self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Iterator[T]:
        return self._reading.advance()


class _AsyncRows(AsyncIterator[T]):
    """The rows of a reading."""

    __slots__ = ("__weakref__", "_current", "_reading")

    def __init__(self, reading: _Reading[T]) -> None:
        self._reading = reading
        self._current = reading.current
        reading.hold(self)

    async def __anext__(self) -> T:
        row = next(self._current, _NOTHING)
        while row is _NOTHING:
            self._current = await self._reading.advance_async()
            row = next(self._current, _NOTHING)
        return row


def _unlike_an_end(error: BaseException) -> BaseException:
    """`error`, unless it would look like the end of the rows to a loop, as Python does it for generators."""
    if not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    wrapper = RuntimeError(f"the source raised {type(error).__name__}")
    wrapper.__cause__ = error
    return wrapper


def _opened(source: Any) -> Reader[Any] | AsyncReader[Any]:
    if isinstance(source, Dataset):
        return source.open()
    return FetchingAsync(source) if inspect.iscoroutinefunction(source.fetch) else Fetching(source)


def _is_resumable(source: Any) -> bool:
    return source.is_resumable if isinstance(source, Dataset) else True


def _name_of(source: Any) -> str:
    return str(getattr(source, "name", type(source).__name__))


def _fingerprint_of(source: Any) -> str:
    return str(getattr(source, "fingerprint", f"{type(source).__module__}.{type(source).__qualname__}"))


def _sum(before: RowsStatistics, now: RowsStatistics) -> RowsStatistics:
    return replace(
        now,
        rows=before.rows + now.rows,
        chunks=before.chunks + now.chunks,
        size_bytes=before.size_bytes + now.size_bytes,
        fetch_s=before.fetch_s + now.fetch_s,
        decode_s=before.decode_s + now.decode_s,
        consumer_stall_s=before.consumer_stall_s + now.consumer_stall_s,
        producer_stall_s=before.producer_stall_s + now.producer_stall_s,
        peak_waiting_bytes=max(before.peak_waiting_bytes, now.peak_waiting_bytes),
    )
