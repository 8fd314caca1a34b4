"""sqlite3, and aiosqlite above it: connections are of a subclass of sqlite3's own.

SQLite works while rows are fetched: a statement ends with its last row. A connection whose maker asks for a
class by `factory=` is left as it is.
"""

from __future__ import annotations

import contextvars
import functools
import os
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.instrumentation.db import Database, audible

from tickspan_dbapi.calls import known_count, size_of
from tickspan_dbapi.links import Driver, DriverStatement, Recorder
from tickspan_dbapi.readings import Reading
from tickspan_dbapi.subclasses import BELOW, Telling, named_as

__all__ = ["SQLITE_ROWS"]

_FACTORY: Final = 5
"""Position of `factory` among the arguments of `connect`."""


def _is_in_transaction(connection: Any) -> bool:
    try:
        return bool(connection.in_transaction)
    except Exception:  # noqa: BLE001 - a closed connection, or another thread's: errors of sqlite3
        return False


SQLITE: Final = Driver(
    "sqlite3",
    database=lambda connection: Database.in_file(connection._tickspan_path),  # noqa: SLF001 - our own
    is_in_transaction=_is_in_transaction,
    is_prepared=lambda _connection: True,
)


class _Connection(BELOW):
    """Above `sqlite3.Connection`."""

    _tickspan: Telling
    _tickspan_cursor: Any
    _tickspan_below_cursor: Any

    def __init__(self, database: Any, *args: Any, **kwargs: Any) -> None:
        self._tickspan_path = _path(database)
        super().__init__(database, *args, **kwargs)

    def cursor(self, factory: Any = None) -> Any:
        return self._tickspan_below_cursor(self._tickspan_cursor if factory is None else factory)

    # The C methods make a plain cursor without asking `cursor`.
    def execute(self, sql: Any, parameters: Any = (), /) -> Any:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: Any, parameters: Any, /) -> Any:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: Any, /) -> Any:
        return self.cursor().executescript(sql_script)

    def commit(self) -> None:
        self._tickspan.end(self, "COMMIT", super().commit)

    def rollback(self) -> None:
        self._tickspan.end(self, "ROLLBACK", super().rollback)

    def __exit__(self, *exc_info: object) -> Any:
        leave = functools.partial(super().__exit__, *exc_info)
        return self._tickspan.end(self, "COMMIT" if exc_info[0] is None else "ROLLBACK", leave)


class _Cursor(BELOW):
    """Above `sqlite3.Cursor`. Below SQLAlchemy it is silent, and its methods are short ways down."""

    _tickspan: Telling
    _tickspan_below_execute: Any
    _tickspan_below_fetchone: Any
    _tickspan_below_close: Any
    _tickspan_reading: Reading | None = None

    def execute(self, sql: Any, parameters: Any = (), /) -> Any:
        if self._tickspan_reading is None and audible() is None:
            return self._tickspan_below_execute(sql, parameters)
        run = functools.partial(super().execute, sql, parameters)
        return self._telling(sql, run, parameters=parameters)

    def executemany(self, sql: Any, parameters: Any, /) -> Any:
        run = functools.partial(super().executemany, sql, parameters)
        return self._telling(sql, run, batch_size=size_of(parameters))

    def executescript(self, sql_script: Any, /) -> Any:
        return self._telling(sql_script, functools.partial(super().executescript, sql_script))

    def fetchone(self) -> Any:
        reading = self._tickspan_reading
        return self._tickspan_below_fetchone() if reading is None else reading.one(super().fetchone)

    def __next__(self) -> Any:
        reading = self._tickspan_reading
        return super().__next__() if reading is None else reading.one(super().__next__)

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        reading = self._tickspan_reading
        if reading is None:
            return super().fetchmany(*args, **kwargs)
        size = args[0] if args else kwargs.get("size", self.arraysize)
        rows = reading.several(functools.partial(super().fetchmany, *args, **kwargs))
        if not isinstance(size, int) or len(rows) < size:
            reading.end()
        return rows

    def fetchall(self) -> Any:
        reading = self._tickspan_reading
        if reading is None:
            return super().fetchall()
        rows = reading.several(super().fetchall)
        reading.end()
        return rows

    def close(self) -> None:
        if self._tickspan_reading is not None:  # a cursor without an attribute of its own needs no dictionary
            self._tickspan_reading = None
        self._tickspan_below_close()

    def _telling(self, sql: Any, run: Callable[[], Any], **options: Any) -> Any:
        self._tickspan_reading = None
        return self._tickspan.run(self, sql, run, self._executed, **options)

    def _executed(self, statement: DriverStatement) -> None:
        if self.description is None:
            affected = known_count(self.rowcount) if statement.told.is_write else None
            statement.succeed(rows_affected=affected)
        else:
            self._tickspan_reading = Reading(statement)


_classes: Final[WeakKeyDictionary[Recorder, Any]] = WeakKeyDictionary()


def _class_of(recorder: Recorder) -> Any:
    """The class of told connections, made once for each time that the instrumentor is switched on."""
    known = _classes.get(recorder)
    if known is None:
        import sqlite3  # whoever connects has imported it

        telling = Telling(SQLITE, recorder, recorder.bench.guard("sqlite3"))
        known = named_as(sqlite3.Connection, (_Connection,), telling, ("cursor",))
        below = ("execute", "fetchone", "close")
        known._tickspan_cursor = named_as(sqlite3.Cursor, (_Cursor,), telling, below)  # noqa: SLF001 - our own
        _classes[recorder] = known
    return known


def _making_told_connections(original: Any, bench: Workbench) -> Any:
    """Around `sqlite3.connect`: the default of `factory` is ours."""
    recorder = Recorder.of(bench)
    guard = bench.guard("sqlite3")

    @functools.wraps(original)
    def connect(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active or "factory" in kwargs or len(args) > _FACTORY:
            return original(*args, **kwargs)
        ours = guard.own(_class_of, recorder, default=None)
        return original(*args, **kwargs) if ours is None else original(*args, factory=ours, **kwargs)

    return connect


def _path(database: Any) -> str | None:
    """The path that a connection was made with, if it is one: SQLite says what is wrong with others."""
    if not isinstance(database, str | bytes | os.PathLike):
        return None
    return os.fsdecode(database)  # pyright: ignore[reportUnknownArgumentType] - a path of either kind


def _carrying_context(original: Any, bench: Workbench) -> Any:
    """Around aiosqlite's `_execute`, which runs a function of sqlite3 in the connection's own thread."""

    @functools.wraps(original)
    async def execute(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return await original(self, fn, *args, **kwargs)
        return await original(self, contextvars.copy_context().run, fn, *args, **kwargs)

    return execute


SQLITE_ROWS: Final[tuple[Row, ...]] = (
    Wrap("sqlite3", "connect", _making_told_connections),
    Wrap("sqlite3.dbapi2", "connect", _making_told_connections),
    Wrap("aiosqlite.core", "Connection._execute", _carrying_context),
)
