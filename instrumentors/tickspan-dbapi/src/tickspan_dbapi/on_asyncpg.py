"""asyncpg: statements, prepared ones, cursors, COPY, pools. Transactions end by a statement, `COMMIT;`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from tickspan.instrumentation import Row, Workbench, Wrap, suppressed
from tickspan.instrumentation.notices import known_watch
from tickspan.instrumentation.pooling.on_asyncpg import ASYNCPG_POOL_ROWS, ASYNCPG_POOLS, asyncpg_place

from tickspan_dbapi.calls import Asked, Outcome, argument, size_of, statement
from tickspan_dbapi.links import Driver, DriverStatement
from tickspan_dbapi.pools import Waits
from tickspan_dbapi.watching import showing_async

__all__ = ["ASYNCPG_ROWS"]


ASYNCPG: Final = Driver(
    "asyncpg",
    asyncpg_place,
    is_in_transaction=lambda connection: not connection.is_closed() and connection.is_in_transaction(),
    is_prepared=lambda _connection: True,
    is_blocking=False,
)


def _read_script(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked:
    """`execute(query, *parameters)`."""
    return Asked(args[0], argument(args, kwargs, 1, "query"), args[2:])


def _read_execute(args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Asked:
    """`_execute(query, parameters, …)`, on which all `fetch…` stand."""
    return Asked(args[0], args[1], args[2])


def _read_executemany(args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Asked:
    """`_executemany(query, sets, …)`."""
    return Asked(args[0], args[1], None, size_of(args[2]))


def _read_prepared(args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Asked:
    """A prepared statement's `__do_execute(executor)`: parameters are inside the closure."""
    prepared = args[0]
    return Asked(prepared._connection, prepared._query)  # noqa: SLF001 - no public name


def _read_cursor(args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Asked:
    """A cursor's `_bind_exec(n, …)` and `_exec(n, …)`."""
    cursor = args[0]
    query = cursor._query or cursor._state.query  # noqa: SLF001 - of a prepared statement it is in the state
    return Asked(cursor._connection, query, cursor._args)  # noqa: SLF001 - no public name


def _read_copy(args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Asked:
    """`_copy_out(statement, …)` and `_copy_in(statement, …)`."""
    return Asked(args[0], args[1])


def _read_records(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Asked:
    """`copy_records_to_table(table_name, records=…, schema_name=None)`, which writes its text itself."""
    table = argument(args, kwargs, 1, "table_name")
    schema = kwargs.get("schema_name")
    return Asked(args[0], f"COPY {f'{schema}.' if schema else ''}{table} FROM STDIN")


def _concluded(told: DriverStatement, result: Any) -> Outcome:
    """A list of records, a status such as `UPDATE 2`, or both with something behind."""
    if isinstance(result, tuple):
        rows, status = result[0], result[1]
        return _of_status(told, status) if told.told.is_write and not rows else Outcome(returned=len(rows))
    if isinstance(result, list):
        return Outcome(returned=len(result))
    return _of_status(told, result)


def _of_status(told: DriverStatement, status: Any) -> Outcome:
    text = status.decode("ascii", "replace") if isinstance(status, bytes) else status
    count = text.rpartition(" ")[2] if isinstance(text, str) else ""
    if not count.isdecimal():
        return Outcome()
    return Outcome(affected=int(count)) if told.told.is_write else Outcome(returned=int(count))


def _quiet(original: Any, bench: Workbench) -> Any:
    """Around `Connection.reset`, with which a pool cleans what comes back: nobody asked for it."""

    @functools.wraps(original)
    async def reset(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return await original(*args, **kwargs)
        with suppressed():
            return await original(*args, **kwargs)

    return reset


def _listening(original: Any, bench: Workbench) -> Any:
    """Around `PoolConnectionHolder.acquire`: coming back, a connection has lost its listeners."""
    guard = bench.guard("notices")

    def acquired(connection: Any) -> None:
        watch = known_watch(connection)
        if watch is not None:
            watch.acquired(connection)

    @functools.wraps(original)
    async def acquire(*args: Any, **kwargs: Any) -> Any:
        proxy = await original(*args, **kwargs)
        if bench.is_active:
            guard.own(acquired, proxy._con, default=None)  # noqa: SLF001 - no public name
        return proxy

    return acquire


def _leaving(original: Any, bench: Workbench) -> Any:
    """Around `Pool.release`, which warns of listeners."""
    guard = bench.guard("notices")

    def released(proxy: Any) -> None:
        connection = getattr(proxy, "_con", None)
        watch = None if connection is None else known_watch(connection)
        if watch is not None:
            watch.released(connection)

    @functools.wraps(original)
    async def release(self: Any, connection: Any, **kwargs: Any) -> Any:
        guard.own(released, connection, default=None)
        return await original(self, connection, **kwargs)

    return release


_MODULE: Final = "asyncpg.connection"
_copy: Final = statement(ASYNCPG, _read_copy, _concluded)
_cursor: Final = statement(ASYNCPG, _read_cursor, _concluded)

ASYNCPG_ROWS: Final[tuple[Row, ...]] = (
    Wrap(_MODULE, "Connection.execute", statement(ASYNCPG, _read_script, _concluded, text="query")),
    Wrap(_MODULE, "Connection._execute", statement(ASYNCPG, _read_execute, _concluded, text="query")),
    Wrap(_MODULE, "Connection._executemany", statement(ASYNCPG, _read_executemany, _concluded, text="query")),
    Wrap(_MODULE, "Connection._copy_in", _copy),
    Wrap(_MODULE, "Connection.copy_records_to_table", statement(ASYNCPG, _read_records, _concluded)),
    Wrap(_MODULE, "Connection._copy_out", _copy),
    Wrap(_MODULE, "Connection.reset", _quiet),
    Wrap(
        "asyncpg.prepared_stmt",
        "PreparedStatement._PreparedStatement__do_execute",
        statement(ASYNCPG, _read_prepared, _concluded),
    ),
    Wrap("asyncpg.cursor", "BaseCursor._bind_exec", _cursor),
    Wrap("asyncpg.cursor", "BaseCursor._exec", _cursor),
    Wrap("asyncpg.connect_utils", "_connect", showing_async),
    Wrap("asyncpg.pool", "PoolConnectionHolder.acquire", _listening),
    Wrap("asyncpg.pool", "Pool.release", _leaving),
    *ASYNCPG_POOL_ROWS,
    Waits("asyncpg.pool", ASYNCPG_POOLS.hearers, ASYNCPG),
)
