"""How a driver's methods are wrapped: one span for each statement and for each end of a transaction.

Rows name a method, how its arguments are read, and what its outcome says. Sync and async share them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sized
from typing import Any, Final, NamedTuple

from opentelemetry.trace import get_current_span
from tickspan.instrumentation import ActiveOperation, Attributes, Workbench, is_suppressed
from tickspan.instrumentation.db import ActiveTransactionEnd, Comments
from tickspan.instrumentation.wrapping import wrapped

from tickspan_dbapi.links import Driver, DriverStatement, Recorder

__all__ = [
    "Asked",
    "Make",
    "Outcome",
    "Read",
    "argument",
    "end_of_transaction",
    "known_count",
    "rows_of_cursor",
    "size_of",
    "statement",
    "text_of",
]


class Asked(NamedTuple):
    """What one call of a driver asks the database."""

    connection: Any
    sql: str
    parameters: Any = None
    batch_size: int = 1
    also: Attributes | None = None


class Outcome(NamedTuple):
    """What came of it."""

    returned: int | None = None
    """Rows that were returned, as far as they are known."""
    affected: int | None = None


Read = Callable[[tuple[Any, ...], Mapping[str, Any]], Asked | None]
"""`(args, kwargs)`, the instance first, to what is asked; None where the call is not to be told."""
Conclude = Callable[[DriverStatement, Any], Outcome | None]
"""The statement, after its execution, and the call's result; None where it goes on while rows are read."""
Make = Callable[[Any, Workbench], Any]

_TEXT: Final = 1
"""The position of a statement's text, after the instance."""
_UNKNOWN_COUNT: Final = 1 << 63
"""MySQL's drivers say -1 as an unsigned number of 64 bits."""


def statement(driver: Driver, read: Read, conclude: Conclude, *, text: str = "") -> Make:
    """What makes a method tell one statement a call.

    Args:
        driver: whose method it is.
        read: its arguments.
        conclude: its outcome.
        text: the name of the parameter that holds SQL, at the first position, if comments may be appended.
    """

    def make(original: Any, bench: Workbench) -> Any:
        recorder = Recorder.of(bench)
        guard = bench.guard(f"{driver.name}:{original.__qualname__}")

        def decide(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> DriverStatement | None:
            asked = read(args, kwargs)
            if asked is None or asked.connection is None:  # of a closed cursor
                return None
            link = recorder.link(driver, asked.connection)
            return recorder.start(
                link,
                asked.connection,
                args[0],
                asked.sql,
                asked.parameters,
                batch_size=asked.batch_size,
                also=asked.also,
            )

        def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ActiveOperation | None:
            if not bench.is_active or is_suppressed():
                return None
            return guard.own(decide, args, kwargs, default=None)

        def finish(active: ActiveOperation, result: Any) -> None:
            if not guard.own(_goes_on, active, result, conclude, default=False):
                active.succeed()  # does nothing if it is over

        comments = recorder.comments(driver) if text else None
        inner = original if comments is None else _commented(original, bench, driver, comments, text)
        return wrapped(inner, begin, finish)

    return make


def _goes_on(active: DriverStatement, result: Any, conclude: Conclude) -> bool:
    """Whether rows of the statement are still to be read; if not it ends here."""
    active.executed()
    outcome = conclude(active, result)
    if outcome is None:
        return True
    if outcome.returned is not None:
        active.fetched(outcome.returned)
    active.succeed(rows_affected=outcome.affected)
    return False


def end_of_transaction(driver: Driver, verb_of: Callable[[tuple[Any, ...]], str | None]) -> Make:
    """What makes a method of a connection tell the end of its transaction.

    `verb_of(args)` is COMMIT or ROLLBACK; None where the call ends none. The connection is the first
    argument's `connection`, or that argument itself.
    """

    def make(original: Any, bench: Workbench) -> Any:
        recorder = Recorder.of(bench)
        guard = bench.guard(f"{driver.name}:{original.__qualname__}")

        def decide(args: tuple[Any, ...]) -> ActiveTransactionEnd | None:
            verb = verb_of(args)
            connection = getattr(args[0], "connection", args[0])
            link = recorder.known_link(connection)
            if verb is None or link is None:
                return None
            return recorder.start_end(link, connection, verb)

        def begin(args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> ActiveOperation | None:
            if not bench.is_active or is_suppressed():
                return None
            return guard.own(decide, args, default=None)

        def finish(active: ActiveOperation, _result: Any) -> None:
            active.succeed()

        return wrapped(original, begin, finish)

    return make


def argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], position: int, *names: str) -> Any:
    """One argument of a call, at its position or under one of its names; None where it is not given."""
    if len(args) > position:
        return args[position]
    return next((kwargs[name] for name in names if name in kwargs), None)


def text_of(query: Any, connection: Any = None) -> str:
    """A statement as text: drivers also take bytes, and psycopg objects that render themselves."""
    if isinstance(query, str):
        return query
    if isinstance(query, bytes | bytearray | memoryview):
        return bytes(query).decode("utf-8", "replace")
    render = getattr(query, "as_string", None)
    return str(render(connection)) if render is not None else ""


def size_of(batch: Any) -> int:
    """How many sets of parameters there are; 1 where only going through them would tell."""
    return len(batch) if isinstance(batch, Sized) else 1


def rows_of_cursor(told: DriverStatement, _result: Any) -> Outcome:
    """Of a DB-API cursor that has read its rows when `execute` returns."""
    cursor = told.source
    count = known_count(cursor.rowcount)
    if cursor.description is not None:
        return Outcome(returned=count)
    return Outcome(affected=count if told.told.is_write else None)


def known_count(count: Any) -> int | None:
    """A row count that is one: drivers have several ways to say that they do not know."""
    return count if isinstance(count, int) and 0 <= count < _UNKNOWN_COUNT else None


def _commented(original: Any, bench: Workbench, driver: Driver, comments: Comments, text: str) -> Any:
    """`original` that gets its SQL with a comment where our span is current, that is: where it is told."""
    guard = bench.guard("comments")

    def added(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        span = get_current_span()
        scope = getattr(span, "instrumentation_scope", None)
        sql = args[_TEXT] if len(args) > _TEXT else kwargs.get(text)
        if getattr(scope, "name", None) != bench.name or not isinstance(sql, str):
            return args, kwargs
        rest = args[_TEXT + 1 :] or tuple(value for name, value in kwargs.items() if name != text)
        connection = getattr(args[0], "connection", args[0])
        sql = comments.added(
            sql,
            span,
            is_prepared=driver.is_prepared(connection),
            doubles_percent=driver.doubles_percent and bool(rest) and rest[0] is not None,
        )
        if len(args) > _TEXT:
            return (args[0], sql, *args[_TEXT + 1 :]), kwargs
        return args, {**kwargs, text: sql}

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        passed, named = guard.own(added, args, kwargs, default=(args, kwargs))
        return original(*passed, **named)

    @functools.wraps(original)
    async def call_async(*args: Any, **kwargs: Any) -> Any:
        passed, named = guard.own(added, args, kwargs, default=(args, kwargs))
        return await original(*passed, **named)

    return call_async if inspect.iscoroutinefunction(original) else call
