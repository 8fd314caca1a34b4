"""psycopg2: connections and cursors are of subclasses of what was asked for.

Ours stand below the classes that an application names (`DictCursor`, `RealDictConnection`), right above the C
type: what those do themselves goes through ours.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.trace import get_current_span
from tickspan.instrumentation import Row, Workbench, Wrap
from tickspan.instrumentation.db import Comments, Database
from tickspan.semconv.db import DB_OPERATION_NAME

from tickspan_dbapi.calls import rows_of_cursor, size_of
from tickspan_dbapi.links import Driver, DriverStatement, Recorder
from tickspan_dbapi.subclasses import BELOW, Telling, named_as
from tickspan_dbapi.watching import showing

__all__ = ["PSYCOPG2_ROWS"]

_FACTORY: Final = 1
"""Position of `connection_factory` among the arguments of `connect`."""
_FETCH: Final[dict[str, str]] = {DB_OPERATION_NAME: "FETCH"}


def _database(connection: Any) -> Database:
    if connection.closed:  # which is for good
        return Database("postgresql")
    info = connection.info
    return Database.on_server("postgresql", info.dbname, info.host, info.port)


def _is_in_transaction(connection: Any) -> bool:
    """The state that libpq has: neither idle (0) nor unknown (4). A closed connection refuses to tell it."""
    return not connection.closed and connection.get_transaction_status() not in (0, 4)


PSYCOPG2: Final = Driver(
    "psycopg2",
    _database,
    _is_in_transaction,
    is_prepared=lambda _connection: False,
    doubles_percent=True,
)


class _Psycopg2Telling(Telling):
    """Also knows which class to make, and the comments of statements."""

    connections: _Classes
    cursors: _Classes
    comments: Comments | None = None

    def cursor_class(self, asked: Any) -> Any:
        """What to make in the place of the class of cursors that is asked for."""
        return self._guard.own(self.cursors.below, asked, default=asked)

    def commented(self, query: Any, *, has_parameters: bool) -> Any:
        """The text with a comment, where comments are asked for and the current span is ours."""
        if self.comments is None or not isinstance(query, str):
            return query
        return self._guard.own(self._commented, query, has_parameters, default=query)

    def _commented(self, query: str, has_parameters: bool) -> str:
        span = get_current_span()
        scope = getattr(span, "instrumentation_scope", None)
        if self.comments is None or getattr(scope, "name", None) != self._bench.name:
            return query
        return self.comments.added(query, span, is_prepared=False, doubles_percent=has_parameters)


class _Classes:
    """Of connections or of cursors: ours, and those of an application with ours below them."""

    def __init__(self, base: Any, ours: Any, telling: Telling) -> None:
        self._base = base
        self._ours = named_as(base, (ours,), telling)
        self._joined: dict[Any, Any] = {}

    def below(self, asked: Any) -> Any:
        """What to make in the place of `asked`: a class, None, or a factory of another kind, which stays."""
        if asked is None or asked is self._base:
            return self._ours
        if not (isinstance(asked, type) and issubclass(asked, self._base)) or issubclass(asked, self._ours):
            return asked
        known = self._joined.get(asked)
        if known is None:
            members = {"__module__": asked.__module__, "__doc__": asked.__doc__}
            joined = type(asked.__name__, (asked, self._ours), members)
            known = self._joined.setdefault(asked, joined)
        return known


class _Connection(BELOW):
    """Above `psycopg2.extensions.connection`."""

    _tickspan: _Psycopg2Telling

    def cursor(self, name: Any = None, cursor_factory: Any = None, *args: Any, **kwargs: Any) -> Any:
        factory = self._tickspan.cursor_class(cursor_factory or self.cursor_factory)
        return super().cursor(name, factory, *args, **kwargs)

    def commit(self) -> None:
        self._tickspan.end(self, "COMMIT", super().commit)

    def rollback(self) -> None:
        self._tickspan.end(self, "ROLLBACK", super().rollback)


class _Cursor(BELOW):
    """Above `psycopg2.extensions.cursor`."""

    _tickspan: _Psycopg2Telling
    _tickspan_declared: str | None = None
    """What a server cursor was opened for, without data."""

    def execute(self, query: Any, vars: Any = None) -> Any:  # noqa: A002 - psycopg2's name
        run = self._commenting(super().execute, query, vars)
        return self._telling(query, run, parameters=vars)

    def executemany(self, query: Any, vars_list: Any) -> Any:
        run = self._commenting(super().executemany, query, vars_list)
        return self._telling(query, run, batch_size=size_of(vars_list))

    def callproc(self, procname: Any, parameters: Any = None) -> Any:
        marks = ", ".join("?" * len(parameters or ()))
        call = f"CALL {procname}({marks})"  # it sends `SELECT * FROM`, as of any function
        run = functools.partial(super().callproc, procname, *(() if parameters is None else (parameters,)))
        return self._telling(call, run, parameters=parameters)

    def copy_expert(self, sql: Any, file: Any, *args: Any, **kwargs: Any) -> Any:
        return self._telling(sql, functools.partial(super().copy_expert, sql, file, *args, **kwargs))

    def copy_from(self, file: Any, table: Any, *args: Any, **kwargs: Any) -> Any:
        run = functools.partial(super().copy_from, file, table, *args, **kwargs)
        return self._telling(f"COPY {table} FROM STDIN", run)

    def copy_to(self, file: Any, table: Any, *args: Any, **kwargs: Any) -> Any:
        run = functools.partial(super().copy_to, file, table, *args, **kwargs)
        return self._telling(f"COPY {table} TO STDOUT", run)

    def fetchone(self) -> Any:
        return self._fetching(super().fetchone)

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        return self._fetching(functools.partial(super().fetchmany, *args, **kwargs))

    def fetchall(self) -> Any:
        return self._fetching(super().fetchall)

    def _commenting(self, execute: Callable[..., Any], query: Any, given: Any) -> Callable[[], Any]:
        if self._tickspan.comments is None:
            return functools.partial(execute, query, given)

        def commented() -> Any:
            return execute(self._tickspan.commented(query, has_parameters=given is not None), given)

        return commented

    def _telling(self, query: Any, run: Callable[[], Any], **options: Any) -> Any:
        return self._tickspan.run(self, query, run, self._executed, **options)

    def _executed(self, statement: DriverStatement) -> None:
        if self.name is not None:
            self._tickspan_declared = statement.told.statement.text
            statement.succeed()
            return
        outcome = rows_of_cursor(statement, None)
        if outcome.returned is not None:
            statement.fetched(outcome.returned)
        statement.succeed(rows_affected=outcome.affected)

    def _fetching(self, fetch: Callable[[], Any]) -> Any:
        """A server cursor asks the server each time; any other has its rows."""
        declared = self._tickspan_declared
        if declared is None:
            return fetch()
        found: list[Any] = []

        def run() -> Any:
            rows = fetch()
            found.extend(rows if isinstance(rows, list) else () if rows is None else (rows,))
            return rows

        def fetched(statement: DriverStatement) -> None:
            statement.fetched(len(found))
            statement.succeed()

        return self._tickspan.run(self, declared, run, fetched, also=_FETCH)


_tellings: Final[WeakKeyDictionary[Recorder, _Psycopg2Telling]] = WeakKeyDictionary()


def _telling(recorder: Recorder) -> _Psycopg2Telling:
    known = _tellings.get(recorder)
    if known is None:
        from psycopg2 import extensions  # whoever connects has imported it

        known = _Psycopg2Telling(PSYCOPG2, recorder, recorder.bench.guard("psycopg2"))
        known.comments = recorder.comments(PSYCOPG2)
        known.connections = _Classes(extensions.connection, _Connection, known)
        known.cursors = _Classes(extensions.cursor, _Cursor, known)
        _tellings[recorder] = known
    return known


def _making_told_connections(original: Any, bench: Workbench) -> Any:
    """Around `psycopg2.connect(dsn, connection_factory, cursor_factory, …)`."""
    recorder = Recorder.of(bench)
    guard = bench.guard("psycopg2")

    def factory(asked: Any) -> Any:
        return _telling(recorder).connections.below(asked)

    @functools.wraps(original)
    def connect(*args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return original(*args, **kwargs)
        if len(args) > _FACTORY:
            ours = guard.own(factory, args[_FACTORY], default=args[_FACTORY])
            return original(*args[:_FACTORY], ours, *args[_FACTORY + 1 :], **kwargs)
        asked = kwargs.pop("connection_factory", None)
        return original(*args, connection_factory=guard.own(factory, asked, default=asked), **kwargs)

    return connect


PSYCOPG2_ROWS: Final[tuple[Row, ...]] = (
    Wrap("psycopg2", "connect", _making_told_connections),
    Wrap("psycopg2", "connect", showing),
)
