"""Connections of SQLAlchemy's engines: borrowed for a fetch, or held for a snapshot or a cursor."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, SingletonThreadPool, StaticPool

from tickspan.instrumentation.db import Database
from tickspan.lazy.source import AsyncReader, Chunk, Notes, Position, Reader
from tickspan.semconv.db import DB_NAMESPACE, DB_OPERATION_NAME, DB_QUERY_SUMMARY, DB_SYSTEM_NAME

T = TypeVar("T")

AnySelect: TypeAlias = "sa.Select[*tuple[Any, ...]]"  # as text: SQLAlchemy 2.0 knows one parameter only
Engine: TypeAlias = sa.Engine | AsyncEngine
AnyEngine: TypeAlias = sa.Engine | AsyncEngine | str | sa.URL | Callable[[], sqlite3.Connection]
"""An engine, a URL, or a function that makes a new connection of `sqlite3`."""

_CANCELS: Final[Mapping[str, Mapping[str, float]]] = {
    "interrupt": {},
    "cancel_safe": {"timeout": 2.0},
    "cancel": {},
}
"""What drivers call it, and its arguments: sqlite3, psycopg, psycopg2. PyMySQL has nothing of the kind."""


class CancelledFetch(Exception):  # noqa: N818 - it reports no error
    """Ends a fetch that nobody waits for any more."""


def engine_of(engine: AnyEngine) -> Engine:
    """The engine that is meant. Raises TypeError for anything else."""
    if isinstance(engine, sa.Engine | AsyncEngine):
        return engine
    if isinstance(engine, str | sa.URL):
        url = sa.make_url(engine)
        if url.get_dialect().is_async:
            return create_async_engine(url, poolclass=NullPool)
        return sa.create_engine(url, poolclass=NullPool)
    if callable(engine):
        return sa.create_engine("sqlite://", creator=engine, poolclass=NullPool)
    raise TypeError(
        "expected a SQLAlchemy Engine or AsyncEngine, a URL, or a function that makes a sqlite3 connection; "
        f"got {type(engine).__name__}"
    )


def checked_statement(statement: object) -> Any:
    """`statement`, when it is one. Raises TypeError."""
    if not isinstance(statement, str | sa.Select):
        raise TypeError(f"expected SQL text or a SQLAlchemy select(), got {type(statement).__name__}")
    return statement


def is_bound_to_thread(engine: Engine) -> bool:
    """Whether a thread of ours would see another database, or work in the caller's own transaction."""
    return isinstance(engine.pool, SingletonThreadPool | StaticPool)


class Work(ABC, Generic[T]):
    """What is done with a connection. Its calls come one at a time, on whatever thread has it."""

    settle_s: float = 0.0
    """How long to wait between `observe` and the first `read`; 0: `observe` is not called."""
    is_holding: bool = False
    """Whether one connection is used from `begin` to the end."""
    summary: str = "SELECT"

    def observe(self, connection: sa.Connection) -> None:
        """Look at the head of what grows, before the wait."""

    def begin(self, connection: sa.Connection) -> None:
        """Begin the transaction or the cursor that is held."""

    def end(self, connection: sa.Connection) -> None:
        """Close the cursor that is held; transactions end with the connection's return."""

    @abstractmethod
    def read(self, connection: sa.Connection, position: Position, limit: int) -> Chunk[T]:
        """The rows after `position`."""


def reader_of(engine: Engine, work: Work[T]) -> Reader[T] | AsyncReader[T]:
    """A reader that does `work` with connections of `engine`."""
    return (
        _AsyncEngineReader(engine, work) if isinstance(engine, AsyncEngine) else _EngineReader(engine, work)
    )


def _notes(engine: Engine, summary: str) -> Notes:
    dialect, url = engine.dialect, engine.url
    if dialect.name == "sqlite":
        database = Database.in_file(url.database)
    else:
        system = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
        database = Database.on_server(system, url.database, url.host, url.port)
    known = {
        DB_SYSTEM_NAME: database.system,
        DB_NAMESPACE: database.namespace,
        DB_OPERATION_NAME: "SELECT",
        DB_QUERY_SUMMARY: summary,
    }
    return Notes({key: value for key, value in known.items() if value is not None})


