"""A statement whose rows are read one by one, while the database still works: it ends with its last row."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tickspan_dbapi.links import DriverStatement

__all__ = ["Reading"]

_EACH_IS_TIMED: Final = 16
"""Single rows of a statement of which each is timed; of further ones, one in so many."""
_now_ns: Final = time.perf_counter_ns


class Reading:
    """Kept by the cursor, and used by whoever holds that. Let go of, it ends when its last row was read."""

    __slots__ = ("_rows", "_statement")

    def __init__(self, statement: DriverStatement) -> None:
        statement.source = None  # the cursor keeps us: no circle
        statement.fetched(0)
        self._statement: DriverStatement | None = statement
        self._rows = 0

    def __repr__(self) -> str:
        return f"<Reading {self._rows} rows{'' if self._statement is not None else ', over'}>"

    def __del__(self) -> None:
        self.leave()

    def one(self, fetch: Callable[[], Any]) -> Any:
        """`fetch()`, which returns one row, or at the end None or raises StopIteration."""
        statement = self._statement
        if statement is None:
            return fetch()
        number = self._rows = self._rows + 1
        is_one_of_many = number > _EACH_IS_TIMED
        since_ns = None if is_one_of_many and number % _EACH_IS_TIMED else _now_ns()
        try:
            row = fetch()
        except StopIteration:
            statement.fetched(0, since_ns)
            self.end()
            raise
        except BaseException as error:
            self.fail(error)
            raise
        statement.fetched(row is not None, since_ns, _EACH_IS_TIMED if is_one_of_many else 1)
        if row is None:
            self.end()
        return row

    async def one_async(self, fetch: Callable[[], Awaitable[Any]]) -> Any:
        """The same, each row timed: beside the waiting that is little."""
        statement = self._statement
        if statement is None:
            return await fetch()
        self._rows += 1
        since_ns = _now_ns()
        try:
            row = await fetch()
        except BaseException as error:
            self.fail(error)
            raise
        statement.fetched(row is not None, since_ns)
        if row is None:
            self.end()
        return row

    def several(self, fetch: Callable[[], Any]) -> Any:
        """`fetch()`, which returns a list of rows."""
        statement = self._statement
        if statement is None:
            return fetch()
        since_ns = _now_ns()
        try:
            rows = fetch()
        except BaseException as error:
            self.fail(error)
            raise
        statement.fetched(len(rows), since_ns)
        return rows

    def end(self) -> None:
        """The last row has been read."""
        statement, self._statement = self._statement, None
        if statement is not None:
            statement.succeed()

    def fail(self, error: BaseException) -> None:
        """A row could not be read."""
        statement, self._statement = self._statement, None
        if statement is not None:
            statement.fail(error)

    def leave(self) -> None:
        """Nobody will read on."""
        statement, self._statement = self._statement, None
        if statement is not None:
            statement.succeed(is_late=True)
