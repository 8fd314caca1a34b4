"""Python iterables as sources: what is taken from them is counted, and a resume counts again."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from tickspan.lazy.source import AsyncReader, Chunk, Dataset, Position, Reader

T = TypeVar("T")


def iterable(items: Iterable[T] | AsyncIterable[T], *, name: str = "iterable") -> Dataset[T]:
    """The items of an iterable, from a thread or task that runs ahead.

    A resume passes over as many items as were handed out: it must be iterated anew from its beginning, which
    a list or a query can, and a generator cannot.

    Raises:
        TypeError: it is no iterable.
    """
    return _Items(_checked(items), name)


def _checked(items: object) -> Any:
    if not isinstance(items, Iterable | AsyncIterable):
        raise TypeError(f"expected an iterable, got {type(items).__name__}")
    return items


class _Items(Dataset[T]):
    def __init__(self, items: Iterable[T] | AsyncIterable[T], name: str) -> None:
        self._items = items
        self._name = name

    def __repr__(self) -> str:
        return f"<iterable {self._name}>"

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return f"iterable {self._name}"

    def open(self) -> Reader[T] | AsyncReader[T]:
        if isinstance(self._items, AsyncIterable):
            return _AsyncItemReader(self._items)
        return _ItemReader(self._items)


class _ItemReader(Reader[T]):
    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._iterator: Iterator[T] | None = None
        self._passed = 0
        self._error: Exception | None = None
        length = getattr(items, "__len__", None)
        self.total_rows = None if length is None else length()

    def fetch(self, position: Position, limit: int) -> Chunk[T]:
        if self._error is not None:
            raise self._error
        if self._iterator is None:
            self._iterator = islice(self._items, position or 0, None)
            self._passed = position or 0
        rows: list[T] = []
        try:
            rows.extend(islice(self._iterator, limit))
        except Exception as error:  # noqa: BLE001 - the iterable's own: raised after the rows before it
            self._error = error
        return _counted(rows, self._pass(len(rows)), is_last=self._error is None and len(rows) < limit)

    def _pass(self, count: int) -> int:
        before, self._passed = self._passed, self._passed + count
        return before

    def close(self) -> None:
        self._iterator = None


class _AsyncItemReader(AsyncReader[T]):
    def __init__(self, items: AsyncIterable[T]) -> None:
        self._items = items
        self._iterator: AsyncIterator[T] | None = None
        self._passed = 0
        self._error: Exception | None = None

    async def fetch(self, position: Position, limit: int) -> Chunk[T]:
        if self._error is not None:
            raise self._error
        if self._iterator is None:
            self._iterator = aiter(self._items)
            await self._skip(position or 0)
        rows: list[T] = []
        is_last = await self._fill(rows, limit)
        before, self._passed = self._passed, self._passed + len(rows)
        return _counted(rows, before, is_last=is_last)

    async def _skip(self, count: int) -> None:
        self._passed = count
        await self._fill([], count)

    async def _fill(self, rows: list[T], limit: int) -> bool:
        """Whether the end was reached."""
        assert self._iterator is not None
        try:
            while len(rows) < limit:
                rows.append(await anext(self._iterator))
        except StopAsyncIteration:
            return True
        except Exception as error:  # noqa: BLE001 - the iterable's own: raised after the rows before it
            self._error = error
        return False

    async def close(self) -> None:
        end = getattr(self._iterator, "aclose", None)  # of an asynchronous generator
        if end is not None:
            await end()


def _counted(rows: list[Any], before: int, *, is_last: bool) -> Chunk[Any]:
    return Chunk(rows, None if is_last else before + len(rows), position_at=lambda count: before + count)
