"""Queries that no key orders: by a cursor that the server keeps, or by OFFSET, which reads all again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import sqlalchemy as sa

from tickspan.lazy.engines import (
    AnyEngine,
    AnySelect,
    Engine,
    Work,
    begin_snapshot,
    checked_statement,
    engine_of,
    is_bound_to_thread,
    reader_of,
)
from tickspan.lazy.making import Into, Make, checked, maker
from tickspan.lazy.source import AsyncReader, Chunk, Dataset, Position, Reader
from tickspan.lazy.token import written_values

_LIMIT: Final = "tickspan_limit"
_OFFSET: Final = "tickspan_offset"


class OffsetWarning(UserWarning):
    """Rows are paged by OFFSET."""


def stream(
    engine: AnyEngine,
    statement: str | AnySelect,
    *,
    params: Mapping[str, Any] | None = None,
    name: str = "stream",
    into: Into = "tuple",
) -> Dataset[Any]:
    """The rows of a query as the database finds them, by a cursor that it keeps open.

    One statement in one transaction, which holds a connection until its end. There is no token: a cursor
    cannot be gone on from.

    Raises:
        TypeError: `engine` or `statement` is none.
        ValueError: `into` is none.
    """
    return _Stream(engine_of(engine), checked_statement(statement), dict(params or {}), name, checked(into))


def offset(
    engine: AnyEngine,
    statement: str | AnySelect,
    *,
    params: Mapping[str, Any] | None = None,
    name: str = "offset",
    snapshot: bool = False,
    into: Into = "tuple",
) -> Dataset[Any]:
    """The rows of a query by LIMIT and OFFSET: the last resort, and it warns.

    Each page makes the database read and throw away all rows before it, and rows that come or go meanwhile
    shift all pages: rows are lost and repeated. `select` with a key has neither fault.

    Args:
        engine: as for `table`.
        statement: SQL text without LIMIT, or a Core `select()`; it must have an ORDER BY that leaves no ties.
        params: values for it.
        name: of the dataset, in telemetry.
        snapshot: as for `table`; rows are then neither lost nor repeated within one reading.
        into: as for `table`.

    Raises:
        TypeError: `engine` or `statement` is none.
        ValueError: `into` is none.
    """
    warnings.warn(
        "OFFSET reads all rows before a page again, and loses and repeats rows while they change: "
        "lazy.select with a key does not",
        OffsetWarning,
        stacklevel=2,
    )
    return _Offset(
        engine_of(engine), checked_statement(statement), dict(params or {}), name, checked(into), snapshot
    )


class _Query(Dataset[Any]):
    def __init__(
        self, engine: Engine, statement: str | AnySelect, params: dict[str, Any], name: str, into: Into
    ) -> None:
        self._engine = engine
        self._statement = statement
        self._params = params
        self._name = name
        self._into: Into = into
        self.is_bound_to_thread = is_bound_to_thread(engine)

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        values: Mapping[str, Any] = self._params
        if not isinstance(self._statement, str):
            values = {**self._statement.compile().params, **self._params}
        return repr(("query", str(self._statement), written_values(values)))

    def open(self) -> Reader[Any] | AsyncReader[Any]:
        return reader_of(self._engine, self._work())

    def _work(self) -> Work[Any]:
        raise NotImplementedError


class _Stream(_Query):
    is_resumable: ClassVar[bool] = False

    def __repr__(self) -> str:
        return f"<stream {self._name}>"

    def _work(self) -> Work[Any]:
        return _StreamWork(self._statement, self._params, self._name, self._into)


class _Offset(_Query):
    def __init__(
        self,
        engine: Engine,
        statement: str | AnySelect,
        params: dict[str, Any],
        name: str,
        into: Into,
        is_snapshot: bool,
    ) -> None:
        super().__init__(engine, statement, params, name, into)
        self._is_snapshot = is_snapshot

    def __repr__(self) -> str:
        return f"<offset {self._name}>"

    def _work(self) -> Work[Any]:
        return _OffsetWork(self._statement, self._params, self._name, self._into, self._is_snapshot)


class _StreamWork(Work[Any]):
    is_holding = True

    def __init__(self, statement: str | AnySelect, params: dict[str, Any], name: str, into: Into) -> None:
        self._statement = sa.text(statement) if isinstance(statement, str) else statement
        self._params = params
        self._name = name
        self._into: Into = into
        self._result: sa.CursorResult[Any] | None = None
        self._make: Make | None = None
        self._passed = 0
        self._is_exhausted = False

    def begin(self, connection: sa.Connection) -> None:
        connection.execution_options(stream_results=True)
        self._result = connection.execute(self._statement, self._params)
        self._make = maker(self._into, self._name, tuple(self._result.keys()))

    def read(self, connection: sa.Connection, position: Position, limit: int) -> Chunk[Any]:
        del connection, position
        assert self._result is not None
        rows = list(self._result.fetchmany(limit))
        self._passed += len(rows)
        self._is_exhausted = len(rows) < limit
        made = rows if self._make is None else self._make(rows)
        return Chunk(made, None if self._is_exhausted else self._passed)

    def end(self, connection: sa.Connection) -> None:
        if self._result is None:
            return
        cursor: Any = self._result.cursor
        drivers_own = getattr(cursor, "_cursor", cursor)
        is_cut_off = not self._is_exhausted and _stop_draining(drivers_own)
        self._result.close()
        if is_cut_off:
            connection.invalidate()


def _stop_draining(cursor: Any) -> bool:
    """Whether rows are left on the wire: PyMySQL and aiomysql would read them all at the close."""
    unbuffered: Any = getattr(cursor, "_result", None)
    if not getattr(unbuffered, "unbuffered_active", False):
        return False
    unbuffered.unbuffered_active = False
    return True


class _OffsetWork(Work[Any]):
    def __init__(
        self,
        statement: str | AnySelect,
        params: dict[str, Any],
        name: str,
        into: Into,
        is_snapshot: bool,
    ) -> None:
        self._statement = _paged(statement)
        self._params = params
        self._name = name
        self._into: Into = into
        self._make: Make | None = None
        self.is_holding = is_snapshot

    def begin(self, connection: sa.Connection) -> None:
        begin_snapshot(connection)

    def read(self, connection: sa.Connection, position: Position, limit: int) -> Chunk[Any]:
        passed = position or 0
        params = {**self._params, _LIMIT: limit, _OFFSET: passed}
        result = connection.execute(self._statement, params)
        make = self._make = self._make or maker(self._into, self._name, tuple(result.keys()))
        rows = list(result.fetchall())
        return Chunk(
            rows if make is None else make(rows),
            None if len(rows) < limit else passed + len(rows),
            position_at=lambda count: passed + count,
        )


def _paged(statement: str | AnySelect) -> sa.TextClause | AnySelect:
    limit, start = (sa.bindparam(name, type_=sa.Integer) for name in (_LIMIT, _OFFSET))
    if isinstance(statement, str):
        text = f"{statement.rstrip().rstrip(';')}\nLIMIT :{_LIMIT} OFFSET :{_OFFSET}"
        return sa.text(text).bindparams(limit, start)
    return statement.limit(limit).offset(start)
