"""Pages of an API, by cursor or next link, from any function that fetches one."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from tickspan.lazy.source import AsyncReader, Chunk, Dataset, Position, Reader

T = TypeVar("T")

PageOf: TypeAlias = Chunk[T] | tuple[Sequence[T], Position]
"""A page's rows and the cursor or link of the next page; None after the last."""


def pages(
    fetch: Callable[[Position, int], PageOf[T] | Awaitable[PageOf[T]]],
    *,
    name: str = "pages",
    first: Position = None,
) -> Dataset[T]:
    """The rows of an API that answers in pages.

    ```python
    def fetch(link, limit):
        answer = session.get(link or f"{base}/trades", params={"limit": limit}).json()
        return answer["trades"], answer.get("next")
    ```

    A resume in the middle of a page fetches that page again and skips what was handed out, so it is exact
    where a page's cursor keeps naming the same rows.

    Args:
        fetch: called with the cursor, None for the first page, and the number of rows that would suit, which
            it may ignore; a function or a coroutine function.
        name: of the dataset, in telemetry and for tokens.
        first: the cursor of the first page.

    Raises:
        TypeError: `fetch` cannot be called.
    """
    if not callable(fetch):
        raise TypeError(f"expected a function of cursor and limit, got {type(fetch).__name__}")
    return _Pages(fetch, name, first)


class _Pages(Dataset[T]):
    def __init__(self, fetch: Callable[[Position, int], Any], name: str, first: Position) -> None:
        self._fetch = fetch
        self._name = name
        self._first = first

    def __repr__(self) -> str:
        return f"<pages {self._name}>"

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return f"pages {self._name}"

    def open(self) -> Reader[T] | AsyncReader[T]:
        call = getattr(self._fetch, "__call__", None)  # noqa: B004 - asked what kind of function it is, not whether
        if inspect.iscoroutinefunction(self._fetch) or inspect.iscoroutinefunction(call):
            return _AsyncPageReader(self._fetch, self._first)
        return _PageReader(self._fetch, self._first)


class _PageReader(Reader[T], Generic[T]):
    def __init__(self, fetch: Callable[[Position, int], Any], first: Position) -> None:
        self._fetch = fetch
        self._first = first

    def fetch(self, position: Position, limit: int) -> Chunk[T]:
        cursor = self._first if position is None else position
        return _page(self._fetch(cursor, limit), cursor)


class _AsyncPageReader(AsyncReader[T], Generic[T]):
    def __init__(self, fetch: Callable[[Position, int], Any], first: Position) -> None:
        self._fetch = fetch
        self._first = first

    async def fetch(self, position: Position, limit: int) -> Chunk[T]:
        cursor = self._first if position is None else position
        return _page(await self._fetch(cursor, limit), cursor)


def _page(answer: Any, cursor: Position) -> Chunk[Any]:
    if isinstance(answer, Awaitable):
        close = getattr(answer, "close", None)
        if close is not None:
            close()
        raise TypeError(
            "fetch returned an awaitable: pass a coroutine function, and iterate with `async for`"
        )
    match answer:
        case Chunk():
            page = answer
        case (rows, following):
            page = Chunk(rows, following)
        case _:
            raise TypeError(f"fetch must return rows and the next cursor, not {type(answer).__name__}")
    if page.position is not None and page.position == cursor:
        raise ValueError(
            "the page names itself as the next one: fetch must return another cursor, or None at the end"
        )
    return page
