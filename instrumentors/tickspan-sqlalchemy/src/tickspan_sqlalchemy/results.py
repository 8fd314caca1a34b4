"""Rows: a statement's span ends with its last row, and says how many there were.

SQLAlchemy reads rows through `result.cursor_strategy`. Ours stands before the real one and counts. The real
one may close the result in the middle of a fetch and put another in its place: both are noticed here.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, Final

from tickspan.instrumentation import Guard, Workbench
from tickspan.instrumentation.db import ActiveStatement

from tickspan_sqlalchemy.connections import ConnectionState, state_of

__all__ = ["CountingStrategy", "end_of_batch", "set_pending", "with_counted_rows"]

_PENDING: Final = "_tickspan_statement"
_ROWS_SEEN: Final = "_tickspan_rows_seen"


def set_pending(context: Any, statement: ActiveStatement | None) -> None:
    """Keep on an execution context the statement whose result SQLAlchemy is about to make."""
    setattr(context, _PENDING, statement)


def with_counted_rows(original: Callable[..., Any], bench: Workbench) -> Callable[..., Any]:
    """Around `DefaultExecutionContext._setup_result_proxy`, which makes the result of an execution."""
    guard = bench.guard("results")

    @functools.wraps(original)
    def _setup_result_proxy(self: Any) -> Any:
        statement: ActiveStatement | None = getattr(self, _PENDING, None)
        if statement is None:
            return original(self)
        try:
            result = original(self)
        except BaseException as error:
            guard.own(statement.fail, error, default=None)
            raise
        guard.own(_follow, statement, self, result, guard, default=None)
        return result

    return _setup_result_proxy


def end_of_batch(context: Any) -> None:
    """End the earlier of a context's statements: a batch of `insertmanyvalues`, the query of a default."""
    statement: ActiveStatement | None = getattr(context, _PENDING, None)
    if statement is not None:
        set_pending(context, None)
        _count_rows_of_batch(statement, context)
        state_of(context.root_connection).end(statement)
        statement.succeed()


def _follow(statement: ActiveStatement, context: Any, result: Any, guard: Guard) -> None:
    state = state_of(context.root_connection)
    if getattr(context, "_insertmanyvalues_rows", None) is not None:
        end_of_batch(context)
        return
    set_pending(context, None)
    rows = getattr(context, "returned_default_rows", None)
    if rows is not None:
        statement.fetched(len(rows))
    if rows is not None or result._soft_closed:  # noqa: SLF001 - says whether the cursor is still open
        state.end(statement)
        statement.succeed()
    else:
        statement.fetched(0)
        result.cursor_strategy = CountingStrategy(result.cursor_strategy, statement, state, guard)


def _count_rows_of_batch(statement: ActiveStatement, context: Any) -> None:
    """SQLAlchemy collects the rows of all batches in one list, each before the next batch runs."""
    rows = getattr(context, "_insertmanyvalues_rows", None)
    if rows is not None:
        statement.fetched(len(rows) - getattr(context, _ROWS_SEEN, 0))
        setattr(context, _ROWS_SEEN, len(rows))


class CountingStrategy:
    """Stands for a `ResultFetchStrategy`; what it does not know, the real one answers."""

    __slots__ = ("_guard", "_inner", "_is_closed", "_is_fetching", "_state", "_statement")

    def __init__(self, inner: Any, statement: ActiveStatement, state: ConnectionState, guard: Guard) -> None:
        self._inner = inner
        self._statement = statement
        self._state = state
        self._guard = guard
        self._is_fetching = False
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<CountingStrategy {self._statement!r} before {self._inner!r}>"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def fetchone(self, result: Any, dbapi_cursor: Any, hard_close: bool = False) -> Any:
        """The next row, or None."""
        started_ns = self._begin()
        try:
            row = self._inner.fetchone(result, dbapi_cursor, hard_close)
        except BaseException as error:
            self._fail(error)
            raise
        self._count(0 if row is None else 1, started_ns)
        return row

    def fetchmany(self, result: Any, dbapi_cursor: Any, size: int | None = None) -> Any:
        """Up to `size` rows."""
        return self._fetch_several(self._inner.fetchmany, result, dbapi_cursor, size)

    def fetchall(self, result: Any, dbapi_cursor: Any) -> Any:
        """All rows that are left."""
        return self._fetch_several(self._inner.fetchall, result, dbapi_cursor)

    def yield_per(self, result: Any, dbapi_cursor: Any, num: int) -> None:
        """Go over to buffered reading: the strategy is replaced, and ours stands before the new one."""
        self._inner.yield_per(result, dbapi_cursor, num)
        if result.cursor_strategy is not self:
            self._inner = result.cursor_strategy
            result.cursor_strategy = self

    def soft_close(self, result: Any, dbapi_cursor: Any) -> None:
        """No rows are left, or none are wanted."""
        self._close(self._inner.soft_close, result, dbapi_cursor)

    def hard_close(self, result: Any, dbapi_cursor: Any) -> None:
        """The result is closed by its user."""
        self._close(self._inner.hard_close, result, dbapi_cursor)

    def _fetch_several(self, fetch: Callable[..., Any], *args: Any) -> Any:
        started_ns = self._begin()
        try:
            rows = fetch(*args)
        except BaseException as error:
            self._fail(error)
            raise
        self._count(len(rows), started_ns)
        return rows

    def _begin(self) -> int:
        self._is_fetching = True
        return time.perf_counter_ns()

    def _count(self, rows: int, started_ns: int) -> None:
        self._is_fetching = False
        self._statement.fetched(rows, started_ns)
        if self._is_closed:
            self._finish(is_late=False)

    def _close(self, close: Callable[..., Any], result: Any, dbapi_cursor: Any) -> None:
        self._is_closed = True
        close(result, dbapi_cursor)
        if not self._is_fetching:
            self._finish(is_late=True)

    def _finish(self, *, is_late: bool) -> None:
        self._state.end(self._statement)
        self._guard.own(self._statement.succeed, None, is_late, default=None)

    def _fail(self, error: BaseException) -> None:
        self._is_fetching = False
        self._state.end(self._statement)
        self._guard.own(self._statement.fail, error, default=None)