_NO_NOTES: Final = Notes()


class _EngineReader(Reader[T]):
    notes = _NO_NOTES

    def __init__(self, engine: sa.Engine, work: Work[T]) -> None:
        self._engine = engine
        self._work = work
        self._held: sa.Connection | None = None
        self._has_begun = False
        self._running: Any = None
        self._is_cancelled = threading.Event()
        self._lock = threading.Lock()

    def fetch(self, position: Position, limit: int) -> Chunk[T]:
        if not self._has_begun:
            self._begin()
        if self._held is not None:
            chunk = self._run(self._held, lambda connection: self._work.read(connection, position, limit))
        else:
            with self._engine.connect() as borrowed:
                chunk = self._run(borrowed, lambda connection: self._work.read(connection, position, limit))
        if self.notes is _NO_NOTES:
            self.notes = _notes(self._engine, self._work.summary)
        return chunk

    def _begin(self) -> None:
        work = self._work
        if work.settle_s:
            observed_s = time.monotonic()
            with self._engine.connect() as borrowed:
                self._run(borrowed, work.observe)
            self._is_cancelled.wait(observed_s + work.settle_s - time.monotonic())
        if work.is_holding:
            self._held = self._engine.connect()
            self._run(self._held, work.begin)
        self._has_begun = True

    def _run(self, connection: sa.Connection, do: Callable[[sa.Connection], Any]) -> Any:
        with self._lock:
            if self._is_cancelled.is_set():
                raise CancelledFetch
            self._running = connection.connection.driver_connection
        try:
            return do(connection)
        finally:
            with self._lock:  # a cancellation that is being sent must not meet the connection's next user
                self._running = None

    def cancel(self) -> None:
        self._is_cancelled.set()
        with self._lock:
            running = self._running
            for name, arguments in _CANCELS.items():
                if hasattr(running, name):
                    getattr(running, name)(**arguments)
                    return

    def close(self) -> None:
        if self._held is None:
            return
        try:
            self._work.end(self._held)
        finally:
            self._held.close()


class _AsyncEngineReader(AsyncReader[T]):
    notes = _NO_NOTES

    def __init__(self, engine: AsyncEngine, work: Work[T]) -> None:
        self._engine = engine
        self._work = work
        self._held: AsyncConnection | None = None
        self._has_begun = False

    async def fetch(self, position: Position, limit: int) -> Chunk[T]:
        if not self._has_begun:
            await self._begin()
        if self._held is not None:
            chunk = await self._held.run_sync(self._work.read, position, limit)
        else:
            async with self._engine.connect() as borrowed:
                chunk = await borrowed.run_sync(self._work.read, position, limit)
        if self.notes is _NO_NOTES:
            self.notes = _notes(self._engine, self._work.summary)
        return chunk

    async def _begin(self) -> None:
        work = self._work
        if work.settle_s:
            observed_s = time.monotonic()
            async with self._engine.connect() as borrowed:
                await borrowed.run_sync(work.observe)
            await asyncio.sleep(max(0.0, observed_s + work.settle_s - time.monotonic()))
        if work.is_holding:
            self._held = await self._engine.connect()
            await self._held.run_sync(work.begin)
        self._has_begun = True

    async def close(self) -> None:
        if self._held is None:
            return
        try:
            await self._held.run_sync(self._work.end)
        finally:
            await self._held.close()


def begin_snapshot(connection: sa.Connection) -> None:
    """Begin a transaction in which every statement sees the rows of one moment.

    Raises:
        ValueError: this database is not known to have such a transaction.
    """
    name = connection.dialect.name
    if name == "postgresql":
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    elif name in {"mysql", "mariadb"}:
        connection.execution_options(isolation_level="REPEATABLE READ")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    elif name == "sqlite":
        connection.exec_driver_sql("BEGIN")
    else:
        raise ValueError(f"no consistent snapshot is known for {name}: use snapshot=False")
