"""Rows are handed out in order, once, and whatever ends an iteration gives everything back."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import pytest

from tickspan import lazy
from tickspan.lazy import Chunk, Progress, TokenError
from tickspan.lazy.source import AsyncReader, Reader


class Numbers(lazy.Dataset[int]):
    """Numbers from 1 to `last`, and what readers of them did."""

    def __init__(self, last: int, *, is_async: bool = False, error: Exception | None = None) -> None:
        self.last = last
        self.is_async = is_async
        self.error = error
        self.fetched: list[tuple[Any, int]] = []
        self.opened = self.closed = self.cancelled = 0
        self.gate: threading.Event | None = None

    @property
    def name(self) -> str:
        return "numbers"

    @property
    def fingerprint(self) -> str:
        return "numbers"

    def open(self) -> Reader[int] | AsyncReader[int]:
        self.opened += 1
        return AsyncNumberReader(self) if self.is_async else NumberReader(self)

    def chunk(self, position: Any, limit: int) -> Chunk[int]:
        self.fetched.append((position, limit))
        first = (position or 0) + 1
        numbers = list(range(first, min(first + limit, self.last + 1)))
        if not numbers and self.error is not None:
            raise self.error
        is_last = len(numbers) < limit and self.error is None
        return Chunk(
            numbers,
            None if is_last else first - 1 + len(numbers),
            position_at=lambda count: first - 1 + count,
        )


class NumberReader(Reader[int]):
    def __init__(self, source: Numbers) -> None:
        self.source = source
        self.was_cancelled = threading.Event()

    def fetch(self, position: Any, limit: int) -> Chunk[int]:
        if self.source.gate is not None and position is not None:
            self.source.gate.set()
            assert self.was_cancelled.wait(10)
            raise InterruptedError
        return self.source.chunk(position, limit)

    def cancel(self) -> None:
        self.source.cancelled += 1
        self.was_cancelled.set()

    def close(self) -> None:
        self.source.closed += 1


class AsyncNumberReader(AsyncReader[int]):
    def __init__(self, source: Numbers) -> None:
        self.source = source

    async def fetch(self, position: Any, limit: int) -> Chunk[int]:
        if self.source.gate is not None and position is not None:
            self.source.gate.set()
            await asyncio.sleep(60)
        await asyncio.sleep(0)
        return self.source.chunk(position, limit)

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.source.closed += 1


def feeders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tickspan-lazy")]


async def settled(is_so: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while not is_so() and time.monotonic() < until:  # noqa: ASYNC110 - threads are waited for too
        await asyncio.sleep(0.001)
    return is_so()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    gc.collect()
    for thread in threading.enumerate():
        if thread.name.startswith("tickspan-lazy"):
            thread.join(5)  # it has been told to end
    assert feeders() == []


@pytest.mark.parametrize("prefetch", [0, 1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 1000])
def test_all_rows_come_once_and_in_order(prefetch: int, count: int) -> None:
    source = Numbers(count)
    rows = lazy.rows(source, chunk=10, prefetch=prefetch)
    assert list(rows) == list(range(1, count + 1))
    assert (source.opened, source.closed) == (1, 1)


async_cases = pytest.mark.parametrize("is_async", [False, True])


def run(main: Any) -> Any:
    return asyncio.run(main)


@async_cases
@pytest.mark.parametrize("prefetch", [0, 2])
def test_all_rows_come_on_an_event_loop_whatever_the_source(is_async: bool, prefetch: int) -> None:
    source = Numbers(1000, is_async=is_async)

    async def read() -> list[int]:
        return [row async for row in lazy.rows(source, chunk=10, prefetch=prefetch)]

    assert run(read()) == list(range(1, 1001))
    assert (source.opened, source.closed) == (1, 1)


def test_a_break_ends_the_reading_though_the_rows_are_kept() -> None:
    source = Numbers(100_000)
    rows = lazy.rows(source, chunk=10)
    assert list(islice(rows, 25)) == list(range(1, 26))
    assert (source.opened, source.closed, feeders()) == (1, 1, [])
    assert rows.statistics().is_open is False


def test_after_a_break_the_same_rows_go_on() -> None:
    rows = lazy.rows(Numbers(100), chunk=10)
    parts = [list(islice(rows, count)) for count in (1, 9, 10, 13, 200, 5)]
    assert [len(part) for part in parts] == [1, 9, 10, 13, 67, 0]
    assert list(chain(*parts)) == list(range(1, 101))


def test_next_and_for_share_one_reading() -> None:
    source = Numbers(100)
    rows = lazy.rows(source, chunk=10)
    assert [next(rows), next(rows), *islice(rows, 10), next(rows), *rows] == list(range(1, 101))
    assert source.opened == 1
    assert next(rows, None) is None


def test_two_loops_at_once_share_the_rows() -> None:
    rows = lazy.rows(Numbers(25), chunk=10)
    assert list(zip(rows, rows, strict=False)) == [(one, one + 1) for one in range(1, 25, 2)]


def test_an_error_in_the_loop_ends_the_reading_and_leaves_its_place() -> None:
    source = Numbers(100_000)
    rows = lazy.rows(source, chunk=10)

    def consume() -> float:
        return sum(1 / (row - 17) for row in rows)

    with pytest.raises(ZeroDivisionError):
        consume()
    assert (source.closed, feeders()) == (1, [])
    assert next(lazy.rows(source, resume=rows.token)) == 18


@pytest.mark.parametrize("prefetch", [0, 2])
def test_the_sources_exception_comes_as_the_same_object_after_its_rows(prefetch: int) -> None:
    error = LookupError("no such page")
    source = Numbers(25, error=error)
    got: list[int] = []
    with pytest.raises(LookupError) as caught:
        got.extend(iter(lazy.rows(source, chunk=10, prefetch=prefetch)))
    assert caught.value is error
    assert got == list(range(1, 26))
    assert source.closed == 1


@async_cases
def test_the_sources_exception_comes_on_an_event_loop(is_async: bool) -> None:
    error = LookupError("no such page")
    got: list[int] = []

    async def read() -> None:
        async for row in lazy.rows(Numbers(25, is_async=is_async, error=error), chunk=10):
            got.append(row)  # noqa: PERF401 - what came before the error is to be seen

    with pytest.raises(LookupError) as caught:
        run(read())
    assert caught.value is error
    assert got == list(range(1, 26))


def test_a_source_that_raises_stop_iteration_is_at_fault() -> None:
    error = StopIteration()
    with pytest.raises(RuntimeError, match="the source raised StopIteration") as caught:
        list(lazy.rows(Numbers(5, error=error), chunk=5))
    assert caught.value.__cause__ is error


def test_dropping_an_iterator_ends_its_reading() -> None:
    source = Numbers(100_000)
    rows = lazy.rows(source, chunk=10)
    next(rows)
    assert len(feeders()) == 1
    del rows
    assert (source.closed, feeders()) == (1, [])


def test_a_cycle_is_collected_with_its_reading() -> None:
    source = Numbers(100_000)
    holder: dict[str, Any] = {"rows": lazy.rows(source, chunk=10)}
    holder["self"] = holder
    next(holder["rows"])
    del holder
    gc.collect()
    assert (source.closed, feeders()) == (1, [])


def test_what_cannot_be_called_tells_no_progress() -> None:
    number: Any = 5
    with pytest.raises(TypeError, match="progress: expected a function, got int"):
        lazy.rows(lazy.iterable([1]), progress=number)


def test_a_with_block_closes_and_a_closed_object_reads_no_more() -> None:
    source = Numbers(100_000)
    with lazy.rows(source, chunk=10) as rows:
        assert next(rows) == 1
    assert (source.closed, feeders(), rows.statistics().rows) == (1, [], 1)
    with pytest.raises(ValueError, match="these rows are closed"):
        iter(rows)
    assert next(lazy.rows(source, resume=rows.token)) == 2


@async_cases
def test_an_async_with_block_gives_everything_back_before_it_ends(is_async: bool) -> None:
    source = Numbers(100_000, is_async=is_async)

    async def read() -> tuple[int, int]:
        async with lazy.rows(source, chunk=10) as rows:
            async for row in rows:
                if row == 25:
                    break
        return source.closed, len(asyncio.all_tasks())

    assert run(read()) == (1, 1)


@async_cases
def test_a_break_on_an_event_loop_ends_the_reading_in_its_next_turns(is_async: bool) -> None:
    source = Numbers(100_000, is_async=is_async)

    async def read() -> bool:
        rows = lazy.rows(source, chunk=10)
        async for row in rows:
            if row == 25:
                break
        return await settled(lambda: source.closed == 1 and len(asyncio.all_tasks()) == 1 and not feeders())

    assert run(read())


@async_cases
def test_cancelling_the_consumer_ends_the_reading(is_async: bool) -> None:
    source = Numbers(100_000, is_async=is_async)
    source.gate = threading.Event()

    async def consume() -> None:
        async for _ in lazy.rows(source, chunk=10):
            pass

    async def read() -> bool:
        task = asyncio.create_task(consume())
        assert source.gate is not None
        assert await settled(source.gate.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await settled(lambda: source.closed == 1 and len(asyncio.all_tasks()) == 1 and not feeders())

    assert run(read())
    assert source.cancelled == (0 if is_async else 1)


def test_waiting_with_a_timeout_loses_no_row() -> None:
    source = Numbers(15, is_async=True)
    source.gate = threading.Event()

    async def read() -> list[int]:
        rows = aiter(lazy.rows(source, chunk=10))
        got = [await anext(rows) for _ in range(10)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(rows), 0.01)
        return got

    assert run(read()) == list(range(1, 11))


def test_a_fetch_that_runs_is_cancelled_when_the_loop_is_left() -> None:
    source = Numbers(100_000)
    source.gate = threading.Event()
    began = time.monotonic()
    for _ in lazy.rows(source, chunk=10):
        assert source.gate.wait(10)
        break
    assert (source.cancelled, source.closed) == (1, 1)
    assert time.monotonic() - began < 2


def test_an_asynchronous_source_needs_an_event_loop() -> None:
    rows = lazy.rows(Numbers(5, is_async=True))
    with pytest.raises(TypeError, match="numbers is read asynchronously: use `async for`"):
        next(rows)


def test_no_more_than_the_prefetch_is_fetched_ahead() -> None:
    source = Numbers(100_000)
    rows = lazy.rows(source, chunk=10, prefetch=2, prefetch_bytes=1_000_000_000)
    next(rows)
    until = time.monotonic() + 5
    while len(source.fetched) < 3 and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(0.02)  # for a fetch that must not come there is nothing to wait on
    assert len(source.fetched) == 3  # one that is consumed, two that wait
    assert rows.statistics().waiting_chunks == 2
    rows.close()


def test_a_chunk_that_would_exceed_the_bytes_is_not_fetched_ahead() -> None:
    source = Numbers(100_000)
    configured = lazy.configure(
        lazy.LazyRules(chunk=100, prefetch=9, prefetch_bytes=7_500, is_adaptive=False)
    )
    with configured, lazy.rows(source) as rows:
        for row in rows:
            if row == 2_000:
                break
        peak = rows.statistics().peak_waiting_bytes
    assert 0 < peak <= 7_500


def test_nothing_is_fetched_before_it_is_asked_for_without_prefetch() -> None:
    source = Numbers(100)
    rows = lazy.rows(source, chunk=10, prefetch=0)
    assert source.fetched == []
    next(rows)
    assert source.fetched == [(None, 10)]
    assert feeders() == []


@pytest.mark.parametrize("stop", [1, 9, 10, 11, 30, 31])
def test_a_token_goes_on_after_the_last_row_that_was_handed_out(stop: int) -> None:
    source = Numbers(31)
    rows = lazy.rows(source, chunk=10)
    first = list(islice(rows, stop))
    rest = list(lazy.rows(source, chunk=7, resume=rows.token))
    assert first + rest == list(range(1, 32))


def test_a_token_before_the_first_row_is_the_beginning_or_where_it_was_resumed() -> None:
    source = Numbers(31)
    rows = lazy.rows(source, chunk=10)
    assert list(lazy.rows(source, resume=rows.token)) == list(range(1, 32))
    list(islice(rows, 12))
    again = lazy.rows(source, resume=rows.token)
    assert again.token == rows.token


def test_rows_that_came_later_are_read_from_the_end_on() -> None:
    source = Numbers(25)
    rows = lazy.rows(source, chunk=10)
    assert len(list(rows)) == 25
    source.last = 30
    assert list(rows) == [26, 27, 28, 29, 30]
    assert list(lazy.rows(source, resume=rows.token)) == []


class Pages:
    """A source that has no more than `fetch`, and answers in pages of three."""

    def fetch(self, position: Any, limit: int) -> Chunk[str]:
        page = position or 0
        return Chunk([f"{page}-{row}" for row in range(3)], page + 1 if page < 3 else None)


class AsyncPages(Pages):
    """The same as a coroutine."""

    async def fetch(self, position: Any, limit: int) -> Chunk[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        await asyncio.sleep(0)
        return Pages.fetch(self, position, limit)


ALL_PAGES = [f"{page}-{row}" for page in range(4) for row in range(3)]


@pytest.mark.parametrize("stop", range(1, 13))
def test_anything_with_fetch_is_a_source_and_can_be_resumed(stop: int) -> None:
    rows = lazy.rows(Pages())
    first = list(islice(rows, stop))
    assert first + list(lazy.rows(Pages(), resume=rows.token)) == ALL_PAGES
    assert first + list(rows) == ALL_PAGES


def test_a_coroutine_named_fetch_is_a_source() -> None:
    async def read() -> list[str]:
        return [row async for row in lazy.rows(AsyncPages())]

    assert run(read()) == ALL_PAGES


class Forgetful:
    async def _fetch(self) -> Chunk[int]:
        return Chunk([], None)

    def fetch(self, position: Any, limit: int) -> Any:
        return self._fetch()


def test_a_function_that_returns_an_awaitable_is_told_to_be_a_coroutine() -> None:
    with pytest.raises(TypeError, match="fetch returned an awaitable"):
        list(lazy.rows(Forgetful()))


def test_what_is_no_chunk_is_refused() -> None:
    class Wrong:
        def fetch(self, position: Any, limit: int) -> Any:
            return [1, 2, 3]

    with pytest.raises(TypeError, match=r"fetch must return a tickspan\.lazy\.Chunk, not list"):
        list(lazy.rows(Wrong()))


def test_what_has_no_fetch_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="expected a source with `fetch"):
        lazy.rows([1, 2, 3])  # pyright: ignore[reportArgumentType] - the mistake under test


def test_handing_out_a_row_calls_no_function_of_python() -> None:
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    rows = lazy.rows(Numbers(10_000), chunk=5_000, prefetch=0)
    sys.setprofile(count)
    try:
        for _ in rows:
            pass
    finally:
        sys.setprofile(None)
    assert calls < 500


def test_a_damaged_token_is_refused_at_once() -> None:
    with pytest.raises(TokenError, match="damaged"):
        lazy.rows(Numbers(5), resume="nonsense")


def test_progress_is_told_after_each_chunk_and_its_fault_harms_nobody() -> None:
    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        raise ValueError

    with lazy.configure(lazy.LazyRules(is_adaptive=False)):
        rows = lazy.rows(Numbers(25), chunk=10, progress=tell)
    assert len(list(rows)) == 25
    assert [(one.rows, one.chunks, one.total_rows) for one in told] == [
        (10, 1, None),
        (20, 2, None),
        (25, 3, None),
    ]
    assert all(one.rows_per_s > 0 for one in told)


def test_statistics_tell_what_was_handed_out() -> None:
    with lazy.configure(lazy.LazyRules(chunk=10, is_adaptive=False)):
        rows = lazy.rows(Numbers(100))
    list(islice(rows, 25))
    list(islice(rows, 25))
    told = rows.statistics()
    assert (told.rows, told.chunks, told.chunk_rows, told.waiting_chunks) == (50, 6, 10, 0)
    assert repr(rows) == "<Rows numbers: 50 in 6 chunks, at rest>"


def test_chunks_are_lists_of_the_same_rows() -> None:
    with lazy.configure(lazy.LazyRules(chunk=10, is_adaptive=False)):
        rows = lazy.rows(Numbers(25))
    assert next(rows) == 1
    assert list(rows.chunks()) == [[*range(2, 11)], [*range(11, 21)], [*range(21, 26)]]


def test_a_thread_that_is_forked_away_is_said_to_be_elsewhere() -> None:
    rows = lazy.rows(Numbers(100_000), chunk=10)
    next(rows)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        said = "no error"
        try:
            list(rows)
        except RuntimeError as error:
            said = str(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"read by the parent process" in os.read(reading, 1000)
    assert next(rows) == 2
    rows.close()
    os.close(reading)
    os.close(writing)


def test_fast_rows_leave_the_event_loop_its_turns() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def read() -> None:
        other = asyncio.create_task(others())
        async for _ in lazy.rows(Numbers(1000), chunk=10):
            pass
        other.cancel()

    with lazy.configure(lazy.LazyRules(is_adaptive=False)):
        run(read())
    assert turns >= 100


def test_an_iterable_may_be_anything_that_iterates() -> None:
    async def letters() -> AsyncIterator[str]:
        for letter in "abcdef":
            yield letter

    class Letters:
        def __aiter__(self) -> AsyncIterator[str]:
            return letters()

    async def read(resume: str | None, stop: int) -> tuple[list[str], str]:
        rows = lazy.rows(lazy.iterable(Letters()), chunk=2, resume=resume)
        got: list[str] = []
        async with rows:
            async for letter in rows:
                got.append(letter)
                if len(got) == stop:
                    break
        return got, rows.token

    first, token = run(read(None, 3))
    assert (first, run(read(token, 99))[0]) == (["a", "b", "c"], ["d", "e", "f"])
    rows = lazy.rows(lazy.iterable({"a": 1, "b": 2}.items()), chunk=1)
    assert (next(rows), rows.statistics().rows, list(rows)) == (("a", 1), 1, [("b", 2)])
    with pytest.raises(TypeError, match="expected an iterable, got int"):
        lazy.iterable(7)  # pyright: ignore[reportArgumentType, reportUnknownArgumentType, reportCallIssue] - the mistake


@pytest.mark.parametrize("is_async", [False, True])
def test_what_an_iterable_raises_comes_after_the_items_before_it(is_async: bool) -> None:
    error = LookupError("broken")

    def items() -> Iterator[int]:
        yield from range(7)
        raise error

    async def async_items() -> AsyncIterator[int]:
        for item in items():
            yield item

    got: list[int] = []

    async def read() -> None:
        async for item in lazy.rows(lazy.iterable(async_items() if is_async else items()), chunk=5):
            got.append(item)  # noqa: PERF401 - the same

    with pytest.raises(LookupError) as caught:
        run(read())
    assert (caught.value, got) == (error, [0, 1, 2, 3, 4, 5, 6])


Answer = tuple[Sequence[int], int | None]


def page_of(cursor: int | None, limit: int) -> Answer:
    start = cursor or 0
    return list(range(start, start + 4)), start + 4 if start < 12 else None


async def async_page_of(cursor: int | None, limit: int) -> Answer:
    await asyncio.sleep(0)
    return page_of(cursor, limit)


def test_pages_follow_their_cursor_and_resume_within_a_page() -> None:
    rows = lazy.rows(lazy.pages(page_of))
    first = list(islice(rows, 6))
    assert first + list(lazy.rows(lazy.pages(page_of), resume=rows.token)) == list(range(16))


def test_pages_may_be_fetched_by_a_coroutine() -> None:
    class Client:
        async def __call__(self, cursor: int | None, limit: int) -> Answer:
            return await async_page_of(cursor, limit)

    async def read(fetch: Any) -> list[int]:
        return [row async for row in lazy.rows(lazy.pages(fetch))]

    assert run(read(async_page_of)) == run(read(Client())) == list(range(16))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (([1], "again"), "the page names itself as the next one"),
        ([1, 2, 3], "fetch must return rows and the next cursor, not list"),
        (None, "fetch must return rows and the next cursor, not NoneType"),
    ],
)
def test_pages_that_cannot_be_right_are_refused(answer: Any, said: str) -> None:
    source = lazy.pages(lambda cursor, limit: answer, first="again")
    with pytest.raises((ValueError, TypeError), match=said):
        list(lazy.rows(source))
    with pytest.raises(TypeError, match="expected a function of cursor and limit"):
        lazy.pages("https://example.com")  # pyright: ignore[reportArgumentType, reportUnknownVariableType] - the mistake
