"""PyMySQL and aiomysql, which is PyMySQL with `await`. Unbuffered cursors read while the server sends."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any, Final

from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.instrumentation.db import Database

from tickspan_dbapi.calls import (
    Asked,
    Outcome,
    argument,
    end_of_transaction,
    known_count,
    rows_of_cursor,
    size_of,
    statement,
    text_of,
)
from tickspan_dbapi.links import Driver, DriverStatement
from tickspan_dbapi.readings import Reading

__all__ = ["MYSQL_ROWS"]

_IN_TRANSACTION: Final = 1
"""SERVER_STATUS_IN_TRANS, in the server's last answer."""
_READING: Final = "_tickspan_reading"
"""On an unbuffered cursor: the statement whose rows are read."""


def _database(connection: Any) -> Database:
    system = "mariadb" if "mariadb" in str(connection.get_server_info()).lower() else "mysql"
    database = text_of(connection.db) if connection.db else None
    socket = getattr(connection, "unix_socket", None)
    return Database.on_server(system, database, socket or connection.host, connection.port)


def _is_in_transaction(connection: Any) -> bool:
    """Without autocommit any statement opens one; the answer to a SELECT does not say so."""
    status = connection.server_status
    if not isinstance(status, int):
        return False
    return bool(status & _IN_TRANSACTION) or not connection.get_autocommit()


def _driver(name: str, *, is_blocking: bool) -> Driver:
    return Driver(
        name,
        _database,
        _is_in_transaction,
        is_prepared=lambda _connection: False,
        doubles_percent=True,
        is_blocking=is_blocking,
    )


def _read_execute(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked:
    """`execute(query, args=None)`."""
    _leave(args[0])
    query, parameters = argument(args, kwargs, 1, "query"), argument(args, kwargs, 2, "args")
    return Asked(args[0].connection, text_of(query), parameters)


def _read_executemany(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked:
    """`executemany(query, args)`."""
    query, batch = argument(args, kwargs, 1, "query"), argument(args, kwargs, 2, "args")
    return Asked(args[0].connection, text_of(query), None, size_of(batch))


def _read_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked:
    """`callproc(procname, args=())` sets one variable for each argument, then calls."""
    name, parameters = argument(args, kwargs, 1, "procname"), argument(args, kwargs, 2, "args")
    marks = ", ".join("?" * len(parameters or ()))
    return Asked(args[0].connection, f"CALL `{name}`({marks})", parameters)


def _concluded(told: DriverStatement, _result: Any) -> Outcome | None:
    """As of any cursor; one that does not buffer counts while it is read."""
    cursor = told.source
    is_buffered = not (hasattr(cursor, "read_next") or hasattr(cursor, "_read_next"))
    if cursor.description is None or is_buffered:
        return rows_of_cursor(told, None)
    vars(cursor)[_READING] = Reading(told)
    return None


def _concluded_call(told: DriverStatement, _result: Any) -> Outcome:
    return Outcome(affected=known_count(told.source.rowcount) if told.told.is_write else None)


def _counting(original: Any, bench: Workbench) -> Any:
    """Around `SSCursor.read_next`, on which all its `fetch…` stand."""
    del bench

    @functools.wraps(original)
    def read_next(self: Any) -> Any:
        reading: Reading | None = vars(self).get(_READING)
        return original(self) if reading is None else reading.one(functools.partial(original, self))

    return read_next


def _counting_async(original: Any, bench: Workbench) -> Any:
    del bench

    @functools.wraps(original)
    async def read_next(self: Any) -> Any:
        reading: Reading | None = vars(self).get(_READING)
        if reading is None:
            return await original(self)
        return await reading.one_async(functools.partial(original, self))

    return read_next


def _leaving(original: Any, bench: Workbench) -> Any:
    """Around `SSCursor.close`, which reads the rest for nobody."""
    del bench

    @functools.wraps(original)
    def close(self: Any) -> Any:
        _leave(self)
        return original(self)

    @functools.wraps(original)
    async def close_async(self: Any) -> Any:
        _leave(self)
        return await original(self)

    return close_async if inspect.iscoroutinefunction(original) else close


def _leave(cursor: Any) -> None:
    """A statement that was not read to its end is over."""
    vars(cursor).pop(_READING, None)


def _rows(library: str, connections: str, *, is_blocking: bool) -> tuple[Row, ...]:
    driver = _driver(library, is_blocking=is_blocking)
    cursors = f"{library}.cursors"
    read_next, counting = ("read_next", _counting) if is_blocking else ("_read_next", _counting_async)
    return (
        Wrap(cursors, "Cursor.execute", statement(driver, _read_execute, _concluded, text="query")),
        Wrap(cursors, "Cursor.executemany", statement(driver, _read_executemany, _concluded)),
        Wrap(cursors, "Cursor.callproc", statement(driver, _read_call, _concluded_call)),
        Wrap(cursors, f"SSCursor.{read_next}", counting),
        Wrap(cursors, "SSCursor.close", _leaving),
        Wrap(connections, "Connection.commit", end_of_transaction(driver, lambda _args: "COMMIT")),
        Wrap(connections, "Connection.rollback", end_of_transaction(driver, lambda _args: "ROLLBACK")),
    )


MYSQL_ROWS: Final[tuple[Row, ...]] = (
    *_rows("pymysql", "pymysql.connections", is_blocking=True),
    *_rows("aiomysql", "aiomysql.connection", is_blocking=False),
)
