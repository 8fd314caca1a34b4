"""psycopg 3, sync and async: statements, batches, streams, COPY, server cursors, blocks, pools."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from types import MethodType
from typing import Any, Final
from weakref import WeakKeyDictionary

from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.instrumentation.db import Database
from tickspan.instrumentation.pooling.on_psycopg import PSYCOPG_POOL_ROWS, PSYCOPG_POOLS
from tickspan.semconv.db import DB_OPERATION_NAME

from tickspan_dbapi.calls import (
    Asked,
    Make,
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
from tickspan_dbapi.pools import Waits
from tickspan_dbapi.watching import showing, showing_async

__all__ = ["PSYCOPG_ROWS"]

_texts: Final[WeakKeyDictionary[Any, str]] = WeakKeyDictionary()
"""What each server cursor was declared for, without data."""
_FETCH: Final[dict[str, str]] = {DB_OPERATION_NAME: "FETCH"}


def _database(connection: Any) -> Database:
    if connection.closed:  # which is for good
        return Database("postgresql")
    info = connection.info
    return Database.on_server("postgresql", info.dbname, info.host, info.port)


def _is_in_transaction(connection: Any) -> bool:
    """Libpq's own state: neither idle (0) nor unknown (4)."""
    return connection.pgconn.transaction_status not in (0, 4)


PSYCOPG: Final = Driver(
    "psycopg",
    _database,
    _is_in_transaction,
    is_prepared=lambda connection: connection.prepare_threshold is not None,
    doubles_percent=True,
)
PSYCOPG_ASYNC: Final = replace(PSYCOPG, is_blocking=False)


def _read_execute(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked:
    """`execute(query, params=None)`, as `stream` and `copy`."""
    connection = args[0].connection
    query = argument(args, kwargs, 1, "query", "statement")
    parameters = argument(args, kwargs, 2, "params")
    return Asked(connection, text_of(query, connection), parameters)


def _read_executemany(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked:
    """`executemany(query, params_seq)`."""
    connection = args[0].connection
    query, batch = argument(args, kwargs, 1, "query"), argument(args, kwargs, 2, "params_seq")
    return Asked(connection, text_of(query, connection), None, size_of(batch))


def _read_fetch(args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Asked | None:
    """A FETCH from a server cursor has no text of its own: it is told as what the cursor was declared for."""
    cursor = args[0]
    declared = _texts.get(cursor)
    return None if declared is None else Asked(cursor.connection, declared, also=_FETCH)


def _declared(told: DriverStatement, _result: Any) -> Outcome:
    _texts[told.source] = told.told.statement.text
    return Outcome()


def _nothing_known(_told: DriverStatement, _result: Any) -> Outcome:
    return Outcome()


def _fetched(_told: DriverStatement, result: list[Any] | None) -> Outcome:
    """None where the wait for rows was broken off."""
    return Outcome(returned=None if result is None else len(result))


def _copied(told: DriverStatement, _result: Any) -> Outcome:
    count = known_count(told.source.rowcount)
    return Outcome(affected=count) if told.told.is_write else Outcome(returned=count)


def _around_copy(driver: Driver) -> Make:
    """`copy` is a generator made a context manager; what is told is the generator."""
    copy = statement(driver, _read_execute, _copied)
    managed = contextmanager if driver.is_blocking else asynccontextmanager

    def make(original: Any, bench: Workbench) -> Any:
        return functools.wraps(original)(managed(copy(original.__wrapped__, bench)))

    return make


def _verb_of_block(args: tuple[Any, ...]) -> str | None:
    """How `Transaction.__exit__` ends the outermost block; inner blocks are savepoints."""
    block = args[0]
    if not block._outer_transaction:  # noqa: SLF001 - the only sign of it
        return None
    return "ROLLBACK" if _is_undone(args) else "COMMIT"


def _is_undone(args: tuple[Any, ...]) -> bool:
    """`__exit__(kind, error, traceback)`."""
    return args[1] is not None or args[0].force_rollback


def _read_enter(args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Asked | None:
    """A block's `__enter__`, which sends SAVEPOINT unless the block is the outermost."""
    connection = args[0].connection
    return Asked(connection, "SAVEPOINT ?") if _is_in_transaction(connection) else None


def _read_exit(args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Asked | None:
    """An inner block's `__exit__`. Going back, psycopg also releases the savepoint."""
    block = args[0]
    if block._outer_transaction:  # noqa: SLF001 - as above
        return None
    return Asked(block.connection, "ROLLBACK TO ?" if _is_undone(args) else "RELEASE ?")


def _rebound(original: Any, bench: Workbench) -> Any:
    """`psycopg.connect` is `Connection.connect` as that was when psycopg was imported: it is bound anew."""
    if type(original) is MethodType:
        return getattr(original.__self__, original.__name__)
    return showing(original, bench)  # somebody has put something around it


def _rows(driver: Driver, prefix: str, enter: str, leave: str, show: Make) -> tuple[Row, ...]:
    cursor, server, block = f"{prefix}Cursor", f"{prefix}ServerCursor", f"{prefix}Transaction"
    execute = statement(driver, _read_execute, rows_of_cursor, text="query")
    return (
        Wrap("psycopg", f"{cursor}.execute", execute),
        Wrap(
            "psycopg",
            f"{cursor}.executemany",
            statement(driver, _read_executemany, rows_of_cursor, text="query"),
        ),
        Wrap("psycopg", f"{cursor}.stream", statement(driver, _read_execute, _nothing_known)),
        Wrap("psycopg", f"{cursor}.copy", _around_copy(driver)),
        Wrap("psycopg", f"{server}.execute", statement(driver, _read_execute, _declared, text="query")),
        Wrap("psycopg", f"{server}._fetch_gen", statement(driver, _read_fetch, _fetched)),
        Wrap("psycopg", f"{prefix}Connection.commit", end_of_transaction(driver, lambda _args: "COMMIT")),
        Wrap("psycopg", f"{prefix}Connection.rollback", end_of_transaction(driver, lambda _args: "ROLLBACK")),
        Wrap("psycopg", f"{block}.{leave}", end_of_transaction(driver, _verb_of_block)),
        Wrap("psycopg", f"{block}.{enter}", statement(driver, _read_enter, _nothing_known)),
        Wrap("psycopg", f"{block}.{leave}", statement(driver, _read_exit, _nothing_known)),
        Wrap("psycopg", f"{prefix}Connection.connect", show),
    )


PSYCOPG_ROWS: Final[tuple[Row, ...]] = (
    *_rows(PSYCOPG, "", "__enter__", "__exit__", showing),
    *_rows(PSYCOPG_ASYNC, "Async", "__aenter__", "__aexit__", showing_async),
    Wrap("psycopg", "connect", _rebound),
    *PSYCOPG_POOL_ROWS,
    Waits("psycopg_pool", PSYCOPG_POOLS.hearers, PSYCOPG),
)
